/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stage's own scratch folder on this machine: $TMPDIR of ours or /tmp, private, gone after the attempt.
 *
 *     descpipe-scratch-UID-MACHINE-KEEPER-START-JOB
 *
 * How it works: the name says whose it is: the user, this machine (a digest of host, boot and process space) and the
 * run's keeper with its start time. The keeper lives as long as any stage of its run, so a folder whose keeper is gone
 * belongs to nobody, and the next run of the same user on this machine removes it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "run/journal/machine.h"
#include "run/walk.h"

#define MACHINE_DIGITS 16

/* $TMPDIR counts when it is what the specification of the environment asks of it: an absolute path. */
static const char *scratch_parent(void)
{
    const char *folder = secure_getenv("TMPDIR");
    return folder != NULL && folder[0] == '/' ? folder : "/tmp";
}

/* "descpipe-scratch-UID-MACHINE-", which all of this user's on this machine begin with. */
static char *scratch_prefix(void)
{
    struct machine machine;
    machine_read(&machine);
    cleanup(memory_free) char *all = memory_format("%s\n%s\n%s", machine.host, machine.boot, machine.pids);
    uint8_t digest[DIGEST_BYTES];
    char text[DIGEST_TEXT];
    digest_of(all, strlen(all), digest);
    digest_to_text(digest, text);
    return memory_format("descpipe-scratch-%u-%.*s-", (unsigned)getuid(), MACHINE_DIGITS, text);
}

static bool not_enough(struct attempt *attempt, const char *parent, uint64_t free)
{
    cleanup(text_clear) struct text wanted = TEXT_INIT;
    cleanup(text_clear) struct text there = TEXT_INIT;
    bytes_append(&wanted, attempt->scratch_bytes);
    bytes_append(&there, free);
    attempt->files_verdict = VERDICT_DISK;
    return error_set(&attempt->files_error, ERROR_SYSTEM, "its scratch folder needs %s, '%s' has %s",
                     text_bytes(&wanted), parent, text_bytes(&there));
}

bool scratch_make(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    struct descpipe_resources resources;
    plan_resources(engine->plan, attempt->stage, &resources);
    attempt->scratch_bytes = resources.scratch;
    if (attempt->scratch_bytes == 0)
        return true;
    const char *parent = scratch_parent();
    struct statvfs disk;
    attempt->files_verdict = VERDICT_STAGE_IN;
    if (statvfs(parent, &disk) != 0)
        return error_system(&attempt->files_error, "cannot look at the file system of '%s'", parent);
    uint64_t free = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free < attempt->scratch_bytes)
        return not_enough(attempt, parent, free);
    if (engine->scratch_prefix == NULL)
        engine->scratch_prefix = scratch_prefix();
    pid_t keeper = getppid();
    cleanup(memory_free) char *name =
        memory_format("%s%d-%llu-%llu", engine->scratch_prefix, (int)keeper,
                      (unsigned long long)process_start_time(keeper), (unsigned long long)attempt->job);
    cleanup(memory_free) char *path = path_join(parent, name);
    if (mkdir(path, 0700) != 0) { /* one that is there already is somebody's trick */
        attempt->files_verdict = error_is_no_room(errno) ? VERDICT_DISK : VERDICT_STAGE_IN;
        return error_system(&attempt->files_error, "cannot make the scratch folder '%s'", path);
    }
    attempt->scratch = arena_copy_text(attempt->arena, path);
    return true;
}

static void remove_work(void *context)
{
    struct attempt *attempt = context;
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!folder_remove(attempt->scratch, &error))
        log_warning("a scratch folder stays behind: %s", error.message);
}

static void remove_done(void *context)
{
    struct attempt *attempt = context;
    attempt->scratch = NULL;
    attempt_ended(attempt);
}

bool scratch_remove(struct attempt *attempt)
{
    if (attempt->scratch == NULL)
        return false;
    pool_run(engine_pool(attempt->engine), remove_work, remove_done, attempt);
    return true;
}

/* "KEEPER-START-JOB" of a keeper that is no more. */
static bool is_abandoned(const char *rest)
{
    char *end;
    long keeper = strtol(rest, &end, 10);
    if (keeper <= 0 || *end != '-')
        return false;
    unsigned long long start = strtoull(end + 1, &end, 10);
    return *end == '-' && process_start_time((pid_t)keeper) != start;
}

struct sweep {
    char *prefix;
};

static void sweep_work(void *context)
{
    struct sweep *sweep = context;
    DIR *folder = opendir(scratch_parent());
    if (folder == NULL)
        return;
    size_t length = strlen(sweep->prefix);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (strncmp(entry->d_name, sweep->prefix, length) != 0 || !is_abandoned(entry->d_name + length) ||
            fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode) ||
            status.st_uid != getuid())
            continue;
        cleanup(memory_free) char *path = path_join(scratch_parent(), entry->d_name);
        folder_remove(path, NULL); /* tidying up after somebody else: what stays, stays for the next run */
    }
    closedir(folder);
}

static void sweep_done(void *context)
{
    struct sweep *sweep = context;
    memory_free(sweep->prefix);
    memory_free(sweep);
}

void scratch_sweep(struct engine *engine)
{
    bool wanted = false;
    for (uint32_t i = 0; i < engine->pipeline->stages.count && !wanted; i++)
        wanted = engine->plan->stages[i].selected &&
                 engine->pipeline->resources.items[engine->pipeline->stages.items[i].resources].scratch > 0;
    if (!wanted)
        return;
    struct sweep *sweep = memory_allocate(sizeof *sweep);
    sweep->prefix = scratch_prefix();
    pool_run(engine_pool(engine), sweep_work, sweep_done, sweep);
}
