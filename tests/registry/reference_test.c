/* SPDX-License-Identifier: BSD-3-Clause */
/* References by Docker's rules. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "registry/reference.h"

static const struct {
    const char *text, *host, *repository, *tag, *digest;
} read_as[] = {
    {"busybox", NULL, "busybox", NULL, NULL},
    {"busybox:1.36", NULL, "busybox", "1.36", NULL},
    {"joezuntz/desc-pipe-tomography:1.0", NULL, "joezuntz/desc-pipe-tomography", "1.0", NULL},
    {"joezuntz/desc-pipe-pz_stack", NULL, "joezuntz/desc-pipe-pz_stack", NULL, NULL},
    {"docker.io/library/busybox", "docker.io", "library/busybox", NULL, NULL},
    {"localhost/x", "localhost", "x", NULL, NULL},
    {"localhost:5000/x:y", "localhost:5000", "x", "y", NULL},
    {"host:5000/x", "host:5000", "x", NULL, NULL},
    {"Host/x", "Host", "x", NULL, NULL}, /* an upper-case letter cannot be of a repository */
    {"HOST.example:443/a/b/c", "host.example:443", "a/b/c", NULL, NULL},
    {"host/x", NULL, "host/x", NULL, NULL},
    {"[::1]:5000/x/y:t", "[::1]:5000", "x/y", "t", NULL},
    {"[fd00:1:2::3]/x", "[fd00:1:2::3]", "x", NULL, NULL},
    {"127.0.0.1:5000/a", "127.0.0.1:5000", "a", NULL, NULL},
    {"registry.eo4ph.geoanalytics.ca/project/image:tag", "registry.eo4ph.geoanalytics.ca", "project/image", "tag",
     NULL},
    {"a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", NULL, "a/b", NULL,
     "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    {"h.io/b:t@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "h.io", "b", "t",
     "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
    {"a__b/c--d.e", NULL, "a__b/c--d.e", NULL, NULL},
    {"x:_a.B-9", NULL, "x", "_a.B-9", NULL},
};

static void check_text(const char *actual, const char *wanted, const char *what)
{
    if (wanted == NULL)
        ck_assert_msg(actual == NULL, "%s: '%s'", what, actual);
    else
        ck_assert_msg(actual != NULL && strcmp(actual, wanted) == 0, "%s: '%s', not '%s'", what,
                      actual != NULL ? actual : "NULL", wanted);
}

START_TEST(reads_what_docker_reads)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    ck_assert_msg(reference_read(&reference, read_as[_i].text, &failure), "%s", failure.message);
    check_text(reference.host, read_as[_i].host, read_as[_i].text);
    check_text(reference.repository, read_as[_i].repository, read_as[_i].text);
    check_text(reference.tag, read_as[_i].tag, read_as[_i].text);
    check_text(reference.digest, read_as[_i].digest, read_as[_i].text);
}
END_TEST

static const char *const refused[] = {
    "",
    "UPPER",
    "a/UPPER/b",
    "a//b",
    "/a",
    "a/",
    "a:",
    "a:-b",
    "a:.b",
    "a:b c",
    "a@",
    "a@sha256:abc",
    "a@sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
    "-a",
    "a-",
    "a___b",
    "a..b",
    "a._b",
    "host.:5000/x",
    "host:0/x",
    "host:65536/x",
    "host:5x/x",
    "-host.io/x",
    "ho st.io/x",
    "[::1/x",
    "[1234]/x",
    "[::g]/x",
    "user:word@host.io/x",
    "https://host.io/x",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    /* a tag of 129 characters */
    ("a:"
     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901"
     "23456789012345678"),
    "a\n",
    "..",
    "../a",
    "a/../b",
};

START_TEST(refuses_what_docker_refuses)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    ck_assert_msg(!reference_read(&reference, refused[_i], &failure), "'%s' was read", refused[_i]);
    ck_assert_uint_eq(failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_ptr_null(reference.repository);
}
END_TEST

