/* SPDX-License-Identifier: BSD-3-Clause */
/* WWW-Authenticate, Retry-After and URLs. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/challenge.h"
#include "registry/client/retry.h"
#include "registry/client/url.h"

static const struct {
    const char *header;
    size_t count;
    enum challenge_scheme chosen;
    const char *realm, *service, *scope;
} read_as[] = {
    {"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull\"", 1,
     CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io", "repository:a/b:pull"},
    {"Basic realm=\"x\"", 1, CHALLENGE_BASIC, "x", NULL, NULL},
    {"bEaReR  realm = \"https://h/t\" , service = s", 1, CHALLENGE_BEARER, "https://h/t", "s", NULL},
    {"Basic realm=\"a, b\", Bearer realm=\"https://h/t\"", 2, CHALLENGE_BEARER, "https://h/t", NULL, NULL},
    {"Negotiate, Basic realm=\"x\"", 2, CHALLENGE_BASIC, "x", NULL, NULL},
    {"Negotiate YWJj==, Basic realm=x", 2, CHALLENGE_BASIC, "x", NULL, NULL},
    {"Bearer realm=https://h/t?a=b,service=s", 1, CHALLENGE_BEARER, "https://h/t?a=b", "s", NULL},
    {"Bearer realm=\"a\\\"b\"", 1, CHALLENGE_BEARER, "a\"b", NULL, NULL},
    {"Bearer realm=\"one\",realm=\"two\"", 1, CHALLENGE_BEARER, "one", NULL, NULL},
    {"Bearer scope=\"x\", Basic realm=\"b\"", 2, CHALLENGE_BASIC, "b", NULL,
     NULL}, /* a Bearer without a realm is none */
    {" , ,Basic", 1, CHALLENGE_BASIC, NULL, NULL, NULL},
    {"Bearer realm=\"https://h/t\",scope=\"repository:a:pull,push repository:b:pull\"", 1, CHALLENGE_BEARER,
     "https://h/t", NULL, "repository:a:pull,push repository:b:pull"},
};

static void check_text(const char *actual, const char *wanted)
{
    ck_assert((actual == NULL) == (wanted == NULL));
    if (wanted != NULL)
        ck_assert_str_eq(actual, wanted);
}

START_TEST(reads_challenges)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(challenges_clear) struct challenges challenges = {0};
    ck_assert_msg(challenges_add(&challenges, read_as[_i].header, &failure), "%s", failure.message);
    ck_assert_uint_eq(challenges.count, read_as[_i].count);
    const struct challenge *chosen = challenges_choose(&challenges);
    ck_assert_ptr_nonnull(chosen);
    ck_assert_int_eq(chosen->scheme, read_as[_i].chosen);
    check_text(chosen->realm, read_as[_i].realm);
    check_text(chosen->service, read_as[_i].service);
    check_text(chosen->scope, read_as[_i].scope);
}
END_TEST

static const char *const refused[] = {
    "Bearer realm=\"open", "=x", "Basic \"x\" y", "Bearer realm=\"a\" service=\"b\"", "(", "Basic realm=\"x\";y"};

START_TEST(refuses_what_is_no_challenge)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(challenges_clear) struct challenges challenges = {0};
    ck_assert(challenges_add(&challenges, "Basic realm=\"kept\"", &failure));
    ck_assert_msg(!challenges_add(&challenges, refused[_i], &failure), "'%s' was read", refused[_i]);
    ck_assert_uint_eq(challenges.count, 1);
}
END_TEST

START_TEST(bounds_challenges)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(challenges_clear) struct challenges challenges = {0};
    char *header = calloc(1, CHALLENGE_HEADER_LIMIT + 2);
    memset(header, 'a', CHALLENGE_HEADER_LIMIT + 1);
    ck_assert(!challenges_add(&challenges, header, &failure));
    header[0] = '\0';
    for (int i = 0; i <= CHALLENGES_LIMIT; i++)
        memcpy(header + strlen(header), "Basic,", 7);
    ck_assert(!challenges_add(&challenges, header, &failure));
    ck_assert_uint_eq(challenges.count, 0);
    free(header);
}
END_TEST

