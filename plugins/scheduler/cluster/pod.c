/* SPDX-License-Identifier: BSD-3-Clause */
/* Manifests of pods; pod.h says how it works. */
#include "cluster/pod.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSIDE "/opt/" /* where a stage's own three folders are */

static bool say(char *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool say(char *words, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, POD_WORDS, format, arguments);
    va_end(arguments);
    return false;
}

bool pod_volume_is_apart(const char *const *map)
{
    bool claim = false;
    const char *mount = NULL;
    for (size_t i = 0; map != NULL && map[i] != NULL; i += 2) {
        claim = claim || strcmp(map[i], "claim") == 0;
        mount = strcmp(map[i], "mount") == 0 ? map[i + 1] : mount;
    }
    return mount != NULL ? strcmp(mount, "none") == 0 : claim;
}

bool pod_read_volume(const char *const *map, struct pod_wishes *wishes, char *buffer, size_t size,
                     char words[POD_WORDS])
{
    for (size_t i = 0; map != NULL && map[i] != NULL; i += 2) {
        const char *key = map[i], *value = map[i + 1];
        if (strcmp(key, "claim") == 0) {
            wishes->claim = value;
        } else if (strcmp(key, "host-path") == 0) {
            wishes->host_path = value;
        } else if (strcmp(key, "mount") == 0) {
            wishes->mount = value;
        } else if (strcmp(key, "path") == 0) {
            wishes->path = value;
        } else {
            return say(words, "the option 'volume' has no '%.100s'; it has claim or host-path, mount and path", key);
        }
    }
    if ((wishes->claim == NULL) == (wishes->host_path == NULL)) {
        return say(words, "the option 'volume' names either a claim or a host-path");
    }
    if (wishes->host_path != NULL && wishes->host_path[0] != '/') {
        return say(words, "the option 'volume': the host-path '%.200s' is not absolute", wishes->host_path);
    }
    if (wishes->path != NULL && (wishes->path[0] == '/' || strstr(wishes->path, "..") != NULL)) {
        return say(words, "the option 'volume': the path '%.200s' is not relative to the volume", wishes->path);
    }
    wishes->apart = pod_volume_is_apart(map);
    if (wishes->apart) {
        wishes->mount = NULL;
        return true;
    }
    const char *mount = wishes->mount != NULL ? wishes->mount : wishes->host_path;
    char *real = realpath(mount, NULL);
    if (real == NULL) {
        return say(words, "the volume is not at '%.200s' on this machine: %s", mount, strerror(errno));
    }
    bool fits = strlen(real) < size;
    snprintf(buffer, size, "%s", real);
    free(real);
    wishes->mount = buffer;
    return fits || say(words, "the name of '%.200s' is too long", mount);
}

/* "$" → "$$": what the stage gets is what stands in the pipeline. */
static json_t *verbatim(const char *text)
{
    size_t length = strlen(text), dollars = 0;
    for (size_t i = 0; i < length; i++) {
        dollars += text[i] == '$';
    }
    if (dollars == 0) {
        return json_string(text);
    }
    char *doubled = malloc(length + dollars + 1), *to = doubled;
    if (doubled == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        *to++ = text[i];
        if (text[i] == '$') {
            *to++ = '$';
        }
    }
    *to = '\0';
    json_t *json = json_string(doubled);
    free(doubled);
    return json;
}

json_t *pod_map(const char *const *map)
{
    json_t *object = json_object();
    for (size_t i = 0; map != NULL && map[i] != NULL; i += 2) {
        json_object_set_new(object, map[i], json_string(map[i + 1]));
    }
    return object;
}

void pod_label_value(const char *text, char value[64])
{
    size_t length = 0;
    for (; *text != '\0' && length < 63; text++) {
        unsigned char c = (unsigned char)*text;
        bool good = isalnum(c) || (length > 0 && strchr("-_.", c) != NULL);
        if (good || length > 0) {
            value[length++] = good ? *text : '-';
        }
    }
    while (length > 0 && !isalnum((unsigned char)value[length - 1])) {
        length--;
    }
    value[length] = '\0';
}

