/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_test.cc - the main loop of a worker, in a child of this process.
 */
#include "channel_ends.h"
#include "conformance/processes.h"
#include "executor/function.h"
#include "executor/process/worker.h"

namespace
{

using namespace channel_ends;

class Worker : public testing::Test
{
  protected:
    void SetUp() override
    {
        const skui_channel_options options = Options();

        skui_runtime_init();
        processes::register_functions();
        ASSERT_EQ(0, skui_channel_open(&channel_, &options));
        order_.reply_limit = 100000;
    }

    void TearDown() override
    {
        skui_channel_close(&channel_);
    }

    void start()
    {
        skui_channel_fds fds;

        skui_channel_worker_fds(&channel_, &fds);
        child_ = fork();
        if (child_ == 0) {
            const int all[] = {fds.memory, fds.request_event, fds.reply_event,
                               fds.socket};

            (void)close(channel_.fds.socket); /* the parent's end */
            skui_worker_run(&order_, all, 4);
        }
        skui_channel_started(&channel_);
    }

    int send(uint64_t id, const char *name, const std::string &data = "",
             int64_t deadline_ns = 0, uint16_t flags = 0)
    {
        skui_message message = Call(id, data);

        message.function =
            name == nullptr ? UINT32_MAX : skui_function_find(name)->index;
        message.deadline_ns = deadline_ns;
        message.flags = flags;
        return skui_channel_request(&channel_, &message);
    }

    void quit()
    {
        skui_message message = {};

        message.kind = SKUI_MESSAGE_QUIT;
        message.fd = -1;
        ASSERT_EQ(0, skui_channel_request(&channel_, &message));
    }

    /** The next message, its payload in `text_`. */
    skui_message receive()
    {
        skui_message message = {};
        int status = 0;

        for (;;) {
            skui_channel_arm(&channel_);
            status = skui_channel_receive(&channel_, &message);
            if (status != 0) {
                break;
            }
            pollfd watched = {channel_.fds.reply_event, POLLIN, 0};
            EXPECT_EQ(1, poll(&watched, 1, 60000));
            (void)IsReadable(channel_.fds.reply_event);
        }
        EXPECT_EQ(1, status);
        text_ = Payload(message);
        skui_channel_release(&channel_);
        skui_channel_round_ends(&channel_);
        return message;
    }

    void expect_ready(int status = 0)
    {
        const skui_message message = receive();

        EXPECT_EQ(SKUI_MESSAGE_READY, message.kind);
        EXPECT_EQ(status, message.status);
    }

    void expect_reply(uint64_t id, int status, const std::string &text)
    {
        const skui_message message = receive();

        EXPECT_EQ(SKUI_MESSAGE_REPLY, message.kind);
        EXPECT_EQ(id, message.id);
        EXPECT_EQ(status, message.status);
        EXPECT_EQ(text, text_);
        flags_ = message.flags;
    }

    /** It says that it leaves, and exits with 0. */
    void expect_end()
    {
        int status = -1;

        EXPECT_EQ(SKUI_MESSAGE_LEAVING, receive().kind);
        EXPECT_EQ(child_, waitpid(child_, &status, 0));
        EXPECT_EQ(0, status);
    }

