/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_durable_test.cc - work in streams: nothing is lost, whatever dies.
 */
#include "nats_support.h"

namespace conformance
{
namespace
{

class NatsDurable : public Nats
{
  protected:
    /** Where streams are kept; it goes with the test. */
    Strings jetstream(const std::string &name = "store") const
    {
        return {"-js", "-sd", store_.path(name)};
    }

    static skua_nats_executor_options durable(const Server &server)
    {
        skua_nats_executor_options options = quick(server);

        options.nats.durable = true;
        options.nats.ack_wait_ns = kAckWait;
        options.nats.max_deliver = 3;
        return options;
    }

    static skua_nats_worker_options durable_worker(const Server &server,
                                                   int workers = 2)
    {
        skua_nats_worker_options options = quick_worker(server, workers);

        options.nats = durable(server).nats;
        return options;
    }

    static Strings environment(int pause_us = 0)
    {
        return {"SKUA_TEST_DURABLE=1",
                "SKUA_TEST_ACK_WAIT_MS=" + std::to_string(kAckWait / SKUA_MS),
                "SKUA_TEST_PAUSE_US=" + std::to_string(pause_us)};
    }

    static constexpr int64_t kAckWait = (kRaceDetector ? 3000 : 1000) * SKUA_MS;

  private:
    Folder store_;
};

TEST_F(NatsDurable, AnswersBytesStatusesAndMessages)
{
    const Server server(jetstream());
    const Cluster cluster(durable(server), durable_worker(server));
    const Future failed = submit(cluster.executor, "test.fail", 0);
    std::vector<Future> futures;

    EXPECT_EQ(7, outcome_of(submit(cluster.executor, "test.large", 100000)));
    EXPECT_EQ(-EDOM, outcome_of(failed));
    EXPECT_EQ("no such number", message_of(failed));
    for (int i = 0; i < 500; i++) {
        futures.push_back(submit(cluster.executor, "test.echo", i));
    }
    for (int i = 0; i < 500; i++) {
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
    EXPECT_EQ(502, stats_of(cluster.worker).taken);
}

TEST_F(NatsDurable, NeedsJetStream)
{
    const Server server;
    const LoopThread loop;
    const skua_nats_executor_options options = durable(server);
    skua_executor *executor = nullptr;

    EXPECT_EQ(-ENOTSUP, skua_nats_executor_new(loop, &options, &executor));
}

TEST_F(NatsDurable, WorkWaitsInTheStreamForAWorker)
{
    const Server server(jetstream());
    const LoopThread loop;
    const Executor executor = new_executor(loop, durable(server));
    const Future future = submit(executor, "test.echo", 8);
    RawClient raw(server.port());

    EXPECT_TRUE(eventually([&] {
        return raw.request("$JS.API.STREAM.INFO.skua_JOBS", "")
                   .find("\"messages\":1,") != std::string::npos;
    }));
    const Worker worker = new_worker(loop, durable_worker(server));

    EXPECT_EQ(8, number_of(future));
    EXPECT_TRUE(eventually(
        [&] { /* it is acknowledged */
              return raw.request("$JS.API.STREAM.INFO.skua_JOBS", "")
                         .find("\"messages\":0,") != std::string::npos;
        }));
    finish(executor);
    drain(worker);
}

TEST_F(NatsDurable, WorkOfOneKeyIsRunOnce)
{
    const Server server(jetstream());
    const Folder folder;
    const LoopThread loop;
    const WorkerProcess worker(server.url(), folder, environment());
    const Executor executor = new_executor(loop, durable(server));
    const Executor other = new_executor(loop, durable(server));
    skua_submit_options options = {};

    options.key = "invoice 17: *.>\r\n"; /* any bytes */
    const Future first = submit(executor, "test.note", 1, &options);
    const Future second = submit(executor, "test.note", 2, &options);

    EXPECT_EQ(1, number_of(first));
    EXPECT_EQ(1, number_of(second));
    EXPECT_EQ(1, number_of(submit(other, "test.note", 3, &options)));
    options.key = "invoice 18";
    EXPECT_EQ(4, number_of(submit(executor, "test.note", 4, &options)));
    EXPECT_EQ(Strings({"1", "4"}), folder.lines("ledger"));
    finish(executor);
    finish(other);
}

TEST_F(NatsDurable, NothingIsLostThoughWorkersAreKilled)
{
    enum { JOBS = 400 };
    const Server server(jetstream());
    const Folder folder;
    const LoopThread loop;
    WorkerProcess first(server.url(), folder, environment(500));
    const WorkerProcess second(server.url(), folder, environment(500));
    const Executor executor = new_executor(loop, durable(server));
    std::vector<Future> futures;
    std::atomic<int> callbacks = 0;
    std::set<std::string> ran;

    for (int i = 0; i < JOBS; i++) {
        futures.push_back(submit(executor, "test.note", i));
        EXPECT_EQ(0, skua_future_add_done_callback(
                         futures.back().get(),
                         [](skua_future *, void *arg) {
                             (*static_cast<std::atomic<int> *>(arg))++;
                         },
                         &callbacks));
    }
    EXPECT_TRUE(eventually([&] { return folder.lines("ledger").size() > 50; }));
    first.end(SIGKILL);
    for (int i = 0; i < JOBS; i++) {
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
    finish(executor);
    EXPECT_EQ(JOBS, callbacks);
    for (const std::string &line : folder.lines("ledger")) {
        ran.insert(line);
    }
    EXPECT_EQ(static_cast<size_t>(JOBS), ran.size());
}

TEST_F(NatsDurable, NothingIsLostThoughTheServerIsRestarted)
{
    enum { JOBS = 600 };
    Server server(jetstream());
    const Folder folder;
    const LoopThread loop;
    const WorkerProcess worker(server.url(), folder, environment(300));
    const Executor executor = new_executor(loop, durable(server));
    std::vector<Future> futures;
    std::set<std::string> ran;

    for (int i = 0; i < JOBS; i++) {
        futures.push_back(submit(executor, "test.note", i));
    }
    for (size_t done = 50; done <= 250; done += 200) {
        EXPECT_TRUE(
            eventually([&] { return folder.lines("ledger").size() > done; }));
        server.stop();
        server.start();
    }
    for (int i = 0; i < JOBS; i++) {
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
    finish(executor);
    for (const std::string &line : folder.lines("ledger")) {
        ran.insert(line);
    }
    EXPECT_EQ(static_cast<size_t>(JOBS), ran.size());
}

TEST_F(NatsDurable, WorkThatKillsItsWorkersGoesToTheDead)
{
    const Server server(jetstream());
    const Folder folder;
    const LoopThread loop;
    const Executor executor = new_executor(loop, durable(server));
    const Future deadly = submit(executor, "test.die", 666);
    RawClient raw(server.port());

    for (int i = 0; i < 3; i++) {
        WorkerProcess victim(server.url(), folder, environment());

        EXPECT_EQ(SIGKILL, WTERMSIG(victim.wait()));
    }
    const WorkerProcess survivor(server.url(), folder, environment());

    EXPECT_EQ(SKUA_EBROKENPOOL, outcome_of(deadly));
    EXPECT_EQ("nats: given up after 3 deliveries: its workers died",
              message_of(deadly));
    EXPECT_EQ(Strings({"666", "666", "666"}), folder.lines("ledger"));
    EXPECT_EQ(5, number_of(submit(executor, "test.echo", 5)));
    EXPECT_NE(std::string::npos,
              raw.request("$JS.API.STREAM.INFO.skua_DEAD", "")
                  .find("\"messages\":1,"));
    EXPECT_NE(std::string::npos,
              raw.request("$JS.API.STREAM.INFO.skua_JOBS", "")
                  .find("\"messages\":0,"));
    finish(executor);
}

TEST_F(NatsDurable, LongWorkIsNotDeliveredAgain)
{
    const Server server(jetstream());
    const Folder folder;
    const LoopThread loop;
    const int64_t pause_us = 3 * kAckWait / SKUA_US;
    const WorkerProcess worker(server.url(), folder,
                               environment(static_cast<int>(pause_us)));
    const WorkerProcess other(server.url(), folder, environment());
    const Executor executor = new_executor(loop, durable(server));

    EXPECT_EQ(1, number_of(submit(executor, "test.note", 1)));
    EXPECT_EQ(2, number_of(submit(executor, "test.note", 2)));
    EXPECT_EQ(2U, folder.lines("ledger").size());
    finish(executor);
}

TEST_F(NatsDurable, ATokenReachesWorkThatRunsElsewhere)
{
    const Server server(jetstream());
    const Cluster cluster(durable(server), durable_worker(server));
    skua_cancel_token *token = nullptr;
    skua_submit_options options = {};

    ASSERT_EQ(0, skua_cancel_token_new(nullptr, &token));
    options.token = token;
    const Future future =
        submit(cluster.executor, "test.sleep", 3600000, &options);

    EXPECT_TRUE(
        eventually([&] { return stats_of(cluster.worker).running == 1; }));
    EXPECT_EQ(1, skua_cancel_token_cancel(token));
    EXPECT_EQ(SKUA_ECANCELED, outcome_of(future));
    skua_cancel_token_unref(token);
}

TEST_F(NatsDurable, CancelledWorkLeavesTheStream)
{
    const Server server(jetstream());
    const LoopThread loop;
    const Executor executor = new_executor(loop, durable(server));
    skua_cancel_token *token = nullptr;
    skua_submit_options options = {};
    RawClient raw(server.port());

    ASSERT_EQ(0, skua_cancel_token_new(nullptr, &token));
    options.token = token;
    const Future cancelled = submit(executor, "test.echo", 1, &options);

    EXPECT_TRUE(eventually([&] {
        return raw.request("$JS.API.STREAM.INFO.skua_JOBS", "")
                   .find("\"messages\":1,") != std::string::npos;
    }));
    EXPECT_EQ(1, skua_cancel_token_cancel(token));
    EXPECT_EQ(SKUA_ECANCELED, outcome_of(cancelled));
    EXPECT_NE(std::string::npos,
              raw.request("$JS.API.STREAM.INFO.skua_JOBS", "")
                  .find("\"messages\":0,"));
    options.token = nullptr;
    options.deadline_ns = skua_monotonic() + 100 * SKUA_MS;
    EXPECT_EQ(-ETIMEDOUT,
              outcome_of(submit(executor, "test.echo", 1, &options)));
    finish(executor);
    skua_cancel_token_unref(token);
}

TEST_F(NatsDurable, AWorkerThatIsDrainedLeavesTheRest)
{
    const Server server(jetstream());
    const LoopThread loop;
    const LoopThread other_loop;
    const Executor executor = new_executor(loop, durable(server));
    Worker worker = new_worker(other_loop, durable_worker(server, 1));
    std::vector<Future> futures;

    for (int i = 0; i < 60; i++) {
        futures.push_back(submit(executor, "test.sleep", 3));
    }
    EXPECT_TRUE(eventually([&] { return stats_of(worker).answered > 0; }));
    drain(worker);
    EXPECT_EQ(stats_of(worker).taken, stats_of(worker).answered);
    worker = new_worker(other_loop, durable_worker(server, 4));
    for (const Future &future : futures) {
        EXPECT_EQ(0, outcome_of(future));
    }
    EXPECT_EQ(0, stats_of(worker).redelivered);
    finish(executor);
    drain(worker);
}

TEST_F(NatsDurable, WhatMakesNoSenseLeavesTheStream)
{
    const Server server(jetstream());
    const Cluster cluster(durable(server), durable_worker(server));
    RawClient raw(server.port());

    raw.publish("skua.job.test.echo", "what is this");
    raw.flush();
    EXPECT_TRUE(
        eventually([&] { return stats_of(cluster.worker).malformed == 1; }));
    EXPECT_EQ(1, number_of(submit(cluster.executor, "test.echo", 1)));
    EXPECT_TRUE(eventually([&] {
        return raw.request("$JS.API.STREAM.INFO.skua_JOBS", "")
                   .find("\"messages\":0,") != std::string::npos;
    }));
}

} // namespace
} // namespace conformance
