/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheduler slurm against tests/fakes/slurm: what a real SLURM does to its users, and will not do on demand. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

static struct driver driver;
static struct answer answer;
static char *simulation, *commands;
static const char *const simulator = TESTS_FOLDER "/fakes/slurm/simulator.py";

/* Key, value pairs for the plugin beside what every test has; NULL at the end. */
static void open_driver(const char *first, ...)
{
    const char *options[32] = {"commands", commands, "poll", "100ms", "poll-limit", "200ms", "settle", "2s"};
    size_t count = 8;
    va_list more;
    va_start(more, first);
    for (const char *word = first; word != NULL && count < 31; word = va_arg(more, const char *)) {
        options[count++] = word;
    }
    va_end(more);
    options[count] = NULL;
    driver_open(&driver, simulation, options);
}

static void simulate(const char *action, const char *first, va_list more)
{
    const char *argv[32] = {secure_getenv("DESCPIPE_TEST_PYTHON"), simulator, action, simulation};
    size_t count = 4;
    for (const char *word = first; word != NULL && count < 31; word = va_arg(more, const char *)) {
        argv[count++] = word;
    }
    argv[count] = NULL;
    ck_assert_int_eq(run_beside(argv), 0);
}

static void turn(const char *first, ...)
{
    va_list more;
    va_start(more, first);
    simulate("set", first, more);
    va_end(more);
}

static void make(const char *first, ...)
{
    va_list more;
    const char *const folder = secure_getenv("DESCPIPE_TEST_FOLDER");
    simulation = memory_format("%s/sim-XXXXXX", folder); /* process ids come again */
    ck_assert_ptr_nonnull(mkdtemp(simulation));
    commands = memory_format("%s/bin", simulation);
    va_start(more, first);
    simulate("make", first, more);
    va_end(more);
}

static void tear_down(void)
{
    answer_clear(&answer);
    driver_close(&driver);
    memory_free(simulation);
    memory_free(commands);
}

static long count_of(const char *what)
{
    cleanup(memory_free) char *command = memory_format(
        "'%s' '%s' counts '%s' >'%s/counts'", secure_getenv("DESCPIPE_TEST_PYTHON"), simulator, simulation, simulation);
    const char *const argv[] = {"sh", "-c", command, NULL};
    ck_assert_int_eq(run_beside(argv), 0);
    cleanup(memory_free) char *counts = driver_read(&driver, "counts");
    cleanup(memory_free) char *key = memory_format("%s=", what);
    for (const char *line = counts; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, strlen(key)) == 0) {
            return strtol(line + strlen(key), NULL, 10);
        }
        if (*line == '\0') {
            break;
        }
    }
    return 0;
}

static const struct test_job counting = {.script = "echo \"$DESCPIPE_INDEX\" >>count\n"};
static const struct test_job failing = {.script = "exit 3\n"};

static void submit(const char *token, const struct test_job *job, uint32_t count)
{
    struct test_job jobs[256];
    for (uint32_t i = 0; i < count; i++) {
        jobs[i] = *job;
    }
    driver_submit(&driver, token, 1, jobs, count, 0, &answer);
}

static void submit_well(const char *token, const struct test_job *job, uint32_t count)
{
    submit(token, job, count);
    ck_assert_msg(answer.ok, "%s", answer.message);
}

static void expect_exit(uint64_t job, int exit_code)
{
    const struct told *told = driver_until_ended(&driver, job);
    ck_assert_msg(told->flags == DESCPIPE_ENDED_EXITED && told->exit_code == exit_code, "flags %x, exit %d, %s: %s",
                  told->flags, told->exit_code, told->witness, told->reason);
    ck_assert_int_eq(told->ends, 1);
}

START_TEST(a_job_that_the_queue_forgets_at_once_is_found_in_accounting)
{
    make("forget-ms=0", NULL);
    open_driver(NULL);
    submit_well("forget-1", &failing, 3);
    for (uint64_t job = 1; job <= 3; job++) {
        expect_exit(job, 3);
        ck_assert_str_eq(driver.told[job].witness, "sacct");
    }
}
END_TEST

