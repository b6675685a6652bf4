/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_cluster_test.cc - three servers, of which one dies.
 *
 * Where the system lets this program make network namespaces, each server has
 * one of its own, on a bridge in another one where the test runs; else all are
 * on loopback, by their ports.
 */
#include <sched.h>

#include "nats_support.h"

namespace conformance
{
namespace
{

int call(const std::string &command)
{
    Process shell({"/bin/sh", "-c", command}, {}, "/dev/null");

    return shell.wait();
}

/** Namespaces for servers, or none. */
class Network
{
  public:
    explicit Network(int servers)
    {
        name_ = "skua" + std::to_string(getpid());
        if (getuid() != 0 || access("/usr/sbin/ip", X_OK) != 0 ||
            call("ip link add " + name_ + " type bridge && ip addr add " +
                 address(0) + "/24 dev " + name_ + " && ip link set " + name_ +
                 " up") != 0) {
            remove();
            return;
        }
        there_ = true;
        for (int i = 1; i <= servers && there_; i++) {
            const std::string own = space(i);

            there_ = call("ip netns add " + own + " && ip link add " + own +
                          " type veth peer name eth0 netns " + own +
                          " && ip link set " + own + " master " + name_ +
                          " up && ip -n " + own + " addr add " + address(i) +
                          "/24 dev eth0 && ip -n " + own +
                          " link set eth0 up && ip -n " + own +
                          " link set lo up") == 0;
            servers_ = i;
        }
        if (!there_) {
            remove();
        }
    }

    ~Network()
    {
        remove();
    }

    Network(const Network &) = delete;
    Network &operator=(const Network &) = delete;

    [[nodiscard]] bool is_there() const
    {
        return there_;
    }

    [[nodiscard]] std::string space(int server) const
    {
        return name_ + "-" + std::to_string(server);
    }

    /** Of a network that only this host has. */
    [[nodiscard]] static std::string address(int server)
    {
        return "10.213.77." + std::to_string(10 + server);
    }

  private:
    void remove()
    {
        for (int i = 1; i <= servers_; i++) {
            (void)call("ip netns del " + space(i) + "; ip link del " +
                       space(i));
        }
        (void)call("ip link del " + name_);
        servers_ = 0;
        there_ = false;
    }

    std::string name_;
    int servers_ = 0;
    bool there_ = false;
};

/** Three servers, each with a route to the others. */
class ServerCluster
{
  public:
    enum { SERVERS = 3 };

    ServerCluster() : network_(SERVERS)
    {
        for (int i = 1; i <= SERVERS; i++) {
            ports_.push_back(network_.is_there() ? 4222 : free_port());
            routes_.push_back(network_.is_there() ? 6222 : free_port());
        }
        servers_.resize(SERVERS);
        for (int i = 1; i <= SERVERS; i++) {
            start(i);
        }
        EXPECT_TRUE(eventually([this] {
            return call("grep -q 'JetStream cluster new metadata leader' " +
                        folder_.path("log") + "*") == 0;
        }));
    }

    void start(int server)
    {
        std::string routes;
        Strings words;
        const auto at = static_cast<size_t>(server - 1);

        for (int i = 1; i <= SERVERS; i++) {
            routes += (i == 1 ? "nats://" : ",nats://") + host(i) + ":" +
                      std::to_string(routes_[static_cast<size_t>(i - 1)]);
        }
        if (network_.is_there()) {
            words = {"ip", "netns", "exec", network_.space(server)};
        }
        for (const std::string &word :
             {nats_server(), std::string("-a"), host(server), std::string("-p"),
              std::to_string(ports_[at]), std::string("-n"),
              "server" + std::to_string(server), std::string("-l"),
              folder_.path("log" + std::to_string(server)), std::string("-js"),
              std::string("-sd"),
              folder_.path("store" + std::to_string(server)),
              std::string("--cluster_name"), std::string("test"),
              std::string("--cluster"),
              "nats://" + host(server) + ":" + std::to_string(routes_[at]),
              std::string("--routes"), routes}) {
            words.push_back(word);
        }
        servers_[at] = Process(words, {}, folder_.path("output"));
    }

    void stop(int server)
    {
        servers_[static_cast<size_t>(server - 1)].end(SIGKILL);
    }

    [[nodiscard]] std::string url(int server) const
    {
        return "nats://" + host(server) + ":" +
               std::to_string(ports_[static_cast<size_t>(server - 1)]);
    }

