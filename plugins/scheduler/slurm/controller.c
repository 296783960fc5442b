/* SPDX-License-Identifier: BSD-3-Clause */
/* What the controller allows, asked once; and what its refusals mean for a call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slurm.h"

enum { QUESTION_LIMIT_MS = 60000 };
/* Of what a controller with a rate limit gives, we leave a fifth to the user's own commands. */
#define SHARE 0.8

struct limits_question {
    struct slurm *slurm;
    struct tool *tool;
    struct limits read;
    bool asks_partitions;
    void (*done)(void *context, const struct answer *failure);
    void *context;
};

static void question_done(struct limits_question *question, const struct answer *failure)
{
    question->done(question->context, failure);
    limits_clear(&question->read);
    free(question);
}

static void use(struct limits_question *question)
{
    struct slurm *self = question->slurm;
    limits_clear(&self->limits);
    self->limits = question->read;
    question->read = (struct limits){0};
    self->limits_known = true;
    if (self->limits.has_rate) {
        double per_second = (double)self->limits.rate_refill / (double)self->limits.rate_period_s;
        double capacity = (double)self->limits.rate_bucket * SHARE;
        broker_limit(&self->broker, capacity > 1 ? capacity : 1, per_second * SHARE, slurm_now_ms());
    }
    /* Newer versions say "(null)"; then sacct is tried all the same. */
    if (strcmp(self->limits.accounting, "accounting_storage/none") == 0) {
        self->watch.accounts.state = ACCOUNTING_OFF;
    }
}

static bool ask(struct limits_question *question);

static void answered(void *context, const struct tool_answer *answer)
{
    struct limits_question *question = context;
    const char *line = buffer_text(&answer->output);
    question->tool = NULL;
    if (!tool_went_well(answer)) {
        struct answer said;
        answer_read(buffer_text(&answer->error), &said);
        if (answer->stopped || answer->never_ran) {
            said.kind = ANSWER_CANNOT_ASK;
        }
        question_done(question, &said);
        return;
    }
    for (size_t length; *line != '\0'; line += length + (line[length] == '\n')) {
        length = strcspn(line, "\n");
        if (!question->asks_partitions) {
            limits_read_config(&question->read, line, length);
        } else if (!limits_read_partition(&question->read, line, length)) {
            break;
        }
    }
    if (!question->asks_partitions && question->read.version[0] == '\0') {
        struct answer said = {.kind = ANSWER_REFUSED, .message = "'scontrol show config' does not say its version"};
        question_done(question, &said);
    } else if (question->asks_partitions) {
        use(question);
        question_done(question, NULL);
    } else {
        question->asks_partitions = true;
        if (!ask(question)) {
            struct answer said = {.kind = ANSWER_CANNOT_ASK, .message = "not enough memory"};
            question_done(question, &said);
        }
    }
}

static bool ask(struct limits_question *question)
{
    struct tool_request request = {.kind = TOOL_ACT, /* an act waits for it */
                                   .cost = 1,
                                   .timeout_ms = QUESTION_LIMIT_MS,
                                   .done = answered,
                                   .context = question};
    arguments_add(&request.arguments, "scontrol");
    arguments_add(&request.arguments, "--oneliner");
    slurm_add_clusters(question->slurm, &request.arguments);
    arguments_add(&request.arguments, "show");
    arguments_add(&request.arguments, question->asks_partitions ? "partition" : "config");
    question->tool = tool_start(&question->slurm->tools, &request);
    return question->tool != NULL;
}

struct limits_question *slurm_ask_limits(struct slurm *self, void (*done)(void *context, const struct answer *failure),
                                         void *context)
{
    struct limits_question *question = calloc(1, sizeof(*question));
    if (question == NULL) {
        return NULL;
    }
    *question = (struct limits_question){.slurm = self, .done = done, .context = context};
    question->read.array_size = 1001; /* SLURM's own default, should it not say */
    if (!ask(question)) {
        free(question);
        return NULL;
    }
    return question;
}

void limits_question_stop(struct limits_question *question)
{
    if (question != NULL) {
        tool_stop(question->tool);
    }
}

void slurm_fail(struct slurm *self, struct descpipe_call *call, const char *command, const struct answer *answer,
                bool after_act)
{
    static const uint32_t failures[] = {
        [ANSWER_REFUSED] = DESCPIPE_FAILED_REFUSED,       [ANSWER_UNKNOWN] = DESCPIPE_FAILED_UNKNOWN,
        [ANSWER_CANNOT_ASK] = DESCPIPE_FAILED_CANNOT_ASK, [ANSWER_LATER] = DESCPIPE_FAILED_LATER,
        [ANSWER_TOO_MANY] = DESCPIPE_FAILED_LATER,        [ANSWER_NO_JOB] = DESCPIPE_FAILED_REFUSED,
        [ANSWER_DISABLED] = DESCPIPE_FAILED_UNSUPPORTED,  [ANSWER_NO_FIELD] = DESCPIPE_FAILED_UNSUPPORTED,
    };
    char message[SLURM_MESSAGE];
    uint32_t failure = failures[answer->kind];
    if (failure == DESCPIPE_FAILED_UNKNOWN && !after_act) {
        failure = DESCPIPE_FAILED_CANNOT_ASK;
    }
    snprintf(message, sizeof(message), "%s: %s", command, answer->message);
    self->host->call->fail(call, failure, message, answer->hint);
}
