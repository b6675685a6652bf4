/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_server_test.cc - what the fork server answers, and what it leaves.
 */
#include "conformance/processes.h"
#include "executor/process/channel.h"
#include "executor/process/fork_server.h"

namespace
{

using namespace processes;

class ForkServer : public testing::Test
{
  protected:
    void SetUp() override
    {
        SKIP_WITHOUT_PROCESSES();
        before_ = Holdings::now();
        ASSERT_EQ(0, skui_fork_server_link(&link_));
        const skui_channel_options options = {4096, 4096, 0, 0, -1};
        ASSERT_EQ(0, skui_channel_open(&channel_, &options));
    }

    void TearDown() override
    {
        if (missing().empty()) {
            skui_channel_close(&channel_);
            unlink_now();
            EXPECT_TRUE(before_.come_back())
                << before_ << ", now " << Holdings::now();
        }
    }

    void unlink_now()
    {
        if (link_ >= 0) {
            skui_fork_server_unlink(link_);
            link_ = -1;
        }
    }

    int order(uint32_t id, size_t count = 4)
    {
        skui_fork_order order = {};
        skui_channel_fds fds;

        order.id = id;
        order.worker.reply_limit = 1000;
        skui_channel_worker_fds(&channel_, &fds);
        const int all[] = {fds.memory, fds.request_event, fds.reply_event,
                           fds.socket};
        return skui_fork_server_order(link_, &order, all, count);
    }

    /** The next notice; blocks. */
    int notice(skui_fork_notice *out, int *out_pidfd)
    {
        pollfd watched = {link_, POLLIN, 0};

        EXPECT_EQ(1, poll(&watched, 1, 60000));
        return skui_fork_server_notice(link_, out, out_pidfd);
    }

    /** Start worker `id`; its pid and pidfd. */
    pid_t start(uint32_t id, int *out_pidfd)
    {
        skui_fork_notice started = {};

        EXPECT_EQ(0, order(id));
        EXPECT_EQ(0, notice(&started, out_pidfd));
        EXPECT_EQ(uint32_t{SKUI_FORK_STARTED}, started.kind);
        EXPECT_EQ(id, started.id);
        EXPECT_EQ(0, started.status);
        EXPECT_LE(0, *out_pidfd);
        return started.pid;
    }

    int link_ = -1;
    skui_channel channel_ = {};

  private:
    Holdings before_ = {};
};

TEST_F(ForkServer, StartsAWorkerAndTellsHowItEnded)
{
    skui_fork_notice ended = {};
    int pidfd = -1;
    int none = -1;
    const pid_t pid = start(7, &pidfd);

    EXPECT_EQ(-EAGAIN, skui_fork_server_notice(link_, &ended, &none));
    ASSERT_EQ(0, kill(pid, SIGUSR1));
    pollfd watched = {pidfd, POLLIN, 0};
    EXPECT_EQ(1, poll(&watched, 1, 60000));
    EXPECT_EQ(0, notice(&ended, &none));
    EXPECT_EQ(uint32_t{SKUI_FORK_ENDED}, ended.kind);
    EXPECT_EQ(7U, ended.id);
    EXPECT_EQ(pid, ended.pid);
    EXPECT_TRUE(WIFSIGNALED(ended.status));
    EXPECT_EQ(SIGUSR1, WTERMSIG(ended.status));
    EXPECT_EQ(-1, none);
    EXPECT_EQ(0U, count_workers()) << "it was reaped before";
    (void)close(pidfd);
}

TEST_F(ForkServer, EndsTheWorkersOfALinkThatIsClosed)
{
    int pidfd = -1;

    (void)start(1, &pidfd);
    unlink_now();
    pollfd watched = {pidfd, POLLIN, 0};
    EXPECT_EQ(1, poll(&watched, 1, 60000));
    (void)close(pidfd);
}

/* Who ends one worker and closes the link before the server looks at either. */
TEST_F(ForkServer, EndsTheOthersWhenAnEndCannotBeTold)
{
    const pid_t server = children_of(getpid()).front();
    int ended = -1;
    int other = -1;
    int status = 0;
    const pid_t pid = start(1, &ended);

    (void)start(2, &other);
    ASSERT_EQ(0, kill(server, SIGSTOP));
    ASSERT_EQ(server, waitpid(server, &status, WUNTRACED));
    ASSERT_EQ(0, kill(pid, SIGKILL));
    pollfd watched = {ended, POLLIN, 0};
    EXPECT_EQ(1, poll(&watched, 1, 60000));
    unlink_now();
    ASSERT_EQ(0, kill(server, SIGCONT));
    watched.fd = other;
    EXPECT_EQ(1, poll(&watched, 1, 10000));
    (void)close(ended);
    (void)close(other);
}

TEST_F(ForkServer, LeavesTheWorkersOfOtherLinksAlone)
{
    int other = -1;
    int pidfd = -1;

    ASSERT_EQ(0, skui_fork_server_link(&other));
    const pid_t pid = start(1, &pidfd);
    skui_fork_server_unlink(other);
    int next = -1;
    (void)start(2, &next); /* after that was served */
    EXPECT_EQ(0, kill(pid, 0));
    pollfd watched = {pidfd, POLLIN, 0};
    EXPECT_EQ(0, poll(&watched, 1, 0));
    (void)close(pidfd);
    (void)close(next);
}

TEST_F(ForkServer, AWorkerWithoutItsDescriptorsCannotBegin)
{
    skui_fork_notice heard = {};
    int pidfd = -1;
    int none = -1;

    ASSERT_EQ(0, order(3, 2));
    ASSERT_EQ(0, notice(&heard, &pidfd));
    ASSERT_EQ(0, notice(&heard, &none));
    EXPECT_EQ(uint32_t{SKUI_FORK_ENDED}, heard.kind);
    EXPECT_TRUE(WIFEXITED(heard.status));
    EXPECT_EQ(SKUI_WORKER_CANNOT, WEXITSTATUS(heard.status));
    (void)close(pidfd);
}

TEST_F(ForkServer, ClosesALinkThatSaysNonsense)
{
    skui_fork_notice heard = {};
    int none = -1;

    ASSERT_EQ(3, skui_fork_send(link_, "abc", 3, nullptr, 0, 0));
    EXPECT_EQ(SKUA_EBROKENPOOL, notice(&heard, &none));
    EXPECT_EQ(SKUA_EBROKENPOOL, order(1));
}

TEST_F(ForkServer, TellsEndsToWhoReadsLate)
{
    constexpr uint32_t kWorkers = 200;
    uint32_t started = 0;
    uint32_t ended = 0;
    int status = 0;

    /* So many that their notices do not fit into the socket at once. */
    int least = 1;
    ASSERT_EQ(0,
              setsockopt(link_, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)));
    for (uint32_t i = 0; i < kWorkers; i++) {
        while ((status = order(i, 1)) == -EAGAIN) {
            pollfd room = {link_, POLLOUT, 0};
            ASSERT_EQ(1, poll(&room, 1, 60000));
        }
        ASSERT_EQ(0, status);
    }
    while (ended < kWorkers) {
        skui_fork_notice heard = {};
        int pidfd = -1;

        ASSERT_EQ(0, notice(&heard, &pidfd));
        started += heard.kind == SKUI_FORK_STARTED ? 1 : 0;
        ended += heard.kind == SKUI_FORK_ENDED ? 1 : 0;
        if (pidfd >= 0) {
            (void)close(pidfd);
        }
    }
    EXPECT_EQ(kWorkers, started);
}

