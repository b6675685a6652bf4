// SPDX-License-Identifier: Apache-2.0
// Loops that are held up in user code: what they had goes on elsewhere. Each
// held step waits for what must be taken over, so that a test ends or hangs.
#include "../../../sched/runner.h"

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../conformance/support.h"
#include "switches.h"

namespace
{

using conformance::Body;
using conformance::Future;
using conformance::Lambdas;

// Without one of these what waits may wait for a step that waits for it: what a
// held loop was about to run stays there if it cannot be revoked.
constexpr unsigned kAll = SKUA_SENTINEL | SKUA_RELIEF | SKUA_REVOCATION;

// Hold this thread up, as a long computation does.
void HoldUntil(const std::function<bool()> &over)
{
    while (!over()) {
        (void)sched_yield();
    }
}

void HoldUntil(const std::atomic<bool> &flag)
{
    HoldUntil([&flag] { return flag.load(); });
}

// Let this loop go on meanwhile.
void YieldUntil(const std::atomic<bool> &flag)
{
    while (!flag.load()) {
        EXPECT_EQ(skua_yield(), 0);
    }
}

class Crew : public Lambdas
{
  public:
    explicit Crew(unsigned loops, unsigned relief_loops = 0,
                  bool relief_at_start = false, unsigned without = 0)
    {
        skua_runner_options options = {};

        options.loops = loops;
        options.no_sigint = true;
        options.relief_loops = relief_loops;
        options.relief_at_start = relief_at_start;
        options.without = without;
        EXPECT_EQ(skua_runner_new(&options, &runner_), 0);
    }
    ~Crew()
    {
        Close();
    }
    Crew(const Crew &) = delete;
    Crew &operator=(const Crew &) = delete;

    void Close()
    {
        EXPECT_EQ(skua_runner_close(std::exchange(runner_, nullptr)), 0);
    }
    // On the first loop: a spare one would take it, too.
    int Run(Body body)
    {
        return run_on_first(runner_, std::move(body));
    }
    skua_runner *operator->() const
    {
        return runner_;
    }
    skua_loop *loop(unsigned index) const
    {
        return runner_->loops[index];
    }
    bool Has(skua_mechanism mechanism) const
    {
        return skui_runner_has(runner_, mechanism);
    }
    // A loop that only serves others.
    bool IsSpare(const skua_loop *loop) const
    {
        return loop->index >= runner_->count;
    }
    bool Sleeps(unsigned index) const
    {
        return skui_load_acquire(&loop(index)->park_state) == SKUI_PARK_PARKED;
    }
    unsigned SpareThreads() const
    {
        unsigned count = 0;

        for (unsigned i = runner_->count; i < runner_->total; i++) {
            count += skui_load_relaxed(&loop(i)->counters.iterations) > 0;
        }
        return count;
    }
    // From now on no tick comes: it seems to be on already.
    void PretendThatItTicks()
    {
        skui_store_seq_cst(&runner_->sentinel.is_on, true);
    }
    // A pinned task on each loop but this one, held until `over`.
    std::vector<Future> HoldOthers(const std::atomic<bool> &over)
    {
        std::vector<Future> tasks;

        for (unsigned i = 0; i < runner_->count; i++) {
            std::atomic<bool> held{false};

            if (loop(i) == skua_get_running_loop()) {
                continue;
            }
            tasks.push_back(spawn_on(
                loop(i),
                [&over, &held] {
                    held = true;
                    HoldUntil(over);
                    return 0;
                },
                true));
            YieldUntil(held);
        }
        return tasks;
    }

  private:
    skua_runner *runner_ = nullptr;
};

void AwaitAll(const std::vector<Future> &tasks)
{
    for (const Future &task : tasks) {
        EXPECT_EQ(skua_await(task.get(), nullptr), 0);
    }
}

// A connected pair; the first end is a socket of the running loop.
class Connection
{
  public:
    Connection()
    {
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds_), 0);
        EXPECT_EQ(skua_socket_new(fds_[0], &socket_), 0);
    }
    ~Connection()
    {
        skua_socket_unref(socket_);
        close(fds_[1]);
    }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

    void Put() const
    {
        EXPECT_EQ(write(fds_[1], "x", 1), 1);
    }
    int Take() const
    {
        char byte = 0;

        return skua_sock_recv_into(socket_, &byte, 1) == 1 ? 0 : -EIO;
    }

  private:
    skua_socket *socket_ = nullptr;
    int fds_[2] = {-1, -1};
};

