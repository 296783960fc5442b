/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of Workflows: what the watches of the run tell.
 *
 * How it works: each word about a Workflow brings all of its nodes, which are laid beside the tasks (place.c): the one
 * that stands for the task, the attempt that is told about, and the one after it. task.c goes on from there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argo.h"
#include "artifacts.h"

enum { NOBODY_MS = 30000 };

struct flow *flow_find(const struct argo *self, const char *name)
{
    struct flow *flow = name != NULL ? self->flows : NULL;
    while (flow != NULL && strcmp(flow->name, name) != 0) {
        flow = flow->next;
    }
    return flow;
}

struct task *flow_task(const struct argo *self, uint64_t job)
{
    for (struct flow *flow = self->flows; flow != NULL; flow = flow->next) {
        for (uint32_t i = 0; i < flow->count; i++) {
            if (flow->tasks[i].job == job) {
                return &flow->tasks[i];
            }
        }
    }
    return NULL;
}

static void tasks_free(struct flow *flow)
{
    for (uint32_t i = 0; i < flow->count; i++) {
        task_clear(&flow->tasks[i]);
    }
    free(flow->tasks);
}

void flow_free(struct flow *flow)
{
    struct argo *self = flow->self;
    for (struct flow **at = &self->flows; *at != NULL; at = &(*at)->next) {
        if (*at == flow) {
            *at = flow->next;
            break;
        }
    }
    if (flow->timer != NULL) {
        self->host->timer->stop(flow->timer);
    }
    if (flow->patience != NULL) {
        self->host->timer->stop(flow->patience);
    }
    tasks_free(flow);
    json_decref(flow->by_name);
    json_decref(flow->early);
    free(flow->units);
    json_decref(flow->nodes);
    free(flow->name);
    free(flow->uid);
    free(flow);
}

struct flow *flow_new(struct argo *self, const struct descpipe_submission *submission)
{
    struct flow *flow = calloc(1, sizeof(*flow));
    if (flow == NULL) {
        return NULL;
    }
    *flow = (struct flow){.self = self,
                          .name = strdup(submission->token),
                          .count = submission->count,
                          .tasks = calloc((size_t)submission->count + 1, sizeof(*flow->tasks)),
                          .by_name = json_object()};
    bool adopts = (submission->flags & DESCPIPE_SUBMISSION_ADOPT) != 0;
    bool good = flow->name != NULL && flow->tasks != NULL && flow->by_name != NULL;
    for (uint32_t i = 0; good && i < submission->count; i++) {
        const struct descpipe_job *job = submission->jobs[i];
        struct task *task = &flow->tasks[i];
        task->flow = flow;
        if (job->job == 0 || (adopts && job->native_id == NULL)) {
            continue;
        }
        task->job = job->job;
        task->index = i;
        task->first = task->output_attempt = job->attempt;
        task->output = job->output_path != NULL ? strdup(job->output_path) : NULL;
        task_begin_attempt(task, 0);
        task->makes = self->store.bucket != NULL ? artifacts_made(&self->store, submission->token, job) : NULL;
    }
    flow->next = self->flows;
    self->flows = flow;
    if (!good) {
        flow_free(flow);
        return NULL;
    }
    return flow;
}

/* What the watches tell. */

static void look_at_all(struct flow *flow)
{
    flow_lay_beside(flow);
    for (uint32_t i = 0; i < flow->count; i++) {
        if (flow->tasks[i].job != 0) {
            task_look(&flow->tasks[i]);
        }
    }
}

static void look_again(void *context)
{
    struct flow *flow = context;
    flow->timer = NULL;
    if (flow->again) {
        flow->again = false;
        look_at_all(flow);
    }
}

void flow_look_soon(struct flow *flow)
{
    if (flow->timer == NULL) {
        flow->timer = flow->self->host->timer->start(flow->self->host, 0, look_again, flow);
    }
}

static const json_t *metadata_of(const json_t *object, const char *key)
{
    return json_object_get(json_object_get(object, "metadata"), key);
}

static void pod_changed(void *context, const json_t *pod, bool gone);

/* Those that came before it was known whose they are. */
static void replay_pods(struct flow *flow)
{
    json_t *early = flow->early, *pod;
    const char *name;
    flow->early = NULL;
    json_object_foreach(early, name, pod)
    {
        pod_changed(flow->self, pod, false);
    }
    json_decref(early);
}

