/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our registry logins as a Secret of the cluster, with which its nodes pull the images of one submission.
 *
 *     pull_secret_make ─► each repository: the login of this moment ─► the Secret TOKEN-pull ─► done
 *     ─► jobs that name it ─► pull_secret_own: it goes when they go ─► pull_secret_remove: it goes at the end
 *
 * How it works: it is there before the jobs are, so that no node asks without it, and it holds only what their images
 * need. A login is in no manifest, no message and no file. Where nobody may make Secrets the submission is refused:
 * who wants none says `pull-secrets: []`. A login that ends is told when it is handed over, because nobody renews it.
 *
 * Source: kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry
 */
#ifndef DESCPIPE_CLUSTER_PULL_SECRET_H
#define DESCPIPE_CLUSTER_PULL_SECRET_H

#include <descpipe/scheduler.h>

#include "cluster/client.h"

#define PULL_SECRET_LABEL "descpipe.org/part"
#define PULL_SECRET_LABEL_VALUE "pull"

enum { PULL_SECRET_LOGINS = 256, PULL_SECRET_NAME = 64, PULL_SECRET_WORDS = 1024 };

struct pull_secret;

struct pull_secret_answer {
    const char *name;  /* of the Secret; NULL: no image needs one, or it failed */
    uint32_t failure;  /* DESCPIPE_FAILED_; 0: it did not fail */
    const char *words; /* one line for a person; "" when it did not fail */
    const char *hint;  /* or NULL */
};

struct pull_secret_request {
    struct cluster *cluster;
    const struct descpipe_submission *submission; /* lives until `done` */
    /* Whether our login shall go with this job; false: somebody named Secrets for it. */
    bool (*wanted)(const void *self, const struct descpipe_job *job);
    const void *self;
    void (*done)(void *context,
                 const struct pull_secret_answer *answer); /* once, never before pull_secret_make returns */
    void *context;
};

/* NULL when memory is short; `done` does not come then. */
struct pull_secret *pull_secret_make(const struct pull_secret_request *request);
/* After `done`, or before it: then it does not come any more. May be NULL. */
void pull_secret_free(struct pull_secret *pull);

/* From now on the Secret goes when all of `owners` (an array of owner references, taken) are gone. What goes wrong is a
 * warning: it still goes at the end. */
void pull_secret_own(struct cluster *cluster, const char *token, json_t *owners);
/* The submission is over, or came to nothing. NULL when memory is short; `done` does not come then. */
struct cluster_exchange *pull_secret_remove(struct cluster *cluster, const char *token,
                                            void (*done)(void *context, const struct cluster_reply *reply),
                                            void *context);
/* Warns when it is still there. */
void pull_secret_check_removed(const struct cluster *cluster, const struct cluster_reply *reply);

/* Pure. */

struct pull_login { /* borrowed */
    const char *image, *username, *password;
};
/* The file .dockerconfigjson: one entry a host, and one a repository where a host has several logins. Freed with
 * pull_secret_wipe; NULL when memory is short. */
char *pull_secret_config(const struct pull_login *logins, size_t count);
void pull_secret_wipe(char *text); /* may be NULL */
/* Equal images need one login: the length of "host:5000/owner/name" in a reference. */
size_t pull_secret_repository(const char *image);

#endif
