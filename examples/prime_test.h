/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prime_test.h - a client that tests prime_service.c.
 */
#ifndef EXAMPLES_PRIME_TEST_H
#define EXAMPLES_PRIME_TEST_H

#include <skua.h>

#define PRIME_TEST_WAIT "primes.wait"

/** Registered as PRIME_TEST_WAIT: runs until it is told to stop. */
int prime_test_wait(const void *data, size_t bytes, skua_reply *reply);

struct prime_test {
    const char *host;
    int port;
    skua_executor *executor; /* the service's */
    bool passed;             /* whether all was as it should be */
};

/**
 * The test, as a task of the service: `arg` is a struct prime_test. At last it
 * ends the service by a signal, with a request under way.
 */
int prime_test_run(void *arg);

#endif
