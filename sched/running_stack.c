/* SPDX-License-Identifier: Apache-2.0 */
/*
 * running_stack.c - debug mode: where the thread of a loop is.
 * Threads     The watchdog asks; the loop's thread answers in a handler of a
 *             real-time signal that nobody else uses. `chosen` and who installs
 *             are guarded by running_mutex.
 * Invariants  One question at a time. It belongs to the asker, except while its
 *             word is ANSWERING: then to the handler. A signal that comes too
 *             late, or from elsewhere, finds no question of its number.
 * Ordering    WD1 the question, WD2 the answer.
 * Progress    The handler takes no lock and waits for nobody. The asker waits
 *             until a limit for the handler to begin, then for it to end.
 *
 * A thread that sleeps in the kernel is not signalled, since calls such as
 * nanosleep() and poll() end with EINTR whatever the handler's flags say. One
 * that falls asleep between the look and the signal still sees that; read() and
 * its like are restarted.
 *
 * Rejected    backtrace() in the handler: call frame information does not
 *             describe the middle of a context switch, and older unwinders
 * lock. Asking by ptrace() or perf: not allowed everywhere.
 */
#include "running_stack.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "frames.h"
#include "free_signal.h"
#include "futex.h"
#include "loop.h"
#include "task.h"

enum {
    LIMIT_NS = 100 * 1000000,
    /* The word: the number of the question, and what it is. */
    NOBODY = 0, /* the whole word */
    ASKED = 1,
    ANSWERING = 2,
    ANSWERED = 3,
    PHASE = 3,
    NUMBER_STEP = 4,
};

static pthread_mutex_t running_mutex = PTHREAD_MUTEX_INITIALIZER;
static int chosen; /* 0: none yet */

static struct {
    _Atomic(uint32_t) word; /* WD1, WD2 */
    uint32_t last;          /* the asker's: the number of the last one */
    skua_loop *loop;
    uint32_t step;
    size_t count;
    void *frames[SKUI_RUNNING_FRAMES];
} question;

/* --- the loop's thread --- */

static bool span_has(struct skui_frame_span span, uintptr_t address)
{
    return address >= span.low && address < span.high;
}

/* What is left of the stack that was interrupted, from `stack` on. */
static struct skui_frame_span running_span(const skua_loop *loop,
                                           uintptr_t stack)
{
    const struct skui_task *task = loop->current;
    struct skui_frame_span span = {loop->thread_seen.stack_low,
                                   loop->thread_seen.stack_high};

    if (task != NULL && (uintptr_t)task->stack.limit <= stack &&
        stack < (uintptr_t)task->stack.top) {
        span.low = (uintptr_t)task->stack.limit;
        span.high = (uintptr_t)task->stack.top;
    }
    if (!span_has(span, stack)) {
        span.high = stack; /* a stack that the program has made */
    }
    span.low = stack;
    return span;
}

static size_t running_walk(const skua_loop *loop, const void *ucontext)
{
    struct skui_arch_interrupted at;
    struct skui_frame_record innermost;

    if (!skui_arch_read_interrupted(ucontext, &at)) {
        return 0;
    }
    innermost.frame = at.frame;
    innermost.address = at.address;
    return skui_frames_walk(innermost, running_span(loop, at.stack),
                            question.frames, SKUI_RUNNING_FRAMES);
}

static bool running_is_asked(const skua_loop *loop)
{
    /* relaxed: written by this thread */
    return loop == question.loop &&
           skui_load_relaxed(&((skua_loop *)loop)->step_number) ==
               question.step;
}

static void running_handle(int number, siginfo_t *info, void *ucontext)
{
    int saved_errno = errno;
    uint32_t word = (uint32_t)info->si_value.sival_int;

    (void)number;
    if (info->si_code == SI_QUEUE && info->si_pid == getpid() &&
        (word & PHASE) == ASKED &&
        /* WD1 acquire: the question is whole. */
        skui_cas_acquire(&question.word, &word, word - ASKED + ANSWERING)) {
        const skua_loop *loop = skui_loop_self();

        question.count = loop != NULL && running_is_asked(loop)
                             ? running_walk(loop, ucontext)
                             : 0;
        /* WD2 release: the answer is whole. */
        skui_store_release(&question.word, word - ASKED + ANSWERED);
        skui_futex_wake(&question.word, 1);
    }
    errno = saved_errno;
}

/* --- the signal --- */

