/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds out what this process may use of its machine.
 *
 * How it works: /proc/self/cgroup names the process's cgroups and /proc/self/mountinfo says where each hierarchy is
 * mounted. The limit of a cgroup is the smallest on the way from it up to the mount point, in version 2
 * (cpu.max, memory.max) and version 1 (cpu.cfs_quota_us and cpu.cfs_period_us, memory.limit_in_bytes). In a container
 * the own cgroup is often mounted as the root of the hierarchy, so that the path in /proc/self/cgroup does not exist
 * below the mount point: folders that are not there are passed over.
 */
#include "this-machine/machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CPU_MASK_LIMIT = 1 << 16, LINES_LIMIT = 4096, LINE_LIMIT = 4096, VALUE_LIMIT = 128 };

/* A limit of version 1 that means "none" is PAGE_COUNTER_MAX, about 2^63; nothing near it is a real size. */
static const uint64_t memory_without_limit = UINT64_C(1) << 60;

struct cgroup_walk {
    const char *root;
    struct machine *machine;
};

static bool read_value(const char *folder, const char *name, char *value, size_t size)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return false;
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return false;
    }
    ssize_t got = read(descriptor, value, size - 1);
    close(descriptor);
    if (got <= 0) {
        return false;
    }
    value[got] = '\0';
    return true;
}

/* A decimal number at *place, which moves behind it. */
static bool read_number(const char **place, uint64_t *number)
{
    while (**place == ' ' || **place == '\t') {
        (*place)++;
    }
    if (**place < '0' || **place > '9') {
        return false;
    }
    char *end = NULL;
    *number = strtoull(*place, &end, 10);
    *place = end;
    return true;
}

static void limit_cpus(struct machine *machine, uint64_t quota, uint64_t period)
{
    if (quota == 0 || period == 0) {
        return;
    }
    uint64_t cpus = quota / period + (quota % period != 0);
    if (cpus < machine->cpus) {
        machine->cpus = cpus;
    }
}

static void limit_memory(struct machine *machine, uint64_t bytes)
{
    if (bytes > 0 && bytes < memory_without_limit && (machine->memory == 0 || bytes < machine->memory)) {
        machine->memory = bytes;
    }
}

static void read_limits(const char *folder, struct machine *machine)
{
    char value[VALUE_LIMIT], period_text[VALUE_LIMIT];
    uint64_t quota = 0, period = 0, bytes = 0;
    const char *place = value;
    if (read_value(folder, "cpu.max", value, sizeof(value)) && read_number(&place, &quota) &&
        read_number(&place, &period)) {
        limit_cpus(machine, quota, period);
    }
    const char *quota_place = value, *period_place = period_text;
    if (read_value(folder, "cpu.cfs_quota_us", value, sizeof(value)) && read_number(&quota_place, &quota) &&
        read_value(folder, "cpu.cfs_period_us", period_text, sizeof(period_text)) &&
        read_number(&period_place, &period)) {
        limit_cpus(machine, quota, period);
    }
    static const char *const memory_files[] = {"memory.max", "memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof(memory_files) / sizeof(*memory_files); i++) {
        const char *memory_place = value;
        if (read_value(folder, memory_files[i], value, sizeof(value)) && read_number(&memory_place, &bytes)) {
            limit_memory(machine, bytes);
        }
    }
}

/* Every cgroup from `path` below the mount point up to the mount point itself. */
static void walk_up(const struct cgroup_walk *walk, const char *mount_point, const char *path)
{
    char folder[PATH_MAX];
    int length =
        snprintf(folder, sizeof(folder), "%s%s%s", walk->root, mount_point, strcmp(path, "/") == 0 ? "" : path);
    size_t shortest = strlen(walk->root) + strlen(mount_point);
    if (length < 0 || (size_t)length >= sizeof(folder)) {
        return;
    }
    for (;;) {
        read_limits(folder, walk->machine);
        if (strlen(folder) <= shortest) {
            return;
        }
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < shortest) {
            return;
        }
        *slash = '\0';
    }
}

/* Is `name` one of the words of a comma-separated list? */
static bool has_word(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *word = list; word != NULL; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, name, length) == 0 && (word[length] == ',' || word[length] == '\0' || word[length] == '\n')) {
            return true;
        }
    }
    return false;
}

/* The path of our cgroup in the hierarchy of `controller` ("" is version 2), from /proc/self/cgroup. */
static bool own_cgroup(const char *root, const char *controller, char *path, size_t size)
{
    char file[PATH_MAX], line[LINE_LIMIT];
    snprintf(file, sizeof(file), "%s/proc/self/cgroup", root);
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        return false;
    }
    bool found = false;
    for (int i = 0; !found && i < LINES_LIMIT && fgets(line, sizeof(line), stream) != NULL; i++) {
        char *controllers = strchr(line, ':');
        char *place = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (place == NULL) {
            continue;
        }
        controllers++;
        *place++ = '\0';
        place[strcspn(place, "\n")] = '\0';
        if (*controller == '\0' ? *controllers == '\0' : has_word(controllers, controller)) {
            found = (size_t)snprintf(path, size, "%s", place) < size;
        }
    }
    fclose(stream);
    return found;
}

