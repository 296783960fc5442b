/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a Workflow and what belongs to it: the Secret of its late values, the ConfigMaps with the files of its pods
 * (files.h), and the registry logins with which its images are pulled.
 *
 * How it works: belongings come first, so that no pod ever waits for one, and are given to the Workflow afterwards, so
 * that they go when it goes; when it is refused they are taken back. All are called by the token. One that is there
 * already is ours, from a try whose answer was lost, if its label says so; anything else of that name is left alone. So
 * there is one Workflow however often this is tried, by however many processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argo.h"
#include "artifacts.h"
#include "cluster/pull_secret.h"
#include "keys.h"

struct sending {
    struct sending *next;
    struct argo *self;
    struct descpipe_call *call; /* NULL: nobody waits any more */
    struct cluster_exchange *exchange;
    struct flow *flow;
    json_t *workflow, *belongings; /* objects */
    size_t done;                   /* of the belongings: so many are there */
    const struct descpipe_submission *given;
    struct bringing *bringing; /* artifacts on their way; or NULL */
    struct keys_asking asking;
    struct pull_secret *pull; /* being made */
    bool login;               /* there is one */
    uint32_t failure;         /* why the belongings are taken back; 0: they are not */
    char words[CLUSTER_WORDS + 128];
    const char *hint;
};

static void sending_free(struct sending *sending)
{
    struct sending **at = &sending->self->sendings;
    while (*at != sending) {
        at = &(*at)->next;
    }
    *at = sending->next;
    cluster_drop(sending->exchange);
    pull_secret_free(sending->pull);
    artifacts_drop(sending->bringing);
    json_decref(sending->workflow);
    json_decref(sending->belongings);
    free(sending);
}

void sendings_close(struct argo *self)
{
    while (self->sendings != NULL) {
        sending_free(self->sendings);
    }
}

static void end_failed(struct sending *sending)
{
    flow_free(sending->flow);
    sending->self->host->call->fail(sending->call, sending->failure, sending->words, sending->hint);
    sending_free(sending);
}

static bool ask(struct sending *sending, const char *method, const char *path, const json_t *body,
                void (*done)(void *context, const struct cluster_reply *reply))
{
    const struct cluster_request request = {.method = method,
                                            .path = path,
                                            .body = body,
                                            .type =
                                                strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : NULL,
                                            .done = done,
                                            .context = sending};
    sending->exchange = path != NULL ? cluster_ask(&sending->self->cluster, &request) : NULL;
    return sending->exchange != NULL;
}

/* Of all Secrets or ConfigMaps, or of one. */
static char *belonging_path(const struct sending *sending, const json_t *object, bool one)
{
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const char *name = json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
    return cluster_path(&sending->self->cluster, "/api/v1/namespaces/%s/%s%s%s", sending->self->cluster.namespace,
                        strcmp(kind, "Secret") == 0 ? "secrets" : "configmaps", one ? "/" : "", one ? name : "");
}

static void take_back(struct sending *sending);

static void taken_back(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    sending->exchange = NULL;
    if (!reply->ok && reply->status != 404) {
        sending->self->host->log->write(sending->self->host, DESCPIPE_LOG_WARNING, reply->words);
    }
    take_back(sending);
}

static void login_taken_back(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    sending->exchange = NULL;
    pull_secret_check_removed(&sending->self->cluster, reply);
    end_failed(sending);
}

static void take_back(struct sending *sending)
{
    if (sending->done > 0) {
        sending->done--;
        char *path = belonging_path(sending, json_array_get(sending->belongings, sending->done), true);
        bool asked = ask(sending, "DELETE", path, NULL, taken_back);
        free(path);
        if (asked) {
            return;
        }
    }
    if (sending->login) {
        sending->exchange = pull_secret_remove(&sending->self->cluster, sending->flow->name, login_taken_back, sending);
    }
    if (sending->exchange == NULL) {
        end_failed(sending);
    }
}

