/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starting a program as a child, as posix_spawn does, without what thousands of short stages need not pay for: it asks
 * for each of 64 signals what becomes of it, makes a stack for each child, and checks each descriptor against the
 * limit.
 */
#ifndef DESCPIPE_IO_SPAWN_H
#define DESCPIPE_IO_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/memory.h"

struct spawn_request {
    const char *path;
    const char *const *argv;
    const char *const *environment; /* exactly this */
    const char *directory;          /* NULL: unchanged */
    int streams[3];                 /* its standard streams: each is 3 or more, or its own number */
    bool new_session;               /* else it stays in ours */
    pid_t *known_as;                /* its pid is written here before it runs, should we be killed meanwhile; or NULL */
};

/* Used by one thread only. What is done with signals when it is made is what children are kept from: they begin with
 * none blocked and none ignored. */
struct spawner;
struct spawner *spawner_new(void); /* NULL, with errno, when there is no memory for its stack */
void spawner_free(struct spawner *spawner);
DEFINE_CLEANUP(struct spawner *, spawner_free);

/* Returns when the program has been loaded: 0, or the errno of what failed, and then there is no child. */
int spawner_start(struct spawner *spawner, const struct spawn_request *request, pid_t *pid);

#endif
