/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files of stages as Argo's artifacts in an S3-compatible bucket, where pods and this machine have no volume in common.
 *
 *     inputs from here  → inputs/sha256/HASH     put there before the Workflow is made, once whoever runs
 *     what stages make  → runs/TOKEN/TASK/NAME   by Argo, read by it for the stages that take it, fetched here at the
 * end
 *
 * How it works: what a stage takes is a path, and so is what another makes: where both are the same the bucket's key
 * is, and every other path is a file of this machine.
 *
 * Source: argo-workflows.readthedocs.io/en/latest/configure-artifact-repository, .../fields (Artifact, S3Artifact).
 */
#ifndef DESCPIPE_ARGO_ARTIFACTS_H
#define DESCPIPE_ARGO_ARTIFACTS_H

#include <descpipe/scheduler.h>
#include <jansson.h>

#include "store.h"

#define ARTIFACTS_ACCESS_KEY "accesskey" /* in the Secret, as Argo's own documents call them */
#define ARTIFACTS_SECRET_KEY "secretkey"

struct bringing;

/* Sends what the submission's jobs take from here. `keys`, of all paths, is `done`'s to release, NULL with words; it
 * comes once, not before this returns. The submission is needed until then. NULL: memory is short. */
struct bringing *artifacts_bring(struct store *store, const struct descpipe_submission *submission,
                                 void (*done)(void *context, json_t *keys, const char *words), void *context);
void artifacts_drop(struct bringing *bringing);
/* [{"key", "here"}] of what a job makes; NULL: nothing. */
json_t *artifacts_made(const struct store *store, const char *token, const struct descpipe_job *job);
/* A template's `inputs` and `outputs`. */
void artifacts_add(const struct store *store, const json_t *keys, const struct descpipe_job *job, json_t *template);

#endif
