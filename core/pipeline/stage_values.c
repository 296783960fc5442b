/* SPDX-License-Identifier: BSD-3-Clause */
/* The values of a stage's keys that are more than a number or a word. */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "config/layers.h"
#include "pipeline/image_name.h"
#include "pipeline/stage_draft.h"

void draft_refuse(struct stage_draft *draft, struct place place, const char *hint, const char *format, ...)
{
    cleanup(text_clear) struct text message = TEXT_INIT;
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&message, format, arguments);
    va_end(arguments);
    problem_add(draft->reader->problems, PROBLEM_ERROR, place, hint, "%s", text_bytes(&message));
}

void draft_refuse_kind(struct stage_draft *draft, const struct node *node, const char *what, const char *wanted,
                       const char *hint)
{
    cleanup(text_clear) struct text shown = TEXT_INIT;
    if (!node_is_broken(node))
        draft_refuse(draft, node_place(draft->document, node), hint, "%s must be %s, not %s", what, wanted,
                     node_describe(node, &shown));
}

/* Remembers each ${each.KEY}: whether the stage has such a key is known when it is complete. */
static void note_each(struct stage_draft *draft, const struct node *node)
{
    const char *text = node_text(node);
    if (strchr(text, '$') == NULL)
        return;
    struct place place = node_place(draft->document, node);
    for (const char *at = text; (at = strstr(at, "${each.")) != NULL; at++) {
        if (at > text && at[-1] == '$')
            continue;
        const char *close = strchr(at, '}');
        if (close == NULL)
            return;
        bool own = draft->source == FROM_SECTION && strcmp(place.file, draft->reader->pipeline->file) == 0;
        struct each_use use = {.key = memory_copy_bytes(at + 7, (size_t)(close - at - 7)),
                               .file = own ? NULL : memory_copy_text(place.file),
                               .line = place.line,
                               .column = place.column};
        list_add(&draft->each_uses, use);
    }
}

bool draft_text(struct stage_draft *draft, const struct node *node, const char *what, symbol *result)
{
    const char *text;
    if (!node_to_text(draft->document, node, what, &text, draft->reader->problems))
        return false;
    if (text[0] == '\0') {
        draft_refuse_kind(draft, node, what, "a text", NULL);
        return false;
    }
    note_each(draft, node);
    *result = reader_intern_bytes(draft->reader, text, node_length(node));
    return true;
}

/* A list of texts, empty ones too. */
/* Whichever machine runs it: the kernel's MAX_ARG_STRLEN, the final NUL included. */
#define EXEC_WORD_LIMIT (128 * 1024 - 1)

static bool fits_exec(struct stage_draft *draft, struct place place, const char *what, size_t length)
{
    if (length <= EXEC_WORD_LIMIT)
        return true;
    draft_refuse(draft, place, "put it into a file of 'config', or of the inputs",
                 "%s is %zu bytes long; Linux starts no command with a word or a variable of more than %d", what,
                 length, EXEC_WORD_LIMIT);
    return false;
}

void draft_words(struct stage_draft *draft, const struct node *node, const char *what, struct slice *result)
{
    struct pipeline *pipeline = draft->reader->pipeline;
    if (node_kind(node) != NODE_SEQUENCE) {
        draft_refuse_kind(draft, node, what, "a list of texts", "write [first, second]");
        return;
    }
    result->at = (uint32_t)pipeline->symbols_array.count;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        const char *text;
        if (!node_to_text(draft->document, child, "an entry of a list", &text, draft->reader->problems))
            continue;
        if (!fits_exec(draft, node_place(draft->document, child), "this entry", node_length(child)))
            continue;
        note_each(draft, child);
        list_add(&pipeline->symbols_array, reader_intern_bytes(draft->reader, text, node_length(child)));
    }
    result->count = (uint32_t)pipeline->symbols_array.count - result->at;
}

