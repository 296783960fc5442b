/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stage sees of its world, and how it may end: the probe behind `descpipe doctor --runtime X` and
 * tests/runtimes.
 *
 *     world look FILE WORD...    writes "key: value" lines to FILE in $DESC_OUTPUT; the words are told, as they arrived
 *     world exit STATUS          ends so
 *     world signal NUMBER        is ended by that signal
 *
 * It is linked statically, because it runs in an image that holds nothing else.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MOST 256 /* variables, interfaces: more are not told */
#define ALONE_MOST 8   /* processes of a stage that sees only its own: the probe, what starts it, a moment's others */
#define ORPHAN_WAIT_MS 5000

extern char **environ;

static const char *variable(const char *name)
{
    const char *value = secure_getenv(name);
    return value != NULL ? value : "";
}

static void say(FILE *out, const char *key, const char *value)
{
    fprintf(out, "%s: ", key);
    for (; *value != '\0'; value++)
        fputc(*value == '\n' ? ' ' : *value, out);
    fputc('\n', out);
}

static void say_number(FILE *out, const char *key, long long value)
{
    fprintf(out, "%s: %lld\n", key, value);
}

static void say_yes(FILE *out, const char *key, bool yes)
{
    say(out, key, yes ? "yes" : "no");
}

/* Who and where. */

static int other_groups(void)
{
    gid_t groups[WORDS_MOST];
    int all = getgroups(WORDS_MOST, groups), others = 0;
    for (int i = 0; i < all; i++)
        others += groups[i] != getgid();
    return others;
}

static void look_at_caller(FILE *out, int count, char **words)
{
    char folder[4096] = "?";
    say_number(out, "uid", getuid());
    say_number(out, "gid", getgid());
    say_number(out, "other groups", other_groups());
    if (getcwd(folder, sizeof folder) == NULL)
        say(out, "folder", strerror(errno));
    else
        say(out, "folder", folder);
    mode_t mask = umask(0);
    umask(mask);
    fprintf(out, "umask: %04o\n", (unsigned)mask);
    fprintf(out, "arguments:");
    for (int i = 0; i < count; i++)
        fprintf(out, " [%s]", words[i]);
    fputc('\n', out);
}

/* Variables. */

static const char *const named[] = {"PATH",        "HOME",          "LANG",      "DESC_INPUT", "DESC_OUTPUT",
                                    "DESC_CONFIG", "DESC_PARALLEL", "DESC_RANK", "DESC_SIZE",  "OMP_NUM_THREADS",
                                    "FROM_IMAGE",  "MINE",          "HOSTILE"};
/* What the one who looks said for itself, and what a shell adds. */
static const char *const silent[] = {"LATE", "MACHINE", "SHARED_MEMORY", "SHLVL", "PWD", "OLDPWD", "_"};

static bool is_among(const char *name, size_t length, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == length && strncmp(list[i], name, length) == 0)
            return true;
    return false;
}

static int compare(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* "KEY: name name", sorted, so that worlds can be compared. */
static void say_names(FILE *out, const char *key, const char **names, size_t count)
{
    qsort(names, count, sizeof *names, compare);
    fprintf(out, "%s:", key);
    for (size_t i = 0; i < count; i++)
        fprintf(out, " %.*s", (int)strcspn(names[i], "="), names[i]);
    fputc('\n', out);
}

static void look_at_variables(FILE *out)
{
    const char *others[WORDS_MOST];
    size_t count = 0;
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        say(out, named[i], variable(named[i]));
    say(out, "late value", variable("LATE"));
    for (char **entry = environ; *entry != NULL && count < WORDS_MOST; entry++) {
        size_t length = strcspn(*entry, "=");
        if (strncmp(*entry, "DESC_", 5) != 0 && !is_among(*entry, length, named, sizeof named / sizeof named[0]) &&
            !is_among(*entry, length, silent, sizeof silent / sizeof silent[0]))
            others[count++] = *entry;
    }
    say_names(out, "other variables", others, count);
}

/* Standard input and terminals. */

static void look_at_terminal(FILE *out)
{
    struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    const char *input = "open and silent"; /* a stage that reads it would wait for ever */
    if (poll(&wait, 1, 2000) > 0) {
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        input = got == 0 ? "at its end" : got > 0 ? "something" : "closed";
    }
    say(out, "standard input", input);
    say_yes(out, "terminal", isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO));
    int controlling = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    say_yes(out, "controlling terminal", controlling >= 0);
    if (controlling >= 0)
        close(controlling);
}

/* Places: may it write there, with which flags are they mounted. */

static bool may_write(const char *folder)
{
    char path[4096];
    if (*folder == '\0')
        return false;
    snprintf(path, sizeof path, "%s/.world-was-here", folder);
    int made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made < 0)
        return false;
    close(made);
    return unlink(path) == 0;
}

