/* SPDX-License-Identifier: BSD-3-Clause */
/* Images on a real Engine: built from folders, pushed to a real registry that wants a login, pulled back from it. */
#include "engine_fixture.h"

#define SECRET_WORD "blue sky"

static const char *registry;

static void log_in(const char *password)
{
    driver.username = password != NULL ? "joe" : NULL;
    driver.password = password;
}

static void put(const char *name, const char *text)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *path = memory_format("%s/%s", folder, name);
    ck_assert_msg(file_write(path, text, strlen(text), 0644, &error), "%s", error.message);
}

struct made {
    struct answer answer;
    struct text log;
};

static void made_clear_at(struct made *made)
{
    answer_free(&made->answer);
    text_clear(&made->log);
}

static void build(struct made *made, const char *reference, const char *const *arguments, const char *const *labels)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *file = memory_format("%s/Dockerfile", folder);
    cleanup(memory_free) char *log = memory_format("%s.log", folder);
    const char *const references[] = {reference, NULL};
    struct descpipe_build request = {.size = sizeof(request),
                                     .folder = folder,
                                     .file = file,
                                     .references = references,
                                     .arguments = arguments,
                                     .labels = labels,
                                     .log_descriptor = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    runtime_build(driver.instance, &request, driver_call(&made->answer));
    driver_wait(&driver, &made->answer);
    close(request.log_descriptor);
    ck_assert_msg(file_read(log, 1 << 20, &made->log, &error), "%s", error.message);
    unlink(log);
}

static void push(struct answer *answer, const char *source, const char *target)
{
    struct descpipe_image from = image_of(source), to = image_of(target);
    struct descpipe_push request = {.size = sizeof(request), .image = &from, .target = &to};
    runtime_push(driver.instance, &request, driver_call(answer));
    driver_wait(&driver, answer);
}

static void pull(struct answer *answer, const char *reference)
{
    struct descpipe_image image = image_of(reference);
    image.pull = DESCPIPE_PULL_ALWAYS;
    struct descpipe_prepare request = {.size = sizeof(request), .image = &image};
    runtime_prepare(driver.instance, &request, driver_call(answer));
    driver_wait(&driver, answer);
}

/* How often the registry was sent something, by its own log. */
static int count_in_log(const char *words)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(text_clear) struct text log = TEXT_INIT;
    int count = 0;
    ck_assert_msg(file_read(secure_getenv("DESCPIPE_TEST_REGISTRY_LOG"), 64 << 20, &log, &error), "%s", error.message);
    for (const char *place = text_bytes(&log); (place = strstr(place, words)) != NULL; place++) {
        count++;
    }
    return count;
}

static void start_anew(void)
{
    set_up();
    registry = secure_getenv("DESCPIPE_TEST_REGISTRY");
    ck_assert_msg(registry != NULL, "run this through images_test.sh");
}

START_TEST(builds_what_the_dockerfile_says_and_shows_how)
{
    cleanup(made_clear) struct made made = {0};
    static const char *const arguments[] = {"user=joe \"q\"", NULL}, *const labels[] = {"descpipe.stage=shear", NULL};
    put(".dockerignore", "*.key\n");
    put("run.py", "print()\n");
    put("secret.key", "k\n");
    put("Dockerfile", "FROM " IMAGE "\nARG user\nCOPY . /src\nRUN echo \"for $user\" && cat /src/run.py && ls /src\n");
    build(&made, "descpipe/built:1", arguments, labels);
    ck_assert_msg(made.answer.ok, "%s\n%s", made.answer.message, text_bytes(&made.log));
    ck_assert_ptr_nonnull(strstr(text_bytes(&made.log), "for joe \"q\"\nprint()\n"));
    ck_assert_ptr_null(strstr(text_bytes(&made.log), "secret.key"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&made.answer.progress), "Step "));
    ck_assert_int_eq(strncmp(made.answer.handle, "sha256:", 7), 0);
    ck_assert_str_eq(made.answer.config_digest, made.answer.handle);
    cleanup(answer_free) struct answer found;
    struct descpipe_image image = image_of("descpipe/built:1");
    runtime_identify(driver.instance, &image, driver_call(&found));
    driver_wait(&driver, &found);
    ck_assert_str_eq(found.handle, made.answer.handle);
}
END_TEST

START_TEST(a_step_that_fails_fails_the_build)
{
    cleanup(made_clear) struct made made = {0};
    put("Dockerfile", "FROM " IMAGE "\nRUN echo before && false\nRUN echo after\n");
    build(&made, "descpipe/broken:1", NULL, NULL);
    ck_assert(!made.answer.ok);
    ck_assert_uint_eq(made.answer.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_ptr_nonnull(
        strstr(made.answer.message, "building 'descpipe/broken:1': The command '/bin/sh -c echo before"));
    ck_assert_ptr_nonnull(strstr(made.answer.hint, "log of the build"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&made.log), "before\n"));
    ck_assert_ptr_null(strstr(text_bytes(&made.log), "after\n"));
}
END_TEST

