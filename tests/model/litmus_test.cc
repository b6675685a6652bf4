// SPDX-License-Identifier: Apache-2.0
/*
 * The explorer's own tests: the shapes by which memory models are told apart.
 * Each has all outcomes that C11 allows (RC11: see memory.h), and no other.
 */
#include "explorer.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "atomic.h"

namespace
{

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kAcqRel = std::memory_order_acq_rel;
constexpr auto kSeqCst = std::memory_order_seq_cst;

/* Locations and what threads have read. */
struct Memory {
    std::atomic<int> x{0};
    std::atomic<int> y{0};
    std::atomic<int> z{0};
    std::array<int, 4> r{};
    int plain = 0;
};

using Body = void (*)(Memory &);
using Outcomes = std::set<std::string>;

int Load(std::atomic<int> &from, std::memory_order order)
{
    return SKUI_ATOMIC_LOAD(&from, order);
}

void Store(std::atomic<int> &to, int value, std::memory_order order)
{
    SKUI_ATOMIC_STORE(&to, value, order);
}

int Add(std::atomic<int> &to, int value, std::memory_order order)
{
    return SKUI_ATOMIC_ADD(&to, value, order);
}

struct Searched {
    Outcomes outcomes;
    model::Report report;
};

/* All outcomes: the first `count` registers, or by `show`. */
Searched Search(const std::vector<Body> &bodies, size_t count,
                int (*show)(Memory &) = nullptr,
                const model::Options &options = {})
{
    Searched searched;

    searched.report = model::Explore(
        [&](model::Run &run) {
            auto *memory = run.New<Memory>();

            for (const Body body : bodies) {
                run.Thread("thread", [body, memory] { body(*memory); });
            }
            run.Finally([&, memory] {
                std::string outcome;

                for (size_t i = 0; i < count; i++) {
                    outcome += std::to_string(memory->r[i]);
                }
                if (show != nullptr) {
                    outcome += std::to_string(show(*memory));
                }
                searched.outcomes.insert(outcome);
            });
        },
        options);
    return searched;
}

Outcomes OutcomesOf(const std::vector<Body> &bodies, size_t count)
{
    const Searched searched = Search(bodies, count);

    EXPECT_TRUE(searched.report.holds()) << searched.report.text();
    return searched.outcomes;
}

template <std::memory_order store, std::memory_order load>
Outcomes StoreBuffering()
{
    return OutcomesOf({[](Memory &m) {
                           Store(m.x, 1, store);
                           m.r[0] = Load(m.y, load);
                       },
                       [](Memory &m) {
                           Store(m.y, 1, store);
                           m.r[1] = Load(m.x, load);
                       }},
                      2);
}

TEST(LitmusStoreBuffering, IsForbiddenBySeqCstOnly)
{
    const Outcomes all = {"00", "01", "10", "11"};

    EXPECT_EQ((StoreBuffering<kRelaxed, kRelaxed>()), all);
    EXPECT_EQ((StoreBuffering<kRelease, kAcquire>()), all);
    EXPECT_EQ((StoreBuffering<kSeqCst, kAcquire>()), all);
    EXPECT_EQ((StoreBuffering<kRelease, kSeqCst>()), all);
    EXPECT_EQ((StoreBuffering<kSeqCst, kSeqCst>()),
              (Outcomes{"01", "10", "11"}));
}

TEST(LitmusStoreBuffering, IsForbiddenByFences)
{
    const Outcomes found = OutcomesOf({[](Memory &m) {
                                           Store(m.x, 1, kRelaxed);
                                           model::FenceSeqCst();
                                           m.r[0] = Load(m.y, kRelaxed);
                                       },
                                       [](Memory &m) {
                                           Store(m.y, 1, kRelaxed);
                                           model::FenceSeqCst();
                                           m.r[1] = Load(m.x, kRelaxed);
                                       }},
                                      2);

    EXPECT_EQ(found, (Outcomes{"01", "10", "11"}));
}

TEST(LitmusStoreBuffering, IsForbiddenByABarrierInAllThreads)
{
    const Outcomes found = OutcomesOf({[](Memory &m) {
                                           Store(m.x, 1, kRelaxed);
                                           m.r[0] = Load(m.y, kRelaxed);
                                       },
                                       [](Memory &m) {
                                           Store(m.y, 1, kRelaxed);
                                           model::Membarrier();
                                           m.r[1] = Load(m.x, kRelaxed);
                                       }},
                                      2);

    EXPECT_EQ(found, (Outcomes{"01", "10", "11"}));
}

/* A read-modify-write orders its own location only. */
TEST(LitmusStoreBuffering, IsAllowedWithAcquireReleaseUpdates)
{
    const Outcomes found = OutcomesOf({[](Memory &m) {
                                           (void)Add(m.x, 1, kAcqRel);
                                           m.r[0] = Load(m.y, kAcquire);
                                       },
                                       [](Memory &m) {
                                           (void)Add(m.y, 1, kAcqRel);
                                           m.r[1] = Load(m.x, kAcquire);
                                       }},
                                      2);

    EXPECT_EQ(found, (Outcomes{"00", "01", "10", "11"}));
}

template <std::memory_order store, std::memory_order load>
Outcomes MessagePassing()
{
    return OutcomesOf({[](Memory &m) {
                           Store(m.x, 1, kRelaxed);
                           Store(m.y, 1, store);
                       },
                       [](Memory &m) {
                           m.r[0] = Load(m.y, load);
                           m.r[1] = Load(m.x, kRelaxed);
                       }},
                      2);
}

TEST(LitmusMessagePassing, NeedsReleaseAndAcquire)
{
    const Outcomes all = {"00", "01", "10", "11"};
    const Outcomes passed = {"00", "01", "11"};

    EXPECT_EQ((MessagePassing<kRelaxed, kRelaxed>()), all);
    EXPECT_EQ((MessagePassing<kRelease, kRelaxed>()), all);
    EXPECT_EQ((MessagePassing<kRelaxed, kAcquire>()), all);
    EXPECT_EQ((MessagePassing<kRelease, kAcquire>()), passed);
    EXPECT_EQ((MessagePassing<kSeqCst, kSeqCst>()), passed);
}

TEST(LitmusMessagePassing, OfPlainMemoryIsARaceUnlessItIsOrdered)
{
    const auto search = [](auto ordered) {
        constexpr bool is_ordered = decltype(ordered)::value;

        return Search({[](Memory &m) {
                           model::Plain(&m.plain, sizeof(m.plain), true);
                           Store(m.y, 1, is_ordered ? kRelease : kRelaxed);
                       },
                       [](Memory &m) {
                           if (Load(m.y, kAcquire) == 1) {
                               model::Plain(&m.plain, sizeof(m.plain), false);
                           }
                       }},
                      0)
            .report;
    };

    EXPECT_TRUE(search(std::true_type{}).holds());
    EXPECT_NE(search(std::false_type{}).error.find("data race"),
              std::string::npos);
}

/* A fence orders what may be read, but synchronises only by a read. */
TEST(LitmusMessagePassing, FencesAloneDoNotOrderPlainMemory)
{
    const model::Report report =
        Search({[](Memory &m) {
                    model::Plain(&m.plain, sizeof(m.plain), true);
                    model::FenceSeqCst();
                },
                [](Memory &m) {
                    model::FenceSeqCst();
                    model::Plain(&m.plain, sizeof(m.plain), false);
                }},
               0)
            .report;

    EXPECT_NE(report.error.find("data race"), std::string::npos);
}

TEST(LitmusMessagePassing, ByFencesAroundRelaxedAccesses)
{
    const Outcomes found = OutcomesOf({[](Memory &m) {
                                           Store(m.x, 1, kRelaxed);
                                           model::FenceSeqCst();
                                           Store(m.y, 1, kRelaxed);
                                       },
                                       [](Memory &m) {
                                           m.r[0] = Load(m.y, kRelaxed);
                                           model::FenceSeqCst();
                                           m.r[1] = Load(m.x, kRelaxed);
                                       }},
                                      2);

    EXPECT_EQ(found, (Outcomes{"00", "01", "11"}));
}

/* RC11, and all compilers and cores that keep loads before later stores. */
TEST(LitmusLoadBuffering, IsForbidden)
{
    const Outcomes found = OutcomesOf({[](Memory &m) {
                                           m.r[0] = Load(m.y, kRelaxed);
                                           Store(m.x, 1, kRelaxed);
                                       },
                                       [](Memory &m) {
                                           m.r[1] = Load(m.x, kRelaxed);
                                           Store(m.y, 1, kRelaxed);
                                       }},
                                      2);

    EXPECT_EQ(found, (Outcomes{"00", "01", "10"}));
}

template <std::memory_order store, std::memory_order load>
bool IndependentReadsDisagree()
{
    const Outcomes found = OutcomesOf({[](Memory &m) { Store(m.x, 1, store); },
                                       [](Memory &m) { Store(m.y, 1, store); },
                                       [](Memory &m) {
                                           m.r[0] = Load(m.x, load);
                                           m.r[1] = Load(m.y, load);
                                       },
                                       [](Memory &m) {
                                           m.r[2] = Load(m.y, load);
                                           m.r[3] = Load(m.x, load);
                                       }},
                                      4);

    EXPECT_GE(found.size(), 15U);
    return found.count("1010") != 0;
}

TEST(LitmusIndependentReads, MayDisagreeUnlessAllIsSeqCst)
{
    EXPECT_TRUE((IndependentReadsDisagree<kRelaxed, kRelaxed>()));
    EXPECT_TRUE((IndependentReadsDisagree<kRelease, kAcquire>()));
    EXPECT_TRUE((IndependentReadsDisagree<kSeqCst, kAcquire>()));
    EXPECT_FALSE((IndependentReadsDisagree<kSeqCst, kSeqCst>()));
}

TEST(LitmusCoherence, ReadsOfOneLocationNeverGoBack)
{
    const Outcomes found = OutcomesOf({[](Memory &m) {
                                           Store(m.x, 1, kRelaxed);
                                           Store(m.x, 2, kRelaxed);
                                       },
                                       [](Memory &m) {
                                           m.r[0] = Load(m.x, kRelaxed);
                                           m.r[1] = Load(m.x, kRelaxed);
                                       }},
                                      2);

    EXPECT_EQ(found, (Outcomes{"00", "01", "02", "11", "12", "22"}));
}

TEST(LitmusCoherence, TwoReadersAgreeOnTheOrderOfTwoStores)
{
    const Outcomes found =
        OutcomesOf({[](Memory &m) { Store(m.x, 1, kRelaxed); },
                    [](Memory &m) { Store(m.x, 2, kRelaxed); },
                    [](Memory &m) {
                        m.r[0] = Load(m.x, kRelaxed);
                        m.r[1] = Load(m.x, kRelaxed);
                    },
                    [](Memory &m) {
                        m.r[2] = Load(m.x, kRelaxed);
                        m.r[3] = Load(m.x, kRelaxed);
                    }},
                   4);

    EXPECT_EQ(found.count("1221"), 0U);
    EXPECT_EQ(found.count("2112"), 0U);
    EXPECT_EQ(found.count("1212"), 1U);
    EXPECT_EQ(found.count("2121"), 1U);
}

TEST(LitmusCoherence, AStoreIsNotBeforeWhatItsThreadHasSeen)
{
    const Searched searched =
        Search({[](Memory &m) {
                    m.r[0] = Load(m.x, kRelaxed);
                    Store(m.x, 1, kRelaxed);
                },
                [](Memory &m) { Store(m.x, 2, kRelaxed); }},
               1, [](Memory &m) { return Load(m.x, kRelaxed); });

    /* It read 2, so 1 is last. */
    EXPECT_EQ(searched.outcomes, (Outcomes{"01", "02", "21"}));
}

/* Stores to two locations may be ordered each against the program. */
TEST(LitmusTwoWrites, MayBothBeFirstUnlessTheyAreSeqCst)
{
    const auto last = [](Memory &m) {
        return Load(m.x, kRelaxed) * 10 + Load(m.y, kRelaxed);
    };
    const Searched relaxed = Search({[](Memory &m) {
                                         Store(m.x, 1, kRelaxed);
                                         Store(m.y, 2, kRelaxed);
                                     },
                                     [](Memory &m) {
                                         Store(m.y, 1, kRelaxed);
                                         Store(m.x, 2, kRelaxed);
                                     }},
                                    0, last);
    const Searched strict = Search({[](Memory &m) {
                                        Store(m.x, 1, kSeqCst);
                                        Store(m.y, 2, kSeqCst);
                                    },
                                    [](Memory &m) {
                                        Store(m.y, 1, kSeqCst);
                                        Store(m.x, 2, kSeqCst);
                                    }},
                                   0, last);

    EXPECT_EQ(relaxed.outcomes, (Outcomes{"11", "12", "21", "22"}));
    EXPECT_EQ(strict.outcomes, (Outcomes{"12", "21", "22"}));
}

TEST(LitmusReleaseSequence, GoesOnThroughUpdatesButNotThroughStores)
{
    const auto search = [](auto by_update) {
        constexpr bool updates = decltype(by_update)::value;

        return OutcomesOf({[](Memory &m) {
                               Store(m.x, 1, kRelaxed);
                               Store(m.y, 1, kRelease);
                           },
                           [](Memory &m) {
                               if (updates) {
                                   (void)Add(m.y, 1, kRelaxed);
                               } else if (Load(m.y, kRelaxed) == 1) {
                                   Store(m.y, 2, kRelaxed);
                               }
                           },
                           [](Memory &m) {
                               m.r[0] = Load(m.y, kAcquire);
                               m.r[1] = Load(m.x, kRelaxed);
                           }},
                          2);
    };

    EXPECT_EQ(search(std::true_type{}).count("20"), 0U);
    EXPECT_EQ(search(std::false_type{}).count("20"), 1U);
}

/* What is read is passed on: happens-before is transitive. */
TEST(LitmusCausality, CrossesThreads)
{
    const Outcomes found = OutcomesOf({[](Memory &m) {
                                           Store(m.x, 1, kRelaxed);
                                           Store(m.y, 1, kRelease);
                                       },
                                       [](Memory &m) {
                                           if (Load(m.y, kAcquire) == 1) {
                                               Store(m.z, 1, kRelease);
                                           }
                                       },
                                       [](Memory &m) {
                                           m.r[0] = Load(m.z, kAcquire);
                                           m.r[1] = Load(m.x, kRelaxed);
                                       }},
                                      2);

    EXPECT_EQ(found, (Outcomes{"00", "01", "11"}));
}

TEST(LitmusUpdates, AreNeverLost)
{
    const auto add = [](Memory &m) { (void)Add(m.x, 1, kRelaxed); };
    const Searched searched = Search(
        {add, add, add}, 0, [](Memory &m) { return Load(m.x, kRelaxed); });

    EXPECT_EQ(searched.outcomes, (Outcomes{"3"}));
}

TEST(LitmusUpdates, AFailedCompareAndSwapIsOnlyALoad)
{
    const Outcomes found = OutcomesOf(
        {[](Memory &m) {
             Store(m.x, 1, kRelaxed);
             Store(m.y, 1, kRelease);
         },
         [](Memory &m) {
             int expected = 7;

             m.r[0] = SKUI_ATOMIC_CAS(&m.y, &expected, 8, kRelaxed, kRelaxed)
                          ? 9
                          : 0;
             m.r[1] = expected;
             m.r[2] = Load(m.x, kRelaxed);
         }},
        3);

    EXPECT_EQ(found, (Outcomes{"000", "001", "010", "011"}));
}

/* --- the search itself --- */

model::Options Bounded(int preemptions)
{
    model::Options options;

    options.preemptions = preemptions;
    return options;
}

model::Options Replaying(const model::Report &report)
{
    model::Options options;

    options.replay = report.replay;
    return options;
}

TEST(ExplorerReduction, FindsTheSameOutcomesWithAndWithoutIt)
{
    const std::vector<Body> bodies = {[](Memory &m) {
                                          Store(m.x, 1, kRelaxed);
                                          m.r[0] = Load(m.y, kAcquire);
                                          (void)Add(m.z, 1, kAcqRel);
                                      },
                                      [](Memory &m) {
                                          Store(m.y, 1, kRelease);
                                          m.r[1] = Load(m.x, kRelaxed);
                                      },
                                      [](Memory &m) {
                                          m.r[2] = Add(m.z, 2, kAcqRel);
                                          m.r[3] = Load(m.y, kRelaxed);
                                      }};
    const Searched reduced = Search(bodies, 4);
    const Searched full = Search(bodies, 4, nullptr, Bounded(100));

    EXPECT_TRUE(full.report.holds());
    EXPECT_EQ(reduced.outcomes, full.outcomes);
    EXPECT_LT(reduced.report.runs, full.report.runs / 2);
}

TEST(ExplorerPreemptions, BoundWhatIsSearched)
{
    const std::vector<Body> bodies = {
        [](Memory &m) {
            (void)Add(m.x, 1, kSeqCst);
            m.r[0] = Load(m.x, kSeqCst);
        },
        [](Memory &m) { (void)Add(m.x, 1, kSeqCst); }};

    EXPECT_EQ(Search(bodies, 1, nullptr, Bounded(0)).outcomes,
              (Outcomes{"1", "2"}));
    EXPECT_EQ(Search(bodies, 1, nullptr, Bounded(1)).outcomes,
              (Outcomes{"1", "2"}));
}

TEST(ExplorerErrors, ComeWithATraceThatReplays)
{
    const model::Scenario scenario = [](model::Run &run) {
        auto *memory = run.New<Memory>();

        run.Thread("one", [memory] { Store(memory->x, 1, kRelaxed); });
        run.Thread("two", [memory] {
            model::Require(Load(memory->x, kRelaxed) == 0, "x is 0");
        });
    };
    const model::Report found = model::Explore(scenario);
    const model::Report again = model::Explore(scenario, Replaying(found));

    EXPECT_EQ(found.error, "not so: x is 0");
    EXPECT_NE(found.trace.find("store relaxed"), std::string::npos);
    EXPECT_EQ(again.error, found.error);
    EXPECT_EQ(again.runs, 1U);
}

TEST(ExplorerErrors, RandomRunsReplayAsWell)
{
    const model::Scenario scenario = [](model::Run &run) {
        auto *memory = run.New<Memory>();

        run.Thread("one", [memory] { Store(memory->x, 1, kRelaxed); });
        run.Thread("two", [memory] {
            model::Require(Load(memory->x, kRelaxed) == 0, "x is 0");
        });
    };
    model::Options random;

    random.random_runs = 1000;
    random.seed = 7;
    const model::Report found = model::Explore(scenario, random);

    ASSERT_EQ(found.error, "not so: x is 0");
    EXPECT_EQ(model::Explore(scenario, Replaying(found)).error, found.error);
}

TEST(ExplorerErrors, DeadlocksAreSeen)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *memory = run.New<Memory>();

