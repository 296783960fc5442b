/* SPDX-License-Identifier: BSD-3-Clause */
/* Small images made by hand for tests. Anything that cannot be made aborts the test. */
#ifndef TESTS_NATIVE_IMAGES_H
#define TESTS_NATIVE_IMAGES_H

#include <stdbool.h>
#include <stddef.h>

/* A new private folder; owned. Removed, with all in it, by folder_remove. */
char *folder_make(void);
void folder_remove(char *folder);
void file_write(const char *folder, const char *name, const char *content); /* makes missing parents */
char *file_read(const char *folder, const char *name);                      /* owned; NULL when it is not there */
bool file_exists(const char *folder, const char *name);                     /* links are not followed */

/* A root folder with /bin/busybox and /bin/sh and nothing else; owned path FOLDER/NAME. */
char *root_make(const char *folder, const char *name);

/* Every path below a folder with type, mode, size, time of change and link text: equal texts mean nothing was
 * written. Owned. */
char *folder_describe(const char *folder);

#endif
