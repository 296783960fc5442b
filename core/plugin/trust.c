/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judges owners and modes on the real path of a plugin.
 *
 * How it works: each part of the path is one step. A step is fine when its owner is root or the user and only its owner
 * can write to it. A folder that others can write to is fine with the sticky bit, when the entry we take there belongs
 * to root or the user: nobody else can then replace it. For root only root counts and nobody vouches.
 */
#include "plugin/trust.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

#define LOOKUP_BYTES 16384

/* The group that has the user's name and is the user's first one: such a group has no other members by custom. */
static gid_t own_group_of(uid_t user)
{
    cleanup(memory_free) char *passwd_bytes = memory_allocate(LOOKUP_BYTES);
    cleanup(memory_free) char *group_bytes = memory_allocate(LOOKUP_BYTES);
    struct passwd passwd, *found = NULL;
    if (getpwuid_r(user, &passwd, passwd_bytes, LOOKUP_BYTES, &found) != 0 || !found)
        return (gid_t)-1;
    struct group group, *found_group = NULL;
    if (getgrgid_r(passwd.pw_gid, &group, group_bytes, LOOKUP_BYTES, &found_group) != 0 || !found_group)
        return (gid_t)-1;
    return strcmp(group.gr_name, passwd.pw_name) == 0 ? group.gr_gid : (gid_t)-1;
}

/* The first namespace maps all ids to themselves. */
static bool in_user_namespace(void)
{
    cleanup(descriptor_close) int descriptor = file_open("/proc/self/uid_map", NULL, NULL);
    if (descriptor < 0)
        return false;
    char bytes[256];
    ssize_t got = read(descriptor, bytes, sizeof(bytes));
    uint64_t numbers[3] = {0, 0, 0};
    size_t index = 0;
    bool digits = false;
    for (ssize_t i = 0; i < got && index < 3; i++) {
        if (bytes[i] >= '0' && bytes[i] <= '9') {
            numbers[index] = numbers[index] * 10 + (uint64_t)(bytes[i] - '0');
            digits = true;
        } else if (digits) {
            index++;
            digits = false;
        }
    }
    return !(numbers[0] == 0 && numbers[1] == 0 && numbers[2] == UINT32_MAX);
}

static uid_t overflow_uid(void)
{
    cleanup(descriptor_close) int descriptor = file_open("/proc/sys/kernel/overflowuid", NULL, NULL);
    char bytes[32] = "";
    uint64_t number = 65534;
    ssize_t got = descriptor < 0 ? 0 : read(descriptor, bytes, sizeof(bytes) - 1);
    if (got > 0) {
        bytes[got] = '\0';
        bytes[strcspn(bytes, "\n")] = '\0';
        if (!text_to_unsigned(bytes, &number) || number > UINT32_MAX)
            number = 65534;
    }
    return (uid_t)number;
}

struct trust_rules trust_rules_here(const struct words *vouched)
{
    uid_t user = geteuid();
    return (struct trust_rules){.user = user,
                                .own_group = user == 0 ? (gid_t)-1 : own_group_of(user),
                                .user_namespace = in_user_namespace(),
                                .overflow = overflow_uid(),
                                .vouched = vouched};
}

static bool owner_is_fine(const struct trust_rules *rules, uid_t owner)
{
    return owner == 0 || owner == rules->user || (rules->user_namespace && owner == rules->overflow);
}

static bool is_vouched(const struct trust_rules *rules, const char *path)
{
    if (rules->user == 0 || !rules->vouched)
        return false;
    for (size_t i = 0; i < rules->vouched->count; i++) {
        if (path_is_inside(rules->vouched->items[i], path))
            return true;
    }
    return false;
}

bool trust_judge(const struct trust_rules *rules, const struct trust_step *step, struct error *error)
{
    const struct stat *status = step->status;
    unsigned mode = (unsigned)status->st_mode & 07777u;
    bool vouched = is_vouched(rules, step->path);
    if (!owner_is_fine(rules, status->st_uid) && !vouched) {
        error_set(error, ERROR_PLUGIN, "it is not trusted: '%s' belongs to user %u", step->path,
                  (unsigned)status->st_uid);
        return rules->user == 0 ? error_hint(error, "for root everything on the way must belong to root")
                                : error_hint(error, "everything on the way must belong to you or root");
    }
    bool sticky_saves = S_ISDIR(status->st_mode) && (mode & S_ISVTX) && step->next_owner &&
                        (owner_is_fine(rules, *step->next_owner) || vouched);
    if ((mode & S_IWOTH) && !sticky_saves) {
        error_set(error, ERROR_PLUGIN, "it is not trusted: everybody may write to '%s' (mode %04o)", step->path, mode);
        return error_hint(error, "chmod o-w '%s', or install the plugin elsewhere", step->path);
    }
    bool group_is_own = status->st_gid == rules->own_group && rules->own_group != (gid_t)-1;
    if ((mode & S_IWGRP) && !sticky_saves && !group_is_own && !vouched) {
        error_set(error, ERROR_PLUGIN, "it is not trusted: group %u may write to '%s' (mode %04o)",
                  (unsigned)status->st_gid, step->path, mode);
        return rules->user == 0
                   ? error_hint(error, "chmod g-w '%s', or install the plugin elsewhere", step->path)
                   : error_hint(error, "chmod g-w '%s', or ask the site to list it under trusted-directories",
                                step->path);
    }
    return true;
}

