/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_map_test.cc - X-09: skua_executor_map() and its kin.
 */
#include "child.h"
#include "maps.h"

namespace conformance
{
namespace
{

const int registered_twice = skua_function_register("map-test.twice", twice);
const int registered_picky = skua_function_register("map-test.picky", picky);

/* --- results --- */

/** Map `count` numbers and compare all results. */
void check_all(skua_executor *pool, size_t count,
               const skua_map_options &options)
{
    const std::vector<void *> args = numbers(count);
    Map map;

    ASSERT_EQ(0, skua_executor_map(pool, triple, args.data(), count, &options,
                                   map.out()));
    for (size_t i = 1; i <= count; i++) {
        ASSERT_EQ(static_cast<intptr_t>(3 * i), map.next());
    }
    EXPECT_EQ(0, map.next());
    EXPECT_EQ(0, map.next());
}

void check_all_named(skua_executor *pool, size_t count,
                     const skua_map_options &options)
{
    std::vector<std::string> texts;
    std::vector<skua_bytes> items;
    Map map;

    for (size_t i = 0; i < count; i++) {
        texts.push_back(std::string(i % 19, 'x') + std::to_string(i));
    }
    for (const std::string &text : texts) {
        items.push_back(bytes_of(text));
    }
    ASSERT_EQ(0, skua_executor_map_named(pool, "map-test.twice", items.data(),
                                         count, &options, map.out()));
    for (const std::string &text : texts) {
        ASSERT_EQ(text + text, map.next_text());
    }
    EXPECT_EQ("status 0", map.next_text());
}

TEST_P(ExecutorMap, X09_ResultsComeInTheOrderOfTheWork)
{
    const Executor pool = new_pool(4);

    EXPECT_EQ(0, run_here([&] {
                  for (const size_t count : {0, 1, 2, 63, 64, 65, 1000}) {
                      for (const size_t buffersize : {0, 1, 7, 64}) {
                          for (const size_t chunksize : {0, 1, 2, 64, 5000}) {
                              skua_map_options options = {};

                              options.buffersize = buffersize;
                              options.chunksize = chunksize;
                              check_all(pool.get(), count, options);
                              check_all_named(pool.get(), count, options);
                          }
                      }
                  }
                  return 0;
              }));
    finish(pool);
}

TEST_P(ExecutorMap, X09_TenThousandPieces)
{
    const Executor pool = new_pool(2);

    EXPECT_EQ(0, run_here([&] {
                  for (const size_t chunksize : {1, 100}) {
                      skua_map_options options = {};

                      options.chunksize = chunksize;
                      check_all(pool.get(), 10000, options);
                      check_all_named(pool.get(), 10000, options);
                      options.buffersize = SIZE_MAX;
                      check_all(pool.get(), 10000, options);
                  }
                  return 0;
              }));
    finish(pool);
}

TEST_P(ExecutorMap, X09_ASourceMayGoOnWithoutEnd)
{
    const Executor pool = new_pool(2);

    EXPECT_EQ(0, run_here([&] {
                  Source source([](size_t index, skua_work *out_work) {
                      out_work->fn = triple;
                      out_work->arg = as_pointer(static_cast<intptr_t>(index));
                      return 1;
                  });
                  skua_map_options options = {};
                  Map map;

                  options.buffersize = 8;
                  EXPECT_EQ(0, skua_executor_map_source(pool.get(),
                                                        Source::call, &source,
                                                        &options, map.out()));
                  EXPECT_EQ(8u, source.asked());
                  for (intptr_t i = 0; i < 500; i++) {
                      EXPECT_EQ(3 * i, map.next());
                      EXPECT_EQ(static_cast<size_t>(9 + i), source.asked());
                  }
                  return 0;
              }));
    finish(pool);
}

TEST(ExecutorMapCall, X09_SubmitsAllOfItWithoutABuffersize)
{
    Own own(false);
    const std::vector<void *> args = numbers(100);
    Map map;

    ASSERT_EQ(0, skua_executor_map(own.get(), triple, args.data(), args.size(),
                                   nullptr, map.out()));
    ASSERT_EQ(100u, own.jobs.size());
    for (intptr_t i = 1; i <= 100; i++) {
        own.run_one();
        EXPECT_EQ(3 * i, map.next());
    }
    EXPECT_EQ(0, map.next());
}

TEST(ExecutorMapCall, X09_KeepsABufferOfWhatIsNotTaken)
{
    Own own(false);
    std::vector<void *> args = numbers(5);
    skua_map_options options = {};
    Map map;

    options.buffersize = 2;
    ASSERT_EQ(0, skua_executor_map(own.get(), triple, args.data(), args.size(),
                                   &options, map.out()));
    args.assign(args.size(), nullptr); /* they were copied */
    ASSERT_EQ(2u, own.jobs.size());
    own.run_one();
    EXPECT_EQ(3, map.next());
    ASSERT_EQ(2u, own.jobs.size());
    own.run_one();
    own.run_one();
    EXPECT_EQ(6, map.next());
    EXPECT_EQ(9, map.next());
    ASSERT_EQ(2u, own.jobs.size());
    own.run_one();
    own.run_one();
    EXPECT_EQ(12, map.next());
    EXPECT_EQ(15, map.next());
    EXPECT_EQ(0, map.next());
}

TEST(ExecutorMapCall, X09_ABufferCountsChunks)
{
    Own own(false);
    const std::vector<void *> args = numbers(10);
    skua_map_options options = {};
    Map map;

    options.buffersize = 2;
    options.chunksize = 3;
    ASSERT_EQ(0, skua_executor_map(own.get(), triple, args.data(), args.size(),
                                   &options, map.out()));
    ASSERT_EQ(2u, own.jobs.size());
    own.run_one();
    EXPECT_EQ(3, map.next());
    EXPECT_EQ(2u, own.jobs.size());
    EXPECT_EQ(6, map.next());
    EXPECT_EQ(9, map.next());
    EXPECT_EQ(2u, own.jobs.size());
    own.run_one();
    EXPECT_EQ(12, map.next());
    EXPECT_EQ(2u, own.jobs.size()); /* 7 to 9, 10 */
}

TEST(ExecutorMapCall, X09_KeepsTheExecutorUntilAllIsSubmitted)
{
    const std::vector<void *> args = numbers(100);
    skua_map_options options = {};
    Executor pool = new_pool(1);
    Map map;

    options.buffersize = 4;
    ASSERT_EQ(0, skua_executor_map(pool.get(), triple, args.data(), args.size(),
                                   &options, map.out()));
    pool.reset();
    for (intptr_t i = 1; i <= 100; i++) {
        EXPECT_EQ(3 * i, map.next());
    }
    EXPECT_EQ(0, map.next());
}

TEST(ExecutorMapCall, X09_PiecesOfEachKindMayBeMixed)
{
    for (const size_t chunksize : {1, 2, 3, 100}) {
        const Executor pool = new_pool(2);
        const std::string text = "abc";
        Source source([&](size_t index, skua_work *out_work) {
            if (index == 40) {
                return 0;
            }
            if (index % 8 < 4) {
                out_work->fn = triple;
                out_work->arg = as_pointer(static_cast<intptr_t>(index));
            } else {
                out_work->name =
                    index % 8 < 6 ? "map-test.twice" : "map-test.picky";
                out_work->data = text.data();
                out_work->bytes = text.size();
            }
            return 1;
        });
        skua_map_options options = {};
        Map map;

        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map_source(pool.get(), Source::call, &source,
                                              &options, map.out()));
        for (size_t i = 0; i < 40; i++) {
            if (i % 8 < 4) {
                EXPECT_EQ(static_cast<intptr_t>(3 * i), map.next());
            } else {
                EXPECT_EQ(i % 8 < 6 ? "abcabc" : "abc", map.next_text());
            }
        }
        EXPECT_EQ(0, map.next());
        finish(pool);
    }
}

TEST(ExecutorMapCall, X09_ABufferMayStandForItsBytes)
{
    for (const size_t chunksize : {1, 4}) {
        const Executor pool = new_pool(1);
        skua_buffer *buffer = nullptr;
        skua_map_options options = {};
        Map map;

        ASSERT_EQ(0, skua_buffer_new(100000, &buffer));
        memset(skua_buffer_data(buffer), 'b', 100000);
        Source source([&](size_t index, skua_work *out_work) {
            out_work->name = "map-test.twice";
            out_work->buffer = buffer;
            return index < 6 ? 1 : 0;
        });
        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map_source(pool.get(), Source::call, &source,
                                              &options, map.out()));
        skua_buffer_unref(buffer);
        for (int i = 0; i < 6; i++) {
            EXPECT_EQ(std::string(200000, 'b'), map.next_text());
        }
        EXPECT_EQ("status 0", map.next_text());
        finish(pool);
    }
}

