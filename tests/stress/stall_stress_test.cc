// SPDX-License-Identifier: Apache-2.0
// Steps that hold their loop up for 0 to 5 ms, at random, among all that others
// must take over meanwhile: no event, timer or task is lost or comes twice, and
// what is pinned runs on its loop.
#include "../conformance/support.h"
#include "seed.h"

#include <array>
#include <cstring>

#include <sys/socket.h>
#include <time.h>

namespace
{

using conformance::Future;
using conformance::Handle;
using conformance::kRaceDetector;
using conformance::Log;
using stress::Random;

constexpr int kTurns = kRaceDetector ? 50 : 150;
constexpr int kEchoes = 6;
constexpr int kSleepers = 8;
constexpr int kItems = 200;
constexpr int kProducers = 3;
constexpr int kConsumers = 3;
constexpr int kTimers = 150;
constexpr int kInjected = 60;
constexpr unsigned kLongestStallUs = 5000;

void Burn(int64_t ns)
{
    const int64_t end_ns = skua_monotonic() + ns;

    while (skua_monotonic() < end_ns) {
    }
}

void Block(int64_t ns)
{
    const timespec time = {0, static_cast<long>(ns)};

    (void)nanosleep(&time, nullptr);
}

// Mostly nothing; else a computation, or a system call that may be announced.
void Stall(Random &random)
{
    const int64_t ns = SKUA_US * random.below(kLongestStallUs);

    switch (random.below(48)) {
    case 0:
        Burn(ns);
        break;
    case 1:
        Block(ns);
        break;
    case 2:
        EXPECT_EQ(skua_blocking_begin(), 0);
        Block(ns);
        EXPECT_EQ(skua_blocking_end(), 0);
        break;
    case 3:
        EXPECT_EQ(skua_blocking_begin(), 0); /* and does not end it */
        Burn(ns / 4);
        break;
    default:
        break;
    }
}

// How often each of some things has happened.
class Tally
{
  public:
    explicit Tally(int count) : counts_(static_cast<size_t>(count))
    {
    }
    void Add(int which)
    {
        counts_[static_cast<size_t>(which)]++;
    }
    void ExpectEach(int times) const
    {
        for (size_t i = 0; i < counts_.size(); i++) {
            EXPECT_EQ(counts_[i].load(), times) << i;
        }
    }

  private:
    std::vector<std::atomic<int>> counts_;
};

struct Message {
    uint32_t stream;
    uint32_t number;
};

int Receive(skua_socket *socket, Message *message)
{
    auto *bytes = reinterpret_cast<char *>(message);

    for (size_t done = 0; done < sizeof(*message);) {
        ssize_t got =
            skua_sock_recv_into(socket, bytes + done, sizeof(*message) - done);

        if (got <= 0) {
            EXPECT_EQ(got, 0);
            return SKUA_EOF;
        }
        done += static_cast<size_t>(got);
    }
    return 0;
}

class StallStress : public conformance::Harness
{
  protected:
    // A task of the next loop; every third is pinned, and then stays there.
    void Start(std::function<void(Random &, const std::function<void()> &)> fn)
    {
        skua_loop *loop = loops_[next_ % loops_.size()];
        const bool pinned = next_ % 3 == 0;

        next_++;
        tasks_.push_back(spawn_on(
            loop,
            [fn = std::move(fn), loop, pinned, seed = random_.next()] {
                Random random(seed);

                fn(random, [&random, loop, pinned] {
                    Stall(random);
                    if (pinned) {
                        EXPECT_EQ(skua_get_running_loop(), loop);
                    }
                });
                return 0;
            },
            pinned));
    }

    void StartEcho(uint32_t stream)
    {
        auto ends = std::make_shared<std::array<conformance::Socket, 2>>();
        int fds[2];

        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        for (size_t i = 0; i < 2; i++) {
            skua_socket *socket = nullptr;

            EXPECT_EQ(skua_socket_new(fds[i], &socket), 0);
            (*ends)[i].reset(socket);
        }
        Start([ends](Random &, const auto &stall) {
            Message message;

            while (Receive((*ends)[0].get(), &message) == 0) {
                stall();
                EXPECT_EQ(skua_sock_sendall((*ends)[0].get(), &message,
                                            sizeof(message)),
                          0);
            }
        });
        Start([this, ends, stream](Random &, const auto &stall) {
            for (uint32_t i = 0; i < kTurns; i++) {
                Message message = {stream, i};

                EXPECT_EQ(skua_sock_sendall((*ends)[1].get(), &message,
                                            sizeof(message)),
                          0);
                stall();
                EXPECT_EQ(Receive((*ends)[1].get(), &message), 0);
                EXPECT_EQ(message.stream, stream);
                EXPECT_EQ(message.number, i);
                echoed_++;
            }
            EXPECT_EQ(skua_sock_shutdown((*ends)[1].get(), SHUT_WR), 0);
        });
    }

    void StartSleeper()
    {
        Start([this](Random &random, const auto &stall) {
            for (int i = 0; i < kTurns; i++) {
                const int64_t due_ns =
                    skua_monotonic() + SKUA_US * random.below(1000);

                EXPECT_EQ(skua_sleep_until(due_ns), 0);
                EXPECT_GE(skua_monotonic(), due_ns);
                stall();
                slept_++;
            }
        });
    }

    // Each producer puts its items in order; each item is got once.
    void StartProducer(skua_queue *queue, int first)
    {
        Start([queue, first](Random &, const auto &stall) {
            for (int i = first; i < kItems; i += kProducers) {
                EXPECT_EQ(skua_queue_put(queue, conformance::as_pointer(i + 1)),
                          0);
                stall();
            }
        });
    }

