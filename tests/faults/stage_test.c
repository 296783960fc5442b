/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages that misbehave: each gets a verdict with its reason, and the run goes on or ends well. */
#include "run_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "run/journal/run_folder.h"

/* One stage `a` with this command line for sh. The exit status of its run. */
static int run_stage(const char *script, const char *more, int64_t time_limit_ms, char **folder)
{
    cleanup(text_clear) struct text section = TEXT_INIT;
    text_append(&section, "a: {command: [sh, -c, ");
    text_append_json(&section, script);
    text_format(&section, "]%s}\n", more);
    write_pipeline("a", section.bytes);
    return run_all(&(struct run_setup){.scheduler = "local", .time_limit_ms = time_limit_ms}, folder);
}

START_TEST(two_hundred_megabytes_of_output_are_a_log_file)
{
    char *folder = NULL;
    ck_assert_int_eq(run_stage("head -c 200000000 /dev/zero", "", 0, &folder), 0);
    cleanup(memory_free) char *log = path_join(folder, "logs/000/a.1.out");
    struct stat status;
    ck_assert_int_eq(stat(log, &status), 0);
    ck_assert_int_eq(status.st_size, 200000000);
    expect_verdict(folder, "a", "OK", "done");
    memory_free(folder);
}
END_TEST

START_TEST(a_stage_that_never_ends_is_stopped)
{
    char *folder = NULL;
    ck_assert_int_eq(run_stage("exec sleep 1000", "", 200, &folder), 5);
    expect_verdict(folder, "a", "TIMEOUT", "stopped after its limit of 200 ms");
    ck_assert_uint_eq(count_records(folder, "ended", "\"signal\":15", NULL), 1);
    memory_free(folder);
}
END_TEST

START_TEST(a_stage_that_ignores_the_request_to_end_is_killed)
{
    char *folder = NULL;
    ck_assert_int_eq(run_stage("trap '' TERM; while :; do sleep 1000; done", "", 200, &folder), 5);
    expect_verdict(folder, "a", "TIMEOUT", "stopped after its limit of 200 ms");
    ck_assert_uint_eq(count_records(folder, "ended", "\"signal\":9", NULL), 1);
    memory_free(folder);
}
END_TEST

START_TEST(a_timeout_is_tried_again_with_more_time)
{
    char *folder = NULL;
    ck_assert_int_eq(
        run_stage("exec sleep 1000", ", retries: {limit: 1, on: [timeout], backoff: 1ms, minutes: x2}", 100, &folder),
        5);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"TIMEOUT\"", NULL), 2);
    expect_verdict(folder, "a", "TIMEOUT", "stopped after its limit of 200 ms");
    ck_assert_uint_eq(count_records(folder, "verdict", "\"reason\":\"TIMEOUT\",\"time_limit_ms\":200}", NULL), 1);
    memory_free(folder);
}
END_TEST

START_TEST(out_of_memory_is_tried_again_with_more)
{
    write_pipeline("a", "a: {command: ['true'], image: 'x/y:1', memory: 32MiB, "
                        "retries: {limit: 3, on: [oom], backoff: 1ms, memory: x2}}\n");
    char *folder = NULL;
    const struct run_setup setup = {
        .scheduler = "local", .runtime = "oom", .plugins = BUILD_FOLDER "/tests/faults/built"};
    ck_assert_int_eq(run_all(&setup, &folder), 0);
    ck_assert_uint_eq(count_records(folder, "ended", "it had 32 MiB", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "ended", "it had 64 MiB", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "ended", "it had 128 MiB", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"OOM\"", NULL), 2);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"reason\":\"OOM\",\"memory\":134217728}", NULL), 1);
    expect_verdict(folder, "a", "OK", "done");
    memory_free(folder);
}
END_TEST

START_TEST(more_memory_ends_at_its_limit)
{
    write_pipeline("a", "a: {command: ['true'], image: 'x/y:1', memory: 32MiB, "
                        "retries: {limit: 2, on: [oom], backoff: 1ms, memory: x2, max-memory: 48MiB}}\n");
    char *folder = NULL;
    const struct run_setup setup = {
        .scheduler = "local", .runtime = "oom", .plugins = BUILD_FOLDER "/tests/faults/built"};
    ck_assert_int_eq(run_all(&setup, &folder), 5);
    ck_assert_uint_eq(count_records(folder, "ended", "it had 48 MiB", NULL), 2);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"OOM\"", NULL), 3);
    memory_free(folder);
}
END_TEST