TEST(ExecutorMapBytes, X09_AreThoseOfTheLastResult)
{
    for (const size_t chunksize : {1, 4}) {
        const Executor pool = new_pool(1);
        const std::string texts[] = {"", "a", "12345678", "123456789"};
        std::vector<skua_bytes> items;
        skua_map_options options = {};
        const void *data = nullptr;
        void *result = nullptr;
        size_t bytes = 0;
        Map map;

        for (const std::string &text : texts) {
            items.push_back(bytes_of(text));
        }
        items[0].data = nullptr;
        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map_named(pool.get(), "map-test.twice",
                                             items.data(), items.size(),
                                             &options, map.out()));
        EXPECT_EQ(SKUA_EINVALSTATE, skua_map_bytes(map.get(), &data, &bytes));
        for (const std::string &text : texts) {
            ASSERT_EQ(1, skua_map_next(map.get(), &result));
            EXPECT_EQ(static_cast<int>(text.size()),
                      skua_map_bytes(map.get(), &data, &bytes));
            EXPECT_NE(nullptr, data);
            EXPECT_EQ(result, data);
            EXPECT_EQ(2 * text.size(), bytes);
        }
        EXPECT_EQ(-EINVAL, skua_map_bytes(map.get(), nullptr, &bytes));
        EXPECT_EQ(-EINVAL, skua_map_bytes(map.get(), &data, nullptr));
        EXPECT_EQ(-EINVAL, skua_map_bytes(nullptr, &data, &bytes));
        EXPECT_EQ(0, skua_map_next(map.get(), &result));
        EXPECT_EQ(SKUA_EINVALSTATE, skua_map_bytes(map.get(), &data, &bytes));
        finish(pool);
    }
}

