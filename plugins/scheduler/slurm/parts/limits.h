/* SPDX-License-Identifier: BSD-3-Clause */
/* What this SLURM allows, read from `scontrol show config` and `scontrol -o show partition`. */
#ifndef DESCPIPE_SLURM_LIMITS_H
#define DESCPIPE_SLURM_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parts/policy.h"

enum { LIMITS_TEXT = 64, LIMITS_PARTITIONS = 256 };
#define LIMITS_NONE UINT64_MAX

struct partition {
    char name[LIMITS_TEXT];
    char qos[LIMITS_TEXT]; /* that limits whatever runs in it, or "" */
    bool is_default, is_up;
    uint64_t minutes; /* LIMITS_NONE: no limit */
    uint64_t nodes;   /* of one job */
    uint64_t total_nodes;
    uint64_t memory_per_node; /* bytes */
};

struct limits {
    char version[LIMITS_TEXT], cluster[LIMITS_TEXT], host[LIMITS_TEXT], accounting[LIMITS_TEXT];
    uint64_t array_size; /* indices go from 0 to this minus one; 0: no arrays here */
    uint64_t jobs;       /* MaxJobCount, of everybody */
    uint64_t forget_s;   /* MinJobAge */
    bool has_rate;       /* rl_enable: */
    bool hides_jobs;     /* PrivateData: of others */
    bool enforces_limits, enforces_associations, enforces_qos; /* AccountingStorageEnforce */
    struct policy policy;                                      /* empty when nothing of it is enforced */
    uint64_t rate_bucket, rate_refill, rate_period_s;
    struct partition *partitions;
    size_t partitions_count;
};

void limits_clear(struct limits *limits);
/* One line of `scontrol show config`. */
void limits_read_config(struct limits *limits, const char *line, size_t length);
/* One line of `scontrol -o show partition`; false: no memory. What is no partition is skipped. */
bool limits_read_partition(struct limits *limits, const char *line, size_t length);
const struct partition *limits_partition(const struct limits *limits, const char *name); /* NULL name: the default */
/* "60", "1:00:00", "2-03", "2-03:04", "2-03:04:05", "UNLIMITED": minutes, rounded up; false: not a time. */
bool limits_read_minutes(const char *text, size_t length, uint64_t *minutes);

#endif
