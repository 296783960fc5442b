/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens the run, and finds the task in it, that the words of a command line mean. */
#include "command/runs/chosen_run.h"

#include <string.h>

#include "run/journal/run_folder.h"

const struct argument_positional chosen_run_positionals[] = {
    {.name = "RUN",
     .optional = true,
     .completion = COMPLETE_FILE,
     .help = "an id, the beginning of one, a run folder, a working folder or a pipeline file; "
             "default: the latest run started from the current folder"},
    {.name = NULL},
};

const struct argument_positional chosen_task_positionals[] = {
    {.name = "RUN",
     .optional = true,
     .completion = COMPLETE_FILE,
     .help = "as for 'descpipe status'; default: the latest run started from the current folder"},
    {.name = "STAGE", .help = "a stage, or STAGE/MEMBER"},
    {.name = NULL},
};

struct run_view *chosen_run_begin(const char *word, unsigned options, struct error *error)
{
    cleanup(memory_free) char *folder = NULL;
    return run_find(word, &folder, error) ? run_view_open(folder, options, error) : NULL;
}

struct run_view *chosen_run_open(const char *word, unsigned options, struct error *error)
{
    struct run_view *view = chosen_run_begin(word, options, error);
    if (view == NULL)
        return NULL;
    run_view_read(view, 0, NULL, NULL);
    run_view_look_alive(view);
    return view;
}

enum { NAMES_LIMIT = 10000 };

static bool no_stage(const struct run_view *view, const char *name, struct error *error)
{
    cleanup(words_clear) struct words names = {0};
    for (size_t i = 0; i < view->stages.count && i < NAMES_LIMIT; i++)
        words_add(&names, run_view_text(view, view->stages.items[i].name));
    error_set(error, ERROR_INPUT, "run %s has no stage '%s'", chosen_run_name(view), name);
    const char *nearest = text_nearest(name, words_list(&names));
    if (nearest != NULL)
        return error_hint(error, "did you mean '%s'?", nearest);
    return error_hint(error, "'descpipe status' lists the stages");
}

/* Without a member named: which one is most likely meant. */
static bool needs_member(const struct run_view *view, const struct stage_view *stage, struct error *error)
{
    uint32_t example = stage->first;
    for (uint32_t i = stage->first; i != TASK_NONE; i = view->tasks.items[i].next)
        if (task_state_is_bad(view->tasks.items[i].state)) {
            example = i;
            break;
        }
    cleanup(text_clear) struct text name = TEXT_INIT;
    run_view_append_task(view, example, &name);
    error_set(error, ERROR_INPUT, "stage '%s' has %u members: say which", run_view_text(view, stage->name),
              stage->tasks);
    return error_hint(error, "for example '%s'", text_bytes(&name));
}

/* Waits for no one: a stage that is planned is known from plan.json. */
static bool find_task(const struct run_view *view, const char *word, uint32_t *task, struct error *error)
{
    const char *slash = strchr(word, '/');
    cleanup(memory_free) char *stage_name =
        memory_copy_bytes(word, slash != NULL ? (size_t)(slash - word) : strlen(word));
    const struct stage_view *stage = run_view_stage(view, stage_name);
    if (stage == NULL)
        return no_stage(view, stage_name, error);
    if (slash == NULL && stage->has_members && stage->tasks > 1)
        return needs_member(view, stage, error);
    *task = slash == NULL ? stage->first : run_view_task(view, stage_name, slash + 1);
    if (*task != TASK_NONE)
        return true;
    error_set(error, ERROR_INPUT, "stage '%s' has no member '%s'", stage_name, slash != NULL ? slash + 1 : "");
    return error_hint(error, "'descpipe status --json' lists the members");
}

struct run_view *chosen_run(const struct invocation *invocation, unsigned options, struct error *error)
{
    return chosen_run_open(command_word(invocation, 0), options, error);
}

struct run_view *chosen_task(const struct invocation *invocation, uint32_t *task, struct error *error)
{
    bool has_run = invocation->words.count > 1;
    cleanup(run_view_free) struct run_view *view =
        chosen_run_open(has_run ? command_word(invocation, 0) : NULL, 0, error);
    bool found = view != NULL && find_task(view, command_word(invocation, has_run ? 1 : 0), task, error);
    return found ? steal(&view) : NULL;
}

void chosen_run_begin_json(const struct run_view *view, struct text *out)
{
    text_append(out, "{\"run\":");
    text_append_json(out, chosen_run_name(view));
}
