/* SPDX-License-Identifier: BSD-3-Clause */
/* The operations that are one question: find, cancel, release, probe. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argo.h"
#include "cluster/pull_secret.h"
#include "cluster/pull_sweep.h"
#include "dag.h"

enum { FIND_LIMIT = 1 << 20 };

struct question {
    struct argo *self;
    struct descpipe_call *call;
    struct cluster_exchange *exchange;
    char *run;      /* find */
    json_t *tokens; /* find: of what was found */
    struct pull_sweep *sweep;
};

static void question_free(struct question *question)
{
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

/* NULL: the call has failed. */
static struct question *question_ask(struct argo *self, struct descpipe_call *call, const char *path,
                                     void (*done)(void *context, const struct cluster_reply *reply))
{
    struct question *question = calloc(1, sizeof(*question));
    if (question != NULL) {
        *question = (struct question){.self = self, .call = call};
        const struct cluster_request request = {.method = "GET", .path = path, .done = done, .context = question};
        question->exchange = path != NULL ? cluster_ask(&self->cluster, &request) : NULL;
    }
    if (question == NULL || question->exchange == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        free(question);
        return NULL;
    }
    self->host->call->on_cancel(call, question_cancelled, question);
    return question;
}

/* find: a run has few Workflows, each with its jobs by position. */

static void answer_tasks(const struct question *question, const json_t *workflow)
{
    const json_t *metadata = json_object_get(workflow, "metadata");
    const json_t *tasks = dag_tasks(workflow);
    int64_t position = 0;
    bool loops;
    const char *name = json_string_value(json_object_get(metadata, "name"));
    const char *token = json_string_value(json_object_get(json_object_get(metadata, "labels"), POD_LABEL_TOKEN));
    if (name == NULL || token == NULL || json_object_get(metadata, "deletionTimestamp") != NULL) {
        return;
    }
    for (size_t i = 0; i < json_array_size(tasks); i++) {
        uint32_t size = dag_task_size(json_array_get(tasks, i), &loops);
        for (uint32_t k = 0; k < size && position < FIND_LIMIT; k++) {
            const struct descpipe_found found = {.size = sizeof(found),
                                                 .running = !node_is_over(json_object_get(workflow, "status")),
                                                 .token = token,
                                                 .native_id = name,
                                                 .index = position++};
            question->self->host->answer->found(question->call, &found);
        }
    }
}

/* A submission that has a Workflow, or that is on its way now. */
static bool is_known(const void *context, const char *token)
{
    const struct question *question = context;
    return json_object_get(question->tokens, token) != NULL || flow_find(question->self, token) != NULL;
}

static void swept(void *context)
{
    struct question *question = context;
    question->self->host->call->succeed(question->call);
    question_free(question);
}

/* All of one run have its label. Argo Server has no Secrets. */
static void sweep_logins(struct question *question, const json_t *items)
{
    question->tokens = json_object();
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *labels = json_object_get(json_object_get(json_array_get(items, i), "metadata"), "labels");
        const char *token = json_string_value(json_object_get(labels, POD_LABEL_TOKEN));
        if (token != NULL) {
            json_object_set_new(question->tokens, token, json_true());
        }
    }
    const struct pull_sweep_request request = {.cluster = &question->self->cluster,
                                               .run = question->run,
                                               .is_known = is_known,
                                               .done = swept,
                                               .context = question};
    bool can = !server_is_asked(question->self) && question->run != NULL && question->tokens != NULL;
    question->sweep = can ? pull_sweep_start(&request) : NULL;
    if (question->sweep == NULL) {
        swept(question);
    }
}

static void workflows_came(void *context, const struct cluster_reply *reply)
{
    struct question *question = context;
    const json_t *items = json_object_get(reply->json, "items");
    question->exchange = NULL;
    if (!reply->ok) {
        cluster_fail(&question->self->cluster, question->call, "look for this run's Workflows", reply);
        question_free(question);
        return;
    }
    for (size_t i = 0; i < json_array_size(items); i++) {
        answer_tasks(question, json_array_get(items, i));
    }
    sweep_logins(question, items);
}

void argo_find(void *context, struct descpipe_call *call, const char *run)
{
    struct argo *self = context;
    if (!argo_connect(self, call)) {
        return;
    }
    char *value = cluster_escape(run), *all = server_workflows(self, NULL);
    char *path = value != NULL && all != NULL
                     ? cluster_path(&self->cluster, "%s?%slabelSelector=" POD_LABEL_RUN "%%3D%s", all,
                                    server_is_asked(self) ? "listOptions." : "", value)
                     : NULL;
    struct question *question = question_ask(self, call, path, workflows_came);
    if (question != NULL) {
        question->run = strdup(run);
    }
    free(path);
    free(all);
    free(value);
}

