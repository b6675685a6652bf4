// SPDX-License-Identifier: Apache-2.0
// A channel between two threads that sleep whenever they have nothing to do,
// with payloads of all sizes; no wake is lost, nothing is changed on its way.
#include "../../sched/executor/process/channel_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <skua.h>

#include "../../sched/loop.h"
#include "../conformance/support.h"
#include "seed.h"

namespace
{

constexpr uint64_t jobs = conformance::kRaceDetector ? 20000 : 100000;

/// Two ends with one mapping, so that the race detector sees both.
class Pair
{
  public:
    explicit Pair(int64_t spin_ns)
    {
        skui_channel_options options = {};
        skui_channel_fds fds;

        skui_runtime_init();
        options.request_bytes = 4096;
        options.reply_bytes = 8192;
        options.inline_bytes = 800;
        options.reply_event = -1;
        options.spin_ns = spin_ns;
        EXPECT_EQ(skui_channel_open(&parent, &options), 0);
        skui_channel_worker_fds(&parent, &fds);
        for (int *fd :
             {&fds.memory, &fds.request_event, &fds.reply_event, &fds.socket}) {
            *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
        }
        skui_channel_started(&parent);
        EXPECT_EQ(skui_worker_end_open(&worker, &fds), 0);
        EXPECT_EQ(munmap(worker.memory, worker.memory_bytes), 0);
        worker.memory = parent.memory;
        worker.requests.data = parent.requests.data;
        worker.replies.data = parent.replies.data;
    }
    ~Pair()
    {
        worker.memory = nullptr; // the parent's
        skui_worker_end_close(&worker);
        skui_channel_close(&parent);
    }
    Pair(const Pair &) = delete;
    Pair &operator=(const Pair &) = delete;

