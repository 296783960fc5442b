/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of Workflows and their stages: what the watches of the run tell, in the host's words.
 *
 * How it works: each word about a Workflow brings all of its nodes, which are laid beside the tasks: the one that
 * stands for the task, the attempt that is told about, and the one after it. An attempt that is over waits for its log,
 * and then for Argo's decision: a later attempt, or the end of the task.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argo.h"

enum { NOBODY_MS = 30000 };

static void look_at_task(struct task *task);
static void log_is_whole(void *context);

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

static void stop_patience(struct task *task)
{
    if (task->patience != NULL) {
        task->flow->self->host->timer->stop(task->patience);
        task->patience = NULL;
    }
}

/* "STAGE.1.out" → "STAGE.2.out": each attempt has a log of its own. */
static char *log_path_of(const struct task *task)
{
    char before[32], *path = NULL;
    uint64_t attempt = task->first + task->current;
    if (task->output == NULL) {
        return NULL;
    }
    snprintf(before, sizeof(before), ".%" PRIu64 ".out", task->output_attempt);
    size_t length = strlen(task->output), tail = strlen(before);
    bool named = length > tail && strcmp(task->output + length - tail, before) == 0;
    if (!named || attempt == task->output_attempt) {
        return strdup(task->output);
    }
    return asprintf(&path, "%.*s.%" PRIu64 ".out", (int)(length - tail), task->output, attempt) >= 0 ? path : NULL;
}

/* The task's next attempt, or its first, of which nothing is known yet. */
void task_begin_attempt(struct task *task, uint32_t number)
{
    struct argo *self = task->flow->self;
    stop_patience(task);
    free(task->log_path);
    free(task->pod);
    free(task->said);
    task->pod = task->said = NULL;
    task->current = number;
    task->step = TASK_LIVES;
    task->ran = task->is_seen = false;
    task->trouble = POD_FINE;
    task->cause = 0;
    task->log_path = log_path_of(task);
    task->log = (struct pod_log){.cluster = &self->cluster,
                                 .following = &self->following,
                                 .output = task->log_path,
                                 .workflow = server_is_asked(self) ? task->flow->name : NULL,
                                 .whole = log_is_whole,
                                 .context = task};
}

static void tasks_free(struct flow *flow)
{
    for (uint32_t i = 0; i < flow->count; i++) {
        struct task *task = &flow->tasks[i];
        if (task->job != 0) {
            stop_patience(task);
            pod_log_drop(&task->log);
        }
        free(task->output);
        free(task->log_path);
        free(task->said);
        free(task->pod);
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
    }
    flow->next = self->flows;
    self->flows = flow;
    if (!good) {
        flow_free(flow);
        return NULL;
    }
    return flow;
}

/* Telling. */

static void tell(const struct task *task, struct descpipe_change *change)
{
    const struct argo *self = task->flow->self;
    change->size = sizeof(*change);
    change->job = task->job;
    change->attempt = task->first + task->current;
    change->native_id = task->pod != NULL ? task->pod : task->flow->name;
    if (self->sink != NULL) {
        self->host->observe->changed(self->sink, change);
    }
}

static void tell_waiting(struct task *task, const char *reason)
{
    if (task->said != NULL && strcmp(task->said, reason) == 0) {
        return;
    }
    free(task->said);
    task->said = strdup(reason);
    tell(task, &(struct descpipe_change){.state = DESCPIPE_JOB_QUEUED, .reason = reason});
}

static void tell_end(const struct task *task, uint32_t state)
{
    const struct pod_view *view = &task->view;
    bool fine = view->flags == DESCPIPE_ENDED_EXITED && view->exit_code == 0;
    /* Who ends a Workflow for the sake of one stage is not told that somebody cancelled that stage. */
    uint32_t flags =
        task->cause != 0 && !fine ? (view->flags & ~(uint32_t)DESCPIPE_ENDED_CANCELLED) | task->cause : view->flags;
    const struct descpipe_ending ending = {.size = sizeof(ending),
                                           .flags = flags,
                                           .exit_code = view->exit_code,
                                           .started_at_ms = view->started_at_ms,
                                           .finished_at_ms = view->finished_at_ms,
                                           .witness = "argo",
                                           .host = view->node[0] != '\0' ? view->node : NULL,
                                           .reason = !fine && task->cause_words[0] != '\0' ? task->cause_words
                                                     : view->reason[0] != '\0' && !fine    ? view->reason
                                                                                           : NULL};
    tell(task, &(struct descpipe_change){.state = state, .at_ms = view->finished_at_ms, .ending = &ending});
}

