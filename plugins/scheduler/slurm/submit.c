/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Submitting: all jobs of a submission or none.
 *
 * How it works: the controller's limits are asked first, once, unless another run has heard of them a while ago; then
 * they are asked before anything is called refused. Jobs become groups that can be one array each; the files
 * are written; then one sbatch after another, because a group may depend on the ids of an earlier one. An sbatch whose
 * answer was lost is looked for by the token, several times over a while: what is found is taken, what is not stays
 * UNKNOWN, and nothing is ever submitted twice from here. When a group is refused after others were accepted, those are
 * cancelled first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "submit.h"

enum {
    SBATCH_LIMIT_MS = 240000, /* it tries again by itself for two minutes */
    QUESTION_LIMIT_MS = 60000,
    FIRST_RETRY_MS = 1000,
    LONGEST_RETRY_MS = 60000,
    FIRST_LOOK_MS = 200
};

static void submit_next(struct submitting *submitting);
static void look(void *context);
static void limits_known(void *context, const struct answer *failure);

static void free_submitting(struct submitting *submitting)
{
    submitting->slurm->sending -= submitting->counted;
    request_groups_clear(&submitting->groups);
    free(submitting->accepted);
    free(submitting);
}

static void fail(struct submitting *submitting, const struct answer *answer)
{
    slurm_fail(submitting->slurm, submitting->call, "sbatch", answer, true);
    free_submitting(submitting);
}

static void fail_with(struct submitting *submitting, enum answer_kind kind, const char *message)
{
    struct answer answer = {.kind = kind};
    snprintf(answer.message, sizeof(answer.message), "%s", message);
    fail(submitting, &answer);
}

/* The host wants it to end. What was accepted stays, and `find` will tell. */
static void fail_cancelled(struct submitting *submitting, bool on_its_way)
{
    if (on_its_way || submitting->accepted_groups > 0) {
        char message[128];
        snprintf(message, sizeof(message), "stopped after %zu of %zu arrays were accepted%s",
                 submitting->accepted_groups, submitting->groups.count, on_its_way ? ", another was on its way" : "");
        fail_with(submitting, ANSWER_UNKNOWN, message);
        return;
    }
    submitting->slurm->host->call->fail(submitting->call, DESCPIPE_FAILED_CANCELLED,
                                        "stopped before anything was submitted", NULL);
    free_submitting(submitting);
}

static void accept(struct submitting *submitting, const struct request_group *group, uint64_t array,
                   const char *cluster)
{
    for (uint32_t i = 0; i < group->count; i++) {
        struct accepted *accepted = &submitting->accepted[group->positions[i]];
        accepted->array = array;
        accepted->members = group->count;
        accepted->index = submitting->slurm->limits.array_size > 1 ? (int64_t)group->positions[i] : RECORD_NO_INDEX;
        snprintf(accepted->cluster, sizeof(accepted->cluster), "%s", cluster);
    }
    struct slurm *self = submitting->slurm;
    if (self->room != UINT64_MAX) {
        self->room += group->count / 8 + 1; /* the site's limit may have been somebody else's doing */
    }
    submitting->accepted_groups++;
    submitting->next++;
    submitting->wait_ms = 0;
}

/* What later submissions may wait for. */
static bool keep_sent(struct slurm *self, const struct descpipe_submission *submission, const struct accepted *accepted)
{
    struct batch *batch = jobs_batch(&self->sent, submission->token, submission->folder);
    if (batch == NULL || !jobs_reserve(&self->sent, submission->count)) {
        return false;
    }
    for (uint32_t i = 0; i < submission->count; i++) {
        if (accepted[i].array == 0) {
            continue;
        }
        struct watched *sent =
            jobs_add(&self->sent, batch, submission->jobs[i]->job, accepted[i].array, accepted[i].index);
        if (sent == NULL) {
            return false;
        }
        sent->members = accepted[i].members;
        snprintf(sent->cluster, sizeof(sent->cluster), "%s", accepted[i].cluster);
    }
    return true;
}

