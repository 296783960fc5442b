/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe completion`: shell completions, written from the tables that parse the options.
 *
 * How it works: bash and zsh get one function with a case per command ("plugins list" is one), which offers the
 * command's words and, after an option that takes a file or folder, file names. fish gets one line per option.
 */
#include <string.h>

#include "base/table.h"
#include "command/command.h"

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static const struct argument_positional positionals[] = {
    {.name = "SHELL", .help = "bash, zsh or fish", .choices = shells},
    {.name = NULL},
};

/* Calls `each` for every command that can be run, subcommands with their parent. */
static void each_command(void (*each)(const struct command *parent, const struct command *command, struct text *out),
                         struct text *out)
{
    for (const struct command *command = command_table(); command->name != NULL; command++) {
        if (command->subcommands == NULL)
            each(NULL, command, out);
        for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++)
            each(command, sub, out);
    }
}

static void append_names(const struct command *list, struct text *out)
{
    for (const struct command *command = list; command->name != NULL; command++)
        text_format(out, "%s%s", command == list ? "" : " ", command->name);
}

static const struct argument_option *const *tables_of(const struct command *command)
{
    static const struct argument_option *tables[4];
    size_t count = 0;
    if (command->options != NULL)
        tables[count++] = command->options;
    if (command->pipeline_options != NULL)
        tables[count++] = command->pipeline_options;
    tables[count++] = command_global_options();
    tables[count] = NULL;
    return tables;
}

static void append_words(const struct command *command, struct text *out)
{
    for (const struct argument_option *const *table = tables_of(command); *table != NULL; table++)
        for (const struct argument_option *option = *table; option->name != NULL; option++)
            text_format(out, " --%s", option->name);
    for (const struct argument_positional *place = command->positionals; place != NULL && place->name != NULL; place++)
        for (size_t i = 0; place->choices != NULL && place->choices[i] != NULL; i++)
            text_format(out, " %s", place->choices[i]);
}

static bool takes_files(const struct command *command)
{
    for (const struct argument_positional *place = command->positionals; place != NULL && place->name != NULL; place++)
        if (place->completion != COMPLETE_NOTHING)
            return true;
    return false;
}

/* bash, and zsh by its bash completion. */

static void bash_values(const struct argument_option *table, struct table *seen, struct text *out)
{
    for (const struct argument_option *option = table; option != NULL && option->name != NULL; option++) {
        if (option->kind == ARGUMENT_FLAG || table_get(seen, option->name) != NULL)
            continue;
        table_put(seen, option->name, seen);
        text_format(out, "    --%s", option->name);
        if (option->letter != 0)
            text_format(out, "|-%c", option->letter);
        text_append(out, ") ");
        if (option->kind == ARGUMENT_CHOICE) {
            text_append(out, "words=\"");
            for (size_t i = 0; option->choices[i] != NULL; i++)
                text_format(out, "%s%s", i > 0 ? " " : "", option->choices[i]);
            text_append(out, "\"; files=");
        } else {
            text_format(out, "words=; files=%s",
                        option->completion == COMPLETE_FILE     ? "file"
                        : option->completion == COMPLETE_FOLDER ? "directory"
                                                                : "");
        }
        text_append(out, " ;;\n");
    }
}

static void bash_case(const struct command *parent, const struct command *command, struct text *out)
{
    text_format(out, "    \"%s%s%s\") words=\"", parent != NULL ? parent->name : "", parent != NULL ? " " : "",
                command->name);
    append_words(command, out);
    text_format(out, "\"; files=%s ;;\n", takes_files(command) ? "file" : "");
}

/* Equal option names have equal values in every command, so each name is written once. */
static void bash_all_values(struct text *out)
{
    cleanup(table_free) struct table *seen = table_new();
    for (const struct command *command = command_table(); command->name != NULL; command++) {
        bash_values(command->options, seen, out);
        bash_values(command->pipeline_options, seen, out);
        for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++)
            bash_values(sub->options, seen, out);
    }
    bash_values(command_global_options(), seen, out);
}

static void print_bash(struct text *out)
{
    text_append(
        out, "# bash completion for descpipe\n"
             "_descpipe() {\n"
             "  local cur prev command= words files= i\n"
             "  cur=\"${COMP_WORDS[COMP_CWORD]}\"; prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
             "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
             "    case \"${COMP_WORDS[i]}\" in\n"
             "    -*) ;;\n"
             "    *) [[ -z $command || $command == plugins ]] && command=\"${command:+$command }${COMP_WORDS[i]}\" ;;\n"
             "    esac\n"
             "  done\n"
             "  case \"$command\" in\n");
    each_command(bash_case, out);
    text_append(out, "    plugins) words=\"");
    for (const struct command *command = command_table(); command->name != NULL; command++)
        if (command->subcommands != NULL)
            append_names(command->subcommands, out);
    text_append(out, "\" ;;\n    *) words=\"");
    append_names(command_table(), out);
    text_append(out, " --help --version\" ;;\n  esac\n  case \"$prev\" in\n");
    bash_all_values(out);
    text_append(out, "  esac\n"
                     "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                     "  [[ -n $files && $cur != -* ]] && COMPREPLY+=($(compgen -A \"$files\" -- \"$cur\"))\n"
                     "}\n"
                     "complete -o filenames -F _descpipe descpipe\n");
}

static void print_zsh(struct text *out)
{
    text_append(out, "#compdef descpipe\nautoload -U +X bashcompinit && bashcompinit\n");
    print_bash(out);
}

/* fish */

static void append_quoted(const char *text, struct text *out)
{
    text_append(out, "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            text_append(out, "\\");
        text_append_character(out, *text);
    }
    text_append(out, "'");
}

static void append_fish_condition(const struct command *parent, const struct command *command, struct text *out)
{
    text_append(out, "complete -c descpipe -n '__fish_seen_subcommand_from ");
    if (parent != NULL)
        text_format(out, "%s; and __fish_seen_subcommand_from ", parent->name);
    text_format(out, "%s'", command->name);
}

static void fish_command(const struct command *parent, const struct command *command, struct text *out)
{
    for (const struct argument_option *const *table = tables_of(command); *table != NULL; table++)
        for (const struct argument_option *option = *table; option->name != NULL; option++) {
            append_fish_condition(parent, command, out);
            text_format(out, " -l %s", option->name);
            if (option->letter != 0)
                text_format(out, " -s %c", option->letter);
            if (option->kind != ARGUMENT_FLAG)
                text_append(out, option->completion != COMPLETE_NOTHING ? " -rF" : " -x");
            if (option->kind == ARGUMENT_CHOICE) {
                text_append(out, " -a '");
                for (size_t i = 0; option->choices[i] != NULL; i++)
                    text_format(out, "%s%s", i > 0 ? " " : "", option->choices[i]);
                text_append(out, "'");
            }
            text_append(out, " -d ");
            append_quoted(option->help, out);
            text_append(out, "\n");
        }
    for (const struct argument_positional *place = command->positionals; place != NULL && place->name != NULL;
         place++) {
        if (place->choices == NULL && place->completion == COMPLETE_NOTHING)
            continue;
        append_fish_condition(parent, command, out);
        text_append(out, place->choices != NULL ? " -f -a '" : " -F");
        for (size_t i = 0; place->choices != NULL && place->choices[i] != NULL; i++)
            text_format(out, "%s%s", i > 0 ? " " : "", place->choices[i]);
        text_append(out, place->choices != NULL ? "'\n" : "\n");
    }
}

static void print_fish(struct text *out)
{
    text_append(out, "# fish completion for descpipe\ncomplete -c descpipe -f\n");
    for (const struct command *command = command_table(); command->name != NULL; command++) {
        text_format(out, "complete -c descpipe -n __fish_use_subcommand -a %s -d ", command->name);
        append_quoted(command->summary, out);
        text_append(out, "\n");
        for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) {
            text_format(out, "complete -c descpipe -n '__fish_seen_subcommand_from %s' -a %s -d ", command->name,
                        sub->name);
            append_quoted(sub->summary, out);
            text_append(out, "\n");
        }
    }
    each_command(fish_command, out);
}

static int run_completion(struct invocation *invocation)
{
    const char *shell = command_word(invocation, 0);
    struct text *out = &invocation->output.text;
    if (strcmp(shell, "bash") == 0)
        print_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(out);
    else
        print_fish(out);
    return 0;
}

const struct command command_completion = {
    .name = "completion",
    .summary = "completions for bash, zsh or fish",
    .examples = "  descpipe completion bash > ~/.local/share/bash-completion/completions/descpipe\n"
                "  descpipe completion fish > ~/.config/fish/completions/descpipe.fish",
    .positionals = positionals,
    .run = run_completion,
};
