/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes.h - what tests of process pools share: functions for workers, gates
 * that hold them, what a process holds of the system, and a main().
 */
#ifndef SKUA_TESTS_CONFORMANCE_PROCESSES_H
#define SKUA_TESTS_CONFORMANCE_PROCESSES_H

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <poll.h>
#include <sstream>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "skua.h"

namespace processes
{

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
inline constexpr bool kSanitizer = true;
#else
inline constexpr bool kSanitizer = false;
#endif
#else
inline constexpr bool kSanitizer = false;
#endif

struct Unref {
    void operator()(skua_future *future) const
    {
        skua_future_unref(future);
    }
    void operator()(skua_executor *executor) const
    {
        skua_executor_unref(executor);
    }
    void operator()(skua_cancel_token *token) const
    {
        skua_cancel_token_unref(token);
    }
    void operator()(skua_buffer *buffer) const
    {
        skua_buffer_unref(buffer);
    }
};

using Future = std::unique_ptr<skua_future, Unref>;
using Executor = std::unique_ptr<skua_executor, Unref>;
using Token = std::unique_ptr<skua_cancel_token, Unref>;
using Buffer = std::unique_ptr<skua_buffer, Unref>;

/* --- functions for workers --- */

/** Connect to a Gate; -1 when it is gone. */
inline int connect_gate(const std::string &name)
{
    sockaddr_un address = {};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    if (connect(fd, reinterpret_cast<sockaddr *>(&address),
                static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 +
                                       name.size())) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

inline std::string text(const void *data, size_t bytes)
{
    return {static_cast<const char *>(data), bytes};
}

template <typename T> int answer(skua_reply *reply, const T &value)
{
    return skua_reply_write(reply, &value, sizeof(value));
}

template <typename T> T argument(const void *data, size_t bytes)
{
    T value = {};

    std::memcpy(&value, data, bytes < sizeof(value) ? bytes : sizeof(value));
    return value;
}

inline int echo(const void *data, size_t bytes, skua_reply *reply)
{
    return skua_reply_write(reply, data, bytes);
}

/** After a while: some tens of microseconds. */
inline int echo_slowly(const void *data, size_t bytes, skua_reply *reply)
{
    for (int i = 0; i < 4000 && !skua_work_should_stop(); i++) {
    }
    return skua_reply_write(reply, data, bytes);
}

/** Print it, on a stream that is flushed when the worker ends. */
inline int say(const void *data, size_t bytes, skua_reply *)
{
    return fwrite(data, 1, bytes, stdout) == bytes ? 0 : -EIO;
}

inline int tell_pid(const void *, size_t, skua_reply *reply)
{
    return answer(reply, getpid());
}

inline int give_status(const void *data, size_t bytes, skua_reply *)
{
    return argument<int>(data, bytes);
}

inline int fail(const void *data, size_t bytes, skua_reply *)
{
    return skua_raise(-EIO, "it broke: %s", text(data, bytes).c_str());
}

inline int leave(const void *data, size_t bytes, skua_reply *)
{
    _exit(argument<int>(data, bytes));
}

inline int signal_self(const void *data, size_t bytes, skua_reply *)
{
    (void)raise(argument<int>(data, bytes));
    return 0;
}

/** Say that it runs, and by whom; wait until the gate is opened or gone. */
inline int pass_gate(const void *data, size_t bytes, skua_reply *reply)
{
    const int fd = connect_gate(text(data, bytes));
    const pid_t pid = getpid();
    char byte = 0;

    if (fd < 0) {
        return -ENOENT;
    }
    (void)send(fd, &pid, sizeof(pid), MSG_NOSIGNAL);
    (void)recv(fd, &byte, 1, 0);
    (void)close(fd);
    return answer(reply, pid);
}

/** The same, whatever asks it to end. */
inline int pass_gate_for_sure(const void *data, size_t bytes, skua_reply *reply)
{
    (void)std::signal(SIGTERM, SIG_IGN);
    return pass_gate(data, bytes, reply);
}

/** The same, until it is asked to stop. */
inline int until_stopped(const void *data, size_t bytes, skua_reply *)
{
    const int fd = connect_gate(text(data, bytes));
    const pid_t pid = getpid();

    (void)send(fd, &pid, sizeof(pid), MSG_NOSIGNAL);
    while (!skua_work_should_stop()) {
        (void)sched_yield();
    }
    (void)close(fd);
    return skua_raise(-EINTR, "told to stop");
}

/** As many bytes as are asked for, each its position's. */
inline int fill(const void *data, size_t bytes, skua_reply *reply)
{
    const auto count = argument<uint64_t>(data, bytes);
    void *room = nullptr;
    const int status = skua_reply_reserve(reply, count, &room);

    for (uint64_t i = 0; status == 0 && i < count; i++) {
        static_cast<unsigned char *>(room)[i] = static_cast<unsigned char>(i);
    }
    return status;
}

inline int sum(const void *data, size_t bytes, skua_reply *reply)
{
    uint64_t total = 0;

    for (size_t i = 0; i < bytes; i++) {
        total += static_cast<const unsigned char *>(data)[i];
    }
    return answer(reply, total);
}

inline std::string &remembered()
{
    static std::string what;
    return what;
}

inline int remember(const void *data, size_t bytes, skua_reply *)
{
    remembered() = text(data, bytes);
    return 0;
}

inline int recall(const void *, size_t, skua_reply *reply)
{
    return skua_reply_write(reply, remembered().data(), remembered().size());
}

inline int refuse_to_begin(const void *, size_t, skua_reply *)
{
    return skua_raise(-EPERM, "not today");
}

struct Count {
    pid_t pid;
    int count;
};

inline int count_calls(const void *, size_t, skua_reply *reply)
{
    static int count;

    return answer(reply, Count{getpid(), ++count});
}

/** Write over whatever it shares with its parent, then return. */
inline int scribble(const void *, size_t, skua_reply *)
{
    std::ifstream maps("/proc/self/maps");
    std::string line;

    while (std::getline(maps, line)) {
        unsigned long low = 0;
        unsigned long high = 0;

        if (line.find("rw-s") != std::string::npos &&
            sscanf(line.c_str(), "%lx-%lx", &low, &high) == 2) {
            std::memset(reinterpret_cast<void *>(low), 0xa5, high - low);
        }
    }
    return 0;
}

struct Surroundings {
    int descriptors; /* open ones beyond 2 */
    int nice;
    bool ignores_sigint;
    bool blocks_signals;
    bool has_input;
    rlim_t address_space;
    rlim_t cpu;
    char name[16];
};

inline int count_listed(const char *folder)
{
    DIR *listing = opendir(folder);
    int count = -1; /* for the listing itself */

    while (const dirent *entry =
               listing == nullptr ? nullptr : readdir(listing)) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    if (listing != nullptr) {
        (void)closedir(listing);
    }
    return count;
}

inline int look_around(const void *, size_t, skua_reply *reply)
{
    Surroundings found = {};
    struct sigaction action = {};
    sigset_t blocked;
    rlimit limit = {};
    char byte = 0;

    found.descriptors = count_listed("/proc/self/fd") - 3;
    found.nice = getpriority(PRIO_PROCESS, 0);
    (void)sigaction(SIGINT, nullptr, &action);
    found.ignores_sigint = action.sa_handler == SIG_IGN;
    (void)sigprocmask(SIG_SETMASK, nullptr, &blocked);
    found.blocks_signals = sigisemptyset(&blocked) == 0;
    found.has_input = read(0, &byte, 1) != 0;
    (void)getrlimit(RLIMIT_AS, &limit);
    found.address_space = limit.rlim_cur;
    (void)getrlimit(RLIMIT_CPU, &limit);
    found.cpu = limit.rlim_cur;
    (void)prctl(PR_GET_NAME, found.name);
    return answer(reply, found);
}

inline int use_memory(const void *data, size_t bytes, skua_reply *)
{
    const auto count = argument<uint64_t>(data, bytes);
    void *memory = std::malloc(count);

    if (memory == nullptr) {
        return -ENOMEM;
    }
    std::memset(memory, 1, count);
    std::free(memory);
    return 0;
}

inline int use_cpu(const void *, size_t, skua_reply *)
{
    while (!skua_work_should_stop()) {
    }
    return 0;
}

/** Register all of these. */
inline void register_functions()
{
    const struct {
        const char *name;
        skua_function_fn *fn;
    } functions[] = {
        {"echo", echo},
        {"echo-slowly", echo_slowly},
        {"say", say},
        {"pid", tell_pid},
        {"status", give_status},
        {"fail", fail},
        {"exit", leave},
        {"signal", signal_self},
        {"gate", pass_gate},
        {"stubborn-gate", pass_gate_for_sure},
        {"until-stopped", until_stopped},
        {"fill", fill},
        {"sum", sum},
        {"remember", remember},
        {"recall", recall},
        {"refuse", refuse_to_begin},
        {"count", count_calls},
        {"scribble", scribble},
        {"look", look_around},
        {"memory", use_memory},
        {"cpu", use_cpu},
    };

    for (const auto &function : functions) {
        if (skua_function_register(function.name, function.fn) != 0) {
            std::abort();
        }
    }
}

/* --- the other side of a gate --- */

/** A worker that waits at a gate. */
class Held
{
  public:
    Held(int fd, pid_t pid) : fd_(fd), pid_(pid)
    {
    }
    Held(Held &&other) noexcept : fd_(other.fd_), pid_(other.pid_)
    {
        other.fd_ = -1;
    }
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;
    Held &operator=(Held &&) = delete;
    ~Held()
    {
        let_go();
    }

    void let_go()
    {
        if (fd_ >= 0) {
            (void)close(fd_);
            fd_ = -1;
        }
    }

    [[nodiscard]] pid_t pid() const
    {
        return pid_;
    }

  private:
    int fd_;
    pid_t pid_;
};

class Gate
{
  public:
    Gate()
    {
        static std::atomic<int> number = 0;
        sockaddr_un address = {};

        name_ = "skua-gate-" + std::to_string(getpid()) + "-" +
                std::to_string(number++);
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path + 1, name_.data(), name_.size());
        fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(0,
                  bind(fd_, reinterpret_cast<sockaddr *>(&address),
                       static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                              1 + name_.size())));
        EXPECT_EQ(0, listen(fd_, 64));
    }
    Gate(const Gate &) = delete;
    Gate &operator=(const Gate &) = delete;
    ~Gate()
    {
        (void)close(fd_);
    }

