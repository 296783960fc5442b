/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/http.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "http_fixture.h"

static struct server other;

START_TEST(gets_status_headers_and_body_over_a_kept_connection)
{
    server_start(&server, say_hello);
    for (int i = 0; i < 3; i++) {
        struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/path?q=1"));
        request.headers = (const char *const[]){"X-Mine: 1", "X-Empty:", NULL};
        run(&request);
        check_end(DESCPIPE_HTTP_DONE, 200);
        ck_assert_ptr_null(result.end.message);
        ck_assert_int_eq(result.status_at_start, 200);
        ck_assert_str_eq(text_bytes(&result.headers), "Content-Length=5|X-Some=value|");
        ck_assert_str_eq(text_bytes(&result.data), "hello");
        ck_assert_str_eq(text_bytes(&result.url), url_of(&server, "/path?q=1"));
    }
    server_stop(&server);
    ck_assert_uint_eq(server.connection_count, 1);
    ck_assert_uint_eq(server.request_count, 3);
    ck_assert(text_starts_with(server.requests[2].head, "GET /path?q=1 HTTP/1.1\r\n"));
    ck_assert(has_line(&server.requests[2], "X-Mine: 1") && has_line(&server.requests[2], "X-Empty:"));
    ck_assert(has_line(&server.requests[2], "User-Agent: descpipe"));
}
END_TEST

static bool say_error(struct server *at, int connection, const struct server_request *request)
{
    (void)at;
    (void)request;
    server_send(connection, "HTTP/1.1 500 Broken\r\nContent-Length: 3\r\n\r\nbad");
    return true;
}

START_TEST(an_error_status_is_done_all_the_same)
{
    server_start(&server, say_error);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 500);
    ck_assert_str_eq(text_bytes(&result.data), "bad");
    server_stop(&server);
}
END_TEST

static const struct {
    const char *method;
    const char *body;
    const char *length_line; /* NULL: none */
} bodies[] = {{"POST", "a=1", "Content-Length: 3"},
              {"PUT", "", "Content-Length: 0"},
              {"POST", NULL, "Content-Length: 0"},
              {"PATCH", "xyz", "Content-Length: 3"},
              {"DELETE", NULL, NULL},
              {"DELETE", "why", "Content-Length: 3"},
              {"GET", NULL, NULL},
              {"OPTIONS", NULL, NULL}};

START_TEST(sends_bodies_with_their_length_and_nothing_of_curls)
{
    server_start(&server, say_hello);
    struct descpipe_http_request request = request_for(&result, bodies[_i].method, url_of(&server, "/"));
    char body[16] = "";
    if (bodies[_i].body != NULL) {
        snprintf(body, sizeof body, "%s", bodies[_i].body);
        request.body = body;
        request.body_length = strlen(body);
    }
    begin(&result, &request);
    memset(body, '!', sizeof body - 1); /* it was copied */
    loop_run(loop, NULL, NULL);
    check_end(DESCPIPE_HTTP_DONE, 200);
    server_stop(&server);
    const struct server_request *got = &server.requests[0];
    ck_assert(text_starts_with(got->head, bodies[_i].method));
    ck_assert_str_eq(got->body, bodies[_i].body != NULL ? bodies[_i].body : "");
    ck_assert_int_eq(names_header(got, "Content-Length"), bodies[_i].length_line != NULL);
    if (bodies[_i].length_line != NULL)
        ck_assert(has_line(got, bodies[_i].length_line));
    ck_assert(!names_header(got, "Content-Type") && !names_header(got, "Expect"));
}
END_TEST

START_TEST(head_has_no_body_and_no_limit)
{
    server_start(&server, say_hello);
    struct descpipe_http_request request = request_for(&result, "HEAD", url_of(&server, "/"));
    request.answer_limit = 1;
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    ck_assert_str_eq(text_bytes(&result.data), "");
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.headers), "Content-Length=5|"));
    server_stop(&server);
    ck_assert(text_starts_with(server.requests[0].head, "HEAD / "));
}
END_TEST

