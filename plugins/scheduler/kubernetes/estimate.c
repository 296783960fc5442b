/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the cluster would take a stage's Job, for `check --site`: asked, not sent. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster/site.h"
#include "kubernetes.h"

/* The pod of a stage as the server would judge it: its image plays no part in that. */
static json_t *trial_pod(const struct pod_wishes *wishes, const struct descpipe_job *job, char words[POD_WORDS])
{
    static const char *const nothing[] = {"true", NULL};
    const struct descpipe_form form = {
        .size = sizeof(form), .form = DESCPIPE_FORM_POD, .argv = nothing, .image = "descpipe.invalid/site-check"};
    struct pod_wishes alone = *wishes;
    struct descpipe_job trial = *job;
    alone.apart = false;
    trial.form = &form;
    trial.late_environment = NULL;
    json_t *pod = pod_specification(&alone, &trial, 0, NULL, words);
    return pod != NULL ? json_pack("{s:s, s:s, s:{s:s}, s:o}", "apiVersion", "v1", "kind", "Pod", "metadata",
                                   "generateName", "descpipe-site-check-", "spec", pod)
                       : NULL;
}

void kubernetes_queue_estimate(void *context, struct descpipe_call *call, const struct descpipe_job *job)
{
    static const struct site_right rights[] = {{"create", "batch", "jobs", NULL},
                                               {"list", "batch", "jobs", NULL},
                                               {"watch", "batch", "jobs", NULL},
                                               {"delete", "batch", "jobs", NULL},
                                               {"list", "", "pods", NULL},
                                               {"watch", "", "pods", NULL},
                                               {"get", "", "pods", "log"},
                                               {"create", "", "secrets", NULL},
                                               {"create", "", "configmaps", NULL},
                                               {"deletecollection", "batch", "jobs", NULL},
                                               {NULL, NULL, NULL, NULL}};
    struct kubernetes *self = context;
    struct pod_wishes wishes;
    char words[POD_WORDS] = "out of memory";
    if (!kubernetes_connect(self, call)) {
        return;
    }
    kubernetes_wishes(self, job, &wishes);
    json_t *pod = trial_pod(&wishes, job, words);
    char *path = cluster_path(&self->cluster, "/api/v1/namespaces/%s/pods", self->cluster.namespace);
    if (pod == NULL || path == NULL) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, words, NULL);
        json_decref(pod);
    } else {
        const struct site_request request = {
            .rights = rights, .wishes = &wishes, .trials = {{.path = path, .object = pod, .what = "its pod"}}};
        site_check(&self->cluster, call, &request);
    }
    free(path);
}
