// SPDX-License-Identifier: Apache-2.0
// A reactor that looks after others, and other threads that deliver for one.
#include "../../../io/epoll.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skua.h>

#include "poller_support.h"
#include "task_support.h"

namespace
{

// A loop with readers on pipes that all have data.
class Watcher
{
  public:
    explicit Watcher(size_t pipes) : pipes_(pipes)
    {
        EXPECT_EQ(skua_loop_new(nullptr, &loop_), 0);
        for (auto &fds : pipes_) {
            EXPECT_EQ(pipe2(fds.data(), O_NONBLOCK | O_CLOEXEC), 0);
            EXPECT_EQ(write(fds[1], "x", 1), 1);
            EXPECT_EQ(skua_loop_add_reader(loop_, fds[0], Count, &reads), 0);
        }
    }
    ~Watcher()
    {
        EXPECT_EQ(skua_loop_close(loop_), 0);
        skua_loop_unref(loop_);
        for (auto &fds : pipes_) {
            close(fds[0]);
            close(fds[1]);
        }
    }
    Watcher(const Watcher &) = delete;
    Watcher &operator=(const Watcher &) = delete;

    skui_poller *poller() const
    {
        return skui_loop_poller(loop_);
    }
    void RunOnce()
    {
        EXPECT_EQ(skua_loop_run_once(loop_, 0), 0);
    }
    size_t reads = 0;

  private:
    static void Count(void *arg)
    {
        ++*static_cast<size_t *>(arg);
    }

    skua_loop *loop_ = nullptr;
    std::vector<std::array<int, 2>> pipes_;
};

} // namespace

TEST(EpollPollFor, DeliversToRecords)
{
    Poller poller;
    Registered pair(poller);

    pair.Put();
    EXPECT_EQ(skui_epoll_poller.poll_for(poller), 0);
    EXPECT_TRUE(pair.IsMarkedReadable());
    EXPECT_FALSE(poller.IsReadable());
}

TEST(EpollPollFor, LeavesTheWakeToItsLoop)
{
    Poller poller;

    for (int i = 0; i < 3; i++) {
        skui_epoll_poller.wake(poller);
        EXPECT_EQ(skui_epoll_poller.poll_for(poller), 0);
        EXPECT_TRUE(poller.IsReadable());
        EXPECT_EQ(poller.Poll(SKUA_FOREVER), 0);
        EXPECT_FALSE(poller.IsReadable());
    }
}

TEST(EpollPollFor, EndsThoughAnyNumberOfCallbacksAreDue)
{
    for (size_t count : {1u, 127u, 128u, 129u, 300u}) {
        Watcher watcher(count);
        Registered behind(watcher.poller());

        behind.Put();
        EXPECT_EQ(skui_epoll_poller.poll_for(watcher.poller()), 0);
        EXPECT_TRUE(behind.IsMarkedReadable()) << count;
        EXPECT_EQ(watcher.reads, 0u);
        while (watcher.reads < count) {
            watcher.RunOnce();
        }
    }
}

TEST(EpollCharge, EndsTheSleepOfItsKeeper)
{
    Poller keeper;
    Poller charge;
    Registered pair(charge);

    (void)charge.Poll(0); /* writable: that is old news */
    EXPECT_EQ(keeper.Adopt(charge), 0);
    (void)keeper.Poll(0);
    for (int i = 0; i < 3; i++) {
        std::thread sleeper(
            [&keeper] { EXPECT_EQ(keeper.Poll(SKUA_FOREVER), 0); });

        pair.Put();
        sleeper.join();
        EXPECT_TRUE(pair.IsMarkedReadable());
        EXPECT_FALSE(keeper.IsReadable());
        EXPECT_FALSE(charge.IsReadable());
        pair.Clear();
    }
    keeper.Disown(charge);
}

