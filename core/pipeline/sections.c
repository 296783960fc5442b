/* SPDX-License-Identifier: BSD-3-Clause */
/* The top-level entries that are not stages: pipeline, runtime, backends, limits, types. */
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/path.h"
#include "pipeline/reader.h"

enum { STAGES_LIMIT = 10 * 1000 * 1000, NAME_LIMIT = 128, LIMIT_HIGHEST = 1000000 };

const char *const section_names[] = {"pipeline", "runtime", "backends", "limits", "types", NULL};

struct reading { /* one section */
    struct pipeline_reader *reader;
    const struct document *document;
    const char *section;
};

static void refuse(const struct reading *reading, struct place place, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void refuse(const struct reading *reading, struct place place, const char *hint, const char *format, ...)
{
    cleanup(text_clear) struct text message = TEXT_INIT;
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&message, format, arguments);
    va_end(arguments);
    problem_add(reading->reader->problems, PROBLEM_ERROR, place, hint, "%s", text_bytes(&message));
}

static void refuse_key(const struct reading *reading, const struct node *child, const char *const *known)
{
    cleanup(text_clear) struct text hint = TEXT_INIT;
    reader_hint_word(node_key(child), known, &hint);
    refuse(reading, node_key_place(reading->document, child), text_bytes(&hint), "'%s' has no key '%.100s'",
           reading->section, node_key(child));
}

static void refuse_kind(const struct reading *reading, const struct node *node, const char *what, const char *wanted)
{
    cleanup(text_clear) struct text shown = TEXT_INIT;
    if (!node_is_broken(node))
        refuse(reading, node_place(reading->document, node), NULL, "%s must be %s, not %s", what, wanted,
               node_describe(node, &shown));
}

/* ASCII letters, digits and "+ - . _", as a set of bits by byte. */
static bool is_name_byte(unsigned char byte)
{
    static const uint64_t set[4] = {UINT64_C(0x03FF680000000000), UINT64_C(0x07FFFFFE87FFFFFE)};
    return set[byte >> 6] >> (byte & 63) & 1;
}

bool name_is_plain(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > NAME_LIMIT || !(isalnum((unsigned char)name[0]) || name[0] == '_'))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_name_byte((unsigned char)name[i]))
            return false;
    return true;
}

bool suffix_is_valid(const char *suffix)
{
    size_t length = strlen(suffix);
    if (strcmp(suffix, "/") == 0)
        return true;
    if (length > 1 && length <= NAME_LIMIT && suffix[length - 1] == '/') {
        char without[NAME_LIMIT + 1];
        memcpy(without, suffix, length - 1);
        without[length - 1] = '\0';
        return name_is_plain(without);
    }
    return name_is_plain(suffix);
}

static void read_symbol(const struct reading *reading, const struct node *node, const char *what, symbol *result)
{
    const char *text;
    if (!node_to_text(reading->document, node, what, &text, reading->reader->problems))
        return;
    if (text[0] == '\0')
        refuse_kind(reading, node, what, "a text");
    else
        *result = reader_intern(reading->reader, text);
}

/* The original's YAML reader made numbers of plain scalars: 1.10 became 1.1. The raw text counts here. */
static void note_version(const struct reading *reading, const struct node *node)
{
    const char *text = node_text(node);
    size_t whole = strspn(text, "0123456789");
    size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    if (!node_is_plain(node) || whole == 0 || fraction == 0 || text[whole + 1 + fraction] != '\0' ||
        whole + fraction > 15)
        return;
    size_t first = strspn(text, "0"), kept = fraction;
    first = first >= whole ? whole - 1 : first;
    while (kept > 1 && text[whole + kept] == '0')
        kept--;
    if (first == 0 && kept == fraction)
        return;
    problem_add(reading->reader->problems, PROBLEM_NOTE, node_place(reading->document, node),
                "put it in quotes to say that it is meant so",
                "the version is '%s' as written; the original descpipe read it as the number %.*s", text,
                (int)(whole - first + 1 + kept), text + first);
}

