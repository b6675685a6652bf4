/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_test.cc - the executor on NATS: calls, limits, refusals, cancellation.
 */
#include "nats_support.h"

namespace conformance
{
namespace
{

class NatsCall : public Nats
{
};

TEST_F(NatsCall, AnswersBytesAndStatus)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    const Future large = submit(cluster.executor, "test.large", 300000);
    const void *data = nullptr;
    size_t bytes = 0;

    EXPECT_EQ(42, number_of(submit(cluster.executor, "test.echo", 42)));
    EXPECT_EQ(7, outcome_of(large));
    EXPECT_EQ(7, skua_future_bytes(large.get(), &data, &bytes));
    EXPECT_EQ(300000U, bytes);
    EXPECT_EQ(std::string(300000, 'x'),
              std::string(static_cast<const char *>(data), bytes));
}

TEST_F(NatsCall, AnswersNothingForNothing)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    skua_future *made = nullptr;
    const void *data = nullptr;
    size_t bytes = 1;

    ASSERT_EQ(0, skua_executor_submit_named(cluster.executor.get(), "test.echo",
                                            nullptr, 0, &made));
    const Future future(made);

    EXPECT_EQ(0, outcome_of(future));
    EXPECT_EQ(0, skua_future_bytes(made, &data, &bytes));
    EXPECT_EQ(0U, bytes);
    EXPECT_NE(nullptr, data);
}

TEST_F(NatsCall, FailsWithStatusAndMessageOfTheFunction)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    const Future future = submit(cluster.executor, "test.fail", 0);

    EXPECT_EQ(-EDOM, outcome_of(future));
    EXPECT_EQ("no such number", message_of(future));
}

TEST_F(NatsCall, EachOfManyGetsItsOwnAnswer)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    std::vector<Future> futures;

    for (int64_t i = 0; i < 5000; i++) {
        futures.push_back(submit(cluster.executor, "test.echo", i));
    }
    for (int64_t i = 0; i < 5000; i++) {
        ASSERT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
    EXPECT_EQ(5000, stats_of(cluster.worker).answered);
}

TEST_F(NatsCall, TasksOfManyLoopsAwaitIt)
{
    const Server server;
    const LoopThread worker_loop;
    const Worker worker = new_worker(worker_loop, quick_worker(server));
    const skua_nats_executor_options options = quick(server);
    Keeper keeper;
    const auto one = [&keeper](const Executor &executor, int64_t i) {
        skua_task *task = nullptr;
        void *body = keeper.body([&executor, i] {
            return number_of(submit(executor, "test.echo", i)) == i ? 0 : -1;
        });

        EXPECT_EQ(0, skua_create_task(run_body, body, &task));
        return Future(task);
    };
    const auto all = [&] {
        const Executor executor =
            new_executor(skua_get_running_loop(), options);
        std::deque<Future> tasks;

        for (int64_t i = 0; i < 200; i++) {
            tasks.push_back(one(executor, i));
        }
        for (const Future &task : tasks) {
            EXPECT_EQ(0, outcome_of(task));
        }
        finish(executor);
        return 0;
    };

    EXPECT_EQ(0, skua_run(run_body, keeper.body(all)));
    drain(worker);
}

TEST_F(NatsCall, FailsAtOnceWhenNobodyServesIt)
{
    const Server server;
    const LoopThread loop;
    const Executor executor = new_executor(loop, quick(server));
    const Future future = submit(executor, "test.echo", 1);

    EXPECT_EQ(-EHOSTUNREACH, outcome_of(future));
    EXPECT_EQ("nats: no worker serves 'test.echo'", message_of(future));
    finish(executor);
}

TEST_F(NatsCall, WaitsForAWorkerWithPatience)
{
    const Server server;
    const LoopThread loop;
    skua_nats_executor_options options = quick(server);

    options.patience_ns = 60 * SKUA_S;
    const Executor executor = new_executor(loop, options);
    const Future future = submit(executor, "test.echo", 5);
    const Worker worker = new_worker(loop, quick_worker(server));

    EXPECT_EQ(5, number_of(future));
    finish(executor);
    drain(worker);
}

