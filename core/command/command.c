/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the command, parses its options, runs it. Nothing is loaded or opened before the command itself wants it. */
#include "command/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "command/child.h"

static const char *const color_choices[] = {"auto", "always", "never", NULL};

static const struct argument_option global_options[] = {
    {.name = "plugin-dir",
     .kind = ARGUMENT_WORDS,
     .completion = COMPLETE_FOLDER,
     .offset = offsetof(struct command_globals, plugin_dirs),
     .value = "DIR",
     .help = "look for plugins here first; may be repeated"},
    {.name = "base",
     .kind = ARGUMENT_TEXT,
     .completion = COMPLETE_FOLDER,
     .offset = offsetof(struct command_globals, base),
     .value = "DIR",
     .help = "what relative paths of a pipeline start from (default: the current folder)"},
    {.name = "color",
     .kind = ARGUMENT_CHOICE,
     .offset = offsetof(struct command_globals, color),
     .choices = color_choices,
     .help = "colours; auto: on a terminal, unless NO_COLOR is set"},
    {.name = "quiet",
     .letter = 'q',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct command_globals, quiet),
     .help = "only results and errors"},
    {.name = "verbose",
     .letter = 'v',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct command_globals, verbose),
     .help = "say more about what is done"},
    {.name = "help",
     .letter = 'h',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct command_globals, help),
     .help = "this page"},
    {.name = "version",
     .letter = 'V',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct command_globals, version),
     .help = "the program's version"},
    {.name = NULL},
};

static const struct command *const commands[] = {
    &command_run,    &command_check,  &command_plan,   &command_status,     &command_runs,   &command_logs,
    &command_why,    &command_verify, &command_clean,  &command_cancel,     &command_resume, &command_images,
    &command_pull,   &command_push,   &command_build,  &command_login,      &command_logout, &command_export,  &command_plugins,
    &command_doctor, &command_config, &command_schema, &command_completion,
};
enum { COMMANDS = sizeof commands / sizeof commands[0], STATUS_PIPE = 128 + SIGPIPE };

const struct argument_option *command_global_options(void)
{
    return global_options;
}

const struct command *command_table(void)
{
    static struct command table[COMMANDS + 1];
    for (size_t i = 0; i < COMMANDS; i++)
        table[i] = *commands[i];
    return table;
}

const char *command_word(const struct invocation *invocation, size_t number)
{
    return number < invocation->words.count ? invocation->words.items[number] : NULL;
}

int command_fail(const struct error *error)
{
    if (error->message == NULL || error->message[0] != '\0')
        log_error(error);
    return error_exit_status(error->kind);
}

int command_refuse(struct invocation *invocation, struct problems *problems, const struct error *error)
{
    struct problems none = {0};
    problems = problems != NULL ? problems : &none;
    problems_sort(problems);
    int status = error_exit_status(ERROR_INPUT);
    cleanup(text_clear) struct text said = TEXT_INIT;
    if (problems->errors > 0 || !invocation->globals.quiet)
        problems_print(problems, &said);
    descriptor_write(STDERR_FILENO, text_bytes(&said), said.length, NULL);
    if (error != NULL && error->kind != ERROR_NONE) {
        problem_from_error(problems, error);
        status = command_fail(error);
    }
    if (invocation->json)
        problems_print_json(problems, &invocation->output.text);
    problems_clear(&none);
    return status;
}

int command_finish(struct invocation *invocation, int status)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (output_finish(&invocation->output, &error))
        return status;
    if (invocation->output.failure == EPIPE && status == 0)
        return STATUS_PIPE; /* "| head" is no failure of ours: what a shell makes of a tool that SIGPIPE ends */
    int write_status = command_fail(&error);
    return status != 0 ? status : write_status;
}

/* Help. */

void command_print_usage(const struct command *parent, const struct command *command, struct text *out)
{
    text_append(out, "descpipe ");
    if (parent != NULL)
        text_format(out, "%s ", parent->name);
    text_format(out, "%s ", command->name);
    if (command->subcommands != NULL)
        text_append(out, "COMMAND");
    else
        arguments_print_usage(command->positionals, out);
}

static void print_commands(const struct command *list, struct text *out)
{
    for (; list->name != NULL; list++)
        text_format(out, "  %-12s %s\n", list->name, list->summary);
}