    [[nodiscard]] const std::string &name() const
    {
        return name_;
    }

    /** The next worker that has come; blocks. */
    [[nodiscard]] Held wait() const
    {
        const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        pid_t pid = 0;

        EXPECT_EQ(static_cast<ssize_t>(sizeof(pid)),
                  recv(fd, &pid, sizeof(pid), MSG_WAITALL));
        return {fd, pid};
    }

  private:
    std::string name_;
    int fd_;
};

/* --- pools --- */

inline Executor new_pool(const skua_process_pool_options &options)
{
    skua_executor *executor = nullptr;

    EXPECT_EQ(0, skua_process_pool_executor_new(&options, &executor));
    return Executor(executor);
}

inline Executor new_pool(int workers,
                         skua_restart_policy restart = SKUA_RESTART_NEVER)
{
    skua_process_pool_options options = {};

    options.max_workers = workers;
    options.restart = restart;
    options.restart_delay_ns = 1;
    options.restart_delay_max_ns = 1;
    return new_pool(options);
}

inline Future submit(const Executor &pool, const char *name,
                     const std::string &data = "")
{
    skua_future *future = nullptr;

    EXPECT_EQ(0, skua_executor_submit_named(pool.get(), name, data.data(),
                                            data.size(), &future));
    return Future(future);
}