static void fail(struct sending *sending, uint32_t failure, const char *words, const char *hint)
{
    /* What may be sent once more under the same name keeps its belongings. */
    bool is_final =
        failure != DESCPIPE_FAILED_UNKNOWN && failure != DESCPIPE_FAILED_CANNOT_ASK && failure != DESCPIPE_FAILED_LATER;
    sending->failure = failure;
    sending->hint = hint;
    snprintf(sending->words, sizeof(sending->words), "%s", words);
    if (is_final) {
        take_back(sending);
    } else {
        end_failed(sending);
    }
}

static void fail_with(struct sending *sending, const char *what, const struct cluster_reply *reply)
{
    char words[CLUSTER_WORDS + 128];
    snprintf(words, sizeof(words), "cannot %s '%s': %s", what, sending->flow->name, reply->words);
    /* Nobody knows whether the last try arrived. */
    bool unknown = reply->status == 0 || reply->status >= 500;
    bool absent = reply->status == 404;
    fail(sending, unknown ? (uint32_t)DESCPIPE_FAILED_UNKNOWN : reply->failure, words,
         !absent ? reply->hint
         : server_is_asked(sending->self)
             ? "is it an Argo Server, and does the namespace exist?"
             : "is Argo Workflows installed in this cluster, and does the namespace exist?");
}

static void ask_or_fail(struct sending *sending, const char *method, const char *path, const json_t *body,
                        void (*done)(void *context, const struct cluster_reply *reply))
{
    if (!ask(sending, method, path, body, done)) {
        fail(sending, DESCPIPE_FAILED_UNKNOWN, "out of memory", NULL);
    }
}

static void tell_link(const struct sending *sending)
{
    const struct argo *self = sending->self;
    const char *ui = argo_text(self, "ui");
    char line[1024];
    ui = ui == NULL && server_is_asked(self) ? self->cluster.server : ui;
    if (ui == NULL) {
        return;
    }
    size_t length = strlen(ui);
    snprintf(line, sizeof(line), "Workflow %s: %.*s/workflows/%s/%s", sending->flow->name,
             (int)(ui[length - 1] == '/' ? length - 1 : length), ui, self->cluster.namespace, sending->flow->name);
    self->host->log->write(self->host, DESCPIPE_LOG_NOTICE, line);
}

static void taken(struct sending *sending)
{
    const struct argo *self = sending->self;
    for (uint32_t i = 0; i < sending->flow->count; i++) {
        if (sending->flow->tasks[i].job != 0) {
            self->host->answer->native_id(sending->call, sending->flow->tasks[i].job, sending->flow->name);
        }
    }
    tell_link(sending);
    flow_begin(sending->flow);
    self->host->call->succeed(sending->call);
    sending_free(sending);
}

static void give_to_workflow(struct sending *sending);

static void is_given(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    sending->exchange = NULL;
    if (!reply->ok) { /* it works all the same, and stays too long */
        sending->self->host->log->write(sending->self->host, DESCPIPE_LOG_WARNING, reply->words);
    }
    give_to_workflow(sending);
}

/* One after the other, from the last. */
static void give_to_workflow(struct sending *sending)
{
    const struct flow *flow = sending->flow;
    if (sending->done == 0 || flow->uid == NULL) {
        taken(sending);
        return;
    }
    sending->done--;
    json_t *owned = json_pack("{s:{s:[{s:s, s:s, s:s, s:s}]}}", "metadata", "ownerReferences", "apiVersion",
                              WORKFLOW_API, "kind", "Workflow", "name", flow->name, "uid", flow->uid);
    char *path = belonging_path(sending, json_array_get(sending->belongings, sending->done), true);
    bool asked = ask(sending, "PATCH", path, owned, is_given);
    json_decref(owned);
    free(path);
    if (!asked) {
        taken(sending);
    }
}