START_TEST(what_nobody_remembers_is_lost_and_no_success)
{
    make("forget-ms=0", "accounting=off", NULL);
    open_driver(NULL);
    submit_well("lost-1", &counting, 1);
    const struct told *told = driver_until_ended(&driver, 1);
    ck_assert_uint_eq(told->flags, DESCPIPE_ENDED_LOST);
    ck_assert_ptr_nonnull(strstr(told->reason, "forgotten"));
}
END_TEST

START_TEST(a_job_that_vanishes_is_lost_after_accounting_had_its_time)
{
    make("fate.0=vanish", NULL);
    open_driver("accounting-patience", "1s", NULL);
    submit_well("vanish-1", &counting, 1);
    ck_assert_uint_eq(driver_until_ended(&driver, 1)->flags, DESCPIPE_ENDED_LOST);
}
END_TEST

START_TEST(without_accounting_the_controller_says_how_it_ended)
{
    make("accounting=off", NULL);
    open_driver(NULL);
    submit_well("off-1", &failing, 2);
    expect_exit(1, 3);
    expect_exit(2, 3);
    ck_assert_str_eq(driver.told[1].witness, "scontrol");
    ck_assert_int_le(count_of("sacct"), 1); /* not asked again */
}
END_TEST

START_TEST(an_accounting_that_lags_is_waited_for)
{
    make("forget-ms=0", "lag-ms=2000", NULL);
    open_driver(NULL);
    submit_well("lag-1", &failing, 2);
    expect_exit(1, 3);
    expect_exit(2, 3);
}
END_TEST

START_TEST(a_success_that_the_queue_shows_does_not_wait_for_accounting)
{
    make("lag-ms=600000", NULL);
    open_driver(NULL);
    submit_well("quick-1", &counting, 1);
    expect_exit(1, 0);
    ck_assert_str_eq(driver.told[1].witness, "squeue");
}
END_TEST

static bool cannot_see(struct driver *driving, const void *context)
{
    return driving->blinds > driving->sights && strstr(driving->blind, context) != NULL;
}

START_TEST(an_accounting_that_is_down_is_no_end)
{
    make("forget-ms=0", "accounting-down=1", NULL);
    open_driver(NULL);
    submit_well("down-1", &failing, 1);
    driver_until(&driver, cannot_see, "database");
    driver_for(&driver, 500);
    ck_assert(!driver.told[1].ended);
    turn("accounting-down=0", NULL);
    expect_exit(1, 3);
    ck_assert_int_eq(driver.blinds, driver.sights);
}
END_TEST

START_TEST(a_controller_that_is_down_is_no_end)
{
    make("run-ms=300", NULL);
    open_driver(NULL);
    submit_well("down-1", &counting, 2);
    turn("down=1", NULL);
    driver_until(&driver, cannot_see, "Unable to contact");
    driver_for(&driver, 1000);
    ck_assert(!driver.told[1].ended && !driver.told[2].ended);
    turn("down=0", NULL);
    expect_exit(1, 0);
    expect_exit(2, 0);
}
END_TEST

START_TEST(nothing_is_done_while_the_controller_is_down)
{
    make("down=1", NULL);
    open_driver(NULL);
    submit("down-1", &counting, 2);
    ck_assert(!answer.ok);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_CANNOT_ASK);
    answer_clear(&answer);
    driver_find(&driver, "down", &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_CANNOT_ASK);
    answer_clear(&answer);
    driver_probe(&driver, &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_CANNOT_ASK);
}
END_TEST

START_TEST(an_answer_that_was_lost_after_acceptance_is_found_by_the_token)
{
    make("accept-lost=100", NULL);
    open_driver(NULL);
    submit_well("twice-1", &counting, 5);
    for (uint64_t job = 1; job <= 5; job++) {
        expect_exit(job, 0);
    }
    ck_assert_int_eq(count_of("accepted-jobs"), 5);
    cleanup(memory_free) char *count = driver_read(&driver, "twice-1/count");
    ck_assert_uint_eq(strlen(count), 10);
}
END_TEST

START_TEST(a_request_that_was_lost_is_unknown_and_not_repeated)
{
    make("drop=100", NULL);
    open_driver("settle", "500ms", NULL);
    submit("drop-1", &counting, 5);
    ck_assert(!answer.ok);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_UNKNOWN);
    ck_assert_int_eq(count_of("sbatch"), 1);
    answer_clear(&answer);
    driver_find(&driver, "drop", &answer);
    ck_assert(answer.ok && answer.found_count == 0);
}
END_TEST

