/* SPDX-License-Identifier: BSD-3-Clause */
/* The incremental reader of the Engine's log frames. */
#include "engine/frames.h"

static bool read_head(struct frames *frames)
{
    const unsigned char *head = frames->head;
    /* 0 is standard input's number, which the Engine uses for standard output of some old containers. */
    if (head[0] > 3 || head[1] != 0 || head[2] != 0 || head[3] != 0) {
        return false;
    }
    frames->stream = head[0] == 0 ? 1 : head[0];
    frames->left = (uint32_t)head[4] << 24 | (uint32_t)head[5] << 16 | (uint32_t)head[6] << 8 | head[7];
    return true;
}

bool frames_read(struct frames *frames, const void *data, size_t length,
                 bool (*put)(void *context, uint8_t stream, const char *data, size_t length), void *context)
{
    const char *place = data;
    if (frames->raw) {
        return length == 0 || put(context, 1, place, length);
    }
    while (length > 0) {
        if (frames->left == 0) {
            frames->head[frames->head_length++] = (unsigned char)*place++;
            length--;
            if (frames->head_length == sizeof(frames->head)) {
                frames->head_length = 0;
                if (!read_head(frames)) {
                    return false;
                }
            }
            continue;
        }
        size_t part = length < frames->left ? length : frames->left;
        if (!put(context, frames->stream, place, part)) {
            return false;
        }
        place += part;
        length -= part;
        frames->left -= (uint32_t)part;
    }
    return true;
}

bool frames_complete(const struct frames *frames)
{
    return frames->raw || (frames->left == 0 && frames->head_length == 0);
}
