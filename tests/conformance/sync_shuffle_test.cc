/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_shuffle_test.cc - seeded shuffles of locks, semaphores, events, barriers
 * and conditions against models of what asyncio does.
 */
#include "shuffle.h"

namespace conformance
{
namespace
{

constexpr int kSeeds = kRaceDetector ? 150 : 3000;
constexpr int kSteps = 40;
constexpr size_t kMostTasks = 6;

/* --- locks and semaphores: 106-108, 114-117 --- */

/**
 * Who is newly come takes a permit only if nobody waits and nobody was given
 * one and has not gone on; who is given one and was cancelled hands it on.
 */
class PermitsModel : public Model
{
  public:
    PermitsModel(int value, int bound) : value_(value), bound_(bound)
    {
        uses(&waiters_);
    }

    void start_acquire(int actor, int64_t deadline_ns)
    {
        deadlines_[actor] = deadline_ns;
        start(actor);
    }

    int acquire_nowait()
    {
        if (value_ == 0 || given_ > 0 || !waiters_.empty()) {
            return -EAGAIN;
        }
        value_--;
        return 0;
    }

    int release_semaphore()
    {
        return value_ >= bound_ ? -EINVAL : release();
    }

    int release_lock()
    {
        return held() ? release() : -EPERM;
    }

    [[nodiscard]] int value() const
    {
        return value_;
    }

    /** As a lock: somebody has it who went on with it. */
    [[nodiscard]] bool held() const
    {
        return value_ == 0 && given_ == 0;
    }

    /** As a semaphore: who comes now waits. */
    [[nodiscard]] bool busy() const
    {
        return value_ == 0 || given_ > 0 || !waiters_.empty();
    }

  protected:
    void begin(int actor) override
    {
        int status = acquire_nowait();

        if (status == -EAGAIN) {
            status = wait(&waiters_, actor, deadlines_[actor]);
            if (status == kGranted) {
                return; /* it waits */
            }
            give(); /* as each that leaves the list does */
        }
        finish(actor, status);
    }

    void resume(int actor, int reason) override
    {
        if (reason >= 0) {
            given_--;
        }
        if (reason == kRevoked) {
            value_++;
        }
        give();
        finish(actor, reason == kRevoked ? SKUA_ECANCELED : reason);
    }

  private:
    void finish(int actor, int status)
    {
        note(actor, status);
        end(actor);
    }

    void give()
    {
        while (value_ > 0 && !waiters_.empty()) {
            value_--;
            given_++;
            wake(waiters_.take_first(), kGranted);
        }
    }

    int release()
    {
        value_++;
        give();
        return 0;
    }

    int value_;
    int bound_;
    int given_ = 0;
    ModelList waiters_;
    std::map<int, int64_t> deadlines_;
};

class SemaphoreShuffle : public Shuffle
{
  public:
    explicit SemaphoreShuffle(uint64_t seed)
        : Shuffle(model_, seed), start_(static_cast<int>(seed % 4)),
          bounded_(seed % 2 == 0), model_(start_, bounded_ ? start_ : INT32_MAX)
    {
        EXPECT_EQ(0, bounded_ ? skua_bounded_semaphore_init(&semaphore_, start_)
                              : skua_semaphore_init(&semaphore_, start_));
    }

  protected:
    void operate() override
    {
        const int choice = random_.below(8);

        if (choice < 3 && running() < kMostTasks) {
            const int64_t deadline_ns = any_deadline();
            const int actor = new_actor();

            stage_.start(actor, [this, deadline_ns] {
                return skua_semaphore_acquire_until(&semaphore_, deadline_ns);
            });
            model_.start_acquire(actor, deadline_ns);
        } else if (choice == 3) {
            EXPECT_EQ(model_.acquire_nowait(),
                      skua_semaphore_acquire_nowait(&semaphore_));
        } else {
            EXPECT_EQ(model_.release_semaphore(),
                      skua_semaphore_release(&semaphore_));
        }
    }

    void compare() override
    {
        EXPECT_EQ(model_.value(), skua_semaphore_value(&semaphore_));
        EXPECT_EQ(model_.busy(), skua_semaphore_locked(&semaphore_));
    }

