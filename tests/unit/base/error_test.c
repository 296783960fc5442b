/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/error.h"

#include <errno.h>

#include "suite.h"

START_TEST(every_kind_has_its_exit_status)
{
    static const struct {
        enum error_kind kind;
        int status;
    } table[] = {{ERROR_NONE, 0},  {ERROR_DIFFERS, 1}, {ERROR_INPUT, 2},       {ERROR_PLUGIN, 3}, {ERROR_NETWORK, 4},
                 {ERROR_STAGE, 5}, {ERROR_SYSTEM, 6},  {ERROR_INTERRUPTED, 7}, {ERROR_BUG, 70}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ck_assert_int_eq(error_exit_status(table[i].kind), table[i].status);
}
END_TEST

START_TEST(a_full_disk_and_a_used_up_quota_are_one)
{
    ck_assert(error_is_no_room(ENOSPC));
    ck_assert(error_is_no_room(EDQUOT));
    ck_assert(!error_is_no_room(EROFS)); /* no room that comes back */
    ck_assert(!error_is_no_room(0));
}
END_TEST

START_TEST(set_replaces_and_keeps_one_line)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert(!error_set(&error, ERROR_INPUT, "first\nsecond '%s'", "a\rb"));
    ck_assert_str_eq(error.message, "first second 'a b'");
    error_hint(&error, "do %d\nthings", 2);
    error_place(&error, "pipeline.yaml", 3, 5);
    ck_assert_str_eq(error.hint, "do 2 things");
    ck_assert_str_eq(error.file, "pipeline.yaml");
    ck_assert(!error_set(&error, ERROR_BUG, "again: %s", error.message)); /* an argument from the old one */
    ck_assert_str_eq(error.message, "again: first second 'a b'");
    ck_assert_int_eq(error.kind, ERROR_BUG);
    ck_assert_ptr_null(error.hint);
    ck_assert_ptr_null(error.file);
    ck_assert_uint_eq(error.line, 0);
}
END_TEST

START_TEST(system_says_the_reason)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    errno = ENOSPC;
    ck_assert(!error_system(&error, "cannot write '%s'", "x"));
    ck_assert_str_eq(error.message, "cannot write 'x': No space left on device");
    ck_assert_int_eq(error.kind, ERROR_SYSTEM);
}
END_TEST

START_TEST(wrap_goes_in_front)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    error_set(&error, ERROR_PLUGIN, "inner");
    ck_assert(!error_wrap(&error, "plugin '%s'", "docker"));
    ck_assert(!error_wrap(&error, "site"));
    ck_assert_str_eq(error.message, "site: plugin 'docker': inner");
    ck_assert_int_eq(error.kind, ERROR_PLUGIN);
    cleanup(error_clear) struct error empty = ERROR_INIT;
    error_wrap(&empty, "alone");
    ck_assert_str_eq(empty.message, "alone");
}
END_TEST

START_TEST(move_hands_over_and_null_is_fine_everywhere)
{
    struct error from = ERROR_INIT;
    cleanup(error_clear) struct error to = ERROR_INIT;
    error_set(&to, ERROR_BUG, "old");
    error_set(&from, ERROR_STAGE, "new");
    error_move(&to, &from);
    ck_assert_str_eq(to.message, "new");
    ck_assert_int_eq(from.kind, ERROR_NONE);
    ck_assert_ptr_null(from.message);
    error_move(&to, &to);
    ck_assert_str_eq(to.message, "new");
    error_set(&from, ERROR_STAGE, "dropped");
    error_move(NULL, &from);
    ck_assert_ptr_null(from.message);
    ck_assert(!error_set(NULL, ERROR_INPUT, "x") && !error_system(NULL, "x") && !error_hint(NULL, "x") &&
              !error_place(NULL, "x", 1, 1) && !error_wrap(NULL, "x"));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("error");
    tcase_add_test(tests, every_kind_has_its_exit_status);
    tcase_add_test(tests, a_full_disk_and_a_used_up_quota_are_one);
    tcase_add_test(tests, set_replaces_and_keeps_one_line);
    tcase_add_test(tests, system_says_the_reason);
    tcase_add_test(tests, wrap_goes_in_front);
    tcase_add_test(tests, move_hands_over_and_null_is_fine_everywhere);
    return run_case("error", tests);
}