TEST(ExecutorMapBytes, X09_OfAFunctionAreNoneButItsStatusIsThere)
{
    for (const size_t chunksize : {1, 2}) {
        const Executor pool = new_pool(1);
        void *const args[] = {as_pointer(5), as_pointer(6)};
        skua_map_options options = {};
        const void *data = nullptr;
        size_t bytes = 1;
        Map map;

        options.chunksize = chunksize;
        ASSERT_EQ(0,
                  skua_executor_map(
                      pool.get(),
                      [](void *arg) { return static_cast<int>(as_int(arg)); },
                      args, 2, &options, map.out()));
        for (const int status : {5, 6}) {
            ASSERT_EQ(1, skua_map_next(map.get(), nullptr));
            EXPECT_EQ(status, skua_map_bytes(map.get(), &data, &bytes));
            EXPECT_NE(nullptr, data);
            EXPECT_EQ(0u, bytes);
        }
        finish(pool);
    }
}

/* --- failures --- */

struct Failing {
    std::atomic<int> run = 0;
    int index = 0;
    int bad = 0;
    Failing *all = nullptr;
};

int fail_at_bad(void *arg)
{
    auto *self = static_cast<Failing *>(arg);

    self->all->run++;
    return self->index == self->all->bad
               ? skua_raise(-EDOM, "piece %d", self->index)
               : skua_return(as_pointer(self->index));
}

TEST_P(ExecutorMap, X09_TheFirstFailureComesAfterTheResultsBefore)
{
    for (const size_t chunksize : {1, 4, 100}) {
        for (const int bad : {0, 1, 3, 4, 5, 99}) {
            const Executor pool = new_pool(3);
            std::vector<Failing> failing(100);
            std::vector<void *> args;
            skua_map_options options = {};

            for (int i = 0; i < 100; i++) {
                failing[static_cast<size_t>(i)].index = i;
                failing[static_cast<size_t>(i)].all = failing.data();
                args.push_back(&failing[static_cast<size_t>(i)]);
            }
            failing[0].bad = bad;
            options.chunksize = chunksize;
            EXPECT_EQ(
                0, run_here([&] {
                    Map map;

                    EXPECT_EQ(0, skua_executor_map(pool.get(), fail_at_bad,
                                                   args.data(), args.size(),
                                                   &options, map.out()));
                    for (int i = 0; i < bad; i++) {
                        EXPECT_EQ(i, map.next());
                    }
                    EXPECT_EQ(-EDOM, map.next());
                    EXPECT_EQ("piece " + std::to_string(bad),
                              skua_exception_message(skua_current_exception()));
                    EXPECT_EQ(0, map.next());
                    return skua_map_stop(map.get(), SKUA_FOREVER);
                }));
            if (chunksize == 100) {
                EXPECT_EQ(bad + 1, failing[0].run);
            }
            finish(pool);
        }
    }
}

