/* SPDX-License-Identifier: BSD-3-Clause */
/* The lease file: made, judged, taken over, touched and given back. */
#include "run/journal/lease.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "io/process.h"

#define FILE_LIMIT 4096
#define TAKING_FILE "lease.taking"
#define TRIES 20

struct lease {
    char *path;
    uint64_t epoch;
    dev_t device;
    ino_t inode;
};

/* One `name value` line each: short, readable, and no parser to get wrong. */
static void append_lease(struct text *text, const struct lease_holder *holder)
{
    text_append(text, "descpipe-lease 1\nhost ");
    text_append(text, holder->machine.host);
    text_append(text, "\nboot ");
    text_append(text, holder->machine.boot);
    text_append(text, "\npids ");
    text_append(text, holder->machine.pids);
    text_append(text, "\npid ");
    text_append_signed(text, holder->pid);
    text_append(text, "\nstart ");
    text_append_unsigned(text, holder->start_time);
    text_append(text, "\nepoch ");
    text_append_unsigned(text, holder->epoch);
    text_append(text, "\nrun ");
    text_append(text, holder->run);
    text_append(text, "\n");
}

/* The value of `name` in the lease's lines, copied; false when it is missing or too long. */
static bool line_value(const char *lines, const char *name, char *value, size_t size)
{
    size_t name_length = strlen(name);
    for (const char *line = lines; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        if (end == NULL)
            return false;
        if (strncmp(line, name, name_length) == 0 && line[name_length] == ' ') {
            const char *start = line + name_length + 1;
            if ((size_t)(end - start) >= size)
                return false;
            memcpy(value, start, (size_t)(end - start));
            value[end - start] = '\0';
            return true;
        }
        line = end + 1;
    }
    return false;
}

static bool line_number(const char *lines, const char *name, uint64_t *number)
{
    char value[32];
    return line_value(lines, name, value, sizeof value) && text_to_unsigned(value, number);
}

static bool parse_lease(const char *lines, struct lease_holder *holder)
{
    uint64_t pid;
    if (!text_starts_with(lines, "descpipe-lease 1\n") ||
        !line_value(lines, "host", holder->machine.host, sizeof holder->machine.host) ||
        !line_value(lines, "boot", holder->machine.boot, sizeof holder->machine.boot) ||
        !line_value(lines, "pids", holder->machine.pids, sizeof holder->machine.pids) ||
        !line_value(lines, "run", holder->run, sizeof holder->run) || !line_number(lines, "pid", &pid) ||
        pid > INT32_MAX || !line_number(lines, "start", &holder->start_time) ||
        !line_number(lines, "epoch", &holder->epoch) || (pid == 0 && holder->run[0] == '\0'))
        return false;
    holder->pid = (int64_t)pid;
    return true;
}

/* Writes a lease of ours to a temporary name; its modification time is the file system's idea of now. */
static bool make_temporary(const char *folder, const struct lease_holder *holder, char **path, struct stat *status,
                           struct error *error)
{
    char name[FILE_TEMPORARY_NAME];
    file_temporary_name(name);
    *path = path_join(folder, name);
    cleanup(descriptor_close) int descriptor = open(*path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor < 0)
        return error_system(error, "cannot make a lease in '%s'", folder);
    cleanup(text_clear) struct text text = TEXT_INIT;
    append_lease(&text, holder);
    if (!descriptor_write(descriptor, text.bytes, text.length, error))
        return error_wrap(error, "cannot make a lease in '%s'", folder);
    fsync(descriptor);
    if (fstat(descriptor, status) != 0)
        return error_system(error, "cannot look at '%s'", *path);
    return true;
}

/* link() may report failure over NFS although it was done: only the count of links tells. */
static bool link_done(const char *from, const char *to)
{
    if (link(from, to) == 0)
        return true;
    int kept = errno;
    struct stat status;
    bool done = stat(from, &status) == 0 && status.st_nlink == 2;
    errno = kept;
    return done;
}

static int64_t stat_ms(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000 + status->st_mtim.tv_nsec / 1000000;
}

static enum lease_state judge(const struct lease_holder *holder)
{
    struct machine here;
    if (holder->pid == 0)
        return LEASE_RUN;
    machine_read(&here);
    bool same_host = text_equal(here.host, holder->machine.host) && here.boot[0] != '\0';
    bool same_boot = same_host && text_equal(here.boot, holder->machine.boot);
    if (same_host && !same_boot && holder->machine.boot[0] != '\0')
        return LEASE_DEAD;
    if (same_boot && text_equal(here.pids, holder->machine.pids)) {
        return process_lives((pid_t)holder->pid, holder->start_time) ? LEASE_HELD : LEASE_DEAD;
    }
    return holder->silent_ms > LEASE_STALE_MS ? LEASE_SILENT : LEASE_HELD;
}

