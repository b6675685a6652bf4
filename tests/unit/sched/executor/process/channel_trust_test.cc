// SPDX-License-Identifier: Apache-2.0
// What a worker of ill will may do to its parent: nothing.
#include <sys/uio.h>

#include "channel_ends.h"

namespace
{

using namespace channel_ends;

skui_ring_frame Good()
{
    skui_ring_frame frame = {};

    frame.id = 1;
    frame.kind = SKUI_MESSAGE_REPLY;
    return frame;
}

class ChannelTrust : public Channel
{
  protected:
    /// A frame that a worker of ill will writes, with the tail that it tells.
    void Forge(const skui_ring_frame &frame, uint64_t tail)
    {
        std::memcpy(worker_.replies.data, &frame, sizeof(frame));
        skui_store_seq_cst(&worker_.memory->replies.tail, tail);
    }
    void ExpectRefused(const skui_ring_frame &frame, uint64_t tail)
    {
        skui_message message;

        Open();
        Forge(frame, tail);
        EXPECT_EQ(Receive(&message), -EPROTO);
    }
};

} // namespace

TEST_F(ChannelTrust, RefusesATailBeyondTheRing)
{
    ExpectRefused(Good(), ring_bytes + 32);
}

TEST_F(ChannelTrust, RefusesATailBetweenFrames)
{
    ExpectRefused(Good(), 33);
}

TEST_F(ChannelTrust, RefusesATailThatGoesBack)
{
    skui_message message;

    Open();
    ASSERT_EQ(Reply(&worker_, 1, ""), 0);
    ASSERT_EQ(Receive(&message), 1);
    skui_channel_release(&parent_);
    skui_store_seq_cst(&worker_.memory->replies.tail, UINT64_C(0));
    EXPECT_EQ(Receive(&message), -EPROTO);
}

TEST_F(ChannelTrust, RefusesAKindThatIsNone)
{
    skui_ring_frame frame = Good();

    frame.kind = SKUI_MESSAGE_KINDS;
    ExpectRefused(frame, 32);
}

TEST_F(ChannelTrust, RefusesAWrapAtTheBegin)
{
    skui_ring_frame frame = Good();

    frame.kind = SKUI_MESSAGE_WRAP;
    ExpectRefused(frame, 64);
}

TEST_F(ChannelTrust, RefusesAWrapWithNothingBehindIt)
{
    skui_ring_frame wrap = {};
    skui_message message;

    Open();
    ASSERT_EQ(Reply(&worker_, 1, ""), 0);
    ASSERT_EQ(Receive(&message), 1);
    skui_channel_release(&parent_);
    std::memcpy(worker_.replies.data + 32, &wrap, sizeof(wrap));
    skui_store_seq_cst(&worker_.memory->replies.tail, (uint64_t)ring_bytes);
    EXPECT_EQ(Receive(&message), -EPROTO);
}

TEST_F(ChannelTrust, RefusesAPayloadBeyondWhatWasPublished)
{
    skui_ring_frame frame = Good();

    frame.bytes = 33;
    ExpectRefused(frame, 64);
}

TEST_F(ChannelTrust, RefusesAPayloadOverTheLimit)
{
    skui_ring_frame frame = Good();

    frame.bytes = skui_ring_most(ring_bytes) + 1;
    ExpectRefused(frame, ring_bytes);
}

TEST_F(ChannelTrust, RefusesALengthThatOverflows)
{
    skui_ring_frame frame = Good();

    frame.bytes = UINT64_MAX - 8;
    ExpectRefused(frame, ring_bytes);
}

TEST_F(ChannelTrust, RefusesADescriptorThatWasNotSent)
{
    skui_ring_frame frame = Good();

    frame.flags = SKUI_MESSAGE_HAS_FD;
    ExpectRefused(frame, 32);
}

TEST_F(ChannelTrust, RefusesAHeadThatCannotBe)
{
    Open();
    skui_store_seq_cst(&worker_.memory->requests.head,
                       (uint64_t)ring_bytes + 32);
    int status;

    do {
        status = Request(1, "");
    } while (status == 0);
    EXPECT_EQ(status, -EPROTO);
}

namespace
{

/// A frame of `bytes` in a descriptor, which is sent before.
class ChannelDescriptor : public ChannelTrust
{
  protected:
    int Send(int fd, uint64_t id, uint64_t noted, uint64_t bytes)
    {
        skui_ring_frame frame = Good();
        skui_message message;

        frame.flags = SKUI_MESSAGE_HAS_FD;
        frame.bytes = bytes;
        EXPECT_EQ(skui_payload_send(worker_.fds.socket, id, noted, fd, true),
                  0);
        EXPECT_EQ(close(fd), 0);
        Forge(frame, 32);
        int status = Receive(&message);
        if (status == 1) {
            EXPECT_EQ(close(message.fd), 0);
        }
        return status;
    }
    int Memfd(size_t bytes, bool sealed)
    {
        int fd = -1;

        EXPECT_EQ(skui_payload_new(bytes, &fd), 0);
        if (sealed) {
            EXPECT_EQ(skui_payload_seal(fd), 0);
        }
        return fd;
    }
};

} // namespace

TEST_F(ChannelDescriptor, IsTakenWhenItIsGood)
{
    Open();
    EXPECT_EQ(Send(Memfd(1000, true), 1, 1000, 1000), 1);
}

TEST_F(ChannelDescriptor, IsRefusedUnsealed)
{
    Open();
    EXPECT_EQ(Send(Memfd(1000, false), 1, 1000, 1000), -EPROTO);
}

TEST_F(ChannelDescriptor, IsRefusedWhenItIsTooShort)
{
    Open();
    EXPECT_EQ(Send(Memfd(999, true), 1, 1000, 1000), -EPROTO);
}

TEST_F(ChannelDescriptor, IsRefusedWithAnotherId)
{
    Open();
    EXPECT_EQ(Send(Memfd(1000, true), 2, 1000, 1000), -EPROTO);
}

TEST_F(ChannelDescriptor, IsRefusedWithAnotherSize)
{
    Open();
    EXPECT_EQ(Send(Memfd(1000, true), 1, 999, 1000), -EPROTO);
}

TEST_F(ChannelDescriptor, IsRefusedWhenItIsNoMemfd)
{
    int before;

    Open();
    before = OpenDescriptors();
    EXPECT_EQ(Send(open("/dev/zero", O_RDONLY | O_CLOEXEC), 1, 0, 0), -EPROTO);
    EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(ChannelDescriptor, ASecondOneIsNotReceived)
{
    uint64_t note[2] = {1, 1000};
    int fds[2];
    iovec part = {note, sizeof(note)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {};
    msghdr message = {};
    skui_ring_frame frame = Good();
    skui_message received;

    Open();
    int before = OpenDescriptors();
    fds[0] = Memfd(1000, true);
    fds[1] = Memfd(1000, true);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fds));
    std::memcpy(CMSG_DATA(header), fds, sizeof(fds));
    ASSERT_EQ(sendmsg(worker_.fds.socket, &message, 0), 16);
    EXPECT_EQ(close(fds[0]), 0);
    EXPECT_EQ(close(fds[1]), 0);
    frame.flags = SKUI_MESSAGE_HAS_FD;
    frame.bytes = 1000;
    Forge(frame, 32);
    ASSERT_EQ(Receive(&received), 1);
    EXPECT_EQ(close(received.fd), 0);
    EXPECT_EQ(OpenDescriptors(), before);
}