static void add_stage(const struct reading *reading, const struct node *node)
{
    struct pipeline_reader *reader = reading->reader;
    struct pipeline *pipeline = reader->pipeline;
    struct place place = node_place(reading->document, node);
    const char *name;
    if (!node_to_text(reading->document, node, "an entry of 'stages'", &name, reader->problems))
        return;
    if (!name_is_plain(name)) {
        refuse(reading, place, "a name has letters, digits, '_', '-', '.' and '+', at most 128",
               "'%.100s' cannot name a stage", name);
        return;
    }
    for (size_t i = 0; section_names[i] != NULL; i++)
        if (strcmp(section_names[i], name) == 0) {
            refuse(reading, place, NULL, "a stage cannot be named '%s': that is a section of the file", name);
            return;
        }
    if (strcmp(name, "data") == 0) {
        refuse(reading, place, "give it another name, or one with more to it: make-data",
               "a stage cannot be named 'data': 'data' in the working folder holds what all stages published");
        return;
    }
    symbol own = reader_intern(reader, name);
    while (pipeline->stage_numbers.count <= own)
        list_add(&pipeline->stage_numbers, 0);
    if (pipeline->stage_numbers.items[own] != 0) {
        const struct stage *first = &pipeline->stages.items[pipeline->stage_numbers.items[own] - 1];
        refuse(reading, place, NULL, "the stage '%s' is already listed at %s:%u:%u", name, pipeline->file, first->line,
               first->column);
        return;
    }
    struct stage *stage = list_grow(&pipeline->stages);
    stage->name = own;
    stage->line = place.line;
    stage->column = place.column;
    pipeline->stage_numbers.items[own] = (uint32_t)pipeline->stages.count;
    list_add(&reader->sections_seen, 0);
}

static void read_stages(const struct reading *reading, const struct node *node)
{
    if (node_kind(node) != NODE_SEQUENCE) {
        refuse_kind(reading, node, "'stages'", "a list of names");
        return;
    }
    list_reserve(&reading->reader->pipeline->stages, node_count(node));
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
        add_stage(reading, child);
    if (node_count(node) == 0)
        refuse(reading, node_place(reading->document, node), NULL, "'stages' lists no stage");
}

static void read_image_folders(const struct reading *reading, const struct node *node)
{
    struct pipeline *pipeline = reading->reader->pipeline;
    if (node_kind(node) != NODE_SEQUENCE) {
        refuse_kind(reading, node, "'images'", "a list of folders");
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        const char *text;
        if (!node_to_text(reading->document, child, "an entry of 'images'", &text, reading->reader->problems))
            continue;
        cleanup(memory_free) char *folder = path_absolute(pipeline->base, text);
        struct stat status;
        if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode))
            problem_add(reading->reader->problems, PROBLEM_WARNING, node_place(reading->document, child),
                        "relative paths count from the working directory (or --base)",
                        "the folder '%s' of 'images' does not exist", text);
        list_add(&pipeline->image_folders, reader_intern(reading->reader, folder));
    }
}

static void read_pipeline(const struct reading *reading, struct place place, const struct node *value)
{
    static const char *const known[] = {"name", "owner", "basename", "version", "images", "stages", NULL};
    struct pipeline_reader *reader = reading->reader;
    struct pipeline *pipeline = reader->pipeline;
    const struct node *stages = NULL;
    for (const struct node *child = node_first(value); child != NULL; child = node_next(child)) {
        const char *key = node_key(child);
        if (strcmp(key, "name") == 0) {
            read_symbol(reading, child, "'name'", &pipeline->name);
        } else if (strcmp(key, "owner") == 0) {
            read_symbol(reading, child, "'owner'", &pipeline->owner);
        } else if (strcmp(key, "basename") == 0) {
            read_symbol(reading, child, "'basename'", &pipeline->basename);
        } else if (strcmp(key, "version") == 0) {
            read_symbol(reading, child, "'version'", &pipeline->version);
            note_version(reading, child);
        } else if (strcmp(key, "images") == 0) {
            read_image_folders(reading, child);
        } else if (strcmp(key, "stages") == 0) {
            stages = child;
        } else {
            refuse_key(reading, child, known);
        }
    }
    if (stages != NULL)
        read_stages(reading, stages);
    else
        refuse(reading, place, "write stages: [first, second]", "'pipeline' needs the key 'stages'");
    reader_parse_sets(reader);
}

