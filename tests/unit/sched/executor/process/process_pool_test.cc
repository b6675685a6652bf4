/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_pool_test.cc - process pools from within: steps of a cancellation,
 * workers that forge what they write, forked children.
 */
#include "conformance/processes.h"
#include "executor/job.h"
#include "executor/process/channel_memory.h"
#include "executor/process/payload.h"
#include "executor/process/process_pool.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace
{

using namespace processes;

/* --- workers that forge --- */

/** What this worker shares with its parent. */
skui_channel_memory *shared_memory()
{
    std::ifstream maps("/proc/self/maps");
    std::string line;

    while (std::getline(maps, line)) {
        unsigned long low = 0;

        if (line.find("rw-s") != std::string::npos &&
            line.find("memfd:skua ") != std::string::npos &&
            sscanf(line.c_str(), "%lx", &low) == 1) {
            return reinterpret_cast<skui_channel_memory *>(low);
        }
    }
    _exit(1);
}

/** Publish a frame without a payload, behind the worker's back. */
void forge_frame(skui_ring_frame frame)
{
    skui_channel_memory *memory = shared_memory();
    const uint64_t tail = skui_load_relaxed(&memory->replies.tail);
    unsigned char *ring = reinterpret_cast<unsigned char *>(memory) +
                          SKUI_CHANNEL_HEAD_BYTES + memory->request_bytes;

    std::memcpy(ring + tail % memory->reply_bytes, &frame, sizeof(frame));
    skui_store_seq_cst(&memory->replies.tail, tail + sizeof(frame));
    skui_store_seq_cst(&memory->armed, 0U);
    for (int fd = 3; fd < 16; fd++) {
        const uint64_t one = 1;
        struct stat about = {};

        if (fstat(fd, &about) == 0 && (about.st_mode & S_IFMT) == 0) {
            (void)!write(fd, &one, sizeof(one)); /* an eventfd */
        }
    }
}

uint64_t claimed_id()
{
    skui_channel_memory *memory = shared_memory();

    for (auto &claim : memory->claims) {
        const uint64_t word = skui_load_relaxed(&claim);

        if (word % SKUI_CHANNEL_CLAIMS == SKUI_CHANNEL_CLAIMED) {
            return word / SKUI_CHANNEL_CLAIMS;
        }
    }
    _exit(1);
}

void send_descriptor(uint64_t id, uint64_t bytes, int file)
{
    for (int fd = 3; fd < 16; fd++) {
        struct stat about = {};

        if (fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode)) {
            (void)skui_payload_send(fd, id, bytes, file, true);
        }
    }
}

/** Say again that it is ready, as if its initializer had failed. */
int forge_ready(const void *, size_t, skua_reply *)
{
    skui_ring_frame frame = {};

    frame.status = -EPERM;
    frame.kind = SKUI_MESSAGE_READY;
    forge_frame(frame);
    for (;;) {
        (void)pause();
    }
}

/** Answer with much more than may be. */
int forge_large(const void *, size_t, skua_reply *)
{
    constexpr uint64_t kBytes = uint64_t{1} << 40;
    skui_ring_frame frame = {};
    int fd = -1;

    frame.id = claimed_id();
    frame.bytes = kBytes;
    frame.kind = SKUI_MESSAGE_REPLY;
    frame.flags = SKUI_MESSAGE_HAS_FD;
    if (skui_payload_new(kBytes, &fd) != 0 || skui_payload_seal(fd) != 0) {
        _exit(1);
    }
    send_descriptor(frame.id, kBytes, fd);
    forge_frame(frame);
    for (;;) {
        (void)pause();
    }
}

/** Fail with a text of so many bytes. */
int fail_at_length(const void *data, size_t bytes, skua_reply *)
{
    const std::string why(argument<uint64_t>(data, bytes), 'y');

    return skua_raise(-EIO, "%s", why.c_str());
}

class ProcessPoolInside : public testing::Test
{
  protected:
    void SetUp() override
    {
        SKIP_WITHOUT_PROCESSES();
        before_ = Holdings::now();
    }

    void TearDown() override
    {
        if (missing().empty()) {
            EXPECT_TRUE(before_.come_back())
                << before_ << ", now " << Holdings::now();
        }
    }

  private:
    Holdings before_ = {};
};

skua_process_pool_options one_worker(skua_restart_policy restart)
{
    skua_process_pool_options options = {};

    options.max_workers = 1;
    options.restart = restart;
    options.restart_delay_ns = 1;
    options.restart_delay_max_ns = 1;
    return options;
}

/* --- cancelling --- */

