/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_fault_test.cc - workers and servers that die in the middle of work.
 */
#include "nats_support.h"

namespace conformance
{
namespace
{

class NatsFault : public Nats
{
  protected:
    /** How often each number stands in the ledger. */
    static std::vector<int> runs_of(const Folder &folder, size_t count)
    {
        std::vector<int> runs(count);

        for (const std::string &line : folder.lines("ledger")) {
            runs.at(std::stoul(line))++;
        }
        return runs;
    }
};

TEST_F(NatsFault, AKilledWorkerFailsItsWorkAndNoOther)
{
    const Server server;
    const Folder folder;
    const LoopThread loop;
    WorkerProcess victim(server.url(), folder);
    const Executor executor = new_executor(loop, quick(server));
    const Future lost = submit(executor, "test.sleep", 3600000);
    std::vector<Future> futures;

    EXPECT_EQ(1, number_of(submit(executor, "test.echo", 1)));
    const WorkerProcess survivor(server.url(), folder);

    victim.end(SIGKILL);
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome_of(lost));
    for (int i = 0; i < 100; i++) {
        futures.push_back(submit(executor, "test.echo", i));
    }
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
    EXPECT_EQ(0U, message_of(lost).find("nats: no sign of life from a worker"))
        << message_of(lost);
    finish(executor);
}

TEST_F(NatsFault, WorkThatKillsItsWorkerFails)
{
    const Server server;
    const Folder folder;
    const LoopThread loop;
    WorkerProcess victim(server.url(), folder);
    const Executor executor = new_executor(loop, quick(server));

    EXPECT_EQ(SKUA_EBROKENPOOL, outcome_of(submit(executor, "test.die", 1)));
    EXPECT_EQ(SIGKILL, WTERMSIG(victim.wait()));
    finish(executor);
}

TEST_F(NatsFault, EachJobIsAnsweredOnceThoughWorkersAreKilled)
{
    enum { JOBS = 600 };
    const Server server;
    const Folder folder;
    const LoopThread loop;
    const Strings pause = {"SKUA_TEST_PAUSE_US=500"};
    WorkerProcess first(server.url(), folder, pause);
    WorkerProcess second(server.url(), folder, pause);
    const Executor executor = new_executor(loop, quick(server));
    std::vector<Future> futures;
    std::atomic<int> callbacks = 0;
    int answered = 0;
    int lost = 0;

    for (int i = 0; i < JOBS; i++) {
        futures.push_back(submit(executor, "test.note", i));
        EXPECT_EQ(0, skua_future_add_done_callback(
                         futures.back().get(),
                         [](skua_future *, void *arg) {
                             (*static_cast<std::atomic<int> *>(arg))++;
                         },
                         &callbacks));
    }
    EXPECT_TRUE(eventually([&] { return folder.lines("ledger").size() > 20; }));
    first.end(SIGKILL);
    for (int i = 0; i < JOBS; i++) {
        const int64_t number = number_of(futures[static_cast<size_t>(i)]);

        answered += number == i ? 1 : 0;
        lost += number == SKUA_EBROKENPOOL ? 1 : 0;
    }
    EXPECT_EQ(JOBS, answered + lost);
    EXPECT_GT(answered, 0);
    EXPECT_GT(lost, 0);
    finish(executor);
    EXPECT_EQ(JOBS, callbacks);
    for (const int runs : runs_of(folder, JOBS)) {
        EXPECT_LE(runs, 1); /* at most once */
    }
    EXPECT_EQ(0, second.end(SIGTERM) & 0x7f & ~SIGTERM);
}

TEST_F(NatsFault, WorkSurvivesARestartOfTheServer)
{
    Server server;
    const Cluster cluster(quick(server), quick_worker(server, 4));
    std::vector<Future> futures;

    for (int i = 0; i < 4; i++) {
        futures.push_back(submit(cluster.executor, "test.sleep", 600));
    }
    EXPECT_TRUE(
        eventually([&] { return stats_of(cluster.worker).taken == 4; }));
    server.stop();
    server.start();
    for (const Future &future : futures) {
        EXPECT_EQ(0, outcome_of(future));
    }
    EXPECT_EQ(4, stats_of(cluster.worker).taken);
}

TEST_F(NatsFault, AnswersThatComeWhileTheServerIsDownAreSentLater)
{
    Server server;
    const Cluster cluster(quick(server), quick_worker(server, 4));
    std::vector<Future> futures;

    for (int i = 0; i < 4; i++) {
        futures.push_back(submit(cluster.executor, "test.sleep", 100));
    }
    EXPECT_TRUE(
        eventually([&] { return stats_of(cluster.worker).taken == 4; }));
    server.stop();
    EXPECT_TRUE(
        eventually([&] { return stats_of(cluster.worker).answered == 4; }));
    server.start();
    for (const Future &future : futures) {
        EXPECT_EQ(0, outcome_of(future));
    }
    EXPECT_GE(stats_of(cluster.worker).resent, 4);
}

TEST_F(NatsFault, WorkSubmittedWhileTheServerIsDownIsSentLater)
{
    Server server;
    skua_nats_executor_options options = quick(server);

    options.patience_ns = 60 * SKUA_S; /* the worker may come back later */
    const Cluster cluster(options, quick_worker(server));

    EXPECT_EQ(1, number_of(submit(cluster.executor, "test.echo", 1)));
    server.stop();
    for (int i = 0; i < 3; i++) { /* until it has seen that */
        std::promise<void> passed;
        Lambdas lambdas;

        (void)lambdas.post(cluster.loop, [&] { passed.set_value(); });
        passed.get_future().wait();
    }
    const Future future = submit(cluster.executor, "test.echo", 2);

    server.start();
    EXPECT_EQ(2, number_of(future));
}

/* A storm: each job has one outcome, and none runs twice. */
TEST_F(NatsFault, EachJobHasOneOutcomeThoughTheServerIsRestarted)
{
    enum { JOBS = 2000 };
    Server server;
    const Folder folder;
    const LoopThread loop;
    skua_nats_executor_options options = quick(server);

    options.patience_ns = 60 * SKUA_S;
    options.max_in_flight = 64;
    const WorkerProcess first(server.url(), folder, {"SKUA_TEST_PAUSE_US=300"});
    const Executor executor = new_executor(loop, options);
    std::vector<Future> futures;
    int answered = 0;
    int lost = 0;

    for (int i = 0; i < JOBS; i++) {
        futures.push_back(submit(executor, "test.note", i));
    }
    for (size_t done = 100; done <= 700; done += 300) {
        EXPECT_TRUE(
            eventually([&] { return folder.lines("ledger").size() > done; }));
        server.stop();
        server.start();
    }
    for (int i = 0; i < JOBS; i++) {
        const int64_t number = number_of(futures[static_cast<size_t>(i)]);

        answered += number == i ? 1 : 0;
        lost += number == SKUA_EBROKENPOOL ? 1 : 0;
        EXPECT_TRUE(number == i || number == SKUA_EBROKENPOOL) << number;
    }
    EXPECT_EQ(JOBS, answered + lost);
    EXPECT_GT(answered, JOBS / 2);
    finish(executor);
    const std::vector<int> runs = runs_of(folder, JOBS);

    for (int i = 0; i < JOBS; i++) {
        EXPECT_LE(runs[static_cast<size_t>(i)], 1);
        /* What has run was answered: its worker lives. */
        EXPECT_EQ(runs[static_cast<size_t>(i)] == 1,
                  number_of(futures[static_cast<size_t>(i)]) == i);
    }
}

TEST_F(NatsFault, AConnectionThatIsGivenUpBreaksTheExecutor)
{
    Server server;
    const LoopThread loop;
    const LoopThread worker_loop;
    skua_nats_executor_options options = quick(server);
    skua_nats_worker_options worker_options = quick_worker(server);

    options.nats.max_reconnect = -1;
    worker_options.nats.max_reconnect = 2;
    const Worker worker = new_worker(worker_loop, worker_options);
    const Executor executor = new_executor(loop, options);
    const Future future = submit(executor, "test.sleep", 200);

    EXPECT_TRUE(eventually([&] { return stats_of(worker).taken == 1; }));
    server.stop();
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome_of(future));
    EXPECT_EQ(0U, message_of(future).find("nats: the connection was lost"))
        << message_of(future);
    EXPECT_EQ(SKUA_EBROKENPOOL,
              skua_executor_submit_named(executor.get(), "test.echo", nullptr,
                                         0, nullptr));
    finish(executor);
    EXPECT_EQ(SKUA_EBROKENPOOL, skua_nats_worker_wait(worker.get()));
}