START_TEST(sends_a_body_from_a_descriptor_and_keeps_the_answer_in_one)
{
    server_start(&server, say_hello);
    enum { BYTES = 3000000 };
    cleanup(memory_free) char *from = temporary_path("from");
    cleanup(memory_free) char *to = temporary_path("to");
    cleanup(descriptor_close) int source = open(from, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cleanup(descriptor_close) int target = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(source, BYTES + 10), 0);
    ck_assert_int_eq(pwrite(source, "skipped--+begin", 15, 0), 15);
    ck_assert_int_eq(lseek(source, 10, SEEK_SET), 10);
    struct descpipe_http_request request = request_for(&result, "PUT", url_of(&server, "/blob"));
    request.body_descriptor = source;
    request.body_length = BYTES;
    request.answer_descriptor = target;
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    check_file(to, "hello");
    ck_assert_str_eq(text_bytes(&result.data), "");
    server_stop(&server);
    ck_assert_uint_eq(server.requests[0].body_length, BYTES);
    ck_assert_mem_eq(server.requests[0].body, "begin", 5);
    ck_assert(has_line(&server.requests[0], "Content-Length: 3000000"));
}
END_TEST

START_TEST(what_an_error_says_does_not_get_into_the_file)
{
    server_start(&server, say_error);
    cleanup(memory_free) char *to = temporary_path("to");
    cleanup(descriptor_close) int target = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/blob"));
    request.answer_descriptor = target;
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 500);
    check_file(to, "");
    ck_assert_str_eq(text_bytes(&result.data), "bad");
    server_stop(&server);
}
END_TEST

START_TEST(a_descriptor_that_ends_early_is_told)
{
    server_start(&server, say_hello);
    cleanup(memory_free) char *from = temporary_path("from");
    put_file(from, "short");
    cleanup(descriptor_close) int source = open(from, O_RDONLY | O_CLOEXEC);
    struct descpipe_http_request request = request_for(&result, "PUT", url_of(&server, "/blob?sig=x"));
    request.body_descriptor = source;
    request.body_length = 9;
    run(&request);
    check_end(DESCPIPE_HTTP_CUT, 0);
    cleanup(memory_free) char *expected =
        memory_format("PUT '%s': what is to be sent ended 4 bytes early", url_of(&server, "/blob"));
    ck_assert_str_eq(text_bytes(&result.message), expected);
    server_stop(&server);
}
END_TEST

static bool say_chunked(struct server *at, int connection, const struct server_request *request)
{
    (void)at;
    (void)request;
    server_send(connection, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
                            "3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n");
    return true;
}

START_TEST(interim_answers_and_trailers_are_not_headers)
{
    server_start(&server, say_chunked);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    ck_assert_str_eq(text_bytes(&result.headers), "Transfer-Encoding=chunked|X-A=1|");
    ck_assert_str_eq(text_bytes(&result.data), "abcdefg");
    server_stop(&server);
}
END_TEST

static bool cut_it(struct server *at, int connection, const struct server_request *request)
{
    (void)request;
    server_send(connection, at->context);
    return false;
}

static const struct {
    const char *answer;
    int32_t status;
    const char *reason;
} cuts[] = {
    {"", 0, "Empty reply from server"},
    {"HTTP/1.1 200 OK\r\nContent-Le", 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 200, "transfer closed with 96 bytes remaining to read"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 200, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200, NULL},
    {"garbage\r\n\r\n", 0, NULL},
};

START_TEST(an_answer_that_is_not_whole_is_cut)
{
    server_start(&server, cut_it);
    server.context = cuts[_i].answer;
    struct descpipe_http_request request = request_for(&result, "POST", url_of(&server, "/create?token=secret"));
    run(&request);
    check_end(DESCPIPE_HTTP_CUT, cuts[_i].status);
    cleanup(memory_free) char *prefix = memory_format("POST '%s': ", url_of(&server, "/create"));
    ck_assert_msg(text_starts_with(text_bytes(&result.message), prefix), "%s", text_bytes(&result.message));
    if (cuts[_i].reason != NULL)
        ck_assert_str_eq(text_bytes(&result.message) + strlen(prefix), cuts[_i].reason);
    server_stop(&server);
    ck_assert_uint_eq(server.request_count, 1);
}
END_TEST

