/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_support.h - a queue of numbers, for the tests of queues.
 */
#ifndef SKUA_TESTS_CONFORMANCE_QUEUE_SUPPORT_H
#define SKUA_TESTS_CONFORMANCE_QUEUE_SUPPORT_H

#include "support.h"

namespace conformance
{

/** A queue of numbers, of one of the three orders. */
class Queue
{
  public:
    explicit Queue(int64_t maxsize = 0)
    {
        EXPECT_EQ(0, skua_queue_init(&queue_, maxsize));
    }

    ~Queue()
    {
        EXPECT_EQ(0, skua_queue_fini(&queue_));
    }

    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;

    int put(int item)
    {
        return skua_queue_put(&queue_, as_pointer(item));
    }

    int put_nowait(int item)
    {
        return skua_queue_put_nowait(&queue_, as_pointer(item));
    }

    /** The item, or a negative status. */
    int get()
    {
        void *item = nullptr;
        const int status = skua_queue_get(&queue_, &item);

        return status < 0 ? status : static_cast<int>(as_int(item));
    }

    int get_nowait()
    {
        void *item = nullptr;
        const int status = skua_queue_get_nowait(&queue_, &item);

        return status < 0 ? status : static_cast<int>(as_int(item));
    }

    int get_until(int64_t deadline_ns)
    {
        void *item = nullptr;
        const int status = skua_queue_get_until(&queue_, &item, deadline_ns);

        return status < 0 ? status : static_cast<int>(as_int(item));
    }

    int done()
    {
        return skua_queue_task_done(&queue_);
    }

    size_t size()
    {
        return skua_queue_qsize(&queue_);
    }

    operator skua_queue *()
    {
        return &queue_;
    }

    /** Bodies that note what they got, or -1 and their item. */
    Body getter(Log &log)
    {
        return [this, &log] {
            const int item = get();

            log.add(item);
            return item < 0 ? item : 0;
        };
    }

    Body putter(int item)
    {
        return [this, item] { return put(item); };
    }

    /** All that is there. */
    Order drain()
    {
        Order items;
        int item = get_nowait();

        while (item >= 0) {
            items.push_back(item);
            item = get_nowait();
        }
        return items;
    }

  private:
    skua_queue queue_ = {};
};

inline int await_status(const Future &task)
{
    return skua_await(task.get(), nullptr);
}

/** Smaller tens first; the units do not count. */
inline int compare_tens(const void *a, const void *b)
{
    const intptr_t left = as_int(const_cast<void *>(a)) / 10;
    const intptr_t right = as_int(const_cast<void *>(b)) / 10;

    return left < right ? -1 : left > right;
}

/** Where note_dropped() notes. */
inline Log *dropped = nullptr;

inline void note_dropped(void *item)
{
    dropped->add(static_cast<int>(as_int(item)));
}

} // namespace conformance

#endif
