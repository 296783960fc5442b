/* SPDX-License-Identifier: BSD-3-Clause */
/* `on-exit`: others are told of a run's end, whatever it was, and cannot change it. */
#include <check.h>
#include <jansson.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/path.h"
#include "http_server.h"
#include "program.h"
#include "suite.h"

#define PIPELINE                                                                                                       \
    "pipeline: {name: small, stages: [a]}\n"                                                                           \
    "runtime: {backend: here, working: ./work, output: ./out, on-exit: {%s}}\n"                                        \
    "backends: {here: {scheduler: sequential, runtime: host}}\n"                                                       \
    "a: {command: [/bin/sh, -c, '%s']}\n"
#define TELL "command: [/bin/sh, -c, 'cat > told; echo $DESCPIPE_RUN_STATE > ended%s']"

static void expect(const char *on_exit, const char *stage, int status, const char *said)
{
    cleanup(memory_free) char *text = memory_format(PIPELINE, on_exit, stage);
    program_file("p.yaml", text);
    cleanup(result_clear) struct result run = program_run("--plugin-dir " PLUGINS " run p.yaml --no-cache");
    ck_assert_msg(run.status == status, "exit %d:\n%s%s", run.status, text_bytes(&run.out), text_bytes(&run.err));
    ck_assert_msg(said == NULL || strstr(text_bytes(&run.err), said) != NULL, "no '%s' in:\n%s", said,
                  text_bytes(&run.err));
}

static void expect_file(const char *name, const char *content)
{
    cleanup(memory_free) char *path = path_join(program_folder, name);
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert_msg(file_read(path, 100000, &text, NULL), "there is no '%s'", name);
    ck_assert_str_eq(text_bytes(&text), content);
}

static json_t *told(void)
{
    cleanup(memory_free) char *path = path_join(program_folder, "told");
    json_t *json = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

START_TEST(a_command_gets_the_runs_json_whatever_the_end_was)
{
    static const struct {
        const char *stage, *state;
        int status;
    } cases[] = {{"true", "succeeded", 0}, {"exit 4", "failed", 5}};
    cleanup(memory_free) char *on_exit = memory_format(TELL, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(memory_free) char *state = memory_format("%s\n", cases[i].state);
        expect(on_exit, cases[i].stage, cases[i].status, NULL);
        expect_file("ended", state);
        json_t *json = told();
        ck_assert_str_eq(json_string_value(json_object_get(json, "state")), cases[i].state);
        ck_assert_uint_eq(json_array_size(json_object_get(json, "stages")), 1);
        json_decref(json);
    }
}
END_TEST

/* The run is what it is: what goes wrong in telling is said and no more. */
START_TEST(what_goes_wrong_is_a_warning)
{
    static const struct {
        const char *on_exit, *said;
    } cases[] = {
        {"command: [/bin/sh, -c, 'echo no such; exit 3']",
         "warning: on-exit: '/bin/sh' ended with exit status 3: no such\n"},
        {"command: [/bin/sh, -c, 'kill -9 $$$$']", "warning: on-exit: '/bin/sh' "},
        {"command: [/no/such/program]", "warning: on-exit: '/no/such/program' "},
        {"command: [/bin/sleep, '600'], timeout: 1s",
         "warning: on-exit: '/bin/sleep' was ended, because its time was up\n"},
        {"webhook: 'http://127.0.0.1:1/x?key=k3y'",
         "warning: on-exit: the webhook (http://127.0.0.1:1/x) was not told"},
        {"webhook: 'http://example.invalid/x'",
         "warning: on-exit: the webhook (http://example.invalid/x) was not told"},
        {"webhook: {secret: nobody}", "p.yaml:2:60: warning: the webhook"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].on_exit, "true", 0, i == 1 || i == 6 ? "warning" : cases[i].said);
}
END_TEST

static bool answer(struct server *server, int connection, const struct server_request *request)
{
    (void)request;
    server_send(connection, (const char *)server->context);
    return false;
}

/* Nothing below this folder has the words. */
static void expect_nowhere(const char *words)
{
    cleanup(memory_free) char *work = path_join(program_folder, "work");
    pid_t pid = fork();
    if (pid == 0) {
        execlp("grep", "grep", "-r", "-q", "-e", words, work, (char *)NULL);
        _exit(2);
    }
    ck_assert_int_eq(program_wait(pid), 1);
}

START_TEST(a_webhook_is_told_by_an_address_that_stays_secret)
{
    static struct server server;
    server_start(&server, answer);
    server.context = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
    cleanup(memory_free) char *address = memory_format("http://127.0.0.1:%u/hooks/t0psecret\n", server.port);
    cleanup(memory_free) char *config =
        memory_format("secrets: {hook: {file: %s/address}}\non-exit: {command: [/bin/sh, -c, 'cat > %s/users']}\n",
                      program_folder, program_folder);
    program_file("address", address);
    program_file("config/descpipe/config.yaml", config);
    expect("webhook: {secret: hook}", "true", 0, NULL);
    ck_assert_uint_eq(server.request_count, 1);
    ck_assert(text_starts_with(server.requests[0].head, "POST /hooks/t0psecret HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(server.requests[0].head, "application/json"));
    json_t *json = json_loads(server.requests[0].body, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json, "state")), "succeeded");
    json_decref(json);
    expect_nowhere("t0psecret");
    cleanup(memory_free) char *users = path_join(program_folder, "users");
    ck_assert(file_exists(users)); /* the user's own word counts beside the pipeline's */
    server.context = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
    expect("webhook: {secret: hook}", "true", 0, "warning: on-exit: the webhook (secret 'hook') answered 500\n");
    server_stop(&server);
}
END_TEST

START_TEST(what_it_says_is_checked_at_its_place)
{
    static const struct {
        const char *on_exit, *said;
    } cases[] = {
        {"", "p.yaml:2:67: error: 'on-exit' says neither a command nor a webhook"},
        {"timeout: 3s", "p.yaml:2:67: error: 'on-exit' says neither a command nor a webhook"},
        {"command: mail", "error: 'command' of 'on-exit' must be a list of a program and its arguments"},
        {"command: ['']", "error: 'command' of 'on-exit' must name a program"},
        {"webhook: 'ftp://x'", "error: 'webhook' of 'on-exit' must be an https:// address or {secret: NAME}"},
        {"webhook: 'https://x', timeout: 2h", "error: 'timeout' of 'on-exit' must be from 1s to 1h"},
        {"hook: x", "error: 'on-exit' has no key 'hook'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].on_exit, "true", 2, cases[i].said);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_command_gets_the_runs_json_whatever_the_end_was, what_goes_wrong_is_a_warning,
                                  a_webhook_is_told_by_an_address_that_stays_secret,
                                  what_it_says_is_checked_at_its_place, NULL};
    return suite_run("on_exit", tests, program_set_up, program_tear_down);
}
