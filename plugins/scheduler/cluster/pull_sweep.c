/* SPDX-License-Identifier: BSD-3-Clause */
/* Registry logins that a dead engine left in the cluster; pull_sweep.h says how it works. */
#include "cluster/pull_sweep.h"

#include <stdio.h>
#include <stdlib.h>

#include "cluster/pod.h"
#include "cluster/pull_secret.h"

struct pull_sweep {
    struct pull_sweep_request request; /* its `run` is not kept */
    struct cluster_exchange *exchange;
    char *run;       /* escaped */
    json_t *useless; /* tokens */
    size_t next;
};

void pull_sweep_free(struct pull_sweep *sweep)
{
    if (sweep == NULL) {
        return;
    }
    cluster_drop(sweep->exchange);
    json_decref(sweep->useless);
    free(sweep->run);
    free(sweep);
}

static void remove_next(struct pull_sweep *sweep);

static void removed(void *context, const struct cluster_reply *reply)
{
    struct pull_sweep *sweep = context;
    sweep->exchange = NULL;
    pull_secret_check_removed(sweep->request.cluster, reply);
    remove_next(sweep);
}

static void remove_next(struct pull_sweep *sweep)
{
    while (sweep->exchange == NULL && sweep->next < json_array_size(sweep->useless)) {
        const char *token = json_string_value(json_array_get(sweep->useless, sweep->next++));
        sweep->exchange = pull_secret_remove(sweep->request.cluster, token, removed, sweep);
    }
    if (sweep->exchange == NULL) {
        sweep->request.done(sweep->request.context);
    }
}

static void choose(struct pull_sweep *sweep, const json_t *secret)
{
    const json_t *metadata = json_object_get(secret, "metadata");
    const char *token = json_string_value(json_object_get(json_object_get(metadata, "labels"), POD_LABEL_TOKEN));
    if (token != NULL && json_array_size(json_object_get(metadata, "ownerReferences")) == 0 &&
        !sweep->request.is_known(sweep->request.context, token)) {
        json_array_append_new(sweep->useless, json_string(token));
    }
}

static void tell(const struct pull_sweep *sweep, const struct cluster_reply *reply)
{
    const struct descpipe_host *host = sweep->request.cluster->host;
    char words[CLUSTER_WORDS + 128];
    snprintf(words, sizeof(words), "whether this run left registry logins in the cluster cannot be seen: %s",
             reply->words);
    host->log->write(host, reply->status == 403 ? DESCPIPE_LOG_DEBUG : DESCPIPE_LOG_WARNING, words);
}

static bool ask_page(struct pull_sweep *sweep, const char *page);

static void page_came(void *context, const struct cluster_reply *reply)
{
    struct pull_sweep *sweep = context;
    const json_t *items = json_object_get(reply->json, "items");
    sweep->exchange = NULL;
    if (!reply->ok) {
        tell(sweep, reply);
    }
    for (size_t i = 0; reply->ok && i < json_array_size(items); i++) {
        choose(sweep, json_array_get(items, i));
    }
    const char *page = json_string_value(json_object_get(json_object_get(reply->json, "metadata"), "continue"));
    if (!reply->ok || page == NULL || page[0] == '\0' || !ask_page(sweep, page)) {
        remove_next(sweep);
    }
}

static bool ask_page(struct pull_sweep *sweep, const char *page)
{
    struct cluster *cluster = sweep->request.cluster;
    char *from = page != NULL ? cluster_escape(page) : NULL;
    char *path = cluster_path(
        cluster, "/api/v1/namespaces/%s/secrets?limit=500&labelSelector=" POD_LABEL_RUN "%%3D%s,%s%%3D%s%s%s",
        cluster->namespace, sweep->run, PULL_SECRET_LABEL, PULL_SECRET_LABEL_VALUE, from != NULL ? "&continue=" : "",
        from != NULL ? from : "");
    const struct cluster_request request = {.method = "GET", .path = path, .done = page_came, .context = sweep};
    sweep->exchange = path != NULL && (page == NULL || from != NULL) ? cluster_ask(cluster, &request) : NULL;
    free(path);
    free(from);
    return sweep->exchange != NULL;
}

struct pull_sweep *pull_sweep_start(const struct pull_sweep_request *request)
{
    struct pull_sweep *sweep = calloc(1, sizeof(*sweep));
    if (sweep == NULL) {
        return NULL;
    }
    sweep->request = *request;
    sweep->run = cluster_escape(request->run);
    sweep->useless = json_array();
    if (sweep->run == NULL || sweep->useless == NULL || !ask_page(sweep, NULL)) {
        pull_sweep_free(sweep);
        return NULL;
    }
    return sweep;
}
