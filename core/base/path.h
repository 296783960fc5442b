/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths as texts. Nothing here touches the file system except path_real. All results are owned by the caller. */
#ifndef DESCPIPE_BASE_PATH_H
#define DESCPIPE_BASE_PATH_H

#include <stdbool.h>

#include "base/error.h"

char *path_join(const char *folder, const char *name);      /* an absolute name wins */
char *path_absolute(const char *base, const char *path);    /* joined and cleaned of "." , ".." and "//"; base absolute */
char *path_folder(const char *path);                        /* "a/b" → "a", "a" → ".", "/a" → "/" */
const char *path_name(const char *path);                    /* borrowed: the last part */
char *path_real(const char *path, struct error *error);     /* realpath; NULL on failure */
bool path_is_inside(const char *folder, const char *path);  /* both absolute and clean; a folder is inside itself */
/* A name that is one harmless path component: not empty, ".", "..", no '/', no control character, at most 255 bytes. */
bool path_is_component(const char *name);

#endif
