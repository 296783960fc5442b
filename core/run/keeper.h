/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: the engine's parent, which keeps what the engine would lose by dying.
 *
 *     front (what the user started) ─► keeper (own session, child subreaper) ─► engine ─► stages
 *
 * How it works: while the engine lives the keeper only reaps what stages left behind. When the engine has died, its
 * children, running or zombie, fall to the keeper, which writes to keeper.log first which process is which job, then
 * how each ended, until it has none left. What a full disk does not take is kept until it does.
 *
 *     {at, keeper, running:[{job, pid, start}]}      once, when the engine has gone
 *     {at, pid, job?, exit | signal}                 for each end after that
 *
 * Which job a pid is stands in a table that engine and keeper share: the job before the spawn, and the pid before the
 * process runs, for the kernel writes it. A slot without a pid is a job that was not begun, wherever the engine died.
 */
#ifndef DESCPIPE_RUN_KEEPER_H
#define DESCPIPE_RUN_KEEPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define KEEPER_LOG "keeper.log"
#define KEEPER_SLOTS 4096 /* stages running at a time that the keeper can name; more are only pids to it */
#define KEEPER_FOLDER 4096

struct keeper_slot {
    _Atomic uint64_t job; /* 0: free */
    _Atomic int32_t pid;  /* 0: not known yet */
    int32_t reserved;
};

struct keeper_table {
    _Atomic int32_t keeper, engine;
    _Atomic uint32_t has_folder;
    char folder[KEEPER_FOLDER]; /* the run folder, once there is one */
    struct keeper_slot slots[KEEPER_SLOTS];
};

struct keeper_table *keeper_table_new(struct error *error); /* shared with every process split off later */
void keeper_table_free(struct keeper_table *table);
void keeper_table_set_folder(struct keeper_table *table, const char *folder);
/* For the engine. `slot` is a hint that makes both cheap; -1 when the table is full or there is none. */
int keeper_slot_take(struct keeper_table *table, uint64_t job);
pid_t *keeper_slot_pid(struct keeper_table *table, int slot); /* where the pid belongs; NULL: nowhere */
void keeper_slot_give(struct keeper_table *table, int slot);

/* The keeper's whole life after the engine was split off. Returns when it has no children left. */
/* `ended` is told how the engine ended, as soon as it has. */
void keeper_run(struct keeper_table *table, pid_t engine, void (*ended)(void *context, int exit_code, int signal),
                void *context);

/* Becomes a keeper: session, subreaper, signals, no terminal. */
bool keeper_become(struct error *error);

#endif