/* From now on they are watched; an answer of squeue counts when it began after this. */
static bool watch_all(struct submitting *submitting, int64_t submitted_ms)
{
    struct slurm *self = submitting->slurm;
    const struct descpipe_submission *submission = submitting->submission;
    struct batch *batch = jobs_batch(&self->jobs, submission->token, submission->folder);
    if (batch == NULL || !jobs_reserve(&self->jobs, submission->count)) {
        return false;
    }
    for (uint32_t i = 0; i < submission->count; i++) {
        const struct descpipe_job *job = submission->jobs[i];
        const struct accepted *accepted = &submitting->accepted[i];
        if (accepted->array == 0) {
            continue;
        }
        struct watched *watched = jobs_add(&self->jobs, batch, job->job, accepted->array, accepted->index);
        if (watched == NULL) {
            return false;
        }
        watched->order = job->order;
        watched->attempt = job->attempt;
        watched->memory_limit = job->resources->memory_per_node;
        watched->submitted_ms = submitted_ms;
        watched->phase = PHASE_WAITING;
        snprintf(watched->cluster, sizeof(watched->cluster), "%s", accepted->cluster);
    }
    watch_wake(self);
    return true;
}

static void finish(struct submitting *submitting)
{
    struct slurm *self = submitting->slurm;
    bool detached = (submitting->submission->flags & DESCPIPE_SUBMISSION_DETACHED) != 0;
    if (!watch_all(submitting, slurm_now_ms()) ||
        (detached && !keep_sent(self, submitting->submission, submitting->accepted))) {
        fail_with(submitting, ANSWER_UNKNOWN, "they are submitted, but there is no memory to watch them");
        return;
    }
    for (uint32_t i = 0; i < submitting->submission->count; i++) {
        char id[96];
        const struct watched *watched = jobs_find(&self->jobs, submitting->submission->jobs[i]->job);
        jobs_write_id(watched, id, sizeof(id));
        self->host->answer->native_id(submitting->call, watched->job, id);
    }
    self->host->call->succeed(submitting->call);
    free_submitting(submitting);
}

static void rolled_back(void *context, const struct tool_answer *answer)
{
    struct submitting *submitting = context;
    struct answer said;
    submitting->tool = NULL;
    answer_read(buffer_text(&answer->error), &said);
    if (tool_went_well(answer) || (answer->ran && said.kind == ANSWER_NO_JOB)) {
        fail(submitting, &submitting->failure);
    } else {
        fail_with(submitting, ANSWER_UNKNOWN, "a part was refused, and what had been accepted could not be cancelled");
    }
}

/* A refusal after a part was accepted: none, then. */
static void roll_back(struct submitting *submitting, const struct answer *why)
{
    struct tool_request request = {.kind = TOOL_ACT,
                                   .cost = (double)submitting->accepted_groups,
                                   .timeout_ms = QUESTION_LIMIT_MS,
                                   .done = rolled_back,
                                   .context = submitting};
    if (submitting->accepted_groups == 0) {
        fail(submitting, why);
        return;
    }
    submitting->failure = *why;
    arguments_add(&request.arguments, "scancel");
    slurm_add_clusters(submitting->slurm, &request.arguments);
    for (size_t i = 0; i < submitting->next; i++) {
        arguments_format(&request.arguments, "%" PRIu64,
                         submitting->accepted[submitting->groups.items[i].positions[0]].array);
    }
    submitting->tool = tool_start(&submitting->slurm->tools, &request);
    if (submitting->tool == NULL) {
        fail_with(submitting, ANSWER_UNKNOWN, "a part was refused, and there is no memory to cancel the rest");
    }
}

static void retry(void *context)
{
    struct submitting *submitting = context;
    submitting->timer = NULL;
    submit_next(submitting);
}

/* A part is accepted and the controller wants to be left alone for a while: the rest follows. */
static void wait_and_retry(struct submitting *submitting)
{
    submitting->wait_ms = submitting->wait_ms == 0 ? FIRST_RETRY_MS : submitting->wait_ms * 2;
    if (submitting->wait_ms > LONGEST_RETRY_MS) {
        submitting->wait_ms = LONGEST_RETRY_MS;
    }
    const struct descpipe_host *host = submitting->slurm->host;
    submitting->timer = host->timer->start(host, (uint64_t)submitting->wait_ms, retry, submitting);
}

/* Learns how many jobs the site lets wait, for `room`. */
static void learn_room(struct submitting *submitting)
{
    struct slurm *self = submitting->slurm;
    uint64_t asked = submitting->groups.items[submitting->next].count;
    uint64_t room = self->jobs.count + asked / 2;
    self->room = room > 0 ? room : 1;
}

/* What refuses it may be what the controller has said to another run, and has changed since. False: it has not. */
static bool ask_anew(struct submitting *submitting)
{
    struct slurm *self = submitting->slurm;
    if (!self->limits_recalled || submitting->accepted_groups > 0) {
        return false;
    }
    submitting->limits_question = slurm_ask_limits(self, limits_known, submitting);
    if (submitting->limits_question == NULL) {
        return false;
    }
    self->sending -= submitting->counted;
    submitting->counted = 0;
    request_groups_clear(&submitting->groups);
    submitting->next = 0;
    return true;
}

