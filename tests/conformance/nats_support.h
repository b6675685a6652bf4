/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_support.h - real servers, worker processes and functions for them.
 */
#ifndef SKUA_TESTS_CONFORMANCE_NATS_SUPPORT_H
#define SKUA_TESTS_CONFORMANCE_NATS_SUPPORT_H

#include <array>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <set>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>

#include "nats_raw_client.h"

namespace conformance
{

using Strings = std::vector<std::string>;

/** A folder that goes with the test. */
class Folder
{
  public:
    Folder()
    {
        char name[] = "/tmp/skua-nats-XXXXXX";

        EXPECT_NE(nullptr, mkdtemp(name));
        path_ = name;
    }

    ~Folder()
    {
        std::error_code ignored;

        std::filesystem::remove_all(path_, ignored);
    }

    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;

    [[nodiscard]] std::string path(const std::string &name = "") const
    {
        return name.empty() ? path_ : path_ + "/" + name;
    }

    [[nodiscard]] std::string write(const std::string &name,
                                    const std::string &text) const
    {
        std::ofstream(path(name)) << text;
        return path(name);
    }

    [[nodiscard]] Strings lines(const std::string &name) const
    {
        std::ifstream file(path(name));
        Strings all;

        for (std::string line; std::getline(file, line);) {
            all.push_back(line);
        }
        return all;
    }

  private:
    std::string path_;
};

/** Wait, at most 20 s, for what other processes do. */
inline bool eventually(const std::function<bool()> &holds)
{
    const int64_t until = skua_monotonic() + 20 * SKUA_S;

    while (!holds()) {
        if (skua_monotonic() > until) {
            return false;
        }
        usleep(2000);
    }
    return true;
}

/** A process of the test's own, ended by its id. */
class Process
{
  public:
    Process() = default;

    /** Standard error goes to `log` unless that is empty. */
    Process(const Strings &words, const Strings &more_environment,
            const std::string &log)
    {
        Strings all_environment = more_environment;
        std::vector<char *> argv;
        std::vector<char *> envp;
        posix_spawn_file_actions_t actions;

        for (char **entry = environ; *entry != nullptr; entry++) {
            all_environment.emplace_back(*entry);
        }
        for (const std::string &word : words) {
            argv.push_back(const_cast<char *>(word.c_str()));
        }
        for (const std::string &entry : all_environment) {
            envp.push_back(const_cast<char *>(entry.c_str()));
        }
        argv.push_back(nullptr);
        envp.push_back(nullptr);
        posix_spawn_file_actions_init(&actions);
        if (!log.empty()) {
            posix_spawn_file_actions_addopen(
                &actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
            posix_spawn_file_actions_adddup2(&actions, 1, 2);
        }
        EXPECT_EQ(0, posix_spawnp(&pid_, argv[0], &actions, nullptr,
                                  argv.data(), envp.data()));
        posix_spawn_file_actions_destroy(&actions);
    }

    ~Process()
    {
        end(SIGKILL);
    }

    Process(Process &&other) noexcept : pid_(std::exchange(other.pid_, 0))
    {
    }
    Process &operator=(Process &&other) noexcept
    {
        end(SIGKILL);
        pid_ = std::exchange(other.pid_, 0);
        return *this;
    }

    void signal(int number) const
    {
        EXPECT_GT(pid_, 0);
        EXPECT_EQ(0, kill(pid_, number));
    }

    /** Its wait status. */
    int wait()
    {
        int status = -1;

        if (pid_ > 0) {
            EXPECT_EQ(pid_, waitpid(pid_, &status, 0));
        }
        pid_ = 0;
        return status;
    }

    int end(int number)
    {
        if (pid_ <= 0) {
            return 0;
        }
        signal(number);
        return wait();
    }

    /** Whether it has ended; wait() gives how. */
    [[nodiscard]] bool is_gone() const
    {
        siginfo_t info = {};

        return waitid(P_PID, static_cast<id_t>(pid_), &info,
                      WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid == pid_;
    }

    [[nodiscard]] pid_t pid() const
    {
        return pid_;
    }

  private:
    pid_t pid_ = 0;
};

/** Where the server is, or "". */
inline std::string nats_server()
{
    for (const char *path : {"/usr/sbin/nats-server", "/usr/bin/nats-server",
                             "/usr/local/bin/nats-server"}) {
        if (access(path, X_OK) == 0) {
            return path;
        }
    }
    return "";
}

inline bool port_accepts(int port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    bool accepts;

    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    accepts = connect(fd, reinterpret_cast<sockaddr *>(&address),
                      sizeof(address)) == 0;
    close(fd);
    return accepts;
}

/** A port that nobody has at the moment. */
inline int free_port()
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    socklen_t bytes = sizeof(address);

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, bind(fd, reinterpret_cast<sockaddr *>(&address), bytes));
    EXPECT_EQ(0,
              getsockname(fd, reinterpret_cast<sockaddr *>(&address), &bytes));
    close(fd);
    return ntohs(address.sin_port);
}

/** A real server on loopback. It keeps its port when it is started again. */
class Server
{
  public:
    explicit Server(Strings options = {}, const std::string &scheme = "nats")
        : options_(std::move(options)), port_(free_port()),
          url_(scheme + "://127.0.0.1:" + std::to_string(port_))
    {
        start();
    }