START_TEST(reads_when_to_come_again)
{
    const int64_t noon = 784111777000; /* Sun, 06 Nov 1994 08:49:37 GMT */
    ck_assert_int_eq(retry_after_ms("120", noon), 120000);
    ck_assert_int_eq(retry_after_ms("Sun, 06 Nov 1994 08:50:37 GMT", noon), 60000);
    ck_assert_int_eq(retry_after_ms("Sun, 06 Nov 1994 08:40:37 GMT", noon), 0);
    ck_assert_int_eq(retry_after_ms("soon", noon), -1);
    ck_assert_int_eq(retry_after_ms("-5", noon), -1);
    ck_assert_int_eq(retry_after_ms("99999999999999999999", noon), -1);
    ck_assert_int_eq(retry_after_ms("Sun, 06 Foo 1994 08:50:37 GMT", noon), -1);
    ck_assert_int_eq(retry_after_ms(NULL, noon), -1);
    const char *const seconds[] = {"X-RateLimit-Reset", "60", NULL};
    const char *const moment[] = {"ratelimit-reset", "1784111777", NULL};
    ck_assert_int_eq(retry_limit_ends_at_ms(seconds, noon), noon + 60000);
    ck_assert_int_eq(retry_limit_ends_at_ms(moment, noon), 1784111777000);
}
END_TEST

START_TEST(pauses_grow_and_end)
{
    struct retry retry = {.tries = 5, .patience_ms = 1000};
    uint64_t pause, last = 0;
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(retry_next(&retry, -1, &pause));
        ck_assert(pause >= (uint64_t)RETRY_FIRST_MS / 2 << i && pause <= (uint64_t)RETRY_FIRST_MS << i);
        ck_assert(pause > last / 2);
        last = pause;
    }
    ck_assert(!retry_next(&retry, -1, &pause));
    retry = (struct retry){.tries = 5, .patience_ms = 1000};
    ck_assert(retry_next(&retry, 600, &pause));
    ck_assert(pause >= 600);
    ck_assert(!retry_next(&retry, 600, &pause)); /* patience is over */
}
END_TEST

static const struct {
    const char *base, *location, *resolved;
} places[] = {
    {"https://h:1/v2/a/uploads/", "/v2/a/uploads/1?x=y", "https://h:1/v2/a/uploads/1?x=y"},
    {"https://h/v2/a/uploads/", "https://h/v2/b", "https://h/v2/b"},
    {"http://h/v2/a/b?c=d", "?e=f", "http://h/v2/a/b?e=f"},
    {"http://h/v2/a/b?c=/d", "e", "http://h/v2/a/e"},
    {"http://h", "e", "http://h/e"},
    {"https://h/a", "//other:8/b", "https://other:8/b"},
    {"https://[::1]:5/a", "/b", "https://[::1]:5/b"},
};

START_TEST(resolves_places)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(memory_free) char *url = url_resolve(places[_i].base, places[_i].location, &failure);
    ck_assert_ptr_nonnull(url);
    ck_assert_str_eq(url, places[_i].resolved);
}
END_TEST

START_TEST(knows_urls_and_origins)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    ck_assert(url_same_origin("https://Host/a", "https://host:443/b"));
    ck_assert(url_same_origin("http://host:80", "http://host"));
    ck_assert(!url_same_origin("http://host", "https://host"));
    ck_assert(!url_same_origin("https://host", "https://host.evil"));
    ck_assert(!url_same_origin("https://host:444", "https://host"));
    ck_assert(url_same_host("http://host:80/x", "https://host"));
    ck_assert(url_same_host("http://[::1]:80/x", "https://[::1]"));
    ck_assert(!url_same_host("http://[::1]", "https://[::2]"));
    ck_assert(!url_valid("https://user:word@host/"));
    ck_assert(!url_valid("ftp://host/"));
    ck_assert(!url_valid("https://"));
    ck_assert(!url_valid("https://host/a b"));
    ck_assert(!url_valid("https://host/\xc3\xa9"));
    ck_assert(url_is_loopback("http://127.0.0.1:5/x"));
    ck_assert(!url_is_loopback("http://127.0.0.1.evil.org/x"));
    ck_assert_ptr_null(url_resolve("https://h/", "//", &failure));
    cleanup(memory_free) char *url =
        url_add_parameter("https://h/t?a=b", "scope", "repository:x/y:pull,push a&b", &failure);
    ck_assert_str_eq(url, "https://h/t?a=b&scope=repository:x/y:pull%2Cpush%20a%26b");
}
END_TEST

#define COUNT(list) ((int)(sizeof(list) / sizeof(list)[0]))

int main(void)
{
    Suite *suite = suite_create("challenge");
    TCase *test = tcase_create("challenge");
    tcase_add_loop_test(test, reads_challenges, 0, COUNT(read_as));
    tcase_add_loop_test(test, refuses_what_is_no_challenge, 0, COUNT(refused));
    tcase_add_test(test, bounds_challenges);
    tcase_add_test(test, reads_when_to_come_again);
    tcase_add_test(test, pauses_grow_and_end);
    tcase_add_loop_test(test, resolves_places, 0, COUNT(places));
    tcase_add_test(test, knows_urls_and_origins);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
