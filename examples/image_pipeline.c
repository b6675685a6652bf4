/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_pipeline.c - a CPU job over many files:
 *
 *   image_pipeline [--executor threads|processes] [--jobs N] FROM TO
 *   image_pipeline --generate N [--size WxH] FROM
 *   image_pipeline
 *
 * The first reads each *.ppm in the folder FROM, blurs, scales down and
 * equalises it (image_filter.c), and writes it to the folder TO. The second
 * draws images to begin with. The third tests the program in a folder of its
 * own, with an interruption.
 *
 * One loop has a few files in hand at a time. Files are read and written by the
 * default executor, which is for what blocks; images are filtered by one for
 * what computes, with as many workers as --jobs says. Each file is written
 * under another name and then renamed, so what has its name is whole. Ctrl-C
 * ends it: no more files are begun, the filters that run are told to stop by a
 * token. Called again, it skips what is there and newer than its source. A
 * second Ctrl-C ends it at once, with nothing worse behind it than a file with
 * a name that begins with a dot, which the next run replaces.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sigset_t, signalfd() */
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skua.h>

#include "image_filter.h"

enum {
    JOBS_MAX = 256,
    FILES_EACH = 2,   /* in hand for each job: one is read, or written */
    SIDE_MAX = 32768, /* of an image */
    BAR_CELLS = 30,
    LINES = 10, /* of progress, where there is no terminal */
    EXIT_INTERRUPTED = 128 + SIGINT,
};

struct pipeline {
    const char *from;
    const char *to;
    const char *kind; /* of executor */
    int jobs;         /* 0: one a core */
    bool quiet;
    size_t stop_after; /* for tests: SIGINT after so many files; 0: never */

    char **names;
    size_t count;
    size_t next; /* to be begun */
    size_t done;
    size_t skipped; /* they are there */
    size_t failed;
    bool interrupted;

    skua_executor *cpu;
    skua_cancel_token *stop; /* of the work in `cpu` */
    skua_loop *loop;
    int signal_fd;
    int64_t begin_ns;
};

/* --- files, in the default executor ------------------------------------- */

struct file {
    char from[PATH_MAX];
    char to[PATH_MAX];
    char draft[PATH_MAX]; /* the name that it is written under */
    bool is_there;        /* and newer than its source */
    skua_buffer *buffer;  /* what it holds */
    const void *out;      /* what is to be written */
    size_t out_bytes;
};

static int read_all(int fd, unsigned char *data, size_t bytes)
{
    size_t filled = 0;

    while (filled < bytes) {
        ssize_t got = read(fd, data + filled, bytes - filled);

        if (got <= 0) {
            return got < 0 ? -errno : -EIO; /* it became shorter */
        }
        filled += (size_t)got;
    }
    return 0;
}

static int file_read_from(struct file *file, int fd)
{
    struct stat about;
    int status;

    if (fstat(fd, &about) < 0) {
        return -errno;
    }
    status = skua_buffer_new((size_t)about.st_size, &file->buffer);
    return status < 0 ? status
                      : read_all(fd, skua_buffer_data(file->buffer),
                                 (size_t)about.st_size);
}

static int file_read(void *arg)
{
    struct file *file = arg;
    struct stat source;
    struct stat target;
    int status;
    int fd;

    if (stat(file->from, &source) == 0 && stat(file->to, &target) == 0 &&
        (target.st_mtim.tv_sec > source.st_mtim.tv_sec ||
         (target.st_mtim.tv_sec == source.st_mtim.tv_sec &&
          target.st_mtim.tv_nsec >= source.st_mtim.tv_nsec))) {
        file->is_there = true;
        return 0;
    }
    fd = open(file->from, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    status = file_read_from(file, fd);
    (void)close(fd);
    return status;
}

static int write_all(int fd, const unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(fd, data, bytes);

        if (put < 0) {
            return -errno;
        }
        data += put;
        bytes -= (size_t)put;
    }
    return fsync(fd) < 0 ? -errno : 0; /* before its name says it is whole */
}

