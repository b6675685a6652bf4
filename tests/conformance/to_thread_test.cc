/* SPDX-License-Identifier: Apache-2.0 */
/*
 * to_thread_test.cc - conformance 156, 157 of to_thread.
 */
#include "support.h"

namespace conformance
{
namespace
{

int to_thread(Keeper &keeper, Body body, void **out_result = nullptr)
{
    return skua_to_thread(run_body, keeper.body(std::move(body)), out_result);
}

TEST_P(ConformanceMany, N156_ToThreadRunsInAnotherThread)
{
    EXPECT_EQ(
        0, run([&] {
            const std::thread::id self = std::this_thread::get_id();
            void *value = nullptr;

            EXPECT_EQ(0, to_thread(
                             keeper_,
                             [&] {
                                 EXPECT_NE(self, std::this_thread::get_id());
                                 EXPECT_EQ(nullptr, skua_current_task());
                                 return skua_return(as_pointer(4));
                             },
                             &value));
            EXPECT_EQ(4, as_int(value));
            EXPECT_EQ(-EIO, to_thread(keeper_, [] {
                return skua_raise(-EIO, "in a thread");
            }));
            EXPECT_STREQ("in a thread",
                         skua_exception_message(skua_current_exception()));
            return skua_return(nullptr);
        }));
}

TEST_P(ConformanceMany, N156_ToThreadNeedsATask)
{
    EXPECT_EQ(0, run([] {
                  EXPECT_EQ(-EINVAL, skua_to_thread(nullptr, nullptr, nullptr));
                  return 0;
              }));
    EXPECT_EQ(SKUA_ENOLOOP, to_thread(keeper_, [] { return 0; }));
}

/* What is lent to the call comes back although that never runs. */
TEST_P(ConformanceMany, N164_ToThreadInABrokenExecutor)
{
    EXPECT_EQ(0, run([&] {
                  skua_thread_pool_options options = {};
                  skua_executor *made = nullptr;
                  static skua_context_var var = {};

                  options.max_workers = 1;
                  options.initializer = [](void *) { return -EIO; };
                  EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &made));
                  EXPECT_EQ(0, skua_loop_set_default_executor(
                                   skua_get_running_loop(), made));
                  EXPECT_EQ(0, skua_context_var_set(&var, made, nullptr));
                  skua_executor_unref(made);
                  for (int i = 0; i < 3; i++) {
                      EXPECT_EQ(SKUA_EBROKENPOOL, to_thread(keeper_, [] {
                                    ADD_FAILURE() << "ran in a broken pool";
                                    return 0;
                                }));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, N157_ToThreadWhoseWorkEndsAsCancelled)
{
    EXPECT_EQ(0, run([&] {
                  static skua_context_var var = {};

                  EXPECT_EQ(0, skua_context_var_set(&var, &var, nullptr));
                  EXPECT_EQ(SKUA_ECANCELED,
                            to_thread(keeper_, [] { return SKUA_ECANCELED; }));
                  return 0;
              }));
}

TEST_P(ConformanceMany, N157_CancelledToThreadDropsWhatRunsAndSkipsTheQueued)
{
    EXPECT_EQ(0, run([&] {
                  skua_thread_pool_options options = {};
                  skua_executor *made = nullptr;
                  Future gate = make_future();
                  Latch running(1);
                  std::atomic<bool> waits = false;
                  std::atomic<bool> ended = false;
                  Future busy;
                  Future queued;

                  options.max_workers = 1;
                  EXPECT_EQ(0, skua_thread_pool_executor_new(&options, &made));
                  EXPECT_EQ(0, skua_loop_set_default_executor(
                                   skua_get_running_loop(), made));
                  skua_executor_unref(made);
                  busy = spawn([&] {
                      return to_thread(keeper_, [&] {
                          running.down();
                          EXPECT_EQ(0, skua_await(gate.get(), nullptr));
                          ended = true;
                          return -EIO;
                      });
                  });
                  EXPECT_EQ(0, running.wait());
                  queued = spawn([&] {
                      waits = true;
                      return to_thread(keeper_, [] {
                          ADD_FAILURE() << "ran";
                          return 0;
                      });
                  });
                  while (!waits) {
                      EXPECT_EQ(0, skua_yield());
                  }
                  for (const Future *task : {&queued, &busy}) {
                      EXPECT_EQ(1, skua_task_cancel(task->get()));
                      EXPECT_EQ(SKUA_ECANCELED,
                                skua_await(task->get(), nullptr));
                  }
                  EXPECT_FALSE(ended);
                  EXPECT_EQ(0, skua_future_set_result(gate.get(), nullptr));
                  EXPECT_EQ(0, to_thread(keeper_, [] { return 0; }));
                  EXPECT_TRUE(ended);
                  return 0;
              }));
    EXPECT_EQ(0U, reports_.size());
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
