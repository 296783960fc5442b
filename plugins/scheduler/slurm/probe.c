/* SPDX-License-Identifier: BSD-3-Clause */
/* What this SLURM is and allows, and when a job would start (sbatch --test-only). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "slurm.h"

enum { LIMIT_MS = 60000 };

struct probing {
    struct slurm *slurm;
    struct descpipe_call *call;
    const struct descpipe_job *job; /* of queue_estimate */
    struct limits_question *question;
    struct tool *tool;
    bool stopped;
};

static void fact(const struct probing *probing, const char *name, const char *value)
{
    probing->slurm->host->answer->fact(probing->call, name, value[0] != '\0' ? value : "not known");
}

static void fact_number(const struct probing *probing, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    fact(probing, name, text);
}

/* "debug (default, 60 minutes, 3 nodes)" */
static void add_partition(struct buffer *text, const struct partition *partition)
{
    buffer_format(text, "%s%s (%s", text->length > 0 ? ", " : "", partition->name,
                  partition->is_default ? "default, " : "");
    if (!partition->is_up) {
        buffer_add_text(text, "down, ");
    }
    if (partition->minutes == LIMITS_NONE) {
        buffer_add_text(text, "no time limit");
    } else {
        buffer_format(text, "%" PRIu64 " minutes", partition->minutes);
    }
    if (partition->total_nodes != LIMITS_NONE) {
        buffer_format(text, ", %" PRIu64 " nodes", partition->total_nodes);
    }
    buffer_add_text(text, ")");
}

static void answer_facts(const struct probing *probing)
{
    const struct limits *limits = &probing->slurm->limits;
    struct buffer text = {0};
    fact(probing, "version", limits->version);
    fact(probing, "cluster", limits->cluster);
    fact(probing, "controller", limits->host);
    if (probing->slurm->steps.allocation[0] != '\0') {
        fact(probing, "allocation", probing->slurm->steps.allocation);
    }
    fact(probing, "accounting", probing->slurm->watch.accounts.state == ACCOUNTING_OFF ? "none" : limits->accounting);
    fact_number(probing, "max-array-size", limits->array_size);
    fact_number(probing, "max-jobs", limits->jobs);
    buffer_format(&text, "%" PRIu64 " s", limits->forget_s);
    fact(probing, "forgets-ended-jobs-after", buffer_text(&text));
    buffer_clear(&text);
    for (size_t i = 0; i < limits->partitions_count; i++) {
        add_partition(&text, &limits->partitions[i]);
    }
    fact(probing, "partitions", buffer_text(&text));
    buffer_clear(&text);
    if (limits->has_rate) {
        buffer_format(&text, "%" PRIu64 " at once, then %" PRIu64 " every %" PRIu64 " s", limits->rate_bucket,
                      limits->rate_refill, limits->rate_period_s);
        fact(probing, "request-limit", buffer_text(&text));
        buffer_clear(&text);
    }
}

static void limits_known(void *context, const struct answer *failure)
{
    struct probing *probing = context;
    struct slurm *self = probing->slurm;
    if (probing->stopped) {
        self->host->call->fail(probing->call, DESCPIPE_FAILED_CANCELLED, "stopped while it asked SLURM", NULL);
    } else if (failure != NULL) {
        slurm_fail(self, probing->call, "scontrol", failure, false);
    } else {
        answer_facts(probing);
        self->host->call->succeed(probing->call);
    }
    free(probing);
}

static void stopped(void *context)
{
    struct probing *probing = context;
    probing->stopped = true;
    limits_question_stop(probing->question);
    tool_stop(probing->tool);
}

static struct probing *begin(struct slurm *self, struct descpipe_call *call)
{
    struct probing *probing = calloc(1, sizeof(*probing));
    if (probing == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to ask SLURM", NULL);
        return NULL;
    }
    *probing = (struct probing){.slurm = self, .call = call};
    return probing;
}