  private:
    int start_;
    bool bounded_;
    PermitsModel model_;
    skua_semaphore semaphore_ = {};
};

class LockShuffle : public Shuffle
{
  public:
    explicit LockShuffle(uint64_t seed) : Shuffle(model_, seed), model_(1, 1)
    {
    }

  protected:
    void operate() override
    {
        const int choice = random_.below(8);

        if (choice < 4 && running() < kMostTasks) {
            const int64_t deadline_ns = any_deadline();
            const int actor = new_actor();

            stage_.start(actor, [this, deadline_ns] {
                return skua_lock_acquire_until(&lock_, deadline_ns);
            });
            model_.start_acquire(actor, deadline_ns);
        } else if (choice == 4) {
            EXPECT_EQ(model_.acquire_nowait(),
                      skua_lock_acquire_nowait(&lock_));
        } else {
            EXPECT_EQ(model_.release_lock(), skua_lock_release(&lock_));
        }
    }

    void compare() override
    {
        EXPECT_EQ(model_.held(), skua_lock_locked(&lock_));
    }

  private:
    PermitsModel model_;
    skua_lock lock_ = {};
};

TEST(LockShuffle, N107_IsAsTheModelSays)
{
    play_seeds<LockShuffle>(kSeeds, kSteps);
}

TEST(SemaphoreShuffle, N117_IsAsTheModelSays)
{
    play_seeds<SemaphoreShuffle>(kSeeds, kSteps);
}

/* --- events: 109 --- */

class EventModel : public Model
{
  public:
    EventModel()
    {
        uses(&waiters_);
    }

    void start_wait(int actor, int64_t deadline_ns)
    {
        deadlines_[actor] = deadline_ns;
        start(actor);
    }

    void set()
    {
        set_ = true;
        while (!waiters_.empty()) {
            wake(waiters_.take_first(), kGranted);
        }
    }

    void clear()
    {
        set_ = false;
    }

    [[nodiscard]] bool is_set() const
    {
        return set_;
    }

  protected:
    void begin(int actor) override
    {
        int status = 0;

        if (!set_) {
            status = wait(&waiters_, actor, deadlines_[actor]);
            if (status == kGranted) {
                return; /* it waits */
            }
        }
        note(actor, status);
        end(actor);
    }

    void resume(int actor, int reason) override
    {
        note(actor, reason == kRevoked ? SKUA_ECANCELED : reason);
        end(actor);
    }

  private:
    bool set_ = false;
    ModelList waiters_;
    std::map<int, int64_t> deadlines_;
};

class EventShuffle : public Shuffle
{
  public:
    explicit EventShuffle(uint64_t seed) : Shuffle(model_, seed)
    {
    }

  protected:
    void operate() override
    {
        const int choice = random_.below(8);

        if (choice < 5 && running() < kMostTasks) {
            const int64_t deadline_ns = any_deadline();
            const int actor = new_actor();

            stage_.start(actor, [this, deadline_ns] {
                return skua_event_wait_until(&event_, deadline_ns);
            });
            model_.start_wait(actor, deadline_ns);
        } else if (choice == 5) {
            EXPECT_EQ(0, skua_event_set(&event_));
            model_.set();
        } else {
            EXPECT_EQ(0, skua_event_clear(&event_));
            model_.clear();
        }
    }

    void compare() override
    {
        EXPECT_EQ(model_.is_set(), skua_event_is_set(&event_));
    }

  private:
    EventModel model_;
    skua_event event_ = {};
};

TEST(EventShuffle, N109_IsAsTheModelSays)
{
    play_seeds<EventShuffle>(kSeeds, kSteps);
}

/* --- barriers: 119-121 --- */

class BarrierModel : public Model
{
  public:
    explicit BarrierModel(int parties) : parties_(parties)
    {
        uses(&waiters_);
    }

    void start_wait(int actor, int64_t deadline_ns)
    {
        deadlines_[actor] = deadline_ns;
        start(actor);
    }

    void fail_all(bool broken)
    {
        broken_ = broken;
        while (!waiters_.empty()) {
            tell(waiters_.take_first(), SKUA_EBROKENBARRIER);
        }
    }

    [[nodiscard]] bool broken() const
    {
        return broken_;
    }

