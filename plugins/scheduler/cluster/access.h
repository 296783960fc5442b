/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the API server is reached and who we say we are: from a kubeconfig, or from the service account of the pod that
 * we run in.
 *
 * How it works: keys and certificates that stand in the file itself are handed on as files in memory, so that nothing
 * secret is written anywhere. A token may come from a file that is rotated, or from a command that says until when it
 * holds; both are asked again when the server does not know it any more.
 */
#ifndef DESCPIPE_CLUSTER_ACCESS_H
#define DESCPIPE_CLUSTER_ACCESS_H

#include <descpipe/host.h>

#include "cluster/kubeconfig.h"

enum { ACCESS_WORDS = KUBECONFIG_WORDS, ACCESS_FILES = 3 };

struct access {
    const struct descpipe_host *host;
    struct kubeconfig config;
    const char *remedy;               /* when the server does not know us: what to do */
    char *origin;                     /* "context 'x' of /home/me/.kube/config", for messages */
    char *files[ACCESS_FILES];        /* CA, certificate, key: paths, or NULL */
    int descriptors[ACCESS_FILES];    /* of files in memory, else -1 */
    struct descpipe_secret *token;    /* NULL: none, or not asked for yet */
    int64_t token_until_ms;           /* wall clock; 0: it does not say */
    bool stale;                       /* the server refused the token */
    struct descpipe_process *process; /* the command, while it runs */
    char *printed;
    size_t printed_length;
    void (*ready)(void *context, const char *failure);
    void *context;
};

/* `path` and `context` may be NULL: KUBECONFIG, ~/.kube/config, the service account. Nothing is asked of the network.
 */
bool access_open(struct access *access, const struct descpipe_host *host, const char *path, const char *context,
                 char words[ACCESS_WORDS]);
/* Argo Server instead, which takes a token. */
struct access_server {
    const char *url;
    const char *certificate_authority; /* a file, or NULL */
    const struct descpipe_secret *token;
    const char *origin; /* where the token is from, for messages */
};
bool access_open_server(struct access *access, const struct descpipe_host *host, const struct access_server *server,
                        char words[ACCESS_WORDS]);
void access_close(struct access *access);
/* `ready` comes once, perhaps before this returns, when a request may be sent; with a line when no token can be had.
 * One at a time. */
void access_prepare(struct access *access, void (*ready)(void *context, const char *failure), void *context);
/* The server said 401. False: there is nothing else to try. */
bool access_refused(struct access *access);
/* Fills where and who of a request. */
void access_apply(const struct access *access, struct descpipe_http_request *request);

#endif
