/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats_secure_test.cc - TLS and credentials: refused and accepted.
 */
#include "nats_support.h"

namespace conformance
{
namespace
{

class NatsSecure : public Nats
{
  protected:
    static int run_process(const Strings &words)
    {
        Process process(words, {}, "/dev/null");

        return process.wait();
    }

    /** An authority, and certificates by it for a server and a client. */
    void make_certificates() const
    {
        const std::string names = folder.write(
            "names", "subjectAltName=IP:127.0.0.1,DNS:cluster.test\n");

        for (const char *authority : {"ca", "stranger"}) {
            ASSERT_EQ(0,
                      run_process({"openssl", "req", "-x509", "-newkey", "ec",
                                   "-pkeyopt", "ec_paramgen_curve:prime256v1",
                                   "-nodes", "-days", "2", "-subj",
                                   std::string("/CN=") + authority, "-keyout",
                                   file(authority, "key"), "-out",
                                   file(authority, "pem")}));
        }
        for (const char *who : {"server", "client"}) {
            ASSERT_EQ(
                0, run_process({"openssl", "req", "-newkey", "ec", "-pkeyopt",
                                "ec_paramgen_curve:prime256v1", "-nodes",
                                "-subj", std::string("/CN=") + who, "-keyout",
                                file(who, "key"), "-out", file(who, "csr")}));
            ASSERT_EQ(
                0,
                run_process({"openssl", "x509", "-req", "-in", file(who, "csr"),
                             "-CA", file("ca", "pem"), "-CAkey",
                             file("ca", "key"), "-CAcreateserial", "-days", "2",
                             "-extfile", names, "-out", file(who, "pem")}));
        }
    }

    [[nodiscard]] std::string file(const std::string &who,
                                   const std::string &kind) const
    {
        return folder.path(who + "." + kind);
    }

    [[nodiscard]] Strings tls_server() const
    {
        return {"--tls",       "--tlscert",           file("server", "pem"),
                "--tlskey",    file("server", "key"), "--tlsverify",
                "--tlscacert", file("ca", "pem")};
    }

    static int try_open(const skua_nats_executor_options &options)
    {
        const LoopThread loop;
        skua_executor *executor = nullptr;
        const int status = skua_nats_executor_new(loop, &options, &executor);
        const Executor owned(executor);

        if (status == 0) {
            finish(owned);
        }
        return status;
    }