static bool may_open_for_writing(const char *folder, const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    int opened = open(path, O_WRONLY | O_CLOEXEC);
    if (opened >= 0)
        close(opened);
    return opened >= 0;
}

/* The program itself, copied there and started: what "noexec" and odd file systems forbid. */
static bool may_run_from(const char *folder)
{
    char path[4096], bytes[65536];
    snprintf(path, sizeof path, "%s/.world-runs-here", folder);
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_EXCL, 0700);
    bool copied = from >= 0 && to >= 0;
    for (ssize_t got; copied && (got = read(from, bytes, sizeof bytes)) > 0;)
        copied = write(to, bytes, (size_t)got) == got;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    int status = 1;
    pid_t child = copied ? fork() : -1;
    if (child == 0) {
        execl(path, "world", "exit", "0", (char *)NULL);
        _exit(1);
    }
    bool runs = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    unlink(path);
    return runs;
}

static void look_at_mount(FILE *out, const char *what, const char *path)
{
    static const struct {
        unsigned long bit;
        const char *name;
    } flags[] = {{ST_NOSUID, "nosuid"}, {ST_NODEV, "nodev"}, {ST_NOEXEC, "noexec"}};
    struct statvfs found;
    if (statvfs(path, &found) != 0) {
        fprintf(out, "mount of %s: %s\n", what, strerror(errno));
        return;
    }
    fprintf(out, "mount of %s: %s", what, found.f_flag & ST_RDONLY ? "read-only" : "writable");
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (found.f_flag & flags[i].bit)
            fprintf(out, " %s", flags[i].name);
    fputc('\n', out);
}

static void look_at_places(FILE *out)
{
    const char *input = variable("DESC_INPUT"), *output = variable("DESC_OUTPUT"), *config = variable("DESC_CONFIG");
    say_yes(out, "write to inputs", may_write(input));
    say_yes(out, "write to an input", may_open_for_writing(input, "table.txt"));
    say_yes(out, "write to config", may_write(config));
    say_yes(out, "write to outputs", may_write(output));
    say_yes(out, "write to /tmp", may_write("/tmp"));
    say_yes(out, "write to /var/tmp", may_write("/var/tmp"));
    say_yes(out, "write to /dev/shm", may_write("/dev/shm"));
    say_yes(out, "write to HOME", may_write(variable("HOME")));
    /* Asked, not tried: without a container this is the machine itself. */
    say_yes(out, "write to the image",
            access("/", W_OK) == 0 || access("/etc", W_OK) == 0 || access("/opt", W_OK) == 0);
    say_yes(out, "run programs from outputs", may_run_from(output));
    say_yes(out, "run programs from /tmp", may_run_from("/tmp"));
    look_at_mount(out, "the image", "/");
    look_at_mount(out, "inputs", input);
    look_at_mount(out, "config", config);
    look_at_mount(out, "outputs", output);
    look_at_mount(out, "/tmp", "/tmp");
    look_at_mount(out, "/dev", "/dev");
    look_at_mount(out, "/dev/shm", "/dev/shm");
    look_at_mount(out, "/proc", "/proc");
    struct stat found;
    bool same = stat("/dev/shm", &found) == 0 &&
                (unsigned long long)found.st_dev == strtoull(variable("SHARED_MEMORY"), NULL, 10);
    say(out, "shared memory", same ? "the machine's" : "its own");
    say_yes(out, "a file of the machine that it mounts", access("/opt/desc/descpipe.py", R_OK) == 0);
}

/* Processes and signals. */

static void look_at_processes(FILE *out)
{
    size_t count = 0;
    DIR *all = opendir("/proc");
    for (struct dirent *entry; all != NULL && (entry = readdir(all)) != NULL;)
        count += isdigit((unsigned char)entry->d_name[0]) != 0;
    if (all != NULL)
        closedir(all);
    say(out, "processes of others", count > ALONE_MOST ? "seen" : "not seen");
    say_yes(out, "is process 1", getpid() == 1);
}