/* cancel: their ends come through the sink. Argo ends whole Workflows. */

static bool is_listed(const uint64_t *jobs, uint64_t count, uint64_t job)
{
    for (uint64_t i = 0; i < count; i++) {
        if (jobs[i] == job) {
            return true;
        }
    }
    return false;
}

/* Whoever is not to be ended keeps its Workflow alive. */
static bool others_go_on(const struct flow *flow, const uint64_t *jobs, uint64_t count)
{
    for (uint32_t i = 0; i < flow->count; i++) {
        const struct task *task = &flow->tasks[i];
        if (task->job != 0 && task->step == TASK_LIVES && !is_listed(jobs, count, task->job)) {
            return true;
        }
    }
    return false;
}

static bool is_stopping(const struct argo *self, const char *name)
{
    for (const struct flow *flow = self->flows; flow != NULL; flow = flow->next) {
        if (flow->stopping && strcmp(flow->name, name) == 0) {
            return true;
        }
    }
    return false;
}

void argo_cancel(void *context, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    struct argo *self = context;
    bool refused = false;
    for (struct flow *flow = self->flows; flow != NULL; flow = flow->next) {
        bool wanted = false;
        for (uint32_t i = 0; i < flow->count && !wanted; i++) {
            wanted = flow->tasks[i].job != 0 && flow->tasks[i].step == TASK_LIVES &&
                     is_listed(jobs, count, flow->tasks[i].job);
        }
        if (wanted && others_go_on(flow, jobs, count)) {
            refused = true;
        } else if (wanted && !is_stopping(self, flow->name)) {
            flow_stop(flow);
        }
    }
    if (refused) {
        self->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "Argo ends whole Workflows, not single stages", NULL);
    } else {
        self->host->call->succeed(call);
    }
}

/* release: the Workflow stays, for people to look at, as long as its own `ttl` or the cluster says. Its registry logins
 * do not. */

static void logins_removed(void *context, const struct cluster_reply *reply)
{
    struct question *question = context;
    const struct argo *self = question->self;
    pull_secret_check_removed(&self->cluster, reply);
    self->host->call->succeed(question->call);
    free(question);
}

void argo_release(void *context, struct descpipe_call *call, const char *token)
{
    struct argo *self = context;
    for (struct flow *flow = flow_find(self, token); flow != NULL; flow = flow_find(self, token)) {
        flow_free(flow);
    }
    struct question *question = self->logins ? calloc(1, sizeof(*question)) : NULL;
    if (question != NULL) {
        *question = (struct question){.self = self, .call = call};
        question->exchange = pull_secret_remove(&self->cluster, token, logins_removed, question);
    }
    if (question != NULL && question->exchange != NULL) {
        self->host->call->on_cancel(call, question_cancelled, question);
        return;
    }
    free(question);
    self->host->call->succeed(call);
}

/* probe: the cluster, and whether it has Argo's objects. */

static void resources_came(void *context, const struct cluster_reply *reply)
{
    struct question *question = context;
    const struct argo *self = question->self;
    question->exchange = NULL;
    if (reply->status == 404 && server_is_asked(self)) {
        char words[CLUSTER_WORDS];
        snprintf(words, sizeof(words), "%.300s does not know Workflows: it is no Argo Server", self->cluster.server);
        self->host->call->fail(question->call, DESCPIPE_FAILED_NOT_FOUND, words,
                               "give its address as people see it: the option 'server', or PIPELINE_HOST");
    } else if (reply->status == 404) {
        self->host->call->fail(question->call, DESCPIPE_FAILED_NOT_FOUND,
                               "the cluster does not know Workflows: Argo is not installed there",
                               "ask its administrators for Argo Workflows, or use the scheduler 'kubernetes'");
    } else if (!reply->ok) {
        cluster_fail(&self->cluster, question->call, "ask the cluster about Argo", reply);
    } else {
        self->host->answer->fact(question->call, "server", self->cluster.server);
        self->host->answer->fact(question->call, "namespace", self->cluster.namespace);
        self->host->answer->fact(question->call, "access", self->cluster.access.origin);
        self->host->call->succeed(question->call);
    }
    free(question);
}

void argo_probe(void *context, struct descpipe_call *call)
{
    struct argo *self = context;
    if (!argo_connect(self, call)) {
        return;
    }
    if (!server_is_asked(self)) {
        question_ask(self, call, "/apis/" WORKFLOW_API, resources_came);
        return;
    }
    char *path = cluster_path(&self->cluster, "/api/v1/workflows/%s?listOptions.limit=1", self->cluster.namespace);
    question_ask(self, call, path, resources_came);
    free(path);
}
