/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_map_end_test.cc - X-09: maps that end early: by time, cancelled,
 * stopped, closed.
 */
#include "maps.h"

namespace conformance
{
namespace
{

/* --- time --- */

TEST_P(ExecutorMap, X09_TheTimeCountsFromTheCallAndEndsAll)
{
    for (const size_t chunksize : {1, 2}) {
        const Executor pool = new_pool(1);
        std::atomic<int> run = 0;
        Gate gate;
        Source source([&](size_t index, skua_work *out_work) {
            out_work->fn = index == 2 ? Gate::pass : count_up;
            out_work->arg = index == 2 ? static_cast<void *>(&gate) : &run;
            return index < 10 ? 1 : 0;
        });
        skua_map_options options = {};

        options.timeout_ns = 2 * SKUA_MS;
        options.chunksize = chunksize;
        EXPECT_EQ(0, run_here([&] {
                      Map map;

                      EXPECT_EQ(0, skua_executor_map_source(
                                       pool.get(), Source::call, &source,
                                       &options, map.out()));
                      gate.wait_started();
                      /* What is there is given, however late. */
                      EXPECT_EQ(1, skua_map_next(map.get(), nullptr));
                      EXPECT_EQ(1, skua_map_next(map.get(), nullptr));
                      EXPECT_EQ(-ETIMEDOUT, skua_map_next(map.get(), nullptr));
                      EXPECT_EQ(0, skua_map_next(map.get(), nullptr));
                      gate.open();
                      return skua_map_stop(map.get(), SKUA_FOREVER);
                  }));
        EXPECT_EQ(1, gate.passed());
        EXPECT_EQ(2, run);
        finish(pool);
    }
}

TEST(ExecutorMapTime, X09_ThatIsOverGivesWhatIsThere)
{
    Own own(false);
    const std::vector<void *> args = numbers(3);
    skua_map_options options = {};
    Map map;

    options.timeout_ns = -1;
    ASSERT_EQ(0, skua_executor_map(own.get(), triple, args.data(), args.size(),
                                   &options, map.out()));
    own.run_one();
    own.run_one();
    EXPECT_EQ(3, map.next());
    EXPECT_EQ(6, map.next());
    EXPECT_EQ(-ETIMEDOUT, map.next());
    EXPECT_TRUE(skua_future_cancelled(own.jobs[0]));
    EXPECT_EQ(0, map.next());
}

TEST(ExecutorMapTime, X09_ADeadlineOfTheWorkIsThatOfEachJob)
{
    for (const size_t chunksize : {1, 2}) {
        Own own(false);
        const std::vector<void *> args = numbers(4);
        skua_submit_options submit = {};
        skua_map_options options = {};
        Map map;

        submit.deadline_ns = 1; /* long ago */
        options.submit = &submit;
        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map(own.get(), must_not_run, args.data(),
                                       args.size(), &options, map.out()));
        own.run_one();
        EXPECT_EQ(-ETIMEDOUT, map.next());
        EXPECT_EQ(0, map.next());
    }
}

TEST(ExecutorMapTime, X09_ADeadlineThatPassesStopsAChunkBetweenItsPieces)
{
    intptr_t first = -ETIMEDOUT;

    /* Until it was early enough to start: this machine may stand still. */
    for (int64_t limit_ns = 10 * SKUA_MS; first == -ETIMEDOUT; limit_ns *= 2) {
        Own own(true);
        const std::vector<void *> args = numbers(3);
        skua_submit_options submit = {};
        skua_map_options options = {};
        Map map;

        submit.deadline_ns = skua_monotonic() + limit_ns;
        options.submit = &submit;
        options.chunksize = 3;
        ASSERT_EQ(0, skua_executor_map(
                         own.get(),
                         [](void *arg) {
                             EXPECT_EQ(1, as_int(arg)) << "was begun";
                             while (!skua_work_should_stop()) {
                                 std::this_thread::yield();
                             }
                             return skua_return(arg);
                         },
                         args.data(), args.size(), &options, map.out()));
        first = map.next();
        if (first == 1) {
            EXPECT_EQ(-ETIMEDOUT, map.next());
            EXPECT_EQ(0, map.next());
        }
    }
    EXPECT_EQ(1, first);
}

/* --- cancelling --- */

TEST_P(ExecutorMap, X09_APieceMayEndAsCancelled)
{
    for (const size_t chunksize : {1, 2}) {
        const Executor pool = new_pool(1);
        const std::vector<void *> args = numbers(4);
        skua_map_options options = {};

        options.chunksize = chunksize;
        EXPECT_EQ(0, run_here([&] {
                      Map map;

                      EXPECT_EQ(0, skua_executor_map(
                                       pool.get(),
                                       [](void *arg) {
                                           return as_int(arg) == 2
                                                      ? SKUA_ECANCELED
                                                      : skua_return(arg);
                                       },
                                       args.data(), args.size(), &options,
                                       map.out()));
                      EXPECT_EQ(1, map.next());
                      EXPECT_EQ(SKUA_ECANCELED, map.next());
                      EXPECT_EQ(0, map.next());
                      return 0;
                  }));
        finish(pool);
    }
}

TEST_P(ConformanceMany, X09_ACancelledTaskMayGoOn)
{
    const Executor pool = new_pool(1);
    const std::vector<void *> args = numbers(10);
    Gate gate;
    Source source([&](size_t index, skua_work *out_work) {
        out_work->fn = index == 0 ? Gate::pass : triple;
        out_work->arg =
            index == 0 ? static_cast<void *>(&gate) : args[index - 1];
        return index <= 10 ? 1 : 0;
    });

    EXPECT_EQ(0, run([&] {
                  skua_map_options options = {};
                  Latch ready(1);
                  Map map;

                  options.buffersize = 2;
                  EXPECT_EQ(0, skua_executor_map_source(pool.get(),
                                                        Source::call, &source,
                                                        &options, map.out()));
                  const Future task = spawn([&] {
                      ready.down();
                      EXPECT_EQ(SKUA_ECANCELED,
                                skua_map_next(map.get(), nullptr));
                      return 0;
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_GE(3u, source.asked());
                  gate.open();
                  EXPECT_EQ(0, map.next());
                  for (intptr_t i = 1; i <= 10; i++) {
                      EXPECT_EQ(3 * i, map.next());
                  }
                  EXPECT_EQ(0, skua_map_next(map.get(), nullptr));
                  return 0;
              }));
    EXPECT_EQ(1, gate.passed());
    finish(pool);
}

TEST_P(ConformanceMany, X09_ATaskCancelledWhileItSubmitsMayGoOn)
{
    for (const size_t chunksize : {1, 3}) {
        Own own(true);
        const std::vector<void *> args = numbers(12);

        EXPECT_EQ(0, run([&] {
                      const Future room = make_future();
                      skua_map_options options = {};
                      Latch ready(1);
                      int calls = 0;
                      Map map;

                      own.admit = [&] {
                          if (++calls != 3) {
                              return 0;
                          }
                          ready.down();
                          return skua_await_until(
                              room.get(), skua_monotonic() + 3600 * SKUA_S,
                              nullptr);
                      };
                      options.buffersize = 2;
                      options.chunksize = chunksize;
                      EXPECT_EQ(0, skua_executor_map(own.get(), triple,
                                                     args.data(), args.size(),
                                                     &options, map.out()));
                      const Future task = spawn([&] {
                          EXPECT_EQ(SKUA_ECANCELED, map.next());
                          return 0;
                      });

                      EXPECT_EQ(0, ready.wait());
                      EXPECT_EQ(1, skua_task_cancel(task.get()));
                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                      for (intptr_t i = 1; i <= 12; i++) {
                          EXPECT_EQ(3 * i, map.next());
                      }
                      EXPECT_EQ(0, map.next());
                      return 0;
                  }));
    }
}

TEST_P(ConformanceMany, X09_ACallThatIsCancelledLeavesAMapToStop)
{
    Own own(false);
    const std::vector<void *> args = numbers(12);

    EXPECT_EQ(0, run([&] {
                  const Future room = make_future();
                  Latch ready(1);
                  int admitted = 0;
                  int first_at = 3;
                  Map map;

                  own.admit = [&] {
                      if (++admitted < first_at) {
                          return 0;
                      }
                      ready.down();
                      return skua_await(room.get(), nullptr);
                  };
                  const Future task = spawn([&] {
                      EXPECT_EQ(0, skua_executor_map(own.get(), must_not_run,
                                                     args.data(), args.size(),
                                                     nullptr, map.out()));
                      EXPECT_EQ(SKUA_ECANCELED, map.next());
                      EXPECT_EQ(0, map.next());
                      return skua_map_stop(map.get(), SKUA_FOREVER);
                  });

                  EXPECT_EQ(0, ready.wait());
                  EXPECT_EQ(1, skua_task_cancel(task.get()));
                  EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  EXPECT_EQ(2u, own.jobs.size());
                  for (skua_job *job : own.jobs) {
                      EXPECT_TRUE(skua_future_cancelled(job));
                  }
                  return 0;
              }));
}

TEST_P(ConformanceMany, X09_ASourceThatIsCancelledIsAskedAgain)
{
    for (const size_t chunksize : {1, 4}) {
        Own own(true);

        EXPECT_EQ(0, run([&] {
                      const Future word = make_future();
                      skua_map_options options = {};
                      Latch ready(1);
                      intptr_t number = 0;
                      bool waited = false;
                      Map map;
                      Source source([&](size_t, skua_work *out_work) {
                          if (number == 6 && !waited) {
                              waited = true;
                              ready.down();
                              return skua_await(word.get(), nullptr);
                          }
                          out_work->fn = triple;
                          out_work->arg = as_pointer(number++);
                          return number <= 10 ? 1 : 0;
                      });

                      options.buffersize = 1;
                      options.chunksize = chunksize;
                      EXPECT_EQ(0, skua_executor_map_source(
                                       own.get(), Source::call, &source,
                                       &options, map.out()));
                      const Future task = spawn([&] {
                          intptr_t at = 0;
                          intptr_t result = 0;

                          while ((result = map.next()) != SKUA_ECANCELED) {
                              EXPECT_EQ(3 * at++, result);
                          }
                          for (; at < 10; at++) {
                              EXPECT_EQ(3 * at, map.next());
                          }
                          EXPECT_EQ(0, map.next());
                          return 0;
                      });

                      EXPECT_EQ(0, ready.wait());
                      EXPECT_EQ(1, skua_task_cancel(task.get()));
                      return skua_await(task.get(), nullptr);
                  }));
    }
}

TEST(ExecutorMapCancel, X09_ATokenCancelsTheRest)
{
    for (const size_t chunksize : {1, 2}) {
        Own own(false);
        const std::vector<void *> args = numbers(6);
        skua_cancel_token *token = nullptr;
        skua_submit_options submit = {};
        skua_map_options options = {};
        skua_map *late = nullptr;
        Map map;

        ASSERT_EQ(0, skua_cancel_token_new(nullptr, &token));
        submit.token = token;
        options.submit = &submit;
        options.chunksize = chunksize;
        options.buffersize = 2;
        ASSERT_EQ(0, skua_executor_map(own.get(), triple, args.data(),
                                       args.size(), &options, map.out()));
        own.run_one();
        EXPECT_EQ(1, skua_cancel_token_cancel(token));
        for (size_t i = 1; i <= chunksize; i++) {
            EXPECT_EQ(static_cast<intptr_t>(3 * i), map.next());
        }
        EXPECT_EQ(SKUA_ECANCELED, map.next());
        EXPECT_EQ(0, map.next());
        EXPECT_EQ(SKUA_ECANCELED,
                  skua_executor_map(own.get(), triple, args.data(), args.size(),
                                    &options, &late));
        skua_cancel_token_unref(token);
    }
}

TEST(ExecutorMapCancel, X09_ATokenStopsAChunkBetweenItsPieces)
{
    const Executor pool = new_pool(1);
    skua_cancel_token *token = nullptr;
    skua_submit_options submit = {};
    skua_map_options options = {};
    Gate gate;
    Map map;
    Source source([&](size_t index, skua_work *out_work) {
        out_work->fn = index == 0 ? Gate::pass : must_not_run;
        out_work->arg = &gate;
        return index < 3 ? 1 : 0;
    });

    ASSERT_EQ(0, skua_cancel_token_new(nullptr, &token));
    submit.token = token;
    options.submit = &submit;
    options.chunksize = 3;
    ASSERT_EQ(0, skua_executor_map_source(pool.get(), Source::call, &source,
                                          &options, map.out()));
    gate.wait_started();
    EXPECT_EQ(1, skua_cancel_token_cancel(token));
    gate.open();
    EXPECT_EQ(1, skua_map_next(map.get(), nullptr));
    EXPECT_EQ(SKUA_ECANCELED, skua_map_next(map.get(), nullptr));
    EXPECT_EQ(0, skua_map_next(map.get(), nullptr));
    skua_cancel_token_unref(token);
    finish(pool);
}

Gate named_gate;
std::atomic<int> named_runs = 0;

int wait_for_word(const void *, size_t bytes, skua_reply *)
{
    named_runs++;
    if (bytes == 4) { /* "wait" */
        (void)Gate::pass(&named_gate);
        EXPECT_TRUE(skua_work_should_stop());
    }
    return 0;
}

TEST(ExecutorMapCancel, X09_AClosedMapStopsItsChunksBetweenTheirPieces)
{
    const Executor pool = new_pool(1);
    const skua_bytes items[] = {{"wait", 4}, {"no", 2}, {"no", 2}, {"no", 2}};
    skua_map_options options = {};
    std::optional<Map> map(std::in_place);

    named_runs = 0;
    ASSERT_EQ(0, skua_function_register("map-test.wait", wait_for_word));
    options.chunksize = 2;
    ASSERT_EQ(0, skua_executor_map_named(pool.get(), "map-test.wait", items, 4,
                                         &options, map->out()));
    named_gate.wait_started();
    map.reset();
    named_gate.open();
    finish(pool);
    EXPECT_EQ(1, named_runs);
}

TEST(ExecutorMapCancel, X09_ARunningChunkOutlivesItsMap)
{
    const Executor pool = new_pool(1);
    skua_map_options options = {};
    Gate gate;
    std::optional<Map> map(std::in_place);
    Source source([&](size_t index, skua_work *out_work) {
        out_work->fn = index == 0 ? Gate::pass : must_not_run;
        out_work->arg = &gate;
        return index < 6 ? 1 : 0;
    });

    options.chunksize = 3;
    ASSERT_EQ(0, skua_executor_map_source(pool.get(), Source::call, &source,
                                          &options, map->out()));
    gate.wait_started();
    map.reset();
    gate.open();
    finish(pool);
    EXPECT_EQ(1, gate.passed());
}

TEST_P(ExecutorMap, X09_StopWaitsForWhatRuns)
{
    for (const size_t chunksize : {1, 2}) {
        const Executor pool = new_pool(2);
        Gate gate;
        Source source([&](size_t index, skua_work *out_work) {
            const bool runs = index % chunksize == 0 && index < 2 * chunksize;

            out_work->fn = runs ? Gate::pass : must_not_run;
            out_work->arg = &gate;
            return index < 8 ? 1 : 0;
        });
        skua_map_options options = {};

        options.chunksize = chunksize;
        EXPECT_EQ(
            0, run_here([&] {
                Map map;

                EXPECT_EQ(0, skua_executor_map_source(pool.get(), Source::call,
                                                      &source, &options,
                                                      map.out()));
                gate.wait_started();
                gate.wait_started();
                EXPECT_EQ(-ETIMEDOUT,
                          skua_map_stop(map.get(), skua_monotonic() + SKUA_MS));
                EXPECT_EQ(0, skua_map_next(map.get(), nullptr));
                EXPECT_EQ(-ETIMEDOUT, skua_map_stop(map.get(), 0));
                gate.open(2);
                EXPECT_EQ(0, skua_map_stop(map.get(), SKUA_FOREVER));
                EXPECT_EQ(2, gate.passed());
                return skua_map_stop(map.get(), 0);
            }));
        finish(pool);
    }
}

TEST_P(ConformanceMany, X09_ACallbackMayNotWait)
{
    Own own(false);
    const std::vector<void *> args = numbers(2);

    EXPECT_EQ(0, run([&] {
                  const Future done = make_future();
                  Map map;

                  EXPECT_EQ(0, skua_executor_map(own.get(), triple, args.data(),
                                                 2, nullptr, map.out()));
                  own.run_one();
                  const Handle handle = soon(skua_get_running_loop(), [&] {
                      EXPECT_EQ(3, map.next());
                      EXPECT_EQ(-EDEADLK, map.next());
                      EXPECT_EQ(0, skua_future_set_result(done.get(), nullptr));
                  });

                  EXPECT_EQ(0, skua_await(done.get(), nullptr));
                  own.run_one();
                  EXPECT_EQ(6, map.next());
                  return 0;
              }));
}

INSTANTIATE_TEST_SUITE_P(Loops, ExecutorMap, testing::Values(0, 1, 2, 4));
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
