/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the controller allows, and what its refusals mean for a call.
 *
 * How it works: four questions whose answers are kept as they came, for the runs that follow (broker.h). Whoever uses
 * such an old answer asks anew before it calls anything refused.
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slurm.h"

enum { QUESTION_LIMIT_MS = 60000, DEFAULT_ARRAY_SIZE = 1001 /* SLURM's own, should it not say */ };
/* Of what a controller with a rate limit gives, we leave a fifth to the user's own commands. */
#define SHARE 0.8
/* In front of what is kept of a question: its number follows. No line of an answer begins so. */
#define MARK "\f"

enum asks { ASKS_CONFIG, ASKS_PARTITIONS, ASKS_ASSOCIATIONS, ASKS_QUALITIES, ASKS_NOTHING };

struct limits_question {
    struct slurm *slurm;
    struct tool *tool;
    struct limits read;
    struct buffer kept;
    int64_t began_ms;
    enum asks asks;
    void (*done)(void *context, const struct answer *failure);
    void *context;
};

static void question_done(struct limits_question *question, const struct answer *failure)
{
    question->done(question->context, failure);
    limits_clear(&question->read);
    buffer_clear(&question->kept);
    free(question);
}

/* Takes them over. */
static void use(struct slurm *self, struct limits *read)
{
    limits_clear(&self->limits);
    self->limits = *read;
    *read = (struct limits){0};
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

static bool read_line(enum asks asks, struct limits *limits, const char *line, size_t length)
{
    switch (asks) {
    case ASKS_CONFIG:
        limits_read_config(limits, line, length);
        return true;
    case ASKS_PARTITIONS:
        return limits_read_partition(limits, line, length);
    case ASKS_ASSOCIATIONS:
        return policy_read_association(&limits->policy, line, length);
    default:
        return policy_read_quality(&limits->policy, line, length);
    }
}

/* The answers to several questions, each behind its mark. False: not whole, or not ours. */
static bool read_kept(const char *text, struct limits *limits)
{
    enum asks asks = ASKS_NOTHING;
    for (size_t length; *text != '\0'; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        if (text[0] == MARK[0]) {
            asks = text[1] >= '0' && text[1] - '0' < ASKS_NOTHING ? (enum asks)(text[1] - '0') : ASKS_NOTHING;
        } else if (asks == ASKS_NOTHING || !read_line(asks, limits, text, length)) {
            return false;
        }
    }
    return limits->version[0] != '\0' && asks != ASKS_NOTHING && asks != ASKS_CONFIG;
}

bool slurm_recall_limits(struct slurm *self)
{
    int64_t began, age = self->host->config->integer(self->settings, "limits-age");
    struct limits limits = {.array_size = DEFAULT_ARRAY_SIZE};
    struct buffer kept;
    if (self->limits_known || self->limits_looked_for) {
        return self->limits_known;
    }
    self->limits_looked_for = true;
    if (age <= 0 || !broker_read(&self->broker, BROKER_LIMITS, slurm_now_ms() - age, &began, &kept)) {
        return false;
    }
    if (began <= slurm_now_ms() && read_kept(buffer_text(&kept), &limits)) {
        use(self, &limits);
        self->limits_recalled = true;
    }
    limits_clear(&limits);
    buffer_clear(&kept);
    return self->limits_known;
}

/* What accounting allows matters only where it is enforced, and can be asked only where there is some. */
static void choose_next(struct limits_question *question)
{
    bool enforced = question->read.enforces_associations;
    question->asks = question->asks == ASKS_PARTITIONS && !enforced ? ASKS_NOTHING : question->asks + 1;
}

static void answered(void *context, const struct tool_answer *answer)
{
    struct limits_question *question = context;
    const char *line = buffer_text(&answer->output);
    bool went_well = tool_went_well(answer);
    question->tool = NULL;
    if (!went_well && (question->asks <= ASKS_PARTITIONS || answer->stopped)) {
        struct answer said;
        answer_read(buffer_text(&answer->error), &said);
        if (answer->stopped || answer->never_ran) {
            said.kind = ANSWER_CANNOT_ASK;
        }
        question_done(question, &said);
        return;
    }
    buffer_format(&question->kept, MARK "%d\n", (int)question->asks);
    if (went_well) {
        buffer_add(&question->kept, answer->output.data, answer->output.length);
    }
    /* A site may keep sacctmgr from its users: then its limits are met as refusals. */
    for (size_t length; went_well && *line != '\0'; line += length + (line[length] == '\n')) {
        length = strcspn(line, "\n");
        if (!read_line(question->asks, &question->read, line, length)) {
            break;
        }
    }
    if (question->asks == ASKS_CONFIG && question->read.version[0] == '\0') {
        struct answer said = {.kind = ANSWER_REFUSED, .message = "'scontrol show config' does not say its version"};
        question_done(question, &said);
        return;
    }
    choose_next(question);
    if (question->asks == ASKS_NOTHING) {
        use(question->slurm, &question->read);
        question->slurm->limits_recalled = false;
        if (!question->kept.failed) {
            broker_publish(&question->slurm->broker, BROKER_LIMITS, question->began_ms, &question->kept);
        }
        question_done(question, NULL);
    } else if (!ask(question)) {
        struct answer said = {.kind = ANSWER_CANNOT_ASK, .message = "not enough memory"};
        question_done(question, &said);
    }
}

static void add_control_words(const struct limits_question *question, struct arguments *arguments)
{
    arguments_add(arguments, "scontrol");
    arguments_add(arguments, "--oneliner");
    slurm_add_clusters(question->slurm, arguments);
    arguments_add(arguments, "show");
    arguments_add(arguments, question->asks == ASKS_PARTITIONS ? "partition" : "config");
}

static void add_accounting_words(const struct limits_question *question, struct arguments *arguments)
{
    const struct passwd *user = getpwuid((uid_t)question->slurm->user);
    const char *clusters = slurm_text(question->slurm, "clusters");
    arguments_add(arguments, "sacctmgr");
    arguments_add(arguments, "--noheader");
    arguments_add(arguments, "--parsable2");
    arguments_add(arguments, "--readonly");
    arguments_add(arguments, "show");
    if (question->asks == ASKS_QUALITIES) {
        arguments_add(arguments, "qos");
        arguments_add(arguments, "format=" POLICY_QOS_FORMAT);
        return;
    }
    arguments_add(arguments, "user");
    arguments_format(arguments, "name=%s", user != NULL ? user->pw_name : "");
    arguments_format(arguments, "cluster=%s", clusters != NULL ? clusters : question->read.cluster);
    arguments_add(arguments, "withassoc");
    arguments_add(arguments, "format=" POLICY_ASSOCIATION_FORMAT);
}

static bool ask(struct limits_question *question)
{
    struct tool_request request = {.kind = TOOL_ACT, /* an act waits for it */
                                   .cost = 1,
                                   .timeout_ms = QUESTION_LIMIT_MS,
                                   .done = answered,
                                   .context = question};
    if (question->asks <= ASKS_PARTITIONS) {
        add_control_words(question, &request.arguments);
    } else {
        add_accounting_words(question, &request.arguments);
    }
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
    question->began_ms = slurm_now_ms();
    question->read.array_size = DEFAULT_ARRAY_SIZE;
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