TEST(EpollCharge, HasItsTaskWokenByTheKeeperOnce)
{
    EXPECT_EQ(
        RunTask(1,
                [] {
                    Poller keeper;
                    std::atomic<int> delivered{-1};
                    int fds[2];
                    int turns = 0;
                    Socket socket;
                    char byte = 0;

                    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK,
                                         0, fds),
                              0);
                    EXPECT_EQ(skua_socket_new(fds[0], socket.Out()), 0);
                    Task reader([&] {
                        EXPECT_EQ(skua_sock_recv_into(socket, &byte, 1), 1);
                        turns++;
                        EXPECT_EQ(skua_sock_recv_into(socket, &byte, 1), 0);
                        turns++;
                        return 0;
                    });

                    LetOthersRun();
                    EXPECT_EQ(keeper.Adopt(skui_running_poller()), 0);
                    (void)keeper.Poll(0);
                    std::thread sleeper(
                        [&] { delivered = keeper.Poll(SKUA_FOREVER); });
                    EXPECT_EQ(write(fds[1], "x", 1), 1);
                    while (delivered.load() < 0) { /* this loop is held up */
                        (void)sched_yield();
                    }
                    EXPECT_EQ(delivered.load(), 1);
                    sleeper.join();
                    keeper.Disown(skui_running_poller());
                    LetOthersRun();
                    EXPECT_EQ(turns, 1);
                    close(fds[1]);
                    EXPECT_EQ(reader.Await(), 0);
                    EXPECT_EQ(turns, 2);
                    return 0;
                }),
        0);
}

TEST(EpollCharge, IsOneOfEight)
{
    constexpr size_t kMost = 8;
    Poller keeper;
    std::vector<std::unique_ptr<Poller>> charges;
    std::vector<std::unique_ptr<Registered>> pairs;

    for (size_t i = 0; i <= kMost; i++) {
        charges.push_back(std::make_unique<Poller>());
        pairs.push_back(std::make_unique<Registered>(*charges[i]));
        EXPECT_EQ(keeper.Adopt(*charges[i]), i < kMost ? 0 : -EBUSY);
    }
    for (auto &pair : pairs) {
        pair->Put();
    }
    EXPECT_EQ(keeper.Poll(SKUA_FOREVER), 0);
    for (size_t i = 0; i <= kMost; i++) {
        EXPECT_EQ(pairs[i]->IsMarkedReadable(), i < kMost) << i;
    }
    keeper.Disown(*charges[3]);
    EXPECT_EQ(keeper.Adopt(*charges[kMost]), 0);
    EXPECT_EQ(keeper.Poll(SKUA_FOREVER), 0);
    EXPECT_TRUE(pairs[kMost]->IsMarkedReadable());
    for (auto &charge : charges) {
        keeper.Disown(*charge);
    }
}

TEST(EpollCharge, TakesOnePlaceThoughAdoptedAgain)
{
    Poller keeper;
    std::vector<std::unique_ptr<Poller>> charges;

    for (size_t i = 0; i < 8; i++) {
        charges.push_back(std::make_unique<Poller>());
        EXPECT_EQ(keeper.Adopt(*charges[i]), 0);
        EXPECT_EQ(keeper.Adopt(*charges[i]), 0);
    }
    keeper.Disown(*charges[0]);
    skui_epoll_poller.wake(*charges[0]);
    EXPECT_FALSE(keeper.IsReadable());
    EXPECT_EQ(keeper.Adopt(*charges[0]), 0);
    EXPECT_TRUE(keeper.IsReadable());
    for (auto &charge : charges) {
        keeper.Disown(*charge);
    }
}

TEST(EpollCharge, IsLeftAloneOnceDisowned)
{
    Poller keeper;
    Poller charge;
    Registered pair(charge);

    EXPECT_EQ(keeper.Adopt(charge), 0);
    (void)keeper.Poll(0);
    keeper.Disown(charge);
    keeper.Disown(charge);
    pair.Put();
    EXPECT_FALSE(keeper.IsReadable());
    EXPECT_EQ(keeper.Poll(0), 0);
    EXPECT_FALSE(pair.IsMarkedReadable());
    EXPECT_EQ(charge.Poll(SKUA_FOREVER), 0);
    EXPECT_TRUE(pair.IsMarkedReadable());
}

