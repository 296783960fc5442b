/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stage sees in one runtime on this machine, beside what it sees in all of them: the probe that comes with this
 * installation (container/world) is run as a stage, by this program itself.
 */
#ifndef DESCPIPE_COMMAND_WORLD_H
#define DESCPIPE_COMMAND_WORLD_H

#include "base/list.h"
#include "base/text.h"
#include "io/loop.h"
#include "report/terminal.h"

struct world_line {
    char *what, *here;
    char *usual; /* in every runtime, or NULL: nothing is promised */
};
struct world {
    LIST(struct world_line) lines;
};
void world_clear(struct world *world);
static inline void world_clear_at(struct world *place)
{
    world_clear(place);
}

struct world_request {
    const char *runtime;
    const char *image; /* NULL: the probe's own; else the probe is mounted into this one */
    const struct words *options;     /* KIND.KEY=VALUE, as `run` takes them */
    const struct words *plugin_dirs; /* absolute */
};
/* Runs some short stages: seconds. What `run` said when it could not is in the error. */
bool world_look(struct loop *loop, const struct world_request *request, struct world *world, struct error *error);

bool world_line_differs(const struct world_line *line);
/* Every line, and then what differs from other runtimes. */
void world_print(const struct world *world, const char *runtime, const struct terminal *terminal, struct text *out);
/* {"runtime": ..., "world": [{"what", "here", "usual", "differs"}]} */
void world_print_json(const struct world *world, const char *runtime, struct text *out);

#endif
