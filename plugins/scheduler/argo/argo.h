/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheduler `argo`, inside: a submission is one Workflow.
 *
 *     submit ─► workflow_make ─► its Secret, one POST ─► watch (Workflow, pods of the run) ─► node_look, pod_look
 *     ─► log ─► sink
 *
 * A Workflow is called by the submission's token, so that a creation whose answer was lost is found to be done when it
 * is tried again. Argo's controller starts, repeats and ends the stages, and the Workflow's nodes are what counts; its
 * pods say sooner and better what a stage waits for and how it ended. A stage's end is told when its log is whole.
 * server.c has the other way to all of this: Argo Server instead of the API server.
 */
#ifndef DESCPIPE_ARGO_H
#define DESCPIPE_ARGO_H

#include <descpipe/plugin.h>

#include "cluster/client.h"
#include "cluster/pod_log.h"
#include "cluster/watch.h"
#include "workflow.h"

#define ARGO_API_BEFORE "/apis/argoproj.io/v1alpha1/namespaces/"
#define ARGO_API_AFTER "/workflows"
#define ARGO_NODE_NAME "workflows.argoproj.io/node-name"

struct argo;
struct flow;

enum task_step { TASK_LIVES = 0, TASK_LOGS, TASK_JUDGED, TASK_OVER };

/* A stage, or a member of one: a task of the DAG. */
struct task {
    struct flow *flow;
    uint64_t job;
    uint64_t first;   /* attempt: the one that the Workflow begins with */
    uint32_t current; /* the attempt that is told about, from 0 */
    uint32_t index;
    char *output;            /* log of the attempt as submitted */
    uint64_t output_attempt; /* … whose number is in its name */
    char *log_path;          /* of the current attempt */
    enum task_step step;
    json_t *makes; /* [{"key", "here"}]: artifacts that are fetched; NULL: none */
    size_t fetched;
    struct store_transfer *fetching;
    bool ran;   /* it was told as running */
    char *said; /* what it was last told to wait for */
    char *pod;  /* of the current attempt, NULL: none yet */
    struct pod_log log;
    struct pod_view seen; /* as its pod is */
    bool is_seen;
    struct pod_view view; /* as it ended */
    uint32_t cause;       /* DESCPIPE_ENDED_: why we ended it */
    char cause_words[POD_WORDS];
    enum pod_trouble trouble;
    struct descpipe_timer *patience; /* what is wrong may pass */
    /* Of flow->nodes. */
    const json_t *top, *now, *next;
};

/* A task of the DAG: the jobs it stands for. */
struct flow_unit {
    uint32_t first, count;
    bool loops, repeats; /* over its jobs; with attempts of Argo's own */
    const json_t *whole; /* of flow->nodes: its own node, of a loop */
};

/* A Workflow. */
struct flow {
    struct argo *self;
    struct flow *next;
    char *name;
    char *uid;
    uint32_t count;
    struct task *tasks; /* by position; those with job 0 are nobody's */
    struct flow_unit *units;
    uint32_t unit_count;
    json_t *by_name; /* task's name in Argo → number of its unit */
    json_t *early;   /* pods that came before the Workflow itself, by name; or NULL */
    json_t *nodes;   /* as last heard; NULL: they are not told */
    bool over, stopping, is_read, again;
    uint32_t logging; /* tasks that are over but for their logs */
    bool held;        /* others wait for those */
    bool is_taken;    /* a controller has looked at it */
    bool by_node;     /* its pods are called like their nodes */
    struct descpipe_timer *patience;
    char words[POD_WORDS]; /* its own message */
    struct descpipe_timer *timer;
};

struct argo {
    const struct descpipe_host *host;
    const struct descpipe_settings *settings;
    struct cluster cluster;
    bool connected;
    struct pod_wishes volume; /* what the option says of it */
    char mount[4096];
    struct store store; /* `bucket` NULL: files are on the volume */
    /* From the environment, where nobody says otherwise: */
    const char *given_selector[3], *given_tolerations[2], *given_secrets[2];
    char given_toleration[512];
    struct descpipe_secret *given_token;
    struct flow *flows;
    uint32_t following;
    struct descpipe_call *observing;
    struct descpipe_sink *sink;
    struct cluster_watch workflows, pods;
    bool watching;
    bool logins;              /* the cluster may hold registry logins of this run (pull_secret.h) */
    struct sending *sendings; /* in progress */
};

