/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context_values_test.cc - conformance 50, 174: who owns the values of context
 * variables, and contexts on several loops.
 */
#include "context_support.h"

namespace conformance
{
namespace
{

/* --- values --- */

TEST_P(ConformanceMany, N050_EachValueIsDestroyedOnce)
{
    counted_made = 0;
    counted_destroyed = 0;
    EXPECT_EQ(0, run([&] {
                  skua_context_token token = {};
                  Future gate = make_future();
                  std::vector<Future> tasks;

                  set_counted(1);
                  set_counted(2);
                  EXPECT_EQ(1, counted_destroyed);
                  counted_made++;
                  EXPECT_EQ(0,
                            skua_context_var_set(&counted, new int(3), &token));
                  EXPECT_EQ(1, counted_destroyed);
                  EXPECT_EQ(0, skua_context_var_reset(&counted, &token));
                  EXPECT_EQ(2, counted_destroyed);
                  EXPECT_EQ(2, get_counted());
                  for (int i = 0; i < 20; i++) {
                      tasks.push_back(spawn([&, i] {
                          EXPECT_EQ(2, get_counted());
                          EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                          set_counted(10 + i);
                          EXPECT_EQ(10 + i, get_counted());
                          return 0;
                      }));
                  }
                  set_counted(4);
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
    EXPECT_EQ(24, counted_made);
    EXPECT_EQ(24, counted_destroyed);
}

TEST_F(Conformance, N050_WhatIsAbandonedLetsGoOfItsContext)
{
    counted_made = 0;
    counted_destroyed = 0;
    Context entered = copy_context();
    {
        Loop loop;
        Future future = make_future(loop);

        reports_.install(loop);
        EXPECT_EQ(0, run(loop, [&] {
                      set_counted(1);
                      later(loop, SKUA_S * 3600, [] {}).reset();
                      soon(loop, [] {}).reset();
                      when_done(future.get(), [](skua_future *) {});
                      (void)spawn([] { return skua_sleep(SKUA_FOREVER); });
                      (void)spawn([] {
                          set_counted(2);
                          return skua_sleep(SKUA_FOREVER);
                      });
                      (void)spawn([&] {
                          const skua_awaitable inner = call([] {
                              set_counted(3);
                              return skua_sleep(SKUA_FOREVER);
                          });

                          return skua_context_run(entered.get(), inner.fn,
                                                  inner.arg, nullptr);
                      });
                      return skua_yield();
                  }));
    }
    EXPECT_EQ(3, counted_made);
    EXPECT_EQ(2, counted_destroyed);
    entered.reset();
    EXPECT_EQ(3, counted_destroyed);
}

struct Recursive {
    skua_loop *loop;
    Lambdas *lambdas;
    std::atomic<int> destroyed;
};

void recursive_destroy(void *value)
{
    auto *self = static_cast<Recursive *>(value);

    self->destroyed++;
    /* What a destructor may well do: ask, and drop timers. */
    EXPECT_LE(-1, get(number));
    EXPECT_EQ(1, skua_handle_cancel(
                     self->lambdas->later(self->loop, SKUA_S, [] {}).get()));
}

skua_context_var recursive = {"recursive", nullptr, recursive_destroy};

TEST_P(ConformanceOne, N050_ADestructorMayCallTheLibrary)
{
    Recursive value = {nullptr, this, 0};

    EXPECT_EQ(
        0, run([&] {
            Future future = make_future();
            value.loop = skua_get_running_loop();
            Future child = spawn([&] {
                EXPECT_EQ(0, skua_context_var_set(&recursive, &value, nullptr));
                void *arg = when_done(future.get(), [](skua_future *) {});
                EXPECT_EQ(0, skua_context_var_set(&recursive, &value, nullptr));
                EXPECT_EQ(0, value.destroyed);
                EXPECT_EQ(1, skua_future_remove_done_callback(future.get(),
                                                              run_done, arg));
                EXPECT_EQ(1, value.destroyed);
                return 0;
            });

            EXPECT_EQ(0, skua_await(child.get(), nullptr));
            child.reset();
            EXPECT_EQ(2, value.destroyed);
            return 0;
        }));
}

/* --- several loops --- */

TEST_P(ConformanceMany, N174_ContextsMoveWithTheirTasks)
{
    const int rounds = kRaceDetector ? 30 : 200;

    counted_made = 0;
    counted_destroyed = 0;
    EXPECT_EQ(0, run([&] {
                  std::vector<Future> tasks;
                  Future gate = make_future();

                  set_counted(0);
                  for (int i = 0; i < 64; i++) {
                      tasks.push_back(spawn([&, i] {
                          EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                          EXPECT_EQ(0, get_counted());
                          for (int k = 0; k < rounds; k++) {
                              skua_context_token token = {};

                              set_counted(1000 * i + k);
                              EXPECT_EQ(0, skua_context_var_set(
                                               &number, as_pointer(k), &token));
                              EXPECT_EQ(0, k % 8 == 0 ? skua_sleep(SKUA_US)
                                                      : skua_yield());
                              EXPECT_EQ(k, get(number));
                              EXPECT_EQ(
                                  0, skua_context_var_reset(&number, &token));
                              EXPECT_EQ(1000 * i + k, get_counted());
                          }
                          return 0;
                      }));
                  }
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  return 0;
              }));
    EXPECT_EQ(counted_made, counted_destroyed);
}

TEST_P(ConformanceMany, N174_OthersLookIntoTheContextsOfTasksThatRun)
{
    const int rounds = kRaceDetector ? 20 : 100;

    EXPECT_EQ(
        0, run([&] {
            set(number, 0);
            for (int i = 0; i < rounds; i++) {
                Future gate = make_future();
                std::vector<Future> tasks;
                const auto start = [&] {
                    return skua_await(gate.get(), nullptr);
                };

                for (int k = 0; k < 4; k++) {
                    tasks.push_back(spawn([&, start] {
                        EXPECT_EQ(0, start());
                        EXPECT_EQ(0, get(number));
                        set(number, 1);
                        EXPECT_EQ(1, get(number));
                        return 0;
                    }));
                }
                Future looker = spawn([&, start] {
                    EXPECT_EQ(0, start());
                    for (const Future &task : tasks) {
                        skua_context *found = nullptr;

                        EXPECT_EQ(0, skua_task_get_context(task.get(), &found));
                        const intptr_t seen = get_in(Context(found), number);
                        EXPECT_TRUE(seen == 0 || seen == 1);
                    }
                    return 0;
                });
                EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                EXPECT_EQ(0, skua_await(looker.get(), nullptr));
                for (const Future &task : tasks) {
                    EXPECT_EQ(0, skua_await(task.get(), nullptr));
                }
            }
            return 0;
        }));
}

TEST_P(ConformanceMany, N174_ManyWriteToOneContext)
{
    constexpr int kTasks = 16;
    const int rounds = kRaceDetector ? 50 : 300;
    static skua_context_var vars[kTasks];

    EXPECT_EQ(0, run([&] {
                  Context context = copy_context();
                  std::vector<Future> tasks;

                  for (int i = 0; i < kTasks; i++) {
                      tasks.push_back(spawn_in(*this, context, [&, i] {
                          for (int k = 0; k < rounds; k++) {
                              set(vars[i], k);
                              EXPECT_EQ(0, k % 16 == 0 ? skua_yield() : 0);
                              EXPECT_EQ(k, get(vars[i]));
                          }
                          return 0;
                      }));
                  }
                  for (const Future &task : tasks) {
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  EXPECT_EQ(static_cast<size_t>(kTasks),
                            skua_context_count(context.get()));
                  return 0;
              }));
}

/* --- where else they are seen --- */

TEST_P(ConformanceMany, N050_ToThreadSeesTheVariablesOfItsCaller)
{
    EXPECT_EQ(0, run([&] {
                  void *seen = nullptr;
                  void *arg = keeper_.body([] {
                      const intptr_t value = get(number);

                      set(number, 99); /* nobody else sees that */
                      return skua_return(as_pointer(value));
                  });

                  set(number, 7);
                  EXPECT_EQ(0, skua_to_thread(run_body, arg, &seen));
                  EXPECT_EQ(7, as_int(seen));
                  EXPECT_EQ(7, get(number));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N050_ACancelledToThreadLeavesNoVariableBehind)
{
    const int made = counted_made;

    EXPECT_EQ(0, run([&] {
                  for (int i = 0; i < 50; i++) {
                      Future caller = spawn([&, i] {
                          void *arg =
                              keeper_.body([] { return get_counted(); });

                          set_counted(i);
                          return skua_to_thread(run_body, arg, nullptr);
                      });

                      EXPECT_LE(0, skua_yield());
                      (void)skua_task_cancel(caller.get());
                      const int status = skua_await(caller.get(), nullptr);
                      EXPECT_TRUE(status == i || status == SKUA_ECANCELED);
                  }
                  return 0;
              }));
    EXPECT_LT(made, counted_made);      /* some had begun ... */
    EXPECT_LE(counted_made, made + 50); /* ... and some perhaps not */
    EXPECT_EQ(counted_made, counted_destroyed);
}

struct HandlerSaw {
    std::atomic<intptr_t> value = -1;
    std::atomic<int> calls = 0;
};

void handler_looks(skua_loop *, const skua_exception_context *, void *arg)
{
    auto *saw = static_cast<HandlerSaw *>(arg);

    saw->value = get(number);
    saw->calls++;
}

TEST_P(ConformanceOne, N050_TheExceptionHandlerSeesTheVariablesOfTheTask)
{
    HandlerSaw saw;

    EXPECT_EQ(0, run([&] {
                  EXPECT_EQ(0,
                            skua_loop_set_exception_handler(
                                skua_get_running_loop(), handler_looks, &saw));
                  set(number, 1);
                  {
                      Future failing = spawn([] {
                          set(number, 5);
                          return skua_raise(-EIO, "nobody reads this");
                      });

                      EXPECT_EQ(0, skua_yield());
                      EXPECT_TRUE(skua_future_done(failing.get()));
                  }
                  EXPECT_EQ(1, saw.calls);
                  EXPECT_EQ(5, saw.value);
                  EXPECT_EQ(1, get(number));
                  skua_loop_call_soon(
                      skua_get_running_loop(),
                      [](void *) {
                          set(number, 6);
                          (void)skua_raise(-EIO, "in a callback");
                      },
                      nullptr, nullptr);
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(2, saw.calls);
                  EXPECT_EQ(6, saw.value);
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
