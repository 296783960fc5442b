/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Jobs elsewhere that say themselves that they run, or that they are over, before their scheduler has been asked.
 *
 * How it works: every job replaces its outcome file as it goes on, which changes its folder's time. So one look at the
 * folder of a submission tells whether any of its files is new, and only new ones (by their inode) are read. Looks come
 * often after news and ever more rarely while nothing happens, and take a small share of the time whatever the file
 * system. An end that went well needs nobody else's word, and what waits for it begins at once; any other end waits for
 * the scheduler, who knows of memory, time limits and nodes. What such a job has used comes from the scheduler later,
 * as a record of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "run/elsewhere/job_script.h"
#include "run/elsewhere/remote.h"

#define LOOK_SHORTEST_MS 100
#define LOOK_LONGEST_MS 5000
#define QUIET_SHARE 10      /* after a quiet minute the next look comes after six seconds, at most */
#define COST_SHARE 20       /* … and looking takes a twentieth of the time */
#define FRESH_MS 3000       /* so young a time of a folder may hide a second change: file systems have coarse clocks */
#define WHOLE_LOOK_MS 30000 /* whatever the folder's time says */
#define USAGE_PATIENCE_MS 2000 /* at the end of a run, for what its last jobs have used */

static void look(void *context);

/* Waits for its end, and its scheduler has not told it yet. */
static bool is_open(const struct attempt *attempt)
{
    return attempt != NULL && attempt->sent && attempt->outcome_path != NULL && attempt->patience_until_ms == 0 &&
           attempt->stopped == 0;
}

static bool lies_in(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/' && strchr(path + length + 1, '/') == NULL;
}

/* Has anything changed in the submission's folder since the last look? Opening it asks a file server; a mere stat may
 * be answered from a cache. */
static bool folder_changed(struct remote *remote, int64_t now_ms)
{
    struct stat status;
    cleanup(descriptor_close) int folder = open(remote->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &status) != 0)
        return true;
    bool same = status.st_mtim.tv_sec == remote->changed.tv_sec && status.st_mtim.tv_nsec == remote->changed.tv_nsec;
    if (!same) {
        remote->changed = status.st_mtim;
        remote->change_seen_ms = now_ms;
    }
    if (!same || now_ms - remote->change_seen_ms < FRESH_MS || now_ms - remote->looked_ms >= WHOLE_LOOK_MS) {
        remote->looked_ms = now_ms;
        return true;
    }
    return false;
}

/* True: what it said is new. */
static bool is_new(struct remote_job *job)
{
    struct stat status;
    if (stat(job->attempt->outcome_path, &status) != 0 || status.st_ino == job->seen)
        return false;
    job->seen = status.st_ino;
    return true;
}

struct news {
    LIST(uint64_t) ended; /* jobs: their ends change what is looked through */
    bool any;
};

static void read_news(struct attempt *attempt, struct news *news)
{
    struct job_outcome outcome;
    job_outcome_read(attempt->outcome_path, &outcome);
    news->any = true;
    if (outcome.phase >= JOB_PHASE_RUN && !attempt->seen_running) {
        attempt->seen_running = attempt->said_running = true;
        if (outcome.started_at_ms != 0)
            attempt->started_ms = outcome.started_at_ms;
        record_started(attempt, NULL, outcome.host[0] != '\0' ? outcome.host : NULL);
    }
    if (outcome.phase == JOB_PHASE_END && outcome.exit_code == 0 && !outcome.stopped &&
        outcome.failure == JOB_FAILURE_NONE)
        list_add(&news->ended, attempt->job);
}

static bool look_through(struct remote *remote, int64_t now_ms, struct news *news)
{
    bool open = false;
    int changed = -1;
    for (uint32_t i = 0; i < remote->count; i++) {
        struct remote_job *job = &remote->jobs[i];
        if (!is_open(job->attempt))
            continue;
        open = true;
        if (lies_in(job->attempt->outcome_path, remote->folder)) {
            changed = changed < 0 ? folder_changed(remote, now_ms) : changed;
            if (changed == 0)
                return true; /* so do all that lie here; others were sent with another submission first, and are few */
        }
        if (is_new(job))
            read_news(job->attempt, news);
    }
    return open;
}

static void settle_all(struct engine *engine, const struct news *news)
{
    for (size_t i = 0; i < news->ended.count; i++) {
        uint64_t job = news->ended.items[i];
        const struct task *task = &engine->tasks[walk_job_task(engine, job)];
        if (task->state != TASK_RUNNING || task->attempts != walk_job_attempt(engine, job) ||
            task->attempt_slot == NONE)
            continue;
        struct attempt *attempt = engine->attempts.items[task->attempt_slot];
        attempt->by_own_word = true;
        engine->unaccounted++;
        remote_take_outcome(attempt);
    }
}

static void look(void *context)
{
    struct engine *engine = context;
    struct news news = {.any = false};
    int64_t now = clock_monotonic_ms();
    bool open = false;
    engine->outcome_look = NULL;
    for (struct remote *remote = engine->remotes; remote != NULL; remote = remote->next)
        open = (!remote->releasing && remote->open > 0 && look_through(remote, now, &news)) || open;
    if (news.any)
        engine->outcome_news_ms = now;
    int64_t took = clock_monotonic_ms() - now;
    settle_all(engine, &news);
    list_clear(&news.ended);
    if (!open || engine->finished || engine->outcome_look != NULL)
        return;
    int64_t wait = (now - engine->outcome_news_ms) / QUIET_SHARE;
    wait = wait > LOOK_LONGEST_MS ? LOOK_LONGEST_MS : wait;
    wait = wait < took * COST_SHARE ? took * COST_SHARE : wait;
    engine->outcome_look = loop_timer(engine->loop, wait > LOOK_SHORTEST_MS ? wait : LOOK_SHORTEST_MS, look, engine);
}

void remote_look_soon(struct engine *engine)
{
    engine->outcome_news_ms = clock_monotonic_ms();
    loop_timer_stop(engine->outcome_look);
    engine->outcome_look = loop_timer(engine->loop, LOOK_SHORTEST_MS, look, engine);
}

void remote_accounted(struct engine *engine, uint64_t job, const struct descpipe_ending *ending)
{
    if (engine->unaccounted == 0)
        return;
    engine->unaccounted--;
    if (ending != NULL && (ending->peak_memory > 0 || ending->cpu_ms > 0))
        record_used(engine, job, ending);
}

bool remote_waits_for_usage(struct engine *engine)
{
    if (engine->unaccounted == 0 || engine->stop != STOP_NOT)
        return false;
    if (engine->usage_until_ms == 0)
        engine->usage_until_ms = clock_monotonic_ms() + USAGE_PATIENCE_MS;
    return clock_monotonic_ms() < engine->usage_until_ms;
}
