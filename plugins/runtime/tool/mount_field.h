/* SPDX-License-Identifier: BSD-3-Clause */
/* Mounts as --mount of Podman and Apptainer takes them: fields of comma-separated values. */
#ifndef RUNTIME_TOOL_MOUNT_FIELD_H
#define RUNTIME_TOOL_MOUNT_FIELD_H

#include <stdio.h>

/* "key=value", quoted as a whole where the value needs it. */
void mount_field_write(FILE *line, const char *key, const char *value);

#endif
