/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line's options, driven by tables: the same table parses, prints --help and writes shell completions.
 *
 * Long options are `--name`, `--name=value` or `--name value`; short ones `-x`, `-xvalue`, `-x value`, flags may be
 * joined.
 * `--` ends the options. Names are not abbreviated: a script must not change its meaning when an option is added.
 */
#ifndef DESCPIPE_COMMAND_ARGUMENTS_H
#define DESCPIPE_COMMAND_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/text.h"

enum argument_kind {
    ARGUMENT_FLAG = 1, /* bool */
    ARGUMENT_TEXT,     /* const char *, borrowed from argv; the last one wins */
    ARGUMENT_WORDS,    /* struct words, may be repeated */
    ARGUMENT_NUMBER,   /* uint64_t, at least 1 */
    ARGUMENT_CHOICE    /* const char *, one of `choices` */
};
enum argument_completion { COMPLETE_NOTHING = 0, COMPLETE_FILE, COMPLETE_FOLDER };

struct argument_option {
    const char *name; /* NULL ends a table */
    char letter;      /* or 0 */
    uint8_t kind;
    uint8_t completion;
    size_t offset;     /* of the member of the values struct */
    const char *value; /* its name in --help; NULL for flags */
    const char *help;
    const char *const *choices;
};

struct argument_positional {
    const char *name; /* NULL ends a table */
    bool optional, repeated;
    uint8_t completion;
    const char *help;
    const char *const *choices; /* or NULL */
};

struct argument_table { /* options and where their values go */
    const struct argument_option *options;
    void *values;
};

/* Parses argv[*at...]; stops before the first word that is no option when `until_word`. *at is where it stopped. */
struct arguments {
    const struct argument_table *tables; /* looked through in order */
    size_t tables_count;
    bool until_word;
    struct words *words; /* what is no option; NULL with until_word */
};
bool arguments_parse(const struct arguments *arguments, int argc, char **argv, int *at, struct error *error);
/* Too few, too many, not one of the choices. `usage` is for the hint. */
bool arguments_check_words(const struct argument_positional *positionals, const struct words *words, const char *usage,
                           struct error *error);

/* "  -o, --option NAME   help", wrapped to 80 columns, appended. */
void arguments_print_options(const struct argument_option *options, struct text *out);
void arguments_print_positionals(const struct argument_positional *positionals, struct text *out);
/* Words broken at 80 columns, with a newline at the end. */
void arguments_print_paragraph(const char *words, struct text *out);
/* "[OPTIONS] PIPELINE [STAGE...]", appended. */
void arguments_print_usage(const struct argument_positional *positionals, struct text *out);

#endif
