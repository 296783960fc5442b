/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever a Docker Engine or a docker-archive says is read without harm. links: docker-engine
 * The first byte chooses the reader, the rest is its input. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/address.h"
#include "engine/answer.h"
#include "engine/exec.h"
#include "engine/frames.h"
#include "engine/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
    if (!truth) {
        abort();
    }
}

static void ends_within(const char *text, size_t size)
{
    require(memchr(text, '\0', size) != NULL);
}

static void read_listed(void *context, const struct listed_container *container)
{
    require(container->id != NULL && container->token != NULL);
    ++*(size_t *)context;
}

static void read_change(void *context, const char *line)
{
    require(strchr("CAD", line[0]) != NULL && line[1] == ' ');
    ++*(size_t *)context;
}

struct reading {
    size_t bytes[4];
};

static bool put(void *context, uint8_t stream, const char *data, size_t length)
{
    struct reading *reading = context;
    require(stream >= 1 && stream <= 3 && data != NULL && length > 0);
    reading->bytes[stream] += length;
    return true;
}

/* The same bytes in one piece and one by one must give the same content. */
static void read_frames(const uint8_t *data, size_t size)
{
    struct reading whole = {0}, pieces = {0};
    struct frames frames = {0}, again = {0};
    bool whole_good = frames_read(&frames, data, size, put, &whole), pieces_good = true;
    for (size_t i = 0; i < size && pieces_good; i++) {
        pieces_good = frames_read(&again, data + i, 1, put, &pieces);
    }
    require(whole_good == pieces_good);
    require(memcmp(&whole, &pieces, sizeof(whole)) == 0);
    require(whole.bytes[1] + whole.bytes[2] + whole.bytes[3] <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *text = malloc(size);
    if (text == NULL) {
        return 0;
    }
    size_t length = size - 1, listed = 0;
    memcpy(text, data + 1, length);
    text[length] = '\0';
    struct engine_version version;
    struct engine_info info;
    struct image_facts image;
    struct container_facts container;
    struct usage_facts usage;
    struct fetch_line line;
    struct exec_facts exec;
    struct address address;
    char id[ANSWER_ID], words[ANSWER_WORDS];
    const char *hint = NULL;
    switch (data[0] % 15) {
    case 0:
        require(!answer_read_version(text, length, &version) || version.api > 0);
        break;
    case 1:
        answer_read_info(text, length, &info);
        break;
    case 2:
        if (answer_read_image(text, length, "docker.io/library/busybox:1", &image)) {
            require(strncmp(image.id, "sha256:", 7) == 0 && strlen(image.id) == 71);
            ends_within(image.platform, sizeof(image.platform));
        }
        break;
    case 3:
        if (answer_read_container(text, length, &container)) {
            require(container.finished_at_ms == 0 || container.finished_at_ms >= container.started_at_ms);
            ends_within(container.error, sizeof(container.error));
        }
        break;
    case 4:
        answer_read_list(text, length, read_listed, &listed);
        break;
    case 5:
        if (answer_read_fetch_line(text, length, &line)) {
            ends_within(line.error, sizeof(line.error));
            ends_within(line.layer, sizeof(line.layer));
        }
        break;
    case 6:
        if (answer_read_archive_manifest(text, length, "1", id, words)) {
            require(strlen(id) == 71);
        } else {
            ends_within(words, sizeof(words));
        }
        break;
    case 7:
        answer_read_words(text, length, words);
        require(words[0] != '\0' && strchr(words, '\n') == NULL);
        break;
    case 8:
        require(answer_read_time(text) >= 0);
        break;
    case 9:
        read_frames(data + 1, length);
        break;
    case 10:
        if (address_parse(text, (length & 1) != 0, &address, words, sizeof(words), &hint)) {
            require(address.base[0] != '\0' && strchr(address.host, '/') == NULL);
        } else {
            require(hint != NULL && words[0] != '\0');
        }
        break;
    case 11:
        answer_read_usage(text, length, &usage);
        break;
    case 12:
        if (answer_read_exec(text, length, &exec)) {
            require(exec.exit_code >= 0 && exec.exit_code < 256);
        }
        break;
    case 13:
        answer_read_changes(text, length, read_change, &listed);
        break;
    default:
        words_read_start(text, words, &hint);
        ends_within(words, sizeof(words));
        break;
    }
    free(text);
    return 0;
}