TEST_F(NatsCall, DoesNotMixPrefixes)
{
    const Server server;
    const LoopThread loop;
    skua_nats_executor_options options = quick(server);

    options.nats.prefix = "another.place";
    const Executor executor = new_executor(loop, options);
    const Worker worker = new_worker(loop, quick_worker(server));

    EXPECT_EQ(-EHOSTUNREACH, outcome_of(submit(executor, "test.echo", 1)));
    finish(executor);
    drain(worker);
}

/* --- bad input --- */

class NatsMisuse : public Nats
{
};

TEST_F(NatsMisuse, GivesAStatus)
{
    const Server server;
    const LoopThread loop;
    const skua_nats_executor_options good = quick(server);
    const skua_nats_worker_options good_worker = quick_worker(server);
    skua_executor *executor = nullptr;
    skua_nats_worker *worker = nullptr;
    skua_nats_worker_stats stats;

    EXPECT_EQ(-EINVAL, skua_nats_executor_new(nullptr, &good, &executor));
    EXPECT_EQ(-EINVAL, skua_nats_executor_new(loop, &good, nullptr));
    EXPECT_EQ(-EINVAL, skua_nats_worker_new(nullptr, &good_worker, &worker));
    EXPECT_EQ(-EINVAL, skua_nats_worker_new(loop, &good_worker, nullptr));
    EXPECT_EQ(-EINVAL, skua_nats_worker_drain(nullptr));
    EXPECT_EQ(-EINVAL, skua_nats_worker_wait(nullptr));
    EXPECT_EQ(-EINVAL, skua_nats_worker_get_stats(nullptr, &stats));
    EXPECT_EQ(nullptr, skua_nats_worker_ref(nullptr));
    skua_nats_worker_unref(nullptr);
}

struct Fault {
    const char *reason;
    void (*spoil)(skua_nats_executor_options *of);
};

TEST_F(NatsMisuse, OfOptionsIsRefusedWithAReason)
{
    const Server server;
    const LoopThread loop;
    const std::array<Fault, 11> faults = {{
        {"nats: prefix is no subject",
         [](auto *of) { of->nats.prefix = "a..b"; }},
        {"nats: prefix is no subject",
         [](auto *of) { of->nats.prefix = "a.*"; }},
        {"nats: inbox is no subject", [](auto *of) { of->nats.inbox = "a b"; }},
        {"nats: a time is negative", [](auto *of) { of->nats.ping_ns = -1; }},
        {"nats: more than one of user, token, credentials_file, nkey",
         [](auto *of) { of->nats.user = of->nats.token = "a"; }},
        {"nats: a password without a user",
         [](auto *of) { of->nats.password = "a"; }},
        {"nats: cert_file and key_file go together",
         [](auto *of) { of->nats.cert_file = "a"; }},
        {"nats: policy and max_queued do not go together",
         [](auto *of) { of->max_queued = 1; }},
        {"nats: policy and max_queued do not go together",
         [](auto *of) { of->policy = SKUA_QUEUE_REJECT; }},
        {"nats: heartbeat_ns, missed_beats or patience_ns is out of range",
         [](auto *of) { of->heartbeat_ns = 1; }},
        {"nats: max_message_bytes is too small",
         [](auto *of) { of->nats.max_message_bytes = 100; }},
    }};

    for (const Fault &fault : faults) {
        skua_nats_executor_options options = {};
        skua_executor *executor = nullptr;

        options.nats.urls = server.url().c_str();
        fault.spoil(&options);
        EXPECT_EQ(-EINVAL, skua_nats_executor_new(loop, &options, &executor));
        EXPECT_STREQ(fault.reason,
                     skua_exception_message(skua_current_exception()));
    }
}