/* It is there, whoever made it. */
static void workflow_is_there(struct sending *sending, const json_t *workflow)
{
    const char *uid = json_string_value(json_object_get(json_object_get(workflow, "metadata"), "uid"));
    if (uid != NULL && sending->flow->uid == NULL) {
        sending->flow->uid = strdup(uid);
    }
    if (sending->login && uid != NULL) {
        pull_secret_own(&sending->self->cluster, sending->flow->name,
                        json_pack("[{s:s, s:s, s:s, s:s}]", "apiVersion", WORKFLOW_API, "kind", "Workflow", "name",
                                  sending->flow->name, "uid", uid));
    }
    sending->done = json_array_size(sending->belongings);
    give_to_workflow(sending);
}

static bool is_ours(const struct sending *sending, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *token = json_string_value(json_object_get(json_object_get(metadata, "labels"), POD_LABEL_TOKEN));
    return token != NULL && strcmp(token, sending->flow->name) == 0 &&
           json_object_get(metadata, "deletionTimestamp") == NULL;
}

static void workflow_found(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    sending->exchange = NULL;
    if (!reply->ok) {
        fail_with(sending, "make the Workflow", reply);
    } else if (!is_ours(sending, reply->json)) {
        char words[CLUSTER_WORDS];
        snprintf(words, sizeof(words), "there is another Workflow '%s' in namespace '%s', or it is being deleted",
                 sending->flow->name, sending->self->cluster.namespace);
        fail(sending, DESCPIPE_FAILED_REFUSED, words, NULL);
    } else {
        workflow_is_there(sending, reply->json);
    }
}

static void workflow_posted(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    const struct argo *self = sending->self;
    sending->exchange = NULL;
    if (reply->ok) {
        workflow_is_there(sending, reply->json);
    } else if (reply->status == 409) { /* ours, whose answer was lost */
        char *path = server_workflows(self, sending->flow->name);
        ask_or_fail(sending, "GET", path, NULL, workflow_found);
        free(path);
    } else {
        fail_with(sending, "make the Workflow", reply);
    }
}

static void post_workflow(struct sending *sending)
{
    const struct argo *self = sending->self;
    char *path = server_workflows(self, NULL);
    json_t *body = server_creation(self, sending->workflow);
    ask_or_fail(sending, "POST", path, body, workflow_posted);
    json_decref(body);
    free(path);
}

static void post_belonging(struct sending *sending);

static void belonging_posted(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    sending->exchange = NULL;
    if (!reply->ok && reply->status != 409) {
        const char *kind =
            json_string_value(json_object_get(json_array_get(sending->belongings, sending->done), "kind"));
        fail_with(sending, strcmp(kind, "Secret") == 0 ? "make the Secret of" : "make a ConfigMap of", reply);
        return;
    }
    sending->done++;
    post_belonging(sending);
}

static void post_belonging(struct sending *sending)
{
    const json_t *object = json_array_get(sending->belongings, sending->done);
    if (object == NULL) {
        post_workflow(sending);
        return;
    }
    char *path = belonging_path(sending, object, false);
    ask_or_fail(sending, "POST", path, object, belonging_posted);
    free(path);
}

static void cancelled(void *context)
{
    struct sending *sending = context;
    fail(sending, DESCPIPE_FAILED_UNKNOWN, "cancelled while the Workflow was being made", NULL);
}

static json_t *belonging(const char *kind, const char *name, const struct descpipe_submission *submission,
                         const char *what, json_t *data)
{
    return json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s}}, s:o}", "apiVersion", "v1", "kind", kind, "metadata",
                     "name", name, "labels", "app.kubernetes.io/managed-by", "descpipe", POD_LABEL_RUN, submission->run,
                     POD_LABEL_TOKEN, submission->token, what, data);
}

