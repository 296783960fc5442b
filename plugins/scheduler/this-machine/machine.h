/* SPDX-License-Identifier: BSD-3-Clause */
/* What this process may use of the machine it runs on: cpus, memory, gpus. */
#ifndef DESCPIPE_SCHEDULER_MACHINE_H
#define DESCPIPE_SCHEDULER_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MACHINE_GPUS_LIMIT = 1024 };

struct machine {
    uint64_t cpus;   /* at least 1: affinity mask and cgroup quota (rounded up) together */
    uint64_t memory; /* bytes: total memory and cgroup limit together; 0: not known */
};

/* `root` stands before /proc and /sys: "" on a real machine, a folder in a test. `affinity` is the number of cpus the
 * process is allowed by its mask. Nothing here fails: what cannot be read does not limit. */
void machine_read(const char *root, uint64_t affinity, struct machine *machine);
uint64_t machine_affinity(void);

/* The gpus: the ids in `visible` (the value of CUDA_VISIBLE_DEVICES, "" means none) or, when it is NULL, the numbers of
 * ROOT/dev/nvidia[0-9]*. A list that ends with NULL, to be freed with machine_free_gpus; NULL when there is no memory.
 */
char **machine_gpus(const char *root, const char *visible);
void machine_free_gpus(char **gpus);

#endif
