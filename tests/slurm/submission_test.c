/* SPDX-License-Identifier: BSD-3-Clause */
/* Submitting and finding again, against tests/fakes/slurm: answers that are lost, limits, patience. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "simulator.h"

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

/* Another run of the same user, later. */
static void open_another(void)
{
    answer_clear(&answer);
    driver_close(&driver);
    open_driver(NULL);
}

static long questions(void)
{
    return count_of("scontrol") + count_of("sacctmgr");
}

START_TEST(what_one_run_has_heard_of_the_controller_another_need_not_ask)
{
    make("run-ms=600000", "array-size=77", NULL);
    open_driver(NULL);
    submit_well("heard-1", &counting, 2);
    long asked = questions();
    ck_assert_int_gt(asked, 0);
    open_another();
    ck_assert_uint_eq(plugin_scheduler_room(driver.instance), 77);
    submit_well("heard-2", &counting, 2);
    ck_assert_int_eq(questions(), asked);
    answer_clear(&answer);
    driver_close(&driver);
    open_driver("limits-age", "0s", NULL);
    submit_well("heard-3", &counting, 2);
    ck_assert_int_eq(questions(), 2 * asked);
}
END_TEST

START_TEST(what_was_heard_a_while_ago_refuses_nothing)
{
    make("run-ms=600000", "array-size=5", NULL);
    open_driver(NULL);
    driver_probe(&driver, &answer);
    turn("array-size=50", NULL);
    open_another();
    ck_assert_uint_eq(plugin_scheduler_room(driver.instance), 5);
    submit_well("old-1", &counting, 20);
    ck_assert_int_eq(count_of("accepted-jobs"), 20);
    ck_assert_int_eq(count_of("sbatch"), 1);
}
END_TEST

START_TEST(what_was_heard_a_while_ago_is_heard_anew_when_the_controller_refuses)
{
    make("run-ms=600000", "array-size=50", NULL);
    open_driver(NULL);
    driver_probe(&driver, &answer);
    turn("array-size=5", NULL);
    open_another();
    submit("new-1", &counting, 20);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_str_eq(answer.message, "20 jobs in one submission; MaxArraySize of this SLURM is 5");
    ck_assert_int_eq(count_of("accepted-jobs"), 0);
    ck_assert_int_eq(count_of("sbatch"), 1);
    answer_clear(&answer);
    submit_well("new-2", &counting, 5);
    ck_assert_int_eq(count_of("sbatch"), 2);
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
    Suite *suite = suite_create("slurm/submission");
    TCase *cases = tcase_create("pitfalls");
    tcase_set_timeout(cases, DRIVER_PATIENCE_S + 30);
    tcase_add_checked_fixture(cases, NULL, tear_down);
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
    tcase_add_test(cases, what_one_run_has_heard_of_the_controller_another_need_not_ask);
    tcase_add_test(cases, what_was_heard_a_while_ago_refuses_nothing);
    tcase_add_test(cases, what_was_heard_a_while_ago_is_heard_anew_when_the_controller_refuses);
    tcase_add_test(cases, where_there_are_no_arrays_each_job_goes_alone);
    tcase_add_test(cases, a_submission_that_is_stopped_in_the_middle_is_unknown);
    tcase_add_test(cases, five_runs_keep_together_within_what_a_harsh_site_allows);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
