/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime docker when the Engine lies, breaks off, floods, or is not there. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "driver.h"
#include "scripted_engine.h"

#define VERSION                                                                                                        \
    {                                                                                                                  \
        "GET /version", 200, "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Version\":\"20.10\"}", 0, 0, 0     \
    }
#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define IMAGE_BODY "{\"Id\":\"sha256:" HEX "\",\"Os\":\"linux\",\"Architecture\":\"amd64\"}"
#define STATE(status, code, token)                                                                                     \
    "{\"Id\":\"c1\",\"State\":{\"Status\":\"" status "\",\"ExitCode\":" code ",\"Error\":\"\",\"StartedAt\":"          \
    "\"2026-11-21T00:00:01Z\",\"FinishedAt\":\"2026-11-21T00:00:02Z\"},\"Config\":{\"Labels\":{\"descpipe.token\":"    \
    "\"" token "\",\"descpipe.run\":\"r1\"}}}"

static struct driver driver;
static struct scripted_engine *engine;
static char folder[64], host[128];

static void set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/descpipe-faults-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(host, sizeof(host), "unix://%s/docker.sock", folder);
}

static void tear_down(void)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    driver_close(&driver);
    if (engine != NULL) {
        scripted_engine_stop(engine);
        engine = NULL;
    }
    folder_remove(folder, &error);
}

static void play(const struct script_line *script)
{
    const char *options[] = {"host", host, NULL};
    if (script != NULL) {
        engine = scripted_engine_start(host + strlen("unix://"), script);
    }
    driver_open(&driver, options, NULL);
}

static struct descpipe_image image_of(const char *reference, uint32_t pull)
{
    return (struct descpipe_image){.size = sizeof(struct descpipe_image),
                                   .source = DESCPIPE_SOURCE_REGISTRY,
                                   .pull = pull,
                                   .reference = reference,
                                   .platform = "linux/amd64"};
}

static void prepare(const struct descpipe_image *image, struct answer *answer)
{
    struct descpipe_prepare request = {.size = sizeof(request), .image = image};
    runtime_prepare(driver.instance, &request, driver_call(answer));
    driver_wait(&driver, answer);
}

static void start(struct answer *answer)
{
    static const char *const command[] = {"true", NULL};
    struct descpipe_stage stage = {.size = sizeof(stage),
                                   .run = "r1",
                                   .name = "shear",
                                   .attempt = 1,
                                   .token = "r1-1",
                                   .image_handle = "sha256:" HEX,
                                   .command = command};
    runtime_start(driver.instance, &stage, driver_call(answer));
    driver_wait(&driver, answer);
}

static const struct descpipe_container container = {sizeof(container), 0, "r1-1", "c1"};

static void check_failure(const struct answer *answer, uint32_t failure, const char *message)
{
    ck_assert(answer->done && !answer->ok);
    ck_assert_str_eq(answer->message, message);
    ck_assert_uint_eq(answer->failure, failure);
}

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
    const char *stream;
    uint32_t failure;
    const char *words;
} pulls[] = {
    {"{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"x\"},\"error\":\"manifest for x:1 not found: "
     "manifest "
     "unknown\"}\r\n",
     DESCPIPE_FAILED_NOT_FOUND, "manifest for x:1 not found: manifest unknown"},
    {"{\"error\":\"pull access denied for x, repository does not exist or may require 'docker login'\"}",
     DESCPIPE_FAILED_NEEDS_LOGIN, "pull access denied for x, repository does not exist or may require 'docker login'"},
    {"{\"error\":\"toomanyrequests: slow down\"}\n", DESCPIPE_FAILED_LATER, "toomanyrequests: slow down"},
    {"{\"error\":\"dial tcp: lookup x: no such host\"}\n", DESCPIPE_FAILED_CANNOT_ASK,
     "dial tcp: lookup x: no such host"},
    {"{\"errorDetail\":{}}\n", DESCPIPE_FAILED_REFUSED, "an error without words"},
    {"{\"status\":\"all is well\"}\n", DESCPIPE_FAILED_REFUSED, "Docker fetched it, but has no image x:1"},
    {"garbage\n{]\n", DESCPIPE_FAILED_REFUSED, "Docker fetched it, but has no image x:1"},
};

