/* SPDX-License-Identifier: BSD-3-Clause */
/* Building with a program (podman, buildah, make) instead of a runtime's own interface. */
#ifndef DESCPIPE_COMMAND_IMAGE_BUILD_TOOL_H
#define DESCPIPE_COMMAND_IMAGE_BUILD_TOOL_H

#include "command/image/build_list.h"

struct build_options {
    bool no_cache, pull;
    const char *tool; /* --tool, or NULL */
    const struct pipeline *pipeline;
};

/* --pull, but not for what is made from images of this very build: no registry has these yet. */
bool build_asks_for_newer(const struct build_item *item, const struct build_options *options);
/* The argv of podman or buildah for one image; appended. */
void build_tool_arguments(const char *tool, const struct build_item *item, const struct words *labels,
                          const struct build_options *options, struct words *argv);
/* The argv of make: in the stage's own folder when it has a Makefile, else in the one above, for the stage's target.
 * False with the error: there is none. */
bool build_make_arguments(const struct build_item *item, const struct build_options *options, struct words *argv,
                          struct error *error);

#endif
