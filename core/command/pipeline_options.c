/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that run, check and plan share. */
#include "command/pipeline_options.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

#define PLACE(member) offsetof(struct pipeline_options, member)

const struct argument_option pipeline_options_table[] = {
    {.name = "backend",
     .kind = ARGUMENT_TEXT,
     .offset = PLACE(backend),
     .value = "NAME",
     .help = "a backend of the pipeline or of the configuration; else a scheduler's name"},
    {.name = "runtime",
     .kind = ARGUMENT_TEXT,
     .offset = PLACE(runtime),
     .value = "NAME",
     .help = "another runtime than the backend's"},
    {.name = "registry",
     .kind = ARGUMENT_TEXT,
     .offset = PLACE(registry),
     .value = "NAME",
     .help = "another registry than the backend's"},
    {.name = "option",
     .letter = 'o',
     .kind = ARGUMENT_WORDS,
     .offset = PLACE(options),
     .value = "KIND.KEY=VALUE",
     .help = "an option of the scheduler, runtime or registry; may be repeated"},
    {.name = "set",
     .kind = ARGUMENT_WORDS,
     .offset = PLACE(sets),
     .value = "STAGE.KEY=VALUE",
     .help = "a key of a stage; may be repeated"},
    {.name = "input",
     .kind = ARGUMENT_WORDS,
     .completion = COMPLETE_FILE,
     .offset = PLACE(inputs),
     .value = "TAG=PATH",
     .help = "another file for an input; may be repeated"},
    {.name = "working",
     .kind = ARGUMENT_TEXT,
     .completion = COMPLETE_FOLDER,
     .offset = PLACE(working),
     .value = "DIR",
     .help = "where stages run and intermediate files are kept"},
    {.name = "output",
     .kind = ARGUMENT_TEXT,
     .completion = COMPLETE_FOLDER,
     .offset = PLACE(output),
     .value = "DIR",
     .help = "where the results go"},
    {.name = "jobs",
     .letter = 'j',
     .kind = ARGUMENT_TEXT,
     .offset = PLACE(jobs),
     .value = "N",
     .help = "at most so many tasks at a time"},
    {.name = "only",
     .kind = ARGUMENT_WORDS,
     .offset = PLACE(only),
     .value = "STAGE",
     .help = "only this stage; may be repeated"},
    {.name = "from",
     .kind = ARGUMENT_WORDS,
     .offset = PLACE(from),
     .value = "STAGE",
     .help = "this stage and all that come after it; may be repeated"},
    {.name = "until",
     .kind = ARGUMENT_WORDS,
     .offset = PLACE(until),
     .value = "STAGE",
     .help = "this stage and all that it needs; may be repeated"},
    {.name = NULL},
};

const struct argument_positional pipeline_positionals[] = {
    {.name = "PIPELINE", .completion = COMPLETE_FILE, .help = "the pipeline file (YAML)"},
    {.name = NULL},
};

void pipeline_options_clear(void *values)
{
    struct pipeline_options *options = values;
    words_clear(&options->options);
    words_clear(&options->sets);
    words_clear(&options->inputs);
    words_clear(&options->only);
    words_clear(&options->from);
    words_clear(&options->until);
}

void pipeline_options_search(const struct pipeline_options *options, struct config_search *search)
{
    search->options = words_list(&options->options);
    search->backend = options->backend;
    search->runtime = options->runtime;
    search->registry = options->registry;
    search->working = options->working;
    search->output = options->output;
    search->jobs = options->jobs;
}

void pipeline_options_choices(const struct pipeline_options *options, struct plan_choices *choices)
{
    choices->detach = options->detach;
    choices->only = words_list(&options->only);
    choices->from = words_list(&options->from);
    choices->until = words_list(&options->until);
}

void pipeline_options_changes(const struct pipeline_options *options, const char *base,
                              struct pipeline_changes *changes)
{
    *changes = (struct pipeline_changes){
        .base = base, .sets = words_list(&options->sets), .inputs = words_list(&options->inputs)};
}

bool pipeline_options_base(const struct invocation *invocation, char **base, struct error *error)
{
    *base = NULL;
    if (invocation->globals.base == NULL)
        return true;
    char *real = path_real(invocation->globals.base, error);
    struct stat status;
    if (real != NULL && stat(real, &status) == 0 && S_ISDIR(status.st_mode)) {
        *base = real;
        return true;
    }
    memory_free(real);
    if (error != NULL && error->message == NULL)
        error_set(error, ERROR_INPUT, "'%s' is not a folder", invocation->globals.base);
    error_wrap(error, "--base");
    if (error != NULL)
        error->kind = ERROR_INPUT;
    return false;
}
