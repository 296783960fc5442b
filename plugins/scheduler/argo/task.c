/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of one stage of a Workflow, from its node and its pod, in the host's words.
 *
 * How it works: an attempt that is over waits for its log, and then for Argo's decision: a later attempt, or the end of
 * the task.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argo.h"
#include "cluster/pod_options.h"

static void log_is_whole(void *context);

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

void task_clear(struct task *task)
{
    if (task->job != 0) {
        stop_patience(task);
        pod_log_drop(&task->log);
    }
    store_drop(task->fetching);
    json_decref(task->makes);
    free(task->output);
    free(task->log_path);
    free(task->said);
    free(task->pod);
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

void task_tell_waiting(struct task *task, const char *reason)
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

/* Nothing of the attempt is missing any more. */
static void attempt_is_whole(struct task *task)
{
    struct flow *flow = task->flow;
    flow->logging--;
    task->step = TASK_JUDGED;
    task_look(task);
    if (flow->held && flow->logging == 0) {
        flow->held = false;
        flow->again = true;
        flow_look_soon(flow);
    }
}

static void fetch_more(struct task *task);

static void is_fetched(void *context, const char *key, const char *words)
{
    struct task *task = context;
    (void)key;
    task->fetching = NULL;
    if (words == NULL) {
        task->fetched++;
        fetch_more(task);
        return;
    }
    task->view.flags |= DESCPIPE_ENDED_OUTPUT_MISSING;
    snprintf(task->view.reason, sizeof(task->view.reason), "%.500s", words);
    attempt_is_whole(task);
}

/* What it has made comes here before its end is told. */
static void fetch_more(struct task *task)
{
    const json_t *next = json_array_get(task->makes, task->fetched);
    if (next == NULL) {
        attempt_is_whole(task);
        return;
    }
    task->fetching = store_fetch(&task->flow->self->store, json_string_value(json_object_get(next, "key")),
                                 json_string_value(json_object_get(next, "here")), is_fetched, task);
    if (task->fetching == NULL) {
        is_fetched(task, NULL, "out of memory");
    }
}

static void log_is_whole(void *context)
{
    struct task *task = context;
    const struct pod_view *view = &task->view;
    task->fetched = 0;
    if (task->makes != NULL && view->flags == DESCPIPE_ENDED_EXITED && view->exit_code == 0) {
        fetch_more(task);
    } else {
        attempt_is_whole(task);
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
        flow_look_soon(flow);
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
    const struct argo *self = task->flow->self;
    task_tell_waiting(task, view->reason);
    if (task->trouble == view->trouble && (task->patience != NULL || view->trouble == POD_FINE)) {
        return; /* the clock runs since it began */
    }
    stop_patience(task);
    task->trouble = view->trouble;
    int64_t patience = pod_patience(self->host, view->trouble);
    if (patience >= 0) {
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

void task_look(struct task *task)
{
    if (task->step == TASK_LIVES) {
        look_at_living(task);
    } else if (task->step == TASK_JUDGED) {
        look_at_judged(task);
    }
}
