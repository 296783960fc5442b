/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes of a Workflow's status, in the words of pods.
 *
 * How it works: a node's phase says how far it is. Of how it ended Argo keeps an exit code and one line, whose first
 * words are a pod's reason, or those of Argo's own controller; both are known here. Large statuses are packed (gzip,
 * then base64); larger ones lie in a database, and then the pods alone tell.
 *
 * Source: argo-workflows.readthedocs.io/en/latest/fields (NodeStatus), .../offloading-large-workflows.
 */
#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "argo.h"

enum { NODES_BYTES = 64 << 20 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* What a message tells of an end, besides the exit code. */
static const struct {
    const char *words;
    uint32_t flags;
} endings[] = {
    {"OOMKilled", DESCPIPE_ENDED_OUT_OF_MEMORY},
    {"active on the node longer than the specified deadline", DESCPIPE_ENDED_TIMED_OUT},
    {"DeadlineExceeded", DESCPIPE_ENDED_TIMED_OUT},
    {"exceeded its deadline", DESCPIPE_ENDED_TIMED_OUT},
    {"exceeded workflow deadline", DESCPIPE_ENDED_TIMED_OUT},
    {"Max duration limit exceeded", DESCPIPE_ENDED_TIMED_OUT},
    {"shutdown with strategy", DESCPIPE_ENDED_CANCELLED},
    {"ImagePullBackOff", DESCPIPE_ENDED_IMAGE | DESCPIPE_ENDED_NOT_STARTED},
    {"ErrImagePull", DESCPIPE_ENDED_IMAGE | DESCPIPE_ENDED_NOT_STARTED},
    {"InvalidImageName", DESCPIPE_ENDED_IMAGE | DESCPIPE_ENDED_NOT_STARTED},
    {"low on resource: memory", DESCPIPE_ENDED_OUT_OF_MEMORY},
    {"low on resource: ephemeral-storage", DESCPIPE_ENDED_DISK},
    {"ephemeral local storage usage exceeds", DESCPIPE_ENDED_DISK},
    {"Usage of EmptyDir volume", DESCPIPE_ENDED_DISK},
    {"Evicted", DESCPIPE_ENDED_PREEMPTED},
    {"Preempting", DESCPIPE_ENDED_PREEMPTED},
    {"NodeLost", DESCPIPE_ENDED_NODE_FAILED},
    {"imminent node shutdown", DESCPIPE_ENDED_NODE_FAILED},
    {"Node is shutting", DESCPIPE_ENDED_NODE_FAILED},
    {"pod deleted", DESCPIPE_ENDED_LOST},
    {" failed to load:", DESCPIPE_ENDED_STAGE_IN | DESCPIPE_ENDED_NOT_STARTED}, /* artifacts */
    {" failed to save:", DESCPIPE_ENDED_OUTPUT_MISSING},
    {"failed to save outputs", DESCPIPE_ENDED_OUTPUT_MISSING},
};

static bool exit_code_of(const json_t *node, const char *message, int32_t *code)
{
    const char *said = text_of(json_object_get(node, "outputs"), "exitCode"), *in = strstr(message, "exit code ");
    if (said[0] == '\0') {
        said = in != NULL ? in + strlen("exit code ") : "";
    }
    char *end = NULL;
    long value = strtol(said, &end, 10);
    if (end == said || value < 0 || value > 255) {
        return false;
    }
    *code = (int32_t)value;
    return true;
}

static void judge(const json_t *node, struct pod_view *view)
{
    const char *message = text_of(node, "message");
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        view->flags |= strstr(message, endings[i].words) != NULL ? endings[i].flags : 0;
    }
    bool cut = view->flags != 0 && (view->flags & DESCPIPE_ENDED_OUT_OF_MEMORY) == 0;
    if (!cut && exit_code_of(node, message, &view->exit_code)) {
        view->flags |= DESCPIPE_ENDED_EXITED;
    }
    if (view->flags == 0 || (view->flags == DESCPIPE_ENDED_EXITED && view->exit_code == 0)) {
        view->flags = DESCPIPE_ENDED_LOST; /* failed, and nothing says why */
    }
}

static void wait_for(const json_t *node, struct pod_view *view)
{
    static const struct {
        const char *words;
        enum pod_trouble trouble;
    } troubles[] = {{"ImagePullBackOff", POD_TROUBLE_IMAGE}, {"ErrImagePull", POD_TROUBLE_IMAGE},
                    {"InvalidImageName", POD_TROUBLE_IMAGE}, {"Unschedulable", POD_TROUBLE_PLACE},
                    {"CreateContainer", POD_TROUBLE_SETUP},  {"RunContainerError", POD_TROUBLE_SETUP},
                    {"CrashLoopBackOff", POD_TROUBLE_SETUP}};
    for (size_t i = 0; i < sizeof(troubles) / sizeof(*troubles); i++) {
        if (strncmp(view->reason, troubles[i].words, strlen(troubles[i].words)) == 0) {
            view->trouble = troubles[i].trouble;
        }
    }
    if (strcmp(view->reason, "ContainerCreating") == 0 || strcmp(view->reason, "PodInitializing") == 0) {
        snprintf(view->reason, sizeof(view->reason), "its container is being made");
    }
    if (view->reason[0] == '\0') {
        snprintf(view->reason, sizeof(view->reason), "%s",
                 json_object_get(json_object_get(node, "synchronizationStatus"), "waiting") != NULL
                     ? "it waits for a lock"
                     : "its pod is being made");
    }
}