    [[nodiscard]] int waiting() const
    {
        return static_cast<int>(waiters_.size());
    }

  protected:
    void begin(int actor) override
    {
        int status = 0;

        if (broken_) {
            status = SKUA_EBROKENBARRIER;
        } else if (waiting() + 1 == parties_) {
            for (int index = 0; !waiters_.empty(); index++) {
                tell(waiters_.take_first(), index);
            }
            status = parties_ - 1;
        } else {
            status = wait(&waiters_, actor, deadlines_[actor]);
            if (status == kGranted) {
                return; /* it waits */
            }
        }
        note(actor, status);
        end(actor);
    }

    void resume(int actor, int reason) override
    {
        const int status = reason == kGranted ? told_[actor] : reason;

        note(actor, reason == kRevoked ? SKUA_ECANCELED : status);
        end(actor);
    }

  private:
    void tell(int actor, int status)
    {
        told_[actor] = status;
        wake(actor, kGranted);
    }

    int parties_;
    bool broken_ = false;
    ModelList waiters_;
    std::map<int, int64_t> deadlines_;
    std::map<int, int> told_;
};

class BarrierShuffle : public Shuffle
{
  public:
    explicit BarrierShuffle(uint64_t seed)
        : Shuffle(model_, seed), parties_(1 + static_cast<int>(seed % 4)),
          model_(parties_)
    {
        EXPECT_EQ(0, skua_barrier_init(&barrier_, parties_));
    }

  protected:
    void operate() override
    {
        const int choice = random_.below(12);

        if (choice < 9 && running() < kMostTasks) {
            const int64_t deadline_ns = any_deadline();
            const int actor = new_actor();

            stage_.start(actor, [this, deadline_ns] {
                return skua_barrier_wait_until(&barrier_, deadline_ns);
            });
            model_.start_wait(actor, deadline_ns);
        } else if (choice < 11) {
            EXPECT_EQ(0, skua_barrier_reset(&barrier_));
            model_.fail_all(false);
        } else {
            EXPECT_EQ(0, skua_barrier_abort(&barrier_));
            model_.fail_all(true);
        }
    }

    void compare() override
    {
        EXPECT_EQ(model_.broken(), skua_barrier_broken(&barrier_));
        EXPECT_EQ(model_.waiting(), skua_barrier_n_waiting(&barrier_));
    }

  private:
    int parties_;
    BarrierModel model_;
    skua_barrier barrier_ = {};
};

TEST(BarrierShuffle, N121_IsAsTheModelSays)
{
    play_seeds<BarrierShuffle>(kSeeds, kSteps);
}

/* --- conditions: 110-112 --- */

/** What a waiter notes with the lock in hand, before its status. */
constexpr int kEntered = 100;

/**
 * Each task acquires the lock, waits for a notification, and has the lock again
 * whatever happens. One that was notified and leaves with an error passes the
 * notification on.
 */
class ConditionModel : public Model
{
  public:
    ConditionModel()
    {
        uses(&lock_waiters_);
        uses(&waiters_);
    }

    void start_wait(int actor, int64_t deadline_ns)
    {
        actors_[actor] = {deadline_ns, Phase::kEnter, 0, false, false};
        start(actor);
    }

    bool try_lock()
    {
        if (!lock_free_ || given_ || !lock_waiters_.empty()) {
            return false;
        }
        lock_free_ = false;
        return true;
    }

    void unlock()
    {
        lock_free_ = true;
        give_lock();
    }

    int notify(int count)
    {
        int woken = 0;

        for (; woken < count && !waiters_.empty(); woken++) {
            wake(waiters_.take_first(), kGranted);
        }
        return woken;
    }

    [[nodiscard]] bool held() const
    {
        return !lock_free_ && !given_;
    }

  protected:
    void begin(int actor) override
    {
        lock(actor);
    }

