// SPDX-License-Identifier: Apache-2.0
/*
 * The protocol RQ3 in small, in all its interleavings: an owner that runs a
 * ring of tasks in batches of two, and a thief that revokes twice. The owner
 * has a store buffer of one store to `span`, which drains when it likes; atomic
 * read-modify-writes and barriers drain it. One step is one access to what both
 * share; the thief copies entry by entry.
 */
#include <gtest/gtest.h>

#include <array>
#include <compare>
#include <set>
#include <vector>

namespace
{

constexpr int tasks = 5;
constexpr int batch = 2;
constexpr int revocations = 2;

/* What the protocol is made of; each mutant lacks one. */
struct Rules {
    bool membarrier = true;    /* the thief's barrier drains the owner */
    bool owner_fence = false;  /* the owner drains itself */
    bool store_first = true;   /* it stores before it looks */
    bool asks_kept = true;     /* it asks which entries the thief saw */
    bool takes_lock = true;    /* it waits for the thief */
    bool entries_first = true; /* it fills the batch before it says so */
};

enum OwnerAt : int {
    LOOK,   /* is there a batch? if not, claim one */
    FILL_0, /* write entries */
    FILL_1,
    SHOW,  /* and the span */
    STORE, /* step 1 of a pop */
    CHECK, /* step 2 */
    LOCK,  /* step 3 */
    SETTLE,
    RUN,
    OWNER_DONE,
};

enum ThiefAt : int {
    TRY_LOCK,
    REVOKE,
    BARRIER,
    READ_SPAN,
    COPY_0,
    COPY_1,
    UNLOCK,
    RUN_TAKEN,
    THIEF_DONE,
};

struct Span {
    int position = 0;
    int end = 0;

    auto operator<=>(const Span &) const = default;
    bool is_empty() const
    {
        return position == end;
    }
};

struct State {
    /* Memory. */
    Span span;
    bool revoked = false;
    bool locked = false;
    bool taken = false;
    int kept = 0;
    std::array<int, batch> entries{-1, -1};
    /* The owner's store buffer. */
    bool buffered = false;
    Span store;
    /* The owner. */
    int owner = LOOK;
    int claimed = 0; /* of the ring */
    int position = 0;
    bool saw_revoked = false;
    bool is_own = true;
    Span own; /* its span, as it knows it */
    /* The thief. */
    int thief = TRY_LOCK;
    int left = revocations;
    Span seen;
    std::array<int, batch> copied{-1, -1};
    /* How often each task ran. */
    std::array<int, tasks> runs{};

    auto operator<=>(const State &) const = default;

    void drain()
    {
        if (buffered) {
            span = store;
            buffered = false;
        }
    }

    void put(Span value)
    {
        drain(); /* there is room for one */
        buffered = true;
        store = value;
        own = value;
    }

    void run(int task)
    {
        if (task >= 0) {
            runs[static_cast<size_t>(task)]++;
        }
    }
};

class Explorer
{
  public:
    explicit Explorer(Rules rules) : rules_(rules)
    {
    }

    /* Whether each task runs once, whatever the interleaving. */
    bool holds()
    {
        std::vector<State> open{State{}};

        while (!open.empty()) {
            State state = open.back();

            open.pop_back();
            if (!seen_.insert(state).second) {
                continue;
            }
            size_t before = open.size();
            advance(state, open);
            if (open.size() == before && !is_right(state)) {
                return false;
            }
        }
        return true;
    }

    size_t states() const
    {
        return seen_.size();
    }

  private:
    void advance(const State &state, std::vector<State> &open)
    {
        if (state.buffered) {
            open.push_back(state);
            open.back().drain();
        }
        if (owner_can(state)) {
            open.push_back(state);
            owner_step(open.back());
        }
        if (state.thief != THIEF_DONE) {
            open.push_back(state);
            thief_step(open.back());
        }
    }

    static bool is_right(const State &state)
    {
        for (int runs : state.runs) {
            if (runs != 1) {
                return false;
            }
        }
        return state.owner == OWNER_DONE && state.thief == THIEF_DONE;
    }

    bool owner_can(const State &state) const
    {
        return state.owner != OWNER_DONE &&
               !(state.owner == LOCK && rules_.takes_lock && state.locked);
    }

    void owner_step(State &s) const
    {
        switch (s.owner) {
        case LOOK:
            owner_look(s);
            break;
        case FILL_0:
        case FILL_1:
            owner_fill(s, s.owner - FILL_0);
            break;
        case SHOW:
            s.put({0, batch_size(s)});
            s.claimed += s.own.end;
            s.owner = rules_.entries_first ? first_of_pop() : FILL_0;
            break;
        case STORE:
            s.position = s.own.position;
            s.put({s.own.position + 1, s.own.end});
            if (rules_.owner_fence) {
                s.drain();
            }
            s.owner = rules_.store_first ? CHECK : after_check(s);
            break;
        case CHECK:
            s.saw_revoked = s.revoked;
            s.owner = rules_.store_first ? after_check(s) : STORE;
            break;
        case LOCK:
            s.drain();
            s.locked = s.locked || rules_.takes_lock;
            s.owner = SETTLE;
            break;
        case SETTLE:
            owner_settle(s);
            break;
        default:
            s.run(s.is_own ? s.entries[static_cast<size_t>(s.position)] : -1);
            s.is_own = true;
            s.owner = LOOK;
            break;
        }
    }

