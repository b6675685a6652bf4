/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_shuffle_test.cc - seeded shuffles of queues of all three orders against
 * a model.
 */
#include "queue_support.h"
#include "shuffle.h"

namespace conformance
{
namespace
{

constexpr int kSeeds = kRaceDetector ? 300 : 6000;
constexpr int kSteps = 50;
constexpr size_t kMostTasks = 6;

enum class QueueOrder { kFifo, kLifo, kPriority };

/** Items are thousands by priority, and units that tell them apart. */
constexpr int kPriority = 1000;

int priority_of(int item)
{
    return item / kPriority;
}

int compare_priorities(const void *a, const void *b)
{
    return priority_of(static_cast<int>(as_int(const_cast<void *>(a)))) -
           priority_of(static_cast<int>(as_int(const_cast<void *>(b))));
}

/** The items: a plain list, sorted by hand. */
class ModelStore
{
  public:
    explicit ModelStore(QueueOrder order) : order_(order)
    {
    }

    void push(int item)
    {
        auto at = items_.end();

        if (order_ == QueueOrder::kLifo) {
            at = items_.begin();
        } else if (order_ == QueueOrder::kPriority) {
            at = std::find_if(items_.begin(), items_.end(), [item](int other) {
                return priority_of(item) < priority_of(other);
            });
        }
        items_.insert(at, item);
    }

    int pop()
    {
        const int item = items_.front();

        items_.pop_front();
        return item;
    }

    [[nodiscard]] size_t size() const
    {
        return items_.size();
    }

  private:
    QueueOrder order_;
    std::deque<int> items_;
};

/**
 * An item is promised to the getter that was woken for it, and a place to the
 * putter; who was cancelled meanwhile gives the promise back.
 */
class QueueModel : public Model
{
  public:
    enum class Act { kGet, kPut, kJoin };

    QueueModel(QueueOrder order, size_t maxsize)
        : store_(order), maxsize_(maxsize)
    {
        uses(&getters_);
        uses(&putters_);
        uses(&joiners_);
    }

    void start_act(int actor, Act act, int item, int64_t deadline_ns)
    {
        actors_[actor] = {act, item, deadline_ns, 0};
        start(actor);
    }

    int put(int item)
    {
        if (shut_) {
            return SKUA_ESHUTDOWN;
        }
        if (!has_place()) {
            return -EAGAIN;
        }
        push(item);
        return 0;
    }

    int get()
    {
        if (has_item()) {
            const int item = store_.pop();

            settle();
            return item;
        }
        return shut_ && store_.size() == 0 ? SKUA_ESHUTDOWN : -EAGAIN;
    }

    int task_done()
    {
        if (unfinished_ == 0) {
            return -EINVAL;
        }
        unfinished_--;
        settle();
        return 0;
    }

    void shutdown(bool immediate)
    {
        shut_ = true;
        while (immediate && store_.size() > 0) {
            drops_.push_back(store_.pop());
            unfinished_ -= unfinished_ > 0 ? 1 : 0;
        }
        settle();
    }

    [[nodiscard]] size_t size() const
    {
        return store_.size();
    }

    [[nodiscard]] bool full() const
    {
        return maxsize_ > 0 && store_.size() >= maxsize_;
    }

    [[nodiscard]] const Order &drops() const
    {
        return drops_;
    }

  protected:
    void begin(int actor) override
    {
        const Actor &self = actors_[actor];
        int status = 0;

        switch (self.act) {
        case Act::kGet:
            status = get();
            break;
        case Act::kPut:
            status = put(self.item);
            break;
        case Act::kJoin:
            status = unfinished_ == 0 ? 0 : -EAGAIN;
            break;
        }
        if (status == -EAGAIN) {
            status = wait(list_of(self.act), actor, self.deadline_ns);
            if (status == kGranted) {
                return; /* it waits */
            }
        }
        note(actor, status);
        end(actor);
    }

    void resume(int actor, int reason) override
    {
        const Actor &self = actors_[actor];
        int status = reason == kRevoked ? SKUA_ECANCELED : reason;

        if (reason >= 0 && self.told < 0) {
            status = reason == kRevoked ? SKUA_ECANCELED : self.told;
        } else if (reason >= 0 && self.act == Act::kGet) {
            promised_--;
            if (reason == kGranted) {
                status = store_.size() > 0 ? store_.pop() : SKUA_ESHUTDOWN;
            }
            settle();
        } else if (reason >= 0 && self.act == Act::kPut) {
            reserved_--;
            if (reason == kGranted && shut_) {
                status = SKUA_ESHUTDOWN;
            } else if (reason == kGranted) {
                push(self.item);
            }
            settle();
        }
        note(actor, status);
        end(actor);
    }

  private:
    struct Actor {
        Act act;
        int item;
        int64_t deadline_ns;
        int told; /* with the wake: 0, or why in vain */
    };

    ModelList *list_of(Act act)
    {
        return act == Act::kGet   ? &getters_
               : act == Act::kPut ? &putters_
                                  : &joiners_;
    }

    [[nodiscard]] bool has_item() const
    {
        return store_.size() > promised_;
    }

    [[nodiscard]] bool has_place() const
    {
        return maxsize_ == 0 || store_.size() + reserved_ < maxsize_;
    }

