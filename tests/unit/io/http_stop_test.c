/* SPDX-License-Identifier: BSD-3-Clause */
/* Exchanges that do not go on for ever: silence, time limits, stopping, and many at once. */
#include "base/clock.h"
#include "http_fixture.h"

static bool wait_for_stop(struct server *at, int connection, const struct server_request *request)
{
    (void)request;
    if (at->context != NULL)
        server_send(connection, at->context);
    char byte;
    (void)recv(connection, &byte, 1, 0); /* returns when either side ends it */
    return false;
}

START_TEST(silence_is_not_borne_longer_than_asked)
{
    server_start(&server, wait_for_stop);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/slow"));
    request.idle_timeout_ms = 100;
    int64_t started_ms = clock_monotonic_ms();
    run(&request);
    check_end(DESCPIPE_HTTP_TIMED_OUT, 0);
    ck_assert_int_ge(clock_monotonic_ms() - started_ms, 100);
    cleanup(memory_free) char *expected = memory_format("GET '%s': no byte came for 100 ms", url_of(&server, "/slow"));
    ck_assert_str_eq(text_bytes(&result.message), expected);
    server_stop(&server);
    server_start(&server, wait_for_stop);
    server.context = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
    request.url = url_of(&server, "/slow");
    run(&request);
    check_end(DESCPIPE_HTTP_TIMED_OUT, 200);
    ck_assert_str_eq(text_bytes(&result.data), "ab");
    server_stop(&server);
}
END_TEST

START_TEST(the_whole_may_take_so_long_and_no_longer)
{
    server_start(&server, wait_for_stop);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/slow"));
    request.total_timeout_ms = 700; /* enough to connect on a busy machine */
    request.idle_timeout_ms = UINT64_MAX;
    run(&request);
    check_end(DESCPIPE_HTTP_TIMED_OUT, 0);
    server_stop(&server);
}
END_TEST

/* A listener whose queue is full: connecting neither works nor fails. */
START_TEST(a_connection_that_does_not_come_means_nothing_was_sent)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    int fillers[8];
    for (int i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    server.port = ntohs(address.sin_port);
    struct descpipe_http_request request = request_for(&result, "POST", url_of(&server, "/"));
    request.connect_timeout_ms = 200;
    request.idle_timeout_ms = 50; /* does not count before there is a connection */
    int64_t started_ms = clock_monotonic_ms();
    run(&request);
    check_end(DESCPIPE_HTTP_CANNOT_CONNECT, 0);
    ck_assert_int_ge(clock_monotonic_ms() - started_ms, 190);
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    close(listener);
}
END_TEST

static void stop_it(void *context)
{
    struct result *it = context;
    http_stop(it->exchange);
    http_stop(it->exchange);
}

START_TEST(a_stopped_exchange_ends_with_stopped_once)
{
    server_start(&server, wait_for_stop);
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/"));
    begin(&result, &request);
    loop_timer(loop, 20, stop_it, &result);
    loop_run(loop, NULL, NULL);
    check_end(DESCPIPE_HTTP_STOPPED, 0);
    begin(&result, &request); /* before it has begun */
    stop_it(&result);
    ck_assert_int_eq(result.ended, 0);
    loop_run(loop, NULL, NULL);
    check_end(DESCPIPE_HTTP_STOPPED, 0);
    server_stop(&server);
}
END_TEST

static bool send_for_ever(struct server *at, int connection, const struct server_request *request)
{
    (void)request;
    server_send(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    char byte;
    while (!atomic_load(&at->stopping) && recv(connection, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0)
        server_send(connection, "5\r\nevent\r\n");
    return false;
}

START_TEST(stop_from_within_data_is_heard_at_once)
{
    server_start(&server, send_for_ever);
    result.stop_at_data = true;
    struct descpipe_http_request request = request_for(&result, "GET", url_of(&server, "/events"));
    request.answer_limit = UINT64_MAX;
    run(&request);
    check_end(DESCPIPE_HTTP_STOPPED, 200);
    size_t length = result.data.length;
    ck_assert_uint_gt(length, 0);
    server_stop(&server);
}
END_TEST

START_TEST(free_ends_what_is_open)
{
    server_start(&server, wait_for_stop);
    struct result results[5] = {0};
    struct descpipe_http_request request = request_for(&results[0], "GET", url_of(&server, "/"));
    for (int i = 0; i < 5; i++) {
        request.context = &results[i];
        begin(&results[i], &request);
    }
    loop_timer(loop, 20, (void (*)(void *))loop_stop, loop);
    loop_run(loop, NULL, NULL);
    http_free(http);
    http = NULL;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(results[i].ended, 1);
        ck_assert_uint_eq(results[i].end.outcome, DESCPIPE_HTTP_STOPPED);
        result_clear(&results[i]);
    }
    server_stop(&server);
}
END_TEST

START_TEST(many_are_open_at_once)
{
    enum { MANY = 40 };
    server_start(&server, wait_for_stop);
    server.context = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    static struct result results[MANY];
    struct descpipe_http_request request = request_for(&results[0], "GET", url_of(&server, "/"));
    for (int i = 0; i < MANY; i++) {
        request.context = &results[i];
        begin(&results[i], &request);
    }
    loop_run(loop, NULL, NULL);
    for (int i = 0; i < MANY; i++) {
        ck_assert_uint_eq(results[i].end.outcome, DESCPIPE_HTTP_DONE);
        ck_assert_str_eq(text_bytes(&results[i].data), "ok");
        result_clear(&results[i]);
    }
    server_stop(&server);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("http_stop");
    tcase_add_checked_fixture(tests, make, end);
    tcase_add_test(tests, silence_is_not_borne_longer_than_asked);
    tcase_add_test(tests, the_whole_may_take_so_long_and_no_longer);
    tcase_add_test(tests, a_connection_that_does_not_come_means_nothing_was_sent);
    tcase_add_test(tests, a_stopped_exchange_ends_with_stopped_once);
    tcase_add_test(tests, stop_from_within_data_is_heard_at_once);
    tcase_add_test(tests, free_ends_what_is_open);
    tcase_add_test(tests, many_are_open_at_once);
    return run_case("http_stop", tests);
}
