/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime docker when the Engine lies, breaks off, floods, or is not there. */
#include "faults_fixture.h"

START_TEST(says_that_docker_is_not_there_and_what_to_do)
{
    cleanup(answer_free) struct answer answer;
    play(NULL);
    runtime_probe(driver.instance, driver_call(&answer));
    driver_wait(&driver, &answer);
    cleanup(memory_free) char *message = memory_format("cannot reach Docker at %s: No such file or directory", host);
    check_failure(&answer, DESCPIPE_FAILED_CANNOT_ASK, message);
    ck_assert_str_eq(answer.hint,
                     "start Docker, point DOCKER_HOST or the option `host` to it, or use --runtime=native");
}
END_TEST

static const struct {
    struct script_line script[3];
    const char *message; /* behind the address */
} versions[] = {
    {{{"GET /version", 200, "<html>", 0, 0, 0}}, "what answers at %s is not a Docker Engine (status 200)"},
    {{{"GET /version", 502, "bad gateway", 0, 0, 0}}, "what answers at %s is not a Docker Engine (status 502)"},
    {{{"GET /version", 200, "{\"ApiVersion\":\"1.24\",\"MinAPIVersion\":\"1.12\",\"Version\":\"1.12\"}", 0, 0, 0}},
     "Docker 1.12 at %s speaks API 1.12 to 1.24; this plugin speaks 1.30 to 1.44"},
    {{{"GET /version", 200, "{\"ApiVersion\":\"1.99\",\"MinAPIVersion\":\"1.50\",\"Version\":\"99\"}", 0, 0, 0}},
     "Docker 99 at %s speaks API 1.50 to 1.99; this plugin speaks 1.30 to 1.44"},
};

START_TEST(refuses_what_is_no_engine_it_can_speak_with)
{
    cleanup(answer_free) struct answer answer;
    play(versions[_i].script);
    runtime_probe(driver.instance, driver_call(&answer));
    driver_wait(&driver, &answer);
    char message[512];
    const char *place = strstr(versions[_i].message, "%s");
    snprintf(message, sizeof(message), "%.*s%s%s", (int)(place - versions[_i].message), versions[_i].message, host,
             place + 2);
    check_failure(&answer, DESCPIPE_FAILED_CANNOT_ASK, message);
}
END_TEST

static const struct {
    struct script_line create;
    uint32_t failure;
    const char *words;
} creates[] = {
    {{"POST /v1.41/containers/create", 201, "{\"Id\":", 0, 0, 0},
     DESCPIPE_FAILED_UNKNOWN,
     "Docker's answer to create cannot be read"},
    {{"POST /v1.41/containers/create", 0, NULL, SCRIPT_MUTE, 0, 0}, DESCPIPE_FAILED_UNKNOWN, NULL},
    {{"POST /v1.41/containers/create", 201, "{\"Id\":\"c", SCRIPT_CUT, 0, 0}, DESCPIPE_FAILED_UNKNOWN, NULL},
    {{"POST /v1.41/containers/create", 404, "{\"message\":\"No such image: x\"}", 0, 0, 0},
     DESCPIPE_FAILED_NOT_FOUND,
     "No such image: x"},
    {{"POST /v1.41/containers/create", 201, NULL, SCRIPT_FLOOD, 0, 0},
     DESCPIPE_FAILED_UNKNOWN,
     "Docker's answer is larger than 64 MiB"},
};

START_TEST(a_lost_answer_to_create_is_unknown)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {VERSION, creates[_i].create, {0}};
    play(script);
    start(&answer);
    ck_assert(!answer.ok);
    ck_assert_uint_eq(answer.failure, creates[_i].failure);
    if (creates[_i].words != NULL) {
        cleanup(memory_free) char *message =
            memory_format("stage 'shear' cannot start in Docker: %s", creates[_i].words);
        ck_assert_str_eq(answer.message, message);
    } else {
        ck_assert_ptr_nonnull(strstr(answer.message, "the connection to Docker at unix:///"));
    }
    ck_assert_ptr_null(strstr(scripted_engine_asked(engine), "/start"));
}
END_TEST

