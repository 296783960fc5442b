/* SPDX-License-Identifier: BSD-3-Clause */
/* What runs share: that it is shared, that the dead hold nothing, and that nothing breaks without it. */
#include "broker.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

static char folder[] = "/tmp/descpipe-broker-XXXXXX";
static struct broker broker;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(broker_open(&broker, folder, "key", 1000));
}

static void tear_down(void)
{
    cleanup(memory_free) char *command = memory_format("exec rm -r %s", folder);
    broker_close(&broker);
    ck_assert_int_eq(system(command), 0);
}

/* Runs `act` in another process. */
static int elsewhere(int (*act)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        _exit(act());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int publish_elsewhere(void)
{
    struct broker other;
    struct buffer answer = {0};
    buffer_add_text(&answer, "line\nline\n");
    if (!broker_open(&other, folder, "key", 1000) || !broker_ask_begin(&other)) {
        return 1;
    }
    broker_publish(&other, BROKER_QUEUE, 5000, &answer);
    broker_ask_end(&other);
    return 0;
}

START_TEST(an_answer_of_one_process_serves_another)
{
    struct buffer answer;
    int64_t began = 0;
    ck_assert(!broker_read(&broker, BROKER_QUEUE, 0, &began, &answer));
    ck_assert_int_eq(elsewhere(publish_elsewhere), 0);
    ck_assert(broker_read(&broker, BROKER_QUEUE, 5000, &began, &answer));
    ck_assert_int_eq(began, 5000);
    ck_assert_str_eq(buffer_text(&answer), "line\nline\n");
    buffer_clear(&answer);
    ck_assert(!broker_read(&broker, BROKER_QUEUE, 5001, &began, &answer)); /* too old for what was asked */
    ck_assert(!broker_read(&broker, BROKER_LIMITS, 0, &began, &answer)); /* something else */
}
END_TEST

START_TEST(another_key_shares_nothing)
{
    struct broker other;
    struct buffer answer;
    int64_t began;
    ck_assert_int_eq(elsewhere(publish_elsewhere), 0);
    ck_assert(broker_open(&other, folder, "another", 1000));
    ck_assert(!broker_read(&other, BROKER_QUEUE, 0, &began, &answer));
    broker_close(&other);
}
END_TEST

static int ask_and_die(void)
{
    struct broker other;
    return broker_open(&other, folder, "key", 1000) && broker_ask_begin(&other) ? 0 : 1;
}

static int try_to_ask(void)
{
    struct broker other;
    return broker_open(&other, folder, "key", 1000) && broker_ask_begin(&other) ? 0 : 1;
}

START_TEST(who_asks_keeps_others_from_asking_until_it_ends)
{
    ck_assert(broker_ask_begin(&broker));
    ck_assert_int_eq(elsewhere(try_to_ask), 1);
    broker_ask_end(&broker);
    ck_assert_int_eq(elsewhere(try_to_ask), 0);
}
END_TEST

START_TEST(a_process_that_died_asking_holds_nothing)
{
    ck_assert_int_eq(elsewhere(ask_and_die), 0);
    ck_assert(broker_ask_begin(&broker));
    ck_assert_int_eq(elsewhere(try_to_ask), 1);
    broker_ask_end(&broker);
}
END_TEST

static int take_ten(void)
{
    struct broker other;
    if (!broker_open(&other, folder, "key", 1000)) {
        return 1;
    }
    for (int i = 0; i < 10; i++) {
        if (broker_take(&other, 1, 1000) != 0) {
            return 2;
        }
    }
    broker_close(&other);
    return 0;
}

START_TEST(the_bucket_is_one_for_all)
{
    broker_limit(&broker, 25, 1, 1000);
    ck_assert_int_eq(elsewhere(take_ten), 0);
    ck_assert_int_eq(elsewhere(take_ten), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(broker_take(&broker, 1, 1000), 0);
    }
    ck_assert_int_gt(broker_take(&broker, 1, 1000), 900);
    broker_slow_down(&broker, 1000);
    ck_assert_int_eq(elsewhere(take_ten), 2);
}
END_TEST

START_TEST(broken_files_are_as_good_as_none)
{
    static const char *const texts[] = {"", "queue1", "queue1 x 1\n", "\n\n\n", "bucket1 x 1 2 3\n"};
    struct buffer answer;
    int64_t began;
    ck_assert_int_eq(elsewhere(publish_elsewhere), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        cleanup(memory_free) char *command = memory_format(
            "for one in %s/*.queue %s/*.bucket; do printf '%%s' '%s' >\"$one\"; done", folder, folder, texts[i]);
        ck_assert_int_eq(system(command), 0);
        ck_assert(!broker_read(&broker, BROKER_QUEUE, 0, &began, &answer));
        ck_assert_int_eq(broker_take(&broker, 1, 1000), 0);
    }
}
END_TEST

START_TEST(a_folder_that_cannot_be_written_only_shares_nothing)
{
    struct broker other;
    cleanup(memory_free) char *nowhere = memory_format("%s/nowhere", folder);
    ck_assert(broker_open(&other, nowhere, "key", 1000));
    ck_assert_int_eq(broker_take(&other, 1, 1000), 0);
    ck_assert(broker_ask_begin(&other));
    broker_ask_end(&other);
    broker_close(&other);
    ck_assert(broker_open(&other, NULL, "key", 1000));
    ck_assert_int_eq(broker_take(&other, 1, 1000), 0);
    ck_assert(broker_ask_begin(&other));
    broker_close(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slurm/broker");
    TCase *cases = tcase_create("sharing");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, an_answer_of_one_process_serves_another);
    tcase_add_test(cases, another_key_shares_nothing);
    tcase_add_test(cases, who_asks_keeps_others_from_asking_until_it_ends);
    tcase_add_test(cases, a_process_that_died_asking_holds_nothing);
    tcase_add_test(cases, the_bucket_is_one_for_all);
    tcase_add_test(cases, broken_files_are_as_good_as_none);
    tcase_add_test(cases, a_folder_that_cannot_be_written_only_shares_nothing);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
