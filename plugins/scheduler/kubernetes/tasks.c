/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of Jobs: what the watches of the run tell, in the host's words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/pod_options.h"
#include "kubernetes.h"

enum { NO_POD_MS = 10000, NO_POD_AGAIN_MS = 30000, UNSAID_MS = 10000 };

struct task *task_find(const struct kubernetes *self, const char *name)
{
    const json_t *address = name != NULL ? json_object_get(self->by_name, name) : NULL;
    return (struct task *)(uintptr_t)json_integer_value(address);
}

struct task *task_of_job(const struct kubernetes *self, uint64_t job)
{
    for (struct task *task = self->tasks; task != NULL; task = task->next) {
        if (task->job == job) {
            return task;
        }
    }
    return NULL;
}

static void no_pod(void *context);
static void log_is_whole(void *context);

static void stop_patience(struct task *task)
{
    if (task->patience != NULL) {
        task->self->host->timer->stop(task->patience);
        task->patience = NULL;
    }
}

static void start_patience(struct task *task, int64_t length_ms, void (*over)(void *context))
{
    stop_patience(task);
    task->patience = task->self->host->timer->start(task->self->host, (uint64_t)length_ms, over, task);
}

struct task *task_new(struct kubernetes *self, const struct descpipe_submission *submission, uint32_t index)
{
    const struct descpipe_job *job = submission->jobs[index];
    struct task *task = calloc(1, sizeof(*task));
    if (task == NULL) {
        return NULL;
    }
    *task = (struct task){.self = self, .job = job->job, .attempt = job->attempt, .index = index};
    task->token = strdup(submission->token);
    task->output = job->output_path != NULL ? strdup(job->output_path) : NULL;
    bool named = job->native_id != NULL ? (task->name = strdup(job->native_id)) != NULL
                                        : asprintf(&task->name, "%s-%u", submission->token, index) >= 0;
    if (!named || task->token == NULL || (job->output_path != NULL && task->output == NULL) ||
        json_object_set_new(self->by_name, task->name, json_integer((json_int_t)(uintptr_t)task)) != 0) {
        task->name = named ? task->name : NULL;
        free(task->name);
        free(task->token);
        free(task->output);
        free(task);
        return NULL;
    }
    task->log = (struct pod_log){.cluster = &self->cluster,
                                 .following = &self->following,
                                 .output = task->output,
                                 .whole = log_is_whole,
                                 .context = task};
    task->next = self->tasks;
    self->tasks = task;
    self->open++;
    return task;
}

void task_free(struct task *task)
{
    struct kubernetes *self = task->self;
    struct task **at = &self->tasks;
    while (*at != task) {
        at = &(*at)->next;
    }
    *at = task->next;
    self->open -= task->end != TASK_OVER;
    json_object_del(self->by_name, task->name);
    stop_patience(task);
    pod_log_drop(&task->log);
    free(task->name);
    free(task->token);
    free(task->output);
    free(task->uid);
    free(task->pod);
    free(task->said);
    free(task);
}

