/* SPDX-License-Identifier: BSD-3-Clause */
/* Cancelling jobs: few scancels for many; their end comes as every other. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slurm.h"

enum { IDS_AT_A_TIME = 200, LIMIT_MS = 120000 };

struct cancelling {
    struct slurm *slurm;
    struct descpipe_call *call;
    struct tool *tool;
    struct arguments ids; /* not asked for yet: from `next` on */
    size_t next;
    bool stopped, any_done;
};

static void cancel_next(struct cancelling *cancelling);

static void free_cancelling(struct cancelling *cancelling)
{
    arguments_clear(&cancelling->ids);
    free(cancelling);
}

static void answered(void *context, const struct tool_answer *answer)
{
    struct cancelling *cancelling = context;
    struct slurm *self = cancelling->slurm;
    struct answer said;
    cancelling->tool = NULL;
    answer_read(buffer_text(&answer->error), &said);
    bool over = answer->ran && said.kind == ANSWER_NO_JOB; /* it has ended meanwhile */
    if (cancelling->stopped) {
        bool touched = cancelling->any_done || !answer->never_ran;
        self->host->call->fail(cancelling->call, touched ? DESCPIPE_FAILED_UNKNOWN : DESCPIPE_FAILED_CANCELLED,
                               "stopped while it cancelled jobs", NULL);
        free_cancelling(cancelling);
    } else if (tool_went_well(answer) || over) {
        cancelling->any_done = true;
        watch_wake(self);
        cancel_next(cancelling);
    } else {
        slurm_fail(self, cancelling->call, "scancel", &said, true);
        free_cancelling(cancelling);
    }
}

static void cancel_next(struct cancelling *cancelling)
{
    struct slurm *self = cancelling->slurm;
    struct tool_request request = {.kind = TOOL_ACT, .timeout_ms = LIMIT_MS, .done = answered, .context = cancelling};
    if (cancelling->next == cancelling->ids.count) {
        self->host->call->succeed(cancelling->call);
        free_cancelling(cancelling);
        return;
    }
    /* Ids of one cluster at a time: "123_4@cluster" says which. */
    const char *cluster = strchr(cancelling->ids.items[cancelling->next], '@');
    arguments_add(&request.arguments, "scancel");
    if (cluster != NULL) {
        arguments_format(&request.arguments, "--clusters=%s", cluster + 1);
    }
    for (size_t i = 0; i < IDS_AT_A_TIME && cancelling->next < cancelling->ids.count; i++) {
        const char *id = cancelling->ids.items[cancelling->next];
        const char *other = strchr(id, '@');
        if (i > 0 && strcmp(cluster != NULL ? cluster : "", other != NULL ? other : "") != 0) {
            break;
        }
        arguments_format(&request.arguments, "%.*s", (int)strcspn(id, "@"), id);
        request.cost++;
        cancelling->next++;
    }
    cancelling->tool = tool_start(&self->tools, &request);
    if (cancelling->tool == NULL) {
        self->host->call->fail(cancelling->call, DESCPIPE_FAILED_LATER, "not enough memory to cancel the jobs", NULL);
        free_cancelling(cancelling);
    }
}

static void stopped(void *context)
{
    struct cancelling *cancelling = context;
    cancelling->stopped = true;
    tool_stop(cancelling->tool);
}

/* Are all watched members of its array to be cancelled? Then the array is, with one request. */
static bool is_whole(const struct jobs *jobs, const struct watched *watched)
{
    size_t place = 0;
    const struct watched *other = jobs_next(jobs, &place, NULL);
    while (other != NULL && (other->array != watched->array || other->cancelled)) {
        other = jobs_next(jobs, &place, other);
    }
    return other == NULL;
}

static void add_ids(struct cancelling *cancelling, const uint64_t *jobs, uint64_t count)
{
    struct slurm *self = cancelling->slurm;
    uint64_t last_array = 0;
    bool last_whole = false;
    for (uint64_t i = 0; i < count; i++) {
        struct watched *watched = jobs_find(&self->jobs, jobs[i]);
        if (watched != NULL) {
            watched->cancelled = true;
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        const struct watched *watched = jobs_find(&self->jobs, jobs[i]);
        char id[96];
        if (watched == NULL || (watched->array == last_array && last_whole)) {
            continue;
        }
        if (watched->array != last_array) {
            last_array = watched->array;
            last_whole = is_whole(&self->jobs, watched);
        }
        jobs_write_id(watched, id, sizeof(id));
        if (last_whole && watched->index != RECORD_NO_INDEX) {
            const char *cluster = strchr(id, '@');
            arguments_format(&cancelling->ids, "%" PRIu64 "%s", watched->array, cluster != NULL ? cluster : "");
        } else {
            arguments_add(&cancelling->ids, id);
        }
    }
}

void slurm_cancel(void *context, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    struct slurm *self = context;
    if (count > 0 && steps_has(self, jobs[0])) {
        steps_cancel(self, call, jobs, count);
        return;
    }
    struct cancelling *cancelling = calloc(1, sizeof(*cancelling));
    if (cancelling == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to cancel the jobs", NULL);
        return;
    }
    *cancelling = (struct cancelling){.slurm = self, .call = call};
    add_ids(cancelling, jobs, count);
    if (cancelling->ids.failed) {
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to cancel the jobs", NULL);
        free_cancelling(cancelling);
        return;
    }
    if (cancelling->ids.count > 0) {
        self->host->call->on_cancel(call, stopped, cancelling);
    }
    cancel_next(cancelling);
}