/* `now_ms` is the file system's. FREE when there is no such file. */
static bool look(const char *path, int64_t now_ms, enum lease_state *state, struct lease_holder *holder,
                 struct error *error)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    struct stat status;
    if (lstat(path, &status) != 0 && errno == ENOENT) {
        *state = LEASE_FREE;
        return true;
    }
    struct error reading = ERROR_INIT;
    if (!file_read(path, FILE_LIMIT, &text, &reading)) {
        bool gone = !file_exists(path); /* between the two looks */
        if (gone)
            error_clear(&reading);
        else
            error_move(error, &reading);
        *state = LEASE_FREE;
        return gone;
    }
    *holder = (struct lease_holder){.pid = 0};
    if (!parse_lease(text_bytes(&text), holder)) {
        error_set(error, ERROR_SYSTEM, "'%s' is not a lease", path);
        return error_hint(error, "look what it is; remove it when no descpipe uses the folder");
    }
    int64_t touched = stat_ms(&status);
    holder->silent_ms = now_ms > touched ? now_ms - touched : 0;
    *state = judge(holder);
    return true;
}

bool lease_look(const char *folder, enum lease_state *state, struct lease_holder *holder, struct error *error)
{
    cleanup(memory_free) char *path = path_join(folder, LEASE_FILE);
    /* A look leaves nothing behind, so our own clock must do; only takers need the file system's. */
    return look(path, clock_wall_ms(), state, holder, error);
}

static bool refuse(const struct lease_request *request, enum lease_state state, const struct lease_holder *holder,
                   struct error *error)
{
    cleanup(text_clear) struct text silent = TEXT_INIT;
    clock_append_length(&silent, holder->silent_ms);
    if (state == LEASE_RUN) {
        error_set(error, ERROR_SYSTEM, "%s is in use by run %s, which was handed to a scheduler on '%s' %s ago",
                  request->subject, holder->run, holder->machine.host, text_bytes(&silent));
        return error_hint(error, "wait until it has ended ('descpipe status %s'), or end it: descpipe cancel %s",
                          holder->run, holder->run);
    }
    cleanup(text_clear) struct text user = TEXT_INIT;
    if (holder->run[0] != '\0')
        text_format(&user, "run %s (", holder->run);
    text_format(&user, "descpipe process %lld on '%s', last sign of life %s ago%s", (long long)holder->pid,
                holder->machine.host, text_bytes(&silent), holder->run[0] != '\0' ? ")" : "");
    error_set(error, ERROR_SYSTEM, "%s is in use by %s", request->subject, text_bytes(&user));
    if (state == LEASE_SILENT)
        return error_hint(error, "if it has surely ended, take over by force");
    return error_hint(error, "wait until it has ended, or cancel it");
}

/* Puts `temporary` in the place of the lease of a dead holder. False without an error: somebody was faster, look again.
 */
static bool take_over(const char *folder, const char *path, const char *temporary, uint64_t dead_epoch, int64_t now_ms)
{
    cleanup(memory_free) char *taking = path_join(folder, TAKING_FILE);
    enum lease_state state;
    struct lease_holder other;
    if (!link_done(temporary, taking)) {
        /* A taker that died in here would stand in the way for good. */
        if (look(taking, now_ms, &state, &other, NULL) && state == LEASE_DEAD)
            unlink(taking);
        return false;
    }
    bool taken = look(path, now_ms, &state, &other, NULL) && state != LEASE_FREE && other.epoch == dead_epoch &&
                 rename(taking, path) == 0;
    /* rename() of one link onto another of the same file leaves both, and a failure leaves ours. */
    if (!taken)
        unlink(taking);
    return taken;
}

static bool is_ours(const struct lease *lease)
{
    struct stat status;
    return lstat(lease->path, &status) == 0 && status.st_dev == lease->device && status.st_ino == lease->inode;
}

enum attempt { TAKEN, AGAIN, REFUSED };

