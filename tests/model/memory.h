// SPDX-License-Identifier: Apache-2.0
/*
 * memory.h - C11's memory as threads see it, for the explorer.
 *
 * Each atomic location keeps all stores in modification order. A thread has a
 * view: of each location the oldest store that it may still read. Stores carry
 * views: what who reads them gets to see, at once by an acquire load, else by a
 * later acquire fence. This is RC11, operationally: what C11 allows, but for
 * loads that read what is stored only later (load buffering), which RC11
 * forbids since else values could come out of thin air.
 *
 * Happens-before is kept beside the views, as vector clocks, for plain
 * accesses: a fence orders what others may read, but only reading orders plain
 * memory.
 */
#ifndef SKUA_TESTS_MODEL_MEMORY_H
#define SKUA_TESTS_MODEL_MEMORY_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace model
{

constexpr int kMaxThreads = 5; /* the one that sets up included */

enum class Order { kRelaxed, kAcquire, kRelease, kAcqRel, kSeqCst };

bool Acquires(Order order);
bool Releases(Order order);

using Clock = std::array<uint32_t, kMaxThreads>;
/* By location: the place in modification order of the oldest visible store. */
using View = std::vector<uint64_t>;

void Join(Clock &into, const Clock &from);
void Join(View &into, const View &from);

/* One store. */
struct Message {
    uint64_t value;
    uint64_t place; /* in modification order; leaves room between two */
    bool glued;     /* a read-modify-write: nothing comes before it */
    int thread;
    View view;
    Clock clock;
};

struct Location {
    uintptr_t address;
    size_t bytes;
    std::vector<Message> messages; /* in modification order */
};

/* What a thread sees and has seen. */
struct Sight {
    View now;
    View on_acquire; /* after an acquire fence */
    View released;   /* at the last release fence */
    Clock clock{};
    Clock clock_on_acquire{};
    Clock clock_released{};
    std::vector<size_t> read; /* locations, since it last gave way */
};

/* Picks one of `count`; asked wherever memory has a choice. */
using Choose = std::function<size_t(size_t count)>;

class Memory
{
  public:
    explicit Memory(Choose choose);

    void Begin(int threads);
    /* A thread begins, or all have ended: `to` sees what `from` saw. */
    void Inherit(int from, int to);

    /* What `thread` sees goes with a message from hand to hand, of which memory
     * knows nothing else: a wake, say. */
    void Hand(int thread, uintptr_t message);
    void Receive(int thread, uintptr_t message);

    uint64_t Load(int thread, const volatile void *address, size_t bytes,
                  Order order);
    void Store(int thread, volatile void *address, size_t bytes, uint64_t value,
               Order order);
    /* change(old, &new): whether to write. The value that was read. */
    uint64_t Update(int thread, volatile void *address, size_t bytes,
                    const std::function<bool(uint64_t, uint64_t *)> &change,
                    Order success, Order failure);
    void FenceSeqCst(int thread);
    /* A full fence in each thread, which the caller has waited for. */
    void Membarrier(int thread);
    /* Whether something that it has read has another value by now. */
    bool HasNews(int thread) const;
    /* The newest stores to what it has read come into its sight. */
    void CatchUp(int thread);

    /* What a plain access races with, or "". */
    std::string Plain(int thread, const volatile void *address, size_t bytes,
                      bool writes);
    /* [address, +bytes) was freed, or allocated anew. */
    void Forget(const volatile void *address, size_t bytes, bool freed);

    /* The first error found: a race, a use after free; "" if none. */
    const std::string &error() const
    {
        return error_;
    }
    /* For traces: which store was read or written last, from the newest. */
    std::string last_detail() const
    {
        return detail_;
    }
    /* An atomic access beside plain ones. */
    void NoteAtomic(int thread, const volatile void *address, size_t bytes,
                    bool writes);

  private:
    struct Access {
        uintptr_t begin;
        uintptr_t end;
        int thread;
        uint32_t time;
        bool writes;
        bool atomic;
    };

    Location &Find(const volatile void *address, size_t bytes);
    std::vector<size_t> Readable(const Sight &sight, size_t index,
                                 bool seq_cst) const;
    void Read(Sight &sight, size_t index, const Message &message, Order order);
    void Write(int thread, size_t index, size_t after, uint64_t value,
               Order order, const Message *updated);
    std::string Note(int thread, uintptr_t begin, size_t bytes, bool writes,
                     bool atomic);
    static uint64_t &At(View &view, size_t index);
    static uint64_t At(const View &view, size_t index);

    Choose choose_;
    std::vector<Location> locations_;
    std::unordered_map<uintptr_t, size_t> by_address_;
    std::vector<Sight> sights_;
    std::unordered_map<uintptr_t, std::pair<View, Clock>> handed_;
    View seq_cst_; /* what sequentially consistent operations must see */
    std::unordered_map<uintptr_t, std::vector<Access>> accesses_; /* by 8 */
    std::vector<std::pair<uintptr_t, uintptr_t>> freed_;
    std::string error_;
    std::string detail_;
};

} // namespace model

#endif
