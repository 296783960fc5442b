/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to a Kubernetes API server.
 *
 * How it works: a request is sent again while what went wrong may pass (no connection, 429, 5xx), with a growing pause
 * or the one that the server names, until its patience ends. Every request that is sent here may be sent twice: names
 * of new objects are ours, and one that is there already is the answer to a question whose first answer was lost. A 401
 * has the token read anew, once.
 */
#ifndef DESCPIPE_CLUSTER_CLIENT_H
#define DESCPIPE_CLUSTER_CLIENT_H

#include <descpipe/host.h>
#include <jansson.h>

#include "cluster/access.h"

enum { CLUSTER_WORDS = 640, CLUSTER_ANSWER_BYTES = 64 << 20, CLUSTER_ERROR_BYTES = 64 << 10 };

struct cluster_exchange;

struct cluster {
    const struct descpipe_host *host;
    struct access access;
    char *server;    /* without a slash at its end */
    char *namespace; /* of our objects */
    struct cluster_exchange *exchanges;
    bool preparing; /* somebody waits for a token; who comes meanwhile waits as well */
    bool closed;
    uint64_t sent; /* requests so far, for tests and for people who count */
    json_t *told;  /* of logins that end (pull_secret.c); or NULL */
};

struct cluster_reply {
    bool ok;            /* a 2xx answer */
    int32_t status;     /* HTTP; 0: none */
    uint32_t failure;   /* DESCPIPE_FAILED_ when not ok */
    const json_t *json; /* what it said, borrowed; NULL for streams and for what is no JSON */
    const char *reason; /* the word of a Status: "AlreadyExists", "Expired"; "" when there is none */
    const char *words;  /* one line for a person; "" when ok */
    const char *hint;   /* or NULL */
};

struct cluster_request {
    const char *method;
    const char *path;    /* "/apis/batch/v1/namespaces/x/jobs?labelSelector=..." */
    const json_t *body;  /* or NULL; written out before this returns */
    const char *type;    /* of the body; NULL: application/json */
    int64_t patience_ms; /* 0: a minute; below 0: it is sent once */
    uint64_t idle_timeout_ms;
    /* A stream: the body of a 2xx answer goes here instead, without a bound. */
    void (*data)(void *context, const char *bytes, size_t length);
    void (*done)(void *context,
                 const struct cluster_reply *reply); /* exactly once, last, never before cluster_ask returns */
    void *context;
};

/* `kubeconfig`, `context` and `namespace` may be NULL. */
bool cluster_open(struct cluster *cluster, const struct descpipe_host *host, const char *kubeconfig,
                  const char *context, const char *namespace, char words[CLUSTER_WORDS]);
bool cluster_open_server(struct cluster *cluster, const struct descpipe_host *host, const struct access_server *server,
                         const char *namespace, char words[CLUSTER_WORDS]);
void cluster_close(struct cluster *cluster); /* no `done` comes any more */
/* NULL when memory is short; `done` does not come then. */
struct cluster_exchange *cluster_ask(struct cluster *cluster, const struct cluster_request *request);
void cluster_drop(struct cluster_exchange *exchange); /* may be NULL; its `done` does not come */

/* "prefix" and what is printed, for paths; NULL when memory is short. Text values must be safe or escaped. */
char *cluster_path(const struct cluster *cluster, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *cluster_escape(const char *text); /* for a query's value */

/* Ends a call by what was answered. `what` says what was wanted: "submit the stages". */
void cluster_fail(const struct cluster *cluster, struct descpipe_call *call, const char *what,
                  const struct cluster_reply *reply);

/* In milliseconds; 0 when it is none. */
int64_t cluster_moment(const json_t *text);
int64_t cluster_now_ms(void); /* of a clock that never goes back */

#endif
