/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that the runs of a user share; broker.h. */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 10, ANSWER_LIMIT = 64 << 20, HEADER_LIMIT = 256 };
/* Before a controller has said otherwise: bursts are fine, a stream is not. */
#define FIRST_CAPACITY 50.0
#define FIRST_PER_SECOND 5.0

static bool read_small(const char *path, char *text, size_t size)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return false;
    }
    ssize_t length = read(descriptor, text, size - 1);
    close(descriptor);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* When a process began, in ticks since the boot: with its number it names one process of this boot. */
static bool read_start(const char *process, char start[24])
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%.20s/stat", process);
    if (!read_small(path, text, sizeof(text))) {
        return false;
    }
    const char *field = strrchr(text, ')'); /* the name before it may hold anything */
    for (int i = 0; field != NULL && i < 20; i++) {
        field = strchr(field + 1, ' ');
    }
    if (field == NULL) {
        return false;
    }
    snprintf(start, 24, "%.*s", (int)strcspn(field + 1, " "), field + 1);
    return true;
}

static uint64_t hash(const char *text)
{
    uint64_t value = 14695981039346656037u; /* FNV-1a */
    for (; *text != '\0'; text++) {
        value = (value ^ (unsigned char)*text) * 1099511628211u;
    }
    return value;
}

bool broker_open(struct broker *broker, const char *folder, const char *key, int64_t now_ms)
{
    char host[HOST_NAME_MAX + 1] = "", start[24] = "0";
    struct buffer base = {0};
    *broker = (struct broker){0};
    bucket_start(&broker->bucket, FIRST_CAPACITY, FIRST_PER_SECOND, now_ms);
    if (folder == NULL || gethostname(host, sizeof(host) - 1) != 0 || strchr(host, '/') != NULL ||
        !read_small("/proc/sys/kernel/random/boot_id", broker->boot, sizeof(broker->boot)) ||
        !read_start("self", start)) {
        return true;
    }
    broker->boot[strcspn(broker->boot, "\n")] = '\0';
    snprintf(broker->self, sizeof(broker->self), "%ld.%s.%s", (long)getpid(), start, broker->boot);
    buffer_format(&base, "%s/%s-%016" PRIx64, folder, host, hash(key));
    broker->base = base.data;
    return !base.failed;
}

void broker_close(struct broker *broker)
{
    free(broker->base);
    broker->base = NULL;
}

static bool is_alive(const struct broker *broker, const char *holder)
{
    char process[24], start[24], found[24];
    size_t process_length = strcspn(holder, ".");
    const char *rest = holder + process_length;
    size_t start_length = rest[0] == '.' ? strcspn(rest + 1, ".") : 0;
    if (process_length == 0 || process_length >= sizeof(process) || start_length == 0 ||
        start_length >= sizeof(start) || rest[1 + start_length] != '.') {
        return false;
    }
    snprintf(process, sizeof(process), "%.*s", (int)process_length, holder);
    snprintf(start, sizeof(start), "%.*s", (int)start_length, rest + 1);
    return strcmp(rest + start_length + 2, broker->boot) == 0 && read_start(process, found) &&
           strcmp(found, start) == 0;
}

/* Takes away the link of a process that is gone. Another may have done so and made its own: then that one is put back.
 */
static void break_link(const struct broker *broker, const char *path, const char *holder)
{
    char away[PATH_MAX], moved[sizeof(broker->self)] = "";
    int length = snprintf(away, sizeof(away), "%s.%s", path, broker->self);
    if (length < 0 || (size_t)length >= sizeof(away) || rename(path, away) != 0) {
        return;
    }
    ssize_t got = readlink(away, moved, sizeof(moved) - 1);
    if (got > 0) {
        moved[got] = '\0';
        if (strcmp(moved, holder) != 0 && symlink(moved, path) != 0) {
            errno = 0; /* a third one was quicker: two ask at once, once */
        }
    }
    unlink(away);
}

enum hold { HELD, HELD_BY_OTHER, CANNOT_HOLD };

