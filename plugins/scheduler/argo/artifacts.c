/* SPDX-License-Identifier: BSD-3-Clause */
/* Artifacts; artifacts.h says how it works. */
#include "artifacts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workflow.h"

enum { AT_A_TIME = 8 };

struct bringing {
    struct store *store;
    void (*done)(void *context, json_t *keys, const char *words);
    void *context;
    json_t *keys;  /* path → key */
    json_t *paths; /* to be sent */
    size_t next_one, under_way;
    struct sent *sent; /* by position in `paths` */
    struct descpipe_timer *timer;
    char words[STORE_WORDS];
};

struct sent {
    struct bringing *bringing;
    struct store_transfer *transfer;
};

static bool output_key(const struct store *store, const char *token, const struct descpipe_job *job, const char *name,
                       char key[STORE_KEY])
{
    char task[WORKFLOW_TASK_LIMIT + 1];
    if (!workflow_task_name(job->stage, job->member, task)) {
        return false;
    }
    store_key(store, key, "runs/%.64s/%s/%.300s", token, task, name);
    return true;
}

json_t *artifacts_made(const struct store *store, const char *token, const struct descpipe_job *job)
{
    json_t *made = job->makes != NULL ? json_array() : NULL;
    for (size_t i = 0; made != NULL && job->makes[i] != NULL; i++) {
        char key[STORE_KEY];
        if (output_key(store, token, job, job->makes[i]->name, key)) {
            json_array_append_new(made, json_pack("{s:s, s:s}", "key", key, "here", job->makes[i]->here));
        }
    }
    return made;
}

static void end_bringing(struct bringing *bringing)
{
    bool well = bringing->words[0] == '\0';
    json_t *keys = well ? json_incref(bringing->keys) : NULL;
    void (*done)(void *context, json_t *keys, const char *words) = bringing->done;
    char words[STORE_WORDS];
    snprintf(words, sizeof(words), "%s", bringing->words);
    void *context = bringing->context;
    artifacts_drop(bringing);
    done(context, keys, well ? NULL : words);
}

static void go_on(struct bringing *bringing);

static void is_sent(void *context, const char *key, const char *words)
{
    struct sent *sent = context;
    struct bringing *bringing = sent->bringing;
    size_t position = (size_t)(sent - bringing->sent);
    sent->transfer = NULL;
    bringing->under_way--;
    if (words != NULL && bringing->words[0] == '\0') {
        snprintf(bringing->words, sizeof(bringing->words), "%s", words);
    }
    json_object_set_new(bringing->keys, json_string_value(json_array_get(bringing->paths, position)), json_string(key));
    go_on(bringing);
}

static void go_on(struct bringing *bringing)
{
    while (bringing->words[0] == '\0' && bringing->under_way < AT_A_TIME &&
           bringing->next_one < json_array_size(bringing->paths)) {
        struct sent *sent = &bringing->sent[bringing->next_one];
        sent->bringing = bringing;
        sent->transfer = store_put(
            bringing->store, json_string_value(json_array_get(bringing->paths, bringing->next_one++)), is_sent, sent);
        bringing->under_way += sent->transfer != NULL;
        if (sent->transfer == NULL) {
            snprintf(bringing->words, sizeof(bringing->words), "out of memory");
        }
    }
    if (bringing->under_way == 0) {
        end_bringing(bringing);
    }
}

static void begin(void *context)
{
    struct bringing *bringing = context;
    bringing->timer = NULL;
    go_on(bringing);
}

static bool is_file(struct bringing *bringing, const struct descpipe_job *job, const struct descpipe_job_file *file,
                    const char *what)
{
    if (file->is_folder) {
        snprintf(bringing->words, sizeof(bringing->words),
                 "stage '%.100s': its %s '%.150s' is a folder, and artifacts carry files only; use a volume",
                 job->stage, what, file->name);
    }
    return !file->is_folder;
}

static bool list_made(struct bringing *bringing, const char *token, const struct descpipe_job *job)
{
    for (size_t i = 0; job->makes != NULL && job->makes[i] != NULL; i++) {
        char key[STORE_KEY];
        if (!is_file(bringing, job, job->makes[i], "output")) {
            return false;
        }
        if (output_key(bringing->store, token, job, job->makes[i]->name, key)) {
            json_object_set_new(bringing->keys, job->makes[i]->path, json_string(key));
        }
    }
    return true;
}

