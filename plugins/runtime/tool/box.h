/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A developer's container that is a folder of ours: its image, writable, and a listing of what the image was.
 *
 *     CACHE/developers/TOKEN/root      the image
 *     CACHE/developers/TOKEN/listing   every entry as it was at the start: "MODE SIZE SECONDS NANOSECONDS /path" NUL
 *
 * All but box_path is for a helper thread.
 */
#ifndef RUNTIME_TOOL_BOX_H
#define RUNTIME_TOOL_BOX_H

#include <stdbool.h>
#include <stdio.h>

#include "registry/failure.h"

#define BOX_ROOT "root"

/* CACHE/developers/TOKEN[/name], owned; NULL with a failure for a token that is none, or when memory is short. */
char *box_path(const char *cache, const char *token, const char *name, struct failure *failure);

/* The folder, empty. Refused when there is one. */
bool box_make(const char *cache, const char *token, struct failure *failure);
/* What is at these absolute paths inside is made where it is missing: an empty folder, or an empty file. Links of the
 * image lead nowhere but into it. */
bool box_make_target(const char *box, const char *path, bool file, struct failure *failure);
bool box_list(const char *box, struct failure *failure);
/* A line "A /path", "C /path" or "D /path" for each; what lies below `but` is left out. */
bool box_compare(const char *box, const char *but, FILE *lines, struct failure *failure);
/* Where a path inside really is: its folder on this machine and its last part, both owned. NOT_FOUND when it is not
 * there. */
bool box_find(const char *box, const char *path, char **folder, char **name, struct failure *failure);
bool box_remove(const char *cache, const char *token, struct failure *failure);

#endif
