/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The site's word on plugins: /etc/descpipe/plugins.d/ *.yaml, read in name order. Data only.
 *
 *     plugins:
 *       runtime/docker: {enabled: false, reason: "use shifter here"}
 *       scheduler/slurm: {path: /opt/site/scheduler-slurm.so, sha256: "..."}
 *     allow: ["runtime/...", scheduler/slurm]      # nothing else may be loaded
 *     user-plugins: false                      # no --plugin-dir, environment, home
 *     trusted-directories: [/opt/site]         # group-writable trees the site vouches for
 */
#ifndef DESCPIPE_PLUGIN_POLICY_H
#define DESCPIPE_PLUGIN_POLICY_H

#include "base/list.h"
#include "base/problem.h"

struct policy_plugin {
    char *identity; /* "kind/name" */
    char *path;     /* or NULL */
    char *sha256;   /* or NULL */
    bool disabled;
    char *reason;   /* or NULL */
    char *file;     /* where it is said */
    uint32_t line;
};

struct policy {
    LIST(struct policy_plugin) plugins;
    struct words allow; /* empty: everything */
    char *allow_file;
    uint32_t allow_line;
    bool user_plugins; /* default true */
    char *user_plugins_file;
    uint32_t user_plugins_line;
    struct words trusted_directories;
};

/* Reads every *.yaml of `folder` (a missing folder is an empty policy). A file that cannot be read or is wrong is an error:
 * a site's rule is never skipped. */
struct policy *policy_new(void); /* no rules: everything is allowed */
struct policy *policy_read(const char *folder, struct problems *problems);
void policy_free(struct policy *policy);
DEFINE_CLEANUP(struct policy *, policy_free);
/* Adds the rules of one file's text; false when it added problems. */
bool policy_parse(struct policy *policy, const char *bytes, size_t length, const char *file, struct problems *problems);

bool policy_allows(const struct policy *policy, const char *identity);
const struct policy_plugin *policy_plugin_find(const struct policy *policy, const char *identity); /* or NULL */

#endif
