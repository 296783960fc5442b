/* SPDX-License-Identifier: BSD-3-Clause */
/* Run folders: their names, and how they are found again with and without the index. */
#include "run/journal/run_folder.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "run/journal/journal.h"

static char *base;

static void set_up(void)
{
    char folder[256];
    const char *temporary = secure_getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/folder-test-XXXXXX", temporary != NULL ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    base = path_real(folder, NULL);
    cleanup(memory_free) char *state = path_join(base, "state");
    setenv("XDG_STATE_HOME", state, 1);
    cleanup(memory_free) char *project = path_join(base, "project");
    ck_assert(folder_make(project, 0755, NULL));
    ck_assert_int_eq(chdir(project), 0);
}

static void tear_down(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    struct error error = ERROR_INIT;
    ck_assert_msg(folder_remove(base, &error), "%s", error.message);
    memory_free(base);
}

/* A run with a journal in project/WORKING, in the index when `pipeline` is not NULL. Returns its folder. */
static char *add_run(const char *working, const char *id, const char *pipeline, const char *started_in)
{
    char *folder = memory_format("%s/project/%s/.descpipe/runs/%s", base, working, id);
    ck_assert(folder_make(folder, 0700, NULL));
    cleanup(memory_free) char *journal = path_join(folder, JOURNAL_FILE);
    ck_assert(file_write(journal, "", 0, 0600, NULL));
    if (pipeline != NULL) {
        cleanup(memory_free) char *index = run_index_folder();
        cleanup(memory_free) char *file = path_join(base, pipeline);
        cleanup(memory_free) char *from = path_join(base, started_in);
        char own_id[RUN_ID_LENGTH + 1];
        snprintf(own_id, sizeof own_id, "%s", id);
        struct run_index_entry entry = {own_id, folder, file, from};
        struct error error = ERROR_INIT;
        ck_assert_msg(run_index_add(index, &entry, &error), "%s", error.message);
    }
    return folder;
}

#define ONE "20261121-063012-aaaaaa"
#define TWO "20261121-063013-bbbbbb"
#define THREE "20261122-000000-cccccc"

static void expect_found(const char *what, const char *expected)
{
    char *folder = NULL;
    struct error error = ERROR_INIT;
    ck_assert_msg(run_find(what, &folder, &error), "%s: %s", what != NULL ? what : "(latest)", error.message);
    ck_assert_str_eq(folder, expected);
    memory_free(folder);
}

static void expect_refused(const char *what, const char *message)
{
    char *folder = NULL;
    struct error error = ERROR_INIT;
    ck_assert(!run_find(what, &folder, &error));
    ck_assert_ptr_null(folder);
    ck_assert_str_eq(error.message, message);
    ck_assert_int_eq(error.kind, ERROR_INPUT);
    error_clear(&error);
}

START_TEST(makes_a_private_folder_with_a_sortable_name)
{
    cleanup(memory_free) char *working = path_join(base, "project/work");
    struct run_folder folder, other;
    struct error error = ERROR_INIT;
    ck_assert_msg(run_folder_make(working, false, &folder, &error), "%s", error.message);
    ck_assert(run_folder_make(working, false, &other, &error));
    ck_assert(run_id_is_valid(folder.id));
    ck_assert_str_ne(folder.id, other.id);
    struct stat status;
    ck_assert_int_eq(stat(folder.path, &status), 0);
    ck_assert_int_eq(status.st_mode & 07777, 0700);
    ck_assert(text_ends_with(folder.path, folder.id));
    run_folder_clear(&folder);
    run_folder_clear(&other);
}
END_TEST

START_TEST(a_later_run_has_the_later_name)
{
    /* Between one look at the clock and the next of another millisecond, whatever second it is. */
    cleanup(memory_free) char *working = path_join(base, "project/work");
    char before[RUN_ID_LENGTH + 1] = "";
    for (unsigned i = 0; i < 50; i++) {
        struct run_folder folder;
        ck_assert(run_folder_make(working, false, &folder, NULL));
        ck_assert_msg(strcmp(before, folder.id) < 0, "'%s' comes after '%s'", before, folder.id);
        memcpy(before, folder.id, sizeof before);
        run_folder_clear(&folder);
        for (int64_t now = clock_wall_ms(); clock_wall_ms() == now;)
            ;
    }
}
END_TEST

START_TEST(names_the_folder_it_cannot_make)
{
    cleanup(memory_free) char *working = path_join(base, "file");
    ck_assert(file_write(working, "", 0, 0600, NULL));
    struct run_folder folder;
    struct error error = ERROR_INIT;
    ck_assert(!run_folder_make(working, false, &folder, &error));
    ck_assert_msg(strstr(error.message, working) != NULL, "%s", error.message);
    ck_assert_int_eq(error.kind, ERROR_SYSTEM);
    error_clear(&error);
}
END_TEST

static const struct {
    const char *id;
    bool valid;
} ids[] = {{"20261121-063012-k3f9m2", true},  {"", false},
           {"20261121-063012-k3f9m", false},  {"20261121-063012-k3f9m22", false},
           {"20261121-063012-K3F9M2", false}, {"20261121_063012-k3f9m2", false},
           {"2026112a-063012-k3f9m2", false}, {"20261121-063012-k3/9m2", false},
           {"......................", false}};

START_TEST(knows_an_id)
{
    ck_assert_msg(run_id_is_valid(ids[_i].id) == ids[_i].valid, "%s", ids[_i].id);
}
END_TEST

