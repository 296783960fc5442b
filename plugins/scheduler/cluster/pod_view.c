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

static const json_t *find_named(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(text_of(json_array_get(list, i), "name"), name) == 0) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

/* Its state; with containers around it, the stage's own is among those that go before. */
static const json_t *state_of(const json_t *status, const char *name)
{
    const json_t *found = find_named(json_object_get(status, "containerStatuses"), name);
    if (found == NULL) {
        found = find_named(json_object_get(status, "initContainerStatuses"), name);
    }
    return json_object_get(found, "state");
}

/* A container's end that is no success, else NULL. */
static const json_t *failure_of(const json_t *status, const char *name)
{
    const json_t *terminated = json_object_get(state_of(status, name), "terminated");
    bool failed = terminated != NULL && json_integer_value(json_object_get(terminated, "exitCode")) != 0;
    return failed ? terminated : NULL;
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

/* The value of a line "NAME=value" in a container's last word; its length, or -1. */
static int word_of(const char *message, const char *name, const char **value)
{
    size_t length = strlen(name);
    for (const char *line = message; line != NULL && *line != '\0';) {
        if (strncmp(line, name, length) == 0 && line[length] == '=') {
            *value = line + length + 1;
            return (int)strcspn(*value, "\n");
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return -1;
}

/* Of what goes before and after the stage's own container. `otherwise`: what its failure is when it does not say. */
static void judge_helper(const json_t *terminated, const char *what, uint32_t otherwise, struct pod_view *view)
{
    const char *message = text_of(terminated, "message"), *word = "", *reason = message;
    int word_length = word_of(message, "failed", &word), reason_length = word_of(message, "reason", &reason);
    bool disk = word_length == 4 && strncmp(word, "disk", 4) == 0;
    view->flags |= disk ? (uint32_t)DESCPIPE_ENDED_DISK : otherwise;
    if (reason_length < 0) { /* not a word of ours: how its program ended, and what it printed last */
        say(view, "what %s ended with status %d (%.60s): %.300s", what,
            (int)json_integer_value(json_object_get(terminated, "exitCode")), text_of(terminated, "reason"), message);
    } else {
        say(view, "%.*s", reason_length < 400 ? reason_length : 400, reason);
    }
}

/* True: a container beside the stage's own decided how it ended. */
static bool judge_helpers(const json_t *status, struct pod_view *view)
{
    const json_t *bring_in = failure_of(status, POD_BRING_IN), *publish = failure_of(status, POD_PUBLISH);
    publish = failure_of(status, POD_CONTAINER) == NULL ? publish : NULL; /* else it never had its turn */
    if (bring_in != NULL) {
        view->flags |= DESCPIPE_ENDED_NOT_STARTED;
        judge_helper(bring_in, "brings its files in", DESCPIPE_ENDED_STAGE_IN, view);
    } else if (publish != NULL) {
        const json_t *own = json_object_get(state_of(status, POD_CONTAINER), "terminated");
        view->flags |= DESCPIPE_ENDED_EXITED;
        view->started_at_ms = cluster_moment(json_object_get(own, "startedAt"));
        view->finished_at_ms = cluster_moment(json_object_get(own, "finishedAt"));
        judge_helper(publish, "publishes its outputs", DESCPIPE_ENDED_OUTPUT_MISSING, view);
    }
    return bring_in != NULL || publish != NULL;
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

static void judge_end(const json_t *status, const json_t *terminated, struct pod_view *view)
{
    view->phase = POD_ENDED;
    if (judge_pod(status, view)) {
        view->started_at_ms = cluster_moment(json_object_get(terminated, "startedAt"));
        view->finished_at_ms = cluster_moment(json_object_get(terminated, "finishedAt"));
    } else if (judge_helpers(status, view)) {
        return;
    } else if (terminated != NULL) {
        judge_terminated(terminated, view);
    } else {
        view->flags = DESCPIPE_ENDED_LOST;
        view->unsaid = true;
        say(view, "its pod is over and does not say how");
    }
}

/* The container whose turn it is and that cannot go on; NULL: none. */
static const json_t *waiting_of(const json_t *status)
{
    static const char *const names[] = {POD_BRING_IN, POD_CONTAINER, POD_PUBLISH};
    const json_t *first = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const json_t *waiting = json_object_get(state_of(status, names[i]), "waiting");
        if (waiting != NULL && strcmp(text_of(waiting, "reason"), "PodInitializing") != 0) {
            return waiting;
        }
        first = first != NULL ? first : waiting;
    }
    return first;
}

void pod_look(const json_t *pod, struct pod_view *view)
{
    *view = (struct pod_view){.phase = POD_WAITING};
    const json_t *specification = json_object_get(pod, "spec"), *status = json_object_get(pod, "status");
    const json_t *state = state_of(status, POD_CONTAINER);
    const char *phase = text_of(status, "phase");
    const json_t *terminated = json_object_get(state, "terminated"), *running = json_object_get(state, "running");
    bool publishes = find_named(json_object_get(specification, "containers"), POD_PUBLISH) != NULL;
    bool well = terminated != NULL && json_integer_value(json_object_get(terminated, "exitCode")) == 0;
    snprintf(view->node, sizeof(view->node), "%s", text_of(specification, "nodeName"));
    if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0 ||
        (terminated != NULL && !(well && publishes))) {
        judge_end(status, terminated, view);
    } else if (running != NULL || terminated != NULL) { /* or its outputs are being published */
        view->phase = POD_RUNNING;
        view->started_at_ms = cluster_moment(json_object_get(running != NULL ? running : terminated, "startedAt"));
        if (terminated != NULL && waiting_of(status) != NULL) {
            judge_waiting(waiting_of(status), view);
        }
    } else if (json_object_get(state_of(status, POD_BRING_IN), "running") != NULL) {
        say(view, "its files are brought in");
    } else if (waiting_of(status) != NULL) {
        judge_waiting(waiting_of(status), view);
    } else if (view->node[0] == '\0') {
        judge_unscheduled(status, view);
    } else {
        say(view, "its node makes it ready");
    }
}
