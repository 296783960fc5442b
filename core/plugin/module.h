/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One shared object: looked at, trusted, loaded, judged. Never unloaded. The only .c that includes ltdl.h is ours.
 */
#ifndef DESCPIPE_PLUGIN_MODULE_H
#define DESCPIPE_PLUGIN_MODULE_H

#include <descpipe/plugin.h>

#include "base/digest.h"
#include "base/error.h"
#include "plugin/policy.h"
#include "plugin/trust.h"

struct module {
    char *kind, *name;
    char *path; /* real */
    char sha256[DIGEST_TEXT];
    const struct descpipe_plugin *descriptor;
    /* Only when loaded without trust: what would have been said, or NULL. */
    char *distrust;
    char *distrust_hint;
};

struct module_request {
    const char *kind, *name;            /* of the file */
    const char *path;                   /* absolute */
    const struct policy_plugin *policy; /* the site's pin, or NULL */
    const struct trust_rules *trust;
    bool report_trust_only; /* `plugins check`: load it anyway, say it in `distrust` */
};

/* NULL with path, reason and remedy. Main thread only. */
struct module *module_load(const struct module_request *request, struct error *error);
/* Frees our description; the code stays. */
void module_free(struct module *module);
DEFINE_CLEANUP(struct module *, module_free);

#endif
