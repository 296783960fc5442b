/* SPDX-License-Identifier: BSD-3-Clause */
/* One squeue for all jobs; watch.h. */
#include "watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parts/answer.h"
#include "slurm.h"

enum {
    QUESTION_COST = 2, /* squeue asks for jobs and for partitions */
    QUESTION_LIMIT_MS = 60000,
    SLOWEST_MS = 60000,
    LATENCY_SHARE = 10, /* a controller that takes a second is asked every ten */
    QUIET_SHARE = 4,    /* after a quiet minute it is asked every fifteen seconds */
    OTHERS_TURN_MS = 50,
    ESTIMATE_SHIFT_S = 600 /* a start that moved by less is not worth a line */
};

static void tick(void *context);

static void report(struct slurm *self, const struct watched *watched, struct descpipe_change *change)
{
    char id[96];
    if (self->watch.sink == NULL) {
        return;
    }
    jobs_write_id(watched, id, sizeof(id));
    change->size = sizeof(*change);
    change->job = watched->job;
    change->attempt = watched->attempt + watched->restarts;
    change->native_id = id;
    self->watch.last_change_ms = slurm_now_ms();
    self->host->observe->changed(self->watch.sink, change);
}

void watch_ended(struct slurm *self, struct watched *watched, const struct descpipe_ending *ending)
{
    struct descpipe_change change = {.state = DESCPIPE_JOB_ENDED,
                                     .at_ms = ending->finished_at_ms,
                                     .host = ending->host,
                                     .reason = ending->reason,
                                     .ending = ending};
    report(self, watched, &change);
    jobs_remove(&self->jobs, watched);
}

void watch_say_blind(struct slurm *self)
{
    struct watch *watch = &self->watch;
    const char *message = watch->blind[0] != '\0' ? watch->blind : watch->accounts.blind;
    if (watch->sink == NULL || strcmp(message, watch->said_blind) == 0) {
        return;
    }
    snprintf(watch->said_blind, sizeof(watch->said_blind), "%s", message);
    self->host->observe->blind(watch->sink, message[0] != '\0' ? watch->said_blind : NULL);
}

/* "Priority; 3 of 17 in partition 'debug'; may start about 2026-11-21 16:04 UTC" */
static void write_waiting(const struct batch *batch, char *text, size_t size)
{
    int length = snprintf(text, size, "%s", batch->why[0] != '\0' ? batch->why : "not looked at yet");
    struct tm utc;
    time_t start = (time_t)batch->start_s;
    if (batch->position > 0 && length > 0 && (size_t)length < size) {
        length += snprintf(text + length, size - (size_t)length, "; %" PRIu64 " of %" PRIu64 " in partition '%s'",
                           batch->position, batch->of, batch->partition);
    }
    if (batch->start_s > 0 && length > 0 && (size_t)length < size && gmtime_r(&start, &utc) != NULL) {
        strftime(text + length, size - (size_t)length, "; may start about %Y-%m-%d %H:%M UTC", &utc);
    }
}

static void say_waiting(struct slurm *self, struct watched *watched)
{
    struct batch *batch = watched->batch;
    write_waiting(batch, batch->reported_reason, sizeof(batch->reported_reason));
    batch->reported_waiting = true;
    batch->reported_job = watched->job;
    struct descpipe_change change = {.state = DESCPIPE_JOB_QUEUED, .reason = batch->reported_reason};
    report(self, watched, &change);
}

void watch_found_position(struct slurm *self, struct watched *watched)
{
    if (watched->phase == PHASE_WAITING && watched->batch->reported_job == watched->job) {
        say_waiting(self, watched);
    }
}

/* Only the first one in order says what a submission waits for: a few lines for a person, not one for each of a
 * thousand. */
static void report_waiting(struct slurm *self, struct watched *watched, const struct record *record)
{
    struct batch *batch = watched->batch;
    bool requeued = watched->phase == PHASE_RUNNING;
    watched->phase = PHASE_WAITING;
    if (requeued) {
        watched->restarts++;
    } else if (batch->reported_waiting && watched->job != batch->reported_job) {
        const struct watched *other = jobs_find(&self->jobs, batch->reported_job);
        if (other != NULL && other->phase == PHASE_WAITING && other->order <= watched->order) {
            return;
        }
    }
    bool moved = labs((long)(record->started_s - watched->last_start_s)) >= ESTIMATE_SHIFT_S;
    bool said = batch->reported_waiting && batch->reported_job == watched->job;
    position_ask(self, watched);
    if (!requeued && said && !moved && strcmp(record->reason, batch->why) == 0) {
        return;
    }
    watched->last_start_s = requeued ? 0 : record->started_s;
    batch->start_s = record->started_s;
    snprintf(batch->why, sizeof(batch->why), "%s", record->reason);
    say_waiting(self, watched);
}

