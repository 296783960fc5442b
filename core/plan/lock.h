/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descpipe.lock: which image each tag of a pipeline stood for when somebody locked it.
 *
 *     version: 1
 *     images:
 *       "docker.io/joezuntz/desc-pipe-treecorr:1.0":
 *         linux/amd64: {config: "sha256:...", manifest: "sha256:...", bytes: 1234}
 *     sources:
 *       "github.com/joezuntz/ngmix_2pt@master": 0123456789abcdef0123456789abcdef01234567
 *
 * It lies beside the pipeline file and belongs into version control with it. Names are full ones, before any mirror, so
 * that one lock is good at every site. Pipelines of one folder share it: locking one leaves the others' entries alone.
 */
#ifndef DESCPIPE_PLAN_LOCK_H
#define DESCPIPE_PLAN_LOCK_H

#include "base/list.h"
#include "base/problem.h"

#define IMAGE_LOCK_NAME "descpipe.lock"

struct lock_entry { /* owned texts */
    char *reference, *platform;
    char *config_digest, *manifest_digest; /* at least one; manifest NULL for an image no registry has */
    uint64_t bytes;                        /* compressed; 0: not known */
};

struct lock_source {
    char *name, *commit;
};

struct image_lock {
    char *path;
    bool exists; /* as a file */
    LIST(struct lock_entry) entries;
    LIST(struct lock_source) sources;
};

/* The lock beside a pipeline file, empty when there is none. NULL with problems when it cannot be read or is wrong. */
struct image_lock *image_lock_read(const char *pipeline_file, struct problems *problems);
void image_lock_free(struct image_lock *lock);
DEFINE_CLEANUP(struct image_lock *, image_lock_free);

/* NULL: not locked. Valid until the lock changes. */
const struct lock_entry *image_lock_find(const struct image_lock *lock, const char *reference, const char *platform);
const char *image_lock_source(const struct image_lock *lock, const char *name); /* the commit, or NULL */
/* Adds or replaces; copies. */
void image_lock_put(struct image_lock *lock, const struct lock_entry *entry);
void image_lock_put_source(struct image_lock *lock, const char *name, const char *commit);
/* Sorted; atomically. */
bool image_lock_write(struct image_lock *lock, struct error *error);
void image_lock_print(struct image_lock *lock, struct text *out); /* what would be written */

#endif
