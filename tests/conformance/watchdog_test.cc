/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog_test.cc - conformance 22: steps that go on are reported with the
 * stack of their thread, and are not disturbed.
 */
#include <algorithm>
#include <csignal>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "lines.h"

/* The linker knows where a section of that name begins and ends. */
extern "C" const char __start_seen_code[];
extern "C" const char __stop_seen_code[];
#define SEEN_CODE __attribute__((noinline, section("seen_code")))

namespace conformance
{
namespace
{

std::atomic<bool> told; /* the step that goes on was reported */

/** Spins until the step was reported. */
SEEN_CODE int spin_until_told()
{
    while (!told.load()) {
    }
    return 1;
}

/* Out of line, and no tail call: it is who made the system call. */
__attribute__((noinline)) ssize_t read_byte(int fd)
{
    char byte = 0;
    const ssize_t got = read(fd, &byte, 1);

    return got == 1 && byte != 'x' ? -2 : got;
}

SEEN_CODE ssize_t read_until_told(int fd)
{
    volatile ssize_t got = read_byte(fd);

    return got;
}

struct Report {
    std::string message;
    skua_loop *loop;
    size_t frames;
    bool seen; /* a frame lies in SEEN_CODE */
    std::vector<void *> addresses;
};

bool in_seen_code(const void *frame)
{
    return frame >= static_cast<const void *>(__start_seen_code) &&
           frame < static_cast<const void *>(__stop_seen_code);
}

/** Keeps what is reported of steps that go on. */
class Watched
{
  public:
    void install(skua_loop *loop)
    {
        set_handler(loop, handler_);
        EXPECT_EQ(0, skua_loop_set_slow_callback_duration(loop, SKUA_MS));
        EXPECT_EQ(0, skua_loop_set_debug(loop, true));
    }

    /** Those whose message contains `part`. */
    [[nodiscard]] std::vector<Report> get(const std::string &part) const
    {
        const std::scoped_lock lock(mutex_);
        std::vector<Report> found;

        for (const Report &report : reports_) {
            if (report.message.find(part) != std::string::npos) {
                found.push_back(report);
            }
        }
        return found;
    }

    std::function<void()> then = [] { told.store(true); };

  private:
    mutable std::mutex mutex_;
    std::vector<Report> reports_;
    Handler handler_ = [this](skua_loop *loop,
                              const skua_exception_context *context) {
        void *const *end = context->frames + context->frame_count;
        Report report = {context->message,
                         loop,
                         context->frame_count,
                         false,
                         {context->frames, end}};

        if (report.message.find(" goes on after ") == std::string::npos) {
            return;
        }
        report.seen = context->frame_count > 0 &&
                      std::any_of(context->frames, end, in_seen_code);
        {
            const std::scoped_lock lock(mutex_);

            reports_.push_back(report);
        }
        then();
    };
};

class Watchdog : public testing::Test, public Lambdas
{
  protected:
    Watchdog()
    {
        told.store(false);
    }

    /** Run callbacks that spin until one is reported. */
    void call_spinner(skua_loop *loop)
    {
        told.store(false);
        soon(loop, [] { (void)spin_until_told(); });
        ASSERT_EQ(0, skua_loop_run_once(loop, 0));
    }

    /** The last report of those that are made until one has the stack: a thread
     * may lose its core before it spins, and be looked at there. */
    Report report_with_stack(const std::function<void()> &step)
    {
        do {
            told.store(false);
            step();
        } while (watched_.get("").empty() || !watched_.get("").back().seen);
        return watched_.get("").back();
    }