static void tell(const struct task *task, struct descpipe_change *change)
{
    const struct kubernetes *self = task->self;
    change->size = sizeof(*change);
    change->job = task->job;
    change->attempt = task->attempt;
    change->native_id = task->name;
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

static void log_is_whole(void *context)
{
    struct task *task = context;
    const struct pod_view *view = &task->view;
    bool fine = view->flags == DESCPIPE_ENDED_EXITED && view->exit_code == 0;
    struct descpipe_ending ending = {.size = sizeof(ending),
                                     .flags = view->flags | (fine ? 0 : task->cause),
                                     .exit_code = view->exit_code,
                                     .started_at_ms = view->started_at_ms,
                                     .finished_at_ms = view->finished_at_ms,
                                     .witness = "pod",
                                     .host = view->node[0] != '\0' ? view->node : NULL,
                                     .reason = !fine && task->cause_words[0] != '\0' ? task->cause_words
                                               : view->reason[0] != '\0'             ? view->reason
                                                                                     : NULL};
    task->end = TASK_OVER;
    task->self->open--;
    tell(task,
         &(struct descpipe_change){.state = DESCPIPE_JOB_ENDED, .at_ms = view->finished_at_ms, .ending = &ending});
}

static void end_task(struct task *task, const struct pod_view *view)
{
    task->view = *view;
    task->end = TASK_LOG;
    stop_patience(task);
    if ((view->flags & DESCPIPE_ENDED_NOT_STARTED) != 0) { /* a container that never was has no log */
        pod_log_drop(&task->log);
        task->log.output = NULL;
    }
    pod_log_finish(&task->log);
}

static void said_nothing(void *context)
{
    struct task *task = context;
    task->patience = NULL;
    const struct pod_view view = task->view;
    end_task(task, &view);
}

/* A node may say that a pod is over a moment before it says how its container ended. */
static void wait_for_word(struct task *task, const struct pod_view *view)
{
    if (task->view.unsaid) {
        return;
    }
    task->view = *view;
    start_patience(task, UNSAID_MS, said_nothing);
}

/* It is over, and no pod says how. */
static void end_without_word(struct task *task, uint32_t flags, const char *words)
{
    struct pod_view view = {.flags = task->cause != 0 ? 0 : flags};
    snprintf(view.reason, sizeof(view.reason), "%s", words);
    end_task(task, &view);
}

static void deleted(void *context, const struct cluster_reply *reply)
{
    struct kubernetes *self = context;
    if (!reply->ok && reply->status != 404) {
        self->host->log->write(self->host, DESCPIPE_LOG_WARNING, reply->words);
    }
}

void task_stop(struct task *task, uint32_t cause, const char *words)
{
    struct kubernetes *self = task->self;
    if (task->end != TASK_GOES_ON) {
        return;
    }
    if (task->cause == 0) {
        task->cause = cause;
        snprintf(task->cause_words, sizeof(task->cause_words), "%s", words);
    }
    if (task->stopping) {
        return;
    }
    task->stopping = true;
    stop_patience(task);
    char *path = cluster_path(&self->cluster, "/apis/batch/v1/namespaces/%s/jobs/%s?propagationPolicy=Background",
                              self->cluster.namespace, task->name);
    const struct cluster_request request = {.method = "DELETE", .path = path, .done = deleted, .context = self};
    if (path != NULL) {
        cluster_ask(&self->cluster, &request);
    }
    free(path);
}

static void patience_is_over(void *context)
{
    struct task *task = context;
    task->patience = NULL;
    uint32_t cause =
        DESCPIPE_ENDED_NOT_STARTED | (task->trouble == POD_TROUBLE_IMAGE ? (uint32_t)DESCPIPE_ENDED_IMAGE : 0);
    task_stop(task, cause, task->said != NULL ? task->said : "it did not start");
}

static void waits(struct task *task, const struct pod_view *view)
{
    tell_waiting(task, view->reason);
    if (task->trouble == view->trouble && (task->patience != NULL || view->trouble == POD_FINE)) {
        return; /* the clock runs since it began */
    }
    stop_patience(task);
    task->trouble = view->trouble;
    int64_t patience = pod_patience(task->self->host, view->trouble);
    if (patience >= 0) {
        start_patience(task, patience, patience_is_over);
    }
}

static void runs(struct task *task, const struct pod_view *view)
{
    stop_patience(task);
    task->trouble = POD_FINE;
    if (!task->ran) {
        task->ran = true;
        tell(task, &(struct descpipe_change){
                       .state = DESCPIPE_JOB_RUNNING, .at_ms = view->started_at_ms, .host = view->node});
    }
    pod_log_follow(&task->log);
}

static const char *label_of(const json_t *object, const char *label)
{
    return json_string_value(json_object_get(json_object_get(json_object_get(object, "metadata"), "labels"), label));
}

static const char *name_of(const json_t *object)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
}

static void pod_changed(void *context, const json_t *pod, bool gone)
{
    struct task *task = task_find(context, label_of(pod, "job-name"));
    struct pod_view view;
    if (task == NULL || task->end != TASK_GOES_ON) {
        return;
    }
    const char *name = name_of(pod);
    bool is_first = task->pod == NULL || strcmp(task->pod, name) == 0;
    if (gone && is_first) {
        const json_t *status = json_object_get(pod, "status");
        pod_look(pod, &view);
        if (status != NULL && view.phase == POD_ENDED) { /* its last word came with its end */
            end_task(task, &view);
            return;
        }
        if (!task->stopping) { /* Kubernetes would begin anew */
            task_stop(task, 0, "");
        }
        end_without_word(task, DESCPIPE_ENDED_LOST, "its pod was deleted, by whom is not known");
        return;
    }
    if (gone || !is_first) {
        return;
    }
    if (task->pod == NULL) {
        task->log.pod = task->pod = strdup(name);
        stop_patience(task); /* that of having none */
    }
    pod_look(pod, &view);
    if (view.phase == POD_ENDED && view.unsaid) {
        wait_for_word(task, &view);
    } else if (view.phase == POD_ENDED) {
        end_task(task, &view);
    } else if (view.phase == POD_RUNNING && view.trouble == POD_FINE) {
        runs(task, &view);
    } else if (!task->stopping) {
        waits(task, &view);
    }
}

