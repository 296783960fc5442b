/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who takes Workflows: the API server of Kubernetes (mode 'kubernetes'), or Argo Server (mode 'server').
 *
 * How it works: both keep the same objects at paths of their own. Argo Server wants a creation wrapped and has a word
 * for each way to end a Workflow. It knows neither pods nor Secrets, so that there the nodes alone tell what becomes of
 * stages, and a pod's name, which its log is asked by, is made from its node as Argo's controller makes it.
 *
 * Source: argo-workflows.readthedocs.io/en/latest/swagger (WorkflowService), .../environment-variables (POD_NAMES).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argo.h"

#define POD_NAMES "workflows.argoproj.io/pod-name-format"

/* What comes of the environment, as a token: ours to release. */
static bool find_token(struct argo *self, struct access_server *server)
{
    server->token = self->host->config->secret(self->settings, "token");
    server->origin = "the option 'token'";
    const char *given = secure_getenv("PIPELINE_TOKEN");
    if (server->token == NULL && given != NULL && given[0] != '\0') {
        self->given_token = self->host->secret->make(given, strlen(given));
        server->token = self->given_token;
        server->origin = "the token in PIPELINE_TOKEN";
    }
    return server->token != NULL;
}

bool server_connect(struct argo *self, struct descpipe_call *call)
{
    char words[CLUSTER_WORDS] = "";
    struct access_server server = {.url = argo_text(self, "server"),
                                   .certificate_authority = argo_text(self, "certificate-authority")};
    const char *namespace = argo_text(self, "namespace");
    const char *missing = server.url == NULL ? "where Argo Server is" : namespace == NULL ? "a namespace" : NULL;
    const char *remedy = server.url == NULL ? "server: https://HOST under the backend's scheduler, or PIPELINE_HOST"
                                            : "namespace: NAME under the backend's scheduler, or PIPELINE_NS";
    if (missing == NULL && !find_token(self, &server)) {
        missing = "a token";
        remedy = "token: {secret: NAME} under the backend's scheduler, or PIPELINE_TOKEN; 'argo auth token' prints one";
    }
    if (missing != NULL) {
        snprintf(words, sizeof(words), "mode 'server' of the scheduler argo needs %s", missing);
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, remedy);
        return false;
    }
    self->connected = cluster_open_server(&self->cluster, self->host, &server, namespace, words);
    if (!self->connected) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, NULL);
    }
    return self->connected;
}

bool server_is_asked(const struct argo *self)
{
    return strcmp(argo_text(self, "mode"), "server") == 0;
}

char *server_workflows(const struct argo *self, const char *name)
{
    return cluster_path(&self->cluster, "%s%s%s%s%s", server_is_asked(self) ? "/api/v1/workflows/" : ARGO_API_BEFORE,
                        self->cluster.namespace, server_is_asked(self) ? "" : ARGO_API_AFTER, name != NULL ? "/" : "",
                        name != NULL ? name : "");
}

json_t *server_creation(const struct argo *self, json_t *workflow)
{
    return server_is_asked(self) ? json_pack("{s:s, s:O}", "namespace", self->cluster.namespace, "workflow", workflow)
                                 : json_incref(workflow);
}

static struct cluster_exchange *patch(struct argo *self, const char *name, bool terminates,
                                      struct cluster_request *request)
{
    char *path = server_workflows(self, name);
    json_t *body = json_pack("{s:{s:s}}", "spec", "shutdown", terminates ? "Terminate" : "Stop");
    request->method = "PATCH";
    request->type = "application/merge-patch+json";
    request->path = path;
    request->body = body;
    struct cluster_exchange *exchange = path != NULL && body != NULL ? cluster_ask(&self->cluster, request) : NULL;
    json_decref(body);
    free(path);
    return exchange;
}

struct cluster_exchange *server_stop(struct argo *self, const char *name, struct cluster_request *request)
{
    bool terminates = strcmp(argo_text(self, "stop"), "terminate") == 0;
    if (!server_is_asked(self)) {
        return patch(self, name, terminates, request);
    }
    char *path = cluster_path(&self->cluster, "/api/v1/workflows/%s/%s/%s", self->cluster.namespace, name,
                              terminates ? "terminate" : "stop");
    json_t *body = json_pack("{s:s, s:s}", "namespace", self->cluster.namespace, "name", name);
    request->method = "PUT";
    request->path = path;
    request->body = body;
    struct cluster_exchange *exchange = path != NULL && body != NULL ? cluster_ask(&self->cluster, request) : NULL;
    json_decref(body);
    free(path);
    return exchange;
}

bool server_names_by_node(const json_t *workflow)
{
    const json_t *annotations = json_object_get(json_object_get(workflow, "metadata"), "annotations");
    const char *format = json_string_value(json_object_get(annotations, POD_NAMES));
    return format == NULL || strcmp(format, "v1") == 0;
}

char *server_pod_name(const json_t *node, const char *workflow, bool by_node)
{
    const char *type = json_string_value(json_object_get(node, "type"));
    const char *phase = json_string_value(json_object_get(node, "phase"));
    const char *id = json_string_value(json_object_get(node, "id"));
    const char *name = json_string_value(json_object_get(node, "name"));
    const char *template = json_string_value(json_object_get(node, "templateName"));
    char *pod = NULL;
    bool begun = type != NULL && strcmp(type, "Pod") == 0 && phase != NULL && strcmp(phase, "Pending") != 0;
    if (!begun || id == NULL || name == NULL || template == NULL) {
        return NULL;
    }
    if (by_node) {
        return strdup(id);
    }
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *c = name; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    }
    return asprintf(&pod, "%s-%s-%u", workflow, template, (unsigned)hash) >= 0 ? pod : NULL;
}
