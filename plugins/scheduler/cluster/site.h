/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a cluster would take what we are about to send, asked without sending it: rights, quota, service account,
 * claims, secrets, nodes.
 *
 * How it works: one question after the other, each a request that changes nothing (a review of our own rights, a dry
 * run by the server, a look at an object). What is wrong is collected and told at once. What we may not ask is no fault
 * and is left out.
 */
#ifndef DESCPIPE_CLUSTER_SITE_H
#define DESCPIPE_CLUSTER_SITE_H

#include "cluster/client.h"
#include "cluster/pod.h"

struct site_right {
    const char *verb, *group, *resource; /* group "" is the core's */
    const char *subresource;             /* or NULL */
};

struct site_trial {     /* a creation that is only tried */
    const char *path;   /* "/api/v1/namespaces/x/pods?dryRun=All" */
    json_t *object;     /* taken over */
    const char *what;   /* "its pod" */
    const char *absent; /* what to say when the server knows no such objects; NULL: it knows them */
};

struct site_request {
    const struct site_right *rights; /* ends with a NULL verb; kept by the caller */
    const struct pod_wishes *wishes; /* its claim, pull secrets, node selector; needed until this returns */
    struct site_trial trials[2];     /* ends with a NULL object or at its end */
};

/* A pod as a stage of this shape would be one, for a trial: its image plays no part in that. NULL with words. */
json_t *site_trial_pod(const struct pod_wishes *wishes, const struct descpipe_job *shape, char words[POD_WORDS]);
/* A stage of that shape as a job, whose command does nothing. */
void site_trial_job(const struct descpipe_job *shape, struct descpipe_job *job, struct descpipe_form *form);
/* Answers a moment that is not known, or fails the call with all that is in the way. */
void site_check(struct cluster *cluster, struct descpipe_call *call, const struct site_request *request);

#endif
