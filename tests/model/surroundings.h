// SPDX-License-Identifier: Apache-2.0
/*
 * surroundings.h - what files under the explorer call of the rest of the
 * library, in small: memory that is watched, sleeping on a word, wakes that are
 * counted. What no
 * scenario comes to is left out: calling it crashes.
 */
#ifndef SKUA_TESTS_MODEL_SURROUNDINGS_H
#define SKUA_TESTS_MODEL_SURROUNDINGS_H

#include "wait.h"

namespace model
{

/* In set-up: no wake was seen yet. */
void BeginWakes();
/* Wait for a claim, as a task that suspends. */
skui_claim MakeClaim(int number);
void WaitForWake(int number);
/* How often skui_wake() has won. */
int WakesOf(int number);

} // namespace model

#endif
