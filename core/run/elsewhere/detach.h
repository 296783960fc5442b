/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files that hand a run over: detach.c (the graph), detach_end.c (its last job), pilot.c (an allocation),
 * remote.c (sending). */
#ifndef DESCPIPE_RUN_ELSEWHERE_DETACH_H
#define DESCPIPE_RUN_ELSEWHERE_DETACH_H

#include "run/elsewhere/graph.h"
#include "run/elsewhere/remote.h"

struct detach {
    struct engine *engine;
    uint32_t backend;
    uint32_t *order; /* selected stages, what comes first before what waits for it */
    uint32_t order_count;
    bool *is_paired;        /* by stage: its members are waited for, or wait, one by one */
    uint32_t stage, member; /* the next task to go: a position in `order` */
    uint32_t largest;       /* jobs in a submission */
    struct {
        uint64_t serial;
        uint32_t count;
    } * sent; /* submissions, in their order */
    size_t sent_count, sent_capacity;
    bool pilot;                     /* its one job is an allocation, in which an engine goes on */
    bool looking;                   /* what earlier runs have made is looked for */
    bool sending, failing, closing; /* a submission is on its way; all is given up; the last job is on its way */
};

/* detach.c: what the last job waits for: the end of all others. */
const struct descpipe_edge *const *detach_wait_for_all(struct detach *detach);
/* A job that is no stage's, whose script is DETACH_SCRIPT in the folder of its submission. `resources` is copied. */
#define DETACH_SCRIPT "job.0.sh"
struct descpipe_job *detach_make_job(struct remote *remote, const char *name,
                                     const struct descpipe_resources *resources);
/* Alone: detach_taken or detach_fail follows. */
void detach_send_job(struct remote *remote, const struct descpipe_job *job, uint32_t flags);
/* detach_end.c: the last job, a submission of its own; detach_taken or detach_fail follows. */
void detach_send_end(struct detach *detach);
/* … sets `run` and `working`, and defines `give_back`, which ends the run's own leases. */
void detach_print_leases(const struct engine *engine, struct text *text);
/* pilot.c: the job that is the allocation; likewise. */
void pilot_send(struct detach *detach);

#endif
