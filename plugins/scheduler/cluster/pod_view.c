/* SPDX-License-Identifier: BSD-3-Clause */
/* What a pod says of itself, in a scheduler's words: waiting for what, running where, ended how. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cluster/client.h"
#include "cluster/pod.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void say(struct pod_view *view, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct pod_view *view, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(view->reason, sizeof(view->reason), format, arguments);
    va_end(arguments);
    for (char *c = view->reason; *c != '\0'; c++) { /* one line */
        if ((unsigned char)*c < ' ') {
            *c = ' ';
        }
    }
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const json_t *container_of(const json_t *status, const char *name)
{
    const json_t *list = json_object_get(status, "containerStatuses");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(text_of(json_array_get(list, i), "name"), name) == 0) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

/* The pod's own word of why it failed as a whole. */
static bool judge_pod(const json_t *status, struct pod_view *view)
{
    static const char *const node[] = {"NodeLost", "NodeShutdown", "Shutdown", "Terminated", NULL};
    static const char *const turned_away[] = {
        "UnexpectedAdmissionError", "OutOfcpu", "OutOfmemory", "OutOfpods", "NodeAffinity",
        "Outofnvidia.com/gpu",      NULL};
    const char *reason = text_of(status, "reason"), *message = text_of(status, "message");
    if (reason[0] == '\0') {
        return false;
    }
    say(view, "%.60s: %.400s", reason, message);
    if (strcmp(reason, "DeadlineExceeded") == 0) {
        view->flags |= DESCPIPE_ENDED_TIMED_OUT;
    } else if (strcmp(reason, "Evicted") == 0) {
        view->flags |=
            strstr(message, "storage") != NULL || strstr(message, "disk") != NULL || strstr(message, "EmptyDir") != NULL
                ? (uint32_t)DESCPIPE_ENDED_DISK
            : strstr(message, "memory") != NULL ? (uint32_t)DESCPIPE_ENDED_OUT_OF_MEMORY
                                                : (uint32_t)DESCPIPE_ENDED_PREEMPTED;
    } else if (strcmp(reason, "Preempting") == 0) {
        view->flags |= DESCPIPE_ENDED_PREEMPTED;
    } else if (is_one_of(reason, node)) {
        view->flags |= DESCPIPE_ENDED_NODE_FAILED;
    } else if (is_one_of(reason, turned_away)) {
        view->flags |= DESCPIPE_ENDED_NODE_FAILED | DESCPIPE_ENDED_NOT_STARTED;
    } else {
        return false;
    }
    return true;
}

static void judge_terminated(const json_t *terminated, struct pod_view *view)
{
    static const char *const never_ran[] = {"ContainerCannotRun", "StartError", "RunContainerError",
                                            "CreateContainerError", NULL};
    const char *reason = text_of(terminated, "reason"), *message = text_of(terminated, "message");
    json_int_t code = json_integer_value(json_object_get(terminated, "exitCode"));
    view->exit_code = code >= 0 && code < 256 ? (int32_t)code : 1;
    view->started_at_ms = cluster_moment(json_object_get(terminated, "startedAt"));
    view->finished_at_ms = cluster_moment(json_object_get(terminated, "finishedAt"));
    if (strcmp(reason, "OOMKilled") == 0) {
        view->flags |= DESCPIPE_ENDED_OUT_OF_MEMORY | DESCPIPE_ENDED_EXITED;
        say(view, "OOMKilled");
    } else if (strcmp(reason, "ContainerStatusUnknown") == 0) {
        view->flags |= DESCPIPE_ENDED_NODE_FAILED;
        say(view, "%.400s", message);
    } else if (is_one_of(reason, never_ran)) { /* what a shell ends with then */
        view->flags |= DESCPIPE_ENDED_EXITED;
        view->exit_code = strstr(message, "permission denied") != NULL ? 126 : 127;
        say(view, "%.400s", message[0] != '\0' ? message : reason);
    } else {
        view->flags |= DESCPIPE_ENDED_EXITED;
    }
}

static void judge_waiting(const json_t *waiting, struct pod_view *view)
{
    static const char *const image[] = {"ErrImagePull",
                                        "ImagePullBackOff",
                                        "InvalidImageName",
                                        "ErrImageNeverPull",
                                        "ImageInspectError",
                                        "RegistryUnavailable",
                                        NULL};
    static const char *const setup[] = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError",
                                        "CrashLoopBackOff", NULL};
    const char *reason = text_of(waiting, "reason"), *message = text_of(waiting, "message");
    view->trouble = is_one_of(reason, image)   ? POD_TROUBLE_IMAGE
                    : is_one_of(reason, setup) ? POD_TROUBLE_SETUP
                                               : POD_FINE;
    if (strcmp(reason, "ContainerCreating") == 0 || strcmp(reason, "PodInitializing") == 0 || reason[0] == '\0') {
        say(view, "its container is being made");
    } else {
        say(view, message[0] != '\0' ? "%.60s: %.400s" : "%.60s%.0s", reason, message);
    }
}

static void judge_unscheduled(const json_t *status, struct pod_view *view)
{
    const json_t *conditions = json_object_get(status, "conditions");
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        if (strcmp(text_of(condition, "type"), "PodScheduled") == 0 &&
            strcmp(text_of(condition, "status"), "False") == 0) {
            view->trouble = POD_TROUBLE_PLACE;
            say(view, "%.60s: %.400s", text_of(condition, "reason"), text_of(condition, "message"));
            return;
        }
    }
    say(view, "it waits for a node");
}

void pod_look(const json_t *pod, struct pod_view *view)
{
    *view = (struct pod_view){.phase = POD_WAITING};
    const json_t *specification = json_object_get(pod, "spec"), *status = json_object_get(pod, "status");
    const json_t *state = json_object_get(container_of(status, POD_CONTAINER), "state");
    const char *phase = text_of(status, "phase");
    const json_t *terminated = json_object_get(state, "terminated"), *running = json_object_get(state, "running");
    snprintf(view->node, sizeof(view->node), "%s", text_of(specification, "nodeName"));
    bool over = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
    if (over || terminated != NULL) {
        view->phase = POD_ENDED;
        bool told = judge_pod(status, view);
        if (terminated != NULL && !told) {
            judge_terminated(terminated, view);
        } else if (terminated != NULL) {
            view->started_at_ms = cluster_moment(json_object_get(terminated, "startedAt"));
            view->finished_at_ms = cluster_moment(json_object_get(terminated, "finishedAt"));
        } else if (!told) {
            view->flags = DESCPIPE_ENDED_LOST;
            say(view, "its pod is over and does not say how");
        }
    } else if (running != NULL) {
        view->phase = POD_RUNNING;
        view->started_at_ms = cluster_moment(json_object_get(running, "startedAt"));
    } else if (json_object_get(state, "waiting") != NULL) {
        judge_waiting(json_object_get(state, "waiting"), view);
    } else if (view->node[0] == '\0') {
        judge_unscheduled(status, view);
    } else {
        say(view, "its node makes it ready");
    }
}