START_TEST(a_refused_start_drops_the_wait_that_would_never_end)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {
        VERSION,
        {"POST /v1.41/containers/create", 201, "{\"Id\":\"c1\"}", 0, 0, 0},
        {"POST /v1.41/containers/c1/wait?condition=next-exit", 200, NULL, SCRIPT_HANG, 0, 0},
        {"POST /v1.41/containers/c1/start", 400, "{\"message\":\"exec: executable file not found\"}", 0, 0, 0},
        {"DELETE /v1.41/containers/c1?v=1&force=1", 204, NULL, 0, 0, 0},
        {0}};
    play(script);
    start(&answer);
    check_failure(&answer, DESCPIPE_FAILED_REFUSED,
                  "stage 'shear' cannot start in Docker: exec: executable file not found");
    ck_assert_str_eq(scripted_engine_asked(engine),
                     "GET /version\nPOST /v1.41/containers/create?name=r1-1\n"
                     "POST /v1.41/containers/c1/wait?condition=next-exit\nPOST /v1.41/containers/c1/start\n"
                     "DELETE /v1.41/containers/c1?v=1&force=1\n");
}
END_TEST

START_TEST(a_container_that_cannot_be_removed_is_unknown)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {VERSION,
                                         {"POST /v1.41/containers/create", 201, "{\"Id\":\"c1\"}", 0, 0, 0},
                                         {"POST /v1.41/containers/c1/wait", 200, NULL, SCRIPT_HANG, 0, 0},
                                         {"POST /v1.41/containers/c1/start", 500, "{\"message\":\"oops\"}", 0, 0, 0},
                                         {"DELETE /v1.41/containers/c1", 500, "{\"message\":\"busy\"}", 0, 0, 0},
                                         {0}};
    play(script);
    start(&answer);
    check_failure(&answer, DESCPIPE_FAILED_UNKNOWN,
                  "stage 'shear' cannot start in Docker: oops; and the container could not be removed: busy");
}
END_TEST

START_TEST(a_wait_that_breaks_is_asked_again)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {
        VERSION,
        {"GET /v1.41/containers/c1/json", 200, STATE("running", "0", "r1-1"), 0, 1, 0},
        {"POST /v1.41/containers/c1/wait?condition=not-running", 200, NULL, SCRIPT_CUT, 1, 0},
        {"GET /v1.41/containers/c1/json", 0, NULL, SCRIPT_MUTE, 1, 0},
        {"GET /v1.41/containers/c1/json", 200, "{\"Id\":\"c1\"", 0, 1, 0},
        {"GET /v1.41/containers/c1/json", 200, STATE("exited", "3", "r1-1"), 0, 0, 0},
        {0}};
    play(script);
    runtime_observe(driver.instance, &container, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_int_eq(answer.ending.exit_code, 3);
    cleanup(memory_free) char *told = memory_format("0/0 cannot reach Docker at %s since 20", host);
    ck_assert_msg(text_starts_with(text_bytes(&answer.progress), told), "%s", text_bytes(&answer.progress));
    ck_assert_ptr_nonnull(strstr(text_bytes(&answer.progress), " UTC; asking again\n"));
    ck_assert(text_ends_with(text_bytes(&answer.progress), "\n0/0 \n")); /* no text: it answers again */
}
END_TEST

static bool wait_was_asked(void *context)
{
    return strstr(scripted_engine_asked(context), "/wait?condition=not-running") != NULL;
}

START_TEST(a_watch_ends_when_nobody_wants_it)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {VERSION,
                                         {"GET /v1.41/containers/c1/json", 200, STATE("running", "0", "r1-1"), 0, 0, 0},
                                         {"POST /v1.41/containers/c1/wait", 200, NULL, SCRIPT_HANG, 0, 0},
                                         {0}};
    play(script);
    struct plugin_call *call = runtime_observe(driver.instance, &container, driver_call(&answer));
    driver_until(&driver, wait_was_asked, engine);
    call_cancel(call);
    driver_wait(&driver, &answer);
    check_failure(&answer, DESCPIPE_FAILED_CANCELLED, "container c1: nobody watches it any more");
}
END_TEST

static struct plugin_call *ask_probe(struct call_options options)
{
    return runtime_probe(driver.instance, options);
}

static struct plugin_call *ask_identify(struct call_options options)
{
    static struct descpipe_image image;
    image = image_of("x:1", DESCPIPE_PULL_MISSING);
    return runtime_identify(driver.instance, &image, options);
}

static struct plugin_call *ask_inspect(struct call_options options)
{
    return runtime_inspect(driver.instance, &container, options);
}

static struct plugin_call *ask_stop(struct call_options options)
{
    static const struct descpipe_stop stop = {.size = sizeof(stop), .container = &container, .grace_ms = 10};
    return runtime_stop(driver.instance, &stop, options);
}

