/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Option values of a plugin.
 *
 * How it works: one slot per option of the plugin's table, in the table's order. A slot holds what a person said; what
 * nobody said is answered from the table's default when asked.
 */
#include "config/settings.h"

#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/path.h"
#include "config/node.h"

struct value {
    bool given, locked;
    enum layer layer;
    char *text;         /* TEXT, CHOICE, PATH; SECRET: its name */
    int64_t number;     /* INTEGER, DURATION, BYTES, BOOLEAN */
    struct words words; /* LIST, MAP */
    char *file;         /* of the place that said it */
    uint32_t line, column;
    char *locked_file;
    uint32_t locked_line, locked_column;
};

struct settings {
    const struct descpipe_option *const *options;
    size_t count;
    char *owner;
    struct value *values;
};

const char *layer_name(enum layer layer)
{
    static const char *const names[] = {"default", "site", "user", "pipeline", "environment", "command line"};
    return layer <= LAYER_COMMAND ? names[layer] : "unknown";
}

/* Lists and maps are the only defaults that need memory of their own. */
static void read_default(const struct descpipe_option *option, struct value *value)
{
    if (option->default_value == NULL || (option->type != DESCPIPE_OPTION_LIST && option->type != DESCPIPE_OPTION_MAP))
        return;
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(document_free) struct document *document =
        document_parse_value(option->default_value, "default", &problems);
    if (document == NULL)
        return;
    const struct node *root = document_root(document);
    if (node_kind(root) == NODE_SCALAR && !node_is_null(root))
        words_add(&value->words, node_text(root));
    for (const struct node *child = node_first(root); child != NULL; child = node_next(child)) {
        if (node_key(child) != NULL)
            words_add(&value->words, node_key(child));
        words_add(&value->words, node_text(child));
    }
}

struct settings *settings_new(const struct descpipe_option *const *options, const char *owner)
{
    struct settings *settings = memory_allocate(sizeof *settings);
    settings->options = options;
    settings->owner = memory_copy_text(owner);
    while (options != NULL && options[settings->count] != NULL)
        settings->count++;
    settings->values = memory_allocate(settings->count * sizeof *settings->values);
    for (size_t i = 0; i < settings->count; i++)
        read_default(options[i], &settings->values[i]);
    return settings;
}

static void value_clear(struct value *value)
{
    memory_free(value->text);
    words_clear(&value->words);
    memory_free(value->file);
    value->text = value->file = NULL;
    value->given = false;
}

void settings_free(struct settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->count; i++) {
        value_clear(&settings->values[i]);
        memory_free(settings->values[i].locked_file);
    }
    memory_free(settings->values);
    memory_free(settings->owner);
    memory_free(settings);
}

static size_t settings_find(const struct settings *settings, const char *key)
{
    size_t i = 0;
    while (i < settings->count && strcmp(settings->options[i]->key, key) != 0)
        i++;
    return i;
}

bool settings_has(const struct settings *settings, const char *key)
{
    return settings_find(settings, key) < settings->count;
}

static void refuse_unknown(const struct settings *settings, const char *key, struct place place,
                           struct problems *problems)
{
    cleanup(memory_free) const char **names = memory_allocate((settings->count + 1) * sizeof *names);
    cleanup(text_clear) struct text hint = TEXT_INIT;
    for (size_t i = 0; i < settings->count; i++)
        names[i] = settings->options[i]->key;
    const char *nearest = text_nearest(key, names);
    if (nearest != NULL)
        text_format(&hint, "did you mean '%s'?", nearest);
    else if (settings->count == 0)
        text_append(&hint, "it has no options");
    else
        text_append(&hint, "its options: ");
    for (size_t i = 0; nearest == NULL && i < settings->count; i++)
        text_format(&hint, "%s%s", i > 0 ? ", " : "", names[i]);
    problem_add(problems, PROBLEM_ERROR, place, text_bytes(&hint), "%s has no option '%.100s'", settings->owner, key);
}

