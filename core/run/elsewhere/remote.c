/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Submissions to schedulers that run stages elsewhere (SLURM and its like), and the attempts in them.
 *
 *     remote_submit → each attempt: files in → remote_launch → its script → all are ready → intent, to the disk
 *     → submit → queued, running (the scheduler's sink) → ended → its outcome file → attempt_ended, as anywhere
 *
 * How it works: a job is a script in submissions/SERIAL that needs no descpipe (job_script.c). Attached, the engine
 * lays the inputs before and judges and publishes after, so the job has only to run the command and to say how it
 * ended. When nobody knows whether a submission was taken, `find` is asked before it is sent again. A scheduler's word
 * that a job is over is met by the job's own file, which a shared file system may show some seconds later.
 */
#include "run/elsewhere/detach.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"

#define AGAIN_MS 1000
#define AGAIN_LIMIT_MS 60000
#define JOBS_PER_RECORD 256
#define RELEASE_MS 15000
#define NO_ROOM "the site takes no more jobs of yours for now"

static void remote_free(struct remote *remote)
{
    struct remote **at = &remote->engine->remotes;
    while (*at != remote)
        at = &(*at)->next;
    *at = remote->next;
    loop_timer_stop(remote->again);
    arena_free(remote->arena);
    job_scripts_clear(&remote->scripts);
    memory_free(remote->scripts_of_other);
    memory_free(remote->folder);
    memory_free(remote->token);
    memory_free(remote->jobs);
    memory_free(remote->positions);
    memory_free(remote);
}

static struct plugin_instance *scheduler_of(const struct remote *remote)
{
    return remote->engine->plan->backends[remote->backend->number].scheduler;
}

static void send_when_ready(struct remote *remote);
static uint32_t fill_submission(struct remote *remote);

static void released(void *context, const struct call_result *result)
{
    (void)result; /* what a scheduler keeps longer than needed hurts nobody */
    remote_free(context);
}

void remote_over_when_empty(struct remote *remote)
{
    if (remote->open > 0 || remote->preparing > 0 || remote->sending || remote->releasing)
        return;
    remote->releasing = true;
    if (remote->submission.count == 0)
        remote_free(remote);
    else
        scheduler_release(scheduler_of(remote), remote->token,
                          (struct call_options){.deadline_ms = RELEASE_MS, .done = released, .context = remote});
}

/* The attempt is over, or never became a job. */
void remote_job_over(void *context, uint64_t job)
{
    struct remote *remote = context;
    for (uint32_t i = 0; i < remote->count; i++) {
        struct remote_job *over = &remote->jobs[i];
        if (over->attempt == NULL || over->job != job)
            continue;
        over->attempt = NULL;
        remote->open--;
        if (!over->ready && --remote->preparing == 0) {
            send_when_ready(remote);
            return;
        }
        break;
    }
    remote_over_when_empty(remote);
}

struct remote *remote_new(struct engine *engine, uint32_t backend, uint32_t count)
{
    struct remote *remote = memory_allocate(sizeof *remote);
    *remote = (struct remote){.engine = engine,
                              .next = engine->remotes,
                              .backend = &engine->backends[backend],
                              .serial = ++engine->serial,
                              .count = count,
                              .open = count,
                              .preparing = count,
                              .arena = arena_new()};
    engine->remotes = remote;
    remote->folder = memory_format("%s/submissions/%llu", engine->folder.path, (unsigned long long)remote->serial);
    remote->token = memory_format("%s-%llu", engine->folder.id, (unsigned long long)remote->serial);
    remote->jobs = memory_allocate((count + 1) * sizeof *remote->jobs);
    memset(remote->jobs, 0, (count + 1) * sizeof *remote->jobs);
    remote->positions = memory_allocate((count + 1) * sizeof(uint32_t));
    return remote;
}

void remote_submit(struct engine *engine, uint32_t backend, const uint32_t *tasks, uint32_t count)
{
    struct remote *remote = remote_new(engine, backend, count);
    for (uint32_t i = 0; i < count; i++) {
        engine->tasks[tasks[i]].attempts++;
        struct attempt *attempt = attempt_make(engine, tasks[i], remote_job_over, remote);
        attempt->remote = remote;
        attempt->position = i;
        remote->jobs[i] = (struct remote_job){.attempt = attempt, .job = attempt->job};
    }
    cleanup(error_clear) struct error error = ERROR_INIT;
    bool made = folder_make(remote->folder, 0755, &error);
    for (uint32_t i = 0; i < count; i++) {
        if (made)
            attempt_begin(remote->jobs[i].attempt);
        else
            attempt_not_started(remote->jobs[i].attempt, error_is_no_room(errno) ? DESCPIPE_ENDED_DISK : 0,
                                error.message);
    }
}

static void launched(void *context, const struct call_result *result)
{
    struct attempt *attempt = context;
    struct remote *remote = attempt->remote;
    cleanup(error_clear) struct error error = ERROR_INIT;
    attempt->call = NULL;
    if (!result->ok || attempt->stopped != 0) {
        attempt_not_started(attempt, attempt->stopped, result->ok ? "before it was submitted" : result->message);
        return;
    }
    if (!remote_make_job(attempt, result->form, &error) || !attempt_expect_logs(attempt, &error)) {
        attempt_not_started(attempt, error_is_no_room(errno) ? DESCPIPE_ENDED_DISK : 0, error.message);
        return;
    }
    attempt->ready = remote->jobs[attempt->position].ready = true;
    if (--remote->preparing == 0)
        send_when_ready(remote);
}

void remote_launch(struct attempt *attempt)
{
    const struct engine *engine = attempt->engine;
    remote_choose_scratch(attempt);
    attempt->launched = command_stage(attempt);
    uint32_t backend = engine->plan->stages[attempt->stage].backend;
    attempt->call = runtime_launch(engine->plan->backends[backend].runtime, attempt->launched,
                                   (struct call_options){.done = launched, .context = attempt});
}

/* Sending. */

static void submission_send(struct remote *remote);
static void send_again(void *context);

static void wait_to_send(struct remote *remote, void (*then)(void *context))
{
    remote->again_ms = remote->again_ms == 0 ? AGAIN_MS : remote->again_ms * 2;
    if (remote->again_ms > AGAIN_LIMIT_MS)
        remote->again_ms = AGAIN_LIMIT_MS;
    remote->then = then;
    remote->again = loop_timer(remote->engine->loop, remote->again_ms, then, remote);
}

/* Of the first alone: a line for a person, not one for each of a thousand. */
static void say_waiting(struct remote *remote, const char *reason)
{
    struct attempt *attempt = NULL;
    for (uint32_t i = 0; i < remote->submission.count && attempt == NULL; i++)
        attempt = remote->jobs[remote->positions[i]].attempt;
    if (attempt == NULL || text_equal(attempt->waits_reason, reason))
        return;
    memory_free(attempt->waits_reason);
    attempt->waits_reason = memory_copy_text(reason);
    record_queued(remote->engine, attempt->job, reason);
}

static struct attempt *attempt_of_job(struct remote *remote, uint64_t job)
{
    for (uint32_t i = 0; i < remote->count; i++)
        if (remote->jobs[i].attempt != NULL && remote->jobs[i].attempt->job == job)
            return remote->jobs[i].attempt;
    return NULL;
}

/* The scheduler has it. Whoever was cancelled meanwhile is cancelled there. */
void remote_taken(struct remote *remote)
{
    struct engine *engine = remote->engine;
    remote->sending = false;
    for (uint32_t i = 0; i < remote->submission.count; i++) {
        struct attempt *attempt = remote->jobs[remote->positions[i]].attempt;
        if (attempt == NULL)
            continue;
        attempt->sent = true;
        if (attempt->stopped != 0)
            remote_cancel(attempt);
    }
    engine_flush(engine, true);
    if (engine->detach != NULL) {
        detach_taken(engine, remote->serial);
    } else {
        remote_look_soon(engine);
        remote_over_when_empty(remote); /* which frees it when all of it was over before */
    }
    whole_taken(engine);
}

static void refuse_all(struct remote *remote, const char *message)
{
    remote->sending = false;
    for (uint32_t i = 0; i < remote->submission.count; i++) {
        struct attempt *attempt = remote->jobs[remote->positions[i]].attempt;
        if (attempt != NULL)
            attempt_not_started(attempt, attempt->stopped, message);
    }
    remote->submission.count = 0; /* the scheduler has nothing of it */
    if (remote->engine->detach != NULL)
        detach_fail(remote->engine, message);
}

/* `count` jobs from position `first` on become a submission of their own, with a name of its own: the old one was never
 * taken. NULL: they are over. */
static struct remote *split_off(struct remote *remote, uint32_t first, uint32_t count)
{
    struct remote *part = remote_new(remote->engine, remote->backend->number, count);
    cleanup(error_clear) struct error error = ERROR_INIT;
    const char *scripts = remote->scripts.path != NULL ? remote->scripts.path : remote->scripts_of_other;
    part->scripts_of_other = scripts != NULL ? memory_copy_text(scripts) : NULL;
    part->preparing = part->open = 0;
    for (uint32_t i = first; i < first + count; i++) {
        struct remote_job *job = &remote->jobs[remote->positions[i]];
        struct attempt *attempt = job->attempt;
        if (attempt == NULL)
            continue;
        job->attempt = NULL;
        remote->open--;
        part->jobs[part->open] =
            (struct remote_job){.attempt = attempt, .job = attempt->job, .ready = true, .part = job->part};
        attempt->remote = part;
        attempt->scheduler = part;
        attempt->position = part->open++;
        attempt->job_made = remote_copy_job(attempt, part);
    }
    part->count = part->open;
    if (part->open == 0) {
        remote_free(part);
        return NULL;
    }
    if (folder_make(part->folder, 0755, &error))
        return part;
    for (uint32_t i = 0; i < count && i < part->count; i++)
        attempt_not_started(part->jobs[i].attempt, 0, error.message); /* the last one frees it */
    return NULL;
}

static void part_now(void *context)
{
    struct remote *part = context;
    part->again = NULL;
    send_when_ready(part);
}

/* One job of several was refused, and the scheduler takes all or none: each goes alone. */
static void send_each(struct remote *remote)
{
    remote->sending = false;
    for (uint32_t i = 0; i < remote->submission.count; i++) {
        struct remote *one = split_off(remote, i, 1);
        if (one != NULL)
            send_when_ready(one);
    }
    remote->submission.count = 0;
    remote_over_when_empty(remote);
}

/* The scheduler has room for some of them, as it has said or learned meanwhile: those go now, the rest waits for room.
 * False: for all of them, or it cannot be said. */
static bool send_as_room_allows(struct remote *remote)
{
    uint64_t room = plugin_scheduler_room(scheduler_of(remote));
    uint32_t count = remote->submission.count;
    if (room >= count || count == 0)
        return false;
    remote->waits_for_room = true;
    if (room == 0) {
        say_waiting(remote, NO_ROOM);
        wait_to_send(remote, send_again);
        return true;
    }
    remote->sending = false;
    struct remote *first = split_off(remote, 0, (uint32_t)room);
    struct remote *rest = split_off(remote, (uint32_t)room, count - (uint32_t)room);
    remote->submission.count = 0;
    if (rest != NULL) {
        rest->sending = rest->waits_for_room = true;
        fill_submission(rest);
        say_waiting(rest, NO_ROOM);
        wait_to_send(rest, part_now);
    }
    if (first != NULL)
        send_when_ready(first);
    remote_over_when_empty(remote);
    return true;
}

static void send_again(void *context)
{
    struct remote *remote = context;
    remote->again = NULL;
    if (remote->engine->stop >= STOP_CANCEL || !send_as_room_allows(remote))
        submission_send(remote);
}

void remote_room_again(struct engine *engine, uint32_t backend)
{
    for (struct remote *remote = engine->remotes; remote != NULL; remote = remote->next)
        if (remote->backend->number == backend && remote->waits_for_room && remote->again != NULL &&
            remote->again_ms > AGAIN_MS) {
            loop_timer_stop(remote->again);
            remote->again_ms = 0;
            wait_to_send(remote, remote->then); /* not at once: more may end in this very moment */
        }
}

void remote_hurry(struct engine *engine)
{
    for (struct remote *remote = engine->remotes; remote != NULL; remote = remote->next)
        if (remote->again != NULL) {
            loop_timer_stop(remote->again);
            remote->again = loop_timer(engine->loop, 0, remote->then, remote);
        }
}

static void find_out(void *context);

static void adopted(void *context, const struct call_result *result)
{
    struct remote *remote = context;
    if (result->ok)
        remote_taken(remote);
    else if (remote->engine->detach != NULL)
        detach_fail(remote->engine, result->message);
    else
        find_out(remote);
}

/* The scheduler has it from a call whose answer was lost: it shall watch it all the same. */
static void adopt(struct remote *remote, const struct call_result *found)
{
    uint32_t count = remote->submission.count;
    const struct descpipe_job **jobs = arena_allocate(remote->arena, (count + 1) * sizeof *jobs);
    memcpy(jobs, remote->submission.jobs, count * sizeof *jobs);
    for (size_t i = 0; i < found->found_count; i++) {
        const struct descpipe_found *item = found->found[i];
        if (!text_equal(item->token, remote->token) || item->index < 0 || item->index >= count)
            continue;
        struct descpipe_job *job = arena_allocate(remote->arena, sizeof *job);
        *job = *remote->submission.jobs[item->index];
        job->native_id = arena_copy_text(remote->arena, item->native_id);
        jobs[item->index] = job;
        if (attempt_of_job(remote, job->job) != NULL)
            record_submitted(remote->engine, remote->serial, job->job, item->native_id);
    }
    remote->submission.jobs = jobs;
    remote->submission.flags |= DESCPIPE_SUBMISSION_ADOPT;
    scheduler_submit(scheduler_of(remote), &remote->submission,
                     (struct call_options){.done = adopted, .context = remote});
}

static void found(void *context, const struct call_result *result)
{
    struct remote *remote = context;
    if (!result->ok) {
        say_waiting(remote, "nobody knows yet whether it was submitted");
        wait_to_send(remote, find_out);
        return;
    }
    for (size_t i = 0; i < result->found_count; i++)
        if (text_equal(result->found[i]->token, remote->token)) {
            adopt(remote, result); /* all or none: it is all */
            return;
        }
    submission_send(remote);
}

static void find_out(void *context)
{
    struct remote *remote = context;
    remote->again = NULL;
    scheduler_find(scheduler_of(remote), remote->engine->folder.id,
                   (struct call_options){.done = found, .context = remote});
}

static void submitted(void *context, const struct call_result *result)
{
    struct remote *remote = context;
    struct engine *engine = remote->engine;
    if (result->ok) {
        for (size_t i = 0; i < result->native_ids_count; i++)
            if (attempt_of_job(remote, result->native_ids[i].job) != NULL)
                record_submitted(engine, remote->serial, result->native_ids[i].job, result->native_ids[i].id);
        remote_taken(remote);
    } else if (engine->finished) {
        remote->sending = false;
    } else if (result->failure == DESCPIPE_FAILED_UNKNOWN || result->plugin_fault) {
        find_out(remote);
    } else if (engine->stop >= STOP_CANCEL) {
        refuse_all(remote, "before it was submitted");
    } else if (send_as_room_allows(remote)) {
        return; /* when not, too many at a time is not what is wrong */
    } else if (result->failure == DESCPIPE_FAILED_LATER || result->failure == DESCPIPE_FAILED_CANNOT_ASK) {
        say_waiting(remote, result->message);
        wait_to_send(remote, send_again);
    } else if (remote->submission.count > 1 && engine->graph == NULL) {
        send_each(remote);
    } else {
        cleanup(memory_free) char *words = result->hint != NULL
                                               ? memory_format("%s (%s)", result->message, result->hint)
                                               : memory_copy_text(result->message);
        refuse_all(remote, words);
    }
}

/* Another stage failed, and nothing new starts. */
static void take_back_all(struct remote *remote)
{
    for (uint32_t i = 0; i < remote->submission.count; i++) {
        struct attempt *attempt = remote->jobs[remote->positions[i]].attempt;
        if (attempt != NULL)
            attempt_take_back(attempt, "because another stage failed");
    }
    remote->submission.count = 0;
    remote->sending = false; /* until now, so that it was not gone with the last of them */
    remote_over_when_empty(remote);
}

static void submission_send(struct remote *remote)
{
    remote->waits_for_room = false;
    if (remote->engine->stop >= STOP_CANCEL) {
        refuse_all(remote, "before it was submitted");
        return;
    }
    if (remote->engine->stop == STOP_FAILED) {
        take_back_all(remote);
        return;
    }
    scheduler_submit(scheduler_of(remote), &remote->submission,
                     (struct call_options){.deadline_ms = INT64_MAX, .done = submitted, .context = remote});
}

/* "POSITION <TAB> JOB <TAB> ATTEMPT <TAB> STAGE <TAB> MEMBER": for people, and for `resume` without a journal. */
static bool write_index(const struct remote *remote, struct error *error)
{
    cleanup(memory_free) char *path = path_join(remote->folder, "index");
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (uint32_t i = 0; i < remote->submission.count; i++) {
        const struct descpipe_job *job = remote->submission.jobs[i];
        text_format(&text, "%u\t%llu\t%llu\t%s\t%s\n", i, (unsigned long long)job->job,
                    (unsigned long long)job->attempt, job->stage, job->member != NULL ? job->member : "");
    }
    return file_write(path, text_bytes(&text), text.length, 0644, error);
}

static void record_intent(struct remote *remote)
{
    struct engine *engine = remote->engine;
    for (uint32_t from = 0; from < remote->submission.count; from += JOBS_PER_RECORD) {
        struct text *text = record_intent_begin(engine, remote->serial, from);
        for (uint32_t i = from; i < remote->submission.count && i < from + JOBS_PER_RECORD; i++)
            record_intent_attempt(remote->jobs[remote->positions[i]].attempt, text, i == from);
        record_intent_end(engine, text);
    }
}

static void announce_again(void *context);

void remote_announce(struct remote *remote)
{
    if (!engine_flush(remote->engine, true)) /* without the intent on the disk no act that outlives us */
        wait_to_send(remote, announce_again);
    else
        submission_send(remote);
}

static void announce_again(void *context)
{
    struct remote *remote = context;
    remote->again = NULL;
    remote_announce(remote);
}

static uint32_t flags_of(const struct engine *engine)
{
    uint32_t flags = engine->detach != NULL ? DESCPIPE_SUBMISSION_DETACHED : 0;
    return engine->request->keep_going ? flags | DESCPIPE_SUBMISSION_KEEP_GOING : flags;
}

static uint32_t fill_submission(struct remote *remote)
{
    const struct descpipe_job **jobs = arena_allocate(remote->arena, (remote->count + 1) * sizeof *jobs);
    uint32_t count = 0;
    for (uint32_t i = 0; i < remote->count; i++) {
        if (remote->jobs[i].attempt == NULL)
            continue;
        remote->positions[count] = i;
        jobs[count++] = remote->jobs[i].attempt->job_made;
    }
    remote->submission = (struct descpipe_submission){.size = sizeof remote->submission,
                                                      .count = count,
                                                      .token = remote->token,
                                                      .run = remote->engine->folder.id,
                                                      .folder = remote->folder,
                                                      .jobs = jobs,
                                                      .flags = flags_of(remote->engine),
                                                      .working = remote->engine->folder.working};
    return count;
}

/* All attempts are ready or over: what is left of them is one submission. */
static void send_when_ready(struct remote *remote)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (fill_submission(remote) == 0) {
        remote_over_when_empty(remote);
        return;
    }
    remote->sending = true;
    if (!remote_finish_scripts(remote, &error) || !write_index(remote, &error)) {
        refuse_all(remote, error.message);
        return;
    }
    record_intent(remote);
    remote_announce(remote);
}

bool remote_is_releasing(const struct engine *engine)
{
    for (const struct remote *remote = engine->remotes; remote != NULL; remote = remote->next)
        if (remote->releasing)
            return true;
    return false;
}

void remote_end(struct engine *engine)
{
    loop_timer_stop(steal(&engine->outcome_look));
    loop_timer_stop(steal(&engine->gathering));
    while (engine->remotes != NULL)
        remote_free(engine->remotes);
}