    Folder folder;
};

TEST_F(NatsSecure, TlsWithTheRightCertificatesWorks)
{
    make_certificates();
    const Server server(tls_server());
    const std::string ca = file("ca", "pem");
    const std::string cert = file("client", "pem");
    const std::string key = file("client", "key");
    skua_nats_executor_options options = quick(server);
    skua_nats_worker_options worker_options = quick_worker(server);

    options.nats.ca_file = ca.c_str();
    options.nats.cert_file = cert.c_str();
    options.nats.key_file = key.c_str();
    options.nats.server_name = "cluster.test";
    worker_options.nats = options.nats;
    const Cluster cluster(options, worker_options);
    std::vector<Future> futures;

    EXPECT_EQ(7, outcome_of(submit(cluster.executor, "test.large", 500000)));
    for (int i = 0; i < 500; i++) {
        futures.push_back(submit(cluster.executor, "test.echo", i));
    }
    for (int i = 0; i < 500; i++) {
        EXPECT_EQ(i, number_of(futures[static_cast<size_t>(i)]));
    }
}

TEST_F(NatsSecure, TlsWithAnythingWrongIsRefused)
{
    make_certificates();
    const Server server(tls_server());
    const std::string ca = file("ca", "pem");
    const std::string stranger = file("stranger", "pem");
    const std::string cert = file("client", "pem");
    const std::string key = file("client", "key");
    const std::string missing = file("nobody", "pem");
    skua_nats_executor_options options = quick(server);

    EXPECT_LT(try_open(options), 0); /* neither TLS nor a certificate */
    options.nats.ca_file = stranger.c_str();
    options.nats.cert_file = cert.c_str();
    options.nats.key_file = key.c_str();
    EXPECT_EQ(-EPROTO, try_open(options)); /* a server that is not trusted */
    options.nats.ca_file = ca.c_str();
    options.nats.server_name = "another.test";
    EXPECT_EQ(-EPROTO, try_open(options)); /* another server */
    options.nats.server_name = nullptr;
    EXPECT_EQ(0, try_open(options));
    options.nats.ca_file = missing.c_str();
    EXPECT_EQ(-EPROTO, try_open(options)); /* no such file */
    options.nats.ca_file = ca.c_str();
    options.nats.cert_file = options.nats.key_file = nullptr;
    EXPECT_LT(try_open(options), 0); /* a client that is not known */
}

TEST_F(NatsSecure, TlsIsNotGivenUpForAServerWithout)
{
    const Server server;
    skua_nats_executor_options options = quick(server);

    options.nats.tls = true;
    EXPECT_EQ(-EPROTO, try_open(options));
}

TEST_F(NatsSecure, AUserNeedsTheRightPassword)
{
    const Server server({"--user", "anna", "--pass", "right"});
    skua_nats_executor_options options = quick(server);

    EXPECT_EQ(-EACCES, try_open(options));
    options.nats.user = "anna";
    EXPECT_EQ(-EACCES, try_open(options));
    options.nats.password = "wrong";
    EXPECT_EQ(-EACCES, try_open(options));
    EXPECT_STREQ("nats: Authorization Violation",
                 skua_exception_message(skua_current_exception()));
    options.nats.password = "right";
    EXPECT_EQ(0, try_open(options));
}

TEST_F(NatsSecure, ATokenIsNeededWhereOneIs)
{
    const Server server({"--auth", "secret"});
    skua_nats_executor_options options = quick(server);

    EXPECT_EQ(-EACCES, try_open(options));
    options.nats.token = "wrong";
    EXPECT_EQ(-EACCES, try_open(options));
    options.nats.token = "secret";
    EXPECT_EQ(0, try_open(options));
}

TEST_F(NatsSecure, CredentialsInAFileThatIsMissingAreAnError)
{
    const Server server;
    const std::string missing = folder.path("nobody.creds");
    skua_nats_executor_options options = quick(server);

    options.nats.credentials_file = missing.c_str();
    EXPECT_LT(try_open(options), 0);
}

TEST_F(NatsSecure, AKeyOpensWhatItIsFor)
{
    /* A pair made for this test; it opens nothing else. */
    const std::string seed = folder.write(
        "seed", "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n");
    const std::string other = folder.write(
        "other",
        "SUAIO3FHUX5PNV2LQIIP7TZ3N4L7TX3W53MQGEIVYFIGA635OZCKEYHFLM\n");
    const char *key =
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
    const std::string config = folder.write(
        "config",
        std::string("authorization { users: [ { nkey: ") + key + " } ] }\n");
    const Server server({"-c", config});
    skua_nats_executor_options options = quick(server);

    EXPECT_EQ(-EACCES, try_open(options));
    options.nats.nkey = key;
    options.nats.nkey_seed_file = other.c_str();
    EXPECT_EQ(-EACCES, try_open(options));
    options.nats.nkey_seed_file = seed.c_str();
    EXPECT_EQ(0, try_open(options));
}

TEST_F(NatsSecure, WhatIsNotPermittedFails)
{
    const std::string config = folder.write(
        "config", "authorization { users: [ { user: anna, password: right,\n"
                  "  permissions: { publish: { deny: \"skua.call.test.fail\" "
                  "} } } ] }\n");
    const Server server({"-c", config});
    skua_nats_executor_options options = quick(server);
    skua_nats_worker_options worker_options = quick_worker(server);

    options.nats.user = worker_options.nats.user = "anna";
    options.nats.password = worker_options.nats.password = "right";
    const Cluster cluster(options, worker_options);
    const Future denied = submit(cluster.executor, "test.fail", 1);

    EXPECT_EQ(-EACCES, outcome_of(denied));
    EXPECT_NE(std::string::npos,
              message_of(denied).find("Permissions Violation"))
        << message_of(denied);
    EXPECT_EQ(1, number_of(submit(cluster.executor, "test.echo", 1)));
}

} // namespace
} // namespace conformance