START_TEST(find_knows_what_only_accounting_remembers)
{
    make("accept-lost=100", "forget-ms=0", NULL);
    open_driver("settle", "300ms", NULL);
    submit("20261121-120000-aa-7", &counting, 3);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_UNKNOWN);
    answer_clear(&answer);
    driver_find(&driver, "20261121-120000-aa", &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_uint_eq(answer.found_count, 3);
    ck_assert_ptr_nonnull(strstr(answer.found, "20261121-120000-aa-7 2 1000_2 ended"));
    answer_clear(&answer);
    turn("accounting-down=1", NULL); /* half an answer is none */
    driver_find(&driver, "20261121-120000-aa", &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_CANNOT_ASK);
    answer_clear(&answer);
    driver_find(&driver, "20261121-120000-a", &answer); /* another run, whose name only begins so */
    ck_assert_uint_eq(answer.found_count, 0);
}
END_TEST

START_TEST(what_was_found_is_adopted_and_the_rest_left_out)
{
    make("accept-lost=100", "run-ms=1500", NULL);
    open_driver("settle", "0s", NULL);
    submit("lost-9", &failing, 3);
    ck_assert_msg(answer.ok || answer.failure == DESCPIPE_FAILED_UNKNOWN, "%s", answer.message);
    answer_clear(&answer);
    const struct test_job again[] = {{.native_id = "1000_0"}, {.native_id = NULL}, {.native_id = "1000_2"}};
    driver_submit(&driver, "lost-9", 11, again, 3, DESCPIPE_SUBMISSION_ADOPT, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    expect_exit(11, 3);
    expect_exit(13, 3);
    ck_assert(!driver.told[12].ended);
    ck_assert_int_eq(count_of("accepted-jobs"), 3);
    answer_clear(&answer);
    const struct test_job wrong = {.native_id = "no id"};
    driver_submit(&driver, "lost-10", 14, &wrong, 1, DESCPIPE_SUBMISSION_ADOPT, &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_NOT_FOUND);
}
END_TEST

START_TEST(find_tells_waiting_members_apart_even_when_they_are_shown_as_one)
{
    make("queue-ms=600000", "collapse=1", NULL);
    open_driver(NULL);
    submit_well("find-1", &counting, 4);
    answer_clear(&answer);
    driver_find(&driver, "find", &answer);
    ck_assert_uint_eq(answer.found_count, 4);
    ck_assert_ptr_nonnull(strstr(answer.found, "find-1 3 1000_3 running"));
}
END_TEST

START_TEST(a_controller_that_asks_for_patience_gets_it)
{
    make("unable=100", NULL);
    open_driver(NULL);
    submit("unable-1", &counting, 2);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_LATER);
    ck_assert_int_eq(count_of("accepted"), 0);
    turn("unable=0", NULL);
    answer_clear(&answer);
    submit_well("unable-2", &counting, 2);
    expect_exit(1, 0);
}
END_TEST

START_TEST(a_wrapper_may_print_what_it_likes)
{
    static const char *const wrappers[] = {"wrapper=banner", "wrapper=long", "wrapper="};
    make(wrappers[_i], NULL);
    open_driver(NULL);
    submit_well("wrapper-1", &failing, 1);
    expect_exit(1, 3);
}
END_TEST

START_TEST(a_limit_on_waiting_jobs_is_learned)
{
    make("submit-limit=10", "run-ms=1000", NULL);
    open_driver(NULL);
    ck_assert_uint_eq(plugin_scheduler_room(driver.instance), 1000);
    submit("limit-1", &counting, 16);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_LATER);
    ck_assert_ptr_nonnull(strstr(answer.message, "QOSMaxSubmitJobPerUserLimit"));
    ck_assert_uint_eq(plugin_scheduler_room(driver.instance), 8);
    answer_clear(&answer);
    submit_well("limit-2", &counting, 8);
    ck_assert_uint_lt(plugin_scheduler_room(driver.instance), 8);
    for (uint64_t job = 1; job <= 8; job++) {
        expect_exit(job, 0);
    }
    ck_assert_uint_ge(plugin_scheduler_room(driver.instance), 8);
}
END_TEST