/* options.c */
extern const struct descpipe_option *const argo_options[];
const char *argo_text(const struct argo *self, const char *key);  /* NULL when it is empty or not given */
bool argo_connect(struct argo *self, struct descpipe_call *call); /* false: the call has failed */
int32_t argo_apart(void *self);
int32_t argo_accepts(void *self, uint32_t form, char *message, uint64_t message_size);
void argo_read_environment(struct argo *self); /* once, when it is opened */
void argo_wishes(struct argo *self, struct workflow_wishes *wishes);

/* server.c: the API server, or Argo Server. */
bool server_is_asked(const struct argo *self); /* Argo Server */
bool server_connect(struct argo *self, struct descpipe_call *call);
/* The path of all Workflows, or of the one that is named. */
char *server_workflows(const struct argo *self, const char *name);
json_t *server_creation(const struct argo *self, json_t *workflow); /* a new reference */
/* Fills all but `done` and `context`. */
struct cluster_exchange *server_stop(struct argo *self, const char *name, struct cluster_request *request);
bool server_names_by_node(const json_t *workflow);
/* The pod of a node; NULL: there is none yet, or its log cannot be asked for yet. */
char *server_pod_name(const json_t *node, const char *workflow, bool by_node);

/* node.c: what a node of a Workflow says, in a pod's words. */
void node_look(const json_t *node, struct pod_view *view);
bool node_is_over(const json_t *node);
/* The nodes of a status, packed ones too: a new reference; NULL when it does not tell them. */
json_t *node_all(const json_t *status);
/* Where a node belongs, by its name: "WORKFLOW.TASK", "(ITEM:its text)" in a loop, "(ATTEMPT)". What looks like an
 * attempt may be the end of an item's text: only of a task that repeats, and of a node that is no Retry, it is one. */
struct node_place {
    char task[WORKFLOW_TASK_LIMIT + 1];
    int64_t item, attempt; /* -1: there is none */
};
/* False when it is none of this Workflow's tasks. */
bool node_find_place(const char *text, const char *workflow, struct node_place *place);

/* place.c */
/* Which tasks it has, from its own words: once. */
void flow_read(struct flow *flow, const json_t *workflow);
void flow_lay_beside(struct flow *flow); /* its nodes, beside the tasks */
/* NULL: it is none of ours, or of an attempt that is told about later. */
struct task *flow_task_of_pod(const struct flow *flow, const json_t *pod);

/* task.c */
void task_begin_attempt(struct task *task, uint32_t number); /* of which nothing is known yet */
void task_clear(struct task *task);
void task_tell_waiting(struct task *task, const char *reason);
void task_look(struct task *task); /* at what is laid beside it now */

/* flow.c */
struct flow *flow_new(struct argo *self, const struct descpipe_submission *submission);
void flow_free(struct flow *flow);
struct flow *flow_find(const struct argo *self, const char *name);
void flow_watch(struct argo *self, const char *run); /* from now on */
void flow_close(struct argo *self);
struct task *flow_task(const struct argo *self, uint64_t job);
/* As it is now; NULL: it is not there. */
void flow_take(struct flow *flow, const json_t *workflow);
void flow_begin(struct flow *flow); /* it was made just now */
void flow_look_soon(struct flow *flow);
/* Ends all of it: spec.shutdown. */
void flow_stop(struct flow *flow);

/* The operations. */
void argo_submit(void *self, struct descpipe_call *call, const struct descpipe_submission *submission);
void argo_find(void *self, struct descpipe_call *call, const char *run);
void argo_cancel(void *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count);
void argo_release(void *self, struct descpipe_call *call, const char *token);
void argo_probe(void *self, struct descpipe_call *call);
void argo_queue_estimate(void *self, struct descpipe_call *call, const struct descpipe_job *shape);
void argo_render(void *self, struct descpipe_call *call, const struct descpipe_submission *submission);
void sendings_close(struct argo *self);

#endif
