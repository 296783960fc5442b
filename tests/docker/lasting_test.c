/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime docker over time: a daemon that restarts, an earlier process, failed containers, the client. */
#include "engine_fixture.h"

static void restart_daemon(void)
{
    char program[512], where[512];
    snprintf(program, sizeof(program), "%s", secure_getenv("DESCPIPE_TEST_DAEMON"));
    snprintf(where, sizeof(where), "%s/engine", secure_getenv("DESCPIPE_TEST_FOLDER"));
    char restart[] = "restart";
    char *argv[] = {program, restart, where, NULL};
    pid_t process = 0;
    int status = -1;
    /* The loop blocks signals; what is started here wants its own. */
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ck_assert_int_eq(posix_spawn(&process, program, NULL, &attributes, argv, environ), 0);
    posix_spawnattr_destroy(&attributes);
    ck_assert_int_eq(waitpid(process, &status, 0), process);
    ck_assert_int_eq(status, 0);
}

START_TEST(a_daemon_that_restarts_is_no_failure_of_the_stage)
{
    struct job job;
    cleanup(answer_free) struct answer observed, followed;
    cleanup(memory_free) char *gate = memory_format("%s/go", folder);
    cleanup(memory_free) char *output_path = memory_format("%s/followed", folder);
    cleanup(error_clear) struct error error = ERROR_INIT;
    const struct descpipe_mount in = {sizeof(in), DESCPIPE_MOUNT_READ_ONLY, folder, "/gate"};
    const struct descpipe_mount *const mounts[] = {&in, NULL};
    job_make(&job,
             (const char *const[]){
                 "sh", "-c", "seq 1 1000; until [ -e /gate/go ]; do sleep 0.05; done; seq 1001 2000; exit 4", NULL});
    job.stage.mounts = mounts;
    start(&job);
    struct descpipe_container container = container_of(&job);
    int output = open(output_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct descpipe_logs logs = {.size = sizeof(logs),
                                 .follow = 1,
                                 .container = &container,
                                 .output_descriptor = output,
                                 .error_descriptor = output};
    runtime_observe(driver.instance, &container, driver_call(&observed));
    runtime_logs(driver.instance, &logs, driver_call(&followed));
    /* Some way into the log, and not to its end. */
    struct stat status = {0};
    while (status.st_size < 3893) {
        cleanup(answer_free) struct answer inspected;
        runtime_inspect(driver.instance, &container, driver_call(&inspected));
        driver_wait(&driver, &inspected);
        ck_assert(inspected.ok && inspected.ending.size == 0);
        ck_assert_int_eq(fstat(output, &status), 0);
    }
    restart_daemon();
    ck_assert(!observed.done && !followed.done);
    ck_assert(file_write(gate, "", 0, 0644, &error));
    driver_wait(&driver, &observed);
    driver_wait(&driver, &followed);
    ck_assert_msg(observed.ok, "%s", observed.message);
    ck_assert_int_eq(observed.ending.exit_code, 4);
    ck_assert_msg(followed.ok, "%s", followed.message);
    cleanup(text_clear) struct text got = TEXT_INIT;
    ck_assert(file_read(output_path, 1 << 20, &got, &error));
    cleanup(text_clear) struct text expected = TEXT_INIT;
    for (int i = 1; i <= 2000; i++) {
        text_format(&expected, "%d\n", i);
    }
    ck_assert_str_eq(text_bytes(&got), text_bytes(&expected));
    close(output);
    release(&job);
}
END_TEST

/* The Engine tells once a second, later where it is busy: a stage that ended too early is tried with more time. */
START_TEST(what_a_container_used_is_told)
{
    for (int seconds = 5; seconds <= 40; seconds *= 2) {
        struct job job;
        cleanup(answer_free) struct answer answer;
        cleanup(memory_free) char *script =
            memory_format("x=$(head -c 16777216 /dev/zero | tr '\\0' x); sleep %d; :", seconds);
        job_make(&job, (const char *const[]){"sh", "-c", script, NULL});
        start(&job);
        observe(&job, &answer);
        ck_assert_int_eq(answer.ending.exit_code, 0);
        release(&job);
        if (answer.ending.peak_memory >= 16777216 && answer.ending.cpu_ms > 0) {
            return;
        }
    }
    ck_abort_msg("a container that held 16 MiB for 40 seconds was said to have used less, or no processor");
}
END_TEST

START_TEST(finds_what_an_earlier_process_started)
{
    struct job first, second;
    cleanup(answer_free) struct answer found, answer;
    job_make(&first, (const char *const[]){"sleep", "1000", NULL});
    job_make(&second, (const char *const[]){"false", NULL});
    start(&first);
    start(&second);
    observe(&second, &answer);
    const char *options[] = {"host", secure_getenv("DESCPIPE_TEST_DOCKER"), NULL};
    driver_close(&driver);
    driver_open(&driver, options, NULL);
    runtime_find(driver.instance, run_name, driver_call(&found));
    driver_wait(&driver, &found);
    ck_assert_uint_eq(found.found_count, 2);
    cleanup(memory_free) char *running = memory_format("%s running\n", first.token);
    cleanup(memory_free) char *ended = memory_format("%s ended\n", second.token);
    ck_assert_ptr_nonnull(strstr(text_bytes(&found.found), running));
    ck_assert_ptr_nonnull(strstr(text_bytes(&found.found), ended));
    cleanup(answer_free) struct answer adopted, stopped;
    struct descpipe_container container = container_of(&first);
    struct descpipe_stop stop = {.size = sizeof(stop), .container = &container, .grace_ms = 0};
    runtime_observe(driver.instance, &container, driver_call(&adopted));
    runtime_stop(driver.instance, &stop, driver_call(&stopped));
    driver_wait(&driver, &stopped);
    driver_wait(&driver, &adopted);
    ck_assert_msg(adopted.ok, "%s", adopted.message);
    ck_assert_int_gt(adopted.ending.exit_code, 128); /* by SIGTERM, or by SIGKILL when that came first */
    release(&first);
    release(&second);
}
END_TEST

START_TEST(keeps_failed_containers_when_told_to)
{
    struct job good, bad;
    cleanup(answer_free) struct answer answer, good_answer;
    const char *options[] = {"host", secure_getenv("DESCPIPE_TEST_DOCKER"), "keep-failed", "true", NULL};
    driver_close(&driver);
    driver_open(&driver, options, NULL);
    job_make(&good, (const char *const[]){"true", NULL});
    job_make(&bad, (const char *const[]){"false", NULL});
    start(&good);
    start(&bad);
    observe(&good, &good_answer);
    observe(&bad, &answer);
    release(&good);
    release(&bad);
    ck_assert_int_eq(containers_of_run(), 1);
    const char *plain[] = {"host", secure_getenv("DESCPIPE_TEST_DOCKER"), NULL};
    driver_close(&driver);
    driver_open(&driver, plain, NULL);
    bad.handle = NULL;
    release(&bad);
    ck_assert_int_eq(containers_of_run(), 0);
}
END_TEST

START_TEST(the_command_form_runs_with_the_client)
{
    struct job job;
    cleanup(answer_free) struct answer form;
    cleanup(text_clear) struct text output = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *input = memory_format("%s/in, \"put\"", folder);
    cleanup(memory_free) char *output_path = memory_format("%s/command.out", folder);
    cleanup(memory_free) char *one_file = memory_format("%s/a", input);
    const char *options[] = {"host", secure_getenv("DESCPIPE_TEST_DOCKER"), "form", "client", NULL};
    driver_close(&driver);
    driver_open(&driver, options, NULL);
    if (access("/usr/bin/docker", X_OK) != 0 && access("/usr/local/bin/docker", X_OK) != 0) {
        return; /* no client here; what its argv looks like is tested without it */
    }
    ck_assert_uint_eq(plugin_runtime_forms(driver.instance), DESCPIPE_FORM_COMMAND | DESCPIPE_FORM_POD);
    ck_assert_int_eq(mkdir(input, 0755), 0);
    ck_assert(file_write(one_file, "stars\n", 6, 0644, &error));
    const struct descpipe_mount in = {sizeof(in), DESCPIPE_MOUNT_READ_ONLY, input, "/opt/input"};
    const struct descpipe_mount scratch = {sizeof(scratch), DESCPIPE_MOUNT_SCRATCH, NULL, "/scratch"};
    const struct descpipe_mount *const mounts[] = {&in, &scratch, NULL};
    static const char *const environment[] = {"PATH=/bin", "HOME=/here", "WORD=a  b", NULL};
    static const char *const late_names[] = {"TOKEN", NULL};
    job_make(&job, (const char *const[]){
                       "sh", "-c",
                       "id -u; pwd; cat /opt/input/a; echo \"$WORD\" $TOKEN $HOME; echo >/scratch/x; exit 9", NULL});
    job.stage.mounts = mounts;
    job.stage.environment = environment;
    job.stage.late_names = late_names;
    job.stage.directory = "/opt/input";
    job.resources.memory_per_node = 50 << 20;
    runtime_launch(driver.instance, &job.stage, driver_call(&form));
    ck_assert_msg(form.done && form.ok, "%s", form.message);
    for (char **word = form.argv; *word != NULL; word++) {
        ck_assert_ptr_null(strstr(*word, "s3cret"));
        ck_assert_ptr_null(strstr(*word, "a  b"));
    }
    int status = execute(&form, "TOKEN=s3cret", output_path);
    ck_assert_msg(file_read(output_path, 1 << 20, &output, &error), "%s", error.message);
    ck_assert_str_eq(text_bytes(&output), "1234\n/opt/input\nstars\na  b s3cret /here\n");
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 9);
    memory_free(job.handle);
    cleanup(answer_free) struct answer probed, missing;
    struct descpipe_image none = image_of("no/such:1");
    runtime_identify(driver.instance, &none, driver_call(&missing));
    driver_wait(&driver, &missing);
    ck_assert_uint_eq(missing.failure, DESCPIPE_FAILED_NOT_FOUND);
    runtime_probe(driver.instance, driver_call(&probed));
    driver_wait(&driver, &probed);
    ck_assert_msg(probed.ok, "%s", probed.message);
    ck_assert_ptr_nonnull(strstr(text_bytes(&probed.facts), "client-version="));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("docker lasting");
    TCase *tests = tcase_create("engine");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_daemon_that_restarts_is_no_failure_of_the_stage);
    tcase_add_test(tests, what_a_container_used_is_told);
    tcase_add_test(tests, finds_what_an_earlier_process_started);
    tcase_add_test(tests, keeps_failed_containers_when_told_to);
    tcase_add_test(tests, the_command_form_runs_with_the_client);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