/* One line of mountinfo: `id parent device root mount-point options [tags] - type source super-options`. */
static void read_mount(const struct cgroup_walk *walk, char *line)
{
    char *fields[5] = {0}, *place = line;
    for (size_t i = 0; i < 5; i++) {
        fields[i] = place;
        place = strchr(place, ' ');
        if (place == NULL) {
            return;
        }
        *place++ = '\0';
    }
    char *type = strstr(place, "- ");
    if (type == NULL) {
        return;
    }
    type += 2;
    char *super_options = strrchr(type, ' ');
    bool second = strncmp(type, "cgroup2 ", 8) == 0;
    if ((!second && strncmp(type, "cgroup ", 7) != 0) || super_options == NULL) {
        return;
    }
    super_options++;
    super_options[strcspn(super_options, "\n")] = '\0';
    const char *mount_root = fields[3], *mount_point = fields[4];
    static const char *const controllers[] = {"", "cpu", "memory"};
    for (size_t i = 0; i < sizeof(controllers) / sizeof(*controllers); i++) {
        char path[PATH_MAX];
        if (second ? i != 0 : (i == 0 || !has_word(super_options, controllers[i]))) {
            continue;
        }
        if (!own_cgroup(walk->root, controllers[i], path, sizeof(path))) {
            continue;
        }
        size_t skip = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
        bool below = strncmp(path, mount_root, skip) == 0 && (path[skip] == '/' || path[skip] == '\0');
        walk_up(walk, mount_point, below ? path + skip : "/");
    }
}

static void read_cgroups(const char *root, struct machine *machine)
{
    char file[PATH_MAX], line[LINE_LIMIT];
    snprintf(file, sizeof(file), "%s/proc/self/mountinfo", root);
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        return;
    }
    struct cgroup_walk walk = {.root = root, .machine = machine};
    for (int i = 0; i < LINES_LIMIT && fgets(line, sizeof(line), stream) != NULL; i++) {
        read_mount(&walk, line);
    }
    fclose(stream);
}

static uint64_t total_memory(const char *root)
{
    char file[PATH_MAX], line[LINE_LIMIT];
    snprintf(file, sizeof(file), "%s/proc/meminfo", root);
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        return 0;
    }
    uint64_t kibibytes = 0;
    for (int i = 0; i < LINES_LIMIT && fgets(line, sizeof(line), stream) != NULL; i++) {
        if (strncmp(line, "MemTotal:", 9) == 0) {
            const char *place = line + 9;
            if (!read_number(&place, &kibibytes)) {
                kibibytes = 0;
            }
            break;
        }
    }
    fclose(stream);
    return kibibytes > UINT64_MAX / 1024 ? 0 : kibibytes * 1024;
}

void machine_read(const char *root, uint64_t affinity, struct machine *machine)
{
    machine->cpus = affinity > 0 ? affinity : 1;
    machine->memory = total_memory(root);
    read_cgroups(root, machine);
}

uint64_t machine_affinity(void)
{
    /* The kernel refuses a mask smaller than its own: grow until it fits. */
    for (int cpus = 1024; cpus <= CPU_MASK_LIMIT; cpus *= 2) {
        cpu_set_t *mask = CPU_ALLOC((size_t)cpus);
        if (mask == NULL) {
            break;
        }
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int count = sched_getaffinity(0, size, mask) == 0 ? CPU_COUNT_S(size, mask) : 0;
        CPU_FREE(mask);
        if (count > 0) {
            return (uint64_t)count;
        }
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint64_t)online : 1;
}

static bool add_gpu(char **gpus, size_t *count, const char *id, size_t length)
{
    if (length == 0 || *count >= MACHINE_GPUS_LIMIT) {
        return true;
    }
    gpus[*count] = strndup(id, length);
    return gpus[*count] != NULL && (++*count, true);
}

static bool add_visible(char **gpus, size_t *count, const char *visible)
{
    for (const char *word = visible; *word != '\0';) {
        word += strspn(word, ", ");
        size_t length = strcspn(word, ", ");
        /* As CUDA reads it: what follows an invalid entry is not visible. */
        if (strncmp(word, "-1", length) == 0 && length == 2) {
            break;
        }
        if (!add_gpu(gpus, count, word, length)) {
            return false;
        }
        word += length;
    }
    return true;
}

static int compare_ids(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    size_t a_length = strlen(*a), b_length = strlen(*b);
    return a_length != b_length ? (a_length > b_length) - (a_length < b_length) : strcmp(*a, *b);
}

static bool add_devices(char **gpus, size_t *count, const char *root)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s/dev", root);
    DIR *devices = opendir(folder);
    if (devices == NULL) {
        return true;
    }
    bool done = true;
    for (struct dirent *entry = readdir(devices); done && entry != NULL; entry = readdir(devices)) {
        const char *number = entry->d_name + 6;
        if (strncmp(entry->d_name, "nvidia", 6) == 0 && *number != '\0' &&
            number[strspn(number, "0123456789")] == '\0') {
            done = add_gpu(gpus, count, number, strlen(number));
        }
    }
    closedir(devices);
    qsort(gpus, *count, sizeof(*gpus), compare_ids);
    return done;
}

char **machine_gpus(const char *root, const char *visible)
{
    char **gpus = calloc(MACHINE_GPUS_LIMIT + 1, sizeof(*gpus));
    size_t count = 0;
    if (gpus == NULL) {
        return NULL;
    }
    if (visible != NULL ? !add_visible(gpus, &count, visible) : !add_devices(gpus, &count, root)) {
        machine_free_gpus(gpus);
        return NULL;
    }
    return gpus;
}

void machine_free_gpus(char **gpus)
{
    for (size_t i = 0; gpus != NULL && gpus[i] != NULL; i++) {
        free(gpus[i]);
    }
    free(gpus);
}