    Loop loop_;
    Watched watched_;
};

TEST_F(Watchdog, N022_ATaskThatSpinsIsReportedWithItsStack)
{
    watched_.install(loop_);
    const Report report = report_with_stack([&] {
        EXPECT_EQ(1, run(loop_, [] {
                      EXPECT_EQ(0, skua_task_set_name(skua_current_task(),
                                                      "spinner"));
                      return spin_until_told();
                  }));
    });

    EXPECT_EQ(loop_, report.loop);
    EXPECT_LE(2u, report.frames);
    EXPECT_EQ(0u, report.message.find("Executing task spinner goes on after "));
    EXPECT_NE(std::string::npos,
              report.message.find(" seconds on loop 0 (thread " +
                                  std::to_string(gettid()) + ")"));
    EXPECT_EQ(std::string::npos, report.message.find("system call"));
}

TEST_F(Watchdog, N022_SoIsACallback)
{
    watched_.install(loop_);
    const Report report = report_with_stack([&] { call_spinner(loop_); });

    EXPECT_EQ(0u, report.message.find("Executing callback "));
}

TEST_F(Watchdog, N022_SoIsATaskOnTheSmallestStack)
{
    skua_loop_options options = {};
    skua_loop *loop = nullptr;

    options.stack_bytes = size_t{16} * 1024;
    ASSERT_EQ(0, skua_loop_new(&options, &loop));
    watched_.install(loop);
    EXPECT_EQ(loop, report_with_stack([&] {
                        EXPECT_EQ(1,
                                  run(loop, [] { return spin_until_told(); }));
                    }).loop);
    EXPECT_EQ(0, skua_loop_close(loop));
    skua_loop_unref(loop);
}

TEST_F(Watchdog, N022_TheDefaultHandlerWritesTheStack)
{
    Lines lines;

    ASSERT_EQ(0, skua_loop_set_slow_callback_duration(loop_, SKUA_MS));
    ASSERT_EQ(0, skua_loop_set_debug(loop_, true));
    soon(loop_, [&] {
        while (lines.count(" goes on after ") == 0) {
        }
    });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    EXPECT_EQ(1u, lines.count("\n  goes on at\n  #0 0x"));
}

/* A step that was looked at before it reads is reported as one that runs, and
 * there is a next one. */
TEST_F(Watchdog, N022_ASystemCallIsNamedAndNotDisturbed)
{
    const std::string call =
        ", in system call " + std::to_string(SYS_read) + " (read)";
    int ends[2];

    ASSERT_EQ(0, pipe(ends));
    watched_.then = [&] { ASSERT_EQ(1, write(ends[1], "x", 1)); };
    watched_.install(loop_);
    while (watched_.get(call).empty()) {
        soon(loop_, [&] { EXPECT_EQ(1, read_until_told(ends[0])); });
        ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    }
    const Report report = watched_.get(call)[0];

    EXPECT_LE(1u, report.frames);
    EXPECT_TRUE(kRaceDetector || report.seen) << [&] {
        char text[4096];

        (void)skua_backtrace_format(report.addresses.data(), report.frames,
                                    text, sizeof(text));
        return std::string(text);
    }();
    EXPECT_EQ(0, close(ends[0]));
    EXPECT_EQ(0, close(ends[1]));
}

TEST_F(Watchdog, N022_AThreadThatBlocksAllSignalsIsReportedWithoutItsStack)
{
    watched_.install(loop_);
    soon(loop_, [] {
        sigset_t all;
        sigset_t before;

        (void)sigfillset(&all);
        EXPECT_EQ(0, pthread_sigmask(SIG_SETMASK, &all, &before));
        (void)spin_until_told();
        EXPECT_EQ(0, pthread_sigmask(SIG_SETMASK, &before, nullptr));
    });
    ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    ASSERT_EQ(1u, watched_.get("").size());
    EXPECT_EQ(0u, watched_.get("")[0].frames);

    /* What came too late does no harm. */
    (void)report_with_stack([&] { call_spinner(loop_); });
}

/* --- whose signals they are --- */

std::atomic<int> foreign_signals;

void count_foreign(int)
{
    foreign_signals++;
}

/** All real-time signals are the program's while it lives. */
class SignalsTaken
{
  public:
    SignalsTaken()
    {
        for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
            struct sigaction action = {};
            struct sigaction former = {};

            action.sa_handler = count_foreign;
            EXPECT_EQ(0, sigaction(number, &action, &former));
            former_.push_back(former);
        }
    }

    ~SignalsTaken()
    {
        for (size_t i = 0; i < former_.size(); i++) {
            EXPECT_EQ(0, sigaction(SIGRTMIN + static_cast<int>(i), &former_[i],
                                   nullptr));
        }
    }

    SignalsTaken(const SignalsTaken &) = delete;
    SignalsTaken &operator=(const SignalsTaken &) = delete;

  private:
    std::vector<struct sigaction> former_;
};

/** The signal that the library has taken, or 0. */
int taken_signal()
{
    int found = 0;

    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
        struct sigaction action = {};

        EXPECT_EQ(0, sigaction(number, nullptr, &action));
        found = (action.sa_flags & SA_SIGINFO) != 0 ? number : found;
    }
    return found;
}

TEST_F(Watchdog, N022_AProgramsOwnSignalsStayItsOwn)
{
    foreign_signals.store(0);
    {
        const SignalsTaken taken;

        watched_.install(loop_); /* finds none, if it has none yet */
        call_spinner(loop_);
    }
    ASSERT_EQ(1u, watched_.get("").size());
    EXPECT_EQ(0u, watched_.get("")[0].frames);
    EXPECT_EQ(0, foreign_signals.load());
}

