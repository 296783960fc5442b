/* SPDX-License-Identifier: BSD-3-Clause */
/* Many scripts in one file: each job gets its own, by the real shell, and half of one is none. */
#include "run/elsewhere/job_scripts.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#define COUNT 3
#define SAID_LIMIT (1 << 16)

static char folder[64], scripts_path[96], picker_path[96], said_path[96];
static struct job_part parts[COUNT + 1];

static void set_up(void)
{
    memcpy(folder, "/tmp/descpipe-jobs it's-XXXXXX", 31);
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(scripts_path, sizeof scripts_path, "%s/scripts", folder);
    snprintf(picker_path, sizeof picker_path, "%s/job.sh", folder);
    snprintf(said_path, sizeof said_path, "%s/said", folder);
}

static void tear_down(void)
{
    ck_assert(folder_remove(folder, NULL));
}

static void write_picker(const struct job_part *list, uint32_t count)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    job_scripts_print_picker(picker_path, scripts_path, list, count, &text);
    ck_assert(file_write(picker_path, text_bytes(&text), text.length, 0700, NULL));
}

/* Position 2 has none. */
static void write_all(const char *const *scripts)
{
    struct job_scripts all = {0};
    memset(parts, 0, sizeof parts);
    for (uint32_t i = 0; i < COUNT; i++) {
        cleanup(text_clear) struct text script = TEXT_INIT;
        text_append(&script, scripts[i]);
        ck_assert(job_scripts_add(&all, scripts_path, &script, &parts[i < 2 ? i : 3], NULL));
    }
    ck_assert(job_scripts_finish(&all, NULL));
    job_scripts_clear(&all);
    write_picker(parts, COUNT + 1);
}

static int run(const char *position, const char *rank, struct text *said)
{
    int status = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        char index[64];
        snprintf(index, sizeof index, "DESCPIPE_INDEX=%s", position != NULL ? position : "none");
        if (freopen(said_path, "w", stdout) == NULL || dup2(1, 2) < 0)
            _exit(99);
        char number[16];
        snprintf(number, sizeof number, "%s", rank != NULL ? rank : "");
        char *const argv[] = {(char[]){"sh"}, picker_path, rank != NULL ? (char[]){"rank"} : NULL, number, NULL};
        char *const environment[] = {position != NULL ? index : NULL, NULL};
        execve("/bin/sh", argv, environment);
        _exit(98);
    }
    ck_assert(waitpid(child, &status, 0) == child && WIFEXITED(status));
    ck_assert(file_read(said_path, SAID_LIMIT, said, NULL));
    return WEXITSTATUS(status);
}

static const char *const three[COUNT] = {
    "printf '%s|' 'it''s' \"a\nb\" '# whole\n' '$(id)'\nexit 3\n",
    "echo \"second $1\"\nfalse\n",
    "echo \"$script\"\ncat <<'END'\n\xc3\xa9\xff `id`\nEND\n",
};

START_TEST(each_position_is_its_own_script)
{
    cleanup(text_clear) struct text first = TEXT_INIT, second = TEXT_INIT, last = TEXT_INIT, path = TEXT_INIT;
    write_all(three);
    ck_assert_int_eq(run("0", NULL, &first), 3);
    ck_assert_str_eq(text_bytes(&first), "its|a\nb|# whole\n|$(id)|");
    ck_assert_int_eq(run("1", NULL, &second), 1);
    ck_assert_str_eq(text_bytes(&second), "second \n");
    ck_assert_int_eq(run("3", NULL, &last), 0);
    text_format(&path, "%s\n\xc3\xa9\xff `id`\n", picker_path);
    ck_assert_str_eq(text_bytes(&last), text_bytes(&path));
}
END_TEST

START_TEST(a_rank_is_told_its_position)
{
    cleanup(text_clear) struct text said = TEXT_INIT;
    write_all(three);
    ck_assert_int_eq(run(NULL, "1", &said), 1);
    ck_assert_str_eq(text_bytes(&said), "second rank\n");
}
END_TEST

START_TEST(a_position_without_a_script_runs_nothing)
{
    static const char *const positions[] = {"2", "4", "", "0 ", "*", NULL};
    write_all(three);
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        cleanup(text_clear) struct text said = TEXT_INIT;
        ck_assert_int_eq(run(positions[i], NULL, &said), 1);
        ck_assert_msg(strstr(text_bytes(&said), "descpipe: there is no job ") != NULL, "%s", text_bytes(&said));
    }
}
END_TEST

START_TEST(half_a_script_runs_not_at_all)
{
    cleanup(text_clear) struct text said = TEXT_INIT, none = TEXT_INIT, whole = TEXT_INIT;
    write_all(three);
    ck_assert_int_eq(truncate(scripts_path, (off_t)(parts[1].at + parts[1].length - 2)), 0);
    ck_assert_int_eq(run("0", NULL, &whole), 3);
    ck_assert_int_eq(run("1", NULL, &said), 1);
    ck_assert_msg(strstr(text_bytes(&said), "descpipe: job '1' is not, or not whole, in ") != NULL, "%s",
                  text_bytes(&said));
    ck_assert_int_eq(unlink(scripts_path), 0);
    ck_assert_int_eq(run("0", NULL, &none), 1);
    ck_assert(strstr(text_bytes(&none), "is not, or not whole, in ") != NULL);
}
END_TEST

/* Jobs that go with another submission keep their scripts where they are, at other positions. */
START_TEST(another_file_may_lead_to_the_same_scripts)
{
    cleanup(text_clear) struct text said = TEXT_INIT;
    write_all(three);
    write_picker(&parts[1], 1);
    ck_assert_int_eq(run("0", NULL, &said), 1);
    ck_assert_str_eq(text_bytes(&said), "second \n");
}
END_TEST

START_TEST(a_file_that_is_there_is_left_to_whoever_reads_it)
{
    struct stat before, after;
    write_all(three);
    cleanup(descriptor_close) int reader = open(scripts_path, O_RDONLY | O_CLOEXEC);
    write_all(three);
    ck_assert_int_eq(fstat(reader, &before), 0);
    ck_assert_int_eq(stat(scripts_path, &after), 0);
    ck_assert_uint_ne(before.st_ino, after.st_ino);
    ck_assert_int_eq(before.st_size, after.st_size);
    ck_assert_uint_eq(after.st_mode & 0777, 0600);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run/job_scripts");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, each_position_is_its_own_script);
    tcase_add_test(cases, a_rank_is_told_its_position);
    tcase_add_test(cases, a_position_without_a_script_runs_nothing);
    tcase_add_test(cases, half_a_script_runs_not_at_all);
    tcase_add_test(cases, another_file_may_lead_to_the_same_scripts);
    tcase_add_test(cases, a_file_that_is_there_is_left_to_whoever_reads_it);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
