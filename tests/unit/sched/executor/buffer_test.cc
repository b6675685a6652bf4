/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/buffer.c: bytes that many hold. */
#include "executor/buffer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace
{

constexpr size_t kLarge = 256 * size_t{1024};

skua_buffer *buffer_new(size_t bytes)
{
    skua_buffer *buffer = nullptr;

    EXPECT_EQ(0, skua_buffer_new(bytes, &buffer));
    return buffer;
}

bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

TEST(BufferNew, IsZeroedAndAligned)
{
    for (const size_t bytes : {size_t{0}, size_t{1}, size_t{1000}, kLarge}) {
        skua_buffer *buffer = buffer_new(bytes);
        const auto *data =
            static_cast<const unsigned char *>(skua_buffer_data(buffer));

        ASSERT_NE(nullptr, data);
        EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(data) % 8);
        EXPECT_EQ(bytes, skua_buffer_bytes(buffer));
        EXPECT_TRUE(std::all_of(data, data + bytes,
                                [](unsigned char byte) { return byte == 0; }));
        skua_buffer_unref(buffer);
    }
}

TEST(BufferNew, RefusesWhatIsNone)
{
    skua_buffer *buffer = nullptr;

    EXPECT_EQ(-EINVAL, skua_buffer_new(1, nullptr));
    EXPECT_LT(skua_buffer_new(SIZE_MAX, &buffer), 0);
    EXPECT_LT(skua_buffer_new(SIZE_MAX / 2, &buffer), 0);
    EXPECT_EQ(nullptr, buffer);
    EXPECT_EQ(nullptr, skua_buffer_ref(nullptr));
    EXPECT_EQ(nullptr, skua_buffer_data(nullptr));
    EXPECT_EQ(0u, skua_buffer_bytes(nullptr));
    skua_buffer_unref(nullptr);
}

/* BU1. */
TEST(BufferRefs, TheLastOneFrees)
{
    for (int round = 0; round < 100; round++) {
        skua_buffer *buffer = buffer_new(kLarge);
        const int fd = skui_buffer_fd(buffer);
        std::vector<std::thread> threads;
        std::atomic<int> sum{0};

        ASSERT_GE(fd, 0);
        std::memset(skua_buffer_data(buffer), 1, kLarge);
        for (size_t t = 0; t < 3; t++) {
            skua_buffer *mine = skua_buffer_ref(buffer);

            threads.emplace_back([mine, t, &sum] {
                auto *data =
                    static_cast<unsigned char *>(skua_buffer_data(mine));

                sum += data[t];
                data[t] = 2; /* each its own */
                skua_buffer_unref(mine);
            });
        }
        EXPECT_TRUE(is_open(fd));
        skua_buffer_unref(buffer);
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_EQ(3, sum.load());
        EXPECT_FALSE(is_open(fd));
    }
}

TEST(BufferShared, CannotBeMadeSmallerByWhoHasItToo)
{
    skua_buffer *buffer = buffer_new(kLarge);

    EXPECT_EQ(-1, ftruncate(skui_buffer_fd(buffer), 0));
    EXPECT_EQ(EPERM, errno);
    skua_buffer_unref(buffer);
}

TEST(BufferCopy, IsSharedWhenItIsLargeAndMayBe)
{
    const std::string text(kLarge, 'x');

    for (const bool may_share : {false, true}) {
        skua_buffer *buffer = nullptr;

        ASSERT_EQ(
            0, skui_buffer_copy(text.data(), text.size(), may_share, &buffer));
        EXPECT_EQ(may_share, skui_buffer_fd(buffer) >= 0);
        EXPECT_EQ(
            0, std::memcmp(text.data(), skua_buffer_data(buffer), text.size()));
        skua_buffer_unref(buffer);
        ASSERT_EQ(0, skui_buffer_copy("abc", 3, may_share, &buffer));
        EXPECT_LT(skui_buffer_fd(buffer), 0);
        skua_buffer_unref(buffer);
        ASSERT_EQ(0, skui_buffer_copy(nullptr, 0, may_share, &buffer));
        EXPECT_NE(nullptr, skua_buffer_data(buffer));
        skua_buffer_unref(buffer);
    }
}

TEST(BufferGrow, KeepsWhatIsUsed)
{
    skua_buffer *buffer = nullptr;

    ASSERT_EQ(0, skui_buffer_grow(&buffer, 0, 4, true));
    std::memcpy(skua_buffer_data(buffer), "abcd", 4);
    ASSERT_EQ(0, skui_buffer_grow(&buffer, 4, kLarge, true));
    EXPECT_GE(skui_buffer_fd(buffer), 0);
    EXPECT_EQ(0, std::memcmp("abcd", skua_buffer_data(buffer), 4));
    skui_buffer_trim(buffer, 2);
    EXPECT_EQ(2u, skua_buffer_bytes(buffer));
    EXPECT_LT(skui_buffer_grow(&buffer, 2, SIZE_MAX, false), 0);
    EXPECT_EQ(0, std::memcmp("ab", skua_buffer_data(buffer), 2));
    skua_buffer_unref(buffer);
}

int shared_memory(size_t bytes, unsigned seals)
{
    const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    EXPECT_GE(fd, 0);
    EXPECT_EQ(0, ftruncate(fd, static_cast<off_t>(bytes)));
    EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, seals));
    return fd;
}

TEST(BufferAdopt, TakesWhatCannotShrink)
{
    const int fd = shared_memory(kLarge, F_SEAL_SHRINK);
    skua_buffer *buffer = nullptr;

    EXPECT_EQ(5, write(fd, "hello", 5));
    ASSERT_EQ(0, skui_buffer_adopt(fd, kLarge, &buffer));
    EXPECT_EQ(kLarge, skua_buffer_bytes(buffer));
    EXPECT_EQ(0, std::memcmp("hello", skua_buffer_data(buffer), 5));
    skua_buffer_unref(buffer);
    EXPECT_FALSE(is_open(fd));
}

/* What another process gives is taken in every case, and never trusted. */
TEST(BufferAdopt, RefusesWhatCouldFault)
{
    skua_buffer *buffer = nullptr;
    int pipes[2];

    for (const int fd :
         {shared_memory(kLarge, 0), shared_memory(kLarge, F_SEAL_GROW)}) {
        EXPECT_EQ(-EINVAL, skui_buffer_adopt(fd, kLarge, &buffer));
        EXPECT_FALSE(is_open(fd));
    }
    for (const size_t bytes : {kLarge + 1, SIZE_MAX, size_t{0}}) {
        const int fd = shared_memory(kLarge, F_SEAL_SHRINK);

        EXPECT_EQ(-EINVAL, skui_buffer_adopt(fd, bytes, &buffer));
        EXPECT_FALSE(is_open(fd));
    }
    ASSERT_EQ(0, pipe(pipes));
    EXPECT_EQ(-EINVAL, skui_buffer_adopt(pipes[0], 1, &buffer));
    EXPECT_FALSE(is_open(pipes[0]));
    close(pipes[1]);
    EXPECT_EQ(-EINVAL, skui_buffer_adopt(-1, 1, &buffer));
    EXPECT_EQ(nullptr, buffer);
}

} // namespace
