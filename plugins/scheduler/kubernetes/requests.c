/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations that are one question: find, cancel, release, probe. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/pull_secret.h"
#include "cluster/pull_sweep.h"
#include "kubernetes.h"

struct question {
    struct kubernetes *self;
    struct descpipe_call *call; /* NULL: nobody waits any more */
    struct cluster_exchange *exchange;
    char *selector, *page; /* find: of the run's Jobs; release: the token */
    char *run;             /* find */
    json_t *tokens;        /* find: of what was found */
    struct pull_sweep *sweep;
};

static void question_free(struct question *question)
{
    free(question->selector);
    free(question->page);
    free(question->run);
    json_decref(question->tokens);
    pull_sweep_free(question->sweep);
    free(question);
}

static void question_cancelled(void *context)
{
    struct question *question = context;
    question->self->host->call->fail(question->call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
    cluster_drop(question->exchange);
    question_free(question);
}

static struct question *question_new(struct kubernetes *self, struct descpipe_call *call)
{
    struct question *question = kubernetes_connect(self, call) ? calloc(1, sizeof(*question)) : NULL;
    if (question == NULL) {
        if (self->connected) {
            self->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        }
        return NULL;
    }
    *question = (struct question){.self = self, .call = call};
    self->host->call->on_cancel(call, question_cancelled, question);
    return question;
}

static void question_ask(struct question *question, const char *method, const char *path,
                         void (*done)(void *context, const struct cluster_reply *reply))
{
    const struct cluster_request request = {.method = method, .path = path, .done = done, .context = question};
    question->exchange = path != NULL ? cluster_ask(&question->self->cluster, &request) : NULL;
    if (question->exchange == NULL) {
        question->self->host->call->fail(question->call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        question_free(question);
    }
}

/* find */

static void ask_page(struct question *question);

static bool is_over(const json_t *job)
{
    const json_t *status = json_object_get(job, "status");
    return json_integer_value(json_object_get(status, "succeeded")) > 0 ||
           json_integer_value(json_object_get(status, "failed")) > 0;
}

static void answer_found(const struct question *question, const json_t *job)
{
    const json_t *metadata = json_object_get(job, "metadata"), *labels = json_object_get(metadata, "labels");
    const char *token = json_string_value(json_object_get(labels, POD_LABEL_TOKEN));
    const char *index = json_string_value(json_object_get(labels, POD_LABEL_INDEX));
    const char *name = json_string_value(json_object_get(metadata, "name"));
    if (token == NULL || index == NULL || name == NULL || json_object_get(metadata, "deletionTimestamp") != NULL) {
        return;
    }
    const struct descpipe_found found = {.size = sizeof(found),
                                         .running = !is_over(job),
                                         .token = token,
                                         .native_id = name,
                                         .index = strtoll(index, NULL, 10)};
    question->self->host->answer->found(question->call, &found);
    json_object_set_new(question->tokens, token, json_true());
}

/* A submission that has a Job, or that is on its way now. */
static bool is_known(const void *context, const char *token)
{
    const struct question *question = context;
    for (const struct task *task = question->self->tasks; task != NULL; task = task->next) {
        if (strcmp(task->token, token) == 0) {
            return true;
        }
    }
    return json_object_get(question->tokens, token) != NULL || submission_is_open(question->self, token);
}

static void swept(void *context)
{
    struct question *question = context;
    question->self->host->call->succeed(question->call);
    question_free(question);
}

static void sweep_logins(struct question *question)
{
    const struct pull_sweep_request request = {.cluster = &question->self->cluster,
                                               .run = question->run,
                                               .is_known = is_known,
                                               .done = swept,
                                               .context = question};
    question->sweep = pull_sweep_start(&request);
    if (question->sweep == NULL) {
        swept(question);
    }
}

static void found_page(void *context, const struct cluster_reply *reply)
{
    struct question *question = context;
    const json_t *items = json_object_get(reply->json, "items");
    question->exchange = NULL;
    if (!reply->ok) {
        cluster_fail(&question->self->cluster, question->call, "look for this run's Jobs", reply);
        question_free(question);
        return;
    }
    for (size_t i = 0; i < json_array_size(items); i++) {
        answer_found(question, json_array_get(items, i));
    }
    const char *page = json_string_value(json_object_get(json_object_get(reply->json, "metadata"), "continue"));
    free(question->page);
    question->page = page != NULL && page[0] != '\0' ? cluster_escape(page) : NULL;
    if (question->page != NULL) {
        ask_page(question);
        return;
    }
    sweep_logins(question);
}

static void ask_page(struct question *question)
{
    const struct kubernetes *self = question->self;
    char *path = cluster_path(&self->cluster, "/apis/batch/v1/namespaces/%s/jobs?limit=500&labelSelector=%s%s%s",
                              self->cluster.namespace, question->selector, question->page != NULL ? "&continue=" : "",
                              question->page != NULL ? question->page : "");
    question_ask(question, "GET", path, found_page);
    free(path);
}

void kubernetes_find(void *context, struct descpipe_call *call, const char *run)
{
    struct question *question = question_new(context, call);
    if (question == NULL) {
        return;
    }
    char *value = cluster_escape(run);
    question->selector = value != NULL ? cluster_path(&question->self->cluster, POD_LABEL_RUN "%%3D%s", value) : NULL;
    free(value);
    question->run = strdup(run);
    question->tokens = json_object();
    if (question->selector == NULL || question->run == NULL || question->tokens == NULL) {
        question->self->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        question_free(question);
        return;
    }
    ask_page(question);
}

/* cancel: their ends come through the sink. */

void kubernetes_cancel(void *context, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    struct kubernetes *self = context;
    for (uint64_t i = 0; i < count; i++) {
        struct task *task = task_of_job(self, jobs[i]);
        if (task != NULL) {
            task_stop(task, DESCPIPE_ENDED_CANCELLED, "");
        }
    }
    self->host->call->succeed(call);
}

/* release */

static void released(void *context, const struct cluster_reply *reply)
{
    struct question *question = context;
    if (reply->ok || reply->status == 404) {
        question->self->host->call->succeed(question->call);
    } else {
        cluster_fail(&question->self->cluster, question->call, "remove the Jobs that are over", reply);
    }
    question_free(question);
}

static void release_jobs(struct question *question)
{
    struct kubernetes *self = question->self;
    char *value = cluster_escape(question->selector);
    char *path = value != NULL ? cluster_path(&self->cluster,
                                              "/apis/batch/v1/namespaces/%s/jobs?labelSelector=" POD_LABEL_TOKEN
                                              "%%3D%s&propagationPolicy=Background",
                                              self->cluster.namespace, value)
                               : NULL;
    question_ask(question, "DELETE", path, released);
    free(path);
    free(value);
}

static void logins_removed(void *context, const struct cluster_reply *reply)
{
    struct question *question = context;
    pull_secret_check_removed(&question->self->cluster, reply);
    release_jobs(question);
}

void kubernetes_release(void *context, struct descpipe_call *call, const char *token)
{
    struct kubernetes *self = context;
    struct question *question = question_new(self, call);
    if (question == NULL) {
        return;
    }
    for (struct task *task = self->tasks, *next; task != NULL; task = next) {
        next = task->next;
        if (strcmp(task->token, token) == 0) {
            task_free(task);
        }
    }
    question->selector = strdup(token);
    if (question->selector == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        question_free(question);
        return;
    }
    question->exchange = self->logins ? pull_secret_remove(&self->cluster, token, logins_removed, question) : NULL;
    if (question->exchange == NULL) {
        release_jobs(question);
    }
}

/* probe */

static void version_came(void *context, const struct cluster_reply *reply)
{
    struct question *question = context;
    const struct kubernetes *self = question->self;
    const char *version = json_string_value(json_object_get(reply->json, "gitVersion"));
    if (!reply->ok) {
        cluster_fail(&self->cluster, question->call, "ask the cluster for its version", reply);
        question_free(question);
        return;
    }
    self->host->answer->fact(question->call, "version", version != NULL ? version : "unknown");
    self->host->answer->fact(question->call, "server", self->cluster.server);
    self->host->answer->fact(question->call, "namespace", self->cluster.namespace);
    self->host->answer->fact(question->call, "access", self->cluster.access.origin);
    self->host->call->succeed(question->call);
    question_free(question);
}

void kubernetes_probe(void *context, struct descpipe_call *call)
{
    struct question *question = question_new(context, call);
    if (question != NULL) {
        question_ask(question, "GET", "/version", version_came);
    }
}