void command_print_help(const struct command *parent, const struct command *command, struct text *out)
{
    text_format(out, "descpipe %s%s%s: %s\n\nUsage: ", parent != NULL ? parent->name : "", parent != NULL ? " " : "",
                command->name, command->summary);
    command_print_usage(parent, command, out);
    text_append(out, "\n");
    if (command->description != NULL) {
        text_append(out, "\n");
        arguments_print_paragraph(command->description, out);
    }
    if (command->subcommands != NULL) {
        text_append(out, "\nCommands:\n");
        print_commands(command->subcommands, out);
    }
    if (command->positionals != NULL) {
        text_append(out, "\nArguments:\n");
        arguments_print_positionals(command->positionals, out);
    }
    if (command->options != NULL) {
        text_append(out, "\nOptions:\n");
        arguments_print_options(command->options, out);
    }
    if (command->pipeline_options != NULL) {
        text_append(out, "\nHow and where it runs:\n");
        arguments_print_options(command->pipeline_options, out);
    }
    text_append(out, "\nGlobal options:\n");
    arguments_print_options(global_options, out);
    if (command->notes != NULL)
        text_format(out, "\n%s\n", command->notes);
    if (command->examples != NULL)
        text_format(out, "\nExamples:\n%s\n", command->examples);
}

static void print_short_usage(struct text *out)
{
    text_append(out, "Usage: descpipe [OPTIONS] COMMAND ...\n\nCommands:\n");
    print_commands(command_table(), out);
}

static void print_main_help(struct text *out)
{
    text_append(out, "descpipe runs pipelines of container stages on whatever a site has.\n\n");
    print_short_usage(out);
    text_append(out, "\nOptions:\n");
    arguments_print_options(global_options, out);
    text_append(
        out, "\nExamples:\n"
             "  descpipe check pipeline.yaml\n"
             "  descpipe run pipeline.yaml\n"
             "  descpipe run pipeline.yaml --runtime docker\n"
             "  descpipe status\n"
             "  descpipe logs -f tomography\n"
             "\nWith --json standard output is JSON whatever happens: what a command cannot do is told there as\n"
             "{\"problems\": [...]} too ('run': events). Only a wrong command line leaves it empty.\n"
             "\nExit status: 0 done, 1 a check differs, 2 usage or bad input, 3 plugin, 4 network, 5 a stage failed,\n"
             "6 system, 7 interrupted, 70 a bug. 'descpipe COMMAND --help' says more about a command.\n");
}

/* Finding the command. */

static const struct command *find_command(const char *name, const struct command *list)
{
    for (; list->name != NULL; list++)
        if (strcmp(list->name, name) == 0)
            return list;
    return NULL;
}

static int unknown_command(const char *name, const struct command *list, const char *parent)
{
    const char *names[COMMANDS + 1];
    size_t count = 0;
    for (const struct command *c = list; c->name != NULL && count < COMMANDS; c++)
        names[count++] = c->name;
    names[count] = NULL;
    cleanup(error_clear) struct error error = ERROR_INIT;
    error_set(&error, ERROR_INPUT, "unknown command '%s%s%s'", parent != NULL ? parent : "", parent != NULL ? " " : "",
              name);
    const char *nearest = text_nearest(name, names);
    if (nearest != NULL)
        error_hint(&error, "did you mean '%s%s%s'?", parent != NULL ? parent : "", parent != NULL ? " " : "", nearest);
    else
        error_hint(&error, "'descpipe %s%s--help' lists the commands", parent != NULL ? parent : "",
                   parent != NULL ? " " : "");
    return command_fail(&error);
}

static bool wants_json(const struct command *command, const void *values)
{
    for (const struct argument_option *option = command->options; option != NULL && option->name != NULL; option++)
        if (option->kind == ARGUMENT_FLAG && strcmp(option->name, "json") == 0)
            return *(const bool *)((const char *)values + option->offset);
    return false;
}

/* Everything after the command's name, then the command itself. */
static int run_command(const struct command *parent, const struct command *command, int argc, char **argv, int at,
                       struct invocation *invocation)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(text_clear) struct text usage = TEXT_INIT;
    invocation->command = command;
    invocation->values = memory_allocate(command->values_size + 1);
    const struct argument_table tables[] = {{command->options, invocation->values},
                                            {command->pipeline_options, invocation->values},
                                            {global_options, &invocation->globals}};
    const struct arguments arguments = {.tables = tables, .tables_count = 3, .words = &invocation->words};
    if (!arguments_parse(&arguments, argc, argv, &at, &error))
        return command_fail(&error);
    if (invocation->globals.help) {
        command_print_help(parent, command, &invocation->output.text);
        return command_finish(invocation, 0);
    }
    invocation->json = wants_json(command, invocation->values);
    command_print_usage(parent, command, &usage);
    if (!arguments_check_words(command->positionals, &invocation->words, text_bytes(&usage), &error))
        return command_fail(&error);
    if (invocation->globals.quiet && invocation->globals.verbose) {
        error_set(&error, ERROR_INPUT, "'--quiet' and '--verbose' exclude each other");
        return command_fail(&error);
    }
    log_set_level(invocation->globals.quiet     ? LOG_LEVEL_ERROR
                  : invocation->globals.verbose ? LOG_LEVEL_DEBUG
                                                : LOG_LEVEL_NOTICE);
    terminal_look(&invocation->terminal, STDOUT_FILENO, invocation->globals.color);
    return command_finish(invocation, command->run(invocation));
}