START_TEST(more_members_than_an_array_may_have_are_refused_with_the_number)
{
    make("array-size=10", NULL);
    open_driver(NULL);
    submit("size-1", &counting, 11);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_str_eq(answer.message, "11 jobs in one submission; MaxArraySize of this SLURM is 10");
    ck_assert_uint_eq(plugin_scheduler_room(driver.instance), 10);
    answer_clear(&answer);
    submit_well("size-2", &counting, 10);
    expect_exit(10, 0);
    ck_assert_int_eq(count_of("accepted"), 1);
}
END_TEST

START_TEST(where_there_are_no_arrays_each_job_goes_alone)
{
    make("array-size=0", "accept-lost=50", NULL);
    open_driver(NULL);
    submit_well("alone-1", &counting, 6);
    for (uint64_t job = 1; job <= 6; job++) {
        expect_exit(job, 0);
        ck_assert_ptr_null(strchr(driver.told[job].native_id, '_'));
    }
    ck_assert_int_eq(count_of("accepted-jobs"), 6);
    answer_clear(&answer);
    driver_find(&driver, "alone", &answer);
    ck_assert_uint_eq(answer.found_count, 6);
    ck_assert_ptr_nonnull(strstr(answer.found, "alone-1 5 "));
}
END_TEST

START_TEST(waiting_members_that_are_shown_as_one_are_not_missing)
{
    make("collapse=1", "slots=2", "run-ms=150", NULL);
    open_driver("accounting-patience", "0s", NULL);
    submit_well("collapse-1", &counting, 8);
    for (uint64_t job = 1; job <= 8; job++) {
        expect_exit(job, 0);
    }
}
END_TEST

START_TEST(a_requeued_job_ends_once_with_the_end_of_its_last_life)
{
    make("fate.0=requeue", "run-ms=300", "queue-ms=1500", "completing-ms=1500", NULL);
    open_driver(NULL);
    const struct test_job job = {.script = "echo $DESCPIPE_RESTART >>lives; exit 4\n"};
    submit_well("requeue-1", &job, 1);
    expect_exit(1, 4);
    ck_assert_uint_eq(driver.told[1].attempt, 2);
    cleanup(memory_free) char *lives = driver_read(&driver, "requeue-1/lives");
    ck_assert_str_eq(lives, "0\n1\n");
}
END_TEST

START_TEST(a_requeued_job_that_both_lives_forgot_but_accounting_is_told_by_the_last)
{
    make("fate.0=requeue", "forget-ms=0", NULL);
    open_driver(NULL);
    submit_well("requeue-2", &failing, 1);
    expect_exit(1, 3);
    ck_assert_uint_eq(driver.told[1].attempt, 2);
}
END_TEST

static const struct {
    const char *fate;
    uint32_t flags;
    int exit_code, signal;
    const char *reason;
} fates[] = {
    {"oom", DESCPIPE_ENDED_OUT_OF_MEMORY | DESCPIPE_ENDED_SIGNALLED, 0, SIGKILL, "out of memory"},
    {"oom-old", DESCPIPE_ENDED_OUT_OF_MEMORY | DESCPIPE_ENDED_SIGNALLED, 0, SIGKILL, "out of memory"},
    {"timeout", DESCPIPE_ENDED_TIMED_OUT, 0, 0, "time limit"},
    {"node-fail", DESCPIPE_ENDED_NODE_FAILED, 0, 0, "sim"},
    {"preempted", DESCPIPE_ENDED_PREEMPTED, 0, 0, "preempted"},
    {"boot-fail", DESCPIPE_ENDED_NODE_FAILED | DESCPIPE_ENDED_NOT_STARTED, 0, 0, "booted"},
    {"deadline", DESCPIPE_ENDED_CANCELLED, 0, 0, "deadline"},
    {"cancelled:4242", DESCPIPE_ENDED_CANCELLED, 0, 0, "uid 4242"},
    {"exit:77", DESCPIPE_ENDED_EXITED, 77, 0, "exit status 77"},
    {"signal:11", DESCPIPE_ENDED_SIGNALLED, 0, SIGSEGV, "signal 11"},
};

enum { FATES = sizeof(fates) / sizeof(*fates) };

