/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `identify` and `prepare` of a runtime whose tool converts images: found in the cache, or made there once.
 *
 * How it works: a helper thread finds out what the image is (of a file by reading it, of a registry by the plan's pins)
 * and looks into the cache. If it is not there the lock is taken (while another has it, a timer asks again), the login
 * is asked for, the tool's commands run one after the other in a temporary folder of the cache, and what they made is
 * synced, summed and renamed into its place.
 *
 *     archives     known by their config digest
 *     registry     by the manifest's digest of the pin or the reference; without one by name, so that the tag decides
 *                  once, at the first pull
 */
#ifndef RUNTIME_TOOL_CONVERSION_H
#define RUNTIME_TOOL_CONVERSION_H

#include <descpipe/host.h>
#include <descpipe/runtime.h>

#include "registry/failure.h"

#include "arguments.h"

/* In the temporary folder, where the tool's commands run: a link to the archive or layout, so that no path of the user
 * has to be understood by the tool. */
#define CONVERSION_SOURCE "source"

struct conversion_step {
    const struct descpipe_image *image;
    unsigned number;    /* 0, 1 ... */
    const char *source; /* of a registry: the reference to pull, pinned when that is known; else
                         * CONVERSION_SOURCE */
    const struct descpipe_credential *credential; /* for a registry's image, or NULL: anonymous; for this step only */
    const char *folder;                           /* the temporary folder, absolute: the commands run in it */
    struct arguments *argv, *environment;         /* to be filled; no argv: everything is made */
};

struct converter {
    const char *payload; /* what the commands leave in the temporary folder: a file or a folder */
    const char *tool;    /* for messages: "apptainer" */
    bool (*step)(void *runtime, const struct conversion_step *step, struct failure *failure);
    /* Of the tool's last lines: a DESCPIPE_FAILED_ kind, and a hint or NULL. */
    uint32_t (*judge)(const char *errors, const char **hint);
};

struct conversion_request {
    const struct descpipe_host *host;
    struct descpipe_call *call;
    const struct descpipe_image *image; /* lives until the call is finished */
    const struct converter *converter;
    void *runtime;
    const char *cache;   /* the folder of the cache */
    bool only_look;      /* identify */
    bool verify;         /* read a cached file again */
    uint64_t timeout_ms; /* of one command */
};

/* Ends the call, now or later. */
void conversion_start(const struct conversion_request *request);

/* The reference that is pulled: pinned by the plan's manifest digest or its own, else with its tag. Owned. */
char *conversion_pull_reference(const struct descpipe_image *image);

#endif
