// SPDX-License-Identifier: Apache-2.0
// Lambdas as tasks, for the tests of io/.
#ifndef SKUI_TESTS_TASK_SUPPORT_H
#define SKUI_TESTS_TASK_SUPPORT_H

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <skua.h>

using Body = std::function<int()>;

inline int CallBody(void *arg)
{
    return (*static_cast<Body *>(arg))();
}

// Run `body` as the main task of a runner with `loops` loops.
inline int RunTask(unsigned loops, Body body)
{
    skua_runner_options options = {};

    options.loops = loops;
    options.no_sigint = true;
    return skua_run_with(&options, CallBody, &body, nullptr);
}

// A task that is awaited before its body goes away.
class Task
{
  public:
    explicit Task(Body body) : body_(std::make_unique<Body>(std::move(body)))
    {
        EXPECT_EQ(skua_create_task(CallBody, body_.get(), &task_), 0);
    }
    ~Task()
    {
        if (task_ != nullptr) {
            Await();
        }
    }
    Task(Task &&other) noexcept
        : body_(std::move(other.body_)), task_(std::exchange(other.task_, {}))
    {
    }
    Task(const Task &) = delete;
    Task &operator=(const Task &) = delete;
    Task &operator=(Task &&) = delete;

    int Await()
    {
        int status = skua_await(task_, nullptr);

        skua_future_unref(std::exchange(task_, nullptr));
        return status;
    }
    int Cancel()
    {
        skua_task_cancel(task_);
        return Await();
    }

  private:
    std::unique_ptr<Body> body_;
    skua_task *task_ = nullptr;
};

// One reference to a socket.
class Socket
{
  public:
    Socket() = default;
    ~Socket()
    {
        skua_socket_unref(socket_);
    }
    Socket(Socket &&other) noexcept
        : socket_(std::exchange(other.socket_, nullptr))
    {
    }
    Socket &operator=(Socket &&other) noexcept
    {
        std::swap(socket_, other.socket_);
        return *this;
    }
    Socket(const Socket &) = delete;
    Socket &operator=(const Socket &) = delete;

    operator skua_socket *() const // NOLINT(google-explicit-constructor)
    {
        return socket_;
    }
    skua_socket **Out()
    {
        skua_socket_unref(std::exchange(socket_, nullptr));
        return &socket_;
    }

  private:
    skua_socket *socket_ = nullptr;
};

// A listener on a free port of the loopback.
class Listener
{
  public:
    explicit Listener(int backlog = 128)
    {
        skua_listen_options options = {};

        options.host = "127.0.0.1";
        options.backlog = backlog;
        EXPECT_EQ(skua_sock_listen(&options, socket_.Out()), 0);
        EXPECT_EQ(skua_sock_getsockname(socket_, nullptr, 0, &port_), 0);
    }
    operator skua_socket *() const // NOLINT(google-explicit-constructor)
    {
        return socket_;
    }
    int port() const
    {
        return port_;
    }
    Socket &socket()
    {
        return socket_;
    }

  private:
    Socket socket_;
    int port_ = 0;
};

// Both ends of a connection.
struct Pair {
    Socket client;
    Socket server;

    Pair()
    {
        Listener listener;

        EXPECT_EQ(skua_sock_connect("127.0.0.1", listener.port(), client.Out()),
                  0);
        EXPECT_EQ(skua_sock_accept(listener, server.Out()), 0);
    }
};

// Let the other tasks of this loop run as far as they can.
inline void LetOthersRun()
{
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(skua_yield(), 0);
    }
}

// A suite that runs with one loop and with several.
class Loops : public testing::TestWithParam<unsigned>
{
  protected:
    // Run the body and expect it to end well.
    void Run(Body body)
    {
        EXPECT_EQ(RunTask(GetParam(), std::move(body)), 0);
    }
};

// A deadline that is worth waiting for.
inline int64_t Soon()
{
    return skua_monotonic() + 5 * SKUA_MS;
}

// Receive exactly `bytes`, or up to the end of the stream.
inline std::string RecvAll(skua_socket *socket, size_t bytes)
{
    std::string text(bytes, '\0');
    size_t done = 0;

    while (done < bytes) {
        ssize_t moved =
            skua_sock_recv_into(socket, text.data() + done, bytes - done);

        EXPECT_GE(moved, 0);
        if (moved <= 0) {
            break;
        }
        done += static_cast<size_t>(moved);
    }
    text.resize(done);
    return text;
}

// Send until the kernel takes no more.
inline size_t FillSendBuffer(skua_socket *socket)
{
    std::vector<char> block(64 * 1024, 'x');
    size_t total = 0;
    ssize_t moved;

    while ((moved = skua_sock_send_until(socket, block.data(), block.size(),
                                         Soon())) > 0) {
        total += static_cast<size_t>(moved);
    }
    EXPECT_EQ(moved, -ETIMEDOUT);
    return total;
}

#endif