START_TEST(an_error_inside_a_pull_is_a_failure)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {
        VERSION,
        {"GET /v1.41/images/x:1/json", 404, "{\"message\":\"no such image\"}", 0, 0, 0},
        {"POST /v1.41/images/create?", 200, pulls[_i].stream, 0, 0, 0},
        {0}};
    play(script);
    driver.username = "me";
    driver.password = "p\"w";
    struct descpipe_image image = image_of("x:1", DESCPIPE_PULL_MISSING);
    prepare(&image, &answer);
    cleanup(memory_free) char *message = memory_format("image 'x:1': %s", pulls[_i].words);
    check_failure(&answer, pulls[_i].failure, message);
    /* {"username":"me","password":"p\u0022w","serveraddress":"https://index.docker.io/v1/"} */
    ck_assert_ptr_nonnull(strstr(scripted_engine_asked(engine),
                                 "POST /v1.41/images/create?fromImage=x%3A1&platform=linux%2Famd64\n"
                                 "X-Registry-Auth: eyJ1c2VybmFtZSI6Im1lIiwicGFzc3dvcmQiOiJwXHUwMDIydyIs"));
    ck_assert_int_eq(driver.credentials_asked, 1);
}
END_TEST

START_TEST(many_who_ask_for_one_image_fetch_it_once)
{
    const struct script_line script[] = {
        VERSION,
        {"GET /v1.41/images/x:1/json", 404, "{\"message\":\"no\"}", 0, 1, 0},
        {"POST /v1.41/images/create?", 200,
         "{\"status\":\"Downloading\",\"id\":\"l1\",\"progressDetail\":{\"current\":5,\"total\":9}}\n", 0, 0, 0},
        {"GET /v1.41/images/x:1/json", 200, IMAGE_BODY, 0, 0, 0},
        {0}};
    struct answer answers[5];
    struct descpipe_image image = image_of("x:1", DESCPIPE_PULL_MISSING);
    struct descpipe_prepare request = {.size = sizeof(request), .image = &image};
    play(script);
    for (size_t i = 0; i < 5; i++) {
        runtime_prepare(driver.instance, &request, driver_call(&answers[i]));
    }
    for (size_t i = 0; i < 5; i++) {
        driver_wait(&driver, &answers[i]);
        ck_assert_msg(answers[i].ok, "%s", answers[i].message);
        ck_assert_str_eq(answers[i].handle, "sha256:" HEX);
        ck_assert_str_eq(text_bytes(&answers[i].progress), "5/9 pulling x:1\n");
        answer_free(&answers[i]);
    }
    const char *asked = scripted_engine_asked(engine), *first = strstr(asked, "POST ");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "POST "));
}
END_TEST

START_TEST(what_was_pulled_must_be_what_was_pinned)
{
    cleanup(answer_free) struct answer answer;
    const struct script_line script[] = {
        VERSION,
        {"GET /v1.41/images/sha256:" OTHER "/json", 404, "{}", 0, 0, 0},
        {"POST /v1.41/images/create?fromImage=h%3A5%2Fx%40sha256%3A" OTHER, 200, "", 0, 0, 0},
        {"GET /v1.41/images/h:5/x@sha256:" OTHER "/json", 200, IMAGE_BODY, 0, 0, 0},
        {0}};
    struct descpipe_image image = image_of("h:5/x:1", DESCPIPE_PULL_MISSING);
    image.config_digest = image.manifest_digest = "sha256:" OTHER;
    play(script);
    prepare(&image, &answer);
    check_failure(&answer, DESCPIPE_FAILED_REFUSED,
                  "image 'h:5/x:1': Docker has sha256:" HEX " under that name, but the plan pins sha256:" OTHER);
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

#define ADD_TABLE(test, table) tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof(*(table))))

int main(void)
{
    Suite *suite = suite_create("docker faults");
    TCase *tests = tcase_create("faults");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, says_that_docker_is_not_there_and_what_to_do);
    ADD_TABLE(refuses_what_is_no_engine_it_can_speak_with, versions);
    ADD_TABLE(an_error_inside_a_pull_is_a_failure, pulls);
    tcase_add_test(tests, many_who_ask_for_one_image_fetch_it_once);
    tcase_add_test(tests, what_was_pulled_must_be_what_was_pinned);
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
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