template <typename T> std::string bytes_of(const T &value)
{
    return {reinterpret_cast<const char *>(&value), sizeof(value)};
}

/** The status of a future; waits for it. */
inline int outcome(const Future &future)
{
    return skua_await(future.get(), nullptr);
}

/** What it answered; waits for it. */
inline std::string answered(const Future &future)
{
    const void *data = nullptr;
    size_t bytes = 0;

    EXPECT_LE(0, outcome(future));
    EXPECT_LE(0, skua_future_bytes(future.get(), &data, &bytes));
    return text(data, bytes);
}

template <typename T> T answered_as(const Future &future)
{
    const std::string found = answered(future);

    EXPECT_EQ(sizeof(T), found.size());
    return argument<T>(found.data(), found.size());
}

/** Why it failed. */
inline std::string reason(const Future &future)
{
    (void)outcome(future);
    skua_exception *exception = nullptr;

    (void)skua_future_exception(future.get(), &exception);
    const std::string found =
        exception == nullptr ? "" : skua_exception_message(exception);
    skua_exception_unref(exception);
    return found;
}

inline void finish(const Executor &pool)
{
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, false));
}

/* --- what there is of everything --- */

/** The children of a process, zombies included. */
inline std::vector<pid_t> children_of(pid_t pid)
{
    std::vector<pid_t> found;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    DIR *listing = opendir(tasks.c_str());

    while (const dirent *entry =
               listing == nullptr ? nullptr : readdir(listing)) {
        std::ifstream children(tasks + "/" + entry->d_name + "/children");
        pid_t child = 0;

        while (children >> child) {
            found.push_back(child);
        }
    }
    if (listing != nullptr) {
        (void)closedir(listing);
    }
    return found;
}