/* Ending. */

static void end_attempt(struct task *task, const struct pod_view *view)
{
    task->view = *view;
    task->step = TASK_LOGS;
    task->flow->logging++;
    stop_patience(task);
    pod_log_finish(&task->log);
}

static void look_again(void *context);

static void soon(struct flow *flow)
{
    if (flow->timer == NULL) {
        flow->timer = flow->self->host->timer->start(flow->self->host, 0, look_again, flow);
    }
}

static void log_is_whole(void *context)
{
    struct task *task = context;
    struct flow *flow = task->flow;
    flow->logging--;
    task->step = TASK_JUDGED;
    look_at_task(task);
    if (flow->held && flow->logging == 0) {
        flow->held = false;
        flow->again = true;
        soon(flow);
    }
}

/* Argo has decided what comes after an attempt: another one, or nothing. */
static void look_at_judged(struct task *task)
{
    struct flow *flow = task->flow;
    if (task->next != NULL) {
        tell_end(task, DESCPIPE_JOB_REPEATED);
        task_begin_attempt(task, task->current + 1);
        task->now = task->next;
        task->next = NULL;
        flow->again = true; /* the one after it may be there already */
        soon(flow);
        return;
    }
    bool alone = task->top == NULL || task->top == task->now;
    if (flow->over || alone || node_is_over(task->top)) {
        task->step = TASK_OVER;
        tell_end(task, DESCPIPE_JOB_ENDED);
    }
}

/* What the pod itself says is nearer to the stage than the node's line about it. */
static void end_by_node(struct task *task, struct pod_view *view)
{
    const struct pod_view *seen = &task->seen;
    bool fine = view->flags == DESCPIPE_ENDED_EXITED && view->exit_code == 0;
    bool seen_fine = seen->flags == DESCPIPE_ENDED_EXITED && seen->exit_code == 0;
    if (task->is_seen && seen->phase == POD_ENDED && fine == seen_fine) {
        struct pod_view both = *seen;
        both.started_at_ms = seen->started_at_ms != 0 ? seen->started_at_ms : view->started_at_ms;
        both.finished_at_ms = seen->finished_at_ms != 0 ? seen->finished_at_ms : view->finished_at_ms;
        end_attempt(task, &both);
        return;
    }
    if (view->node[0] == '\0' && task->is_seen) {
        snprintf(view->node, sizeof(view->node), "%s", seen->node);
    }
    end_attempt(task, view);
}

static void end_without_node(struct task *task)
{
    const struct flow *flow = task->flow;
    struct pod_view view = {.flags = task->ran ? (uint32_t)DESCPIPE_ENDED_LOST
                                               : DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED};
    snprintf(view.reason, sizeof(view.reason), "%s",
             flow->words[0] != '\0' ? flow->words : "its Workflow ended before it began");
    task->now = task->top = task->next = NULL;
    end_attempt(task, &view);
}

/* Waiting. */

static void pod_deleted(void *context, const struct cluster_reply *reply)
{
    struct argo *self = context;
    if (!reply->ok && reply->status != 404) {
        self->host->log->write(self->host, DESCPIPE_LOG_WARNING, reply->words);
    }
}

/* Argo knows no end of one stage; a pod that is gone fails it. */
static void patience_is_over(void *context)
{
    struct task *task = context;
    struct argo *self = task->flow->self;
    task->patience = NULL;
    task->cause =
        DESCPIPE_ENDED_NOT_STARTED | (task->trouble == POD_TROUBLE_IMAGE ? (uint32_t)DESCPIPE_ENDED_IMAGE : 0);
    snprintf(task->cause_words, sizeof(task->cause_words), "%.500s",
             task->said != NULL ? task->said : "it did not start");
    if (task->pod == NULL || server_is_asked(self)) { /* Argo Server ends no pods */
        flow_stop(task->flow);
        return;
    }
    char *path = cluster_path(&self->cluster, "/api/v1/namespaces/%s/pods/%s", self->cluster.namespace, task->pod);
    const struct cluster_request request = {.method = "DELETE", .path = path, .done = pod_deleted, .context = self};
    if (path != NULL) {
        cluster_ask(&self->cluster, &request);
    }
    free(path);
}

