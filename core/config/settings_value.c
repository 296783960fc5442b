/* SPDX-License-Identifier: BSD-3-Clause */
/* One option's value from what a person wrote: by the type of the option, inside its range. */
#include "config/settings_value.h"

#include <string.h>

#include "base/clock.h"

void settings_value_clear(struct settings_value *value)
{
    memory_free(value->text);
    words_clear(&value->words);
    memory_free(value->file);
    value->text = value->file = NULL;
    value->given = false;
}

static bool refuse(const struct settings_reading *reading, const char *hint, const char *wanted)
{
    if (node_is_broken(reading->node))
        return false;
    cleanup(text_clear) struct text shown = TEXT_INIT;
    problem_add(reading->problems, PROBLEM_ERROR, node_place(reading->document, reading->node), hint,
                "%s must be %s, not %s", reading->what, wanted, node_describe(reading->node, &shown));
    return false;
}

static bool read_choice(const struct settings_reading *reading, struct settings_value *value)
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

static bool check_range(const struct settings_reading *reading, int64_t number)
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

static bool read_number(const struct settings_reading *reading, struct settings_value *value)
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

static bool read_path(const struct settings_reading *reading, struct settings_value *value)
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

static bool read_list(const struct settings_reading *reading, struct settings_value *value)
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

static bool read_map(const struct settings_reading *reading, struct settings_value *value)
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
static bool read_secret(const struct settings_reading *reading, struct settings_value *value)
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

bool settings_value_read(const struct settings_reading *reading, struct settings_value *value)
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
