/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What SLURM knows of a run: its jobs are named by their submission's token, "RUN-SERIAL", and their index is their
 * position.
 *
 * How it works: squeue for what it still shows, then sacct for what it has forgotten. Where there is no accounting the
 * queue is all there is. When one of them cannot be asked nothing is answered: half an answer would have jobs submitted
 * twice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "slurm.h"

enum { LIMIT_MS = 120000, NAME = 64, DAY_MS = 86400000, DAYS_NOT_KNOWN = 14 };

struct known { /* one job, the latest word on it */
    char token[NAME], cluster[JOBS_CLUSTER];
    uint64_t array;
    int64_t index, position;
    bool running;
};

struct finding {
    struct slurm *slurm;
    struct descpipe_call *call;
    char *run;
    struct tool *tool;
    struct known *items;
    size_t count, capacity;
    bool failed, stopped;
};

int64_t slurm_age_ms(const char *run)
{
    struct tm begun = {0};
    const char *end = strptime(run, "%Y%m%d-%H%M%S", &begun);
    time_t now = time(NULL), then = end != NULL ? timegm(&begun) : now;
    if (end == NULL || then > now || then <= 0) {
        return (int64_t)DAYS_NOT_KNOWN * DAY_MS;
    }
    return (int64_t)(now - then) * 1000 + DAY_MS;
}

static void free_finding(struct finding *finding)
{
    free(finding->run);
    free(finding->items);
    free(finding);
}

/* "RUN-7" or, where there are no arrays, "RUN-7.3": the token and the position. */
static bool read_name(const struct finding *finding, const struct record *record, struct known *known)
{
    size_t length = strlen(finding->run);
    const char *serial = record->name + length + 1;
    if (strncmp(record->name, finding->run, length) != 0 || record->name[length] != '-') {
        return false;
    }
    size_t digits = strspn(serial, "0123456789");
    const char *rest = serial + digits;
    if (digits == 0 || (*rest != '\0' && *rest != '.') || length + 1 + digits >= sizeof(known->token)) {
        return false;
    }
    snprintf(known->token, sizeof(known->token), "%.*s", (int)(length + 1 + digits), record->name);
    known->position = record->index != RECORD_NO_INDEX ? record->index : 0;
    if (*rest == '.') {
        char *end = NULL;
        known->position = strtoll(rest + 1, &end, 10);
        if (end == rest + 1 || *end != '\0' || known->position < 0) {
            return false;
        }
    }
    return true;
}

static void keep(struct finding *finding, const struct known *known)
{
    for (size_t i = 0; i < finding->count; i++) {
        struct known *other = &finding->items[i];
        if (other->array == known->array && other->index == known->index &&
            strcmp(other->cluster, known->cluster) == 0) {
            return; /* the queue was asked first, and is ahead of accounting */
        }
    }
    if (finding->count == finding->capacity) {
        size_t capacity = finding->capacity > 0 ? finding->capacity * 2 : 64;
        struct known *items = realloc(finding->items, capacity * sizeof(*items));
        if (items == NULL) {
            finding->failed = true;
            return;
        }
        finding->items = items;
        finding->capacity = capacity;
    }
    finding->items[finding->count++] = *known;
}

static void keep_record(void *context, const struct record *record, const char *cluster)
{
    struct finding *finding = context;
    struct known known = {
        .array = record->array, .index = record->index, .running = state_phase(record->state) != PHASE_ENDED};
    if (record->part != PART_JOB || !read_name(finding, record, &known)) {
        return;
    }
    snprintf(known.cluster, sizeof(known.cluster), "%s", cluster);
    if (record->ranges[0] == '\0') {
        keep(finding, &known);
        return;
    }
    /* Members that wait and are shown as one. */
    uint64_t limit = finding->slurm->limits.array_size > 0 ? finding->slurm->limits.array_size : 1001;
    for (uint64_t i = 0; i < limit; i++) {
        if (record_covers(record, (int64_t)i)) {
            known.index = known.position = (int64_t)i;
            keep(finding, &known);
        }
    }
}

static void fail(struct finding *finding, const char *command, const struct tool_answer *answer)
{
    struct slurm *self = finding->slurm;
    struct answer said;
    if (finding->stopped) {
        self->host->call->fail(finding->call, DESCPIPE_FAILED_CANCELLED, "stopped while it asked SLURM", NULL);
    } else {
        answer_read(buffer_text(&answer->error), &said);
        said.kind = said.kind == ANSWER_REFUSED ? ANSWER_REFUSED : ANSWER_CANNOT_ASK;
        slurm_fail(self, finding->call, command, &said, false);
    }
    free_finding(finding);
}

