/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the jobs of one command side by side. */
#include "command/image/image_work.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { JOBS_AT_A_TIME = 4, INTERRUPTED_TWICE = 130, SIGNALLED = 128, NAMES_SHOWN = 3 };

const struct argument_positional image_positionals[] = {
    {.name = "PIPELINE", .completion = COMPLETE_FILE, .help = "the pipeline file (YAML)"},
    {.name = "STAGE", .optional = true, .repeated = true, .help = "only these stages (default: all)"},
    {.name = NULL},
};

static bool has_word(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (text_equal(words->items[i], word))
            return true;
    return false;
}

int image_work_plan(struct invocation *invocation, struct pipeline_options *options, enum plan_extent extent,
                    struct planning *planning)
{
    for (size_t i = 1; i < invocation->words.count; i++)
        if (!has_word(&options->only, invocation->words.items[i])) /* planned before */
            words_add(&options->only, invocation->words.items[i]);
    if (!planning_build(planning, invocation, options, command_word(invocation, 0), extent))
        return command_refuse(invocation, &planning->problems, &planning->error);
    command_print_problems(&planning->problems, invocation->globals.quiet);
    return 0;
}

void image_work_open(struct image_work *work, struct invocation *invocation, struct planning *planning, bool json)
{
    *work = (struct image_work){.invocation = invocation, .planning = planning, .limit = JOBS_AT_A_TIME, .json = json};
    enum progress_mode mode = json ? PROGRESS_JSON : invocation->terminal.is_terminal ? PROGRESS_LIVE : PROGRESS_PLAIN;
    work->progress = progress_new(&invocation->terminal, mode, invocation->globals.quiet, &invocation->output.text);
    const char *jobs = config_layers_value(planning->installation.layers, "jobs", NULL, NULL);
    uint64_t limit;
    if (jobs != NULL && text_to_unsigned(jobs, &limit))
        work->limit = (size_t)limit;
}

void image_work_be_silent(struct image_work *work)
{
    work->silent = true;
}

void image_work_clear(struct image_work *work)
{
    for (size_t i = 0; i < work->jobs.count; i++)
        memory_free(work->jobs.items[i].name);
    list_clear(&work->jobs);
    progress_free(work->progress);
}

struct image_job *image_work_add(struct image_work *work, const char *name, struct plan_image *image)
{
    struct image_job *job = list_grow(&work->jobs);
    *job = (struct image_job){
        .work = work, .number = progress_add(work->progress, name), .image = image, .name = memory_copy_text(name)};
    return job;
}

/* "tomography, treecorr and 5 more" */
static void append_users(const struct plan *plan, size_t image, struct text *out)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->pipeline->stages.count; i++) {
        if (plan->stages[i].image != image)
            continue;
        if (count < NAMES_SHOWN)
            text_format(out, "%s%s", count > 0 ? ", " : "",
                        pipeline_text(plan->pipeline, plan->pipeline->stages.items[i].name));
        count++;
    }
    if (count > NAMES_SHOWN)
        text_format(out, " and %zu more", count - NAMES_SHOWN);
}

void image_work_add_images(struct image_work *work)
{
    const struct plan *plan = work->planning->plan;
    cleanup(text_clear) struct text name = TEXT_INIT;
    for (size_t i = 0; i < plan->images_count; i++) {
        text_reset(&name);
        append_users(plan, i, &name);
        image_work_add(work, text_bytes(&name), &plan->images[i]);
    }
}

static void flush(struct image_work *work)
{
    if (work->silent)
        return;
    progress_draw(work->progress, clock_monotonic_ms());
    output_flush(&work->invocation->output);
}

static void tick(void *context)
{
    struct image_work *work = context;
    work->tick = loop_timer(work->planning->installation.loop, PROGRESS_INTERVAL_MS, tick, work);
    if (work->on_tick != NULL)
        work->on_tick(work);
    flush(work);
}

static void size_changed(void *context, int signal, int sender_pid)
{
    struct image_work *work = context;
    (void)signal;
    (void)sender_pid;
    terminal_measure(&work->invocation->terminal);
    flush(work);
}

