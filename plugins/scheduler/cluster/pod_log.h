/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stage's output, from its pod into its log file.
 *
 * How it works: while the stage runs its log is followed. A stream that breaks begins anew and skips what is written
 * already, as long as it is the same: a node may answer with words of its own, or from a file that it has begun since.
 * When the stage is over and no stream of it ended in good order afterwards, the log is read once more for its
 * rest: a stream may end early (rotation, a restarted kubelet), so its end says nothing about the stage. Standard
 * output and standard error are one there. Argo Server, when it is the one who is asked, gives a line at a time, and
 * its streams end with their Workflow.
 */
#ifndef DESCPIPE_CLUSTER_POD_LOG_H
#define DESCPIPE_CLUSTER_POD_LOG_H

#include "cluster/client.h"
#include "cluster/lines.h"

enum { POD_LOG_FOLLOWED = 32 };

struct pod_log {
    /* Of the caller, and longer-lived: */
    struct cluster *cluster;
    uint32_t *following;          /* streams of all logs together; at most POD_LOG_FOLLOWED begin */
    const char *pod;              /* NULL: there is none yet */
    const char *output;           /* the file; NULL: nobody wants it */
    const char *workflow;         /* of the pod, when Argo Server is asked; NULL: the API server */
    void (*whole)(void *context); /* after pod_log_finish, perhaps at once: it is as whole as it will be */
    void *context;
    /* Zero at first. */
    struct cluster_exchange *exchange;
    struct descpipe_timer *timer;
    bool over, followed, final;
    uint64_t written, origin,
        skip; /* bytes of the file; where in it the node's log begins; what is to be there already */
    int descriptor;
    struct lines lines;
    int64_t until_ms;
};

void pod_log_follow(struct pod_log *log);
void pod_log_finish(struct pod_log *log); /* the stage is over */
void pod_log_drop(struct pod_log *log);   /* nothing comes any more */

#endif
