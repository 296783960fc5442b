/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What accounting allows a user: limits of associations and of qualities of service, read from sacctmgr.
 *
 * `sbatch --test-only` does not look at them, and a job over a time limit of theirs waits for ever: so they are looked
 * at before anything is submitted.
 */
#ifndef DESCPIPE_SLURM_POLICY_H
#define DESCPIPE_SLURM_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POLICY_NAME = 64, POLICY_NAMES = 512, POLICY_ROWS = 1024 };
#define POLICY_NONE UINT64_MAX

/* Columns of `sacctmgr show user NAME withassoc` and `sacctmgr show qos`. */
#define POLICY_ASSOCIATION_FORMAT "DefaultAccount,Account,Partition,DefaultQOS,QOS,MaxSubmitJobs,MaxWall"
#define POLICY_QOS_FORMAT "Name,MaxSubmitJobsPerUser,MaxWall,Flags"

struct association {
    char account[POLICY_NAME], partition[POLICY_NAME], default_qos[POLICY_NAME], qos[POLICY_NAMES];
    bool is_default;
    uint64_t jobs, minutes;
};

struct quality {
    char name[POLICY_NAME];
    uint64_t jobs, minutes;
    bool over_partition; /* it goes before the partition's own */
};

struct policy {
    struct association *associations;
    size_t associations_count;
    struct quality *qualities;
    size_t qualities_count;
};

/* How much is allowed, and by what: "account 'physics'", "qos 'debug'". */
struct allowance {
    uint64_t jobs, minutes; /* POLICY_NONE: no limit */
    char jobs_by[POLICY_NAME + 16], minutes_by[POLICY_NAME + 16];
};

void policy_clear(struct policy *policy);
/* One line each; false: no memory. What cannot be read is skipped. */
bool policy_read_association(struct policy *policy, const char *line, size_t length);
bool policy_read_quality(struct policy *policy, const char *line, size_t length);
/* NULL: not said. `partition_qos` limits whatever runs in the partition. */
void policy_allow(const struct policy *policy, const char *account, const char *qos, const char *partition,
                  const char *partition_qos, struct allowance *allowance);
/* Are there associations, but none with this account? And one whose list of qualities lacks this one? */
bool policy_lacks_account(const struct policy *policy, const char *account);
bool policy_lacks_qos(const struct policy *policy, const char *account, const char *qos);
/* "physics, root": accounts, or the qualities of an account, for a message. */
void policy_write_accounts(const struct policy *policy, char *text, size_t size);
const char *policy_qualities(const struct policy *policy, const char *account);

#endif
