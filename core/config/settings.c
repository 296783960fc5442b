/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Option values of a plugin.
 *
 * How it works: one slot per option of the plugin's table, in the table's order. A slot holds what a person said; what
 * nobody said is answered from the table's default when asked.
 */
#include "config/settings_value.h"

#include <string.h>

#include "base/path.h"

const char *layer_name(enum layer layer)
{
    static const char *const names[] = {"default", "site", "user", "pipeline", "environment", "command line"};
    return layer <= LAYER_COMMAND ? names[layer] : "unknown";
}

/* Lists and maps are the only defaults that need memory of their own. */
static void read_default(const struct descpipe_option *option, struct settings_value *value)
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

void settings_free(struct settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->count; i++) {
        settings_value_clear(&settings->values[i]);
        memory_free(settings->values[i].locked_file);
    }
    memory_free(settings->values);
    memory_free(settings->owner);
    memory_free(settings);
}

size_t settings_find(const struct settings *settings, const char *key)
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

static void append_place(struct text *out, const char *file, uint32_t line, uint32_t column)
{
    text_append(out, file != NULL ? file : "the site");
    if (line > 0)
        text_format(out, ":%u:%u", line, column);
}

static bool is_locked(const struct settings *settings, const struct settings_value *value, const char *key,
                      struct place place, enum layer layer, struct problems *problems)
{
    if (!value->locked || layer <= LAYER_SITE)
        return false;
    cleanup(text_clear) struct text by = TEXT_INIT;
    append_place(&by, value->locked_file, value->locked_line, value->locked_column);
    problem_add(problems, PROBLEM_ERROR, place, "remove it here, or ask who keeps that file",
                "option '%s' of %s is locked by %s", key, settings->owner, text_bytes(&by));
    return true;
}

static void keep_value(struct settings_value *slot, struct settings_value *read, struct place said, enum layer layer)
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
static void follow_deprecated(struct settings *settings, const struct settings_reading *reading, struct place key_place,
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
    const struct settings_value *slot = &settings->values[other];
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
    struct settings_value *slot = &settings->values[at];
    if (is_locked(settings, slot, key, key_place, layer, problems) || (slot->given && slot->layer > layer))
        return;
    cleanup(text_clear) struct text what = TEXT_INIT;
    text_format(&what, "option '%s' of %s", key, settings->owner);
    struct settings_reading reading = {.option = settings->options[at],
                                       .document = document,
                                       .node = value,
                                       .what = text_bytes(&what),
                                       .problems = problems};
    struct settings_value read = {0};
    if (!settings_value_read(&reading, &read)) {
        settings_value_clear(&read);
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
    struct settings_value *value = &settings->values[at];
    value->locked = true;
    value->locked_file = memory_copy_text(by.file);
    value->locked_line = by.line;
    value->locked_column = by.column;
}

void settings_finish(struct settings *settings, struct place place, const char *base, struct problems *problems)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct descpipe_option *option = settings->options[i];
        struct settings_value *value = &settings->values[i];
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
