/* SPDX-License-Identifier: BSD-3-Clause */
/* How jobs end, against tests/fakes/slurm: what a real SLURM does to its users, and will not do on demand. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "simulator.h"

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
    tcase_add_test(cases, waiting_members_that_are_shown_as_one_are_not_missing);
    tcase_add_test(cases, a_requeued_job_ends_once_with_the_end_of_its_last_life);
    tcase_add_test(cases, a_requeued_job_that_both_lives_forgot_but_accounting_is_told_by_the_last);
    tcase_add_loop_test(cases, every_fate_has_its_ending, 0, 3);
    tcase_add_test(cases, another_cluster_is_asked_where_the_job_is);
    tcase_add_loop_test(cases, an_old_version_without_a_column_is_asked_for_the_others, 0, 3);
    tcase_add_loop_test(cases, a_nodes_clock_may_go_wrong, 0, 2);
    tcase_add_test(cases, cancelling_what_is_over_is_no_failure);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
