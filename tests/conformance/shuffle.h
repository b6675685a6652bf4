/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shuffle.h - a seeded driver for tasks that wait, and a model of them.
 *
 * The driver stands outside a loop of its own: it starts and cancels tasks,
 * turns the loop once, and moves the clock, which is virtual. The model does
 * the same with numbers in place of tasks: who is ready, in order; who waits;
 * what a waiter is told when it goes on. Both note who was told what, and the
 * two notes must be equal after each step.
 */
#ifndef SKUA_TESTS_CONFORMANCE_SHUFFLE_H
#define SKUA_TESTS_CONFORMANCE_SHUFFLE_H

#include <algorithm>
#include <map>

#include "../stress/seed.h"
#include "clock.h"
#include "support.h"

namespace conformance
{

using stress::Random;

/** Who, and what it was told. */
using Note = std::pair<int, int>;
using Notes = std::vector<Note>;

/** What ends a wait in the model; below 0 the status itself. */
constexpr int kGranted = 0;
constexpr int kRevoked = 1; /* granted, and cancelled before it went on */

/** The model of one waiter's list: numbers, in order, with their limits. */
class ModelList
{
  public:
    void add(int actor, int64_t deadline_ns)
    {
        waiters_.push_back({actor, deadline_ns});
    }

    [[nodiscard]] bool empty() const
    {
        return waiters_.empty();
    }

    [[nodiscard]] size_t size() const
    {
        return waiters_.size();
    }

    int take_first()
    {
        const int actor = waiters_.front().actor;

        waiters_.pop_front();
        return actor;
    }

    bool remove(int actor)
    {
        for (auto at = waiters_.begin(); at != waiters_.end(); ++at) {
            if (at->actor == actor) {
                waiters_.erase(at);
                return true;
            }
        }
        return false;
    }

    /** Those whose limit is over, with it. */
    void expire(int64_t now_ns, std::map<int64_t, int> *out)
    {
        for (const Waiter &waiter : waiters_) {
            if (waiter.deadline_ns <= now_ns) {
                (*out)[waiter.deadline_ns] = waiter.actor;
            }
        }
        for (const auto &[deadline_ns, actor] : *out) {
            (void)remove(actor);
        }
    }

  private:
    struct Waiter {
        int actor;
        int64_t deadline_ns;
    };

    std::deque<Waiter> waiters_;
};

/** The model of tasks; what they wait for is a subclass's. */
class Model
{
  public:
    virtual ~Model() = default;

    void start(int actor)
    {
        tasks_[actor] = {};
        ready_.push_back(actor);
    }

    void cancel(int actor)
    {
        Task &task = tasks_[actor];

        if (task.ended) {
            return;
        }
        for (ModelList *list : lists_) {
            if (list->remove(actor)) {
                wake(actor, SKUA_ECANCELED);
                return;
            }
        }
        task.cancel = true;
    }

    /** One turn of the loop at that time. */
    void turn(int64_t now_ns)
    {
        std::map<int64_t, int> expired;

        now_ns_ = now_ns;
        for (ModelList *list : lists_) {
            std::map<int64_t, int> some;

            list->expire(now_ns, &some);
            expired.insert(some.begin(), some.end());
        }
        for (const auto &[deadline_ns, actor] : expired) {
            wake(actor, -ETIMEDOUT);
        }
        for (size_t left = ready_.size(); left > 0; left--) {
            const int actor = ready_.front();

            ready_.pop_front();
            step(actor);
        }
    }

    [[nodiscard]] bool idle() const
    {
        return ready_.empty();
    }

    [[nodiscard]] bool ended(int actor) const
    {
        return tasks_.at(actor).ended;
    }

    [[nodiscard]] const Notes &notes() const
    {
        return notes_;
    }

  protected:
    /** A task's first step, and each one after a wait. */
    virtual void begin(int actor) = 0;
    virtual void resume(int actor, int reason) = 0;

    void uses(ModelList *list)
    {
        lists_.push_back(list);
    }

    void wake(int actor, int reason)
    {
        tasks_[actor].reason = reason;
        ready_.push_back(actor);
    }

    /** The running task would wait: false when it must not, with its note. */
    int wait(ModelList *list, int actor, int64_t deadline_ns)
    {
        Task &task = tasks_[actor];

        if (deadline_ns <= now_ns_) {
            return -ETIMEDOUT;
        }
        if (task.cancel) {
            task.cancel = false;
            return SKUA_ECANCELED;
        }
        list->add(actor, deadline_ns);
        return kGranted;
    }

    void note(int actor, int status)
    {
        notes_.emplace_back(actor, status);
    }

    void end(int actor)
    {
        tasks_[actor].ended = true;
    }

  private:
    struct Task {
        bool started;
        bool cancel; /* a request that waits */
        bool ended;
        int reason;
    };

    void step(int actor)
    {
        Task &task = tasks_[actor];

        if (!task.started) {
            task.started = true;
            if (task.cancel) {
                task.ended = true; /* it never runs */
            } else {
                begin(actor);
            }
            return;
        }
        int reason = task.reason;

        if (task.cancel) {
            task.cancel = false;
            reason = reason == kGranted ? kRevoked : SKUA_ECANCELED;
        }
        resume(actor, reason);
    }

