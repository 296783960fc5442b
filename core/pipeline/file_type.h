/* SPDX-License-Identifier: BSD-3-Clause */
/* File types by suffix: what a file of a known type promises, checked before and after a stage. */
#ifndef DESCPIPE_PIPELINE_FILE_TYPE_H
#define DESCPIPE_PIPELINE_FILE_TYPE_H

#include "base/error.h"
#include "pipeline/pipeline.h"

struct file_named {
    const char *path;
    const char *shown; /* what messages call it: "'x.fits'" */
};

/* True when the file is what the suffix says: a folder for "/" and suffixes that end with '/', else a regular file
 * whose bytes fit the type (the pipeline's own `types:` first, then the built-in ones, see file_content.h; an unknown
 * suffix fits any regular file). Reads at most a mebibyte of its beginning and 66 KiB of its end. Kind ERROR_INPUT when
 * it does not fit, ERROR_SYSTEM when it cannot be read. `pipeline` may be NULL: built-in types only. */
bool file_type_check(const struct pipeline *pipeline, const char *suffix, struct file_named file, struct error *error);
/* The little of it that any tool can look at: bytes that such a file has. */
struct file_magic {
    const char *type;  /* for messages: "FITS", ...  */
    const char *bytes; /* length 0: whatever, but the file is not empty */
    size_t length;
    uint64_t offset;
    bool may_follow_block; /* they may also stand at FILE_MAGIC_BLOCK, twice that, and so on */
};
#define FILE_MAGIC_BLOCK 512
#define FILE_MAGIC_BLOCKS 8
/* False: nothing is known of the suffix. Borrowed from the pipeline. */
bool file_type_magic(const struct pipeline *pipeline, const char *suffix, struct file_magic *magic);
/* "FITS", "HDF5" ..., or NULL for an unknown suffix. */
const char *file_type_name(const char *suffix);

#endif
