/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a job that nobody watches does with its files: POSIX shell that brings inputs in, looks at outputs and publishes
 * them.
 *
 * How it works: the same steps as staging.c, with the tools that every node has (ln, cp, mv, od, find, readlink). A
 * file or folder gets its final name by a rename, so that it is there as a whole or not at all. Of a known type only
 * its first bytes are looked at, and that it is not empty: that is what a shell can do.
 *
 * The lines use these variables of the script around them: `output`, the attempt's output folder; `mark`, a name that
 * no other job uses. They set `failed` (stage_in, output_missing, disk) and `reason`, and return false.
 */
#ifndef DESCPIPE_RUN_ELSEWHERE_JOB_FILES_H
#define DESCPIPE_RUN_ELSEWHERE_JOB_FILES_H

#include "run/files/staging.h"

/* Functions that the others, and `place FROM TO yes|no` itself, are written with: once per script, first. `place` takes
 * a file or a folder; "yes": it may be a hard link. */
void job_files_print_placing(struct text *text);
void job_files_print_functions(struct text *text);
/* The function `bring_in`: the input folder anew, with all inputs. */
void job_files_print_in(const struct staging_in *in, struct text *text);
/* The functions `look_at_outputs` and `publish_outputs`. */
void job_files_print_out(const struct staging_out *out, struct text *text);

/* Whole scripts, for jobs whose files nobody else sees (struct descpipe_job's bring_in and publish). */
struct job_files_apart {
    const char *input;             /* the input folder; made when there is nothing for it */
    const char *output;            /* the attempt's output folder, made anew */
    const char *mark;              /* as above */
    const struct staging_in *in;   /* or NULL: no inputs */
    const struct staging_out *out; /* for publish */
};
void job_files_print_bring_in(const struct job_files_apart *apart, struct text *text);
void job_files_print_publish(const struct job_files_apart *apart, struct text *text);

#endif
