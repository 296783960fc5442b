/* SPDX-License-Identifier: BSD-3-Clause */
/* The table that engine and keeper share. (What the keeper does with it: tests/faults.) */
#include "run/keeper.h"

#include <check.h>

static struct keeper_table *table;

static void set_up(void)
{
    table = keeper_table_new(NULL);
    ck_assert_ptr_nonnull(table);
}

static void tear_down(void)
{
    keeper_table_free(table);
}

START_TEST(gives_each_job_a_slot_of_its_own)
{
    for (uint64_t job = 1; job <= KEEPER_SLOTS; job++) {
        int slot = keeper_slot_take(table, job);
        ck_assert_int_ge(slot, 0);
        *keeper_slot_pid(table, slot) = (pid_t)(1000 + job);
        ck_assert_uint_eq(table->slots[slot].job, job);
        ck_assert_int_eq(table->slots[slot].pid, (int32_t)(1000 + job));
    }
    ck_assert_int_eq(keeper_slot_take(table, 99999), -1);
    ck_assert_ptr_null(keeper_slot_pid(table, -1));
    keeper_slot_give(table, -1);
    keeper_slot_give(table, 17);
    ck_assert_int_eq(keeper_slot_take(table, 99999), 17);
    ck_assert_int_eq(table->slots[17].pid, 0); /* not the last owner's */
}
END_TEST

START_TEST(takes_no_folder_that_does_not_fit)
{
    char folder[KEEPER_FOLDER + 1];
    for (size_t i = 0; i < KEEPER_FOLDER; i++)
        folder[i] = 'x';
    folder[KEEPER_FOLDER] = '\0';
    keeper_table_set_folder(table, folder);
    ck_assert_uint_eq(table->has_folder, 0);
    folder[KEEPER_FOLDER - 1] = '\0';
    keeper_table_set_folder(table, folder);
    ck_assert_uint_eq(table->has_folder, 1);
    ck_assert_str_eq(table->folder, folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper");
    TCase *cases = tcase_create("keeper");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, gives_each_job_a_slot_of_its_own);
    tcase_add_test(cases, takes_no_folder_that_does_not_fit);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
