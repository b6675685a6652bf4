/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post_stress_test.cc - foreign threads post while loops stop and start:
 * every accepted post runs exactly once, in the order of its producer.
 */
#include "../conformance/support.h"

namespace stress
{
namespace
{

using conformance::kRaceDetector;

constexpr int kProducers = 4;
/* A million in all; fewer where each costs ten times as much. */
constexpr int kPosts = kRaceDetector ? 15000 : 250000;

/** What one producer's callbacks have seen; run by one loop at a time. */
struct Producer {
    int posted = 0;
    int ran = 0;
    int out_of_order = 0;
    std::atomic<int> *left;
    skua_loop *stop_when_empty;
};

struct Post {
    Producer *producer;
    int number;
};

void run_post(void *arg)
{
    const Post *post = static_cast<Post *>(arg);
    Producer *producer = post->producer;

    if (post->number != producer->ran) {
        producer->out_of_order++;
    }
    producer->ran++;
    if (producer->left->fetch_sub(1) == 1 &&
        producer->stop_when_empty != nullptr) {
        EXPECT_EQ(0, skua_loop_stop(producer->stop_when_empty));
    }
}

void produce(skua_loop *loop, Producer *producer, std::vector<Post> *posts)
{
    for (int i = 0; i < kPosts; i++) {
        (*posts)[i] = {producer, i};
        ASSERT_EQ(0, skua_loop_call_soon_threadsafe(loop, run_post,
                                                    &(*posts)[i], nullptr));
        producer->posted++;
    }
}

void expect_all(const std::vector<Producer> &producers)
{
    for (const Producer &producer : producers) {
        EXPECT_EQ(kPosts, producer.posted);
        EXPECT_EQ(kPosts, producer.ran);
        EXPECT_EQ(0, producer.out_of_order);
    }
}

TEST(PostStorm, ALoopThatStopsAndStarts)
{
    std::vector<Producer> producers(kProducers);
    std::vector<std::vector<Post>> posts(kProducers, std::vector<Post>(kPosts));
    std::atomic<int> left = kProducers * kPosts;
    std::vector<std::thread> threads;
    conformance::Loop loop;
    int runs = 0;

    for (int k = 0; k < kProducers; k++) {
        producers[k].left = &left;
        producers[k].stop_when_empty = loop;
        threads.emplace_back(produce, static_cast<skua_loop *>(loop),
                             &producers[k], &posts[k]);
    }
    std::thread stopper([&] {
        while (left > 0) {
            EXPECT_EQ(0, skua_loop_stop(loop));
            std::this_thread::yield();
        }
        EXPECT_EQ(0, skua_loop_stop(loop));
    });
    while (left > 0) {
        ASSERT_EQ(0, skua_loop_run_forever(loop));
        runs++;
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    stopper.join();
    EXPECT_LE(1, runs);
    expect_all(producers);
}

int run_until_empty(void *arg)
{
    const auto *left = static_cast<std::atomic<int> *>(arg);

    for (int i = 0; i < 50 && *left > 0; i++) {
        (void)skua_yield();
    }
    return 0;
}

class PostStormLoops : public conformance::Harness
{
};

TEST_P(PostStormLoops, ARunnerThatRunsAndRests)
{
    std::vector<Producer> producers(kProducers);
    std::vector<std::vector<Post>> posts(kProducers, std::vector<Post>(kPosts));
    std::atomic<int> left = kProducers * kPosts;
    std::vector<std::thread> threads;
    skua_runner *runner = new_runner();

    for (int k = 0; k < kProducers; k++) {
        skua_loop *loop = skua_runner_get_loop(
            runner, static_cast<unsigned>(k) % skua_runner_loops(runner));

        producers[k].left = &left;
        producers[k].stop_when_empty = nullptr;
        threads.emplace_back(produce, loop, &producers[k], &posts[k]);
    }
    while (left > 0) {
        ASSERT_EQ(0, skua_runner_run(runner, run_until_empty, &left, nullptr));
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(0, skua_runner_close(runner));
    expect_all(producers);
}

INSTANTIATE_TEST_SUITE_P(Loops, PostStormLoops, testing::Values(1, 2, 4));

/* Posts to a loop that is being closed run, are dropped, or are refused. */
TEST(PostStorm, ALoopThatIsClosedMeanwhile)
{
    const int rounds = kRaceDetector ? 50 : 500;

    for (int i = 0; i < rounds; i++) {
        skua_loop *loop = nullptr;
        std::atomic<int> ran = 0;
        std::atomic<bool> go = false;
        std::vector<std::thread> threads;
        conformance::Keeper keeper;
        void *step = keeper.step([&] { ran++; });
        std::atomic<int> accepted = 0;

        ASSERT_EQ(0, skua_loop_new(nullptr, &loop));
        for (int k = 0; k < 3; k++) {
            threads.emplace_back([&] {
                int status = 0;

                while (!go) {
                    std::this_thread::yield();
                }
                for (int n = 0; n < 100 && status == 0; n++) {
                    status = skua_loop_call_soon_threadsafe(
                        loop, conformance::run_step, step, nullptr);
                    accepted += status == 0 ? 1 : 0;
                }
                EXPECT_TRUE(status == 0 || status == SKUA_ECLOSED);
            });
        }
        go = true;
        ASSERT_EQ(0, skua_loop_run_once(loop, 0));
        ASSERT_EQ(0, skua_loop_close(loop));
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_LE(ran, accepted);
        EXPECT_EQ(SKUA_ECLOSED,
                  skua_loop_call_soon_threadsafe(loop, conformance::run_step,
                                                 step, nullptr));
        skua_loop_unref(loop);
    }
}

} // namespace
} // namespace stress