/* One value on its way from a node into a slot. */
struct reading {
    const struct settings *settings;
    const struct descpipe_option *option;
    const struct document *document;
    const struct node *node;
    const char *what; /* "option 'qos' of scheduler/slurm" */
    struct problems *problems;
};

static bool refuse(const struct reading *reading, const char *hint, const char *wanted)
{
    if (node_is_broken(reading->node))
        return false;
    cleanup(text_clear) struct text shown = TEXT_INIT;
    problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, reading->node), hint,
                "%s must be %s, not %s", reading->what, wanted, node_describe(reading->node, &shown));
    return false;
}

static bool read_choice(const struct reading *reading, struct value *value)
{
    const char *text;
    if (!node_to_text(reading->document, reading->node, reading->what, &text, reading->problems))
        return false;
    cleanup(text_clear) struct text wanted = TEXT_INIT;
    const char *const *choices = reading->option->choices;
    for (size_t i = 0; choices != NULL && choices[i] != NULL; i++) {
        if (strcmp(choices[i], text) == 0) {
            value->text = memory_copy_text(text);
            return true;
        }
        text_format(&wanted, "%s'%s'", i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ", choices[i]);
    }
    cleanup(text_clear) struct text hint = TEXT_INIT;
    const char *nearest = choices != NULL ? text_nearest(text, choices) : NULL;
    if (nearest != NULL)
        text_format(&hint, "did you mean '%s'?", nearest);
    return refuse(reading, nearest != NULL ? text_bytes(&hint) : NULL, text_bytes(&wanted));
}

static void append_amount(struct text *out, uint32_t type, int64_t amount)
{
    if (type == DESCPIPE_OPTION_DURATION)
        clock_append_length(out, amount);
    else if (type == DESCPIPE_OPTION_BYTES)
        bytes_append(out, (uint64_t)amount);
    else
        text_append_signed(out, amount);
}

static bool check_range(const struct reading *reading, int64_t number)
{
    const struct descpipe_option *option = reading->option;
    if (!(option->flags & DESCPIPE_OPTION_RANGED) || (number >= option->minimum && number <= option->maximum))
        return true;
    cleanup(text_clear) struct text wanted = TEXT_INIT;
    text_append(&wanted, option->maximum == INT64_MAX ? "at least " : "from ");
    append_amount(&wanted, option->type, option->minimum);
    if (option->maximum != INT64_MAX) {
        text_append(&wanted, " to ");
        append_amount(&wanted, option->type, option->maximum);
    }
    return refuse(reading, NULL, text_bytes(&wanted));
}

static bool read_number(const struct reading *reading, struct value *value)
{
    uint64_t bytes;
    bool boolean;
    const char *text;
    switch (reading->option->type) {
    case DESCPIPE_OPTION_BOOLEAN:
        if (!node_to_boolean(reading->document, reading->node, reading->what, &boolean, reading->problems))
            return false;
        value->number = boolean;
        return true;
    case DESCPIPE_OPTION_DURATION:
        if (!node_to_length(reading->document, reading->node, reading->what, &value->number, reading->problems))
            return false;
        break;
    case DESCPIPE_OPTION_BYTES:
        if (!node_to_bytes(reading->document, reading->node, reading->what, &bytes, reading->problems))
            return false;
        if (bytes > INT64_MAX)
            return refuse(reading, NULL, "less than 8 EiB");
        value->number = (int64_t)bytes;
        break;
    default:
        text = node_text(reading->node);
        if (node_kind(reading->node) != NODE_SCALAR || node_is_null(reading->node) ||
            !text_to_signed(text, &value->number))
            return refuse(reading, NULL, "a whole number");
    }
    return check_range(reading, value->number);
}

static bool read_path(const struct reading *reading, struct value *value)
{
    const char *text;
    if (!node_to_text(reading->document, reading->node, reading->what, &text, reading->problems))
        return false;
    if (text[0] == '\0')
        return refuse(reading, NULL, "a path");
    if (text[0] == '~' && (text[1] == '\0' || text[1] == '/'))
        return refuse(reading, "write ${HOME} for your home folder", "a path without '~'");
    value->text = memory_copy_text(text);
    return true;
}

static bool read_list(const struct reading *reading, struct value *value)
{
    if (node_kind(reading->node) == NODE_SCALAR && !node_is_null(reading->node)) {
        words_add(&value->words, node_text(reading->node)); /* one is a list of one */
        return true;
    }
    if (node_kind(reading->node) != NODE_SEQUENCE)
        return refuse(reading, NULL, "a list of texts");
    cleanup(text_clear) struct text what = TEXT_INIT;
    text_format(&what, "an entry of %s", reading->what);
    bool good = true;
    for (const struct node *child = node_first(reading->node); child != NULL; child = node_next(child)) {
        const char *text;
        if (node_to_text(reading->document, child, text_bytes(&what), &text, reading->problems))
            words_add(&value->words, text);
        else
            good = false;
    }
    return good;
}

static bool read_map(const struct reading *reading, struct value *value)
{
    if (node_kind(reading->node) != NODE_MAPPING)
        return refuse(reading, NULL, "a mapping of names to texts");
    bool good = true;
    for (const struct node *child = node_first(reading->node); child != NULL; child = node_next(child)) {
        cleanup(text_clear) struct text what = TEXT_INIT;
        text_format(&what, "'%.100s' in %s", node_key(child), reading->what);
        const char *text;
        if (node_to_text(reading->document, child, text_bytes(&what), &text, reading->problems)) {
            words_add(&value->words, node_key(child));
            words_add(&value->words, text);
        } else {
            good = false;
        }
    }
    return good;
}

/* What was written instead may be the secret itself: it is not shown. */
static bool read_secret(const struct reading *reading, struct value *value)
{
    const struct node *name = node_get(reading->node, "secret");
    if (node_kind(reading->node) == NODE_MAPPING && node_count(reading->node) == 1 && name != NULL &&
        node_kind(name) == NODE_SCALAR && node_length(name) > 0) {
        value->text = memory_copy_text(node_text(name));
        return true;
    }
    if (!node_is_broken(reading->node))
        problem_add(
            reading->problems, PROBLEM_ERROR, node_place(reading->document, reading->node),
            "name it under 'secrets:' in your own configuration, as {env: VARIABLE}, {file: PATH} or {command: [TOOL]}",
            "%s must be a reference, {secret: NAME}, never the secret itself", reading->what);
    return false;
}

static bool read_value(const struct reading *reading, struct value *value)
{
    switch (reading->option->type) {
    case DESCPIPE_OPTION_TEXT: {
        const char *text;
        if (!node_to_text(reading->document, reading->node, reading->what, &text, reading->problems))
            return false;
        value->text = memory_copy_text(text);
        return true;
    }
    case DESCPIPE_OPTION_PATH:
        return read_path(reading, value);
    case DESCPIPE_OPTION_CHOICE:
        return read_choice(reading, value);
    case DESCPIPE_OPTION_LIST:
        return read_list(reading, value);
    case DESCPIPE_OPTION_MAP:
        return read_map(reading, value);
    case DESCPIPE_OPTION_SECRET:
        return read_secret(reading, value);
    default:
        return read_number(reading, value);
    }
}

static void append_place(struct text *out, const char *file, uint32_t line, uint32_t column)
{
    text_append(out, file != NULL ? file : "the site");
    if (line > 0)
        text_format(out, ":%u:%u", line, column);
}

static bool is_locked(const struct settings *settings, const struct value *value, const char *key, struct place place,
                      enum layer layer, struct problems *problems)
{
    if (!value->locked || layer <= LAYER_SITE)
        return false;
    cleanup(text_clear) struct text by = TEXT_INIT;
    append_place(&by, value->locked_file, value->locked_line, value->locked_column);
    problem_add(problems, PROBLEM_ERROR, place, "remove it here, or ask who keeps that file",
                "option '%s' of %s is locked by %s", key, settings->owner, text_bytes(&by));
    return true;
}

static void keep_value(struct value *slot, struct value *read, struct place said, enum layer layer)
{
    memory_free(slot->text);
    words_clear(&slot->words);
    memory_free(slot->file);
    slot->text = read->text;
    slot->number = read->number;
    slot->words = read->words;
    slot->file = memory_copy_text(said.file);
    slot->line = said.line;
    slot->column = said.column;
    slot->layer = layer;
    slot->given = true;
}

/* A deprecated key also sets the one that replaces it, when that takes the same type and nobody at this layer or above
 * said it. */
static void follow_deprecated(struct settings *settings, const struct reading *reading, struct place key_place,
                              enum layer layer)
{
    const struct descpipe_option *option = reading->option;
    if (!(option->flags & DESCPIPE_OPTION_DEPRECATED))
        return;
    cleanup(text_clear) struct text hint = TEXT_INIT;
    if (option->replaced_by != NULL)
        text_format(&hint, "write '%s'", option->replaced_by);
    problem_add(reading->problems, PROBLEM_NOTE, key_place, option->replaced_by != NULL ? text_bytes(&hint) : NULL,
                "option '%s' of %s is deprecated", option->key, settings->owner);
    size_t other = option->replaced_by != NULL ? settings_find(settings, option->replaced_by) : settings->count;
    if (other >= settings->count || settings->options[other]->type != option->type ||
        (settings->options[other]->flags & DESCPIPE_OPTION_DEPRECATED))
        return;
    const struct value *slot = &settings->values[other];
    if (!slot->given || slot->layer < layer)
        settings_set_node(settings, option->replaced_by, key_place, reading->node, reading->document, layer,
                          reading->problems);
}

void settings_set_node(struct settings *settings, const char *key, struct place key_place, const struct node *value,
                       const struct document *document, enum layer layer, struct problems *problems)
{
    size_t at = settings_find(settings, key);
    if (at >= settings->count) {
        refuse_unknown(settings, key, key_place, problems);
        return;
    }
    struct value *slot = &settings->values[at];
    if (is_locked(settings, slot, key, key_place, layer, problems) || (slot->given && slot->layer > layer))
        return;
    cleanup(text_clear) struct text what = TEXT_INIT;
    text_format(&what, "option '%s' of %s", key, settings->owner);
    struct reading reading = {.settings = settings,
                              .option = settings->options[at],
                              .document = document,
                              .node = value,
                              .what = text_bytes(&what),
                              .problems = problems};
    struct value read = {0};
    if (!read_value(&reading, &read)) {
        value_clear(&read);
        return;
    }
    keep_value(slot, &read, key_place, layer);
    follow_deprecated(settings, &reading, key_place, layer);
}

/* "a,b" for a list and "x=1,y=2" for a map, as they stand on a command line, in the form of YAML's flow style. */
static void write_flow(struct text *out, const char *value, bool is_map)
{
    text_append_character(out, is_map ? '{' : '[');
    for (const char *place = value; *place != '\0';) {
        size_t span = strcspn(place, ",");
        const char *equals = is_map ? memchr(place, '=', span) : NULL;
        if (equals != NULL) {
            text_append_json_bytes(out, place, (size_t)(equals - place));
            text_append(out, ": ");
            text_append_json_bytes(out, equals + 1, span - (size_t)(equals + 1 - place));
        } else {
            text_append_json_bytes(out, place, span);
        }
        place += span;
        if (*place == ',') {
            text_append(out, ", ");
            place++;
        }
    }
    text_append_character(out, is_map ? '}' : ']');
}

void settings_set_text(struct settings *settings, const char *key, const char *value, struct place place,
                       enum layer layer, struct problems *problems)
{
    size_t at = settings_find(settings, key);
    uint32_t type = at < settings->count ? settings->options[at]->type : DESCPIPE_OPTION_TEXT;
    bool is_map = type == DESCPIPE_OPTION_MAP;
    const char *file = place.file != NULL ? place.file : "";
    if (!text_is_utf8(value, strlen(value))) {
        problem_add(problems, PROBLEM_ERROR, place, NULL, "the value of option '%s' of %s is not UTF-8", key,
                    settings->owner);
        return;
    }
    if (type != DESCPIPE_OPTION_LIST && !is_map && type != DESCPIPE_OPTION_SECRET) {
        struct node scalar = {.content.text = value, .length = (uint32_t)strlen(value), .kind = NODE_SCALAR};
        struct document view = {.root = &scalar, .file = place.file};
        scalar.line = place.line;
        scalar.column = place.column;
        settings_set_node(settings, key, place, &scalar, &view, layer, problems);
        return;
    }
    cleanup(text_clear) struct text flow = TEXT_INIT;
    if (type != DESCPIPE_OPTION_SECRET && value[0] != '[' && value[0] != '{')
        write_flow(&flow, value, is_map);
    else
        text_append(&flow, value);
    cleanup(problems_clear) struct problems syntax = {0};
    cleanup(document_free) struct document *document = document_parse_value(text_bytes(&flow), file, &syntax);
    if (document == NULL) { /* the parser's words might quote a secret */
        problem_add(problems, PROBLEM_ERROR, place, NULL, "the value of option '%s' of %s is not YAML", key,
                    settings->owner);
        return;
    }
    settings_set_node(settings, key, place, document_root(document), document, layer, problems);
}

void settings_lock(struct settings *settings, const char *key, struct place by)
{
    size_t at = settings_find(settings, key);
    if (at >= settings->count || settings->values[at].locked)
        return;
    struct value *value = &settings->values[at];
    value->locked = true;
    value->locked_file = memory_copy_text(by.file);
    value->locked_line = by.line;
    value->locked_column = by.column;
}

void settings_finish(struct settings *settings, struct place place, const char *base, struct problems *problems)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct descpipe_option *option = settings->options[i];
        struct value *value = &settings->values[i];
        if ((option->flags & DESCPIPE_OPTION_REQUIRED) && !value->given && option->default_value == NULL)
            problem_add(problems, PROBLEM_ERROR, place, option->help, "%s needs the option '%s'", settings->owner,
                        option->key);
        if (option->type != DESCPIPE_OPTION_PATH)
            continue;
        const char *path = value->text != NULL ? value->text : option->default_value;
        if (path == NULL)
            continue;
        char *absolute = path_absolute(base, path);
        memory_free(value->text);
        value->text = absolute;
    }
}

