/* SPDX-License-Identifier: BSD-3-Clause */
/* The working and the output folder of a pipeline, judged before anything is made in them. */
#ifndef DESCPIPE_RUN_FOLDERS_H
#define DESCPIPE_RUN_FOLDERS_H

#include "pipeline/pipeline.h"

/* True when both can be made, are apart, and results do not lie among what runs keep. Kind ERROR_INPUT. */
bool folders_check(const struct pipeline *pipeline, struct error *error);

#endif
