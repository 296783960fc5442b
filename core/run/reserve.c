/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Room on the disk that is kept for the journal: what a run knows must not be lost because its stages filled the disk.
 *
 * How it works: the file `reserve` in the run folder has its bytes allocated. When the journal finds no room the file
 * is emptied, and the journal tries again. From then on nothing new is started until the bytes can be had once more,
 * which is tried at each heartbeat; what runs goes on. A keeper whose engine has died takes the file away when it needs
 * room.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "run/walk.h"

#define RESERVE_BYTES (512 * 1024)

void reserve_take(struct engine *engine)
{
    if (engine->has_reserve)
        return;
    cleanup(memory_free) char *path = path_join(engine->folder.path, RUN_RESERVE_FILE);
    cleanup(descriptor_close) int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int failure = file < 0 ? errno : posix_fallocate(file, 0, RESERVE_BYTES);
    bool full = error_is_no_room(failure) || failure == EROFS;
    if (full && file >= 0)
        (void)!ftruncate(file, 0);
    engine->has_reserve = !full; /* a file system that cannot allocate is no reason to wait */
    if (full && !engine->tells_full)
        log_warning(
            "there is no room left on the disk of '%s'; nothing new is started until there is, what runs goes on",
            engine->folder.working);
    if (!full && engine->tells_full)
        log_notice("there is room again on the disk of '%s'; the run goes on", engine->folder.working);
    engine->tells_full = full;
}

bool reserve_give(struct engine *engine)
{
    if (!engine->has_reserve)
        return false;
    cleanup(memory_free) char *path = path_join(engine->folder.path, RUN_RESERVE_FILE);
    engine->has_reserve = false;
    return truncate(path, 0) == 0;
}

void reserve_end(struct engine *engine)
{
    cleanup(memory_free) char *path = path_join(engine->folder.path, RUN_RESERVE_FILE);
    unlink(path);
}
