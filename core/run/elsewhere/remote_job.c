/* SPDX-License-Identifier: BSD-3-Clause */
/* What a job elsewhere is made of: its script, the secrets beside it, and what its scheduler hears of it. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "run/elsewhere/job_files.h"
#include "run/elsewhere/job_script.h"
#include "run/elsewhere/remote.h"

#define NODE_SCRATCH "/tmp" /* of the node; it must be known before the node is */

#define SCRIPT_NAME "job.sh"
#define SCRIPTS_NAME "scripts"

static char *job_path(const struct remote *remote, const char *what, uint32_t position)
{
    return memory_format("%s/%s.%u", remote->folder, what, position);
}

/* "NAME=value" of the late names whose values are known here, and how many; NULL with an error. */
static const char *const *secret_pairs(struct attempt *attempt, const struct descpipe_form *form, size_t *kept_count,
                                       struct error *error)
{
    static const char *const none[] = {NULL};
    struct descpipe_stage secrets = *attempt->launched;
    const char *const *all = secrets.late_names;
    size_t count = 0, kept = 0;
    for (size_t i = 0; all != NULL && all[i] != NULL; i++)
        count++;
    const char **names = arena_allocate(attempt->arena, (count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++)
        if (!text_equal(all[i], "CUDA_VISIBLE_DEVICES") && !text_equal(all[i], "DESC_RANK"))
            names[kept++] = all[i];
    names[kept] = NULL;
    secrets.late_names = names;
    *kept_count = kept;
    return kept == 0
               ? none
               : late_environment(attempt, &secrets, form->late_prefix != NULL ? form->late_prefix : "", none, error);
}

/* What the node must not find in a script that sites keep: a file of its own. */
static bool write_secrets(struct attempt *attempt, const struct descpipe_form *form, const char *path, bool *any,
                          struct error *error)
{
    size_t count = 0;
    const char *const *pairs = secret_pairs(attempt, form, &count, error);
    *any = count > 0;
    if (pairs != NULL && count == 0)
        return true;
    cleanup(text_clear) struct text text = TEXT_INIT;
    bool written = pairs != NULL && job_script_print_exports(pairs, &text, error) &&
                   file_write(path, text_bytes(&text), text.length, 0600, error);
    if (text.bytes != NULL)
        explicit_bzero(text.bytes, text.length);
    return written;
}

static char *log_path(const struct attempt *attempt)
{
    return memory_format("%s/logs/%03u/%s", attempt->engine->folder.path, attempt->stage / RUN_STAGES_PER_FOLDER,
                         attempt->name);
}

struct detached_parts {
    struct job_detached detached;
    struct staging_in in;
};

static char *mark_of(const struct attempt *attempt)
{
    return memory_format(".descpipe-%s-%llu.tmp", attempt->engine->folder.id, (unsigned long long)attempt->job);
}

/* What a job needs that looks after its files itself; the texts lie in the attempt's arena. */
static void fill_detached(struct attempt *attempt, struct detached_parts *parts)
{
    const struct engine *engine = attempt->engine;
    cleanup(memory_free) char *log = log_path(attempt);
    cleanup(memory_free) char *mark = mark_of(attempt);
    cleanup(memory_free) char *name =
        memory_format("%s%s%s", attempt->stage_name, attempt->member_name != NULL ? "/" : "",
                      attempt->member_name != NULL ? attempt->member_name : "");
    size_t number = strlen(log);
    while (log[number - 1] != '.') /* "STAGE.MEMBER.1": the job adds which attempt it is */
        number--;
    parts->in = attempt->in;
    parts->in.inputs = attempt->later_inputs;
    parts->detached =
        (struct job_detached){.run = engine->folder.path,
                              .log = arena_copy(attempt->arena, log, number - 1),
                              .output = attempt->attempt_folder,
                              .mark = arena_copy_text(attempt->arena, mark),
                              .in = parts->in.inputs.count > 0 ? &parts->in : NULL,
                              .out = attempt->has_outputs ? &attempt->out : NULL,
                              .time_limit_ms = attempt->time_limit_ms,
                              .name = engine->request->keep_going ? NULL : arena_copy_text(attempt->arena, name)};
}

static bool write_script(struct attempt *attempt, const struct descpipe_form *form, struct error *error)
{
    struct remote *remote = attempt->remote;
    cleanup(memory_free) char *path = path_join(remote->folder, SCRIPTS_NAME);
    cleanup(memory_free) char *secrets = job_path(remote, "secrets", attempt->position);
    cleanup(memory_free) char *outcome = job_path(remote, "outcome", attempt->position);
    bool has_secrets = false;
    if (!write_secrets(attempt, form, secrets, &has_secrets, error))
        return false;
    attempt->outcome_path = arena_copy_text(attempt->arena, outcome);
    struct detached_parts parts = {.detached = {.in = NULL}};
    const struct checkpoint *checkpoint = chain_of(attempt->engine, attempt->stage);
    if (attempt->engine->detach != NULL)
        fill_detached(attempt, &parts);
    const struct job_script script = {.outcome = outcome,
                                      .secrets = has_secrets ? secrets : NULL,
                                      .scratch = attempt->scratch,
                                      .directory = form->directory,
                                      .argv = form->argv,
                                      .environment = form->environment,
                                      .late_names = attempt->launched->late_names,
                                      .late_prefix = form->late_prefix,
                                      .setup = form->setup,
                                      .removal = form->removal,
                                      .warning = checkpoint != NULL ? sigabbrev_np(checkpoint->signal) : NULL,
                                      .ranks_outside = attempt->launched->ranks == DESCPIPE_RANKS_OUTSIDE,
                                      .detached = attempt->engine->detach != NULL ? &parts.detached : NULL};
    cleanup(text_clear) struct text text = TEXT_INIT;
    return job_script_print(&script, &text, error) &&
           job_scripts_add(&remote->scripts, path, &text, &remote->jobs[attempt->position].part, error);
}

bool remote_finish_scripts(struct remote *remote, struct error *error)
{
    const char *scripts = remote->scripts.path != NULL ? remote->scripts.path : remote->scripts_of_other;
    if (scripts == NULL)
        return true;
    if (!job_scripts_finish(&remote->scripts, error))
        return false;
    cleanup(memory_free) char *path = path_join(remote->folder, SCRIPT_NAME);
    cleanup(text_clear) struct text text = TEXT_INIT;
    struct job_part *parts = memory_allocate((remote->submission.count + 1) * sizeof *parts);
    for (uint32_t i = 0; i < remote->submission.count; i++)
        parts[i] = remote->jobs[remote->positions[i]].part;
    job_scripts_print_picker(path, scripts, parts, remote->submission.count, &text);
    memory_free(parts);
    return file_write(path, text_bytes(&text), text.length, 0700, error);
}

static const char *script_of(const struct remote *remote)
{
    cleanup(memory_free) char *path = path_join(remote->folder, SCRIPT_NAME);
    return arena_copy_text(remote->arena, path);
}

static const struct descpipe_mount *const *copy_mounts(struct arena *arena, const struct descpipe_mount *const *mounts)
{
    size_t count = 0;
    while (mounts != NULL && mounts[count] != NULL)
        count++;
    const struct descpipe_mount **copies = arena_allocate(arena, (count + 1) * sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        struct descpipe_mount *copy = arena_allocate(arena, sizeof *copy);
        *copy = *mounts[i];
        copy->source = arena_copy_text(arena, copy->source);
        copy->target = arena_copy_text(arena, copy->target);
        copies[i] = copy;
    }
    copies[count] = NULL;
    return copies;
}

/* What a scheduler's plugin may want of the form beside the script; of a pod, everything. */
static struct descpipe_form *copy_form(struct arena *arena, const struct descpipe_form *form)
{
    struct descpipe_form *copy = arena_allocate(arena, sizeof *copy);
    *copy = (struct descpipe_form){.size = sizeof *copy,
                                   .form = form->form,
                                   .argv = walk_copy_words(arena, form->argv),
                                   .directives = walk_copy_words(arena, form->directives)};
    if (form->form != DESCPIPE_FORM_POD)
        return copy;
    copy->environment = walk_copy_words(arena, form->environment);
    copy->directory = arena_copy_text(arena, form->directory);
    copy->image = arena_copy_text(arena, form->image);
    copy->mounts = copy_mounts(arena, form->mounts);
    return copy;
}

/* The scripts by which a job without us looks after its files. */
static void add_apart(struct attempt *attempt, struct arena *arena, struct descpipe_job *job)
{
    struct staging_in in = attempt->in;
    in.inputs = attempt->later_inputs;
    if (in.inputs.count == 0 && !attempt->has_outputs)
        return; /* it has no files: all of its folders are its pod's own */
    cleanup(memory_free) char *mark = mark_of(attempt);
    const struct job_files_apart apart = {.input = attempt->input,
                                          .output = attempt->attempt_folder,
                                          .mark = mark,
                                          .in = in.inputs.count > 0 ? &in : NULL,
                                          .out = &attempt->out};
    cleanup(text_clear) struct text bring_in = TEXT_INIT, publish = TEXT_INIT;
    job_files_print_bring_in(&apart, &bring_in);
    job->bring_in = arena_copy(arena, text_bytes(&bring_in), bring_in.length);
    if (!attempt->has_outputs)
        return;
    job_files_print_publish(&apart, &publish);
    job->publish = arena_copy(arena, text_bytes(&publish), publish.length);
}

static const struct descpipe_job_file *const *takes_of(const struct attempt *attempt, struct arena *arena)
{
    const struct task_file_list *inputs = &attempt->later_inputs;
    const struct descpipe_job_file **list = arena_allocate(arena, (inputs->count + 1) * sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < inputs->count; i++) {
        const struct task_file *input = &inputs->items[i];
        if (input->from == NULL) /* a folder for those that follow */
            continue;
        struct descpipe_job_file *file = arena_allocate(arena, sizeof *file);
        *file = (struct descpipe_job_file){.size = sizeof *file,
                                           .is_folder = input->is_folder,
                                           .name = arena_copy_text(arena, input->name),
                                           .path = arena_copy_text(arena, input->from)};
        list[count++] = file;
    }
    list[count] = NULL;
    return count > 0 ? list : NULL;
}

static const struct descpipe_job_file *const *makes_of(const struct attempt *attempt, struct arena *arena)
{
    const struct staging_out *out = &attempt->out;
    const struct descpipe_job_file **list = arena_allocate(arena, (out->outputs_count + 1) * sizeof *list);
    for (size_t i = 0; i < out->outputs_count; i++) {
        const struct staging_output *output = &out->outputs[i];
        cleanup(memory_free) char *here = path_join(attempt->attempt_folder, output->name);
        struct descpipe_job_file *file = arena_allocate(arena, sizeof *file);
        *file = (struct descpipe_job_file){.size = sizeof *file,
                                           .is_folder = text_ends_with(output->suffix, "/"),
                                           .name = arena_copy_text(arena, output->name),
                                           .path = arena_copy_text(arena, output->published),
                                           .here = arena_copy_text(arena, here)};
        list[i] = file;
    }
    list[out->outputs_count] = NULL;
    return out->outputs_count > 0 ? list : NULL;
}

void remote_name_files(const struct attempt *attempt, struct arena *arena, struct descpipe_job *job)
{
    job->takes = takes_of(attempt, arena);
    job->makes = attempt->has_outputs ? makes_of(attempt, arena) : NULL;
}

/* A folder that nobody puts anything into is one of the pod's own: a stage without files needs no volume. */
static const struct descpipe_form *with_own_folders(const struct attempt *attempt, struct descpipe_form *form)
{
    struct arena *arena = attempt->remote->arena;
    const struct descpipe_mount *const *mounts = form->mounts;
    bool has_input = attempt->in.inputs.count + attempt->later_inputs.count > 0;
    bool has_config = attempt->in.configs.count > 0 ||
                      (attempt->in.script != NULL && (attempt->engine->whole == NULL || attempt->has_outputs));
    size_t count = 0;
    while (mounts != NULL && mounts[count] != NULL)
        count++;
    const struct descpipe_mount **own = arena_allocate(arena, (count + 1) * sizeof *own);
    for (size_t i = 0; i < count; i++) {
        const char *target = mounts[i]->target;
        bool empty = (!has_input && text_equal(target, PLAN_CONTAINER_INPUT)) ||
                     (!has_config && text_equal(target, PLAN_CONTAINER_CONFIG)) ||
                     (!attempt->has_outputs && text_equal(target, PLAN_CONTAINER_OUTPUT));
        struct descpipe_mount *copy = arena_allocate(arena, sizeof *copy);
        *copy = *mounts[i];
        copy->flags |= empty ? (uint32_t)DESCPIPE_MOUNT_SCRATCH : 0;
        own[i] = copy;
    }
    own[count] = NULL;
    form->mounts = own;
    return form;
}

void remote_name_logs(struct attempt *attempt, struct descpipe_job *job)
{
    struct arena *arena = attempt->remote->arena;
    cleanup(memory_free) char *log = log_path(attempt);
    cleanup(memory_free) char *output = memory_format("%s.out", log), *error = memory_format("%s.err", log);
    job->output_path = arena_copy_text(arena, output);
    job->error_path = arena_copy_text(arena, error);
}

static void fill_job(struct attempt *attempt, const struct descpipe_form *form, const char *const *late)
{
    struct remote *remote = attempt->remote;
    struct arena *arena = remote->arena;
    struct descpipe_job *job = submit_fill_job(remote->engine, arena, attempt->task);
    struct descpipe_form *copy = copy_form(arena, form);
    job->form = form->form == DESCPIPE_FORM_POD ? with_own_folders(attempt, copy) : copy;
    if (form->form == DESCPIPE_FORM_COMMAND)
        job->script = script_of(remote);
    remote_name_logs(attempt, job);
    job->late_environment = walk_copy_words(arena, late);
    if (apart_jobs_bring(remote->engine, attempt->stage)) {
        add_apart(attempt, arena, job);
        remote_name_files(attempt, arena, job);
    }
    attempt->job_made = job;
}

bool remote_make_job(struct attempt *attempt, const struct descpipe_form *form, struct error *error)
{
    size_t count = 0;
    const char *const *late = NULL;
    if (form->form == DESCPIPE_FORM_POD ? (late = secret_pairs(attempt, form, &count, error)) == NULL
                                        : !write_script(attempt, form, error))
        return false;
    fill_job(attempt, form, late);
    return true;
}

const struct descpipe_job *remote_copy_job(struct attempt *attempt, struct remote *remote)
{
    const struct descpipe_job *from = attempt->job_made;
    struct descpipe_job *job = submit_fill_job(remote->engine, remote->arena, attempt->task);
    job->form = copy_form(remote->arena, from->form);
    job->script = from->script != NULL ? script_of(remote) : NULL;
    job->bring_in = arena_copy_text(remote->arena, from->bring_in);
    job->publish = arena_copy_text(remote->arena, from->publish);
    if (from->takes != NULL || from->makes != NULL)
        remote_name_files(attempt, remote->arena, job);
    job->late_environment = walk_copy_words(remote->arena, from->late_environment);
    job->output_path = arena_copy_text(remote->arena, from->output_path);
    job->error_path = arena_copy_text(remote->arena, from->error_path);
    return job;
}

void remote_choose_scratch(struct attempt *attempt)
{
    const struct engine *engine = attempt->engine;
    struct descpipe_resources resources;
    plan_resources(engine->plan, attempt->stage, &resources);
    if (resources.scratch == 0)
        return;
    cleanup(memory_free) char *path =
        memory_format(NODE_SCRATCH "/descpipe-%s-%llu", engine->folder.id, (unsigned long long)attempt->job);
    attempt->scratch = arena_copy_text(attempt->arena, path);
}