TEST_F(Watchdog, N022_OtherSignalsOfThatNumberDoNothing)
{
    watched_.install(loop_);
    const int number = taken_signal();

    ASSERT_LT(0, number);
    (void)report_with_stack([&] {
        soon(loop_, [number] {
            EXPECT_EQ(0, pthread_kill(pthread_self(), number));
            for (int i = 0; i < 64; i++) {
                union sigval value = {};

                value.sival_int = i;
                EXPECT_EQ(0, pthread_sigqueue(pthread_self(), number, value));
            }
            (void)spin_until_told();
        });
        ASSERT_EQ(0, skua_loop_run_once(loop_, 0));
    });
}

bool is_blocked(int number)
{
    sigset_t blocked;

    EXPECT_EQ(0, pthread_sigmask(SIG_SETMASK, nullptr, &blocked));
    return sigismember(&blocked, number) == 1;
}

TEST_P(ConformanceMany, N022_LibraryThreadsTakeOneSignalWhileTheyAreTimed)
{
    Watched watched;

    watched.then = [] {};
    EXPECT_EQ(0, run([&] {
                  skua_loop *loop = loops().back();
                  const bool own = is_blocked(SIGUSR1);
                  std::vector<bool> blocked;

                  for (const bool debug : {true, false}) {
                      watched.install(loop);
                      EXPECT_EQ(0, skua_loop_set_debug(loop, debug));
                      const Future task = spawn_on(
                          loop,
                          [&] {
                              EXPECT_EQ(0, skua_yield()); /* the next batch */
                              blocked.push_back(is_blocked(taken_signal()));
                              EXPECT_TRUE(GetParam() == 1 ||
                                          is_blocked(SIGUSR1));
                              return 0;
                          },
                          true);

                      EXPECT_EQ(0, skua_await(task.get(), nullptr));
                  }
                  EXPECT_EQ((std::vector<bool>{false, GetParam() > 1 || own}),
                            blocked);
                  reports_.install(loop);
                  return 0;
              }));
}

/* --- several loops --- */

/* Between the two steps that are reported of the second loop, the watchdog has
 * looked at the first one, which goes on all the while. */
TEST(WatchdogTwoLoops, N022_EachStepIsReportedOnce)
{
    skua_runner_options options = {};
    skua_runner *runner = nullptr;
    Lambdas lambdas;
    Watched long_one;
    Watched short_ones;
    std::atomic<int> reports{0};

    options.loops = 2;
    ASSERT_EQ(0, skua_runner_new(&options, &runner));
    skua_loop *first = skua_runner_get_loop(runner, 0);
    skua_loop *second = skua_runner_get_loop(runner, 1);

    long_one.then = [] {};
    short_ones.then = [&] { reports++; };
    Body main = [&] {
        const Future task = lambdas.spawn_on(
            second,
            [&] {
                for (int i = 0; i < 4; i++) {
                    const int before = reports.load();

                    while (reports.load() == before) {
                    }
                    EXPECT_EQ(0, skua_yield());
                }
                told.store(true);
                return 0;
            },
            true);
        const Future spinner = lambdas.spawn_on(
            first,
            [] {
                EXPECT_EQ(0, skua_task_set_name(skua_current_task(), "long"));
                return spin_until_told();
            },
            true);

        EXPECT_EQ(0, skua_await(task.get(), nullptr));
        EXPECT_EQ(1, skua_await(spinner.get(), nullptr));
        return 0;
    };

    told.store(false);
    long_one.install(first);
    short_ones.install(second);
    EXPECT_EQ(0, skua_runner_run(
                     runner,
                     [](void *arg) { return (*static_cast<Body *>(arg))(); },
                     &main, nullptr));
    EXPECT_EQ(0, skua_runner_close(runner));
    EXPECT_LE(4u, short_ones.get("").size());
    EXPECT_EQ(1u, long_one.get("Executing task long goes on after ").size());
}

TEST_F(Watchdog, N155_AChildIsReportedWithItsStackToo)
{
    if (kRaceDetector) {
        GTEST_SKIP() << "ThreadSanitizer has no threads after such a fork";
    }
    watched_.install(loop_);
    call_spinner(loop_);
    EXPECT_EQ(0, wait_for_child(start_child([] {
                  Loop loop;
                  Watched watched;
                  Lambdas lambdas;

                  watched.install(loop);
                  do {
                      told.store(false);
                      lambdas.soon(loop, [] { (void)spin_until_told(); });
                      CHILD_REQUIRE(skua_loop_run_once(loop, 0) == 0);
                      CHILD_REQUIRE(!watched.get("").empty());
                  } while (!watched.get("").back().seen);
                  return 0;
              })));
}

CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