TEST(EpollCharge, KeepsItsWakeAndIsLetGoByIt)
{
    Poller keeper;
    Poller charge;
    Registered pair(charge);

    for (int i = 0; i < 3; i++) { /* and may be adopted after that */
        EXPECT_EQ(keeper.Adopt(charge), 0);
        (void)keeper.Poll(0);
        skui_epoll_poller.wake(charge);
        EXPECT_TRUE(keeper.IsReadable());
        EXPECT_EQ(keeper.Poll(SKUA_FOREVER), 0);
        EXPECT_TRUE(charge.IsReadable()); /* its own sleep ends */
        EXPECT_FALSE(keeper.IsReadable());
        EXPECT_EQ(charge.Poll(SKUA_FOREVER), 0);
        EXPECT_FALSE(charge.IsReadable());
        pair.Put();
        EXPECT_FALSE(keeper.IsReadable());
        (void)charge.Poll(0);
    }
}

TEST(EpollCharge, SleepsBesideItsKeeperAndIsWoken)
{
    Poller keeper;
    Poller charge;
    std::atomic<int> rounds{0};

    std::thread owner([&] {
        while (rounds.load() < 200) {
            EXPECT_EQ(charge.Poll(SKUA_FOREVER), 0);
            rounds++;
        }
        skui_epoll_poller.wake(keeper);
    });
    std::thread waker([&] {
        for (int seen = 0; seen < 200; seen++) {
            skui_epoll_poller.wake(charge);
            while (rounds.load() <= seen) { /* it must not be lost */
                (void)sched_yield();
            }
        }
    });
    while (rounds.load() < 200) {
        EXPECT_EQ(keeper.Adopt(charge), 0);
        EXPECT_EQ(keeper.Poll(rounds.load() < 200 ? SKUA_US * 10 : 0), 0);
    }
    owner.join();
    waker.join();
    keeper.Disown(charge);
}

TEST(EpollCharge, KeepsItsCallbacksWithoutAKeeperThatSpins)
{
    for (size_t count : {1u, 200u}) {
        Poller keeper;
        Watcher watcher(count);
        Registered pair(watcher.poller());

        EXPECT_EQ(keeper.Adopt(watcher.poller()), 0);
        EXPECT_EQ(keeper.Poll(SKUA_FOREVER), 0);
        EXPECT_FALSE(keeper.IsReadable());
        EXPECT_EQ(watcher.reads, 0u);
        pair.Put(); /* and what comes after them is delivered */
        EXPECT_EQ(keeper.Poll(SKUA_FOREVER), 0);
        EXPECT_TRUE(pair.IsMarkedReadable());
        EXPECT_FALSE(keeper.IsReadable());
        keeper.Disown(watcher.poller());
        while (watcher.reads < count) {
            watcher.RunOnce();
        }
    }
}

TEST(EpollCharge, TellsItsKeeperOfATickThatItTook)
{
    Poller keeper;
    Poller charge;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    EXPECT_EQ(skui_epoll_poller.watch_tick(charge, fd), 0);
    EXPECT_EQ(keeper.Adopt(charge), 0);
    for (int i = 0; i < 2; i++) {
        EXPECT_FALSE(skui_epoll_poller.take_tick(keeper));
        EXPECT_EQ(eventfd_write(fd, 1), 0);
        EXPECT_EQ(keeper.Poll(SKUA_FOREVER), 0);
        EXPECT_TRUE(skui_epoll_poller.take_tick(keeper));
        EXPECT_FALSE(skui_epoll_poller.take_tick(charge));
        EXPECT_FALSE(keeper.IsReadable());
        EXPECT_FALSE(charge.IsReadable());
    }
    keeper.Disown(charge);
    close(fd);
}

TEST(EpollCharge, OfAKeeperThatIsAChargeItselfIsRefused)
{
    Poller first;
    Poller second;

    EXPECT_EQ(first.Adopt(second), 0);
    EXPECT_EQ(second.Adopt(first), -ELOOP);
    first.Disown(second);
    EXPECT_EQ(second.Adopt(first), 0);
    second.Disown(first);
}
