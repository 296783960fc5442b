/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stage gets at its start: secrets that a command prints, a scratch folder. */
#include "run_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

/* `command` is the secret's, as a YAML list. */
static void write_secret(const char *command)
{
    cleanup(memory_free) char *user = memory_format("secrets: {vault: {command: %s}}\n", command);
    ck_assert(file_write("user.yaml", user, strlen(user), 0600, NULL));
}

START_TEST(a_command_is_asked_for_its_secret_once)
{
    cleanup(memory_free) char *command =
        memory_format("[/bin/sh, -c, 'echo asked >> %s/asked; printf \"hush-hush\\nmore\\n\"; echo loud >&2']", base);
    write_secret(command);
    write_pipeline("a, b",
                   "a: {command: [sh, -c, '[ \"$TOKEN\" = $(printf hush; printf -- -hush) ]'], size: 3, parallel: "
                   "embarrassing, env: {TOKEN: {secret: vault}}}\n"
                   "b: {command: [sh, -c, '[ \"$TOKEN\" = $(printf hush; printf -- -hush) ]'], "
                   "env: {TOKEN: {secret: vault}}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .user_file = "user.yaml"}, &folder), 0);
    cleanup(memory_free) char *asked = read_text("asked");
    ck_assert_str_eq(asked, "asked\n");
    static const char *const files[] = {"journal.jsonl", "plan.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        cleanup(memory_free) char *path = path_join(folder, files[i]);
        cleanup(memory_free) char *text = read_text(path);
        ck_assert_ptr_null(strstr(text, "hush-hush"));
    }
    memory_free(folder);
}
END_TEST

static const struct {
    const char *command, *reason;
} bad_commands[] = {
    {"[/bin/sh, -c, 'echo hush-hush; exit 3']", "secret 'vault': its command ended with exit status 3"},
    {"[/bin/sh, -c, 'kill -9 $$$']", "secret 'vault': its command ended by signal 9"},
    {"[/bin/sh, -c, 'echo hush-hush >&2']", "secret 'vault': its command printed nothing on its first line"},
    {"[/bin/sh, -c, 'printf \"a\\0b\\n\"']", "secret 'vault': its command printed a NUL on its first line"},
    {"[/bin/sh, -c, 'head -c 70000 /dev/zero | tr \"\\0\" x']",
     "secret 'vault': its command printed a first line over 64 KiB"},
};

START_TEST(a_secret_that_its_command_does_not_print_is_a_verdict)
{
    write_secret(bad_commands[_i].command);
    write_pipeline("a", "a: {command: ['true'], env: {TOKEN: {secret: vault}}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .user_file = "user.yaml"}, &folder), 5);
    cleanup(memory_free) char *reason = memory_format("its command could not be started: %s", bad_commands[_i].reason);
    expect_verdict(folder, "a", "EXIT", reason);
    memory_free(folder);
}
END_TEST

START_TEST(cancelling_does_not_wait_for_a_secret)
{
    cleanup(memory_free) char *gate = path_join(base, "gate");
    ck_assert_int_eq(mkfifo(gate, 0600), 0);
    cleanup(memory_free) char *command = memory_format("[/bin/sh, -c, 'touch %s/asked; read x < %s']", base, gate);
    write_secret(command);
    write_pipeline("a", "a: {command: ['true'], env: {TOKEN: {secret: vault}}}\n");
    struct run_front front;
    start_run(&(struct run_setup){.scheduler = "local", .user_file = "user.yaml"}, &front);
    ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    cleanup(memory_free) char *asked = path_join(base, "asked");
    ck_assert(eventually(file_is_there, asked));
    ck_assert(run_front_send(&front, RUN_CANCEL));
    char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 7);
    expect_verdict(folder, "a", "CANCELLED", "cancelled: before it started");
    memory_free(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("start");
    TCase *cases = tcase_create("start");
    tcase_add_checked_fixture(cases, fixture_set_up, fixture_tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_command_is_asked_for_its_secret_once);
    tcase_add_loop_test(cases, a_secret_that_its_command_does_not_print_is_a_verdict, 0,
                        sizeof bad_commands / sizeof *bad_commands);
    tcase_add_test(cases, cancelling_does_not_wait_for_a_secret);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
