// SPDX-License-Identifier: Apache-2.0
/*
 * hooks.cc - what compiled code calls: its atomic operations (atomic.h), and by
 * the compiler's doing its plain accesses.
 */
#include <cstring>

#include "search.h"

namespace model
{
namespace
{

uint64_t Updated(enum skui_model_update kind, uint64_t before, uint64_t operand)
{
    switch (kind) {
    case SKUI_MODEL_ADD:
        return before + operand;
    case SKUI_MODEL_SUB:
        return before - operand;
    case SKUI_MODEL_OR:
        return before | operand;
    case SKUI_MODEL_AND:
        return before & operand;
    default:
        return operand;
    }
}

const char *NameOf(enum skui_model_update kind)
{
    static const char *const names[] = {"exchange", "add", "sub", "or", "and"};

    return names[kind];
}

/* What a failed compare-and-swap has, as sched/atomic.h defines it. */
Order FailureOrder(Order success)
{
    switch (success) {
    case Order::kRelease:
        return Order::kRelaxed;
    case Order::kAcqRel:
        return Order::kAcquire;
    default:
        return success;
    }
}

} // namespace
} // namespace model

using model::Order;

uint64_t skui_model_load(const volatile void *address, size_t bytes, int order,
                         const struct skui_model_site *site)
{
    return model::the_explorer->Load(address, bytes,
                                     model::OrderAt(order, site), site);
}

void skui_model_store(volatile void *address, size_t bytes, uint64_t value,
                      int order, const struct skui_model_site *site)
{
    model::the_explorer->Store(address, bytes, value,
                               model::OrderAt(order, site), site);
}

uint64_t skui_model_update(volatile void *address, size_t bytes,
                           enum skui_model_update kind, uint64_t operand,
                           int order, const struct skui_model_site *site)
{
    const Order asked = model::OrderAt(order, site);
    const uint64_t mask =
        bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * bytes)) - 1;

    return model::the_explorer->Update(
        address, bytes, model::NameOf(kind),
        [=](uint64_t before, uint64_t *after) {
            *after = model::Updated(kind, before, operand) & mask;
            return true;
        },
        asked, asked, site);
}

bool skui_model_cas(volatile void *address, size_t bytes, uint64_t *expected,
                    uint64_t desired, int order,
                    const struct skui_model_site *site)
{
    const Order asked = model::OrderAt(order, site);
    const uint64_t wanted = *expected;

    *expected = model::the_explorer->Update(
        address, bytes, "cas",
        [=](uint64_t before, uint64_t *after) {
            *after = desired;
            return before == wanted;
        },
        asked, model::FailureOrder(asked), site);
    return *expected == wanted;
}

void skui_model_pause(void)
{
    model::GiveWay();
}

/* In place of those of the C library, of which the compiler does not tell. */
extern "C" void *skui_model_memcpy(void *to, const void *from, size_t bytes)
{
    if (model::the_explorer != nullptr) {
        model::the_explorer->Plain(from, bytes, false);
        model::the_explorer->Plain(to, bytes, true);
    }
    return std::memcpy(to, from, bytes);
}

extern "C" void *skui_model_memset(void *to, int value, size_t bytes)
{
    if (model::the_explorer != nullptr) {
        model::the_explorer->Plain(to, bytes, true);
    }
    return std::memset(to, value, bytes);
}

/* What the compiler calls before plain accesses, where it is told to
 * (-fsanitize=thread, without its runtime). */
#define PLAIN(bytes)                                                           \
    void __tsan_read##bytes(void *address)                                     \
    {                                                                          \
        if (model::the_explorer != nullptr) {                                  \
            model::the_explorer->Plain(address, bytes, false);                 \
        }                                                                      \
    }                                                                          \
    void __tsan_write##bytes(void *address)                                    \
    {                                                                          \
        if (model::the_explorer != nullptr) {                                  \
            model::the_explorer->Plain(address, bytes, true);                  \
        }                                                                      \
    }                                                                          \
    void __tsan_unaligned_read##bytes(void *address)                           \
    {                                                                          \
        __tsan_read##bytes(address);                                           \
    }                                                                          \
    void __tsan_unaligned_write##bytes(void *address)                          \
    {                                                                          \
        __tsan_write##bytes(address);                                          \
    }

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the compiler has chosen them
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *address, size_t bytes)
{
    if (model::the_explorer != nullptr) {
        model::the_explorer->Plain(address, bytes, false);
    }
}

void __tsan_write_range(void *address, size_t bytes)
{
    if (model::the_explorer != nullptr) {
        model::the_explorer->Plain(address, bytes, true);
    }
}

void __tsan_init(void)
{
}

void __tsan_func_entry(void *)
{
}

void __tsan_func_exit(void)
{
}
// NOLINTEND(bugprone-reserved-identifier)
}