void draft_depends_on(struct stage_draft *draft, const struct node *node)
{
    struct pipeline_reader *reader = draft->reader;
    size_t before = reader->pipeline->symbols_array.count;
    draft_words(draft, node, "'depends-on'", &draft->stage.depends_on);
    bool set =
        draft->source == FROM_SECTION && !text_equal(node_place(draft->document, node).file, reader->pipeline->file);
    if (set || reader->pipeline->symbols_array.count - before != node_count(node)) /* one was no text, and is told */
        return;
    uint32_t at = draft->stage.depends_on.at;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        struct place place = node_place(draft->document, child);
        struct depends_spot spot = {
            .at = at, .line = place.line, .column = place.column, .from = (uint8_t)draft->source};
        list_add(&reader->depends_spots, spot);
        at++;
    }
}

/* {tag: suffix} */
void draft_files(struct stage_draft *draft, const struct node *node, const char *what, struct slice *result)
{
    struct pipeline *pipeline = draft->reader->pipeline;
    if (node_is_null(node))
        return;
    if (node_kind(node) != NODE_MAPPING) {
        draft_refuse_kind(draft, node, what, "a mapping of tags to suffixes", "write {catalog: fits}");
        return;
    }
    result->at = (uint32_t)pipeline->files.count;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        struct place place = node_key_place(draft->document, child);
        const char *tag = node_key(child), *suffix;
        if (!name_is_plain(tag)) {
            draft_refuse(draft, place, "a tag has letters, digits, '_', '-', '.' and '+', at most 128",
                         "'%.100s' cannot be a tag", tag);
            continue;
        }
        if (!node_to_text(draft->document, child, what, &suffix, draft->reader->problems))
            continue;
        if (!suffix_is_valid(suffix)) {
            draft_refuse(draft, node_place(draft->document, child),
                         suffix[0] == '.' ? "write it without the dot in front"
                                          : "write fits, tar.gz, or / for a folder",
                         "'%.100s' cannot be the suffix of '%s'", suffix, tag);
            continue;
        }
        struct file_tag file = {.tag = reader_intern(draft->reader, tag),
                                .suffix = reader_intern_bytes(draft->reader, suffix, node_length(child)),
                                .line = place.line,
                                .column = place.column};
        list_add(&pipeline->files, file);
    }
    result->count = (uint32_t)pipeline->files.count - result->at;
}

/* An earlier place of the same kind said this tag. */
static bool has_config(const struct stage_draft *draft, symbol tag)
{
    const struct pipeline_reader *reader = draft->reader;
    for (size_t i = draft->section_configs_before; draft->source == FROM_SECTION && i < reader->section_configs.count;
         i++)
        if (reader->section_configs.items[i].tag == tag)
            return true;
    for (size_t i = 0; draft->source != FROM_SECTION && i < draft->configs.count; i++)
        if (draft->configs.items[i].tag == tag)
            return true;
    return false;
}

/* In a section it may be a source below runtime.config's folder: told apart at the end. In stage.yaml it is the name
 * inside. */
void draft_config(struct stage_draft *draft, const struct node *node)
{
    if (node_is_null(node))
        return;
    if (node_kind(node) != NODE_MAPPING) {
        draft_refuse_kind(draft, node, "'config'", "a mapping of tags to files", NULL);
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        struct place place = node_key_place(draft->document, child);
        const char *file;
        if (!node_to_text(draft->document, child, "a file of 'config'", &file, draft->reader->problems))
            continue;
        if (!name_is_plain(node_key(child))) {
            draft_refuse(draft, place, NULL, "'%.100s' cannot be a tag", node_key(child));
            continue;
        }
        symbol tag = reader_intern(draft->reader, node_key(child));
        symbol name = reader_intern(draft->reader, file);
        if (has_config(draft, tag))
            continue;
        if (draft->source == FROM_SECTION) {
            struct section_config config = {
                .stage = draft->number, .tag = tag, .file = name, .line = place.line, .column = place.column};
            list_add(&draft->reader->section_configs, config);
        } else if (path_is_component(file)) {
            struct file_tag config = {.tag = tag, .suffix = name, .line = place.line, .column = place.column};
            list_add(&draft->configs, config);
        } else {
            draft_refuse(draft, node_place(draft->document, child), "the file itself is named in runtime.config",
                         "'%.100s' cannot be the name of a config file inside the container", file);
        }
    }
}