    skui_channel parent = {};
    skui_worker_end worker = {};
};

/// The payload of a job: its size and bytes follow from the id.
std::string PayloadOf(uint64_t id)
{
    stress::Random random(id);
    int kind = random.below(100);
    size_t bytes = kind < 80   ? (size_t)random.below(64)
                   : kind < 99 ? (size_t)random.below(801)
                               : 801 + (size_t)random.below(20000);

    return std::string(bytes, static_cast<char>('a' + id % 26));
}

bool IsPayloadOf(uint64_t id, const skui_message &message)
{
    std::string expected = PayloadOf(id);
    const void *data = message.data;
    bool is_right = message.bytes == expected.size();

    if (message.fd >= 0) {
        data =
            mmap(nullptr, message.bytes, PROT_READ, MAP_SHARED, message.fd, 0);
        EXPECT_NE(data, MAP_FAILED);
    }
    is_right =
        is_right && std::memcmp(data, expected.data(), expected.size()) == 0;
    if (message.fd >= 0) {
        EXPECT_EQ(munmap(const_cast<void *>(data), message.bytes), 0);
        EXPECT_EQ(close(message.fd), 0);
    }
    return is_right;
}

int Work(skui_worker_end *end)
{
    for (;;) {
        skui_message message;
        void *room = nullptr;
        int status = skui_worker_end_wait(end, SKUA_FOREVER, &message);

        if (status < 0) {
            return status;
        }
        if (message.kind == SKUI_MESSAGE_QUIT) {
            return 0;
        }
        if (!IsPayloadOf(message.id, message)) {
            return -EBADMSG;
        }
        std::string payload = PayloadOf(message.id);
        // In two steps, as replies are written; the first in the ring, since
        // the race detector does not follow mremap().
        size_t half = std::min<size_t>(payload.size() / 2, 400);
        status = skui_worker_end_reserve(end, 0, half, &room);
        if (status == 0) {
            std::memcpy(room, payload.data(), half);
            status = skui_worker_end_reserve(end, half, payload.size(), &room);
        }
        if (status < 0) {
            return status;
        }
        std::memcpy(static_cast<char *>(room) + half, payload.data() + half,
                    payload.size() - half);
        skui_message reply = {};
        reply.id = message.id;
        reply.kind = SKUI_MESSAGE_REPLY;
        reply.bytes = payload.size();
        status = skui_worker_end_commit(end, &reply);
        if (status < 0) {
            return status;
        }
        skui_worker_end_release(end);
    }
}

int Send(skui_channel *parent, uint64_t id)
{
    std::string payload = PayloadOf(id);
    skui_message message = {};

    message.id = id;
    message.kind = SKUI_MESSAGE_CALL;
    message.data = payload.data();
    message.bytes = payload.size();
    message.fd = -1;
    return skui_channel_request(parent, &message);
}

/// Take what is there; a negative status, or how many.
int TakeAll(skui_channel *parent, uint64_t *received)
{
    skui_message message;
    int taken = 0;
    int status;

    while ((status = skui_channel_receive(parent, &message)) == 1) {
        ++*received;
        EXPECT_EQ(message.id, *received);
        EXPECT_TRUE(IsPayloadOf(message.id, message));
        skui_channel_release(parent);
        taken++;
    }
    skui_channel_round_ends(parent);
    return status < 0 ? status : taken;
}

void Storm(int64_t spin_ns)
{
    Pair pair(spin_ns);
    stress::Random random(stress::print_seed());
    uint64_t sent = 0;
    uint64_t received = 0;
    int ended = -1;
    std::thread worker([&] { ended = Work(&pair.worker); });

    while (received < jobs && !testing::Test::HasFailure()) {
        // Few, so that both sides sleep often; or until all is full.
        uint64_t most =
            received + 1 + (random.below(4) == 0 ? 1000 : random.below(4));
        while (sent < jobs && sent < most &&
               Send(&pair.parent, sent + 1) == 0) {
            sent++;
        }
        int taken = TakeAll(&pair.parent, &received);
        ASSERT_GE(taken, 0);
        if (taken > 0 || random.below(2) == 0) {
            continue;
        }
        skui_channel_arm(&pair.parent);
        if (!skui_channel_has_reply(&pair.parent) && received < sent) {
            pollfd watched = {pair.parent.fds.reply_event, POLLIN, 0};
            uint64_t count;

            ASSERT_EQ(poll(&watched, 1, 60000), 1) << "a wake was lost";
            ASSERT_EQ(read(watched.fd, &count, sizeof(count)), 8);
        }
    }
    skui_message quit = {};
    quit.kind = SKUI_MESSAGE_QUIT;
    quit.fd = -1;
    ASSERT_EQ(skui_channel_request(&pair.parent, &quit), 0);
    worker.join();
    EXPECT_EQ(ended, 0);
}

/// Claim what can be, until told to quit.
int ClaimAll(skui_worker_end *end, std::vector<int> &claimed)
{
    for (;;) {
        skui_message message;
        int status = skui_worker_end_wait(end, SKUA_FOREVER, &message);

        if (status == 1 && message.kind == SKUI_MESSAGE_QUIT) {
            return 0;
        }
        if (status == 1) {
            status = skui_worker_end_claim(end, message.id);
        }
        if (status < 0) {
            return status;
        }
        claimed[message.id] += status;
        skui_worker_end_release(end);
    }
}

} // namespace

TEST(ChannelStress, EachCallIsEitherClaimedOrTakenBack)
{
    Pair pair(5000);
    stress::Random random(stress::print_seed());
    std::vector<int> claimed(jobs + 1);
    std::vector<int> revoked(jobs + 1);
    int ended = -1;
    std::thread worker([&] { ended = ClaimAll(&pair.worker, claimed); });

    for (uint64_t id = 1; id <= jobs;) {
        skui_message call = {};

        call.id = id;
        call.kind = SKUI_MESSAGE_CALL;
        call.fd = -1;
        if (skui_channel_request(&pair.parent, &call) != 0) {
            std::this_thread::yield();
            continue;
        }
        uint64_t back = (uint64_t)random.below(3);
        if (back < id) {
            revoked[id - back] +=
                skui_channel_revoke(&pair.parent, id - back) ? 1 : 0;
        }
        id++;
    }
    skui_message quit = {};
    quit.kind = SKUI_MESSAGE_QUIT;
    quit.fd = -1;
    while (skui_channel_request(&pair.parent, &quit) == -EAGAIN) {
        std::this_thread::yield();
    }
    worker.join();
    ASSERT_EQ(ended, 0);
    for (uint64_t id = 1; id <= jobs; id++) {
        ASSERT_EQ(1, claimed[id] + revoked[id]) << id;
    }
}

TEST(ChannelStress, LosesNothingWhileBothSidesSleep)
{
    Storm(0);
}

TEST(ChannelStress, LosesNothingWhileTheWorkerSpins)
{
    Storm(5000);
}
