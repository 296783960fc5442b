/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime docker when an image does not come, or comes as another. */
#include "faults_fixture.h"

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

static void add_tests(TCase *tests)
{
    ADD_TABLE(an_error_inside_a_pull_is_a_failure, pulls);
    tcase_add_test(tests, many_who_ask_for_one_image_fetch_it_once);
    tcase_add_test(tests, what_was_pulled_must_be_what_was_pinned);
}

int main(void)
{
    return run_cases("docker pull faults", add_tests);
}
