/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor_map_process_test.cc - X-09: maps whose pieces run in processes, one
 * or several as a job.
 */
#include "maps.h"
#include "processes.h"

namespace processes
{
namespace
{

using conformance::Map;
using conformance::Source;

/** Map `items` and compare what comes with `expected`. */
void check_all(const Executor &pool, const char *name,
               const std::vector<std::string> &items,
               const std::vector<std::string> &expected,
               const skua_map_options &options)
{
    std::vector<skua_bytes> ranges;
    Map map;

    for (const std::string &item : items) {
        ranges.push_back(conformance::bytes_of(item));
    }
    ASSERT_EQ(0, skua_executor_map_named(pool.get(), name, ranges.data(),
                                         ranges.size(), &options, map.out()));
    for (const std::string &text : expected) {
        ASSERT_EQ(text, map.next_text());
    }
    EXPECT_EQ("status 0", map.next_text());
}

TEST(ExecutorMapProcess, X09_ResultsComeInTheOrderOfTheWork)
{
    SKIP_WITHOUT_PROCESSES();
    const Executor pool = new_pool(2);

    for (const size_t count : {0, 1, 2, 65, 3000}) {
        std::vector<std::string> items;

        for (size_t i = 0; i < count; i++) {
            items.push_back(std::string(i % 19, 'x') + std::to_string(i));
        }
        for (const size_t chunksize : {1, 2, 64, 5000}) {
            for (const size_t buffersize : {0, 3}) {
                skua_map_options options = {};

                options.chunksize = chunksize;
                options.buffersize = buffersize;
                check_all(pool, "echo", items, items, options);
            }
        }
    }
    finish(pool);
}

TEST(ExecutorMapProcess, X09_LargePiecesGoTogether)
{
    SKIP_WITHOUT_PROCESSES();
    const Executor pool = new_pool(2);
    std::vector<std::string> items;
    std::vector<std::string> sizes;
    std::vector<std::string> filled;
    skua_map_options options = {};

    for (uint64_t i = 0; i < 12; i++) {
        const uint64_t size = i * 20011;
        std::string answer;

        items.emplace_back(size, static_cast<char>('a' + i));
        sizes.push_back(bytes_of(size));
        for (uint64_t byte = 0; byte < size; byte++) {
            answer.push_back(static_cast<char>(byte));
        }
        filled.push_back(answer);
    }
    for (const size_t chunksize : {1, 3, 12}) {
        options.chunksize = chunksize;
        check_all(pool, "echo", items, items, options);
        check_all(pool, "fill", sizes, filled, options);
    }
    finish(pool);
}

TEST(ExecutorMapProcess, X09_AFailureComesWithItsMessage)
{
    SKIP_WITHOUT_PROCESSES();
    const Executor pool = new_pool(2);

    for (const size_t chunksize : {1, 2, 4}) {
        const std::string text = "four";
        Source source([&](size_t index, skua_work *out_work) {
            out_work->name = index < 3 ? "echo" : "fail";
            out_work->data = text.data();
            out_work->bytes = text.size();
            return index < 8 ? 1 : 0;
        });
        skua_map_options options = {};
        Map map;

        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map_source(pool.get(), Source::call, &source,
                                              &options, map.out()));
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ("four", map.next_text());
        }
        EXPECT_EQ(-EIO, map.next());
        EXPECT_STREQ("it broke: four",
                     skua_exception_message(skua_current_exception()));
        EXPECT_EQ(0, map.next());
        EXPECT_EQ(0, skua_map_stop(map.get(), SKUA_FOREVER));
    }
    finish(pool);
}

TEST(ExecutorMapProcess, X09_ADeadWorkerEndsIt)
{
    SKIP_WITHOUT_PROCESSES();
    for (const size_t chunksize : {1, 3}) {
        const Executor pool = new_pool(1);
        const std::string number = bytes_of(SIGKILL);
        const std::string null = bytes_of(0);
        const skua_bytes items[] = {conformance::bytes_of(null),
                                    conformance::bytes_of(number),
                                    conformance::bytes_of(null)};
        skua_map_options options = {};
        intptr_t status = 1;
        Map map;

        options.chunksize = chunksize;
        ASSERT_EQ(0, skua_executor_map_named(pool.get(), "signal", items, 3,
                                             &options, map.out()));
        do {
            status = skua_map_next(map.get(), nullptr);
        } while (status == 1);
        EXPECT_EQ(SKUA_EBROKENPOOL, status);
        EXPECT_EQ(0, map.next());
        finish(pool);
    }
}

TEST(ExecutorMapProcess, X09_StopTellsAChunkThatRuns)
{
    SKIP_WITHOUT_PROCESSES();
    const Executor pool = new_pool(1);
    const Gate gate;
    const std::vector<skua_bytes> items(4, conformance::bytes_of(gate.name()));
    skua_map_options options = {};
    Map map;

    options.chunksize = 2;
    ASSERT_EQ(0,
              skua_executor_map_named(pool.get(), "until-stopped", items.data(),
                                      items.size(), &options, map.out()));
    (void)gate.wait();
    EXPECT_EQ(0, skua_map_stop(map.get(), SKUA_FOREVER));
    EXPECT_EQ(0, map.next());
    finish(pool);
}

TEST(ExecutorMapProcess, X09_FunctionsOfThisProcessAreRefused)
{
    SKIP_WITHOUT_PROCESSES();
    const Executor pool = new_pool(1);

    for (const size_t chunksize : {1, 2}) {
        const std::vector<void *> args = conformance::numbers(2);
        skua_map_options options = {};
        skua_map *map = nullptr;

        options.chunksize = chunksize;
        EXPECT_EQ(-ENOTSUP,
                  skua_executor_map(pool.get(), conformance::triple,
                                    args.data(), args.size(), &options, &map));
        EXPECT_EQ(nullptr, map);
    }
    finish(pool);
}

} // namespace
} // namespace processes

int main(int argc, char **argv)
{
    return processes::run_tests(argc, argv);
}
