/* SPDX-License-Identifier: BSD-3-Clause */
/* The main of a test program with one suite. */
#ifndef DESCPIPE_TESTS_SUITE_H
#define DESCPIPE_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int run_case(const char *name, TCase *tests)
{
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
