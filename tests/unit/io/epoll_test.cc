// SPDX-License-Identifier: Apache-2.0
// The reactor by its function table, and callbacks through a loop.
#include "../../../io/epoll.h"

#include <cerrno>
#include <cstdio>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <skua.h>

#include "poller_support.h"

namespace
{

void Count(void *arg)
{
    ++*static_cast<int *>(arg);
}

class Loop
{
  public:
    Loop()
    {
        EXPECT_EQ(skua_loop_new(nullptr, &loop_), 0);
        EXPECT_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    }
    ~Loop()
    {
        EXPECT_EQ(skua_loop_close(loop_), 0);
        skua_loop_unref(loop_);
        close(fds[0]);
        close(fds[1]);
    }
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;

    operator skua_loop *() const // NOLINT(google-explicit-constructor)
    {
        return loop_;
    }
    void RunOnce()
    {
        EXPECT_EQ(skua_loop_run_once(loop_, 0), 0);
    }
    int fds[2] = {-1, -1};

  private:
    skua_loop *loop_ = nullptr;
};

} // namespace

TEST(EpollWake, EndsAPollOnce)
{
    Poller poller;

    EXPECT_FALSE(poller.IsReadable());
    skui_epoll_poller.wake(poller);
    skui_epoll_poller.wake(poller);
    EXPECT_TRUE(poller.IsReadable());
    EXPECT_EQ(poller.Poll(SKUA_FOREVER), 0);
    EXPECT_FALSE(poller.IsReadable());
    skui_epoll_poller.wake(poller);
    EXPECT_EQ(poller.Poll(SKUA_FOREVER), 0);
}

TEST(EpollWake, IsTakenOutByALookThatDoesNotWait)
{
    Poller poller;

    skui_epoll_poller.wake(poller);
    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_FALSE(poller.IsReadable());
    skui_epoll_poller.wake(poller);
    EXPECT_TRUE(poller.IsReadable());
    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_FALSE(poller.IsReadable());
}

TEST(EpollWake, OfAnEmbeddedLoopEndsWithItsIteration)
{
    Loop loop;
    struct pollfd entry = {skua_loop_get_fd(loop), POLLIN, 0};
    int calls = 0;
    auto count = [](void *arg) { ++*static_cast<int *>(arg); };

    EXPECT_EQ(poll(&entry, 1, 0), 0);
    EXPECT_EQ(skua_loop_call_soon_threadsafe(loop, count, &calls, nullptr), 0);
    EXPECT_EQ(poll(&entry, 1, 0), 1);
    loop.RunOnce();
    EXPECT_EQ(calls, 1);
    loop.RunOnce();
    EXPECT_EQ(poll(&entry, 1, 0), 0);
}

TEST(EpollTick, EndsASleepOnceForEachEvent)
{
    Poller poller;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    EXPECT_EQ(skui_epoll_poller.watch_tick(poller, fd), 0);
    EXPECT_FALSE(poller.IsReadable());
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(eventfd_write(fd, 1), 0);
        EXPECT_EQ(poller.Poll(SKUA_FOREVER), 0);
        EXPECT_FALSE(poller.IsReadable());
    }
    EXPECT_EQ(skui_epoll_poller.watch_tick(poller, fd), -EEXIST);
    close(fd);
}

TEST(EpollPoll, WaitsAtLeastTheTimeout)
{
    Poller poller;
    int64_t start_ns = skua_monotonic();

    EXPECT_EQ(poller.Poll(1500 * SKUA_US), 0);
    EXPECT_GE(skua_monotonic() - start_ns, 1500 * SKUA_US);
    EXPECT_EQ(poller.Poll(-1), 0);
}

TEST(EpollPoll, MarksWhatIsReadyOncePerEdge)
{
    Poller poller;
    Registered pair(poller);

    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_EQ(pair.flags(), unsigned{SKUI_WRITABLE});
    EXPECT_EQ(write(pair.fds[1], "x", 1), 1);
    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_NE(pair.flags() & SKUI_READABLE, 0u);
    pair.Clear(SKUI_READABLE);
    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_EQ(pair.flags() & SKUI_READABLE, 0u);
    EXPECT_EQ(write(pair.fds[1], "x", 1), 1);
    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_NE(pair.flags() & SKUI_READABLE, 0u);
}

TEST(EpollPoll, TellsHalfCloseFromHangUp)
{
    Poller poller;
    Registered pair(poller);

    EXPECT_EQ(shutdown(pair.fds[1], SHUT_WR), 0);
    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_EQ(pair.flags(),
              unsigned{SKUI_READABLE | SKUI_WRITABLE | SKUI_READ_HUP});
    EXPECT_EQ(shutdown(pair.fds[1], SHUT_RD), 0);
    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_NE(pair.flags() & SKUI_HUP, 0u);
}

TEST(EpollUnregister, StopsEventsOfADuplicatedDescriptor)
{
    Poller poller;
    Registered pair(poller);
    int copy = dup(pair.fds[0]);

    pair.Unregister();
    EXPECT_EQ(write(pair.fds[1], "x", 1), 1);
    EXPECT_FALSE(poller.IsReadable());
    EXPECT_EQ(poller.Poll(0), 0);
    EXPECT_EQ(pair.flags(), 0u);
    close(copy);
}

TEST(EpollClose, DetachesWhatIsLeft)
{
    Poller poller;
    Registered first(poller);
    Registered second(poller);
    Registered third(poller);

    second.Unregister();
    poller.Close();
    EXPECT_EQ(first.flags(), unsigned{SKUI_DETACHED});
    EXPECT_EQ(second.flags(), 0u);
    EXPECT_EQ(third.flags(), unsigned{SKUI_DETACHED});
    skui_epoll_poller.close(nullptr);
}

