// SPDX-License-Identifier: Apache-2.0
/* Taking back what a stuck owner has claimed, step by step. */
#include "sched/membarrier.h"
#include "sched/ready.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace
{

constexpr uint64_t any_ticket = UINT64_MAX;
constexpr size_t capacity = SKUI_READY_RING_CAPACITY;
constexpr size_t batch = SKUI_READY_BATCH_CAPACITY;

using Items = std::vector<skui_runnable>;
using Taken = std::vector<skui_runnable *>;

Taken pop_all(skui_ready *queue)
{
    Taken out;

    while (skui_runnable *item = skui_ready_pop(queue, any_ticket)) {
        out.push_back(item);
    }
    return out;
}

/* With either barrier. */
class ReadyRevoke : public testing::TestWithParam<skui_ready_barrier>
{
  protected:
    ReadyRevoke()
    {
        skui_membarrier_init();
        skui_ready_init(&victim, GetParam());
        skui_ready_init(&thief, GetParam());
    }

    void SetUp() override
    {
        if (GetParam() == SKUI_READY_EXPEDITED &&
            !skui_membarrier_is_granted()) {
            GTEST_SKIP() << "the system refuses membarrier()";
        }
        push(items);
    }

    void push(Items &list)
    {
        for (auto &item : list) {
            ASSERT_TRUE(skui_ready_push_stealable(&victim, &item));
        }
    }

    skui_runnable *pop()
    {
        return skui_ready_pop(&victim, any_ticket);
    }

    /* A thief's barrier and its second step. */
    size_t end(Taken &out)
    {
        bool ordered = GetParam() == SKUI_READY_FENCED || skui_membarrier();

        out.resize(batch);
        out.resize(
            skui_ready_revoke_end(&victim, capacity, ordered, out.data()));
        return out.size();
    }

    skui_ready victim;
    skui_ready thief;
    Items items{8}; /* four of them are claimed with the first pop */
};

INSTANTIATE_TEST_SUITE_P(Barriers, ReadyRevoke,
                         testing::Values(SKUI_READY_EXPEDITED,
                                         SKUI_READY_FENCED));

} // namespace

TEST_P(ReadyRevoke, TakesWhatIsLeftInOrder)
{
    EXPECT_FALSE(skui_ready_has_batch(&victim));
    ASSERT_EQ(pop(), &items[0]);
    EXPECT_TRUE(skui_ready_has_batch(&victim));
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 3u);
    EXPECT_FALSE(skui_ready_has_batch(&victim));
    EXPECT_EQ(pop_all(&thief), (Taken{&items[1], &items[2], &items[3]}));
    EXPECT_EQ(pop_all(&victim),
              (Taken{&items[4], &items[5], &items[6], &items[7]}));
}

TEST_P(ReadyRevoke, FindsNothingInAnEmptyBatch)
{
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 0u);
    EXPECT_EQ(pop_all(&victim).size(), items.size());
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 0u);
    EXPECT_FALSE(skui_ready_has_batch(&victim));
}

TEST_P(ReadyRevoke, TakesABatchOnce)
{
    ASSERT_EQ(pop(), &items[0]);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 3u);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 0u);
    EXPECT_EQ(pop_all(&thief).size(), 3u);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 0u);
}

TEST_P(ReadyRevoke, TakesTheNextBatchToo)
{
    ASSERT_EQ(pop(), &items[0]);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 3u);
    ASSERT_EQ(pop(), &items[4]); /* of a batch of two */
    EXPECT_TRUE(skui_ready_has_batch(&victim));
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 1u);
    EXPECT_EQ(pop_all(&victim), (Taken{&items[6], &items[7]}));
    EXPECT_EQ(pop_all(&thief),
              (Taken{&items[1], &items[2], &items[3], &items[5]}));
}

