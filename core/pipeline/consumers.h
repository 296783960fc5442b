/* SPDX-License-Identifier: BSD-3-Clause */
/* Who takes a tag: the other way round from pipeline_producer. */
#ifndef DESCPIPE_PIPELINE_CONSUMERS_H
#define DESCPIPE_PIPELINE_CONSUMERS_H

#include "pipeline/pipeline.h"

struct consumers; /* an index, made once */
struct consumers *consumers_find(const struct pipeline *pipeline);
void consumers_free(struct consumers *consumers);
DEFINE_CLEANUP(struct consumers *, consumers_free);

/* The stages that take what a stage makes under this tag; none for a tag that `runtime.inputs` gives. */
const uint32_t *consumers_of(const struct consumers *consumers, symbol tag, uint32_t *count);

#endif