static void interrupted(void *context, int signal, int sender_pid)
{
    struct image_work *work = context;
    (void)sender_pid;
    if (++work->interrupts > 1) {
        progress_leave(work->progress);
        output_flush(&work->invocation->output);
        _exit(signal == SIGINT ? INTERRUPTED_TWICE : SIGNALLED + signal);
    }
    if (!work->json && !work->silent)
        progress_say(work->progress, "stopping; Ctrl-C again stops at once");
    for (size_t i = 0; i < work->jobs.count; i++) {
        struct image_job *job = &work->jobs.items[i];
        if (!job->begun || job->ended)
            continue;
        if (work->stop != NULL)
            work->stop(job);
        else if (job->call != NULL)
            call_cancel(job->call);
    }
    flush(work);
}

static bool goes_on(void *context)
{
    struct image_work *work = context;
    for (size_t i = work->next; i < work->jobs.count && work->open < work->limit && work->interrupts == 0; i++) {
        struct image_job *job = &work->jobs.items[i];
        if (!job->begun && (work->ready == NULL || work->ready(job))) {
            job->begun = true;
            work->open++;
            work->start(job);
        }
        work->next += i == work->next && job->begun;
    }
    return work->open > 0;
}

static void take_signals(struct image_work *work, bool take)
{
    struct loop *loop = work->planning->installation.loop;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        loop_signal(loop, signals[i], take ? interrupted : NULL, work);
    if (work->invocation->terminal.is_terminal)
        loop_signal(loop, SIGWINCH, take ? size_changed : NULL, work);
}

int image_work_run(struct image_work *work)
{
    struct loop *loop = work->planning->installation.loop;
    take_signals(work, true);
    work->tick = loop_timer(loop, PROGRESS_INTERVAL_MS, tick, work);
    if (goes_on(work))
        loop_run(loop, goes_on, work);
    loop_timer_stop(work->tick);
    take_signals(work, false);
    if (!work->silent)
        progress_leave(work->progress);
    output_flush(&work->invocation->output);
    return work->interrupts > 0 ? error_exit_status(ERROR_INTERRUPTED) : work->status;
}

int image_work_with_each(struct invocation *invocation, struct pipeline_options *options, bool json,
                         void (*start)(struct image_job *job))
{
    cleanup(planning_clear) struct planning planning = {0};
    int status = image_work_plan(invocation, options, PLAN_IMAGES, &planning);
    if (planning.plan == NULL)
        return status;
    cleanup(image_work_clear) struct image_work work;
    image_work_open(&work, invocation, &planning, json);
    work.start = start;
    image_work_add_images(&work);
    return image_work_run(&work);
}

static void end(struct image_job *job, bool ok, const char *message)
{
    struct image_work *work = job->work;
    if (job->ended)
        return;
    job->ended = true;
    job->call = NULL;
    work->open--;
    work->failed += !ok;
    if (!work->silent)
        progress_end(work->progress, job->number, ok, message, clock_monotonic_ms());
}

void image_job_end(struct image_job *job, const char *message)
{
    end(job, true, message);
}

void image_job_fail(struct image_job *job, const struct error *error)
{
    struct image_work *work = job->work;
    if (job->ended)
        return;
    if (work->status == 0)
        work->status = error_exit_status(error->kind);
    end(job, false, error->message);
    if (error->hint == NULL || work->json)
        return;
    cleanup(memory_free) char *hint = memory_format("  hint: %s", error->hint);
    progress_say(work->progress, hint);
}

void image_job_fail_call(struct image_job *job, const struct plugin_instance *instance, const char *operation,
                         const struct call_result *result)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    call_error(instance, operation, result, &error);
    enum error_kind kind = error.kind == ERROR_INTERRUPTED || result->plugin_fault ? error.kind : ERROR_NETWORK;
    if (result->failure == DESCPIPE_FAILED_UNSUPPORTED)
        kind = ERROR_PLUGIN;
    cleanup(error_clear) struct error shown = ERROR_INIT;
    const struct plan_image *image = job->image;
    const char *name = image != NULL ? image->reference : job->name;
    const char *asked = image == NULL ? NULL : text_equal(operation, "push") ? image->name : image->image.reference;
    registries_explain(job->work->planning->installation.registries, asked, result, &shown);
    shown.kind = kind;
    if (result->failure == DESCPIPE_FAILED_UNSUPPORTED)
        error_set(&shown, kind, "%s", error.message);
    if (strstr(shown.message, name) == NULL)
        error_wrap(&shown, "%s", name);
    image_job_fail(job, &shown);
}

void image_job_progress(void *context, uint64_t done, uint64_t total, const char *text)
{
    struct image_job *job = context;
    if (!job->ended)
        progress_step(job->work->progress, job->number, done, total, text, clock_monotonic_ms());
}