    void start()
    {
        Strings words = {nats_server(),         "-a", "127.0.0.1", "-p",
                         std::to_string(port_), "-l", log()};

        words.insert(words.end(), options_.begin(), options_.end());
        process_ = Process(words, {}, folder_.path("output"));
        EXPECT_TRUE(eventually([this] { return port_accepts(port_); }))
            << said();
    }

    void stop(int signal = SIGKILL)
    {
        process_.end(signal);
    }

    [[nodiscard]] const std::string &url() const
    {
        return url_;
    }

    [[nodiscard]] int port() const
    {
        return port_;
    }

    [[nodiscard]] std::string log() const
    {
        return folder_.path("log");
    }

    [[nodiscard]] std::string said() const
    {
        std::string all;

        for (const char *name : {"output", "log"}) {
            for (const std::string &line : folder_.lines(name)) {
                all += line + "\n";
            }
        }
        return all;
    }

  private:
    Folder folder_;
    Strings options_;
    int port_;
    std::string url_;
    Process process_;
};

/* --- functions --- */

inline int64_t number_in(const void *data, size_t bytes)
{
    int64_t number = 0;

    if (bytes >= sizeof(number)) {
        memcpy(&number, data, sizeof(number));
    }
    return number;
}

inline int nats_echo(const void *data, size_t bytes, skua_reply *reply)
{
    return skua_reply_write(reply, data, bytes);
}

inline int nats_fail(const void *, size_t, skua_reply *)
{
    return skua_raise(-EDOM, "no such %s", "number");
}

/** So many bytes. */
inline int nats_large(const void *data, size_t bytes, skua_reply *reply)
{
    void *to = nullptr;
    const auto size = static_cast<size_t>(number_in(data, bytes));
    const int status = skua_reply_reserve(reply, size, &to);

    if (status == 0) {
        memset(to, 'x', size);
    }
    return status < 0 ? status : 7;
}

/** Sleep so many milliseconds, unless told to stop. */
inline int nats_sleep(const void *data, size_t bytes, skua_reply *)
{
    const int64_t until = skua_monotonic() + number_in(data, bytes) * SKUA_MS;

    while (skua_monotonic() < until) {
        if (skua_work_should_stop()) {
            return SKUA_ECANCELED;
        }
        usleep(1000);
    }
    return 0;
}

/** Append a line to the file SKUA_TEST_LEDGER; then as nats_sleep(). */
inline int nats_note(const void *data, size_t bytes, skua_reply *reply)
{
    const char *ledger = getenv("SKUA_TEST_LEDGER");
    const int64_t number = number_in(data, bytes);
    const std::string line = std::to_string(number) + "\n";
    const int fd =
        open(ledger, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    const char *pause = getenv("SKUA_TEST_PAUSE_US");

    if (fd < 0 || write(fd, line.data(), line.size()) !=
                      static_cast<ssize_t>(line.size())) {
        return -EIO;
    }
    close(fd);
    usleep(pause == nullptr ? 0 : static_cast<useconds_t>(atoi(pause)));
    return skua_reply_write(reply, &number, sizeof(number));
}

/** The worker dies of it. */
inline int nats_die(const void *data, size_t bytes, skua_reply *reply)
{
    (void)nats_note(data, bytes, reply);
    (void)kill(getpid(), SIGKILL);
    return 0;
}

inline void register_functions()
{
    EXPECT_EQ(0, skua_function_register("test.echo", nats_echo));
    EXPECT_EQ(0, skua_function_register("test.fail", nats_fail));
    EXPECT_EQ(0, skua_function_register("test.large", nats_large));
    EXPECT_EQ(0, skua_function_register("test.sleep", nats_sleep));
    EXPECT_EQ(0, skua_function_register("test.note", nats_note));
    EXPECT_EQ(0, skua_function_register("test.die", nats_die));
}

/* --- who runs them --- */

/** A loop that runs in a thread of its own. */
class LoopThread
{
  public:
    LoopThread()
    {
        EXPECT_EQ(0, skua_loop_new(nullptr, &loop_));
        thread_ = std::thread([this] { (void)skua_loop_run_forever(loop_); });
    }

    ~LoopThread()
    {
        close();
        skua_loop_unref(loop_);
    }

    void close()
    {
        if (thread_.joinable()) {
            EXPECT_EQ(0, skua_loop_stop(loop_));
            thread_.join();
            EXPECT_EQ(0, skua_loop_close(loop_));
        }
    }

    LoopThread(const LoopThread &) = delete;
    LoopThread &operator=(const LoopThread &) = delete;

    operator skua_loop *() const
    {
        return loop_;
    }

  private:
    skua_loop *loop_ = nullptr;
    std::thread thread_;
};

struct UnrefWorker {
    void operator()(skua_nats_worker *worker) const
    {
        skua_nats_worker_unref(worker);
    }
};
using Worker = std::unique_ptr<skua_nats_worker, UnrefWorker>;

inline Worker new_worker(skua_loop *loop,
                         const skua_nats_worker_options &options)
{
    skua_nats_worker *worker = nullptr;

    register_functions();
    EXPECT_EQ(0, skua_nats_worker_new(loop, &options, &worker));
    return Worker(worker);
}

inline void drain(const Worker &worker)
{
    ASSERT_NE(nullptr, worker);
    EXPECT_EQ(0, skua_nats_worker_drain(worker.get()));
    EXPECT_EQ(0, skua_nats_worker_wait(worker.get()));
}

inline skua_nats_worker_stats stats_of(const Worker &worker)
{
    skua_nats_worker_stats stats = {};

    EXPECT_EQ(0, skua_nats_worker_get_stats(worker.get(), &stats));
    return stats;
}

inline Executor new_executor(skua_loop *loop,
                             const skua_nats_executor_options &options)
{
    skua_executor *executor = nullptr;

    register_functions();
    EXPECT_EQ(0, skua_nats_executor_new(loop, &options, &executor));
    return Executor(executor);
}

inline void finish(const Executor &executor)
{
    EXPECT_EQ(0, skua_executor_shutdown(executor.get(), true, false));
}

/** A worker and an executor, each on a loop of its own. */
struct Cluster {
    Cluster(const skua_nats_executor_options &options,
            const skua_nats_worker_options &worker_options)
        : worker(new_worker(worker_loop, worker_options)),
          executor(new_executor(loop, options))
    {
    }

    ~Cluster()
    {
        finish(executor);
        drain(worker);
    }

    Cluster(const Cluster &) = delete;
    Cluster &operator=(const Cluster &) = delete;

    LoopThread worker_loop;
    LoopThread loop;
    Worker worker;
    Executor executor;
};

/** Submit with a number as its data. */
inline Future submit(const Executor &executor, const char *name, int64_t number,
                     const skua_submit_options *options = nullptr)
{
    skua_future *future = nullptr;
    skua_work work = {};

    work.name = name;
    work.data = &number;
    work.bytes = sizeof(number);
    EXPECT_EQ(
        0, skua_executor_submit_work(executor.get(), &work, options, &future));
    return Future(future);
}

inline int outcome_of(const Future &future)
{
    return future == nullptr ? -EINVAL : skua_await(future.get(), nullptr);
}

/** The number that it answers, or its status. */
inline int64_t number_of(const Future &future)
{
    const void *data = nullptr;
    size_t bytes = 0;
    const int status = outcome_of(future);

    if (status < 0 || skua_future_bytes(future.get(), &data, &bytes) < 0) {
        return status;
    }
    return bytes == sizeof(int64_t) ? number_in(data, bytes) : -EBADMSG;
}

inline std::string message_of(const Future &future)
{
    skua_exception *exception = nullptr;

    if (skua_future_exception(future.get(), &exception) < 0) {
        return "";
    }
    const Exception owned(exception);

    return skua_exception_message(exception);
}

/** A worker in a process of its own: this program, at the test named Serve. */
class WorkerProcess
{
  public:
    WorkerProcess(const std::string &url, const Folder &folder,
                  const Strings &environment = {})
    {
        Strings all = environment;

        all.push_back("SKUA_TEST_URL=" + url);
        all.push_back("SKUA_TEST_LEDGER=" + folder.path("ledger"));
        all.push_back("SKUA_TEST_READY=" +
                      folder.path("ready" + std::to_string(++made)));
        process_ = Process({"/proc/self/exe",
                            "--gtest_filter=WorkerProcess.DISABLED_Serve",
                            "--gtest_also_run_disabled_tests"},
                           all, folder.path("workers"));
        /* It may take deadly work before it says that it is there. */
        EXPECT_TRUE(eventually([&] {
            return process_.is_gone() ||
                   access(folder.path("ready" + std::to_string(made)).c_str(),
                          F_OK) == 0;
        }));
    }

    int end(int signal)
    {
        return process_.end(signal);
    }

    int wait()
    {
        return process_.wait();
    }

  private:
    static inline int made = 0;
    Process process_;
};

inline int environment_number(const char *name, int otherwise)
{
    const char *value = getenv(name);

    return value == nullptr ? otherwise : atoi(value);
}

/** What such a process does. */
inline void serve_in_process()
{
    const char *url = getenv("SKUA_TEST_URL");
    const LoopThread loop;
    skua_nats_worker_options options = {};

    ASSERT_NE(nullptr, url) << "only other tests start this one";
    options.nats.urls = url;
    options.nats.durable = environment_number("SKUA_TEST_DURABLE", 0) != 0;
    options.nats.ack_wait_ns =
        environment_number("SKUA_TEST_ACK_WAIT_MS", 0) * SKUA_MS;
    options.nats.max_deliver = environment_number("SKUA_TEST_MAX_DELIVER", 0);
    options.nats.replicas = environment_number("SKUA_TEST_REPLICAS", 0);
    options.nats.reconnect_wait_ns = 20 * SKUA_MS;
    options.workers = environment_number("SKUA_TEST_WORKERS", 2);
    options.max_queued = environment_number("SKUA_TEST_MAX_QUEUED", 0);
    const Worker worker = new_worker(loop, options);

    ASSERT_NE(nullptr, worker);
    std::ofstream(getenv("SKUA_TEST_READY")) << "ready\n";
    EXPECT_EQ(0, skua_nats_worker_wait(worker.get()));
}

TEST(WorkerProcess, DISABLED_Serve)
{
    serve_in_process();
}

/** Tests with servers: skipped without them. */
class Nats : public testing::Test
{
  protected:
    void SetUp() override
    {
        skua_executor *executor = nullptr;
        skua_nats_executor_options options = {};
        const Loop loop;

        if (nats_server().empty()) {
            GTEST_SKIP() << "there is no nats-server";
        }

        options.nats.urls = "nats://127.0.0.1:1";
        if (skua_nats_executor_new(loop, &options, &executor) == -ENOTSUP) {
            GTEST_SKIP() << "built without NATS";
        }
    }

    /** Options that find out soon. */
    static skua_nats_executor_options quick(const Server &server)
    {
        skua_nats_executor_options options = {};

        options.nats.urls = server.url().c_str();
        options.nats.reconnect_wait_ns = 20 * SKUA_MS;
        options.heartbeat_ns = 100 * SKUA_MS;
        options.missed_beats = kRaceDetector ? 10 : 5;
        return options;
    }

    static skua_nats_worker_options quick_worker(const Server &server,
                                                 int workers = 2)
    {
        skua_nats_worker_options options = {};

        options.nats = quick(server).nats;
        options.workers = workers;
        return options;
    }
};

} // namespace conformance

#endif
