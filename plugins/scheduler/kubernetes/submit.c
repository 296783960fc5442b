/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making the Jobs of a submission: all or none.
 *
 * How it works: some requests are under way at a time. A Job of that name that is there already is one of ours whose
 * answer was lost. When one is refused, those that were made are deleted. The late values of a stage are a Secret, and
 * what its pod's helpers need is a ConfigMap; they belong to its Job and go with it, and its pod waits for them.
 * Registry logins come first: a node asks for its image as soon as it has a pod.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/pull_secret.h"
#include "kubernetes.h"

struct posting { /* one Job on its way */
    struct submission *submission;
    struct task *task;
    json_t *job, *secret, *files; /* what is sent; NULL: none, or sent */
    char *uid;                    /* of the Job, once it is there */
};

struct submission {
    struct submission *next;
    struct kubernetes *self;
    struct descpipe_call *call; /* NULL: it was told how it ended */
    const struct descpipe_submission *given;
    struct pull_secret *pull;     /* being made */
    char login[PULL_SECRET_NAME]; /* the Secret with registry logins, "": none */
    struct posting *postings;
    uint32_t count, next_one, under_way;
    bool failed;
    uint32_t failure;
    char words[PULL_SECRET_WORDS];
    const char *hint;
};

static void post_more(struct submission *submission);

static void free_submission(struct submission *submission)
{
    struct submission **at = &submission->self->submissions;
    while (*at != submission) {
        at = &(*at)->next;
    }
    *at = submission->next;
    pull_secret_free(submission->pull);
    for (uint32_t i = 0; i < submission->count; i++) {
        json_decref(submission->postings[i].job);
        json_decref(submission->postings[i].secret);
        json_decref(submission->postings[i].files);
        free(submission->postings[i].uid);
    }
    free(submission->postings);
    free(submission);
}

bool submission_is_open(const struct kubernetes *self, const char *token)
{
    const struct submission *submission = self->submissions;
    while (submission != NULL && strcmp(submission->given->token, token) != 0) {
        submission = submission->next;
    }
    return submission != NULL;
}

void submissions_close(struct kubernetes *self)
{
    while (self->submissions != NULL) {
        free_submission(self->submissions);
    }
}

static void fail_submission(struct submission *submission, uint32_t failure, const char *hint, const char *words)
{
    if (!submission->failed) {
        submission->failed = true;
        submission->failure = failure;
        submission->hint = hint;
        snprintf(submission->words, sizeof(submission->words), "%s", words);
    }
}

/* The logins go when the last of its Jobs goes. */
static void give_away_login(const struct submission *submission)
{
    json_t *owners = json_array();
    for (uint32_t i = 0; i < submission->count; i++) {
        const struct posting *posting = &submission->postings[i];
        json_array_append_new(owners, json_pack("{s:s, s:s, s:s, s:s}", "apiVersion", "batch/v1", "kind", "Job", "name",
                                                posting->task->name, "uid", posting->uid));
    }
    pull_secret_own(&submission->self->cluster, submission->given->token, owners);
}

/* What may be sent once more under the same name keeps its logins. */
static bool is_final(uint32_t failure)
{
    return failure != DESCPIPE_FAILED_UNKNOWN && failure != DESCPIPE_FAILED_CANNOT_ASK &&
           failure != DESCPIPE_FAILED_LATER;
}

/* Its call has its answer. */
static void finish_submission(struct submission *submission)
{
    struct kubernetes *self = submission->self;
    if (submission->failed) {
        self->host->call->fail(submission->call, submission->failure, submission->words, submission->hint);
    } else {
        self->host->call->succeed(submission->call);
    }
    free_submission(submission);
}

static void login_removed(void *context, const struct cluster_reply *reply)
{
    struct submission *submission = context;
    pull_secret_check_removed(&submission->self->cluster, reply);
    finish_submission(submission);
}

