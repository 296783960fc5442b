/* SPDX-License-Identifier: BSD-3-Clause */
/* `foreach` and `size`: the members of a stage. */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/witness.h"
#include "pipeline/reader.h"

enum { KEYS_LIMIT = 16 };

struct reading {
    struct pipeline_reader *reader;
    const struct document *document;
    struct stage *stage;
    struct stage_extras *extras;
};

static bool refuse(const struct reading *reading, struct place place, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool refuse(const struct reading *reading, struct place place, const char *hint, const char *format, ...)
{
    cleanup(text_clear) struct text message = TEXT_INIT;
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&message, format, arguments);
    va_end(arguments);
    problem_add(reading->reader->problems, PROBLEM_ERROR, place, hint, "%s", text_bytes(&message));
    return false;
}

static bool is_key(const char *key)
{
    size_t length = strlen(key);
    return length > 0 && length <= 64 && key[0] >= 'a' && key[0] <= 'z' &&
           strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

static bool read_list(const struct reading *reading, const struct node *node, struct foreach_key *key)
{
    struct pipeline *pipeline = reading->reader->pipeline;
    const char *name = pipeline_text(pipeline, key->key);
    cleanup(text_clear) struct text what = TEXT_INIT;
    text_format(&what, "a value of '%s' in 'foreach'", name);
    cleanup(symbols_free) struct symbols *seen = symbols_new();
    key->values.at = (uint32_t)pipeline->symbols_array.count;
    bool good = true;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        const char *text;
        if (!node_to_text(reading->document, child, text_bytes(&what), &text, reading->reader->problems)) {
            good = false;
            continue;
        }
        uint32_t before = symbols_count(seen);
        if (text[0] == '\0')
            good = refuse(reading, node_place(reading->document, child), NULL, "%s is empty", text_bytes(&what));
        else if (symbol_intern(seen, text, strlen(text)) < before)
            good = refuse(reading, node_place(reading->document, child), NULL,
                          "the value '%.100s' of '%s' is given twice", text, name);
        list_add(&pipeline->symbols_array, reader_intern(reading->reader, text));
    }
    key->values.count = (uint32_t)pipeline->symbols_array.count - key->values.at;
    if (key->values.count == 0)
        return refuse(reading, node_place(reading->document, node), NULL, "'%s' in 'foreach' has no values", name);
    return good;
}

/* The pattern below the base folder, whose own name is no pattern. */
static char *absolute_pattern(const char *base, const char *pattern)
{
    struct text text = TEXT_INIT;
    for (const char *c = base; pattern[0] != '/' && *c != '\0'; c++) {
        if (strchr("*?[]\\", *c) != NULL)
            text_append_character(&text, '\\');
        text_append_character(&text, *c);
    }
    if (pattern[0] != '/')
        text_append_character(&text, '/');
    text_append(&text, strncmp(pattern, "./", 2) == 0 ? pattern + 2 : pattern);
    return text_take(&text);
}

static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* glob's own, and told of. */
static void *open_folder(const char *path)
{
    witness_saw(path);
    return opendir(path);
}

static struct dirent *read_folder(void *folder)
{
    return readdir(folder);
}

static void close_folder(void *folder)
{
    closedir(folder);
}

static int look_at(const char *path, struct stat *status)
{
    witness_saw(path);
    return stat(path, status);
}

static int look_at_link(const char *path, struct stat *status)
{
    witness_saw(path);
    return lstat(path, status);
}

static bool read_glob(const struct reading *reading, const struct node *node, struct foreach_key *key)
{
    struct pipeline *pipeline = reading->reader->pipeline;
    struct place place = node_place(reading->document, node);
    const char *pattern;
    if (!node_to_text(reading->document, node, "'glob' in 'foreach'", &pattern, reading->reader->problems))
        return false;
    if (pattern[0] == '\0')
        return refuse(reading, place, "write {glob: \"in/*.fits\"}", "'glob' in 'foreach' is empty");
    cleanup(memory_free) char *absolute = absolute_pattern(pipeline->base, pattern);
    glob_t found = {.gl_opendir = open_folder,
                    .gl_readdir = read_folder,
                    .gl_closedir = close_folder,
                    .gl_stat = look_at,
                    .gl_lstat = look_at_link};
    int result = glob(absolute, GLOB_NOSORT | GLOB_ALTDIRFUNC, NULL, &found);
    if (result == GLOB_NOSPACE)
        memory_exhausted();
    bool good = result == 0 && found.gl_pathc <= MEMBERS_LIMIT;
    if (result != 0)
        refuse(reading, place, "a relative pattern counts from the working directory (or --base)",
               "no file matches '%.200s'", pattern);
    else if (!good)
        refuse(reading, place, NULL, "more than %d files match '%.200s'", MEMBERS_LIMIT, pattern);
    if (good)
        qsort(found.gl_pathv, found.gl_pathc, sizeof found.gl_pathv[0], by_bytes);
    key->values.at = (uint32_t)pipeline->symbols_array.count;
    for (size_t i = 0; good && i < found.gl_pathc; i++) {
        if (!text_is_utf8(found.gl_pathv[i], strlen(found.gl_pathv[i])))
            good = refuse(reading, place, NULL, "a file that matches '%.200s' has a name that is not UTF-8", pattern);
        list_add(&pipeline->symbols_array, reader_intern(reading->reader, found.gl_pathv[i]));
    }
    key->values.count = (uint32_t)pipeline->symbols_array.count - key->values.at;
    globfree(&found);
    return good;
}

