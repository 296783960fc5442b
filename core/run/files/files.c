/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of attempts: which they are, and the helper thread's turns at bringing them in and out.
 *
 * A stage without inputs and configuration, or without declared outputs, gets no folder of its own made: no-op stages
 * cost none. Where the runtime isolates paths the first share one empty folder, which they see read-only. Without
 * isolation nothing keeps a stage, or the superuser's, from writing where it stands; so there each attempt slot has a
 * pair of folders (attempts/empty-N, attempts/none-N), private while an attempt holds the slot and used again as long
 * as they are empty. How that is seen costs one look: a folder is made with a time of long ago, and whatever is done in
 * it changes that. What a stage left is moved to the attempt's own name, where a stage with outputs has its folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "run/walk.h"

#define LATE_LOOK_MS 500
#define LONG_AGO_SECONDS 1
#define LONG_AGO                                                                                                       \
    (const struct timespec[2])                                                                                         \
    {                                                                                                                  \
        {.tv_sec = LONG_AGO_SECONDS},                                                                                  \
        {                                                                                                              \
            .tv_sec = LONG_AGO_SECONDS                                                                                 \
        }                                                                                                              \
    }

static const char *const empty_names[EMPTY_FOLDERS] = {[EMPTY_INPUT] = "empty", [EMPTY_OUTPUT] = "none"};

static char *arena_path(struct arena *arena, const char *folder, const char *name)
{
    cleanup(memory_free) char *path = path_join(folder, name);
    return arena_copy_text(arena, path);
}

struct task_files files_of(const struct engine *engine, struct arena *arena)
{
    return (struct task_files){.pipeline = engine->pipeline,
                               .working = engine->folder.working,
                               .fetched = (const char *const *)engine->fetched,
                               .arena = arena};
}

static void list_outputs(struct attempt *attempt, const struct stage *stage)
{
    const struct engine *engine = attempt->engine;
    const struct task_files files = files_of(engine, attempt->arena);
    struct staging_output *outputs = arena_allocate(attempt->arena, (stage->outputs.count + 1) * sizeof *outputs);
    for (uint32_t i = 0; i < stage->outputs.count; i++) {
        const struct file_tag *file = &engine->pipeline->files.items[stage->outputs.at + i];
        outputs[i] = (struct staging_output){.tag = pipeline_text(engine->pipeline, file->tag),
                                             .suffix = pipeline_text(engine->pipeline, file->suffix),
                                             .name = task_files_name(&files, file),
                                             .published = task_files_data_path(&files, stage, attempt->member, file)};
    }
    attempt->out.outputs = outputs;
    attempt->out.outputs_count = stage->outputs.count;
}

char *files_attempt_folder(const struct attempt *attempt, const char *name)
{
    return memory_format("%s/attempts/%03u/%s", attempt->engine->folder.path, attempt->stage / RUN_STAGES_PER_FOLDER,
                         name);
}

static const char *output_path(struct attempt *attempt)
{
    cleanup(memory_free) char *path = files_attempt_folder(attempt, attempt->name);
    return arena_copy_text(attempt->arena, path);
}

static bool make_output_folder(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    attempt->attempt_folder = output_path(attempt);
    cleanup(memory_free) char *parent = path_folder(attempt->attempt_folder);
    errno = 0;
    bool made = mkdir(attempt->attempt_folder, 0777) == 0;
    if (!made && errno == EEXIST && engine->resume != NULL) /* meant, and never begun: it holds nothing of its own */
        made = (attempt->restores != NULL ? folder_remove(attempt->attempt_folder, &attempt->files_error)
                                          : rmdir(attempt->attempt_folder) == 0) &&
               mkdir(attempt->attempt_folder, 0777) == 0;
    if (!made && errno == ENOENT)
        made = folder_make(parent, 0777, &attempt->files_error) && mkdir(attempt->attempt_folder, 0777) == 0;
    if (!made && attempt->files_error.message == NULL)
        error_system(&attempt->files_error, "cannot make '%s'", attempt->attempt_folder);
    if (!made)
        attempt->files_verdict = error_is_no_room(errno) ? VERDICT_DISK : VERDICT_STAGE_IN;
    return made;
}

static bool make_empty(struct attempt *attempt, const char *path, mode_t mode)
{
    cleanup(memory_free) char *parent = path_folder(path);
    if (!folder_make(parent, 0777, &attempt->files_error)) {
        attempt->files_verdict = error_is_no_room(errno) ? VERDICT_DISK : VERDICT_STAGE_IN;
        return false;
    }
    if ((mkdir(path, mode) == 0 || errno == EEXIST) && utimensat(AT_FDCWD, path, LONG_AGO, 0) == 0)
        return true;
    attempt->files_verdict = error_is_no_room(errno) ? VERDICT_DISK : VERDICT_STAGE_IN;
    return error_system(&attempt->files_error, "cannot make the folder '%s'", path);
}