START_TEST(every_fate_has_its_ending)
{
    struct test_job jobs[FATES];
    make(_i == 1 ? "truncate=1" : "truncate=0", _i == 2 ? "forget-ms=0" : "forget-ms=300000", NULL);
    for (int i = 0; i < FATES; i++) {
        cleanup(memory_free) char *fate = memory_format("fate.%d=%s", i, fates[i].fate);
        turn(fate, NULL);
        jobs[i] = counting;
    }
    open_driver(NULL);
    driver_submit(&driver, "fate-1", 1, jobs, FATES, 0, &answer);
    for (int i = 0; i < FATES; i++) {
        const struct told *told = driver_until_ended(&driver, (uint64_t)i + 1);
        bool names_uid = strncmp(fates[i].reason, "uid", 3) == 0; /* cut off with the state */
        ck_assert_msg(told->flags == fates[i].flags, "%s: flags %x by %s: %s", fates[i].fate, told->flags,
                      told->witness, told->reason);
        ck_assert_int_eq(told->exit_code, fates[i].exit_code);
        ck_assert_int_eq(told->signal, fates[i].signal);
        ck_assert_msg((names_uid && _i == 1) || strstr(told->reason, fates[i].reason) != NULL, "%s", told->reason);
    }
}
END_TEST

START_TEST(another_cluster_is_asked_where_the_job_is)
{
    make("cluster=big", NULL);
    open_driver("clusters", "big", NULL);
    submit_well("cluster-1", &failing, 2);
    expect_exit(2, 3);
    ck_assert_str_eq(driver.told[2].native_id, "1000_1@big");
    turn("run-ms=60000", NULL);
    answer_clear(&answer);
    driver_submit(&driver, "cluster-2", 5, &counting, 1, 0, &answer);
    driver_until_running(&driver, 5);
    answer_clear(&answer);
    driver_cancel(&driver, 5, 1, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_uint_ne(driver_until_ended(&driver, 5)->flags & DESCPIPE_ENDED_CANCELLED, 0);
}
END_TEST

START_TEST(an_old_version_without_a_column_is_asked_for_the_others)
{
    static const char *const fields[] = {"no-field=Reason", "no-field=JobIDRaw", "no-field=TotalCPU"};
    make(fields[_i], "forget-ms=0", NULL);
    open_driver(NULL);
    submit_well("field-1", &failing, 1);
    expect_exit(1, 3);
}
END_TEST

START_TEST(a_nodes_clock_may_go_wrong)
{
    make(_i == 0 ? "skew-s=7200" : "skew-s=-7200", "run-ms=200", NULL);
    open_driver(NULL);
    submit_well("skew-1", &failing, 1);
    expect_exit(1, 3);
}
END_TEST

START_TEST(a_submission_that_is_stopped_in_the_middle_is_unknown)
{
    make(NULL);
    open_driver(NULL);
    driver_probe(&driver, &answer); /* the limits are known */
    answer_clear(&answer);
    submit_well("before-1", &counting, 1);
    turn("hang=1", NULL);
    answer_clear(&answer);
    driver_submit_cancelled(&driver, "hang-1", 10, &counting, 1, 700, &answer);
    ck_assert(!answer.ok);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_UNKNOWN);
}
END_TEST