/* "KEY[=VALUE][:EFFECT]", as kubectl taint writes it. */
json_t *pod_tolerations(const char *const *tolerations, char words[POD_WORDS])
{
    json_t *list = json_array();
    for (size_t i = 0; tolerations != NULL && tolerations[i] != NULL; i++) {
        const char *text = tolerations[i], *colon = strrchr(text, ':');
        size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
        const char *equals = memchr(text, '=', length);
        size_t key = equals != NULL ? (size_t)(equals - text) : length;
        const char *effect = colon != NULL ? colon + 1 : NULL;
        bool known = effect == NULL || strcmp(effect, "NoSchedule") == 0 || strcmp(effect, "PreferNoSchedule") == 0 ||
                     strcmp(effect, "NoExecute") == 0;
        if (!known || (key == 0 && equals != NULL)) {
            say(words, "the toleration '%.100s' is not KEY[=VALUE][:NoSchedule|PreferNoSchedule|NoExecute]", text);
            json_decref(list);
            return NULL;
        }
        json_t *one = json_pack("{s:s%, s:s}", "key", text, key, "operator", equals != NULL ? "Equal" : "Exists");
        json_object_set_new(one, "value",
                            equals != NULL ? json_stringn(equals + 1, length - key - 1) : json_string(""));
        if (effect != NULL) {
            json_object_set_new(one, "effect", json_string(effect));
        }
        json_array_append_new(list, one);
    }
    return list;
}

static bool is_late(const struct descpipe_job *job, const char *pair)
{
    const char *const *late = job->late_environment;
    size_t name = strcspn(pair, "=");
    for (size_t i = 0; late != NULL && late[i] != NULL; i++) {
        if (strncmp(late[i], pair, name + 1) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *environment_of(const struct descpipe_job *job, const char *secret)
{
    json_t *list = json_array();
    const char *const *pairs = job->form->environment;
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i++) {
        size_t name = strcspn(pairs[i], "=");
        if (pairs[i][name] == '=' && !is_late(job, pairs[i])) {
            json_array_append_new(
                list, json_pack("{s:s%, s:o}", "name", pairs[i], name, "value", verbatim(pairs[i] + name + 1)));
        }
    }
    pairs = job->late_environment;
    for (size_t i = 0; secret != NULL && pairs != NULL && pairs[i] != NULL; i++) {
        size_t name = strcspn(pairs[i], "=");
        json_array_append_new(list, json_pack("{s:s%, s:{s:{s:s, s:s%}}}", "name", pairs[i], name, "valueFrom",
                                              "secretKeyRef", "name", secret, "key", pairs[i], name));
    }
    return list;
}

json_t *pod_secret_data(const struct descpipe_job *job)
{
    json_t *data = json_object();
    const char *const *pairs = job->late_environment;
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i++) {
        size_t name = strcspn(pairs[i], "="), length = strlen(pairs[i] + name + 1);
        unsigned char *packed = malloc(length / 3 * 4 + 5);
        char *key = strndup(pairs[i], name);
        if (packed != NULL && key != NULL) {
            EVP_EncodeBlock(packed, (const unsigned char *)pairs[i] + name + 1, (int)length);
            json_object_set_new(data, key, json_string((const char *)packed));
            explicit_bzero(packed, length / 3 * 4 + 5);
        }
        free(packed);
        free(key);
    }
    return data;
}

static json_t *words_of(const char *const *argv)
{
    json_t *list = json_array();
    for (size_t i = 0; argv != NULL && argv[i] != NULL; i++) {
        json_array_append_new(list, verbatim(argv[i]));
    }
    return list;
}

json_t *pod_resources(const struct pod_wishes *wishes, const struct descpipe_resources *resources, bool with_gpus)
{
    json_t *requests = json_object(), *limits = json_object();
    char text[32];
    if (resources != NULL) {
        snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)resources->cpus_per_rank * resources->ranks_per_node);
        json_object_set_new(requests, "cpu", json_string(text));
        json_object_set_new(limits, "cpu", json_string(text));
    }
    if (resources != NULL && resources->memory_per_node > 0) {
        snprintf(text, sizeof(text), "%" PRIu64, resources->memory_per_node);
        json_object_set_new(requests, "memory", json_string(text));
        json_object_set_new(limits, "memory", json_string(text));
    }
    if (with_gpus && resources != NULL && resources->gpus_per_node > 0) {
        snprintf(text, sizeof(text), "%" PRIu32, resources->gpus_per_node);
        json_object_set_new(limits, wishes->gpu_resource != NULL ? wishes->gpu_resource : "nvidia.com/gpu",
                            json_string(text));
    }
    return json_pack("{s:o, s:o}", "requests", requests, "limits", limits);
}

