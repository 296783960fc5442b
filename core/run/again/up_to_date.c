/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes what a run looked at. */
#include "run/again/up_to_date.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/path.h"
#include "base/table.h"
#include "base/text.h"
#include "base/witness.h"
#include "run/again/up_to_date_request.h"

#define SETTLED_NS INT64_C(2000000000) /* a file may change within so much of its time without a new one */
#define NS_PER_MS INT64_C(1000000)

struct up_to_date {
    struct table *folders; /* → struct text: lines */
    struct table *files;   /* paths that have a line */
    struct text other;     /* lines that lie in no folder */
    char *data;            /* WORKING/data */
    int64_t settled_before_ns;
    bool given_up;
};

struct up_to_date *up_to_date_new(int64_t began_ms, const char *working)
{
    struct up_to_date *known = memory_allocate(sizeof *known);
    *known = (struct up_to_date){.folders = table_new(),
                                 .files = table_new(),
                                 .data = path_join(working, "data"),
                                 .settled_before_ns = began_ms * NS_PER_MS - SETTLED_NS};
    return known;
}

static void forget(struct up_to_date *known)
{
    const char *folder;
    void *lines;
    for (size_t i = 0; known->folders != NULL && table_next(known->folders, &i, &folder, &lines);) {
        text_clear(lines);
        memory_free(lines);
    }
    table_free(steal(&known->folders));
    table_free(steal(&known->files));
    text_clear(&known->other);
}

void up_to_date_free(struct up_to_date *known)
{
    if (known == NULL)
        return;
    forget(known);
    memory_free(known->data);
    memory_free(known);
}

void up_to_date_give_up(struct up_to_date *known)
{
    if (known->given_up)
        return;
    known->given_up = true;
    forget(known);
}

bool up_to_date_is_given_up(const struct up_to_date *known)
{
    return known->given_up;
}

/* The lines of the folder that `path` lies in; NULL when it has a line already, or cannot have one. */
static struct text *lines_for(struct up_to_date *known, const char *path)
{
    if (known->given_up || table_get(known->files, path) != NULL)
        return NULL;
    if (strchr(path, '\n') != NULL) {
        up_to_date_give_up(known);
        return NULL;
    }
    cleanup(memory_free) char *folder = path_folder(path);
    struct text *lines = table_get(known->folders, folder);
    if (lines == NULL) {
        lines = memory_allocate(sizeof *lines);
        *lines = TEXT_INIT;
        table_put(known->folders, folder, lines);
    }
    table_put(known->files, path, lines);
    return lines;
}

static void append_number(struct text *lines, uint64_t number)
{
    text_append_unsigned(lines, number);
    text_append_character(lines, ' ');
}

static void append_end(struct text *lines, int64_t number, const char *path)
{
    text_append_signed(lines, number);
    text_append_character(lines, ' ');
    text_append(lines, path_name(path));
    text_append_character(lines, '\n');
}

static void append_file(struct text *lines, const char *path, const struct file_stamp *stamp)
{
    text_append(lines, "file ");
    append_number(lines, stamp->device);
    append_number(lines, stamp->inode);
    append_number(lines, stamp->bytes);
    append_end(lines, stamp->modified_ns, path);
}

void up_to_date_file(struct up_to_date *known, const char *path, const struct file_stamp *stamp)
{
    bool settled = stamp->modified_ns < known->settled_before_ns || path_is_inside(known->data, path);
    if (!settled)
        up_to_date_give_up(known);
    struct text *lines = lines_for(known, path);
    if (lines != NULL)
        append_file(lines, path, stamp);
}

void up_to_date_made(struct up_to_date *known, const char *path, const struct cache_output *output, bool is_folder)
{
    struct text *lines = lines_for(known, path);
    if (lines == NULL)
        return;
    text_append(lines, is_folder ? "tree " : "made ");
    append_number(lines, output->bytes);
    append_end(lines, output->modified_ns, path);
}

void up_to_date_program(struct up_to_date *known, const char *name, const char *path)
{
    cleanup(memory_free) char *subject = memory_format("program %s", name);
    if (known->given_up || table_get(known->files, subject) != NULL)
        return;
    if (strpbrk(name, "\n\t") != NULL || strchr(path, '\n') != NULL) {
        up_to_date_give_up(known);
        return;
    }
    table_put(known->files, subject, known);
    text_append(&known->other, "program ");
    text_append(&known->other, name);
    text_append_character(&known->other, '\t');
    text_append(&known->other, path);
    text_append_character(&known->other, '\n');
}

static void take_sights(struct up_to_date *known, const struct witness *witness)
{
    const char *path;
    const struct stat *status;
    for (size_t i = 0; !known->given_up && witness_next(witness, &i, &path, &status);) {
        if (status != NULL) {
            const struct file_stamp stamp = file_stamp_of(status);
            up_to_date_file(known, path, &stamp);
        } else if (strchr(path, '\n') != NULL) {
            up_to_date_give_up(known);
        } else {
            text_append(&known->other, "absent ");
            text_append(&known->other, path);
            text_append_character(&known->other, '\n');
        }
    }
}

static void append_variables(const struct witness *witness, struct text *text)
{
    const char *name;
    for (size_t i = 0; witness_next_variable(witness, &i, &name);) {
        char digest[DIGEST_TEXT];
        up_to_date_variable(name, digest);
        text_append(text, "variable ");
        text_append(text, name);
        text_append_character(text, ' ');
        text_append(text, digest);
        text_append_character(text, '\n');
    }
}

static void append_folders(const struct up_to_date *known, struct text *text)
{
    const char *folder;
    void *lines;
    for (size_t i = 0; table_next(known->folders, &i, &folder, &lines);) {
        text_append(text, "in ");
        text_append(text, folder);
        text_append_character(text, '\n');
        text_append_bytes(text, text_bytes(lines), ((const struct text *)lines)->length);
    }
}

bool up_to_date_write(struct up_to_date *known, const struct run_request *request, const struct witness *witness,
                      const struct up_to_date_count *count, const char *run_folder, struct error *error)
{
    char digest[DIGEST_TEXT];
    uint8_t sum[DIGEST_BYTES];
    take_sights(known, witness);
    if (known->given_up || !up_to_date_request(request, digest))
        return true;
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, UP_TO_DATE_HEAD "request ");
    text_append(&text, digest);
    text_append(&text, "\nholds ");
    append_number(&text, count->stages);
    text_append_unsigned(&text, count->tasks);
    text_append_character(&text, '\n');
    append_variables(witness, &text);
    text_append_bytes(&text, text_bytes(&known->other), known->other.length);
    append_folders(known, &text);
    digest_of(text.bytes, text.length, sum);
    digest_to_text(sum, digest);
    text_append(&text, UP_TO_DATE_SUM);
    text_append(&text, digest);
    text_append_character(&text, '\n');
    cleanup(memory_free) char *path = path_join(run_folder, UP_TO_DATE_FILE);
    return text.length > UP_TO_DATE_LIMIT || file_write_unsynced(path, text.bytes, text.length, 0666, error);
}
