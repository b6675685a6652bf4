/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of sched/executor/map_pack.c, and of map_work.c, map_chunk.c with
 * messages that make no sense. */
#include "executor/map_pack.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "executor/function.h"
#include "executor/map_chunk.h"
#include "executor/map_work.h"
#include "loop.h"
#include "skua.h"

namespace
{

using Bytes = std::vector<unsigned char>;

void put_word(Bytes &bytes, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        bytes.push_back(static_cast<unsigned char>(value >> (8 * i)));
    }
}

void put_piece(Bytes &bytes, const std::string &text)
{
    put_word(bytes, text.size());
    bytes.insert(bytes.end(), text.begin(), text.end());
    bytes.resize((bytes.size() + 7) / 8 * 8);
}

Bytes call_of(const std::string &name, const std::vector<std::string> &pieces)
{
    Bytes bytes;

    put_word(bytes, pieces.size());
    put_piece(bytes, name);
    for (const std::string &piece : pieces) {
        put_piece(bytes, piece);
    }
    return bytes;
}

/** Parse a whole call: how many pieces could be read; -1: not even the head. */
int read_call(const Bytes &bytes)
{
    struct skui_unpack unpack = {bytes.data(), bytes.size()};
    char name[SKUA_FUNCTION_NAME_MAX + 1];
    const void *data = nullptr;
    size_t count = 0;
    size_t size = 0;
    int read = 0;

    if (skui_unpack_head(&unpack, &count, name) < 0) {
        return -1;
    }
    EXPECT_GE(static_cast<size_t>(SKUA_FUNCTION_NAME_MAX), strlen(name));
    for (; static_cast<size_t>(read) < count; read++) {
        if (skui_unpack_piece(&unpack, &data, &size) < 0) {
            break;
        }
        const auto *at = static_cast<const unsigned char *>(data);

        EXPECT_GE(at, bytes.data());
        EXPECT_LE(at + size, bytes.data() + bytes.size());
    }
    return read;
}

TEST(MapPack, WritesWhatItReads)
{
    const std::vector<std::string> pieces = {
        "", "a", "1234567", "12345678", "123456789", std::string(100000, 'x')};
    struct skui_pack pack = {nullptr, 0, 0, false};

    ASSERT_EQ(0, skui_pack_begin(&pack, "name.of-it"));
    for (const std::string &piece : pieces) {
        ASSERT_EQ(0, skui_pack_add(&pack, piece.data(), piece.size()));
    }
    skui_pack_end(&pack);
    const auto *data =
        static_cast<const unsigned char *>(skua_buffer_data(pack.buffer));
    const Bytes bytes(data, data + skua_buffer_bytes(pack.buffer));

    EXPECT_EQ(call_of("name.of-it", pieces), bytes);
    EXPECT_EQ(static_cast<int>(pieces.size()), read_call(bytes));
    skui_pack_fini(&pack);
}

TEST(MapPack, RefusesSizesThatWrapAround)
{
    struct skui_pack pack = {nullptr, 0, 0, false};

    ASSERT_EQ(0, skui_pack_begin(&pack, "name"));
    const size_t before = pack.bytes;

    for (const size_t bytes :
         {SIZE_MAX, SIZE_MAX - 8, SIZE_MAX / 2, SIZE_MAX / 4}) {
        EXPECT_EQ(-ENOMEM, skui_pack_add(&pack, "x", bytes));
    }
    EXPECT_EQ(before, pack.bytes);
    EXPECT_EQ(0u, pack.count);
    skui_pack_fini(&pack);
}

TEST(MapUnpack, RefusesEachPrefixOfACall)
{
    const Bytes whole = call_of("a.function", {"one", "", "three three"});

    for (size_t bytes = 0; bytes < whole.size(); bytes++) {
        EXPECT_GT(3, read_call({whole.begin(),
                                whole.begin() + static_cast<long>(bytes)}));
    }
    EXPECT_EQ(3, read_call(whole));
}

TEST(MapUnpack, RefusesHeadsThatMakeNoSense)
{
    Bytes bytes = call_of("f", {"one"});

    for (const uint64_t count : {uint64_t{0}, uint64_t{3}, UINT64_MAX,
                                 UINT64_MAX / 8 + 1, uint64_t{1} << 32}) {
        Bytes changed;

        put_word(changed, count);
        changed.insert(changed.end(), bytes.begin() + 8, bytes.end());
        EXPECT_EQ(-1, read_call(changed)) << count;
    }
    EXPECT_EQ(-1, read_call(call_of(std::string(64, 'n'), {"one"})));
    EXPECT_EQ(1, read_call(call_of(std::string(63, 'n'), {"one"})));
    EXPECT_EQ(-1, read_call(call_of(std::string("a\0b", 3), {"one"})));
}

