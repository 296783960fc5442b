/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kubernetes' own configuration files: which API server, and who we are there.
 *
 * Source: kubernetes.io/docs/reference/config-api/kubeconfig.v1 and
 * .../concepts/configuration/organize-cluster-access-kubeconfig. Of several files the first that names a thing wins,
 * and so does the first `current-context`. Relative paths count from the folder of the file they stand in.
 */
#ifndef DESCPIPE_CLUSTER_KUBECONFIG_H
#define DESCPIPE_CLUSTER_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum { KUBECONFIG_BYTES = 1 << 20, KUBECONFIG_FILES = 16, KUBECONFIG_WORDS = 512, KUBECONFIG_ARGUMENTS = 64 };

struct kubeconfig_file {
    const char *path; /* for messages, and for paths that are relative to it */
    const char *text;
    size_t length;
};

/* A command that prints an ExecCredential. */
struct kubeconfig_command {
    char *command; /* NULL: none */
    char *arguments[KUBECONFIG_ARGUMENTS + 1];
    char *environment[KUBECONFIG_ARGUMENTS + 1]; /* "NAME=value", added to ours */
    char *api_version;
    char *install_hint;
    bool provides_cluster; /* it wants to be told which cluster it is for */
};

/* Texts are owned; NULL: not said. `_data` is still base64. */
struct kubeconfig {
    char *context, *cluster, *user; /* names in the files */
    char *server;
    char *certificate_authority, *certificate_authority_data;
    char *client_certificate, *client_certificate_data;
    char *client_key, *client_key_data;
    char *token, *token_file;
    char *username, *password;
    char *namespace;
    char *proxy_url;
    char *tls_server_name;
    bool insecure;
    struct kubeconfig_command exec;
};

/* `context` NULL: the current one. False with a line for a person in `words`; `config` is empty then. */
bool kubeconfig_read(const struct kubeconfig_file *files, size_t count, const char *context, struct kubeconfig *config,
                     char words[KUBECONFIG_WORDS]);
void kubeconfig_clear(struct kubeconfig *config); /* wipes what is secret */

#endif
