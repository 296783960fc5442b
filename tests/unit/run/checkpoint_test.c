/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a checkpoint: which are meant, which are new, what a copy is. */
#include "run/files/checkpoint.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"

static char folder[] = "/tmp/descpipe-check[p]o*int-XXXXXX"; /* what is special in a pattern is not so in a folder */
static char *from, *to;
static const char *const patterns[] = {"state.*", "deep/*/part?", NULL};

static void set_up(void)
{
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    from = path_join(folder, "from");
    to = path_join(folder, "to");
    ck_assert(mkdir(from, 0777) == 0 && mkdir(to, 0777) == 0);
}

static void tear_down(void)
{
    memory_free(from);
    memory_free(to);
    ck_assert(folder_remove(folder, NULL));
}

static void make(const char *where, const char *name, const char *content)
{
    cleanup(memory_free) char *path = path_join(where, name), *parent = path_folder(path);
    ck_assert(folder_make(parent, 0777, NULL) && file_write(path, content, strlen(content), 0644, NULL));
}

static bool has(const char *where, const char *name)
{
    cleanup(memory_free) char *path = path_join(where, name);
    struct stat status;
    return lstat(path, &status) == 0;
}

START_TEST(what_matches_is_copied_and_nothing_else)
{
    make(from, "state.h5", "one");
    make(from, "deep/er/part1", "two");
    make(from, "deep/er/part10", "no");
    make(from, "model.txt", "no");
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_msg(checkpoint_copy(from, to, patterns, &error), "%s", error.message);
    ck_assert(has(to, "state.h5") && has(to, "deep/er/part1"));
    ck_assert(!has(to, "deep/er/part10") && !has(to, "model.txt"));
    checkpoint_remove(from, patterns);
    ck_assert(!has(from, "state.h5") && !has(from, "deep/er/part1"));
    ck_assert(has(from, "model.txt") && has(from, "deep/er/part10"));
    checkpoint_remove("/no/such/folder", patterns);
}
END_TEST

/* A stage that writes in place into what it was given must not spoil what the one before it left. */
START_TEST(a_copy_is_a_file_of_its_own_and_is_not_new)
{
    make(from, "state.h5", "one");
    ck_assert(checkpoint_is_new(from, NULL, patterns));
    ck_assert(!checkpoint_is_new(to, NULL, patterns));
    ck_assert(checkpoint_copy(from, to, patterns, NULL));
    cleanup(memory_free) char *old = path_join(from, "state.h5"), *copy = path_join(to, "state.h5");
    struct stat one, other;
    ck_assert(stat(old, &one) == 0 && stat(copy, &other) == 0);
    ck_assert(one.st_ino != other.st_ino);
    ck_assert(!checkpoint_is_new(to, from, patterns));
    const struct timespec later[2] = {{.tv_sec = one.st_mtim.tv_sec + 1}, {.tv_sec = one.st_mtim.tv_sec + 1}};
    ck_assert_int_eq(utimensat(AT_FDCWD, copy, later, 0), 0);
    ck_assert(checkpoint_is_new(to, from, patterns));
}
END_TEST

START_TEST(another_file_or_another_size_is_new)
{
    make(from, "state.h5", "one");
    ck_assert(checkpoint_copy(from, to, patterns, NULL));
    make(to, "deep/er/part2", "x");
    ck_assert(checkpoint_is_new(to, from, patterns));
    checkpoint_remove(to, patterns);
    ck_assert(!checkpoint_is_new(to, from, patterns)); /* none is no new one */
}
END_TEST

/* Links that a stage made in its container would lead our hand through the machine. */
START_TEST(links_lead_nowhere)
{
    make(folder, "elsewhere/er/part1", "not the stage's");
    make(folder, "elsewhere/secret", "not the stage's");
    cleanup(memory_free) char *link = path_join(from, "state.link"), *deep = path_join(from, "deep");
    ck_assert(symlink("../elsewhere/secret", link) == 0 && symlink("../elsewhere", deep) == 0);
    ck_assert(!checkpoint_is_new(from, NULL, patterns));
    ck_assert(checkpoint_copy(from, to, patterns, NULL));
    ck_assert(!has(to, "state.link") && !has(to, "deep"));
    checkpoint_remove(from, patterns);
    ck_assert(has(folder, "elsewhere/er/part1"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tests = tcase_create("checkpoint");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_matches_is_copied_and_nothing_else);
    tcase_add_test(tests, a_copy_is_a_file_of_its_own_and_is_not_new);
    tcase_add_test(tests, another_file_or_another_size_is_new);
    tcase_add_test(tests, links_lead_nowhere);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
