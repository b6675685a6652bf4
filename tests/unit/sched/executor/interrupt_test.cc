/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/interrupt.c and thread_pool_interrupt.c. */
#include <csignal>
#include <unistd.h>

#include "unit/sched/executor/pool_support.h"

namespace
{

using pools::Future;
using pools::Pool;
using pools::Semaphore;
using pools::Token;

/** A pipe, closed at the end. */
class Pipe
{
  public:
    Pipe()
    {
        EXPECT_EQ(0, pipe(ends_));
    }
    ~Pipe()
    {
        close(ends_[0]);
        close(ends_[1]);
    }
    Pipe(const Pipe &) = delete;
    Pipe &operator=(const Pipe &) = delete;

    /** Blocks: 0, or the errno. */
    [[nodiscard]] int take() const
    {
        char byte;

        return read(ends_[0], &byte, 1) == 1 ? 0 : errno;
    }

    void put() const
    {
        EXPECT_EQ(1, write(ends_[1], "x", 1));
    }

  private:
    int ends_[2] = {-1, -1};
};

skua_submit_options interruptible(const Token &token)
{
    skua_submit_options options = {};

    options.token = token.get();
    options.interruptible = true;
    return options;
}

TEST(Interrupt, EndsASystemCallOfRunningWork)
{
    for (int round = 0; round < 20; round++) {
        Pool pool(1);
        const Token token;
        const Pipe pipe;
        Semaphore begun{0};
        const Future future = pool.submit(
            [&] {
                begun.release();
                return -pipe.take();
            },
            interruptible(token));

        begun.acquire();
        EXPECT_EQ(1, token.cancel());
        EXPECT_EQ(-EINTR, future.await());
    }
}

/* Each one that comes is passed over, so another must come. */
TEST(Interrupt, ComesAgainUntilTheWorkEnds)
{
    Pool pool(1);
    const Token token;
    const Pipe pipe;
    int interrupts = 0;
    const Future future = pool.submit(
        [&] {
            EXPECT_EQ(1, token.cancel()); /* checked before, blocks after */
            while (interrupts < 12) {
                EXPECT_EQ(EINTR, pipe.take());
                interrupts++;
            }
            return 0;
        },
        interruptible(token));

    EXPECT_EQ(0, future.await());
    EXPECT_EQ(12, interrupts);
}

/* The next work in the thread blocks as if nothing had been. */
TEST(Interrupt, NeverReachesLaterWork)
{
    Pool pool(1);

    for (int round = 0; round < 100; round++) {
        const Token token;
        const Pipe pipe;
        Semaphore begun{0};
        const Future first = pool.submit(
            [&] {
                begun.release();
                return round % 2 == 0 ? -pipe.take() : 0;
            },
            interruptible(token));

        begun.acquire();
        EXPECT_EQ(1, token.cancel());

        const Future next = pool.submit([&] { return -pipe.take(); });

        EXPECT_EQ(round % 2 == 0 ? -EINTR : 0, first.await());
        pipe.put();
        EXPECT_EQ(0, next.await());
    }
}

TEST(Interrupt, IsNotSentUnlessItWasAskedFor)
{
    Pool pool(1);
    const Token token;
    const Pipe pipe;
    Semaphore begun{0};
    skua_submit_options options = {};

    options.token = token.get();
    const Future future = pool.submit(
        [&] {
            begun.release();
            EXPECT_EQ(0, pipe.take());
            EXPECT_TRUE(skua_work_should_stop());
            return 0;
        },
        options);

    begun.acquire();
    EXPECT_EQ(1, token.cancel());
    pipe.put();
    EXPECT_EQ(0, future.await());
}

TEST(Interrupt, OfATokenThatWasCancelledWhileItBegan)
{
    for (int round = 0; round < 300; round++) {
        Pool pool(1);
        const Token token;
        const Pipe pipe;
        const Future future =
            pool.submit([&] { return -pipe.take(); }, interruptible(token));

        EXPECT_EQ(1, token.cancel());
        const int status = future.await();

        EXPECT_TRUE(status == -EINTR || status == SKUA_ECANCELED) << status;
    }
}

/* What work runs while it waits for that is not meant. */
TEST(Interrupt, SparesWorkThatRunsWithin)
{
    Pool pool(1);
    const Token token;
    const Pipe inner_pipe;
    const Pipe outer_pipe;
    Semaphore begun{0};
    const Future future = pool.submit(
        [&] {
            const Future inner = pool.submit([&] {
                begun.release();
                return -inner_pipe.take();
            });

            EXPECT_EQ(0, inner.await());
            EXPECT_TRUE(skua_work_should_stop());
            return -outer_pipe.take();
        },
        interruptible(token));

    begun.acquire();
    EXPECT_EQ(1, token.cancel());
    inner_pipe.put();
    EXPECT_EQ(-EINTR, future.await());
}

TEST(Interrupt, OfWorkThatRunsWithinReachesThat)
{
    Pool pool(1);
    const Token outer;
    const Token inner;
    const Pipe pipe;
    Semaphore begun{0};
    const Future future = pool.submit(
        [&] {
            const Future within = pool.submit(
                [&] {
                    begun.release();
                    return -pipe.take();
                },
                interruptible(inner));

            EXPECT_EQ(-EINTR, within.await());
            pipe.put();
            return -pipe.take();
        },
        interruptible(outer));

    begun.acquire();
    EXPECT_EQ(1, inner.cancel());
    EXPECT_EQ(0, future.await());
}

/** Puts back what is done about real-time signals. */
class Signals
{
  public:
    Signals()
    {
        for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
            former_.emplace_back();
            EXPECT_EQ(0, sigaction(number, nullptr, &former_.back()));
        }
    }
    ~Signals()
    {
        for (size_t i = 0; i < former_.size(); i++) {
            EXPECT_EQ(0, sigaction(SIGRTMIN + static_cast<int>(i), &former_[i],
                                   nullptr));
        }
    }
    Signals(const Signals &) = delete;
    Signals &operator=(const Signals &) = delete;