/* Under another name first: what has the name is whole. */
static int file_write(void *arg)
{
    struct file *file = arg;
    int fd = open(file->draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int status;

    if (fd < 0) {
        return -errno;
    }
    status = write_all(fd, file->out, file->out_bytes);
    if (close(fd) < 0 && status == 0) {
        status = -errno;
    }
    if (status == 0 && rename(file->draft, file->to) < 0) {
        status = -errno;
    }
    if (status < 0) {
        (void)unlink(file->draft);
    }
    return status;
}

/* --- progress, on standard error ---------------------------------------- */

static void show_bar(const struct pipeline *pipeline, size_t ended)
{
    double seconds = (double)(skua_monotonic() - pipeline->begin_ns) / 1e9;
    char bar[BAR_CELLS + 1];

    for (size_t i = 0; i < BAR_CELLS; i++) {
        bar[i] = i * pipeline->count < ended * BAR_CELLS ? '#' : '.';
    }
    bar[BAR_CELLS] = '\0';
    (void)fprintf(stderr, "\r[%s] %zu of %zu  %.1f a second ", bar, ended,
                  pipeline->count, (double)pipeline->done / (seconds + 1e-9));
}

static void show_progress(const struct pipeline *pipeline)
{
    size_t ended = pipeline->done + pipeline->skipped + pipeline->failed;

    if (pipeline->quiet) {
        return;
    }
    if (isatty(STDERR_FILENO)) {
        show_bar(pipeline, ended);
    } else if (ended * LINES / pipeline->count !=
               (ended - 1) * LINES / pipeline->count) {
        (void)fprintf(stderr, "%zu of %zu\n", ended, pipeline->count);
    }
}

static void end_progress(const struct pipeline *pipeline)
{
    if (!pipeline->quiet && isatty(STDERR_FILENO)) {
        (void)fputc('\n', stderr);
    }
}

/* --- one file after the other: a task ----------------------------------- */

static int file_name(struct file *file, const struct pipeline *pipeline,
                     const char *name)
{
    int longest = snprintf(file->draft, sizeof(file->draft), "%s/.%s.part",
                           pipeline->to, name);

    (void)snprintf(file->to, sizeof(file->to), "%s/%s", pipeline->to, name);
    return longest < PATH_MAX &&
                   snprintf(file->from, sizeof(file->from), "%s/%s",
                            pipeline->from, name) < PATH_MAX
               ? 0
               : -ENAMETOOLONG;
}

/* Filter what was read and write that. The buffer goes there without a copy,
 * and to processes as well; so does the answer come back. */
static int file_convert(struct pipeline *pipeline, struct file *file)
{
    const skua_work work = {.name = IMAGE_FILTER_NAME, .buffer = file->buffer};
    const skua_submit_options options = {.token = pipeline->stop};
    skua_future *future;
    int status =
        skua_executor_submit_work(pipeline->cpu, &work, &options, &future);

    if (status < 0) {
        return status;
    }
    status = skua_await(future, NULL);
    if (status >= 0) {
        status = skua_future_bytes(future, &file->out, &file->out_bytes);
    }
    if (status >= 0) {
        status = skua_to_thread(file_write, file, NULL);
    }
    skua_future_unref(future);
    return status;
}

static int file_handle(struct pipeline *pipeline, struct file *file,
                       const char *name)
{
    int status = file_name(file, pipeline, name);

    if (status == 0) {
        status = skua_to_thread(file_read, file, NULL);
    }
    if (status == 0 && !file->is_there) {
        status = file_convert(pipeline, file);
    }
    skua_buffer_unref(file->buffer);
    return status;
}

static void say_why(const char *name, int status)
{
    skua_exception *exception = skua_current_exception();
    const char *message =
        exception == NULL ? "" : skua_exception_message(exception);

    (void)fprintf(stderr, "%s: %s%s%s\n", name, skua_strerror(status),
                  *message == '\0' ? "" : ": ", message);
}

/* All of these tasks run on one loop, so they may count without more ado. */
static int handle_files(void *arg)
{
    struct pipeline *pipeline = arg;
    struct file *file =
        skua_allocate(sizeof(*file)); /* too large for a stack */

    if (file == NULL) {
        return -ENOMEM;
    }
    while (!pipeline->interrupted && pipeline->next < pipeline->count) {
        const char *name = pipeline->names[pipeline->next++];
        int status;

        file->is_there = false;
        file->buffer = NULL;
        status = file_handle(pipeline, file, name);
        if (status == SKUA_ECANCELED && pipeline->interrupted) {
            break; /* nothing of it is there, nor counted */
        }
        if (status < 0) {
            pipeline->failed++;
            say_why(name, status);
        } else if (file->is_there) {
            pipeline->skipped++;
        } else if (++pipeline->done == pipeline->stop_after) {
            (void)kill(getpid(), SIGINT);
        }
        show_progress(pipeline);
    }
    skua_release(file);
    return 0;
}

/* --- the main task ------------------------------------------------------ */

/* The first SIGINT: an orderly end. From then on it ends the program. */
static void on_interrupt(void *arg)
{
    struct pipeline *pipeline = arg;
    struct signalfd_siginfo which;
    sigset_t set;

    (void)!read(pipeline->signal_fd, &which, sizeof(which));
    (void)skua_loop_remove_reader(pipeline->loop, pipeline->signal_fd);
    pipeline->interrupted = true;
    (void)skua_cancel_token_cancel(pipeline->stop);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int make_executor(const struct pipeline *pipeline,
                         skua_executor **out_executor)
{
    const skua_thread_pool_options threads = {
        .max_workers = pipeline->jobs,
        .name_prefix = "filter",
    };
    const skua_process_pool_options processes = {
        .max_workers = pipeline->jobs,
        .restart = SKUA_RESTART_ALWAYS, /* one bad image is not the end */
    };

    if (strcmp(pipeline->kind, "processes") == 0) {
        return skua_process_pool_executor_new(&processes, out_executor);
    }
    return skua_thread_pool_executor_new(&threads, out_executor);
}

static int run_tasks(struct pipeline *pipeline)
{
    skua_task_group group = {0};
    int status = 0;

    for (int i = 0; status == 0 && i < FILES_EACH * pipeline->jobs; i++) {
        status = skua_task_group_create_task(&group, handle_files, pipeline);
    }
    return skua_task_group_join(&group) < 0 ? -ECANCELED : status;
}

static int main_task(void *arg)
{
    struct pipeline *pipeline = arg;
    int status = skua_cancel_token_new(NULL, &pipeline->stop);

    pipeline->loop = skua_get_running_loop();
    pipeline->begin_ns = skua_monotonic();
    if (status == 0) {
        status = make_executor(pipeline, &pipeline->cpu);
    }
    if (status == 0) {
        status = skua_loop_add_reader(pipeline->loop, pipeline->signal_fd,
                                      on_interrupt, pipeline);
    }
    if (status == 0) {
        status = run_tasks(pipeline);
        (void)skua_loop_remove_reader(pipeline->loop, pipeline->signal_fd);
        end_progress(pipeline);
    }
    (void)skua_executor_shutdown(pipeline->cpu, true, true);
    skua_executor_unref(pipeline->cpu);
    skua_cancel_token_unref(pipeline->stop);
    return status;
}

/* --- a run -------------------------------------------------------------- */

static int is_image(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && length > 4 &&
           strcmp(entry->d_name + length - 4, ".ppm") == 0;
}

static int names_list(struct pipeline *pipeline)
{
    struct dirent **entries = NULL;
    int count = scandir(pipeline->from, &entries, is_image, alphasort);
    int status = count < 0 ? -errno : 0;

    if (count > 0) {
        pipeline->names = skua_allocate((size_t)count * sizeof(char *));
        status = pipeline->names == NULL ? -ENOMEM : 0;
    }
    for (int i = 0; i < count; i++) {
        if (status == 0) {
            char *name = skua_allocate(strlen(entries[i]->d_name) + 1);

            if (name == NULL) {
                status = -ENOMEM;
            } else {
                (void)strcpy(name, entries[i]->d_name);
                pipeline->names[pipeline->count++] = name;
            }
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

static void names_free(struct pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        skua_release(pipeline->names[i]);
    }
    skua_release(pipeline->names);
}

/* SIGINT as a descriptor, here and in every thread to come. */
static int interrupts_open(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void say_how_it_ended(const struct pipeline *pipeline)
{
    size_t there = pipeline->done + pipeline->skipped;

    if (pipeline->quiet) {
        return;
    }
    if (pipeline->interrupted) {
        (void)fprintf(stderr,
                      "interrupted: %zu of %zu are done; the same command goes "
                      "on with the rest\n",
                      there, pipeline->count);
    } else {
        (void)fprintf(stderr, "%zu done, %zu were there, %zu failed\n",
                      pipeline->done, pipeline->skipped, pipeline->failed);
    }
}

/* The exit status. */
static int pipeline_run(struct pipeline *pipeline)
{
    const skua_runner_options options = {.loops = 1, .no_sigint = true};
    int status = names_list(pipeline);

    if (status == 0 && mkdir(pipeline->to, 0777) < 0 && errno != EEXIST) {
        status = -errno;
    }
    if (status == 0) {
        pipeline->signal_fd = interrupts_open();
        status = skua_run_with(&options, main_task, pipeline, NULL);
        (void)close(pipeline->signal_fd);
    }
    if (status < 0) {
        (void)fprintf(stderr, "image_pipeline: %s\n", skua_strerror(status));
        return 1;
    }
    say_how_it_ended(pipeline);
    return pipeline->interrupted ? EXIT_INTERRUPTED : pipeline->failed > 0;
}

/* --- images to begin with ----------------------------------------------- */

static int generate(const char *folder, long count, unsigned width,
                    unsigned height)
{
    struct file file = {.buffer = NULL};
    const struct pipeline place = {.from = folder, .to = folder};
    unsigned char *data;
    char name[32];
    int status = mkdir(folder, 0777) < 0 && errno != EEXIST ? -errno : 0;

    for (long i = 0; status == 0 && i < count; i++) {
        (void)snprintf(name, sizeof(name), "image-%04ld.ppm", i);
        status = file_name(&file, &place, name);
        if (status == 0) {
            status = image_draw(width, height, (uint64_t)i + 1, &data,
                                &file.out_bytes);
        }
        if (status == 0) {
            file.out = data;
            status = file_write(&file);
            skua_release(data);
        }
    }
    return status;
}

/* --- the program tests itself ------------------------------------------- */

enum { TEST_FILES = 24, TEST_WIDTH = 322, TEST_HEIGHT = 241, TEST_STOP = 7 };

static void remove_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, NULL);

    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        (void)unlink(path);
        free(entries[i]);
    }
    free(entries);
    (void)rmdir(folder);
}

/* How many images of the right size the folder has; -1: something else, too. */
static int count_whole(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, NULL);
    int whole = 0;

    for (int i = 0; i < count; i++) {
        struct file file = {.buffer = NULL};

        (void)snprintf(file.from, sizeof(file.from), "%s/%s", folder,
                       entries[i]->d_name);
        if (is_image(entries[i]) && whole >= 0 && file_read(&file) == 0 &&
            image_check(skua_buffer_data(file.buffer),
                        skua_buffer_bytes(file.buffer), (TEST_WIDTH + 1) / 2,
                        (TEST_HEIGHT + 1) / 2) == 0) {
            whole++;
        } else if (strcmp(entries[i]->d_name, ".") != 0 &&
                   strcmp(entries[i]->d_name, "..") != 0) {
            whole = -1;
        }
        skua_buffer_unref(file.buffer);
        free(entries[i]);
    }
    free(entries);
    return whole;
}

static bool check(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "self-test: not so: %s\n", what);
    }
    return condition;
}