void node_look(const json_t *node, struct pod_view *view)
{
    const char *phase = text_of(node, "phase");
    *view = (struct pod_view){.phase = POD_WAITING};
    snprintf(view->reason, sizeof(view->reason), "%.500s", text_of(node, "message"));
    for (char *c = view->reason; *c != '\0'; c++) { /* one line */
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    snprintf(view->node, sizeof(view->node), "%s", text_of(node, "hostNodeName"));
    view->started_at_ms = cluster_moment(json_object_get(node, "startedAt"));
    view->finished_at_ms = cluster_moment(json_object_get(node, "finishedAt"));
    if (strcmp(phase, "Succeeded") == 0) {
        view->phase = POD_ENDED;
        view->flags = DESCPIPE_ENDED_EXITED;
    } else if (strcmp(phase, "Failed") == 0 || strcmp(phase, "Error") == 0) {
        view->phase = POD_ENDED;
        judge(node, view);
    } else if (strcmp(phase, "Skipped") == 0 || strcmp(phase, "Omitted") == 0) {
        view->phase = POD_ENDED;
        view->flags = DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED;
    } else if (strcmp(phase, "Running") == 0) {
        view->phase = POD_RUNNING;
    } else {
        wait_for(node, view);
    }
}

bool node_is_over(const json_t *node)
{
    static const char *const over[] = {"Succeeded", "Failed", "Error", "Skipped", "Omitted"};
    for (size_t i = 0; i < sizeof(over) / sizeof(*over); i++) {
        if (strcmp(text_of(node, "phase"), over[i]) == 0) {
            return true;
        }
    }
    return false;
}

static unsigned char *unpack_base64(const char *text, size_t *length)
{
    size_t packed = strlen(text);
    unsigned char *bytes = packed > 0 && packed % 4 == 0 && packed < NODES_BYTES ? malloc(packed / 4 * 3 + 1) : NULL;
    int got = bytes != NULL ? EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)packed) : -1;
    if (got < 0) {
        free(bytes);
        return NULL;
    }
    *length = (size_t)got - (text[packed - 1] == '=') - (text[packed - 2] == '=');
    return bytes;
}

/* A gzip stream; NULL when it is none or too large. */
static char *inflate_all(unsigned char *bytes, size_t length, size_t *unpacked)
{
    z_stream stream = {.next_in = bytes, .avail_in = (uInt)length};
    size_t capacity = length * 8 + 4096, used = 0;
    char *text = malloc(capacity);
    if (text == NULL || inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) {
        free(text);
        return NULL;
    }
    int state = Z_OK;
    while (state == Z_OK && used < NODES_BYTES) {
        if (used == capacity) {
            char *grown = realloc(text, capacity * 2);
            if (grown == NULL) {
                break;
            }
            text = grown;
            capacity *= 2;
        }
        stream.next_out = (unsigned char *)text + used;
        stream.avail_out = (uInt)(capacity - used);
        state = inflate(&stream, Z_NO_FLUSH);
        used = capacity - stream.avail_out;
    }
    inflateEnd(&stream);
    if (state != Z_STREAM_END) {
        free(text);
        return NULL;
    }
    *unpacked = used;
    return text;
}

json_t *node_all(const json_t *status)
{
    json_t *plain = json_object_get(status, "nodes");
    const char *packed = text_of(status, "compressedNodes");
    if (json_is_object(plain) || packed[0] == '\0') {
        return json_is_object(plain) ? json_incref(plain) : NULL;
    }
    size_t length = 0, unpacked = 0;
    unsigned char *bytes = unpack_base64(packed, &length);
    char *text = bytes != NULL ? inflate_all(bytes, length, &unpacked) : NULL;
    json_t *nodes = text != NULL ? json_loadb(text, unpacked, 0, NULL) : NULL;
    free(bytes);
    free(text);
    if (nodes != NULL && !json_is_object(nodes)) {
        json_decref(nodes);
        nodes = NULL;
    }
    return nodes;
}

/* "(12" at `text`, and what follows; -1 when it is none. */
static int64_t number_at(const char *text, const char **rest)
{
    char *end = NULL;
    if (text[0] != '(' || !isdigit((unsigned char)text[1])) {
        return -1;
    }
    int64_t number = strtoll(text + 1, &end, 10);
    *rest = end;
    return number;
}

bool node_find_place(const char *text, const char *workflow, struct node_place *place)
{
    size_t prefix = strlen(workflow);
    if (text == NULL || strncmp(text, workflow, prefix) != 0 || text[prefix] != '.') {
        return false;
    }
    const char *name = text + prefix + 1, *rest = NULL;
    size_t length = strcspn(name, "(.");
    if (length == 0 || length > WORKFLOW_TASK_LIMIT || name[length] == '.') {
        return false;
    }
    memcpy(place->task, name, length);
    place->task[length] = '\0';
    place->item = place->attempt = -1;
    if (name[length] == '\0') {
        return true;
    }
    const char *first = name + length, *last = strrchr(first, '(');
    int64_t number = number_at(first, &rest);
    if (number < 0 || (*rest != ':' && strcmp(rest, ")") != 0) || first[strlen(first) - 1] != ')') {
        return false;
    }
    *(*rest == ':' ? &place->item : &place->attempt) = number;
    if (last != first && last[-1] == ')') {
        number = number_at(last, &rest);
        place->attempt = number >= 0 && strcmp(rest, ")") == 0 ? number : -1;
    }
    return true;
}
