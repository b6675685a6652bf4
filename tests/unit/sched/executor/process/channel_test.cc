// SPDX-License-Identifier: Apache-2.0
// A channel between two ends: in one process, between threads, and between two
// processes.
#include <functional>
#include <thread>

#include <csignal>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "channel_ends.h"

namespace
{

using namespace channel_ends;

/// Echo until a QUIT; 0, or what went wrong.
int Echo(skui_worker_end *end)
{
    for (;;) {
        skui_message message;
        int status = skui_worker_end_wait(end, SKUA_FOREVER, &message);

        if (status < 0) {
            return status;
        }
        if (message.kind == SKUI_MESSAGE_QUIT) {
            skui_worker_end_release(end);
            return 0;
        }
        if (skui_worker_end_claim(end, message.id) != 1) {
            return -EPROTO;
        }
        std::string payload = Payload(message);
        status = Reply(end, message.id, payload);
        skui_worker_end_release(end);
        if (status < 0) {
            return status;
        }
    }
}

/// Run `body` in a child of this process, which has one thread.
pid_t Fork(const std::function<int()> &body)
{
    pid_t child = fork();

    if (child == 0) {
        _exit(body());
    }
    EXPECT_GT(child, 0);
    return child;
}

int ExitOf(pid_t child)
{
    int status = 0;

    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// A worker process, and the parent's end.
class ChannelProcess : public testing::Test
{
  protected:
    void Start(const std::function<int(skui_worker_end *)> &body)
    {
        skui_channel_options options = Options();

        options.spin_ns = 20000;
        skui_runtime_init();
        ASSERT_EQ(skui_channel_open(&parent_, &options), 0);
        skui_channel_fds fds = Duplicate(parent_);
        child_ = Fork([&] {
            skui_worker_end end;

            skui_channel_close(&parent_); // so that the end is seen
            return skui_worker_end_open(&end, &fds) == 0 ? body(&end) : 100;
        });
        for (int fd :
             {fds.memory, fds.request_event, fds.reply_event, fds.socket}) {
            EXPECT_EQ(close(fd), 0);
        }
        skui_channel_started(&parent_);
    }
    /// Wait as a keeper does: armed, then in poll().
    int Wait(skui_message *out)
    {
        for (;;) {
            skui_channel_arm(&parent_);
            int status = skui_channel_receive(&parent_, out);

            if (status != 0) {
                return status;
            }
            pollfd watched = {parent_.fds.reply_event, POLLIN, 0};
            if (poll(&watched, 1, 30000) != 1) {
                return -ETIMEDOUT;
            }
            EXPECT_TRUE(IsReadable(parent_.fds.reply_event));
        }
    }
    void TearDown() override
    {
        skui_channel_close(&parent_);
    }

    skui_channel parent_ = {};
    pid_t child_ = -1;
};

} // namespace

TEST_F(Channel, CarriesACallAndItsReply)
{
    skui_message message;

    Open();
    ASSERT_EQ(Request(5, "ping"), 0);
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(message.id, 5u);
    EXPECT_EQ(message.kind, SKUI_MESSAGE_CALL);
    EXPECT_EQ(message.function, 7u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(message.data) % 8, 0u);
    EXPECT_EQ(Payload(message), "ping");
    skui_worker_end_release(&worker_);
    EXPECT_EQ(Next(&message), 0);
    ASSERT_EQ(Reply(&worker_, 5, "pong"), 0);
    ASSERT_EQ(Receive(&message), 1);
    EXPECT_EQ(message.id, 5u);
    EXPECT_EQ(message.kind, SKUI_MESSAGE_REPLY);
    EXPECT_EQ(Payload(message), "pong");
    skui_channel_release(&parent_);
    EXPECT_EQ(Receive(&message), 0);
}

TEST_F(Channel, KeepsOrderAndBytesWhileItWraps)
{
    Open();
    for (uint64_t id = 1; id < 3000; id++) {
        std::string payload(id * 37 % 900, static_cast<char>('a' + id % 26));
        skui_message message;

        ASSERT_EQ(Request(id, payload), 0);
        ASSERT_EQ(Next(&message), 1);
        ASSERT_EQ(message.id, id);
        ASSERT_EQ(Payload(message), payload);
        ASSERT_EQ(Reply(&worker_, id, Payload(message) + "!"), 0);
        skui_worker_end_release(&worker_);
        ASSERT_EQ(Receive(&message), 1);
        ASSERT_EQ(message.id, id);
        ASSERT_EQ(Payload(message), payload + "!");
        skui_channel_release(&parent_);
    }
}

TEST_F(Channel, IsFullUntilTheWorkerReleases)
{
    skui_message message;
    uint64_t sent = 0;

    Open();
    while (Request(sent + 1, "0123456789") == 0) {
        sent++;
    }
    EXPECT_EQ(sent, ring_bytes / 64); // header and payload, 32 each
    EXPECT_EQ(Request(1000, ""), -EAGAIN);
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(message.id, 1u);
    EXPECT_EQ(Request(1000, ""), -EAGAIN); // it is still in use
    skui_worker_end_release(&worker_);
    EXPECT_EQ(Request(1000, ""), 0);
    for (uint64_t id = 2; id <= sent; id++) {
        ASSERT_EQ(Next(&message), 1);
        EXPECT_EQ(message.id, id);
        skui_worker_end_release(&worker_);
    }
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(message.id, 1000u);
}

TEST_F(Channel, TakesTheLargestInlinePayloadAtAnyPlace)
{
    const std::string largest(skui_ring_most(ring_bytes), 'x');

    Open();
    for (int i = 0; i < 100; i++) {
        skui_message message;

        ASSERT_EQ(Request(1, std::string(i * 32 % 512, 'y')), 0);
        ASSERT_EQ(Next(&message), 1);
        skui_worker_end_release(&worker_);
        ASSERT_EQ(Request(2, largest), 0);
        ASSERT_EQ(Next(&message), 1);
        EXPECT_EQ(message.fd, -1);
        EXPECT_EQ(Payload(message), largest);
        skui_worker_end_release(&worker_);
    }
}

TEST_F(Channel, SendsWhatIsLargeAsAMemfd)
{
    const std::string large(large_bytes, 'z');
    skui_message message;

    Open();
    ASSERT_EQ(Request(9, large), 0);
    ASSERT_EQ(Request(10, "after"), 0);
    ASSERT_EQ(Next(&message), 1);
    ASSERT_GE(message.fd, 0);
    EXPECT_EQ(message.data, nullptr);
    EXPECT_EQ(ftruncate(message.fd, 0), -1); // sealed
    EXPECT_EQ(Payload(message), large);
    skui_worker_end_release(&worker_);
    ASSERT_EQ(Reply(&worker_, 9, large), 0);
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(Payload(message), "after");
    ASSERT_EQ(Receive(&message), 1);
    ASSERT_GE(message.fd, 0);
    EXPECT_EQ(ftruncate(message.fd, 0), -1);
    EXPECT_EQ(lseek(message.fd, 0, SEEK_END), (off_t)large_bytes);
    EXPECT_EQ(Payload(message), large);
}

TEST_F(Channel, SendsTheCallersMemfdItself)
{
    const std::string large(large_bytes, 'm');
    skui_message message = Call(3, large);
    skui_message received;
    struct stat sent;
    struct stat got;

    Open();
    ASSERT_EQ(skui_payload_new(large_bytes, &message.fd), 0);
    ASSERT_EQ(skui_channel_request(&parent_, &message), 0);
    ASSERT_EQ(Next(&received), 1);
    ASSERT_EQ(fstat(message.fd, &sent), 0);
    ASSERT_EQ(fstat(received.fd, &got), 0);
    EXPECT_EQ(sent.st_ino, got.st_ino);
    EXPECT_EQ(close(received.fd), 0);
    EXPECT_EQ(close(message.fd), 0);
}

TEST_F(Channel, CopiesWhatCannotBeSealed)
{
    const std::string large(large_bytes, 'c');
    skui_message message = Call(3, large);
    skui_message received;

    Open();
    message.fd = memfd_create("unsealed", MFD_CLOEXEC);
    ASSERT_GE(message.fd, 0);
    ASSERT_EQ(skui_channel_request(&parent_, &message), 0);
    ASSERT_EQ(Next(&received), 1);
    EXPECT_EQ(Payload(received), large);
    EXPECT_EQ(close(message.fd), 0);
}

TEST_F(Channel, GrowsAReplyInItsPlaceAndOutOfIt)
{
    skui_message message = {};
    void *room = nullptr;
    std::string expected;

    Open();
    for (size_t bytes = 16; bytes <= 64 * 1024; bytes *= 2) {
        ASSERT_EQ(
            skui_worker_end_reserve(&worker_, expected.size(), bytes, &room),
            0);
        EXPECT_EQ(std::string(static_cast<char *>(room), expected.size()),
                  expected);
        std::string more(bytes - expected.size(),
                         static_cast<char>('a' + bytes % 23));
        std::memcpy(static_cast<char *>(room) + expected.size(), more.data(),
                    more.size());
        expected += more;
    }
    EXPECT_EQ(skui_worker_end_reserve(&worker_, 1, 0, &room), -EINVAL);
    message.id = 4;
    message.kind = SKUI_MESSAGE_REPLY;
    message.bytes = expected.size();
    ASSERT_EQ(skui_worker_end_commit(&worker_, &message), 0);
    ASSERT_EQ(Receive(&message), 1);
    EXPECT_EQ(Payload(message), expected);
}

TEST_F(Channel, AReplyThatBecameSmallGoesThroughTheRing)
{
    skui_message message = {};
    void *room = nullptr;

    Open();
    ASSERT_EQ(skui_worker_end_reserve(&worker_, 0, large_bytes, &room), 0);
    std::memcpy(room, "small", 5);
    message.kind = SKUI_MESSAGE_REPLY;
    message.bytes = 5;
    ASSERT_EQ(skui_worker_end_commit(&worker_, &message), 0);
    ASSERT_EQ(Receive(&message), 1);
    EXPECT_EQ(message.fd, -1);
    EXPECT_EQ(Payload(message), "small");
}

TEST_F(Channel, WithoutARoomTheReplyIsEmpty)
{
    skui_message message = {};

    Open();
    message.kind = SKUI_MESSAGE_READY;
    message.status = -EIO;
    ASSERT_EQ(skui_worker_end_commit(&worker_, &message), 0);
    message.bytes = 1;
    EXPECT_EQ(skui_worker_end_commit(&worker_, &message), -EINVAL);
    ASSERT_EQ(Receive(&message), 1);
    EXPECT_EQ(message.kind, SKUI_MESSAGE_READY);
    EXPECT_EQ(message.status, -EIO);
    EXPECT_EQ(message.bytes, 0u);
}

TEST_F(Channel, AnAbandonedReplyLeavesNoTrace)
{
    skui_message message;
    void *room = nullptr;

    Open();
    ASSERT_EQ(skui_worker_end_reserve(&worker_, 0, 100, &room), 0);
    std::memset(room, 'x', 100);
    EXPECT_EQ(Receive(&message), 0); // as of a worker that died just now
    skui_worker_end_abandon(&worker_);
    ASSERT_EQ(Reply(&worker_, 2, "next"), 0);
    ASSERT_EQ(Receive(&message), 1);
    EXPECT_EQ(Payload(message), "next");
}

TEST_F(Channel, AReplyWakesOnceEachTimeItIsArmed)
{
    Open(); // armed
    ASSERT_EQ(Reply(&worker_, 1, "a"), 0);
    EXPECT_TRUE(IsReadable(parent_.fds.reply_event));
    ASSERT_EQ(Reply(&worker_, 2, "b"), 0);
    EXPECT_FALSE(IsReadable(parent_.fds.reply_event));
    skui_channel_arm(&parent_);
    ASSERT_EQ(Reply(&worker_, 3, "c"), 0);
    EXPECT_TRUE(IsReadable(parent_.fds.reply_event));
    skui_channel_arm(&parent_);
    skui_channel_disarm(&parent_);
    ASSERT_EQ(Reply(&worker_, 4, "d"), 0);
    EXPECT_FALSE(IsReadable(parent_.fds.reply_event));
    EXPECT_TRUE(skui_channel_has_reply(&parent_));
}

TEST_F(Channel, ARequestWakesASleeperAloneThatWantsOne)
{
    Open();
    ASSERT_EQ(Request(1, ""), 0);
    EXPECT_FALSE(IsReadable(parent_.fds.request_event));
    skui_store_seq_cst(&worker_.memory->asleep,
                       (uint32_t)SKUI_CHANNEL_WANTS_ROOM);
    ASSERT_EQ(Request(2, ""), 0);
    EXPECT_FALSE(IsReadable(parent_.fds.request_event));
    skui_store_seq_cst(&worker_.memory->asleep,
                       (uint32_t)SKUI_CHANNEL_WANTS_REQUEST);
    ASSERT_EQ(Request(3, ""), 0);
    EXPECT_TRUE(IsReadable(parent_.fds.request_event));
    ASSERT_EQ(Request(4, ""), 0);
    EXPECT_FALSE(IsReadable(parent_.fds.request_event));
}

TEST_F(Channel, ARoundThatReleasedWakesASleeperThatWantsRoom)
{
    skui_message message;

    Open();
    ASSERT_EQ(Reply(&worker_, 1, ""), 0);
    skui_store_seq_cst(&worker_.memory->asleep,
                       (uint32_t)SKUI_CHANNEL_WANTS_ROOM);
    skui_channel_round_ends(&parent_);
    EXPECT_FALSE(IsReadable(parent_.fds.request_event));
    ASSERT_EQ(Receive(&message), 1);
    skui_channel_release(&parent_);
    skui_channel_round_ends(&parent_);
    EXPECT_TRUE(IsReadable(parent_.fds.request_event));
}

TEST_F(Channel, TellsAJobToStopByItsId)
{
    Open();
    EXPECT_FALSE(skui_worker_end_stops(&worker_, 0));
    EXPECT_FALSE(skui_worker_end_stops(&worker_, 5));
    skui_channel_stop(&parent_, 5);
    EXPECT_TRUE(skui_worker_end_stops(&worker_, 5));
    EXPECT_FALSE(skui_worker_end_stops(&worker_, 5 + SKUI_CHANNEL_STOPS));
    EXPECT_FALSE(skui_worker_end_stops(&worker_, 6));
}

TEST_F(Channel, ACallIsClaimedOrTakenBack)
{
    skui_message message;

    Open();
    ASSERT_EQ(Request(5, "claimed"), 0);
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(skui_worker_end_claim(&worker_, 5), 1);
    EXPECT_FALSE(skui_channel_revoke(&parent_, 5));
    skui_worker_end_release(&worker_);
    ASSERT_EQ(Request(6, "taken back"), 0);
    EXPECT_TRUE(skui_channel_revoke(&parent_, 6));
    EXPECT_FALSE(skui_channel_revoke(&parent_, 6));
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(skui_worker_end_claim(&worker_, 6), 0);
    skui_worker_end_release(&worker_);
}

TEST_F(Channel, ThePlaceOfWhatWasTakenBackServesAgain)
{
    constexpr uint64_t later = 7 + SKUI_CHANNEL_STOPS;
    skui_message message;

    Open();
    ASSERT_EQ(Request(7, "old"), 0);
    ASSERT_TRUE(skui_channel_revoke(&parent_, 7));
    ASSERT_EQ(Request(later, "new"), 0);
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(skui_worker_end_claim(&worker_, 7), 0);
    skui_worker_end_release(&worker_);
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(message.id, later);
    EXPECT_EQ(skui_worker_end_claim(&worker_, later), 1);
    skui_worker_end_release(&worker_);
}

TEST_F(Channel, AClaimThatWasWrittenOverIsAnError)
{
    skui_message message;

    Open();
    ASSERT_EQ(Request(5, "x"), 0);
    skui_store_relaxed(skui_channel_claim_word(parent_.memory, 5),
                       UINT64_C(0xa5a5a5a5a5a5a5a5));
    EXPECT_FALSE(skui_channel_revoke(&parent_, 5));
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(skui_worker_end_claim(&worker_, 5), -EPROTO);
    skui_worker_end_release(&worker_);
}

TEST_F(Channel, CarriesTheDeadlineOfACall)
{
    const std::string payload = "x";
    skui_message message = Call(9, payload);

    Open();
    message.deadline_ns = 123456789;
    ASSERT_EQ(skui_channel_request(&parent_, &message), 0);
    ASSERT_EQ(Request(10, "none"), 0);
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(message.deadline_ns, 123456789);
    skui_worker_end_release(&worker_);
    ASSERT_EQ(Next(&message), 1);
    EXPECT_EQ(message.deadline_ns, 0);
    skui_worker_end_release(&worker_);
}

TEST_F(Channel, AWaitEndsWithTheParent)
{
    skui_message message;

    Open();
    ASSERT_EQ(Request(1, "last"), 0);
    skui_channel_close(&parent_);
    ASSERT_EQ(skui_worker_end_wait(&worker_, SKUA_FOREVER, &message), 1);
    skui_worker_end_release(&worker_);
    EXPECT_EQ(skui_worker_end_wait(&worker_, SKUA_FOREVER, &message), -EPIPE);
    while (Reply(&worker_, 1, "nobody takes it") == 0) {
    }
    EXPECT_EQ(Reply(&worker_, 1, "nobody takes it"), -EPIPE);
    EXPECT_EQ(Reply(&worker_, 1, std::string(large_bytes, 'x')), -EPIPE);
}

TEST_F(Channel, AWaitEndsWithItsTime)
{
    skui_message message;

    Open();
    EXPECT_EQ(
        skui_worker_end_wait(&worker_, skua_monotonic() + SKUA_MS, &message),
        0);
}

TEST_F(Channel, AWorkerThatIsGoneTakesNoMemfd)
{
    Open();
    skui_worker_end_close(&worker_);
    EXPECT_EQ(Request(1, std::string(large_bytes, 'x')), -EPIPE);
    EXPECT_EQ(Request(1, ""), 0); // its pidfd tells
}

TEST_F(Channel, ALargeRequestThatFindsTheSocketFullIsRefusedWhole)
{
    const std::string large(large_bytes, 'x');
    skui_message message;
    uint64_t sent = 0;
    int status;

    Open();
    while ((status = Request(sent + 1, large)) == 0) {
        sent++;
    }
    EXPECT_EQ(status, -EAGAIN);
    EXPECT_GT(sent, 1u);
    for (uint64_t id = 1; id <= sent; id++) {
        ASSERT_EQ(Next(&message), 1);
        EXPECT_EQ(message.id, id);
        EXPECT_EQ(close(message.fd), 0);
        skui_worker_end_release(&worker_);
    }
    EXPECT_EQ(Next(&message), 0);
    EXPECT_EQ(Request(sent + 1, large), 0);
}

TEST_F(Channel, OptionsAreChecked)
{
    skui_channel_options options = Options();

    options.request_bytes = ring_bytes / 2;
    EXPECT_EQ(skui_channel_open(&parent_, &options), -EINVAL);
    options.request_bytes = ring_bytes + 1;
    EXPECT_EQ(skui_channel_open(&parent_, &options), -EINVAL);
    options = Options();
    options.inline_bytes = skui_ring_most(ring_bytes) + 1;
    EXPECT_EQ(skui_channel_open(&parent_, &options), -EINVAL);
    options = Options();
    options.spin_ns = -1;
    EXPECT_EQ(skui_channel_open(&parent_, &options), -EINVAL);
}

TEST_F(Channel, TheWorkersMemoryIsChecked)
{
    skui_channel_fds fds = {-1, -1, -1, -1};

    ASSERT_EQ(skui_payload_new(100, &fds.memory), 0);
    EXPECT_EQ(skui_worker_end_open(&worker_, &fds), -EPROTO);
    ASSERT_EQ(skui_payload_new(large_bytes, &fds.memory), 0);
    EXPECT_EQ(skui_worker_end_open(&worker_, &fds), -EPROTO);
}

TEST_F(Channel, TheWorkerCannotCutTheMemory)
{
    Open();
    EXPECT_EQ(ftruncate(worker_.fds.memory, 0), -1);
    EXPECT_EQ(ftruncate(worker_.fds.memory, 1 << 24), -1);
}

TEST_F(Channel, ASharedReplyEventStaysOpen)
{
    skui_channel_options options = Options();
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    ASSERT_GE(event, 0);
    options.reply_event = event;
    Open(options);
    ASSERT_EQ(Reply(&worker_, 1, ""), 0);
    skui_channel_close(&parent_);
    EXPECT_TRUE(IsReadable(event));
    EXPECT_EQ(close(event), 0);
}

/* --- threads and processes --- */

TEST_F(Channel, ThreadsEchoThroughSmallRings)
{
    constexpr uint64_t jobs = 20000;
    int ended = -1;

    Open();
    std::thread worker([&] { ended = Echo(&worker_); });
    uint64_t sent = 0;
    uint64_t received = 0;
    while (received < jobs) {
        skui_message message;
        int status =
            sent < jobs ? Request(sent + 1, std::to_string(sent + 1)) : -EAGAIN;

        if (status == 0) {
            sent++;
        } else {
            ASSERT_EQ(status, -EAGAIN);
        }
        while ((status = Receive(&message)) == 1) {
            received++;
            ASSERT_EQ(message.id, received);
            ASSERT_EQ(Payload(message), std::to_string(received));
            skui_channel_release(&parent_);
        }
        ASSERT_EQ(status, 0);
        skui_channel_round_ends(&parent_);
    }
    skui_message quit = {};
    quit.kind = SKUI_MESSAGE_QUIT;
    quit.fd = -1;
    ASSERT_EQ(skui_channel_request(&parent_, &quit), 0);
    worker.join();
    EXPECT_EQ(ended, 0);
}

TEST_F(ChannelProcess, EchoesOneByOneAndEndsWhenAsked)
{
    skui_message message;

    Start(Echo);
    for (uint64_t id = 1; id <= 500; id++) {
        std::string payload(id % 50 == 0 ? large_bytes : id, 'p');
        skui_message call = Call(id, payload);

        ASSERT_EQ(skui_channel_request(&parent_, &call), 0);
        ASSERT_EQ(Wait(&message), 1);
        ASSERT_EQ(message.id, id);
        ASSERT_EQ(Payload(message), payload);
        skui_channel_release(&parent_);
        skui_channel_round_ends(&parent_);
    }
    message = {};
    message.kind = SKUI_MESSAGE_QUIT;
    message.fd = -1;
    ASSERT_EQ(skui_channel_request(&parent_, &message), 0);
    EXPECT_EQ(ExitOf(child_), 0);
}

TEST_F(ChannelProcess, EndsWithItsParent)
{
    Start([](skui_worker_end *end) { return -Echo(end); });
    skui_channel_close(&parent_);
    EXPECT_EQ(ExitOf(child_), EPIPE);
}

TEST_F(ChannelProcess, WhatAKilledWorkerPublishedIsThere)
{
    skui_message message;

    Start([](skui_worker_end *end) {
        void *room = nullptr;

        (void)Reply(end, 1, "one");
        (void)Reply(end, 2, std::string(large_bytes, '2'));
        (void)skui_worker_end_reserve(end, 0, 500, &room);
        std::memset(room, 'x', 500);
        (void)raise(SIGKILL); // in the middle of the third
        return 0;
    });
    EXPECT_EQ(ExitOf(child_), -SIGKILL);
    ASSERT_EQ(skui_channel_receive(&parent_, &message), 1);
    EXPECT_EQ(Payload(message), "one");
    skui_channel_release(&parent_);
    ASSERT_EQ(skui_channel_receive(&parent_, &message), 1);
    EXPECT_EQ(Payload(message), std::string(large_bytes, '2'));
    skui_channel_release(&parent_);
    EXPECT_EQ(skui_channel_receive(&parent_, &message), 0);
}

TEST_F(ChannelProcess, ADescriptorWhoseFrameNeverCameIsClosedWithTheChannel)
{
    skui_message message;
    int before = OpenDescriptors();

    Start([](skui_worker_end *end) {
        int fd = -1;

        (void)skui_payload_copy("x", 1, &fd);
        (void)skui_payload_send(end->fds.socket, 1, 1, fd, true);
        (void)raise(SIGKILL); // before the frame
        return 0;
    });
    EXPECT_EQ(ExitOf(child_), -SIGKILL);
    EXPECT_EQ(skui_channel_receive(&parent_, &message), 0);
    skui_channel_close(&parent_);
    EXPECT_EQ(OpenDescriptors(), before);
}
