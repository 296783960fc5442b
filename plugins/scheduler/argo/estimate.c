/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the cluster would take a stage as a Workflow, for `check --site`: asked, not sent. */
#include <stdio.h>
#include <stdlib.h>

#include "argo.h"
#include "cluster/site.h"

#define SITE_CHECK "descpipe-site-check"

static const struct site_right rights[] = {{"create", "", "configmaps", NULL}, /* where the volume is apart */
                                           {"create", "argoproj.io", "workflows", NULL},
                                           {"get", "argoproj.io", "workflows", NULL},
                                           {"list", "argoproj.io", "workflows", NULL},
                                           {"watch", "argoproj.io", "workflows", NULL},
                                           {"patch", "argoproj.io", "workflows", NULL},
                                           {"list", "", "pods", NULL},
                                           {"watch", "", "pods", NULL},
                                           {"delete", "", "pods", NULL},
                                           {"get", "", "pods", "log"},
                                           {"create", "", "secrets", NULL},
                                           {NULL, NULL, NULL, NULL}};

/* A Workflow of one stage of that shape. */
static json_t *trial_workflow(const struct workflow_wishes *wishes, const struct descpipe_job *shape,
                              char words[POD_WORDS])
{
    struct descpipe_form form;
    struct descpipe_job job;
    const struct descpipe_job *const jobs[] = {&job, NULL};
    const struct descpipe_submission alone = {
        .size = sizeof(alone), .count = 1, .token = SITE_CHECK, .run = SITE_CHECK, .jobs = jobs};
    site_trial_job(shape, &job, &form);
    return workflow_make(wishes, &alone, words);
}

/* Argo Server looks at a Workflow without taking it, and knows nothing else of what is asked here. */
static void ask_server(struct argo *self, struct descpipe_call *call, json_t *workflow)
{
    static const struct pod_wishes nothing = {.claim = NULL};
    char *path = cluster_path(&self->cluster, "/api/v1/workflows/%s/lint", self->cluster.namespace);
    json_t *body = server_creation(self, workflow);
    const struct site_request request = {
        .wishes = &nothing,
        .trials = {{.path = path,
                    .object = body,
                    .what = "its Workflow",
                    .absent = "the server does not know Workflows: it is no Argo Server"}}};
    site_check(&self->cluster, call, &request);
    json_decref(workflow);
    free(path);
}

static void ask_cluster(struct argo *self, struct descpipe_call *call, const struct pod_wishes *wishes,
                        json_t *workflow, json_t *pod)
{
    char *workflows = server_workflows(self, NULL);
    char *tried = workflows != NULL ? cluster_path(&self->cluster, "%s?dryRun=All", workflows) : NULL;
    char *pods = cluster_path(&self->cluster, "/api/v1/namespaces/%s/pods?dryRun=All", self->cluster.namespace);
    const struct site_request request = {
        .rights = wishes->apart ? rights : rights + 1,
        .wishes = wishes,
        .trials = {{.path = tried,
                    .object = workflow,
                    .what = "its Workflow",
                    .absent = "the cluster does not know Workflows: Argo is not installed there"},
                   {.path = pods, .object = pod, .what = "its pod"}}};
    site_check(&self->cluster, call, &request);
    free(workflows);
    free(tried);
    free(pods);
}

void argo_queue_estimate(void *context, struct descpipe_call *call, const struct descpipe_job *shape)
{
    struct argo *self = context;
    struct workflow_wishes wishes;
    char words[POD_WORDS] = "out of memory";
    if (!argo_connect(self, call)) {
        return;
    }
    argo_wishes(self, &wishes);
    struct pod_wishes own = wishes.pods;
    wishes.for_job(wishes.context, shape, &own);
    json_t *workflow = trial_workflow(&wishes, shape, words);
    json_t *pod = workflow != NULL ? site_trial_pod(&own, shape, words) : NULL;
    if (pod == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, NULL);
        json_decref(workflow);
    } else if (server_is_asked(self)) {
        json_decref(pod);
        ask_server(self, call, workflow);
    } else {
        ask_cluster(self, call, &own, workflow, pod);
    }
}