    /** That one first, then the others. */
    [[nodiscard]] std::string urls(int first) const
    {
        std::string all = url(first);

        for (int i = 1; i < SERVERS; i++) {
            all += "," + url((first + i - 1) % SERVERS + 1);
        }
        return all;
    }

    [[nodiscard]] bool has_namespaces() const
    {
        return network_.is_there();
    }

  private:
    [[nodiscard]] std::string host(int server) const
    {
        return network_.is_there() ? Network::address(server) : "127.0.0.1";
    }

    Network network_;
    Folder folder_;
    std::vector<int> ports_;
    std::vector<int> routes_;
    std::vector<Process> servers_;
};

class NatsCluster : public Nats
{
  protected:
    static skua_nats_executor_options options_for(const std::string &urls)
    {
        skua_nats_executor_options options = {};

        options.nats.urls = urls.c_str();
        options.nats.reconnect_wait_ns = 20 * SKUA_MS;
        options.heartbeat_ns = 200 * SKUA_MS;
        options.missed_beats = 10;
        options.patience_ns = 60 * SKUA_S;
        return options;
    }
};

TEST_F(NatsCluster, WorkGoesOnWhenAServerDies)
{
    enum { JOBS = 1000 };
    ServerCluster servers;
    const Folder folder;
    const LoopThread loop;
    const WorkerProcess first(servers.urls(1), folder,
                              {"SKUA_TEST_PAUSE_US=300"});
    const WorkerProcess second(servers.urls(2), folder,
                               {"SKUA_TEST_PAUSE_US=300"});
    const std::string urls = servers.urls(3);
    const Executor executor = new_executor(loop, options_for(urls));
    std::vector<Future> futures;
    std::multiset<std::string> ran;
    int answered = 0;
    int lost = 0;

    RecordProperty("namespaces", servers.has_namespaces() ? "yes" : "no");
    for (int i = 0; i < JOBS; i++) {
        futures.push_back(submit(executor, "test.note", i));
    }
    EXPECT_TRUE(
        eventually([&] { return folder.lines("ledger").size() > 100; }));
    servers.stop(1);
    for (int i = 0; i < JOBS; i++) {
        const int64_t number = number_of(futures[static_cast<size_t>(i)]);

        answered += number == i ? 1 : 0;
        lost += number == SKUA_EBROKENPOOL ? 1 : 0;
    }
    EXPECT_EQ(JOBS, answered + lost);
    EXPECT_GT(answered, JOBS / 2);
    EXPECT_EQ(1, number_of(submit(executor, "test.echo", 1)));
    finish(executor);
    for (const std::string &line : folder.lines("ledger")) {
        ran.insert(line);
    }
    for (const std::string &line : ran) {
        EXPECT_EQ(1U, ran.count(line)) << line;
    }
}

TEST_F(NatsCluster, NothingDurableIsLostWhenAServerAndAWorkerDie)
{
    enum { JOBS = 400 };
    ServerCluster servers;
    const Folder folder;
    const LoopThread loop;
    const Strings environment = {"SKUA_TEST_PAUSE_US=1000",
                                 "SKUA_TEST_DURABLE=1", "SKUA_TEST_REPLICAS=3",
                                 "SKUA_TEST_ACK_WAIT_MS=3000"};
    const std::string urls = servers.urls(1);
    skua_nats_executor_options options = options_for(urls);

    options.nats.durable = true;
    options.nats.replicas = 3;
    options.nats.ack_wait_ns = 3 * SKUA_S;
    const Executor executor = new_executor(loop, options);
    WorkerProcess first(servers.urls(2), folder, environment);
    const WorkerProcess second(servers.urls(3), folder, environment);
    std::vector<Future> futures;
    std::set<std::string> ran;

    for (int i = 0; i < JOBS; i++) {
        futures.push_back(submit(executor, "test.note", i));
    }
    EXPECT_TRUE(eventually([&] { return folder.lines("ledger").size() > 50; }));
    servers.stop(1);
    first.end(SIGKILL);
    for (int i = 0; i < JOBS; i++) {
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
    finish(executor);
    for (const std::string &line : folder.lines("ledger")) {
        ran.insert(line);
    }
    EXPECT_EQ(static_cast<size_t>(JOBS), ran.size());
}

} // namespace
} // namespace conformance
