/* SPDX-License-Identifier: BSD-3-Clause */
/* A few helper threads for bulk work on bytes. `work` runs on a helper and may touch only its context and
 * files; `done` runs on the loop. Threads start with the first job. */
#ifndef DESCPIPE_IO_POOL_H
#define DESCPIPE_IO_POOL_H

#include "io/loop.h"

struct pool;
struct pool *pool_new(struct loop *loop, unsigned threads, struct error *error); /* 0: one per cpu, at most 8 */
void pool_free(struct pool *pool); /* waits for the jobs that run; the waiting ones get `done` without `work` */
DEFINE_CLEANUP(struct pool *, pool_free);
void pool_run(struct pool *pool, void (*work)(void *context), void (*done)(void *context), void *context);

#endif