static const char *empty_path(struct attempt *attempt, enum empty_folder which)
{
    uint64_t epoch = lease_epoch(attempt->engine->lease); /* a stage of an engine before may still stand in its own */
    char **path = &attempt->empty_paths[which];
    if (*path == NULL)
        *path = epoch == 1 ? memory_format("%s/attempts/%s-%u", attempt->engine->folder.path, empty_names[which],
                                           attempt->slot)
                           : memory_format("%s/attempts/%s-%llu.%u", attempt->engine->folder.path, empty_names[which],
                                           (unsigned long long)epoch, attempt->slot);
    return *path;
}

/* The slot's own, for runtimes that do not isolate paths. */
static const char *slot_folder(struct attempt *attempt, enum empty_folder which)
{
    const char *path = empty_path(attempt, which);
    if (!attempt->has_empty[which] && !make_empty(attempt, path, which == EMPTY_INPUT ? 0555 : 0777))
        return NULL;
    attempt->has_empty[which] = true;
    attempt->uses_empty[which] = true;
    return path;
}

static const char *shared_empty_folder(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    if (engine->empty_folder != NULL)
        return engine->empty_folder;
    cleanup(memory_free) char *wanted = memory_format("%s/attempts/empty", engine->folder.path);
    if (!make_empty(attempt, wanted, 0555))
        return NULL;
    engine->empty_folder = steal(&wanted);
    return engine->empty_folder;
}

/* Is it as make_empty made it? Asked after each stage: a name is found sooner than a path. */
static bool is_untouched(struct engine *engine, const char *path)
{
    struct stat status;
    if (engine->attempts_folder == 0) {
        cleanup(memory_free) char *folder = path_folder(path);
        engine->attempts_folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    bool there = engine->attempts_folder >= 0
                     ? fstatat(engine->attempts_folder, path_name(path), &status, AT_SYMLINK_NOFOLLOW) == 0
                     : lstat(path, &status) == 0;
    return there && S_ISDIR(status.st_mode) && status.st_mtim.tv_sec == LONG_AGO_SECONDS && status.st_mtim.tv_nsec == 0;
}

static void leave_empty(struct attempt *attempt, enum empty_folder which)
{
    struct engine *engine = attempt->engine;
    const char *path = empty_path(attempt, which);
    if (is_untouched(engine, path))
        return;
    attempt->has_empty[which] = false;
    if (rmdir(path) == 0 || errno == ENOENT)
        return;
    cleanup(memory_free) char *parent =
        memory_format("%s/attempts/%03u", engine->folder.path, attempt->stage / RUN_STAGES_PER_FOLDER);
    cleanup(memory_free) char *kept =
        memory_format("%s/%s%s", parent, attempt->name, which == EMPTY_INPUT ? ".input" : "");
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!folder_make(parent, 0777, &error) ||
        (rename(path, kept) != 0 && !error_system(&error, "cannot move '%s' to '%s'", path, kept)))
        log_warning("what '%s' wrote besides its outputs lies where the next stage stands: %s", attempt->name,
                    error.message);
}

void files_leave(struct attempt *attempt)
{
    for (enum empty_folder which = 0; which < EMPTY_FOLDERS; which++)
        if (attempt->uses_empty[which])
            leave_empty(attempt, which);
}

static bool prepare_input(struct attempt *attempt, const struct stage *stage)
{
    struct engine *engine = attempt->engine;
    const struct walk_backend *backend = &engine->backends[engine->plan->stages[attempt->stage].backend];
    bool has_script = stage->extras != NULL && stage->extras->script != 0;
    attempt->has_inputs = stage->inputs.count > 0 || stage->configs.count > 0 || has_script;
    if (!attempt->has_inputs) {
        attempt->input = attempt->config =
            backend->isolated ? shared_empty_folder(attempt) : slot_folder(attempt, EMPTY_INPUT);
        return attempt->input != NULL;
    }
    attempt->files_verdict = VERDICT_STAGE_IN;
    attempt->input = arena_path(attempt->arena, attempt->folder, "input");
    attempt->config = arena_path(attempt->arena, attempt->folder, "config");
    attempt->in.pipeline = engine->pipeline;
    attempt->in.folder = attempt->folder;
    attempt->in.may_link = backend->read_only;
    attempt->in.script_name = PLAN_SCRIPT_NAME;
    attempt->in.script = has_script ? pipeline_text(engine->pipeline, stage->extras->script) : NULL;
    const struct task_files files = files_of(engine, attempt->arena);
    return task_files_inputs(&files, stage, attempt->member, &attempt->in.inputs, &attempt->files_error) &&
           task_files_configs(&files, stage, &attempt->in.configs, &attempt->files_error);
}

