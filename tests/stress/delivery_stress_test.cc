// SPDX-License-Identifier: Apache-2.0
// Several threads deliver what one loop's reactor has, while its sockets are
// opened, used and closed, and their numbers used again at once: each byte
// arrives once and in order, and nobody waits for ever.
#include "../unit/io/task_support.h"

#include "../../sched/runner.h"
#include "../conformance/support.h"
#include "seed.h"

#include <atomic>
#include <thread>
#include <vector>

#include <sys/socket.h>

namespace
{

using stress::Random;

constexpr int kGenerations = conformance::kRaceDetector ? 30 : 200;
constexpr int kStreams = 8;
constexpr uint32_t kNumbers = 1500;

// Delivers for all loops of the runner, all the time.
class Deliverer
{
  public:
    explicit Deliverer(skua_runner *runner)
        : thread_([this, runner] {
              while (!over_.load()) {
                  for (unsigned i = 0; i < runner->count; i++) {
                      int delivered = skui_epoll_poller.poll_for(
                          skui_loop_poller(runner->loops[i]));

                      EXPECT_GE(delivered, 0);
                      delivered_ += delivered;
                  }
              }
          })
    {
    }
    ~Deliverer()
    {
        over_ = true;
        thread_.join();
    }
    Deliverer(const Deliverer &) = delete;
    Deliverer &operator=(const Deliverer &) = delete;

  private:
    std::atomic<bool> over_{false};
    std::atomic<int64_t> delivered_{0};
    std::thread thread_;
};

void SetSmallBuffer(int fd)
{
    const int bytes = 1024;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

// Numbers in pieces that do not respect their borders.
int SendNumbers(skua_socket *socket, Random random, uint32_t first)
{
    std::vector<uint32_t> numbers(kNumbers);
    const char *bytes = reinterpret_cast<const char *>(numbers.data());
    size_t left = numbers.size() * sizeof(uint32_t);

    for (uint32_t i = 0; i < kNumbers; i++) {
        numbers[i] = first + i;
    }
    while (left > 0) {
        size_t piece = 1 + static_cast<size_t>(random.below(700));
        int status;

        piece = piece < left ? piece : left;
        status = skua_sock_sendall(socket, bytes, piece);
        if (status < 0) {
            return status;
        }
        bytes += piece;
        left -= piece;
    }
    return skua_sock_shutdown(socket, SHUT_WR);
}

void ExpectNumbers(skua_socket *socket, Random random, uint32_t first)
{
    std::string bytes;
    char buffer[600];
    ssize_t got;

    while ((got = skua_sock_recv_into(
                socket, buffer,
                1 + static_cast<size_t>(random.below(sizeof(buffer))))) > 0) {
        bytes.append(buffer, static_cast<size_t>(got));
    }
    EXPECT_EQ(got, 0);
    ASSERT_EQ(bytes.size(), kNumbers * sizeof(uint32_t));
    for (uint32_t i = 0; i < kNumbers; i++) {
        uint32_t number;

        memcpy(&number, bytes.data() + i * sizeof(number), sizeof(number));
        ASSERT_EQ(number, first + i);
    }
}

// Both directions of a connection; some end with a read that never ends.
int Exchange(Random random)
{
    int fds[2];
    Socket near;
    Socket far;
    auto first = static_cast<uint32_t>(random.next());
    Random parts[4] = {Random(random.next()), Random(random.next()),
                       Random(random.next()), Random(random.next())};

    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    SetSmallBuffer(fds[0]);
    SetSmallBuffer(fds[1]);
    EXPECT_EQ(skua_socket_new(fds[0], near.Out()), 0);
    EXPECT_EQ(skua_socket_new(fds[1], far.Out()), 0);
    {
        Task there([&] { return SendNumbers(near, parts[0], first); });
        Task back([&] { return SendNumbers(far, parts[1], ~first); });
        Task reader([&] {
            ExpectNumbers(far, parts[2], first);
            return 0;
        });

        ExpectNumbers(near, parts[3], ~first);
        EXPECT_EQ(there.Await(), 0);
        EXPECT_EQ(back.Await(), 0);
    }
    if (random.below(2) == 0) {
        EXPECT_EQ(skua_sock_close(near), 0);
    }
    return 0;
}

// One that is closed while a task waits in it.
int CloseUnderAReader(Random random)
{
    int fds[2];
    Socket near;
    Socket far;
    char byte;

    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    EXPECT_EQ(skua_socket_new(fds[0], near.Out()), 0);
    EXPECT_EQ(skua_socket_new(fds[1], far.Out()), 0);
    Task reader([&] {
        ssize_t got = skua_sock_recv_into(near, &byte, 1);

        EXPECT_TRUE(got == 1 || got == -EBADF) << got;
        return 0;
    });

    if (random.below(2) == 0) {
        EXPECT_EQ(skua_yield(), 0);
    }
    if (random.below(2) == 0) {
        EXPECT_EQ(skua_sock_send(far, "x", 1), 1);
    }
    EXPECT_EQ(skua_sock_close(near), 0);
    return reader.Await();
}

} // namespace

class DeliveryStress : public Loops
{
};

TEST_P(DeliveryStress, EachByteOnceAndInOrder)
{
    Random random(stress::print_seed());

    Run([&random] {
        Deliverer first(skua_get_running_runner());
        Deliverer second(skua_get_running_runner());
        std::vector<Task> streams;

        for (int i = 0; i < kStreams; i++) {
            streams.emplace_back([seed = random.next()] {
                Random own(seed);

                for (int turn = 0; turn < kGenerations; turn++) {
                    EXPECT_EQ(Exchange(Random(own.next())), 0);
                    EXPECT_EQ(CloseUnderAReader(Random(own.next())), 0);
                }
                return 0;
            });
        }
        for (Task &stream : streams) {
            EXPECT_EQ(stream.Await(), 0);
        }
        return 0;
    });
}

INSTANTIATE_TEST_SUITE_P(Loops, DeliveryStress, testing::Values(1, 2, 4));
