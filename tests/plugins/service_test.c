/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's services as a plugin sees them, each through a real plugin. */
#include "workshop.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "io/secret.h"

static struct workshop workshop;
static struct plugin_instance *instance;
static struct descpipe_secret *stored;
static int log_pipe[2];

struct outcome {
    bool done, ok;
    uint32_t failure;
    char message[200], hint[200], text[200];
};

static void done(void *context, const struct call_result *result)
{
    struct outcome *outcome = context;
    outcome->done = true;
    outcome->ok = result->ok;
    outcome->failure = result->failure;
    snprintf(outcome->message, sizeof(outcome->message), "%s", result->message ? result->message : "(null)");
    snprintf(outcome->hint, sizeof(outcome->hint), "%s", result->hint ? result->hint : "(null)");
    snprintf(outcome->text, sizeof(outcome->text), "%s", result->identity ? result->identity->handle : "(null)");
}

static void set_up(void)
{
    workshop_open(&workshop);
    workshop_install(&workshop, "runtime-unruly");
    workshop_start(&workshop);
    instance = workshop_instance(&workshop, "runtime", "unruly");
    ck_assert_int_eq(setenv("PLUGIN_TEST", "must-not-pass", 1), 0);
}

static void tear_down(void)
{
    plugin_close(instance);
    workshop_close(&workshop);
}

static struct descpipe_image image;
static struct descpipe_prepare request = {.size = sizeof(request), .image = &image};

static struct plugin_call *begin(const char *what, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    image = (struct descpipe_image){.size = sizeof(image), .reference = what};
    return runtime_prepare(instance, &request, (struct call_options){.done = done, .context = outcome});
}

static void prepare(const char *what, struct outcome *outcome)
{
    begin(what, outcome);
    workshop_run_until(&workshop, &outcome->done);
}

START_TEST(a_tool_gets_its_input_and_exactly_its_environment)
{
    struct outcome outcome;
    prepare("tool", &outcome);
    ck_assert_msg(outcome.ok, "%s", outcome.message);
    /* The two streams are two pipes: only the order within each is promised. */
    ck_assert_ptr_nonnull(strstr(outcome.text, "1in;1out there;"));
    ck_assert_ptr_nonnull(strstr(outcome.text, "2err;"));
}
END_TEST

START_TEST(a_tool_that_is_not_there_says_so_through_its_end)
{
    struct outcome outcome;
    prepare("no-tool", &outcome);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_ptr_nonnull(strstr(outcome.message, "descpipe-no-such-tool"));
}
END_TEST

START_TEST(a_tool_is_stopped_by_cancel)
{
    struct outcome outcome;
    call_cancel(begin("long-tool", &outcome));
    workshop_run_until(&workshop, &outcome.done);
    ck_assert_str_eq(outcome.message, "the tool failed");
}
END_TEST

START_TEST(a_request_without_argv_is_a_fault_and_still_ends)
{
    struct outcome outcome;
    prepare("no-argv", &outcome);
    ck_assert_str_eq(outcome.message, "there is no argv");
    ck_assert_str_eq(text_bytes(&workshop.faults), "runtime/unruly: process.start: no argv\n");
}
END_TEST

START_TEST(finds_tools_on_the_path_and_respects_the_buffer)
{
    struct outcome outcome;
    prepare("find", &outcome);
    ck_assert(outcome.text[0] == '/');
    ck_assert(text_ends_with(outcome.text, "/sh"));
}
END_TEST

START_TEST(work_runs_and_reports_on_the_main_thread)
{
    struct outcome outcome;
    prepare("work", &outcome);
    ck_assert_str_eq(outcome.text, "worked");
}
END_TEST

START_TEST(a_descriptor_is_watched)
{
    struct outcome outcome;
    prepare("descriptor", &outcome);
    ck_assert_str_eq(outcome.text, "through");
}
END_TEST

START_TEST(without_anybody_to_ask_a_login_is_anonymous)
{
    struct outcome outcome;
    prepare("credential", &outcome);
    ck_assert_str_eq(outcome.text, "anonymous");
}
END_TEST

static void give_login(void *context, const struct descpipe_image *of, uint32_t purpose,
                       void (*got)(void *, const struct descpipe_credential *, const char *), void *plugin)
{
    ck_assert_str_eq(of->reference, "credential");
    ck_assert_uint_eq(purpose, DESCPIPE_PURPOSE_PULL);
    if (context) {
        got(plugin, NULL, "the token has expired");
        return;
    }
    struct descpipe_secret *password = secret_make("hush", 4);
    struct descpipe_credential credential = {
        .size = sizeof(credential), .username = "me", .password = password, .origin = "a test"};
    got(plugin, &credential, NULL);
    got(plugin, NULL, "twice");
    secret_release(password);
}

START_TEST(a_login_is_copied_and_told_once)
{
    struct outcome outcome;
    plugin_host_set_callbacks(workshop.host, &(struct plugin_callbacks){.credential = give_login});
    prepare("credential", &outcome);
    ck_assert_str_eq(outcome.text, "me:hush from a test");
}
END_TEST

START_TEST(a_login_that_cannot_be_had_says_why)
{
    struct outcome outcome;
    plugin_host_set_callbacks(workshop.host, &(struct plugin_callbacks){.credential = give_login, .context = &outcome});
    prepare("credential", &outcome);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_NEEDS_LOGIN);
    ck_assert_str_eq(outcome.message, "the token has expired");
}
END_TEST

