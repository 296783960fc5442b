/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file of what a working folder remembers, and finding in it.
 *
 * How it works: the file is read as a whole, once. A table leads from each file's stamp and each key to the line that
 * speaks of it; a line is looked into, and its sum checked, only when somebody asks for it. New lines are appended to
 * the same bytes, and what was not yet written is their tail.
 */
#include "cache/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/members.h"
#include "base/path.h"
#include "base/table.h"
#include "base/text.h"

#define SUM_DIGITS 16
#define HEAD "{\"sum\":\""
#define HEAD_LENGTH (sizeof HEAD - 1 + SUM_DIGITS + 2) /* with the quote and the comma behind the sum */
#define FILE_WORD "\"file\":\""
#define RESULT_WORD "\"result\":\""
#define STAMP_TEXT 96
#define RECENT 64 /* files whose digest was asked for last: programs, modules and data that many tasks share */
#define NS_PER_SECOND INT64_C(1000000000)

struct recent {
    struct file_stamp stamp;
    char sha256[DIGEST_TEXT]; /* "": nothing here */
};

struct cache_store {
    pthread_mutex_t mutex;
    struct recent recent[RECENT]; /* by inode */
    char *path;
    int descriptor; /* -1: for reading only */
    struct text bytes;
    size_t flushed;
    struct table *lines;   /* a stamp or key → where its line starts, plus one */
    struct table *latest;  /* "STAGE/MEMBER" → the same of its last result; made when first asked for */
    struct table *passing; /* stamp, or path of a file that is gone → an owned digest, for this process alone */
    struct arena *scratch; /* of the line that is looked into */
    struct digest *digest;
};

struct file_stamp file_stamp_of(const struct stat *status)
{
    return (struct file_stamp){.device = (uint64_t)status->st_dev,
                               .inode = (uint64_t)status->st_ino,
                               .bytes = (uint64_t)status->st_size,
                               .modified_ns =
                                   (int64_t)status->st_mtim.tv_sec * NS_PER_SECOND + status->st_mtim.tv_nsec};
}

bool file_stamp_equal(const struct file_stamp *one, const struct file_stamp *other)
{
    return one->device == other->device && one->inode == other->inode && one->bytes == other->bytes &&
           one->modified_ns == other->modified_ns;
}

static void stamp_text(const struct file_stamp *stamp, char text[STAMP_TEXT])
{
    snprintf(text, STAMP_TEXT, "%" PRIu64 "-%" PRIu64 "-%" PRIu64 "-%" PRId64, stamp->device, stamp->inode,
             stamp->bytes, stamp->modified_ns);
}

/* Of the rest of a line behind the sum and its comma. */
static void line_sum(const struct cache_store *store, const char *rest, size_t length, char sum[SUM_DIGITS + 1])
{
    uint8_t digest[DIGEST_BYTES];
    char text[DIGEST_TEXT];
    digest_start(store->digest);
    digest_add(store->digest, rest, length);
    digest_end(store->digest, digest);
    digest_to_text(digest, text);
    memcpy(sum, text, SUM_DIGITS);
    sum[SUM_DIGITS] = '\0';
}

/* The line at `at`, without its newline, when it is whole. */
static bool find_line(const struct cache_store *store, size_t at, const char **line, size_t *length)
{
    *line = store->bytes.bytes + at;
    const char *end = memchr(*line, '\n', store->bytes.length - at);
    if (end == NULL)
        return false;
    *length = (size_t)(end - *line);
    return *length > HEAD_LENGTH && *length <= CACHE_LINE_LIMIT && memcmp(*line, HEAD, sizeof HEAD - 1) == 0 &&
           memcmp(*line + HEAD_LENGTH - 2, "\",", 2) == 0;
}

static bool is_sound(const struct cache_store *store, const char *line, size_t length)
{
    char sum[SUM_DIGITS + 1];
    line_sum(store, line + HEAD_LENGTH, length - HEAD_LENGTH, sum);
    return memcmp(line + sizeof HEAD - 1, sum, SUM_DIGITS) == 0 && memchr(line, '\0', length) == NULL;
}

