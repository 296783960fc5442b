/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What squeue, sacct and scontrol say of one job or step, read from one line of each.
 *
 * The lines are asked for in the formats below, with SLURM_TIME_FORMAT=%s, so that times are seconds since the epoch.
 * What comes is judged as if a stranger had written it: sites wrap these commands.
 */
#ifndef DESCPIPE_SLURM_RECORD_H
#define DESCPIPE_SLURM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parts/state.h"

/* squeue -h -r -t all -o; the name is last, because it may hold anything. */
#define RECORD_QUEUE_FORMAT "%F|%K|%A|%T|%r|%S|%e|%N|%j"

enum { RECORD_NODES = 256, RECORD_REASON = 128, RECORD_NAME = 64, RECORD_RANGES = 256 };
#define RECORD_NO_INDEX (-1)

enum record_part {
    PART_JOB,
    PART_BATCH, /* the step that is the batch script */
    PART_STEP   /* any other */
};

struct record {
    uint64_t array; /* the id of the array, or of a job that is none */
    int64_t index;  /* in the array, or RECORD_NO_INDEX */
    uint64_t raw;   /* the id of this very member */
    enum record_part part;
    enum state state;
    int64_t by; /* "CANCELLED by", or -1 */
    bool has_exit;
    int exit_code, exit_signal;
    int64_t submitted_s, started_s, ended_s; /* 0: not known, or not yet */
    uint64_t requested_memory, peak_memory;  /* bytes */
    bool memory_is_per_cpu;
    uint64_t cpu_ms;
    uint64_t restarts;
    char ranges[RECORD_RANGES]; /* pending members that SLURM shows as one: "5-7,9"; else "" */
    char nodes[RECORD_NODES];
    char reason[RECORD_REASON]; /* "" when there is none */
    char name[RECORD_NAME];
};

bool record_read_queue(const char *line, size_t length, struct record *record);

/* Fields of sacct in their order; a version that lacks one says so, and is asked again without it. */
enum account_field {
    ACCOUNT_JOB_ID,
    ACCOUNT_RAW_ID,
    ACCOUNT_STATE,
    ACCOUNT_EXIT,
    ACCOUNT_SUBMIT,
    ACCOUNT_START,
    ACCOUNT_END,
    ACCOUNT_NODES,
    ACCOUNT_REQUESTED_MEMORY,
    ACCOUNT_PEAK_MEMORY,
    ACCOUNT_CPU,
    ACCOUNT_REASON,
    ACCOUNT_NAME,
    ACCOUNT_FIELDS
};
#define ACCOUNT_ALL ((1u << ACCOUNT_FIELDS) - 1)
const char *account_field_name(enum account_field field); /* as sacct calls it */
bool record_read_account(const char *line, size_t length, unsigned fields, struct record *record);

/* scontrol -o show job */
bool record_read_control(const char *line, size_t length, struct record *record);

/* "123", "123_4", "123_4@cluster": what we call a job. */
bool record_read_id(const char *text, uint64_t *array, int64_t *index);
/* Does a record of pending members that are shown as one stand for this one too? */
bool record_covers(const struct record *record, int64_t index);

#endif