static enum hold hold(const struct broker *broker, const char *what, char path[PATH_MAX])
{
    char holder[sizeof(broker->self)];
    int length = snprintf(path, PATH_MAX, "%s.%s", broker->base, what);
    if (length < 0 || length >= PATH_MAX) {
        return CANNOT_HOLD;
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        if (symlink(broker->self, path) == 0) {
            return HELD;
        }
        if (errno != EEXIST) {
            return CANNOT_HOLD;
        }
        ssize_t got = readlink(path, holder, sizeof(holder) - 1);
        if (got < 0) {
            return errno == ENOENT ? HELD_BY_OTHER : CANNOT_HOLD; /* given back meanwhile */
        }
        holder[got] = '\0';
        if (strcmp(holder, broker->self) == 0) {
            return HELD; /* ours, from an instance of this process that was closed in the middle */
        }
        if (is_alive(broker, holder)) {
            return HELD_BY_OTHER;
        }
        break_link(broker, path, holder);
    }
    return HELD_BY_OTHER;
}

/* Temporary file, then its name: readers see the old one or the new one. It can be made again, so it need not be
 * synced. */
static void replace(const struct broker *broker, const char *what, const struct buffer *first,
                    const struct buffer *second)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s.%s", broker->base, what);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return;
    }
    length = snprintf(temporary, sizeof(temporary), "%s.%.20s.new", path, broker->self);
    if (length < 0 || (size_t)length >= sizeof(temporary)) {
        return;
    }
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return;
    }
    bool done = write(descriptor, first->data, first->length) == (ssize_t)first->length;
    if (second != NULL && second->length > 0) {
        done = write(descriptor, second->data, second->length) == (ssize_t)second->length && done;
    }
    done = close(descriptor) == 0 && done;
    if (!done || rename(temporary, path) != 0) {
        unlink(temporary);
    }
}

static bool skip_word(const char **line, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*line, word, length) != 0 || (*line)[length] != ' ') {
        return false;
    }
    *line += length + 1;
    return true;
}

/* "KIND BOOT NUMBER...": false when it is not of this boot, or broken. */
static bool read_words(const struct broker *broker, const char *line, const char *kind, double *numbers, size_t count)
{
    if (!skip_word(&line, kind) || !skip_word(&line, broker->boot)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char *end = NULL;
        numbers[i] = strtod(line, &end);
        if (end == line) {
            return false;
        }
        line = end;
    }
    return *line == '\0' || *line == '\n';
}

enum { BUCKET_NUMBERS = 8 };

static void read_bucket(struct broker *broker, int64_t now_ms)
{
    char path[PATH_MAX], text[HEADER_LIMIT];
    double numbers[BUCKET_NUMBERS];
    int length = snprintf(path, sizeof(path), "%s.bucket", broker->base);
    if (length < 0 || (size_t)length >= sizeof(path) || !read_small(path, text, sizeof(text)) ||
        !read_words(broker, text, "bucket1", numbers, BUCKET_NUMBERS) || numbers[1] < 1 || numbers[2] <= 0 ||
        numbers[5] > (double)now_ms) {
        return;
    }
    broker->bucket = (struct bucket){.tokens = numbers[0],
                                     .capacity = numbers[1],
                                     .per_ms = numbers[2],
                                     .full_capacity = numbers[3],
                                     .full_per_ms = numbers[4],
                                     .at_ms = (int64_t)numbers[5],
                                     .blocked_until_ms = (int64_t)numbers[6],
                                     .block_ms = (int64_t)numbers[7]};
}

static void write_bucket(struct broker *broker)
{
    const struct bucket *bucket = &broker->bucket;
    struct buffer text = {0};
    buffer_format(&text, "bucket1 %s %.6f %.6f %.9f %.6f %.9f %" PRId64 " %" PRId64 " %" PRId64 "\n", broker->boot,
                  bucket->tokens, bucket->capacity, bucket->per_ms, bucket->full_capacity, bucket->full_per_ms,
                  bucket->at_ms, bucket->blocked_until_ms, bucket->block_ms);
    if (!text.failed) {
        replace(broker, "bucket", &text, NULL);
    }
    buffer_clear(&text);
}

/* Nothing shared, or a cache folder that cannot be written: the bucket of this process then. */
static bool bucket_begin(struct broker *broker, char link[PATH_MAX], bool *busy, int64_t now_ms)
{
    *busy = false;
    if (broker->base == NULL) {
        return false;
    }
    enum hold held = hold(broker, "bucket-held", link);
    if (held != HELD) {
        *busy = held == HELD_BY_OTHER;
        return false;
    }
    read_bucket(broker, now_ms);
    return true;
}

static void bucket_end(struct broker *broker, const char *link)
{
    write_bucket(broker);
    unlink(link);
}

