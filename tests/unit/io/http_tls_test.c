/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTPS against the real thing: the openssl tool as a server, with certificates made for the test. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/suite.h"
#include "../base/temporary_folder.h"
#include "base/file.h"
#include "io/http.h"
#include "io/process.h"

static struct loop *loop;
static struct http *http;
static struct process *server;
static char *key, *certificate, *url;

static void ended(void *context, const struct process_end *end)
{
    (void)end;
    *(bool *)context = true;
    loop_stop(loop);
}

/* Runs a command to its end. */
static void run_command(const char *const *argv)
{
    bool over = false;
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct process_request request = {.argv = argv,
                                      .environment = (const char *const[]){"PATH=/usr/bin:/bin:/usr/local/bin", NULL},
                                      .input = -1,
                                      .output = -1,
                                      .error = -1,
                                      .reaped = ended,
                                      .context = &over};
    ck_assert_msg(process_start(loop, &request, &error) != NULL, "these tests need the openssl tool: %s",
                  error.message);
    loop_run(loop, NULL, NULL);
    ck_assert(over);
}

/* Starts the server and reads from it where it listens. */
static void serve(bool asks_for_certificate)
{
    int output[2];
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    const char *const argv[] = {"openssl", "s_server",
                                "-accept", "127.0.0.1:0",
                                "-key",    key,
                                "-cert",   certificate,
                                "-www",    asks_for_certificate ? "-Verify" : NULL,
                                "1",       "-verify_return_error",
                                "-CAfile", certificate,
                                NULL};
    static bool over;
    struct process_request request = {.argv = argv,
                                      .environment = (const char *const[]){"PATH=/usr/bin:/bin:/usr/local/bin", NULL},
                                      .input = -1,
                                      .output = output[1],
                                      .error = -1,
                                      .reaped = ended,
                                      .context = &over};
    server = process_start(loop, &request, NULL);
    ck_assert_ptr_nonnull(server);
    close(output[1]);
    char bytes[1024] = "";
    size_t length = 0;
    const char *accepts = NULL;
    while (accepts == NULL || strchr(accepts, '\n') == NULL) {
        ssize_t got = read(output[0], bytes + length, sizeof bytes - 1 - length);
        ck_assert_msg(got > 0, "the server says '%s'", bytes);
        length += (size_t)got;
        bytes[length] = '\0';
        accepts = strstr(bytes, "ACCEPT 127.0.0.1:");
    }
    url = memory_format("https://127.0.0.1:%.*s/", (int)strspn(accepts + 17, "0123456789"), accepts + 17);
    close(output[0]);
}

static void make_certificate(const char *name)
{
    free(key);
    free(certificate);
    key = temporary_path("key.pem");
    certificate = temporary_path("certificate.pem");
    run_command((const char *const[]){"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                                      "-out", certificate, "-days", "2", "-subj", "/CN=test", "-addext", name, NULL});
    ck_assert(file_exists(certificate));
}

static void make(void)
{
    temporary_folder_make();
    loop = loop_new(NULL);
    http = http_new(loop, NULL);
    make_certificate("subjectAltName=IP:127.0.0.1");
}

static void end(void)
{
    http_free(http);
    if (server != NULL) {
        process_signal(server, SIGKILL);
        loop_run(loop, NULL, NULL);
    }
    loop_free(loop);
    free(key);
    free(certificate);
    free(url);
    temporary_folder_remove();
}

static uint32_t outcome;
static int32_t status;
static char *message;

static void exchange_ended(void *context, const struct descpipe_http_end *ending)
{
    (void)context;
    outcome = ending->outcome;
    status = ending->status;
    free(message);
    message = memory_copy_text(ending->message != NULL ? ending->message : "");
    loop_stop(loop);
}

static void run(struct descpipe_http_request request)
{
    request.size = sizeof request;
    request.method = "GET";
    request.url = url;
    request.ended = exchange_ended;
    http_start(http, &request);
    loop_run(loop, NULL, NULL);
}

START_TEST(an_unknown_certificate_is_refused_before_anything_is_sent)
{
    serve(false);
    run((struct descpipe_http_request){0});
    ck_assert_uint_eq(outcome, DESCPIPE_HTTP_TLS);
    ck_assert_int_eq(status, 0);
    ck_assert_msg(strstr(message, "self-signed certificate") != NULL || strstr(message, "self signed") != NULL, "%s",
                  message);
}
END_TEST

START_TEST(a_certificate_of_the_named_authority_is_taken)
{
    serve(false);
    run((struct descpipe_http_request){.ca_file = certificate});
    ck_assert_msg(outcome == DESCPIPE_HTTP_DONE && status == 200, "%s", message);
}
END_TEST

START_TEST(a_certificate_for_another_name_is_refused)
{
    make_certificate("subjectAltName=DNS:somebody.else");
    serve(false);
    run((struct descpipe_http_request){.ca_file = certificate});
    ck_assert_uint_eq(outcome, DESCPIPE_HTTP_TLS);
    ck_assert_msg(strstr(message, "127.0.0.1") != NULL, "%s", message);
}
END_TEST

START_TEST(unverified_takes_anything)
{
    make_certificate("subjectAltName=DNS:somebody.else");
    serve(false);
    run((struct descpipe_http_request){.flags = DESCPIPE_HTTP_UNVERIFIED_TLS});
    ck_assert_msg(outcome == DESCPIPE_HTTP_DONE && status == 200, "%s", message);
}
END_TEST

START_TEST(a_client_certificate_is_shown_when_there_is_one)
{
    serve(true);
    run((struct descpipe_http_request){.ca_file = certificate});
    ck_assert_uint_ne(outcome, DESCPIPE_HTTP_DONE);
    run((struct descpipe_http_request){.ca_file = certificate, .client_certificate = certificate, .client_key = key});
    ck_assert_msg(outcome == DESCPIPE_HTTP_DONE && status == 200, "%s", message);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("http_tls");
    tcase_add_checked_fixture(tests, make, end);
    tcase_add_test(tests, an_unknown_certificate_is_refused_before_anything_is_sent);
    tcase_add_test(tests, a_certificate_of_the_named_authority_is_taken);
    tcase_add_test(tests, a_certificate_for_another_name_is_refused);
    tcase_add_test(tests, unverified_takes_anything);
    tcase_add_test(tests, a_client_certificate_is_shown_when_there_is_one);
    return run_case("http_tls", tests);
}