/* Its end is seen inside the question for it, and the question after that one must not be forgotten. */
START_TEST(a_runtime_that_never_tells_more_is_given_up)
{
    write_pipeline("a", "a: {command: ['true'], image: 'x/y:1', memory: 97MiB}\n");
    struct run_front front;
    char *folder = NULL;
    const struct run_setup setup = {
        .scheduler = "local", .runtime = "oom", .plugins = BUILD_FOLDER "/tests/faults/built"};
    start_run(&setup, &front);
    ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    ck_assert(run_front_send(&front, RUN_CANCEL));
    ck_assert(run_front_send(&front, RUN_CANCEL));
    ck_assert_int_eq(finish_run(&front, &folder), 130);
    memory_free(folder);
}
END_TEST

START_TEST(what_was_not_written_is_not_kept)
{
    char *folder = NULL;
    ck_assert_int_eq(run_stage("echo said >&2", "", 0, &folder), 0);
    cleanup(memory_free) char *out = path_join(folder, "logs/000/a.1.out");
    cleanup(memory_free) char *err = path_join(folder, "logs/000/a.1.err");
    ck_assert(!file_exists(out));
    cleanup(memory_free) char *said = read_text(err);
    ck_assert_str_eq(said, "said\n");
    memory_free(folder);
}
END_TEST

START_TEST(a_named_limit_holds_over_retries)
{
    /* Who finds the lock taken ends with another status, which is not tried again. */
    write_pipeline("a", "limits: {one: 1}\n"
                        "a: {command: [sh, -c, 'cd ../../../../..; mkdir lock || exit 1; n=$DESC_RANK; s=0; "
                        "[ -e seen$n ] || s=75; touch seen$n; rmdir lock; exit $s'], size: 8, limit: one, "
                        "retries: {limit: 1, on: ['exit:75'], backoff: 1ms}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .keep_going = true}, &folder), 0);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"EXIT\"", NULL), 8);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"OK\"", NULL), 8);
    memory_free(folder);
}
END_TEST

static bool is_gone(void *context)
{
    const pid_t *pid = context;
    return kill(*pid, 0) != 0 && errno == ESRCH;
}

/* The pids that the stage wrote, one a line, must all end. */
static void expect_all_gone(const char *path)
{
    cleanup(memory_free) char *text = read_text(path);
    unsigned count = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, count++) {
        *end = '\0';
        uint64_t pid;
        ck_assert(text_to_unsigned(line, &pid));
        pid_t wanted = (pid_t)pid;
        ck_assert_msg(eventually(is_gone, &wanted), "process %s still runs", line);
    }
    ck_assert_uint_gt(count, 0);
}

static const struct {
    const char *label, *script;
    int exit_status;
} forks[] = {
    {"a child in the background", "sleep 1000 & echo $! > ../../../../../pids", 0},
    {"a child that ignores signals", "(trap '' TERM HUP; exec sleep 1000) & echo $! > ../../../../../pids", 0},
    {"a daemon in a session of its own",
     "setsid sh -c 'echo $$$$ > ../../../../../pids; exec sleep 1000' & while [ ! -s ../../../../../pids ]; do :; done",
     0},
    {"a daemon with children of its own",
     "setsid sh -c 'sleep 1000 & echo $! > ../../../../../pids; exec sleep 1000' & while [ ! -s ../../../../../pids ]; "
     "do :; done",
     0},
    {"more daemons than one look shows, and one that starts others",
     "i=0; while [ $i -lt 900 ]; do setsid sleep 1000 & echo $! >> ../../../../../pids; i=$((i+1)); done; "
     "setsid sh -c 'setsid sh -c \"echo \\$\\$\\$\\$ >> ../../../../../pids; sleep 1000; :\" & sleep 1000; :' & "
     "while [ $(wc -l < ../../../../../pids) -lt 901 ]; do :; done",
     0},
    {"a daemon of a stage that fails",
     "setsid sh -c 'echo $$$$ > ../../../../../pids; exec sleep 1000' & while [ ! -s ../../../../../pids ]; do :; "
     "done; "
     "exit 4",
     5},
};

START_TEST(what_a_stage_leaves_behind_ends_with_the_run)
{
    char *folder = NULL;
    ck_assert_msg(run_stage(forks[_i].script, "", 0, &folder) == forks[_i].exit_status, "%s", forks[_i].label);
    expect_all_gone("work/pids");
    memory_free(folder);
}
END_TEST

