/* SPDX-License-Identifier: BSD-3-Clause */
/* What /proc says of processes: start times, and who belongs to a session. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "io/process.h"

struct stat_line {
    char state;
    pid_t session;
    uint64_t start_time;
};

/* The fields are counted from the last ')': the name before it may hold anything, parentheses and newlines too. */
static bool read_stat(pid_t pid, struct stat_line *line)
{
    char path[64], bytes[4096];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup(descriptor_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = descriptor >= 0 ? read(descriptor, bytes, sizeof bytes - 1) : -1;
    if (length <= 0)
        return false;
    bytes[length] = '\0';
    char *place = strrchr(bytes, ')');
    if (place == NULL || place[1] != ' ' || place[2] == '\0')
        return false;
    enum { STATE = 3, SESSION = 6, START_TIME = 22 };
    place += 2;
    line->state = *place;
    for (int field = STATE; field <= START_TIME; field++) {
        char *end = strchr(place, ' ');
        if (end != NULL)
            *end = '\0';
        uint64_t number = 0;
        if ((field == SESSION || field == START_TIME) && !text_to_unsigned(place, &number))
            return false;
        if (field == SESSION)
            line->session = (pid_t)number;
        if (field == START_TIME)
            line->start_time = number;
        if (end == NULL)
            return field == START_TIME;
        place = end + 1;
    }
    return true;
}

uint64_t process_start_time(pid_t pid)
{
    struct stat_line line;
    return read_stat(pid, &line) ? line.start_time : 0;
}

bool process_lives(pid_t pid, uint64_t start_time)
{
    struct stat_line line;
    return read_stat(pid, &line) && line.start_time == start_time && line.state != 'Z' && line.state != 'X';
}

bool process_await_end(pid_t pid, uint64_t start_time, int64_t deadline_ms)
{
    cleanup(descriptor_close) int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    while (process_lives(pid, start_time)) { /* looked at behind the handle: it is that process's */
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return false;
        enum { LOOK_AGAIN_MS = 200 }; /* for kernels without such handles, and for what a handle cannot tell */
        struct pollfd event = {.fd = handle, .events = POLLIN};
        poll(&event, 1, (int)(left_ms < LOOK_AGAIN_MS ? left_ms : LOOK_AGAIN_MS));
    }
    return true;
}

static bool is_living_member(pid_t pid, pid_t session)
{
    struct stat_line line;
    return read_stat(pid, &line) && line.session == session && line.state != 'Z' && line.state != 'X';
}

/* Through a pidfd, and looked at again behind it: between the look and the signal the number may pass to another. */
bool process_signal_member(pid_t pid, pid_t session, int signal)
{
    if (!is_living_member(pid, session))
        return false;
    cleanup(descriptor_close) int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    if (handle < 0)
        return errno == ENOSYS && kill(pid, signal) == 0;
    return is_living_member(pid, session) && syscall(SYS_pidfd_send_signal, handle, signal, NULL, 0) == 0;
}

size_t process_signal_session(pid_t session, int signal)
{
    DIR *processes = opendir("/proc");
    if (processes == NULL)
        return 0;
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(processes)) != NULL) {
        uint64_t pid;
        if (text_to_unsigned(entry->d_name, &pid) && pid <= INT_MAX &&
            process_signal_member((pid_t)pid, session, signal))
            count++;
    }
    closedir(processes);
    return count;
}