TEST(MapUnpack, RefusesLengthsBeyondTheEnd)
{
    for (const uint64_t length :
         {uint64_t{9}, uint64_t{16}, UINT64_MAX, UINT64_MAX - 7,
          uint64_t{1} << 63, uint64_t{INT64_MAX}}) {
        Bytes bytes = call_of("f", {});

        put_word(bytes, length);
        bytes.resize(bytes.size() + 8);
        bytes[0] = 1;
        EXPECT_EQ(0, read_call(bytes)) << length;
    }
}

TEST(MapUnpack, SurvivesBytesAtRandom)
{
    std::mt19937_64 random(17);
    const Bytes whole = call_of("f", {"one", std::string(40, 'x'), "3"});

    for (int round = 0; round < 20000; round++) {
        Bytes bytes = whole;

        for (unsigned i = 0; i < 1 + random() % 4; i++) {
            bytes[random() % bytes.size()] =
                static_cast<unsigned char>(random());
        }
        bytes.resize(bytes.size() - random() % 9);
        EXPECT_GE(3, read_call(bytes));
    }
}

TEST(MapUnpack, RefusesOutcomesThatMakeNoSense)
{
    const auto outcome = [](uint64_t word, uint64_t length, size_t room) {
        struct skui_unpack unpack;
        const void *data = nullptr;
        size_t bytes = 0;
        int status = 0;
        Bytes message;

        put_word(message, word);
        put_word(message, length);
        message.resize(message.size() + room);
        unpack = {message.data(), message.size()};
        return skui_unpack_outcome(&unpack, &status, &data, &bytes);
    };

    EXPECT_EQ(0, outcome(0, 8, 8));
    EXPECT_EQ(0, outcome(static_cast<uint64_t>(int64_t{INT_MIN}), 0, 0));
    EXPECT_EQ(0, outcome(INT_MAX, 0, 0));
    EXPECT_EQ(-EBADMSG, outcome(uint64_t{1} << 31, 0, 0));
    EXPECT_EQ(-EBADMSG, outcome(UINT64_MAX / 2, 0, 0));
    EXPECT_EQ(-EBADMSG, outcome(0, 9, 8));
    EXPECT_EQ(-EBADMSG, outcome(0, UINT64_MAX, 8));
}

/* --- the registered function --- */

int echo(const void *data, size_t bytes, skua_reply *reply)
{
    if (bytes == 4 && memcmp(data, "fail", 4) == 0) {
        return skua_raise(-EIO, "as told");
    }
    return skua_reply_write(reply, data, bytes);
}

int answer_badly(const void *, size_t, skua_reply *)
{
    return 0;
}

/* The library's own are none of the program's. */
bool any_before()
{
    skui_runtime_init();
    return skui_function_is_any();
}

const bool was_any = any_before();
const int registered = skua_function_register("map-pack-test.echo", echo);

class MapWork : public testing::Test
{
  protected:
    MapWork()
    {
        EXPECT_EQ(0, skua_thread_pool_executor_new(nullptr, &pool_));
    }

    ~MapWork() override
    {
        EXPECT_EQ(0, skua_executor_shutdown(pool_, true, false));
        skua_executor_unref(pool_);
    }

    MapWork(const MapWork &) = delete;
    MapWork &operator=(const MapWork &) = delete;

    /** Run it with a message; its answer, if it gives one. */
    int call(const Bytes &message, Bytes *out_answer = nullptr)
    {
        skua_future *future = nullptr;
        const void *data = nullptr;
        size_t bytes = 0;

        EXPECT_EQ(0, skua_executor_submit_named(pool_, SKUI_MAP_FUNCTION,
                                                message.data(), message.size(),
                                                &future));
        const int status = skua_await(future, nullptr);

        if (status >= 0 && out_answer != nullptr) {
            EXPECT_EQ(0, skua_future_bytes(future, &data, &bytes));
            out_answer->assign(static_cast<const unsigned char *>(data),
                               static_cast<const unsigned char *>(data) +
                                   bytes);
        }
        skua_future_unref(future);
        return status;
    }