/* Run it; true if it ended with `wanted`. */
static bool test_run(struct pipeline *pipeline, int wanted)
{
    int status = pipeline_run(pipeline);

    names_free(pipeline);
    return check(status == wanted, "the exit status");
}

/* Interrupt a run, finish it, and have nothing left to do. */
static bool test_in(const char *from, const char *to, const char *kind)
{
    const struct pipeline begin = {
        .from = from, .to = to, .kind = kind, .jobs = 2, .quiet = true};
    struct pipeline first = begin;
    struct pipeline second = begin;
    struct pipeline third = begin;

    first.stop_after = TEST_STOP;
    return test_run(&first, EXIT_INTERRUPTED) &&
           check(first.done >= TEST_STOP && first.done < TEST_FILES,
                 "some are done, and not all") &&
           check(count_whole(to) == (int)first.done,
                 "what is there is what was done, and whole") &&
           test_run(&second, 0) &&
           check(second.skipped == first.done, "it goes on where it was") &&
           check(second.done == TEST_FILES - first.done, "and does the rest") &&
           check(count_whole(to) == TEST_FILES, "all are there, and whole") &&
           test_run(&third, 0) &&
           check(third.skipped == TEST_FILES, "nothing is done twice");
}

static bool test_kind(const char *kind)
{
    char folder[] = "/tmp/skua-images-XXXXXX";
    char from[64];
    char to[64];
    bool good;

    if (mkdtemp(folder) == NULL) {
        return check(false, "a folder for the test");
    }
    (void)snprintf(from, sizeof(from), "%s/from", folder);
    (void)snprintf(to, sizeof(to), "%s/to", folder);
    good = check(generate(from, TEST_FILES, TEST_WIDTH, TEST_HEIGHT) == 0,
                 "images to begin with") &&
           test_in(from, to, kind);
    remove_folder(from);
    remove_folder(to);
    remove_folder(folder);
    printf("%s: %d images, interrupted and resumed: %s\n", kind, TEST_FILES,
           good ? "good" : "bad");
    return good;
}

