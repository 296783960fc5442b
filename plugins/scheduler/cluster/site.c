/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking a cluster whether it would take a stage; site.h. */
#include "cluster/site.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SITE_STEPS = 48, SITE_WORDS = 2048 };

enum step_kind { STEP_RIGHT, STEP_TRIAL, STEP_CLAIM, STEP_SECRET, STEP_NODES };

struct step {
    enum step_kind kind;
    char *path;
    json_t *body;       /* or NULL */
    char *what;         /* for people */
    const char *absent; /* of a trial, or NULL */
};

struct site {
    struct cluster *cluster;
    struct descpipe_call *call;
    struct cluster_exchange *exchange;
    struct step steps[SITE_STEPS];
    size_t count, next;
    char wrong[SITE_WORDS], lacking[SITE_WORDS / 2]; /* all that is in the way; the rights of it */
    const char *hint;
    bool no_memory;
};

static void site_free(struct site *site)
{
    for (size_t i = 0; i < site->count; i++) {
        free(site->steps[i].path);
        free(site->steps[i].what);
        json_decref(site->steps[i].body);
    }
    free(site);
}

/* Takes path, body and what. */
static void add_step(struct site *site, enum step_kind kind, char *path, json_t *body, char *what)
{
    if (site->count < SITE_STEPS && path != NULL && what != NULL) {
        site->steps[site->count++] = (struct step){.kind = kind, .path = path, .body = body, .what = what};
        return;
    }
    site->no_memory = true;
    free(path);
    free(what);
    json_decref(body);
}

static void say(struct site *site, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct site *site, const char *hint, const char *format, ...)
{
    size_t length = strlen(site->wrong);
    va_list arguments;
    if (length > 0 && length + 2 < sizeof(site->wrong)) {
        memcpy(site->wrong + length, "; ", 3);
        length += 2;
    }
    va_start(arguments, format);
    vsnprintf(site->wrong + length, sizeof(site->wrong) - length, format, arguments);
    va_end(arguments);
    site->hint = site->hint != NULL ? site->hint : hint;
}

static void finish(struct site *site)
{
    const struct descpipe_host *host = site->cluster->host;
    if (site->lacking[0] != '\0') {
        say(site, "ask the cluster's administrator for a role with these rights", "no right in namespace '%s' to %s",
            site->cluster->namespace, site->lacking);
    }
    if (site->wrong[0] != '\0') {
        host->call->fail(site->call, DESCPIPE_FAILED_REFUSED, site->wrong, site->hint);
    } else {
        host->answer->moment(site->call, 0); /* when it would start is not known */
        host->call->succeed(site->call);
    }
    site_free(site);
}

static const json_t *status_of(const struct cluster_reply *reply, const char *key)
{
    return json_object_get(json_object_get(reply->json, "status"), key);
}

static void judge_claim(struct site *site, const struct step *step, const struct cluster_reply *reply)
{
    const char *phase = json_string_value(status_of(reply, "phase"));
    if (reply->status == 404) {
        say(site, "make the claim, or name another one in 'volume'", "there is no PersistentVolumeClaim '%s'",
            step->what);
    } else if (reply->ok && phase != NULL && strcmp(phase, "Lost") == 0) {
        say(site, "ask the cluster's administrator", "the PersistentVolumeClaim '%s' has lost its volume", step->what);
    }
}

static void judge(struct site *site, const struct step *step, const struct cluster_reply *reply)
{
    switch (step->kind) {
    case STEP_RIGHT:
        if (reply->ok && !json_is_true(status_of(reply, "allowed"))) {
            size_t length = strlen(site->lacking);
            snprintf(site->lacking + length, sizeof(site->lacking) - length, "%s%s", length > 0 ? ", " : "",
                     step->what);
        }
        break;
    case STEP_TRIAL:
        /* Who may only make Jobs may not make pods, and need not. */
        if (reply->status == 404 && step->absent != NULL && strcmp(reply->reason, "NotFound") != 0) {
            say(site, "ask the cluster's administrator for it", "%s", step->absent);
        } else if (reply->status >= 400 && reply->status < 500 && reply->status != 429 &&
                   strstr(reply->words, "cannot create resource") == NULL) {
            say(site, NULL, "%s would be refused: %s", step->what, reply->words);
        }
        break;
    case STEP_CLAIM:
        judge_claim(site, step, reply);
        break;
    case STEP_SECRET:
        if (reply->status == 404) {
            say(site, "make it: kubectl create secret docker-registry ...", "there is no pull secret '%s'", step->what);
        }
        break;
    case STEP_NODES:
        if (reply->ok && json_array_size(json_object_get(reply->json, "items")) == 0) {
            say(site, "see what nodes have: kubectl get nodes --show-labels", "no node has the labels %s", step->what);
        }
        break;
    }
}

static void ask_next(struct site *site);

static void step_answered(void *context, const struct cluster_reply *reply)
{
    struct site *site = context;
    site->exchange = NULL;
    if (!reply->ok && (reply->status == 0 || reply->status == 401)) { /* of the rest the same would be said */
        cluster_fail(site->cluster, site->call, "ask what it would take", reply);
        site_free(site);
        return;
    }
    judge(site, &site->steps[site->next - 1], reply);
    ask_next(site);
}

