/* SPDX-License-Identifier: BSD-3-Clause */
/* The JSON Schema of a pipeline file, for editors. */
#ifndef DESCPIPE_PIPELINE_SCHEMA_H
#define DESCPIPE_PIPELINE_SCHEMA_H

#include "base/text.h"

/* Draft 2020-12, appended. Options of plugins are open objects: "$defs" scheduler-options, runtime-options and
 * registry-options are there to be replaced by whoever knows the plugins. */
void pipeline_print_schema(struct text *out);

#endif