/* Late values of all stages, by position. NULL when there are none. */
static json_t *secret_of(const struct descpipe_submission *submission)
{
    json_t *data = json_object();
    for (uint32_t i = 0; i < submission->count; i++) {
        json_t *own = pod_secret_data(submission->jobs[i]), *value;
        const char *name;
        json_object_foreach(own, name, value)
        {
            char key[256];
            snprintf(key, sizeof(key), WORKFLOW_SECRET_KEY, i, name);
            json_object_set(data, key, value);
        }
        json_decref(own);
    }
    if (json_object_size(data) == 0) {
        json_decref(data);
        return NULL;
    }
    return belonging("Secret", submission->token, submission, "data", data);
}

/* It is there already: what became of it is looked at once, then the watch tells. */
static void adopted_found(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    const struct argo *self = sending->self;
    sending->exchange = NULL;
    if (!reply->ok && reply->status != 404) {
        fail_with(sending, "look at the Workflow", reply);
        return;
    }
    flow_take(sending->flow, reply->ok ? reply->json : NULL);
    self->host->call->succeed(sending->call);
    sending_free(sending);
}

/* Nobody has said with what images are pulled. */
static bool wants_login(const void *context, const struct descpipe_job *job)
{
    const struct argo *self = context;
    (void)job;
    return !server_is_asked(self) && !self->host->config->given(self->settings, "pull-secrets") &&
           self->given_secrets[0] == NULL;
}

static void got_login(void *context, const struct pull_secret_answer *answer)
{
    struct sending *sending = context;
    if (answer->failure != 0) {
        fail(sending, answer->failure, answer->words, answer->hint);
        return;
    }
    if (answer->name != NULL) {
        json_t *spec = json_object_get(sending->workflow, "spec"), *names = json_object_get(spec, "imagePullSecrets");
        if (names == NULL) {
            names = json_array();
            json_object_set_new(spec, "imagePullSecrets", names);
        }
        json_array_append_new(names, json_pack("{s:s}", "name", answer->name));
        sending->login = sending->self->logins = true;
    }
    pull_secret_free(sending->pull);
    sending->pull = NULL;
    post_belonging(sending);
}

static void adopt(struct sending *sending)
{
    char *path = server_workflows(sending->self, sending->flow->name);
    sending->self->logins = !server_is_asked(sending->self); /* the one who submitted it may have made some */
    ask_or_fail(sending, "GET", path, NULL, adopted_found);
    free(path);
}

