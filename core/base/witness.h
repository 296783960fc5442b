/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was looked at while something was found out, so that whoever remembers the finding can tell later, without
 * finding it out once more, whether it would be the same.
 *
 * How it works: functions that look at files and variables whose content decides something say so; whoever wants to
 * know has a witness listen on its thread for that time. Files, folders and what was not there are taken as they are
 * just before they are read: what changes later differs from that.
 */
#ifndef DESCPIPE_BASE_WITNESS_H
#define DESCPIPE_BASE_WITNESS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/memory.h"

struct witness;
struct witness *witness_new(void);
void witness_free(struct witness *witness);
DEFINE_CLEANUP(struct witness *, witness_free);
/* On this thread, from now on; NULL: nobody. The witness lives as long as it listens. */
void witness_listen(struct witness *witness);

/* About to be read: a file's content, a folder's names, or whether there is anything. Cheap when nobody listens.
 * What the kernel says of us (/proc) is no finding. */
void witness_saw(const char *path);
void witness_asked(const char *variable); /* of the environment */

/* for (size_t i = 0; witness_next(witness, &i, &path, &status);) ... in the order of first looks; status NULL: there
 * was nothing. */
bool witness_next(const struct witness *witness, size_t *position, const char **path, const struct stat **status);
bool witness_next_variable(const struct witness *witness, size_t *position, const char **variable);

#endif