static void read_folder(const struct reading *reading, const struct node *node, const char *what, char **result)
{
    const char *text;
    if (!node_to_text(reading->document, node, what, &text, reading->reader->problems))
        return;
    if (text[0] == '\0') {
        refuse_kind(reading, node, what, "a folder");
        return;
    }
    memory_free(*result);
    *result = path_absolute(reading->reader->pipeline->base, text);
}

static void read_url_input(const struct reading *reading, const struct node *node, struct run_input *input)
{
    static const char *const known[] = {"url", "sha256", NULL};
    const char *text;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        if (strcmp(node_key(child), "url") == 0) {
            if (!node_to_text(reading->document, child, "'url'", &text, reading->reader->problems))
                continue;
            input->url = reader_intern(reading->reader, text);
            if (strncmp(text, "https://", 8) != 0 &&
                strncmp(text, "http://", 7) != 0) /* a query string may be a secret: not shown */
                refuse(reading, node_place(reading->document, child), NULL,
                       "'url' must begin with https:// or http://");
            else if (strncmp(text, "http://", 7) == 0 && node_get(node, "sha256") == NULL)
                refuse(reading, node_place(reading->document, child), "add sha256: with the file's digest",
                       "an input over plain http needs a 'sha256'");
            else if (node_get(node, "sha256") == NULL)
                problem_add(reading->reader->problems, PROBLEM_NOTE, node_place(reading->document, child),
                            "add sha256: with the file's digest, and every run checks it",
                            "the input '%.100s' has no sha256: it is fetched once for each working folder, unchecked",
                            pipeline_text(reading->reader->pipeline, input->tag));
        } else if (strcmp(node_key(child), "sha256") == 0) {
            if (!node_to_text(reading->document, child, "'sha256'", &text, reading->reader->problems))
                continue;
            input->sha256 = reader_intern(reading->reader, text);
            if (!digest_is_text(text))
                refuse(reading, node_place(reading->document, child), NULL,
                       "'sha256' must be 64 lower-case hexadecimal digits");
        } else {
            cleanup(text_clear) struct text hint = TEXT_INIT;
            reader_hint_word(node_key(child), known, &hint);
            refuse(reading, node_key_place(reading->document, child), text_bytes(&hint), "an input has no key '%.100s'",
                   node_key(child));
        }
    }
    if (node_get(node, "url") == NULL)
        refuse(reading, node_place(reading->document, node), "write a path, or {url: ..., sha256: ...}",
               "the input has no 'url'");
}

static void read_inputs(const struct reading *reading, const struct node *node)
{
    if (node_is_null(node))
        return;
    if (node_kind(node) != NODE_MAPPING) {
        refuse_kind(reading, node, "'inputs' of 'runtime'", "a mapping of tags to paths");
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        struct place place = node_key_place(reading->document, child);
        struct run_input input = {
            .tag = reader_intern(reading->reader, node_key(child)), .line = place.line, .column = place.column};
        cleanup(text_clear) struct text what = TEXT_INIT;
        text_format(&what, "the input '%.100s'", node_key(child));
        const char *text;
        if (node_kind(child) == NODE_MAPPING) {
            read_url_input(reading, child, &input);
        } else if (node_to_text(reading->document, child, text_bytes(&what), &text, reading->reader->problems)) {
            if (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0) {
                refuse(reading, node_place(reading->document, child), "write {url: ..., sha256: ...}",
                       "%s is a URL where a path is wanted", text_bytes(&what)); /* its query may be a secret */
            } else if (text[0] == '\0') {
                refuse(reading, node_place(reading->document, child), NULL, "%s is empty", text_bytes(&what));
            } else {
                cleanup(memory_free) char *path = path_absolute(reading->reader->pipeline->base, text);
                input.path = reader_intern(reading->reader, path);
            }
        }
        list_add(&reading->reader->pipeline->inputs, input); /* even a bad one: its tag is not missing */
    }
}