/* A grandchild that ends after its parent: whoever is process 1 has to reap it, or it stays. */
static bool orphans_are_reaped(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        pid_t orphan = fork();
        if (orphan == 0)
            _exit(0);
        ssize_t told = write(ends[1], &orphan, sizeof orphan);
        _exit(told == (ssize_t)sizeof orphan ? 0 : 1);
    }
    pid_t orphan = 0;
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child ||
        read(ends[0], &orphan, sizeof orphan) != (ssize_t)sizeof orphan)
        return false;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", (int)orphan);
    for (int waited = 0; waited < ORPHAN_WAIT_MS; waited += 10) {
        if (access(path, F_OK) != 0)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

/* "Sig..." of /proc/self/status as the numbers of its signals; the two that C libraries keep to themselves left out. */
static void say_signals(FILE *out, const char *key, const char *line)
{
    uint64_t mask = strtoull(line, NULL, 16);
    bool any = false;
    fprintf(out, "%s:", key);
    for (int number = 1; number < 32; number++) {
        if (mask & UINT64_C(1) << (number - 1)) {
            fprintf(out, " %d", number);
            any = true;
        }
    }
    fputs(any ? "\n" : " none\n", out);
}

/* What the kernel says of this process, by the names of /proc/self/status. */
static void look_at_status(FILE *out)
{
    char line[512];
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *value = line + strcspn(line, "\t");
        value += strspn(value, "\t ");
        if (strncmp(line, "SigIgn:", 7) == 0)
            say_signals(out, "ignored signals", value);
        else if (strncmp(line, "SigBlk:", 7) == 0)
            say_signals(out, "blocked signals", value);
        else if (strncmp(line, "CapEff:", 7) == 0)
            say(out, "root's rights", value);
        else if (strncmp(line, "NoNewPrivs:", 11) == 0)
            say(out, "may gain rights", strcmp(value, "0") == 0 ? "yes" : "no");
    }
    if (status != NULL)
        fclose(status);
}

/* Machine, network, limits. */

static void look_at_network(FILE *out)
{
    char line[512], kept[WORDS_MOST][32];
    const char *names[WORDS_MOST];
    size_t count = 0;
    struct utsname machine;
    if (uname(&machine) == 0)
        say(out, "host name", strcmp(machine.nodename, variable("MACHINE")) == 0 ? "the machine's" : "its own");
    FILE *devices = fopen("/proc/net/dev", "re");
    while (devices != NULL && fgets(line, sizeof line, devices) != NULL && count < WORDS_MOST) {
        char *name = line + strspn(line, " "), *colon = strchr(name, ':');
        if (colon == NULL)
            continue;
        *colon = '\0';
        snprintf(kept[count], sizeof kept[count], "%s", name);
        names[count] = kept[count];
        count++;
    }
    if (devices != NULL)
        fclose(devices);
    say_names(out, "interfaces", names, count);
}

static void look_at_limits(FILE *out)
{
    static const struct {
        int which;
        const char *key;
    } limits[] = {{RLIMIT_NOFILE, "open files"},    {RLIMIT_NPROC, "processes"},       {RLIMIT_CORE, "core size"},
                  {RLIMIT_STACK, "stack size"},     {RLIMIT_MEMLOCK, "locked memory"}, {RLIMIT_AS, "address space"},
                  {RLIMIT_FSIZE, "size of a file"}, {RLIMIT_CPU, "CPU time"}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)limits[i].which, &limit) != 0)
            say(out, limits[i].key, strerror(errno));
        else if (limit.rlim_cur == RLIM_INFINITY)
            say(out, limits[i].key, "unlimited");
        else
            fprintf(out, "%s: %ju\n", limits[i].key, (uintmax_t)limit.rlim_cur);
    }
    say_number(out, "niceness", getpriority(PRIO_PROCESS, 0));
    char score[32] = "?";
    FILE *file = fopen("/proc/self/oom_score_adj", "re");
    if (file != NULL && fgets(score, sizeof score, file) != NULL)
        score[strcspn(score, "\n")] = '\0';
    if (file != NULL)
        fclose(file);
    say(out, "oom score", score);
    cpu_set_t usable;
    say_yes(out, "all of the machine's processors",
            sched_getaffinity(0, sizeof usable, &usable) == 0 && CPU_COUNT(&usable) == sysconf(_SC_NPROCESSORS_ONLN));
}

static int look(const char *path, int count, char **words)
{
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        fprintf(stderr, "world: cannot write '%s': %s\n", path, strerror(errno));
        return 1;
    }
    look_at_caller(out, count, words);
    look_at_variables(out);
    look_at_terminal(out);
    look_at_places(out);
    look_at_processes(out);
    fflush(out); /* it is not to be written again by children */
    bool reaped = orphans_are_reaped();
    say_yes(out, "orphans are reaped", reaped);
    look_at_status(out);
    look_at_network(out);
    look_at_limits(out);
    return fclose(out) == 0 ? 0 : 1;
}

int main(int count, char **words)
{
    if (count >= 3 && strcmp(words[1], "look") == 0) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", variable("DESC_OUTPUT"), words[2]);
        return look(path, count - 3, words + 3);
    }
    if (count == 3 && strcmp(words[1], "exit") == 0)
        return (int)strtol(words[2], NULL, 10);
    if (count == 3 && strcmp(words[1], "signal") == 0) {
        struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none); /* SIGSEGV and its kin are not to leave a core */
        raise((int)strtol(words[2], NULL, 10));
        return 1; /* not reached by one that is not process 1 */
    }
    fprintf(stderr, "usage: world look FILE WORD...|exit STATUS|signal NUMBER\n");
    return 2;
}