/* A process whose server has died, and its child, which starts its own. */
TEST(ForkServerOfAChild, ClosesNoDescriptorButItsParents)
{
    SKIP_WITHOUT_PROCESSES();
    const pid_t program = fork();

    if (program == 0) {
        int link = -1;
        const int before = count_listed("/proc/self/fd");

        if (skua_fork_server_start() != 0 ||
            count_listed("/proc/self/fd") != before) {
            _exit(1); /* in place of its parent's */
        }
        const pid_t server = children_of(getpid()).front();
        const Process watched(server);
        (void)kill(server, SIGKILL);
        if (!watched.wait_end() ||
            skui_fork_server_link(&link) != SKUA_EBROKENPOOL) {
            _exit(2);
        }
        std::vector<int> files;
        for (int i = 0; i < 8; i++) {
            files.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
        }
        const pid_t child = fork();
        if (child == 0) {
            if (skua_fork_server_start() != 0) {
                _exit(3);
            }
            for (const int fd : files) {
                if (fcntl(fd, F_GETFD) < 0) {
                    _exit(4);
                }
            }
            _exit(0);
        }
        int status = -1;
        (void)waitpid(child, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 5);
    }
    int status = -1;
    EXPECT_EQ(program, waitpid(program, &status, 0));
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST(ForkMessage, ClosesDescriptorsThatNobodyTakes)
{
    int ends[2];
    int sent[3];
    int received[1] = {-1};
    size_t count = 1;
    char byte = 0;
    const int before = count_listed("/proc/self/fd");

    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    for (int &fd : sent) {
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    EXPECT_EQ(1, skui_fork_send(ends[0], "x", 1, sent, 3, 0));
    EXPECT_EQ(1, skui_fork_receive(ends[1], &byte, 1, received, &count, 0));
    EXPECT_EQ(1U, count);
    EXPECT_EQ(before + 6, count_listed("/proc/self/fd"));
    EXPECT_EQ(-EINVAL, skui_fork_send(ends[0], "x", 1, sent, 9, 0));
    EXPECT_EQ(-EAGAIN, skui_fork_receive(ends[1], &byte, 1, received, &count,
                                         MSG_DONTWAIT));
    EXPECT_EQ(0U, count);
    for (const int fd : {ends[0], sent[0], sent[1], sent[2], received[0]}) {
        (void)close(fd);
    }
    count = 1;
    EXPECT_EQ(0, skui_fork_receive(ends[1], &byte, 1, received, &count, 0));
    (void)close(ends[1]);
    EXPECT_EQ(before, count_listed("/proc/self/fd"));
}

TEST(ForkMessage, ClosesAllButWhatIsKept)
{
    const pid_t child = fork();

    if (child == 0) {
        int kept[3];
        int status = 0;

        for (int &fd : kept) {
            fd = dup(2);
            (void)dup(2);
        }
        const int swapped[] = {kept[2], kept[0], kept[1]};
        skui_fork_close_others(swapped, 3);
        for (int fd = 0; fd < 256; fd++) {
            const bool should =
                fd < 3 || fd == kept[0] || fd == kept[1] || fd == kept[2];

            status |= (fcntl(fd, F_GETFD) >= 0) == should ? 0 : 1;
        }
        _exit(status);
    }
    int status = -1;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
}

} // namespace

int main(int argc, char **argv)
{
    return processes::run_tests(argc, argv);
}
