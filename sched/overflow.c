/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overflow.c - the report of a stack overflow.
 * Threads     Any thread inits and finis itself; the handler runs in any.
 * Invariants  `alternates` holds the alternate stacks of live threads; each
 *             remembers the one it replaced. `previous` is written before the
 *             handler is installed and constant from then on.
 * Ordering    OV1 describer; SL1 (spinlock.h) for the rest.
 * Progress    The handler takes no lock.
 *
 * A fault in a guard is reported and the default action restored; returning
 * then runs the faulting instruction again, so that the process dies by the
 * signal itself and a core dump shows the place. Any other fault goes to
 * whoever handled the signal before.
 */
#include "overflow.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spinlock.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
    HANDLER_BYTES = 64 * 1024, /* a chained handler may print a backtrace */
    LINE_BYTES = 512,
    NAME_BYTES = 256,
};

/* Lies at the low end of the mapping, below the stack it describes. */
struct overflow_alternate {
    struct overflow_alternate *next; /* guarded by overflow_lock */
    stack_t replaced;                /* owner thread only, as all below */
    size_t mapped_bytes;
    unsigned depth; /* inits less finis */
    char *stack;
};

static struct skui_spinlock overflow_lock;
static struct overflow_alternate *alternates; /* guarded by overflow_lock */
static bool installed;                        /* guarded by overflow_lock */
static struct sigaction previous[2];          /* SIGSEGV, SIGBUS */
static _Atomic(skui_overflow_describe_fn *) describer; /* OV1 */

struct overflow_line {
    char text[LINE_BYTES];
    size_t length;
};

static void line_text(struct overflow_line *line, const char *text,
                      size_t limit)
{
    while (*text != '\0' && limit-- > 0 && line->length < LINE_BYTES) {
        line->text[line->length++] = *text++;
    }
}

static void line_number(struct overflow_line *line, uintptr_t value,
                        unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    line_text(line, base == 16 ? "0x" : "", LINE_BYTES);
    line_text(line, digits + at, LINE_BYTES);
}

static void overflow_report(const struct skui_overflow_site *site,
                            uintptr_t fault)
{
    struct overflow_line line;

    line.length = 0;
    line_text(&line, "skua: stack overflow in task \"", LINE_BYTES);
    line_text(&line, site->name != NULL ? site->name : "", NAME_BYTES);
    line_text(&line, "\": stack ", LINE_BYTES);
    line_number(&line, site->low, 16);
    line_text(&line, "-", LINE_BYTES);
    line_number(&line, site->high, 16);
    line_text(&line, " (", LINE_BYTES);
    line_number(&line, site->high - site->low, 10);
    line_text(&line, " bytes), fault at ", LINE_BYTES);
    line_number(&line, fault, 16);
    line_text(&line, "\n", LINE_BYTES);
    if (write(STDERR_FILENO, line.text, line.length) < 0) {
        return; /* nobody listens: the signal itself says enough */
    }
}

static void overflow_default(int signal_number)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    (void)sigaction(signal_number, &action, NULL);
}

/* As if skua's handler had never been installed. */
static void overflow_chain(int signal_number, siginfo_t *info, void *context)
{
    const struct sigaction *action = &previous[signal_number == SIGBUS];

    if ((action->sa_flags & SA_SIGINFO) != 0) {
        action->sa_sigaction(signal_number, info, context);
        return;
    }
    if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN) {
        action->sa_handler(signal_number);
        return;
    }
    if (info->si_code > 0) {
        overflow_default(signal_number); /* the fault repeats and kills */
        return;
    }
    if (action->sa_handler == SIG_DFL) {
        overflow_default(signal_number); /* sent by a process: send again */
        (void)raise(signal_number);      /* delivered when we return */
    }
}

static void overflow_handle(int signal_number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uintptr_t fault = (uintptr_t)info->si_addr;
    struct skui_overflow_site site;
    skui_overflow_describe_fn *fn;

    memset(&site, 0, sizeof(site));
    /* OV1 acquire: pairs with skui_overflow_set_describer(). */
    fn = skui_load_acquire(&describer);
    if (info->si_code > 0 && fn != NULL && fn(fault, &site) &&
        fault < site.low && site.low - fault <= site.guard_bytes) {
        overflow_report(&site, fault);
        overflow_default(signal_number);
    } else {
        overflow_chain(signal_number, info, context);
    }
    errno = saved_errno;
}