static bool is_variable_name(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        return false;
    while (isalnum((unsigned char)*name) || *name == '_')
        name++;
    return *name == '\0';
}

static void add_variable(struct stage_draft *draft, const struct node *child)
{
    const char *name = node_key(child);
    const struct node *reference = node_get(child, "secret");
    struct place place = node_key_place(draft->document, child);
    struct variable variable = {.name = reader_intern(draft->reader, name)};
    cleanup(text_clear) struct text what = TEXT_INIT;
    text_format(&what, "the variable '%.100s' of stage '%s'", name, draft->name);
    const char *text;
    if (!is_variable_name(name)) {
        draft_refuse(draft, place, NULL, "'%.100s' cannot name a variable", name);
        return;
    }
    if (strncmp(name, "DESC_", 5) == 0) {
        draft_refuse(draft, place, "give it another name",
                     "'%.100s' cannot be set: variables that begin with DESC_ tell the stage about itself", name);
        return;
    }
    if (strcmp(name, "OMP_NUM_THREADS") == 0)
        draft->threads_place = place;
    if (node_kind(child) == NODE_MAPPING && node_count(child) == 1 && reference != NULL) {
        variable.secret = true;
        if (!draft_text(draft, reference, text_bytes(&what), &variable.value))
            return;
    } else if (node_kind(child) != NODE_SCALAR) {
        draft_refuse_kind(draft, child, text_bytes(&what), "a text or {secret: NAME}", NULL);
        return;
    } else {
        if (!node_to_text(draft->document, child, text_bytes(&what), &text, draft->reader->problems))
            return;
        if (name_sounds_secret(name) && text[0] != '\0')
            problem_add(draft->reader->problems, PROBLEM_WARNING, place,
                        "write {secret: NAME} and say under 'secrets:' of your own configuration where its value is",
                        "%s looks like a secret that stands in plain text", text_bytes(&what));
        if (!fits_exec(draft, place, text_bytes(&what), strlen(name) + 1 + strlen(text)))
            return;
        note_each(draft, child);
        variable.value = reader_intern(draft->reader, text);
    }
    list_add(&stage_draft_extras(draft)->environment, variable);
}