TEST_F(NatsMisuse, OfTheExecutorGivesAStatusAndLosesNothing)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    skua_executor *executor = cluster.executor.get();
    const std::string large(2 << 20, 'x');
    const std::string key(101, 'k');
    skua_submit_options keyed = {};
    skua_work work = {};

    work.name = "test.echo";
    keyed.key = key.c_str();
    EXPECT_EQ(-ENOENT, skua_executor_submit_named(executor, "test.none",
                                                  nullptr, 0, nullptr));
    EXPECT_EQ(-ENOTSUP,
              skua_executor_submit(
                  executor, [](void *) { return 0; }, nullptr, nullptr));
    EXPECT_EQ(-EINVAL, skua_executor_submit_named(executor, "test.echo",
                                                  nullptr, 1, nullptr));
    EXPECT_EQ(-EMSGSIZE,
              skua_executor_submit_named(executor, "test.echo", large.data(),
                                         large.size(), nullptr));
    EXPECT_EQ(-EINVAL,
              skua_executor_submit_work(executor, &work, &keyed, nullptr));
    EXPECT_EQ(-EMSGSIZE,
              outcome_of(submit(cluster.executor, "test.large", 2 << 20)));
    EXPECT_EQ(3, number_of(submit(cluster.executor, "test.echo", 3)));
    EXPECT_EQ(0, skua_executor_shutdown(executor, true, false));
    EXPECT_EQ(SKUA_ECLOSED, skua_executor_submit_named(executor, "test.echo",
                                                       nullptr, 0, nullptr));
}

TEST_F(NatsMisuse, ALoopThatIsClosedIsRefused)
{
    const Server server;
    LoopThread loop;
    const skua_nats_executor_options options = quick(server);
    skua_executor *executor = nullptr;

    loop.close();
    EXPECT_EQ(SKUA_ECLOSED, skua_nats_executor_new(loop, &options, &executor));
}

TEST_F(NatsMisuse, InACallbackItIsRefused)
{
    const Server server;
    const LoopThread loop;
    const skua_nats_executor_options options = quick(server);
    std::promise<int> given;
    Lambdas lambdas;

    (void)lambdas.post(loop, [&] {
        skua_executor *executor = nullptr;

        given.set_value(skua_nats_executor_new(loop, &options, &executor));
    });
    EXPECT_EQ(-EDEADLK, given.get_future().get());
}

TEST_F(NatsMisuse, NoServerIsToldSo)
{
    const LoopThread loop;
    const std::string url = "nats://127.0.0.1:" + std::to_string(free_port());
    skua_nats_executor_options options = {};
    skua_executor *executor = nullptr;

    options.nats.urls = url.c_str();
    EXPECT_EQ(-ECONNREFUSED, skua_nats_executor_new(loop, &options, &executor));
}

/* --- limits --- */

class NatsLimit : public Nats
{
};

/** An executor that sends one at a time, and a job that keeps it busy. */
struct Narrow {
    Narrow(skua_nats_executor_options options, skua_queue_policy policy,
           const skua_nats_worker_options &worker_options)
        : cluster(narrowed(options, policy), worker_options)
    {
        skua_submit_options long_one = {};

        EXPECT_EQ(0, skua_cancel_token_new(nullptr, &token));
        long_one.token = token;
        first = submit(cluster.executor, "test.sleep", 3600000, &long_one);
        EXPECT_TRUE(eventually(
            [this] { return stats_of(cluster.worker).running == 1; }));
    }

    ~Narrow()
    {
        skua_cancel_token_unref(token);
    }

    Narrow(const Narrow &) = delete;
    Narrow &operator=(const Narrow &) = delete;

    static skua_nats_executor_options
    narrowed(skua_nats_executor_options options, skua_queue_policy policy)
    {
        options.max_in_flight = 1;
        options.max_queued = policy == SKUA_QUEUE_GROW ? 0 : 2;
        options.policy = policy;
        return options;
    }

    void let_go() const
    {
        EXPECT_EQ(1, skua_cancel_token_cancel(token));
        EXPECT_EQ(SKUA_ECANCELED, outcome_of(first));
    }

    [[nodiscard]] skua_executor_stats stats() const
    {
        skua_executor_stats now = {};

        EXPECT_EQ(0, skua_executor_get_stats(cluster.executor.get(), &now));
        return now;
    }

    Cluster cluster;
    skua_cancel_token *token = nullptr;
    Future first;
};

TEST_F(NatsLimit, RejectsWhenTheQueueIsFull)
{
    const Server server;
    const Narrow narrow(quick(server), SKUA_QUEUE_REJECT, quick_worker(server));
    const Future second = submit(narrow.cluster.executor, "test.echo", 2);
    const Future third = submit(narrow.cluster.executor, "test.echo", 3);

    EXPECT_EQ(-EAGAIN,
              skua_executor_submit_named(narrow.cluster.executor.get(),
                                         "test.echo", nullptr, 0, nullptr));
    EXPECT_EQ(2, narrow.stats().queued);
    EXPECT_EQ(1, narrow.stats().rejected);
    narrow.let_go();
    EXPECT_EQ(2, number_of(second));
    EXPECT_EQ(3, number_of(third));
    EXPECT_EQ(3, narrow.stats().submitted);
}

