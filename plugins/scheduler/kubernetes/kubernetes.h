/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheduler `kubernetes`, inside: each stage is a Job with one pod.
 *
 *     submit ─► one POST a job ─► watch (Jobs and pods of the run) ─► pod_look ─► log ─► sink
 *
 * A Job's name is the submission's token and the position in it, so that a creation whose answer was lost is found to
 * be done when it is tried again. A Job never tries twice: repeating is descpipe's. A pod that is gone without a word
 * ends its Job as well, else Kubernetes would start the stage a second time beside what the first one left.
 *
 * A volume that this machine does not see makes the backend `apart`: pods bring in and publish their files themselves
 * (cluster/pod_files.c), and what they need for it is a ConfigMap that belongs to the Job.
 */
#ifndef DESCPIPE_KUBERNETES_H
#define DESCPIPE_KUBERNETES_H

#include <descpipe/plugin.h>

#include "cluster/client.h"
#include "cluster/pod.h"
#include "cluster/pod_log.h"
#include "cluster/watch.h"

enum { KUBERNETES_POSTS = 16 };

struct kubernetes;

enum task_end { TASK_GOES_ON = 0, TASK_LOG, TASK_OVER };

/* One Job. */
struct task {
    struct kubernetes *self;
    struct task *next;
    uint64_t job, attempt;
    uint32_t index;
    char *name, *token, *output;
    char *uid;         /* of the Job, once it is known */
    bool created;      /* the server has it, as far as we know */
    bool stopping;     /* its Job is being deleted */
    bool ran;          /* it was told as running */
    enum task_end end; /* TASK_LOG: only its log is missing */
    char *pod;         /* its pod's name, NULL: none yet */
    char *said;        /* what it was last told to wait for */
    uint32_t cause;    /* DESCPIPE_ENDED_: why we deleted it */
    char cause_words[POD_WORDS];
    enum pod_trouble trouble;
    struct descpipe_timer *patience; /* what is wrong may pass */
    struct pod_view view;            /* as it ended */
    struct pod_log log;
};

struct kubernetes {
    const struct descpipe_host *host;
    const struct descpipe_settings *settings;
    struct cluster cluster;
    bool connected;
    char mount[4096];
    struct pod_wishes wishes; /* of the backend; a stage's own come over them */
    struct task *tasks;
    json_t *by_name; /* name → address of the task */
    uint64_t open;   /* tasks that are not over */
    uint32_t following;
    char *run;
    struct descpipe_call *observing;
    struct descpipe_sink *sink;
    struct cluster_watch pods, jobs;
    bool watching;
    bool logins;                    /* the cluster may hold registry logins of this run */
    struct submission *submissions; /* in progress */
};

/* options.c */
extern const struct descpipe_option *const kubernetes_options[];
const char *kubernetes_text(const struct kubernetes *self, const char *key); /* NULL when it is empty or not given */
int32_t kubernetes_apart(void *self);
int32_t kubernetes_accepts(void *self, uint32_t form, char *message, uint64_t message_size);
/* False: the call has failed. */
bool kubernetes_connect(struct kubernetes *self, struct descpipe_call *call);
void kubernetes_wishes(const struct kubernetes *self, const struct descpipe_job *job, struct pod_wishes *wishes);
bool kubernetes_wants_login(const void *self, const struct descpipe_job *job); /* of ours, to pull its image */

/* tasks.c */
struct task *task_new(struct kubernetes *self, const struct descpipe_submission *submission, uint32_t index);
void task_free(struct task *task); /* and takes it from the lists */
struct task *task_find(const struct kubernetes *self, const char *name);
struct task *task_of_job(const struct kubernetes *self, uint64_t job);
/* Watches from now on: the first submission says which run it is. */
void tasks_watch(struct kubernetes *self, const char *run);
void tasks_close(struct kubernetes *self);
/* Deletes its Job; its end follows with `cause` among its reasons, unless it has ended by itself. */
void task_stop(struct task *task, uint32_t cause, const char *words);

/* The operations. */
void kubernetes_submit(void *self, struct descpipe_call *call, const struct descpipe_submission *submission);
void kubernetes_find(void *self, struct descpipe_call *call, const char *run);
void kubernetes_cancel(void *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count);
void kubernetes_release(void *self, struct descpipe_call *call, const char *token);
void kubernetes_probe(void *self, struct descpipe_call *call);
void kubernetes_queue_estimate(void *self, struct descpipe_call *call, const struct descpipe_job *job);
void submissions_close(struct kubernetes *self);
bool submission_is_open(const struct kubernetes *self, const char *token);

#endif