int64_t broker_take(struct broker *broker, double cost, int64_t now_ms)
{
    char link[PATH_MAX];
    bool busy, shared = bucket_begin(broker, link, &busy, now_ms);
    if (busy) {
        return BUSY_MS;
    }
    int64_t wait = bucket_take(&broker->bucket, cost, now_ms);
    if (shared) {
        bucket_end(broker, link);
    }
    return wait;
}

void broker_slow_down(struct broker *broker, int64_t now_ms)
{
    char link[PATH_MAX];
    bool busy, shared = bucket_begin(broker, link, &busy, now_ms);
    bucket_slow_down(&broker->bucket, now_ms);
    if (shared) {
        bucket_end(broker, link);
    }
}

void broker_went_well(struct broker *broker, int64_t now_ms)
{
    char link[PATH_MAX];
    bool busy;
    if (broker->bucket.per_ms >= broker->bucket.full_per_ms) {
        return;
    }
    bool shared = bucket_begin(broker, link, &busy, now_ms);
    bucket_went_well(&broker->bucket, now_ms);
    if (shared) {
        bucket_end(broker, link);
    }
}

void broker_limit(struct broker *broker, double capacity, double per_second, int64_t now_ms)
{
    char link[PATH_MAX];
    bool busy, shared = bucket_begin(broker, link, &busy, now_ms);
    if (broker->bucket.full_capacity > capacity || broker->bucket.full_capacity < capacity ||
        broker->bucket.full_per_ms * 1000 > per_second * 1.001 ||
        broker->bucket.full_per_ms * 1000 < per_second * 0.999) {
        bucket_limit(&broker->bucket, capacity, per_second, now_ms);
    }
    if (shared) {
        bucket_end(broker, link);
    }
}

bool broker_ask_begin(struct broker *broker)
{
    char link[PATH_MAX];
    /* A folder that cannot be written is nobody's word that another process is asking. */
    return broker->base == NULL || hold(broker, "asking", link) != HELD_BY_OTHER;
}

void broker_ask_end(struct broker *broker)
{
    char path[PATH_MAX], holder[sizeof(broker->self)];
    if (broker->base == NULL) {
        return;
    }
    int length = snprintf(path, sizeof(path), "%s.asking", broker->base);
    ssize_t got = length > 0 && (size_t)length < sizeof(path) ? readlink(path, holder, sizeof(holder) - 1) : -1;
    if (got > 0) {
        holder[got] = '\0';
        if (strcmp(holder, broker->self) == 0) {
            unlink(path);
        }
    }
}

void broker_publish(struct broker *broker, const char *what, int64_t began_ms, const struct buffer *answer)
{
    struct buffer header = {0};
    if (broker->base == NULL || answer->length > ANSWER_LIMIT) {
        return;
    }
    buffer_format(&header, "%s1 %s %" PRId64 "\n", what, broker->boot, began_ms);
    if (!header.failed) {
        replace(broker, what, &header, answer);
    }
    buffer_clear(&header);
}

static bool read_whole(const struct broker *broker, const char *what, int64_t since_ms, int64_t *began_ms,
                       struct buffer *answer)
{
    char path[PATH_MAX], kind[16], header[HEADER_LIMIT], block[8192];
    double began = 0;
    int length = snprintf(path, sizeof(path), "%s.%s", broker->base, what);
    snprintf(kind, sizeof(kind), "%s1", what);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return false;
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return false;
    }
    ssize_t got = pread(descriptor, header, sizeof(header) - 1, 0);
    header[got > 0 ? got : 0] = '\0';
    size_t skip = strcspn(header, "\n") + 1;
    header[skip - 1] = '\0';
    bool good = skip < (size_t)(got > 0 ? got : 0) + 1 && read_words(broker, header, kind, &began, 1) &&
                began >= (double)since_ms;
    off_t place = (off_t)skip;
    while (good && (got = pread(descriptor, block, sizeof(block), place)) > 0 && place < ANSWER_LIMIT) {
        buffer_add(answer, block, (size_t)got);
        place += got;
    }
    close(descriptor);
    *began_ms = (int64_t)began;
    return good && got == 0 && !answer->failed;
}

bool broker_read(struct broker *broker, const char *what, int64_t since_ms, int64_t *began_ms, struct buffer *answer)
{
    *answer = (struct buffer){0};
    if (broker->base == NULL || !read_whole(broker, what, since_ms, began_ms, answer)) {
        buffer_clear(answer);
        return false;
    }
    return true;
}