/* Where a path of ours is in the volume; false: it is not there. */
static bool in_volume(const struct pod_wishes *wishes, const char *path, char **inside)
{
    char *real = wishes->apart ? NULL : realpath(path, NULL); /* apart, a path here says nothing of one there */
    const char *full = real != NULL ? real : path;
    size_t length = wishes->mount != NULL ? strlen(wishes->mount) : 0;
    bool under = length > 0 && strncmp(full, wishes->mount, length) == 0 &&
                 (full[length] == '/' || full[length] == '\0' || wishes->mount[length - 1] == '/');
    if (under) {
        const char *rest = full + length;
        while (*rest == '/') {
            rest++;
        }
        bool both = wishes->path != NULL && rest[0] != '\0';
        if (asprintf(inside, "%s%s%s", wishes->path != NULL ? wishes->path : "", both ? "/" : "", rest) < 0) {
            *inside = NULL;
        }
    }
    free(real);
    return under && *inside != NULL;
}

void pod_add_volume(json_t *volumes, json_t *volume)
{
    const char *name = json_string_value(json_object_get(volume, "name"));
    size_t i;
    json_t *other;
    json_array_foreach(volumes, i, other)
    {
        const char *there = json_string_value(json_object_get(other, "name"));
        if (there != NULL && name != NULL && strcmp(there, name) == 0) {
            json_decref(volume);
            return;
        }
    }
    json_array_append_new(volumes, volume);
}

json_t *pod_work_volume(const struct pod_wishes *wishes)
{
    return wishes->claim != NULL
               ? json_pack("{s:s, s:{s:s}}", "name", "work", "persistentVolumeClaim", "claimName", wishes->claim)
               : json_pack("{s:s, s:{s:s}}", "name", "work", "hostPath", "path", wishes->host_path);
}

/* Where somebody else lays the inputs nothing is mounted; what he takes is made in a folder of the pod's own. */
static bool is_carried(const struct pod_wishes *wishes, const struct descpipe_mount *mount)
{
    return wishes->carried && (strcmp(mount->target, POD_INPUT) == 0 || strcmp(mount->target, POD_OUTPUT) == 0);
}