        run.Thread("waiter", [memory] {
            while (Load(memory->x, kAcquire) == 0) {
                model::GiveWay();
            }
        });
        run.Thread("other", [memory] {
            if (Load(memory->y, kAcquire) == 1) {
                Store(memory->x, 1, kRelease);
            }
        });
    });

    EXPECT_NE(report.error.find("deadlock: waiter"), std::string::npos);
}

TEST(ExplorerErrors, SpinningEndsWhenItSeesTheStore)
{
    const model::Report report = model::Explore([](model::Run &run) {
        auto *memory = run.New<Memory>();

        run.Thread("waiter", [memory] {
            while (Load(memory->x, kAcquire) == 0) {
                model::GiveWay();
            }
        });
        run.Thread("other", [memory] { Store(memory->x, 1, kRelease); });
    });

    EXPECT_TRUE(report.holds()) << report.text();
}

TEST(ExplorerErrors, ARunThatDoesNotEndIsSeen)
{
    model::Options short_runs;

    short_runs.steps = 200;
    const model::Report report = model::Explore(
        [](model::Run &run) {
            auto *memory = run.New<Memory>();
            const auto play = [memory] {
                while (Load(memory->y, kRelaxed) == 0) {
                    (void)Add(memory->x, 1, kRelaxed);
                    model::GiveWay();
                }
            };

            run.Thread("one", play);
            run.Thread("two", play);
        },
        short_runs);

    EXPECT_EQ(report.error, "does not end");
}

