/* SPDX-License-Identifier: BSD-3-Clause */
/* One suite, one case, its exit status. */
#ifndef TESTS_UNIT_REPORT_SUITE_H
#define TESTS_UNIT_REPORT_SUITE_H

#include <check.h>

static inline int suite_run(const char *name, const TTest *const *tests, void (*set_up)(void), void (*tear_down)(void))
{
    Suite *suite = suite_create(name);
    TCase *group = tcase_create(name);
    tcase_set_timeout(group, 60); /* seconds: other work may keep the machine busy */
    if (set_up != NULL)
        tcase_add_checked_fixture(group, set_up, tear_down);
    for (; *tests != NULL; tests++)
        tcase_add_test(group, *tests);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