/* Answers the first request of a connection and drops it at the second: a kept connection that died. */
static bool answer_once(struct server *at, int connection, const struct server_request *request)
{
    unsigned on_this = 0;
    pthread_mutex_lock(&at->lock);
    for (unsigned i = 0; i < at->request_count; i++)
        on_this += at->requests[i].connection == request->connection;
    pthread_mutex_unlock(&at->lock);
    if (on_this > 1)
        return false;
    return say_hello(at, connection, request);
}

START_TEST(a_post_is_never_sent_twice)
{
    server_start(&server, answer_once);
    struct descpipe_http_request get = request_for(&result, "GET", url_of(&server, "/"));
    struct descpipe_http_request post = request_for(&result, "POST", url_of(&server, "/create"));
    run(&get);
    check_end(DESCPIPE_HTTP_DONE, 200);
    run(&post); /* not over the connection of the GET */
    check_end(DESCPIPE_HTTP_DONE, 200);
    run(&get); /* over the dead one, and then again over a new one */
    check_end(DESCPIPE_HTTP_DONE, 200);
    server_stop(&server);
    unsigned posts = 0;
    for (unsigned i = 0; i < server.request_count; i++)
        posts += text_starts_with(server.requests[i].head, "POST");
    ck_assert_uint_eq(posts, 1);
    ck_assert_uint_eq(server.request_count, 4);
}
END_TEST

