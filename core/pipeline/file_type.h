/* SPDX-License-Identifier: BSD-3-Clause */
/* File types by suffix: the bytes that a file of a known type begins with, checked before and after a stage. */
#ifndef DESCPIPE_PIPELINE_FILE_TYPE_H
#define DESCPIPE_PIPELINE_FILE_TYPE_H

#include "base/error.h"
#include "pipeline/pipeline.h"

/* True when `path` is what the suffix says: a folder for "/" and suffixes that end with '/', else a regular file whose
 * first bytes fit the type (the pipeline's own `types:` first, then the built-in ones; an unknown suffix fits any
 * regular file). Reads at most 64 KiB. Kind ERROR_INPUT when it does not fit, ERROR_SYSTEM when it cannot be read.
 * `pipeline` may be NULL: built-in types only. */
bool file_type_check(const struct pipeline *pipeline, const char *suffix, const char *path, struct error *error);
/* "FITS", "HDF5" ..., or NULL for an unknown suffix. */
const char *file_type_name(const char *suffix);

#endif