/* What a line is about: the first member behind its sum. */
static bool line_subject(const char *line, size_t length, char subject[STAMP_TEXT])
{
    static const char *const words[] = {FILE_WORD, RESULT_WORD};
    const char *rest = line + HEAD_LENGTH;
    size_t left = length - HEAD_LENGTH;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t word = strlen(words[i]);
        if (left <= word || memcmp(rest, words[i], word) != 0)
            continue;
        const char *end = memchr(rest + word, '"', left - word);
        size_t size = end != NULL ? (size_t)(end - rest) - word : STAMP_TEXT;
        if (size == 0 || size >= STAMP_TEXT || memchr(rest + word, '\0', size) != NULL)
            return false;
        memcpy(subject, rest + word, size);
        subject[size] = '\0';
        return true;
    }
    return false;
}

static void index_line(struct cache_store *store, size_t at)
{
    const char *line;
    size_t length;
    char subject[STAMP_TEXT];
    if (find_line(store, at, &line, &length) && line_subject(line, length, subject))
        table_put(store->lines, subject, (void *)(uintptr_t)(at + 1));
}

static void index_all(struct cache_store *store)
{
    size_t at = 0;
    while (at < store->bytes.length) {
        index_line(store, at);
        const char *end = memchr(store->bytes.bytes + at, '\n', store->bytes.length - at);
        if (end == NULL)
            break;
        at = (size_t)(end + 1 - store->bytes.bytes);
    }
}

static bool open_for_writing(struct cache_store *store, struct error *error)
{
    store->descriptor =
        open(store->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0666);
    if (store->descriptor < 0)
        return error_system(error, "cannot open '%s'", store->path);
    return true;
}

struct cache_store *cache_store_open(const char *folder, bool writes, struct error *error)
{
    cleanup(cache_store_free) struct cache_store *store = memory_allocate(sizeof *store);
    pthread_mutex_init(&store->mutex, NULL);
    store->descriptor = -1;
    store->path = path_join(folder, CACHE_FILE);
    store->lines = table_new();
    store->passing = table_new();
    store->scratch = arena_new();
    store->digest = digest_new();
    if (writes && !open_for_writing(store, error))
        return NULL;
    if (file_exists(store->path) && !file_read(store->path, CACHE_BYTES_LIMIT, &store->bytes, error))
        return NULL;
    store->flushed = store->bytes.length;
    index_all(store);
    /* What a torn write left is ended, so that it costs no more than itself. */
    if (store->bytes.length > 0 && store->bytes.bytes[store->bytes.length - 1] != '\n')
        text_append_character(&store->bytes, '\n');
    return steal(&store);
}

void cache_store_free(struct cache_store *store)
{
    if (store == NULL)
        return;
    const char *key;
    void *digest;
    for (size_t i = 0; store->passing != NULL && table_next(store->passing, &i, &key, &digest);)
        memory_free(digest);
    table_free(store->passing);
    table_free(store->lines);
    table_free(store->latest);
    text_clear(&store->bytes);
    arena_free(store->scratch);
    digest_free(store->digest);
    descriptor_close(store->descriptor);
    pthread_mutex_destroy(&store->mutex);
    memory_free(store->path);
    memory_free(store);
}

/* The members of the line about `subject`; they live until the next look. */
static bool look_up(struct cache_store *store, const char *subject, struct members *members)
{
    uintptr_t at = (uintptr_t)table_get(store->lines, subject);
    const char *line;
    size_t length;
    if (at == 0 || !find_line(store, at - 1, &line, &length) || !is_sound(store, line, length))
        return false;
    arena_reset(store->scratch);
    return members_find(members, store->scratch, line, length);
}

static bool take_digest(const struct members *members, const char *name, char sha256[DIGEST_TEXT])
{
    const char *text = members_text(members, name);
    if (text == NULL || !digest_is_text(text))
        return false;
    memcpy(sha256, text, DIGEST_TEXT);
    return true;
}

static bool find_digest(struct cache_store *store, const struct file_stamp *stamp, char sha256[DIGEST_TEXT])
{
    char subject[STAMP_TEXT];
    struct members members;
    stamp_text(stamp, subject);
    const char *passing = table_get(store->passing, subject);
    if (passing != NULL)
        memcpy(sha256, passing, DIGEST_TEXT);
    return passing != NULL || (look_up(store, subject, &members) && take_digest(&members, "sha256", sha256));
}