    skui_channel channel_ = {};
    skui_worker_order order_ = {};
    pid_t child_ = -1;
    std::string text_;
    int flags_ = 0;
};

TEST_F(Worker, AnswersCallsAndQuits)
{
    start();
    expect_ready();
    ASSERT_EQ(0, send(256, "echo", "hello"));
    ASSERT_EQ(0, send(513, "echo"));
    ASSERT_EQ(0, send(770, "echo", std::string(5000, 'y')));
    expect_reply(256, 0, "hello");
    expect_reply(513, 0, "");
    expect_reply(770, 0, std::string(5000, 'y'));
    quit();
    expect_end();
}

TEST_F(Worker, SendsTheTextOfAFailure)
{
    start();
    expect_ready();
    ASSERT_EQ(0, send(1, "fail", "x"));
    expect_reply(1, -EIO, "it broke: x");
    EXPECT_EQ(SKUI_WORK_MESSAGE, flags_);
    ASSERT_EQ(0, send(2, "status", processes::bytes_of(-EPERM)));
    expect_reply(2, -EPERM, "");
    EXPECT_EQ(0, flags_);
    ASSERT_EQ(0, send(3, "fail", std::string(700, 'z')));
    expect_reply(3, -EIO, "it broke: " + std::string(700, 'z'));
    quit();
    expect_end();
}

TEST_F(Worker, DropsTheReplyOfWhatFails)
{
    order_.reply_limit = 10;
    start();
    expect_ready();
    ASSERT_EQ(0, send(1, "echo", std::string(11, 'x')));
    expect_reply(1, -EMSGSIZE, "");
    quit();
    expect_end();
}

TEST_F(Worker, PassesOverWhatWasTakenBack)
{
    ASSERT_EQ(0, send(1, "echo", "one"));
    ASSERT_EQ(0, send(2, "echo", "two"));
    ASSERT_EQ(0, send(3, "echo", std::string(9000, '3')));
    ASSERT_EQ(0, send(4, "echo", "four"));
    ASSERT_TRUE(skui_channel_revoke(&channel_, 2));
    ASSERT_TRUE(skui_channel_revoke(&channel_, 3));
    start();
    expect_ready();
    expect_reply(1, 0, "one");
    expect_reply(4, 0, "four");
    quit();
    expect_end();
}

TEST_F(Worker, DoesNotStartWhatIsLate)
{
    ASSERT_EQ(0, send(1, "echo", "late", 1));
    ASSERT_EQ(0, send(2, "echo", "in time", SKUA_FOREVER));
    start();
    expect_ready();
    expect_reply(1, -ETIMEDOUT, "");
    EXPECT_EQ(SKUI_WORK_NOT_STARTED, flags_);
    expect_reply(2, 0, "in time");
    quit();
    expect_end();
}

TEST_F(Worker, KnowsNoOtherFunctions)
{
    start();
    expect_ready();
    ASSERT_EQ(0, send(1, nullptr));
    expect_reply(1, -ENOENT, "");
    quit();
    expect_end();
}

TEST_F(Worker, LeavesAfterItsTasks)
{
    order_.max_tasks = 2;
    ASSERT_EQ(0, send(1, "echo", "late", 1));
    ASSERT_EQ(0, send(2, "echo", "1"));
    ASSERT_EQ(0, send(3, "echo", "2"));
    ASSERT_EQ(0, send(4, "echo", "3"));
    start();
    expect_ready();
    expect_reply(1, -ETIMEDOUT, "");
    expect_reply(2, 0, "1");
    expect_reply(3, 0, "2");
    expect_end();
    EXPECT_TRUE(skui_channel_revoke(&channel_, 4)) << "it was not begun";
}

TEST_F(Worker, RunsItsInitializerFirst)
{
    order_.has_initializer = 1;
    ASSERT_EQ(0, send(511, "remember", "this", 0, SKUI_WORK_INITIALIZER));
    ASSERT_EQ(0, send(1, "recall"));
    start();
    expect_ready();
    expect_reply(1, 0, "this");
    quit();
    expect_end();
}

TEST_F(Worker, LeavesWhenItsInitializerFails)
{
    order_.has_initializer = 1;
    ASSERT_EQ(0, send(511, "refuse", "", 0, SKUI_WORK_INITIALIZER));
    ASSERT_EQ(0, send(1, "echo"));
    start();
    expect_ready(-EPERM);
    EXPECT_EQ("not today", text_);
    expect_end();
    EXPECT_TRUE(skui_channel_revoke(&channel_, 1));
}

TEST_F(Worker, SaysThatItsLimitsWereRefused)
{
    order_.cpu_seconds = UINT64_MAX; /* is more than what comes after it */
    start();
    expect_ready(-EINVAL);
    EXPECT_EQ("a worker's limits were refused", text_);
    expect_end();
}

TEST_F(Worker, EndsWithItsParentsEnd)
{
    int status = -1;

    start();
    expect_ready();
    skui_channel_close(&channel_);
    EXPECT_EQ(child_, waitpid(child_, &status, 0));
    EXPECT_TRUE(WIFEXITED(status));
}

TEST_F(Worker, CannotBeginWithoutAChannel)
{
    int status = -1;
    const pid_t child = fork();

    if (child == 0) {
        const int nothing[] = {-1, -1, -1, -1};

        skui_worker_run(&order_, nothing, 4);
    }
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_EQ(SKUI_WORKER_CANNOT, WEXITSTATUS(status));
}

} // namespace
