/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seed.h - random numbers from a printed seed; SKUA_TEST_SEED replays it.
 */
#ifndef SKUA_TESTS_STRESS_SEED_H
#define SKUA_TESTS_STRESS_SEED_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace stress
{

/** splitmix64: small, and the same everywhere. */
class Random
{
  public:
    explicit Random(uint64_t seed) : state_(seed)
    {
    }

    uint64_t next()
    {
        uint64_t mixed = state_ += 0x9e3779b97f4a7c15;

        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }

    int below(unsigned limit)
    {
        return static_cast<int>(next() % limit);
    }

  private:
    uint64_t state_;
};

/** The seed of this run, printed so that it can be set again. */
inline uint64_t print_seed()
{
    const char *given = std::getenv("SKUA_TEST_SEED");
    const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0)
                                           : std::random_device()();

    std::printf("SKUA_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

} // namespace stress

#endif
