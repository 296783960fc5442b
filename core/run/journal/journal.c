/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writer of a run's journal.
 *
 * How it works: records are put together in one buffer, each chained by SHA-256 to the one before, and handed to the
 * kernel by journal_flush, once per round of the loop or before an act that they announce. Nothing is allocated per
 * record. What the disk does not take stays in the buffer, so that a later flush goes on at the very byte.
 */
#include "run/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "run/journal/machine.h"

#define GENESIS "0000000000000000000000000000000000000000000000000000000000000000"

struct journal {
    int descriptor;
    char *path;
    uint64_t epoch;
    uint64_t sequence;
    char previous[DIGEST_TEXT];
    struct digest *digest;
    struct text buffer;
    size_t flushed; /* bytes of the buffer that the kernel has */
    size_t begun;   /* where the record in progress starts */
    bool unsynced;
};

/* The last good record decides where the chain goes on; what a torn write left behind it stays there. */
static bool find_end(struct journal *journal, const char *run_folder, uint64_t *last_epoch, struct error *error)
{
    cleanup(journal_reader_close) struct journal_reader *reader = journal_reader_open(run_folder, error);
    if (reader == NULL)
        return false;
    struct journal_record record;
    while (journal_reader_next(reader, &record)) {
        journal->sequence = record.sequence;
        *last_epoch = record.epoch;
        memcpy(journal->previous, record.line + record.length - DIGEST_TEXT - 1, DIGEST_TEXT - 1);
    }
    return true;
}

/* All but its newline may have been written of the torn one: it must not become a record now that the chain goes on
 * from the one before. */
static bool start_new_line(struct journal *journal, struct error *error)
{
    struct stat status;
    if (fstat(journal->descriptor, &status) != 0)
        return error_system(error, "cannot look at '%s'", journal->path);
    char last = '\n';
    if (status.st_size > 0 && pread(journal->descriptor, &last, 1, status.st_size - 1) != 1)
        return error_system(error, "cannot read '%s'", journal->path);
    if (last != '\n')
        text_append(&journal->buffer, " (torn)\n");
    return true;
}

static void append_writer(struct journal *journal, const char *version)
{
    char previous[DIGEST_TEXT];
    memcpy(previous, journal->previous, sizeof previous);
    struct machine machine;
    machine_read(&machine);
    struct text *text = journal_begin(journal, "writer");
    text_append(text, ",\"previous\":\"");
    text_append(text, previous);
    text_append(text, "\",\"host\":");
    text_append_json(text, machine.host);
    text_append(text, ",\"boot\":");
    text_append_json(text, machine.boot);
    text_append(text, ",\"pids\":");
    text_append_json(text, machine.pids);
    text_append(text, ",\"pid\":");
    text_append_signed(text, getpid());
    text_append(text, ",\"version\":");
    text_append_json(text, version != NULL ? version : "");
    journal_end(journal);
}

struct journal *journal_open(const char *run_folder, uint64_t epoch, const char *version, struct error *error)
{
    cleanup(journal_close) struct journal *journal = memory_allocate(sizeof *journal);
    journal->path = path_join(run_folder, JOURNAL_FILE);
    journal->epoch = epoch;
    journal->digest = digest_new();
    memcpy(journal->previous, GENESIS, DIGEST_TEXT);
    journal->descriptor =
        open(journal->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0666);
    if (journal->descriptor < 0) {
        error_system(error, "cannot open the journal '%s'", journal->path);
        return NULL;
    }
    uint64_t last_epoch = 0;
    if (!find_end(journal, run_folder, &last_epoch, error))
        return NULL;
    if (last_epoch >= epoch && journal->sequence > 0) {
        error_set(error, ERROR_BUG, "the journal '%s' is of epoch %llu already, epoch %llu cannot continue it",
                  journal->path, (unsigned long long)last_epoch, (unsigned long long)epoch);
        return NULL;
    }
    if (!start_new_line(journal, error))
        return NULL;
    append_writer(journal, version);
    if (!journal_flush(journal, true, error))
        return NULL;
    return steal(&journal);
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    if (journal->descriptor >= 0) {
        journal_flush(journal, journal->unsynced, NULL);
        descriptor_close(journal->descriptor);
    }
    digest_free(journal->digest);
    text_clear(&journal->buffer);
    memory_free(journal->path);
    memory_free(journal);
}

static void append_head(struct journal *journal, const char *kind)
{
    struct text *text = &journal->buffer;
    text_append_bytes(text, "{\"seq\":", 7);
    text_append_unsigned(text, journal->sequence + 1);
    text_append_bytes(text, ",\"epoch\":", 9);
    text_append_unsigned(text, journal->epoch);
    text_append_bytes(text, ",\"at\":", 6);
    text_append_signed(text, clock_wall_ms());
    text_append_bytes(text, ",\"kind\":\"", 9);
    text_append(text, kind); /* a word of ours: nothing to escape */
    text_append_character(text, '"');
}

struct text *journal_begin(struct journal *journal, const char *kind)
{
    journal->begun = journal->buffer.length;
    append_head(journal, kind);
    return &journal->buffer;
}

static void cut_too_long(struct journal *journal, size_t length)
{
    struct text *text = &journal->buffer;
    /* The head ends with the quote after the kind: the fourth member's value. */
    const char *record = text->bytes + journal->begun;
    const char *kind = strstr(record, "\"kind\":\"") + 8;
    size_t head = (size_t)(strchr(kind, '"') + 1 - record);
    text->length = journal->begun + head;
    text->bytes[text->length] = '\0';
    text_append(text, ",\"too_long\":");
    text_append_unsigned(text, length);
}

void journal_end(struct journal *journal)
{
    static const size_t tail = DIGEST_TEXT - 1 + 12; /* ,"hash":"…"}\n */
    struct text *text = &journal->buffer;
    if (text->length - journal->begun + tail > JOURNAL_LINE_LIMIT)
        cut_too_long(journal, text->length - journal->begun);
    uint8_t hash[DIGEST_BYTES];
    digest_start(journal->digest);
    digest_add(journal->digest, journal->previous, DIGEST_TEXT - 1);
    digest_add(journal->digest, text->bytes + journal->begun, text->length - journal->begun);
    digest_end(journal->digest, hash);
    digest_to_text(hash, journal->previous);
    text_append_bytes(text, ",\"hash\":\"", 9);
    text_append_bytes(text, journal->previous, DIGEST_TEXT - 1);
    text_append_bytes(text, "\"}\n", 3);
    journal->sequence++;
}

bool journal_flush(struct journal *journal, bool sync, struct error *error)
{
    struct text *text = &journal->buffer;
    while (journal->flushed < text->length) {
        ssize_t written = write(journal->descriptor, text->bytes + journal->flushed, text->length - journal->flushed);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_system(error, "cannot write the journal '%s'", journal->path);
        journal->flushed += (size_t)written;
        journal->unsynced = true;
    }
    text_reset(text);
    journal->flushed = 0;
    if (!sync || !journal->unsynced)
        return true;
    if (fdatasync(journal->descriptor) != 0 && errno != EINVAL && errno != ENOTSUP)
        return error_system(error, "cannot sync the journal '%s'", journal->path);
    journal->unsynced = false;
    return true;
}

uint64_t journal_sequence(const struct journal *journal)
{
    return journal->sequence;
}

size_t journal_unflushed(const struct journal *journal)
{
    return journal->buffer.length - journal->flushed;
}

bool journal_unsynced(const struct journal *journal)
{
    return journal->unsynced;
}
