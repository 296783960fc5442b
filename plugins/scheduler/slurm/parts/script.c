/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The batch script, its index and the launcher; script.h.
 *
 * SLURM copies the batch script away, so that it names its folder. A member's lines in the index are a branch of one
 * `case`, which holds for whatever characters a path has. What slurmstepd says of all members goes into one
 * scheduler.log: it is evidence.
 */
#include "parts/script.h"

#include <inttypes.h>

#include "parts/ending.h"

void script_write_batch(struct buffer *text, const char *token, const char *folder)
{
    buffer_format(text,
                  "#!/bin/sh\n"
                  "# Written by descpipe for its submission %s: starts the script of one member.\n"
                  "folder=",
                  token);
    buffer_add_quoted(text, folder);
    buffer_format(text,
                  "\n"
                  "cannot() {\n"
                  "    echo \"descpipe: job ${SLURM_JOB_ID:-?}: $1\" >&2\n"
                  "    exit %d\n"
                  "}\n",
                  SCRIPT_COULD_NOT_BEGIN);
    buffer_add_text(text, "here=${SLURMD_NODENAME:-this node}\n"
                          /* Else srun would start steps with neither environment nor cpus (since 22.05). */
                          "SLURM_EXPORT_ENV=ALL\n"
                          "export SLURM_EXPORT_ENV\n"
                          "if [ -n \"${SLURM_CPUS_PER_TASK:-}\" ]; then\n"
                          "    SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK\n"
                          "    export SRUN_CPUS_PER_TASK\n"
                          "fi\n"
                          "DESCPIPE_INDEX=${1:-${SLURM_ARRAY_TASK_ID:-0}}\n"
                          "DESCPIPE_RESTART=${SLURM_RESTART_COUNT:-0}\n"
                          "export DESCPIPE_INDEX DESCPIPE_RESTART\n"
                          "cd \"$folder\" || cannot \"cannot enter '$folder' on $here\"\n"
                          "[ -r \"$folder/" SCRIPT_INDEX_NAME "\" ] || cannot \"cannot read '$folder/" SCRIPT_INDEX_NAME
                          "' on $here\"\n"
                          "script= launches=\n"
                          ". \"$folder/" SCRIPT_INDEX_NAME "\"\n"
                          "[ -n \"$script\" ] || cannot \"member $DESCPIPE_INDEX is not in '$folder/" SCRIPT_INDEX_NAME
                          "'\"\n"
                          "[ -r \"$script\" ] || cannot \"cannot read '$script' on $here\"\n"
                          "if [ -n \"$launches\" ]; then\n"
                          "    DESCPIPE_LAUNCHER=$folder/" SCRIPT_LAUNCHER_NAME "\n"
                          "    export DESCPIPE_LAUNCHER\n"
                          "fi\n"
                          "if ! true >>\"$output\" || ! true >>\"$error\"; then\n"
                          "    cannot \"cannot write '$output' or '$error' on $here\"\n"
                          "fi\n"
                          "umask 077\n" /* the logs alone are as readable as whoever sent them wants */
                          "exec /bin/sh \"$script\" </dev/null >>\"$output\" 2>>\"$error\"\n");
}

void script_write_index(struct buffer *text, const struct descpipe_submission *submission)
{
    buffer_add_text(text, "case $DESCPIPE_INDEX in\n");
    for (uint32_t i = 0; i < submission->count; i++) {
        const struct descpipe_job *job = submission->jobs[i];
        buffer_format(text, "%" PRIu32 ") script=", i);
        buffer_add_quoted(text, job->script);
        buffer_add_text(text, " output=");
        buffer_add_quoted(text, job->output_path != NULL ? job->output_path : "/dev/null");
        buffer_add_text(text, " error=");
        buffer_add_quoted(text, job->error_path != NULL ? job->error_path : "/dev/null");
        if ((uint64_t)job->resources->nodes * job->resources->ranks_per_node > 1) {
            buffer_add_text(text, " launches=yes");
        }
        buffer_add_text(text, " ;;\n");
    }
    buffer_add_text(text, "esac\n");
}

static void add_words(struct buffer *text, const char *const *words)
{
    for (; words != NULL && *words != NULL; words++) {
        buffer_add_text(text, " ");
        buffer_add_quoted(text, *words);
    }
}

static void add_mpirun(struct buffer *text, const struct launcher *launcher)
{
    buffer_add_text(text, "nodes) exec mpirun -np \"$SLURM_JOB_NUM_NODES\" --map-by ppr:1:node");
    add_words(text, launcher->options);
    buffer_add_text(text, " \"$@\" ;;\n"
                          "ranks) exec mpirun -np \"$SLURM_NTASKS\"");
    add_words(text, launcher->options);
}

static void add_srun(struct buffer *text, const struct launcher *launcher)
{
    buffer_add_text(text, "nodes) exec srun --nodes=\"$SLURM_JOB_NUM_NODES\" --ntasks=\"$SLURM_JOB_NUM_NODES\" "
                          "--ntasks-per-node=1 --mpi=none \"$@\" ;;\n"
                          "ranks) exec srun --kill-on-bad-exit=1");
    if (launcher->mpi != NULL && launcher->mpi[0] != '\0') {
        buffer_add_text(text, " --mpi=");
        buffer_add_quoted(text, launcher->mpi);
    }
    add_words(text, launcher->options);
}

void script_write_launcher(struct buffer *text, const struct launcher *launcher)
{
    /* A rank learns its number from whoever started it: srun, Open MPI, PMIx, MPICH and its kin. */
    buffer_add_text(text, "# Written by descpipe: starts a command over the nodes of this job.\n"
                          "what=$1\n"
                          "shift\n"
                          "case $what in\n");
    if (launcher->is_mpirun) {
        add_mpirun(text, launcher);
    } else {
        add_srun(text, launcher);
    }
    buffer_add_text(
        text, " /bin/sh -c '\n"
              "    DESCPIPE_RANK=${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-${PMI_RANK:-${SLURM_PROCID:-0}}}}\n"
              "    DESCPIPE_SIZE=${OMPI_COMM_WORLD_SIZE:-${PMI_SIZE:-${SLURM_STEP_NUM_TASKS:-${SLURM_NTASKS:-1}}}}\n"
              "    export DESCPIPE_RANK DESCPIPE_SIZE\n"
              "    exec \"$@\"' sh \"$@\" ;;\n"
              "*)\n"
              "    echo \"descpipe: the launcher starts ranks or nodes, not '$what'\" >&2\n"
              "    exit 2\n"
              "    ;;\n"
              "esac\n");
}
