/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_test.cc - messages between callers and workers.
 */
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "executor/nats/jetstream.h"
#include "executor/nats/wire.h"

namespace
{

class WireCall : public testing::Test
{
  protected:
    ~WireCall() override
    {
        skui_wire_buffer_fini(&buffer_);
    }

    static skui_wire_call call()
    {
        skui_wire_call made = {};

        made.head = {SKUI_WIRE_CALL, 1000, 0x1122334455667788U, 99, 12345};
        made.inbox = "_INBOX.x";
        made.inbox_bytes = strlen(made.inbox);
        made.result = "key.a.b";
        made.result_bytes = strlen(made.result);
        made.max_deliver = 5;
        made.data = "some data";
        made.bytes = 9;
        return made;
    }

    skui_wire_buffer buffer_ = {};
};

TEST_F(WireCall, ComesBackAsItWas)
{
    const skui_wire_call sent = call();
    skui_wire_call got = {};

    ASSERT_EQ(0, skui_wire_put_call(&buffer_, &sent));
    ASSERT_TRUE(skui_wire_get_call(buffer_.data, buffer_.bytes, &got));
    EXPECT_EQ(SKUI_WIRE_CALL, got.head.kind);
    EXPECT_EQ(sent.head.number, got.head.number);
    EXPECT_EQ(sent.head.caller, got.head.caller);
    EXPECT_EQ(sent.head.id, got.head.id);
    EXPECT_EQ(sent.head.value, got.head.value);
    EXPECT_EQ(std::string("_INBOX.x"), std::string(got.inbox, got.inbox_bytes));
    EXPECT_EQ(std::string("key.a.b"),
              std::string(got.result, got.result_bytes));
    EXPECT_EQ(5U, got.max_deliver);
    EXPECT_EQ(std::string("some data"),
              std::string(static_cast<const char *>(got.data), got.bytes));
}

TEST_F(WireCall, IsLittleEndian)
{
    const skui_wire_call sent = call();

    ASSERT_EQ(0, skui_wire_put_call(&buffer_, &sent));
    EXPECT_EQ(
        std::string("SK\1\1\xe8\3\0\0\x88\x77\x66\x55\x44\x33\x22\x11", 16),
        std::string(reinterpret_cast<char *>(buffer_.data), 16));
}

TEST_F(WireCall, CutShortAnywhereIsRefusedOrHasLessData)
{
    const skui_wire_call sent = call();
    const size_t names = SKUI_WIRE_CALL_HEAD + 8 + 7;
    skui_wire_call got = {};

    ASSERT_EQ(0, skui_wire_put_call(&buffer_, &sent));
    for (size_t bytes = 0; bytes < buffer_.bytes; bytes++) {
        /* In memory of just that size, so that reading on is found. */
        const std::string cut(reinterpret_cast<char *>(buffer_.data), bytes);

        EXPECT_EQ(bytes >= names,
                  skui_wire_get_call(cut.data(), cut.size(), &got));
    }
}

TEST_F(WireCall, WithAnythingWrongIsRefused)
{
    const skui_wire_call sent = call();
    skui_wire_call got = {};
    const std::vector<std::pair<size_t, char>> wrong = {
        {0, 'X'},  {1, 'X'},  {2, 9},     {3, 0},     {3, 2},
        {3, 99},   {32, 0},   {33, 9},    {35, 9},    {41, ' '},
        {41, '*'}, {41, '>'}, {41, '\r'}, {50, '\n'}, {50, '\x80'},
    };

    for (const auto &[at, value] : wrong) {
        ASSERT_EQ(0, skui_wire_put_call(&buffer_, &sent));
        buffer_.data[at] = static_cast<unsigned char>(value);
        EXPECT_FALSE(skui_wire_get_call(buffer_.data, buffer_.bytes, &got))
            << at << " " << static_cast<int>(value);
    }
}

TEST_F(WireCall, OfRandomBytesReadsNothingElse)
{
    std::mt19937_64 random(4);
    skui_wire_call got = {};
    skui_wire_head head = {};

    for (int i = 0; i < 200000; i++) {
        std::string bytes(random() % 80, '\0');

        for (char &byte : bytes) {
            byte = static_cast<char>(random() % 4 == 0 ? random() : 0);
        }
        if (bytes.size() >= 4) {
            memcpy(bytes.data(), "SK\1", 3);
            bytes[3] = static_cast<char>(random() % 10);
        }
        if (skui_wire_get_call(bytes.data(), bytes.size(), &got)) {
            EXPECT_LE(got.inbox_bytes + got.result_bytes + got.bytes,
                      bytes.size());
        }
        (void)skui_wire_get_head(bytes.data(), bytes.size(), &head);
    }
}

TEST(WireIds, AreAsManyAsTheHeadSays)
{
    const skui_wire_head head = {SKUI_WIRE_ASK, 0, 1, 0, 0};
    skui_wire_buffer buffer = {};
    skui_wire_head got = {};

    ASSERT_EQ(0, skui_wire_begin(&buffer, &head, 16));
    skui_wire_put_id(&buffer, 7);
    skui_wire_put_id(&buffer, UINT64_MAX);
    EXPECT_FALSE(skui_wire_get_head(buffer.data, buffer.bytes, &got));
    skui_wire_set_number(&buffer, 2);
    ASSERT_TRUE(skui_wire_get_head(buffer.data, buffer.bytes, &got));
    EXPECT_EQ(7U, skui_wire_get_id(buffer.data, 0));
    EXPECT_EQ(UINT64_MAX, skui_wire_get_id(buffer.data, 1));
    skui_wire_set_number(&buffer, 0x20000002U);
    EXPECT_FALSE(skui_wire_get_head(buffer.data, buffer.bytes, &got));
    skui_wire_buffer_fini(&buffer);
}

TEST(WireHex, GoesThereAndBack)
{
    char text[SKUI_WIRE_HEX];
    uint64_t value = 0;

    skui_wire_hex(0xfedcba9876543210U, text);
    EXPECT_STREQ("fedcba9876543210", text);
    EXPECT_TRUE(skui_wire_unhex(text, &value));
    EXPECT_EQ(0xfedcba9876543210U, value);
    for (const char *wrong : {"", "123", "fedcba987654321", "fedcba98765432100",
                              "fedcba987654321g", "FEDCBA9876543210"}) {
        EXPECT_FALSE(skui_wire_unhex(wrong, &value)) << wrong;
    }
}

TEST(JetStreamAnswer, IsRead)
{
    skui_jetstream_answer answer = {};
    const std::string good = R"({"stream":"J","seq":17})";
    const std::string again = R"({"stream":"J","seq":17,"duplicate": true})";
    const std::string bad = R"({"error":{"code":503,"err_code":10077,)"
                            R"("description":"maximum messages"},"seq":0})";

    ASSERT_TRUE(skui_jetstream_get_answer(good.data(), good.size(), &answer));
    EXPECT_FALSE(answer.failed);
    EXPECT_FALSE(answer.duplicate);
    EXPECT_EQ(17U, answer.sequence);
    ASSERT_TRUE(skui_jetstream_get_answer(again.data(), again.size(), &answer));
    EXPECT_TRUE(answer.duplicate);
    ASSERT_TRUE(skui_jetstream_get_answer(bad.data(), bad.size(), &answer));
    EXPECT_TRUE(answer.failed);
    EXPECT_EQ(503, answer.code);
    EXPECT_STREQ("maximum messages", answer.why);
    EXPECT_FALSE(skui_jetstream_get_answer("", 0, &answer));
    EXPECT_FALSE(skui_jetstream_get_answer("SK", 2, &answer));
}

TEST(JetStreamDeliveries, StandInTheSubject)
{
    EXPECT_EQ(3U, skui_jetstream_deliveries("$JS.ACK.S.C.3.10.11.99.0"));
    EXPECT_EQ(4U,
              skui_jetstream_deliveries("$JS.ACK._.hash.S.C.4.10.11.99.0.x"));
    EXPECT_EQ(0U, skui_jetstream_deliveries("$JS.ACK.S.C.3"));
    EXPECT_EQ(0U, skui_jetstream_deliveries("a.b.c.d.e.f.g.h.i"));
    EXPECT_EQ(0U, skui_jetstream_deliveries(nullptr));
}

} // namespace
