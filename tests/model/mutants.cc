// SPDX-License-Identifier: Apache-2.0
/*
 * mutants.cc - weakened orders: does any scenario notice?
 */
#include <cstdlib>
#include <cstring>
#include <string>

#include "search.h"

namespace model
{
namespace
{

struct Mutant {
    std::string place;
    int way = 0;
};

/* SKUA_MODEL_MUTANT=FILE:LINE:WAY, as .ci/model says it. */
Mutant FromEnvironment()
{
    const char *asked = std::getenv("SKUA_MODEL_MUTANT");
    const char *colon = asked == nullptr ? nullptr : std::strrchr(asked, ':');

    if (colon == nullptr) {
        return {};
    }
    return {std::string(asked, colon), std::atoi(colon + 1)};
}

Mutant the_mutant = FromEnvironment();

/* An order, one step weaker in the way-th way; itself when there is none. */
Order Weaken(Order order, int way)
{
    switch (order) {
    case Order::kAcquire:
    case Order::kRelease:
        return way == 0 ? Order::kRelaxed : order;
    case Order::kAcqRel:
        return way == 0 ? Order::kRelease : way == 1 ? Order::kAcquire : order;
    case Order::kSeqCst:
        return way == 0 ? Order::kAcqRel : order;
    default:
        return order;
    }
}

Order OrderOf(int order)
{
    switch (order) {
    case __ATOMIC_RELAXED:
        return Order::kRelaxed;
    case __ATOMIC_ACQUIRE:
        return Order::kAcquire;
    case __ATOMIC_RELEASE:
        return Order::kRelease;
    case __ATOMIC_ACQ_REL:
        return Order::kAcqRel;
    default:
        return Order::kSeqCst;
    }
}

} // namespace

Order OrderAt(int order, const skui_model_site *site)
{
    const Order asked = OrderOf(order);

    if (the_mutant.place.empty()) {
        return asked;
    }
    const char *slash = std::strrchr(site->file, '/');
    const std::string here =
        std::string(slash == nullptr ? site->file : slash + 1) + ":" +
        std::to_string(site->line);

    return here == the_mutant.place ? Weaken(asked, the_mutant.way) : asked;
}

void Mutate(const std::string &file_and_line, int way)
{
    the_mutant = {file_and_line, way};
}

} // namespace model