TEST_F(NatsFault, ADeadlineHoldsWithoutAConnection)
{
    Server server;
    const LoopThread loop;
    const Executor executor = new_executor(loop, quick(server));
    skua_submit_options options = {};

    server.stop();
    options.deadline_ns = skua_monotonic() + 100 * SKUA_MS;
    EXPECT_EQ(-ETIMEDOUT,
              outcome_of(submit(executor, "test.echo", 1, &options)));
    finish(executor);
}

TEST_F(NatsFault, AWorkerThatIsDrainedWithoutAServerEnds)
{
    Server server;
    const LoopThread loop;
    const Worker worker = new_worker(loop, quick_worker(server));

    server.stop();
    drain(worker);
}

/* --- what is no call --- */

class NatsGarbage : public Nats
{
};

TEST_F(NatsGarbage, IsCountedAndHarmsNobody)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    RawClient raw(server.port());
    std::mt19937_64 random(20); /* as good as any */
    int64_t sent = 0;

    for (int i = 0; i < 500; i++) {
        std::string bytes;

        for (size_t size = random() % 100; bytes.size() < size;) {
            bytes.push_back(static_cast<char>(random()));
        }
        if (i % 2 == 0) { /* so far it looks like one */
            bytes.replace(0, std::min<size_t>(bytes.size(), 4),
                          std::string("SK\1\1").substr(0, bytes.size()));
        }
        raw.publish("skua.call.test.echo", bytes);
        raw.publish("skua.ctl", bytes);
        sent += 2;
    }
    raw.flush();
    EXPECT_EQ(1, number_of(submit(cluster.executor, "test.echo", 1)));
    EXPECT_TRUE(eventually([&] {
        return stats_of(cluster.worker).malformed >= sent * 9 / 10;
    })) << stats_of(cluster.worker).malformed;
}