void draft_environment(struct stage_draft *draft, const struct node *node)
{
    if (node_is_null(node))
        return;
    if (node_kind(node) != NODE_MAPPING) {
        draft_refuse_kind(draft, node, "'env'", "a mapping of names to texts", NULL);
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
        add_variable(draft, child);
}

static const struct {
    const char *word;
    uint32_t reason;
} retry_words[] = {
    {"node-fail", RETRY_NODE_FAIL}, {"preempted", RETRY_PREEMPTED}, {"timeout", RETRY_TIMEOUT}, {"oom", RETRY_OOM},
    {"lost", RETRY_LOST},           {"image", RETRY_IMAGE},         {"fail", RETRY_FAIL}};

static void add_exit_code(struct stage_draft *draft, struct retries *retries, const struct node *node, const char *text)
{
    uint64_t code;
    if (!text_to_unsigned(text, &code) || code < 1 || code > 255) {
        draft_refuse(draft, node_place(draft->document, node), "write exit:75",
                     "an exit status to retry on is from 1 to 255");
        return;
    }
    for (size_t i = 0; i < retries->exit_codes_count; i++)
        if (retries->exit_codes[i] == code)
            return;
    retries->exit_codes = memory_resize(retries->exit_codes, retries->exit_codes_count + 1);
    retries->exit_codes[retries->exit_codes_count++] = (uint8_t)code;
    retries->reasons |= RETRY_EXIT_CODES;
}

static void read_reason(struct stage_draft *draft, struct retries *retries, const struct node *node)
{
    const char *word;
    if (!node_to_text(draft->document, node, "a reason to retry", &word, draft->reader->problems))
        return;
    if (strncmp(word, "exit:", 5) == 0) {
        add_exit_code(draft, retries, node, word + 5);
        return;
    }
    for (size_t i = 0; i < sizeof retry_words / sizeof retry_words[0]; i++)
        if (strcmp(retry_words[i].word, word) == 0) {
            retries->reasons |= retry_words[i].reason;
            return;
        }
    draft_refuse(draft, node_place(draft->document, node),
                 "known: node-fail, preempted, timeout, oom, lost, image, fail, exit:N",
                 "'%.60s' is no reason to retry", word);
}

static void read_factor(struct stage_draft *draft, const struct node *node, const char *what, double *factor)
{
    const char *text = node_text(node);
    size_t whole = text[0] == 'x' ? strspn(text + 1, "0123456789") : 0;
    size_t fraction = whole > 0 && text[1 + whole] == '.' ? strspn(text + 2 + whole, "0123456789") : 0;
    size_t length = 1 + whole + (fraction > 0 ? 1 + fraction : 0);
    double value = whole > 0 && whole < 4 && fraction < 7 && text[length] == '\0' ? strtod(text + 1, NULL) : 0;
    if (value >= 1 && value <= 10)
        *factor = value;
    else
        draft_refuse_kind(draft, node, what, "a factor from x1 to x10", "write x2 or x1.5");
}

static void read_retry_key(struct stage_draft *draft, struct retries *retries, const struct node *child)
{
    static const char *const known[] = {"limit", "on", "backoff", "memory", "max-memory", "minutes", NULL};
    struct problems *problems = draft->reader->problems;
    const char *key = node_key(child);
    uint64_t limit;
    if (strcmp(key, "limit") == 0) {
        if (node_to_unsigned(draft->document, child, "'limit' of 'retries'", 0, 1000, &limit, problems))
            retries->limit = (uint32_t)limit;
    } else if (strcmp(key, "on") == 0) {
        if (node_kind(child) == NODE_SCALAR)
            read_reason(draft, retries, child);
        for (const struct node *reason = node_first(child); reason != NULL; reason = node_next(reason))
            read_reason(draft, retries, reason);
    } else if (strcmp(key, "backoff") == 0) {
        node_to_length(draft->document, child, "'backoff'", &retries->backoff_ms, problems);
    } else if (strcmp(key, "memory") == 0) {
        read_factor(draft, child, "'memory' of 'retries'", &retries->memory_factor);
    } else if (strcmp(key, "minutes") == 0) {
        read_factor(draft, child, "'minutes' of 'retries'", &retries->minutes_factor);
    } else if (strcmp(key, "max-memory") == 0) {
        node_to_bytes(draft->document, child, "'max-memory'", &retries->max_memory, problems);
    } else {
        cleanup(text_clear) struct text hint = TEXT_INIT;
        reader_hint_word(key, known, &hint);
        draft_refuse(draft, node_key_place(draft->document, child), text_bytes(&hint), "'retries' has no key '%.100s'",
                     key);
    }
}

void draft_retries(struct stage_draft *draft, const struct node *node)
{
    struct retries *retries = &stage_draft_extras(draft)->retries;
    *retries = (struct retries){.limit = 1, .memory_factor = 1, .minutes_factor = 1};
    uint64_t limit;
    if (node_kind(node) == NODE_SEQUENCE) {
        draft_refuse_kind(draft, node, "'retries'", "a number or a mapping", "write {limit: 2, on: [node-fail]}");
        return;
    }
    if (node_kind(node) == NODE_SCALAR &&
        node_to_unsigned(draft->document, node, "'retries'", 0, 1000, &limit, draft->reader->problems))
        retries->limit = (uint32_t)limit;
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
        read_retry_key(draft, retries, child);
    if (retries->reasons != 0 || node_get(node, "on") != NULL)
        return;
    /* Nobody said on what: whatever another attempt may cure; memory and time only when the next attempt gets more. */
    retries->reasons = RETRY_NODE_FAIL | RETRY_PREEMPTED | RETRY_LOST | RETRY_IMAGE | RETRY_FAIL;
    retries->reasons |= retries->memory_factor > 1 ? RETRY_OOM : 0;
    retries->reasons |= retries->minutes_factor > 1 ? RETRY_TIMEOUT : 0;
}

void draft_plugin_options(struct stage_draft *draft, const struct node *node)
{
    if (node_is_null(node))
        return;
    if (node_kind(node) != NODE_MAPPING) {
        draft_refuse_kind(draft, node, "'on'", "a mapping of schedulers and runtimes to options",
                          "write {slurm: {qos: debug}}");
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child)) {
        if (!plugin_name_is_valid(node_key(child))) {
            draft_refuse(draft, node_key_place(draft->document, child), NULL, "'%.100s' is not a plugin's name",
                         node_key(child));
        } else if (node_kind(child) != NODE_MAPPING) {
            draft_refuse_kind(draft, child, "an entry of 'on'", "a mapping of options", "write {slurm: {qos: debug}}");
        } else {
            struct plugin_options options = {.plugin = reader_intern(draft->reader, node_key(child)),
                                             .document = document_copy(draft->document, child)};
            list_add(&stage_draft_extras(draft)->on, options);
        }
    }
}

