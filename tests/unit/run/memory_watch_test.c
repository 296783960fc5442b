/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's counters of kills for want of memory, in a /proc and /sys of paper. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "run/here/memory_watch.h"

static char root[64];

static void set_up(void)
{
    strcpy(root, "/tmp/memory-watch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void tear_down(void)
{
    ck_assert(folder_remove(root, NULL));
}

static void put(const char *name, const char *words)
{
    cleanup(memory_free) char *path = path_join(root, name);
    cleanup(memory_free) char *folder = path_folder(path);
    ck_assert(folder_make(folder, 0755, NULL));
    ck_assert(file_write(path, words, strlen(words), 0644, NULL));
}

static const struct {
    const char *label, *groups, *file, *witness;
} kinds[] = {
    {"version 2", "0::/user.slice/a\n", "sys/fs/cgroup/user.slice/a/memory.events", "memory.events"},
    {"version 1", "9:name=systemd:/\n4:memory:/jobs/7\n0::/\n", "sys/fs/cgroup/memory/jobs/7/memory.oom_control",
     "memory.oom_control"},
    {"a group out of sight", "0::/elsewhere\n", "proc/vmstat", "vmstat"},
    {"no groups", "", "proc/vmstat", "vmstat"},
};

START_TEST(a_kill_counts_for_who_ran_then)
{
    struct memory_watch watch;
    put("proc/self/cgroup", kinds[_i].groups);
    put("proc/vmstat", "nr_free_pages 12\noom_kill 0\n");
    put(kinds[_i].file, "oom 3\noom_kill 41\noom_group_kill 0\n");
    memory_watch_begin(&watch, root);
    ck_assert_msg(strcmp(watch.witness, kinds[_i].witness) == 0, "%s: %s", kinds[_i].label, watch.witness);
    int64_t before = clock_wall_ms();
    ck_assert(!memory_watch_killed_since(&watch, before - 1000)); /* those 41 were before us */
    put(kinds[_i].file, "oom 3\noom_kill 42\n");
    ck_assert(memory_watch_killed_since(&watch, before));
    ck_assert(!memory_watch_killed_since(&watch, clock_wall_ms() + 1)); /* not for who starts later */
    memory_watch_clear(&watch);
}
END_TEST

START_TEST(a_kill_that_was_seen_in_passing_counts_too)
{
    struct memory_watch watch;
    put("proc/self/cgroup", "");
    put("proc/vmstat", "oom_kill 0\n");
    memory_watch_begin(&watch, root);
    int64_t before = clock_wall_ms();
    put("proc/vmstat", "oom_kill 1\n");
    memory_watch_look(&watch);
    int64_t after = clock_wall_ms();
    ck_assert(memory_watch_killed_since(&watch, before));
    ck_assert(!memory_watch_killed_since(&watch, after + 1));
    memory_watch_clear(&watch);
}
END_TEST

START_TEST(without_a_counter_nothing_is_said)
{
    struct memory_watch watch;
    memory_watch_begin(&watch, root);
    ck_assert(!memory_watch_killed_since(&watch, 0));
    put("proc/vmstat", "oom_kill many\n");
    memory_watch_clear(&watch);
    memory_watch_begin(&watch, root);
    memory_watch_look(&watch);
    ck_assert(!memory_watch_killed_since(&watch, 0));
    memory_watch_clear(&watch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory watch");
    TCase *cases = tcase_create("memory watch");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, a_kill_counts_for_who_ran_then, 0, sizeof kinds / sizeof kinds[0]);
    tcase_add_test(cases, a_kill_that_was_seen_in_passing_counts_too);
    tcase_add_test(cases, without_a_counter_nothing_is_said);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
