/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AWS's shared files (~/.aws/config, ~/.aws/credentials): sections of settings, read with a bound on everything.
 *
 * Source: "Shared config and credentials file format" of the AWS SDKs and Tools Reference Guide. Names of settings are
 * compared without case; a section that comes twice is one section, and the later of two equal settings counts; nested
 * settings (indented lines, for services that are no business of ours) are skipped.
 */
#ifndef DESCPIPE_ECR_INI_H
#define DESCPIPE_ECR_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"
#include "registry/ownership.h"

enum { INI_FILE_LIMIT = 1 << 20, INI_SECTIONS_LIMIT = 2000, INI_SETTINGS_LIMIT = 20000 };

struct ini_setting {
    char *name; /* lower case */
    char *value;
};
struct ini_section {
    char *name; /* "default", "profile work", "sso-session x": spaces as one, without quotes */
    struct ini_setting *settings;
    size_t count;
};
struct ini {
    struct ini_section *sections;
    size_t count, settings;
};

/* A failure names the line, never what stands there: it may be a key. */
bool ini_read(const char *text, size_t length, struct ini *ini, struct failure *failure);
const struct ini_section *ini_find(const struct ini *ini, const char *section); /* NULL: none */
/* NULL when there is no such setting or it is empty; `section` may be NULL. */
const char *ini_value(const struct ini_section *section, const char *name);
void ini_clear(struct ini *ini); /* overwrites the values */
static inline void ini_clear_at(struct ini *place)
{
    ini_clear(place);
}

#endif
