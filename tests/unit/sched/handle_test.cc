/* SPDX-License-Identifier: Apache-2.0 */
#include "handle.h"

#include "conformance/support.h"

namespace
{

using conformance::Handle;

/** Callbacks that run at the same time, one on each loop. */
class HandleCancel : public conformance::Harness
{
  protected:
    static void yield_until(const std::atomic<int> &value, int least)
    {
        while (value < least) {
            std::this_thread::yield();
        }
    }
};

TEST_P(HandleCancel, InARingOfCallbacksDoesNotWait)
{
    const int count = static_cast<int>(GetParam());

    for (int round = 0; round < 50; round++) {
        EXPECT_EQ(0, run([&] {
                      std::vector<skua_loop *> all = loops();
                      std::vector<Handle> handles(all.size());
                      std::atomic<int> entered = 0;
                      std::atomic<int> posted = 0;
                      conformance::Latch latch(count);

                      for (int i = 0; i < count; i++) {
                          handles[i] = post(all[i], [&, i] {
                              entered++;
                              yield_until(posted, 1);
                              yield_until(entered, count);
                              EXPECT_EQ(0, skua_handle_cancel(
                                               handles[(i + 1) % count].get()));
                              latch.down();
                          });
                      }
                      posted = 1;
                      return latch.wait();
                  }));
    }
}

TEST_P(HandleCancel, InAChainOfCallbacksWaitsForEach)
{
    const int count = static_cast<int>(GetParam());

    for (int round = 0; round < 50; round++) {
        EXPECT_EQ(0, run([&] {
                      std::vector<skua_loop *> all = loops();
                      std::vector<Handle> handles(all.size());
                      std::vector<std::atomic<bool>> ended(all.size());
                      std::atomic<int> entered = 0;
                      std::atomic<int> posted = 0;
                      conformance::Latch latch(count);

                      for (int i = 0; i < count; i++) {
                          handles[i] = post(all[i], [&, i] {
                              entered++;
                              yield_until(posted, 1);
                              yield_until(entered, count);
                              if (i + 1 < count) {
                                  EXPECT_EQ(0, skua_handle_cancel(
                                                   handles[i + 1].get()));
                                  EXPECT_TRUE(ended[i + 1]);
                              }
                              ended[i] = true;
                              latch.down();
                          });
                      }
                      posted = 1;
                      return latch.wait();
                  }));
    }
}

TEST_P(HandleCancel, FromAForeignThreadWaitsForTheEnd)
{
    EXPECT_EQ(0, run([&] {
                  std::atomic<int> running = 0;
                  std::atomic<bool> ended = false;
                  conformance::Latch latch(1);
                  Handle handle = post(loops().back(), [&] {
                      running = 1;
                      yield_until(running, 2);
                      for (int i = 0; i < 100; i++) {
                          std::this_thread::yield();
                      }
                      ended = true;
                  });
                  std::thread canceller([&] {
                      yield_until(running, 1);
                      running = 2;
                      EXPECT_EQ(0, skua_handle_cancel(handle.get()));
                      EXPECT_TRUE(ended);
                      latch.down();
                  });
                  const int status = latch.wait();

                  canceller.join();
                  return status;
              }));
}

INSTANTIATE_TEST_SUITE_P(Loops, HandleCancel, testing::Values(2, 3, 4));

} // namespace