    skua_executor *pool_ = nullptr;
};

TEST_F(MapWork, AnswersWithEachOutcome)
{
    Bytes expected;
    Bytes answer;

    ASSERT_EQ(
        0, call(call_of("map-pack-test.echo", {"a", "", "12345678"}), &answer));
    for (const char *text : {"a", "", "12345678"}) {
        put_word(expected, 0);
        put_piece(expected, text);
    }
    EXPECT_EQ(expected, answer);
}

TEST_F(MapWork, EndsWithTheFirstFailureAndItsMessage)
{
    Bytes expected;
    Bytes answer;

    ASSERT_EQ(
        0, call(call_of("map-pack-test.echo", {"one", "fail", "no"}), &answer));
    put_word(expected, 0);
    put_piece(expected, "one");
    put_word(expected, static_cast<uint64_t>(int64_t{-EIO}));
    put_piece(expected, "as told");
    EXPECT_EQ(expected, answer);
}

TEST_F(MapWork, GrowsWithItsAnswers)
{
    std::vector<std::string> pieces;
    Bytes expected;
    Bytes answer;

    for (size_t i = 0; i < 300; i++) {
        pieces.emplace_back(i * 7 % 1000, static_cast<char>('a' + i % 26));
        put_word(expected, 0);
        put_piece(expected, pieces.back());
    }
    ASSERT_EQ(0, call(call_of("map-pack-test.echo", pieces), &answer));
    EXPECT_EQ(expected, answer);
}

TEST_F(MapWork, RefusesMessagesThatMakeNoSense)
{
    const Bytes whole = call_of("map-pack-test.echo", {"one", "two"});

    for (size_t bytes = 0; bytes < whole.size(); bytes += 3) {
        EXPECT_EQ(-EBADMSG, call({whole.begin(),
                                  whole.begin() + static_cast<long>(bytes)}));
    }
    EXPECT_EQ(-ENOENT, call(call_of("map-pack-test.none", {"one"})));
    EXPECT_EQ(-ENOENT, call(call_of("", {"one"})));
    EXPECT_EQ(-ENOENT, call(call_of("../../x", {"one"})));
}

TEST_F(MapWork, DoesNotCallItself)
{
    Bytes message = call_of("map-pack-test.echo", {"one"});

    for (int depth = 0; depth < 3; depth++) {
        message = call_of(SKUI_MAP_FUNCTION,
                          {std::string(message.begin(), message.end())});
    }
    EXPECT_EQ(-ENOENT, call(message));
}

TEST_F(MapWork, SurvivesBytesAtRandom)
{
    std::mt19937_64 random(18);
    const Bytes whole =
        call_of("map-pack-test.echo", {"one", std::string(40, 'x'), "3"});

    for (int round = 0; round < 2000; round++) {
        Bytes bytes = whole;

        bytes[random() % bytes.size()] = static_cast<unsigned char>(random());
        bytes.resize(bytes.size() - random() % 9);
        const int status = call(bytes);

        EXPECT_TRUE(status == 0 || status == -EBADMSG || status == -ENOENT);
    }
}

TEST(MapFunction, IsThereBeforeAllOthersAndNobodyElsesToRegister)
{
    ASSERT_NE(nullptr, skui_function_find(SKUI_MAP_FUNCTION));
    EXPECT_FALSE(was_any);
    EXPECT_EQ(0, registered);
    EXPECT_TRUE(skui_function_is_any());
    EXPECT_EQ(0u, skui_function_find(SKUI_MAP_FUNCTION)->index);
    EXPECT_EQ(-EINVAL, skua_function_register(SKUI_MAP_FUNCTION, answer_badly));
    EXPECT_EQ(-EINVAL, skua_function_register("skua.other", answer_badly));
}

/* --- answers that make no sense --- */

/** An executor that answers each job with given bytes. */
struct Liar {
    Bytes answer;
    skua_executor *executor = nullptr;

    static int submit(void *arg, skua_job *job)
    {
        auto *self = static_cast<Liar *>(arg);

        EXPECT_TRUE(skua_job_start(job));
        skua_job_finish(job, 0, self->answer.data(), self->answer.size());
        return 0;
    }

    static void shutdown(void *arg, bool)
    {
        (void)skua_executor_ended(static_cast<Liar *>(arg)->executor);
    }