enum class Waits { Ready, Sleeping, AtASocket, Outside };

struct Case {
    unsigned loops;
    bool relief_at_start;
    Waits waits;
};

void PrintTo(const Case &value, std::ostream *stream)
{
    static const char *const names[] = {"Ready", "Sleeping", "AtASocket",
                                        "Outside"};

    *stream << value.loops << names[static_cast<int>(value.waits)]
            << (value.relief_at_start ? "StartedBefore" : "");
}

class Relief : public testing::TestWithParam<Case>
{
};

// What ends the hold: it is with the loops that are held, or comes from
// outside, and any loop may run it.
void HoldAllOver(Crew *crew, Waits waits)
{
    std::atomic<bool> over{false};
    std::atomic<bool> waiting{false};
    Connection connection;
    Future task;
    std::thread other;
    auto end = [&over] {
        over = true;
        return 0;
    };
    std::vector<Future> held = crew->HoldOthers(over);

    switch (waits) {
    case Waits::Ready:
        task = crew->spawn(end);
        break;
    case Waits::Sleeping:
        task = crew->spawn([&] {
            waiting = true;
            EXPECT_EQ(skua_sleep(SKUA_MS), 0);
            return end();
        });
        YieldUntil(waiting);
        break;
    case Waits::AtASocket:
        task = crew->spawn([&] {
            waiting = true;
            EXPECT_EQ(connection.Take(), 0);
            return end();
        });
        YieldUntil(waiting);
        EXPECT_EQ(skua_yield(), 0);
        connection.Put();
        break;
    case Waits::Outside:
        other = std::thread(
            [&, loop = crew->loop(0)] { task = crew->spawn_on(loop, end); });
        break;
    }
    HoldUntil(over);
    if (other.joinable()) {
        other.join();
    }
    EXPECT_EQ(skua_await(task.get(), nullptr), 0);
    AwaitAll(held);
}

} // namespace

TEST_P(Relief, RunsWhatWaitsWhenAllLoopsAreHeld)
{
    SKIP_WITHOUT(kAll);
    Crew crew(GetParam().loops, 0, GetParam().relief_at_start);

    for (int i = 0; i < 3; i++) { /* the same runner, again */
        EXPECT_EQ(crew.Run([&] {
            HoldAllOver(&crew, GetParam().waits);
            HoldAllOver(&crew, GetParam().waits);
            return 0;
        }),
                  0);
    }
}

static std::vector<Case> AllCases()
{
    std::vector<Case> cases;

    for (unsigned loops : {2u, 4u}) {
        for (bool started : {false, true}) {
            for (Waits waits : {Waits::Ready, Waits::Sleeping, Waits::AtASocket,
                                Waits::Outside}) {
                cases.push_back({loops, started, waits});
            }
        }
    }
    return cases;
}

INSTANTIATE_TEST_SUITE_P(Loops, Relief, testing::ValuesIn(AllCases()),
                         testing::PrintToStringParamName());

TEST(ReliefLoops, AreTwoWhenTheFirstIsHeldItself)
{
    SKIP_WITHOUT(kAll);
    Crew crew(2);

    EXPECT_EQ(crew.Run([&] {
        std::atomic<bool> over{false};
        std::atomic<skua_loop *> first{nullptr};
        std::vector<Future> tasks = crew.HoldOthers(over);

        tasks.push_back(crew.spawn([&] {
            first = skua_get_running_loop();
            HoldUntil(over);
            return 0;
        }));
        HoldUntil([&] { return first.load() != nullptr; });
        EXPECT_TRUE(crew.IsSpare(first.load()));
        tasks.push_back(crew.spawn([&] {
            EXPECT_TRUE(crew.IsSpare(skua_get_running_loop()));
            EXPECT_NE(skua_get_running_loop(), first.load());
            over = true;
            return 0;
        }));
        HoldUntil(over);
        AwaitAll(tasks);
        return 0;
    }),
              0);
    EXPECT_EQ(crew.SpareThreads(), 2u);
}

