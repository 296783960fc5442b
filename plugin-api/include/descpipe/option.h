/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options a plugin understands: a constant table that drives validation at file:line:column, the
 * `plugins show` page, the manual and the JSON Schema for editors. A key that is not in the table is
 * an error for the user, so keep it complete.
 */
#ifndef DESCPIPE_OPTION_H
#define DESCPIPE_OPTION_H

#include <descpipe/types.h>

enum {
    DESCPIPE_OPTION_TEXT = 1,
    DESCPIPE_OPTION_INTEGER = 2,
    DESCPIPE_OPTION_BOOLEAN = 3,
    DESCPIPE_OPTION_DURATION = 4, /* "90", "30s", "5m", "2h", "1d"; read as milliseconds */
    DESCPIPE_OPTION_BYTES = 5,    /* "8GiB", "500MB", "4096"; read as bytes */
    DESCPIPE_OPTION_PATH = 6,     /* made absolute by the host */
    DESCPIPE_OPTION_CHOICE = 7,
    DESCPIPE_OPTION_LIST = 8,     /* of texts */
    DESCPIPE_OPTION_MAP = 9,      /* text to text */
    DESCPIPE_OPTION_SECRET = 10   /* a reference ({secret: NAME}), never a literal */
};

enum {
    DESCPIPE_OPTION_REQUIRED = 1u << 0,
    DESCPIPE_OPTION_DEPRECATED = 1u << 1, /* accepted with a note that names `replaced_by` */
    DESCPIPE_OPTION_RANGED = 1u << 2,     /* minimum and maximum hold (integer, duration, bytes) */
    DESCPIPE_OPTION_PER_STAGE = 1u << 3   /* may also stand under a stage's `on: {NAME: {...}}` */
};

struct descpipe_option {
    uint32_t size;
    uint32_t type;
    uint32_t flags;
    uint32_t reserved;
    const char *key;            /* lower case, digits and '-' */
    const char *default_value;  /* as a user would write it; NULL: none */
    const char *help;           /* one sentence */
    const char *const *choices; /* for CHOICE, ends with NULL */
    int64_t minimum;
    int64_t maximum;
    const char *replaced_by;
};

#endif
