/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_ends.h - both ends of a channel in one process, for its tests.
 */
#ifndef SKUA_TESTS_CHANNEL_ENDS_H
#define SKUA_TESTS_CHANNEL_ENDS_H

#include "../../../../../sched/executor/process/channel_memory.h"

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <skua.h>

#include "../../../../../sched/executor/process/payload.h"
#include "../../../../../sched/loop.h"

namespace channel_ends
{

constexpr size_t ring_bytes = SKUI_CHANNEL_RING_LEAST;
constexpr size_t large_bytes = 100000;

inline skui_channel_fds Duplicate(const skui_channel &channel)
{
    skui_channel_fds fds;

    skui_channel_worker_fds(&channel, &fds);
    for (int *fd :
         {&fds.memory, &fds.request_event, &fds.reply_event, &fds.socket}) {
        *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
        EXPECT_GE(*fd, 0);
    }
    return fds;
}

inline skui_channel_options Options()
{
    skui_channel_options options = {};

    options.request_bytes = ring_bytes;
    options.reply_bytes = ring_bytes;
    options.reply_event = -1;
    return options;
}

inline skui_message Call(uint64_t id, const std::string &payload)
{
    skui_message message = {};

    message.id = id;
    message.kind = SKUI_MESSAGE_CALL;
    message.function = 7;
    message.data = payload.data();
    message.bytes = payload.size();
    message.fd = -1;
    return message;
}

/// The payload of a message that was received; its memfd is closed.
inline std::string Payload(const skui_message &message)
{
    if (message.fd < 0) {
        return {static_cast<const char *>(message.data), message.bytes};
    }
    void *data =
        mmap(nullptr, message.bytes, PROT_READ, MAP_SHARED, message.fd, 0);

    EXPECT_NE(data, MAP_FAILED);
    std::string payload(static_cast<const char *>(data), message.bytes);
    EXPECT_EQ(munmap(data, message.bytes), 0);
    EXPECT_EQ(close(message.fd), 0);
    return payload;
}

inline int Reply(skui_worker_end *end, uint64_t id, const std::string &payload)
{
    skui_message message = {};
    void *room = nullptr;
    int status = skui_worker_end_reserve(end, 0, payload.size(), &room);

    if (status < 0) {
        return status;
    }
    std::memcpy(room, payload.data(), payload.size());
    message.id = id;
    message.kind = SKUI_MESSAGE_REPLY;
    message.bytes = payload.size();
    return skui_worker_end_commit(end, &message);
}

inline bool IsReadable(int event)
{
    uint64_t count = 0;

    return read(event, &count, sizeof(count)) == sizeof(count);
}

/// Both ends in this process.
class Channel : public testing::Test
{
  protected:
    void SetUp() override
    {
        skui_runtime_init();
    }
    void Open(const skui_channel_options &options = Options())
    {
        ASSERT_EQ(skui_channel_open(&parent_, &options), 0);
        skui_channel_fds fds = Duplicate(parent_);
        skui_channel_started(&parent_);
        ASSERT_EQ(skui_worker_end_open(&worker_, &fds), 0);
        open_ = true;
    }
    void TearDown() override
    {
        if (open_) {
            skui_worker_end_close(&worker_);
            skui_channel_close(&parent_);
        }
    }
    int Request(uint64_t id, const std::string &payload)
    {
        skui_message message = Call(id, payload);

        return skui_channel_request(&parent_, &message);
    }
    /// What the worker gets without waiting.
    int Next(skui_message *out)
    {
        return skui_worker_end_wait(&worker_, 0, out);
    }
    int Receive(skui_message *out)
    {
        return skui_channel_receive(&parent_, out);
    }
    skui_channel parent_ = {};
    skui_worker_end worker_ = {};
    bool open_ = false;
};

inline int OpenDescriptors()
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

} // namespace channel_ends

#endif