TEST(ReliefLoops, AreNoMoreThanAllowed)
{
    SKIP_WITHOUT(kAll);
    Crew crew(2, 1);

    EXPECT_EQ(crew->total, 3u);
    EXPECT_EQ(crew.Run([&] {
        std::atomic<bool> over{false};
        std::atomic<bool> first{false};
        std::atomic<bool> second{false};
        std::vector<Future> tasks = crew.HoldOthers(over);

        tasks.push_back(crew.spawn([&] {
            EXPECT_FALSE(second.load());
            first = true;
            return 0;
        }));
        HoldUntil(first);
        tasks.push_back(crew.spawn([&] {
            second = true;
            over = true;
            return 0;
        }));
        HoldUntil(over);
        AwaitAll(tasks);
        return 0;
    }),
              0);
    EXPECT_EQ(crew.SpareThreads(), 1u);
}

TEST(ReliefLoops, AreNoneWhereTheyAreTurnedOff)
{
    Crew crew(2, 4, true, SKUA_RELIEF);
    Crew unwatched(2, 4, true, SKUA_SENTINEL);
    Crew alone(1, 4, true);

    EXPECT_EQ(crew->total, 2u);
    EXPECT_EQ(unwatched->total, 2u);
    EXPECT_EQ(alone->total, 1u);
    EXPECT_EQ(crew.Run([] { return 0; }), 0);
    EXPECT_EQ(unwatched.Run([] { return 0; }), 0);
    EXPECT_EQ(alone.Run([] { return 0; }), 0);
}

// Whether a task that is not done is among those of a loop.
bool IsListed(skua_loop *loop, skua_task *wanted)
{
    std::vector<skua_task *> tasks(64);
    const int64_t count = skua_all_tasks(loop, tasks.data(), tasks.size());
    bool found = false;

    EXPECT_LE(count, static_cast<int64_t>(tasks.size()));
    for (int64_t i = 0; i < count; i++) {
        found = found || tasks[static_cast<size_t>(i)] == wanted;
        skua_future_unref(tasks[static_cast<size_t>(i)]);
    }
    return found;
}

// What came to be on a spare loop goes on there when nobody is held any more.
TEST(ReliefLoops, GoOnWithWhatIsTheirs)
{
    SKIP_WITHOUT(kAll);
    Crew crew(2);

    EXPECT_EQ(crew.Run([&] {
        std::atomic<bool> over{false};
        std::atomic<skua_loop *> spare{nullptr};
        std::unique_ptr<Connection> connection;
        std::vector<Future> tasks = crew.HoldOthers(over);
        Future pinned;
        Future sleeper;
        Future reader;
        Future callback;

        tasks.push_back(crew.spawn([&] {
            skua_loop *here = skua_get_running_loop();

            spare = here;
            connection = std::make_unique<Connection>();
            callback = conformance::make_future(here);
            crew.later(here, SKUA_MS, [&] {
                EXPECT_EQ(skua_get_running_loop(), spare.load());
                EXPECT_EQ(skua_future_set_result(callback.get(), nullptr), 0);
            });
            pinned = crew.spawn_on(
                here,
                [&] {
                    for (int i = 0; i < 3; i++) {
                        EXPECT_EQ(skua_get_running_loop(), spare.load());
                        EXPECT_EQ(skua_sleep(SKUA_MS), 0);
                    }
                    return 0;
                },
                true);
            sleeper = crew.spawn([&] { return skua_sleep(2 * SKUA_MS); });
            reader = crew.spawn([&] { return connection->Take(); });
            over = true;
            return 0;
        }));
        HoldUntil(over);
        AwaitAll(tasks);
        EXPECT_TRUE(IsListed(crew.loop(0), reader.get()));
        EXPECT_FALSE(IsListed(crew.loop(1), reader.get()));
        EXPECT_TRUE(crew.IsSpare(spare.load()));
        EXPECT_EQ(skua_await(pinned.get(), nullptr), 0);
        EXPECT_EQ(skua_await(sleeper.get(), nullptr), 0);
        EXPECT_EQ(skua_await(callback.get(), nullptr), 0);
        connection->Put();
        EXPECT_EQ(skua_await(reader.get(), nullptr), 0);
        connection.reset();
        return 0;
    }),
              0);
}

