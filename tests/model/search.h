// SPDX-License-Identifier: Apache-2.0
/*
 * search.h - the inside of the explorer.
 */
#ifndef SKUA_TESTS_MODEL_SEARCH_H
#define SKUA_TESTS_MODEL_SEARCH_H

#include <sys/mman.h>

#include <array>
#include <map>
#include <random>
#include <vector>

#include "atomic.h"
#include "explorer.h"
#include "memory.h"

extern "C" {
void skui_arch_switch(void **out_from, void *to);
void *skui_arch_prepare(void *limit, void *top, void (*entry)(void *),
                        void *arg);
}

namespace model
{

constexpr size_t kStackBytes = 256 * 1024;

enum class Kind { kBegin, kLoad, kStore, kUpdate, kBarrier, kGiveWay, kWait };

struct Pending {
    Kind kind = Kind::kBegin;
    uintptr_t address = 0;
    std::function<bool()> holds; /* kWait */
    bool may_give_up = false;    /* kWait */
};

struct Context {
    std::string name;
    std::function<void()> body;
    void *stack = nullptr;
    void *saved = nullptr;
    Pending pending;
    bool ended = false;
    bool lapped = false; /* since it went on without news it has changed
                            nothing */
};

/* One choice of a run. */
struct Choice {
    bool schedules;
    size_t count;
    size_t picked;
    std::array<int, kMaxThreads> threads{}; /* schedules: which */
    unsigned sleeping = 0;                  /* schedules: when it came here */
};

struct Event {
    int thread;
    std::string text;
};

class Explorer : public Run
{
  public:
    Explorer(const Scenario &scenario, const Options &options)
        : scenario_(scenario), options_(options),
          memory_([this](size_t count) { return Pick(count); }),
          random_(options.seed)
    {
        for (void *&stack : stacks_) {
            stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        }
    }
    ~Explorer() override
    {
        for (void *stack : stacks_) {
            munmap(stack, kStackBytes);
        }
    }

    Report Search();

    void Thread(const char *name, std::function<void()> body) override
    {
        Context context;

        context.name = name;
        context.body = std::move(body);
        contexts_.push_back(std::move(context));
    }
    void Finally(std::function<void()> body) override
    {
        finally_ = std::move(body);
    }

    /* --- from the threads --- */

    uint64_t Load(const volatile void *address, size_t bytes, Order order,
                  const skui_model_site *site);
    void Store(volatile void *address, size_t bytes, uint64_t value,
               Order order, const skui_model_site *site);
    uint64_t Update(volatile void *address, size_t bytes, const char *name,
                    const std::function<bool(uint64_t, uint64_t *)> &change,
                    Order order, Order failure, const skui_model_site *site);
    void Barrier(bool in_all);
    void Yield();
    bool Wait(const std::function<bool()> &holds, bool may_give_up);
    void Plain(const volatile void *address, size_t bytes, bool writes);
    void Fail(const std::string &why);
    Memory &memory()
    {
        return memory_;
    }
    void Tell(const std::string &text);
    size_t Pick(size_t count);
    void *Take(size_t bytes);
    void Give(void *memory);
    int self() const
    {
        return self_;
    }
    bool runs() const
    {
        return running_;
    }

  protected:
    void *Allocate(size_t bytes, void (*destroy)(void *)) override
    {
        void *memory = Take(bytes);

        allocations_[memory].destroy = destroy;
        return memory;
    }

  private:
    struct Allocation {
        size_t bytes = 0;
        void (*destroy)(void *) = nullptr;
        bool freed = false;
    };

    static void Enter(void *arg);
    void RunOnce();
    void Schedule();
    void Resume(int thread);
    void Stop(Pending pending);
    int Next(const std::vector<int> &able);
    int NoteRandom(bool schedules, int picked);
    int PickThread(const std::vector<int> &able, bool voluntary);
    std::vector<int> Able();
    bool IsAble(int thread) const;
    bool Depend(const Pending &one, const Pending &other) const;
    bool NextRun();
    void Release();
    void CheckEnd();
    std::string TraceText() const;
    std::string ReplayText() const;
    void LoadReplay();
    void Trace(Report &report);
    std::string Site(const skui_model_site *site) const;

    const Scenario &scenario_;
    Options options_;
    Memory memory_;
    std::mt19937_64 random_;
    std::array<void *, kMaxThreads> stacks_{};
    std::vector<Context> contexts_; /* contexts_[0] sets up */
    std::function<void()> finally_;
    void *search_context_ = nullptr;

    std::vector<Choice> choices_;
    size_t at_ = 0; /* of the choices of this run */
    unsigned sleeping_ = 0;
    bool redundant_ = false;
    int current_ = -1;
    int preemptions_ = 0;
    uint32_t steps_ = 0;
    int self_ = 0;
    bool running_ = false; /* contexts, not the set-up or the end */
    bool tracing_ = false; /* the run that failed, once more */
    std::string error_;
    std::vector<Event> events_;
    std::map<void *, Allocation> allocations_;
    std::map<uintptr_t, std::string> names_;
};

extern Explorer *the_explorer; /* of the search under way */

/* The order of an operation, or what a mutant has made of it (mutants.cc). */
Order OrderAt(int order, const skui_model_site *site);

} // namespace model

#endif
