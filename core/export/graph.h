/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole graph of a plan in the words of its scheduler, without sending anything. */
#ifndef DESCPIPE_EXPORT_GRAPH_H
#define DESCPIPE_EXPORT_GRAPH_H

#include "base/text.h"
#include "plan/plan.h"

/* What the plan's scheduler would be sent if all of it went at once, under that name; appended. False with an error
 * that names the stage and its line. The plan needs no digests: images without one go as the pipeline names them. */
bool export_graph(const struct plan *plan, const char *name, struct text *out, struct error *error);

/* Whether the plan's scheduler, where it takes the whole graph, would take this one: its names, its texts, its size. What
 * only a run knows (files, secrets, a launcher's script) is left out. True where there is nothing to look at. */
bool export_check(const struct plan *plan, struct error *error);

#endif