static bool add_key(const struct reading *reading, const char *name, const struct node *node)
{
    struct place place = node_key_place(reading->document, node);
    if (!is_key(name))
        return refuse(reading, place, "it becomes ${each.KEY} and DESC_EACH_KEY",
                      "'%.100s' cannot be a key of 'foreach': lower-case letters, digits, '_' and '-'", name);
    if (reading->extras->foreach.count >= KEYS_LIMIT)
        return refuse(reading, place, NULL, "'foreach' has more than %d keys", KEYS_LIMIT);
    struct foreach_key key = {.key = reader_intern(reading->reader, name)};
    const struct node *pattern = node_get(node, "glob");
    bool good;
    if (node_kind(node) == NODE_SEQUENCE)
        good = read_list(reading, node, &key);
    else if (node_kind(node) == NODE_MAPPING && node_count(node) == 1 && pattern != NULL)
        good = read_glob(reading, pattern, &key);
    else
        good = refuse(reading, node_place(reading->document, node), "write [g, r, i] or {glob: \"in/*.fits\"}",
                      "'%s' in 'foreach' must be a list of texts or {glob: PATTERN}", name);
    list_add(&reading->extras->foreach, key);
    return good;
}

static bool count_members(const struct reading *reading, const struct node *node)
{
    uint64_t members = 1;
    for (size_t i = 0; i < reading->extras->foreach.count; i++) {
        members *= reading->extras->foreach.items[i].values.count;
        if (members > MEMBERS_LIMIT)
            return refuse(reading, node_place(reading->document, node), NULL, "'foreach' makes more than %d members",
                          MEMBERS_LIMIT);
    }
    reading->stage->members = (uint32_t)members;
    return true;
}

bool foreach_read(struct pipeline_reader *reader, const struct document *document, const struct node *node,
                  struct stage *stage, struct stage_extras *extras)
{
    struct reading reading = {.reader = reader, .document = document, .stage = stage, .extras = extras};
    if (node_kind(node) != NODE_MAPPING || node_count(node) == 0)
        return refuse(&reading, node_place(document, node), "write {band: [g, r, i]} or {glob: \"in/*.fits\"}",
                      "'foreach' must be a mapping of keys to values");
    const struct node *pattern = node_get(node, "glob");
    if (pattern != NULL && node_kind(pattern) == NODE_SCALAR) { /* short for {file: {glob: PATTERN}} */
        if (node_count(node) > 1)
            return refuse(&reading, node_key_place(document, pattern), "write {file: {glob: PATTERN}, band: [g, r, i]}",
                          "'glob' beside other keys of 'foreach' needs a name");
        struct foreach_key key = {.key = reader_intern(reader, "file")};
        bool good = read_glob(&reading, pattern, &key);
        list_add(&extras->foreach, key);
        return good && count_members(&reading, node);
    }
    bool good = true;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
        good = add_key(&reading, node_key(child), child) && good;
    return good && count_members(&reading, node);
}

/* All stages with a size share the ranks "0", "1" ... of the largest. */
void foreach_set_size(struct pipeline_reader *reader, uint32_t size, struct stage *stage, struct stage_extras *extras)
{
    struct pipeline *pipeline = reader->pipeline;
    if (size > reader->ranks.count) {
        reader->ranks.at = (uint32_t)pipeline->symbols_array.count;
        for (uint32_t rank = 0; rank < size; rank++) {
            cleanup(text_clear) struct text text = TEXT_INIT;
            text_append_unsigned(&text, rank);
            list_add(&pipeline->symbols_array, symbol_intern(pipeline->symbols, text_bytes(&text), text.length));
        }
        reader->ranks.count = size;
    }
    struct foreach_key key = {.key = reader_intern(reader, "rank"), .values = {.at = reader->ranks.at, .count = size}};
    list_add(&extras->foreach, key);
    stage->members = size;
}

/* Names are tried, not reasoned about: "a-b" with "c" and "a" with "b-c" make the same name. */
void foreach_check_names(const struct pipeline *pipeline, const struct stage *stage, struct stage_extras *extras)
{
    if (extras->foreach.count == 1 && strcmp(pipeline_text(pipeline, extras->foreach.items[0].key), "rank") == 0 &&
        strcmp(pipeline_text(pipeline, pipeline->symbols_array.items[extras->foreach.items[0].values.at]), "0") == 0)
        return;
    struct stage with_extras = *stage;
    with_extras.extras = extras;
    cleanup(symbols_free) struct symbols *seen = symbols_new();
    cleanup(text_clear) struct text name = TEXT_INIT;
    for (uint32_t member = 0; member < stage->members && !extras->numbered; member++) {
        text_reset(&name);
        stage_member_name(pipeline, &with_extras, member, &name);
        uint32_t before = symbols_count(seen);
        extras->numbered = symbol_intern(seen, text_bytes(&name), name.length) < before;
    }
}
