/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever a site's udiRoot.conf holds is read without harm. links: shifter-site
 * The first line is a list of modules, the second a volume, the rest the file. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "site/site_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const char *modules, const char *volume, const char *path)
{
    struct failure failure = FAILURE_INIT;
    struct site_limits *limits = site_limits_read(path, &failure);
    if (limits == NULL) {
        failure_clear(&failure);
        return;
    }
    bool modules_allowed = site_limits_allow_modules(limits, modules, &failure);
    if (modules_allowed != (failure.kind == 0))
        abort(); /* a refusal without a reason, or a reason without one */
    failure_clear(&failure);
    failure = FAILURE_INIT;
    bool volume_allowed = site_limits_allow_volume(limits, volume, &failure);
    if (volume_allowed != (failure.kind == 0))
        abort();
    failure_clear(&failure);
    site_limits_free(limits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int file = memfd_create("udiRoot.conf", MFD_CLOEXEC);
    char *text = malloc(size + 1);
    if (text == NULL || file < 0)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = text, *modules = strsep(&rest, "\n"), *volume = rest != NULL ? strsep(&rest, "\n") : NULL;
    size_t left = rest != NULL ? size - (size_t)(rest - text) : 0;
    if (left > 0 && write(file, rest, left) != (ssize_t)left)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    ask(modules, volume != NULL ? volume : "", path);
    free(text);
    close(file);
    return 0;
}
