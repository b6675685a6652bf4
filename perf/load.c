/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - an HTTP/1.1 load generator, written on Skua: see usage_exit().
 *
 * Latency is counted per request, in a histogram of three significant digits.
 * Progress goes to standard error, the result to standard output.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_load.h"

enum { NAME_WIDTH = 24 };

struct command {
    struct load load;
    const char *name; /* of the scenario; NULL: the path */
    int loops;
    bool lines; /* one result a line, as the other programs of perf/ */
    bool no_header;
    bool quiet;
};

static void usage_exit(void)
{
    fprintf(
        stderr,
        "usage: load --port P [option value]...\n"
        "  --host ADDRESS    numeric; 127.0.0.1\n"
        "  --path PATH       /\n"
        "  --connections N   64\n"
        "  --duration S      3\n"
        "  --pipeline N      requests in one send, up to 64; 1\n"
        "  --rate R          requests a second in all, sent on time and timed\n"
        "                    from then; 0: as fast as responses come\n"
        "  --loops N         one per core\n"
        "  --format table|lines\n"
        "  --name TEXT       of the scenario in the table; the path\n"
        "  --header yes|no   of the table; yes\n"
        "  --progress yes|no yes\n");
    exit(2);
}

static double number_of(const char *text, double max)
{
    char *end;
    double number = strtod(text, &end);

    if (*text == '\0' || *end != '\0' || !(number >= 0 && number <= max)) {
        usage_exit();
    }
    return number;
}

static bool is_choice(const char *text, const char *yes, const char *no)
{
    if (strcmp(text, yes) != 0 && strcmp(text, no) != 0) {
        usage_exit();
    }
    return strcmp(text, yes) == 0;
}

static bool parse_text(struct command *command, const char *option,
                       const char *value)
{
    struct load *load = &command->load;

    if (strcmp(option, "--host") == 0) {
        load->host = strcmp(value, "localhost") == 0 ? "127.0.0.1" : value;
    } else if (strcmp(option, "--path") == 0) {
        load->path = value;
    } else if (strcmp(option, "--name") == 0) {
        command->name = value;
    } else if (strcmp(option, "--format") == 0) {
        command->lines = is_choice(value, "lines", "table");
    } else if (strcmp(option, "--header") == 0) {
        command->no_header = is_choice(value, "no", "yes");
    } else if (strcmp(option, "--progress") == 0) {
        command->quiet = is_choice(value, "no", "yes");
    } else {
        return false;
    }
    return true;
}

static bool parse_number(struct command *command, const char *option,
                         const char *value)
{
    struct load *load = &command->load;

    if (strcmp(option, "--port") == 0) {
        load->port = (int)number_of(value, 65535);
    } else if (strcmp(option, "--connections") == 0) {
        load->connections = (int)number_of(value, 1e6);
    } else if (strcmp(option, "--pipeline") == 0) {
        load->pipeline = (int)number_of(value, LOAD_PIPELINE_MAX);
    } else if (strcmp(option, "--rate") == 0) {
        load->rate = (int64_t)number_of(value, 1e9);
    } else if (strcmp(option, "--loops") == 0) {
        command->loops = (int)number_of(value, LOAD_LOOPS_MAX);
    } else if (strcmp(option, "--duration") == 0) {
        load->run_ns = (int64_t)(number_of(value, 86400) * (double)SKUA_S);
    } else {
        return false;
    }
    return true;
}

static void parse_options(struct command *command, int argc, char **argv)
{
    struct load *load = &command->load;

    load->host = "127.0.0.1";
    load->path = "/";
    load->connections = 64;
    load->pipeline = 1;
    load->run_ns = 3 * SKUA_S;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 >= argc || (!parse_text(command, argv[i], argv[i + 1]) &&
                              !parse_number(command, argv[i], argv[i + 1]))) {
            usage_exit();
        }
    }
    if (load->port == 0 || load->connections == 0 || load->pipeline == 0 ||
        load->run_ns == 0 || strlen(load->path) > LOAD_PATH_BYTES ||
        load->path[0] != '/' || strpbrk(load->path, " \r\n") != NULL) {
        usage_exit();
    }
    if (command->name == NULL) {
        command->name = load->path;
    }
}

static int64_t errors_of(const struct load_totals *totals)
{
    return totals->connect_errors + totals->read_errors + totals->status_errors;
}

