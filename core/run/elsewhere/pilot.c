/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run that moves into one allocation: many small stages, no job for each.
 *
 *     detach_start → images, inputs → one job → `detached`, to the disk → the leases are the run's own → this engine
 * ends … the allocation begins: `descpipe resume` there takes the leases, and the run is that engine's until its end
 *
 * How it works: the job is a script that goes on with the run in the environment that it was begun in (a file beside
 * it that nobody else may read, gone when it has been read). It says when the allocation ends, and the engine there
 * begins nothing that would not be over by then. What is left over is a stopped run as any other: `resume` asks for
 * another allocation.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "run/elsewhere/detach.h"
#include "run/elsewhere/job_script.h"

#define ENVIRONMENT_NAME "secrets.0" /* what is in it is nobody's guess */
#define LEAVE_BEFORE_MS 15000        /* so long before the end the engine lets go, and can write that down */
#define UNTIMED_NEEDS_MS 60000       /* left for a stage that does not say how long it takes */

extern char **environ;

static const struct descpipe_pilot *pilot_of(const struct engine *engine, uint32_t backend)
{
    return plugin_scheduler_pilot(engine->plan->backends[backend].scheduler);
}

bool pilot_is_wanted(const struct engine *engine)
{
    for (uint32_t i = 0; i < engine->plan->backends_count; i++) {
        const struct descpipe_pilot *pilot = pilot_of(engine, i);
        if (pilot != NULL && !pilot->inside)
            return true;
    }
    return false;
}

/* A stage elsewhere than the others would need an engine out here as well. */
bool pilot_takes_all(const struct engine *engine, struct error *error)
{
    const struct plan_backend *first = NULL;
    for (uint32_t i = 0; i < engine->pipeline->stages.count; i++) {
        const struct plan_backend *backend = &engine->plan->backends[engine->plan->stages[i].backend];
        if (!engine->plan->stages[i].selected)
            continue;
        first = first != NULL ? first : backend;
        if (backend == first)
            continue;
        error_set(error, ERROR_INPUT,
                  "stage '%s' runs on backend '%s' and others on '%s': one allocation takes the whole run",
                  pipeline_text(engine->pipeline, engine->pipeline->stages.items[i].name), backend->name, first->name);
        return error_hint(error, "put all stages on one backend, or run them one backend at a time: --only");
    }
    return true;
}

/* What the job gets from its system is about the allocation; what we have is about where we are. */
static bool is_of_a_place(const char *pair)
{
    static const char *const prefixes[] = {"SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "PMI", "DESCPIPE_PILOT"};
    static const char *const names[] = {"_=", "PWD=", "OLDPWD=", "SHLVL=", "TMPDIR=", "HOSTNAME=", "XDG_RUNTIME_DIR="};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (text_starts_with(pair, prefixes[i]))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_starts_with(pair, names[i]))
            return true;
    return false;
}

static bool write_environment(const char *folder, struct error *error)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (char **pair = environ; *pair != NULL; pair++) {
        const char *const one[] = {*pair, NULL};
        cleanup(error_clear) struct error unsayable = ERROR_INIT; /* a shell's function: no shell could take it */
        if (!is_of_a_place(*pair))
            job_script_print_exports(one, &text, &unsayable);
    }
    cleanup(memory_free) char *path = path_join(folder, ENVIRONMENT_NAME);
    bool written = file_write(path, text_bytes(&text), text.length, 0600, error);
    explicit_bzero(text.bytes, text.length);
    return written;
}

