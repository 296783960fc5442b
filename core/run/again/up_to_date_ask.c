/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks whether all is as a run left it: a stat for each file, from its open folder, which costs half of a whole path.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/path.h"
#include "base/text.h"
#include "cache/file_digest.h"
#include "cache/identity.h"
#include "run/again/up_to_date.h"
#include "run/again/up_to_date_request.h"
#include "run/journal/lease.h"
#include "run/journal/run_folder.h"

#define LATEST_LOOKS 64 /* runs of the index that are looked at for the last one of this pipeline */

struct asking {
    const char *request;
    struct up_to_date_count *count;
    const char *folder; /* of the lines that follow, and open; NULL: none yet */
    int descriptor;
    bool requested, counted;
};

static void add_text(struct digest *digest, const char *text)
{
    digest_add(digest, text != NULL ? text : "", (text != NULL ? strlen(text) : 0) + 1);
}

/* What changes only how it is shown. */
static bool is_about_showing(const char *word)
{
    static const char *const words[] = {"-q", "--quiet", "-v", "--verbose", "--json"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return text_starts_with(word, "--color=");
}

static int compare_words(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Those that the program itself looks at: which plugins, which configuration, which programs. */
static void add_variables(struct digest *digest, const char *const *environment)
{
    static const char *const names[] = {"PATH", "HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"};
    LIST(const char *) own = {.items = NULL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        add_text(digest, names[i]);
        add_text(digest, secure_getenv(names[i]));
    }
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
        if (text_starts_with(environment[i], "DESCPIPE_"))
            list_add(&own, environment[i]);
    if (own.count > 1)
        qsort(own.items, own.count, sizeof *own.items, compare_words);
    for (size_t i = 0; i < own.count; i++)
        add_text(digest, own.items[i]);
    list_clear(&own);
}

/* The program is the same as long as its file is. */
static bool add_program(struct digest *digest, const char *version)
{
    struct stat status;
    if (stat("/proc/self/exe", &status) != 0)
        return false;
    const struct file_stamp stamp = file_stamp_of(&status);
    cleanup(memory_free) char *said =
        memory_format("%s %llu %llu %llu %lld", version != NULL ? version : "", (unsigned long long)stamp.device,
                      (unsigned long long)stamp.inode, (unsigned long long)stamp.bytes, (long long)stamp.modified_ns);
    add_text(digest, said);
    return true;
}

bool up_to_date_request(const struct run_request *request, char text[DIGEST_TEXT])
{
    cleanup(digest_free) struct digest *digest = digest_new();
    cleanup(memory_free) char *here = path_real(".", NULL);
    uint8_t result[DIGEST_BYTES];
    if (request->arguments == NULL || request->no_cache || request->detach || request->resume != NULL || here == NULL)
        return false;
    digest_start(digest);
    if (!add_program(digest, request->version))
        return false;
    add_text(digest, here);
    for (size_t i = 0; request->arguments[i] != NULL; i++)
        if (!is_about_showing(request->arguments[i]))
            add_text(digest, request->arguments[i]);
    add_text(digest, NULL);
    add_variables(digest, request->config.environment);
    digest_end(digest, result);
    digest_to_text(result, text);
    return true;
}

void up_to_date_variable(const char *name, char text[DIGEST_TEXT])
{
    const char *value = secure_getenv(name);
    uint8_t digest[DIGEST_BYTES];
    cleanup(memory_free) char *said = memory_format("%c%s", value != NULL ? '=' : '-', value != NULL ? value : "");
    digest_of(said, strlen(said), digest);
    digest_to_text(digest, text);
}

/* Lines. Each is given behind its word; false: it does not hold, or is none. */

static bool take_number(char **at, uint64_t *number)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *number = strtoull(*at, &end, 10);
    if (*end != ' ' && *end != '\0')
        return false;
    *at = *end == ' ' ? end + 1 : end;
    return true;
}

static bool take_signed(char **at, int64_t *number)
{
    uint64_t size;
    bool negative = **at == '-';
    *at += negative;
    if (!take_number(at, &size) || size > INT64_MAX)
        return false;
    *number = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

static bool request_holds(struct asking *asking, char *rest)
{
    asking->requested = strcmp(rest, asking->request) == 0;
    return asking->requested;
}

static bool take_count(struct asking *asking, char *rest)
{
    asking->counted = take_number(&rest, &asking->count->stages) && take_number(&rest, &asking->count->tasks);
    return asking->counted && *rest == '\0';
}

static bool variable_holds(struct asking *asking, char *rest)
{
    (void)asking;
    char digest[DIGEST_TEXT];
    char *value = strchr(rest, ' ');
    if (value == NULL)
        return false;
    *value++ = '\0';
    up_to_date_variable(rest, digest);
    return strcmp(value, digest) == 0;
}

static bool program_holds(struct asking *asking, char *rest)
{
    (void)asking;
    char *path = strchr(rest, '\t');
    if (path == NULL)
        return false;
    *path++ = '\0';
    cleanup(memory_free) char *found = identity_find_program(rest);
    return text_equal(found, path);
}

static bool absent_holds(struct asking *asking, char *rest)
{
    struct stat status;
    (void)asking;
    return stat(rest, &status) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static bool open_folder(struct asking *asking, char *rest)
{
    descriptor_close(asking->descriptor);
    asking->folder = rest;
    asking->descriptor = open(rest, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return asking->descriptor >= 0;
}

static bool file_holds(struct asking *asking, char *rest)
{
    struct file_stamp stamp = {.bytes = 0};
    struct stat status;
    if (!take_number(&rest, &stamp.device) || !take_number(&rest, &stamp.inode) || !take_number(&rest, &stamp.bytes) ||
        !take_signed(&rest, &stamp.modified_ns) || asking->folder == NULL ||
        fstatat(asking->descriptor, rest, &status, 0) != 0)
        return false;
    const struct file_stamp now = file_stamp_of(&status);
    return file_stamp_equal(&stamp, &now);
}

static bool made_holds(struct asking *asking, char *rest)
{
    uint64_t bytes;
    int64_t modified_ns;
    struct stat status;
    if (!take_number(&rest, &bytes) || !take_signed(&rest, &modified_ns) || asking->folder == NULL ||
        fstatat(asking->descriptor, rest, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return false;
    const struct file_stamp now = file_stamp_of(&status);
    return now.bytes == bytes && now.modified_ns == modified_ns;
}

static bool tree_holds(struct asking *asking, char *rest)
{
    uint64_t bytes, bytes_now;
    int64_t number, number_now;
    if (!take_number(&rest, &bytes) || !take_signed(&rest, &number) || asking->folder == NULL)
        return false;
    cleanup(memory_free) char *path = path_join(asking->folder, rest);
    return file_digest_look(path, &bytes_now, &number_now, NULL) && bytes == bytes_now && number == number_now;
}

static const struct {
    const char *word;
    bool (*holds)(struct asking *asking, char *rest);
} lines_known[] = {{"file ", file_holds},         {"made ", made_holds},       {"in ", open_folder},
                   {"absent ", absent_holds},     {"tree ", tree_holds},       {"program ", program_holds},
                   {"variable ", variable_holds}, {"request ", request_holds}, {"holds ", take_count}};

static bool line_holds(struct asking *asking, char *line)
{
    for (size_t i = 0; i < sizeof lines_known / sizeof *lines_known; i++) {
        size_t length = strlen(lines_known[i].word);
        if (strncmp(line, lines_known[i].word, length) == 0)
            return lines_known[i].holds(asking, line + length);
    }
    return false;
}

bool up_to_date_holds(char *lines, const char *request, struct up_to_date_count *count)
{
    struct asking asking = {.request = request, .count = count, .descriptor = -1};
    bool holds = text_starts_with(lines, UP_TO_DATE_HEAD);
    for (char *line = holds ? lines + sizeof UP_TO_DATE_HEAD - 1 : lines, *end; holds && *line != '\0'; line = end) {
        end = strchr(line, '\n');
        if (end == NULL) {
            holds = false;
            break;
        }
        *end++ = '\0';
        holds = line_holds(&asking, line);
    }
    descriptor_close(asking.descriptor);
    return holds && asking.requested && asking.counted;
}

/* The file of that run, with its sum checked and cut off. */
static bool read_lines(const char *run_folder, struct text *text)
{
    uint8_t sum[DIGEST_BYTES];
    char digest[DIGEST_TEXT];
    cleanup(memory_free) char *path = path_join(run_folder, UP_TO_DATE_FILE);
    if (!file_read(path, UP_TO_DATE_LIMIT, text, NULL) || text->length < UP_TO_DATE_TAIL ||
        memchr(text->bytes, '\0', text->length) != NULL)
        return false;
    size_t length = text->length - UP_TO_DATE_TAIL;
    digest_of(text->bytes, length, sum);
    digest_to_text(sum, digest);
    const char *said = text->bytes + length;
    if (memcmp(said, UP_TO_DATE_SUM, sizeof UP_TO_DATE_SUM - 1) != 0 ||
        memcmp(said + sizeof UP_TO_DATE_SUM - 1, digest, DIGEST_TEXT - 1) != 0)
        return false;
    text->length = length;
    text->bytes[length] = '\0';
    return true;
}

/* Somebody who works in the working folder may be about to change it: the long way tells who. */
static bool working_is_free(const char *run_folder)
{
    enum lease_state state;
    struct lease_holder holder;
    cleanup(memory_free) char *runs = path_folder(run_folder);
    cleanup(memory_free) char *descpipe = path_folder(runs);
    return lease_look(descpipe, &state, &holder, NULL) && state == LEASE_FREE;
}

static char *latest_run(const struct run_request *request)
{
    cleanup(memory_free) char *index = request->no_index ? NULL : run_index_folder();
    cleanup(memory_free) char *pipeline = path_real(request->pipeline, NULL);
    cleanup(memory_free) char *here = path_real(".", NULL);
    return index != NULL && pipeline != NULL && here != NULL ? run_index_latest(index, pipeline, here, LATEST_LOOKS)
                                                             : NULL;
}

bool up_to_date_ask(const struct run_request *request, struct up_to_date_answer *answer)
{
    char digest[DIGEST_TEXT];
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!up_to_date_request(request, digest))
        return false;
    cleanup(memory_free) char *run_folder = latest_run(request);
    if (run_folder == NULL || !working_is_free(run_folder) || !read_lines(run_folder, &text) ||
        !up_to_date_holds(text.bytes, digest, &answer->count))
        return false;
    answer->run_folder = steal(&run_folder);
    return true;
}

void up_to_date_answer_clear(struct up_to_date_answer *answer)
{
    memory_free(steal(&answer->run_folder));
}
