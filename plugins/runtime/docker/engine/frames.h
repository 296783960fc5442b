/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stream of a container's output, taken apart: frames of an 8-byte head (stream, three zeros, length as big endian)
 * and that many bytes. Works on pieces of any size and keeps nothing but a head that is not complete.
 */
#ifndef DESCPIPE_DOCKER_FRAMES_H
#define DESCPIPE_DOCKER_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frames {
    unsigned char head[8];
    size_t head_length;
    uint32_t left;  /* bytes of the frame that are still to come */
    uint8_t stream; /* 1 or 2; 3 is the Engine's own word about an error */
    bool raw;       /* a container with a terminal: no frames, all is stream 1 */
};

/* Calls `put` for every piece of content. False when the stream is no such stream (or `put` says false). */
bool frames_read(struct frames *frames, const void *data, size_t length,
                 bool (*put)(void *context, uint8_t stream, const char *data, size_t length), void *context);
/* Is the stream between two frames, so that it may end here? */
bool frames_complete(const struct frames *frames);

#endif