static struct recent *recent_place(struct cache_store *store, const struct file_stamp *stamp)
{
    return &store->recent[stamp->inode % RECENT];
}

bool cache_store_digest(struct cache_store *store, const struct file_stamp *stamp, char sha256[DIGEST_TEXT])
{
    pthread_mutex_lock(&store->mutex);
    struct recent *recent = recent_place(store, stamp);
    bool found = recent->sha256[0] != '\0' && file_stamp_equal(&recent->stamp, stamp);
    if (found) {
        memcpy(sha256, recent->sha256, DIGEST_TEXT);
    } else if (find_digest(store, stamp, sha256)) {
        found = true;
        recent->stamp = *stamp;
        memcpy(recent->sha256, sha256, DIGEST_TEXT);
    }
    pthread_mutex_unlock(&store->mutex);
    return found;
}

/* `rest` begins behind the sum's comma and ends with the line's closing bracket. */
static void add_line(struct cache_store *store, const struct text *rest)
{
    char sum[SUM_DIGITS + 1];
    size_t at = store->bytes.length;
    if (store->descriptor < 0 || rest->length + HEAD_LENGTH > CACHE_LINE_LIMIT ||
        at + rest->length + HEAD_LENGTH + 1 > CACHE_BYTES_LIMIT)
        return;
    line_sum(store, rest->bytes, rest->length, sum);
    text_append(&store->bytes, HEAD);
    text_append(&store->bytes, sum);
    text_append(&store->bytes, "\",");
    text_append_bytes(&store->bytes, rest->bytes, rest->length);
    text_append_character(&store->bytes, '\n');
    index_line(store, at);
}

void cache_store_keep_digest(struct cache_store *store, const struct file_stamp *stamp, const char *sha256,
                             bool lasting)
{
    char subject[STAMP_TEXT];
    stamp_text(stamp, subject);
    pthread_mutex_lock(&store->mutex);
    recent_place(store, stamp)->sha256[0] = '\0';
    if (lasting && store->descriptor >= 0) {
        cleanup(text_clear) struct text rest = TEXT_INIT;
        text_format(&rest, FILE_WORD "%s\",\"sha256\":\"%s\"}", subject, sha256);
        add_line(store, &rest);
    } else {
        memory_free(table_get(store->passing, subject));
        table_put(store->passing, subject, memory_copy_text(sha256));
    }
    pthread_mutex_unlock(&store->mutex);
}

void cache_store_keep_gone(struct cache_store *store, const char *path, const char *sha256)
{
    pthread_mutex_lock(&store->mutex);
    memory_free(table_get(store->passing, path));
    table_put(store->passing, path, memory_copy_text(sha256));
    pthread_mutex_unlock(&store->mutex);
}

bool cache_store_gone(struct cache_store *store, const char *path, char sha256[DIGEST_TEXT])
{
    pthread_mutex_lock(&store->mutex);
    const char *gone = table_get(store->passing, path);
    if (gone != NULL)
        memcpy(sha256, gone, DIGEST_TEXT);
    pthread_mutex_unlock(&store->mutex);
    return gone != NULL;
}

/* Nanoseconds have more digits than a number of JSON is sure to keep: they are written as a text. */
static bool take_time(const struct members *members, int64_t *time_ns)
{
    const char *text = members_text(members, "modified");
    return text != NULL && text_to_signed(text, time_ns);
}

static bool take_output(const struct members *members, struct arena *arena, struct cache_output *output)
{
    const char *name = members_text(members, "name");
    int64_t bytes = -1;
    if (name == NULL || !path_is_component(name) || !members_integer(members, "bytes", &bytes) || bytes < 0 ||
        !take_time(members, &output->modified_ns) || !take_digest(members, "sha256", output->sha256))
        return false;
    output->name = arena_copy_text(arena, name);
    output->bytes = (uint64_t)bytes;
    return true;
}

