/* SPDX-License-Identifier: BSD-3-Clause */
/* One field of a line of comma-separated values (RFC 4180); mount_field.h. */
#include "tool/mount_field.h"

#include <stdbool.h>
#include <string.h>

void mount_field_write(FILE *line, const char *key, const char *value)
{
    bool quoted = strpbrk(value, ",\"\r\n") != NULL;
    fprintf(line, quoted ? "\"%s=" : "%s=", key);
    for (; *value != '\0'; value++) {
        if (*value == '"')
            fputc('"', line);
        fputc(*value, line);
    }
    if (quoted)
        fputc('"', line);
}
