/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reader of a run's journal, and the check of its whole chain.
 *
 * How it works: the file is read with pread from a position of our own into a window that holds whole lines. A line
 * that is not good is passed over only when a good one follows; until then the position stays before it, since on a
 * shared file system bytes may come late and show as NULs. Only SUSPECT_LIMIT bytes are held back like that.
 */
#include "run/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"

#define GENESIS "0000000000000000000000000000000000000000000000000000000000000000"
#define PIECE (64 * 1024)
#define SUSPECT_LIMIT (4 * 1024 * 1024)
#define HASH_TAIL (9 + 64 + 2) /* ,"hash":"…"} */

struct journal_reader {
    int descriptor;
    char *path;
    struct digest *digest;
    struct text window; /* bytes of the file from `window_at` on */
    uint64_t window_at;
    size_t next;              /* where in the window the next line starts */
    bool overlong;            /* in the middle of a line over the limit */
    bool trusts;              /* that good lines are chained */
    char good[DIGEST_TEXT];   /* hash of the last good line */
    char nearby[DIGEST_TEXT]; /* what the damaged line just before claims as its hash, or "" */
    uint64_t sequence;
    uint64_t line_number;
    size_t skipped;
    struct text line; /* what the record points to */
    char kind[32];
};

struct journal_reader *journal_reader_open(const char *run_folder, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = memory_allocate(sizeof *reader);
    reader->path = path_join(run_folder, JOURNAL_FILE);
    reader->descriptor = file_open(reader->path, NULL, error);
    if (reader->descriptor < 0)
        return NULL;
    reader->digest = digest_new();
    text_reserve(&reader->window, PIECE); /* never NULL */
    memcpy(reader->good, GENESIS, DIGEST_TEXT);
    return steal(&reader);
}

void journal_reader_trust(struct journal_reader *reader)
{
    reader->trusts = true;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (reader == NULL)
        return;
    descriptor_close(reader->descriptor);
    digest_free(reader->digest);
    text_clear(&reader->window);
    text_clear(&reader->line);
    memory_free(reader->path);
    memory_free(reader);
}

size_t journal_reader_skipped(const struct journal_reader *reader)
{
    return reader->skipped;
}

static bool take_word(const char **place, const char *end, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(end - *place) < length || memcmp(*place, word, length) != 0)
        return false;
    *place += length;
    return true;
}

/* At most 19 digits, so that nothing wraps; times before 1970 do not happen. */
static bool take_number(const char **place, const char *end, uint64_t *number)
{
    const char *start = *place;
    *number = 0;
    while (*place < end && **place >= '0' && **place <= '9' && *place - start < 19)
        *number = *number * 10 + (uint64_t)(*(*place)++ - '0');
    return *place > start;
}

/* The fixed members at the start, and the hash at the end: `line` has no newline. */
static bool line_shape(struct journal_reader *reader, const char *line, size_t length, struct journal_record *record)
{
    if (length < HASH_TAIL || memchr(line, '\0', length) != NULL)
        return false;
    const char *end = line + length - HASH_TAIL, *place = line, *tail = end;
    uint64_t at;
    if (!take_word(&place, end, "{\"seq\":") || !take_number(&place, end, &record->sequence) ||
        !take_word(&place, end, ",\"epoch\":") || !take_number(&place, end, &record->epoch) ||
        !take_word(&place, end, ",\"at\":") || !take_number(&place, end, &at) ||
        !take_word(&place, end, ",\"kind\":\""))
        return false;
    record->at_ms = (int64_t)at;
    const char *quote = memchr(place, '"', (size_t)(end - place));
    if (quote == NULL || (size_t)(quote - place) >= sizeof reader->kind)
        return false;
    memcpy(reader->kind, place, (size_t)(quote - place));
    reader->kind[quote - place] = '\0';
    char hash[DIGEST_TEXT] = "";
    if (!take_word(&tail, line + length, ",\"hash\":\""))
        return false;
    memcpy(hash, tail, DIGEST_TEXT - 1);
    return digest_is_text(hash) && memcmp(tail + DIGEST_TEXT - 1, "\"}", 2) == 0;
}

