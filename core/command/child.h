/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What runs in a process of its own because it executes code of a plugin that is only being looked at: this program
 * again, with a hidden first argument.
 */
#ifndef DESCPIPE_COMMAND_CHILD_H
#define DESCPIPE_COMMAND_CHILD_H

#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"
#include "io/loop.h"

/* True when this process is such a child: *status is its exit status. */
bool child_main(int argc, char **argv, int *status);
/* The page of the plugin at `path` (absolute), made by a child; false with what the child said, or how it died. */
bool child_show_plugin(struct loop *loop, const char *path, bool json, struct text *out, struct error *error);

#endif