static void report_running(struct slurm *self, struct watched *watched, const struct record *record)
{
    bool another_life = watched->phase == PHASE_RUNNING && watched->last_start_s > 0 && record->started_s > 0 &&
                        record->started_s != watched->last_start_s;
    if (watched->phase == PHASE_RUNNING && !another_life) {
        return;
    }
    watched->restarts += another_life;
    watched->phase = PHASE_RUNNING;
    watched->last_start_s = record->started_s;
    const char *reason = record->state == STATE_SUSPENDED || record->state == STATE_STOPPED ? "suspended" : NULL;
    struct descpipe_change change = {.state = DESCPIPE_JOB_RUNNING,
                                     .at_ms = record->started_s * 1000,
                                     .host = record->nodes[0] != '\0' ? record->nodes : NULL,
                                     .reason = reason};
    report(self, watched, &change);
}

static void see_one(struct slurm *self, struct watched *watched, const struct record *record)
{
    watched->seen = self->watch.serial;
    enum phase phase = state_phase(record->state);
    if (phase == PHASE_ENDED) {
        accounts_search(self, watched, record);
        return;
    }
    if (watched->batch->released) {
        return; /* the host knows its end already */
    }
    /* It had ended, and runs again: somebody requeued it. */
    if (watched->search != NULL && phase != PHASE_OTHER) {
        free(watched->search);
        watched->search = NULL;
        watched->phase = PHASE_RUNNING;
    }
    if (phase == PHASE_WAITING) {
        report_waiting(self, watched, record);
    } else if (phase == PHASE_RUNNING) {
        report_running(self, watched, record);
    }
}

static void see(void *context, const struct record *record, const char *cluster)
{
    struct slurm *self = context;
    if (record->ranges[0] == '\0') {
        struct watched *watched = jobs_find_id(&self->jobs, record->array, record->index, cluster);
        if (watched != NULL) {
            see_one(self, watched, record);
        }
        return;
    }
    /* Members that are shown as one although -r was given. */
    size_t place = 0;
    struct watched *watched = jobs_next(&self->jobs, &place, NULL);
    while (watched != NULL) {
        struct watched *next = jobs_next(&self->jobs, &place, watched);
        if (watched->array == record->array && watched->seen != self->watch.serial &&
            record_covers(record, watched->index)) {
            see_one(self, watched, record);
        }
        watched = next;
    }
}

void watch_read_queue(const struct buffer *answer,
                      void (*row)(void *context, const struct record *record, const char *cluster), void *context,
                      bool *complete)
{
    static const char heading[] = "CLUSTER: ";
    char cluster[JOBS_CLUSTER] = "";
    const char *line = buffer_text(answer), *end = line + answer->length;
    *complete = true;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline != NULL ? newline : end) - line);
        struct record record;
        if (length > sizeof(heading) && memcmp(line, heading, sizeof(heading) - 1) == 0) {
            snprintf(cluster, sizeof(cluster), "%.*s", (int)(length - (sizeof(heading) - 1)),
                     line + sizeof(heading) - 1);
        } else if (record_read_queue(line, length, &record)) {
            row(context, &record, cluster);
        } else if (length > 0) {
            *complete = false;
        }
        line += length + 1;
    }
}

/* What squeue does not show any more, in an answer that began after the job was submitted. */
static void see_missing(struct slurm *self, int64_t began_ms)
{
    size_t place = 0;
    struct watched *watched = jobs_next(&self->jobs, &place, NULL);
    while (watched != NULL) {
        struct watched *next = jobs_next(&self->jobs, &place, watched);
        if (watched->seen != self->watch.serial && watched->search == NULL && watched->submitted_ms < began_ms) {
            accounts_search(self, watched, NULL);
        }
        watched = next;
    }
}

static void use(struct slurm *self, int64_t began_ms, const struct buffer *answer)
{
    struct watch *watch = &self->watch;
    bool complete;
    watch->serial++;
    watch->last_began_ms = began_ms;
    watch_read_queue(answer, see, self, &complete);
    if (!complete) {
        snprintf(watch->blind, sizeof(watch->blind), "squeue prints lines that are not as they were asked for");
        watch->failures++;
    } else {
        see_missing(self, began_ms);
        watch->blind[0] = '\0';
        watch->failures = 0;
    }
    watch_say_blind(self);
}

/* Someone waits or runs, as far as we know. */
static bool is_needed(const struct slurm *self)
{
    size_t place = 0;
    const struct watched *watched = jobs_next(&self->jobs, &place, NULL);
    while (watched != NULL && watched->search != NULL) {
        watched = jobs_next(&self->jobs, &place, watched);
    }
    return watched != NULL;
}