bool trust_check(const struct trust_rules *rules, const char *real_path, struct error *error)
{
    cleanup(memory_free) char *part = memory_copy_text(real_path);
    size_t length = strlen(part);
    if (part[0] != '/')
        return error_set(error, ERROR_BUG, "trust_check: '%s' is not absolute", real_path);
    struct stat status, next;
    if (lstat("/", &status) != 0)
        return error_system(error, "it is not trusted: cannot look at '/'");
    size_t end = 0; /* the step judged is part[0..end], "/" for 0 */
    while (end < length) {
        size_t next_end = end + 1;
        while (next_end < length && part[next_end] != '/')
            next_end++;
        bool is_empty = next_end == end + 1; /* "/" alone, or a doubled slash */
        char kept = part[next_end];
        part[next_end] = '\0';
        bool seen = is_empty || lstat(part, &next) == 0;
        int problem = errno;
        part[next_end] = kept;
        if (is_empty) {
            end = next_end;
            continue;
        }
        if (!seen) {
            errno = problem;
            return error_system(error, "it is not trusted: cannot look at '%.*s'", (int)next_end, real_path);
        }
        cleanup(memory_free) char *path = end == 0 ? memory_copy_text("/") : memory_copy_bytes(part, end);
        if (!trust_judge(rules, &(struct trust_step){path, &status, &next.st_uid}, error))
            return false;
        status = next;
        end = next_end;
    }
    return trust_judge(rules, &(struct trust_step){real_path, &status, NULL}, error);
}

/* $ORIGIN and ${ORIGIN} at the beginning; anything else with a '$' cannot be judged. NULL then. */
static char *search_expand(const char *entry, const char *folder)
{
    static const char *const origins[] = {"$ORIGIN", "${ORIGIN}"};
    for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
        size_t length = strlen(origins[i]);
        if (strncmp(entry, origins[i], length) == 0 && (entry[length] == '/' || entry[length] == '\0') &&
            !strchr(entry + length, '$'))
            return memory_format("%s%s", folder, entry + length);
    }
    return entry[0] == '/' && !strchr(entry, '$') ? memory_copy_text(entry) : NULL;
}

/* What of `path` exists, without links. */
static char *deepest_real(const char *path, struct error *error)
{
    char *at = path_absolute("/", path);
    for (;;) {
        char *real = path_real(at, NULL);
        if (real || strcmp(at, "/") == 0) {
            memory_free(at);
            if (!real)
                error_system(error, "cannot look at '/'");
            return real;
        }
        char *folder = path_folder(at);
        memory_free(at);
        at = folder;
    }
}

bool trust_check_search(const struct trust_rules *rules, const char *real_path, const struct elf_facts *facts,
                        struct error *error)
{
    cleanup(memory_free) char *folder = path_folder(real_path);
    for (size_t i = 0; i < facts->search.count; i++) {
        const char *entry = facts->search.items[i];
        cleanup(memory_free) char *expanded = search_expand(entry, folder);
        if (!expanded) {
            error_set(error, ERROR_PLUGIN,
                      "its library search path has the entry '%s', which is not an absolute folder", entry);
            return error_hint(error, "build it without a RUNPATH, or with $ORIGIN");
        }
        cleanup(memory_free) char *real = deepest_real(expanded, error);
        struct error why = ERROR_INIT;
        if (!real)
            return false;
        if (!trust_check(rules, real, &why)) {
            const char *reason = text_starts_with(why.message, "it is not trusted: ")
                                     ? why.message + strlen("it is not trusted: ")
                                     : why.message;
            error_set(error, ERROR_PLUGIN, "its library search path has the untrusted folder '%s': %s", entry, reason);
            error_hint(error, "build it without a RUNPATH, or with folders that only you or root can write to");
            error_clear(&why);
            return false;
        }
    }
    return true;
}
