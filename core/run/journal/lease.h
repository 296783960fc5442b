/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may write: a file `lease` in a folder, held by one process of one machine.
 *
 * How it works: the file is made elsewhere and put in place by link(), which is atomic on every file system that
 * science machines share; flock is not trusted there. Its holder touches it every LEASE_TOUCH_MS. Taking over from a
 * holder that is surely dead goes through a second file `lease.taking`, made the same way, so that of two who want it
 * one gets it. A lease names host, boot, process id namespace, pid and start time: with all of these a pid means one
 * process.
 */
#ifndef DESCPIPE_RUN_JOURNAL_LEASE_H
#define DESCPIPE_RUN_JOURNAL_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "run/journal/machine.h"

#define LEASE_FILE "lease"
#define LEASE_TOUCH_MS 10000
#define LEASE_STALE_MS (5 * 60 * 1000) /* by the file system's clock */

enum lease_state {
    LEASE_FREE = 0, /* nobody has it */
    LEASE_HELD,     /* its holder lives, as far as can be seen from here */
    LEASE_DEAD,     /* its holder has surely ended */
    LEASE_SILENT,   /* its holder is out of our sight and gave no sign of life for LEASE_STALE_MS */
    LEASE_RUN       /* the run itself has it, which goes on without us: lease_hand_over */
};

struct lease_holder {
    struct machine machine;
    int64_t pid;         /* 0: the run itself */
    uint64_t start_time; /* process_start_time */
    uint64_t epoch;
    char run[32];      /* what it is about, or "" */
    int64_t silent_ms; /* since its last sign of life */
};

/* Whose lease it is; `holder` is filled unless it is FREE. A file that is no lease is an error. */
bool lease_look(const char *folder, enum lease_state *state, struct lease_holder *holder, struct error *error);

struct lease_request {
    const char *folder;  /* exists */
    const char *subject; /* for messages: "the working folder '/data/work'" */
    const char *run;     /* kept in the lease, at most 31 characters; "" or NULL: none */
    uint64_t epoch;      /* at least this one; more than the last holder's in any case */
    bool force;          /* also from a SILENT holder */
    bool gone;           /* … and from any: its end is known from elsewhere */
};

struct lease;
/* NULL with "SUBJECT is in use by run ... (descpipe process 77 on 'host', last sign of life 3 s ago)". The holder is
 * the calling process, or `pid` when that is not 0. */
struct lease *lease_take(const struct lease_request *request, pid_t pid, struct error *error);
uint64_t lease_epoch(const struct lease *lease);
/* A sign of life. False when the lease is somebody else's now: then nothing may be written any more. */
bool lease_touch(struct lease *lease);
/* From now on it belongs to its run and to no process: whoever works for that run (lease_request.run) may take it, and
 * nobody else. What ends the run removes the file. */
bool lease_hand_over(struct lease *lease, const char *run, struct error *error);
void lease_release(struct lease *lease); /* removes the file if it is still ours; NULL is fine */
/* Forgets it without touching the file: for the other half of a split process. */
void lease_forget(struct lease *lease);
DEFINE_CLEANUP(struct lease *, lease_release);
DEFINE_CLEANUP(struct lease *, lease_forget);

#endif