// A tick may come to a spare loop first, since it passes those that are held.
TEST(ReliefLoops, HandATickOnToALoopThatSleeps)
{
    SKIP_WITHOUT(kAll);
    Crew crew(2, 1, true);

    crew.PretendThatItTicks();
    EXPECT_EQ(crew.Run([&] {
        std::atomic<bool> over{false};
        skua_loop *spare = crew.loop(2);
        int left = 8; /* after more the tick's pace is set */

        HoldUntil([&] { return crew.Sleeps(1) && crew.Sleeps(2); });
        const Future task = crew.spawn([&] {
            over = true;
            return 0;
        });
        HoldUntil([&] { /* the first look only sees it run */
                        if (left > 0 && crew.Sleeps(1) && crew.Sleeps(2)) {
                            left--;
                            crew.post(spare,
                                      [spare] { skui_relief_look(spare); });
                        }
                        return over.load();
        });
        EXPECT_EQ(skua_await(task.get(), nullptr), 0);
        const Future last = crew.spawn_on(
            spare, [] { return 0; }, true);

        EXPECT_EQ(skua_await(last.get(), nullptr), 0);
        return 0;
    }),
              0);
}

// Who runs on a spare loop need not know: it is set up like the others.
TEST(ReliefLoops, HaveTheSettingsOfTheFirst)
{
    SKIP_WITHOUT(kAll);
    conformance::Reports reports;
    Crew crew(2, 1, true);

    for (unsigned i = 0; i < 2; i++) {
        reports.install(crew.loop(i));
        EXPECT_EQ(skua_loop_set_slow_callback_duration(crew.loop(i), SKUA_S),
                  0);
        EXPECT_EQ(skua_loop_set_debug(crew.loop(i), true), 0);
    }
    EXPECT_EQ(crew.Run([&] {
        std::atomic<bool> over{false};
        std::vector<Future> tasks = crew.HoldOthers(over);

        tasks.push_back(crew.spawn([&] {
            skua_loop *here = skua_get_running_loop();

            EXPECT_TRUE(crew.IsSpare(here));
            EXPECT_TRUE(skua_loop_get_debug(here));
            EXPECT_EQ(skua_loop_get_slow_callback_duration(here), SKUA_S);
            (void)crew.spawn([] { return -ENOTTY; }); /* unread */
            over = true;
            return 0;
        }));
        HoldUntil(over);
        AwaitAll(tasks);
        return 0;
    }),
              0);
    crew.Close();
    EXPECT_EQ(reports.count(-ENOTTY), 1u);
}

// A spare loop that is held in work of its own is looked after like others.
TEST(ReliefLoops, AreLookedAfterThemselves)
{
    SKIP_WITHOUT(kAll);
    Crew crew(2, 1, true);

    EXPECT_EQ(crew.Run([&] {
        std::atomic<bool> held{false};
        std::atomic<bool> over{false};
        std::unique_ptr<Connection> connection;
        const Future go = conformance::make_future();
        const Future opened = crew.spawn_on(
            crew.loop(2),
            [&] {
                connection = std::make_unique<Connection>();
                return 0;
            },
            true);

        EXPECT_EQ(skua_await(opened.get(), nullptr), 0);
        const Future reader = crew.spawn([&] {
            EXPECT_EQ(connection->Take(), 0);
            over = true;
            return 0;
        });
        const Future hog = crew.spawn_on(
            crew.loop(2),
            [&] {
                EXPECT_EQ(skua_await(go.get(), nullptr), 0);
                held = true;
                HoldUntil(over);
                return 0;
            },
            true);
        std::thread other([&] {
            /* all asleep, and unwatched */
            HoldUntil([&] {
                return crew.Sleeps(0) && crew.Sleeps(1) && crew.Sleeps(2) &&
                       !skui_load_acquire(&crew->sentinel.is_on);
            });
            EXPECT_EQ(skua_future_set_result(go.get(), nullptr), 0);
            HoldUntil(held);
            connection->Put();
        });

        EXPECT_EQ(skua_await(hog.get(), nullptr), 0);
        EXPECT_EQ(skua_await(reader.get(), nullptr), 0);
        other.join();
        connection.reset();
        return 0;
    }),
              0);
}