TEST(ExecutorMapFailure, X09_CancelsWhatIsQueued)
{
    for (const size_t chunksize : {1, 2}) {
        Own own(false);
        std::atomic<int> run = 0;
        Source source([&](size_t index, skua_work *out_work) {
            out_work->fn = index < 2 ? [](void *) { return -EIO; } : count_up;
            out_work->arg = &run;
            return index < 20 ? 1 : 0;
        });
        skua_map_options options = {};
        Map map;

        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map_source(own.get(), Source::call, &source,
                                              &options, map.out()));
        ASSERT_EQ(20 / chunksize, own.jobs.size());
        own.run_one();
        EXPECT_EQ(-EIO, map.next());
        EXPECT_EQ(nullptr, skua_current_exception());
        for (skua_job *job : own.jobs) {
            EXPECT_TRUE(skua_future_cancelled(job));
        }
        while (!own.jobs.empty()) {
            own.run_one();
        }
        EXPECT_EQ(0, run);
        EXPECT_EQ(0, map.next());
        EXPECT_EQ(0, skua_map_stop(map.get(), 0));
    }
}

TEST(ExecutorMapFailure, X09_OfARegisteredFunctionHasItsMessage)
{
    for (const size_t chunksize : {1, 2, 3, 50}) {
        const Executor pool = new_pool(2);
        const std::string texts[] = {"good", "", "bad one", "never"};
        std::vector<skua_bytes> items;
        skua_map_options options = {};
        Map map;

        for (const std::string &text : texts) {
            items.push_back(bytes_of(text));
        }
        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map_named(pool.get(), "map-test.picky",
                                             items.data(), items.size(),
                                             &options, map.out()));
        EXPECT_EQ("good", map.next_text());
        EXPECT_EQ("", map.next_text());
        EXPECT_EQ(-EDOM, map.next());
        EXPECT_STREQ("bad one is bad",
                     skua_exception_message(skua_current_exception()));
        EXPECT_EQ(0, map.next());
        finish(pool);
    }
}

TEST(ExecutorMapFailure, X09_OfTheSourceComesAtItsPlace)
{
    for (const size_t buffersize : {0, 2}) {
        for (const size_t chunksize : {1, 2, 10}) {
            const Executor pool = new_pool(1);
            Source source([&](size_t index, skua_work *out_work) {
                out_work->fn = triple;
                out_work->arg = as_pointer(static_cast<intptr_t>(index));
                return index == 5 ? skua_raise(-ENOENT, "no piece 5") : 1;
            });
            skua_map_options options = {};
            Map map;

            options.buffersize = buffersize;
            options.chunksize = chunksize;
            ASSERT_EQ(0,
                      skua_executor_map_source(pool.get(), Source::call,
                                               &source, &options, map.out()));
            for (intptr_t i = 0; i < 5; i++) {
                EXPECT_EQ(3 * i, map.next());
            }
            EXPECT_EQ(-ENOENT, map.next());
            EXPECT_STREQ("no piece 5",
                         skua_exception_message(skua_current_exception()));
            EXPECT_EQ(0, map.next());
            EXPECT_EQ(6u, source.asked());
            finish(pool);
        }
    }
}

