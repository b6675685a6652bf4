/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_filter.h - images as binary PPM files (P6, 8 bits a channel), and what
 * image_pipeline.c does to them.
 */
#ifndef EXAMPLES_IMAGE_FILTER_H
#define EXAMPLES_IMAGE_FILTER_H

#include <stdint.h>

#include <skua.h>

#define IMAGE_FILTER_NAME "image.filter"

/**
 * The function registered as IMAGE_FILTER_NAME: PPM in, PPM of half the size
 * out, blurred, then scaled down, with its brightness equalised. It stops when
 * its work is told to.
 */
int image_filter(const void *data, size_t bytes, skua_reply *reply);

/**
 * Draw an image as PPM: the same one for the same arguments.
 * @param out_data  allocated; skua_release() it
 * @return 0; -ENOMEM
 */
int image_draw(unsigned width, unsigned height, uint64_t seed,
               unsigned char **out_data, size_t *out_bytes);

/** Whether this is a whole PPM, of that size. */
int image_check(const void *data, size_t bytes, unsigned width,
                unsigned height);

#endif