    void StartConsumer(skua_queue *queue, Tally *items)
    {
        Start([queue, items](Random &random, const auto &stall) {
            void *item = nullptr;
            int status;

            do {
                status = skua_queue_get_until(queue, &item,
                                              skua_monotonic() +
                                                  SKUA_US * random.below(3000));
                if (status == 0) {
                    items->Add(static_cast<int>(conformance::as_int(item)) - 1);
                    EXPECT_EQ(skua_queue_task_done(queue), 0);
                }
                stall();
            } while (status == 0 || status == -ETIMEDOUT);
            EXPECT_EQ(status, SKUA_ESHUTDOWN);
        });
    }

    // Callbacks of several loops; of each fourth its task cancels.
    void StartTimers(Tally *runs)
    {
        for (size_t k = 0; k < loops_.size(); k++) {
            skua_loop *loop = loops_[k];

            tasks_.push_back(spawn_on(
                loop,
                [this, loop, runs, k, seed = random_.next()] {
                    Random random(seed);
                    int64_t last_ns = 0;

                    for (int i = static_cast<int>(k); i < kTimers;
                         i += static_cast<int>(loops_.size())) {
                        const int64_t due_ns =
                            skua_monotonic() + SKUA_US * random.below(5000);
                        auto ran = std::make_shared<bool>(false);
                        const Handle handle = at(loop, due_ns, [=] {
                            EXPECT_EQ(skua_get_running_loop(), loop);
                            EXPECT_GE(skua_monotonic(), due_ns);
                            runs->Add(i);
                            *ran = true;
                        });

                        last_ns = due_ns > last_ns ? due_ns : last_ns;
                        Stall(random);
                        if (i % 4 == 0 && !*ran) {
                            skua_handle_cancel(handle.get());
                            runs->Add(i); /* it must not run as well */
                        }
                        if (i % 5 == 0) {
                            EXPECT_EQ(skua_yield(), 0);
                        }
                    }
                    EXPECT_EQ(skua_sleep_until(last_ns + SKUA_MS), 0);
                    EXPECT_EQ(skua_yield(), 0);
                    return 0;
                },
                true));
        }
    }

    // Tasks and callbacks from a plain thread.
    std::thread StartInjector(Tally *tasks, Tally *calls)
    {
        return std::thread([this, tasks, calls, seed = random_.next()] {
            Random random(seed);
            std::vector<Future> injected;

            for (int i = 0; i < kInjected; i++) {
                skua_loop *loop =
                    loops_[static_cast<size_t>(i) % loops_.size()];
                const bool pinned = i % 3 == 0;

                injected.push_back(spawn_on(
                    loop,
                    [=, seed = random.next()] {
                        Random own(seed);

                        Stall(own);
                        EXPECT_EQ(skua_yield(), 0);
                        if (pinned) {
                            EXPECT_EQ(skua_get_running_loop(), loop);
                        }
                        tasks->Add(i);
                        return 0;
                    },
                    pinned));
                post(loop, [=] {
                    EXPECT_EQ(skua_get_running_loop(), loop);
                    calls->Add(i);
                });
                std::this_thread::yield();
            }
            const std::scoped_lock lock(injected_mutex_);
            injected_ = std::move(injected);
        });
    }

    void AwaitTasks()
    {
        for (const Future &task : tasks_) {
            EXPECT_EQ(skua_await(task.get(), nullptr), 0);
        }
        tasks_.clear();
    }

    void AwaitInjected(std::thread thread)
    {
        EXPECT_EQ(skua_blocking_begin(), 0);
        thread.join();
        EXPECT_EQ(skua_blocking_end(), 0);
        for (const Future &task : injected_) {
            EXPECT_EQ(skua_await(task.get(), nullptr), 0);
        }
        settle(); /* the last callbacks have run */
    }

    int Play()
    {
        skua_queue queue = {};
        Tally items(kItems);
        Tally timers(kTimers);
        Tally tasks(kInjected);
        Tally calls(kInjected);

        loops_ = loops();
        EXPECT_EQ(skua_queue_init(&queue, 8), 0);
        for (int i = 0; i < kConsumers; i++) {
            StartConsumer(&queue, &items);
        }
        std::vector<Future> consumers = std::move(tasks_);

        tasks_.clear();
        for (uint32_t i = 0; i < kEchoes; i++) {
            StartEcho(i);
        }
        for (int i = 0; i < kSleepers; i++) {
            StartSleeper();
        }
        for (int i = 0; i < kProducers; i++) {
            StartProducer(&queue, i);
        }
        StartTimers(&timers);
        AwaitInjected(StartInjector(&tasks, &calls));
        AwaitTasks();
        EXPECT_EQ(skua_queue_join(&queue), 0);
        EXPECT_EQ(skua_queue_shutdown(&queue, false), 0);
        tasks_ = std::move(consumers);
        AwaitTasks();
        EXPECT_EQ(skua_queue_fini(&queue), 0);
        items.ExpectEach(1);
        timers.ExpectEach(1);
        tasks.ExpectEach(1);
        calls.ExpectEach(1);
        EXPECT_EQ(echoed_.load(), kEchoes * kTurns);
        EXPECT_EQ(slept_.load(), kSleepers * kTurns);
        return 0;
    }

  private:
    Random random_{stress::print_seed()};
    std::vector<skua_loop *> loops_;
    std::vector<Future> tasks_;
    size_t next_ = 0;
    std::mutex injected_mutex_;
    std::vector<Future> injected_;
    std::atomic<int> echoed_ = 0;
    std::atomic<int> slept_ = 0;
};

} // namespace

TEST_P(StallStress, LosesNothingAndRunsNothingTwice)
{
    EXPECT_EQ(run([this] { return Play(); }), 0);
}

INSTANTIATE_TEST_SUITE_P(Loops, StallStress, testing::Values(1, 2, 4, 8));