/* Relative, so that a working folder may be moved: both lie in it. */
void files_link_output(const struct engine *engine, struct arena *arena, uint32_t task, struct staging_out *out)
{
    uint32_t number, member;
    const struct stage *stage = walk_stage_of(engine, task, &number, &member);
    cleanup(text_clear) struct text link = TEXT_INIT, target = TEXT_INIT;
    text_format(&link, "%s/%s/", engine->folder.working, pipeline_text(engine->pipeline, stage->name));
    if (member != NONE) {
        stage_member_name(engine->pipeline, stage, member, &link);
        text_append_character(&link, '/');
    }
    text_append(&link, "output");
    text_append(&target, member != NONE ? "../../" : "../");
    text_append(&target, out->attempt + strlen(engine->folder.working) + 1);
    out->link = arena_copy(arena, text_bytes(&link), link.length);
    out->link_target = arena_copy(arena, text_bytes(&target), target.length);
}

static void name_folder(struct attempt *attempt, const struct stage *stage)
{
    attempt->has_outputs = stage->outputs.count > 0;
    if (stage->inputs.count == 0 && stage->configs.count == 0 && stage->outputs.count == 0 && stage->extras == NULL)
        return;
    const char *folder = arena_path(attempt->arena, attempt->engine->folder.working, attempt->stage_name);
    attempt->folder = attempt->member_name != NULL ? arena_path(attempt->arena, folder, attempt->member_name) : folder;
}

static void fill_out(struct attempt *attempt, const struct stage *stage)
{
    list_outputs(attempt, stage);
    attempt->out.pipeline = attempt->engine->pipeline;
    attempt->out.attempt = attempt->attempt_folder;
    files_link_output(attempt->engine, attempt->arena, attempt->task, &attempt->out);
}

void files_adopt(struct attempt *attempt)
{
    const struct stage *stage = &attempt->engine->pipeline->stages.items[attempt->stage];
    name_folder(attempt, stage);
    if (!attempt->has_outputs)
        return;
    attempt->attempt_folder = output_path(attempt);
    fill_out(attempt, stage);
}

bool files_prepare(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    const struct stage *stage = &engine->pipeline->stages.items[attempt->stage];
    const struct walk_backend *backend = &engine->backends[engine->plan->stages[attempt->stage].backend];
    name_folder(attempt, stage);
    if (!prepare_input(attempt, stage))
        return false;
    if (!attempt->has_outputs && !backend->isolated) {
        attempt->attempt_folder = slot_folder(attempt, EMPTY_OUTPUT);
        return attempt->attempt_folder != NULL;
    }
    chain_prepare(attempt);
    if (!make_output_folder(attempt))
        return false;
    if (attempt->has_outputs)
        fill_out(attempt, stage);
    return true;
}

static void bring_in_work(void *context)
{
    struct attempt *attempt = context;
    attempt->files_verdict = VERDICT_OK;
    errno = 0;
    if (attempt->has_inputs && !staging_bring_in(&attempt->in, &attempt->files_verdict, &attempt->files_error))
        return;
    if (!chain_restore(attempt, &attempt->files_error))
        attempt->files_verdict = error_is_no_room(errno) ? VERDICT_DISK : VERDICT_STAGE_IN;
}

static void bring_in_done(void *context)
{
    struct attempt *attempt = context;
    if (attempt->files_verdict == VERDICT_OK)
        attempt_run(attempt);
    else
        attempt_not_started(attempt,
                            attempt->files_verdict == VERDICT_DISK ? DESCPIPE_ENDED_DISK : DESCPIPE_ENDED_STAGE_IN,
                            attempt->files_error.message);
}

void files_bring_in(struct attempt *attempt)
{
    pool_run(engine_pool(attempt->engine), bring_in_work, bring_in_done, attempt);
}

static void publish_work(void *context)
{
    struct attempt *attempt = context;
    attempt->files_verdict = VERDICT_OK;
    staging_publish(&attempt->out, &attempt->files_verdict, &attempt->files_error);
}

static void publish_done(void *context)
{
    struct attempt *attempt = context;
    if (attempt->files_verdict == VERDICT_OK)
        record_published(attempt);
    else
        outcome_spoil(&attempt->outcome, attempt->files_verdict, attempt->files_error.message);
    attempt_published(attempt);
}