TEST_F(ProcessPoolInside, WhatWasRevokedIsCompletedByItsCanceller)
{
    skua_process_pool_options options = one_worker(SKUA_RESTART_ALWAYS);
    options.restart_delay_ns = 1000 * SKUA_S; /* what waits keeps waiting */
    options.restart_delay_max_ns = 1000 * SKUA_S;
    const Executor pool = new_pool(options);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    const Held held = gate.wait();
    const Future two = submit(pool, "echo", "x");

    ASSERT_EQ(0, kill(held.pid(), SIGKILL));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(one));
    skui_job *job = skui_job_of(two.get());
    ASSERT_NE(nullptr, job->revoke);
    ASSERT_TRUE(job->revoke(job)); /* a canceller that goes on only later */
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), true, true));
    EXPECT_FALSE(skua_future_done(two.get()));
    skui_outcome cancelled = {SKUA_ECANCELED, nullptr, nullptr};
    skui_job_detach(job);
    EXPECT_TRUE(skui_future_complete_started(two.get(), &cancelled));
    skua_future_unref(two.get()); /* the executor's reference */
    EXPECT_TRUE(skua_future_cancelled(two.get()));
}

/* --- the log --- */

/** What is logged while it lives. */
class Log
{
  public:
    Log()
    {
        EXPECT_EQ(0,
                  skua_set_logger(
                      [](skua_log_level level, const char *message, void *arg) {
                          auto *self = static_cast<Log *>(arg);
                          const std::scoped_lock guard(self->mutex_);

                          EXPECT_EQ(SKUA_LOG_WARNING, level);
                          self->messages_.emplace_back(message);
                      },
                      this));
    }
    Log(const Log &) = delete;
    Log &operator=(const Log &) = delete;
    ~Log()
    {
        (void)skua_set_logger(nullptr, nullptr);
    }

    std::vector<std::string> messages()
    {
        const std::scoped_lock guard(mutex_);
        return messages_;
    }

  private:
    std::mutex mutex_;
    std::vector<std::string> messages_; /* guarded by mutex_ */
};

TEST_F(ProcessPoolInside, ADeathThatBreaksNothingIsLogged)
{
    Log log;
    const Executor pool = new_pool(one_worker(SKUA_RESTART_ALWAYS));
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    const Held held = gate.wait();
    const Future two = submit(pool, "echo", "x");

    ASSERT_EQ(0, kill(held.pid(), SIGKILL));
    EXPECT_EQ("x", answered(two));
    const std::vector<std::string> expected = {
        "process pool: worker " + std::to_string(held.pid()) +
        " was killed by signal 9 (Killed) while it ran \"gate\""};
    EXPECT_EQ(expected, log.messages());
    finish(pool);
    EXPECT_EQ(1U, log.messages().size());
}

TEST_F(ProcessPoolInside, SoIsOneThatRanNothing)
{
    Log log;
    const Executor pool = new_pool(one_worker(SKUA_RESTART_ALWAYS));
    const auto pid = answered_as<pid_t>(submit(pool, "pid"));

    ASSERT_EQ(0, kill(pid, SIGTERM));
    while (log.messages().empty()) {
        (void)sched_yield();
    }
    EXPECT_EQ("process pool: worker " + std::to_string(pid) +
                  " was killed by signal 15 (Terminated)",
              log.messages().front());
    EXPECT_NE(pid, answered_as<pid_t>(submit(pool, "pid")));
    finish(pool);
}

TEST_F(ProcessPoolInside, OneThatBreaksThePoolIsToldToItsWork)
{
    Log log;
    const Executor pool = new_pool(one_worker(SKUA_RESTART_NEVER));
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    const Held held = gate.wait();

    ASSERT_EQ(0, kill(held.pid(), SIGKILL));
    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(one));
    finish(pool);
    EXPECT_TRUE(log.messages().empty());
}

TEST_F(ProcessPoolInside, WhatIsStuckAtTheEndIsNamed)
{
    Log log;
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    const Future two = submit(pool, "echo", "x");

    EXPECT_EQ(-ETIMEDOUT, skua_executor_shutdown_until(
                              pool.get(), skua_monotonic() + 1, false));
    ASSERT_EQ(2U, log.messages().size());
    const std::string first = log.messages().front();
    const std::string runs = "process pool: worker " +
                             std::to_string(held.pid()) +
                             " has run \"gate\" for ";
    EXPECT_EQ(runs, first.substr(0, runs.size()));
    EXPECT_GT(60.0, std::stod(first.substr(runs.size())));
    EXPECT_NE(std::string::npos,
              first.find(" and goes on, 1 pieces of work wait behind it"));
    EXPECT_EQ("process pool: shut down, but not at its end in time: 1 workers "
              "have work, 0 pieces are queued",
              log.messages().back());
    held.let_go();
    EXPECT_EQ("x", answered(two));
    finish(pool);
}

/* --- room --- */