static const struct {
    const char *answer;
    uint32_t outcome;
} sizes[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", DESCPIPE_HTTP_DONE},
    {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a", DESCPIPE_HTTP_TOO_LARGE},
    {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n0", DESCPIPE_HTTP_TOO_LARGE},
    {"HTTP/1.1 200 OK\r\n\r\n0123456789a", DESCPIPE_HTTP_TOO_LARGE},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n", DESCPIPE_HTTP_TOO_LARGE},
};

START_TEST(an_answer_over_the_limit_is_too_large)
{
    server_start(&server, cut_it);
    server.context = sizes[_i].answer;
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    request.answer_limit = 10;
    run(&request);
    check_end(sizes[_i].outcome, 200);
    ck_assert_uint_le(result.data.length, 10);
    if (sizes[_i].outcome == DESCPIPE_HTTP_TOO_LARGE) {
        cleanup(memory_free) char *expected =
            memory_format("GET '%s': the answer is larger than the limit of 10 B", url_of(&server, "/"));
        ck_assert_str_eq(text_bytes(&result.message), expected);
    }
    server_stop(&server);
}
END_TEST

static bool send_headers_for_ever(struct server *at, int connection, const struct server_request *request)
{
    (void)at;
    (void)request;
    server_send(connection, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100000; i++)
        server_send(connection, "X-Header: 0123456789012345678901234567890123456789\r\n");
    return false;
}

START_TEST(endless_headers_are_too_large)
{
    server_start(&server, send_headers_for_ever);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    run(&request);
    check_end(DESCPIPE_HTTP_TOO_LARGE, 0);
    ck_assert_str_eq(text_bytes(&result.headers), "");
    server_stop(&server);
}
END_TEST

START_TEST(no_listener_means_nothing_was_sent)
{
    server_start(&server, say_hello);
    server_stop(&server); /* a port that surely nobody listens on now */
    struct descpipe_http_request request = request_for(&result, "POST", url_of(&server, "/"));
    run(&request);
    check_end(DESCPIPE_HTTP_CANNOT_CONNECT, 0);
    ck_assert_int_eq(result.end.system_error, ECONNREFUSED);
    ck_assert_ptr_nonnull(strstr(text_bytes(&result.message), "Connection refused"));
}
END_TEST

static int unix_socket_error(const char *path)
{
    struct descpipe_http_request request = request_for(&result, "GET", "http://docker/v1.41/info");
    request.unix_socket = path;
    run(&request);
    check_end(DESCPIPE_HTTP_CANNOT_CONNECT, 0);
    return result.end.system_error;
}

START_TEST(unix_sockets_work_and_tell_what_is_wrong_with_them)
{
    cleanup(memory_free) char *path = temporary_path("docker.sock");
    ck_assert_int_eq(unix_socket_error(path), ENOENT);
    cleanup(memory_free) char *expected = memory_format(
        "GET 'http://docker/v1.41/info': cannot connect to the socket '%s': No such file or directory", path);
    ck_assert_str_eq(text_bytes(&result.message), expected);
    server_start_unix(&server, path, say_hello);
    struct descpipe_http_request request = request_for(&result, "GET", "http://docker/v1.41/info");
    request.unix_socket = path;
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    ck_assert(has_line(&server.requests[0], "Host: docker"));
    ck_assert_int_eq(chmod(path, 0), 0);
    ck_assert_int_eq(chmod(temporary_folder, 0755), 0);
    http_free(http); /* and its kept connection */
    http = http_new(loop, NULL);
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(unix_socket_error(path), EACCES);
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
    server_stop(&server);
    ck_assert_int_eq(chmod(path, 0777), 0);
    ck_assert_int_eq(unix_socket_error(path), ECONNREFUSED);
}
END_TEST

static const struct {
    const char *url;
    uint32_t flags;
    const char *message;
} refused[] = {
    {"http://registry.example/v2/?sig=x", 0,
     "GET 'http://registry.example/v2/': plain http to 'registry.example' is refused: anybody on the way could read "
     "and "
     "change it"},
    {"ftp://127.0.0.1/x", 0, "GET 'ftp://127.0.0.1/x': 'ftp' is neither http nor https"},
    {"file:///etc/passwd", 0, "GET 'file:///etc/passwd': 'file' is neither http nor https"},
    {"https://me:secret@registry.example/", 0,
     "GET 'https://registry.example/': the URL holds a user name; logins are given apart from it"},
    {"http://127.0.0.1:99999/", 0,
     "GET 'http://127.0.0.1:99999/': the URL cannot be read: Port number was not a decimal "
     "number between 0 and 65535"},
    {"http://127.0.0.1/a b", 0,
     "? 'http://127.0.0.1/a b': the URL 'http://127.0.0.1/a b' holds a space or control character"},
};

START_TEST(what_must_not_be_sent_is_refused)
{
    struct descpipe_http_request request = request_for(&result, "GET", refused[_i].url);
    request.flags = refused[_i].flags;
    run(&request);
    check_end(DESCPIPE_HTTP_CANNOT_CONNECT, 0);
    ck_assert_str_eq(text_bytes(&result.message), refused[_i].message);
}
END_TEST

START_TEST(a_body_that_is_not_there_is_refused)
{
    struct descpipe_http_request request = request_for(&result, "PUT", "http://127.0.0.1/blob");
    request.body_length = 5; /* descriptor 0 means none, so that a zeroed request has no body */
    run(&request);
    check_end(DESCPIPE_HTTP_CANNOT_CONNECT, 0);
    ck_assert_str_eq(text_bytes(&result.message),
                     "? 'http://127.0.0.1/blob': a body is announced, and there is neither one nor a descriptor to "
                     "read it from");
}
END_TEST

START_TEST(headers_cannot_be_injected)
{
    server_start(&server, say_hello);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    request.headers = (const char *const[]){"X-A: 1\r\nX-Evil: 2", NULL};
    run(&request);
    check_end(DESCPIPE_HTTP_CANNOT_CONNECT, 0);
    server_stop(&server);
    ck_assert_uint_eq(server.connection_count, 0);
}
END_TEST

START_TEST(logins_are_sent)
{
    server_start(&server, say_hello);
    cleanup(secret_release) struct descpipe_secret *token = secret_make("tok123", 6);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    request.bearer = token;
    run(&request);
    request.bearer = NULL;
    request.username = "me";
    request.password = token;
    run(&request);
    request.method = "POST";
    request.body = "{}";
    request.body_length = 2;
    request.headers = (const char *const[]){"Content-Type: application/x-amz-json-1.1", "X-Amz-Target: T", NULL};
    request.sigv4 = "aws:amz:eu-north-1:ecr";
    run(&request);
    server_stop(&server);
    ck_assert(has_line(&server.requests[0], "Authorization: Bearer tok123"));
    ck_assert(has_line(&server.requests[1], "Authorization: Basic bWU6dG9rMTIz"));
    const char *signature = strstr(server.requests[2].head, "Authorization: AWS4-HMAC-SHA256 Credential=me/");
    ck_assert_ptr_nonnull(signature);
    ck_assert_ptr_nonnull(strstr(signature, "/eu-north-1/ecr/aws4_request"));
    ck_assert_ptr_nonnull(strstr(signature, "content-type"));
    ck_assert_ptr_null(strstr(signature, "expect"));
    ck_assert_ptr_null(strstr(server.requests[2].head, "tok123"));
}
END_TEST

START_TEST(a_missing_ca_file_is_a_tls_failure)
{
    server_start(&server, say_hello);
    cleanup(memory_free) char *url = memory_format("https://127.0.0.1:%u/", server.port);
    struct descpipe_http_request request = request_for(&result, "GET", url);
    request.ca_file = "/nowhere/ca.pem";
    run(&request);
    check_end(DESCPIPE_HTTP_TLS, 0);
    server_stop(&server);
    ck_assert_uint_eq(server.request_count, 0);
}
END_TEST

START_TEST(a_proxy_is_used_when_named_and_none_of_the_environment_for_loopback)
{
    server_start(&server, say_hello);
    server_start(&other, say_hello);
    cleanup(memory_free) char *proxy = memory_format("http://127.0.0.1:%u", other.port);
    ck_assert_int_eq(setenv("http_proxy", proxy, 1), 0);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    request.proxy = proxy;
    run(&request);
    check_end(DESCPIPE_HTTP_DONE, 200);
    server_stop(&server);
    server_stop(&other);
    ck_assert_uint_eq(server.request_count, 1);
    ck_assert_uint_eq(other.request_count, 1);
    ck_assert(text_starts_with(other.requests[0].head, "GET http://127.0.0.1:"));
}
END_TEST

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

int main(void)
{
    TCase *tests = tcase_create("http");
    tcase_add_checked_fixture(tests, make, end);
    tcase_add_test(tests, gets_status_headers_and_body_over_a_kept_connection);
    tcase_add_test(tests, an_error_status_is_done_all_the_same);
    tcase_add_loop_test(tests, sends_bodies_with_their_length_and_nothing_of_curls, 0, COUNT(bodies));
    tcase_add_test(tests, head_has_no_body_and_no_limit);
    tcase_add_test(tests, sends_a_body_from_a_descriptor_and_keeps_the_answer_in_one);
    tcase_add_test(tests, what_an_error_says_does_not_get_into_the_file);
    tcase_add_test(tests, a_descriptor_that_ends_early_is_told);
    tcase_add_test(tests, interim_answers_and_trailers_are_not_headers);
    tcase_add_loop_test(tests, an_answer_that_is_not_whole_is_cut, 0, COUNT(cuts));
    tcase_add_test(tests, a_post_is_never_sent_twice);
    tcase_add_loop_test(tests, an_answer_over_the_limit_is_too_large, 0, COUNT(sizes));
    tcase_add_test(tests, endless_headers_are_too_large);
    tcase_add_test(tests, no_listener_means_nothing_was_sent);
    tcase_add_test(tests, unix_sockets_work_and_tell_what_is_wrong_with_them);
    tcase_add_loop_test(tests, what_must_not_be_sent_is_refused, 0, COUNT(refused));
    tcase_add_test(tests, a_body_that_is_not_there_is_refused);
    tcase_add_test(tests, headers_cannot_be_injected);
    tcase_add_test(tests, logins_are_sent);
    tcase_add_test(tests, a_missing_ca_file_is_a_tls_failure);
    tcase_add_test(tests, a_proxy_is_used_when_named_and_none_of_the_environment_for_loopback);
    return run_case("http", tests);
}