    void resume(int actor, int reason) override
    {
        Actor &self = actors_[actor];

        if (self.phase == Phase::kWait) {
            self.notified = reason >= 0;
            left_wait(actor, reason == kRevoked ? SKUA_ECANCELED : reason);
            return;
        }
        if (reason >= 0) {
            given_ = false;
        }
        if (reason == kGranted) {
            locked(actor);
            return;
        }
        if (reason == kRevoked) {
            lock_free_ = true;
        }
        give_lock();
        if (self.phase == Phase::kEnter) {
            note(actor, SKUA_ECANCELED);
            end(actor);
        } else {
            self.cancelled = true;
            lock(actor); /* come what may */
        }
    }

  private:
    enum class Phase { kEnter, kWait, kReturn };

    struct Actor {
        int64_t deadline_ns;
        Phase phase;
        int status;
        bool notified;
        bool cancelled; /* while it waited for the lock again */
    };

    void give_lock()
    {
        if (lock_free_ && !lock_waiters_.empty()) {
            lock_free_ = false;
            given_ = true;
            wake(lock_waiters_.take_first(), kGranted);
        }
    }

    void lock(int actor)
    {
        if (try_lock()) {
            locked(actor);
        } else {
            EXPECT_EQ(kGranted, wait(&lock_waiters_, actor, SKUA_FOREVER));
        }
    }

    /** The first time: wait. The second time: go. */
    void locked(int actor)
    {
        Actor &self = actors_[actor];

        if (self.phase == Phase::kEnter) {
            note(actor, kEntered);
            self.phase = Phase::kWait;
            const int status = wait(&waiters_, actor, self.deadline_ns);

            unlock(); /* when it is in the list, or does not wait */
            if (status != kGranted) {
                left_wait(actor, status);
            }
            return;
        }
        if (self.cancelled) {
            self.status = SKUA_ECANCELED;
        }
        if (self.notified && self.status < 0) {
            (void)notify(1);
        }
        note(actor, self.status);
        end(actor);
        unlock();
    }

    void left_wait(int actor, int status)
    {
        actors_[actor].status = status;
        actors_[actor].phase = Phase::kReturn;
        lock(actor);
    }

    bool lock_free_ = true;
    bool given_ = false; /* to a waiter that has not gone on */
    ModelList lock_waiters_;
    ModelList waiters_;
    std::map<int, Actor> actors_;
};

class ConditionShuffle : public Shuffle
{
  public:
    explicit ConditionShuffle(uint64_t seed) : Shuffle(model_, seed)
    {
    }

  protected:
    void operate() override
    {
        if (random_.below(8) < 5 && running() < kMostTasks) {
            start_waiter();
            return;
        }
        if (!holding_) {
            holding_ = model_.try_lock();
            EXPECT_EQ(holding_ ? 0 : -EAGAIN, skua_lock_acquire_nowait(&lock_));
        } else if (random_.below(2) == 0) {
            const int count = random_.below(3);

            EXPECT_EQ(
                model_.notify(count),
                skua_condition_notify(&condition_, static_cast<size_t>(count)));
        } else {
            finish();
        }
    }

    void finish() override
    {
        if (holding_) {
            holding_ = false;
            model_.unlock();
            EXPECT_EQ(0, skua_condition_release(&condition_));
        }
    }

    void compare() override
    {
        EXPECT_EQ(model_.held(), skua_condition_locked(&condition_));
    }

  private:
    void start_waiter()
    {
        const int64_t deadline_ns = any_deadline();
        const int actor = new_actor();

        stage_.start_body(actor, [this, actor, deadline_ns] {
            int status = skua_condition_acquire(&condition_);

            if (status == 0) {
                stage_.note(actor, kEntered);
                status = skua_condition_wait_until(&condition_, deadline_ns);
                stage_.note(actor, status);
                EXPECT_EQ(0, skua_condition_release(&condition_));
            } else {
                stage_.note(actor, status);
            }
            return 0;
        });
        model_.start_wait(actor, deadline_ns);
    }

    ConditionModel model_;
    bool holding_ = false; /* the driver has the lock, over several steps */
    skua_lock lock_ = {};
    skua_condition condition_ = [this] {
        skua_condition made = {};

        EXPECT_EQ(0, skua_condition_init(&made, &lock_));
        return made;
    }();
};

TEST(ConditionShuffle, N112_IsAsTheModelSays)
{
    play_seeds<ConditionShuffle>(kSeeds, kSteps);
}

} // namespace
} // namespace conformance