TEST(ExecutorMapFailure, X09_ToSubmitComesAtItsPlace)
{
    for (const size_t chunksize : {1, 2}) {
        Own own(true);
        const std::vector<void *> args = numbers(10);
        skua_map_options options = {};
        int left = 3;
        Map map;

        own.admit = [&] { return left-- > 0 ? 0 : -EAGAIN; };
        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map(own.get(), triple, args.data(),
                                       args.size(), &options, map.out()));
        for (size_t i = 1; i <= 3 * chunksize; i++) {
            EXPECT_EQ(static_cast<intptr_t>(3 * i), map.next());
        }
        EXPECT_EQ(-EAGAIN, map.next());
        EXPECT_EQ(0, map.next());
    }
}

TEST(ExecutorMapFailure, X09_OfTheFirstPieceToBeSubmittedIsTheCalls)
{
    const Executor pool = new_pool(1);
    const std::vector<void *> args = numbers(2);
    const skua_bytes item = {"x", 1};
    skua_map *map = nullptr;

    for (const size_t chunksize : {1, 2}) {
        skua_map_options options = {};
        Source nothing([](size_t, skua_work *) { return 1; });
        Source both([](size_t, skua_work *out_work) {
            out_work->fn = triple;
            out_work->name = "map-test.twice";
            return 1;
        });
        Source none([](size_t, skua_work *out_work) {
            out_work->name = "map-test.none";
            return 1;
        });
        Source failing(
            [](size_t, skua_work *) { return skua_raise(-ENFILE, "at once"); });
        const auto call = [&](Source &source) {
            return skua_executor_map_source(pool.get(), Source::call, &source,
                                            &options, &map);
        };

        options.chunksize = chunksize;
        EXPECT_EQ(-EINVAL, call(nothing));
        EXPECT_EQ(-EINVAL, call(both));
        EXPECT_EQ(-ENOENT, call(none));
        EXPECT_EQ(-ENFILE, call(failing));
        EXPECT_STREQ("at once",
                     skua_exception_message(skua_current_exception()));
        EXPECT_EQ(-ENOENT, skua_executor_map_named(pool.get(), "map-test.none",
                                                   &item, 1, &options, &map));
    }
    finish(pool);
    EXPECT_EQ(SKUA_ECLOSED, skua_executor_map(pool.get(), triple, args.data(),
                                              2, nullptr, &map));
    EXPECT_EQ(nullptr, map);
}

TEST(ExecutorMapFailure, X09_OfAPoolThatWasShutDownMeanwhile)
{
    const Executor pool = new_pool(1);
    const std::vector<void *> args = numbers(10);
    skua_map_options options = {};
    Map map;

    options.buffersize = 2;
    ASSERT_EQ(0, skua_executor_map(pool.get(), triple, args.data(), args.size(),
                                   &options, map.out()));
    finish(pool);
    EXPECT_EQ(3, map.next());
    EXPECT_EQ(6, map.next());
    EXPECT_EQ(SKUA_ECLOSED, map.next());
    EXPECT_EQ(0, map.next());
}

