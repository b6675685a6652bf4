// SPDX-License-Identifier: Apache-2.0
// Readiness words and keys, without any task: who waits is tested through
// sockets (socket_test.cc).
#include "../../../io/descriptor.h"

#include <gtest/gtest.h>

namespace
{

class Descriptor
{
  public:
    Descriptor()
    {
        skui_descriptor_class_init();
        record_ = skui_descriptor_new();
        skui_descriptor_prepare(record_, 3, 0);
    }
    ~Descriptor()
    {
        skui_descriptor_free(record_);
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;

    skui_descriptor *get() const
    {
        return record_;
    }
    unsigned flags() const
    {
        return static_cast<unsigned>(skui_descriptor_readiness(record_) & 0xff);
    }
    uint32_t generation() const
    {
        return skui_descriptor_generation(record_);
    }

  private:
    skui_descriptor *record_;
};

} // namespace

TEST(DescriptorPrepare, TakesTheAssumedFlags)
{
    Descriptor descriptor;

    skui_descriptor_prepare(descriptor.get(), 7, SKUI_READABLE);
    EXPECT_EQ(descriptor.flags(), unsigned{SKUI_READABLE});
    EXPECT_EQ(descriptor.get()->fd, 7);
}

TEST(DescriptorDeliver, AddsFlagsAndMovesTheTick)
{
    Descriptor descriptor;
    uint64_t before = skui_descriptor_readiness(descriptor.get());

    EXPECT_EQ(skui_descriptor_deliver(descriptor.get(), descriptor.generation(),
                                      SKUI_READABLE),
              0);
    EXPECT_EQ(skui_descriptor_deliver(descriptor.get(), descriptor.generation(),
                                      SKUI_WRITABLE),
              0);
    EXPECT_EQ(descriptor.flags(), unsigned{SKUI_READABLE | SKUI_WRITABLE});
    EXPECT_NE(before >> 8, skui_descriptor_readiness(descriptor.get()) >> 8);
}

TEST(DescriptorDeliver, IgnoresAnotherGeneration)
{
    Descriptor descriptor;

    skui_descriptor_deliver(descriptor.get(), descriptor.generation() + 1,
                            SKUI_READABLE);
    EXPECT_EQ(descriptor.flags(), 0u);
}

TEST(DescriptorDeliver, KeepsTheGenerationWhenTheTickWraps)
{
    Descriptor descriptor;
    uint32_t generation = descriptor.generation();
    uint64_t before = skui_descriptor_readiness(descriptor.get());

    for (uint32_t i = 0; i < (1u << 24); i++) {
        skui_descriptor_deliver(descriptor.get(), generation, 0);
    }
    EXPECT_EQ(descriptor.generation(), generation);
    EXPECT_EQ(skui_descriptor_readiness(descriptor.get()), before);
}

TEST(DescriptorKey, FindsItsRecord)
{
    Descriptor first;
    Descriptor second;

    skui_descriptor_deliver_key(skui_descriptor_key(second.get()),
                                SKUI_READABLE);
    EXPECT_EQ(first.flags(), 0u);
    EXPECT_EQ(second.flags(), unsigned{SKUI_READABLE});
}

TEST(DescriptorKey, IsStaleAfterRetiring)
{
    Descriptor descriptor;
    uint64_t key = skui_descriptor_key(descriptor.get());

    skui_descriptor_retire(descriptor.get());
    skui_descriptor_deliver_key(key, SKUI_READABLE);
    EXPECT_EQ(descriptor.flags(), 0u);
    skui_descriptor_prepare(descriptor.get(), 4, 0);
    skui_descriptor_deliver_key(key, SKUI_READABLE);
    EXPECT_EQ(descriptor.flags(), 0u);
}

TEST(DescriptorKey, LeavesTheTopBitToOthers)
{
    Descriptor descriptor;

    for (uint32_t i = 0; i < (1u << 21) + 1; i++) {
        ASSERT_EQ(skui_descriptor_key(descriptor.get()) >> 63, 0u);
        skui_descriptor_retire(descriptor.get());
    }
}

TEST(DescriptorRetire, ForgetsTheFlags)
{
    Descriptor descriptor;
    uint32_t generation = descriptor.generation();

    skui_descriptor_deliver(descriptor.get(), generation,
                            SKUI_READABLE | SKUI_HUP);
    skui_descriptor_retire(descriptor.get());
    EXPECT_EQ(descriptor.flags(), 0u);
    EXPECT_EQ(descriptor.generation(), generation + 1);
}

TEST(DescriptorClear, ClearsWhatWasSeen)
{
    Descriptor descriptor;

    skui_descriptor_deliver(descriptor.get(), descriptor.generation(),
                            SKUI_READABLE | SKUI_WRITABLE);
    skui_descriptor_clear(descriptor.get(), SKUI_READABLE,
                          skui_descriptor_readiness(descriptor.get()));
    EXPECT_EQ(descriptor.flags(), unsigned{SKUI_WRITABLE});
}

TEST(DescriptorClear, KeepsAnEventThatCameBetween)
{
    Descriptor descriptor;
    uint64_t seen;

    skui_descriptor_deliver(descriptor.get(), descriptor.generation(),
                            SKUI_READABLE);
    seen = skui_descriptor_readiness(descriptor.get());
    skui_descriptor_deliver(descriptor.get(), descriptor.generation(),
                            SKUI_READABLE);
    skui_descriptor_clear(descriptor.get(), SKUI_READABLE, seen);
    EXPECT_EQ(descriptor.flags(), unsigned{SKUI_READABLE});
}

TEST(DescriptorClear, IsNotHinderedByTheOtherDirection)
{
    Descriptor descriptor;
    uint64_t seen;

    skui_descriptor_deliver(descriptor.get(), descriptor.generation(),
                            SKUI_READABLE | SKUI_WRITABLE);
    seen = skui_descriptor_readiness(descriptor.get());
    skui_descriptor_clear(descriptor.get(), SKUI_WRITABLE, seen);
    skui_descriptor_clear(descriptor.get(), SKUI_READABLE, seen);
    EXPECT_EQ(descriptor.flags(), 0u);
}

TEST(DescriptorClear, LeavesTheNextGenerationAlone)
{
    Descriptor descriptor;
    uint64_t seen = skui_descriptor_readiness(descriptor.get());

    skui_descriptor_retire(descriptor.get());
    skui_descriptor_prepare(descriptor.get(), 4, SKUI_READABLE);
    skui_descriptor_clear(descriptor.get(), SKUI_READABLE, seen);
    EXPECT_EQ(descriptor.flags(), unsigned{SKUI_READABLE});
}