    void push(int item)
    {
        store_.push(item);
        unfinished_++;
        settle();
    }

    void tell_all(ModelList *list, int status)
    {
        while (!list->empty()) {
            const int actor = list->take_first();

            actors_[actor].told = status;
            wake(actor, kGranted);
        }
    }

    void settle()
    {
        for (; has_item() && !getters_.empty(); promised_++) {
            wake(getters_.take_first(), kGranted);
        }
        if (shut_) {
            tell_all(&putters_, SKUA_ESHUTDOWN);
        }
        for (; has_place() && !putters_.empty(); reserved_++) {
            wake(putters_.take_first(), kGranted);
        }
        if (shut_ && store_.size() == 0) {
            tell_all(&getters_, SKUA_ESHUTDOWN);
        }
        if (unfinished_ == 0) {
            tell_all(&joiners_, 0);
        }
    }

    ModelStore store_;
    size_t maxsize_;
    size_t promised_ = 0;
    size_t reserved_ = 0;
    size_t unfinished_ = 0;
    bool shut_ = false;
    ModelList getters_;
    ModelList putters_;
    ModelList joiners_;
    std::map<int, Actor> actors_;
    Order drops_;
};

class QueueShuffle : public Shuffle
{
  public:
    explicit QueueShuffle(uint64_t seed)
        : Shuffle(model_, seed), order_(static_cast<QueueOrder>(seed % 3)),
          maxsize_(seed / 3 % 4), model_(order_, maxsize_)
    {
        const auto maxsize = static_cast<int64_t>(maxsize_);

        switch (order_) {
        case QueueOrder::kFifo:
            EXPECT_EQ(0, skua_queue_init(&queue_, maxsize));
            break;
        case QueueOrder::kLifo:
            EXPECT_EQ(0, skua_lifo_queue_init(&queue_, maxsize));
            break;
        case QueueOrder::kPriority:
            EXPECT_EQ(0, skua_priority_queue_init(&queue_, maxsize,
                                                  compare_priorities));
            break;
        }
        dropped = &drops_;
        EXPECT_EQ(0, skua_queue_set_drop(&queue_, note_dropped));
    }

    /** Nobody waits and nothing is promised: else it is refused. */
    ~QueueShuffle() override
    {
        EXPECT_EQ(0, skua_queue_fini(&queue_));
    }

    QueueShuffle(const QueueShuffle &) = delete;
    QueueShuffle &operator=(const QueueShuffle &) = delete;

  protected:
    void operate() override
    {
        const int choice = random_.below(40);

        if (choice < 24) {
            if (running() < kMostTasks) {
                start_act(choice);
            }
        } else if (choice < 29) {
            const int item = new_item();

            EXPECT_EQ(model_.put(item),
                      skua_queue_put_nowait(&queue_, as_pointer(item)));
        } else if (choice < 34) {
            EXPECT_EQ(model_.get(), item_or_status(SKUA_FOREVER, true));
        } else if (choice < 39) {
            EXPECT_EQ(model_.task_done(), skua_queue_task_done(&queue_));
        } else {
            const bool immediate = random_.below(2) == 0;

            EXPECT_EQ(0, skua_queue_shutdown(&queue_, immediate));
            model_.shutdown(immediate);
        }
    }

    void compare() override
    {
        EXPECT_EQ(model_.size(), skua_queue_qsize(&queue_));
        EXPECT_EQ(model_.full(), skua_queue_full(&queue_));
        EXPECT_EQ(model_.size() == 0, skua_queue_empty(&queue_));
        EXPECT_EQ(model_.drops(), drops_.get());
    }

  private:
    void start_act(int choice)
    {
        const auto act = choice < 11   ? QueueModel::Act::kGet
                         : choice < 22 ? QueueModel::Act::kPut
                                       : QueueModel::Act::kJoin;
        const int item = act == QueueModel::Act::kPut ? new_item() : 0;
        const int64_t deadline_ns = any_deadline();
        const int actor = new_actor();

        stage_.start(actor, [this, act, item, deadline_ns] {
            switch (act) {
            case QueueModel::Act::kGet:
                return item_or_status(deadline_ns, false);
            case QueueModel::Act::kPut:
                return skua_queue_put_until(&queue_, as_pointer(item),
                                            deadline_ns);
            case QueueModel::Act::kJoin:
                break;
            }
            return skua_queue_join_until(&queue_, deadline_ns);
        });
        model_.start_act(actor, act, item, deadline_ns);
    }

    /** One of three priorities; none is like another. */
    int new_item()
    {
        return kPriority * (1 + random_.below(3)) + next_unit_++;
    }

    int item_or_status(int64_t deadline_ns, bool nowait)
    {
        void *item = nullptr;
        const int status =
            nowait ? skua_queue_get_nowait(&queue_, &item)
                   : skua_queue_get_until(&queue_, &item, deadline_ns);

        return status < 0 ? status : static_cast<int>(as_int(item));
    }

    QueueOrder order_;
    size_t maxsize_;
    QueueModel model_;
    int next_unit_ = 0;
    Log drops_;
    skua_queue queue_ = {};
};

TEST(QueueShuffle, N125_IsAsTheModelSays)
{
    play_seeds<QueueShuffle>(kSeeds, kSteps);
}

} // namespace
} // namespace conformance