/* The ring beside it is for skui_ready_steal(). */
TEST_P(ReadyRevoke, LeavesTheRingAlone)
{
    ASSERT_EQ(pop(), &items[0]);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 3u);
    EXPECT_EQ(skui_ready_stealable_count(&victim), 4u);
    EXPECT_EQ(skui_ready_steal(&victim, &thief), 2u);
    EXPECT_EQ(pop_all(&thief).back(), &items[5]);
}

TEST_P(ReadyRevoke, TakesNothingThatDoesNotFit)
{
    Items mine(capacity - 2);

    ASSERT_EQ(pop(), &items[0]);
    for (auto &item : mine) {
        ASSERT_TRUE(skui_ready_push_stealable(&thief, &item));
    }
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 0u);
    EXPECT_TRUE(skui_ready_has_batch(&victim));
    ASSERT_EQ(pop(), &items[1]); /* two are left */
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 2u);
    EXPECT_EQ(skui_ready_room(&thief), 0u);
    EXPECT_EQ(pop_all(&victim),
              (Taken{&items[4], &items[5], &items[6], &items[7]}));
}

/* A batch that has grown since the thief looked whether it fits. */
TEST_P(ReadyRevoke, TakesNothingThatHasGrown)
{
    Taken out(batch);
    Items more(20);

    push(more);
    for (size_t i = 0; i < batch - 1; i++) {
        ASSERT_EQ(pop(), &items[i]);
    }
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, 1));
    uint32_t position = skui_ready_pop_announce(&victim);
    EXPECT_EQ(skui_ready_revoke_end(&victim, 1, true, out.data()), 0u);
    EXPECT_TRUE(skui_ready_pop_confirm(&victim, position));
    ASSERT_EQ(pop(), &more[0]);
    ASSERT_FALSE(skui_ready_revoke_begin(&victim, 1));
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, capacity));
    EXPECT_EQ(skui_ready_revoke_end(&victim, 1, true, out.data()), 0u);
    EXPECT_TRUE(skui_ready_has_batch(&victim));
    ASSERT_EQ(pop(), &more[1]);
}

/* --- the order among steps --- */

/* Each of them sees the other. */
TEST_P(ReadyRevoke, LeavesTheEntryThatItSawTaken)
{
    Taken out;

    ASSERT_EQ(pop(), &items[0]);
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, capacity));
    uint32_t position = skui_ready_pop_announce(&victim);
    EXPECT_EQ(end(out), 2u);
    EXPECT_EQ(out, (Taken{&items[2], &items[3]}));
    EXPECT_TRUE(skui_ready_pop_confirm(&victim, position));
    ASSERT_EQ(pop(), &items[4]);
}

/* The owner sees the thief only. */
TEST_P(ReadyRevoke, TakesTheEntryThatIsPoppedLater)
{
    Taken out;

    ASSERT_EQ(pop(), &items[0]);
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, capacity));
    EXPECT_EQ(end(out), 3u);
    uint32_t position = skui_ready_pop_announce(&victim);
    EXPECT_FALSE(skui_ready_pop_confirm(&victim, position));
    ASSERT_EQ(pop(), &items[4]);
}

/* The thief sees the owner only. */
TEST_P(ReadyRevoke, LeavesTheEntryThatWasPoppedBefore)
{
    Taken out;

    ASSERT_EQ(pop(), &items[0]);
    uint32_t position = skui_ready_pop_announce(&victim);
    EXPECT_TRUE(skui_ready_pop_confirm(&victim, position));
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, capacity));
    EXPECT_EQ(end(out), 2u);
    ASSERT_EQ(pop(), &items[4]);
}

/* The last entry goes from the batch while the thief prepares. */
TEST_P(ReadyRevoke, LeavesTheLastEntry)
{
    Taken out;

    for (size_t i = 0; i < 3; i++) {
        ASSERT_EQ(pop(), &items[i]);
    }
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, capacity));
    uint32_t position = skui_ready_pop_announce(&victim);
    EXPECT_EQ(end(out), 0u);
    EXPECT_TRUE(skui_ready_pop_confirm(&victim, position));
    ASSERT_EQ(pop(), &items[4]);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 1u);
}