static void workflow_changed(void *context, const json_t *workflow, bool gone)
{
    struct flow *flow = flow_find(context, json_string_value(metadata_of(workflow, "name")));
    if (flow == NULL || flow->over) {
        return;
    }
    const json_t *status = json_object_get(workflow, "status");
    const char *message = json_string_value(json_object_get(status, "message"));
    const char *uid = json_string_value(metadata_of(workflow, "uid"));
    flow->is_taken = flow->is_taken || json_object_size(status) > 0;
    if (flow->uid == NULL && uid != NULL) {
        flow->uid = strdup(uid);
    }
    if (!flow->is_read && json_is_object(json_object_get(workflow, "spec"))) {
        flow_read(flow, workflow);
        replay_pods(flow);
    }
    flow->by_node = server_names_by_node(workflow);
    json_t *nodes = node_all(status);
    if (nodes != NULL) {
        json_decref(flow->nodes);
        flow->nodes = nodes;
    }
    if (message != NULL) {
        snprintf(flow->words, sizeof(flow->words), "its Workflow ended: %.400s", message);
    }
    flow->over = gone || node_is_over(status);
    if (gone && !node_is_over(status)) {
        snprintf(flow->words, sizeof(flow->words), "its Workflow was deleted by somebody else");
    }
    look_at_all(flow);
}

void flow_take(struct flow *flow, const json_t *workflow)
{
    if (workflow != NULL) {
        workflow_changed(flow->self, workflow, false);
    } else {
        flow->over = true;
        snprintf(flow->words, sizeof(flow->words), "its Workflow is not there any more");
        look_at_all(flow);
    }
}

static void nobody_looks(void *context)
{
    struct flow *flow = context;
    flow->patience = NULL;
    for (uint32_t i = 0; i < flow->count && !flow->is_taken && !flow->over; i++) {
        if (flow->tasks[i].job != 0) {
            task_tell_waiting(&flow->tasks[i], "no controller of Argo has taken its Workflow up yet");
            return;
        }
    }
}

void flow_begin(struct flow *flow)
{
    flow->patience = flow->self->host->timer->start(flow->self->host, NOBODY_MS, nobody_looks, flow);
}

static void pod_changed(void *context, const json_t *pod, bool gone)
{
    struct argo *self = context;
    const char *token = json_string_value(json_object_get(metadata_of(pod, "labels"), POD_LABEL_TOKEN));
    const char *name = json_string_value(metadata_of(pod, "name"));
    struct flow *flow = flow_find(self, token);
    if (flow == NULL || name == NULL) {
        return;
    }
    if (!flow->is_read) {
        flow->early = flow->early != NULL ? flow->early : json_object();
        if (gone) {
            json_object_del(flow->early, name);
        } else {
            json_object_set(flow->early, name, (json_t *)(uintptr_t)pod);
        }
        return;
    }
    struct task *task = flow_task_of_pod(flow, pod);
    if (task == NULL || task->step != TASK_LIVES || json_object_get(pod, "status") == NULL) {
        return; /* none of ours, or of an attempt that is told about later */
    }
    if (task->pod == NULL) {
        task->log.pod = task->pod = strdup(name);
    }
    pod_look(pod, &task->seen);
    task->is_seen = !gone || task->seen.phase == POD_ENDED;
    task_look(task);
}

static void watch_blind(void *context, const char *message)
{
    struct argo *self = context;
    if (self->sink != NULL) {
        self->host->observe->blind(self->sink, message);
    }
}

void flow_watch(struct argo *self, const char *run)
{
    if (self->watching) {
        return;
    }
    self->watching = true;
    struct cluster_watch both = {.cluster = &self->cluster, .context = self};
    self->pods = self->workflows = both;
    self->workflows.changed = workflow_changed;
    self->workflows.blind = watch_blind;
    self->pods.changed = pod_changed;
    self->workflows.path = server_workflows(self, NULL);
    self->pods.path = cluster_path(&self->cluster, "/api/v1/namespaces/%s/pods", self->cluster.namespace);
    self->workflows.selector = cluster_path(&self->cluster, POD_LABEL_RUN "%%3D%s", run);
    self->pods.selector = cluster_path(&self->cluster, POD_LABEL_RUN "%%3D%s", run);
    if (server_is_asked(self)) {
        self->workflows.events = cluster_path(&self->cluster, "/api/v1/workflow-events/%s", self->cluster.namespace);
        watch_begin(&self->workflows);
        return;
    }
    watch_begin(&self->workflows);
    watch_begin(&self->pods);
}

void flow_close(struct argo *self)
{
    if (self->watching) {
        watch_end(&self->workflows);
        watch_end(&self->pods);
    }
    self->watching = false;
    while (self->flows != NULL) {
        flow_free(self->flows);
    }
}

static void stopped(void *context, const struct cluster_reply *reply)
{
    struct argo *self = context;
    if (!reply->ok && reply->status != 404) {
        self->host->log->write(self->host, DESCPIPE_LOG_WARNING, reply->words);
    }
}

void flow_stop(struct flow *flow)
{
    struct argo *self = flow->self;
    struct cluster_request request = {.done = stopped, .context = self};
    if (flow->over || flow->stopping) {
        return;
    }
    flow->stopping = true;
    server_stop(self, flow->name, &request);
}