static bool continues(struct journal_reader *reader, const char *from, const char *line, size_t length)
{
    uint8_t hash[DIGEST_BYTES];
    char text[DIGEST_TEXT];
    digest_start(reader->digest);
    digest_add(reader->digest, from, DIGEST_TEXT - 1);
    digest_add(reader->digest, line, length - HASH_TAIL);
    digest_end(reader->digest, hash);
    digest_to_text(hash, text);
    return memcmp(text, line + length - DIGEST_TEXT - 1, DIGEST_TEXT - 1) == 0;
}

/* Is it the next record? When not, `nearby` keeps its claimed hash so that the chain can go on behind it. */
static bool line_good(struct journal_reader *reader, const char *line, size_t length, struct journal_record *record)
{
    char nearby[DIGEST_TEXT];
    memcpy(nearby, reader->nearby, sizeof nearby);
    reader->nearby[0] = '\0';
    if (!line_shape(reader, line, length, record))
        return false;
    const char *hash = line + length - DIGEST_TEXT - 1;
    bool good =
        record->sequence > reader->sequence && (reader->trusts || continues(reader, reader->good, line, length) ||
                                                (nearby[0] != '\0' && continues(reader, nearby, line, length)));
    char *into = good ? reader->good : reader->nearby;
    memcpy(into, hash, DIGEST_TEXT - 1);
    into[DIGEST_TEXT - 1] = '\0';
    return good;
}

static void drop_read(struct journal_reader *reader, size_t bytes)
{
    struct text *window = &reader->window;
    memmove(window->bytes, window->bytes + bytes, window->length - bytes);
    window->length -= bytes;
    reader->window_at += bytes;
    reader->next -= bytes;
}

/* More of the file behind the window: false at its end (for now). */
static bool read_more(struct journal_reader *reader)
{
    struct text *window = &reader->window;
    text_reserve(window, PIECE);
    for (;;) {
        ssize_t got = pread(reader->descriptor, window->bytes + window->length, PIECE,
                            (off_t)(reader->window_at + window->length));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        window->length += (size_t)got;
        return true;
    }
}

/* The next whole line of the window, NULL when the file ends first. A line over the limit comes as one of length 0. */
static const char *next_line(struct journal_reader *reader, size_t *length)
{
    size_t looked = reader->next;
    for (;;) {
        const struct text *window = &reader->window;
        const char *start = window->bytes + reader->next;
        const char *newline =
            window->length > looked ? memchr(window->bytes + looked, '\n', window->length - looked) : NULL;
        if (newline != NULL) {
            *length =
                reader->overlong || (size_t)(newline - start) >= JOURNAL_LINE_LIMIT ? 0 : (size_t)(newline - start);
            reader->overlong = false;
            reader->next = (size_t)(newline + 1 - window->bytes);
            return start;
        }
        looked = window->length;
        if (window->length - reader->next > JOURNAL_LINE_LIMIT) {
            reader->overlong = true; /* no need to keep it: it is damage whatever comes */
            drop_read(reader, reader->next);
            reader->next = reader->window.length;
            drop_read(reader, reader->next);
            looked = 0;
        } else if (reader->next >= PIECE && reader->next == window->length) {
            drop_read(reader, reader->next);
            looked = 0;
        }
        if (!read_more(reader))
            return NULL;
    }
}

struct mark { /* where to go back to while it is open whether damage is final */
    uint64_t at;
    char nearby[DIGEST_TEXT];
    size_t bad_lines;
    uint64_t line_number;
};

static void go_back(struct journal_reader *reader, const struct mark *mark)
{
    if (mark->at >= reader->window_at && !reader->overlong) {
        /* Forgotten even where the bytes are still in the window: NULs there may have become text. */
        reader->window.length = (size_t)(mark->at - reader->window_at);
        reader->next = reader->window.length;
    } else {
        reader->window.length = 0;
        reader->window_at = mark->at;
        reader->next = 0;
    }
    reader->overlong = false;
    reader->line_number = mark->line_number;
    memcpy(reader->nearby, mark->nearby, DIGEST_TEXT);
}

