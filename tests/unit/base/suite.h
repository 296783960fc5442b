/* SPDX-License-Identifier: BSD-3-Clause */
/* The main of a test program with one suite. */
#ifndef DESCPIPE_TESTS_SUITE_H
#define DESCPIPE_TESTS_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* True where a sanitizer replaces allocation and locking of memory by its own. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* valgrind runs what is spawned in memory of its own, so that posix_spawn cannot tell us why it failed. */
static inline bool runs_under_valgrind(void)
{
    const char *preloaded = secure_getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

static inline int run_case(const char *name, TCase *tests)
{
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 100); /* for sanitizers and valgrind on a busy machine; nothing takes as long */
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