/* A line a second; cancelled when the load is over. */
static int show_progress(void *arg)
{
    struct command *command = arg;
    int64_t before = 0;
    int seconds = 0;

    while (skua_sleep(SKUA_S) == 0) {
        struct load_totals totals;

        http_load_totals(&command->load, &totals);
        fprintf(stderr, "  %-*s %3d s %9lld requests/s %6lld errors\n",
                NAME_WIDTH, command->name, ++seconds,
                (long long)(totals.responses - before),
                (long long)errors_of(&totals));
        before = totals.responses;
    }
    return 0;
}

static void print_table(const struct command *command,
                        const struct histogram *latency,
                        const struct load_totals *totals, double rate)
{
    if (!command->no_header) {
        printf("%-*s %11s %9s %9s %9s %9s %7s\n", NAME_WIDTH, "scenario",
               "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms",
               "errors");
    }
    printf("%-*s %11.0f %9.3f %9.3f %9.3f %9.3f %7lld\n", NAME_WIDTH,
           command->name, rate, (double)histogram_percentile(latency, 50) / 1e6,
           (double)histogram_percentile(latency, 99) / 1e6,
           (double)histogram_percentile(latency, 99.9) / 1e6,
           (double)latency->max / 1e6, (long long)errors_of(totals));
}

static void print_line(const struct command *command, const char *figure,
                       double value, const char *unit)
{
    const struct load *load = &command->load;

    printf("load skua path=%s,connections=%d,pipeline=%d,rate=%lld,loops=%d,%s "
           "%.3f %s\n",
           load->path, load->connections, load->pipeline, (long long)load->rate,
           load->shards, figure, value, unit);
}

static void print_lines(const struct command *command,
                        const struct histogram *latency,
                        const struct load_totals *totals, double rate)
{
    static const double percents[] = {50, 90, 99, 99.9, 99.99};

    print_line(command, "throughput", rate, "requests/s");
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        char figure[16];

        (void)snprintf(figure, sizeof(figure), "p%g", percents[i]);
        print_line(command, figure,
                   (double)histogram_percentile(latency, percents[i]) / 1e3,
                   "us");
    }
    print_line(command, "mean", histogram_mean(latency) / 1e3, "us");
    print_line(command, "max", (double)latency->max / 1e3, "us");
    print_line(command, "connect-errors", (double)totals->connect_errors,
               "errors");
    print_line(command, "read-errors", (double)totals->read_errors, "errors");
    print_line(command, "status-errors", (double)totals->status_errors,
               "errors");
}

static int print_result(struct command *command, double seconds)
{
    struct load *load = &command->load;
    struct histogram *latency = histogram_new();
    struct load_totals totals;
    double rate;

    if (latency == NULL) {
        return -ENOMEM;
    }
    http_load_totals(load, &totals);
    for (int i = 0; i < load->shards; i++) {
        histogram_merge(latency, load->shard[i].latency);
    }
    rate = (double)totals.responses / seconds;
    if (command->lines) {
        print_lines(command, latency, &totals, rate);
    } else {
        print_table(command, latency, &totals, rate);
    }
    if (atomic_load(&load->unsent) > 0) {
        printf("# %lld requests were due but never sent: the rate is beyond "
               "the server\n",
               atomic_load(&load->unsent));
    }
    free(latency);
    return errors_of(&totals) > 0 || totals.responses == 0 ? -EPROTO : 0;
}

static int generate(void *arg)
{
    struct command *command = arg;
    skua_task *progress = NULL;
    int status = 0;
    int printed;

    if (!command->quiet) {
        status = skua_create_task(show_progress, command, &progress);
    }
    if (status == 0) {
        status = http_load_run(&command->load);
    }
    if (progress != NULL) {
        (void)skua_task_cancel(progress);
        (void)skua_await(progress, NULL);
        skua_future_unref(progress);
    }
    if (status < 0 && status != SKUA_ECANCELED) {
        return status;
    }
    printed = print_result(
        command, (double)(skua_monotonic() - command->load.start_ns) / 1e9);
    return status < 0 ? status : printed;
}

int main(int argc, char **argv)
{
    static struct command command;
    skua_runner_options options = {0};
    int status;

    parse_options(&command, argc, argv);
    options.loops = (unsigned)command.loops;
    (void)harness_raise_files();
    status = skua_run_with(&options, generate, &command, NULL);
    http_load_clear(&command.load);
    if (status < 0 && status != -EPROTO) {
        fprintf(stderr, "load: %s\n", skua_strerror(status));
    }
    return status < 0;
}
