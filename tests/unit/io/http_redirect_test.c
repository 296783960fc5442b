/* SPDX-License-Identifier: BSD-3-Clause */
/* Redirects: what is followed, what goes along, and what never does. */
#include <fcntl.h>

#include "http_fixture.h"

static struct server other;

/* Redirects: "/to?URL" answers 307 to URL. The context is the status to use instead. */
static bool redirect(struct server *at, int connection, const struct server_request *request)
{
    const char *target = strstr(request->head, "/to?");
    if (target == NULL)
        return say_hello(at, connection, request);
    cleanup(memory_free) char *answer = memory_format(
        "HTTP/1.1 %s Moved\r\nLocation: %.*s\r\nX-Hop: 1\r\nContent-Length: 4\r\n\r\ngone",
        at->context != NULL ? (const char *)at->context : "307", (int)strcspn(target + 4, " "), target + 4);
    server_send(connection, answer);
    return true;
}

START_TEST(redirects_are_followed_only_when_asked)
{
    server_start(&server, redirect);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/to?/end"));
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 307);
    ck_assert_str_eq(text_bytes(&result.data), "gone");
    request.flags = DESCPIPE_HTTP_FOLLOW_REDIRECTS;
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    ck_assert_str_eq(text_bytes(&result.data), "hello");
    ck_assert_str_eq(text_bytes(&result.headers), "Content-Length=5|X-Some=value|"); /* none of the hop's */
    ck_assert_str_eq(text_bytes(&result.url), url_of(&server, "/end"));
    server_stop(&server);
}
END_TEST

static struct descpipe_http_request request_with_login(const char *url, const struct descpipe_secret *token)
{
    static const char *const headers[] = {"Accept: x/y",           "Authorization: custom", "Cookie: c",
                                          "X-Registry-Auth: cred", "Range: bytes=0-9",      NULL};
    struct descpipe_http_request request = request_for(&result, "GET", url);
    request.flags = DESCPIPE_HTTP_FOLLOW_REDIRECTS;
    request.bearer = token;
    request.headers = token != NULL ? headers + 2 : headers;
    return request;
}

START_TEST(the_same_origin_keeps_its_login)
{
    server_start(&server, redirect);
    cleanup(secret_release) struct descpipe_secret *token = secret_make("tok123", 6);
    struct descpipe_http_request request = request_with_login(url_of(&server, "/to?/end"), token);
    run(&request);
    server_stop(&server);
    check_end(DESCPIPE_HTTP_DONE, 200);
    ck_assert_uint_eq(server.request_count, 2);
    ck_assert(has_line(&server.requests[1], "Authorization: Bearer tok123"));
    ck_assert(has_line(&server.requests[1], "X-Registry-Auth: cred"));
}
END_TEST

/* Another port is another origin; and what has been dropped does not come back on the way home. */
START_TEST(another_origin_gets_no_login)
{
    for (int round = 0; round < 2; round++) {
        server_start(&server, redirect);
        server_start(&other, redirect);
        cleanup(secret_release) struct descpipe_secret *token = secret_make("tok123", 6);
        cleanup(memory_free) char *path =
            memory_format("/to?http://127.0.0.1:%u/to?http://127.0.0.1:%u/end", other.port, server.port);
        struct descpipe_http_request request = request_with_login(url_of(&server, path), round == 0 ? token : NULL);
        run(&request);
        check_end(DESCPIPE_HTTP_DONE, 200);
        server_stop(&server);
        server_stop(&other);
        ck_assert_uint_eq(server.request_count, 2);
        ck_assert_uint_eq(other.request_count, 1);
        ck_assert(names_header(&server.requests[0], "Authorization"));
        const struct server_request *later[] = {&other.requests[0], &server.requests[1]};
        for (int i = 0; i < 2; i++) {
            ck_assert(!names_header(later[i], "Authorization") && !names_header(later[i], "Cookie") &&
                      !names_header(later[i], "X-Registry-Auth"));
            ck_assert(has_line(later[i], "Range: bytes=0-9"));
        }
    }
}
END_TEST

