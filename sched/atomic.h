/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomic.h - the only door to atomics and memory orders.
 *
 * Every shared field is spelled _Atomic(T) and reached through these macros,
 * so that a model checker can replace them in one place. Fences are not
 * offered: the race detector does not follow them. A barrier for the compiler
 * is, for who has the other thread call skui_membarrier().
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

#define skui_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define skui_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define skui_load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)

#define skui_store_relaxed(p, v)                                               \
    atomic_store_explicit((p), (v), memory_order_relaxed)
#define skui_store_release(p, v)                                               \
    atomic_store_explicit((p), (v), memory_order_release)
#define skui_store_seq_cst(p, v)                                               \
    atomic_store_explicit((p), (v), memory_order_seq_cst)

#define skui_exchange_acquire(p, v)                                            \
    atomic_exchange_explicit((p), (v), memory_order_acquire)
#define skui_exchange_release(p, v)                                            \
    atomic_exchange_explicit((p), (v), memory_order_release)
#define skui_exchange_acq_rel(p, v)                                            \
    atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define skui_exchange_seq_cst(p, v)                                            \
    atomic_exchange_explicit((p), (v), memory_order_seq_cst)

/* Strong compare-and-swap: *e is updated on failure. */
#define skui_cas_relaxed(p, e, v)                                              \
    atomic_compare_exchange_strong_explicit(                                   \
        (p), (e), (v), memory_order_relaxed, memory_order_relaxed)
#define skui_cas_acquire(p, e, v)                                              \
    atomic_compare_exchange_strong_explicit(                                   \
        (p), (e), (v), memory_order_acquire, memory_order_acquire)
#define skui_cas_release(p, e, v)                                              \
    atomic_compare_exchange_strong_explicit(                                   \
        (p), (e), (v), memory_order_release, memory_order_relaxed)
#define skui_cas_acq_rel(p, e, v)                                              \
    atomic_compare_exchange_strong_explicit(                                   \
        (p), (e), (v), memory_order_acq_rel, memory_order_acquire)
#define skui_cas_seq_cst(p, e, v)                                              \
    atomic_compare_exchange_strong_explicit(                                   \
        (p), (e), (v), memory_order_seq_cst, memory_order_seq_cst)

#define skui_fetch_add_relaxed(p, v)                                           \
    atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define skui_fetch_add_acq_rel(p, v)                                           \
    atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define skui_fetch_add_seq_cst(p, v)                                           \
    atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define skui_fetch_sub_relaxed(p, v)                                           \
    atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define skui_fetch_sub_release(p, v)                                           \
    atomic_fetch_sub_explicit((p), (v), memory_order_release)
#define skui_fetch_sub_acq_rel(p, v)                                           \
    atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define skui_fetch_sub_seq_cst(p, v)                                           \
    atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define skui_fetch_or_relaxed(p, v)                                            \
    atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define skui_fetch_or_acq_rel(p, v)                                            \
    atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define skui_fetch_and_acq_rel(p, v)                                           \
    atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)

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
