/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skua_worker.c - serve the functions of a shared object over NATS.
 *
 *   skua-worker [options] OBJECT.so
 *
 * The object defines `int skua_worker_register(void)`, which registers its
 * functions (skua/function.h). SIGTERM and SIGINT drain: no more work is taken,
 * what there is is finished and answered, then the program ends with 0. A
 * second signal ends it at once. Its figures are printed at the end, as one
 * line of JSON; requests on PREFIX.stats get the same.
 */
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <skua.h>

enum { EXIT_USAGE = 2 };

struct program {
    skua_nats_worker_options options;
    const char *object;
    int64_t stats_ns; /* 0: only at the end */
    skua_nats_worker *worker;
    int signals; /* a descriptor */
    int seen;
};

static const char usage[] =
    "usage: skua-worker [options] OBJECT.so\n"
    "Serve the functions that OBJECT.so registers in skua_worker_register().\n"
    "\n"
    "  --url URLS             of the servers, with commas\n"
    "                         (nats://127.0.0.1:4222)\n"
    "  --prefix WORDS         of all subjects (skua)\n"
    "  --inbox WORDS          prefix of the subjects for answers (_INBOX)\n"
    "  --name NAME            shown by the servers (skua-worker)\n"
    "  --workers N            threads (one for each core)\n"
    "  --max-queued N         calls that wait for one (256)\n"
    "  --max-bytes N          of one call or answer (what the server takes)\n"
    "  --keep-seconds N       for how long answers are kept (30)\n"
    "  --durable              take work from streams (JetStream)\n"
    "  --replicas N           of the streams, if they must be made (1)\n"
    "  --ack-wait SECONDS     silence that means death (5)\n"
    "  --user NAME            with the password in SKUA_NATS_PASSWORD\n"
    "  --token-from-env       the token in SKUA_NATS_TOKEN\n"
    "  --creds FILE           a JWT and the seed of its key\n"
    "  --nkey KEY             with --nkey-seed FILE\n"
    "  --nkey-seed FILE\n"
    "  --tls                  demand TLS\n"
    "  --tls-ca FILE          authorities (the system's)\n"
    "  --tls-cert FILE        with --tls-key FILE\n"
    "  --tls-key FILE\n"
    "  --tls-server-name HOST what the certificate must say\n"
    "  --stats-interval SECONDS  print the figures now and then\n"
    "  --help\n";

enum {
    OPTION_URL = 1,
    OPTION_PREFIX,
    OPTION_INBOX,
    OPTION_NAME,
    OPTION_WORKERS,
    OPTION_MAX_QUEUED,
    OPTION_MAX_BYTES,
    OPTION_KEEP,
    OPTION_DURABLE,
    OPTION_REPLICAS,
    OPTION_ACK_WAIT,
    OPTION_USER,
    OPTION_TOKEN,
    OPTION_CREDS,
    OPTION_NKEY,
    OPTION_NKEY_SEED,
    OPTION_TLS,
    OPTION_TLS_CA,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_TLS_SERVER,
    OPTION_STATS,
    OPTION_HELP,
};

static const struct option options_long[] = {
    {"url", required_argument, NULL, OPTION_URL},
    {"prefix", required_argument, NULL, OPTION_PREFIX},
    {"inbox", required_argument, NULL, OPTION_INBOX},
    {"name", required_argument, NULL, OPTION_NAME},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"max-queued", required_argument, NULL, OPTION_MAX_QUEUED},
    {"max-bytes", required_argument, NULL, OPTION_MAX_BYTES},
    {"keep-seconds", required_argument, NULL, OPTION_KEEP},
    {"durable", no_argument, NULL, OPTION_DURABLE},
    {"replicas", required_argument, NULL, OPTION_REPLICAS},
    {"ack-wait", required_argument, NULL, OPTION_ACK_WAIT},
    {"user", required_argument, NULL, OPTION_USER},
    {"token-from-env", no_argument, NULL, OPTION_TOKEN},
    {"creds", required_argument, NULL, OPTION_CREDS},
    {"nkey", required_argument, NULL, OPTION_NKEY},
    {"nkey-seed", required_argument, NULL, OPTION_NKEY_SEED},
    {"tls", no_argument, NULL, OPTION_TLS},
    {"tls-ca", required_argument, NULL, OPTION_TLS_CA},
    {"tls-cert", required_argument, NULL, OPTION_TLS_CERT},
    {"tls-key", required_argument, NULL, OPTION_TLS_KEY},
    {"tls-server-name", required_argument, NULL, OPTION_TLS_SERVER},
    {"stats-interval", required_argument, NULL, OPTION_STATS},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int fail_usage(const char *what, const char *value)
{
    (void)fprintf(stderr, "skua-worker: %s%s; see --help\n", what, value);
    return EXIT_USAGE;
}

