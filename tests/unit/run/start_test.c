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
    cleanup(memory_free) char *reason = memory_format("it could not be started: %s", bad_commands[_i].reason);
    expect_verdict(folder, "a", "STAGE_IN", reason);
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

/* Runs with a folder of the test's own as TMPDIR. */
static void use_temporary_folder(void)
{
    cleanup(memory_free) char *folder = path_join(base, "tmp");
    ck_assert_int_eq(mkdir(folder, 0755), 0);
    ck_assert_int_eq(setenv("TMPDIR", folder, 1), 0);
}

static unsigned files_in(const char *path)
{
    DIR *folder = opendir(path);
    unsigned count = 0;
    ck_assert_ptr_nonnull(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += !text_equal(entry->d_name, ".") && !text_equal(entry->d_name, "..");
    closedir(folder);
    return count;
}

#define SCRATCH_COMMAND                                                                                                \
    "command: [sh, -c, 'mkdir $TMPDIR/deep && echo x > $TMPDIR/deep/file && echo $TMPDIR > $DESC_OUTPUT/where.txt; "   \
    "stat -c %%a $TMPDIR > $DESC_OUTPUT/mode.txt; exit %d'], outputs: {where: txt, mode: txt}, scratch: 1MiB"

START_TEST(a_scratch_folder_is_private_and_goes_with_its_attempt)
{
    use_temporary_folder();
    int status = _i == 0 ? 0 : 3;
    cleanup(memory_free) char *section = memory_format("a: {" SCRATCH_COMMAND "}\n", status);
    write_pipeline("a", section);
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), _i == 0 ? 0 : 5);
    ck_assert_uint_eq(files_in("tmp"), 0);
    cleanup(memory_free) char *path = memory_format("%s/attempts/000/a.1/where.txt", folder);
    cleanup(memory_free) char *mode_path = memory_format("%s/attempts/000/a.1/mode.txt", folder);
    cleanup(memory_free) char *where = read_text(path), *mode = read_text(mode_path);
    cleanup(memory_free) char *expected = memory_format("%s/tmp/descpipe-scratch-%u-", base, (unsigned)getuid());
    ck_assert_msg(text_starts_with(where, expected), "%s", where);
    ck_assert_str_eq(mode, "700\n");
    memory_free(folder);
}
END_TEST

START_TEST(a_container_has_its_scratch_folder_at_one_place)
{
    cleanup(memory_free) char *tool = process_find("bwrap");
    if (tool == NULL || !file_exists(BUILD_FOLDER "/plugins-built/runtime-native.so")) {
        fprintf(stderr, "SKIPPED: a_container_has_its_scratch_folder_at_one_place needs bubblewrap\n");
        return;
    }
    use_temporary_folder();
    cleanup(memory_free) char *section = memory_format("a: {image: 'rootfs:/', " SCRATCH_COMMAND "}\n", 0);
    write_pipeline("a", section);
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .runtime = "native"}, NULL), 0);
    cleanup(memory_free) char *where = read_text("out/where.txt");
    ck_assert_str_eq(where, "/scratch\n");
    ck_assert_uint_eq(files_in("tmp"), 0);
}
END_TEST

START_TEST(scratch_that_is_not_there_is_refused_before_the_start)
{
    use_temporary_folder();
    write_pipeline("a", "a: {command: [sh, -c, 'touch ../../../../../started'], scratch: 1024TiB}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 5);
    char *record = NULL;
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"DISK\"", &record), 1);
    cleanup(memory_free) char *expected = memory_format("its scratch folder needs 1 PiB, '%s/tmp' has ", base);
    ck_assert_msg(strstr(record, expected) != NULL, "expected %s in %s", expected, record);
    ck_assert_uint_eq(count_records(folder, "started", "", NULL), 0);
    ck_assert(!file_exists("work/started"));
    memory_free(record);
    memory_free(folder);
}
END_TEST

START_TEST(scratch_folders_of_the_dead_are_removed)
{
    use_temporary_folder();
    write_pipeline("a", "a: {command: [sh, -c, 'echo $$$$ > ../../../../../stage; kill -9 $PPID; exec sleep 600'], scratch: 1MiB}\n");
    struct run_front front;
    start_run(&(struct run_setup){.scheduler = "local"}, &front);
    while (next_news(&front) != RUN_END)
        ;
    ck_assert_uint_eq(files_in("tmp"), 1); /* its engine is dead, its stage goes on under the keeper */
    write_pipeline("b", "b: {command: ['true'], scratch: 1MiB}\n");
    const struct run_setup other = {.scheduler = "local", .working = "elsewhere"};
    ck_assert_int_eq(run_all(&other, NULL), 0);
    ck_assert_uint_eq(files_in("tmp"), 1);
    kill(front.keeper, SIGKILL);
    ck_assert_int_eq(waitpid(front.keeper, NULL, 0), front.keeper);
    ck_assert(folder_make("tmp/descpipe-scratch-mine", 0700, NULL));
    ck_assert_int_eq(run_all(&other, NULL), 0);
    ck_assert_uint_eq(files_in("tmp"), 1);
    ck_assert(file_exists("tmp/descpipe-scratch-mine"));
    run_front_clear(&front);
    cleanup(text_clear) struct text stage = TEXT_INIT;
    ck_assert(file_read("work/stage", 20, &stage, NULL));
    ck_assert_int_eq(kill((pid_t)strtol(text_bytes(&stage), NULL, 10), SIGKILL), 0);
}
END_TEST

START_TEST(a_stage_has_each_variable_once_and_its_own_word_counts)
{
    write_pipeline("a", "a: {command: [env], env: {LANG: C, TMPDIR: /var/tmp, MINE: '1'}, scratch: 1MiB}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 0);
    cleanup(memory_free) char *path = memory_format("%s/logs/000/a.1.out", folder);
    cleanup(memory_free) char *text = read_text(path);
    ck_assert_ptr_nonnull(strstr(text, "LANG=C\n"));
    ck_assert_ptr_nonnull(strstr(text, "TMPDIR=/var/tmp\n"));
    ck_assert_ptr_nonnull(strstr(text, "MINE=1\n"));
    ck_assert_ptr_null(strstr(text, "LANG=C.UTF-8"));
    ck_assert_ptr_null(strstr(text, "descpipe-scratch"));
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
    tcase_add_loop_test(cases, a_scratch_folder_is_private_and_goes_with_its_attempt, 0, 2);
    tcase_add_test(cases, a_container_has_its_scratch_folder_at_one_place);
    tcase_add_test(cases, scratch_that_is_not_there_is_refused_before_the_start);
    tcase_add_test(cases, scratch_folders_of_the_dead_are_removed);
    tcase_add_test(cases, a_stage_has_each_variable_once_and_its_own_word_counts);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
