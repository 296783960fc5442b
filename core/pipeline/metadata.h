/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stage's run.py says of itself, read without Python: `class Stage(...)` with attributes `name` (a text),
 * `config`, `inputs` and `outputs` (dictionaries of texts). Literals only; anything else is refused with its line.
 */
#ifndef DESCPIPE_PIPELINE_METADATA_H
#define DESCPIPE_PIPELINE_METADATA_H

#include "base/list.h"
#include "base/problem.h"

struct metadata_entry {
    char *key, *value;
    uint32_t line, column;
};
struct metadata_map {
    bool given;
    uint32_t line, column;
    LIST(struct metadata_entry) entries;
};
struct metadata {
    struct metadata_map config, inputs, outputs;
};

#define METADATA_FILE_LIMIT (1u << 20)
#define METADATA_ENTRIES_LIMIT 10000

/* false: a problem was added. `shown_path` stands in its place. */
bool metadata_parse(const char *bytes, size_t length, const char *shown_path, struct metadata *metadata,
                    struct problems *problems);
bool metadata_read(const char *path, struct metadata *metadata, struct problems *problems);
void metadata_clear(struct metadata *metadata);
static inline void metadata_clear_at(struct metadata *place)
{
    metadata_clear(place);
}

#endif