TEST(ExecutorMapFailure, X09_MisuseGivesAStatus)
{
    const Executor pool = new_pool(1);
    const std::vector<void *> args = numbers(1);
    const skua_bytes item = {"x", 1};
    skua_map_options options = {};
    skua_map *map = nullptr;
    Source source([](size_t, skua_work *) { return 0; });

    EXPECT_EQ(-EINVAL, skua_executor_map(nullptr, triple, args.data(), 1,
                                         nullptr, &map));
    EXPECT_EQ(-EINVAL, skua_executor_map(pool.get(), nullptr, args.data(), 1,
                                         nullptr, &map));
    EXPECT_EQ(-EINVAL,
              skua_executor_map(pool.get(), triple, nullptr, 1, nullptr, &map));
    EXPECT_EQ(-EINVAL, skua_executor_map(pool.get(), triple, args.data(), 1,
                                         nullptr, nullptr));
    EXPECT_EQ(-EINVAL,
              skua_executor_map_named(nullptr, "x", &item, 1, nullptr, &map));
    EXPECT_EQ(-EINVAL, skua_executor_map_named(pool.get(), nullptr, &item, 1,
                                               nullptr, &map));
    EXPECT_EQ(-EINVAL, skua_executor_map_named(pool.get(), "map-test.twice",
                                               nullptr, 1, nullptr, &map));
    EXPECT_EQ(-EINVAL, skua_executor_map_named(pool.get(), "map-test.twice",
                                               &item, 1, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_executor_map_source(nullptr, Source::call, &source,
                                                nullptr, &map));
    EXPECT_EQ(-EINVAL, skua_executor_map_source(pool.get(), nullptr, &source,
                                                nullptr, &map));
    EXPECT_EQ(-EINVAL, skua_executor_map_source(pool.get(), Source::call,
                                                &source, nullptr, nullptr));
    options.timeout_ns = SKUA_NOT_A_TIME;
    EXPECT_EQ(-EINVAL, skua_executor_map(pool.get(), triple, args.data(), 1,
                                         &options, &map));
    EXPECT_EQ(-EINVAL, skua_map_next(nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_map_stop(nullptr, SKUA_FOREVER));
    skua_map_close(nullptr);
    ASSERT_EQ(0,
              skua_executor_map(pool.get(), triple, nullptr, 0, nullptr, &map));
    EXPECT_EQ(-EINVAL, skua_map_stop(map, SKUA_NOT_A_TIME));
    EXPECT_EQ(0, skua_map_next(map, nullptr));
    skua_map_close(map);
    finish(pool);
}

TEST(ExecutorMapFailure, X09_ItsSourceMayNotUseIt)
{
    Own own(true);
    skua_map_options options = {};
    Map map;
    Source source([&](size_t index, skua_work *out_work) {
        const void *data = nullptr;
        size_t bytes = 0;

        if (index > 0) {
            EXPECT_EQ(SKUA_EINVALSTATE, skua_map_next(map.get(), nullptr));
            EXPECT_EQ(SKUA_EINVALSTATE, skua_map_stop(map.get(), 0));
            EXPECT_EQ(SKUA_EINVALSTATE,
                      skua_map_bytes(map.get(), &data, &bytes));
        }
        out_work->fn = triple;
        return index < 3 ? 1 : 0;
    });

    options.buffersize = 1;
    ASSERT_EQ(0, skua_executor_map_source(own.get(), Source::call, &source,
                                          &options, map.out()));
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(1, skua_map_next(map.get(), nullptr));
    }
    EXPECT_EQ(0, skua_map_next(map.get(), nullptr));
}

TEST(ExecutorMapFailure, X09_AForkedChildMayOnlyCloseIt)
{
    const Executor pool = new_pool(1);
    const std::vector<void *> args = numbers(10);
    Map map;

    ASSERT_EQ(0, skua_executor_map(pool.get(), triple, args.data(), args.size(),
                                   nullptr, map.out()));
    const pid_t child = start_child([&] {
        skua_map *other = nullptr;

        CHILD_REQUIRE(skua_map_next(map.get(), nullptr) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_map_stop(map.get(), 0) == SKUA_EFORKED);
        CHILD_REQUIRE(skua_executor_map(pool.get(), triple, args.data(), 1,
                                        nullptr, &other) == SKUA_EFORKED);
        map.close();
        return 0;
    });

    EXPECT_EQ(0, wait_for_child(child));
    for (intptr_t i = 1; i <= 10; i++) {
        EXPECT_EQ(3 * i, map.next());
    }
    finish(pool);
}

TEST(ExecutorMapOptions, X09_EachJobHasAKeyOfItsOwn)
{
    for (const size_t chunksize : {1, 2}) {
        Own own(true);
        const std::vector<void *> args = numbers(12);
        std::vector<std::string> keys;
        std::vector<std::string> expected;
        skua_submit_options submit = {};
        skua_map_options options = {};
        std::string key = "nightly";
        Map map;

        own.seen = [&](const skua_job *job) {
            keys.emplace_back(skua_job_options(job)->key);
        };
        submit.key = key.c_str();
        options.submit = &submit;
        options.chunksize = chunksize;
        options.buffersize = 1;
        ASSERT_EQ(0, skua_executor_map(own.get(), triple, args.data(),
                                       args.size(), &options, map.out()));
        key.assign(key.size(), '?'); /* it was copied */
        while (skua_map_next(map.get(), nullptr) == 1) {
        }
        for (size_t i = 0; i < args.size() / chunksize; i++) {
            expected.push_back("nightly." + std::to_string(i));
        }
        EXPECT_EQ(expected, keys);
    }
}

INSTANTIATE_TEST_SUITE_P(Loops, ExecutorMap, testing::Values(0, 1, 2, 4));

} // namespace
} // namespace conformance
