/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe resume`: goes on with a run whose engine has gone, or that ended before all was done.
 *
 * How it works: the run folder holds the command line that began the run, and the folder it was given in. Read again,
 * from there, it leads to the same plan; the engine compares and does the rest.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "command/runs/chosen_run.h"
#include "command/runs/left_jobs.h"
#include "command/runs/run_show.h"
#include "command/runs/watch.h"
#include "report/events.h"
#include "run/journal/lease.h"
#include "run/journal/run_folder.h"

#define PILOT_VARIABLE "DESCPIPE_PILOT"         /* set by the job: the run that its allocation is for, */
#define PILOT_END_VARIABLE "DESCPIPE_PILOT_END" /* … and its end, in seconds since the epoch */

enum { REQUEST_LIMIT = 4 * 1024 * 1024, FIRST_ASK_MS = 5000, LONGEST_ASK_MS = 240000 };

struct resume_values {
    bool keep_going, take_over, json;
};

static const struct argument_option options[] = {
    {.name = "keep-going",
     .letter = 'k',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct resume_values, keep_going),
     .help = "when a stage fails, still run what does not need it"},
    {.name = "take-over",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct resume_values, take_over),
     .help = "also from a machine that gave no sign of life for five minutes: what it had begun counts as lost"},
    {.name = "json",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct resume_values, json),
     .help = "one JSON object per event and line, as 'run --json'"},
    {.name = NULL},
};

static bool read_request(const char *folder, struct words *arguments, char **started_in, struct error *error)
{
    cleanup(memory_free) char *path = path_join(folder, RUN_REQUEST_FILE);
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!file_read(path, REQUEST_LIMIT, &text, error))
        return error_hint(error, "runs of an older descpipe cannot be resumed");
    json_t *request = json_loadb(text_bytes(&text), text.length, 0, NULL);
    size_t index;
    json_t *argument;
    json_array_foreach(json_object_get(request, "arguments"), index, argument)
        words_add(arguments, json_is_string(argument) ? json_string_value(argument) : "");
    const char *there = json_string_value(json_object_get(request, "folder"));
    *started_in = memory_copy_text(there);
    json_decref(request);
    return (there != NULL && arguments->count > 0) || error_set(error, ERROR_INPUT, "'%s' cannot be read", path);
}

/* It says which plugins to load and which commands to run: nobody else's word is taken for that. */
static bool is_ours(const char *folder, struct error *error)
{
    struct stat status;
    if (stat(folder, &status) != 0)
        return error_system(error, "cannot look at '%s'", folder);
    if (status.st_uid == geteuid() && (status.st_mode & 022) == 0)
        return true;
    error_set(error, ERROR_INPUT, "'%s' belongs to somebody else, or others may write in it", folder);
    return error_hint(error, "who began the run can resume it");
}

/* In the allocation that the run was to move into, started by its job. */
static bool is_inside_pilot(const struct run_view *view)
{
    return view->run != NULL && text_equal(secure_getenv(PILOT_VARIABLE), view->run);
}

/* When that ends, as its job says; 0: it does not. */
static int64_t pilot_ends_at_ms(const struct run_view *view)
{
    uint64_t seconds = 0;
    const char *end = is_inside_pilot(view) ? secure_getenv(PILOT_END_VARIABLE) : NULL;
    return end != NULL && text_to_unsigned(end, &seconds) && seconds < INT64_MAX / 1000 ? (int64_t)seconds * 1000 : 0;
}

static bool is_free(const struct run_view *view, const char *name, struct error *error)
{
    enum lease_state state;
    struct lease_holder holder;
    if (!lease_look(view->folder, &state, &holder, error))
        return false;
    if (state != LEASE_HELD)
        return true;
    cleanup(text_clear) struct text silent = TEXT_INIT;
    clock_append_length(&silent, holder.silent_ms);
    error_set(error, ERROR_INPUT, "run %s goes on: descpipe process %lld on '%s' has it, last sign of life %s ago",
              name, (long long)holder.pid, holder.machine.host, text_bytes(&silent));
    return error_hint(error,
                      "'descpipe status %s' shows it; when that machine has ended it can be taken over five "
                      "minutes after its last sign of life",
                      name);
}

static int resume(struct invocation *invocation, struct run_view *view, bool gone, struct error *error)
{
    const struct resume_values *values = invocation->values;
    cleanup(words_clear) struct words arguments = {0};
    cleanup(memory_free) char *started_in = NULL;
    cleanup(memory_free) char *base = NULL;
    cleanup(memory_free) char *folder = path_real(view->folder, error);
    cleanup(installation_clear) struct installation installation = {0};
    cleanup(command_clear) struct invocation run = {.json = invocation->json};
    struct run_request request = {0};
    if (folder == NULL || !is_ours(folder, error) || !read_request(folder, &arguments, &started_in, error))
        return run_refuse(invocation, error);
    if (chdir(started_in) != 0) {
        error_system(error, "cannot go to '%s', where the run was begun", started_in);
        return run_refuse(invocation, error);
    }
    if (!command_read_again(&command_run, words_list(&arguments), &run, error) ||
        !run_request_fill(&run, &installation, &base, &request, error))
        return run_refuse(invocation, error);
    request.resume = folder;
    request.take_over = values->take_over;
    request.gone = gone;
    request.ends_at_ms = pilot_ends_at_ms(view);
    request.keep_going = request.keep_going || values->keep_going;
    struct run_view *before = run_view_open(folder, 0, error);
    if (before == NULL)
        return run_refuse(invocation, error);
    run_view_read(before, 0, NULL, NULL);
    return run_show(invocation, &request, before);
}

/* Of a run that was handed over: its jobs place what they make and try nothing again, so it is taken up when they are
 * over. What they write tells of that; the scheduler is asked less and less often, for jobs that somebody else ended
 * write nothing. False: `status` is the exit status. */
static bool follow_jobs(struct invocation *invocation, struct run_view *view, size_t count, int *status)
{
    log_notice("run %s goes on by itself: its scheduler has %zu job%s of it; what they leave undone is gone on with "
               "when they are over",
               view->run, count, count == 1 ? "" : "s");
    for (int64_t wait_ms = FIRST_ASK_MS; count > 0 && view->end_state == NULL; wait_ms *= 2) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        if (!run_watch_for(invocation, view, wait_ms < LONGEST_ASK_MS ? wait_ms : LONGEST_ASK_MS, status))
            return false;
        if (view->end_state == NULL && !left_jobs_count(invocation, view, &count, &error))
            log_warning("%s; it is asked again", error.message);
    }
    return true;
}

/* Of a run that was handed over, and is over: what its jobs have left is known from then on as of any other. */
static bool bring_back(struct invocation *invocation, struct run_view *view, int *status)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    size_t count = 0;
    if (view->end_state == NULL && !left_jobs_count(invocation, view, &count, &error)) {
        *status = run_refuse(invocation, &error);
        return false;
    }
    if (count > 0 && !follow_jobs(invocation, view, count, status))
        return false;
    if (view->detached && !left_jobs_settle(view, NULL, &error)) {
        *status = run_refuse(invocation, &error);
        return false;
    }
    return true;
}

static int run_resume(struct invocation *invocation)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(run_view_free) struct run_view *view = chosen_run(invocation, RUN_VIEW_EVIDENCE, &error);
    if (view == NULL)
        return run_refuse(invocation, &error);
    const char *name = chosen_run_name(view);
    if (text_equal(view->end_state, "succeeded")) {
        log_notice("run %s has ended: succeeded; there is nothing to go on with", name);
        return 0;
    }
    bool inside = is_inside_pilot(view), gone = false;
    int status = 0;
    if (view->pilot && !inside) { /* whoever had it there went with its job */
        if (view->end_state == NULL && !left_jobs_none(invocation, view, &error))
            return run_refuse(invocation, &error);
        gone = true;
    } else if (view->detached && !inside && !bring_back(invocation, view, &status)) {
        return status;
    }
    if (!gone && !is_free(view, name, &error))
        return run_refuse(invocation, &error);
    return resume(invocation, view, gone, &error);
}

const struct command command_resume = {
    .name = "resume",
    .summary = "go on with a run that was interrupted",
    .description =
        "What is done stays done, what still runs is followed, what failed or was not begun runs. The pipeline has to "
        "be the one\nthat the run began with; how much a stage asks for may differ. A detached run whose jobs still "
        "run "
        "is shown until they\nare over, and then gone on with if anything is left; Ctrl-C before that (7) leaves them "
        "alone.",
    .notes = event_documentation,
    .examples = "  descpipe resume\n"
                "  descpipe resume 20261121-06\n"
                "  descpipe resume --take-over 20261121-06",
    .options = options,
    .positionals = chosen_run_positionals,
    .values_size = sizeof(struct resume_values),
    .run = run_resume,
};
