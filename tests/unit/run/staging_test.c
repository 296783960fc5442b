/* SPDX-License-Identifier: BSD-3-Clause */
/* Files in and out of an attempt. */
#include "run/files/staging.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"

static void set_up(void)
{
    char folder[256];
    const char *temporary = secure_getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/staging-test-XXXXXX", temporary != NULL ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void tear_down(void)
{
    char *here = getcwd(NULL, 0);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert(folder_remove(here, NULL));
    memory_free(here);
}

static void make_file(const char *path, const char *text)
{
    ck_assert(file_write(path, text, strlen(text), 0644, NULL));
}

static void expect_file(const char *path, const char *expected)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    struct error error = ERROR_INIT;
    ck_assert_msg(file_read(path, 1 << 20, &text, &error), "%s", error.message);
    ck_assert_str_eq(text_bytes(&text), expected);
}

static ino_t inode(const char *path)
{
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    return status.st_ino;
}

static const struct {
    const char *tag, *suffix, *name;
} names[] = {{"shear", "fits", "shear.fits"},
             {"plots", "/", "plots"},
             {"cube", "zarr/", "cube.zarr"},
             {"x", "tar.gz", "x.tar.gz"}};

START_TEST(names_files_by_tag_and_suffix)
{
    cleanup(text_clear) struct text name = TEXT_INIT;
    task_file_append_name(&name, names[_i].tag, names[_i].suffix);
    ck_assert_str_eq(name.bytes, names[_i].name);
}
END_TEST

START_TEST(links_only_when_the_stage_cannot_write_through_it)
{
    make_file("data.txt", "one");
    make_file("settings.yaml", "a: 1");
    const struct task_file input = {.from = "data.txt", .name = "x.txt"};
    const struct task_file config = {.from = "settings.yaml", .name = "config.yaml"};
    const struct staging_in in = {.folder = "stage",
                                  .may_link = _i == 1,
                                  .inputs = {&input, 1},
                                  .configs = {&config, 1},
                                  .script_name = "script",
                                  .script = "echo"};
    enum verdict verdict = VERDICT_OK;
    struct error error = ERROR_INIT;
    ck_assert_msg(staging_bring_in(&in, &verdict, &error), "%s", error.message);
    expect_file("stage/input/x.txt", "one");
    expect_file("stage/config/config.yaml", "a: 1");
    expect_file("stage/config/script", "echo");
    ck_assert_int_eq(inode("stage/input/x.txt") == inode("data.txt"), _i == 1);
    ck_assert_uint_ne(inode("stage/config/config.yaml"), inode("settings.yaml"));
}
END_TEST

START_TEST(what_an_earlier_attempt_had_is_gone)
{
    ck_assert(folder_make("stage/input/old", 0755, NULL));
    make_file("stage/input/old/x", "");
    make_file("data.txt", "one");
    const struct task_file input = {.from = "data.txt", .name = "x.txt"};
    enum verdict verdict = VERDICT_OK;
    ck_assert(staging_bring_in(&(struct staging_in){.folder = "stage", .inputs = {&input, 1}}, &verdict, NULL));
    ck_assert(!file_exists("stage/input/old"));
    expect_file("stage/input/x.txt", "one");
}
END_TEST

START_TEST(folders_and_links_to_data_are_brought_in)
{
    ck_assert(folder_make("store/sub", 0755, NULL));
    make_file("store/sub/x", "deep");
    make_file("real.txt", "one");
    ck_assert_int_eq(symlink("real.txt", "link.txt"), 0);
    const struct task_file inputs[] = {{.from = "store", .name = "tree", .is_folder = true},
                                       {.from = "link.txt", .name = "x.txt"}};
    enum verdict verdict = VERDICT_OK;
    struct error error = ERROR_INIT;
    ck_assert_msg(staging_bring_in(&(struct staging_in){.folder = "stage", .inputs = {inputs, 2}}, &verdict, &error),
                  "%s", error.message);
    expect_file("stage/input/tree/sub/x", "deep");
    expect_file("stage/input/x.txt", "one");
}
END_TEST

START_TEST(names_the_input_that_is_gone)
{
    const struct task_file input = {.from = "nowhere.txt", .name = "x.txt"};
    enum verdict verdict = VERDICT_OK;
    struct error error = ERROR_INIT;
    ck_assert(!staging_bring_in(&(struct staging_in){.folder = "stage", .inputs = {&input, 1}}, &verdict, &error));
    ck_assert_int_eq(verdict, VERDICT_STAGE_IN);
    ck_assert_ptr_nonnull(strstr(error.message, "nowhere.txt"));
    error_clear(&error);
}
END_TEST

static struct staging_out one_output(struct staging_output *output)
{
    return (struct staging_out){.attempt = "attempt",
                                .link = "stage/output",
                                .link_target = "../attempt",
                                .outputs = output,
                                .outputs_count = 1};
}