TEST_F(NatsGarbage, IsAnsweredWithAnError)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    RawClient raw(server.port());
    const std::string answer =
        raw.request("skua.call.test.echo", "what is this");

    ASSERT_GE(answer.size(), 32U);
    EXPECT_EQ("SK\1\3", answer.substr(0, 4));
    EXPECT_EQ("nats: the worker does not understand the call",
              answer.substr(32));
}

TEST_F(NatsGarbage, DoesNotMakeTheWorkerPublishElsewhere)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    RawClient raw(server.port());
    std::string call("SK\1\1", 4);
    const std::string inbox = "$JS.API.STREAM.DELETE";

    call += std::string(4, '\0') + std::string(8, '\1') + std::string(8, '\2') +
            std::string(7, '\xff') + "\x7f";
    call += std::string(1, static_cast<char>(inbox.size())) +
            std::string(7, '\0') + inbox;
    const std::string answer = raw.request("skua.call.test.echo", call);

    ASSERT_GE(answer.size(), 32U);
    EXPECT_EQ("SK\1\3", answer.substr(0, 4));
    EXPECT_EQ(1, stats_of(cluster.worker).malformed);
}

TEST_F(NatsGarbage, FiguresAreOneLineOfJson)
{
    const Server server;
    const Cluster cluster(quick(server), quick_worker(server));
    RawClient raw(server.port());

    EXPECT_EQ(1, number_of(submit(cluster.executor, "test.echo", 1)));
    const std::string line = raw.request("skua.stats", "");

    EXPECT_EQ('{', line.front());
    EXPECT_EQ('}', line.back());
    EXPECT_NE(std::string::npos, line.find("\"taken\":1,\"answered\":1,"))
        << line;
    EXPECT_EQ(std::string::npos, line.find('\n'));
}

} // namespace
} // namespace conformance