START_TEST(names_attempts)
{
    cleanup(text_clear) struct text name = TEXT_INIT;
    run_attempt_name(&name, "tomography", NULL, 1);
    ck_assert_str_eq(name.bytes, "tomography.1");
    text_reset(&name);
    run_attempt_name(&name, "tomography", "g-0.5", 12);
    ck_assert_str_eq(name.bytes, "tomography.g-0.5.12");
}
END_TEST

START_TEST(finds_by_id_prefix_folder_and_pipeline)
{
    cleanup(memory_free) char *file = path_join(base, "p.yaml");
    ck_assert(file_write(file, "", 0, 0600, NULL));
    cleanup(memory_free) char *one = add_run("work", ONE, "p.yaml", "project");
    cleanup(memory_free) char *two = add_run("work", TWO, "p.yaml", "project");
    cleanup(memory_free) char *three = add_run("elsewhere", THREE, "q.yaml", "other");
    expect_found(ONE, one);
    expect_found("20261121-063013", two);
    expect_found("20261122", three);
    expect_found(three, three);
    expect_found("work", two);
    expect_found(file, two);
    expect_found(NULL, two); /* `three` was not started from here */
    expect_refused("2026", "'2026' is the beginning of several runs, " THREE " and " TWO " among them");
    expect_refused("nonesuch", "there is no run 'nonesuch'");
}
END_TEST

START_TEST(finds_without_the_index)
{
    cleanup(memory_free) char *one = add_run("work", ONE, NULL, NULL);
    cleanup(memory_free) char *two = add_run("work", TWO, NULL, NULL);
    expect_found(ONE, one);
    expect_found(NULL, two);
    cleanup(memory_free) char *file = path_join(base, "p.yaml");
    ck_assert(file_write(file, "", 0, 0600, NULL));
    cleanup(memory_free) char *message = memory_format("no run of the pipeline '%s' is known", file);
    expect_refused(file, message);
}
END_TEST

START_TEST(says_that_there_is_none)
{
    expect_refused(NULL, "no run was started from this folder");
    ck_assert(folder_make("empty", 0755, NULL));
    expect_refused("empty", "'empty' is neither a run folder nor a working folder with runs");
}
END_TEST

START_TEST(forgets_runs_whose_folder_is_gone)
{
    cleanup(memory_free) char *one = add_run("work", ONE, "p.yaml", "project");
    cleanup(memory_free) char *two = add_run("work", TWO, "p.yaml", "project");
    ck_assert(folder_remove(two, NULL));
    expect_found(NULL, one);
    expect_refused(TWO, "there is no run '" TWO "'");
}
END_TEST

START_TEST(keeps_the_index_bounded)
{
    cleanup(memory_free) char *index = run_index_folder();
    ck_assert(folder_make(index, 0700, NULL));
    for (unsigned i = 0; i < RUN_INDEX_LIMIT; i++) {
        cleanup(memory_free) char *old = memory_format("%s/20200101-%06u-aaaaaa", index, i);
        ck_assert(file_write(old, "a\nb\nc\n", 6, 0600, NULL));
    }
    cleanup(memory_free) char *one = add_run("work", ONE, "p.yaml", "project");
    cleanup(memory_free) char *oldest = path_join(index, "20200101-000000-aaaaaa");
    cleanup(memory_free) char *second = path_join(index, "20200101-000001-aaaaaa");
    ck_assert(!file_exists(oldest));
    ck_assert(file_exists(second));
    expect_found(ONE, one);
}
END_TEST

START_TEST(damaged_entries_of_the_index_are_passed_over)
{
    memory_free(add_run("work", ONE, "p.yaml", "project"));
    cleanup(memory_free) char *index = run_index_folder();
    cleanup(memory_free) char *torn = path_join(index, TWO);
    ck_assert(file_write(torn, "/nowhere\n", 9, 0600, NULL));
    cleanup(memory_free) char *empty = path_join(index, THREE);
    ck_assert(file_write(empty, "", 0, 0600, NULL));
    struct run_index_entry *entries;
    size_t count = run_index_read(index, &entries);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(entries[0].id, ONE);
    run_index_entry_clear(&entries[0]);
    memory_free(entries);
}
END_TEST

START_TEST(a_path_with_a_newline_is_not_indexed)
{
    cleanup(memory_free) char *index = run_index_folder();
    char id[] = ONE, odd[] = "/a\nb", path[] = "/p";
    struct run_index_entry entry = {id, odd, path, path};
    struct error error = ERROR_INIT;
    ck_assert(!run_index_add(index, &entry, &error));
    ck_assert_str_eq(error.message, "run " ONE " is not in the index of runs: a path of it has a newline");
    error_clear(&error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_folder");
    TCase *cases = tcase_create("run_folder");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 30);
    tcase_add_test(cases, makes_a_private_folder_with_a_sortable_name);
    tcase_add_test(cases, a_later_run_has_the_later_name);
    tcase_add_test(cases, names_the_folder_it_cannot_make);
    tcase_add_loop_test(cases, knows_an_id, 0, sizeof ids / sizeof *ids);
    tcase_add_test(cases, names_attempts);
    tcase_add_test(cases, finds_by_id_prefix_folder_and_pipeline);
    tcase_add_test(cases, finds_without_the_index);
    tcase_add_test(cases, says_that_there_is_none);
    tcase_add_test(cases, forgets_runs_whose_folder_is_gone);
    tcase_add_test(cases, keeps_the_index_bounded);
    tcase_add_test(cases, damaged_entries_of_the_index_are_passed_over);
    tcase_add_test(cases, a_path_with_a_newline_is_not_indexed);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
