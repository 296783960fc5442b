/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One image's way from the name that a pipeline uses to its pins.
 *
 * How it works: a registry's plugin makes the full name of it, the site's mirrors say where that is asked for, and the
 * lock, if it has that name, says which digest is meant. Then the runtime is asked what this machine has, under the
 * full name and under the mirror's, and the registry only when the machine does not have it (`pull: always`: first). A
 * machine that has all its images needs no network.
 */
#ifndef DESCPIPE_PLAN_LOOKUP_H
#define DESCPIPE_PLAN_LOOKUP_H

#include "plan/lock.h"
#include "plan/plan.h"
#include "plan/registry.h"

#define LOOKUPS_LIMIT 16 /* at a time, of whoever starts them */

enum lookup_extent {
    LOOKUP_NAME = 1, /* full name and mirror; asks nobody who may be away */
    LOOKUP_PINS,     /* as above */
    LOOKUP_REGISTRY  /* whatever this machine has, the registry says what the tag means now */
};

struct lookup_end {
    bool ok;
    const struct error *error; /* not ok; ERROR_INPUT: what the pipeline names cannot be had */
    bool silent;               /* nobody answered where the image is asked for */
    const char *warning;       /* a tag that is not what it was; or NULL */
    const char *warning_hint;
};

/* What it learns goes into `image`, which stays where it is until `done`. `lock` may be NULL. */
struct lookup_request {
    struct registries *registries; /* NULL: no registry is asked */
    const struct image_lock *lock;
    const struct plan_backend *backend;
    struct plan_image *image;
    enum lookup_extent extent;
    struct plugin_call **call; /* where its open call stands, for call_cancel; or NULL */
    void (*done)(void *context, const struct lookup_end *end); /* once, perhaps before lookup_start returns */
    void *context;
};
void lookup_start(const struct lookup_request *request);

/* "linux/amd64" */
const char *lookup_platform(void);

#endif
