/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings as a plugin asks for them: what was said, else the option's default. And as JSON. */
#include <string.h>

#include "base/clock.h"
#include "config/settings_value.h"

static const struct settings_value *asked(const struct settings *settings, const char *key,
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
    const struct settings_value *value = asked(settings, key, &option);
    return value != NULL && value->given;
}

const char *settings_text(const struct settings *settings, const char *key)
{
    const struct descpipe_option *option;
    const struct settings_value *value = asked(settings, key, &option);
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
    const struct settings_value *value = asked(settings, key, &option);
    if (value == NULL || (option->type != DESCPIPE_OPTION_INTEGER && option->type != DESCPIPE_OPTION_DURATION &&
                          option->type != DESCPIPE_OPTION_BYTES))
        return 0;
    return value->given ? value->number : default_number(option);
}

bool settings_boolean(const struct settings *settings, const char *key)
{
    const struct descpipe_option *option;
    const struct settings_value *value = asked(settings, key, &option);
    if (value == NULL || option->type != DESCPIPE_OPTION_BOOLEAN)
        return false;
    return (value->given ? value->number : default_number(option)) != 0;
}

static const char *const *asked_words(const struct settings *settings, const char *key, uint32_t type)
{
    const struct descpipe_option *option;
    const struct settings_value *value = asked(settings, key, &option);
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
    const struct settings_value *value = asked(settings, key, &option);
    return value != NULL && option->type == DESCPIPE_OPTION_SECRET ? value->text : NULL;
}

bool settings_origin(const struct settings *settings, const char *key, enum layer *layer, struct place *place)
{
    const struct descpipe_option *option;
    const struct settings_value *value = asked(settings, key, &option);
    if (value == NULL)
        return false;
    *layer = value->given ? value->layer : LAYER_DEFAULT;
    *place = (struct place){.file = value->file, .line = value->line, .column = value->column};
    return true;
}

static void print_words(const struct settings_value *value, bool is_map, struct text *out)
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

static void print_value(const struct descpipe_option *option, const struct settings_value *value, struct text *out)
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