static struct plugin_call *ask_find(struct call_options options)
{
    return runtime_find(driver.instance, "r1", options);
}

static struct plugin_call *ask_release(struct call_options options)
{
    return runtime_release(driver.instance, &container, options);
}

/* What each says when it is cancelled while Docker does not answer. Only who reads can say that nothing was done. */
static const struct {
    struct plugin_call *(*ask)(struct call_options options);
    const char *asked;
    uint32_t failure;
    const char *message;
} deaf[] = {
    {ask_probe, "GET /v1.41/version", DESCPIPE_FAILED_CANCELLED, "stopped"},
    {ask_identify, "GET /v1.41/images/x:1/json", DESCPIPE_FAILED_CANCELLED, "image 'x:1': stopped"},
    {ask_inspect, "GET /v1.41/containers/c1/json", DESCPIPE_FAILED_CANCELLED, "container c1: stopped"},
    {ask_stop, "POST /v1.41/containers/c1/stop", DESCPIPE_FAILED_UNKNOWN, "container c1 cannot be stopped: stopped"},
    {ask_find, "GET /v1.41/containers/json", DESCPIPE_FAILED_CANCELLED, "containers of run r1: stopped"},
    {ask_release, "DELETE /v1.41/containers/c1", DESCPIPE_FAILED_UNKNOWN, "container c1 cannot be removed: stopped"},
};

static const char *awaited_question;

static bool question_was_asked(void *context)
{
    return strstr(scripted_engine_asked(context), awaited_question) != NULL;
}

START_TEST(an_engine_that_does_not_answer_cannot_hold_a_cancelled_call)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {VERSION, {"", 200, NULL, SCRIPT_HANG, 0, 0}, {0}};
    play(script);
    struct plugin_call *call = deaf[_i].ask(driver_call(&answer));
    awaited_question = deaf[_i].asked;
    driver_until(&driver, question_was_asked, engine);
    call_cancel(call);
    driver_wait(&driver, &answer);
    check_failure(&answer, deaf[_i].failure, deaf[_i].message);
}
END_TEST

START_TEST(nor_can_one_that_does_not_even_say_its_version)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {{"", 200, NULL, SCRIPT_HANG, 0, 0}, {0}};
    play(script);
    struct plugin_call *call = deaf[_i].ask(driver_call(&answer));
    awaited_question = "GET /version";
    driver_until(&driver, question_was_asked, engine);
    call_cancel(call);
    driver_wait(&driver, &answer);
    check_failure(&answer, deaf[_i].failure, deaf[_i].message);
}
END_TEST

#define OLD_VERSION                                                                                                    \
    {                                                                                                                  \
        "GET /version", 200, "{\"ApiVersion\":\"1.39\",\"MinAPIVersion\":\"1.12\",\"Version\":\"18.09\"}", 0, 0, 0     \
    }

/* The version may be known before, or be asked for by the start itself. */
START_TEST(gpus_are_refused_by_an_engine_that_is_too_old)
{
    cleanup(answer_free) struct answer answer, launched;
    static const char *const command[] = {"true", NULL}, *const gpus[] = {"0", NULL};
    const struct script_line script[] = {OLD_VERSION, {"GET /v1.39/containers/json", 200, "[]", 0, 0, 0}, {0}};
    struct descpipe_resources resources = {.size = sizeof(resources), .gpus_per_node = 1};
    struct descpipe_stage stage = {.size = sizeof(stage),
                                   .run = "r1",
                                   .name = "shear",
                                   .attempt = 1,
                                   .token = "r1-1",
                                   .image_handle = "sha256:" HEX,
                                   .command = command,
                                   .resources = &resources,
                                   .gpus = gpus};
    play(script);
    if (_i == 1) {
        cleanup(answer_free) struct answer found;
        runtime_find(driver.instance, "r1", driver_call(&found));
        driver_wait(&driver, &found);
        ck_assert(found.ok);
    }
    runtime_start(driver.instance, &stage, driver_call(&answer));
    driver_wait(&driver, &answer);
    cleanup(memory_free) char *words =
        memory_format("gpus need Docker's API 1.40; Docker at %s speaks only up to 1.39", host);
    cleanup(memory_free) char *message = memory_format("stage 'shear' cannot start in Docker: %s", words);
    check_failure(&answer, DESCPIPE_FAILED_REFUSED, message);
    ck_assert_str_eq(answer.hint, "update the Docker Engine, or use --runtime=native");
    ck_assert_ptr_null(strstr(scripted_engine_asked(engine), "create"));
    cleanup(memory_free) char *refused = memory_format("stage 'shear' cannot be run by the docker client: %s", words);
    runtime_launch(driver.instance, &stage, driver_call(&launched));
    check_failure(&launched, DESCPIPE_FAILED_REFUSED, refused);
    ck_assert_str_eq(launched.hint, "update the Docker Engine, or use --runtime=native");
}
END_TEST