static void refused(struct submitting *submitting, const struct answer *said)
{
    if (said->kind == ANSWER_REFUSED && ask_anew(submitting)) {
        return;
    }
    if (said->kind == ANSWER_TOO_MANY) {
        learn_room(submitting);
        roll_back(submitting, said);
    } else if ((said->kind == ANSWER_LATER || said->kind == ANSWER_CANNOT_ASK) && submitting->accepted_groups > 0) {
        wait_and_retry(submitting);
    } else {
        roll_back(submitting, said);
    }
}

static void submitted(void *context, const struct tool_answer *answer)
{
    struct submitting *submitting = context;
    const struct request_group *group = &submitting->groups.items[submitting->next];
    struct slurm *self = submitting->slurm;
    char cluster[JOBS_CLUSTER];
    uint64_t array = 0;
    struct answer said;
    submitting->tool = NULL;
    if (answer->never_ran && !answer->stopped) {
        answer_read(buffer_text(&answer->error), &said);
        said.kind = ANSWER_CANNOT_ASK;
        roll_back(submitting, &said);
    } else if (answer->ran && answer->exit_code == 0 &&
               answer_read_job(buffer_text(&answer->output), &array, cluster, sizeof(cluster))) {
        accept(submitting, group, array, cluster);
        submit_next(submitting);
    } else if (submitting->cancelled) {
        fail_cancelled(submitting, !answer->never_ran);
    } else {
        answer_read(buffer_text(&answer->error), &said);
        if (answer->ran && answer->exit_code != 0 && said.kind != ANSWER_UNKNOWN) {
            refused(submitting, &said);
            return;
        }
        /* It may have been done: with exit status 0 and no number, killed, timed out, or in words nobody knows. */
        submitting->failure = said;
        submitting->failure.kind = ANSWER_UNKNOWN;
        submitting->look_until_ms = slurm_now_ms() + self->host->config->integer(self->settings, "settle");
        submitting->wait_ms = FIRST_LOOK_MS;
        submitting->timer = self->host->timer->start(self->host, FIRST_LOOK_MS, look, submitting);
    }
}

static void submit_next(struct submitting *submitting)
{
    struct tool_request request = {
        .kind = TOOL_ACT, .cost = 1, .timeout_ms = SBATCH_LIMIT_MS, .done = submitted, .context = submitting};
    if (submitting->next == submitting->groups.count) {
        finish(submitting);
        return;
    }
    if (submitting->cancelled) {
        fail_cancelled(submitting, false);
        return;
    }
    if (!command_add(submitting, &submitting->groups.items[submitting->next], &request.arguments)) {
        struct answer said = {.kind = ANSWER_REFUSED, .message = "a job waits for one that comes after it"};
        arguments_clear(&request.arguments);
        roll_back(submitting, &said);
        return;
    }
    submitting->tool = tool_start(&submitting->slurm->tools, &request);
    if (submitting->tool == NULL) {
        struct answer said = {.kind = ANSWER_LATER, .message = "not enough memory"};
        roll_back(submitting, &said);
    }
}

/* The array of that name that holds the group's first position: no other group does. */
struct looked {
    const struct submitting *submitting;
    const char *name;
    uint64_t array;
    char cluster[JOBS_CLUSTER];
};

static void look_at(void *context, const struct record *record, const char *cluster)
{
    struct looked *looked = context;
    const struct submitting *submitting = looked->submitting;
    uint32_t first = submitting->groups.items[submitting->next].positions[0];
    bool is_it =
        submitting->slurm->limits.array_size <= 1 || record->index == (int64_t)first || record_covers(record, first);
    if (!is_it || strcmp(record->name, looked->name) != 0) {
        return;
    }
    looked->array = record->array;
    snprintf(looked->cluster, sizeof(looked->cluster), "%s", cluster);
}

static void look_again(struct submitting *submitting)
{
    const struct descpipe_host *host = submitting->slurm->host;
    submitting->wait_ms *= 2;
    submitting->timer = host->timer->start(host, (uint64_t)submitting->wait_ms, look, submitting);
}