static enum attempt try_take(const struct lease_request *request, struct lease_holder *self, struct lease *lease,
                             struct error *error)
{
    cleanup(memory_free) char *temporary = NULL;
    struct stat status;
    enum lease_state state = LEASE_FREE;
    struct lease_holder holder = {.pid = 0};
    if (!look(lease->path, clock_wall_ms(), &state, &holder, error))
        return REFUSED;
    self->epoch = request->epoch > 0 ? request->epoch : 1;
    if (state != LEASE_FREE && holder.epoch >= self->epoch)
        self->epoch = holder.epoch + 1;
    bool made = make_temporary(request->folder, self, &temporary, &status, error);
    lease->epoch = self->epoch;
    lease->device = status.st_dev;
    lease->inode = status.st_ino;
    enum attempt result = REFUSED;
    if (made && state == LEASE_FREE) {
        result = link_done(temporary, lease->path) ? TAKEN : errno == EEXIST ? AGAIN : REFUSED;
        if (result == REFUSED)
            error_system(error, "cannot make the lease '%s'", lease->path);
    } else if (made) {
        int64_t now = stat_ms(&status);
        enum lease_state again;
        if (!look(lease->path, now, &again, &holder, error))
            result = REFUSED;
        else if (again == LEASE_FREE || holder.epoch >= self->epoch)
            result = AGAIN;
        else if (again == LEASE_DEAD || request->gone || (again == LEASE_SILENT && request->force) ||
                 (again == LEASE_RUN && text_equal(request->run, holder.run)))
            result = take_over(request->folder, lease->path, temporary, holder.epoch, now) ? TAKEN : AGAIN;
        else
            refuse(request, again, &holder, error);
    }
    if (temporary != NULL)
        unlink(temporary);
    return result == TAKEN && !is_ours(lease) ? AGAIN : result;
}

/* What takers that were killed left: each names a process that is gone. */
static void remove_dead_temporaries(const char *path)
{
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        enum lease_state state = LEASE_FREE;
        struct lease_holder holder = {.pid = 0};
        if (!text_starts_with(entry->d_name, ".descpipe-") || !text_ends_with(entry->d_name, ".tmp"))
            continue;
        cleanup(memory_free) char *left = path_join(path, entry->d_name);
        if (look(left, clock_wall_ms(), &state, &holder, NULL) && state == LEASE_DEAD)
            unlink(left);
    }
    if (folder != NULL)
        closedir(folder);
}

struct lease *lease_take(const struct lease_request *request, pid_t pid, struct error *error)
{
    cleanup(lease_forget) struct lease *lease = memory_allocate(sizeof *lease);
    lease->path = path_join(request->folder, LEASE_FILE);
    struct lease_holder self = {.pid = pid != 0 ? pid : getpid()};
    machine_read(&self.machine);
    self.start_time = process_start_time((pid_t)self.pid);
    snprintf(self.run, sizeof self.run, "%s", request->run != NULL ? request->run : "");
    for (unsigned i = 0; i < TRIES; i++) {
        enum attempt attempt = try_take(request, &self, lease, error);
        if (attempt == TAKEN) {
            remove_dead_temporaries(request->folder);
            return steal(&lease);
        }
        if (attempt == REFUSED)
            return NULL;
    }
    error_set(error, ERROR_SYSTEM, "%s is wanted by several at once; nobody could be served", request->subject);
    error_hint(error, "try again");
    return NULL;
}

uint64_t lease_epoch(const struct lease *lease)
{
    return lease->epoch;
}

bool lease_touch(struct lease *lease)
{
    return is_ours(lease) && utimensat(AT_FDCWD, lease->path, NULL, AT_SYMLINK_NOFOLLOW) == 0;
}

bool lease_hand_over(struct lease *lease, const char *run, struct error *error)
{
    cleanup(memory_free) char *folder = path_folder(lease->path);
    cleanup(memory_free) char *temporary = NULL;
    struct lease_holder holder = {.epoch = lease->epoch};
    struct stat status;
    machine_read(&holder.machine);
    snprintf(holder.run, sizeof holder.run, "%s", run);
    if (!is_ours(lease))
        return error_set(error, ERROR_SYSTEM, "the lease '%s' was taken by somebody else", lease->path);
    bool done = make_temporary(folder, &holder, &temporary, &status, error);
    if (done && rename(temporary, lease->path) != 0)
        done = error_system(error, "cannot hand over the lease '%s'", lease->path);
    if (!done && temporary != NULL)
        unlink(temporary);
    return done;
}

void lease_forget(struct lease *lease)
{
    if (lease == NULL)
        return;
    memory_free(lease->path);
    memory_free(lease);
}

void lease_release(struct lease *lease)
{
    if (lease != NULL && is_ours(lease))
        unlink(lease->path);
    lease_forget(lease);
}
