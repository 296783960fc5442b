/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of the three programs it is, how old, and what follows from that. */
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool version_parse(const char *line, struct version *version)
{
    static const char word[] = " version ";
    const char *number = strstr(line, word);
    if (number == NULL)
        return false;
    number += strlen(word);
    char *end;
    unsigned long major = strtoul(number, &end, 10);
    if (end == number || *end != '.')
        return false;
    unsigned long minor = strtoul(end + 1, NULL, 10);
    if (major > 1000 || minor > 1000)
        return false;
    *version = (struct version){.known = true,
                                .flavour = strncmp(line, "apptainer", 9) == 0 ? FLAVOUR_APPTAINER : FLAVOUR_SINGULARITY,
                                .major = (unsigned)major,
                                .minor = (unsigned)minor};
    snprintf(version->text, sizeof version->text, "%.*s", (int)strcspn(line, "\r\n"), line);
    return true;
}

static bool at_least(const struct version *version, unsigned major, unsigned minor)
{
    return version->major > major || (version->major == major && version->minor >= minor);
}

static bool has(const struct version *version, unsigned apptainer_minor, unsigned singularity_minor)
{
    if (!version->known)
        return true;
    return version->flavour == FLAVOUR_APPTAINER ? at_least(version, 1, apptainer_minor)
                                                 : at_least(version, 3, singularity_minor);
}

bool version_is_enough(const struct version *version)
{
    return has(version, 0, 7);
}

bool version_has_mount(const struct version *version)
{
    return has(version, 0, 9);
}

bool version_has_no_eval(const struct version *version)
{
    return has(version, 1, 10);
}
