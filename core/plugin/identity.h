/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of plugins: "kind/name", and the file names that carry them. */
#ifndef DESCPIPE_PLUGIN_IDENTITY_H
#define DESCPIPE_PLUGIN_IDENTITY_H

#include <stdbool.h>

#define IDENTITY_NAME_LIMIT 64

extern const char *const identity_kinds[]; /* "registry", "runtime", "scheduler", NULL */

bool identity_is_kind(const char *kind);
/* Lower case letters, digits and '-', beginning with a letter, at most IDENTITY_NAME_LIMIT bytes. */
bool identity_is_name(const char *name);
/* "runtime/docker". The results are owned by the caller and untouched on false. */
bool identity_parse(const char *identity, char **kind, char **name);
/* "runtime-docker.so" */
bool identity_from_file(const char *file_name, char **kind, char **name);

#endif
