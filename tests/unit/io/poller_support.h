// SPDX-License-Identifier: Apache-2.0
// An epoll poller without a loop, and what is registered with it.
#ifndef SKUI_TESTS_POLLER_SUPPORT_H
#define SKUI_TESTS_POLLER_SUPPORT_H

#include "../../../io/epoll.h"

#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

class Poller
{
  public:
    Poller()
    {
        EXPECT_EQ(skui_epoll_poller.open(nullptr, &poller_), 0);
    }
    ~Poller()
    {
        skui_epoll_poller.close(poller_);
    }
    Poller(const Poller &) = delete;
    Poller &operator=(const Poller &) = delete;

    operator skui_poller *() const // NOLINT(google-explicit-constructor)
    {
        return poller_;
    }
    int Poll(int64_t timeout_ns)
    {
        return skui_epoll_poller.poll(poller_, timeout_ns);
    }
    bool IsReadable()
    {
        struct pollfd entry = {skui_epoll_poller.get_fd(poller_), POLLIN, 0};

        return poll(&entry, 1, 0) == 1;
    }
    int Adopt(skui_poller *charge)
    {
        return skui_epoll_poller.adopt(poller_, charge);
    }
    void Disown(skui_poller *charge)
    {
        skui_epoll_poller.disown(poller_, charge);
    }
    void Close()
    {
        skui_epoll_poller.close(std::exchange(poller_, nullptr));
    }

  private:
    skui_poller *poller_ = nullptr;
};

// A connected pair whose first end is registered.
struct Registered {
    int fds[2] = {-1, -1};
    skui_descriptor *record;

    explicit Registered(skui_poller *poller)
    {
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        record = skui_descriptor_new();
        skui_descriptor_prepare(record, fds[0], 0);
        EXPECT_EQ(skui_poller_register(poller, record), 0);
    }
    ~Registered()
    {
        Unregister();
        skui_descriptor_free(record);
        close(fds[0]);
        close(fds[1]);
    }
    Registered(const Registered &) = delete;
    Registered &operator=(const Registered &) = delete;

    void Unregister()
    {
        if (!gone_) {
            skui_poller_unregister(record);
            gone_ = true;
        }
    }
    unsigned flags() const
    {
        return static_cast<unsigned>(skui_descriptor_readiness(record) & 0xff);
    }
    bool IsMarkedReadable() const
    {
        return (flags() & SKUI_READABLE) != 0;
    }
    void Put()
    {
        EXPECT_EQ(write(fds[1], "x", 1), 1);
    }
    void Clear(unsigned flags = SKUI_READABLE)
    {
        skui_descriptor_clear(record, flags, skui_descriptor_readiness(record));
    }

  private:
    bool gone_ = false;
};

#endif