static const struct value *asked(const struct settings *settings, const char *key,
                                 const struct descpipe_option **option)
{
    if (settings == NULL)
        return NULL;
    size_t at = settings_find(settings, key);
    if (at >= settings->count)
        return NULL;
    *option = settings->options[at];
    return &settings->values[at];
}

bool settings_given(const struct settings *settings, const char *key)
{
    const struct descpipe_option *option;
    const struct value *value = asked(settings, key, &option);
    return value != NULL && value->given;
}

const char *settings_text(const struct settings *settings, const char *key)
{
    const struct descpipe_option *option;
    const struct value *value = asked(settings, key, &option);
    if (value == NULL || (option->type != DESCPIPE_OPTION_TEXT && option->type != DESCPIPE_OPTION_PATH &&
                          option->type != DESCPIPE_OPTION_CHOICE))
        return NULL;
    return value->text != NULL ? value->text : option->default_value;
}

static int64_t default_number(const struct descpipe_option *option)
{
    int64_t number = 0;
    uint64_t bytes = 0;
    if (option->default_value == NULL)
        return 0;
    if (option->type == DESCPIPE_OPTION_DURATION)
        return clock_parse_length(option->default_value, &number) ? number : 0;
    if (option->type == DESCPIPE_OPTION_BYTES)
        return bytes_parse(option->default_value, &bytes) && bytes <= INT64_MAX ? (int64_t)bytes : 0;
    if (option->type == DESCPIPE_OPTION_BOOLEAN)
        return strcmp(option->default_value, "true") == 0;
    return text_to_signed(option->default_value, &number) ? number : 0;
}

