/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomic.h - the only door to atomics and memory orders.
 *
 * Every shared field is spelled _Atomic(T) and reached through these macros.
 * With SKUI_MODEL they go through the explorer (tests/model), which tells one
 * from the other by file and line: one to a line. Fences are not offered: the
 * race detector does not follow them. A barrier for the compiler is, for who
 * has the other thread call skui_membarrier().
 */
#ifndef SKUI_ATOMIC_H
#define SKUI_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SKUI_BEGIN_DECLS extern "C" {
#define SKUI_END_DECLS }
#else
#define SKUI_BEGIN_DECLS
#define SKUI_END_DECLS
#endif

#define SKUI_CACHE_LINE 64
#define SKUI_CACHE_ALIGNED __attribute__((aligned(SKUI_CACHE_LINE)))
#define SKUI_NOINLINE __attribute__((noinline))
#define SKUI_LIKELY(x) __builtin_expect(!!(x), 1)
#define SKUI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SKUI_CONTAINER_OF(pointer, type, member)                               \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#if defined(SKUI_MODEL)
#include "model/atomic.h"
#else
#define SKUI_ATOMIC_LOAD(p, order) atomic_load_explicit((p), (order))
#define SKUI_ATOMIC_STORE(p, v, order) atomic_store_explicit((p), (v), (order))
#define SKUI_ATOMIC_EXCHANGE(p, v, order)                                      \
    atomic_exchange_explicit((p), (v), (order))
#define SKUI_ATOMIC_CAS(p, e, v, order, failure)                               \
    atomic_compare_exchange_strong_explicit((p), (e), (v), (order), (failure))
#define SKUI_ATOMIC_ADD(p, v, order)                                           \
    atomic_fetch_add_explicit((p), (v), (order))
#define SKUI_ATOMIC_SUB(p, v, order)                                           \
    atomic_fetch_sub_explicit((p), (v), (order))
#define SKUI_ATOMIC_OR(p, v, order) atomic_fetch_or_explicit((p), (v), (order))
#define SKUI_ATOMIC_AND(p, v, order)                                           \
    atomic_fetch_and_explicit((p), (v), (order))

/* The compiler moves no load or store across it; the core may. */
#define skui_compiler_barrier() atomic_signal_fence(memory_order_seq_cst)

/* Tell the core that this thread spins. */
static inline void skui_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#endif
}
#endif

#define skui_load_relaxed(p) SKUI_ATOMIC_LOAD(p, memory_order_relaxed)
#define skui_load_acquire(p) SKUI_ATOMIC_LOAD(p, memory_order_acquire)
#define skui_load_seq_cst(p) SKUI_ATOMIC_LOAD(p, memory_order_seq_cst)

#define skui_store_relaxed(p, v) SKUI_ATOMIC_STORE(p, v, memory_order_relaxed)
#define skui_store_release(p, v) SKUI_ATOMIC_STORE(p, v, memory_order_release)
#define skui_store_seq_cst(p, v) SKUI_ATOMIC_STORE(p, v, memory_order_seq_cst)

#define skui_exchange_acquire(p, v)                                            \
    SKUI_ATOMIC_EXCHANGE(p, v, memory_order_acquire)
#define skui_exchange_release(p, v)                                            \
    SKUI_ATOMIC_EXCHANGE(p, v, memory_order_release)
#define skui_exchange_acq_rel(p, v)                                            \
    SKUI_ATOMIC_EXCHANGE(p, v, memory_order_acq_rel)
#define skui_exchange_seq_cst(p, v)                                            \
    SKUI_ATOMIC_EXCHANGE(p, v, memory_order_seq_cst)

/* Strong compare-and-swap: *e is updated on failure. */
#define skui_cas_relaxed(p, e, v)                                              \
    SKUI_ATOMIC_CAS(p, e, v, memory_order_relaxed, memory_order_relaxed)
#define skui_cas_acquire(p, e, v)                                              \
    SKUI_ATOMIC_CAS(p, e, v, memory_order_acquire, memory_order_acquire)
#define skui_cas_release(p, e, v)                                              \
    SKUI_ATOMIC_CAS(p, e, v, memory_order_release, memory_order_relaxed)
#define skui_cas_acq_rel(p, e, v)                                              \
    SKUI_ATOMIC_CAS(p, e, v, memory_order_acq_rel, memory_order_acquire)
#define skui_cas_seq_cst(p, e, v)                                              \
    SKUI_ATOMIC_CAS(p, e, v, memory_order_seq_cst, memory_order_seq_cst)

#define skui_fetch_add_relaxed(p, v) SKUI_ATOMIC_ADD(p, v, memory_order_relaxed)
#define skui_fetch_add_acq_rel(p, v) SKUI_ATOMIC_ADD(p, v, memory_order_acq_rel)
#define skui_fetch_add_seq_cst(p, v) SKUI_ATOMIC_ADD(p, v, memory_order_seq_cst)
#define skui_fetch_sub_relaxed(p, v) SKUI_ATOMIC_SUB(p, v, memory_order_relaxed)
#define skui_fetch_sub_release(p, v) SKUI_ATOMIC_SUB(p, v, memory_order_release)
#define skui_fetch_sub_acq_rel(p, v) SKUI_ATOMIC_SUB(p, v, memory_order_acq_rel)
#define skui_fetch_sub_seq_cst(p, v) SKUI_ATOMIC_SUB(p, v, memory_order_seq_cst)
#define skui_fetch_or_relaxed(p, v) SKUI_ATOMIC_OR(p, v, memory_order_relaxed)
#define skui_fetch_or_acq_rel(p, v) SKUI_ATOMIC_OR(p, v, memory_order_acq_rel)
#define skui_fetch_and_acq_rel(p, v) SKUI_ATOMIC_AND(p, v, memory_order_acq_rel)

#endif
