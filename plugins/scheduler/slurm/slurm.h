/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scheduler `slurm`, inside.
 *
 *     submit ─► request (arrays) ─► sbatch ─► jobs ─► watch (squeue) ─► accounts (sacct, scontrol) ─► ending ─► sink
 *
 * Every command goes through tool.c, which asks a token bucket first; bucket and the answers of squeue are shared by
 * all runs of a user on a machine (broker.c). What SLURM says is read and judged by parts/, which knows nothing of the
 * host.
 *
 * A job of ours is a member of an array: its index is its position in the submission, and the array's name is the
 * token. So a lost answer, another process and accounting years later name the same thing.
 */
#ifndef DESCPIPE_SLURM_H
#define DESCPIPE_SLURM_H

#include <stdbool.h>

#include <descpipe/plugin.h>

#include "broker.h"
#include "jobs.h"
#include "parts/answer.h"
#include "parts/bucket.h"
#include "parts/limits.h"
#include "parts/request.h"
#include "steps.h"
#include "tool.h"
#include "watch.h"

enum { SLURM_MESSAGE = 512 };

struct slurm {
    const struct descpipe_host *host;
    const struct descpipe_settings *settings;
    int64_t user; /* our uid */
    struct tools tools;
    struct broker broker;
    struct jobs jobs;
    struct jobs sent; /* of detached submissions: later ones may wait for them, also when they are over */
    struct watch watch;
    struct steps steps; /* when we are in an allocation */
    struct descpipe_resources pilot_resources;
    struct descpipe_pilot pilot;
    struct limits limits;
    bool limits_known, limits_recalled; /* recalled: another run, or an earlier one, has asked a while ago */
    bool limits_looked_for;             /* … and whether one has was looked at */
    uint64_t sending;                   /* jobs on their way to the queue */
    uint64_t room; /* learned from a refusal: at most so many jobs in the queue; UINT64_MAX: no such limit known */
};

int64_t slurm_now_ms(void); /* of a clock that never goes back and that all processes of this machine share */

/* At most so many of our jobs in the queue: the user's wish, what accounting allows, what a refusal taught. UINT64_MAX:
 * no limit is known. */
uint64_t slurm_most_jobs(struct slurm *self);

/* options.c */
extern const struct descpipe_option *const slurm_options[];
void slurm_wishes(void *slurm, const struct descpipe_job *job, struct wishes *wishes);
const char *slurm_text(const struct slurm *self, const char *key); /* NULL when it is empty or not given */
/* "--clusters=NAME" when the site has several; nothing else. */
void slurm_add_clusters(const struct slurm *self, struct arguments *arguments);

/* controller.c: what another run has heard of the controller not long ago. False: it must be asked. */
bool slurm_recall_limits(struct slurm *self);
/* What the controller allows, asked once. `done` comes later; failure NULL means known. NULL: no memory. */
struct limits_question;
struct limits_question *slurm_ask_limits(struct slurm *self, void (*done)(void *context, const struct answer *failure),
                                         void *context);
void limits_question_stop(struct limits_question *question); /* `done` still comes */

/* The operations, each in the file of its name. */
void slurm_submit(void *self, struct descpipe_call *call, const struct descpipe_submission *submission);
void slurm_find(void *self, struct descpipe_call *call, const char *run);
void slurm_cancel(void *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count);
void slurm_probe(void *self, struct descpipe_call *call);
void slurm_queue_estimate(void *self, struct descpipe_call *call, const struct descpipe_job *job);
void slurm_observe(void *self, struct descpipe_call *call, struct descpipe_sink *sink);

/* How long ago a run began, by its id, and a day more; some days when the id does not say. */
int64_t slurm_age_ms(const char *run);

/* Ends a call by what a command said. `after_act`: what cannot be told apart is UNKNOWN, else it is CANNOT_ASK. */
void slurm_fail(struct slurm *self, struct descpipe_call *call, const char *command, const struct answer *answer,
                bool after_act);

#endif
