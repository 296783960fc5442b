/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FITS, header by header.
 *
 * How it works: a header states the size of its data (FITS 4.0, equations 1, 2 and 4), which tells where the next
 * header begins. So the file is walked in a few small reads, however large it is, and one that was cut ends before its
 * data.
 */
#include <errno.h>
#include <unistd.h>

#include "pipeline/file_content.h"

enum { BLOCK = 2880, CARD = 80, AXES_LIMIT = 999, BLOCKS_LIMIT = 4096, UNITS_LIMIT = 1024 };

struct unit { /* a header and data unit */
    int64_t bits, axes, parameters, groups;
    int64_t axis[AXES_LIMIT + 1];
    bool random_groups, ended;
    uint64_t header; /* bytes, whole blocks */
};

static bool refuse(struct text *why, const char *words)
{
    text_append(why, words);
    return false;
}

static bool read_block(const struct file_content *content, uint64_t at, char block[BLOCK])
{
    size_t done = 0;
    while (done < BLOCK) {
        ssize_t got = pread(content->descriptor, block + done, BLOCK - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static bool card_is(const char *card, const char *keyword) /* "NAXIS   " */
{
    return memcmp(card, keyword, 8) == 0;
}

/* The integer of a card with a value; false when there is none. */
static bool card_integer(const char *card, int64_t *number)
{
    if (memcmp(card + 8, "= ", 2) != 0)
        return false;
    size_t start = 10, end;
    while (start < CARD && card[start] == ' ')
        start++;
    for (end = start; end < CARD && card[end] != ' ' && card[end] != '/'; end++)
        ;
    cleanup(memory_free) char *word = memory_copy_bytes(card + start, end - start);
    return text_to_signed(word[0] == '+' ? word + 1 : word, number);
}

static bool card_is_true(const char *card)
{
    size_t at = 10;
    while (at < CARD && card[at] == ' ')
        at++;
    return card[8] == '=' && at < CARD && card[at] == 'T';
}

static void read_axis(struct unit *unit, const char *card)
{
    uint64_t number;
    size_t end = 5;
    while (end < 8 && card[end] != ' ')
        end++;
    cleanup(memory_free) char *digits = memory_copy_bytes(card + 5, end - 5);
    if (text_to_unsigned(digits, &number) && number >= 1 && number <= AXES_LIMIT)
        card_integer(card, &unit->axis[number]);
}

static void read_card(struct unit *unit, const char *card)
{
    if (card_is(card, "BITPIX  "))
        card_integer(card, &unit->bits);
    else if (card_is(card, "NAXIS   "))
        card_integer(card, &unit->axes);
    else if (memcmp(card, "NAXIS", 5) == 0)
        read_axis(unit, card);
    else if (card_is(card, "PCOUNT  "))
        card_integer(card, &unit->parameters);
    else if (card_is(card, "GCOUNT  "))
        card_integer(card, &unit->groups);
    else if (card_is(card, "GROUPS  "))
        unit->random_groups = card_is_true(card);
    else if (card_is(card, "END     "))
        unit->ended = true;
}

/* False when the header has no end: cut, or longer than any. */
static bool read_header(const struct file_content *content, uint64_t at, struct unit *unit)
{
    *unit = (struct unit){.axes = -1, .groups = 1};
    char block[BLOCK];
    for (unsigned count = 0; count < BLOCKS_LIMIT && !unit->ended; count++) {
        if (!read_block(content, at + unit->header, block))
            return false;
        for (size_t card = 0; card < BLOCK && !unit->ended; card += CARD)
            read_card(unit, block + card);
        unit->header += BLOCK;
    }
    return unit->ended;
}

static bool header_is_sane(const struct unit *unit)
{
    static const int64_t known[] = {8, 16, 32, 64, -32, -64};
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        found = found || unit->bits == known[i];
    if (!found || unit->axes < 0 || unit->axes > AXES_LIMIT || unit->parameters < 0 || unit->groups < 0)
        return false;
    for (int64_t i = 1; i <= unit->axes; i++)
        if (unit->axis[i] < 0)
            return false;
    return true;
}

/* False when no file is that large. */
static bool data_bytes(const struct unit *unit, uint64_t *bytes)
{
    int64_t first = unit->random_groups && unit->axes > 0 && unit->axis[1] == 0 ? 2 : 1;
    uint64_t product = unit->axes >= first ? 1 : 0;
    for (int64_t i = first; i <= unit->axes; i++)
        if (__builtin_mul_overflow(product, (uint64_t)unit->axis[i], &product))
            return false;
    uint64_t width = (uint64_t)(unit->bits < 0 ? -unit->bits : unit->bits) / 8;
    return !__builtin_add_overflow(product, (uint64_t)unit->parameters, &product) &&
           !__builtin_mul_overflow(product, (uint64_t)unit->groups, &product) &&
           !__builtin_mul_overflow(product, width, bytes) && *bytes < UINT64_MAX / 2;
}

static bool starts_with(const struct file_content *content, uint64_t at, const char *keyword)
{
    char found[8];
    return pread(content->descriptor, found, sizeof found, (off_t)at) == sizeof found &&
           memcmp(found, keyword, sizeof found) == 0;
}

static bool is_standard(const struct file_content *content)
{
    return content->head_length >= CARD && card_is_true(content->head);
}

bool file_content_fits(const struct file_content *content, struct text *why)
{
    if (content->head_length < 9 || memcmp(content->head, "SIMPLE  =", 9) != 0)
        return refuse(why, "its first bytes are others");
    if (!is_standard(content)) /* SIMPLE = F: a file that says itself that it does as it likes */
        return content->head_length >= CARD || refuse(why, "it ends within its first header");
    cleanup(memory_free) struct unit *unit = memory_allocate(sizeof *unit);
    uint64_t at = 0;
    for (unsigned number = 1; number <= UNITS_LIMIT && at < content->size; number++) {
        if (number > 1 && !starts_with(content, at, "XTENSION")) /* special records, or padding */
            break;
        uint64_t bytes = 0;
        if (!read_header(content, at, unit)) {
            text_format(why, "header %u has no END: it is cut", number);
            return false;
        }
        if (!header_is_sane(unit) || !data_bytes(unit, &bytes)) {
            text_format(why, "header %u states no size that data can have (BITPIX, NAXIS ...)", number);
            return false;
        }
        at += unit->header;
        if (bytes > content->size || at > content->size - bytes) {
            text_format(why, "header %u states %llu bytes of data, of which the file has %llu: it is cut", number,
                        (unsigned long long)bytes, (unsigned long long)(content->size - at));
            return false;
        }
        at += (bytes + BLOCK - 1) / BLOCK * BLOCK;
    }
    if (content->size % BLOCK != 0)
        text_format(why, "its size, %llu bytes, is no multiple of %d", (unsigned long long)content->size, BLOCK);
    return content->size % BLOCK == 0;
}