START_TEST(another_origin_gets_no_basic_login_either)
{
    server_start(&server, redirect);
    server_start(&other, redirect);
    cleanup(secret_release) struct descpipe_secret *password = secret_make("tok123", 6);
    cleanup(memory_free) char *path =
        memory_format("/to?http://localhost:%u/end", server.port); /* another host's name */
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, path));
    request.flags = DESCPIPE_HTTP_FOLLOW_REDIRECTS;
    request.username = "me";
    request.password = password;
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    server_stop(&server);
    server_stop(&other);
    ck_assert(names_header(&server.requests[0], "Authorization"));
    ck_assert(!names_header(&server.requests[1], "Authorization"));
}
END_TEST

static const struct {
    const char *target; /* behind "/to?" */
    const char *method, *body, *reason;
} forbidden[] = {
    {"http://registry.example/", "GET", NULL,
     "it redirects to where we do not follow: plain http to 'registry.example' is refused: anybody on the way could "
     "read "
     "and change it"},
    {"ftp://127.0.0.1/", "GET", NULL, "it redirects to where we do not follow: 'ftp' is neither http nor https"},
    {"file:///etc/passwd", "GET", NULL, "it redirects to where we do not follow: 'file' is neither http nor https"},
    {"http://u:p@127.0.0.1/", "GET", NULL,
     "it redirects to where we do not follow: the URL holds a user name; logins are given apart from it"},
    {"http://127.0.0.1:1/", "POST", "secret", "it redirects what we send to another host, '127.0.0.1'"},
};

START_TEST(some_redirects_are_refused)
{
    server_start(&server, redirect);
    cleanup(memory_free) char *path = memory_format("/to?%s", forbidden[_i].target);
    struct descpipe_http_request request = request_for(&result, forbidden[_i].method, url_of(&server, path));
    request.flags = DESCPIPE_HTTP_FOLLOW_REDIRECTS;
    if (forbidden[_i].body != NULL) {
        request.body = forbidden[_i].body;
        request.body_length = strlen(forbidden[_i].body);
    }
    run(&request);
    check_end(DESCPIPE_HTTP_CUT, 307);
    const char *reason = strstr(text_bytes(&result.message), "': ");
    ck_assert_ptr_nonnull(reason);
    ck_assert_str_eq(reason + 3, forbidden[_i].reason);
    server_stop(&server);
}
END_TEST

static bool redirect_to_itself(struct server *at, int connection, const struct server_request *request)
{
    (void)at;
    (void)request;
    server_send(connection, "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
    return true;
}

START_TEST(redirects_come_to_an_end)
{
    server_start(&server, redirect_to_itself);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    request.flags = DESCPIPE_HTTP_FOLLOW_REDIRECTS;
    run(&request);
    check_end(DESCPIPE_HTTP_CUT, 302);
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.message), "': redirected more than 10 times"));
    server_stop(&server);
    ck_assert_uint_eq(server.request_count, 11);
}
END_TEST

START_TEST(a_redirected_body_is_sent_again_or_becomes_a_get)
{
    server_start(&server, redirect);
    cleanup(memory_free) char *from = temporary_path("from");
    put_file(from, "content");
    cleanup(descriptor_close) int source = open(from, O_RDONLY | O_CLOEXEC);
    struct descpipe_http_request request = request_for(&result, "POST", url_of(&server, "/to?/end"));
    request.flags = DESCPIPE_HTTP_FOLLOW_REDIRECTS;
    request.body_descriptor = source;
    request.body_length = 7;
    run(&request); /* 307 */
    check_end(DESCPIPE_HTTP_DONE, 200);
    server.context = "302";
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    server_stop(&server);
    ck_assert(text_starts_with(server.requests[1].head, "POST /end"));
    ck_assert_str_eq(server.requests[1].body, "content");
    ck_assert(text_starts_with(server.requests[3].head, "GET /end"));
    ck_assert_str_eq(server.requests[3].body, "");
    ck_assert(!names_header(&server.requests[3], "Content-Length"));
}
END_TEST

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int main(void)
{
    TCase *tests = tcase_create("http_redirect");
    tcase_add_checked_fixture(tests, make, end);
    tcase_add_test(tests, redirects_are_followed_only_when_asked);
    tcase_add_test(tests, the_same_origin_keeps_its_login);
    tcase_add_test(tests, another_origin_gets_no_login);
    tcase_add_test(tests, another_origin_gets_no_basic_login_either);
    tcase_add_loop_test(tests, some_redirects_are_refused, 0, COUNT(forbidden));
    tcase_add_test(tests, redirects_come_to_an_end);
    tcase_add_test(tests, a_redirected_body_is_sent_again_or_becomes_a_get);
    return run_case("http_redirect", tests);
}
