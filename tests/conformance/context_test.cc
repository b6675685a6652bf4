/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context_test.cc - conformance 50: context variables.
 */
#include <sys/wait.h>

#include "context_support.h"

namespace conformance
{
namespace
{

/* --- variables --- */

TEST_P(ConformanceMany, N050_AVariableHasADefaultUntilItIsSet)
{
    EXPECT_EQ(0, run([] {
                  skua_context_token token = {};

                  EXPECT_FALSE(is_set(number));
                  EXPECT_EQ(-1, get(number));
                  EXPECT_EQ(0, get(other));
                  EXPECT_EQ(
                      0, skua_context_var_set(&number, as_pointer(5), &token));
                  EXPECT_TRUE(is_set(number));
                  EXPECT_EQ(5, get(number));
                  set(other, 6);
                  set(number, 7);
                  EXPECT_EQ(0, skua_context_var_reset(&number, &token));
                  EXPECT_FALSE(is_set(number));
                  EXPECT_EQ(6, get(other));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N050_ATokenIsGoodOnceForItsVariableAndContext)
{
    EXPECT_EQ(
        0, run([&] {
            skua_context_token token = {};
            skua_context_token none = {};
            Future child;

            set(number, 1);
            EXPECT_EQ(0, skua_context_var_set(&number, as_pointer(2), &token));
            EXPECT_EQ(-EINVAL, skua_context_var_reset(&number, &none));
            EXPECT_EQ(-EINVAL, skua_context_var_reset(&other, &token));
            EXPECT_EQ(-EINVAL, skua_context_var_reset(&number, nullptr));
            EXPECT_EQ(-EINVAL, skua_context_var_reset(nullptr, &token));
            child = spawn([&] {
                EXPECT_EQ(-EPERM, skua_context_var_reset(&number, &token));
                set(number, 3);
                EXPECT_EQ(-EPERM, skua_context_var_reset(&number, &token));
                return 0;
            });
            EXPECT_EQ(0, skua_await(child.get(), nullptr));
            EXPECT_EQ(2, get(number));
            EXPECT_EQ(0, skua_context_var_reset(&number, &token));
            EXPECT_EQ(1, get(number));
            EXPECT_EQ(SKUA_EINVALSTATE,
                      skua_context_var_reset(&number, &token));
            EXPECT_EQ(0, skua_context_var_set(&number, as_pointer(4), &token));
            skua_context_token_drop(&token);
            skua_context_token_drop(&token);
            skua_context_token_drop(&none);
            skua_context_token_drop(nullptr);
            EXPECT_EQ(SKUA_EINVALSTATE,
                      skua_context_var_reset(&number, &token));
            EXPECT_EQ(4, get(number));
            return 0;
        }));
}

TEST_F(Conformance, N050_MisuseIsRefused)
{
    void *value = nullptr;
    skua_context *context = nullptr;

    EXPECT_EQ(-EINVAL, skua_context_var_get(nullptr, &value));
    EXPECT_EQ(-EINVAL, skua_context_var_get(&number, nullptr));
    EXPECT_EQ(-EINVAL, skua_context_var_set(nullptr, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_context_new(nullptr));
    EXPECT_EQ(-EINVAL, skua_copy_context(nullptr));
    EXPECT_EQ(-EINVAL, skua_context_copy(nullptr, &context));
    EXPECT_EQ(-EINVAL, skua_context_get(nullptr, &number, &value));
    EXPECT_EQ(-EINVAL, skua_context_run(nullptr, run_body, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_task_get_context(nullptr, &context));
    EXPECT_EQ(-EINVAL, skua_handle_get_context(nullptr, &context));
    EXPECT_EQ(nullptr, skua_context_ref(nullptr));
    EXPECT_EQ(0u, skua_context_count(nullptr));
    skua_context_unref(nullptr);
    const Future future = make_future(loop_);
    EXPECT_EQ(-EINVAL, skua_task_get_context(future.get(), &context));
    EXPECT_EQ(nullptr, context);
}

TEST_P(ConformanceMany, N050_ManyVariables)
{
    constexpr int kVars = 100;
    static skua_context_var vars[kVars];

    EXPECT_EQ(0, run([&] {
                  std::vector<skua_context_token> tokens(kVars);

                  for (int i = 0; i < kVars; i++) {
                      const int k = i * 37 % kVars;

                      EXPECT_EQ(0, skua_context_var_set(&vars[k], as_pointer(k),
                                                        &tokens[k]));
                  }
                  EXPECT_EQ(static_cast<size_t>(kVars),
                            skua_context_count(copy_context().get()));
                  for (int i = 0; i < kVars; i++) {
                      EXPECT_EQ(i, get(vars[i]));
                  }
                  for (int i = 0; i < kVars; i++) {
                      const int k = i * 11 % kVars;

                      EXPECT_EQ(0,
                                skua_context_var_reset(&vars[k], &tokens[k]));
                      EXPECT_FALSE(is_set(vars[k]));
                  }
                  EXPECT_EQ(0u, skua_context_count(copy_context().get()));
                  return 0;
              }));
}

/* --- tasks --- */

TEST_P(ConformanceMany, N050_AChildCopiesItsCreatorsContextAtCreation)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  Future child;

                  set(number, 1);
                  child = spawn([&] {
                      EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                      EXPECT_EQ(1, get(number));
                      set(number, 10);
                      EXPECT_EQ(0, skua_yield());
                      EXPECT_EQ(10, get(number));
                      return skua_await(spawn([] {
                                            EXPECT_EQ(10, get(number));
                                            set(number, 11);
                                            return 0;
                                        }).get(),
                                        nullptr);
                  });
                  set(number, 2);
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, skua_await(child.get(), nullptr));
                  EXPECT_EQ(2, get(number));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N050_ADirectCallSharesItsCallersContext)
{
    EXPECT_EQ(0, run([&] {
                  const skua_awaitable inner = call([] {
                      set(number, 8);
                      return skua_yield();
                  });

                  EXPECT_EQ(0, skua_call(inner.fn, inner.arg, nullptr));
                  EXPECT_EQ(8, get(number));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N050_TheChildrenOfAGroupCopyTheContext)
{
    EXPECT_EQ(0, run([&] {
                  skua_task_group group = {};
                  std::atomic<int> sum = 0;

                  for (int i = 1; i <= 3; i++) {
                      set(number, i);
                      EXPECT_EQ(0, skua_task_group_create_task(
                                       &group, run_body, keeper_.body([&] {
                                           sum += static_cast<int>(get(number));
                                           set(number, 100);
                                           return 0;
                                       })));
                  }
                  EXPECT_EQ(0, skua_task_group_join(&group));
                  EXPECT_EQ(6, sum);
                  EXPECT_EQ(3, get(number));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N050_AnExplicitContextIsShared)
{
    EXPECT_EQ(0, run([&] {
                  Context context = copy_context();
                  Future first = spawn_in(*this, context, [] {
                      set(number, 5);
                      return 0;
                  });

                  EXPECT_EQ(0, skua_await(first.get(), nullptr));
                  EXPECT_FALSE(is_set(number));
                  EXPECT_EQ(5, get_in(context, number));
                  Future second = spawn_in(*this, context, [] {
                      EXPECT_EQ(5, get(number));
                      set(number, 6);
                      return 0;
                  });
                  EXPECT_EQ(0, skua_await(second.get(), nullptr));
                  EXPECT_EQ(6, get_in(context, number));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N050_RunEntersAContext)
{
    EXPECT_EQ(0, run([&] {
                  skua_context *made = nullptr;
                  void *value = nullptr;

                  set(number, 1);
                  EXPECT_EQ(0, skua_context_new(&made));
                  Context context(made);
                  const skua_awaitable inner = call([&] {
                      EXPECT_FALSE(is_set(number));
                      set(number, 2);
                      EXPECT_EQ(0, skua_sleep(10 * SKUA_US));
                      EXPECT_EQ(2, get(number));
                      Future child = spawn([] {
                          EXPECT_EQ(2, get(number));
                          return 0;
                      });
                      EXPECT_EQ(0, skua_await(child.get(), nullptr));
                      const skua_awaitable nested = call([] {
                          set(other, 3);
                          return 0;
                      });
                      EXPECT_EQ(0, skua_context_run(context.get(), nested.fn,
                                                    nested.arg, nullptr));
                      return skua_return(as_pointer(9));
                  });

                  EXPECT_EQ(0, skua_context_run(context.get(), inner.fn,
                                                inner.arg, &value));
                  EXPECT_EQ(9, as_int(value));
                  EXPECT_EQ(1, get(number));
                  EXPECT_FALSE(is_set(other));
                  EXPECT_EQ(2, get_in(context, number));
                  EXPECT_EQ(3, get_in(context, other));
                  EXPECT_EQ(2u, skua_context_count(context.get()));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N050_ATasksContextCanBeAskedFor)
{
    EXPECT_EQ(0, run([&] {
                  Future gate = make_future();
                  Latch ready(1);
                  skua_context *found = nullptr;

                  set(number, 1);
                  Future task = spawn([&] {
                      set(number, 2);
                      ready.down();
                      EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                      EXPECT_EQ(3, get(number));
                      set(number, 4);
                      return 0;
                  });
                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(0, skua_task_get_context(task.get(), &found));
                  Context context(found);
                  EXPECT_EQ(2, get_in(context, number));
                  const skua_awaitable change = call([] {
                      set(number, 3);
                      return 0;
                  });
                  EXPECT_EQ(0, skua_context_run(context.get(), change.fn,
                                                change.arg, nullptr));
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(4, get_in(context, number));
                  EXPECT_EQ(0, skua_task_get_context(task.get(), &found));
                  EXPECT_EQ(context.get(), found);
                  skua_context_unref(found);
                  EXPECT_EQ(1, get(number));
                  return 0;
              }));
}

/* --- callbacks --- */

TEST_P(ConformanceOne, N050_CallbacksSeeTheCopyMadeAtRegistration)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  Log log;
                  Latch latch(5);
                  Future future = make_future();
                  const auto seen = [&] {
                      log.add(static_cast<int>(get(number)));
                      set(number, 100);
                      EXPECT_EQ(100, get(number));
                      latch.down();
                  };

                  set(number, 1);
                  soon(loop, seen);
                  set(number, 2);
                  post(loop, seen);
                  set(number, 3);
                  when_done(future.get(), [&](skua_future *) { seen(); });
                  set(number, 4);
                  EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
                  when_done(future.get(), [&](skua_future *) { seen(); });
                  set(number, 5);
                  later(loop, 0, seen);
                  set(number, 6);
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ((Order{1, 2, 3, 4, 5}), log.get());
                  EXPECT_EQ(6, get(number));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N050_CallbacksOfOtherLoopsSeeTheirCopy)
{
    EXPECT_EQ(0, run([&] {
                  for (skua_loop *loop : loops()) {
                      Latch latch(1);
                      intptr_t found = 0;

                      set(number, 3);
                      post(loop, [&] {
                          found = get(number);
                          set(number, 4);
                          latch.down();
                      });
                      set(number, 5);
                      EXPECT_EQ(0, latch.wait());
                      EXPECT_EQ(3, found);
                      EXPECT_EQ(5, get(number));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceOne, N050_CallbacksShareAnExplicitContext)
{
    EXPECT_EQ(
        0, run([&] {
            skua_loop *loop = skua_get_running_loop();
            Context context = copy_context();
            Latch latch(5);
            Future future = make_future();
            const Step add = [&] {
                set(number, is_set(number) ? get(number) + 1 : 1);
                latch.down();
            };
            void *step = keeper_.step(add);

            EXPECT_EQ(0, skua_loop_call_soon_in(loop, context.get(), run_step,
                                                step, nullptr));
            EXPECT_EQ(0, skua_loop_call_soon_threadsafe_in(
                             loop, context.get(), run_step, step, nullptr));
            EXPECT_EQ(0, skua_loop_call_later_in(loop, context.get(), 1,
                                                 run_step, step, nullptr));
            EXPECT_EQ(0, skua_loop_call_at_in(loop, context.get(),
                                              skua_monotonic(), run_step, step,
                                              nullptr));
            EXPECT_EQ(0, skua_future_add_done_callback_in(
                             future.get(), context.get(), run_done,
                             keeper_.done([&](skua_future *) { add(); })));
            EXPECT_EQ(0, skua_future_set_result(future.get(), nullptr));
            EXPECT_EQ(0, latch.wait());
            EXPECT_EQ(5, get_in(context, number));
            EXPECT_FALSE(is_set(number));
            return 0;
        }));
}

TEST_P(ConformanceOne, N050_AHandlesContextCanBeAskedFor)
{
    EXPECT_EQ(0, run([&] {
                  skua_context *found = nullptr;

                  set(number, 1);
                  Handle handle =
                      soon(skua_get_running_loop(), [] { set(number, 2); });
                  EXPECT_EQ(0, skua_handle_get_context(handle.get(), &found));
                  Context context(found);
                  EXPECT_EQ(1, get_in(context, number));
                  EXPECT_EQ(0, skua_yield());
                  EXPECT_EQ(2, get_in(context, number));
                  EXPECT_EQ(1, get(number));
                  return 0;
              }));
}

TEST_P(ConformanceOne, N050_AReaderKeepsTheContextOfItsRegistration)
{
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = skua_get_running_loop();
                  const Pipe pipe;
                  Log log;
                  Latch latch(3);

                  set(number, 5);
                  reader(loop, pipe.reader(), [&] {
                      pipe.take();
                      log.add(static_cast<int>(get(number)));
                      set(number, get(number) + 1);
                      latch.down();
                  });
                  set(number, 50);
                  for (int i = 0; i < 3; i++) {
                      pipe.put();
                      while (log.size() <= static_cast<size_t>(i)) {
                          EXPECT_EQ(0, skua_yield());
                      }
                  }
                  EXPECT_EQ(0, latch.wait());
                  EXPECT_EQ(1, skua_loop_remove_reader(loop, pipe.reader()));
                  EXPECT_EQ((Order{5, 6, 7}), log.get());
                  return 0;
              }));
}

/* --- runners --- */

TEST_P(ConformanceMany, N050_TheRunsOfARunnerShareAContext)
{
    std::thread([&] {
        skua_runner *runner = new_runner();
        const skua_awaitable first = call([] {
            EXPECT_EQ(1, get(number));
            set(number, 2);
            return 0;
        });
        const skua_awaitable second = call([] {
            EXPECT_EQ(2, get(number));
            return 0;
        });

        set(number, 1);
        EXPECT_EQ(0, skua_runner_run(runner, first.fn, first.arg, nullptr));
        EXPECT_EQ(1, get(number));
        set(number, 3);
        EXPECT_EQ(0, skua_runner_run(runner, second.fn, second.arg, nullptr));
        EXPECT_EQ(0, skua_runner_close(runner));
    }).join();
}

/* --- threads --- */

TEST_F(Conformance, N050_AThreadHasAContextOfItsOwn)
{
    counted_made = 0;
    counted_destroyed = 0;
    EXPECT_FALSE(is_set(number));
    std::thread thread([&] {
        EXPECT_FALSE(is_set(number));
        set(number, 2);
        EXPECT_EQ(2, get(number));
        set_counted(1);
        EXPECT_EQ(0, run(loop_, [] {
                      EXPECT_EQ(2, get(number));
                      EXPECT_EQ(1, get_counted());
                      set(number, 3);
                      return 0;
                  }));
        EXPECT_EQ(2, get(number));
    });
    thread.join();
    EXPECT_FALSE(is_set(number));
    EXPECT_EQ(1, counted_made);
    EXPECT_EQ(1, counted_destroyed);
}

TEST_F(Conformance, N050_AThreadEntersAContext)
{
    Context context = copy_context();
    const skua_awaitable inner = call([&] {
        set(number, 9);
        return run(loop_, [] {
            EXPECT_EQ(9, get(number));
            set(number, 10);
            return 0;
        });
    });
    const intptr_t before = get(number);

    EXPECT_EQ(0, skua_context_run(context.get(), inner.fn, inner.arg, nullptr));
    EXPECT_EQ(before, get(number));
    EXPECT_EQ(9, get_in(context, number));
}

TEST_P(ConformanceMany, N050_AForkedChildKeepsTheContext)
{
    EXPECT_EQ(0, run([&] {
                  set(number, 7);
                  const pid_t child = fork();

                  if (child == 0) {
                      void *value = nullptr;
                      const bool kept =
                          skua_context_var_get(&number, &value) == 1 &&
                          as_int(value) == 7 &&
                          skua_context_var_set(&number, as_pointer(8),
                                               nullptr) == 0 &&
                          skua_context_var_get(&number, &value) == 1 &&
                          as_int(value) == 8;

                      _exit(kept ? 0 : 1);
                  }
                  int status = -1;

                  EXPECT_EQ(child, waitpid(child, &status, 0));
                  EXPECT_EQ(0, status);
                  EXPECT_EQ(7, get(number));
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
