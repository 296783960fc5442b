/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the cluster would take a stage's Job, for `check --site`: asked, not sent. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster/site.h"
#include "kubernetes.h"

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
    json_t *pod = site_trial_pod(&wishes, job, words);
    char *path = cluster_path(&self->cluster, "/api/v1/namespaces/%s/pods?dryRun=All", self->cluster.namespace);
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
