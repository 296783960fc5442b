/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registry logins (pull_secret.h) that an engine left in the cluster when it died before the jobs that were to use them
 * came: nothing owns them, so nothing but this removes them.
 *
 *     pull_sweep_start ─► the run's Secrets ─► those whose submission nobody knows, one after the other ─► done
 *
 * Who may make Secrets but not list them keeps what was left; what goes wrong otherwise is a warning.
 */
#ifndef DESCPIPE_CLUSTER_PULL_SWEEP_H
#define DESCPIPE_CLUSTER_PULL_SWEEP_H

#include "cluster/client.h"

struct pull_sweep_request {
    struct cluster *cluster;
    const char *run;
    bool (*is_known)(const void *context, const char *token); /* the submission has jobs, or is on its way */
    void (*done)(void *context);                              /* once, never before pull_sweep_start returns */
    void *context;
};
struct pull_sweep;
/* NULL when memory is short; `done` does not come then. */
struct pull_sweep *pull_sweep_start(const struct pull_sweep_request *request);
/* After `done`, or before it: then it does not come any more. May be NULL. */
void pull_sweep_free(struct pull_sweep *sweep);

#endif