TEST(ExplorerErrors, UseAfterFreeDoubleFreeAndLeaksAreSeen)
{
    const auto search = [](const std::function<void(Memory &)> &second) {
        return model::Explore([&](model::Run &run) {
                   auto *memory =
                       static_cast<Memory *>(model::Allocate(sizeof(Memory)));

                   run.Thread("one", [memory] { model::Free(memory); });
                   run.Thread("two", [memory, &second] { second(*memory); });
               })
            .error;
    };

    EXPECT_EQ(search([](Memory &m) { (void)Load(m.x, kRelaxed); }),
              "use after free");
    EXPECT_EQ(search([](Memory &m) { model::Free(&m); }), "freed twice");
    EXPECT_EQ(model::Explore([](model::Run &run) {
                  run.Thread("one", [] { (void)model::Allocate(24); });
              }).error,
              "leaked 64 bytes");
}

TEST(ExplorerMutants, WeakenOneOperation)
{
    static int line;
    const model::Scenario scenario = [](model::Run &run) {
        auto *memory = run.New<Memory>();

        run.Thread("one", [memory] {
            Store(memory->x, 1, kRelaxed);
            line = __LINE__ + 1;
            SKUI_ATOMIC_STORE(&memory->y, 1, kRelease);
        });
        run.Thread("two", [memory] {
            if (Load(memory->y, kAcquire) == 1) {
                model::Require(Load(memory->x, kRelaxed) == 1, "x is 1");
            }
        });
    };

    EXPECT_TRUE(model::Explore(scenario).holds());
    model::Mutate("litmus_test.cc:" + std::to_string(line), 0);
    EXPECT_EQ(model::Explore(scenario).error, "not so: x is 1");
    model::Mutate("", 0);
    EXPECT_TRUE(model::Explore(scenario).holds());
}

} // namespace