bool journal_reader_next(struct journal_reader *reader, struct journal_record *record)
{
    struct mark mark = {.at = reader->window_at + reader->next, .line_number = reader->line_number};
    memcpy(mark.nearby, reader->nearby, DIGEST_TEXT);
    if (reader->next >= SUSPECT_LIMIT / 4)
        drop_read(reader, reader->next);
    size_t length;
    const char *line;
    while ((line = next_line(reader, &length)) != NULL) {
        reader->line_number++;
        struct journal_record found = {.kind = reader->kind};
        if (line_good(reader, line, length, &found)) {
            text_reset(&reader->line);
            text_append_bytes(&reader->line, line, length);
            reader->sequence = found.sequence;
            reader->skipped += mark.bad_lines;
            found.line = reader->line.bytes;
            found.length = length;
            found.place =
                (struct journal_place){reader->window_at + (uint64_t)(line - reader->window.bytes), (uint32_t)length};
            *record = found;
            return true;
        }
        mark.bad_lines++;
        if (reader->window_at + reader->next - mark.at > SUSPECT_LIMIT) {
            reader->skipped += mark.bad_lines;
            mark = (struct mark){.at = reader->window_at + reader->next, .line_number = reader->line_number};
            memcpy(mark.nearby, reader->nearby, DIGEST_TEXT);
        }
    }
    go_back(reader, &mark);
    return false;
}

const char *journal_reader_again(const struct journal_reader *reader, struct journal_place place, struct arena *arena)
{
    char *line = arena_allocate(arena, (size_t)place.length + 1);
    for (size_t done = 0; done < place.length;) {
        ssize_t got = pread(reader->descriptor, line + done, place.length - done, (off_t)(place.at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            log_warning("'%s' cannot be read again: %s", reader->path, got < 0 ? strerror(errno) : "it is shorter now");
            return NULL;
        }
        done += (size_t)got;
    }
    return line;
}

/* A break in the chain is honest only where a new writer took over and says from which line it goes on. */
static bool is_handover(const struct journal_record *record, const char *last_good, uint64_t last_epoch)
{
    char expected[DIGEST_TEXT + 32];
    snprintf(expected, sizeof expected, ",\"previous\":\"%s\"", last_good);
    return strcmp(record->kind, "writer") == 0 && record->epoch > last_epoch && strstr(record->line, expected) != NULL;
}

bool journal_verify(const char *run_folder, uint64_t *records, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(run_folder, error);
    if (reader == NULL)
        return false;
    struct journal_record record;
    uint64_t count = 0, line = 0, last_epoch = 0;
    char last_good[DIGEST_TEXT] = GENESIS;
    size_t skipped = 0;
    while (journal_reader_next(reader, &record)) {
        bool damaged = reader->skipped != skipped;
        bool chained = continues(reader, last_good, record.line, record.length);
        if ((damaged || !chained) && !(chained && is_handover(&record, last_good, last_epoch)))
            return error_set(error, ERROR_DIFFERS, "'%s', line %llu does not continue the chain of the line before it",
                             reader->path, (unsigned long long)(line + 1));
        if (record.sequence != count + 1)
            return error_set(error, ERROR_DIFFERS, "'%s', line %llu has number %llu, not %llu", reader->path,
                             (unsigned long long)reader->line_number, (unsigned long long)record.sequence,
                             (unsigned long long)(count + 1));
        skipped = reader->skipped;
        line = reader->line_number;
        last_epoch = record.epoch;
        memcpy(last_good, reader->good, DIGEST_TEXT);
        count++;
    }
    /* The reader stands before what it could not take. Without a newline it is a write in progress or a crash. */
    size_t length;
    if (next_line(reader, &length) != NULL)
        return error_set(error, ERROR_DIFFERS, "'%s', line %llu does not continue the chain of the line before it",
                         reader->path, (unsigned long long)(line + 1));
    if (records != NULL)
        *records = count;
    return true;
}
