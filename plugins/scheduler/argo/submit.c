/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a Workflow, the Secret of its late values, and that of the registry logins with which its images are pulled.
 *
 * How it works: the Secret comes first, so that no pod ever waits for it, and is given to the Workflow afterwards, so
 * that it goes when the Workflow goes. Both are called by the token. One that is there already is ours, from a try
 * whose answer was lost, if its label says so; anything else of that name is left alone. So there is one Workflow
 * however often this is tried, by however many processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argo.h"
#include "cluster/pull_secret.h"

struct sending {
    struct sending *next;
    struct argo *self;
    struct descpipe_call *call; /* NULL: nobody waits any more */
    struct cluster_exchange *exchange;
    struct flow *flow;
    json_t *workflow, *secret; /* secret NULL: it needs none */
    struct pull_secret *pull;  /* being made */
    bool login;                /* there is one */
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
    json_decref(sending->workflow);
    json_decref(sending->secret);
    free(sending);
}

void sendings_close(struct argo *self)
{
    while (self->sendings != NULL) {
        sending_free(self->sendings);
    }
}

static void fail(struct sending *sending, uint32_t failure, const char *words, const char *hint)
{
    flow_free(sending->flow);
    sending->self->host->call->fail(sending->call, failure, words, hint);
    sending_free(sending);
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

static void ask(struct sending *sending, const char *method, const char *path, const json_t *body,
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
    if (sending->exchange == NULL) {
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

/* It is there, whoever made it. */
static void secret_is_owned(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    sending->exchange = NULL;
    if (!reply->ok) { /* it works all the same, and stays too long */
        sending->self->host->log->write(sending->self->host, DESCPIPE_LOG_WARNING, reply->words);
    }
    taken(sending);
}

static void workflow_is_there(struct sending *sending, const json_t *workflow)
{
    const struct argo *self = sending->self;
    const char *uid = json_string_value(json_object_get(json_object_get(workflow, "metadata"), "uid"));
    if (uid != NULL && sending->flow->uid == NULL) {
        sending->flow->uid = strdup(uid);
    }
    if (sending->login && uid != NULL) {
        pull_secret_own(&sending->self->cluster, sending->flow->name,
                        json_pack("[{s:s, s:s, s:s, s:s}]", "apiVersion", WORKFLOW_API, "kind", "Workflow", "name",
                                  sending->flow->name, "uid", uid));
    }
    if (sending->secret == NULL || uid == NULL) {
        taken(sending);
        return;
    }
    json_t *owned = json_pack("{s:{s:[{s:s, s:s, s:s, s:s}]}}", "metadata", "ownerReferences", "apiVersion",
                              WORKFLOW_API, "kind", "Workflow", "name", sending->flow->name, "uid", uid);
    char *path =
        cluster_path(&self->cluster, "/api/v1/namespaces/%s/secrets/%s", self->cluster.namespace, sending->flow->name);
    ask(sending, "PATCH", path, owned, secret_is_owned);
    json_decref(owned);
    free(path);
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
        ask(sending, "GET", path, NULL, workflow_found);
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
    ask(sending, "POST", path, body, workflow_posted);
    json_decref(body);
    free(path);
}

static void secret_posted(void *context, const struct cluster_reply *reply)
{
    struct sending *sending = context;
    sending->exchange = NULL;
    if (!reply->ok && reply->status != 409) {
        fail_with(sending, "make the Secret", reply);
    } else {
        post_workflow(sending);
    }
}

static void cancelled(void *context)
{
    struct sending *sending = context;
    fail(sending, DESCPIPE_FAILED_UNKNOWN, "cancelled while the Workflow was being made", NULL);
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
    return json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s}}, s:o}", "apiVersion", "v1", "kind", "Secret", "metadata",
                     "name", submission->token, "labels", "app.kubernetes.io/managed-by", "descpipe", POD_LABEL_RUN,
                     submission->run, POD_LABEL_TOKEN, submission->token, "data", data);
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

static void post_secret(struct sending *sending)
{
    const struct argo *self = sending->self;
    if (sending->secret == NULL) {
        post_workflow(sending);
        return;
    }
    char *path = cluster_path(&self->cluster, "/api/v1/namespaces/%s/secrets", self->cluster.namespace);
    ask(sending, "POST", path, sending->secret, secret_posted);
    free(path);
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
    post_secret(sending);
}

static void begin(struct sending *sending, const struct descpipe_submission *given, bool adopts)
{
    struct argo *self = sending->self;
    if (adopts) {
        char *path = server_workflows(self, sending->flow->name);
        self->logins = !server_is_asked(self); /* the one who submitted it may have made some */
        ask(sending, "GET", path, NULL, adopted_found);
        free(path);
        return;
    }
    const struct pull_secret_request request = {.cluster = &self->cluster,
                                                .submission = given,
                                                .wanted = wants_login,
                                                .self = self,
                                                .done = got_login,
                                                .context = sending};
    sending->pull = pull_secret_make(&request);
    if (sending->pull == NULL) {
        fail(sending, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
    }
}

/* Before anything is sent: what its pods run besides their stages lies on the volume. */
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

void argo_submit(void *context, struct descpipe_call *call, const struct descpipe_submission *given)
{
    struct argo *self = context;
    struct workflow_wishes wishes;
    char words[POD_WORDS] = "out of memory";
    if (!argo_connect(self, call)) {
        return;
    }
    flow_watch(self, given->run);
    bool adopts = (given->flags & DESCPIPE_SUBMISSION_ADOPT) != 0;
    json_t *secret = adopts ? NULL : secret_of(given);
    if (secret != NULL && server_is_asked(self)) {
        self->host->call->fail(
            call, DESCPIPE_FAILED_REFUSED,
            "a stage has secrets in its environment, and Argo Server makes no Secret that holds them",
            "use mode: kubernetes, by which the run makes one");
        json_decref(secret);
        return;
    }
    argo_wishes(self, &wishes);
    wishes.secret = secret != NULL ? given->token : NULL;
    json_t *workflow = adopts ? json_null() : write_scripts(given, words) ? workflow_make(&wishes, given, words) : NULL;
    struct sending *sending = workflow != NULL ? calloc(1, sizeof(*sending)) : NULL;
    struct flow *flow = sending != NULL ? flow_new(self, given) : NULL;
    if (flow == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, NULL);
        json_decref(secret);
        json_decref(workflow);
        free(sending);
        return;
    }
    *sending = (struct sending){
        .self = self, .next = self->sendings, .call = call, .flow = flow, .workflow = workflow, .secret = secret};
    self->sendings = sending;
    if (!adopts) {
        flow_read(flow, workflow);
    }
    self->host->call->on_cancel(call, cancelled, sending);
    begin(sending, given, adopts);
}