static void looked(void *context, const struct tool_answer *answer)
{
    struct submitting *submitting = context;
    struct buffer name = {0};
    bool complete = false;
    submitting->tool = NULL;
    if (submitting->cancelled) {
        fail_cancelled(submitting, true);
        return;
    }
    command_write_name(submitting, &submitting->groups.items[submitting->next], &name);
    struct looked looked = {.submitting = submitting, .name = buffer_text(&name)};
    if (tool_went_well(answer)) {
        watch_read_queue(&answer->output, look_at, &looked, &complete);
    }
    buffer_clear(&name);
    if (looked.array != 0) {
        accept(submitting, &submitting->groups.items[submitting->next], looked.array, looked.cluster);
        submit_next(submitting);
    } else if (slurm_now_ms() >= submitting->look_until_ms) {
        fail(submitting, &submitting->failure);
    } else {
        look_again(submitting);
    }
}

static void look(void *context)
{
    struct submitting *submitting = context;
    struct tool_request request = {
        .kind = TOOL_ACT, .cost = 2, .timeout_ms = QUESTION_LIMIT_MS, .done = looked, .context = submitting};
    struct buffer name = {0};
    submitting->timer = NULL;
    command_write_name(submitting, &submitting->groups.items[submitting->next], &name);
    watch_add_question(submitting->slurm, &request.arguments);
    arguments_format(&request.arguments, "--name=%s", buffer_text(&name));
    buffer_clear(&name);
    submitting->tool = tool_start(&submitting->slurm->tools, &request);
    if (submitting->tool == NULL) {
        fail(submitting, &submitting->failure);
    }
}

static void cancelled(void *context)
{
    struct submitting *submitting = context;
    submitting->cancelled = true;
    if (submitting->limits_question != NULL) {
        limits_question_stop(submitting->limits_question);
    } else if (submitting->tool != NULL) {
        tool_stop(submitting->tool);
    } else if (submitting->timer != NULL) {
        bool looking = submitting->look_until_ms != 0;
        submitting->slurm->host->timer->stop(submitting->timer);
        submitting->timer = NULL;
        fail_cancelled(submitting, looking);
    }
}

static bool judge_all(const struct submitting *submitting, char message[REQUEST_MESSAGE])
{
    const struct descpipe_submission *submission = submitting->submission;
    for (uint32_t i = 0; i < submission->count; i++) {
        struct wishes wishes = {0};
        slurm_wishes(submitting->slurm, submission->jobs[i], &wishes);
        if (!request_fits(&submitting->slurm->limits, &wishes, submission->jobs[i], message)) {
            return false;
        }
    }
    return true;
}

/* A job alone in its array has no fellows that somebody else's fellows could wait for. */
static bool locate_sent(void *context, uint64_t job, uint64_t *array, int64_t *index)
{
    const struct slurm *self = context;
    const struct watched *sent = jobs_find(&self->sent, job);
    if (sent == NULL || sent->index == RECORD_NO_INDEX || sent->members == 1) {
        return false;
    }
    *array = sent->array;
    *index = sent->index;
    return true;
}

/* Known to be refused: so the controller need not be asked, and the host may send fewer. */
static bool is_too_many(struct submitting *submitting)
{
    struct slurm *self = submitting->slurm;
    uint64_t most = slurm_most_jobs(self), count = submitting->submission->count;
    uint64_t there = self->jobs.count + self->sending;
    if (most >= there && count <= most - there) {
        submitting->counted = count;
        self->sending += count;
        return false;
    }
    if (ask_anew(submitting)) {
        return true;
    }
    char message[SLURM_MESSAGE];
    snprintf(message, sizeof(message), "at most %" PRIu64 " jobs of yours may be in the queue", most);
    /* Detached, nobody is there to send the rest. */
    bool is_final = (submitting->submission->flags & DESCPIPE_SUBMISSION_DETACHED) != 0;
    self->host->call->fail(submitting->call, is_final ? DESCPIPE_FAILED_REFUSED : DESCPIPE_FAILED_LATER, message, NULL);
    free_submitting(submitting);
    return true;
}

static void begin(struct submitting *submitting)
{
    const struct slurm *self = submitting->slurm;
    const struct descpipe_submission *submission = submitting->submission;
    char message[REQUEST_MESSAGE] = "";
    uint64_t size = self->limits.array_size > 1 ? self->limits.array_size : 1;
    const struct request_source source = {.wishes = slurm_wishes, .locate = locate_sent, .context = submitting->slurm};
    if (self->limits.array_size > 1 && submission->count > self->limits.array_size) {
        snprintf(message, sizeof(message), "%" PRIu32 " jobs in one submission; MaxArraySize of this SLURM is %" PRIu64,
                 submission->count, self->limits.array_size);
    } else if (!judge_all(submitting, message)) {
        /* never, whenever it is */
    } else if (is_too_many(submitting)) {
        return;
    } else if (request_group(submission, size, &source, &submitting->groups, message) &&
               command_write_files(submitting, message, sizeof(message))) {
        submit_next(submitting);
        return;
    }
    if (!ask_anew(submitting)) {
        self->host->call->fail(submitting->call, DESCPIPE_FAILED_REFUSED, message, NULL);
        free_submitting(submitting);
    }
}