TEST_F(NatsLimit, SuspendsWhoSubmitsUntilThereIsRoom)
{
    const Server server;
    const Narrow narrow(quick(server), SKUA_QUEUE_SUSPEND,
                        quick_worker(server));
    std::vector<Future> futures(4);
    std::atomic<int> submitted = 0;
    std::thread submitter([&] {
        for (int i = 0; i < 4; i++) {
            futures[static_cast<size_t>(i)] =
                submit(narrow.cluster.executor, "test.echo", i);
            submitted++;
        }
    });

    EXPECT_TRUE(eventually([&] { return submitted == 2; }));
    EXPECT_EQ(2, narrow.stats().queued);
    narrow.let_go();
    submitter.join();
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
    EXPECT_LE(narrow.stats().queued_most, 2);
}

TEST_F(NatsLimit, ACancelledSubmitterHasSubmittedNothing)
{
    const Server server;
    const Narrow narrow(quick(server), SKUA_QUEUE_SUSPEND,
                        quick_worker(server));
    const Future second = submit(narrow.cluster.executor, "test.echo", 2);
    const Future third = submit(narrow.cluster.executor, "test.echo", 3);
    Keeper keeper;
    void *submitter = keeper.body([&] {
        return skua_executor_submit_named(narrow.cluster.executor.get(),
                                          "test.echo", nullptr, 0, nullptr);
    });
    void *canceller = keeper.body([&] {
        skua_task *task = nullptr;

        EXPECT_EQ(0, skua_create_task(run_body, submitter, &task));
        const Future owned(task);

        EXPECT_EQ(0, skua_sleep(5 * SKUA_MS));
        EXPECT_EQ(1, skua_task_cancel(task));
        EXPECT_EQ(SKUA_ECANCELED, skua_await(task, nullptr));
        return 0;
    });

    EXPECT_EQ(0, skua_run(run_body, canceller));
    narrow.let_go();
    EXPECT_EQ(2, number_of(second));
    EXPECT_EQ(3, number_of(third));
    EXPECT_EQ(3, narrow.stats().submitted);
}

TEST_F(NatsLimit, ABusyWorkerIsAskedAgainAndLosesNothing)
{
    const Server server;
    skua_nats_worker_options narrow = quick_worker(server, 1);
    std::vector<Future> futures;

    narrow.max_queued = 1;
    const Cluster cluster(quick(server), narrow);

    for (int i = 0; i < 100; i++) {
        futures.push_back(submit(cluster.executor, "test.sleep", 1));
    }
    for (const Future &future : futures) {
        EXPECT_EQ(0, outcome_of(future));
    }
    EXPECT_EQ(100, stats_of(cluster.worker).answered);
    EXPECT_GT(stats_of(cluster.worker).busy, 0);
}

TEST_F(NatsLimit, WhatIsTooLargeForTheWorkerIsAnError)
{
    const Server server;
    skua_nats_worker_options small = quick_worker(server);

    small.nats.max_message_bytes = 1000;
    const Cluster cluster(quick(server), small);
    const Future future = submit(cluster.executor, "test.large", 1000);
    const std::string large(2000, 'x');
    skua_future *made = nullptr;

    EXPECT_EQ(-EMSGSIZE, outcome_of(future));
    EXPECT_EQ("nats: the answer is too large", message_of(future));
    EXPECT_EQ(0, skua_executor_submit_named(cluster.executor.get(), "test.echo",
                                            large.data(), large.size(), &made));
    EXPECT_EQ(-EMSGSIZE, outcome_of(Future(made)));
    EXPECT_EQ(7, outcome_of(submit(cluster.executor, "test.large", 900)));
    EXPECT_EQ(1, stats_of(cluster.worker).refused);
}

/* --- cancelling --- */

class NatsCancel : public Nats
{
};

