// SPDX-License-Identifier: Apache-2.0
/*
 * threads.cc - what a scenario's threads call: each operation stops for the
 * search to say who goes on, then is done.
 */
#include <cstdio>
#include <cstring>

#include "search.h"

namespace model
{
namespace
{

const char *NameOf(Order order)
{
    static const char *const names[] = {"relaxed", "acquire", "release",
                                        "acq_rel", "seq_cst"};

    return names[static_cast<int>(order)];
}

/* What a thread is about to do. */
std::string Hex(uint64_t value)
{
    char text[32];

    std::snprintf(text, sizeof(text), value < 4096 ? "%lu" : "%#lx", value);
    return text;
}

} // namespace

std::string Explorer::Site(const skui_model_site *site) const
{
    const char *slash = std::strrchr(site->file, '/');

    return std::string(slash == nullptr ? site->file : slash + 1) + ":" +
           std::to_string(site->line);
}

void Explorer::Tell(const std::string &text)
{
    if (tracing_ && running_) {
        events_.push_back({self_, text});
    }
}

void Explorer::Fail(const std::string &why)
{
    if (error_.empty()) {
        error_ = why;
    }
    if (running_) { /* never to come back */
        void *abandoned;

        running_ = false;
        skui_arch_switch(&abandoned, search_context_);
    }
}

/* Let the search decide who goes on. */
void Explorer::Stop(Pending pending)
{
    Context &context = contexts_[static_cast<size_t>(self_)];

    context.pending = std::move(pending);
    skui_arch_switch(&context.saved, search_context_);
}

uint64_t Explorer::Load(const volatile void *address, size_t bytes, Order order,
                        const skui_model_site *site)
{
    if (running_) {
        Pending pending;

        pending.kind = Kind::kLoad;
        pending.address = reinterpret_cast<uintptr_t>(address);
        Stop(std::move(pending));
    }
    const uint64_t value = memory_.Load(self_, address, bytes, order);

    if (tracing_) {
        Tell("load " + std::string(NameOf(order)) + " " +
             Hex(reinterpret_cast<uintptr_t>(address)) + " = " + Hex(value) +
             memory_.last_detail() + "  " + Site(site));
    }
    if (!memory_.error().empty()) {
        Fail(memory_.error());
    }
    return value;
}

void Explorer::Store(volatile void *address, size_t bytes, uint64_t value,
                     Order order, const skui_model_site *site)
{
    if (running_) {
        Pending pending;

        pending.kind = Kind::kStore;
        pending.address = reinterpret_cast<uintptr_t>(address);
        Stop(std::move(pending));
    }
    memory_.Store(self_, address, bytes, value, order);
    contexts_[static_cast<size_t>(self_)].lapped = false;
    if (tracing_) {
        Tell("store " + std::string(NameOf(order)) + " " +
             Hex(reinterpret_cast<uintptr_t>(address)) + " = " + Hex(value) +
             memory_.last_detail() + "  " + Site(site));
    }
    if (!memory_.error().empty()) {
        Fail(memory_.error());
    }
}

uint64_t
Explorer::Update(volatile void *address, size_t bytes, const char *name,
                 const std::function<bool(uint64_t, uint64_t *)> &change,
                 Order order, Order failure, const skui_model_site *site)
{
    if (running_) {
        Pending pending;

        pending.kind = Kind::kUpdate;
        pending.address = reinterpret_cast<uintptr_t>(address);
        Stop(std::move(pending));
    }
    const uint64_t before =
        memory_.Update(self_, address, bytes, change, order, failure);
    uint64_t written = before;

    if (change(before, &written) && written != before) {
        contexts_[static_cast<size_t>(self_)].lapped = false;
    }

    if (tracing_) {
        uint64_t after = 0;
        const bool wrote = change(before, &after);

        Tell(std::string(name) + " " + NameOf(wrote ? order : failure) + " " +
             Hex(reinterpret_cast<uintptr_t>(address)) + " " + Hex(before) +
             (wrote ? " -> " + Hex(after) : " (unchanged)") +
             memory_.last_detail() + "  " + Site(site));
    }
    if (!memory_.error().empty()) {
        Fail(memory_.error());
    }
    return before;
}

void Explorer::Barrier(bool in_all)
{
    if (running_) {
        Pending pending;

        pending.kind = Kind::kBarrier;
        Stop(std::move(pending));
        Tell(in_all ? "barrier in all threads" : "fence seq_cst");
    }
    if (in_all) {
        memory_.Membarrier(self_);
    } else {
        memory_.FenceSeqCst(self_);
    }
}

void Explorer::Yield()
{
    if (!running_) {
        return;
    }
    Pending pending;

    pending.kind = Kind::kGiveWay;
    Stop(std::move(pending));
    contexts_[static_cast<size_t>(self_)].lapped = !memory_.HasNews(self_);
    memory_.CatchUp(self_);
}

bool Explorer::Wait(const std::function<bool()> &holds, bool may_give_up)
{
    Pending pending;

    pending.kind = Kind::kWait;
    pending.holds = holds;
    pending.may_give_up = may_give_up;
    Stop(std::move(pending));
    if (!holds()) {
        Tell("gives up");
        return false;
    }
    Tell("goes on");
    return true;
}

void Explorer::Plain(const volatile void *address, size_t bytes, bool writes)
{
    if (!running_) {
        return;
    }
    const auto here = reinterpret_cast<uintptr_t>(address);

    for (const void *stack : stacks_) {
        const auto low = reinterpret_cast<uintptr_t>(stack);

        if (here >= low && here < low + kStackBytes) {
            return; /* what others see of it they are given by pointers */
        }
    }
    const std::string found = memory_.Plain(self_, address, bytes, writes);

    if (!found.empty()) {
        Tell(std::string("plain ") + (writes ? "write " : "read ") + Hex(here));
        Fail(found);
    }
}

void *Explorer::Take(size_t bytes)
{
    /* Aligned as the library's objects, and never empty. */
    const size_t whole = (bytes / 64 + 1) * 64;
    void *memory = std::aligned_alloc(64, whole);

    std::memset(memory, 0, whole);
    memory_.Forget(memory, whole, false);
    allocations_[memory] = {whole, nullptr, false};
    return memory;
}

/* It is kept until the run has ended, so that a use after this is seen. */
void Explorer::Give(void *memory)
{
    const auto found = allocations_.find(memory);

    if (memory == nullptr) {
        return;
    }
    if (found == allocations_.end() || found->second.freed) {
        Fail("freed twice");
        return;
    }
    Plain(memory, found->second.bytes, true);
    found->second.freed = true;
    memory_.Forget(memory, found->second.bytes, true);
}

void Require(bool holds, const char *what)
{
    if (!holds) {
        the_explorer->Fail(std::string("not so: ") + what);
    }
}

int Any(int count)
{
    return static_cast<int>(the_explorer->Pick(static_cast<size_t>(count)));
}

void FenceSeqCst()
{
    the_explorer->Barrier(false);
}

void Membarrier()
{
    the_explorer->Barrier(true);
}

void GiveWay()
{
    the_explorer->Yield();
}

bool WaitUntil(const std::function<bool()> &holds, bool may_give_up)
{
    return the_explorer->Wait(holds, may_give_up);
}

void Plain(const volatile void *address, size_t bytes, bool writes)
{
    the_explorer->Plain(address, bytes, writes);
}

void Hand(const void *message)
{
    the_explorer->memory().Hand(the_explorer->self(),
                                reinterpret_cast<uintptr_t>(message));
}

void Receive(const void *message)
{
    the_explorer->memory().Receive(the_explorer->self(),
                                   reinterpret_cast<uintptr_t>(message));
}

void CatchUp()
{
    the_explorer->memory().CatchUp(the_explorer->self());
}

void Say(const char *what)
{
    the_explorer->Tell(what);
}

int Self()
{
    return the_explorer == nullptr ? -1 : the_explorer->self();
}

void *Allocate(size_t bytes)
{
    return the_explorer == nullptr ? std::calloc(1, bytes)
                                   : the_explorer->Take(bytes);
}

void Free(void *memory)
{
    if (the_explorer == nullptr) {
        std::free(memory);
    } else {
        the_explorer->Give(memory);
    }
}

} // namespace model