START_TEST(http_says_when_nobody_answers)
{
    struct outcome outcome;
    prepare("http", &outcome);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_CANNOT_ASK);
    ck_assert_str_eq(outcome.message, "nobody answers");
    ck_assert_str_ne(outcome.hint, "(null)");
}
END_TEST

START_TEST(http_without_a_url_is_a_fault_and_still_ends)
{
    struct outcome outcome;
    prepare("http-without-url", &outcome);
    ck_assert_str_eq(outcome.hint, "the request has no method or no url");
    ck_assert_str_eq(text_bytes(&workshop.faults), "runtime/unruly: http.start: no method or no url\n");
}
END_TEST

START_TEST(options_have_their_defaults_and_their_types)
{
    struct outcome outcome;
    prepare("settings", &outcome);
    ck_assert_str_eq(outcome.text, "hello 90000 true default typed known no secret");
}
END_TEST

static const struct descpipe_secret *find_secret(void *context, const char *name, struct error *error)
{
    (void)context;
    if (strcmp(name, "earth") == 0)
        return stored;
    error_set(error, ERROR_INPUT, "there is no secret '%s'", name);
    return NULL;
}

static void open_with_token(const char *text)
{
    plugin_close(instance);
    const struct descpipe_plugin *plugin = plugin_descriptor(workshop.host, "runtime", "unruly", NULL);
    static struct settings *settings;
    settings = settings_new(plugin->options, "runtime/unruly");
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(document_free) struct document *document = document_parse(text, strlen(text), "test.yaml", NULL, &problems);
    ck_assert_ptr_nonnull(document);
    for (const struct node *node = node_first(document_root(document)); node; node = node_next(node))
        settings_set_node(settings, node_key(node), node_key_place(document, node), node, document, LAYER_PIPELINE,
                          &problems);
    settings_finish(settings, (struct place){"test.yaml", 1, 1}, "/", &problems);
    ck_assert_uint_eq(problems.errors, 0);
    instance = plugin_open(workshop.host, "runtime", "unruly", settings, NULL);
    ck_assert_ptr_nonnull(instance);
}

START_TEST(a_secret_is_resolved_by_name)
{
    struct outcome outcome;
    plugin_host_set_callbacks(workshop.host, &(struct plugin_callbacks){.secret = find_secret});
    stored = secret_make("mars", 4);
    open_with_token("word: bye\ntoken: {secret: earth}\n");
    prepare("settings", &outcome);
    ck_assert_str_eq(outcome.text, "bye 90000 true given typed known mars");
    secret_release(stored);
}
END_TEST

START_TEST(closing_waits_for_what_a_plugin_left_open)
{
    struct outcome outcome;
    begin("leave-open", &outcome);
    plugin_close(instance);
    instance = NULL;
    ck_assert(outcome.done);
    ck_assert_uint_eq(workshop.host->instances.count, 1); /* its tool has not ended yet */
    plugin_host_free(workshop.host);
    workshop.host = NULL;
}
END_TEST

START_TEST(log_lines_name_the_plugin_and_are_one_line)
{
    ck_assert_int_eq(pipe2(log_pipe, O_CLOEXEC), 0);
    log_to(log_pipe[1]);
    instance->table.log->write(&instance->table, DESCPIPE_LOG_WARNING, "two\nlines \x1b[31m");
    instance->table.log->write(&instance->table, DESCPIPE_LOG_DEBUG, "not shown");
    log_to(2);
    char bytes[200] = "";
    ssize_t got = read(log_pipe[0], bytes, sizeof(bytes) - 1);
    ck_assert_int_gt(got, 0);
    ck_assert_str_eq(bytes, "descpipe: warning: runtime/unruly: two\\x0Alines \\x1B[31m\n");
    close(log_pipe[0]);
    close(log_pipe[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("service");
    TCase *cases = tcase_create("service");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_tool_gets_its_input_and_exactly_its_environment);
    tcase_add_test(cases, a_tool_that_is_not_there_says_so_through_its_end);
    tcase_add_test(cases, a_tool_is_stopped_by_cancel);
    tcase_add_test(cases, a_request_without_argv_is_a_fault_and_still_ends);
    tcase_add_test(cases, finds_tools_on_the_path_and_respects_the_buffer);
    tcase_add_test(cases, work_runs_and_reports_on_the_main_thread);
    tcase_add_test(cases, a_descriptor_is_watched);
    tcase_add_test(cases, without_anybody_to_ask_a_login_is_anonymous);
    tcase_add_test(cases, a_login_is_copied_and_told_once);
    tcase_add_test(cases, a_login_that_cannot_be_had_says_why);
    tcase_add_test(cases, http_says_when_nobody_answers);
    tcase_add_test(cases, http_without_a_url_is_a_fault_and_still_ends);
    tcase_add_test(cases, options_have_their_defaults_and_their_types);
    tcase_add_test(cases, a_secret_is_resolved_by_name);
    tcase_add_test(cases, closing_waits_for_what_a_plugin_left_open);
    tcase_add_test(cases, log_lines_name_the_plugin_and_are_one_line);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
