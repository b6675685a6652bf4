/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomic.h - the operations of sched/atomic.h as the explorer has them: each is
 * a call that says where it stands in the source.
 */
#ifndef SKUA_TESTS_MODEL_ATOMIC_H
#define SKUA_TESTS_MODEL_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skui_model_site {
    const char *file;
    int line;
};

enum skui_model_update {
    SKUI_MODEL_EXCHANGE,
    SKUI_MODEL_ADD,
    SKUI_MODEL_SUB,
    SKUI_MODEL_OR,
    SKUI_MODEL_AND,
};

/* Orders are those of memory_order, as numbers. */
uint64_t skui_model_load(const volatile void *address, size_t bytes, int order,
                         const struct skui_model_site *site);
void skui_model_store(volatile void *address, size_t bytes, uint64_t value,
                      int order, const struct skui_model_site *site);
uint64_t skui_model_update(volatile void *address, size_t bytes,
                           enum skui_model_update kind, uint64_t operand,
                           int order, const struct skui_model_site *site);
bool skui_model_cas(volatile void *address, size_t bytes, uint64_t *expected,
                    uint64_t desired, int order,
                    const struct skui_model_site *site);
/* Who spins lets others go on. */
void skui_model_pause(void);

#ifdef __cplusplus
}
#endif

static inline void skui_cpu_relax(void)
{
    skui_model_pause();
}

/* The explorer's threads take turns. */
#define skui_compiler_barrier() ((void)0)

#ifdef __cplusplus

#include <type_traits>

/* Values of up to 8 bytes as words. */
template <class T> static inline uint64_t skui_model_word(T value)
{
    uint64_t word = 0;

    memcpy(&word, &value, sizeof(value));
    return word;
}

template <class T> static inline T skui_model_value(uint64_t word)
{
    T value;

    memcpy(&value, &word, sizeof(value));
    return value;
}

template <class T>
static inline T skui_model_load_of(const std::atomic<T> *p,
                                   std::memory_order order,
                                   const struct skui_model_site *site)
{
    return skui_model_value<T>(
        skui_model_load(p, sizeof(T), static_cast<int>(order), site));
}

template <class T>
static inline void
skui_model_store_of(std::atomic<T> *p, std::type_identity_t<T> value,
                    std::memory_order order, const struct skui_model_site *site)
{
    skui_model_store(p, sizeof(T), skui_model_word<T>(value),
                     static_cast<int>(order), site);
}

template <class T>
static inline T
skui_model_update_of(std::atomic<T> *p, enum skui_model_update kind,
                     std::type_identity_t<T> operand, std::memory_order order,
                     const struct skui_model_site *site)
{
    return skui_model_value<T>(
        skui_model_update(p, sizeof(T), kind, skui_model_word<T>(operand),
                          static_cast<int>(order), site));
}

template <class T>
static inline bool skui_model_cas_of(std::atomic<T> *p, T *expected,
                                     std::type_identity_t<T> desired,
                                     std::memory_order order,
                                     const struct skui_model_site *site)
{
    uint64_t word = skui_model_word<T>(*expected);
    bool done = skui_model_cas(p, sizeof(T), &word, skui_model_word<T>(desired),
                               static_cast<int>(order), site);

    *expected = skui_model_value<T>(word);
    return done;
}

#define SKUI_MODEL_SITE()                                                      \
    ([]() -> const struct skui_model_site * {                                  \
        static const struct skui_model_site site = {__FILE__, __LINE__};       \
        return &site;                                                          \
    }())
#define SKUI_ATOMIC_LOAD(p, order)                                             \
    skui_model_load_of((p), (order), SKUI_MODEL_SITE())
#define SKUI_ATOMIC_STORE(p, v, order)                                         \
    skui_model_store_of((p), (v), (order), SKUI_MODEL_SITE())