/* To open a folder asks a file server; a mere look at what is in it may be answered from a cache. */
static void ask_server(const char *path)
{
    descriptor_close(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void look_work(void *context)
{
    struct attempt *attempt = context;
    attempt->files_verdict = VERDICT_OK;
    text_reset(&attempt->files_reason);
    if (attempt->late_until_ms != 0)
        ask_server(attempt->attempt_folder);
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!staging_look(&attempt->out, &attempt->files_verdict, &attempt->files_reason) ||
        cached_digest_outputs(attempt, &error))
        return;
    attempt->files_verdict = VERDICT_OUTPUT_MISSING;
    text_append(&attempt->files_reason, error.message);
}

static void look_again(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    files_publish(attempt);
}

/* What another node wrote may be seen here some seconds later. */
static bool waits_for_late(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    int64_t patience_ms = engine->pipeline->late_outputs_ms, now = clock_monotonic_ms();
    if (!engine->backends[engine->plan->stages[attempt->stage].backend].elsewhere || patience_ms == 0)
        return false;
    if (attempt->late_until_ms == 0)
        attempt->late_until_ms = now + patience_ms;
    if (now < attempt->late_until_ms && engine->stop != STOP_CANCEL) {
        attempt->again = loop_timer(engine->loop, LATE_LOOK_MS, look_again, attempt);
        return true;
    }
    text_append(&attempt->files_reason, " (looked for it for ");
    clock_append_length(&attempt->files_reason, patience_ms - (attempt->late_until_ms - now));
    text_append(&attempt->files_reason, ")");
    return false;
}

static void look_done(void *context)
{
    struct attempt *attempt = context;
    if (attempt->files_verdict != VERDICT_OK && waits_for_late(attempt))
        return;
    if (attempt->files_verdict != VERDICT_OK) {
        outcome_spoil(&attempt->outcome, attempt->files_verdict, text_bytes(&attempt->files_reason));
        attempt_published(attempt);
        return;
    }
    record_publish(attempt);
    engine_flush(attempt->engine, false);
    pool_run(engine_pool(attempt->engine), publish_work, publish_done, attempt);
}

void files_publish(struct attempt *attempt)
{
    pool_run(engine_pool(attempt->engine), look_work, look_done, attempt);
}

static bool is_left(struct engine *engine, struct arena *arena, const struct stage *stage, const struct stage *producer,
                    uint32_t member, const struct file_tag *file, struct error *error)
{
    const char *tag = pipeline_text(engine->pipeline, file->tag);
    const struct task_files files = files_of(engine, arena);
    const char *path = task_files_data_path(&files, producer, member, file);
    if (file_exists(path))
        return true;
    error_set(error, ERROR_INPUT,
              "stage '%s' takes '%s' from stage '%s', which is not selected, and '%s' is not there from an earlier run",
              pipeline_text(engine->pipeline, stage->name), tag, pipeline_text(engine->pipeline, producer->name), path);
    return error_hint(error, "select that stage too, or run the whole pipeline once");
}

/* Every member that one of the stage's own takes: the one that matches, or all. */
static bool are_left(struct engine *engine, struct arena *arena, const struct stage *stage,
                     const struct stage *producer, const struct file_tag *file, struct error *error)
{
    if (producer->members == 0)
        return is_left(engine, arena, stage, producer, NONE, file, error);
    if (stage_members_match(stage, producer)) {
        for (uint32_t i = 0; i < stage->members; i++)
            if (!is_left(engine, arena, stage, producer, stage_member_match(engine->pipeline, stage, i, producer), file,
                         error))
                return false;
        return true;
    }
    for (uint32_t i = 0; i < producer->members; i++)
        if (!is_left(engine, arena, stage, producer, i, file, error))
            return false;
    return true;
}

static bool check_stage(struct engine *engine, struct arena *arena, uint32_t number, struct error *error)
{
    const struct stage *stage = &engine->pipeline->stages.items[number];
    for (uint32_t i = 0; i < stage->inputs.count; i++) {
        const struct file_tag *file = &engine->pipeline->files.items[stage->inputs.at + i];
        uint32_t producer = pipeline_producer(engine->pipeline, file->tag);
        if (producer != NONE && !engine->plan->stages[producer].selected &&
            pipeline_input(engine->pipeline, file->tag) == NULL &&
            !are_left(engine, arena, stage, &engine->pipeline->stages.items[producer], file, error))
            return false;
    }
    return true;
}

bool files_check_selection(struct engine *engine, struct error *error)
{
    cleanup(arena_free) struct arena *arena = arena_new();
    for (uint32_t i = 0; i < engine->pipeline->stages.count; i++) {
        if (engine->plan->stages[i].selected && !apart_is_stage(engine, i) && !check_stage(engine, arena, i, error))
            return false;
        arena_reset(arena);
    }
    return true;
}