/** As in /proc: 'S' when it sleeps. */
inline char state_of(pid_t pid)
{
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;

    (void)std::getline(stat, line);
    const size_t end = line.rfind(')');
    return end == std::string::npos || end + 2 >= line.size() ? '?'
                                                              : line[end + 2];
}

/** Workers of all pools of this process: what its children have forked. */
inline size_t count_workers()
{
    size_t count = 0;

    for (const pid_t server : children_of(getpid())) {
        count += children_of(server).size();
    }
    return count;
}

/** What must be as before when all pools are gone. */
struct Holdings {
    int descriptors;
    int mappings; /* shared ones */
    int threads;
    size_t workers;

    static Holdings now()
    {
        std::ifstream maps("/proc/self/maps");
        std::string line;
        int mappings = 0;

        while (std::getline(maps, line)) {
            mappings += line.find("memfd:") != std::string::npos ? 1 : 0;
        }
        return {count_listed("/proc/self/fd"), mappings,
                count_listed("/proc/self/task") + 1, count_workers()};
    }

    /** Wait until all is so; false after a minute. A thread that was joined is
     * listed until the kernel is done with it. */
    [[nodiscard]] bool come_back() const
    {
        const int64_t limit = skua_monotonic() + 60 * SKUA_S;

        while (!(now() == *this) && skua_monotonic() < limit) {
            (void)sched_yield();
        }
        return now() == *this;
    }

    bool operator==(const Holdings &other) const
    {
        return descriptors == other.descriptors && mappings == other.mappings &&
               threads == other.threads && workers == other.workers;
    }
};

inline std::ostream &operator<<(std::ostream &out, const Holdings &holdings)
{
    return out << holdings.descriptors << " descriptors, " << holdings.mappings
               << " mappings, " << holdings.threads << " threads, "
               << holdings.workers << " workers";
}

/** A process, which may be no child; -1 when the kernel has no pidfds. */
class Process
{
  public:
    explicit Process(pid_t pid)
        : fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)))
    {
    }
    Process(const Process &) = delete;
    Process &operator=(const Process &) = delete;
    Process(Process &&other) noexcept : fd_(other.fd_)
    {
        other.fd_ = -1;
    }
    Process &operator=(Process &&) = delete;
    ~Process()
    {
        if (fd_ >= 0) {
            (void)close(fd_);
        }
    }

    [[nodiscard]] bool is_watched() const
    {
        return fd_ >= 0;
    }

    /** Blocks; false when it has not ended after a minute. */
    [[nodiscard]] bool wait_end() const
    {
        pollfd watched = {fd_, POLLIN, 0};

        return poll(&watched, 1, 60000) == 1;
    }

  private:
    int fd_;
};

/** Why no worker can be started here; "" when one can. */
inline std::string &missing()
{
    static std::string why;
    return why;
}

/** The main() of such a test: the fork server comes before all threads. */
inline int run_tests(int argc, char **argv)
{
    testing::InitGoogleTest(&argc, argv);
    register_functions();
    const int status = skua_fork_server_start();

    if (!Process(getpid()).is_watched()) {
        missing() = "the kernel, or its emulator, has no pidfds";
    } else if (status == -EBUSY) {
        missing() = "an emulator has threads of its own";
    } else if (status != 0) {
        (void)fprintf(stderr, "no fork server: %s\n", skua_strerror(status));
        return 1;
    }
    std::thread([] {}).join(); /* the race detector's own thread is there now */
    return RUN_ALL_TESTS();
}

#define SKIP_WITHOUT_PROCESSES()                                               \
    do {                                                                       \
        if (!processes::missing().empty()) {                                   \
            GTEST_SKIP() << processes::missing();                              \
        }                                                                      \
    } while (0)

} // namespace processes

#endif
