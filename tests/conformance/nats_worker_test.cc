/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_worker_test.cc - the program skua-worker.
 */
#include "nats_support.h"

namespace conformance
{
namespace
{

int not_run_here(const void *, size_t, skua_reply *)
{
    return -EDOM;
}

class NatsWorker : public Nats
{
  protected:
    void SetUp() override
    {
        Nats::SetUp();
        EXPECT_EQ(0, skua_function_register("object.give_back", not_run_here));
        EXPECT_EQ(0, skua_function_register("object.take_time", not_run_here));
    }

    Process start(const Strings &options, const Strings &environment = {}) const
    {
        Strings words = {SKUA_WORKER_PROGRAM};

        words.insert(words.end(), options.begin(), options.end());
        return Process(words, environment, folder.path("said"));
    }

    /** It serves: its line says so. */
    void wait_ready() const
    {
        EXPECT_TRUE(eventually([this] {
            return text().find("skua-worker: serving") != std::string::npos;
        })) << text();
    }

    [[nodiscard]] std::string text() const
    {
        std::string all;

        for (const std::string &line : folder.lines("said")) {
            all += line + "\n";
        }
        return all;
    }

    Folder folder;
};

TEST_F(NatsWorker, ServesASharedObjectAndDrainsOnSigterm)
{
    const Server server;
    const LoopThread loop;
    Process worker = start({"--url", server.url(), "--workers", "1",
                            "--stats-interval", "1", SKUA_WORKER_OBJECT});

    wait_ready();
    const Executor executor = new_executor(loop, quick(server));
    const Future slow = submit(executor, "object.take_time", 2);

    EXPECT_EQ(1, number_of(submit(executor, "object.give_back", 1)));
    worker.signal(SIGTERM);
    EXPECT_EQ(0, worker.wait());
    EXPECT_EQ(2, number_of(slow));
    EXPECT_NE(std::string::npos, text().find("skua-worker: draining"));
    EXPECT_NE(std::string::npos, text().find("{\"taken\":2,\"answered\":2,"))
        << text();
    EXPECT_EQ(-EHOSTUNREACH,
              outcome_of(submit(executor, "object.give_back", 1)));
    finish(executor);
}

TEST_F(NatsWorker, ASecondSignalEndsItAtOnce)
{
    const Server server;
    const LoopThread loop;
    Process worker =
        start({"--url", server.url(), "--workers", "1", SKUA_WORKER_OBJECT});
    std::vector<Future> futures;

    wait_ready();
    skua_nats_executor_options options = quick(server);
    const Executor executor = new_executor(loop, options);

    for (int i = 0; i < 100; i++) {
        futures.push_back(submit(executor, "object.take_time", i));
    }
    EXPECT_EQ(0, number_of(futures[0]));
    worker.signal(SIGINT);
    EXPECT_TRUE(eventually([this] {
        return text().find("skua-worker: draining") != std::string::npos;
    }));
    worker.signal(SIGINT);
    const int status = worker.wait();

    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(128 + SIGINT, WEXITSTATUS(status));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome_of(futures[99]));
    finish(executor);
}

TEST_F(NatsWorker, ServesStreams)
{
    const Folder store;
    const Server server({"-js", "-sd", store.path()});
    const LoopThread loop;
    Process worker = start({"--url", server.url(), "--durable", "--prefix",
                            "a.place", SKUA_WORKER_OBJECT});
    skua_nats_executor_options options = quick(server);

    wait_ready();
    options.nats.durable = true;
    options.nats.prefix = "a.place";
    const Executor executor = new_executor(loop, options);

    EXPECT_EQ(4, number_of(submit(executor, "object.give_back", 4)));
    finish(executor);
    worker.signal(SIGTERM);
    EXPECT_EQ(0, worker.wait());
}

TEST_F(NatsWorker, SecretsComeFromTheEnvironment)
{
    const Server server({"--user", "anna", "--pass", "right"});
    Process worker =
        start({"--url", server.url(), "--user", "anna", SKUA_WORKER_OBJECT},
              {"SKUA_NATS_PASSWORD=right"});

    wait_ready();
    worker.signal(SIGTERM);
    EXPECT_EQ(0, worker.wait());
    Process refused =
        start({"--url", server.url(), "--user", "anna", SKUA_WORKER_OBJECT});

    EXPECT_EQ(1, WEXITSTATUS(refused.wait()));
    EXPECT_NE(std::string::npos, text().find("Authorization Violation"))
        << text();
}

struct Wrong {
    Strings words;
    int status;
    std::string says;
};

TEST_F(NatsWorker, SaysWhatIsWrong)
{
    const std::string nothing = folder.write("nothing.so", "no object");
    const std::vector<Wrong> all = {
        {{"--help"}, 0, "usage: skua-worker"},
        {{}, 2, "exactly one shared object is needed"},
        {{"--workers", "none", "x.so"},
         2,
         "not a number that is allowed: none"},
        {{"--workers", "9999", "x.so"},
         2,
         "not a number that is allowed: 9999"},
        {{"--nonsense"}, 2, "nonsense"},
        {{"--token-from-env", "x.so"}, 2, "SKUA_NATS_TOKEN is not set"},
        {{folder.path("missing.so")}, 1, "missing.so"},
        {{nothing}, 1, "nothing.so"},
        {{"/lib/x86_64-linux-gnu/libm.so.6"}, 1, "skua-worker: "},
        {{"--url", "nats://127.0.0.1:1", SKUA_WORKER_OBJECT},
         1,
         "No server available"},
        {{"--prefix", "a..b", SKUA_WORKER_OBJECT}, 1, "prefix is no subject"},
    };

    for (const Wrong &wrong : all) {
        const size_t before = text().size();
        Process worker = start(wrong.words);

        EXPECT_EQ(wrong.status, WEXITSTATUS(worker.wait())) << wrong.says;
        EXPECT_NE(std::string::npos, text().find(wrong.says, before))
            << text().substr(before);
    }
}

} // namespace
} // namespace conformance
