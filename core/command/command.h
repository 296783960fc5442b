/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line: which commands exist, how each is called, and what every command gets.
 *
 * A command is one table entry and one function in a small file of its own. Its function returns the exit status:
 * 0 done, else error_exit_status of what went wrong first.
 */
#ifndef DESCPIPE_COMMAND_COMMAND_H
#define DESCPIPE_COMMAND_COMMAND_H

#include "base/problem.h"
#include "command/arguments.h"
#include "report/output.h"
#include "report/terminal.h"

struct command_globals {
    struct words plugin_dirs;
    const char *base, *color;
    bool quiet, verbose, help, version;
};

struct invocation {
    const struct command *command;
    struct command_globals globals;
    void *values;                 /* the command's own struct, zeroed and then filled */
    struct words words;           /* what is no option, checked against the command's positionals */
    struct output output;         /* standard output */
    struct terminal terminal;     /* what standard output is */
    bool json;                    /* --json was given */
    const char *const *arguments; /* all of the command line behind the program's name; ends with NULL */
};

struct command {
    const char *name;                               /* NULL ends a table */
    const char *summary;                            /* one line, for the list */
    const char *description;                        /* for --help, or NULL */
    const char *notes;                              /* a block below the options, printed as it is, or NULL */
    const char *examples;                           /* lines "descpipe ...", or NULL */
    const struct argument_option *options;          /* or NULL */
    const struct argument_option *pipeline_options; /* or NULL: those of pipeline_options.h, first in `values` */
    const struct argument_positional *positionals;  /* or NULL */
    size_t values_size;
    int (*run)(struct invocation *invocation);
    void (*clear)(void *values);       /* frees lists in values, or NULL */
    const struct command *subcommands; /* or NULL; then `run` is NULL */
};

/* The whole program. */
int command_main(int argc, char **argv);

/* Reads an earlier call of `command` again, as `arguments` had it; what it said wrongly is an error. */
bool command_read_again(const struct command *command, const char *const *arguments, struct invocation *invocation,
                        struct error *error);
void command_clear(struct invocation *invocation);
static inline void command_clear_at(struct invocation *place)
{
    command_clear(place);
}

/* Every top-level command, for completion and help. */
const struct command *command_table(void);
const struct argument_option *command_global_options(void);
/* "descpipe plugins list [OPTIONS]", appended. */
void command_print_usage(const struct command *parent, const struct command *command, struct text *out);
void command_print_help(const struct command *parent, const struct command *command, struct text *out);

/* Logs the error (unless its message is empty: a closed pipe) and returns its exit status. */
int command_fail(const struct error *error);
/* Ends the output; the command's own status when all was written. */
int command_finish(struct invocation *invocation, int status);
/* The first words, NULL when there are fewer. */
const char *command_word(const struct invocation *invocation, size_t number);

/* What a command does that cannot give its result: says why on standard error, and with --json on standard output too,
 * as {"problems": [...]}. `problems` (they are printed first) and `error` may be NULL or empty. Returns the exit
 * status, the error's before that of problems. */
int command_refuse(struct invocation *invocation, struct problems *problems, const struct error *error);

extern const struct command command_run, command_check, command_plan, command_status, command_runs, command_logs,
    command_why, command_verify, command_clean, command_cancel, command_resume, command_images, command_pull,
    command_push, command_build, command_login, command_logout, command_export, command_plugins, command_doctor, command_config,
    command_schema, command_completion;

#endif
