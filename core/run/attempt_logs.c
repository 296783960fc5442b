/* SPDX-License-Identifier: BSD-3-Clause */
/* The two files in which an attempt's output is kept. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "run/walk.h"

#define ERROR_TAIL 4096

/* The folder logs/NNN, kept open: stages that lie together are started together. */
static int logs_folder(struct engine *engine, uint32_t stage, struct error *error)
{
    uint32_t number = stage / RUN_STAGES_PER_FOLDER;
    if (engine->logs_folder >= 0 && engine->logs_number == number)
        return engine->logs_folder;
    descriptor_close(engine->logs_folder);
    cleanup(memory_free) char *path = memory_format("%s/logs/%03u", engine->folder.path, number);
    engine->logs_folder = -1;
    if (!folder_make(path, 0777, error))
        return -1;
    engine->logs_folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    engine->logs_number = number;
    if (engine->logs_folder < 0)
        error_system(error, "cannot open the folder '%s'", path);
    return engine->logs_folder;
}

static bool log_name(const struct attempt *attempt, const char *suffix, char name[NAME_MAX + 1])
{
    size_t length = strlen(attempt->name), rest = strlen(suffix) + 1;
    if (length + rest > NAME_MAX + 1)
        return false;
    memcpy(name, attempt->name, length);
    memcpy(name + length, suffix, rest);
    return true;
}

static int open_log(struct attempt *attempt, int folder, const char *suffix, struct error *error)
{
    char name[NAME_MAX + 1];
    if (!log_name(attempt, suffix, name)) {
        error_set(error, ERROR_SYSTEM, "the log of '%s' would have a name that is too long", attempt->name);
        return -1;
    }
    int log = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (log < 0)
        error_system(error, "cannot make the log file '%s'", name);
    return log;
}

bool attempt_open_logs(struct attempt *attempt, struct error *error)
{
    int folder = logs_folder(attempt->engine, attempt->stage, error);
    if (folder < 0)
        return false;
    attempt->output = open_log(attempt, folder, ".out", error);
    attempt->has_logs = true;
    attempt->error = attempt->output >= 0 ? open_log(attempt, folder, ".err", error) : -1;
    return attempt->error >= 0;
}

bool attempt_expect_logs(struct attempt *attempt, struct error *error)
{
    attempt->has_logs = logs_folder(attempt->engine, attempt->stage, error) >= 0;
    return attempt->has_logs;
}

void attempt_close_logs(struct attempt *attempt)
{
    descriptor_close(attempt->output);
    descriptor_close(attempt->error);
    attempt->output = attempt->error = -1;
}

/* What was never written to: two files a task would be very many, and `logs` knows that nothing was said. Whoever
 * follows one has it open and reads on. */
void attempt_drop_empty_logs(struct attempt *attempt)
{
    static const char *const suffixes[] = {".out", ".err"};
    int folder = attempt->has_logs ? logs_folder(attempt->engine, attempt->stage, NULL) : -1;
    for (size_t i = 0; folder >= 0 && i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[NAME_MAX + 1];
        struct stat status;
        if (log_name(attempt, suffixes[i], name) && fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && status.st_size == 0)
            unlinkat(folder, name, 0);
    }
}

/* What it said at first, for launchers that fail like a stage. */
const char *attempt_error_tail(struct attempt *attempt, bool *whole)
{
    char *bytes = arena_allocate(attempt->arena, ERROR_TAIL + 1);
    cleanup(memory_free) char *path = memory_format("%s/logs/%03u/%s.err", attempt->engine->folder.path,
                                                    attempt->stage / RUN_STAGES_PER_FOLDER, attempt->name);
    cleanup(descriptor_close) int log = file_open(path, NULL, NULL);
    ssize_t got = log >= 0 ? pread(log, bytes, ERROR_TAIL, 0) : -1;
    if (got < 0)
        return NULL;
    bytes[got] = '\0';
    *whole = got < ERROR_TAIL;
    return bytes;
}