void command_clear(struct invocation *invocation)
{
    if (invocation->command != NULL && invocation->command->clear != NULL)
        invocation->command->clear(invocation->values);
    memory_free(invocation->values);
    words_clear(&invocation->words);
    words_clear(&invocation->globals.plugin_dirs);
    output_clear(&invocation->output);
}

bool command_read_again(const struct command *command, const char *const *arguments, struct invocation *invocation,
                        struct error *error)
{
    int count = 0, at = 0;
    while (arguments[count] != NULL)
        count++;
    invocation->command = command;
    invocation->values = memory_allocate(command->values_size + 1);
    invocation->arguments = arguments;
    const struct argument_table tables[] = {{global_options, &invocation->globals},
                                            {command->options, invocation->values},
                                            {command->pipeline_options, invocation->values}};
    const struct arguments before = {.tables = tables, .tables_count = 1, .until_word = true};
    const struct arguments behind = {.tables = tables, .tables_count = 3, .words = &invocation->words};
    char **words = (char **)(uintptr_t)arguments; /* only read */
    if (!arguments_parse(&before, count, words, &at, error))
        return false;
    if (at == count || strcmp(arguments[at], command->name) != 0)
        return error_set(error, ERROR_INPUT, "it was not begun by 'descpipe %s'", command->name);
    at++;
    return arguments_parse(&behind, count, words, &at, error) &&
           arguments_check_words(command->positionals, &invocation->words, command->name, error);
}

/* Options before the command's name. false: *status is the program's. */
static bool parse_before(int argc, char **argv, int *at, struct invocation *invocation, int *status)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const struct argument_table table = {global_options, &invocation->globals};
    const struct arguments arguments = {.tables = &table, .tables_count = 1, .until_word = true};
    *status = 0;
    if (!arguments_parse(&arguments, argc, argv, at, &error)) {
        *status = command_fail(&error);
        return false;
    }
    return true;
}

static int no_command(struct invocation *invocation, const struct command *group)
{
    struct text *out = &invocation->output.text;
    if (invocation->globals.version || invocation->globals.help) {
        if (invocation->globals.version)
            text_append(out, "descpipe " DESCPIPE_VERSION "\n");
        else if (group != NULL)
            command_print_help(NULL, group, out);
        else
            print_main_help(out);
        return command_finish(invocation, 0);
    }
    if (group != NULL)
        command_print_help(NULL, group, out);
    else
        print_short_usage(out);
    descriptor_write(STDERR_FILENO, out->bytes, out->length, NULL);
    text_reset(out);
    return error_exit_status(ERROR_INPUT);
}

static int dispatch(int argc, char **argv, struct invocation *invocation)
{
    int at = 1, status;
    if (!parse_before(argc, argv, &at, invocation, &status))
        return status;
    if (at == argc || invocation->globals.version)
        return no_command(invocation, NULL);
    if (strcmp(argv[at], "help") == 0) { /* "help run" is "run --help" */
        invocation->globals.help = true;
        if (++at == argc)
            return no_command(invocation, NULL);
    }
    const struct command *parent = NULL, *command = find_command(argv[at], command_table());
    if (command == NULL)
        return unknown_command(argv[at], command_table(), NULL);
    at++;
    if (command->subcommands != NULL) {
        parent = command;
        if (!parse_before(argc, argv, &at, invocation, &status))
            return status;
        if (at == argc)
            return no_command(invocation, parent);
        command = find_command(argv[at], parent->subcommands);
        if (command == NULL)
            return unknown_command(argv[at], parent->subcommands, parent->name);
        at++;
    }
    return run_command(parent, command, argc, argv, at, invocation);
}

/* A program started with one of 0, 1, 2 closed would write its messages into the first file that it opens. What stands
 * in for a closed standard output cannot be written to either: results that nobody gets are a failure. */
static void keep_standard_descriptors(void)
{
    for (int descriptor = 0; descriptor < 3; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null",
                        descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY); /* inherited, as they always are */
}

int command_main(int argc, char **argv)
{
    keep_standard_descriptors();
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL); /* a closed pipe is an error of the write that meets it */
    int status;
    if (child_main(argc, argv, &status))
        return status;
    struct invocation invocation = {0};
    output_open(&invocation.output, STDOUT_FILENO);
    invocation.arguments = (const char *const *)argv + (argc > 0);
    status = dispatch(argc, argv, &invocation);
    command_clear(&invocation);
    return status;
}