/* A number from `least` to `most`; false: it is none. */
static bool get_number(const char *text, long long least, long long most,
                       long long *out_number)
{
    char *end;

    errno = 0;
    *out_number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out_number >= least &&
           *out_number <= most;
}

/* Options with a string. False: it is none of them. */
static bool take_string(struct program *program, int option)
{
    skua_nats_options *nats = &program->options.nats;
    const char **const places[] = {
        [OPTION_URL] = &nats->urls,
        [OPTION_PREFIX] = &nats->prefix,
        [OPTION_INBOX] = &nats->inbox,
        [OPTION_NAME] = &nats->name,
        [OPTION_USER] = &nats->user,
        [OPTION_CREDS] = &nats->credentials_file,
        [OPTION_NKEY] = &nats->nkey,
        [OPTION_NKEY_SEED] = &nats->nkey_seed_file,
        [OPTION_TLS_CA] = &nats->ca_file,
        [OPTION_TLS_CERT] = &nats->cert_file,
        [OPTION_TLS_KEY] = &nats->key_file,
        [OPTION_TLS_SERVER] = &nats->server_name,
        [OPTION_HELP] = NULL,
    };

    if (places[option] == NULL) {
        return false;
    }
    *places[option] = optarg;
    return true;
}

/* Options with a number. 0, or the exit status. */
static int take_number(struct program *program, int option)
{
    long long most = option == OPTION_WORKERS ? 4095 : 1000000000;
    long long number;

    if (!get_number(optarg, 1, most, &number)) {
        return fail_usage("not a number that is allowed: ", optarg);
    }
    switch (option) {
    case OPTION_WORKERS:
        program->options.workers = (int)number;
        return 0;
    case OPTION_MAX_QUEUED:
        program->options.max_queued = (size_t)number;
        return 0;
    case OPTION_MAX_BYTES:
        program->options.nats.max_message_bytes = (size_t)number;
        return 0;
    case OPTION_KEEP:
        program->options.keep_ns = number * SKUA_S;
        return 0;
    case OPTION_REPLICAS:
        program->options.nats.replicas = (int)number;
        return 0;
    case OPTION_ACK_WAIT:
        program->options.nats.ack_wait_ns = number * SKUA_S;
        return 0;
    case OPTION_STATS:
        program->stats_ns = number * SKUA_S;
        return 0;
    default:
        return fail_usage("unknown option", "");
    }
}

/* Secrets do not stand in the list of processes. 0, or the exit status. */
static int take_flag(struct program *program, int option)
{
    skua_nats_options *nats = &program->options.nats;

    switch (option) {
    case OPTION_DURABLE:
        nats->durable = true;
        return 0;
    case OPTION_TLS:
        nats->tls = true;
        return 0;
    case OPTION_TOKEN:
        nats->token = getenv("SKUA_NATS_TOKEN");
        return nats->token != NULL
                   ? 0
                   : fail_usage("SKUA_NATS_TOKEN is not set", "");
    default:
        return -1;
    }
}

/* 0; -1: help was asked for; or the exit status. */
static int take_options(struct program *program, int argc, char **argv)
{
    int option;

    program->options.nats.name = "skua-worker";
    while ((option = getopt_long(argc, argv, "", options_long, NULL)) != -1) {
        int status = -1;

        if (option == OPTION_HELP) {
            return -1;
        }
        if (option == '?') {
            return EXIT_USAGE; /* getopt has said why */
        }
        if (!take_string(program, option)) {
            status = take_flag(program, option);
            status = status < 0 ? take_number(program, option) : status;
            if (status != 0) {
                return status;
            }
        }
    }
    if (program->options.nats.user != NULL) {
        program->options.nats.password = getenv("SKUA_NATS_PASSWORD");
    }
    if (optind != argc - 1) {
        return fail_usage("exactly one shared object is needed", "");
    }
    program->object = argv[optind];
    return 0;
}