static void finish(struct finding *finding)
{
    const struct descpipe_host *host = finding->slurm->host;
    if (finding->failed) {
        host->call->fail(finding->call, DESCPIPE_FAILED_LATER, "not enough memory for what SLURM knows of the run",
                         NULL);
        free_finding(finding);
        return;
    }
    for (size_t i = 0; i < finding->count; i++) {
        const struct known *known = &finding->items[i];
        struct watched named = {.array = known->array, .index = known->index};
        char id[96];
        snprintf(named.cluster, sizeof(named.cluster), "%s", known->cluster);
        jobs_write_id(&named, id, sizeof(id));
        struct descpipe_found found = {.size = sizeof(found),
                                       .running = known->running,
                                       .token = known->token,
                                       .native_id = id,
                                       .index = known->position};
        host->answer->found(finding->call, &found);
    }
    host->call->succeed(finding->call);
    free_finding(finding);
}

static void accounting_answered(void *context, const struct tool_answer *answer)
{
    static const unsigned fields = 1u << ACCOUNT_JOB_ID | 1u << ACCOUNT_STATE | 1u << ACCOUNT_NAME;
    struct finding *finding = context;
    struct answer said;
    finding->tool = NULL;
    answer_read(buffer_text(&answer->error), &said);
    if (!finding->stopped && (said.kind == ANSWER_DISABLED || answer->never_ran)) {
        finding->slurm->watch.accounts.state = ACCOUNTING_OFF;
        finish(finding);
        return;
    }
    if (finding->stopped || !tool_went_well(answer)) {
        fail(finding, "sacct", answer);
        return;
    }
    const char *line = buffer_text(&answer->output);
    for (size_t length; *line != '\0'; line += length + (line[length] == '\n')) {
        struct record record;
        length = strcspn(line, "\n");
        if (record_read_account(line, length, fields, &record)) {
            keep_record(finding, &record, "");
        }
    }
    finish(finding);
}

static void ask_accounting(struct finding *finding)
{
    struct slurm *self = finding->slurm;
    struct tool_request request = {
        .kind = TOOL_ACT, .timeout_ms = LIMIT_MS, .done = accounting_answered, .context = finding};
    arguments_add(&request.arguments, "sacct");
    arguments_add(&request.arguments, "--noheader");
    arguments_add(&request.arguments, "--parsable2");
    arguments_add(&request.arguments, "--allocations");
    arguments_format(&request.arguments, "--user=%" PRId64, self->user);
    arguments_format(&request.arguments, "--starttime=now-%" PRId64 "days", slurm_age_ms(finding->run) / DAY_MS + 1);
    slurm_add_clusters(self, &request.arguments);
    arguments_format(&request.arguments, "--format=%s,%s,%s", account_field_name(ACCOUNT_JOB_ID),
                     account_field_name(ACCOUNT_STATE), account_field_name(ACCOUNT_NAME));
    finding->tool = tool_start(&self->tools, &request);
    if (finding->tool == NULL) {
        finding->failed = true;
        finish(finding);
    }
}

static void queue_answered(void *context, const struct tool_answer *answer)
{
    struct finding *finding = context;
    bool complete = false;
    finding->tool = NULL;
    if (!finding->stopped && tool_went_well(answer)) {
        watch_read_queue(&answer->output, keep_record, finding, &complete);
    }
    if (finding->stopped || !complete) {
        fail(finding, "squeue", answer);
    } else if (finding->slurm->watch.accounts.state == ACCOUNTING_OFF) {
        finish(finding);
    } else {
        ask_accounting(finding);
    }
}

static void stopped(void *context)
{
    struct finding *finding = context;
    finding->stopped = true;
    tool_stop(finding->tool);
}

void slurm_find(void *context, struct descpipe_call *call, const char *run)
{
    struct slurm *self = context;
    struct finding *finding = calloc(1, sizeof(*finding));
    struct tool_request request = {
        .kind = TOOL_ACT, .cost = 2, .timeout_ms = LIMIT_MS, .done = queue_answered, .context = finding};
    char *copy = strdup(run);
    if (finding == NULL || copy == NULL || strlen(run) + 24 > NAME) {
        free(finding);
        free(copy);
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to ask SLURM", NULL);
        return;
    }
    *finding = (struct finding){.slurm = self, .call = call, .run = copy};
    watch_add_question(self, &request.arguments);
    finding->tool = tool_start(&self->tools, &request);
    if (finding->tool == NULL) {
        finding->failed = true;
        finish(finding);
        return;
    }
    self->host->call->on_cancel(call, stopped, finding);
}