#define SKUI_MODEL_UPDATE(p, kind, v, order)                                   \
    skui_model_update_of((p), (kind), (v), (order), SKUI_MODEL_SITE())
#define SKUI_ATOMIC_CAS(p, e, v, order, failure)                               \
    skui_model_cas_of((p), (e), (v), (order), SKUI_MODEL_SITE())

#else

/* The type of *p as a value has it: without _Atomic. */
#define SKUI_MODEL_TYPE(p) __typeof__(((void)0, *(p)))
#define SKUI_MODEL_SITE(name)                                                  \
    static const struct skui_model_site name = {__FILE__, __LINE__}

#define SKUI_ATOMIC_LOAD(p, order)                                             \
    __extension__({                                                            \
        SKUI_MODEL_SITE(skui_site);                                            \
        uint64_t skui_word =                                                   \
            skui_model_load((p), sizeof(*(p)), (order), &skui_site);           \
        SKUI_MODEL_TYPE(p) skui_value;                                         \
        memcpy(&skui_value, &skui_word, sizeof(skui_value));                   \
        skui_value;                                                            \
    })
#define SKUI_ATOMIC_STORE(p, v, order)                                         \
    __extension__({                                                            \
        SKUI_MODEL_SITE(skui_site);                                            \
        SKUI_MODEL_TYPE(p) skui_value = (v);                                   \
        uint64_t skui_word = 0;                                                \
        memcpy(&skui_word, &skui_value, sizeof(skui_value));                   \
        skui_model_store((p), sizeof(*(p)), skui_word, (order), &skui_site);   \
    })
#define SKUI_MODEL_UPDATE(p, kind, v, order)                                   \
    __extension__({                                                            \
        SKUI_MODEL_SITE(skui_site);                                            \
        SKUI_MODEL_TYPE(p) skui_value = (v);                                   \
        uint64_t skui_word = 0;                                                \
        memcpy(&skui_word, &skui_value, sizeof(skui_value));                   \
        skui_word = skui_model_update((p), sizeof(*(p)), (kind), skui_word,    \
                                      (order), &skui_site);                    \
        memcpy(&skui_value, &skui_word, sizeof(skui_value));                   \
        skui_value;                                                            \
    })
#define SKUI_ATOMIC_CAS(p, e, v, order, failure)                               \
    __extension__({                                                            \
        SKUI_MODEL_SITE(skui_site);                                            \
        SKUI_MODEL_TYPE(p) *skui_expected = (e);                               \
        SKUI_MODEL_TYPE(p) skui_value = (v);                                   \
        uint64_t skui_word = 0;                                                \
        uint64_t skui_found = 0;                                               \
        memcpy(&skui_word, &skui_value, sizeof(skui_value));                   \
        memcpy(&skui_found, skui_expected, sizeof(skui_value));                \
        bool skui_done = skui_model_cas((p), sizeof(*(p)), &skui_found,        \
                                        skui_word, (order), &skui_site);       \
        memcpy(skui_expected, &skui_found, sizeof(skui_value));                \
        skui_done;                                                             \
    })
#endif

#define SKUI_ATOMIC_EXCHANGE(p, v, order)                                      \
    SKUI_MODEL_UPDATE(p, SKUI_MODEL_EXCHANGE, v, order)
#define SKUI_ATOMIC_ADD(p, v, order)                                           \
    SKUI_MODEL_UPDATE(p, SKUI_MODEL_ADD, v, order)
#define SKUI_ATOMIC_SUB(p, v, order)                                           \
    SKUI_MODEL_UPDATE(p, SKUI_MODEL_SUB, v, order)
#define SKUI_ATOMIC_OR(p, v, order)                                            \
    SKUI_MODEL_UPDATE(p, SKUI_MODEL_OR, v, order)
#define SKUI_ATOMIC_AND(p, v, order)                                           \
    SKUI_MODEL_UPDATE(p, SKUI_MODEL_AND, v, order)

#endif
