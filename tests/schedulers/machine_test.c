/* SPDX-License-Identifier: BSD-3-Clause */
/* What the scheduler `local` finds on a machine, from made-up /proc, /sys and /dev trees. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "this-machine/machine.h"

static char root[64];

static void make_root(void)
{
    snprintf(root, sizeof(root), "/tmp/descpipe-machine-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void)
{
    struct error error = ERROR_INIT;
    ck_assert(folder_remove(root, &error));
}

static void put(const char *path, const char *content)
{
    cleanup(memory_free) char *whole = memory_format("%s%s", root, path);
    for (char *slash = strchr(whole + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "we");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    fclose(file);
}

struct tree {
    const char *path, *content;
};

#define MEMORY_16G                                                                                                     \
    {                                                                                                                  \
        "/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n"                                                \
    }
#define MOUNT_2                                                                                                        \
    {                                                                                                                  \
        "/proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"                \
    }
#define MOUNTS_1                                                                                                       \
    {                                                                                                                  \
        "/proc/self/mountinfo", "31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu\n"                  \
                                "32 25 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"                    \
                                "33 25 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"                    \
    }

static const struct {
    const char *name;
    struct tree tree[8];
    uint64_t cpus, memory;
} machines[] = {
    {"nothing can be read", {{0}}, 8, 0},
    {"no cgroups", {MEMORY_16G}, 8, UINT64_C(16) << 30},
    {"version 2, no limits",
     {MEMORY_16G,
      MOUNT_2,
      {"/proc/self/cgroup", "0::/user.slice\n"},
      {"/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n"},
      {"/sys/fs/cgroup/user.slice/memory.max", "max\n"}},
     8,
     UINT64_C(16) << 30},
    {"version 2, own limits, quota rounded up",
     {MEMORY_16G,
      MOUNT_2,
      {"/proc/self/cgroup", "0::/user.slice\n"},
      {"/sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n"},
      {"/sys/fs/cgroup/user.slice/memory.max", "1073741824\n"}},
     3,
     UINT64_C(1) << 30},
    {"version 2, the parent's limits are smaller",
     {MEMORY_16G,
      MOUNT_2,
      {"/proc/self/cgroup", "0::/a/b/c\n"},
      {"/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n"},
      {"/sys/fs/cgroup/a/cpu.max", "200000 100000\n"},
      {"/sys/fs/cgroup/a/b/c/memory.max", "max\n"},
      {"/sys/fs/cgroup/a/b/memory.max", "2147483648\n"}},
     2,
     UINT64_C(2) << 30},
    {"version 2 in a container: the path is not there, the root is",
     {MEMORY_16G,
      MOUNT_2,
      {"/proc/self/cgroup", "0::/docker/0123\n"},
      {"/sys/fs/cgroup/cpu.max", "50000 100000\n"},
      {"/sys/fs/cgroup/memory.max", "536870912\n"}},
     1,
     UINT64_C(512) << 20},
    {"version 1, cpu beside cpuacct, limits",
     {MEMORY_16G,
      MOUNTS_1,
      {"/proc/self/cgroup", "5:cpuset:/\n4:memory:/job\n1:cpuacct,cpu:/job\n0::/\n"},
      {"/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "600000\n"},
      {"/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "4294967296\n"}},
     6,
     UINT64_C(4) << 30},
    {"version 1, without limits",
     {MEMORY_16G,
      MOUNTS_1,
      {"/proc/self/cgroup", "4:memory:/job\n1:cpu:/job\n"},
      {"/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n"},
      {"/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n"}},
     8,
     UINT64_C(16) << 30},
    {"a mount that shows a part of the hierarchy",
     {MEMORY_16G,
      {"/proc/self/mountinfo", "30 25 0:26 /docker/0123 /sys/fs/cgroup ro - cgroup2 cgroup rw\n"},
      {"/proc/self/cgroup", "0::/docker/0123/inner\n"},
      {"/sys/fs/cgroup/inner/cpu.max", "100000 100000\n"}},
     1,
     UINT64_C(16) << 30},
    {"more quota than cpus",
     {MOUNT_2, {"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "9900000 100000\n"}},
     8,
     0},
    {"nonsense everywhere",
     {{"/proc/meminfo", "MemTotal: a lot\n"},
      {"/proc/self/mountinfo", "cgroup2\n- - - -\n1 2 3 / /sys/fs/cgroup - cgroup2\n"},
      {"/proc/self/cgroup", "0::\nx\n::::\n"},
      {"/sys/fs/cgroup/cpu.max", "0 0\n"},
      {"/sys/fs/cgroup/memory.max", "\n"}},
     8,
     0},
};

START_TEST(reads_the_limits_of_a_machine)
{
    struct machine machine;
    for (size_t i = 0; i < 8 && machines[_i].tree[i].path != NULL; i++) {
        put(machines[_i].tree[i].path, machines[_i].tree[i].content);
    }
    machine_read(root, 8, &machine);
    ck_assert_msg(machine.cpus == machines[_i].cpus, "%s: %llu cpus", machines[_i].name,
                  (unsigned long long)machine.cpus);
    ck_assert_msg(machine.memory == machines[_i].memory, "%s: %llu bytes", machines[_i].name,
                  (unsigned long long)machine.memory);
}
END_TEST

START_TEST(a_real_machine_has_cpus_and_memory)
{
    struct machine machine;
    ck_assert_uint_ge(machine_affinity(), 1);
    machine_read("", machine_affinity(), &machine);
    ck_assert_uint_ge(machine.cpus, 1);
    ck_assert_uint_le(machine.cpus, machine_affinity());
    ck_assert_uint_ge(machine.memory, UINT64_C(1) << 24);
}
END_TEST

static const struct {
    const char *visible, *expected;
} gpus[] = {
    {NULL, "0 1 2 10"}, {"", ""}, {"3,1", "3 1"}, {"GPU-8932f937, 2", "GPU-8932f937 2"}, {"0,-1,2", "0"}, {",,", ""},
};

START_TEST(finds_gpus_by_variable_or_device)
{
    static const char *const devices[] = {"nvidia10",  "nvidia2",    "nvidia0", "nvidia1",
                                          "nvidiactl", "nvidia-uvm", "sda"};
    cleanup(text_clear) struct text found = TEXT_INIT;
    for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
        cleanup(memory_free) char *path = memory_format("/dev/%s", devices[i]);
        put(path, "");
    }
    char **ids = machine_gpus(root, gpus[_i].visible);
    for (size_t i = 0; ids[i] != NULL; i++) {
        text_format(&found, "%s%s", i > 0 ? " " : "", ids[i]);
    }
    ck_assert_str_eq(text_bytes(&found), gpus[_i].expected);
    machine_free_gpus(ids);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine");
    TCase *tests = tcase_create("machine");
    tcase_add_checked_fixture(tests, make_root, remove_root);
    tcase_add_loop_test(tests, reads_the_limits_of_a_machine, 0, sizeof(machines) / sizeof(*machines));
    tcase_add_test(tests, a_real_machine_has_cpus_and_memory);
    tcase_add_loop_test(tests, finds_gpus_by_variable_or_device, 0, sizeof(gpus) / sizeof(*gpus));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