TEST_F(NatsCancel, ATokenReachesWorkThatRunsElsewhere)
{
    const Server server;
    const Narrow narrow(quick(server), SKUA_QUEUE_GROW, quick_worker(server));

    EXPECT_TRUE(skua_future_running(narrow.first.get()));
    EXPECT_EQ(0, skua_future_cancel(narrow.first.get()));
    narrow.let_go();
}

TEST_F(NatsCancel, QueuedWorkIsCancelledHere)
{
    const Server server;
    const Narrow narrow(quick(server), SKUA_QUEUE_GROW, quick_worker(server));
    const Future second = submit(narrow.cluster.executor, "test.echo", 2);

    EXPECT_EQ(1, skua_future_cancel(second.get()));
    EXPECT_EQ(SKUA_ECANCELED, outcome_of(second));
    narrow.let_go();
    finish(narrow.cluster.executor);
    EXPECT_EQ(1, stats_of(narrow.cluster.worker).taken);
}

TEST_F(NatsCancel, WorkThatWaitsAtTheWorkerIsCancelledThere)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server, 1));
    skua_cancel_token *token = nullptr;
    skua_submit_options options = {};
    std::vector<Future> futures;

    ASSERT_EQ(0, skua_cancel_token_new(nullptr, &token));
    options.token = token;
    for (int i = 0; i < 20; i++) {
        futures.push_back(
            submit(cluster.executor, "test.sleep", 3600000, &options));
    }
    EXPECT_TRUE(
        eventually([&] { return stats_of(cluster.worker).taken == 20; }));
    EXPECT_EQ(1, skua_cancel_token_cancel(token));
    for (const Future &future : futures) {
        EXPECT_EQ(SKUA_ECANCELED, outcome_of(future));
    }
    skua_cancel_token_unref(token);
}

TEST_F(NatsCancel, ADeadlineTravels)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server, 1));
    skua_submit_options options = {};

    options.deadline_ns = skua_monotonic() + 200 * SKUA_MS;
    const Future runs =
        submit(cluster.executor, "test.sleep", 3600000, &options);
    const int64_t first_ns = options.deadline_ns;

    options.deadline_ns -= 100 * SKUA_MS;
    const Future waits = submit(cluster.executor, "test.sleep", 0, &options);

    EXPECT_EQ(SKUA_ECANCELED, outcome_of(runs)); /* as the function says */
    EXPECT_GE(skua_monotonic(), first_ns);
    EXPECT_EQ(-ETIMEDOUT, outcome_of(waits));
}

TEST_F(NatsCancel, ADeadlineThatHasPassedIsNotSent)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    skua_submit_options options = {};

    options.deadline_ns = 1;
    EXPECT_EQ(-ETIMEDOUT,
              outcome_of(submit(cluster.executor, "test.echo", 1, &options)));
    EXPECT_EQ(0, stats_of(cluster.worker).taken);
}

TEST_F(NatsCancel, ShutdownCancelsWhatIsQueuedAndFinishesTheRest)
{
    const Server server;
    const Narrow narrow(quick(server), SKUA_QUEUE_GROW, quick_worker(server));
    skua_executor *executor = narrow.cluster.executor.get();
    const Future second = submit(narrow.cluster.executor, "test.echo", 2);

    EXPECT_EQ(0, skua_executor_shutdown(executor, false, true));
    EXPECT_EQ(SKUA_ECANCELED, outcome_of(second));
    EXPECT_FALSE(skua_future_done(narrow.first.get()));
    EXPECT_EQ(-ETIMEDOUT, skua_executor_shutdown_until(
                              executor, skua_monotonic() + SKUA_MS, false));
    narrow.let_go();
}

TEST_F(NatsCancel, ShutdownFinishesWhatIsQueued)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    std::vector<Future> futures;

    for (int i = 0; i < 100; i++) {
        futures.push_back(submit(cluster.executor, "test.echo", i));
    }
    finish(cluster.executor);
    for (int i = 0; i < 100; i++) {
        EXPECT_TRUE(skua_future_done(futures[static_cast<size_t>(i)].get()));
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
}

/* --- the loop --- */

class NatsLoop : public Nats
{
};