static bool list_taken(struct bringing *bringing, const struct descpipe_job *job)
{
    for (size_t i = 0; job->takes != NULL && job->takes[i] != NULL; i++) {
        const char *path = job->takes[i]->path;
        if (!is_file(bringing, job, job->takes[i], "input")) {
            return false;
        }
        if (json_object_get(bringing->keys, path) == NULL) {
            json_object_set_new(bringing->keys, path, json_null());
            json_array_append_new(bringing->paths, json_string(path));
        }
    }
    return true;
}

struct bringing *artifacts_bring(struct store *store, const struct descpipe_submission *submission,
                                 void (*done)(void *context, json_t *keys, const char *words), void *context)
{
    struct bringing *bringing = calloc(1, sizeof(*bringing));
    if (bringing == NULL) {
        return NULL;
    }
    *bringing = (struct bringing){
        .store = store, .done = done, .context = context, .keys = json_object(), .paths = json_array()};
    bool good = bringing->keys != NULL && bringing->paths != NULL;
    for (uint32_t i = 0; good && i < submission->count; i++) {
        good = list_made(bringing, submission->token, submission->jobs[i]);
    }
    for (uint32_t i = 0; good && i < submission->count; i++) {
        good = list_taken(bringing, submission->jobs[i]);
    }
    bringing->sent = calloc(json_array_size(bringing->paths) + 1, sizeof(*bringing->sent));
    if (bringing->sent == NULL) {
        artifacts_drop(bringing);
        return NULL;
    }
    bringing->timer = store->host->timer->start(store->host, 0, begin, bringing);
    return bringing;
}

void artifacts_drop(struct bringing *bringing)
{
    if (bringing == NULL) {
        return;
    }
    for (size_t i = 0; bringing->sent != NULL && i < bringing->next_one; i++) {
        store_drop(bringing->sent[i].transfer);
    }
    if (bringing->timer != NULL) {
        bringing->store->host->timer->stop(bringing->timer);
    }
    json_decref(bringing->keys);
    json_decref(bringing->paths);
    free(bringing->sent);
    free(bringing);
}

static json_t *place_of(const struct store *store, const char *key)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:{s:s, s:s}, s:{s:s, s:s}}", "endpoint", store_host_name(store),
                     "bucket", store->bucket, "region", store->region, "key", key, "insecure",
                     (int)store_is_plain(store), "accessKeySecret", "name", store->secret, "key", ARTIFACTS_ACCESS_KEY,
                     "secretKeySecret", "name", store->secret, "key", ARTIFACTS_SECRET_KEY);
}

static json_t *list_of(const struct store *store, const json_t *keys, const struct descpipe_job_file *const *files,
                       const char *what, const char *folder)
{
    json_t *list = json_array();
    for (size_t i = 0; files != NULL && files[i] != NULL; i++) {
        const char *key = json_string_value(json_object_get(keys, files[i]->path));
        char name[48];
        char *path = NULL;
        snprintf(name, sizeof(name), "%s-%zu", what, i);
        if (key != NULL && asprintf(&path, "%s/%s", folder, files[i]->name) >= 0) {
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:o}", "name", name, "path", path, "s3", place_of(store, key)));
            free(path);
        }
    }
    return json_pack("{s:o}", "artifacts", list);
}

void artifacts_add(const struct store *store, const json_t *keys, const struct descpipe_job *job, json_t *template)
{
    if (job->takes != NULL) {
        json_object_set_new(template, "inputs", list_of(store, keys, job->takes, "input", POD_INPUT));
    }
    if (job->makes != NULL) {
        json_t *outputs = list_of(store, keys, job->makes, "output", POD_OUTPUT), *one;
        size_t i;
        json_array_foreach(json_object_get(outputs, "artifacts"), i, one)
        {
            json_object_set_new(one, "archive", json_pack("{s:{}}", "none")); /* as it is, not packed */
        }
        json_object_set_new(template, "outputs", outputs);
    }
}