/* --- the program -------------------------------------------------------- */

struct options {
    struct pipeline pipeline;
    long generate; /* 0: no */
    unsigned long width;
    unsigned long height;
};

static bool parse_number(const char *text, long most, long *out_number)
{
    char *end;

    *out_number = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' && *out_number > 0 &&
           *out_number <= most;
}

static bool parse_size(const char *text, struct options *options)
{
    char *end;

    options->width = strtoul(text, &end, 10);
    if (end == text || *end != 'x') {
        return false;
    }
    text = end + 1;
    options->height = strtoul(text, &end, 10);
    return end > text && *end == '\0' && options->width - 1 < SIDE_MAX &&
           options->height - 1 < SIDE_MAX;
}

static bool parse_option(struct options *options, const char *name,
                         const char *value)
{
    long number;

    if (strcmp(name, "--executor") == 0) {
        options->pipeline.kind = value;
        return strcmp(value, "threads") == 0 || strcmp(value, "processes") == 0;
    }
    if (strcmp(name, "--jobs") == 0 && parse_number(value, JOBS_MAX, &number)) {
        options->pipeline.jobs = (int)number;
        return true;
    }
    if (strcmp(name, "--size") == 0) {
        return parse_size(value, options);
    }
    return strcmp(name, "--generate") == 0 &&
           parse_number(value, 1000000, &options->generate);
}

