// SPDX-License-Identifier: Apache-2.0
/*
 * explorer.h - runs a scenario of a few threads in all ways in which it can go.
 *
 * A scenario sets up its objects, names its threads and says what must hold at
 * the end. It is run again and again: each run makes other choices of who goes
 * on at each atomic operation and of which store a load reads (memory.h). It
 * must do the same whenever the same is chosen.
 *
 *     model::Report report = model::Explore([](model::Run &run) {
 *         auto *box = run.New<Box>();
 *         run.Thread("producer", [box] { box_put(box, 1); });
 *         run.Thread("consumer", [box] { model::Require(...); });
 *         run.Finally([box] { ... });
 *     });
 *     EXPECT_TRUE(report.holds()) << report.text();
 *
 * An error ends it: a requirement that does not hold, a data race, a use after
 * free, a deadlock, a run that does not end, something left allocated. The
 * report has the run as a trace, and its choices, which replay it.
 */
#ifndef SKUA_TESTS_MODEL_EXPLORER_H
#define SKUA_TESTS_MODEL_EXPLORER_H

#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <utility>

namespace model
{

struct Options {
    int preemptions = -1; /* how often a thread that could go on has to wait
                             for others; -1: any number */
    uint64_t runs = 20'000'000; /* at most */
    uint32_t steps = 2000;      /* of a run; more is taken for a livelock */
    std::string replay;         /* choices of Report::replay: that run only */
    /* Random runs in place of all; 0: all. */
    uint64_t random_runs = 0;
    uint64_t seed = 1;
};

struct Report {
    std::string error; /* "": none was found */
    std::string trace;
    std::string replay;
    uint64_t runs = 0;
    uint64_t redundant = 0; /* of these, cut: equal to others */
    bool complete = false;  /* no run was left out but for the bound */

    bool holds() const
    {
        return error.empty() && complete;
    }
    std::string text() const;
};

class Run
{
  public:
    virtual ~Run() = default;
    virtual void Thread(const char *name, std::function<void()> body) = 0;
    virtual void Finally(std::function<void()> body) = 0;

    /* Freed after the run; its memory is watched. */
    template <class T, class... Args> T *New(Args &&...args)
    {
        return new (Allocate(sizeof(T), [](void *object) {
            static_cast<T *>(object)->~T();
        })) T(std::forward<Args>(args)...);
    }

  protected:
    virtual void *Allocate(size_t bytes, void (*destroy)(void *)) = 0;
};

using Scenario = std::function<void(Run &)>;

Report Explore(const Scenario &scenario, const Options &options = {});

/* --- in a scenario's threads --- */

/* The run fails unless it holds. */
void Require(bool holds, const char *what);
/* Any of 0 to count - 1, each in some run. */
int Any(int count);
/* A sequentially consistent fence; one in each thread, as membarrier() has. */
void FenceSeqCst();
void Membarrier();
/* Give way until something has changed. */
void GiveWay();
/* Wait, as in the kernel, until it holds; `may_give_up`: or for a time that
 * may be over before (false then). */
bool WaitUntil(const std::function<bool()> &holds, bool may_give_up);
/* Plain memory is read or written; compilers tell of it by themselves where
 * they are asked to (tests/CMakeLists.txt). */
void Plain(const volatile void *address, size_t bytes, bool writes);
/* A plain variable of a scenario. */
template <class T> class Shared
{
  public:
    Shared() = default;
    explicit Shared(T value) : value_(value)
    {
    }
    T Get() const
    {
        Plain(&value_, sizeof(value_), false);
        return value_;
    }
    void Set(T value)
    {
        Plain(&value_, sizeof(value_), true);
        value_ = value;
    }

  private:
    T value_{};
};

/* What this thread has seen goes with a message, as a lock of the kernel would
 * have it: to who receives it. */
void Hand(const void *message);
void Receive(const void *message);
/* The newest stores to what this thread has read come into its sight: time has
 * passed. */
void CatchUp();
/* What `what` says goes into the trace. */
void Say(const char *what);
/* Which thread runs: 0 while setting up and at the end, then from 1; -1 outside
 * of runs. */
int Self();

/* Memory that the code under test allocates. */
void *Allocate(size_t bytes);
void Free(void *memory);

/* --- mutants --- */

/* Weaken the operation of this place by one step in all runs to come; `way`:
 * which of the steps, from 0. "" again: none. */
void Mutate(const std::string &file_and_line, int way);

} // namespace model

#endif