static bool add_mount(const struct pod_wishes *wishes, const struct descpipe_job *job, size_t number, json_t *mounts,
                      json_t *volumes, char *words)
{
    const struct descpipe_mount *mount = job->form->mounts[number];
    bool read_only = (mount->flags & DESCPIPE_MOUNT_READ_ONLY) != 0, file = (mount->flags & DESCPIPE_MOUNT_FILE) != 0;
    char name[32];
    char *inside = NULL;
    json_t *entry = json_pack("{s:s, s:b}", "mountPath", mount->target, "readOnly", read_only);
    if ((mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0) {
        snprintf(name, sizeof(name), "scratch-%zu", number);
        json_t *empty = json_object();
        if (job->resources != NULL && job->resources->scratch > 0) {
            char bytes[32];
            snprintf(bytes, sizeof(bytes), "%" PRIu64, job->resources->scratch);
            json_object_set_new(empty, "sizeLimit", json_string(bytes));
        }
        pod_add_volume(volumes, json_pack("{s:s, s:o}", "name", name, "emptyDir", empty));
    } else if (is_carried(wishes, mount) && strcmp(mount->target, POD_INPUT) == 0) {
        json_decref(entry);
        return true;
    } else if (is_carried(wishes, mount)) {
        snprintf(name, sizeof(name), "output");
        pod_add_volume(volumes, json_pack("{s:s, s:{}}", "name", name, "emptyDir"));
    } else if ((wishes->apart || wishes->carried) && strcmp(mount->target, INSIDE "config") == 0) {
        snprintf(name, sizeof(name), "config");
        json_t *config = pod_config_volume(wishes, job, name, words);
        if (config == NULL) {
            json_decref(entry);
            return false;
        }
        pod_add_volume(volumes, config);
    } else if (in_volume(wishes, mount->source, &inside)) {
        snprintf(name, sizeof(name), "work");
        pod_add_volume(volumes, pod_work_volume(wishes));
        if (inside[0] != '\0') {
            json_object_set_new(entry, "subPath", json_string(inside));
        }
        free(inside);
    } else if (strncmp(mount->target, INSIDE, strlen(INSIDE)) == 0) {
        json_decref(entry);
        return say(words, "the cluster cannot see '%.250s'; the option 'volume' names %.150s", mount->source,
                   wishes->mount != NULL ? wishes->mount : "nothing");
    } else if (file) {
        json_decref(entry);
        return say(words, "the cluster cannot see the file '%.250s' of this machine; put it into the image",
                   mount->source);
    } else {
        snprintf(name, sizeof(name), "node-%zu", number);
        pod_add_volume(volumes, json_pack("{s:s, s:{s:s, s:s}}", "name", name, "hostPath", "path", mount->source,
                                          "type", "Directory"));
    }
    json_object_set_new(entry, "name", json_string(name));
    json_array_append_new(mounts, entry);
    return true;
}

json_t *pod_container(const struct pod_wishes *wishes, const struct descpipe_job *job, const char *secret,
                      json_t *volumes, char words[POD_WORDS])
{
    const struct descpipe_form *form = job->form;
    if (job->resources != NULL && job->resources->nodes > 1) {
        say(words, "stage '%.100s' asks for %u nodes; a pod is on one", job->stage, job->resources->nodes);
        return NULL;
    }
    json_t *mounts = json_array();
    for (size_t i = 0; form->mounts != NULL && form->mounts[i] != NULL; i++) {
        if (!add_mount(wishes, job, i, mounts, volumes, words)) {
            json_decref(mounts);
            return NULL;
        }
    }
    json_t *container = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "name", POD_CONTAINER, "image", form->image,
                                  "command", words_of(form->argv), "env", environment_of(job, secret), "resources",
                                  pod_resources(wishes, job->resources, true), "volumeMounts", mounts);
    if (container == NULL) {
        say(words, "stage '%.100s' holds text that is no UTF-8", job->stage);
        return NULL;
    }
    if (form->directory != NULL) {
        json_object_set_new(container, "workingDir", json_string(form->directory));
    }
    /* A digest names one image for ever: what the node has is as good as what the registry has. */
    json_object_set_new(container, "imagePullPolicy",
                        json_string(strchr(form->image, '@') != NULL ? "IfNotPresent" : "Always"));
    return container;
}

json_t *pod_pull_secrets(const struct pod_wishes *wishes)
{
    json_t *list = json_array();
    for (size_t i = 0; wishes->pull_secrets != NULL && wishes->pull_secrets[i] != NULL; i++) {
        json_array_append_new(list, json_pack("{s:s}", "name", wishes->pull_secrets[i]));
    }
    if (wishes->pull_login != NULL) {
        json_array_append_new(list, json_pack("{s:s}", "name", wishes->pull_login));
    }
    return list;
}

static void set_unless_empty(json_t *object, const char *key, json_t *value)
{
    if (json_is_array(value) ? json_array_size(value) > 0 : json_object_size(value) > 0) {
        json_object_set_new(object, key, value);
    } else {
        json_decref(value);
    }
}