    static void release(void *)
    {
    }
};

constexpr skua_executor_type kLiar = {
    "liar",  Liar::submit, Liar::shutdown, Liar::release,
    nullptr, nullptr,      nullptr};

/** What a map of three pieces in one job gives for an answer: statuses. */
std::vector<int> statuses_for(const Bytes &answer)
{
    const skua_bytes items[] = {{"1", 1}, {"2", 1}, {"3", 1}};
    Liar liar = {answer, nullptr};
    skua_map_options options = {};
    std::vector<int> statuses;
    skua_map *map = nullptr;
    int status = 1;

    options.chunksize = 3;
    EXPECT_EQ(0, skua_executor_new(&kLiar, &liar, &liar.executor));
    EXPECT_EQ(0, skua_executor_map_named(liar.executor, "map-pack-test.echo",
                                         items, 3, &options, &map));
    while (status == 1) {
        status = skua_map_next(map, nullptr);
        statuses.push_back(status);
    }
    EXPECT_EQ(0, skua_map_next(map, nullptr));
    skua_map_close(map);
    EXPECT_EQ(0, skua_executor_shutdown(liar.executor, true, false));
    skua_executor_unref(liar.executor);
    return statuses;
}

Bytes answer_of(const std::vector<std::pair<int, std::string>> &outcomes)
{
    Bytes bytes;

    for (const auto &[status, text] : outcomes) {
        put_word(bytes, static_cast<uint64_t>(int64_t{status}));
        put_piece(bytes, text);
    }
    return bytes;
}

TEST(MapAnswer, ThatMakesNoSenseIsAFailureAtItsPlace)
{
    using Statuses = std::vector<int>;
    const Bytes good = answer_of({{0, "a"}, {0, ""}, {7, "ccc"}});
    Bytes torn = good;
    Bytes longer = good;

    EXPECT_EQ((Statuses{1, 1, 1, 0}), statuses_for(good));
    EXPECT_EQ((Statuses{-EBADMSG}), statuses_for({}));
    torn.pop_back();
    EXPECT_EQ((Statuses{1, 1, -EBADMSG}), statuses_for(torn));
    put_word(longer, 0);
    EXPECT_EQ((Statuses{1, 1, -EBADMSG}), statuses_for(longer));
    /* More after a failure. */
    EXPECT_EQ((Statuses{1, -EBADMSG}),
              statuses_for(answer_of({{0, "a"}, {-EIO, "x"}, {0, "c"}})));
    EXPECT_EQ((Statuses{1, -EIO}),
              statuses_for(answer_of({{0, "a"}, {-EIO, "x"}})));
    /* It was told to stop, or says so. */
    EXPECT_EQ((Statuses{1, -ETIMEDOUT}), statuses_for(answer_of({{0, "a"}})));
}

TEST(MapAnswer, SurvivesBytesAtRandom)
{
    std::mt19937_64 random(19);
    const Bytes good = answer_of({{0, "a"}, {0, "bbbb"}, {-EIO, "message"}});

    for (int round = 0; round < 2000; round++) {
        Bytes bytes = good;

        bytes[random() % bytes.size()] = static_cast<unsigned char>(random());
        bytes.resize(bytes.size() - random() % 9);
        EXPECT_GE(4u, statuses_for(bytes).size());
    }
}

TEST(MapChunk, LastOwnerSeesTheOutcomes)
{
    skua_thread_pool_options pool_options = {};
    skua_map_options options = {};
    skua_executor *pool = nullptr;
    std::vector<void *> args(64);

    pool_options.max_workers = 2;
    options.chunksize = 4;
    ASSERT_EQ(0, skua_thread_pool_executor_new(&pool_options, &pool));
    for (int round = 0; round < 2000; round++) {
        skua_map *map = nullptr;

        /* Closed while they run, after they ran, and before: exceptions and
         * all are freed by whoever comes last. */
        ASSERT_EQ(0, skua_executor_map(
                         pool, [](void *) { return skua_raise(-EIO, "gone"); },
                         args.data(), static_cast<size_t>(round % 64) + 1,
                         &options, &map));
        if (round % 3 == 0) {
            EXPECT_EQ(-EIO, skua_map_next(map, nullptr));
        }
        skua_map_close(map);
    }
    EXPECT_EQ(0, skua_executor_shutdown(pool, true, false));
    skua_executor_unref(pool);
}

} // namespace