static struct sigaction running_action(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = running_handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    (void)sigfillset(&action.sa_mask);
    return action;
}

void skui_running_prepare(void)
{
    const struct sigaction action = running_action();

    (void)pthread_mutex_lock(&running_mutex);
    if (chosen == 0 || !skui_free_signal_is_taken(chosen, running_handle)) {
        /* Maybe none: the program has taken them. */
        chosen = skui_free_signal_take(&action);
    }
    (void)pthread_mutex_unlock(&running_mutex);
}

static int running_chosen(void)
{
    int number;

    (void)pthread_mutex_lock(&running_mutex);
    number = chosen;
    (void)pthread_mutex_unlock(&running_mutex);
    return number;
}

/* --- between the two --- */

static void thread_find_stack(struct skui_running_thread *thread)
{
    pthread_attr_t attributes;
    void *low;
    size_t bytes;

    thread->stack_low = 0;
    thread->stack_high = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return;
    }
    if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) {
        thread->stack_low = (uintptr_t)low;
        thread->stack_high = (uintptr_t)low + bytes;
    }
    (void)pthread_attr_destroy(&attributes);
}

void skui_running_open(struct skui_running_thread *thread)
{
    sigset_t set;
    sigset_t before;

    thread->id = gettid();
    thread->signal_number = running_chosen();
    thread->was_blocked = false;
    thread_find_stack(thread);
    if (thread->signal_number != 0) {
        (void)sigemptyset(&set);
        (void)sigaddset(&set, thread->signal_number);
        (void)pthread_sigmask(SIG_UNBLOCK, &set, &before);
        thread->was_blocked = sigismember(&before, thread->signal_number) == 1;
    }
}

void skui_running_close(const struct skui_running_thread *thread)
{
    sigset_t set;

    if (thread->was_blocked) {
        (void)sigemptyset(&set);
        (void)sigaddset(&set, thread->signal_number);
        (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    }
}

/* --- who asks --- */

/* Whether it was answered; the question belongs to the asker again. */
static bool running_wait(uint32_t asked)
{
    int64_t deadline_ns = skui_clock_now() + LIMIT_NS;
    uint32_t answered = asked - ASKED + ANSWERED;
    uint32_t word = asked;

    while (word == asked) {
        if (!skui_futex_wait(&question.word, word, deadline_ns) &&
            /* relaxed: nobody has answered */
            skui_cas_relaxed(&question.word, &word, (uint32_t)NOBODY)) {
            return false;
        }
        word = skui_load_relaxed(&question.word); /* relaxed: see below */
    }
    /* WD2 acquire: the answer is whole. */
    while ((word = skui_load_acquire(&question.word)) != answered) {
        (void)skui_futex_wait(&question.word, word, SKUA_FOREVER);
    }
    skui_store_relaxed(&question.word, (uint32_t)NOBODY); /* relaxed: own */
    return true;
}

static void running_interrupt(skua_loop *loop, uint32_t step,
                              struct skui_running_answer *out)
{
    int number = loop->thread_seen.signal_number;
    union sigval value;
    uint32_t asked;

    if (number == 0 || !skui_free_signal_is_taken(number, running_handle)) {
        return; /* the program has taken it meanwhile */
    }
    question.last += NUMBER_STEP;
    asked = question.last + ASKED;
    question.loop = loop;
    question.step = step;
    /* WD1 release: the question is whole. */
    skui_store_release(&question.word, asked);
    memset(&value, 0, sizeof(value));
    value.sival_int = (int)asked;
    if (pthread_sigqueue(loop->thread, number, value) != 0) {
        skui_store_relaxed(&question.word, (uint32_t)NOBODY); /* relaxed: own */
        return;
    }
    if (running_wait(asked)) {
        out->count = question.count;
        memcpy(out->frames, question.frames,
               question.count * sizeof(question.frames[0]));
    }
}

void skui_running_ask(skua_loop *loop, uint32_t step,
                      struct skui_running_answer *out)
{
    out->count = 0;
    skui_running_look(loop->thread_seen.id, out);
    if (out->state == SKUI_RUNNING_RUNS) {
        running_interrupt(loop, step, out);
    }
}

void skui_running_after_fork(void)
{
    (void)pthread_mutex_init(&running_mutex, NULL);
    skui_store_relaxed(&question.word, (uint32_t)NOBODY); /* relaxed: alone */
}
