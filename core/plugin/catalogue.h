/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which plugins this installation has: found by looking at file names and site policy only; nothing is
 * loaded. First match wins, the rest are listed as shadowed.
 */
#ifndef DESCPIPE_PLUGIN_CATALOGUE_H
#define DESCPIPE_PLUGIN_CATALOGUE_H

#include "base/error.h"
#include "base/list.h"
#include "plugin/policy.h"

enum plugin_source { PLUGIN_FROM_SITE = 1, PLUGIN_FROM_OPTION, PLUGIN_FROM_ENVIRONMENT, PLUGIN_FROM_USER, PLUGIN_FROM_SYSTEM };
const char *plugin_source_name(enum plugin_source source); /* "site policy", "--plugin-dir", "DESCPIPE_PLUGIN_PATH", "user", "system" */

struct plugin_entry {
    char *kind, *name, *path;     /* owned; path absolute */
    enum plugin_source source;
    bool shadowed;
    bool refused;                 /* a user's own place, which the site does not allow; never used */
    uint32_t order;               /* of precedence, over all entries */
    const struct policy_plugin *policy; /* the site's word on it, or NULL */
};

struct plugin_catalogue;
struct plugin_search {
    const char *const *plugin_dirs; /* from --plugin-dir, absolute, ends with NULL */
    const char *environment;        /* DESCPIPE_PLUGIN_PATH or NULL */
    const char *home;               /* or NULL */
    const char *system_folder;      /* NULL: where this program's installation has them */
};
/* `policy` outlives the catalogue. */
struct plugin_catalogue *plugin_catalogue_new(const struct plugin_search *search, const struct policy *policy, struct error *error);
void plugin_catalogue_free(struct plugin_catalogue *catalogue);
DEFINE_CLEANUP(struct plugin_catalogue *, plugin_catalogue_free);
/* All entries, sorted by kind, name, precedence. */
const struct policy *plugin_catalogue_policy(const struct plugin_catalogue *catalogue);
const struct plugin_entry *const *plugin_catalogue_entries(const struct plugin_catalogue *catalogue, size_t *count);
/* The one that would be used, if the site allows it; NULL with a message that lists where was looked and the nearest name. */
const struct plugin_entry *plugin_catalogue_find(const struct plugin_catalogue *catalogue, const char *kind, const char *name,
                                                 struct error *error);

#endif
