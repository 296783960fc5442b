/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheduler slurm against a real SLURM with accounting: three nodes of two cpus, see slurm_testbed.sh. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "driver.h"

static const char *const quick[] = {"poll", "200ms", "poll-limit", "1s", NULL};
static struct driver driver;
static struct answer answer;

static void set_up(void)
{
    driver_open(&driver, secure_getenv("DESCPIPE_TEST_FOLDER"), quick);
}

static void tear_down(void)
{
    answer_clear(&answer);
    driver_close(&driver);
}

static void submit(const char *token, const struct test_job *jobs, uint32_t count)
{
    driver_submit(&driver, token, 1, jobs, count, 0, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
}

static int administer(const char *action, const char *what)
{
    cleanup(memory_free) char *bed = memory_format("%s/bed", secure_getenv("DESCPIPE_TEST_FOLDER"));
    const char *const argv[] = {secure_getenv("DESCPIPE_TEST_TESTBED"), action, bed, what, NULL};
    return run_beside(argv);
}

static void expect_ok(const struct told *told)
{
    ck_assert_uint_eq(told->flags, DESCPIPE_ENDED_EXITED);
    ck_assert_int_eq(told->exit_code, 0);
}

START_TEST(says_what_it_is)
{
    driver_probe(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_ptr_nonnull(strstr(answer.facts, "cluster=testbed\n"));
    ck_assert_ptr_nonnull(strstr(answer.facts, "max-array-size=1001\n"));
    ck_assert_ptr_nonnull(strstr(answer.facts, "accounting=accounting_storage/slurmdbd\n"));
    ck_assert_ptr_nonnull(strstr(answer.facts, "debug (default, 60 minutes, 3 nodes), short (1 minutes, 3 nodes)"));
}
END_TEST

START_TEST(runs_a_script_and_keeps_its_words)
{
    const struct test_job job = {.script =
                                     "echo said\necho complained >&2\necho \"$DESCPIPE_INDEX $DESCPIPE_RESTART\"\n"
                                     "echo \"$SLURM_EXPORT_ENV $SRUN_CPUS_PER_TASK\"\npwd\n",
                                 .cpus = 2,
                                 .memory = 50u << 20,
                                 .minutes = 5};
    submit("words-1", &job, 1);
    const struct told *told = driver_until_ended(&driver, 1);
    expect_ok(told);
    ck_assert_int_eq(told->ends, 1);
    ck_assert_int_gt(told->finished_at_ms, 1600000000000);
    cleanup(memory_free) char *output = driver_read(&driver, "words-1/1.out");
    cleanup(memory_free) char *error = driver_read(&driver, "words-1/1.err");
    cleanup(memory_free) char *wanted = memory_format("said\n0 0\nALL 2\n%s/words-1\n", driver.folder);
    ck_assert_str_eq(output, wanted);
    ck_assert_str_eq(error, "complained\n");
}
END_TEST

START_TEST(twenty_alike_are_one_array)
{
    struct test_job jobs[20];
    for (size_t i = 0; i < 20; i++) {
        jobs[i] = (struct test_job){.script = i == 13 ? "exit 7\n" : "echo $DESCPIPE_INDEX\n", .memory = 10u << 20};
    }
    submit("twenty-1", jobs, 20);
    for (uint64_t job = 1; job <= 20; job++) {
        const struct told *told = driver_until_ended(&driver, job);
        ck_assert_uint_eq(told->flags, DESCPIPE_ENDED_EXITED);
        ck_assert_int_eq(told->exit_code, job == 14 ? 7 : 0);
        ck_assert_int_eq(told->ends, 1);
        cleanup(memory_free) char *suffix = memory_format("_%d", (int)job - 1);
        ck_assert_ptr_nonnull(strstr(told->native_id, suffix));
        ck_assert_int_eq(strncmp(told->native_id, driver.told[1].native_id, strcspn(told->native_id, "_") + 1), 0);
    }
    driver_find(&driver, "twenty", &answer);
    ck_assert_uint_eq(answer.found_count, 20);
}
END_TEST

START_TEST(too_much_memory_is_told_with_peak_and_limit)
{
    const struct test_job job = {.script = "python3 -c 'x = bytearray(300 << 20); import time; time.sleep(30)'\n",
                                 .memory = 50u << 20};
    submit("memory-1", &job, 1);
    const struct told *told = driver_until_ended(&driver, 1);
    ck_assert_uint_ne(told->flags & DESCPIPE_ENDED_OUT_OF_MEMORY, 0);
    ck_assert_uint_eq(told->flags & DESCPIPE_ENDED_CANCELLED, 0);
    ck_assert_ptr_nonnull(strstr(told->reason, "out of memory"));
}
END_TEST

START_TEST(a_signal_is_told)
{
    const struct test_job job = {.script = "kill -SEGV $$\n", .memory = 10u << 20};
    submit("signal-1", &job, 1);
    const struct told *told = driver_until_ended(&driver, 1);
    ck_assert_uint_eq(told->flags, DESCPIPE_ENDED_SIGNALLED);
    ck_assert_int_eq(told->signal, SIGSEGV);
}
END_TEST

START_TEST(cancelled_from_outside_says_by_whom)
{
    const struct test_job job = {.script = "exec sleep 300\n", .memory = 10u << 20};
    submit("outside-1", &job, 1);
    const struct told *told = driver_until_running(&driver, 1);
    const char *const argv[] = {"scancel", told->native_id, NULL};
    ck_assert_int_eq(run_beside(argv), 0);
    told = driver_until_ended(&driver, 1);
    ck_assert_uint_eq(told->flags, DESCPIPE_ENDED_CANCELLED);
    ck_assert_ptr_nonnull(strstr(told->reason, "cancelled by you (uid 0)"));
}
END_TEST

START_TEST(cancels_some_of_an_array_and_then_the_rest)
{
    struct test_job jobs[9];
    for (size_t i = 0; i < 9; i++) {
        jobs[i] = (struct test_job){.script = "exec sleep 300\n", .memory = 10u << 20};
    }
    submit("cancel-1", jobs, 9);
    driver_until_running(&driver, 1);
    driver_cancel(&driver, 1, 2, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    answer_clear(&answer);
    ck_assert_uint_ne(driver_until_ended(&driver, 1)->flags & DESCPIPE_ENDED_CANCELLED, 0);
    driver_until_ended(&driver, 2);
    ck_assert(!driver.told[9].ended);
    driver_cancel(&driver, 1, 9, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    for (uint64_t job = 3; job <= 9; job++) {
        ck_assert_uint_ne(driver_until_ended(&driver, job)->flags & DESCPIPE_ENDED_CANCELLED, 0);
    }
    ck_assert_uint_ne(driver.told[9].flags & DESCPIPE_ENDED_NOT_STARTED, 0);
}
END_TEST

START_TEST(what_waits_for_another_runs_after_it_or_never)
{
    const struct test_job jobs[] = {
        {.script = "sleep 1; echo first >>order\n", .memory = 10u << 20},
        {.script = "echo second >>order\n", .memory = 10u << 20, .after_ok = 1},
        {.script = "exit 3\n", .memory = 10u << 20},
        {.script = "echo never >>order\n", .memory = 10u << 20, .after_ok = 3},
        {.script = "echo always\n", .memory = 10u << 20, .after_end = 3},
    };
    driver_submit(&driver, "after-1", 1, jobs, 5, DESCPIPE_SUBMISSION_DETACHED, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    expect_ok(driver_until_ended(&driver, 2));
    const struct told *told = driver_until_ended(&driver, 4);
    ck_assert_uint_eq(told->flags, DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED);
    ck_assert_ptr_nonnull(strstr(told->reason, "depends"));
    expect_ok(driver_until_ended(&driver, 5));
    cleanup(memory_free) char *order = driver_read(&driver, "after-1/order");
    ck_assert_str_eq(order, "first\nsecond\n");
}
END_TEST

START_TEST(ranks_start_over_nodes_and_know_their_number)
{
    const struct test_job job = {
        .script = "/bin/sh \"$DESCPIPE_LAUNCHER\" ranks sh -c 'echo \"$DESCPIPE_RANK of $DESCPIPE_SIZE\"' | sort\n"
                  "/bin/sh \"$DESCPIPE_LAUNCHER\" nodes echo node\n",
        .nodes = 2,
        .ranks = 2,
        .memory = 100u << 20};
    submit("ranks-1", &job, 1);
    expect_ok(driver_until_ended(&driver, 1));
    cleanup(memory_free) char *output = driver_read(&driver, "ranks-1/1.out");
    ck_assert_str_eq(output, "0 of 4\n1 of 4\n2 of 4\n3 of 4\nnode\nnode\n");
}
END_TEST

START_TEST(what_the_site_never_gives_is_refused_with_the_number)
{
    struct test_job job = {.minutes = 100};
    driver_submit(&driver, "number-1", 1, &job, 1, 0, &answer);
    ck_assert(!answer.ok && answer.failure == DESCPIPE_FAILED_REFUSED);
    ck_assert_str_eq(answer.message, "stage 'stage' asks for 100 minutes; partition 'debug' gives at most 60");
    answer_clear(&answer);
    job = (struct test_job){.nodes = 4};
    driver_submit(&driver, "number-2", 1, &job, 1, 0, &answer);
    ck_assert_str_eq(answer.message, "stage 'stage' asks for 4 nodes; partition 'debug' gives at most 3");
    answer_clear(&answer);
    job = (struct test_job){.cpus = 3};
    driver_submit(&driver, "number-3", 1, &job, 1, 0, &answer);
    ck_assert(!answer.ok && answer.failure == DESCPIPE_FAILED_REFUSED);
    ck_assert_ptr_nonnull(strstr(answer.message, "Requested node configuration is not available"));
}
END_TEST

START_TEST(an_array_that_the_controller_refuses_takes_the_others_back)
{
    const struct test_job jobs[] = {{.script = "exec sleep 60\n", .memory = 10u << 20}, {.cpus = 3}};
    driver_submit(&driver, "none-1", 1, jobs, 2, 0, &answer);
    ck_assert(!answer.ok && answer.failure == DESCPIPE_FAILED_REFUSED);
    answer_clear(&answer);
    driver_find(&driver, "none", &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_ptr_null(strstr(answer.found, " running"));
}
END_TEST

START_TEST(says_when_a_job_would_start)
{
    const struct test_job job = {.minutes = 5, .memory = 10u << 20};
    driver_estimate(&driver, &job, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_int_gt(answer.moment_ms, 1600000000000);
    answer_clear(&answer);
    const struct test_job never = {.cpus = 3};
    driver_estimate(&driver, &never, &answer);
    ck_assert(!answer.ok && answer.failure == DESCPIPE_FAILED_REFUSED);
}
END_TEST

START_TEST(a_new_process_adopts_what_runs_and_what_has_ended)
{
    const struct test_job jobs[] = {{.script = "exit 5\n", .memory = 10u << 20},
                                    {.script = "sleep 4; exit 6\n", .memory = 10u << 20}};
    submit("adopt-1", jobs, 2);
    driver_until_ended(&driver, 1);
    driver_until_running(&driver, 2);
    cleanup(memory_free) char *folder = memory_copy_text(driver.folder);
    cleanup(memory_free) char *first = memory_copy_text(driver.told[1].native_id);
    cleanup(memory_free) char *second = memory_copy_text(driver.told[2].native_id);
    tear_down();
    driver_open(&driver, folder, quick);
    const struct test_job again[] = {{.native_id = first}, {.native_id = second}};
    driver_submit(&driver, "adopt-1", 1, again, 2, DESCPIPE_SUBMISSION_ADOPT, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_int_eq(driver_until_ended(&driver, 1)->exit_code, 5);
    ck_assert_int_eq(driver_until_ended(&driver, 2)->exit_code, 6);
}
END_TEST

static bool cannot_see(struct driver *driving, const void *context)
{
    (void)context;
    return driving->blinds > driving->sights;
}

/* The controller has written down that the job runs: one that is killed before has truly forgotten it. */
static bool is_saved(struct driver *driving, const void *context)
{
    cleanup(memory_free) char *path = memory_format("%s/bed/state/job_state", driving->folder);
    struct stat status;
    return stat(path, &status) == 0 && status.st_mtim.tv_sec > *(const time_t *)context;
}

START_TEST(a_controller_that_restarts_is_no_failure)
{
    const struct test_job job = {.script = "sleep 15\n", .memory = 10u << 20};
    submit("restart-1", &job, 1);
    driver_until_running(&driver, 1);
    time_t now = time(NULL);
    driver_until(&driver, is_saved, &now);
    ck_assert_int_eq(administer("kill", "slurmctld"), 0);
    driver_until(&driver, cannot_see, NULL);
    ck_assert(!driver.told[1].ended);
    answer_clear(&answer);
    driver_submit(&driver, "restart-2", 2, &job, 1, 0, &answer); /* nothing is done, and it says so */
    ck_assert(!answer.ok);
    ck_assert_msg(answer.failure == DESCPIPE_FAILED_CANNOT_ASK || answer.failure == DESCPIPE_FAILED_UNKNOWN, "%s",
                  answer.message);
    answer_clear(&answer);
    driver_find(&driver, "restart", &answer);
    ck_assert(!answer.ok && answer.failure == DESCPIPE_FAILED_CANNOT_ASK);
    ck_assert_int_eq(administer("again", "slurmctld"), 0);
    expect_ok(driver_until_ended(&driver, 1));
    ck_assert_int_eq(driver.blinds, driver.sights);
}
END_TEST

/* The script itself has begun, which is a while after SLURM says RUNNING on a busy machine. */
static bool is_there(struct driver *driving, const void *context)
{
    cleanup(memory_free) char *path = memory_format("%s/%s", driving->folder, (const char *)context);
    struct stat status;
    return stat(path, &status) == 0 && status.st_size > 0;
}

START_TEST(a_node_that_dies_is_told_and_nothing_is_repeated)
{
    const struct test_job job = {.script = "echo ran >>count\nexec sleep 300\n", .memory = 10u << 20};
    submit("node-1", &job, 1);
    cleanup(memory_free) char *node = memory_copy_text(driver_until_running(&driver, 1)->host);
    driver_until(&driver, is_there, "node-1/count");
    cleanup(memory_free) char *name = memory_format("NodeName=%s", node);
    const char *const down[] = {"scontrol", "update", name, "State=DOWN", "Reason=test", NULL};
    const char *const back[] = {"scontrol", "update", name, "State=RESUME", NULL};
    ck_assert_int_eq(run_beside(down), 0);
    const struct told *told = driver_until_ended(&driver, 1);
    run_beside(back); /* refused when it has come back by itself */
    ck_assert_uint_eq(told->flags, DESCPIPE_ENDED_NODE_FAILED);
    ck_assert_ptr_nonnull(strstr(told->reason, node));
    cleanup(memory_free) char *count = driver_read(&driver, "node-1/count");
    ck_assert_str_eq(count, "ran\n");
}
END_TEST

static bool waits_again(struct driver *driving, const void *context)
{
    (void)context;
    return driving->told[1].attempt == 2 && !driving->told[1].running;
}

START_TEST(a_requeue_is_another_attempt)
{
    const struct test_job job = {.script = "[ \"$DESCPIPE_RESTART\" = 0 ] || exit 9\necho ran >first\nexec sleep 300\n",
                                 .memory = 10u << 20};
    driver_submit(&driver, "requeue-1", 1, &job, 1, DESCPIPE_SUBMISSION_DETACHED, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    const struct told *told = driver_until_running(&driver, 1);
    ck_assert_uint_eq(told->attempt, 1);
    driver_until(&driver, is_there, "requeue-1/first");
    const char *const requeue[] = {"scontrol", "requeue", told->native_id, NULL};
    ck_assert_int_eq(run_beside(requeue), 0);
    driver_until(&driver, waits_again, NULL);
    /* SLURM lets it wait two minutes; a person need not. */
    cleanup(memory_free) char *id = memory_format("JobId=%s", told->native_id);
    const char *const now[] = {"scontrol", "update", id, "StartTime=now", NULL};
    ck_assert_int_eq(run_beside(now), 0);
    told = driver_until_ended(&driver, 1);
    ck_assert_int_eq(told->exit_code, 9);
    ck_assert_uint_eq(told->attempt, 2);
}
END_TEST

START_TEST(a_folder_that_the_node_does_not_see_is_told)
{
    const struct test_job job = {.script = "echo ran\n", .memory = 10u << 20};
    cleanup(memory_free) char *from = memory_format("%s/gone-1", driver.folder);
    const struct test_job busy = {.script = "sleep 3\n", .nodes = 3, .cpus = 2, .memory = 10u << 20};
    submit("busy-1", &busy, 1);
    answer_clear(&answer);
    driver_submit(&driver, "gone-1", 2, &job, 1, 0, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    const char *const away[] = {"rm", "-r", from, NULL};
    ck_assert_int_eq(run_beside(away), 0);
    const struct told *told = driver_until_ended(&driver, 2);
    ck_assert_uint_ne(told->flags, DESCPIPE_ENDED_EXITED);
    ck_assert_msg(told->exit_code != 0 || (told->flags & (DESCPIPE_ENDED_NOT_STARTED | DESCPIPE_ENDED_LOST)) != 0,
                  "flags %x: %s", told->flags, told->reason);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slurm/testbed");
    TCase *cases = tcase_create("real");
    tcase_set_timeout(cases, DRIVER_PATIENCE_S + 30);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, says_what_it_is);
    tcase_add_test(cases, runs_a_script_and_keeps_its_words);
    tcase_add_test(cases, twenty_alike_are_one_array);
    tcase_add_test(cases, too_much_memory_is_told_with_peak_and_limit);
    tcase_add_test(cases, a_signal_is_told);
    tcase_add_test(cases, cancelled_from_outside_says_by_whom);
    tcase_add_test(cases, cancels_some_of_an_array_and_then_the_rest);
    tcase_add_test(cases, what_waits_for_another_runs_after_it_or_never);
    tcase_add_test(cases, ranks_start_over_nodes_and_know_their_number);
    tcase_add_test(cases, what_the_site_never_gives_is_refused_with_the_number);
    tcase_add_test(cases, an_array_that_the_controller_refuses_takes_the_others_back);
    tcase_add_test(cases, says_when_a_job_would_start);
    tcase_add_test(cases, a_new_process_adopts_what_runs_and_what_has_ended);
    tcase_add_test(cases, a_controller_that_restarts_is_no_failure);
    tcase_add_test(cases, a_node_that_dies_is_told_and_nothing_is_repeated);
    tcase_add_test(cases, a_requeue_is_another_attempt);
    tcase_add_test(cases, a_folder_that_the_node_does_not_see_is_told);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