START_TEST(cancelling_what_is_over_is_no_failure)
{
    make(NULL);
    open_driver(NULL);
    submit_well("over-1", &counting, 2);
    answer_clear(&answer);
    driver_for(&driver, 50);
    driver_cancel(&driver, 1, 2, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert(driver_until_ended(&driver, 1)->ended);
    answer_clear(&answer);
    driver_release(&driver, "over-1", &answer);
    ck_assert(answer.ok);
}
END_TEST

/* One of several runs of a user at the same time; the exit status of its process. */
static int one_run(const char *folder, int number)
{
    enum { SUBMISSIONS = 4, EACH = 50 };
    simulation = memory_copy_text(folder);
    commands = memory_format("%s/bin", folder);
    open_driver(NULL);
    for (int i = 0; i < SUBMISSIONS; i++) {
        cleanup(memory_free) char *token = memory_format("many%d-%d", number, i);
        struct test_job jobs[EACH];
        for (int member = 0; member < EACH; member++) {
            jobs[member] = counting;
        }
        answer_clear(&answer);
        driver_submit(&driver, token, (uint64_t)(1 + i * EACH), jobs, EACH, 0, &answer);
        if (!answer.ok) {
            return 1;
        }
    }
    for (uint64_t job = 1; job <= SUBMISSIONS * EACH; job++) {
        const struct told *told = driver_until_ended(&driver, job);
        if (told->flags != DESCPIPE_ENDED_EXITED || told->exit_code != 0 || told->ends != 1) {
            return 2;
        }
    }
    tear_down();
    return 0;
}

START_TEST(five_runs_keep_together_within_what_a_harsh_site_allows)
{
    /* The harshest site known gives 40 at once and then 4 a minute; here a second is a minute. */
    enum { RUNS = 5 };
    pid_t runs[RUNS];
    make("bucket=40", "refill=4", "period-ms=1000", "run-ms=100", NULL);
    for (int i = 0; i < RUNS; i++) {
        runs[i] = fork();
        ck_assert_int_ge(runs[i], 0);
        if (runs[i] == 0) {
            _exit(one_run(simulation, i));
        }
    }
    for (int i = 0; i < RUNS; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(runs[i], &status, 0), runs[i]);
        ck_assert_int_eq(status, 0);
    }
    open_driver(NULL);
    ck_assert_int_eq(count_of("refused"), 0);
    ck_assert_int_eq(count_of("accepted-jobs"), 1000);
    ck_assert_int_eq(count_of("ran"), 1000);
    ck_assert_int_eq(count_of("sbatch"), 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slurm/simulator");
    TCase *cases = tcase_create("pitfalls");
    tcase_set_timeout(cases, DRIVER_PATIENCE_S + 30);
    tcase_add_checked_fixture(cases, NULL, tear_down);
    tcase_add_test(cases, a_job_that_the_queue_forgets_at_once_is_found_in_accounting);
    tcase_add_test(cases, what_nobody_remembers_is_lost_and_no_success);
    tcase_add_test(cases, a_job_that_vanishes_is_lost_after_accounting_had_its_time);
    tcase_add_test(cases, without_accounting_the_controller_says_how_it_ended);
    tcase_add_test(cases, an_accounting_that_lags_is_waited_for);
    tcase_add_test(cases, a_success_that_the_queue_shows_does_not_wait_for_accounting);
    tcase_add_test(cases, an_accounting_that_is_down_is_no_end);
    tcase_add_test(cases, a_controller_that_is_down_is_no_end);
    tcase_add_test(cases, nothing_is_done_while_the_controller_is_down);
    tcase_add_test(cases, an_answer_that_was_lost_after_acceptance_is_found_by_the_token);
    tcase_add_test(cases, a_request_that_was_lost_is_unknown_and_not_repeated);
    tcase_add_test(cases, find_knows_what_only_accounting_remembers);
    tcase_add_test(cases, what_was_found_is_adopted_and_the_rest_left_out);
    tcase_add_test(cases, find_tells_waiting_members_apart_even_when_they_are_shown_as_one);
    tcase_add_test(cases, a_controller_that_asks_for_patience_gets_it);
    tcase_add_loop_test(cases, a_wrapper_may_print_what_it_likes, 0, 3);
    tcase_add_test(cases, a_limit_on_waiting_jobs_is_learned);
    tcase_add_test(cases, more_members_than_an_array_may_have_are_refused_with_the_number);
    tcase_add_test(cases, where_there_are_no_arrays_each_job_goes_alone);
    tcase_add_test(cases, waiting_members_that_are_shown_as_one_are_not_missing);
    tcase_add_test(cases, a_requeued_job_ends_once_with_the_end_of_its_last_life);
    tcase_add_test(cases, a_requeued_job_that_both_lives_forgot_but_accounting_is_told_by_the_last);
    tcase_add_loop_test(cases, every_fate_has_its_ending, 0, 3);
    tcase_add_test(cases, another_cluster_is_asked_where_the_job_is);
    tcase_add_loop_test(cases, an_old_version_without_a_column_is_asked_for_the_others, 0, 3);
    tcase_add_loop_test(cases, a_nodes_clock_may_go_wrong, 0, 2);
    tcase_add_test(cases, a_submission_that_is_stopped_in_the_middle_is_unknown);
    tcase_add_test(cases, cancelling_what_is_over_is_no_failure);
    tcase_add_test(cases, five_runs_keep_together_within_what_a_harsh_site_allows);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