static void end_submission(struct submission *submission)
{
    struct kubernetes *self = submission->self;
    if (!submission->failed && submission->login[0] != '\0') {
        give_away_login(submission);
    }
    for (uint32_t i = 0; i < submission->count; i++) {
        struct task *task = submission->postings[i].task;
        if (task == NULL) {
            continue;
        }
        if (!submission->failed) {
            self->host->answer->native_id(submission->call, task->job, task->name);
            continue;
        }
        if (task->created) {
            task_stop(task, DESCPIPE_ENDED_CANCELLED, "");
        }
        task_free(task);
    }
    bool useless = submission->failed && submission->login[0] != '\0' && is_final(submission->failure);
    if (!useless || pull_secret_remove(&self->cluster, submission->given->token, login_removed, submission) == NULL) {
        finish_submission(submission);
    }
}

static void go_on(struct submission *submission)
{
    submission->under_way--;
    post_more(submission);
}

static void post_belongings(struct posting *posting);

static void belonging_posted(void *context, const struct cluster_reply *reply)
{
    struct posting *posting = context;
    if (!reply->ok && reply->status != 409) {
        fail_submission(posting->submission, reply->failure, reply->hint, reply->words);
    }
    post_belongings(posting);
}

/* It goes when the Job goes. Takes `object`. */
static bool post_belonging(struct posting *posting, const char *plural, json_t *object)
{
    struct kubernetes *self = posting->submission->self;
    json_t *owner = json_pack("{s:s, s:s, s:s, s:s}", "apiVersion", "batch/v1", "kind", "Job", "name",
                              posting->task->name, "uid", posting->uid);
    json_object_set_new(json_object_get(object, "metadata"), "ownerReferences", json_pack("[o]", owner));
    char *path = cluster_path(&self->cluster, "/api/v1/namespaces/%s/%s", self->cluster.namespace, plural);
    const struct cluster_request request = {
        .method = "POST", .path = path, .body = object, .done = belonging_posted, .context = posting};
    bool asked = path != NULL && cluster_ask(&self->cluster, &request) != NULL;
    free(path);
    json_decref(object);
    if (!asked) {
        fail_submission(posting->submission, DESCPIPE_FAILED_CANNOT_ASK, NULL, "out of memory");
    }
    return asked;
}

/* One after the other; then the next Job. */
static void post_belongings(struct posting *posting)
{
    json_t *object = posting->secret != NULL ? posting->secret : posting->files;
    const char *plural = posting->secret != NULL ? "secrets" : "configmaps";
    if (posting->secret != NULL) {
        posting->secret = NULL;
    } else {
        posting->files = NULL;
    }
    if (object != NULL && posting->submission->failed) {
        json_decref(object);
        object = NULL;
    }
    if (object == NULL || !post_belonging(posting, plural, object)) {
        go_on(posting->submission);
    }
}

/* The Job is there. */
static void job_is_there(struct posting *posting, const json_t *job)
{
    const char *uid = json_string_value(json_object_get(json_object_get(job, "metadata"), "uid"));
    posting->task->created = true;
    posting->uid = strdup(uid != NULL ? uid : "");
    if (posting->uid == NULL) {
        fail_submission(posting->submission, DESCPIPE_FAILED_CANNOT_ASK, NULL, "out of memory");
    }
    post_belongings(posting);
}

static void job_found(void *context, const struct cluster_reply *reply)
{
    struct posting *posting = context;
    const char *token = json_string_value(
        json_object_get(json_object_get(json_object_get(reply->json, "metadata"), "labels"), POD_LABEL_TOKEN));
    bool leaving = json_object_get(json_object_get(reply->json, "metadata"), "deletionTimestamp") != NULL;
    if (!reply->ok) {
        fail_submission(posting->submission, reply->failure, reply->hint, reply->words);
    } else if (token == NULL || strcmp(token, posting->task->token) != 0 || leaving) {
        char words[CLUSTER_WORDS];
        snprintf(words, sizeof(words), "there is another Job '%s' in namespace '%s'", posting->task->name,
                 posting->submission->self->cluster.namespace);
        fail_submission(posting->submission, leaving ? DESCPIPE_FAILED_LATER : DESCPIPE_FAILED_REFUSED, NULL, words);
    } else {
        job_is_there(posting, reply->json);
        return;
    }
    go_on(posting->submission);
}