static void add_mount(struct stage_draft *draft, const struct node *node)
{
    static const char *const taken[] = {"/opt/input", "/opt/output", "/opt/config"};
    const char *text;
    if (!node_to_text(draft->document, node, "an entry of 'mounts'", &text, draft->reader->problems))
        return;
    struct place place = node_place(draft->document, node);
    const char *colon = strchr(text, ':');
    const char *mode = colon != NULL ? strchr(colon + 1, ':') : NULL;
    bool known_mode = mode == NULL || strcmp(mode, ":ro") == 0 || strcmp(mode, ":rw") == 0;
    if (colon == NULL || colon == text || colon[1] != '/' || !known_mode) {
        draft_refuse(draft, place, "write SOURCE:/TARGET or SOURCE:/TARGET:ro", "'%.200s' is not a mount", text);
        return;
    }
    note_each(draft, node);
    cleanup(memory_free) char *source = memory_copy_bytes(text, (size_t)(colon - text));
    size_t target_length = mode != NULL ? (size_t)(mode - colon - 1) : strlen(colon + 1);
    cleanup(memory_free) char *written = memory_copy_bytes(colon + 1, target_length);
    cleanup(memory_free) char *target = path_absolute("/", written);
    cleanup(memory_free) char *absolute = path_absolute(draft->reader->pipeline->base, source);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (path_is_inside(taken[i], target) || path_is_inside(target, taken[i])) {
            draft_refuse(draft, place, NULL, "the mount target '%.200s' is where the stage's own files are", target);
            return;
        }
    struct bind bind = {.source = reader_intern(draft->reader, absolute),
                        .target = reader_intern(draft->reader, target),
                        .read_only = mode != NULL && strcmp(mode, ":ro") == 0,
                        .line = place.line,
                        .column = place.column};
    list_add(&stage_draft_extras(draft)->mounts, bind);
}

void draft_mounts(struct stage_draft *draft, const struct node *node)
{
    if (node_kind(node) != NODE_SEQUENCE) {
        if (!node_is_null(node))
            draft_refuse_kind(draft, node, "'mounts'", "a list", "write [\"/cvmfs:/cvmfs:ro\"]");
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
        add_mount(draft, child);
}

void draft_check_image(struct stage_draft *draft, const struct node *node, symbol image)
{
    cleanup(image_name_clear) struct image_name name = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (image != 0 &&
        !image_parse(pipeline_text(draft->reader->pipeline, image), draft->reader->pipeline->base, &name, &error))
        draft_refuse(draft, node_place(draft->document, node), error.hint, "%s", error.message);
}