int64_t settings_integer(const struct settings *settings, const char *key)
{
    const struct descpipe_option *option;
    const struct value *value = asked(settings, key, &option);
    if (value == NULL || (option->type != DESCPIPE_OPTION_INTEGER && option->type != DESCPIPE_OPTION_DURATION &&
                          option->type != DESCPIPE_OPTION_BYTES))
        return 0;
    return value->given ? value->number : default_number(option);
}

bool settings_boolean(const struct settings *settings, const char *key)
{
    const struct descpipe_option *option;
    const struct value *value = asked(settings, key, &option);
    if (value == NULL || option->type != DESCPIPE_OPTION_BOOLEAN)
        return false;
    return (value->given ? value->number : default_number(option)) != 0;
}

static const char *const *asked_words(const struct settings *settings, const char *key, uint32_t type)
{
    const struct descpipe_option *option;
    const struct value *value = asked(settings, key, &option);
    if (value == NULL || option->type != type || (!value->given && option->default_value == NULL))
        return NULL;
    return words_list(&value->words);
}

const char *const *settings_list(const struct settings *settings, const char *key)
{
    return asked_words(settings, key, DESCPIPE_OPTION_LIST);
}

const char *const *settings_map(const struct settings *settings, const char *key)
{
    return asked_words(settings, key, DESCPIPE_OPTION_MAP);
}

