/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drives the scheduler plugin `slurm` through the real plugin host and keeps what it says. Jobs are shell texts; their
 * scripts, outputs and the submission's folder are made below the driver's own folder.
 */
#ifndef DESCPIPE_TESTS_SLURM_DRIVER_H
#define DESCPIPE_TESTS_SLURM_DRIVER_H

#include <check.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/text.h"
#include "plugin/instance.h"

enum { DRIVER_JOBS = 2048, DRIVER_PATIENCE_S = 240 };

/* What was said of a job, the latest of each. */
struct told {
    bool queued, running, ended;
    int runnings, ends; /* how often */
    uint32_t flags;
    int exit_code, signal;
    uint64_t attempt, peak_memory;
    int64_t started_at_ms, finished_at_ms;
    char *native_id, *waiting, *host, *witness, *reason;
};

struct driver {
    char *folder;
    struct loop *loop;
    struct policy *policy;
    struct plugin_catalogue *catalogue;
    struct plugin_host *host;
    struct settings *settings;
    struct plugin_instance *instance;
    struct plugin_call *observing;
    bool observe_ended;
    struct told told[DRIVER_JOBS]; /* by our number */
    int blinds, sights;            /* cannot be asked; can be asked again */
    char *blind;
};

/* The end of one call. */
struct answer {
    bool done, ok;
    uint32_t failure;
    char *message, *hint;
    char *facts, *found; /* "name=value\n"; "token index native_id running\n" */
    int64_t moment_ms;
    size_t found_count;
};

struct test_job {
    const char *script; /* shell text */
    uint32_t nodes, ranks, cpus, gpus, minutes, members_limit;
    uint64_t memory;              /* bytes */
    uint64_t after_ok, after_end; /* our numbers, 0: none */
    const char *group;
    const char *native_id; /* to adopt */
};

/* `options` are key, value pairs and end with NULL; a value "[a,b]" is a list. A new driver may take an older one's
 * folder. */
void driver_open(struct driver *driver, const char *folder, const char *const *options);
void driver_close(struct driver *driver);
/* Jobs get the numbers first, first + 1, ... */
void driver_submit(struct driver *driver, const char *token, uint64_t first, const struct test_job *jobs,
                   uint32_t count, uint32_t flags, struct answer *answer);
/* The same, ending the call after `cancel_ms` by a wish. */
void driver_submit_cancelled(struct driver *driver, const char *token, uint64_t first, const struct test_job *jobs,
                             uint32_t count, int64_t cancel_ms, struct answer *answer);
void driver_find(struct driver *driver, const char *run, struct answer *answer);
void driver_probe(struct driver *driver, struct answer *answer);
void driver_estimate(struct driver *driver, const struct test_job *job, struct answer *answer);
void driver_cancel(struct driver *driver, uint64_t first, uint64_t count, struct answer *answer);
void driver_release(struct driver *driver, const char *token, struct answer *answer);
/* Runs the loop until `true_when`; fails the test after DRIVER_PATIENCE_S. */
void driver_until(struct driver *driver, bool (*true_when)(struct driver *driver, const void *context),
                  const void *context);
const struct told *driver_until_ended(struct driver *driver, uint64_t job);
const struct told *driver_until_running(struct driver *driver, uint64_t job);
void driver_for(struct driver *driver, int64_t ms); /* runs the loop for a while */
/* What is in a file below the folder; freed by the caller. */
char *driver_read(const struct driver *driver, const char *name);
void answer_clear(struct answer *answer);
static inline void answer_clear_at(struct answer *place)
{
    answer_clear(place);
}

/* Runs a command of a person or an administrator beside the plugin: argv, waits, its exit status; prints go to the log.
 */
int run_beside(const char *const *argv);

#endif
