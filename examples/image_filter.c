/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_filter.c - the work of image_pipeline.c: real, plain, and nothing that
 * knows of executors but for the question whether to stop.
 */
#include "image_filter.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    SIDE_MAX = 32768,
    CHANNELS = 3,
    RADIUS = 8, /* of the blur */
    LEVELS = 256,
    HEAD_BYTES = 64,
};

struct image {
    unsigned width;
    unsigned height;
    const unsigned char *pixels; /* rows of red, green, blue */
};

static size_t image_bytes(unsigned width, unsigned height)
{
    return (size_t)width * height * CHANNELS;
}

/* --- PPM --- */

struct reader {
    const unsigned char *at;
    const unsigned char *end;
};

/* The next number of the head, behind blanks and comments. 0: none. */
static unsigned read_number(struct reader *reader)
{
    unsigned number = 0;

    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' ||
            *reader->at == '\r' || *reader->at == '#')) {
        if (*reader->at == '#') {
            while (reader->at < reader->end && *reader->at != '\n') {
                reader->at++;
            }
        } else {
            reader->at++;
        }
    }
    while (reader->at < reader->end && *reader->at >= '0' &&
           *reader->at <= '9' && number <= SIDE_MAX) {
        number = number * 10 + (unsigned)(*reader->at++ - '0');
    }
    return number;
}

/* The pixels stay in `data`. */
static int image_parse(const void *data, size_t bytes, struct image *out_image)
{
    struct reader reader = {data, (const unsigned char *)data + bytes};
    unsigned most;

    if (bytes < 2 || memcmp(data, "P6", 2) != 0) {
        return skua_raise(-EBADMSG, "no binary PPM");
    }
    reader.at += 2;
    out_image->width = read_number(&reader);
    out_image->height = read_number(&reader);
    most = read_number(&reader);
    if (out_image->width == 0 || out_image->width > SIDE_MAX ||
        out_image->height == 0 || out_image->height > SIDE_MAX ||
        most != LEVELS - 1) {
        return skua_raise(-EBADMSG, "%u x %u pixels up to %u: not supported",
                          out_image->width, out_image->height, most);
    }
    reader.at++; /* one blank */
    out_image->pixels = reader.at;
    if (reader.at > reader.end ||
        (size_t)(reader.end - reader.at) !=
            image_bytes(out_image->width, out_image->height)) {
        return skua_raise(-EBADMSG, "too short, or too long");
    }
    return 0;
}

static int head_print(char head[HEAD_BYTES], unsigned width, unsigned height)
{
    return snprintf(head, HEAD_BYTES, "P6\n%u %u\n%d\n", width, height,
                    LEVELS - 1);
}

int image_check(const void *data, size_t bytes, unsigned width, unsigned height)
{
    struct image image = {0};
    int status = image_parse(data, bytes, &image);

    if (status < 0) {
        return status;
    }
    return image.width == width && image.height == height ? 0 : -EBADMSG;
}

/* --- the filter --- */

struct filter {
    struct image in;
    unsigned width; /* of what comes out */
    unsigned height;
    float kernel[2 * RADIUS + 1];
    float *across; /* blurred in one direction */
    float *both;
    unsigned char *out;
};

static void filter_init(struct filter *filter)
{
    const float sigma = RADIUS / 3.0F;
    float sum = 0;

    for (int i = -RADIUS; i <= RADIUS; i++) {
        float weight = expf(-(float)(i * i) / (2 * sigma * sigma));

        filter->kernel[i + RADIUS] = weight;
        sum += weight;
    }
    for (int i = 0; i <= 2 * RADIUS; i++) {
        filter->kernel[i] /= sum;
    }
    filter->width = (filter->in.width + 1) / 2;
    filter->height = (filter->in.height + 1) / 2;
}

/* `at + offset`, kept within the image. */
static unsigned clamp(unsigned at, int offset, unsigned limit)
{
    int moved = (int)at + offset;

    if (moved < 0) {
        return 0;
    }
    return (unsigned)moved < limit ? (unsigned)moved : limit - 1;
}

static void blur_row(struct filter *filter, unsigned y)
{
    unsigned width = filter->in.width;
    const unsigned char *row = filter->in.pixels + (size_t)y * width * CHANNELS;
    float *to = filter->across + (size_t)y * width * CHANNELS;

    for (unsigned x = 0; x < width; x++) {
        float sums[CHANNELS] = {0};

        for (int i = -RADIUS; i <= RADIUS; i++) {
            const unsigned char *pixel =
                row + (size_t)clamp(x, i, width) * CHANNELS;

            for (int c = 0; c < CHANNELS; c++) {
                sums[c] += filter->kernel[i + RADIUS] * (float)pixel[c];
            }
        }
        memcpy(to + (size_t)x * CHANNELS, sums, sizeof(sums));
    }
}

static void blur_down(struct filter *filter, unsigned y)
{
    size_t values = (size_t)filter->in.width * CHANNELS;
    float *to = filter->both + y * values;

    memset(to, 0, values * sizeof(*to));
    for (int i = -RADIUS; i <= RADIUS; i++) {
        const float *row =
            filter->across + clamp(y, i, filter->in.height) * values;
        float weight = filter->kernel[i + RADIUS];

        for (size_t v = 0; v < values; v++) {
            to[v] += weight * row[v];
        }
    }
}

