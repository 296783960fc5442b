/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A submission as an Argo Workflow. Pure.
 *
 * How it works: each job is a template of its own and a task of the one DAG, which is the entry point. Names follow
 * Argo's rules; what a stage is really called stands in an annotation, and two stages whose names become one are
 * refused. Argo replaces
 * {{...}} in every text of a Workflow and knows no way to write it as it is, so it is refused as well.
 *
 * Source: argo-workflows.readthedocs.io/en/latest/fields, .../variables.
 */
#ifndef DESCPIPE_ARGO_WORKFLOW_H
#define DESCPIPE_ARGO_WORKFLOW_H

#include "cluster/pod.h"
#include "files.h"
#include "store.h"

#define WORKFLOW_API "argoproj.io/v1alpha1"
#define WORKFLOW_ATTEMPT "descpipe.org/attempt"
#define WORKFLOW_SCRIPTS "%s/%u."   /* the submission's folder, position */
#define WORKFLOW_SECRET_KEY "%u.%s" /* position, name */

enum { WORKFLOW_BYTES = 1 << 20, WORKFLOW_SMALL = 1 << 19, WORKFLOW_NAME_LIMIT = 63, WORKFLOW_TASK_LIMIT = 128 };

struct workflow_wishes {
    struct pod_wishes pods; /* of the backend; `for_job` says those of a stage */
    void (*for_job)(const void *context, const struct descpipe_job *job, struct pod_wishes *wishes);
    const void *context;
    int64_t parallelism;             /* 0: not said */
    int64_t ttl_ms;                  /* how long it stays when it is over; 0: not said */
    int64_t deadline_ms;             /* of the whole; 0: none */
    int64_t priority;                /* 0: not said */
    const char *pod_gc;              /* or NULL */
    const char *on_exit;             /* "WORKFLOWTEMPLATE/TEMPLATE", or NULL */
    const char *schedule, *timezone; /* of a CronWorkflow, or NULL */
    const char *secret;              /* the Secret that holds late values, or NULL */
    const struct files *files;       /* apart: which ConfigMap holds a stage's; NULL: the first */
    const struct store *store;       /* files are artifacts there; or NULL */
    const json_t *keys;              /* with `store`: path → key */
};

/* NULL with words when it cannot be one. */
json_t *workflow_make(const struct workflow_wishes *wishes, const struct descpipe_submission *submission,
                      char words[POD_WORDS]);
/* The same as a CronWorkflow; takes it over. */
json_t *workflow_schedule(const struct workflow_wishes *wishes, json_t *workflow);
/* "pz_stack" + "g.0" → "pz-stack-g-0", "3x2pt" → "s-3x2pt"; false when it is too long or nothing is left. */
bool workflow_task_name(const char *stage, const char *member, char name[WORKFLOW_TASK_LIMIT + 1]);

#endif