TEST(ReliefLoops, AreHeldWhileTheRunnerIsClosed)
{
    SKIP_WITHOUT(kAll);
    std::atomic<bool> closing{false};
    std::atomic<int> ended{0};
    std::vector<Future> tasks;
    Crew crew(2);

    EXPECT_EQ(crew.Run([&] {
        std::atomic<bool> over{false};
        std::atomic<int> held{0};
        std::vector<Future> others = crew.HoldOthers(over);

        for (int i = 0; i < 2; i++) {
            tasks.push_back(crew.spawn([&] {
                EXPECT_TRUE(crew.IsSpare(skua_get_running_loop()));
                held++;
                HoldUntil(closing);
                ended++;
                return 0;
            }));
        }
        HoldUntil([&] { return held.load() == 2; });
        over = true;
        AwaitAll(others);
        tasks.push_back(crew.spawn([&] { /* is cancelled, then ends
                                            the hold */
                                         EXPECT_EQ(skua_sleep(SKUA_FOREVER),
                                                   SKUA_ECANCELED);
                                         closing = true;
                                         return SKUA_ECANCELED;
        }));
        EXPECT_EQ(skua_yield(), 0);
        return 0;
    }),
              0);
    crew.Close();
    EXPECT_EQ(ended.load(), 2);
    for (const Future &task : tasks) {
        EXPECT_TRUE(skua_future_done(task.get()));
    }
}

// --- one event, two tasks, and the loop that polls counts as asleep ---

TEST(Park, DoesNotTakeItselfForASleeperToBeWoken)
{
    Crew crew(2, 0, false, SKUA_SENTINEL);

    EXPECT_EQ(crew.Run([&] {
        std::atomic<bool> over{false};
        std::vector<Future> held = crew.HoldOthers(over);
        int fds[2] = {-1, -1};
        skua_socket *socket = nullptr;
        std::vector<char> block(1u << 20, 'x');
        std::atomic<int> ended{0};

        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        EXPECT_EQ(skua_socket_new(fds[0], &socket), 0);
        const Future reader = crew.spawn([&] {
            char byte;
            ssize_t got = skua_sock_recv_into(socket, &byte, 1);

            EXPECT_TRUE(got == 0 || got == -ECONNRESET) << got;
            ended++;
            return 0;
        });
        const Future writer = crew.spawn([&] {
            EXPECT_LT(skua_sock_sendall(socket, block.data(), block.size()), 0);
            ended++;
            return 0;
        });
        std::thread other([&] {
            HoldUntil([&] { return crew.Sleeps(0); });
            close(fds[1]);
        });

        /* two such tasks are worth a wake */
        crew.loop(0)->idle.slice_ticks = skui_clock_ticks_of(SKUA_S);
        EXPECT_EQ(skua_await(reader.get(), nullptr), 0);
        EXPECT_EQ(skua_await(writer.get(), nullptr), 0);
        EXPECT_EQ(ended.load(), 2);
        other.join();
        over = true;
        AwaitAll(held);
        skua_socket_unref(socket);
        return 0;
    }),
              0);
}

// --- blocking ---