static void read_stage_configs(const struct reading *reading, const struct node *stage)
{
    if (node_is_null(stage))
        return;
    if (node_kind(stage) != NODE_MAPPING) {
        refuse_kind(reading, stage, "an entry of runtime.config", "a mapping of tags to paths");
        return;
    }
    struct pipeline_reader *reader = reading->reader;
    for (const struct node *child = node_first(stage); child != NULL; child = node_next(child)) {
        const char *text;
        if (!node_to_text(reading->document, child, "a path in runtime.config", &text, reader->problems))
            text = "";
        struct place place = node_key_place(reading->document, child);
        cleanup(memory_free) char *path = path_absolute(reader->pipeline->base, text);
        struct run_config config = {.stage = reader_intern(reader, node_key(stage)),
                                    .tag = reader_intern(reader, node_key(child)),
                                    .path = text[0] != '\0' ? reader_intern(reader, path) : 0,
                                    .line = place.line,
                                    .column = place.column};
        list_add(&reader->pipeline->configs, config);
    }
}

static void read_config(const struct reading *reading, const struct node *node)
{
    if (node_is_null(node))
        return;
    if (node_kind(node) == NODE_SCALAR)
        read_folder(reading, node, "'config' of 'runtime'", &reading->reader->config_folder);
    else if (node_kind(node) == NODE_MAPPING)
        for (const struct node *stage = node_first(node); stage != NULL; stage = node_next(stage))
            read_stage_configs(reading, stage);
    else
        refuse_kind(reading, node, "'config' of 'runtime'", "a mapping of stages to files, or a folder");
}

static void read_launcher(const struct reading *reading, const struct node *node)
{
    const char *text;
    if (!node_to_text(reading->document, node, "'launcher'", &text, reading->reader->problems))
        return;
    if (strcmp(text, "local") == 0 || strcmp(text, "nersc") == 0)
        reading->reader->pipeline->launcher = reader_intern(reading->reader, text);
    else
        refuse(reading, node_place(reading->document, node), "newer files name a backend: backend: NAME",
               "'launcher' must be local or nersc, not '%.60s'", text);
}

static void read_default_backend(const struct reading *reading, const struct node *node)
{
    struct pipeline *pipeline = reading->reader->pipeline;
    struct place place = node_place(reading->document, node);
    read_symbol(reading, node, "'backend' of 'runtime'", &pipeline->default_backend);
    pipeline->default_backend_at = (struct spot){.line = place.line, .column = place.column};
}

static void read_cache(const struct reading *reading, const struct node *node)
{
    static const char *const words[] = {[CACHE_FAST] = "fast", [CACHE_FULL] = "full", [CACHE_OFF] = "off"};
    const char *said;
    if (!node_to_text(reading->document, node, "'cache' of 'runtime'", &said, reading->reader->problems))
        return;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (text_equal(said, words[i])) {
            reading->reader->pipeline->cache = (enum cache_use)i;
            return;
        }
    refuse(reading, node_place(reading->document, node),
           "fast looks at the size and time of what a stage made before, full at its content too",
           "'cache' of 'runtime' must be fast, full or off, not '%.60s'", said);
}

/* "all", "final", "3 runs". */
static void read_keep(const struct reading *reading, const struct node *node)
{
    struct pipeline *pipeline = reading->reader->pipeline;
    const char *said;
    if (!node_to_text(reading->document, node, "'keep' of 'runtime'", &said, reading->reader->problems))
        return;
    uint64_t runs = 0;
    size_t digits = strspn(said, "0123456789");
    cleanup(memory_free) char *number = memory_copy_bytes(said, digits);
    bool counts = text_equal(said + digits, " runs") || text_equal(said + digits, " run");
    if (text_equal(said, "all"))
        pipeline->keep = KEEP_ALL;
    else if (text_equal(said, "final"))
        pipeline->keep = KEEP_FINAL;
    else if (counts && text_to_unsigned(number, &runs) && runs >= 1 && runs <= LIMIT_HIGHEST)
        pipeline->keep = KEEP_RUNS;
    else
        refuse(reading, node_place(reading->document, node),
               "final removes what is made for other stages only as soon as none of them needs it, '3 runs' what the "
               "runs before the last three left",
               "'keep' of 'runtime' must be all, final or 'N runs', not '%.60s'", said);
    pipeline->keep_runs = (uint32_t)runs;
}

static void read_late_outputs(const struct reading *reading, const struct node *node)
{
    int64_t ms;
    if (!node_to_length(reading->document, node, "'late-outputs'", &ms, reading->reader->problems))
        return;
    if (ms > LATE_OUTPUTS_LIMIT_MS)
        refuse(reading, node_place(reading->document, node),
               "it is how long a shared file system may take to show what another node has written",
               "'late-outputs' must be at most 1h");
    else
        reading->reader->pipeline->late_outputs_ms = ms;
}

