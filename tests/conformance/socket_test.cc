/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_test.cc - conformance 66, 143: cancelled socket waits, EMFILE.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "support.h"

namespace conformance
{
namespace
{

struct Listener {
    Socket socket;
    int port = 0;
};

Listener listen_here()
{
    skua_listen_options options = {};
    skua_socket *made = nullptr;
    Listener listener;

    options.host = "127.0.0.1";
    EXPECT_EQ(0, skua_sock_listen(&options, &made));
    listener.socket.reset(made);
    EXPECT_EQ(0, skua_sock_getsockname(made, nullptr, 0, &listener.port));
    return listener;
}

Socket connect_to(int port)
{
    skua_socket *made = nullptr;

    EXPECT_EQ(0, skua_sock_connect("127.0.0.1", port, &made));
    return Socket(made);
}

Socket accept_from(const Listener &listener)
{
    skua_socket *made = nullptr;

    EXPECT_EQ(0, skua_sock_accept(listener.socket.get(), &made));
    return Socket(made);
}

/* --- 66 --- */

TEST_P(ConformanceMany, N066_ACancelledAcceptLeavesTheListenerUsable)
{
    EXPECT_EQ(0, run([&] {
                  const Listener listener = listen_here();

                  for (int i = 0; i < 3; i++) {
                      Latch ready(1);
                      Future acceptor = spawn([&] {
                          skua_socket *made = nullptr;

                          ready.down();
                          return skua_sock_accept(listener.socket.get(), &made);
                      });

                      EXPECT_EQ(0, ready.wait());
                      EXPECT_EQ(0, skua_yield());
                      EXPECT_EQ(1, skua_task_cancel(acceptor.get()));
                      EXPECT_EQ(SKUA_ECANCELED,
                                skua_await(acceptor.get(), nullptr));
                  }
                  const Socket client = connect_to(listener.port);

                  EXPECT_NE(nullptr, accept_from(listener).get());
                  return 0;
              }));
}

int receive_byte(skua_socket *socket)
{
    char byte = 0;
    const ssize_t bytes = skua_sock_recv_into(socket, &byte, 1);

    return bytes < 0 ? static_cast<int>(bytes) : byte;
}

TEST_P(ConformanceMany, N066_ACancelledReceiveLeavesTheSocketUsable)
{
    EXPECT_EQ(
        0, run([&] {
            const Listener listener = listen_here();
            const Socket client = connect_to(listener.port);
            const Socket server = accept_from(listener);

            for (char i = 1; i <= 5; i++) {
                Latch ready(1);
                Future receiver = spawn([&] {
                    ready.down();
                    return receive_byte(server.get());
                });

                EXPECT_EQ(0, ready.wait());
                EXPECT_EQ(0, i % 2 == 0 ? skua_sleep(SKUA_MS) : skua_yield());
                EXPECT_EQ(1, skua_task_cancel(receiver.get()));
                EXPECT_EQ(SKUA_ECANCELED, skua_await(receiver.get(), nullptr));
                EXPECT_EQ(0, skua_sock_sendall(client.get(), &i, 1));
                EXPECT_EQ(i, receive_byte(server.get()));
            }
            return 0;
        }));
}

TEST_P(ConformanceMany, N066_ATimedOutReceiveLeavesTheSocketUsable)
{
    EXPECT_EQ(
        0, run([&] {
            const Listener listener = listen_here();
            const Socket client = connect_to(listener.port);
            const Socket server = accept_from(listener);
            char byte = 7;

            EXPECT_EQ(-ETIMEDOUT,
                      skua_sock_recv_into_until(server.get(), &byte, 1,
                                                skua_monotonic() + SKUA_MS));
            EXPECT_EQ(
                -ETIMEDOUT,
                skua_wait_for(call([&] { return receive_byte(server.get()); }),
                              SKUA_MS, nullptr));
            EXPECT_EQ(0, skua_sock_sendall(client.get(), &byte, 1));
            EXPECT_EQ(7, receive_byte(server.get()));
            return 0;
        }));
}

/* --- 143 --- */

/** Lowers the limit of open files and fills it up; undone at the end. */
class NoDescriptors
{
  public:
    NoDescriptors()
    {
        rlimit lowered = {};

        EXPECT_EQ(0, getrlimit(RLIMIT_NOFILE, &before_));
        lowered = before_;
        lowered.rlim_cur = 128;
        EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &lowered));
        for (;;) {
            const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

            if (fd < 0) {
                break;
            }
            fds_.push_back(fd);
        }
    }

    ~NoDescriptors()
    {
        release();
    }

    NoDescriptors(const NoDescriptors &) = delete;
    NoDescriptors &operator=(const NoDescriptors &) = delete;

    void release()
    {
        for (const int fd : fds_) {
            close(fd);
        }
        fds_.clear();
        EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &before_));
    }

  private:
    rlimit before_ = {};
    std::vector<int> fds_;
};

uint64_t iterations()
{
    skua_loop_stats stats = {};

    EXPECT_EQ(0, skua_loop_get_stats(skua_get_running_loop(), &stats));
    return stats.iterations;
}

TEST_P(ConformanceOne, N143_AcceptOutOfDescriptorsReportsPausesContinues)
{
    EXPECT_EQ(0, run([&] {
                  const Listener listener = listen_here();
                  const Socket client = connect_to(listener.port);
                  NoDescriptors none;
                  Future acceptor = spawn([&] {
                      EXPECT_NE(nullptr, accept_from(listener).get());
                      return 0;
                  });

                  while (reports_.size() == 0) {
                      EXPECT_EQ(0, skua_sleep(SKUA_MS));
                  }
                  const uint64_t before = iterations();

                  EXPECT_EQ(0, skua_sleep(100 * SKUA_MS));
                  EXPECT_GE(20u, iterations() - before);
                  EXPECT_FALSE(skua_future_done(acceptor.get()));
                  none.release();
                  return skua_await(acceptor.get(), nullptr);
              }));
    EXPECT_EQ(1u, reports_.count(-EMFILE));
    EXPECT_EQ(1u, reports_.size());
    EXPECT_NE(std::string::npos, reports_.get()[0].message.find("accept"));
}

TEST_P(ConformanceMany, N143_ThePauseCanBeCancelled)
{
    EXPECT_EQ(0, run([&] {
                  const Listener listener = listen_here();
                  const Socket client = connect_to(listener.port);
                  NoDescriptors none;
                  Future acceptor = spawn([&] {
                      skua_socket *made = nullptr;

                      return skua_sock_accept(listener.socket.get(), &made);
                  });

                  while (reports_.size() == 0) {
                      EXPECT_EQ(0, skua_sleep(SKUA_MS));
                  }
                  EXPECT_EQ(1, skua_task_cancel(acceptor.get()));
                  EXPECT_EQ(SKUA_ECANCELED,
                            skua_await(acceptor.get(), nullptr));
                  EXPECT_EQ(-ETIMEDOUT,
                            skua_wait_for(call([&] {
                                              skua_socket *made;

                                              return skua_sock_accept(
                                                  listener.socket.get(), &made);
                                          }),
                                          SKUA_MS, nullptr));
                  none.release();
                  EXPECT_NE(nullptr, accept_from(listener).get());
                  return 0;
              }));
}

CONFORMANCE_INSTANTIATE_ONE();
CONFORMANCE_INSTANTIATE_MANY();

} // namespace
} // namespace conformance