static bool take_result(const struct members *members, struct arena *arena, struct cache_result *result)
{
    struct cache_result taken = {.attempt = 0};
    int64_t attempt = members_number(members, "attempt");
    taken.run = arena_copy_text(arena, members_text(members, "run"));
    taken.stage = arena_copy_text(arena, members_text(members, "stage"));
    taken.member = arena_copy_text(arena, members_text(members, "member"));
    taken.folder = arena_copy_text(arena, members_text(members, "folder"));
    if (taken.run == NULL || taken.stage == NULL || attempt < 1 || !take_digest(members, "result", taken.key))
        return false;
    taken.attempt = (uint64_t)attempt;
    LIST(struct cache_output) outputs = {.items = NULL};
    struct members item;
    bool good = true;
    for (struct elements all = members_elements(members, "outputs"); good && elements_next(&all, &item);)
        good = take_output(&item, arena, list_grow(&outputs));
    if (good) {
        taken.outputs = arena_allocate(arena, (outputs.count + 1) * sizeof *outputs.items);
        if (outputs.count > 0)
            memcpy((void *)(uintptr_t)taken.outputs, outputs.items, outputs.count * sizeof *outputs.items);
        taken.outputs_count = outputs.count;
        *result = taken;
    }
    list_clear(&outputs);
    return good;
}

bool cache_store_result(struct cache_store *store, const char *key, struct arena *arena, struct cache_result *result)
{
    struct members members;
    pthread_mutex_lock(&store->mutex);
    bool found = look_up(store, key, &members) && take_result(&members, arena, result);
    pthread_mutex_unlock(&store->mutex);
    return found;
}

static void append_member(struct text *text, const char *name, const char *value)
{
    if (value == NULL)
        return;
    text_append(text, ",\"");
    text_append(text, name); /* a word of ours */
    text_append(text, "\":");
    text_append_json(text, value);
}