namespace
{

// Work of all kinds that a blocked step waits for.
void BlockUntilAllIsDone(Crew *crew)
{
    std::atomic<int> done{0};
    Connection connection;
    int64_t due_ns = skua_monotonic() + SKUA_MS;
    const Future sleeper = crew->spawn([&] {
        EXPECT_EQ(skua_sleep_until(due_ns), 0);
        return done++, 0;
    });
    const Future reader = crew->spawn([&] {
        EXPECT_EQ(connection.Take(), 0);
        EXPECT_EQ(connection.Take(), 0);
        return done++, 0;
    });

    EXPECT_EQ(skua_yield(), 0);
    EXPECT_EQ(skua_yield(), 0);
    const Future ready = crew->spawn([&] { return done++, 0; });

    HoldUntil([due_ns] { return skua_monotonic() > due_ns; });
    connection.Put();
    EXPECT_EQ(skua_blocking_begin(), 0);
    HoldUntil([&] { return done.load() == 2; });
    connection.Put(); /* its keeper sleeps by now, or will look */
    if (crew->Has(SKUA_NESTING)) {
        HoldUntil([&] { return done.load() == 3; });
    }
    EXPECT_EQ(skua_blocking_end(), 0);
    EXPECT_EQ(skua_await(sleeper.get(), nullptr), 0);
    EXPECT_EQ(skua_await(reader.get(), nullptr), 0);
    EXPECT_EQ(skua_await(ready.get(), nullptr), 0);
}

} // namespace

TEST(Blocking, GivesTheLoopToASleepingOneAtOnce)
{
    SKIP_WITHOUT(SKUA_SENTINEL | SKUA_REVOCATION);
    Crew crew(2);

    crew.PretendThatItTicks(); /* so there is only one look */
    EXPECT_EQ(crew.Run([&] {
        HoldUntil([&] { return crew.Sleeps(1); });
        BlockUntilAllIsDone(&crew);
        return 0;
    }),
              0);
}

TEST(Blocking, GivesTheLoopToASpareOneWhenNoneSleeps)
{
    SKIP_WITHOUT(kAll);
    for (bool started : {false, true}) {
        Crew crew(2, 1, started);

        crew.PretendThatItTicks();
        EXPECT_EQ(crew.Run([&] {
            std::atomic<bool> over{false};
            std::vector<Future> held = crew.HoldOthers(over);

            HoldUntil([&] { return !started || crew.Sleeps(2); });
            BlockUntilAllIsDone(&crew);
            over = true;
            AwaitAll(held);
            return 0;
        }),
                  0);
    }
}

TEST(Blocking, MayBeMisused)
{
    Crew crew(2);
    conformance::Loop alone;
    int calls = 0;

    EXPECT_EQ(skua_blocking_begin(), SKUA_ENOLOOP);
    EXPECT_EQ(skua_blocking_end(), SKUA_ENOLOOP);
    EXPECT_EQ(crew.Run([&] {
        skua_loop *loop = skua_get_running_loop();

        EXPECT_EQ(skua_blocking_end(), 0);
        EXPECT_EQ(skua_blocking_begin(), 0);
        EXPECT_EQ(skua_blocking_begin(), 0);
        EXPECT_EQ(skua_blocking_end(), 0);
        EXPECT_FALSE(skui_load_relaxed(&loop->blocked));
        EXPECT_EQ(skua_blocking_end(), 0);
        crew.soon(loop, [&] {
            EXPECT_EQ(skua_blocking_begin(), 0);
            EXPECT_EQ(skua_blocking_end(), 0);
            calls++;
        });
        crew.soon(loop, [&] {
            EXPECT_EQ(skua_blocking_begin(), 0);
            calls++; /* and does not end it */
        });
        const Future pinned = crew.spawn_on(
            loop,
            [&] {
                EXPECT_EQ(skua_yield(), 0);
                EXPECT_EQ(skua_yield(), 0);
                EXPECT_FALSE(skui_load_relaxed(&loop->blocked));
                return 0;
            },
            true);

        EXPECT_EQ(skua_await(pinned.get(), nullptr), 0);
        return 0;
    }),
              0);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(crew.run(alone,
                       [] {
                           EXPECT_EQ(skua_blocking_begin(), 0);
                           EXPECT_EQ(skua_blocking_end(), 0);
                           return 0;
                       }),
              0);
}