static void begin(struct sending *sending)
{
    struct argo *self = sending->self;
    const struct pull_secret_request request = {.cluster = &self->cluster,
                                                .submission = sending->given,
                                                .wanted = wants_login,
                                                .self = self,
                                                .done = got_login,
                                                .context = sending};
    sending->pull = pull_secret_make(&request);
    if (sending->pull == NULL) {
        fail(sending, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
    }
}

/* On a volume that this machine sees too, what its pods run besides their stages is written there. */
static bool write_scripts(const struct descpipe_submission *given, char words[POD_WORDS])
{
    for (uint32_t i = 0; i < given->count; i++) {
        char prefix[4000];
        snprintf(prefix, sizeof(prefix), WORKFLOW_SCRIPTS, given->folder, i);
        if (!pod_files_write(prefix, given->jobs[i], words)) {
            return false;
        }
    }
    return true;
}

/* The Workflow and its belongings; NULL with words. */
static json_t *prepare(struct argo *self, const struct descpipe_submission *given, const json_t *keys,
                       json_t *belongings, char words[POD_WORDS])
{
    struct workflow_wishes wishes;
    struct files files = {.maps = NULL};
    json_t *secret = secret_of(given);
    argo_wishes(self, &wishes);
    wishes.secret = secret != NULL ? given->token : NULL;
    if (secret != NULL) {
        json_array_append_new(belongings, secret);
    }
    bool in_maps = wishes.pods.apart || wishes.pods.carried;
    if (!(in_maps ? files_pack(&files, given, wishes.pods.apart, words) : write_scripts(given, words))) {
        return NULL;
    }
    wishes.files = in_maps ? &files : NULL;
    wishes.keys = keys;
    for (size_t i = 0; i < json_array_size(files.maps); i++) {
        char name[64];
        files_name(given->token, (uint32_t)i, name);
        json_array_append_new(
            belongings, belonging("ConfigMap", name, given, "binaryData", json_incref(json_array_get(files.maps, i))));
    }
    json_t *workflow = workflow_make(&wishes, given, words);
    files_clear(&files);
    return workflow;
}

/* Of what Argo Server does not make; NULL: it has all. */
static const char *what_server_lacks(const struct argo *self, const json_t *belongings)
{
    const char *kind = json_string_value(json_object_get(json_array_get(belongings, 0), "kind"));
    if (!server_is_asked(self) || kind == NULL) {
        return NULL;
    }
    return strcmp(kind, "Secret") == 0
               ? "a stage has secrets in its environment, and Argo Server makes no Secret that holds them"
               : "a stage has configuration files, and Argo Server makes no ConfigMap that holds them";
}

/* What is here and there is known: the Workflow can be made. */
static void make(struct sending *sending, const json_t *keys)
{
    char words[POD_WORDS] = "out of memory";
    sending->belongings = json_array();
    sending->workflow = prepare(sending->self, sending->given, keys, sending->belongings, words);
    const char *lacking = what_server_lacks(sending->self, sending->belongings);
    if (sending->workflow == NULL) {
        fail(sending, DESCPIPE_FAILED_REFUSED, words, NULL);
    } else if (lacking != NULL) {
        fail(sending, DESCPIPE_FAILED_REFUSED, lacking, "use mode: kubernetes, by which the run makes one");
    } else {
        flow_read(sending->flow, sending->workflow);
        begin(sending);
    }
}

static void brought(void *context, json_t *keys, const char *words)
{
    struct sending *sending = context;
    sending->bringing = NULL;
    if (keys == NULL) {
        fail(sending, DESCPIPE_FAILED_REFUSED, words, "the option 'artifacts' says which store, and whose Secret");
        return;
    }
    make(sending, keys);
    json_decref(keys);
}

static void keys_are_there(struct sending *sending)
{
    struct argo *self = sending->self;
    if ((sending->given->flags & DESCPIPE_SUBMISSION_ADOPT) != 0) {
        adopt(sending);
        return;
    }
    if (self->store.bucket == NULL) {
        make(sending, NULL);
        return;
    }
    sending->bringing = artifacts_bring(&self->store, sending->given, brought, sending);
    if (sending->bringing == NULL) {
        fail(sending, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
    }
}

static void keys_came(void *context, uint32_t failure, const char *words)
{
    struct sending *sending = context;
    sending->exchange = NULL;
    if (failure == 0) {
        keys_are_there(sending);
    } else {
        fail(sending, failure, words, "or say them here: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }
}

static void find_keys(struct sending *sending)
{
    struct argo *self = sending->self;
    if (self->store.bucket == NULL || store_has_keys(&self->store)) {
        keys_are_there(sending);
    } else if (server_is_asked(self)) {
        fail(sending, DESCPIPE_FAILED_REFUSED, "nobody says the keys of the artifacts' store, and Argo Server has none",
             "say them here: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    } else {
        sending->asking = (struct keys_asking){.store = &self->store, .done = keys_came, .context = sending};
        sending->exchange = keys_ask(&self->cluster, &sending->asking);
        if (sending->exchange == NULL) {
            fail(sending, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        }
    }
}

void argo_submit(void *context, struct descpipe_call *call, const struct descpipe_submission *given)
{
    struct argo *self = context;
    if (!argo_connect(self, call)) {
        return;
    }
    flow_watch(self, given->run);
    struct sending *sending = calloc(1, sizeof(*sending));
    struct flow *flow = sending != NULL ? flow_new(self, given) : NULL;
    if (flow == NULL) {
        free(sending);
        self->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        return;
    }
    *sending = (struct sending){.self = self, .next = self->sendings, .call = call, .flow = flow, .given = given};
    self->sendings = sending;
    self->host->call->on_cancel(call, cancelled, sending);
    find_keys(sending);
}