START_TEST(publishes_in_one_step_and_points_to_the_winner)
{
    ck_assert(folder_make("attempt", 0755, NULL));
    ck_assert(folder_make("data", 0755, NULL));
    make_file("attempt/x.txt", "new");
    make_file("data/x.txt", "old");
    struct staging_output output = {.tag = "x", .suffix = "txt", .name = "x.txt", .published = "data/x.txt"};
    struct staging_out out = one_output(&output);
    enum verdict verdict = VERDICT_OK;
    cleanup(text_clear) struct text reason = TEXT_INIT;
    ck_assert(staging_look(&out, &verdict, &reason));
    ck_assert_uint_eq(output.bytes, 3);
    for (int again = 0; again < 2; again++) { /* also over a link of its own */
        struct error error = ERROR_INIT;
        ck_assert_msg(staging_publish(&out, &verdict, &error), "%s", error.message);
        expect_file("data/x.txt", "new");
        expect_file("stage/output/x.txt", "new");
    }
}
END_TEST

START_TEST(a_folder_in_the_place_of_the_link_stays)
{
    ck_assert(folder_make("attempt", 0755, NULL));
    ck_assert(folder_make("stage/output", 0755, NULL));
    make_file("attempt/x.txt", "new");
    if (_i == 1)
        make_file("stage/output/precious", "mine");
    struct staging_output output = {.tag = "x", .suffix = "txt", .name = "x.txt", .published = "data/x.txt"};
    struct staging_out out = one_output(&output);
    enum verdict verdict = VERDICT_OK;
    ck_assert(staging_publish(&out, &verdict, NULL));
    expect_file("data/x.txt", "new");
    if (_i == 1)
        expect_file("stage/output/precious", "mine");
    else
        expect_file("stage/output/x.txt", "new");
}
END_TEST

START_TEST(looks_at_the_type_of_an_output)
{
    ck_assert(folder_make("attempt", 0755, NULL));
    make_file("attempt/x.fits", "this is no FITS file at all");
    struct staging_output output = {.tag = "x", .suffix = "fits", .name = "x.fits", .published = "data/x.fits"};
    struct staging_out out = one_output(&output);
    enum verdict verdict = VERDICT_OK;
    cleanup(text_clear) struct text reason = TEXT_INIT;
    ck_assert(!staging_look(&out, &verdict, &reason));
    ck_assert_int_eq(verdict, VERDICT_OUTPUT_MISSING);
    ck_assert_str_eq(reason.bytes, "its output 'x.fits' is there, but is not FITS: its first bytes are others");
}
END_TEST

static const struct {
    const char *name, *suffix;
    const char *reason; /* NULL: it fits */
} typed[] = {
    {"x.fits", "fits", "its input 'x.fits' (from '@/x.fits') is not FITS: its first bytes are others"},
    {"x.json", "json", "its input 'x.json' (from '@/x.json') is not JSON: line 1, column 1: invalid token near '?'"},
    {"x", "/", "its input 'x' (from '@/x') is not a folder"},
    {"x.txt", "txt", NULL},
};

START_TEST(looks_at_the_type_of_every_input)
{
    make_file(typed[_i].name, "?? no file of any type");
    cleanup(memory_free) char *here = path_real(".", NULL), *from = path_join(here, typed[_i].name);
    const struct task_file input = {.from = from, .name = typed[_i].name, .suffix = typed[_i].suffix};
    const struct staging_in in = {.folder = "stage", .inputs = {&input, 1}};
    enum verdict verdict = VERDICT_OK;
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_int_eq(staging_bring_in(&in, &verdict, &error), typed[_i].reason == NULL);
    ck_assert_int_eq(verdict, typed[_i].reason == NULL ? VERDICT_OK : VERDICT_STAGE_IN);
    if (typed[_i].reason == NULL)
        return;
    const char *at = strchr(typed[_i].reason, '@');
    cleanup(memory_free) char *expected =
        memory_format("%.*s%s%s", (int)(at - typed[_i].reason), typed[_i].reason, here, at + 1);
    ck_assert_str_eq(error.message, expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("staging");
    TCase *cases = tcase_create("staging");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, names_files_by_tag_and_suffix, 0, 4);
    tcase_add_loop_test(cases, links_only_when_the_stage_cannot_write_through_it, 0, 2);
    tcase_add_test(cases, what_an_earlier_attempt_had_is_gone);
    tcase_add_test(cases, folders_and_links_to_data_are_brought_in);
    tcase_add_test(cases, names_the_input_that_is_gone);
    tcase_add_test(cases, publishes_in_one_step_and_points_to_the_winner);
    tcase_add_loop_test(cases, a_folder_in_the_place_of_the_link_stays, 0, 2);
    tcase_add_test(cases, looks_at_the_type_of_an_output);
    tcase_add_loop_test(cases, looks_at_the_type_of_every_input, 0, sizeof typed / sizeof *typed);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
