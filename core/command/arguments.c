/* SPDX-License-Identifier: BSD-3-Clause */
/* Parses options by tables and prints the tables for people. */
#include "command/arguments.h"

#include <string.h>

#include "report/grid.h"

enum { SHOWN_LIMIT = 200, NAMES_LIMIT = 256, HELP_COLUMN = 30, HELP_WIDTH = 80 };

struct found {
    const struct argument_option *option;
    void *values;
};

static struct found find_long(const struct arguments *arguments, const char *name, size_t length)
{
    for (size_t t = 0; t < arguments->tables_count; t++)
        for (const struct argument_option *option = arguments->tables[t].options;
             option != NULL && option->name != NULL; option++)
            if (strncmp(option->name, name, length) == 0 && option->name[length] == '\0')
                return (struct found){option, arguments->tables[t].values};
    return (struct found){0};
}

static struct found find_short(const struct arguments *arguments, char letter)
{
    for (size_t t = 0; t < arguments->tables_count; t++)
        for (const struct argument_option *option = arguments->tables[t].options;
             option != NULL && option->name != NULL; option++)
            if (option->letter == letter)
                return (struct found){option, arguments->tables[t].values};
    return (struct found){0};
}

static void append_choices(const char *const *choices, struct text *out)
{
    for (size_t i = 0; choices[i] != NULL; i++)
        text_format(out, "%s%s", i > 0 ? ", " : "", choices[i]);
}

/* `written` is how the option stands on the command line, for messages. */
static bool set_value(const struct found *found, const char *written, const char *value, struct error *error)
{
    const struct argument_option *option = found->option;
    char *place = (char *)found->values + option->offset;
    uint64_t number;
    if (value[0] == '\0') { /* an unset variable of a script, most of the time */
        error_set(error, ERROR_INPUT, "option '%s' needs a value, not an empty one", written);
        return error_hint(error, "%s %s", written, option->value != NULL ? option->value : "VALUE");
    }
    switch (option->kind) {
    case ARGUMENT_TEXT:
        memcpy(place, &value, sizeof value);
        return true;
    case ARGUMENT_WORDS:
        words_add((struct words *)(void *)place, value);
        return true;
    case ARGUMENT_NUMBER:
        if (!text_to_unsigned(value, &number) || number == 0)
            return error_set(error, ERROR_INPUT, "option '%s' needs a number of at least 1, not '%s'", written, value);
        memcpy(place, &number, sizeof number);
        return true;
    case ARGUMENT_CHOICE:
        for (size_t i = 0; option->choices[i] != NULL; i++)
            if (strcmp(option->choices[i], value) == 0) {
                memcpy(place, &value, sizeof value);
                return true;
            }
        break;
    default:
        break;
    }
    cleanup(text_clear) struct text choices = TEXT_INIT;
    append_choices(option->choices, &choices);
    error_set(error, ERROR_INPUT, "option '%s' cannot be '%s'", written, value);
    return error_hint(error, "one of: %s", text_bytes(&choices));
}

static bool unknown_option(const struct arguments *arguments, const char *name, size_t length, struct error *error)
{
    cleanup(memory_free) char *word = memory_copy_bytes(name, length);
    const char *names[NAMES_LIMIT + 1];
    size_t count = 0;
    for (size_t t = 0; t < arguments->tables_count; t++)
        for (const struct argument_option *option = arguments->tables[t].options;
             option != NULL && option->name != NULL; option++)
            if (count < NAMES_LIMIT)
                names[count++] = option->name;
    names[count] = NULL;
    error_set(error, ERROR_INPUT, "unknown option '--%s'", word);
    const char *nearest = text_nearest(word, names);
    if (nearest != NULL)
        return error_hint(error, "did you mean '--%s'?", nearest);
    return error_hint(error, "--help lists the options");
}

/* One long option; *at is advanced past a value of its own. */
static void append_value_name(const struct argument_option *option, struct text *out)
{
    if (option->kind != ARGUMENT_CHOICE) {
        text_append(out, option->value);
        return;
    }
    for (size_t i = 0; option->choices[i] != NULL; i++)
        text_format(out, "%s%s", i > 0 ? "|" : "", option->choices[i]);
}

static bool needs_value(const struct argument_option *option, const char *written, struct error *error)
{
    cleanup(text_clear) struct text value = TEXT_INIT;
    append_value_name(option, &value);
    error_set(error, ERROR_INPUT, "option '%s' needs a value", written);
    return error_hint(error, "%s %s", written, text_bytes(&value));
}

static bool parse_long(const struct arguments *arguments, int argc, char **argv, int *at, struct error *error)
{
    const char *name = argv[*at] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    struct found found = find_long(arguments, name, length);
    if (found.option == NULL)
        return unknown_option(arguments, name, length, error);
    cleanup(memory_free) char *written = memory_format("--%s", found.option->name);
    if (found.option->kind == ARGUMENT_FLAG) {
        if (value != NULL)
            return error_set(error, ERROR_INPUT, "option '%s' takes no value", written);
        *((bool *)found.values + found.option->offset) = true;
        return true;
    }
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL)
        return needs_value(found.option, written, error);
    return set_value(&found, written, value, error);
}

static bool parse_letters(const struct arguments *arguments, int argc, char **argv, int *at, struct error *error)
{
    for (const char *letter = argv[*at] + 1; *letter != '\0'; letter++) {
        struct found found = find_short(arguments, *letter);
        if (found.option == NULL) {
            error_set(error, ERROR_INPUT, "unknown option '-%c' in '%s'", *letter, argv[*at]);
            return error_hint(error, "--help lists the options");
        }
        if (found.option->kind == ARGUMENT_FLAG) {
            *((bool *)found.values + found.option->offset) = true;
            continue;
        }
        const char written[3] = {'-', *letter, '\0'};
        const char *value = letter[1] != '\0' ? letter + 1 : *at + 1 < argc ? argv[++*at] : NULL;
        if (value == NULL)
            return needs_value(found.option, written, error);
        return set_value(&found, written, value, error);
    }
    return true;
}