const char *settings_secret_name(const struct settings *settings, const char *key)
{
    const struct descpipe_option *option;
    const struct value *value = asked(settings, key, &option);
    return value != NULL && option->type == DESCPIPE_OPTION_SECRET ? value->text : NULL;
}

bool settings_origin(const struct settings *settings, const char *key, enum layer *layer, struct place *place)
{
    const struct descpipe_option *option;
    const struct value *value = asked(settings, key, &option);
    if (value == NULL)
        return false;
    *layer = value->given ? value->layer : LAYER_DEFAULT;
    *place = (struct place){.file = value->file, .line = value->line, .column = value->column};
    return true;
}

static void print_words(const struct value *value, bool is_map, struct text *out)
{
    const char *const *words = words_list(&value->words);
    text_append_character(out, is_map ? '{' : '[');
    for (size_t i = 0; words[i] != NULL; i += is_map ? 2 : 1) {
        text_append(out, i > 0 ? ", " : "");
        text_append_json(out, words[i]);
        if (is_map) {
            text_append(out, ": ");
            text_append_json(out, words[i + 1]);
        }
    }
    text_append_character(out, is_map ? '}' : ']');
}

static void print_value(const struct descpipe_option *option, const struct value *value, struct text *out)
{
    switch (option->type) {
    case DESCPIPE_OPTION_BOOLEAN:
        text_append(out, value->number != 0 ? "true" : "false");
        break;
    case DESCPIPE_OPTION_INTEGER:
    case DESCPIPE_OPTION_DURATION:
    case DESCPIPE_OPTION_BYTES:
        text_append_signed(out, value->number);
        break;
    case DESCPIPE_OPTION_LIST:
    case DESCPIPE_OPTION_MAP:
        print_words(value, option->type == DESCPIPE_OPTION_MAP, out);
        break;
    case DESCPIPE_OPTION_SECRET:
        text_append(out, "{\"secret\": ");
        text_append_json(out, value->text);
        text_append_character(out, '}');
        break;
    default:
        text_append_json(out, value->text);
    }
}

void settings_print_json(const struct settings *settings, struct text *out)
{
    bool first = true;
    text_append_character(out, '{');
    for (size_t i = 0; i < settings->count; i++) {
        if (!settings->values[i].given)
            continue;
        text_append(out, first ? "" : ", ");
        text_append_json(out, settings->options[i]->key);
        text_append(out, ": ");
        print_value(settings->options[i], &settings->values[i], out);
        first = false;
    }
    text_append_character(out, '}');
}
