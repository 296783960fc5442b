/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What went wrong: a kind (which decides the exit status), one line that says what and where, and a hint
 * that says what to do. Every fallible function takes `struct error *error` last and returns bool, true
 * meaning done; it fills the error only when it fails.
 */
#ifndef DESCPIPE_BASE_ERROR_H
#define DESCPIPE_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

enum error_kind {
    ERROR_NONE = 0,
    ERROR_DIFFERS,     /* exit 1: a comparison or site check differs */
    ERROR_INPUT,       /* exit 2: usage or a bad input file */
    ERROR_PLUGIN,      /* exit 3 */
    ERROR_NETWORK,     /* exit 4: network or registry */
    ERROR_STAGE,       /* exit 5: a stage failed */
    ERROR_SYSTEM,      /* exit 6: disk, permission */
    ERROR_INTERRUPTED, /* exit 7 */
    ERROR_BUG          /* exit 70 */
};

struct error {
    enum error_kind kind;
    char *message; /* owned; no newline */
    char *hint;    /* owned or NULL */
    char *file;    /* owned or NULL: the input file it is about */
    uint32_t line; /* 1-based, 0: not known */
    uint32_t column;
};

#define ERROR_INIT ((struct error){0})

void error_clear(struct error *error); /* frees and resets; fine on ERROR_INIT */
static inline void error_clear_at(struct error *place) { error_clear(place); } /* cleanup(error_clear) struct error e = ERROR_INIT; */

/* All return false, so that `return error_set(...)` reads well. `error` may be NULL (the caller does not care). */
bool error_set(struct error *error, enum error_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "...: strerror(errno)", kind ERROR_SYSTEM. Call right after the failure. */
bool error_system(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The disk is full, or somebody's share of it: more room would help. `failure` is what errno was. */
bool error_is_no_room(int failure);
bool error_hint(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool error_place(struct error *error, const char *file, uint32_t line, uint32_t column);
/* Puts "context: " in front of the message. */
bool error_wrap(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_move(struct error *to, struct error *from);

int error_exit_status(enum error_kind kind);

#endif