/* Also before any worker has come. */
TEST_F(ProcessPoolInside, ThereIsRoomForAllWorkersAndWhatIsQueued)
{
    skua_process_pool_options options = one_worker(SKUA_RESTART_NEVER);
    options.max_workers = 2;
    options.max_queued = 3;
    options.policy = SKUA_QUEUE_REJECT;
    const Executor pool = new_pool(options);
    const Gate gate;
    std::vector<Future> futures;
    skua_future *none = nullptr;

    for (int i = 0; i < 5; i++) {
        futures.push_back(submit(pool, "gate", gate.name()));
    }
    EXPECT_EQ(-EAGAIN, skua_executor_submit_named(pool.get(), "echo", nullptr,
                                                  0, &none));
    for (const Future &future : futures) {
        gate.wait().let_go();
        (void)future;
    }
    for (const Future &future : futures) {
        EXPECT_EQ(0, outcome(future));
    }
    EXPECT_EQ("x", answered(submit(pool, "echo", "x")));
    finish(pool);
}

TEST_F(ProcessPoolInside, WhoWaitsForRoomGoesWhenThePoolIsClosed)
{
    skua_process_pool_options options = one_worker(SKUA_RESTART_NEVER);
    options.max_queued = 1;
    options.policy = SKUA_QUEUE_SUSPEND;
    const Executor pool = new_pool(options);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    const Future two = submit(pool, "echo", "x");
    std::atomic<bool> comes = false;
    std::thread submitter([&] {
        skua_future *none = nullptr;

        comes = true;
        EXPECT_EQ(SKUA_ECLOSED, skua_executor_submit_named(pool.get(), "echo",
                                                           nullptr, 0, &none));
    });

    while (!comes) {
        (void)sched_yield();
    }
    EXPECT_EQ(0, skua_executor_shutdown(pool.get(), false, false));
    submitter.join(); /* though its place does not come */
    held.let_go();
    EXPECT_EQ("x", answered(two));
    finish(pool);
}

/* --- callbacks --- */

/** Returns when another worker's answer has come, or after ten seconds. */
struct SlowCallback {
    Held other;
    skua_future *awaited;
    bool has_come = false;
    std::atomic<bool> over = false;

    static void run(skua_future *, void *arg)
    {
        auto *self = static_cast<SlowCallback *>(arg);
        const int64_t limit = skua_monotonic() + 10 * SKUA_S;

        self->other.let_go();
        while (!skua_future_done(self->awaited) && skua_monotonic() < limit) {
            (void)sched_yield();
        }
        self->has_come = skua_future_done(self->awaited);
        self->over = true;
    }
};

TEST_F(ProcessPoolInside, ASlowCallbackKeepsNobodyFromOtherAnswers)
{
    const Executor pool = new_pool(2);
    const Gate gate;
    const Gate other_gate;
    const Future one = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    const Future two = submit(pool, "gate", other_gate.name());
    SlowCallback slow = {other_gate.wait(), two.get()};
    skua_runner_options options = {};
    skua_runner *runner = nullptr;

    options.loops = 2;
    options.no_sigint = true;
    ASSERT_EQ(0, skua_runner_new(&options, &runner));
    ASSERT_EQ(
        0, skua_future_add_done_callback(one.get(), SlowCallback::run, &slow));
    held.let_go();
    EXPECT_EQ(0, skua_runner_run(
                     runner,
                     [](void *arg) {
                         while (!static_cast<SlowCallback *>(arg)->over) {
                             (void)skua_sleep(0);
                         }
                         return 0;
                     },
                     &slow, nullptr));
    EXPECT_TRUE(slow.has_come);
    EXPECT_EQ(0, skua_runner_close(runner));
    finish(pool);
}

/* --- signals --- */

/** Write "said" to a stream that is flushed at the end, and pass a gate. */
int say_at_gate(const void *data, size_t bytes, skua_reply *reply)
{
    const std::string both = text(data, bytes);
    const size_t end = both.find(' ');
    FILE *out = fopen(both.substr(end + 1).c_str(), "w");

    if (out == nullptr || fputs("said", out) < 0) {
        return -EIO;
    }
    return pass_gate_for_sure(both.data(), end, reply);
}

TEST_F(ProcessPoolInside, WhoWithstandsSigtermEndsWell)
{
    const std::string path =
        testing::TempDir() + "skua-said-" + std::to_string(getpid());

    for (int i = 0; i < 20; i++) {
        const Executor pool = new_pool(1);
        const Gate gate;
        const Future one =
            submit(pool, "say-at-gate", gate.name() + " " + path);
        Held held = gate.wait();

        EXPECT_EQ(0, skua_process_pool_terminate_workers(pool.get()));
        held.let_go();
        finish(pool);
        std::ifstream file(path);
        std::string said;
        file >> said;
        EXPECT_EQ("said", said);
        (void)unlink(path.c_str());
    }
}

