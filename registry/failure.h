/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What went wrong inside a plugin: a DESCPIPE_FAILED_ kind, one line that says what and where, and a hint that says
 * what to do. A fallible function takes `struct failure *failure` last, returns true when done, and fills it only when
 * it fails. Running out of memory is a failure like any other: a plugin must not end the program.
 */
#ifndef DESCPIPE_REGISTRY_FAILURE_H
#define DESCPIPE_REGISTRY_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

#include <descpipe/host.h>

struct failure {
    uint32_t kind; /* DESCPIPE_FAILED_; 0: nothing failed */
    char *message; /* owned; NULL only when memory ran out */
    char *hint;    /* owned or NULL */
};

#define FAILURE_INIT ((struct failure){0})

void failure_clear(struct failure *failure);
static inline void failure_clear_at(struct failure *place)
{
    failure_clear(place); /* cleanup(failure_clear) struct failure failure = FAILURE_INIT; */
}

/* All return false, so that `return failure_set(...)` reads well. */
bool failure_set(struct failure *failure, uint32_t kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "...: strerror(errno)", REFUSED. Call right after what failed. */
bool failure_system(struct failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool failure_memory(struct failure *failure);
bool failure_hint(struct failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " in front of the message. */
bool failure_wrap(struct failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In place of what is there. */
bool failure_copy(struct failure *to, const struct failure *from);

const char *failure_message(const struct failure *failure);
/* Finishes the call with it. */
void failure_finish(const struct failure *failure, const struct descpipe_host *host, struct descpipe_call *call);

#endif