static void waits(struct task *task, const struct pod_view *view)
{
    static const char *const options[] = {[POD_TROUBLE_IMAGE] = "image-patience",
                                          [POD_TROUBLE_PLACE] = "place-patience",
                                          [POD_TROUBLE_SETUP] = "setup-patience"};
    const struct argo *self = task->flow->self;
    tell_waiting(task, view->reason);
    if (task->trouble == view->trouble && (task->patience != NULL || view->trouble == POD_FINE)) {
        return; /* the clock runs since it began */
    }
    stop_patience(task);
    task->trouble = view->trouble;
    int64_t patience =
        view->trouble != POD_FINE ? self->host->config->integer(self->settings, options[view->trouble]) : 0;
    if (patience > 0 || (view->trouble != POD_FINE && view->trouble != POD_TROUBLE_PLACE)) {
        task->patience = self->host->timer->start(self->host, (uint64_t)patience, patience_is_over, task);
    }
}

static void runs(struct task *task, const struct pod_view *view)
{
    stop_patience(task);
    task->trouble = POD_FINE;
    if (!task->ran) {
        task->ran = true;
        tell(task, &(struct descpipe_change){.state = DESCPIPE_JOB_RUNNING,
                                             .at_ms = view->started_at_ms,
                                             .host = view->node[0] != '\0' ? view->node : NULL});
    }
    pod_log_follow(&task->log);
}

/* What never begins is told after those whose failure is the reason. */
static bool is_held(struct task *task, const struct pod_view *view)
{
    struct flow *flow = task->flow;
    bool never = view == NULL ? !task->ran : (view->flags & DESCPIPE_ENDED_NOT_STARTED) != 0;
    flow->held = flow->held || (never && flow->logging > 0);
    return never && flow->logging > 0;
}

/* Where no pods are told, or later than that it has run, their names are known all the same. */
static void name_pod(struct task *task, const struct pod_view *view)
{
    const struct flow *flow = task->flow;
    bool has_run = view->phase == POD_ENDED && (view->flags & DESCPIPE_ENDED_EXITED) != 0;
    if (task->pod == NULL && (has_run || server_is_asked(flow->self))) {
        task->log.pod = task->pod = server_pod_name(task->now, flow->name, flow->by_node);
    }
}

static void look_at_living(struct task *task)
{
    const struct flow *flow = task->flow;
    struct pod_view view;
    if (flow->nodes == NULL && task->is_seen) { /* the pods alone tell */
        view = task->seen;
    } else if (task->now == NULL) {
        if (flow->over && !is_held(task, NULL)) {
            end_without_node(task);
        }
        return;
    } else {
        node_look(task->now, &view);
        name_pod(task, &view);
    }
    if (view.phase == POD_ENDED && is_held(task, &view)) {
        return;
    }
    if (view.phase == POD_ENDED) {
        end_by_node(task, &view);
    } else if (task->next != NULL) { /* Argo is further than it says */
        view.flags = DESCPIPE_ENDED_LOST;
        end_by_node(task, &view);
    } else if (flow->over) {
        end_without_node(task);
    } else if (task->is_seen && task->seen.phase != POD_ENDED) {
        (task->seen.phase == POD_RUNNING ? runs : waits)(task, &task->seen);
    } else if (view.phase == POD_RUNNING && !task->is_seen) {
        runs(task, &view);
    } else if (view.phase == POD_WAITING) {
        waits(task, &view);
    }
}

static void look_at_task(struct task *task)
{
    if (task->step == TASK_LIVES) {
        look_at_living(task);
    } else if (task->step == TASK_JUDGED) {
        look_at_judged(task);
    }
}

/* What the watches tell. */

static void look_at_all(struct flow *flow)
{
    flow_lay_beside(flow);
    for (uint32_t i = 0; i < flow->count; i++) {
        if (flow->tasks[i].job != 0) {
            look_at_task(&flow->tasks[i]);
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
            tell_waiting(&flow->tasks[i], "no controller of Argo has taken its Workflow up yet");
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
    look_at_task(task);
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