static const json_t *condition_of(const json_t *object, const char *type)
{
    const json_t *list = json_object_get(json_object_get(object, "status"), "conditions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *condition = json_array_get(list, i);
        const char *own = json_string_value(json_object_get(condition, "type"));
        const char *status = json_string_value(json_object_get(condition, "status"));
        if (own != NULL && status != NULL && strcmp(own, type) == 0 && strcmp(status, "True") == 0) {
            return condition;
        }
    }
    return NULL;
}

static void job_changed(void *context, const json_t *job, bool gone)
{
    struct task *task = task_find(context, name_of(job));
    if (task == NULL || task->end != TASK_GOES_ON) {
        return;
    }
    const char *uid = json_string_value(json_object_get(json_object_get(job, "metadata"), "uid"));
    const json_t *failed = condition_of(job, "Failed");
    if (task->uid == NULL && uid != NULL) {
        task->uid = strdup(uid);
    }
    if (gone && task->cause == 0) {
        task->cause = DESCPIPE_ENDED_CANCELLED;
        snprintf(task->cause_words, sizeof(task->cause_words), "its Job was deleted by somebody else");
    }
    task->stopping = task->stopping || gone;
    if (task->pod != NULL) {
        return; /* its pod ends as well, and says how */
    }
    if (gone) {
        end_without_word(task, 0, task->cause_words);
    } else if (failed != NULL) {
        const char *message = json_string_value(json_object_get(failed, "message"));
        end_without_word(task, DESCPIPE_ENDED_LOST, message != NULL ? message : "its Job failed without a pod");
    } else if (task->patience == NULL && !task->stopping) {
        start_patience(task, NO_POD_MS, no_pod);
    }
}

/* The last warning about a Job that gets no pod: a full quota, an admission's word. */
static void events_came(void *context, const struct cluster_reply *reply)
{
    struct kubernetes *self = context;
    const json_t *items = json_object_get(reply->json, "items");
    for (size_t i = 0; reply->ok && i < json_array_size(items); i++) {
        const json_t *event = json_array_get(items, i);
        const char *name = json_string_value(json_object_get(json_object_get(event, "involvedObject"), "name"));
        const char *message = json_string_value(json_object_get(event, "message"));
        struct task *task = task_find(self, name);
        if (task != NULL && task->pod == NULL && task->end == TASK_GOES_ON && message != NULL) {
            tell_waiting(task, message);
        }
    }
}

static void no_pod(void *context)
{
    struct task *task = context;
    struct kubernetes *self = task->self;
    task->patience = NULL;
    char *path = cluster_path(
        &self->cluster,
        "/api/v1/namespaces/%s/events?limit=20&fieldSelector=involvedObject.kind%%3DJob%%2Ctype%%3DWarning%%2C"
        "involvedObject.name%%3D%s",
        self->cluster.namespace, task->name);
    const struct cluster_request request = {
        .method = "GET", .path = path, .patience_ms = -1, .done = events_came, .context = self};
    if (path != NULL) {
        cluster_ask(&self->cluster, &request);
    }
    free(path);
    start_patience(task, NO_POD_AGAIN_MS, no_pod);
}

static void watch_blind(void *context, const char *message)
{
    struct kubernetes *self = context;
    if (self->sink != NULL) {
        self->host->observe->blind(self->sink, message);
    }
}

void tasks_watch(struct kubernetes *self, const char *run)
{
    if (self->watching) {
        return;
    }
    self->watching = true;
    free(self->run);
    self->run = strdup(run);
    struct cluster_watch both = {.cluster = &self->cluster, .context = self};
    self->pods = self->jobs = both;
    self->pods.changed = pod_changed;
    self->pods.blind = watch_blind;
    self->jobs.changed = job_changed;
    self->pods.path = cluster_path(&self->cluster, "/api/v1/namespaces/%s/pods", self->cluster.namespace);
    self->jobs.path = cluster_path(&self->cluster, "/apis/batch/v1/namespaces/%s/jobs", self->cluster.namespace);
    self->pods.selector = cluster_path(&self->cluster, POD_LABEL_RUN "%%3D%s", run);
    self->jobs.selector = cluster_path(&self->cluster, POD_LABEL_RUN "%%3D%s", run);
    watch_begin(&self->pods);
    watch_begin(&self->jobs);
}

void tasks_close(struct kubernetes *self)
{
    if (self->watching) {
        watch_end(&self->pods);
        watch_end(&self->jobs);
    }
    self->watching = false;
    while (self->tasks != NULL) {
        task_free(self->tasks);
    }
}
