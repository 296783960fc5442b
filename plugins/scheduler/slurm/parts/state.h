/* SPDX-License-Identifier: BSD-3-Clause */
/* SLURM's words for the state of a job (man squeue, JOB STATE CODES; man sacct, the same), long, short or cut off. */
#ifndef DESCPIPE_SLURM_STATE_H
#define DESCPIPE_SLURM_STATE_H

#include <stddef.h>
#include <stdint.h>

enum state {
    STATE_OTHER, /* a word that is not known, or a cut one that could be several: never an end */
    STATE_PENDING,
    STATE_RUNNING,
    STATE_SUSPENDED,
    STATE_COMPLETED,
    STATE_CANCELLED,
    STATE_FAILED,
    STATE_TIMEOUT,
    STATE_NODE_FAIL,
    STATE_PREEMPTED,
    STATE_BOOT_FAIL,
    STATE_DEADLINE,
    STATE_OUT_OF_MEMORY,
    STATE_LAUNCH_FAILED,
    STATE_RECONFIG_FAIL,
    STATE_CONFIGURING,
    STATE_COMPLETING,
    STATE_REQUEUED,
    STATE_REQUEUE_HOLD,
    STATE_REQUEUE_FED,
    STATE_SPECIAL_EXIT,
    STATE_RESV_DEL_HOLD,
    STATE_REVOKED,
    STATE_RESIZING,
    STATE_SIGNALING,
    STATE_STAGE_OUT,
    STATE_STOPPED,
    STATE_POWER_UP_NODE,
    STATES
};

enum phase {
    PHASE_OTHER,   /* not known, or known elsewhere: ask again */
    PHASE_WAITING, /* it may run, or run again */
    PHASE_RUNNING,
    PHASE_ENDED
};

/* "CANCELLED by 1000" sets *by (else -1). "OUT_OF_ME+" is read as the only state that begins so. */
enum state state_read(const char *text, size_t length, int64_t *by);
const char *state_name(enum state state); /* the long form */
enum phase state_phase(enum state state);

#endif