static void job_posted(void *context, const struct cluster_reply *reply)
{
    struct posting *posting = context;
    struct kubernetes *self = posting->submission->self;
    if (reply->ok) {
        job_is_there(posting, reply->json);
        return;
    }
    if (reply->status == 409) { /* ours, whose answer was lost */
        char *path = cluster_path(&self->cluster, "/apis/batch/v1/namespaces/%s/jobs/%s", self->cluster.namespace,
                                  posting->task->name);
        const struct cluster_request request = {.method = "GET", .path = path, .done = job_found, .context = posting};
        bool asked = path != NULL && cluster_ask(&self->cluster, &request) != NULL;
        free(path);
        if (asked) {
            return;
        }
        fail_submission(posting->submission, DESCPIPE_FAILED_UNKNOWN, NULL, "out of memory");
    } else {
        char words[CLUSTER_WORDS + 64];
        snprintf(words, sizeof(words), "cannot make the Job '%s': %s", posting->task->name, reply->words);
        /* Nobody knows whether the last try arrived: it may be asked for again. */
        posting->task->created = reply->status == 0 || reply->status >= 500;
        fail_submission(posting->submission, reply->failure, reply->hint, words);
    }
    go_on(posting->submission);
}

static void post_more(struct submission *submission)
{
    struct kubernetes *self = submission->self;
    if (!submission->failed && self->host->call->cancelled(submission->call)) {
        fail_submission(submission, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    }
    while (!submission->failed && submission->next_one < submission->count &&
           submission->under_way < KUBERNETES_POSTS) {
        struct posting *posting = &submission->postings[submission->next_one++];
        char *path = cluster_path(&self->cluster, "/apis/batch/v1/namespaces/%s/jobs", self->cluster.namespace);
        const struct cluster_request request = {
            .method = "POST", .path = path, .body = posting->job, .done = job_posted, .context = posting};
        bool asked = path != NULL && cluster_ask(&self->cluster, &request) != NULL;
        free(path);
        submission->under_way += asked;
        if (!asked) {
            fail_submission(submission, DESCPIPE_FAILED_CANNOT_ASK, NULL, "out of memory");
        }
    }
    if (submission->under_way == 0 && (submission->failed || submission->next_one == submission->count)) {
        end_submission(submission);
    }
}

static json_t *job_manifest(const struct pod_wishes *wishes, const struct descpipe_submission *given, uint32_t index,
                            const char *name, const char *secret, char words[POD_WORDS])
{
    json_t *pod = pod_specification(wishes, given->jobs[index], index, secret, words);
    json_t *metadata = pod != NULL ? pod_metadata(wishes, given, index, name) : NULL;
    if (metadata == NULL) {
        json_decref(pod);
        return NULL;
    }
    json_t *inner = json_deep_copy(metadata);
    json_object_del(inner, "name");
    return json_pack("{s:s, s:s, s:o, s:{s:i, s:i, s:i, s:{s:o, s:o}}}", "apiVersion", "batch/v1", "kind", "Job",
                     "metadata", metadata, "spec", "backoffLimit", 0, "completions", 1, "parallelism", 1, "template",
                     "metadata", inner, "spec", pod);
}

static bool prepare_files(struct posting *posting, const struct pod_wishes *wishes,
                          const struct descpipe_submission *given, uint32_t index)
{
    char words[POD_WORDS] = "out of memory", message[POD_WORDS + 128];
    json_t *data = pod_files_data(given->jobs[index], words);
    if (data == NULL) {
        snprintf(message, sizeof(message), "stage '%.100s': %s", given->jobs[index]->stage, words);
        fail_submission(posting->submission, DESCPIPE_FAILED_REFUSED, NULL, message);
        return false;
    }
    posting->files = json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "ConfigMap", "metadata",
                               pod_metadata(wishes, given, index, posting->task->name), "binaryData", data);
    return posting->files != NULL;
}