static void ask_next(struct site *site)
{
    if (site->next == site->count) {
        finish(site);
        return;
    }
    const struct step *step = &site->steps[site->next++];
    const struct cluster_request request = {.method = step->body != NULL ? "POST" : "GET",
                                            .path = step->path,
                                            .body = step->body,
                                            .done = step_answered,
                                            .context = site};
    site->exchange = cluster_ask(site->cluster, &request);
    if (site->exchange == NULL) {
        site->cluster->host->call->fail(site->call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        site_free(site);
    }
}

static void site_cancelled(void *context)
{
    struct site *site = context;
    site->cluster->host->call->fail(site->call, DESCPIPE_FAILED_CANCELLED, "cancelled", NULL);
    cluster_drop(site->exchange);
    site_free(site);
}

static void add_rights(struct site *site, const struct site_right *rights)
{
    const char *namespace = site->cluster->namespace;
    for (; rights != NULL && rights->verb != NULL; rights++) {
        const char *sub = rights->subresource != NULL ? rights->subresource : "";
        json_t *body =
            json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s, s:s, s:s}}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                      "SelfSubjectAccessReview", "spec", "resourceAttributes", "namespace", namespace, "verb",
                      rights->verb, "group", rights->group, "resource", rights->resource, "subresource", sub);
        add_step(
            site, STEP_RIGHT, cluster_path(site->cluster, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
            body,
            cluster_path(site->cluster, "%s %s%s%s", rights->verb, rights->resource, sub[0] != '\0' ? "/" : "", sub));
    }
}

static void add_nodes(struct site *site, const char *const *selector)
{
    char query[1024] = "", shown[512] = "";
    size_t length = 0, told = 0;
    for (size_t i = 0; selector != NULL && selector[i] != NULL; i += 2) {
        char *key = cluster_escape(selector[i]), *value = cluster_escape(selector[i + 1]);
        length += (size_t)snprintf(query + length, sizeof(query) - length, "%s%s%%3D%s", i > 0 ? "%2C" : "",
                                   key != NULL ? key : "", value != NULL ? value : "");
        free(key);
        free(value);
        if (length >= sizeof(query)) {
            return; /* more than a server takes in a question */
        }
        told += told < sizeof(shown) ? (size_t)snprintf(shown + told, sizeof(shown) - told, "%s%s=%s",
                                                        i > 0 ? ", " : "", selector[i], selector[i + 1])
                                     : 0;
    }
    if (length > 0) {
        add_step(site, STEP_NODES, cluster_path(site->cluster, "/api/v1/nodes?limit=1&labelSelector=%s", query), NULL,
                 strdup(shown));
    }
}

static void add_object(struct site *site, enum step_kind kind, const char *plural, const char *name)
{
    char *escaped = cluster_escape(name);
    char *path = escaped != NULL ? cluster_path(site->cluster, "/api/v1/namespaces/%s/%s/%s", site->cluster->namespace,
                                                plural, escaped)
                                 : NULL;
    free(escaped);
    add_step(site, kind, path, NULL, strdup(name));
}

void site_trial_job(const struct descpipe_job *shape, struct descpipe_job *job, struct descpipe_form *form)
{
    static const char *const nothing[] = {"true", NULL};
    *form = (struct descpipe_form){
        .size = sizeof(*form), .form = DESCPIPE_FORM_POD, .argv = nothing, .image = "descpipe.invalid/site-check"};
    *job = *shape;
    job->form = form;
    job->late_environment = NULL;
}

json_t *site_trial_pod(const struct pod_wishes *wishes, const struct descpipe_job *shape, char words[POD_WORDS])
{
    struct pod_wishes alone = *wishes;
    struct descpipe_form form;
    struct descpipe_job job;
    alone.apart = false;
    site_trial_job(shape, &job, &form);
    json_t *pod = pod_specification(&alone, &job, 0, NULL, words);
    return pod != NULL ? json_pack("{s:s, s:s, s:{s:s}, s:o}", "apiVersion", "v1", "kind", "Pod", "metadata",
                                   "generateName", "descpipe-site-check-", "spec", pod)
                       : NULL;
}

void site_check(struct cluster *cluster, struct descpipe_call *call, const struct site_request *request)
{
    const struct pod_wishes *wishes = request->wishes;
    struct site *site = calloc(1, sizeof(*site));
    for (size_t i = 0; site == NULL && i < 2; i++) {
        json_decref(request->trials[i].object);
    }
    if (site == NULL) {
        cluster->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        return;
    }
    *site = (struct site){.cluster = cluster, .call = call};
    add_rights(site, request->rights);
    if (wishes->claim != NULL) {
        add_object(site, STEP_CLAIM, "persistentvolumeclaims", wishes->claim);
    }
    for (size_t i = 0; wishes->pull_secrets != NULL && wishes->pull_secrets[i] != NULL && i < 8; i++) {
        add_object(site, STEP_SECRET, "secrets", wishes->pull_secrets[i]);
    }
    add_nodes(site, wishes->node_selector);
    for (size_t i = 0; i < 2 && request->trials[i].object != NULL; i++) {
        const struct site_trial *trial = &request->trials[i];
        add_step(site, STEP_TRIAL, trial->path != NULL ? strdup(trial->path) : NULL, trial->object,
                 strdup(trial->what));
        if (!site->no_memory) {
            site->steps[site->count - 1].absent = trial->absent;
        }
    }
    if (site->no_memory) {
        cluster->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "out of memory", NULL);
        site_free(site);
        return;
    }
    cluster->host->call->on_cancel(call, site_cancelled, site);
    ask_next(site);
}