static void read_runtime_key(const struct reading *reading, const struct node *child)
{
    static const char *const known[] = {"backend", "working",        "output",       "inputs", "config",
                                        "jobs",    "group-readable", "launcher",     "cache",  "keep",
                                        "on-exit", "late-outputs",   "shared-cache", NULL};
    struct pipeline *pipeline = reading->reader->pipeline;
    const char *key = node_key(child);
    uint64_t jobs;
    if (strcmp(key, "backend") == 0)
        read_default_backend(reading, child);
    else if (strcmp(key, "working") == 0)
        read_folder(reading, child, "'working'", &pipeline->working);
    else if (strcmp(key, "output") == 0)
        read_folder(reading, child, "'output'", &pipeline->output);
    else if (strcmp(key, "shared-cache") == 0)
        read_folder(reading, child, "'shared-cache'", &pipeline->shared_cache);
    else if (strcmp(key, "inputs") == 0)
        read_inputs(reading, child);
    else if (strcmp(key, "config") == 0)
        read_config(reading, child);
    else if (strcmp(key, "launcher") == 0)
        read_launcher(reading, child);
    else if (strcmp(key, "cache") == 0)
        read_cache(reading, child);
    else if (strcmp(key, "keep") == 0)
        read_keep(reading, child);
    else if (strcmp(key, "on-exit") == 0)
        on_exit_read(reading->document, child, node_key_place(reading->document, child), &pipeline->on_exit,
                     reading->reader->problems);
    else if (strcmp(key, "late-outputs") == 0)
        read_late_outputs(reading, child);
    else if (strcmp(key, "group-readable") == 0)
        node_to_boolean(reading->document, child, "'group-readable'", &pipeline->group_readable,
                        reading->reader->problems);
    else if (strcmp(key, "jobs") != 0)
        refuse_key(reading, child, known);
    else if (node_to_unsigned(reading->document, child, "'jobs'", 1, LIMIT_HIGHEST, &jobs, reading->reader->problems))
        pipeline->jobs = (uint32_t)jobs;
}

static void note_launcher(const struct reading *reading, const struct node *runtime)
{
    const struct node *launcher = node_get(runtime, "launcher");
    if (launcher != NULL && node_get(runtime, "backend") != NULL)
        problem_add(reading->reader->problems, PROBLEM_NOTE, node_key_place(reading->document, launcher), "remove it",
                    "'launcher' is not used, because 'backend' is there too");
}

static void read_backends(const struct reading *reading, const struct node *value)
{
    struct pipeline *pipeline = reading->reader->pipeline;
    for (const struct node *child = node_first(value); child != NULL; child = node_next(child)) {
        struct backend *backend = list_grow(&pipeline->backends);
        backend_read(backend, node_key(child), node_key_place(reading->document, child), reading->document, child,
                     pipeline->file, reading->reader->problems);
    }
}

static void read_limits(const struct reading *reading, const struct node *value)
{
    for (const struct node *child = node_first(value); child != NULL; child = node_next(child)) {
        cleanup(text_clear) struct text what = TEXT_INIT;
        text_format(&what, "the limit '%.100s'", node_key(child));
        uint64_t count = 1;
        node_to_unsigned(reading->document, child, text_bytes(&what), 1, LIMIT_HIGHEST, &count,
                         reading->reader->problems);
        struct limit limit = {.name = reader_intern(reading->reader, node_key(child)), .count = (uint32_t)count};
        list_add(&reading->reader->pipeline->limits, limit);
    }
}

static bool decode_hex(const char *text, struct file_type *type)
{
    size_t length = strlen(text);
    if (length == 0 || length % 2 != 0 || length / 2 > sizeof type->magic)
        return false;
    for (size_t i = 0; i < length; i++) {
        const char *digits = "0123456789abcdef";
        const char *found = strchr(digits, tolower((unsigned char)text[i]));
        if (found == NULL)
            return false;
        unsigned digit = (unsigned)(found - digits);
        type->magic[i / 2] = (char)(i % 2 == 0 ? digit << 4 : ((unsigned char)type->magic[i / 2] | digit));
    }
    type->magic_length = (uint32_t)(length / 2);
    return true;
}