    std::map<int, Task> tasks_;
    std::deque<int> ready_;
    std::vector<ModelList *> lists_;
    Notes notes_;
    int64_t now_ns_ = 0;
};

/** The real tasks, on a loop in virtual time. */
class Stage : public Lambdas
{
  public:
    static constexpr int64_t kStartNs = 1000 * SKUA_S;

    Stage()
    {
        reports_.install(loop_);
    }

    ~Stage()
    {
        skui_clock_set_virtual(-1);
    }

    Stage(const Stage &) = delete;
    Stage &operator=(const Stage &) = delete;

    /** A task that notes what `operation` gave. */
    void start(int actor, Body operation)
    {
        start_body(actor, [this, actor, operation = std::move(operation)] {
            note(actor, operation());
            return 0;
        });
    }

    void start_body(int actor, Body body)
    {
        tasks_[actor] = spawn_on(loop_, std::move(body));
    }

    void cancel(int actor)
    {
        (void)skua_task_cancel(tasks_[actor].get());
    }

    void turn()
    {
        EXPECT_EQ(0, skua_loop_run_once(loop_, 0));
    }

    [[nodiscard]] bool ended(int actor) const
    {
        return skua_future_done(tasks_.at(actor).get());
    }

    /** Only tasks of the loop note, one at a time. */
    void note(int actor, int status)
    {
        notes_.emplace_back(actor, status);
    }

    void set_clock(int64_t now_ns)
    {
        now_ns_ = now_ns;
        skui_clock_set_virtual(now_ns);
    }

    [[nodiscard]] int64_t now_ns() const
    {
        return now_ns_;
    }

    Notes notes_;

  private:
    Loop loop_;
    Reports reports_;
    std::map<int, Future> tasks_;
    int64_t now_ns_ = kStartNs;
};

/**
 * One shuffle: real tasks and a model side by side. A subclass does one random
 * step of its own and compares what can be seen from outside.
 */
class Shuffle
{
  public:
    Shuffle(Model &model, uint64_t seed) : random_(seed), model_(model)
    {
        stage_.set_clock(Stage::kStartNs);
    }

    virtual ~Shuffle() = default;
    Shuffle(const Shuffle &) = delete;
    Shuffle &operator=(const Shuffle &) = delete;

    /** True when all went as the model says. */
    bool play(int steps)
    {
        for (int i = 0; i < steps && agrees(); i++) {
            step();
        }
        finish();
        for (int i = 0; i < 64 && agrees() && !model_.idle(); i++) {
            turn();
        }
        for (const int actor : running_) {
            cancel(actor);
        }
        do {
            turn();
        } while (agrees() && !model_.idle());
        for (const int actor : running_) {
            EXPECT_TRUE(stage_.ended(actor));
        }
        compare();
        return agrees() && !testing::Test::HasFailure();
    }

  protected:
    virtual void operate() = 0; /* one random operation */
    virtual void compare() = 0;

    /** Let go of what the driver itself has: waiters may need it to end. */
    virtual void finish()
    {
    }

    int new_actor()
    {
        running_.push_back(next_actor_);
        return next_actor_++;
    }

    [[nodiscard]] size_t running() const
    {
        return running_.size();
    }

    /** Mostly none; else one that nobody else has, or one that is past. */
    int64_t any_deadline()
    {
        switch (random_.below(6)) {
        case 0:
            return 0;
        case 1:
        case 2:
            return stage_.now_ns() + SKUA_MS * (1 + random_.below(8)) +
                   2 * SKUA_US * next_actor_;
        default:
            return SKUA_FOREVER;
        }
    }

    Random random_;
    Stage stage_;

  private:
    void step()
    {
        switch (random_.below(8)) {
        case 0:
        case 1:
            turn();
            break;
        case 2:
            if (!running_.empty()) {
                cancel(running_[static_cast<size_t>(
                    random_.below(static_cast<unsigned>(running_.size())))]);
            }
            break;
        case 3:
            stage_.set_clock(stage_.now_ns() + SKUA_MS * random_.below(4));
            break;
        default:
            operate();
            break;
        }
        compare();
    }

    void cancel(int actor)
    {
        stage_.cancel(actor);
        model_.cancel(actor);
    }

    void turn()
    {
        stage_.turn();
        model_.turn(stage_.now_ns());
        for (size_t i = running_.size(); i-- > 0;) {
            EXPECT_EQ(model_.ended(running_[i]), stage_.ended(running_[i]));
            if (model_.ended(running_[i])) {
                running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
            }
        }
    }

    bool agrees()
    {
        EXPECT_EQ(model_.notes(), stage_.notes_);
        return model_.notes() == stage_.notes_;
    }

    Model &model_;
    std::vector<int> running_;
    int next_actor_ = 0;
};

/** Play `seeds` shuffles; the first one that fails says its seed. */
template <typename Played> void play_seeds(int seeds, int steps)
{
    const uint64_t first = stress::print_seed();

    for (int i = 0; i < seeds; i++) {
        const uint64_t seed = first + static_cast<uint64_t>(i);
        Played played(seed);

        if (!played.play(steps)) {
            FAIL() << "with SKUA_TEST_SEED=" << seed;
        }
    }
}

} // namespace conformance

#endif
