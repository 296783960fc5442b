/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the parts of an image are read from: an OCI layout folder, or an archive (OCI or `docker save`) with the parts
 * as entries.
 *
 * How it works: an archive is walked once and the place of each entry noted, so that any entry can be read later, in
 * any order and by several readers, with no copy. A compressed archive is first inflated into an unlinked temporary
 * file.
 */
#ifndef NATIVE_STORE_SOURCE_H
#define NATIVE_STORE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "registry/failure.h"

#include "budget.h"

#define SOURCE_ENTRIES_LIMIT 100000
#define SOURCE_LINKS_LIMIT 8 /* from entry to entry; `docker save` once wrote equal layers as links */

struct source;

/* `path` is a folder or a file. `temporary` is a folder for what must be inflated. */
struct source *source_open(const char *path, const char *temporary, const struct budget *budget,
                           struct failure *failure);
void source_close(struct source *source);
static inline void source_close_at(struct source **place)
{
    source_close(*place);
}
const char *source_path(const struct source *source);
bool source_has(const struct source *source, const char *name);

/* One part, read from its start. */
struct part;
struct part *source_read(const struct source *source, const char *name, struct failure *failure);
/* Bytes, 0 at the end, -1 with a failure. */
ssize_t part_read(struct part *part, void *bytes, size_t size, struct failure *failure);
void part_close(struct part *part);
static inline void part_close_at(struct part **place)
{
    part_close(*place);
}

/* A whole small part, with a NUL added; owned. */
char *source_read_document(const struct source *source, const char *name, size_t *length, struct failure *failure);

#endif
