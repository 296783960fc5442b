/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the site's udiRoot.conf allows a stage: it is readable by all who use Shifter, and what it forbids ends a job on
 * its node, so it is asked before.
 *
 *     module_NAME_...               a module is there when it has a line
 *     module_NAME_enabled = 0       nobody may use it
 *     module_NAME_conflict          modules that cannot be loaded beside it
 *     perNodeCacheSizeLimit         bytes of one perNodeCache volume, with a suffix
 *     perNodeCacheAllowedFsType     its file systems
 *
 * Source: doc/config/udiRoot.conf.rst; the two of perNodeCache are not in it: src/UdiRootConfig.c.
 */
#ifndef SHIFTER_SITE_LIMITS_H
#define SHIFTER_SITE_LIMITS_H

#include <stdbool.h>

#include "registry/failure.h"

#define SITE_LIMITS_FILE "/etc/shifter/udiRoot.conf" /* where its packages put it */
#define SITE_LIMITS_BYTES ((size_t)1024 * 1024)

/* NULL with no failure when there is no such file. */
struct site_limits *site_limits_read(const char *path, struct failure *failure);
void site_limits_free(struct site_limits *limits);
static inline void site_limits_free_at(struct site_limits **place)
{
    site_limits_free(*place);
}

/* A list as --module takes it, "a,b", and one volume as --volume does. */
bool site_limits_allow_modules(const struct site_limits *limits, const char *modules, struct failure *failure);
bool site_limits_allow_volume(const struct site_limits *limits, const char *volume, struct failure *failure);

#endif