static bool read_magic(const struct reading *reading, const struct node *node, const char *what, struct file_type *type)
{
    const char *text;
    if (!node_to_text(reading->document, node, what, &text, reading->reader->problems))
        return false;
    if (strlen(text) == 0 || strlen(text) > sizeof type->magic) {
        refuse(reading, node_place(reading->document, node), NULL, "%s must have from 1 to %zu bytes", what,
               sizeof type->magic);
        return false;
    }
    memcpy(type->magic, text, strlen(text));
    type->magic_length = (uint32_t)strlen(text);
    return true;
}

static bool read_type_key(const struct reading *reading, const struct node *child, struct file_type *type)
{
    static const char *const known[] = {"magic", "hex", "offset", NULL};
    const char *text;
    uint64_t offset;
    if (strcmp(node_key(child), "magic") == 0)
        return read_magic(reading, child, "'magic'", type);
    if (strcmp(node_key(child), "hex") == 0) {
        if (!node_to_text(reading->document, child, "'hex'", &text, reading->reader->problems))
            return false;
        if (decode_hex(text, type))
            return true;
        refuse(reading, node_place(reading->document, child), "like 89504e47",
               "'hex' must be from 1 to %zu bytes in hexadecimal", sizeof type->magic);
        return false;
    }
    if (strcmp(node_key(child), "offset") != 0) {
        cleanup(text_clear) struct text hint = TEXT_INIT;
        reader_hint_word(node_key(child), known, &hint);
        refuse(reading, node_key_place(reading->document, child), text_bytes(&hint), "a file type has no key '%.100s'",
               node_key(child));
        return false;
    }
    if (!node_to_unsigned(reading->document, child, "'offset'", 0, 65000, &offset, reading->reader->problems))
        return false;
    type->magic_offset = (uint32_t)offset;
    return true;
}

static void read_types(const struct reading *reading, const struct node *value)
{
    for (const struct node *child = node_first(value); child != NULL; child = node_next(child)) {
        struct file_type type = {.suffix = reader_intern(reading->reader, node_key(child))};
        bool good = true;
        if (!suffix_is_valid(node_key(child))) {
            refuse(reading, node_key_place(reading->document, child), NULL, "'%.100s' is not a suffix",
                   node_key(child));
            continue;
        }
        if (node_kind(child) == NODE_SCALAR)
            good = read_magic(reading, child, "the magic bytes of a file type", &type);
        for (const struct node *part = node_first(child); node_kind(child) == NODE_MAPPING && part != NULL;
             part = node_next(part))
            good = read_type_key(reading, part, &type) && good;
        if (good && type.magic_length == 0)
            refuse(reading, node_place(reading->document, child),
                   "write {magic: TEXT} or {hex: 89504e47}, with offset: N if needed",
                   "the type of '%.100s' has no magic bytes", node_key(child));
        else if (good)
            list_add(&reading->reader->pipeline->types, type);
    }
}

bool section_read(struct pipeline_reader *reader, const struct document *document, const char *key, struct place place,
                  const struct node *value)
{
    struct reading reading = {.reader = reader, .document = document, .section = key};
    size_t which = 0;
    while (section_names[which] != NULL &&
           (section_names[which][0] != key[0] || strcmp(section_names[which], key) != 0))
        which++;
    if (section_names[which] == NULL)
        return false;
    reader->has_pipeline |= which == 0;
    if (node_kind(value) != NODE_MAPPING && !(node_is_null(value) && which != 0)) {
        cleanup(text_clear) struct text what = TEXT_INIT;
        text_format(&what, "'%s'", key);
        refuse_kind(&reading, value, text_bytes(&what), "a mapping");
        return true;
    }
    if (which == 0)
        read_pipeline(&reading, place, value);
    else if (which == 2)
        read_backends(&reading, value);
    else if (which == 3)
        read_limits(&reading, value);
    else if (which == 4)
        read_types(&reading, value);
    for (const struct node *child = node_first(value); which == 1 && child != NULL; child = node_next(child))
        read_runtime_key(&reading, child);
    if (which == 1)
        note_launcher(&reading, value);
    return true;
}
