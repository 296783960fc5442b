/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of one attempt: brought in before it, looked at, published after it.
 *
 * How it works: a stage's three folders are WORKING/STAGE/{input,config} and a private output folder in the run folder.
 * Inputs are hard links where the runtime mounts them read-only. A runtime without read-only mounts (`host`) gets
 * reflinks or copies, because through a hard link a stage could change the one true file; so there is nothing to check
 * afterwards. Configuration is always copied: it is small, and the copy shows what was used. Outputs are published to
 * WORKING/data by hard link and rename when all of them are there, and WORKING/STAGE/output then points to the attempt
 * that won. Everything here runs on a helper thread: it touches its arguments and files, nothing else.
 */
#ifndef DESCPIPE_RUN_STAGING_H
#define DESCPIPE_RUN_STAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/list.h"
#include "plan/task_files.h"
#include "run/journal/outcome.h"

struct staging_in {
    const struct pipeline *pipeline; /* its types; may be NULL */
    const char *folder;              /* WORKING/STAGE or WORKING/STAGE/MEMBER: input and config are made anew in it */
    bool may_link;                   /* the runtime mounts inputs read-only */
    struct task_file_list inputs, configs;
    const char *script_name; /* with `script`: a file of the config folder */
    const char *script;      /* or NULL */
};
/* Files of a known type are looked at first. Fails with a message that names the file; DISK when errno said that there
 * is no room. */
bool staging_bring_in(const struct staging_in *in, enum verdict *verdict, struct error *error);

struct staging_output {
    const char *tag;
    const char *suffix;       /* for the type check; ends with '/' for a folder */
    const char *name;         /* in the attempt's folder */
    const char *published;    /* absolute: WORKING/data/TAG.SUFFIX or WORKING/data/TAG/MEMBER.SUFFIX */
    uint64_t bytes;           /* filled by staging_look; of a folder: 0, or of all in it once it has a digest */
    int64_t modified_ns;      /* as struct cache_output has it, with the digest */
    char sha256[DIGEST_TEXT]; /* "": nobody has asked for it */
};

struct staging_out {
    const struct pipeline *pipeline; /* its types; may be NULL */
    const char *attempt;             /* the attempt's output folder */
    const char *link;                /* WORKING/STAGE/output, to be made; NULL: none */
    const char *link_target;         /* what it shall say */
    struct staging_output *outputs;
    size_t outputs_count;
};
/* Is every declared output there, of the right kind and type? Else OUTPUT_MISSING and a reason that names it. */
bool staging_look(const struct staging_out *out, enum verdict *verdict, struct text *reason);
/* An output, file or folder by its suffix, under another name as well; `to`'s folder exists. */
bool staging_place_output(const char *from, const char *to, const char *suffix, struct error *error);
bool staging_publish(const struct staging_out *out, enum verdict *verdict, struct error *error);

#endif
