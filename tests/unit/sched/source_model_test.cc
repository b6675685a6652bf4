// SPDX-License-Identifier: Apache-2.0
/*
 * The protocols of source.c in small, in all their interleavings: one step is
 * one access to what several share, in sequentially consistent order, which is
 * what the code asks for where it matters.
 *
 * SourceModel (SR1, SR2): a publisher of two replies, two loops that look and
 * give that up, twice and once, and a keeper that looks when it is woken. There
 * are no ticks. At the end all is taken, and the source is armed.
 *
 * SourceRestModel (SR3): two submitters and a keeper that lies down. One of the
 * jobs ends. At the end loops can see that the other one is outstanding.
 *
 * SourceTakeModel: a source that is taken from outside. A publisher of three
 * replies, a thread that has seen the first and takes, and a keeper that arms,
 * looks, takes and sleeps. At the end all is taken.
 */
#include <gtest/gtest.h>

#include <array>
#include <compare>
#include <set>
#include <vector>

namespace
{

/* All states that can be reached; false when one of them is an end, and not
 * right. A model has State, step(agent, state) -> bool, and is_right(state). */
template <typename Model> class Explorer
{
  public:
    explicit Explorer(Model model) : model_(model)
    {
    }
    bool holds()
    {
        std::vector<typename Model::State> open{typename Model::State{}};

        while (!open.empty()) {
            typename Model::State state = open.back();
            bool is_end = true;

            open.pop_back();
            if (!seen_.insert(state).second) {
                continue;
            }
            for (int agent = 0; agent < Model::agents; agent++) {
                typename Model::State next = state;

                if (model_.step(agent, next)) {
                    open.push_back(next);
                    is_end = false;
                }
            }
            if (is_end && !model_.is_right(state)) {
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
    Model model_;
    std::set<typename Model::State> seen_;
};

/* --- SR1, SR2 --- */

/* What the protocol is made of; each mutant lacks one. */
struct LookRules {
    bool asks = true;            /* who cannot enter has a turn done for it */
    bool counts = true;          /* a loop that looks counts as one */
    bool uncounts_first = true;  /* and does not any more when it arms */
    bool looks_again = true;     /* after arming */
    bool heeds_lookers = true;   /* a turn arms when nobody looks any more */
    bool publishes_first = true; /* before the look whether it is armed */
};

enum Gate : int { FREE, HELD, ASKED };

enum At : int {
    JOIN,
    ENTER,
    DISARM,
    LOOK,
    LEAVE,
    UNCOUNT,
    ASK, /* enter, or have it done */
    TURN,
    DECIDE,
    ARM,
    AGAIN,
    NEXT,
    IDLE,
};

struct LookModel {
    enum { PUBLISHER, LOOP_1, LOOP_2, KEEPER, agents };

    struct Looker {
        int at = JOIN;
        int then = NEXT; /* once it has left */
        int rounds = 1;

        auto operator<=>(const Looker &) const = default;
    };
    struct State {
        int published = 0;
        int taken = 0;
        bool flag = true;  /* in shared memory: publishing wakes the keeper */
        bool armed = true; /* what who is inside knows of it */
        int gate = FREE;
        int lookers = 0;
        bool event = false;
        /* The publisher. */
        int left = 2;
        int at = 0;
        bool saw_flag = false;
        std::array<Looker, 3> who{Looker{.rounds = 2}, Looker{},
                                  Looker{.at = IDLE}};

        auto operator<=>(const State &) const = default;
    };

    LookRules rules;

    bool step(int agent, State &s) const
    {
        if (agent == PUBLISHER) {
            return publish(s);
        }
        Looker &me = s.who[static_cast<size_t>(agent) - 1];

        return me.at < ASK ? look(s, me) : turn(s, me, agent == KEEPER);
    }

    static bool is_right(const State &s)
    {
        return s.left == 0 && s.taken == s.published && s.gate == FREE &&
               s.lookers == 0 && s.flag;
    }

    bool publish(State &s) const
    {
        if (s.left == 0) {
            return false;
        }
        if (s.at == 2) { /* an exchange, if the look said so */
            s.event = s.event || (s.saw_flag && s.flag);
            s.flag = s.flag && !s.saw_flag;
            s.left--;
            s.at = 0;
            return true;
        }
        if ((s.at == 0) == rules.publishes_first) {
            s.published++;
        } else {
            s.saw_flag = s.flag;
        }
        s.at++;
        return true;
    }

    /* A loop that looks. */
    bool look(State &s, Looker &me) const
    {
        const int after = rules.counts ? UNCOUNT : NEXT;

        switch (me.at) {
        case JOIN:
            s.lookers += rules.counts ? 1 : 0;
            me.at = ENTER;
            break;
        case ENTER:
            me.at = s.gate == FREE ? DISARM : after;
            me.then = after;
            s.gate = s.gate == FREE ? HELD : s.gate;
            break;
        case DISARM:
            s.armed = s.flag = false;
            me.at = LOOK;
            break;
        case LOOK:
            s.taken = s.published;
            me.at = LEAVE;
            break;
        case LEAVE:
            me.at = s.gate == ASKED ? TURN : me.then;
            s.gate = s.gate == ASKED ? HELD : FREE;
            break;
        default:
            uncount(s, me);
            break;
        }
        return true;
    }

    void uncount(State &s, Looker &me) const
    {
        if (rules.uncounts_first) {
            me.at = --s.lookers == 0 ? ASK : NEXT;
            me.then = NEXT;
        } else if (me.then == IDLE || s.lookers > 1) {
            s.lookers--;
            me.at = NEXT;
        } else {
            me.at = ASK; /* the last one: arm, and come back here */
            me.then = IDLE;
        }
    }

    /* Who gave up, the keeper, and who does a turn for them. */
    bool turn(State &s, Looker &me, bool is_keeper) const
    {
        bool alone = s.lookers == (rules.uncounts_first ? 0 : 1);
        int before = s.taken;

        switch (me.at) {
        case ASK:
            me.at = s.gate == FREE ? TURN : me.then;
            s.gate = s.gate == FREE ? HELD : rules.asks ? ASKED : s.gate;
            break;
        case TURN:
            s.taken = s.published;
            me.at = DECIDE;
            break;
        case DECIDE:
            me.at = s.armed || (rules.heeds_lookers && alone) ? ARM : LEAVE;
            break;
        case ARM:
            s.armed = s.flag = true;
            me.at = rules.looks_again ? AGAIN : LEAVE;
            break;
        case AGAIN:
            s.taken = s.published;
            me.at = s.taken > before ? ARM : LEAVE;
            break;
        default:
            return rest(s, me, is_keeper);
        }
        return true;
    }

    bool rest(State &s, Looker &me, bool is_keeper) const
    {
        if (is_keeper) {
            if (me.at == IDLE && !s.event) {
                return false;
            }
            me.then = NEXT;
            me.at = me.at == IDLE ? ASK : IDLE;
            s.event = s.event && me.at != ASK;
            return true;
        }
        if (me.at == IDLE && me.then == IDLE) {
            me.at = UNCOUNT; /* the mutant that arms before that */
            return true;
        }
        if (me.at == IDLE) {
            return false;
        }
        me.rounds--;
        me.then = NEXT;
        me.at = me.rounds == 0 ? IDLE : JOIN;
        return true;
    }
};

bool Holds(LookRules rules)
{
    return Explorer<LookModel>(LookModel{rules}).holds();
}

/* --- SR3 --- */

struct RestRules {
    bool counts_first = true; /* a job, before the look whether it rests */
    bool clears_first = true; /* the keeper, before it says that it rests */
    bool looks_again = true;  /* after it has said so */
    bool sets_bit = true;     /* who ends the rest */
};

struct RestModel {
    enum { SUBMITTER_1, SUBMITTER_2, KEEPER, agents };

    struct State {
        int outstanding = 0;
        bool resting = false;
        bool bit = true;
        bool event = false;
        std::array<int, 2> at{};
        int keeper = 0;
        int tries = 2; /* to lie down */
        int seen = 0;

        auto operator<=>(const State &) const = default;
    };

    RestRules rules;

    bool step(int agent, State &s) const
    {
        return agent == KEEPER ? keep(s)
                               : submit(s, s.at[static_cast<size_t>(agent)],
                                        agent == SUBMITTER_1);
    }

    /* Loops see what is outstanding, or the keeper ticks and will have. */
    static bool is_right(const State &s)
    {
        return s.outstanding == 1 && s.bit && !s.event;
    }

    bool submit(State &s, int &at, bool ends) const
    {
        switch (at) {
        case 0:
        case 1:
            if ((at == 0) == rules.counts_first) {
                s.outstanding++;
                at = rules.counts_first ? 1 : 4;
            } else {
                at = s.resting ? 2 : rules.counts_first ? 4 : 1;
            }
            break;
        case 2:
            s.bit = s.bit || rules.sets_bit;
            at = 3;
            break;
        case 3:
            s.event = s.event || s.resting;
            s.resting = false;
            at = rules.counts_first ? 4 : 1;
            break;
        case 4:
            if (!ends) {
                return false;
            }
            s.outstanding--;
            at = 5;
            break;
        default:
            return false;
        }
        return true;
    }

    bool keep(State &s) const
    {
        switch (s.keeper) {
        case 0: /* about to lie down */
            s.seen = s.outstanding;
            s.keeper = 1;
            break;
        case 1:
        case 2:
            if ((s.keeper == 1) == rules.clears_first) {
                s.bit = s.bit && s.seen != 0;
            } else {
                s.resting = true;
            }
            s.keeper++;
            break;
        case 3:
            s.keeper = !rules.looks_again || s.outstanding == s.seen ? 6 : 4;
            break;
        case 4:
            s.bit = s.bit || rules.sets_bit;
            s.keeper = 5;
            break;
        case 5:
            s.resting = false;
            s.keeper = 7;
            break;
        case 6: /* rests */
            if (!s.event) {
                return false;
            }
            s.event = false;
            s.keeper = 7;
            break;
        default: /* ticks */
            if (s.tries == 0) {
                bool woken = s.event;

                s.event = false;
                return woken;
            }
            s.tries--;
            s.keeper = 0;
            break;
        }
        return true;
    }
};

bool Holds(RestRules rules)
{
    return Explorer<RestModel>(RestModel{rules}).holds();
}

/* --- taking outside --- */

struct TakeRules {
    bool looks_again = true; /* who is done, before others may take */
};

struct TakeModel {
    enum { PUBLISHER, TAKER, KEEPER, agents };
    enum Step : int {
        TAKE_CLAIM,
        TAKE_RECEIVE,
        TAKE_END,
        TAKE_OVER,
        TAKE_ARM,
        TAKE_LOOK,
        TAKE_SLEEP
    };

    struct State {
        int published = 1;
        int taken = 0;
        bool flag = false; /* armed: in shared memory */
        bool receiving = false;
        bool event = false;
        bool is_published = true; /* ... and not yet looked at the flag */
        int taker = TAKE_CLAIM;
        int keeper = TAKE_ARM;

        auto operator<=>(const State &) const = default;
    };

    TakeRules rules;

    bool step(int agent, State &s) const
    {
        switch (agent) {
        case PUBLISHER:
            return publish(s);
        case TAKER:
            return s.taker < TAKE_OVER && take(s, s.taker);
        default:
            return keep(s);
        }
    }

    static bool is_right(const State &s)
    {
        return s.taken == s.published && !s.receiving;
    }

    static bool publish(State &s)
    {
        if (s.is_published) {
            s.event = s.event || s.flag;
            s.flag = false;
            s.is_published = false;
            return true;
        }
        s.is_published = s.published < 3;
        s.published += s.is_published ? 1 : 0;
        return s.is_published;
    }

    /* TAKE_CLAIM and TAKE_END are under the pool's lock. */
    bool take(State &s, int &at) const
    {
        if (at == TAKE_CLAIM) {
            const bool claims = !s.receiving && s.taken < s.published;

            s.receiving = s.receiving || claims;
            at = claims ? TAKE_RECEIVE : TAKE_OVER;
        } else if (at == TAKE_RECEIVE) {
            s.taken = s.published;
            at = TAKE_END;
        } else if (rules.looks_again && s.taken < s.published) {
            at = TAKE_RECEIVE;
        } else {
            s.receiving = false;
            at = TAKE_OVER;
        }
        return true;
    }

    bool keep(State &s) const
    {
        const int look =
            s.taken < s.published && !s.receiving ? TAKE_CLAIM : TAKE_OVER;

        switch (s.keeper) {
        case TAKE_ARM:
            s.flag = true;
            s.keeper = TAKE_LOOK;
            return true;
        case TAKE_LOOK:
            s.keeper = look;
            return true;
        case TAKE_OVER:
            s.keeper = TAKE_SLEEP;
            return true;
        case TAKE_SLEEP:
            if (!s.event) {
                return false;
            }
            s.event = false;
            s.keeper = TAKE_ARM;
            return true;
        default:
            return take(s, s.keeper);
        }
    }
};

bool Holds(TakeRules rules)
{
    return Explorer<TakeModel>(TakeModel{rules}).holds();
}

} // namespace

TEST(SourceModel, NothingIsLeftWhileAllSleep)
{
    Explorer<LookModel> explorer(LookModel{});

    EXPECT_TRUE(explorer.holds());
    EXPECT_GT(explorer.states(), 10000u);
}

TEST(SourceModel, FailsWhenWhoCannotEnterJustGoes)
{
    EXPECT_FALSE(Holds(LookRules{.asks = false}));
}

TEST(SourceModel, FailsWhenALoopDisarmsAndDoesNotCount)
{
    EXPECT_FALSE(Holds(LookRules{.counts = false}));
}

TEST(SourceModel, FailsWhenALoopArmsWhileItCounts)
{
    EXPECT_FALSE(Holds(LookRules{.uncounts_first = false}));
}

TEST(SourceModel, FailsWithoutALookAfterArming)
{
    EXPECT_FALSE(Holds(LookRules{.looks_again = false}));
}

TEST(SourceModel, FailsWhenATurnDoesNotHeedLookers)
{
    EXPECT_FALSE(Holds(LookRules{.heeds_lookers = false}));
}

TEST(SourceModel, FailsWhenThePublisherLooksFirst)
{
    EXPECT_FALSE(Holds(LookRules{.publishes_first = false}));
}

TEST(SourceRestModel, JobsThatAreOutstandingAreSeen)
{
    Explorer<RestModel> explorer(RestModel{});

    EXPECT_TRUE(explorer.holds());
    EXPECT_GT(explorer.states(), 100u);
}

TEST(SourceRestModel, FailsWhenAJobIsCountedAfterTheLook)
{
    EXPECT_FALSE(Holds(RestRules{.counts_first = false}));
}

TEST(SourceRestModel, FailsWhenTheKeeperClearsAfterItRests)
{
    EXPECT_FALSE(Holds(RestRules{.clears_first = false}));
}

TEST(SourceRestModel, FailsWithoutASecondLook)
{
    EXPECT_FALSE(Holds(RestRules{.looks_again = false}));
}

TEST(SourceRestModel, FailsWhenTheBitStaysClear)
{
    EXPECT_FALSE(Holds(RestRules{.sets_bit = false}));
}

TEST(SourceTakeModel, NothingIsLeftWhenOneTakesAndAnotherSleeps)
{
    EXPECT_TRUE(Holds(TakeRules{}));
}

TEST(SourceTakeModel, FailsWhenWhoIsDoneDoesNotLookAgain)
{
    EXPECT_FALSE(Holds(TakeRules{.looks_again = false}));
}
