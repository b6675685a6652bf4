/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_cancel_test.cc - what is told to stop does, whenever it is told: the
 * test takes the place of the worker, or stands between it and the caller.
 */
#include "nats_support.h"

namespace conformance
{
namespace
{

/* As in wire.h. */
enum Kind : unsigned char {
    RESULT = 2,
    BUSY = 4,
    ASK = 6,
    CANCEL = 7,
};
enum { KIND_AT = 3, NUMBER_AT = 4, ID_AT = 16, HEAD = 32 };

class Token
{
  public:
    Token()
    {
        EXPECT_EQ(0, skua_cancel_token_new(nullptr, &token_));
        options_.token = token_;
    }

    ~Token()
    {
        skua_cancel_token_unref(token_);
    }

    Token(const Token &) = delete;
    Token &operator=(const Token &) = delete;

    void cancel() const
    {
        EXPECT_EQ(1, skua_cancel_token_cancel(token_));
    }

    [[nodiscard]] const skua_submit_options *options() const
    {
        return &options_;
    }

  private:
    skua_cancel_token *token_ = nullptr;
    skua_submit_options options_ = {};
};

class NatsTold : public Nats
{
  protected:
    static skua_nats_executor_options patient(const Server &server)
    {
        skua_nats_executor_options options = quick(server);

        options.heartbeat_ns = 50 * SKUA_MS;
        options.missed_beats = 60;
        return options;
    }

    /** A message without anything but its kind, of the caller of `call`. */
    static std::string head_of(const std::string &call, Kind kind)
    {
        std::string head = call.substr(0, HEAD);

        head[KIND_AT] = static_cast<char>(kind);
        head.replace(NUMBER_AT, 4, 4, '\0');
        head.replace(HEAD - 8, 8, 8, '\0');
        return head;
    }

    /** The same for lists, with the id of the call. */
    static std::string list_of(const std::string &call, Kind kind)
    {
        std::string list = head_of(call, kind) + call.substr(ID_AT, 8);

        list[NUMBER_AT] = 1;
        return list;
    }

    /** Answers do not go where the server says that nobody listens. */
    static std::string inbox_of(const RawClient::Message &call)
    {
        std::string inbox = call.reply;
        const size_t at = inbox.rfind(".n.");

        return at == std::string::npos ? inbox : inbox.erase(at, 2);
    }

    static bool is(const RawClient::Message &message, Kind kind)
    {
        return message.data.size() >= HEAD && message.data[KIND_AT] == kind;
    }

    /** Read until it is told to stop; false: it is asked often before that. */
    static bool is_told(RawClient &worker, const std::string &call)
    {
        for (int asked = 0; asked < 20;) {
            const RawClient::Message message = worker.next();

            if (is(message, CANCEL)) {
                return message.data.substr(HEAD) == call.substr(ID_AT, 8);
            }
            if (!is(message, ASK)) {
                return false;
            }
            asked++;
        }
        return false;
    }
};

/* Workers that do not have it yet would not know otherwise. */
TEST_F(NatsTold, AgainUntilTheAnswerComes)
{
    const Server server;
    const LoopThread loop;
    RawClient worker(server.port());

    worker.subscribe("skua.call.test.echo");
    worker.subscribe("skua.ctl");
    const Executor executor = new_executor(loop, patient(server));
    const Token token;
    const Future future = submit(executor, "test.echo", 1, token.options());
    const RawClient::Message call = worker.next();

    token.cancel();
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(is_told(worker, call.data)) << i;
    }
    worker.publish(inbox_of(call), head_of(call.data, RESULT));
    EXPECT_EQ(0, outcome_of(future));
    finish(executor);
}

TEST_F(NatsTold, WhatIsSentAwayIsNotSentAgain)
{
    const Server server;
    const LoopThread loop;
    RawClient worker(server.port());

    worker.subscribe("skua.call.test.echo");
    worker.subscribe("skua.ctl");
    const Executor executor = new_executor(loop, patient(server));
    const Token token;
    const Future future = submit(executor, "test.echo", 1, token.options());
    const RawClient::Message call = worker.next();

    token.cancel();
    ASSERT_TRUE(is_told(worker, call.data));
    worker.publish(inbox_of(call), head_of(call.data, BUSY));
    EXPECT_EQ(SKUA_ECANCELED, outcome_of(future));
    finish(executor);
}

/* The worker reads both at once, from two subscriptions. */
TEST_F(NatsTold, RightBehindTheCall)
{
    const Server server;
    const LoopThread loop;
    skua_nats_worker_options options = quick_worker(server);
    RawClient between(server.port());

    options.nats.prefix = "behind";
    between.subscribe("skua.call.test.sleep");
    const LoopThread worker_loop;
    const Worker worker = new_worker(worker_loop, options);
    const Executor executor = new_executor(loop, patient(server));

    for (int i = 0; i < 10; i++) {
        const Future future = submit(executor, "test.sleep", 2000);
        RawClient::Message call = between.next();

        while (is(call, ASK)) {
            call = between.next();
        }
        between.publish_both("behind.call.test.sleep", call.data, "behind.ctl",
                             list_of(call.data, CANCEL));
        ASSERT_EQ(SKUA_ECANCELED, outcome_of(future)) << i;
    }
    finish(executor);
    drain(worker);
}

} // namespace
} // namespace conformance