TEST(EpollCallback, ComesAgainUntilTheDataIsRead)
{
    Loop loop;
    int reads = 0;

    EXPECT_EQ(skua_loop_add_reader(loop, loop.fds[0], Count, &reads), 0);
    loop.RunOnce();
    EXPECT_EQ(reads, 0);
    EXPECT_EQ(write(loop.fds[1], "x", 1), 1);
    for (int i = 1; i <= 3; i++) {
        loop.RunOnce();
        EXPECT_EQ(reads, i);
    }
    EXPECT_EQ(skua_loop_remove_reader(loop, loop.fds[0]), 1);
    EXPECT_EQ(skua_loop_remove_reader(loop, loop.fds[0]), 0);
    loop.RunOnce();
    EXPECT_EQ(reads, 3);
}

TEST(EpollCallback, IsReplacedInPlace)
{
    Loop loop;
    int first = 0;
    int second = 0;

    EXPECT_EQ(write(loop.fds[1], "x", 1), 1);
    EXPECT_EQ(skua_loop_add_reader(loop, loop.fds[0], Count, &first), 0);
    EXPECT_EQ(skua_loop_add_reader(loop, loop.fds[0], Count, &second), 0);
    loop.RunOnce();
    EXPECT_EQ(first, 0);
    EXPECT_EQ(second, 1);
    EXPECT_EQ(skua_loop_remove_reader(loop, loop.fds[0]), 1);
}

TEST(EpollCallback, KeepsDirectionsApart)
{
    Loop loop;
    int fds[2];
    int reads = 0;
    int writes = 0;

    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    EXPECT_EQ(skua_loop_add_reader(loop, fds[0], Count, &reads), 0);
    EXPECT_EQ(skua_loop_add_writer(loop, fds[0], Count, &writes), 0);
    loop.RunOnce();
    EXPECT_EQ(reads, 0);
    EXPECT_EQ(writes, 1);
    EXPECT_EQ(write(fds[1], "x", 1), 1);
    EXPECT_EQ(skua_loop_remove_writer(loop, fds[0]), 1);
    loop.RunOnce();
    EXPECT_EQ(reads, 1);
    EXPECT_EQ(writes, 1);
    EXPECT_EQ(skua_loop_remove_reader(loop, fds[0]), 1);
    close(fds[0]);
    close(fds[1]);
}

namespace
{

struct Remover {
    skua_loop *loop;
    int fds[2];
    int runs;
};

void RemoveBoth(void *arg)
{
    auto *remover = static_cast<Remover *>(arg);

    remover->runs++;
    skua_loop_remove_reader(remover->loop, remover->fds[0]);
    skua_loop_remove_reader(remover->loop, remover->fds[1]);
}

} // namespace

TEST(EpollCallback, DoesNotRunOnceRemovedThoughQueued)
{
    Loop loop;
    int other[2];
    Remover remover = {loop, {-1, -1}, 0};

    ASSERT_EQ(pipe2(other, O_NONBLOCK | O_CLOEXEC), 0);
    remover.fds[0] = loop.fds[0];
    remover.fds[1] = other[0];
    EXPECT_EQ(write(loop.fds[1], "x", 1), 1);
    EXPECT_EQ(write(other[1], "x", 1), 1);
    EXPECT_EQ(skua_loop_add_reader(loop, loop.fds[0], RemoveBoth, &remover), 0);
    EXPECT_EQ(skua_loop_add_reader(loop, other[0], RemoveBoth, &remover), 0);
    loop.RunOnce();
    EXPECT_EQ(remover.runs, 1);
    close(other[0]);
    close(other[1]);
}

TEST(EpollCallback, RefusesFilesAndNumbersThatAreNotOpen)
{
    Loop loop;
    FILE *file = std::tmpfile();
    int unused = dup(0);

    ASSERT_NE(file, nullptr);
    close(unused);
    EXPECT_EQ(skua_loop_add_reader(loop, fileno(file), Count, &unused), -EPERM);
    EXPECT_EQ(skua_loop_add_reader(loop, -1, Count, &unused), -EBADF);
    EXPECT_EQ(skua_loop_add_reader(loop, unused, Count, &unused), -EBADF);
    EXPECT_EQ(skua_loop_add_writer(loop, 1 << 30, Count, &unused), -EBADF);
    EXPECT_EQ(skua_loop_remove_reader(loop, -1), 0);
    EXPECT_EQ(skua_loop_remove_reader(loop, 1 << 30), 0);
    EXPECT_EQ(skua_loop_remove_writer(loop, fileno(file)), 0);
    std::fclose(file);
}

TEST(EpollCallback, WatchesANumberThatWasReused)
{
    Loop loop;
    int reads = 0;
    int fds[2];
    int copy;

    ASSERT_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    EXPECT_EQ(skua_loop_add_reader(loop, fds[0], Count, &reads), 0);
    copy = fds[0];
    close(fds[0]);
    ASSERT_EQ(dup3(loop.fds[0], copy, O_CLOEXEC), copy);
    EXPECT_EQ(skua_loop_add_reader(loop, copy, Count, &reads), 0);
    EXPECT_EQ(write(loop.fds[1], "x", 1), 1);
    loop.RunOnce();
    EXPECT_EQ(reads, 1);
    EXPECT_EQ(skua_loop_remove_reader(loop, copy), 1);
    close(copy);
    close(fds[1]);
}