bool arguments_parse(const struct arguments *arguments, int argc, char **argv, int *at, struct error *error)
{
    bool options_end = false;
    for (; *at < argc; ++*at) {
        const char *word = argv[*at];
        bool is_option = !options_end && word[0] == '-' && word[1] != '\0';
        if (!is_option && arguments->until_word)
            return true;
        if (!is_option)
            words_add(arguments->words, word);
        else if (strcmp(word, "--") == 0)
            options_end = true;
        else if (!(word[1] == '-' ? parse_long : parse_letters)(arguments, argc, argv, at, error))
            return false;
    }
    return true;
}

bool arguments_check_words(const struct argument_positional *positionals, const struct words *words, const char *usage,
                           struct error *error)
{
    size_t at = 0, needed_words = 0;
    const struct argument_positional *place = positionals;
    for (const struct argument_positional *p = positionals; p != NULL && p->name != NULL; p++)
        needed_words += !p->optional;
    for (; place != NULL && place->name != NULL; place++) {
        size_t left = words->count - at;
        needed_words -= !place->optional;
        if (place->optional && left <= needed_words) /* [RUN] STAGE: the one word is the stage */
            continue;
        if (left == 0) {
            error_set(error, ERROR_INPUT, "%s is missing", place->name);
            return error_hint(error, "usage: %s", usage);
        }
        size_t take = place->repeated ? left - needed_words : 1;
        for (size_t i = at; i < at + take; i++)
            if (words->items[i][0] == '\0') {
                error_set(error, ERROR_INPUT, "%s is empty", place->name);
                return error_hint(error, "usage: %s", usage);
            }
        for (size_t i = at; place->choices != NULL && i < at + take; i++) {
            bool known = false;
            for (size_t c = 0; place->choices[c] != NULL; c++)
                known = known || strcmp(place->choices[c], words->items[i]) == 0;
            if (known)
                continue;
            cleanup(text_clear) struct text choices = TEXT_INIT;
            append_choices(place->choices, &choices);
            error_set(error, ERROR_INPUT, "%s cannot be '%s'", place->name, words->items[i]);
            return error_hint(error, "one of: %s", text_bytes(&choices));
        }
        at += take;
    }
    if (at == words->count)
        return true;
    error_set(error, ERROR_INPUT, "'%s' is one word too many", words->items[at]);
    return error_hint(error, "usage: %s", usage);
}

/* Appends words from column `indent` on, broken at blanks and newlines before HELP_WIDTH. The line so far is `used`
 * columns. */
static void append_wrapped(const char *words, unsigned used, unsigned indent, struct text *out)
{
    bool fresh = true;
    for (; used < indent; used++)
        text_append_character(out, ' ');
    for (words += strspn(words, " \n"); *words != '\0'; words += strspn(words, " \n")) {
        size_t length = strcspn(words, " \n");
        cleanup(memory_free) char *word = memory_copy_bytes(words, length);
        unsigned width = display_width(word);
        if (!fresh && used + 1 + width > HELP_WIDTH) {
            text_append_character(out, '\n');
            for (used = 0; used < indent; used++)
                text_append_character(out, ' ');
        } else if (!fresh) {
            text_append_character(out, ' ');
            used++;
        }
        text_append(out, word);
        used += width;
        fresh = false;
        words += length;
    }
    text_append_character(out, '\n');
}

void arguments_print_paragraph(const char *words, struct text *out)
{
    append_wrapped(words, 0, 0, out);
}

/* The right half of a line of help; too wide a left half gets a line of its own. */
static void append_help(const char *help, unsigned used, struct text *out)
{
    if (used + 2 > HELP_COLUMN) {
        text_append_character(out, '\n');
        used = 0;
    }
    append_wrapped(help, used, HELP_COLUMN, out);
}

void arguments_print_options(const struct argument_option *options, struct text *out)
{
    for (const struct argument_option *option = options; option != NULL && option->name != NULL; option++) {
        cleanup(text_clear) struct text left = TEXT_INIT;
        if (option->letter != 0)
            text_format(&left, "  -%c, ", option->letter);
        else
            text_append(&left, "      ");
        text_format(&left, "--%s", option->name);
        if (option->kind == ARGUMENT_CHOICE) {
            text_append(&left, " ");
            append_value_name(option, &left);
        } else if (option->value != NULL) {
            text_format(&left, " %s", option->value);
        }
        text_append_bytes(out, left.bytes, left.length);
        append_help(option->help, display_width(text_bytes(&left)), out);
    }
}

void arguments_print_positionals(const struct argument_positional *positionals, struct text *out)
{
    for (const struct argument_positional *place = positionals; place != NULL && place->name != NULL; place++) {
        text_format(out, "  %s", place->name);
        append_help(place->help, 2 + display_width(place->name), out);
    }
}

void arguments_print_usage(const struct argument_positional *positionals, struct text *out)
{
    text_append(out, "[OPTIONS]");
    for (const struct argument_positional *place = positionals; place != NULL && place->name != NULL; place++) {
        text_format(out, place->optional ? " [%s" : " %s", place->name);
        text_append(out, place->repeated ? "..." : "");
        text_append(out, place->optional ? "]" : "");
    }
}