static int64_t larger(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

static int64_t rhythm_ms(const struct slurm *self)
{
    const struct watch *watch = &self->watch;
    int64_t wait = (slurm_now_ms() - watch->last_change_ms) / QUIET_SHARE;
    wait = wait > watch->longest_ms ? watch->longest_ms : larger(wait, watch->shortest_ms);
    /* One slow answer may have been an accident: the quicker one of two counts. */
    int64_t took = watch->took_ms < watch->took_before_ms ? watch->took_ms : watch->took_before_ms;
    took = took * LATENCY_SHARE < SLOWEST_MS ? took * LATENCY_SHARE : SLOWEST_MS;
    wait = larger(wait, took);
    /* Questions take at most half of what the controller gives: acts need the rest. */
    wait = larger(wait, (int64_t)(2 * QUESTION_COST / self->broker.bucket.full_per_ms));
    for (unsigned i = 0; i < watch->failures && wait < SLOWEST_MS; i++) {
        wait *= 2;
    }
    return wait > SLOWEST_MS && watch->failures > 0 ? SLOWEST_MS : wait;
}

static void tick_after(struct slurm *self, int64_t delay_ms)
{
    struct watch *watch = &self->watch;
    int64_t due = slurm_now_ms() + delay_ms;
    if (watch->timer != NULL && watch->due_ms <= due) {
        return;
    }
    if (watch->timer != NULL) {
        self->host->timer->stop(watch->timer);
    }
    watch->due_ms = due;
    watch->timer = self->host->timer->start(self->host, (uint64_t)delay_ms, tick, self);
}

static void answered(void *context, const struct tool_answer *answer)
{
    struct slurm *self = context;
    struct watch *watch = &self->watch;
    watch->tool = NULL;
    broker_ask_end(&self->broker);
    if (watch->sink == NULL) {
        return;
    }
    if (answer->stopped) {
        tick_after(self, watch->shortest_ms); /* an observer went, another came */
        return;
    }
    if (tool_went_well(answer)) {
        watch->took_before_ms = watch->took_ms;
        watch->took_ms = answer->took_ms;
        broker_publish(&self->broker, BROKER_QUEUE, answer->began_ms, &answer->output);
        use(self, answer->began_ms, &answer->output);
    } else {
        struct answer said;
        answer_read(buffer_text(&answer->error), &said);
        watch->failures++;
        snprintf(watch->blind, sizeof(watch->blind), "squeue: %s",
                 answer->truncated ? "it prints more than can be taken" : said.message);
        watch_say_blind(self);
    }
    tick_after(self, rhythm_ms(self));
}

void watch_add_question(struct slurm *self, struct arguments *arguments)
{
    arguments_add(arguments, "squeue");
    arguments_add(arguments, "--noheader");
    arguments_add(arguments, "--array");
    arguments_add(arguments, "--states=all");
    arguments_format(arguments, "--user=%" PRId64, self->user);
    slurm_add_clusters(self, arguments);
    arguments_add(arguments, "--format=" RECORD_QUEUE_FORMAT);
}

static void ask(struct slurm *self)
{
    struct tool_request request = {.kind = TOOL_QUESTION,
                                   .cost = QUESTION_COST,
                                   .timeout_ms = QUESTION_LIMIT_MS,
                                   .done = answered,
                                   .context = self};
    watch_add_question(self, &request.arguments);
    self->watch.tool = tool_start(&self->tools, &request);
    if (self->watch.tool == NULL) {
        broker_ask_end(&self->broker);
        tick_after(self, self->watch.shortest_ms);
    }
}

static void tick(void *context)
{
    struct slurm *self = context;
    struct watch *watch = &self->watch;
    watch->timer = NULL;
    if (watch->sink == NULL || watch->tool != NULL || !is_needed(self)) {
        return;
    }
    struct buffer shared;
    int64_t began, rhythm = rhythm_ms(self);
    int64_t since = larger(watch->last_began_ms + 1, slurm_now_ms() - rhythm);
    if (broker_read(&self->broker, BROKER_QUEUE, since, &began, &shared)) {
        use(self, began, &shared);
        buffer_clear(&shared);
        tick_after(self, rhythm_ms(self));
    } else if (broker_ask_begin(&self->broker)) {
        ask(self);
    } else {
        tick_after(self, OTHERS_TURN_MS);
    }
}

void watch_wake(struct slurm *self)
{
    self->watch.last_change_ms = slurm_now_ms();
    if (self->watch.sink != NULL && self->watch.tool == NULL) {
        tick_after(self, rhythm_ms(self));
    }
}

static void observe_cancelled(void *context)
{
    struct slurm *self = context;
    struct watch *watch = &self->watch;
    struct descpipe_call *call = watch->call;
    watch->call = NULL;
    watch->sink = NULL;
    self->host->timer->stop(watch->timer);
    watch->timer = NULL;
    tool_stop(watch->tool);
    position_stop(self);
    accounts_stop(self);
    self->host->call->succeed(call);
}

void slurm_observe(void *context, struct descpipe_call *call, struct descpipe_sink *sink)
{
    struct slurm *self = context;
    struct watch *watch = &self->watch;
    if (watch->call != NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, "the jobs are being observed already", NULL);
        return;
    }
    watch->call = call;
    watch->sink = sink;
    watch->said_blind[0] = '\0';
    self->host->call->on_cancel(call, observe_cancelled, self);
    watch_wake(self);
}

void watch_close(struct slurm *self)
{
    self->watch.sink = NULL;
    accounts_close(self);
}
