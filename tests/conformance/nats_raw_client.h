/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_raw_client.h - a client of NATS that says what the test likes.
 */
#ifndef SKUA_TESTS_CONFORMANCE_NATS_RAW_CLIENT_H
#define SKUA_TESTS_CONFORMANCE_NATS_RAW_CLIENT_H

#include <arpa/inet.h>
#include <array>
#include <sstream>
#include <sys/socket.h>

#include "support.h"

namespace conformance
{

/** Speaks the protocol of NATS itself. */
class RawClient
{
  public:
    explicit RawClient(int port)
        : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address = {};

        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(0, connect(fd_, reinterpret_cast<sockaddr *>(&address),
                             sizeof(address)));
        send("CONNECT {\"verbose\":false}\r\nPING\r\n");
        EXPECT_TRUE(until("PONG\r\n"));
    }

    ~RawClient()
    {
        close(fd_);
    }

    RawClient(const RawClient &) = delete;
    RawClient &operator=(const RawClient &) = delete;

    void publish(const std::string &subject, const std::string &data,
                 const std::string &reply = "")
    {
        send("PUB " + subject + " " + reply + " " +
             std::to_string(data.size()) + "\r\n" + data + "\r\n");
    }

    /** Until the server has read all. */
    void flush()
    {
        send("PING\r\n");
        EXPECT_TRUE(until("PONG\r\n"));
    }

    struct Message {
        std::string subject;
        std::string reply;
        std::string data;
    };

    void subscribe(const std::string &subject)
    {
        send("SUB " + subject + " " + std::to_string(++subscriptions_ + 1) +
             "\r\n");
        flush();
    }

    /** The next one of what it has subscribed to; all "" at the end. */
    Message next()
    {
        Message message;
        std::string word;
        std::vector<std::string> words;

        if (!until("MSG ") || !until("\r\n")) {
            return message;
        }
        for (std::istringstream line(taken_); line >> word;) {
            words.push_back(word);
        }
        const size_t bytes = std::stoul(words.back());

        while (rest_.size() < bytes + 2 && receive()) {
        }
        message.subject = words[0];
        message.reply = words.size() > 3 ? words[2] : "";
        message.data = rest_.substr(0, bytes);
        rest_.erase(0, bytes + 2);
        return message;
    }

    /** Both so that they come together. */
    void publish_both(const std::string &subject, const std::string &data,
                      const std::string &subject2, const std::string &data2)
    {
        send("PUB " + subject + " " + std::to_string(data.size()) + "\r\n" +
             data + "\r\nPUB " + subject2 + " " + std::to_string(data2.size()) +
             "\r\n" + data2 + "\r\n");
    }

    /** One answer's data, or "". */
    std::string request(const std::string &subject, const std::string &data)
    {
        send("SUB raw.inbox 1\r\n");
        publish(subject, data, "raw.inbox");
        if (!until("MSG raw.inbox 1 ") || !until("\r\n")) {
            return "";
        }
        const size_t bytes = std::stoul(taken_);

        while (rest_.size() < bytes + 2 && receive()) {
        }
        const std::string answer = rest_.substr(0, bytes);

        rest_.erase(0, bytes + 2);
        return answer;
    }

  private:
    void send(const std::string &text) const
    {
        size_t sent = 0;

        while (sent < text.size()) {
            const ssize_t n = ::send(fd_, text.data() + sent,
                                     text.size() - sent, MSG_NOSIGNAL);

            ASSERT_GT(n, 0);
            sent += static_cast<size_t>(n);
        }
    }

    bool receive()
    {
        std::array<char, 4096> bytes = {};
        const ssize_t n = recv(fd_, bytes.data(), bytes.size(), 0);

        if (n > 0) {
            rest_.append(bytes.data(), static_cast<size_t>(n));
        }
        return n > 0;
    }

    /** What comes before `text`, which is taken as well, is in taken_. */
    bool until(const std::string &text)
    {
        size_t at;

        while ((at = rest_.find(text)) == std::string::npos) {
            if (!receive()) {
                return false;
            }
        }
        taken_ = rest_.substr(0, at);
        rest_.erase(0, at + text.size());
        return true;
    }

    int fd_;
    int subscriptions_ = 0;
    std::string rest_;
    std::string taken_;
};

} // namespace conformance

#endif
