/* SPDX-License-Identifier: BSD-3-Clause */
/* Environments: what a tool gets of ours, and what a stage says. */
#include "tool/environment.h"

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