static void limits_known(void *context, const struct answer *failure)
{
    struct submitting *submitting = context;
    submitting->limits_question = NULL;
    if (submitting->cancelled) {
        fail_cancelled(submitting, false);
    } else if (failure != NULL) {
        slurm_fail(submitting->slurm, submitting->call, "scontrol", failure, false);
        free_submitting(submitting);
    } else {
        begin(submitting);
    }
}

/* They are SLURM's already, perhaps since days. */
static void adopt(struct submitting *submitting)
{
    const struct descpipe_submission *submission = submitting->submission;
    struct slurm *self = submitting->slurm;
    for (uint32_t i = 0; i < submission->count; i++) {
        const char *id = submission->jobs[i]->native_id;
        struct accepted *accepted = &submitting->accepted[i];
        if (id == NULL) {
            continue; /* left out */
        }
        if (!record_read_id(id, &accepted->array, &accepted->index)) {
            char message[SLURM_MESSAGE];
            snprintf(message, sizeof(message), "job %" PRIu32 " of %s: '%s' is no id of a SLURM job", i,
                     submission->token, id);
            self->host->call->fail(submitting->call, DESCPIPE_FAILED_NOT_FOUND, message, NULL);
            free_submitting(submitting);
            return;
        }
        const char *cluster = strchr(id, '@');
        snprintf(accepted->cluster, sizeof(accepted->cluster), "%s", cluster != NULL ? cluster + 1 : "");
    }
    bool detached = (submission->flags & DESCPIPE_SUBMISSION_DETACHED) != 0;
    if (!watch_all(submitting, slurm_now_ms() - slurm_age_ms(submission->run)) ||
        (detached && !keep_sent(self, submission, submitting->accepted))) {
        self->host->call->fail(submitting->call, DESCPIPE_FAILED_LATER, "not enough memory to watch the jobs", NULL);
    } else {
        self->host->call->succeed(submitting->call);
    }
    free_submitting(submitting);
}

static const char *find_problem(const struct descpipe_submission *submission)
{
    if (submission->folder == NULL || submission->folder[0] != '/') {
        return "the submission has no folder";
    }
    if (strchr(submission->folder, '\n') != NULL) {
        return "the working folder has a line break in its name, which sbatch cannot take";
    }
    for (uint32_t i = 0; i < submission->count; i++) {
        if (submission->jobs[i]->script == NULL || submission->jobs[i]->resources == NULL) {
            return "a job has no script: slurm takes stages as commands only";
        }
    }
    return NULL;
}

void slurm_submit(void *context, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    struct slurm *self = context;
    if (self->steps.allocation[0] != '\0' && !(submission->flags & DESCPIPE_SUBMISSION_ADOPT)) {
        const char *problem = find_problem(submission);
        if (problem != NULL) {
            self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, problem, NULL);
        } else {
            steps_submit(self, call, submission);
        }
        return;
    }
    struct submitting *submitting = calloc(1, sizeof(*submitting));
    struct accepted *accepted = calloc((size_t)submission->count + 1, sizeof(*accepted));
    if (submitting == NULL || accepted == NULL) {
        free(submitting);
        free(accepted);
        self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory for the submission", NULL);
        return;
    }
    *submitting = (struct submitting){.slurm = self, .call = call, .submission = submission, .accepted = accepted};
    if (submission->flags & DESCPIPE_SUBMISSION_ADOPT) {
        adopt(submitting);
        return;
    }
    const char *problem = find_problem(submission);
    if (problem != NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, problem, NULL);
        free_submitting(submitting);
        return;
    }
    self->host->call->on_cancel(call, cancelled, submitting);
    if (slurm_recall_limits(self)) {
        begin(submitting);
    } else {
        submitting->limits_question = slurm_ask_limits(self, limits_known, submitting);
        if (submitting->limits_question == NULL) {
            fail_with(submitting, ANSWER_LATER, "not enough memory for the submission");
        }
    }
}
