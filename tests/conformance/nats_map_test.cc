/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_map_test.cc - X-09: maps whose pieces run by workers reached through
 * NATS, one or several as a job.
 */
#include "nats_support.h"

namespace conformance
{
namespace
{

class NatsMap : public Nats
{
};

/** All results of a map of numbers 0 to `count` - 1, then how it ended. */
void check_all(const Executor &executor, int64_t count,
               const skua_map_options &options)
{
    std::vector<int64_t> numbers;
    std::vector<skua_bytes> items;
    skua_map *map = nullptr;

    for (int64_t i = 0; i < count; i++) {
        numbers.push_back(i);
    }
    for (const int64_t &number : numbers) {
        items.push_back({&number, sizeof(number)});
    }
    ASSERT_EQ(0,
              skua_executor_map_named(executor.get(), "test.echo", items.data(),
                                      items.size(), &options, &map));
    for (int64_t i = 0; i < count; i++) {
        const void *data = nullptr;
        size_t bytes = 0;
        int64_t number = -1;

        ASSERT_EQ(1, skua_map_next(map, nullptr));
        ASSERT_LE(0, skua_map_bytes(map, &data, &bytes));
        ASSERT_EQ(sizeof(number), bytes);
        memcpy(&number, data, sizeof(number));
        ASSERT_EQ(i, number);
    }
    EXPECT_EQ(0, skua_map_next(map, nullptr));
    skua_map_close(map);
}

TEST_F(NatsMap, X09_AMapGivesItsResultsInTheOrderOfTheWork)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));

    for (const size_t chunksize : {1, 7, 2000}) {
        for (const size_t buffersize : {0, 4}) {
            skua_map_options options = {};

            options.chunksize = chunksize;
            options.buffersize = buffersize;
            check_all(cluster.executor, 1000, options);
        }
    }
}

TEST_F(NatsMap, X09_AFailureOfAMapComesWithItsMessage)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    const int64_t zero = 0;
    const skua_bytes items[] = {{&zero, sizeof(zero)}, {&zero, sizeof(zero)}};

    for (const size_t chunksize : {1, 2}) {
        skua_map_options options = {};
        skua_map *map = nullptr;

        options.chunksize = chunksize;
        ASSERT_EQ(0,
                  skua_executor_map_named(cluster.executor.get(), "test.fail",
                                          items, 2, &options, &map));
        EXPECT_EQ(-EDOM, skua_map_next(map, nullptr));
        EXPECT_STREQ("no such number",
                     skua_exception_message(skua_current_exception()));
        EXPECT_EQ(0, skua_map_next(map, nullptr));
        skua_map_close(map);
    }
}

} // namespace
} // namespace conformance
