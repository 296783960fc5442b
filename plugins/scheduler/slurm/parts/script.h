/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of a submission: one batch script for all its arrays, the index from which a member takes its own script,
 * and the launcher of ranks. POSIX shell; no descpipe on the node.
 */
#ifndef DESCPIPE_SLURM_SCRIPT_H
#define DESCPIPE_SLURM_SCRIPT_H

#include <descpipe/scheduler.h>

#include "parts/buffer.h"

#define SCRIPT_NAME "scheduler.sh"
#define SCRIPT_INDEX_NAME "scheduler.index"
#define SCRIPT_LAUNCHER_NAME "scheduler.launch"
#define SCRIPT_LOG_NAME "scheduler.log"

void script_write_batch(struct buffer *text, const char *token, const char *folder);
void script_write_index(struct buffer *text, const struct descpipe_submission *submission);

struct launcher {
    bool is_mpirun;             /* else srun */
    const char *mpi;            /* srun's --mpi=, NULL or "": the site's default */
    const char *const *options; /* more words for it */
};
void script_write_launcher(struct buffer *text, const struct launcher *launcher);

#endif
