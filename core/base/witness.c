/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps what was looked at first. */
#include "base/witness.h"

#include "base/table.h"
#include "base/text.h"

struct witness {
    struct table *paths; /* → struct sight */
    struct table *variables;
    struct arena *arena;
};
struct sight {
    bool there;
    struct stat status;
};

static _Thread_local struct witness *listening;

struct witness *witness_new(void)
{
    struct witness *witness = memory_allocate(sizeof *witness);
    *witness = (struct witness){.paths = table_new(), .variables = table_new(), .arena = arena_new()};
    return witness;
}

void witness_free(struct witness *witness)
{
    if (witness == NULL)
        return;
    table_free(witness->paths);
    table_free(witness->variables);
    arena_free(witness->arena);
    memory_free(witness);
}

void witness_listen(struct witness *witness)
{
    listening = witness;
}

void witness_saw(const char *path)
{
    if (listening == NULL || path == NULL || text_starts_with(path, "/proc/") ||
        table_get(listening->paths, path) != NULL)
        return;
    struct sight *sight = arena_allocate(listening->arena, sizeof *sight);
    sight->there = stat(path, &sight->status) == 0;
    table_put(listening->paths, path, sight);
}

void witness_asked(const char *variable)
{
    if (listening != NULL)
        table_put(listening->variables, variable, listening);
}

bool witness_next(const struct witness *witness, size_t *position, const char **path, const struct stat **status)
{
    void *value;
    if (!table_next(witness->paths, position, path, &value))
        return false;
    const struct sight *sight = value;
    *status = sight->there ? &sight->status : NULL;
    return true;
}

bool witness_next_variable(const struct witness *witness, size_t *position, const char **variable)
{
    void *value;
    return table_next(witness->variables, position, variable, &value);
}