void slurm_probe(void *context, struct descpipe_call *call)
{
    struct slurm *self = context;
    struct probing *probing = begin(self, call);
    if (probing == NULL) {
        return;
    }
    probing->question = slurm_ask_limits(self, limits_known, probing);
    if (probing->question == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to ask SLURM", NULL);
        free(probing);
        return;
    }
    self->host->call->on_cancel(call, stopped, probing);
}

/* "sbatch: Job 8 to start at 1795276047 using 1 processors ...": seconds, or a time as it is written without
 * SLURM_TIME_FORMAT. */
static int64_t read_start(const char *words)
{
    static const char before[] = "to start at ";
    const char *found = strstr(words, before);
    struct tm moment = {.tm_isdst = -1};
    if (found == NULL) {
        return 0;
    }
    found += sizeof(before) - 1;
    if (strptime(found, "%Y-%m-%dT%H:%M:%S", &moment) != NULL) {
        return (int64_t)mktime(&moment);
    }
    return strtoll(found, NULL, 10);
}

static void tested(void *context, const struct tool_answer *answer)
{
    struct probing *probing = context;
    const struct descpipe_host *host = probing->slurm->host;
    const char *words = buffer_text(&answer->error);
    int64_t start = read_start(words);
    if (probing->stopped) {
        host->call->fail(probing->call, DESCPIPE_FAILED_CANCELLED, "stopped while it asked SLURM", NULL);
    } else if (answer->ran && answer->exit_code == 0 && start > 0) {
        host->answer->moment(probing->call, start * 1000);
        host->call->succeed(probing->call);
    } else {
        struct answer said;
        answer_read(words, &said);
        if (answer->never_ran) {
            said.kind = ANSWER_CANNOT_ASK;
        }
        slurm_fail(probing->slurm, probing->call, "sbatch --test-only", &said, false);
    }
    free(probing);
}

static void test(struct probing *probing)
{
    struct slurm *self = probing->slurm;
    struct wishes wishes = {0};
    char message[REQUEST_MESSAGE];
    struct tool_request request = {
        .kind = TOOL_ACT, .cost = 1, .timeout_ms = LIMIT_MS, .done = tested, .context = probing};
    slurm_wishes(self, probing->job, &wishes);
    if (!request_allows_extra(wishes.extra, message) || !request_fits(&self->limits, &wishes, probing->job, message)) {
        self->host->call->fail(probing->call, DESCPIPE_FAILED_REFUSED, message, NULL);
        free(probing);
        return;
    }
    arguments_add(&request.arguments, "sbatch");
    arguments_add(&request.arguments, "--test-only");
    slurm_add_clusters(self, &request.arguments);
    request_add(&request.arguments, &wishes, probing->job);
    arguments_add(&request.arguments, "--wrap=:");
    probing->tool = tool_start(&self->tools, &request);
    if (probing->tool == NULL) {
        self->host->call->fail(probing->call, DESCPIPE_FAILED_LATER, "not enough memory to ask SLURM", NULL);
        free(probing);
    }
}

static void limits_known_for_test(void *context, const struct answer *failure)
{
    struct probing *probing = context;
    probing->question = NULL;
    if (!probing->stopped && failure == NULL) {
        test(probing);
        return;
    }
    if (probing->stopped) {
        probing->slurm->host->call->fail(probing->call, DESCPIPE_FAILED_CANCELLED, "stopped while it asked SLURM",
                                         NULL);
    } else {
        slurm_fail(probing->slurm, probing->call, "scontrol", failure, false);
    }
    free(probing);
}

/* What `sbatch --test-only` does not look at is looked at first: limits of accounts and qualities of service. */
void slurm_queue_estimate(void *context, struct descpipe_call *call, const struct descpipe_job *job)
{
    struct slurm *self = context;
    if (job->resources == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, "no resources", NULL);
        return;
    }
    struct probing *probing = begin(self, call);
    if (probing == NULL) {
        return;
    }
    probing->job = job;
    self->host->call->on_cancel(call, stopped, probing);
    if (self->limits_known && !self->limits_recalled) {
        test(probing);
        return;
    }
    probing->question = slurm_ask_limits(self, limits_known_for_test, probing);
    if (probing->question == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory to ask SLURM", NULL);
        free(probing);
    }
}
