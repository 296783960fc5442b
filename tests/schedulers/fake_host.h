/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host for the schedulers of this machine that starts nothing: stages "run" until the test ends them. It keeps every
 * start, stop and change in order, and fails the test when a contract of the interface is broken.
 */
#ifndef DESCPIPE_TESTS_FAKE_HOST_H
#define DESCPIPE_TESTS_FAKE_HOST_H

#include <stdbool.h>

#include <descpipe/plugin.h>

enum { FAKE_REASON = 256, FAKE_JOBS = 200000, FAKE_GPUS = 16 };

struct fake_job {
    int starts, ends, cancelled, stops;
    bool running;
    char gpus[FAKE_GPUS * 4]; /* "0,1" */
    void (*ended)(void *context, uint64_t job);
    void *context;
};

struct fake_change {
    uint64_t job, attempt;
    uint32_t state, flags;
    char reason[FAKE_REASON];
};

struct descpipe_call {
    bool finished, ok;
    uint32_t failure;
    char message[512], hint[512];
    char facts[1024];
    void (*wish)(void *context);
    void *wish_context;
};

struct fake_option {
    const char *key;
    int64_t number;
    const char *const *list; /* given when not NULL */
};

struct fake_host {
    struct descpipe_host table;
    struct fake_option options[8];
    struct fake_job *jobs; /* FAKE_JOBS, by number */
    struct fake_change *changes;
    size_t change_count, change_capacity;
    uint64_t started[64]; /* the first starts, in order */
    size_t started_count, running_count, most_running;
    int depth, deepest; /* of calls of the plugin into the host */
    bool stopping;      /* stage->start answers 0 */
    void (*on_start)(struct fake_host *host, uint64_t job);
    const struct descpipe_scheduler *scheduler;
    void *self;
    struct descpipe_call observing;
    char open_message[256];
};

struct fake_host *fake_host_open(const char *name, const struct fake_option *options); /* options end with key NULL */
bool fake_host_try_open(struct fake_host **host, const char *name, const struct fake_option *options);
void fake_host_close(struct fake_host *host);
void fake_host_end(struct fake_host *host, uint64_t job); /* the stage ends by itself */
/* Submits `count` jobs; true when accepted. The answer is in `call`. */
bool fake_host_submit(struct fake_host *host, const struct descpipe_job *const *jobs, uint32_t count,
                      struct descpipe_call *call);

#endif
