/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking plugin names apart. */
#include "plugin/identity.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

const char *const identity_kinds[] = {"registry", "runtime", "scheduler", NULL};

bool identity_is_kind(const char *kind)
{
    for (size_t i = 0; identity_kinds[i]; i++) {
        if (strcmp(kind, identity_kinds[i]) == 0)
            return true;
    }
    return false;
}

bool identity_is_name(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > IDENTITY_NAME_LIMIT || name[0] < 'a' || name[0] > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static bool split(const char *text, size_t length, char separator, char **kind, char **name)
{
    const char *at = memchr(text, separator, length);
    if (!at)
        return false;
    cleanup(memory_free) char *left = memory_copy_bytes(text, (size_t)(at - text));
    cleanup(memory_free) char *right = memory_copy_bytes(at + 1, length - (size_t)(at - text) - 1);
    if (!identity_is_kind(left) || !identity_is_name(right))
        return false;
    *kind = steal(&left);
    *name = steal(&right);
    return true;
}

bool identity_parse(const char *identity, char **kind, char **name)
{
    return split(identity, strlen(identity), '/', kind, name);
}

bool identity_from_file(const char *file_name, char **kind, char **name)
{
    size_t length = strlen(file_name);
    return text_ends_with(file_name, ".so") && split(file_name, length - 3, '-', kind, name);
}
