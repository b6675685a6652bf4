// SPDX-License-Identifier: Apache-2.0
#include "sched/membarrier.h"

#include "sched/ready.h"
#include "skua.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

constexpr int kNoFilters = 77; /* exit status: an emulator, perhaps */

/* A sandbox that refuses the call, as some containers do. In a child, which
 * ends where there are no sandboxes. */
void refuse_membarrier()
{
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(kNoFilters);
    }
}

/* Run `body` in a child: what is refused stays so. */
void in_child(bool (*body)())
{
    pid_t child = fork();
    int status = 0;

    ASSERT_GE(child, 0);
    if (child == 0) {
        _exit(body() ? 0 : 1);
    }
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == kNoFilters) {
        GTEST_SKIP() << "no filters of system calls here";
    }
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

bool sees_a_refusal_at_start()
{
    refuse_membarrier();
    skui_membarrier_init();
    return !skui_membarrier_is_granted() && !skui_membarrier();
}

bool survives_a_refusal_later()
{
    skui_ready victim;
    skui_ready thief;
    skui_runnable items[4] = {};
    size_t left = 0;

    skui_membarrier_init();
    skui_ready_init(&victim, SKUI_READY_EXPEDITED);
    skui_ready_init(&thief, SKUI_READY_EXPEDITED);
    for (auto &item : items) {
        (void)skui_ready_push_stealable(&victim, &item);
    }
    if (skui_ready_pop(&victim, UINT64_MAX) != &items[0]) {
        return false;
    }
    refuse_membarrier();
    if (skui_ready_revoke(&victim, &thief) != 0) {
        return false;
    }
    while (skui_ready_pop(&victim, UINT64_MAX) != nullptr) {
        left++;
    }
    return left == 3;
}

bool is_granted_to_a_child()
{
    skui_membarrier_after_fork();
    return skui_membarrier_is_granted() && skui_membarrier();
}

int yield_often(void *arg)
{
    int status = 0;

    for (int i = 0; i < 100 && status == 0; i++) {
        status = skua_yield();
    }
    ++*static_cast<int *>(arg);
    return status;
}

int run_many(void *arg)
{
    constexpr int tasks = 100;
    auto *sum = static_cast<int *>(arg);
    int counts[tasks] = {};
    skua_task_group group = {};
    int status = 0;

    for (int i = 0; i < tasks && status == 0; i++) {
        status = skua_task_group_create_task(&group, yield_often, &counts[i]);
    }
    if (status == 0) {
        status = skua_task_group_join(&group);
    }
    for (int count : counts) {
        *sum += count;
    }
    return status;
}

/* Loops whose owners pay for their own barriers. */
bool runs_without()
{
    skua_runner_options options = {};
    int sum = 0;

    options.loops = 2;
    refuse_membarrier();
    return skua_run_with(&options, run_many, &sum, nullptr) == 0 &&
           sum == 100 && !skui_membarrier_is_granted();
}

} // namespace

TEST(Membarrier, IsFoundOutAtStart)
{
    in_child(sees_a_refusal_at_start);
}

TEST(Membarrier, RevokesNothingWhenItIsRefusedLater)
{
    in_child(survives_a_refusal_later);
}

TEST(Membarrier, IsNotNeededByLoops)
{
    in_child(runs_without);
}

TEST(Membarrier, IsGrantedToAForkedChildToo)
{
    skui_membarrier_init();
    if (!skui_membarrier_is_granted()) {
        GTEST_SKIP() << "the system refuses membarrier()";
    }
    EXPECT_TRUE(skui_membarrier());
    in_child(is_granted_to_a_child);
}
