/* SPDX-License-Identifier: BSD-3-Clause */
/* Environments: what a tool gets of ours, and what a stage says. */
#include "tool/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void environment_add_own(struct arguments *environment, const char *const *names)
{
    for (; *names != NULL; names++) {
        const char *value = secure_getenv(*names);
        if (value != NULL)
            arguments_add(environment, arguments_format(environment, "%s=%s", *names, value));
    }
}

void environment_add_basics(struct arguments *environment)
{
    static const char *const names[] = {"PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", NULL};
    environment_add_own(environment, names);
}

void environment_add_proxy(struct arguments *environment, const char *proxy)
{
    static const char *const own[] = {"https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY",
                                      "no_proxy",    "NO_PROXY",    "ALL_PROXY",  NULL};
    if (proxy == NULL) {
        environment_add_own(environment, own);
    } else if (proxy[0] != '\0') {
        arguments_add(environment, arguments_format(environment, "HTTPS_PROXY=%s", proxy));
        arguments_add(environment, arguments_format(environment, "HTTP_PROXY=%s", proxy));
    }
}

/* Asking umask() would change it for a moment, for the helper threads too. */
static bool own_umask_is(unsigned bits)
{
    char line[256];
    unsigned own = 0;
    bool known = false;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && !known && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "Umask:", 6) == 0) {
            own = (unsigned)strtoul(line + 6, NULL, 8);
            known = true;
        }
    if (status != NULL)
        fclose(status);
    return known && own == bits;
}

void environment_add_umask(struct arguments *argv, const struct descpipe_stage *stage)
{
    static const char *const shell[] = {"/bin/sh", "-c", "umask \"$0\" && exec \"$@\"", NULL};
    if (own_umask_is(stage->umask_bits))
        return;
    arguments_add_list(argv, shell);
    arguments_add(argv, arguments_format(argv, "%03o", stage->umask_bits));
}

const char *environment_value(const char *const *entries, const char *name)
{
    size_t length = strlen(name);
    for (; entries != NULL && *entries != NULL; entries++)
        if (strncmp(*entries, name, length) == 0 && (*entries)[length] == '=')
            return *entries + length + 1;
    return NULL;
}

bool environment_is_late(const struct descpipe_stage *stage, const char *name)
{
    for (size_t i = 0; stage->late_names != NULL && stage->late_names[i] != NULL; i++)
        if (strcmp(stage->late_names[i], name) == 0)
            return true;
    return false;
}
