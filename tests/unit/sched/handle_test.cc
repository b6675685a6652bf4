/* SPDX-License-Identifier: Apache-2.0 */
#include "handle.h"

#include "conformance/support.h"

namespace
{

using conformance::Handle;

class HandleCancel : public conformance::Harness
{
  protected:
    using Handles = std::vector<Handle>;

    static void yield_until(const std::atomic<int> &value, int least)
    {
        while (value < least) {
            std::this_thread::yield();
        }
    }

    /** A callback on each loop: `body` runs once all are in theirs. */
    void run_together(const std::function<void(const Handles &, int)> &body)
    {
        EXPECT_EQ(0, run([&] {
                      const std::vector<skua_loop *> all = loops();
                      const int count = static_cast<int>(all.size());
                      Handles handles(all.size());
                      std::atomic<int> entered = 0;
                      std::atomic<int> posted = 0;
                      conformance::Latch latch(count);

                      for (int i = 0; i < count; i++) {
                          handles[i] = post(all[i], [&, i] {
                              entered++;
                              yield_until(posted, 1);
                              yield_until(entered, count);
                              body(handles, i);
                              latch.down();
                          });
                      }
                      posted = 1;
                      return latch.wait();
                  }));
    }
};

TEST_P(HandleCancel, InARingOfCallbacksDoesNotWait)
{
    const int count = static_cast<int>(GetParam());

    for (int round = 0; round < 50; round++) {
        run_together([&](const Handles &handles, int i) {
            EXPECT_EQ(0, skua_handle_cancel(handles[(i + 1) % count].get()));
        });
    }
}

TEST_P(HandleCancel, InAChainOfCallbacksWaitsForEach)
{
    const int count = static_cast<int>(GetParam());

    for (int round = 0; round < 50; round++) {
        std::vector<std::atomic<bool>> ended(count);

        run_together([&](const Handles &handles, int i) {
            if (i + 1 < count) {
                EXPECT_EQ(0, skua_handle_cancel(handles[i + 1].get()));
                EXPECT_TRUE(ended[i + 1]);
            }
            ended[i] = true;
        });
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
