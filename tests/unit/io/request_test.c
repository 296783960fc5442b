/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/request.h"

#include <string.h>

#include "../base/suite.h"
#include "io/secret.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *method, *url, *header, *username, *token, *message;
} bad[] = {
    {NULL, "http://h/", NULL, NULL, NULL, "the HTTP method is missing or no word"},
    {"GET /x HTTP/1.1\r\nX:", "http://h/", NULL, NULL, NULL, "the HTTP method is missing or no word"},
    {"", "http://h/", NULL, NULL, NULL, "the HTTP method is missing or no word"},
    {"GET", NULL, NULL, NULL, NULL, "the URL is missing"},
    {"GET", "http://h/a b?token=x", NULL, NULL, NULL, "the URL 'http://h/a b' holds a space or control character"},
    {"GET", "http://u:p@h/\r\n", NULL, NULL, NULL, "the URL 'http://h/\\x0D\\x0A' holds a space or control character"},
    {"GET", "http://h/", "X-A: b\r\nX-Evil: c", NULL, NULL, "the header 'X-A' is not 'Name: value' on one line"},
    {"GET", "http://h/", "X-A: b\nc", NULL, NULL, "the header 'X-A' is not 'Name: value' on one line"},
    {"GET", "http://h/", "X A: secret", NULL, NULL, "the header 'X A' is not 'Name: value' on one line"},
    {"GET", "http://h/", ": secret", NULL, NULL, "the header '' is not 'Name: value' on one line"},
    {"GET", "http://h/", "no-colon", NULL, NULL, "the header 'no-colon' is not 'Name: value' on one line"},
    {"GET", "http://h/", NULL, "a:b", NULL, "the user name holds a colon, which a basic login cannot send"},
    {"GET", "http://h/", NULL, "a\n", NULL, "the user name holds a control character"},
    {"GET", "http://h/", NULL, NULL, "token\n", "the token holds a control character, perhaps a newline at its end"},
};

START_TEST(refuses_what_could_end_a_line)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const char *const headers[] = {"Accept: */*", bad[_i].header, NULL};
    cleanup(secret_release) struct descpipe_secret *token =
        bad[_i].token != NULL ? secret_make(bad[_i].token, strlen(bad[_i].token)) : NULL;
    struct descpipe_http_request request = {.method = bad[_i].method,
                                            .url = bad[_i].url,
                                            .headers = headers,
                                            .username = bad[_i].username,
                                            .bearer = token};
    ck_assert(!request_check(&request, &error));
    ck_assert_str_eq(error.message, bad[_i].message);
}
END_TEST

START_TEST(refuses_a_secret_with_nul)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(secret_release) struct descpipe_secret *password = secret_make("a\0b", 3);
    struct descpipe_http_request request = {
        .method = "GET", .url = "https://h/", .username = "me", .password = password};
    ck_assert(!request_check(&request, &error));
    ck_assert_str_eq(error.message, "the password holds a control character, perhaps a newline at its end");
}
END_TEST

START_TEST(takes_what_is_harmless)
{
    const char *const headers[] = {"Accept: a/b, c/d;q=0.5", "X-Empty:", "X-Tab: a\tb", "X-Text: \xC3\xA9", NULL};
    struct descpipe_http_request request = {.method = "PATCH", .url = "https://h:8443/p?q#f", .headers = headers};
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_msg(request_check(&request, &error), "%s", error.message);
}
END_TEST

START_TEST(knows_loopback)
{
    static const char *const yes[] = {"localhost", "LOCALHOST", "registry.localhost", "127.0.0.1", "127.255.1.2",
                                      "::1",       "[::1]"};
    static const char *const no[] = {"localhost.evil.org",
                                     "evillocalhost",
                                     ".localhost",
                                     "128.0.0.1",
                                     "127.0.0.1.evil.org",
                                     "127.1",
                                     "[::2]",
                                     "::ffff:127.0.0.1",
                                     "0.0.0.0",
                                     "",
                                     "[::1",
                                     "10.0.0.1"};
    for (size_t i = 0; i < COUNT(yes); i++)
        ck_assert_msg(request_host_is_loopback(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < COUNT(no); i++)
        ck_assert_msg(!request_host_is_loopback(no[i]), "%s", no[i]);
}
END_TEST

START_TEST(only_harmless_headers_travel)
{
    ck_assert(request_header_may_travel("accept: x") && request_header_may_travel("Range: bytes=0-"));
    ck_assert(!request_header_may_travel("Authorization: x") && !request_header_may_travel("Cookie: x") &&
              !request_header_may_travel("X-Registry-Auth: x") && !request_header_may_travel("Accept-Secret: x") &&
              !request_header_may_travel("X-Amz-Security-Token: x") && !request_header_may_travel("Host: x"));
}
END_TEST

static const struct {
    const char *before;
    long status;
    const char *after;
} redirects[] = {{"GET", 301, "GET"},    {"POST", 301, "GET"},  {"POST", 302, "GET"},
                 {"PUT", 302, "PUT"},    {"POST", 307, "POST"}, {"POST", 308, "POST"},
                 {"DELETE", 303, "GET"}, {"HEAD", 303, "HEAD"}, {"HEAD", 302, "HEAD"}};

START_TEST(redirects_change_the_method_as_the_rfc_says)
{
    ck_assert_str_eq(request_method_after(redirects[_i].before, redirects[_i].status), redirects[_i].after);
}
END_TEST

START_TEST(only_idempotent_methods_may_be_repeated)
{
    ck_assert(request_method_is_idempotent("GET") && request_method_is_idempotent("DELETE"));
    ck_assert(!request_method_is_idempotent("POST") && !request_method_is_idempotent("PATCH") &&
              !request_method_is_idempotent("SPAWN"));
}
END_TEST

static const struct {
    const char *url, *shown;
} urls[] = {{"https://h/a?X-Amz-Signature=1", "https://h/a"},
            {"https://u:p@h/a@b#f", "https://h/a@b"},
            {"https://u:p@x@h:1/", "https://h:1/"},
            {"u:p@h", "h"},
            {"https://h", "https://h"}};

START_TEST(urls_are_shown_without_secrets)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    request_append_url(&text, urls[_i].url);
    ck_assert_str_eq(text_bytes(&text), urls[_i].shown);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("request");
    tcase_add_loop_test(tests, refuses_what_could_end_a_line, 0, COUNT(bad));
    tcase_add_test(tests, refuses_a_secret_with_nul);
    tcase_add_test(tests, takes_what_is_harmless);
    tcase_add_test(tests, knows_loopback);
    tcase_add_test(tests, only_harmless_headers_travel);
    tcase_add_loop_test(tests, redirects_change_the_method_as_the_rfc_says, 0, COUNT(redirects));
    tcase_add_test(tests, only_idempotent_methods_may_be_repeated);
    tcase_add_loop_test(tests, urls_are_shown_without_secrets, 0, COUNT(urls));
    return run_case("request", tests);
}