static const struct {
    const char *label, *script, *more, *verdict, *reason;
} outputs[] = {
    {"no output", "true", ", outputs: {x: fits}", "OUTPUT_MISSING", "did not write its output 'x.fits'"},
    {"a link to a file", "ln -s /etc/passwd $DESC_OUTPUT/x.txt", ", outputs: {x: txt}", "OUTPUT_MISSING",
     "its output 'x.txt' is a symbolic link, not a regular file"},
    {"a dangling link", "ln -s nowhere $DESC_OUTPUT/x.txt", ", outputs: {x: txt}", "OUTPUT_MISSING",
     "its output 'x.txt' is a symbolic link, not a regular file"},
    {"a FIFO", "mkfifo $DESC_OUTPUT/x.txt", ", outputs: {x: txt}", "OUTPUT_MISSING",
     "its output 'x.txt' is a FIFO, not a regular file"},
    {"a folder for a file", "mkdir $DESC_OUTPUT/x.txt", ", outputs: {x: txt}", "OUTPUT_MISSING",
     "its output 'x.txt' is a folder, not a regular file"},
    {"a file for a folder", "echo > $DESC_OUTPUT/x", ", outputs: {x: /}", "OUTPUT_MISSING",
     "its output 'x' is a file, not a folder"},
    {"killed by itself", "kill -SEGV $$$$", "", "SIGNAL", "killed by signal 11 (SIGSEGV)"},
    {"a program that is not there", "true", ", command: [/nonesuch]", "EXIT", NULL},
};

START_TEST(each_wrong_output_has_its_own_words)
{
    char *folder = NULL;
    if (outputs[_i].reason == NULL)
        write_pipeline("a", "a: {command: [/nonesuch]}\n");
    int status = outputs[_i].reason == NULL ? run_all(&(struct run_setup){.scheduler = "local"}, &folder)
                                            : run_stage(outputs[_i].script, outputs[_i].more, 0, &folder);
    ck_assert_msg(status == 5, "%s: %d", outputs[_i].label, status);
    expect_verdict(folder, "a", outputs[_i].verdict,
                   outputs[_i].reason != NULL
                       ? outputs[_i].reason
                       : "its command could not be started: cannot start '/nonesuch': No such file or directory");
    ck_assert(!file_exists("work/data/x.txt"));
    ck_assert(!file_exists("out/x.txt"));
    memory_free(folder);
}
END_TEST

START_TEST(an_old_output_survives_a_failed_attempt)
{
    ck_assert_int_eq(run_stage("echo good > $DESC_OUTPUT/x.txt", ", outputs: {x: txt}", 0, NULL), 0);
    ck_assert_int_eq(run_stage("echo bad > $DESC_OUTPUT/x.txt; exit 1", ", outputs: {x: txt}", 0, NULL), 5);
    cleanup(memory_free) char *data = read_text("work/data/x.txt");
    ck_assert_str_eq(data, "good\n");
}
END_TEST

START_TEST(a_full_disk_is_a_verdict)
{
    /* A file system of our own, in a mount namespace of our own: it is gone when this process is. */
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        fprintf(stderr, "SKIPPED: a_full_disk_is_a_verdict needs root and mount namespaces\n");
        return;
    }
    ck_assert_int_eq(mkdir("work", 0755), 0);
    ck_assert_int_eq(mount("none", "work", "tmpfs", 0, "size=8m"), 0);
    char *folder = NULL;
    int status = run_stage("head -c 16000000 /dev/zero > $DESC_OUTPUT/x.txt", ", outputs: {x: txt}", 0, &folder);
    ck_assert_int_eq(status, 5);
    cleanup(memory_free) char *reason = memory_format("the disk is full: '%s/work' has no room left", base);
    expect_verdict(folder, "a", "DISK", reason);
    expect_sound(folder);
    memory_free(folder);
    ck_assert_int_eq(umount2("work", MNT_DETACH), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stage faults");
    TCase *cases = tcase_create("stage faults");
    tcase_add_checked_fixture(cases, fixture_set_up, fixture_tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, two_hundred_megabytes_of_output_are_a_log_file);
    tcase_add_test(cases, a_stage_that_never_ends_is_stopped);
    tcase_add_test(cases, a_stage_that_ignores_the_request_to_end_is_killed);
    tcase_add_test(cases, a_timeout_is_tried_again_with_more_time);
    tcase_add_loop_test(cases, what_a_stage_leaves_behind_ends_with_the_run, 0, 5);
    tcase_add_loop_test(cases, each_wrong_output_has_its_own_words, 0, 8);
    tcase_add_test(cases, an_old_output_survives_a_failed_attempt);
    tcase_add_test(cases, a_full_disk_is_a_verdict);
    tcase_add_test(cases, out_of_memory_is_tried_again_with_more);
    tcase_add_test(cases, more_memory_ends_at_its_limit);
    tcase_add_test(cases, a_runtime_that_never_tells_more_is_given_up);
    tcase_add_test(cases, what_was_not_written_is_not_kept);
    tcase_add_test(cases, a_named_limit_holds_over_retries);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