START_TEST(pushes_with_the_login_of_the_moment)
{
    cleanup(answer_free) struct answer refused, wrong, pushed, again, pulled;
    cleanup(memory_free) char *target = memory_format("%s/joe/shear:1.0", registry);
    push(&refused, IMAGE, target);
    ck_assert(!refused.ok);
    ck_assert_uint_eq(refused.failure, DESCPIPE_FAILED_NEEDS_LOGIN);
    log_in("wrong-word");
    push(&wrong, IMAGE, target);
    ck_assert_uint_eq(wrong.failure, DESCPIPE_FAILED_NEEDS_LOGIN);
    ck_assert_ptr_null(strstr(wrong.message, "wrong-word"));
    log_in(SECRET_WORD);
    push(&pushed, IMAGE, target);
    ck_assert_msg(pushed.ok, "%s", pushed.message);
    ck_assert_ptr_nonnull(pushed.manifest_digest);
    ck_assert_ptr_nonnull(pushed.config_digest);
    int sent = count_in_log("method=PATCH");
    ck_assert_int_gt(sent, 0);
    push(&again, IMAGE, target);
    ck_assert_msg(again.ok, "%s", again.message);
    ck_assert_str_eq(again.manifest_digest, pushed.manifest_digest);
    ck_assert_int_eq(count_in_log("method=PATCH"), sent); /* what is there is not sent again */
    pull(&pulled, target);
    ck_assert_msg(pulled.ok, "%s", pulled.message);
    ck_assert_str_eq(pulled.manifest_digest, pushed.manifest_digest);
    ck_assert_str_eq(pulled.config_digest, pushed.config_digest);
    log_in(NULL);
    answer_free(&pulled);
    pull(&pulled, target);
    ck_assert(!pulled.ok);
    ck_assert_uint_eq(pulled.failure, DESCPIPE_FAILED_NEEDS_LOGIN);
}
END_TEST

START_TEST(builds_on_a_base_that_needs_a_login)
{
    cleanup(answer_free) struct answer pushed;
    cleanup(made_clear) struct made refused = {0}, made = {0};
    cleanup(memory_free) char *base = memory_format("%s/joe/base:1", registry);
    cleanup(memory_free) char *text = memory_format("ARG host=nowhere\nFROM ${host}/joe/base:1\nCOPY Dockerfile /x\n");
    cleanup(memory_free) char *host_argument = memory_format("host=%s", registry);
    const char *const arguments[] = {host_argument, NULL};
    log_in(SECRET_WORD);
    push(&pushed, IMAGE, base);
    ck_assert_msg(pushed.ok, "%s", pushed.message);
    cleanup(memory_free) char *forget = memory_format("curl --silent --show-error --fail --output /dev/null --request "
                                                      "DELETE --unix-socket \"${DESCPIPE_TEST_DOCKER#unix://}\" "
                                                      "http://localhost/images/%s",
                                                      base);
    ck_assert_int_eq(system(forget), 0);
    put("Dockerfile", text);
    log_in(NULL);
    build(&refused, "descpipe/onbase:1", arguments, NULL);
    ck_assert(!refused.answer.ok);
    ck_assert_msg(refused.answer.failure == DESCPIPE_FAILED_NEEDS_LOGIN, "%s", refused.answer.message);
    log_in(SECRET_WORD);
    build(&made, "descpipe/onbase:1", arguments, NULL);
    ck_assert_msg(made.answer.ok, "%s", made.answer.message);
    ck_assert_ptr_null(strstr(text_bytes(&made.log), SECRET_WORD));
}
END_TEST

START_TEST(says_what_cannot_be_pushed)
{
    cleanup(answer_free) struct answer absent, unreachable;
    cleanup(memory_free) char *target = memory_format("%s/joe/absent:1", registry);
    push(&absent, "descpipe/absent:1", target);
    ck_assert_uint_eq(absent.failure, DESCPIPE_FAILED_NOT_FOUND);
    push(&unreachable, IMAGE, "127.0.0.1:1/joe/shear:1");
    ck_assert_uint_eq(unreachable.failure, DESCPIPE_FAILED_CANNOT_ASK);
}
END_TEST

static bool sleeps(void *context)
{
    const struct answer *answer = context;
    return answer->done || strstr(text_bytes(&answer->progress), "sleep 1000") != NULL;
}

START_TEST(a_build_that_nobody_wants_any_more_ends)
{
    cleanup(answer_free) struct answer answer;
    cleanup(memory_free) char *file = memory_format("%s/Dockerfile", folder);
    static const char *const references[] = {"descpipe/slow:1", NULL};
    put("Dockerfile", "FROM " IMAGE "\nRUN sleep 1000\n");
    struct descpipe_build request = {.size = sizeof(request), .folder = folder, .file = file, .references = references};
    struct plugin_call *call = runtime_build(driver.instance, &request, driver_call(&answer));
    driver_until(&driver, sleeps, &answer);
    call_cancel(call);
    driver_wait(&driver, &answer);
    ck_assert(!answer.ok);
    ck_assert_msg(answer.failure == DESCPIPE_FAILED_CANCELLED, "%u %s", answer.failure, answer.message);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("docker images");
    TCase *tests = tcase_create("images");
    tcase_add_checked_fixture(tests, start_anew, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, builds_what_the_dockerfile_says_and_shows_how);
    tcase_add_test(tests, a_step_that_fails_fails_the_build);
    tcase_add_test(tests, pushes_with_the_login_of_the_moment);
    tcase_add_test(tests, builds_on_a_base_that_needs_a_login);
    tcase_add_test(tests, says_what_cannot_be_pushed);
    tcase_add_test(tests, a_build_that_nobody_wants_any_more_ends);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