static bool parse_options(struct options *options, int argc, char **argv)
{
    const char *folders[2] = {NULL, NULL};
    size_t found = 0;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            if (i + 1 == argc || !parse_option(options, argv[i], argv[i + 1])) {
                return false;
            }
            i++;
        } else if (found < 2) {
            folders[found++] = argv[i];
        } else {
            return false;
        }
    }
    options->pipeline.from = folders[0];
    options->pipeline.to = folders[1];
    return found == (options->generate > 0 ? 1U : 2U) ||
           (found == 0 && options->generate == 0);
}

/* What both kinds of executors need; before there are threads. */
static int prepare(void)
{
    int status = skua_function_register(IMAGE_FILTER_NAME, image_filter);

    return status < 0 ? status : skua_fork_server_start();
}

int main(int argc, char **argv)
{
    struct options options = {
        .pipeline.jobs = (int)sysconf(_SC_NPROCESSORS_ONLN),
        .pipeline.kind = "threads",
        .width = 2048,
        .height = 1536,
    };
    struct pipeline *pipeline = &options.pipeline;
    int status;

    if (!parse_options(&options, argc, argv)) {
        (void)fprintf(stderr,
                      "usage: image_pipeline [--executor threads|processes]"
                      " [--jobs N] [FROM TO]\n"
                      "       image_pipeline --generate N [--size WxH] FROM\n");
        return 2;
    }
    if (options.generate > 0) {
        status = generate(pipeline->from, options.generate,
                          (unsigned)options.width, (unsigned)options.height);
        (void)fprintf(stderr, "%s\n",
                      status == 0 ? "drawn" : skua_strerror(status));
        return status < 0;
    }
    status = prepare();
    if (status < 0) {
        (void)fprintf(stderr, "image_pipeline: %s\n", skua_strerror(status));
        return 1;
    }
    if (pipeline->from == NULL) {
        return !(test_kind("threads") && test_kind("processes"));
    }
    status = pipeline_run(pipeline);
    names_free(pipeline);
    return status;
}