    /* Gives the last one; valgrind keeps that of the highest number. */
    int take_all(const struct sigaction &action)
    {
        int last = 0;

        for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
            if (sigaction(number, &action, nullptr) == 0) {
                last = number;
            }
        }
        EXPECT_GE(last, SIGRTMAX - 1);
        return last;
    }

  private:
    std::vector<struct sigaction> former_;
};

/* Handlers of the program stay. */
TEST(Interrupt, TakesOnlySignalsThatAreLeft)
{
    Signals signals;
    struct sigaction mine = {};
    struct sigaction found = {};
    Pool pool(1);
    const Token token;
    const skua_submit_options options = interruptible(token);
    skua_work work = {};

    work.fn = [](void *) { return 0; };
    mine.sa_handler = [](int) {};
    const int last = signals.take_all(mine);

    EXPECT_EQ(-EBUSY,
              skua_executor_submit_work(pool.get(), &work, &options, nullptr));
    ASSERT_EQ(0, sigaction(last, nullptr, &found));
    EXPECT_EQ(mine.sa_handler, found.sa_handler);
    mine.sa_handler = SIG_DFL;
    ASSERT_EQ(0, sigaction(SIGRTMIN + 3, &mine, nullptr));
    EXPECT_EQ(0,
              skua_executor_submit_work(pool.get(), &work, &options, nullptr));
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
    ASSERT_EQ(0, sigaction(SIGRTMIN + 3, nullptr, &found));
    EXPECT_NE(0, found.sa_flags & SA_SIGINFO);
    EXPECT_EQ(0, found.sa_flags & SA_RESTART);
}

TEST(InterruptStress, CancelAndEndMeet)
{
    Pool pool(2);

    for (int round = 0; round < 500; round++) {
        const Token token;
        const Pipe pipe;
        std::vector<Future> futures;

        for (int i = 0; i < 2; i++) {
            futures.push_back(pool.submit(
                [&] {
                    for (int turn = 0; turn < 20; turn++) {
                        if (skua_work_should_stop()) {
                            return 1;
                        }
                    }
                    return 0;
                },
                interruptible(token)));
            futures.push_back(pool.submit([&] { return -pipe.take(); }));
        }
        EXPECT_EQ(1, token.cancel());
        pipe.put();
        pipe.put();
        for (const Future &future : futures) {
            const int status = future.await();

            EXPECT_TRUE(status >= 0 || status == SKUA_ECANCELED) << status;
        }
    }
}

} // namespace
