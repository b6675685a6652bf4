/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/reply.c: answers that grow. */
#include "executor/reply.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace
{

/** A reply that lies in a vector, and may be out of memory. */
class Reply
{
  public:
    explicit Reply(size_t limit = SIZE_MAX)
    {
        head_.limit = limit;
        head_.grow = grow;
    }

    operator skua_reply *()
    {
        return &held_.head;
    }

    [[nodiscard]] std::string text() const
    {
        return {reinterpret_cast<const char *>(head_.data), head_.bytes};
    }

    [[nodiscard]] size_t grown() const
    {
        return held_.grown;
    }

    void fail(bool fails)
    {
        held_.fails = fails;
    }

  private:
    struct Held {
        skua_reply head = {};
        std::vector<uint64_t> memory;
        size_t grown = 0;
        bool fails = false;
    };

    static int grow(skua_reply *reply, size_t capacity)
    {
        auto *held = reinterpret_cast<Held *>(reply);

        if (held->fails) {
            return -ENOMEM;
        }
        held->memory.resize(capacity / 8 + 1);
        held->head.data =
            reinterpret_cast<unsigned char *>(held->memory.data());
        held->head.capacity = capacity;
        held->grown++;
        return 0;
    }

    Held held_;
    skua_reply &head_ = held_.head;
};

TEST(ReplyWrite, Appends)
{
    Reply reply;

    EXPECT_EQ(0u, skua_reply_bytes(reply));
    EXPECT_EQ(0, skua_reply_write(reply, "ab", 2));
    EXPECT_EQ(0, skua_reply_write(reply, nullptr, 0));
    EXPECT_EQ(0, skua_reply_write(reply, "cde", 3));
    EXPECT_EQ(5u, skua_reply_bytes(reply));
    EXPECT_EQ("abcde", reply.text());
}

TEST(ReplyWrite, RefusesWhatIsNone)
{
    Reply reply;
    void *room = nullptr;

    EXPECT_EQ(-EINVAL, skua_reply_write(nullptr, "a", 1));
    EXPECT_EQ(-EINVAL, skua_reply_write(reply, nullptr, 1));
    EXPECT_EQ(-EINVAL, skua_reply_reserve(nullptr, 1, &room));
    EXPECT_EQ(-EINVAL, skua_reply_reserve(reply, 1, nullptr));
    EXPECT_EQ(0u, skua_reply_bytes(nullptr));
    EXPECT_EQ(nullptr, room);
}

/* A thousand small pieces cost a few moves. */
TEST(ReplyWrite, GrowsByHalvesAtLeast)
{
    Reply reply;
    std::string expected;

    for (int i = 0; i < 1000; i++) {
        const std::string piece = std::to_string(i) + ",";

        EXPECT_EQ(0, skua_reply_write(reply, piece.data(), piece.size()));
        expected += piece;
    }
    EXPECT_EQ(expected, reply.text());
    EXPECT_LT(reply.grown(), 12u);
}

TEST(ReplyReserve, IsAlignedWhenItIsTheFirst)
{
    Reply reply;
    void *room = nullptr;

    ASSERT_EQ(0, skua_reply_reserve(reply, 100, &room));
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(room) % 8);
    std::memset(room, 'x', 100);
    ASSERT_EQ(0, skua_reply_reserve(reply, 3, &room));
    std::memset(room, 'y', 3);
    EXPECT_EQ(std::string(100, 'x') + "yyy", reply.text());
    ASSERT_EQ(0, skua_reply_reserve(reply, 0, &room));
    EXPECT_EQ(103u, skua_reply_bytes(reply));
}

TEST(ReplyReserve, OfNothingGivesAPlaceAllTheSame)
{
    Reply reply;
    void *room = nullptr;

    EXPECT_EQ(0, skua_reply_reserve(reply, 0, &room));
    EXPECT_NE(nullptr, room);
    EXPECT_EQ(0u, skua_reply_bytes(reply));
}

TEST(ReplyLimit, RefusesWhatIsLargerAndKeepsWhatIsThere)
{
    Reply reply(10);
    void *room = nullptr;

    EXPECT_EQ(0, skua_reply_write(reply, "12345678", 8));
    EXPECT_EQ(-EMSGSIZE, skua_reply_write(reply, "abc", 3));
    EXPECT_EQ(-EMSGSIZE, skua_reply_reserve(reply, SIZE_MAX, &room));
    EXPECT_EQ(-EMSGSIZE, skua_reply_reserve(reply, SIZE_MAX - 7, &room));
    EXPECT_EQ("12345678", reply.text());
    EXPECT_EQ(0, skua_reply_write(reply, "ab", 2));
    EXPECT_EQ(-EMSGSIZE, skua_reply_write(reply, "c", 1));
    EXPECT_EQ("12345678ab", reply.text());
}

TEST(ReplyMemory, WhenItIsShortWhatIsThereStays)
{
    Reply reply;
    const std::string large(1000, 'x');

    EXPECT_EQ(0, skua_reply_write(reply, "kept", 4));
    reply.fail(true);
    EXPECT_EQ(-ENOMEM, skua_reply_write(reply, large.data(), large.size()));
    EXPECT_EQ("kept", reply.text());
    reply.fail(false);
    EXPECT_EQ(0, skua_reply_write(reply, large.data(), large.size()));
    EXPECT_EQ("kept" + large, reply.text());
}

} // namespace