    void owner_look(State &s) const
    {
        if (!s.own.is_empty()) {
            s.owner = first_of_pop();
        } else if (s.claimed == tasks) {
            s.owner = OWNER_DONE;
        } else {
            s.drain(); /* the claim is a read-modify-write */
            s.owner = rules_.entries_first ? FILL_0 : SHOW;
        }
    }

    void owner_fill(State &s, int i) const
    {
        int first = rules_.entries_first ? s.claimed : s.claimed - s.own.end;
        int count = rules_.entries_first ? batch_size(s) : s.own.end;

        if (i < count) {
            s.entries[static_cast<size_t>(i)] = first + i;
        }
        if (i + 1 < batch) {
            s.owner++;
        } else {
            s.owner = rules_.entries_first ? SHOW : first_of_pop();
        }
    }

    void owner_settle(State &s) const
    {
        s.is_own = !s.taken || (rules_.asks_kept && s.position < s.kept);
        if (s.taken) {
            s.taken = false;
            s.span = s.own = {};
        }
        s.revoked = false;
        s.locked = s.locked && !rules_.takes_lock;
        s.owner = RUN;
    }

    void thief_step(State &s) const
    {
        switch (s.thief) {
        case TRY_LOCK:
            s.left--;
            if (s.locked || s.taken) {
                s.thief = s.left > 0 ? TRY_LOCK : THIEF_DONE;
            } else {
                s.locked = true;
                s.thief = REVOKE;
            }
            break;
        case REVOKE:
            s.revoked = true;
            s.thief = BARRIER;
            break;
        case BARRIER:
            if (rules_.membarrier) {
                s.drain();
            }
            s.thief = READ_SPAN;
            break;
        case READ_SPAN:
            s.seen = s.span;
            s.copied = {-1, -1};
            s.thief = COPY_0;
            break;
        case COPY_0:
        case COPY_1:
            thief_copy(s, s.thief - COPY_0);
            break;
        case UNLOCK:
            if (s.seen.is_empty()) {
                s.revoked = false;
            } else {
                s.kept = s.seen.position;
                s.taken = true;
            }
            s.locked = false;
            s.thief = RUN_TAKEN;
            break;
        default:
            for (int task : s.copied) {
                s.run(task);
            }
            s.copied = {-1, -1};
            s.thief = s.left > 0 ? TRY_LOCK : THIEF_DONE;
            break;
        }
    }

    static void thief_copy(State &s, int i)
    {
        if (i >= s.seen.position && i < s.seen.end) {
            s.copied[static_cast<size_t>(i)] =
                s.entries[static_cast<size_t>(i)];
        }
        s.thief++;
    }

    static int batch_size(const State &s)
    {
        return tasks - s.claimed < batch ? tasks - s.claimed : batch;
    }

    int first_of_pop() const
    {
        return rules_.store_first ? STORE : CHECK;
    }

    static int after_check(const State &s)
    {
        return s.saw_revoked ? LOCK : RUN;
    }

    Rules rules_;
    std::set<State> seen_;
};

} // namespace

TEST(ReadyRevokeModel, RunsEachTaskOnceByMembarrier)
{
    Explorer explorer(Rules{});

    EXPECT_TRUE(explorer.holds());
    EXPECT_GT(explorer.states(), 1000u);
}

TEST(ReadyRevokeModel, RunsEachTaskOnceByFences)
{
    EXPECT_TRUE(Explorer({.membarrier = false, .owner_fence = true}).holds());
}

TEST(ReadyRevokeModel, FailsWithoutTheThiefsBarrier)
{
    EXPECT_FALSE(Explorer({.membarrier = false}).holds());
}

TEST(ReadyRevokeModel, FailsWhenTheOwnerLooksBeforeItStores)
{
    EXPECT_FALSE(Explorer({.store_first = false}).holds());
    EXPECT_FALSE(Explorer({.owner_fence = true, .store_first = false}).holds());
}

TEST(ReadyRevokeModel, FailsWhenTheOwnerDoesNotAskWhatWasSeen)
{
    EXPECT_FALSE(Explorer({.asks_kept = false}).holds());
}

TEST(ReadyRevokeModel, FailsWhenTheOwnerDoesNotWait)
{
    EXPECT_FALSE(Explorer({.takes_lock = false}).holds());
}

TEST(ReadyRevokeModel, FailsWhenTheSpanComesBeforeTheEntries)
{
    EXPECT_FALSE(Explorer({.entries_first = false}).holds());
}