TEST_F(NatsLoop, ClosingItFailsAllAndHangsNothing)
{
    const Server server;
    const LoopThread worker_loop;
    LoopThread loop;
    const Worker worker = new_worker(worker_loop, quick_worker(server));
    skua_nats_executor_options options = quick(server);
    std::vector<Future> futures;

    options.max_in_flight = 3;
    const Executor executor = new_executor(loop, options);

    for (int i = 0; i < 6; i++) {
        futures.push_back(submit(executor, "test.sleep", 300));
    }
    EXPECT_TRUE(eventually([&] { return stats_of(worker).taken == 3; }));
    loop.close();
    for (const Future &future : futures) {
        EXPECT_EQ(SKUA_ECLOSED, outcome_of(future));
        EXPECT_EQ("nats: the loop was closed", message_of(future));
    }
    EXPECT_EQ(SKUA_ECLOSED,
              skua_executor_submit_named(executor.get(), "test.echo", nullptr,
                                         0, nullptr));
    finish(executor);
    drain(worker);
}

TEST_F(NatsLoop, ClosingItEndsAWorker)
{
    const Server server;
    LoopThread loop;
    const Worker worker = new_worker(loop, quick_worker(server));

    loop.close();
    EXPECT_EQ(SKUA_ECLOSED, skua_nats_worker_wait(worker.get()));
}

TEST_F(NatsLoop, AnExecutorThatNobodyShutsDownEndsByItself)
{
    const Server server;
    const LoopThread loop;
    const Worker worker = new_worker(loop, quick_worker(server));
    Executor executor = new_executor(loop, quick(server));
    const Future future = submit(executor, "test.echo", 1);

    executor.reset();
    EXPECT_EQ(1, number_of(future));
    drain(worker);
}

/* --- draining --- */

class NatsDrain : public Nats
{
};

TEST_F(NatsDrain, FinishesWhatItHasAndTakesNoMore)
{
    const Server server;
    const LoopThread loop;
    const Worker worker = new_worker(loop, quick_worker(server));
    const Executor executor = new_executor(loop, quick(server));
    std::vector<Future> futures;

    for (int i = 0; i < 20; i++) {
        futures.push_back(submit(executor, "test.sleep", 10));
    }
    EXPECT_TRUE(eventually([&] { return stats_of(worker).taken == 20; }));
    drain(worker);
    for (const Future &future : futures) {
        EXPECT_EQ(0, outcome_of(future));
    }
    EXPECT_EQ(20, stats_of(worker).answered);
    EXPECT_EQ(-EHOSTUNREACH, outcome_of(submit(executor, "test.echo", 1)));
    finish(executor);
}

TEST_F(NatsDrain, OneOfTwoLeavesTheWorkToTheOther)
{
    const Server server;
    const LoopThread loop;
    const LoopThread other_loop;
    const Worker worker = new_worker(loop, quick_worker(server));
    const Worker other = new_worker(other_loop, quick_worker(server));
    const Executor executor = new_executor(loop, quick(server));
    std::vector<Future> futures;

    for (int i = 0; i < 300; i++) {
        futures.push_back(submit(executor, "test.echo", i));
        if (i == 100) {
            EXPECT_EQ(0, skua_nats_worker_drain(worker.get()));
        }
    }
    for (int i = 0; i < 300; i++) {
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
    EXPECT_EQ(0, skua_nats_worker_wait(worker.get()));
    EXPECT_EQ(300, stats_of(worker).answered + stats_of(other).answered);
    finish(executor);
    drain(other);
}

TEST_F(NatsDrain, RunIsAllOfItAndDrainsWhenCancelled)
{
    const Server server;
    const skua_nats_worker_options options = quick_worker(server);
    skua_nats_executor_options patient = quick(server);
    Keeper keeper;
    void *serve = keeper.body([&] { return skua_nats_worker_run(&options); });
    void *both = keeper.body([&] {
        const Executor executor =
            new_executor(skua_get_running_loop(), patient);
        skua_task *task = nullptr;

        EXPECT_EQ(0, skua_create_task(run_body, serve, &task));
        const Future owned(task);

        EXPECT_EQ(9, number_of(submit(executor, "test.echo", 9)));
        EXPECT_EQ(1, skua_task_cancel(task));
        EXPECT_EQ(SKUA_ECANCELED, skua_await(task, nullptr));
        finish(executor);
        return 0;
    });

    patient.patience_ns = 60 * SKUA_S;
    register_functions();
    EXPECT_EQ(0, skua_run(run_body, both));
}

} // namespace
} // namespace conformance