/* False: fail_submission was told. */
static bool prepare(struct submission *submission, uint32_t index)
{
    struct kubernetes *self = submission->self;
    const struct descpipe_submission *given = submission->given;
    const struct descpipe_job *job = given->jobs[index];
    struct posting *posting = &submission->postings[index];
    struct pod_wishes wishes;
    char words[POD_WORDS] = "out of memory";
    const char *hint = "set 'volume' to what holds the working folder, for this machine and for the cluster";
    posting->submission = submission;
    posting->task = task_new(self, given, index);
    if (posting->task == NULL) {
        fail_submission(submission, DESCPIPE_FAILED_REFUSED, NULL, words);
        return false;
    }
    if (job->form == NULL) {
        fail_submission(submission, DESCPIPE_FAILED_UNSUPPORTED, NULL, "a Job needs a form");
        return false;
    }
    bool secrets = job->late_environment != NULL && job->late_environment[0] != NULL;
    kubernetes_wishes(self, job, &wishes);
    wishes.files = posting->task->name;
    if (wishes.apart) {
        wishes.mount = given->working;
    }
    wishes.pull_login = submission->login[0] != '\0' && kubernetes_wants_login(self, job) ? submission->login : NULL;
    posting->job =
        job_manifest(&wishes, given, index, posting->task->name, secrets ? posting->task->name : NULL, words);
    if (posting->job == NULL) {
        char message[POD_WORDS + 128];
        snprintf(message, sizeof(message), "stage '%.100s': %s", job->stage, words);
        fail_submission(submission, DESCPIPE_FAILED_REFUSED, hint, message);
        return false;
    }
    if (secrets) {
        posting->secret =
            json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "Secret", "metadata",
                      pod_metadata(&wishes, given, index, posting->task->name), "data", pod_secret_data(job));
    }
    return !wishes.apart || prepare_files(posting, &wishes, given, index);
}

/* They are there already: the watch tells what became of them. */
static void adopt(struct kubernetes *self, struct descpipe_call *call, const struct descpipe_submission *given)
{
    for (uint32_t i = 0; i < given->count; i++) {
        struct task *task = given->jobs[i]->native_id != NULL ? task_new(self, given, i) : NULL;
        if (task != NULL) {
            task->created = true;
        }
    }
    self->logins = true; /* the one who submitted it may have made some */
    self->host->call->succeed(call);
}

static void got_login(void *context, const struct pull_secret_answer *answer)
{
    struct submission *submission = context;
    if (answer->failure != 0) {
        fail_submission(submission, answer->failure, answer->hint, answer->words);
    } else if (answer->name != NULL) {
        snprintf(submission->login, sizeof(submission->login), "%s", answer->name);
        submission->self->logins = true;
    }
    pull_secret_free(submission->pull);
    submission->pull = NULL;
    for (uint32_t i = 0; i < submission->count && !submission->failed && prepare(submission, i); i++) {
    }
    post_more(submission);
}

void kubernetes_submit(void *context, struct descpipe_call *call, const struct descpipe_submission *given)
{
    struct kubernetes *self = context;
    if (!kubernetes_connect(self, call)) {
        return;
    }
    tasks_watch(self, given->run);
    if ((given->flags & DESCPIPE_SUBMISSION_ADOPT) != 0) {
        adopt(self, call, given);
        return;
    }
    struct submission *submission = calloc(1, sizeof(*submission));
    struct posting *postings = calloc((size_t)given->count + 1, sizeof(*postings));
    if (submission == NULL || postings == NULL) {
        free(submission);
        free(postings);
        self->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        return;
    }
    *submission = (struct submission){.next = self->submissions,
                                      .self = self,
                                      .call = call,
                                      .given = given,
                                      .postings = postings,
                                      .count = given->count};
    self->submissions = submission;
    const struct pull_secret_request request = {.cluster = &self->cluster,
                                                .submission = given,
                                                .wanted = kubernetes_wants_login,
                                                .done = got_login,
                                                .self = self,
                                                .context = submission};
    submission->pull = pull_secret_make(&request);
    if (submission->pull == NULL) {
        fail_submission(submission, DESCPIPE_FAILED_CANNOT_ASK, NULL, "out of memory");
        end_submission(submission);
    }
}
