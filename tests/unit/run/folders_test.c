/* SPDX-License-Identifier: BSD-3-Clause */
/* Working and output folders that cannot be: told before the first stage, and nothing is made. */
#include "run_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static const struct {
    const char *working, *output; /* as the file says them */
    const char *message;          /* "@": base; NULL: fine */
} cases[] = {
    {"work", "out", NULL},
    {"work", "work/results", NULL},
    {"work/deep/er", ".", NULL},
    {"file", "out", "'working' cannot be '@/file': '@/file' is not a folder"},
    {"file/in/it", "out", "'working' cannot be '@/file/in/it': '@/file' is not a folder"},
    {"work", "file", "'output' cannot be '@/file': '@/file' is not a folder"},
    {"work", "locked/out", "'output' cannot be '@/locked/out': nothing can be made in '@/locked': Permission denied"},
    {"work", "work", "'output' and 'working' are the same folder '@/work'"},
    {"work", "work/data/x", "'output' cannot be '@/work/data/x': '@/work/data' is where stages publish their outputs"},
    {"work", "work/.descpipe", "'output' cannot be '@/work/.descpipe': '@/work/.descpipe' is where runs are kept"},
    {"work", "work/a/b", "'output' cannot be '@/work/a/b': '@/work/a' is the folder of the stage of that name"},
    {"link/work", "work", "'output' and 'working' are the same folder '@/work'"},
};

START_TEST(judges_both_folders_before_the_start)
{
    if (strstr(cases[_i].output, "locked") != NULL && geteuid() == 0)
        return; /* the superuser may write everywhere; an ordinary user runs this too */
    ck_assert(file_write("file", "", 0, 0600, NULL));
    ck_assert(folder_make("locked", 0755, NULL));
    ck_assert_int_eq(chmod("locked", 0555), 0);
    ck_assert_int_eq(symlink(".", "link"), 0);
    cleanup(text_clear) struct text file = TEXT_INIT;
    text_format(&file,
                "pipeline: {name: test, owner: nobody, basename: test, version: 1, stages: [a]}\n"
                "runtime: {working: %s, output: %s}\n"
                "a: {command: ['true']}\n",
                cases[_i].working, cases[_i].output);
    ck_assert(file_write("pipeline.yaml", file.bytes, file.length, 0600, NULL));
    cleanup(descriptor_close) int kept = dup(STDERR_FILENO);
    cleanup(descriptor_close) int said = open("said", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(dup2(said, STDERR_FILENO), STDERR_FILENO);
    int status = run_all(&(struct run_setup){.scheduler = "sequential"}, NULL);
    ck_assert_int_eq(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    ck_assert_int_eq(chmod("locked", 0755), 0);
    cleanup(memory_free) char *text = read_text("said");
    if (cases[_i].message == NULL) {
        ck_assert_msg(status == 0, "%s", text);
        return;
    }
    ck_assert_int_eq(status, 2);
    ck_assert(!file_exists("work") && !file_exists("out"));
    cleanup(text_clear) struct text expected = TEXT_INIT;
    text_append(&expected, "descpipe: error: ");
    for (const char *at = cases[_i].message; *at != '\0'; at++) {
        if (*at == '@')
            text_append(&expected, base);
        else
            text_append_character(&expected, *at);
    }
    text_append_character(&expected, '\n');
    ck_assert_msg(strstr(text, expected.bytes) != NULL, "expected %s in %s", expected.bytes, text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("folders");
    for (int ordinary = 0; ordinary < 2; ordinary++) {
        if (ordinary && !ordinary_user_can_run())
            break;
        TCase *tests = tcase_create(ordinary ? "folders, as an ordinary user" : "folders");
        tcase_add_checked_fixture(tests, ordinary ? fixture_set_up_ordinary : fixture_set_up, fixture_tear_down);
        tcase_add_loop_test(tests, judges_both_folders_before_the_start, 0, sizeof cases / sizeof *cases);
        suite_add_tcase(suite, tests);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