static const struct {
    struct script_line line;
    const char *message; /* NULL: it succeeds */
    bool removes;
} kept[] = {
    {{"GET /v1.41/containers/c1/json", 200, STATE("exited", "3", "r1-1"), 0, 0, 0}, NULL, false},
    {{"GET /v1.41/containers/c1/json", 200, STATE("exited", "0", "r1-1"), 0, 0, 0}, NULL, true},
    {{"GET /v1.41/containers/c1/json", 404, "{\"message\":\"no\"}", 0, 0, 0}, NULL, true},
    {{"GET /v1.41/containers/c1/json", 500, "{\"message\":\"oops\"}", 0, 0, 0}, "container c1: oops", false},
    {{"GET /v1.41/containers/c1/json", 200, "{", 0, 0, 0}, "container c1: Docker's answer cannot be read", false},
};

START_TEST(with_keep_failed_only_what_surely_succeeded_is_removed)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {
        VERSION, kept[_i].line, {"DELETE /v1.41/containers/c1", 204, NULL, 0, 0, 0}, {0}};
    const char *options[] = {"host", host, "keep-failed", "true", NULL};
    engine = scripted_engine_start(host + strlen("unix://"), script);
    driver_open(&driver, options, NULL);
    runtime_release(driver.instance, &container, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_str_eq(answer.message != NULL ? answer.message : "", kept[_i].message != NULL ? kept[_i].message : "");
    ck_assert_int_eq(strstr(scripted_engine_asked(engine), "DELETE ") != NULL, kept[_i].removes);
}
END_TEST

