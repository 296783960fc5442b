/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scripts of all jobs of a submission in two files, whatever their number: a file each would be an inode and two
 * waits for the disk a stage.
 *
 * How it works: the scripts (job_script.h) lie one after another in one file; the other, which every job is given as
 * its own, knows where the script of which position is, takes it out and becomes it. Jobs that go with another
 * submission after all get such a file there, for scripts that stay where they are.
 */
#ifndef DESCPIPE_RUN_ELSEWHERE_JOB_SCRIPTS_H
#define DESCPIPE_RUN_ELSEWHERE_JOB_SCRIPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

struct job_part { /* of the file of scripts; length 0: none */
    uint64_t at;
    uint64_t length;
};

struct job_scripts {
    char *path; /* of the file; NULL: none was begun */
    int descriptor;
    uint64_t length;     /* of all */
    struct text waiting; /* its end, not written yet */
};

void job_scripts_clear(struct job_scripts *scripts);
/* `path` is used with the first one, as a copy. */
bool job_scripts_add(struct job_scripts *scripts, const char *path, const struct text *script, struct job_part *part,
                     struct error *error);
/* No more come: they are on the disk. */
bool job_scripts_finish(struct job_scripts *scripts, struct error *error);

/* The file that jobs are started with: `path` is its own, absolute, and part `i` is that of the job at position `i`. */
void job_scripts_print_picker(const char *path, const char *scripts, const struct job_part *parts, uint32_t count,
                              struct text *text);

#endif