void skui_overflow_set_describer(skui_overflow_describe_fn *fn)
{
    /* OV1 release: what the describer reads is visible to the handler. */
    skui_store_release(&describer, fn);
}

/* Under overflow_lock. */
static int overflow_install(void)
{
    struct sigaction action;

    if (installed) {
        return 0;
    }
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = overflow_handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, NULL, &previous[0]) < 0 ||
        sigaction(SIGBUS, NULL, &previous[1]) < 0 ||
        sigaction(SIGSEGV, &action, NULL) < 0) {
        return -errno;
    }
    if (sigaction(SIGBUS, &action, NULL) < 0) {
        int status = -errno;

        (void)sigaction(SIGSEGV, &previous[0], NULL);
        return status;
    }
    installed = true;
    return 0;
}

/* The calling thread's alternate stack if it is one of ours. */
static struct overflow_alternate *alternate_current(void)
{
    struct overflow_alternate *alternate = NULL;
    stack_t current;

    if (sigaltstack(NULL, &current) < 0) {
        return NULL;
    }
    skui_spinlock_lock(&overflow_lock);
    if ((current.ss_flags & SS_DISABLE) == 0) {
        alternate = alternates;
        while (alternate != NULL && alternate->stack != current.ss_sp) {
            alternate = alternate->next;
        }
    }
    skui_spinlock_unlock(&overflow_lock);
    return alternate;
}

/* One page for the header, one that guards, then the stack. */
static struct overflow_alternate *alternate_map(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = (size_t)getauxval(AT_MINSIGSTKSZ) + HANDLER_BYTES;
    struct overflow_alternate *alternate;
    char *mapping;

    bytes = (bytes + page - 1) / page * page + 2 * page;
    mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(mapping + page, page, PROT_NONE) < 0) {
        (void)munmap(mapping, bytes);
        return NULL;
    }
    alternate = (struct overflow_alternate *)(void *)mapping;
    alternate->mapped_bytes = bytes;
    alternate->depth = 1;
    alternate->stack = mapping + 2 * page;
    return alternate;
}

static int alternate_use(struct overflow_alternate *alternate)
{
    stack_t stack;

    memset(&stack, 0, sizeof(stack));
    stack.ss_sp = alternate->stack;
    stack.ss_size = alternate->mapped_bytes -
                    (size_t)(alternate->stack - (char *)alternate);
    return sigaltstack(&stack, &alternate->replaced) < 0 ? -errno : 0;
}

int skui_overflow_thread_init(void)
{
    struct overflow_alternate *alternate = alternate_current();
    int status;

    if (alternate != NULL) {
        alternate->depth++;
        return 0;
    }
    alternate = alternate_map();
    if (alternate == NULL) {
        return -ENOMEM;
    }
    status = alternate_use(alternate);
    if (status < 0) {
        (void)munmap(alternate, alternate->mapped_bytes);
        return status;
    }
    skui_spinlock_lock(&overflow_lock);
    status = overflow_install();
    if (status == 0) {
        alternate->next = alternates;
        alternates = alternate;
    }
    skui_spinlock_unlock(&overflow_lock);
    if (status < 0) {
        (void)sigaltstack(&alternate->replaced, NULL);
        (void)munmap(alternate, alternate->mapped_bytes);
    }
    return status;
}

void skui_overflow_thread_fini(void)
{
    struct overflow_alternate *alternate = alternate_current();
    struct overflow_alternate **link = &alternates;

    if (alternate == NULL || --alternate->depth > 0) {
        return;
    }
    skui_spinlock_lock(&overflow_lock);
    while (*link != alternate) {
        link = &(*link)->next;
    }
    *link = alternate->next;
    skui_spinlock_unlock(&overflow_lock);
    (void)sigaltstack(&alternate->replaced, NULL);
    (void)munmap(alternate, alternate->mapped_bytes);
}

void skui_overflow_after_fork(void)
{
    /* The child has one thread; the others' stacks are left mapped. */
    skui_spinlock_unlock(&overflow_lock);
}