START_TEST(a_log_that_breaks_goes_on_where_it_was)
{
    static const char part[] = "\x01\0\0\0\0\0\0\x06one\ntw\x02\0\0\0\0\0\0\x04"
                               "err\n\x01\0\0\0";
    static const char whole[] = "\x01\0\0\0\0\0\0\x04one\n\x02\0\0\0\0\0\0\x04"
                                "err\n\x01\0\0\0\0\0\0\x04two\n";
    /* Ends as a stream should, and is not all that is kept. */
    static const char early[] = "\x01\0\0\0\0\0\0\x04one\n\x01\0\0\0\0\0\0\x02tw\x02\0\0\0\0\0\0\x04"
                                "err\n";
    static const char nearly[] = "\x01\0\0\0\0\0\0\x07one\ntwo\x02\0\0\0\0\0\0\x04"
                                 "err\n";
    const struct script_line script[] = {
        VERSION,
        {"GET /v1.41/containers/c1/logs?stdout=1&stderr=1&follow=1", 200, part, SCRIPT_CUT, 1, sizeof(part) - 1},
        {"GET /v1.41/containers/c1/logs?stdout=1&stderr=1&follow=1", 200, early, 0, 1, sizeof(early) - 1},
        {"GET /v1.41/containers/c1/json", 200, STATE("exited", "0", "r1-1"), 0, 0, 0},
        {"GET /v1.41/containers/c1/logs?stdout=1&stderr=1&follow=0", 200, nearly, 0, 1, sizeof(nearly) - 1},
        {"GET /v1.41/containers/c1/json", 200, STATE("exited", "0", "r1-1"), 0, 0, 0},
        {"GET /v1.41/containers/c1/logs?stdout=1&stderr=1&follow=0", 200, whole, 0, 1, sizeof(whole) - 1},
        {"GET /v1.41/containers/c1/json", 200, STATE("exited", "0", "r1-1"), 0, 0, 0},
        {"GET /v1.41/containers/c1/logs?stdout=1&stderr=1&follow=0", 200, whole, 0, 1, sizeof(whole) - 1},
        {"GET /v1.41/containers/c1/json", 200, STATE("exited", "0", "r1-1"), 0, 0, 0},
        {0}};
    cleanup(answer_free) struct answer answer;
    char bytes[64] = "";
    int output = memfd_create("output", MFD_CLOEXEC), errors = memfd_create("errors", MFD_CLOEXEC);
    struct descpipe_logs logs = {.size = sizeof(logs),
                                 .follow = 1,
                                 .container = &container,
                                 .output_descriptor = output,
                                 .error_descriptor = errors};
    play(script);
    runtime_logs(driver.instance, &logs, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_int_eq(pread(output, bytes, sizeof(bytes), 0), 8);
    ck_assert_mem_eq(bytes, "one\ntwo\n", 8);
    ck_assert_int_eq(pread(errors, bytes, sizeof(bytes), 0), 4);
    close(output);
    close(errors);
}
END_TEST

START_TEST(a_full_disk_is_said_by_name)
{
    static const char frame[] = "\x01\0\0\0\0\0\0\x04one\n";
    const struct script_line script[] = {VERSION,
                                         {"GET /v1.41/containers/c1/logs", 200, frame, 0, 0, sizeof(frame) - 1},
                                         {"GET /v1.41/containers/c1/json", 200, STATE("exited", "0", "r1-1"), 0, 0, 0},
                                         {0}};
    cleanup(answer_free) struct answer answer;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct descpipe_logs logs = {.size = sizeof(logs),
                                 .follow = 1,
                                 .container = &container,
                                 .output_descriptor = full,
                                 .error_descriptor = full};
    play(script);
    runtime_logs(driver.instance, &logs, driver_call(&answer));
    driver_wait(&driver, &answer);
    check_failure(&answer, DESCPIPE_FAILED_REFUSED,
                  "output of container c1: cannot be written: No space left on device");
    close(full);
}
END_TEST

START_TEST(closing_with_everything_open_is_quiet)
{
    const struct script_line script[] = {VERSION, {"", 200, NULL, SCRIPT_HANG, 0, 0}, {0}};
    struct answer answers[3];
    struct descpipe_image image = image_of("x:1", DESCPIPE_PULL_MISSING);
    struct descpipe_prepare request = {.size = sizeof(request), .image = &image};
    struct descpipe_logs logs = {
        .size = sizeof(logs), .follow = 1, .container = &container, .output_descriptor = 2, .error_descriptor = 2};
    play(script);
    runtime_prepare(driver.instance, &request, driver_call(&answers[0]));
    runtime_observe(driver.instance, &container, driver_call(&answers[1]));
    runtime_logs(driver.instance, &logs, driver_call(&answers[2]));
    plugin_close(driver.instance);
    driver.instance = NULL;
    for (size_t i = 0; i < 3; i++) {
        ck_assert(answers[i].done && !answers[i].ok);
        answer_free(&answers[i]);
    }
}
END_TEST

static const struct {
    const char *host, *message;
} bad_hosts[] = {
    {"ssh://box", "Docker address 'ssh://box': ssh is not supported"},
    {"docker.sock", "Docker address 'docker.sock': not a form that is known here"},
};

START_TEST(refuses_addresses_when_it_is_opened)
{
    const char *options[] = {"host", bad_hosts[_i].host, NULL};
    char *message = NULL;
    ck_assert(!driver_open(&driver, options, &message));
    ck_assert_msg(strstr(message, bad_hosts[_i].message) != NULL, "%s", message);
    memory_free(message);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, says_that_docker_is_not_there_and_what_to_do);
    ADD_TABLE(refuses_what_is_no_engine_it_can_speak_with, versions);
    ADD_TABLE(a_lost_answer_to_create_is_unknown, creates);
    tcase_add_test(tests, a_refused_start_drops_the_wait_that_would_never_end);
    tcase_add_test(tests, a_container_that_cannot_be_removed_is_unknown);
    tcase_add_test(tests, a_wait_that_breaks_is_asked_again);
    tcase_add_test(tests, a_watch_ends_when_nobody_wants_it);
    ADD_TABLE(an_engine_that_does_not_answer_cannot_hold_a_cancelled_call, deaf);
    ADD_TABLE(nor_can_one_that_does_not_even_say_its_version, deaf);
    tcase_add_loop_test(tests, gpus_are_refused_by_an_engine_that_is_too_old, 0, 2);
    ADD_TABLE(with_keep_failed_only_what_surely_succeeded_is_removed, kept);
    tcase_add_test(tests, a_log_that_breaks_goes_on_where_it_was);
    tcase_add_test(tests, a_full_disk_is_said_by_name);
    tcase_add_test(tests, closing_with_everything_open_is_quiet);
    ADD_TABLE(refuses_addresses_when_it_is_opened, bad_hosts);
}

int main(void)
{
    return run_cases("docker faults", add_tests);
}
