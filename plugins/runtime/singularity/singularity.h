/* SPDX-License-Identifier: BSD-3-Clause */
/* One opened runtime `singularity`, as its files share it. */
#ifndef SINGULARITY_SINGULARITY_H
#define SINGULARITY_SINGULARITY_H

#include <descpipe/plugin.h>

#include "tool/conversion.h"

#include "version.h"

struct singularity {
    const struct descpipe_host *host;
    char *tool;            /* absolute; NULL: not found */
    char *cache;           /* absolute; NULL: there is no place for one */
    const char *temporary; /* where images are unpacked while they are converted, or NULL: as the tool does */
    bool pull_on_node;     /* images of registries are fetched by the nodes */
    bool verify;
    uint64_t pull_timeout_ms;
    struct version version; /* asked for when an image is first looked for */
};

#define SINGULARITY_TOOL_MESSAGE "neither apptainer nor singularity is on this machine"
#define SINGULARITY_TOOL_HINT                                                                                          \
    "install Apptainer 1.0 or newer, load its module, or name the program with the option 'tool'"

void singularity_probe(void *self, struct descpipe_call *call);
void singularity_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image);
void singularity_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare);
void singularity_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);

/* developer.c */
void singularity_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);
void singularity_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec);
void singularity_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop);
void singularity_release(void *self, struct descpipe_call *call, const struct descpipe_container *container);
void singularity_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit);
void singularity_changes(void *self, struct descpipe_call *call, const struct descpipe_container *container);
void singularity_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy);

/* The world of a developer's container, as options of `instance start`. False with a failure. */
bool singularity_add_instance(const struct singularity *singularity, const struct descpipe_stage *stage,
                              struct arguments *argv, struct failure *failure);
/* Ends the call with what the SIF file of "sif:PATH" is. */
void singularity_identify_made(struct singularity *singularity, struct descpipe_call *call, const char *reference);

/* What the tool's own variables begin with: "APPTAINER" or "SINGULARITY". */
const char *singularity_prefix(const struct singularity *singularity);
/* What the tool needs of our environment, and where it unpacks. */
void singularity_environment(const struct singularity *singularity, struct arguments *environment);

#endif