/* Where the stage's own container stands, and what is around it. */
static void set_containers(json_t *pod, const struct pod_wishes *wishes, const struct descpipe_job *job,
                           json_t *container, json_t *volumes)
{
    json_t *before = json_array(), *last = container;
    if (wishes->apart) {
        json_t *bring_in = pod_bring_in_container(wishes, job, volumes);
        json_t *publish = pod_publish_container(wishes, job, volumes);
        if (bring_in != NULL) {
            json_array_append_new(before, bring_in);
        }
        if (publish != NULL) {
            json_array_append_new(before, container);
            last = publish;
        }
    }
    set_unless_empty(pod, "initContainers", before);
    json_object_set_new(pod, "containers", json_pack("[o]", last));
}

json_t *pod_specification(const struct pod_wishes *wishes, const struct descpipe_job *job, uint32_t index,
                          const char *secret, char words[POD_WORDS])
{
    json_t *volumes = json_array();
    json_t *container = job->form->form == DESCPIPE_FORM_POD
                            ? pod_container(wishes, job, secret, volumes, words)
                            : pod_launcher_container(wishes, job, index, volumes, words);
    json_t *tolerations = container != NULL ? pod_tolerations(wishes->tolerations, words) : NULL;
    if (tolerations == NULL) {
        json_decref(container);
        json_decref(volumes);
        return NULL;
    }
    json_t *pod = json_pack("{s:s, s:b, s:b, s:I}", "restartPolicy", "Never", "automountServiceAccountToken", 0,
                            "enableServiceLinks", 0, "terminationGracePeriodSeconds",
                            (json_int_t)((wishes->grace_ms + 999) / 1000));
    set_containers(pod, wishes, job, container, volumes);
    set_unless_empty(pod, "volumes", volumes);
    set_unless_empty(pod, "tolerations", tolerations);
    set_unless_empty(pod, "nodeSelector", pod_map(wishes->node_selector));
    set_unless_empty(pod, "imagePullSecrets", pod_pull_secrets(wishes));
    if (!wishes->image_user) {
        json_object_set_new(
            pod, "securityContext",
            json_pack("{s:I, s:I}", "runAsUser", (json_int_t)wishes->uid, "runAsGroup", (json_int_t)wishes->gid));
    }
    if (wishes->service_account != NULL) {
        json_object_set_new(pod, "serviceAccountName", json_string(wishes->service_account));
    }
    if (wishes->priority_class != NULL) {
        json_object_set_new(pod, "priorityClassName", json_string(wishes->priority_class));
    }
    if (job->resources != NULL &&
        job->resources->time_limit_ms > 0) { /* of the pod: a Job's own would delete it, and its log */
        json_object_set_new(pod, "activeDeadlineSeconds",
                            json_integer((json_int_t)((job->resources->time_limit_ms + 999) / 1000)));
    }
    return pod;
}

json_t *pod_metadata(const struct pod_wishes *wishes, const struct descpipe_submission *submission, uint32_t index,
                     const char *name)
{
    const struct descpipe_job *job = submission->jobs[index];
    char stage[64], number[16], attempt[24];
    pod_label_value(job->stage, stage);
    snprintf(number, sizeof(number), "%u", index);
    snprintf(attempt, sizeof(attempt), "%" PRIu64, job->attempt);
    json_t *labels = pod_map(wishes->labels);
    json_object_set_new(labels, "app.kubernetes.io/managed-by", json_string("descpipe"));
    json_object_set_new(labels, POD_LABEL_RUN, json_string(submission->run));
    json_object_set_new(labels, POD_LABEL_TOKEN, json_string(submission->token));
    json_object_set_new(labels, POD_LABEL_INDEX, json_string(number));
    if (stage[0] != '\0') {
        json_object_set_new(labels, POD_LABEL_STAGE, json_string(stage));
    }
    json_t *annotations = json_pack("{s:s, s:s}", "descpipe.org/stage", job->stage, "descpipe.org/attempt", attempt);
    if (job->member != NULL) {
        json_object_set_new(annotations, "descpipe.org/member", json_string(job->member));
    }
    return json_pack("{s:s, s:o, s:o}", "name", name, "labels", labels, "annotations", annotations);
}