START_TEST(refuses_what_is_too_long)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    char text[REFERENCE_LIMIT + 2];
    memset(text, 'a', sizeof text);
    text[REFERENCE_REPOSITORY_LIMIT] = '\0';
    ck_assert(reference_read(&reference, text, &failure));
    text[REFERENCE_REPOSITORY_LIMIT] = 'a';
    text[REFERENCE_REPOSITORY_LIMIT + 1] = '\0';
    ck_assert(!reference_read(&reference, text, &failure));
    ck_assert_ptr_nonnull(strstr(failure.message, "255"));
    text[REFERENCE_REPOSITORY_LIMIT + 1] = 'a';
    text[REFERENCE_LIMIT + 1] = '\0';
    ck_assert(!reference_read(&reference, text, &failure));
}
END_TEST

static const struct {
    const char *text, *whole;
} docker_means[] = {
    {"busybox", "docker.io/library/busybox:latest"},
    {"busybox:1", "docker.io/library/busybox:1"},
    {"a/b", "docker.io/a/b:latest"},
    {"index.docker.io/busybox", "docker.io/library/busybox:latest"},
    {"docker.io/busybox:x", "docker.io/library/busybox:x"},
    {"ghcr.io/busybox", "ghcr.io/busybox:latest"},
    {"localhost/busybox", "localhost/busybox:latest"},
    {"busybox@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     "docker.io/library/busybox@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
};

START_TEST(fills_in_dockers_defaults)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    ck_assert(reference_read(&reference, docker_means[_i].text, &failure));
    ck_assert(reference_use_docker_defaults(&reference, &failure));
    cleanup(memory_free) char *whole = reference_text(&reference, &failure);
    ck_assert_str_eq(whole, docker_means[_i].whole);
}
END_TEST

START_TEST(moves_to_a_mirror)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    ck_assert(reference_read(&reference, "docker.io/library/busybox:1", &failure));
    ck_assert(reference_set_place(&reference, "Registry.Site.org:5000", "hub", &failure));
    cleanup(memory_free) char *whole = reference_text(&reference, &failure);
    ck_assert_str_eq(whole, "registry.site.org:5000/hub/library/busybox:1");
    ck_assert(!reference_set_place(&reference, "a/b", NULL, &failure));
    ck_assert(!reference_set_place(&reference, "site.org", "UPPER", &failure));
    cleanup(memory_free) char *same = reference_text(&reference, &failure);
    ck_assert_str_eq(same, whole);
}
END_TEST

static const struct {
    const char *host;
    bool loopback;
} hosts[] = {{"localhost", true},
             {"localhost:5000", true},
             {"127.0.0.1", true},
             {"127.9.8.7:80", true},
             {"[::1]:5000", true},
             {"[::1]", true},
             {"127.0.0.1.evil.org", false},
             {"127.evil.org", false},
             {"localhost.evil.org", false},
             {"[::2]", false},
             {"10.0.0.1", false},
             {"127.0.0", false},
             {"[0:0:0:0:0:0:0:1]:5000", true},
             {"[::1", false}};

START_TEST(knows_what_is_this_machine)
{
    ck_assert_msg(reference_host_is_loopback(hosts[_i].host) == hosts[_i].loopback, "%s", hosts[_i].host);
}
END_TEST

#define COUNT(list) ((int)(sizeof(list) / sizeof(list)[0]))

int main(void)
{
    Suite *suite = suite_create("reference");
    TCase *test = tcase_create("reference");
    tcase_add_loop_test(test, reads_what_docker_reads, 0, COUNT(read_as));
    tcase_add_loop_test(test, refuses_what_docker_refuses, 0, COUNT(refused));
    tcase_add_test(test, refuses_what_is_too_long);
    tcase_add_loop_test(test, fills_in_dockers_defaults, 0, COUNT(docker_means));
    tcase_add_test(test, moves_to_a_mirror);
    tcase_add_loop_test(test, knows_what_is_this_machine, 0, COUNT(hosts));
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