TEST_P(ReadyRevoke, WaitsForNoOtherThief)
{
    Taken out;

    ASSERT_EQ(pop(), &items[0]);
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, capacity));
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 0u);
    EXPECT_EQ(end(out), 3u);
}

/* The owner waits: else it might write over what the thief copies. */
TEST_P(ReadyRevoke, KeepsTheOwnerFromTheNextBatch)
{
    Taken out;
    skui_runnable *next = nullptr;

    ASSERT_EQ(pop(), &items[0]);
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, capacity));
    std::thread owner([&] { next = pop(); });
    EXPECT_LE(end(out), 3u);
    owner.join();
    EXPECT_EQ(next, out.size() == 3 ? &items[4] : &items[1]);
}

/* The system refused the barrier: nothing is known of the owner. */
TEST_P(ReadyRevoke, TakesNothingWithoutABarrier)
{
    Taken out(batch);

    ASSERT_EQ(pop(), &items[0]);
    ASSERT_TRUE(skui_ready_revoke_begin(&victim, capacity));
    EXPECT_EQ(skui_ready_revoke_end(&victim, capacity, false, out.data()), 0u);
    EXPECT_TRUE(skui_ready_has_batch(&victim));
    EXPECT_EQ(pop_all(&victim).size(), items.size() - 1);
}

/* --- the owner, after a taking that it has not noticed --- */

TEST_P(ReadyRevoke, KeepsTheOwnersOrder)
{
    Items pinned(2);
    Items late(1);

    skui_ready_push_pinned(&victim, &pinned[0]);
    push(late);
    skui_ready_push_pinned(&victim, &pinned[1]);
    ASSERT_EQ(pop(), &items[0]);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 4u); /* of nine */
    EXPECT_EQ(pop_all(&victim), (Taken{&items[5], &items[6], &items[7],
                                       &pinned[0], &late[0], &pinned[1]}));
}

/* A thief has run an entry and queued it again: with another ticket. */
TEST_P(ReadyRevoke, KeepsTicketsOfItsOwn)
{
    Items pinned(1);

    ASSERT_EQ(pop(), &items[0]);
    skui_ready_push_pinned(&victim, &pinned[0]);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 3u);
    for (skui_runnable *item : pop_all(&thief)) {
        item->ticket = any_ticket - 1;
    }
    EXPECT_EQ(pop_all(&victim),
              (Taken{&items[4], &items[5], &items[6], &items[7], &pinned[0]}));
}

/* It believes that it has work, once. */
TEST_P(ReadyRevoke, NoticesWithTheNextPop)
{
    ASSERT_EQ(pop(), &items[0]);
    while (skui_ready_steal(&victim, &thief) > 0) {
    }
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 3u);
    EXPECT_FALSE(skui_ready_is_empty(&victim));
    EXPECT_FALSE(skui_ready_is_all_pinned(&victim));
    EXPECT_EQ(pop(), nullptr);
    EXPECT_TRUE(skui_ready_is_empty(&victim));
    EXPECT_TRUE(skui_ready_is_all_pinned(&victim));
}

/* What an iteration may not run yet it does not look for behind. */
TEST_P(ReadyRevoke, StopsAtTheTicketGivenToo)
{
    Items later(2);

    ASSERT_EQ(pop(), &items[0]);
    EXPECT_EQ(skui_ready_revoke(&victim, &thief), 3u);
    uint64_t until = skui_ready_next_ticket(&victim);
    push(later);
    for (size_t i = 4; i < items.size(); i++) {
        EXPECT_EQ(skui_ready_pop(&victim, until), &items[i]);
    }
    EXPECT_EQ(skui_ready_pop(&victim, until), nullptr);
    EXPECT_EQ(pop_all(&victim), (Taken{&later[0], &later[1]}));
}
