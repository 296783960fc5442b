/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What keepers say in keeper.log of the processes that their engines left: which is which job, and how each ended.
 *
 * How it works: read again and again from where the last reading stopped; a line counts when it is whole. What is no
 * line of a keeper's is passed over.
 */
#ifndef DESCPIPE_RUN_JOURNAL_KEEPER_LOG_H
#define DESCPIPE_RUN_JOURNAL_KEEPER_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/text.h"

#define KEEPER_LOG_LIMIT ((uint64_t)64 * 1024 * 1024) /* bytes that are read of it */

struct keeper_child {
    uint64_t job;
    pid_t keeper, pid;
    uint64_t start_time;
};
struct keeper_end {
    uint64_t job;
    int exit_code, signal; /* exit_code -1: by the signal */
    int64_t at_ms;
};
struct keeper_log {
    char *path;
    uint64_t at;
    struct text rest; /* the beginning of a line */
    LIST(struct keeper_child) children;
    LIST(struct keeper_end) ends;
    LIST(pid_t) keepers; /* that have said what they hold */
};

void keeper_log_open(struct keeper_log *log, const char *run_folder);
void keeper_log_clear(struct keeper_log *log);
void keeper_log_read(struct keeper_log *log); /* what is new */
bool keeper_log_knows(const struct keeper_log *log, pid_t keeper);
const struct keeper_child *keeper_log_child(const struct keeper_log *log, uint64_t job); /* the last; or NULL */
const struct keeper_end *keeper_log_end(const struct keeper_log *log, uint64_t job);     /* the last; or NULL */

#endif