static bool write_script(const struct engine *engine, const char *folder, const struct descpipe_resources *resources,
                         struct error *error)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(memory_free) char *program = path_real("/proc/self/exe", error);
    cleanup(memory_free) char *outcome = path_join(folder, "outcome.0");
    cleanup(memory_free) char *environment = path_join(folder, ENVIRONMENT_NAME);
    cleanup(memory_free) char *path = path_join(folder, DETACH_SCRIPT);
    if (program == NULL)
        return false;
    text_append(&text, "#!/bin/sh\n# Made by descpipe: goes on with a run inside the allocation of this job.\n");
    job_script_print_saying(outcome, &text);
    detach_print_leases(engine, &text);
    text_append(&text, "started=$(now)\nstatus=1\nheard=\nenvironment=");
    text_append_shell_word(&text, environment);
    text_append(&text, "\nchild=\nhear() {\n    stopped=$1\n    heard=yes\n"
                       "    [ -z \"$child\" ] || kill -s TERM \"$child\" 2>/dev/null || :\n}\n"
                       "trap 'hear TERM' TERM\ntrap 'hear INT' INT\ntrap 'hear HUP' HUP\nsay run\n");
    if (resources->time_limit_ms > 0)
        text_format(&text, "DESCPIPE_PILOT_END=$(($(date +%%s) + %lld))\nexport DESCPIPE_PILOT_END\n",
                    (long long)(resources->time_limit_ms / 1000));
    text_append(&text, "unset DESCPIPE_INDEX DESCPIPE_RESTART DESCPIPE_LAUNCHER\nDESCPIPE_PILOT=");
    text_append_shell_word(&text, engine->folder.id);
    text_append(&text, "\nexport DESCPIPE_PILOT\nif [ -r \"$environment\" ]; then\n    . \"$environment\"\n"
                       "    rm -f \"$environment\"\nfi\n");
    text_append_shell_word(&text, program);
    text_append(&text, " resume --take-over ");
    text_append_shell_word(&text, engine->folder.path);
    text_append(&text, " &\nchild=$!\n[ -z \"$stopped\" ] || kill -s TERM \"$child\" 2>/dev/null || :\n"
                       "status=0\nwait \"$child\" || status=$?\n"
                       "while [ -n \"$heard\" ]; do\n    heard=\n    again=0\n    wait \"$child\" || again=$?\n"
                       "    [ \"$again\" -eq 127 ] || status=$again\ndone\n"
                       "[ \"$status\" -ne 0 ] || finished=yes\nsay end\ngive_back\nexit \"$status\"\n");
    return file_write(path, text_bytes(&text), text.length, 0700, error);
}

void pilot_send(struct detach *detach)
{
    struct engine *engine = detach->engine;
    const struct descpipe_resources *resources = pilot_of(engine, detach->backend)->resources;
    struct remote *remote = remote_new(engine, detach->backend, 1);
    cleanup(error_clear) struct error error = ERROR_INIT;
    remote->preparing = 0;
    detach->sending = detach->closing = true;
    if (!folder_make(remote->folder, 0755, &error) || !write_environment(remote->folder, &error) ||
        !write_script(engine, remote->folder, resources, &error)) {
        detach_fail(engine, error.message);
        return;
    }
    detach_send_job(remote, detach_make_job(remote, "the whole run", resources), DESCPIPE_SUBMISSION_PILOT);
}

/* Inside. */

static int64_t left_ms(const struct engine *engine)
{
    return engine->request->ends_at_ms - LEAVE_BEFORE_MS - clock_wall_ms();
}

static void time_is_up(void *context)
{
    stop_leave(context, PILOT_LEAVES "is over soon");
}

void pilot_watch_time(struct engine *engine)
{
    if (engine->request->ends_at_ms != 0)
        engine->allocation_ends =
            loop_timer(engine->loop, left_ms(engine) > 0 ? left_ms(engine) : 0, time_is_up, engine);
}

bool pilot_has_time(struct engine *engine, uint32_t task)
{
    if (engine->request->ends_at_ms == 0)
        return true;
    int64_t needs = attempt_limits(engine, task, plan_task_stage(engine->plan, task)).time_limit_ms;
    if ((needs > 0 ? needs : UNTIMED_NEEDS_MS) <= left_ms(engine))
        return true;
    engine->out_of_time++; /* there is no way back: time only gets shorter */
    return false;
}

void pilot_leave_when_idle(struct engine *engine)
{
    if (engine->out_of_time > 0 && engine->walking && engine->stop == STOP_NOT && engine->running == 0 &&
        engine->retrying == 0 && engine->ready.count == 0)
        stop_leave(engine, PILOT_LEAVES "has no time for what is left");
}
