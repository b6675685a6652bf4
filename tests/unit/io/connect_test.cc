// SPDX-License-Identifier: Apache-2.0
// Opening connections.
#include "task_support.h"

namespace
{

class SocketConnect : public Loops
{
};

} // namespace

INSTANTIATE_TEST_SUITE_P(Io, SocketConnect, testing::Values(1u, 2u));

TEST_P(SocketConnect, ReportsRefusal)
{
    Run([] {
        Socket client;
        int port;

        {
            Listener listener;
            port = listener.port();
        }
        EXPECT_EQ(skua_sock_connect("127.0.0.1", port, client.Out()),
                  -ECONNREFUSED);
        return 0;
    });
}

TEST_P(SocketConnect, TimesOutAndIsCancelled)
{
    Run([] {
        Listener listener(1);
        std::vector<Socket> clients(8);
        Socket late;
        int status = 0;

        // A full backlog drops what comes after it without an answer.
        for (Socket &client : clients) {
            status = skua_sock_connect_until(nullptr, listener.port(), Soon(),
                                             client.Out());
            if (status < 0) {
                break;
            }
        }
        EXPECT_EQ(status, -ETIMEDOUT);
        Task cancelled([&] {
            return skua_sock_connect(nullptr, listener.port(), late.Out());
        });
        LetOthersRun();
        EXPECT_EQ(cancelled.Cancel(), SKUA_ECANCELED);
        return 0;
    });
}