/* --- kernels --- */

constexpr int kNoFilters = 77; /* exit status: an emulator, perhaps */

/** As a kernel before 5.11. */
void lack_epoll_pwait2()
{
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(kNoFilters);
    }
}

TEST_F(ProcessPoolInside, TheKeeperSleepsOnOlderKernels)
{
    const pid_t child = fork();

    if (child == 0) {
        lack_epoll_pwait2();
        (void)alarm(20); /* a keeper that sees nothing hangs */
        if (skua_fork_server_start() != 0) {
            _exit(1);
        }
        const Executor pool = new_pool(one_worker(SKUA_RESTART_ALWAYS));
        const Future failed = submit(pool, "exit", bytes_of(3));
        const bool good = outcome(failed) == SKUA_EBROKENPOOL &&
                          answered(submit(pool, "echo", "x")) == "x";
        finish(pool);
        _exit(good && !HasFailure() ? 0 : 2);
    }
    int status = -1;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == kNoFilters) {
        GTEST_SKIP() << "no seccomp filters here";
    }
    EXPECT_EQ(0, WEXITSTATUS(status));
}

/* --- forked children --- */

TEST_F(ProcessPoolInside, AForkedChildCancelsNothing)
{
    const Executor pool = new_pool(1);
    const Gate gate;
    const Future one = submit(pool, "gate", gate.name());
    Held held = gate.wait();
    const Future two = submit(pool, "echo", "x");
    const pid_t child = fork();

    if (child == 0) {
        _exit(skua_future_cancel(two.get()));
    }
    int status = -1;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
    held.let_go();
    EXPECT_EQ(0, outcome(one));
    const int64_t limit = skua_monotonic() + 10 * SKUA_S;
    while (!skua_future_done(two.get()) && skua_monotonic() < limit) {
        (void)sched_yield();
    }
    ASSERT_TRUE(skua_future_done(two.get()));
    EXPECT_EQ("x", answered(two));
    finish(pool);
}

/* --- trust --- */

TEST_F(ProcessPoolInside, AWorkerIsReadyOnce)
{
    const Executor pool = new_pool(one_worker(SKUA_RESTART_ALWAYS));
    const Future forged = submit(pool, "forge-ready");

    EXPECT_EQ(SKUA_EBROKENPOOL, outcome(forged));
    EXPECT_NE(std::string::npos, reason(forged).find("wrote what cannot be"))
        << reason(forged);
    EXPECT_EQ("x", answered(submit(pool, "echo", "x")));
    finish(pool);
}

TEST_F(ProcessPoolInside, AnAnswerBeyondTheLimitIsNotMapped)
{
    const Executor pool = new_pool(one_worker(SKUA_RESTART_ALWAYS));
    const Future forged = submit(pool, "forge-large");

    EXPECT_EQ(-EMSGSIZE, outcome(forged));
    EXPECT_EQ(0, skua_process_pool_kill_workers(pool.get()));
    finish(pool);
}

TEST_F(ProcessPoolInside, ATooLongAnswerFailsAlone)
{
    skua_process_pool_options options = one_worker(SKUA_RESTART_NEVER);
    options.max_message_bytes = 100000;
    const Executor pool = new_pool(options);
    const auto pid = answered_as<pid_t>(submit(pool, "pid"));

    for (const uint64_t bytes : {100001, 1000000}) {
        EXPECT_EQ(-EMSGSIZE, outcome(submit(pool, "fill", bytes_of(bytes))));
    }
    EXPECT_EQ(
        100000U,
        answered(submit(pool, "fill", bytes_of(uint64_t{100000}))).size());
    EXPECT_EQ(pid, answered_as<pid_t>(submit(pool, "pid")));
    finish(pool);
}

TEST_F(ProcessPoolInside, ReasonsFitIntoSmallRings)
{
    skua_process_pool_options options = one_worker(SKUA_RESTART_NEVER);
    options.ring_bytes = SKUI_CHANNEL_RING_LEAST;
    const Executor pool = new_pool(options);
    const Future failed =
        submit(pool, "fail-at-length", bytes_of(uint64_t{2000}));

    EXPECT_EQ(-EIO, outcome(failed));
    EXPECT_LT(500U, reason(failed).size());
    finish(pool);
}

} // namespace

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        skua_function_fn *fn;
    } functions[] = {
        {"say-at-gate", say_at_gate},
        {"forge-ready", forge_ready},
        {"forge-large", forge_large},
        {"fail-at-length", fail_at_length},
    };

    for (const auto &function : functions) {
        if (skua_function_register(function.name, function.fn) != 0) {
            return 1;
        }
    }
    return processes::run_tests(argc, argv);
}