static int load_functions(const char *object)
{
    /* A name without a slash is here, not in the system's folders. */
    char path[4096];
    skua_worker_register_fn *fn;
    void *library;
    int status;

    (void)snprintf(path, sizeof(path), "%s%s",
                   strchr(object, '/') == NULL ? "./" : "", object);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        (void)fprintf(stderr, "skua-worker: %s\n", dlerror());
        return 1;
    }
    *(void **)&fn = dlsym(library, "skua_worker_register");
    if (fn == NULL) {
        (void)fprintf(stderr,
                      "skua-worker: %s: no function skua_worker_register\n",
                      object);
        return 1;
    }
    status = fn();
    if (status < 0) {
        (void)fprintf(stderr, "skua-worker: %s: skua_worker_register: %s\n",
                      object, skua_strerror(status));
        return 1;
    }
    return 0;
}

static void print_stats(const struct program *program)
{
    skua_nats_worker_stats stats;

    if (skua_nats_worker_get_stats(program->worker, &stats) < 0) {
        return;
    }
    (void)printf("{\"taken\":%lld,\"answered\":%lld,\"failed\":%lld,"
                 "\"busy\":%lld,\"refused\":%lld,\"malformed\":%lld,"
                 "\"duplicates\":%lld,\"redelivered\":%lld,\"dead\":%lld,"
                 "\"resent\":%lld,\"reconnects\":%lld,\"running\":%lld,"
                 "\"queued\":%lld}\n",
                 (long long)stats.taken, (long long)stats.answered,
                 (long long)stats.failed, (long long)stats.busy,
                 (long long)stats.refused, (long long)stats.malformed,
                 (long long)stats.duplicates, (long long)stats.redelivered,
                 (long long)stats.dead, (long long)stats.resent,
                 (long long)stats.reconnects, (long long)stats.running,
                 (long long)stats.queued);
    (void)fflush(stdout);
}

static void print_again(void *arg)
{
    struct program *program = arg;

    print_stats(program);
    (void)skua_loop_call_later(skua_get_running_loop(), program->stats_ns,
                               print_again, program, NULL);
}

static void take_signal(void *arg)
{
    struct program *program = arg;
    struct signalfd_siginfo info;

    if (read(program->signals, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return;
    }
    if (program->seen++ > 0) {
        (void)fprintf(stderr, "skua-worker: ended at once\n");
        _exit(128 + (int)info.ssi_signo);
    }
    (void)fprintf(stderr, "skua-worker: draining\n");
    (void)skua_nats_worker_drain(program->worker);
}

static int serve(void *arg)
{
    struct program *program = arg;
    skua_loop *loop = skua_get_running_loop();
    int status =
        skua_nats_worker_new(loop, &program->options, &program->worker);

    if (status < 0) {
        const skua_exception *exception = skua_current_exception();

        (void)fprintf(stderr, "skua-worker: %s%s%s\n", skua_strerror(status),
                      exception == NULL ? "" : ": ",
                      exception == NULL ? ""
                                        : skua_exception_message(exception));
        return status;
    }
    status = skua_loop_add_reader(loop, program->signals, take_signal, program);
    if (status == 0 && program->stats_ns > 0) {
        status = skua_loop_call_later(loop, program->stats_ns, print_again,
                                      program, NULL);
    }
    (void)fprintf(stderr, "skua-worker: serving\n");
    if (status == 0) {
        status = skua_nats_worker_wait(program->worker);
    }
    (void)skua_loop_remove_reader(loop, program->signals);
    print_stats(program);
    if (status < 0) {
        (void)fprintf(stderr, "skua-worker: %s\n", skua_strerror(status));
    }
    skua_nats_worker_unref(program->worker);
    return status;
}

int main(int argc, char **argv)
{
    struct program program = {.signals = -1};
    skua_loop *loop;
    sigset_t signals;
    int status = take_options(&program, argc, argv);

    if (status != 0) {
        (void)fputs(status < 0 ? usage : "", stdout);
        return status < 0 ? 0 : status;
    }
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    program.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (program.signals < 0 || load_functions(program.object) != 0) {
        return 1;
    }
    if (skua_loop_new(NULL, &loop) < 0) {
        (void)fprintf(stderr, "skua-worker: no loop\n");
        return 1;
    }
    status = skua_loop_run_until_complete(
        loop, skua_awaitable_call(serve, &program), NULL);
    (void)skua_loop_close(loop);
    skua_loop_unref(loop);
    (void)close(program.signals);
    return status < 0 ? 1 : 0;
}