void cache_store_keep_result(struct cache_store *store, const struct cache_result *result)
{
    cleanup(text_clear) struct text rest = TEXT_INIT;
    text_append(&rest, RESULT_WORD);
    text_append(&rest, result->key);
    text_append_character(&rest, '"');
    append_member(&rest, "run", result->run);
    append_member(&rest, "stage", result->stage);
    append_member(&rest, "member", result->member);
    append_member(&rest, "folder", result->folder);
    text_append(&rest, ",\"attempt\":");
    text_append_unsigned(&rest, result->attempt);
    text_append(&rest, ",\"outputs\":[");
    for (size_t i = 0; i < result->outputs_count; i++) {
        const struct cache_output *output = &result->outputs[i];
        text_append(&rest, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_append_json(&rest, output->name);
        text_format(&rest, ",\"bytes\":%" PRIu64 ",\"modified\":\"%" PRId64 "\",\"sha256\":\"%s\"}", output->bytes,
                    output->modified_ns, output->sha256);
    }
    text_append(&rest, "]}");
    pthread_mutex_lock(&store->mutex);
    add_line(store, &rest);
    pthread_mutex_unlock(&store->mutex);
}

static char *task_name(const char *stage, const char *member)
{
    return member != NULL ? memory_format("%s/%s", stage, member) : memory_copy_text(stage);
}

/* The members of the line at `at` when it is a sound one about a result. */
static bool read_result_line(struct cache_store *store, size_t at, struct members *members)
{
    const char *line;
    size_t length;
    arena_reset(store->scratch);
    return find_line(store, at, &line, &length) && length > HEAD_LENGTH + sizeof RESULT_WORD &&
           memcmp(line + HEAD_LENGTH, RESULT_WORD, sizeof RESULT_WORD - 1) == 0 && is_sound(store, line, length) &&
           members_find(members, store->scratch, line, length);
}

/* Of all results, the last of each task: for whoever asks for many. */
static void index_latest(struct cache_store *store)
{
    store->latest = table_new();
    for (size_t at = 0; at < store->bytes.length;) {
        struct members members;
        const char *end = memchr(store->bytes.bytes + at, '\n', store->bytes.length - at);
        const char *stage = read_result_line(store, at, &members) ? members_text(&members, "stage") : NULL;
        cleanup(memory_free) char *name = stage != NULL ? task_name(stage, members_text(&members, "member")) : NULL;
        if (name != NULL)
            table_put(store->latest, name, (void *)(uintptr_t)(at + 1));
        at = end != NULL ? (size_t)(end + 1 - store->bytes.bytes) : store->bytes.length;
    }
}

static bool find_latest(struct cache_store *store, const char *stage, const char *member, struct members *members)
{
    if (store->latest == NULL)
        index_latest(store);
    cleanup(memory_free) char *name = task_name(stage, member);
    uintptr_t at = (uintptr_t)table_get(store->latest, name);
    return at != 0 && read_result_line(store, at - 1, members);
}

/* From the last line to the first. Ids of runs sort by time. */
static bool find_before(struct cache_store *store, const char *stage, const char *member, const char *run,
                        struct members *members)
{
    for (size_t end = store->bytes.length; end > 1;) {
        const char *newline = memrchr(store->bytes.bytes, '\n', end - 1);
        size_t at = newline != NULL ? (size_t)(newline + 1 - store->bytes.bytes) : 0;
        end = at;
        if (!read_result_line(store, at, members) || !text_equal(members_text(members, "stage"), stage) ||
            !text_equal(members_text(members, "member"), member))
            continue;
        const char *made_by = members_text(members, "run");
        if (made_by != NULL && strcmp(made_by, run) < 0)
            return true;
    }
    return false;
}

bool cache_store_latest(struct cache_store *store, const char *stage, const char *member, const char *run,
                        struct arena *arena, struct cache_result *result)
{
    struct members members;
    pthread_mutex_lock(&store->mutex);
    bool found =
        run == NULL ? find_latest(store, stage, member, &members) : find_before(store, stage, member, run, &members);
    found = found && take_result(&members, arena, result);
    pthread_mutex_unlock(&store->mutex);
    return found;
}

static bool flush_locked(struct cache_store *store, struct error *error)
{
    while (store->descriptor >= 0 && store->flushed < store->bytes.length) {
        ssize_t written =
            write(store->descriptor, store->bytes.bytes + store->flushed, store->bytes.length - store->flushed);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_system(error, "cannot write '%s'", store->path);
        store->flushed += (size_t)written;
    }
    return true;
}

bool cache_store_flush(struct cache_store *store, struct error *error)
{
    pthread_mutex_lock(&store->mutex);
    bool flushed = flush_locked(store, error);
    pthread_mutex_unlock(&store->mutex);
    return flushed;
}

static bool line_counts(struct cache_store *store, size_t at, bool (*kept)(void *, const char *), void *context)
{
    const char *line;
    size_t length;
    char subject[STAMP_TEXT];
    struct members members;
    if (!find_line(store, at, &line, &length) || !line_subject(line, length, subject) ||
        (uintptr_t)table_get(store->lines, subject) != at + 1 || !is_sound(store, line, length))
        return false;
    arena_reset(store->scratch);
    if (!members_find(&members, store->scratch, line, length))
        return false;
    const char *run = members_text(&members, "run");
    return run == NULL || kept(context, run);
}

/* The lines that count are appended to `left` (NULL: nowhere); the others' bytes. */
static uint64_t sort_lines(struct cache_store *store, bool (*kept)(void *, const char *), void *context,
                           struct text *left)
{
    uint64_t surplus = 0;
    for (size_t at = 0; at < store->bytes.length;) {
        const char *end = memchr(store->bytes.bytes + at, '\n', store->bytes.length - at);
        size_t next = end != NULL ? (size_t)(end + 1 - store->bytes.bytes) : store->bytes.length;
        if (!line_counts(store, at, kept, context))
            surplus += next - at;
        else if (left != NULL)
            text_append_bytes(left, store->bytes.bytes + at, next - at);
        at = next;
    }
    return surplus;
}

uint64_t cache_store_surplus(struct cache_store *store, bool (*kept)(void *context, const char *run), void *context)
{
    pthread_mutex_lock(&store->mutex);
    uint64_t surplus = sort_lines(store, kept, context, NULL);
    pthread_mutex_unlock(&store->mutex);
    return surplus;
}

bool cache_store_compact(struct cache_store *store, bool (*kept)(void *context, const char *run), void *context,
                         struct error *error)
{
    cleanup(text_clear) struct text left = TEXT_INIT;
    pthread_mutex_lock(&store->mutex);
    sort_lines(store, kept, context, &left);
    bool written = file_write(store->path, text_bytes(&left), left.length, 0666, error);
    pthread_mutex_unlock(&store->mutex);
    return written;
}