/* Each pixel is the mean of four. */
static void scale_row(struct filter *filter, unsigned y)
{
    size_t values = (size_t)filter->in.width * CHANNELS;
    const float *upper = filter->both + (size_t)2 * y * values;
    const float *lower =
        filter->both + clamp(2 * y, 1, filter->in.height) * values;
    unsigned char *to = filter->out + (size_t)y * filter->width * CHANNELS;

    for (unsigned x = 0; x < filter->width; x++) {
        size_t left = (size_t)2 * x * CHANNELS;
        size_t right = (size_t)clamp(2 * x, 1, filter->in.width) * CHANNELS;

        for (int c = 0; c < CHANNELS; c++) {
            float sum = upper[left + c] + upper[right + c] + lower[left + c] +
                        lower[right + c];

            *to++ = (unsigned char)(sum / 4 + 0.5F);
        }
    }
}

static unsigned brightness(const unsigned char *pixel)
{
    return (77U * pixel[0] + 150U * pixel[1] + 29U * pixel[2]) >> 8;
}

/* Spread the levels of brightness, so that each is about as frequent. */
static void equalise(struct filter *filter)
{
    size_t pixels = (size_t)filter->width * filter->height;
    uint64_t counts[LEVELS] = {0};
    float gains[LEVELS];
    uint64_t below = 0;

    for (size_t i = 0; i < pixels; i++) {
        counts[brightness(filter->out + i * CHANNELS)]++;
    }
    for (unsigned level = 0; level < LEVELS; level++) {
        below += counts[level];
        gains[level] = (float)(LEVELS - 1) * (float)below /
                       ((float)pixels * (float)(level == 0 ? 1 : level));
    }
    for (size_t i = 0; i < pixels; i++) {
        unsigned char *pixel = filter->out + i * CHANNELS;
        float gain = gains[brightness(pixel)];

        for (int c = 0; c < CHANNELS; c++) {
            float value = (float)pixel[c] * gain + 0.5F;

            pixel[c] = (unsigned char)(value < LEVELS - 1 ? value : LEVELS - 1);
        }
    }
}

/* Call `step` for each of `rows`, unless the work is to stop. */
static int each_row(struct filter *filter, unsigned rows,
                    void (*step)(struct filter *filter, unsigned y))
{
    for (unsigned y = 0; y < rows; y++) {
        if (skua_work_should_stop()) {
            return SKUA_ECANCELED;
        }
        step(filter, y);
    }
    return 0;
}

static int filter_run(struct filter *filter)
{
    int status = each_row(filter, filter->in.height, blur_row);

    if (status == 0) {
        status = each_row(filter, filter->in.height, blur_down);
    }
    if (status == 0) {
        status = each_row(filter, filter->height, scale_row);
    }
    if (status == 0) {
        equalise(filter);
    }
    return status;
}

/* Where the pixels go: straight into the answer. */
static int filter_reserve(struct filter *filter, skua_reply *reply)
{
    char head[HEAD_BYTES];
    int head_bytes = head_print(head, filter->width, filter->height);
    size_t bytes = image_bytes(filter->width, filter->height);
    void *place;
    int status = skua_reply_reserve(reply, (size_t)head_bytes + bytes, &place);

    if (status == 0) {
        memcpy(place, head, (size_t)head_bytes);
        filter->out = (unsigned char *)place + head_bytes;
    }
    return status;
}

int image_filter(const void *data, size_t bytes, skua_reply *reply)
{
    struct filter filter = {.across = NULL};
    size_t values;
    int status = image_parse(data, bytes, &filter.in);

    if (status < 0) {
        return status;
    }
    filter_init(&filter);
    values = image_bytes(filter.in.width, filter.in.height);
    filter.across = skua_allocate(values * sizeof(*filter.across));
    filter.both = skua_allocate(values * sizeof(*filter.both));
    status = filter.across == NULL || filter.both == NULL
                 ? -ENOMEM
                 : filter_reserve(&filter, reply);
    if (status == 0) {
        status = filter_run(&filter);
    }
    skua_release(filter.across);
    skua_release(filter.both);
    return status;
}

/* --- drawing --- */

static uint64_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33;
}

/* Colours that run across, discs, and some noise. */
static void draw_row(unsigned char *to, unsigned width, unsigned height,
                     unsigned y, uint64_t seed)
{
    uint64_t noise = seed * 1000003 + y;
    int64_t side = width < height ? width : height;

    for (unsigned x = 0; x < width; x++) {
        int64_t dx = (int64_t)x - (int64_t)((seed * 37) % width);
        int64_t dy = (int64_t)y - (int64_t)((seed * 53) % height);
        bool in_disc = 16 * (dx * dx + dy * dy) < side * side;
        unsigned grain = (unsigned)(random_next(&noise) % 32);

        *to++ = (unsigned char)(in_disc ? 200 + grain : x * 160 / width);
        *to++ = (unsigned char)(y * 160 / height + grain);
        *to++ = (unsigned char)((x ^ y ^ seed) & 127);
    }
}

int image_draw(unsigned width, unsigned height, uint64_t seed,
               unsigned char **out_data, size_t *out_bytes)
{
    char head[HEAD_BYTES];
    size_t head_bytes = (size_t)head_print(head, width, height);
    size_t bytes = head_bytes + image_bytes(width, height);
    unsigned char *data = skua_allocate(bytes);

    if (data == NULL) {
        return -ENOMEM;
    }
    memcpy(data, head, head_bytes);
    for (unsigned y = 0; y < height; y++) {
        draw_row(data + head_bytes + (size_t)y * width * CHANNELS, width,
                 height, y, seed);
    }
    *out_data = data;
    *out_bytes = bytes;
    return 0;
}
