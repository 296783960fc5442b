/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime docker against a real Engine: images, starts, worlds and ends. */
#include "engine_fixture.h"

START_TEST(probe_tells_what_docker_it_is)
{
    cleanup(answer_free) struct answer answer;
    runtime_probe(driver.instance, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_ptr_nonnull(strstr(text_bytes(&answer.facts), "version="));
    ck_assert_ptr_nonnull(strstr(text_bytes(&answer.facts), "address=unix:///"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&answer.facts), "api=1."));
    ck_assert_ptr_nonnull(strstr(text_bytes(&answer.facts), "rootless=no"));
}
END_TEST

START_TEST(identifies_an_image_by_its_config_digest)
{
    cleanup(answer_free) struct answer answer, by_pin, missing;
    struct descpipe_image image = image_of(IMAGE), pinned = image_of("somebody/else:9"), none = image_of("no/such:1");
    runtime_identify(driver.instance, &image, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert(answer.present);
    ck_assert_str_eq(answer.platform, "linux/amd64");
    ck_assert_uint_eq(strlen(answer.config_digest), 71);
    ck_assert_str_eq(answer.handle, answer.config_digest);
    ck_assert_ptr_null(answer.manifest_digest);
    pinned.config_digest = answer.config_digest;
    runtime_identify(driver.instance, &pinned, driver_call(&by_pin));
    driver_wait(&driver, &by_pin);
    ck_assert(by_pin.ok && by_pin.present);
    runtime_identify(driver.instance, &none, driver_call(&missing));
    driver_wait(&driver, &missing);
    ck_assert_uint_eq(missing.failure, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(missing.message, "image 'no/such:1' is not in Docker at unix:///"));
}
END_TEST

START_TEST(loads_an_archive_and_finds_it_by_its_digest)
{
    cleanup(answer_free) struct answer known, before, loaded;
    cleanup(memory_free) char *path = memory_format("%s/busybox.tar", secure_getenv("DESCPIPE_TEST_FOLDER"));
    struct descpipe_image named = image_of(IMAGE);
    struct descpipe_image archive = {.size = sizeof(archive),
                                     .source = DESCPIPE_SOURCE_DOCKER_ARCHIVE,
                                     .pull = DESCPIPE_PULL_NEVER,
                                     .reference = "docker-archive:busybox.tar",
                                     .path = path};
    struct descpipe_prepare prepare = {.size = sizeof(prepare), .image = &archive};
    runtime_identify(driver.instance, &named, driver_call(&known));
    driver_wait(&driver, &known);
    runtime_identify(driver.instance, &archive, driver_call(&before));
    driver_wait(&driver, &before);
    ck_assert_msg(before.ok, "%s", before.message);
    ck_assert_str_eq(before.config_digest, known.config_digest);
    runtime_prepare(driver.instance, &prepare, driver_call(&loaded));
    driver_wait(&driver, &loaded);
    ck_assert_msg(loaded.ok, "%s", loaded.message);
    ck_assert_str_eq(loaded.config_digest, known.config_digest);
    ck_assert(loaded.present);
}
END_TEST

START_TEST(never_pulls_when_it_may_not)
{
    cleanup(answer_free) struct answer answer;
    struct descpipe_image image = image_of("no/such:1");
    struct descpipe_prepare prepare = {.size = sizeof(prepare), .image = &image};
    image.pull = DESCPIPE_PULL_NEVER;
    runtime_prepare(driver.instance, &prepare, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_str_eq(answer.message, "image 'no/such:1': it is not in Docker, and `pull: never` forbids to fetch it");
    ck_assert_int_eq(driver.credentials_asked, 0);
}
END_TEST

START_TEST(refuses_an_image_that_is_not_the_pinned_one)
{
    cleanup(answer_free) struct answer answer;
    struct descpipe_image image = image_of(IMAGE);
    struct descpipe_prepare prepare = {.size = sizeof(prepare), .image = &image};
    image.pull = DESCPIPE_PULL_NEVER;
    image.platform = "linux/arm64";
    runtime_prepare(driver.instance, &prepare, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_str_eq(answer.message,
                     "image '" IMAGE "': it was built for linux/amd64, and the stage runs on linux/arm64");
}
END_TEST

static const struct {
    const char *script;
    uint32_t flags;
    int exit_code, signal;
} endings[] = {
    {"exit 0", DESCPIPE_ENDED_EXITED, 0, 0},
    {"exit 3", DESCPIPE_ENDED_EXITED, 3, 0},
    {"kill -SEGV $$", DESCPIPE_ENDED_EXITED, 139, 0},
    {"kill -9 $$", DESCPIPE_ENDED_EXITED, 137, 0} /* Docker cannot tell it from the next */,
    {"exit 137", DESCPIPE_ENDED_EXITED, 137, 0},
};

START_TEST(gives_evidence_of_the_end)
{
    struct job job;
    cleanup(answer_free) struct answer answer;
    job_make(&job, (const char *const[]){"sh", "-c", endings[_i].script, NULL});
    int64_t before = clock_wall_ms();
    start(&job);
    observe(&job, &answer);
    ck_assert_uint_eq(answer.ending.flags, endings[_i].flags);
    ck_assert_int_eq(answer.ending.exit_code, endings[_i].exit_code);
    ck_assert_int_eq(answer.ending.signal, endings[_i].signal);
    ck_assert_str_eq(answer.witness, "docker inspect");
    ck_assert_int_ge(answer.ending.started_at_ms, before);
    ck_assert_int_ge(answer.ending.finished_at_ms, answer.ending.started_at_ms);
    ck_assert_int_le(answer.ending.finished_at_ms, clock_wall_ms() + 1);
    ck_assert_int_eq(containers_of_run(), 1);
    release(&job);
    ck_assert_int_eq(containers_of_run(), 0);
}
END_TEST

START_TEST(knows_that_memory_ran_out)
{
    struct job job;
    cleanup(answer_free) struct answer answer;
    job_make(&job, (const char *const[]){"dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1", NULL});
    job.resources.memory_per_node = 20 << 20;
    start(&job);
    observe(&job, &answer);
    ck_assert_int_eq(answer.ending.exit_code, 137);
    /* Docker itself loses the kernel's word now and then; then the reason must say that it may be memory. */
    ck_assert_str_eq(answer.reason, (answer.ending.flags & DESCPIPE_ENDED_OUT_OF_MEMORY) != 0
                                        ? "the container went over its memory limit"
                                        : "exit status 137, which is how Docker reports SIGKILL; the container had a "
                                          "memory limit, and Docker does not always notice that it was reached");
    release(&job);
}
END_TEST

START_TEST(the_stage_sees_the_world_it_was_promised)
{
    struct job job;
    cleanup(text_clear) struct text output = TEXT_INIT, errors = TEXT_INIT;
    cleanup(answer_free) struct answer answer;
    cleanup(memory_free) char *input = memory_format("%s/in, \"put\"", folder);
    cleanup(memory_free) char *written = memory_format("%s/out", folder);
    cleanup(memory_free) char *one_file = memory_format("%s/in, \"put\"/catalog.fits", folder);
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_int_eq(mkdir(input, 0755), 0);
    ck_assert_int_eq(mkdir(written, 0777), 0);
    ck_assert_int_eq(chmod(written, 0777), 0);
    ck_assert(file_write(one_file, "stars\n", 6, 0644, &error));
    const struct descpipe_mount in = {sizeof(in), DESCPIPE_MOUNT_READ_ONLY, input, "/opt/input"};
    const struct descpipe_mount out = {sizeof(out), 0, written, "/opt/output"};
    const struct descpipe_mount file = {sizeof(file), DESCPIPE_MOUNT_READ_ONLY | DESCPIPE_MOUNT_FILE, one_file,
                                        "/opt/x.fits"};
    const struct descpipe_mount scratch = {sizeof(scratch), DESCPIPE_MOUNT_SCRATCH, NULL, "/scratch"};
    const struct descpipe_mount *const mounts[] = {&in, &out, &file, &scratch, NULL};
    static const char *const environment[] = {"PATH=/bin", "HOME=/opt/output", "WORD=a \"b\" \\ $c\né", NULL};
    static const char *const late_names[] = {"TOKEN", NULL};
    static const char *const late[] = {"TOKEN=s3cret", NULL};
    job_make(&job,
             (const char *const[]){"sh", "-c",
                                   "id -u; id -g; pwd; cat /opt/input/catalog.fits /opt/x.fits; echo \"$WORD\"; "
                                   "echo $TOKEN; echo $HOME; echo hi > /opt/output/result; echo $?; "
                                   "echo no > /opt/input/new || echo read-only; echo x > /scratch/y && echo scratch; "
                                   "ls /sys/class/net; echo to-stderr >&2",
                                   NULL});
    job.stage.mounts = mounts;
    job.stage.environment = environment;
    job.stage.late_names = late_names;
    job.stage.late_environment = late;
    job.stage.directory = "/opt/output";
    start(&job);
    read_output(&job, &output, &errors);
    observe(&job, &answer);
    ck_assert_int_eq(answer.ending.exit_code, 0);
    ck_assert_str_eq(text_bytes(&output),
                     "1234\n2345\n/opt/output\nstars\nstars\na \"b\" \\ $c\né\ns3cret\n/opt/output\n0\n"
                     "read-only\nscratch\nlo\n");
    ck_assert_ptr_nonnull(strstr(text_bytes(&errors), "Read-only file system"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&errors), "to-stderr\n"));
    cleanup(memory_free) char *result = memory_format("%s/result", written);
    struct stat status;
    ck_assert_int_eq(stat(result, &status), 0);
    ck_assert_uint_eq(status.st_uid, 1234);
    release(&job);
}
END_TEST

static const struct {
    const char *command, *message, *hint;
} bad_starts[] = {
    {"nonesuch",
     "stage 'shear' cannot start in Docker: ", "check the stage's command: the image holds no such program"},
    {"/bin/noexec", "stage 'shear' cannot start in Docker: ", "make the command executable in the image (chmod +x)"},
};

START_TEST(a_failed_start_leaves_nothing_behind)
{
    struct job job;
    cleanup(answer_free) struct answer answer;
    /* Docker's init finds a missing command only after it runs itself: without it the Engine refuses at once. */
    const char *options[] = {"host", secure_getenv("DESCPIPE_TEST_DOCKER"), "init", "false", NULL};
    driver_close(&driver);
    driver_open(&driver, options, NULL);
    job_make(&job, (const char *const[]){bad_starts[_i].command, NULL});
    runtime_start(driver.instance, &job.stage, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert(!answer.ok);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_msg(text_starts_with(answer.message, bad_starts[_i].message), "%s", answer.message);
    ck_assert_ptr_null(strstr(answer.message, "OCI runtime"));
    ck_assert_str_eq(answer.hint, bad_starts[_i].hint);
    ck_assert_int_eq(containers_of_run(), 0);
    memory_free(job.handle);
}
END_TEST

START_TEST(a_mount_that_is_not_there_is_refused)
{
    struct job job;
    cleanup(answer_free) struct answer answer;
    const struct descpipe_mount in = {sizeof(in), DESCPIPE_MOUNT_READ_ONLY, "/no/such/folder", "/opt/input"};
    const struct descpipe_mount *const mounts[] = {&in, NULL};
    job_make(&job, (const char *const[]){"true", NULL});
    job.stage.mounts = mounts;
    runtime_start(driver.instance, &job.stage, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_str_eq(answer.message,
                     "stage 'shear' cannot start in Docker: bind source path does not exist: /no/such/folder");
    ck_assert_str_eq(answer.hint, "the path must exist on the machine where Docker runs");
    ck_assert_int_eq(containers_of_run(), 0);
    memory_free(job.handle);
}
END_TEST

/* Only Docker knows how many cpus its machine has: the schedulers that give no cpus out let such a stage pass. */
START_TEST(more_cpus_than_docker_has_are_refused)
{
    struct job job;
    cleanup(answer_free) struct answer answer, form = {0};
    cleanup(memory_free) char *output_path = memory_format("%s/cpus.out", folder);
    job_make(&job, (const char *const[]){"true", NULL});
    job.resources.cpus_per_rank = 100000;
    runtime_start(driver.instance, &job.stage, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_msg(
        text_starts_with(answer.message, "stage 'shear' cannot start in Docker: Range of CPUs is from 0.01 to "), "%s",
        answer.message);
    ck_assert_str_eq(answer.hint, "the stage asks for more cpus than Docker has; lower `cpus:`");
    ck_assert_int_eq(containers_of_run(), 0);
    if (access("/usr/bin/docker", X_OK) == 0 || access("/usr/local/bin/docker", X_OK) == 0) {
        runtime_launch(driver.instance, &job.stage, driver_call(&form));
        ck_assert_msg(form.done && form.ok, "%s", form.message);
        int status = execute(&form, "X=y", output_path);
        ck_assert_int_eq(WEXITSTATUS(status), 125); /* the client's way to say that it is Docker that failed */
        ck_assert_int_eq(containers_of_run(), 0);
    }
    memory_free(job.handle);
}
END_TEST

START_TEST(starting_twice_runs_once)
{
    struct job job;
    cleanup(answer_free) struct answer answer;
    cleanup(text_clear) struct text output = TEXT_INIT, errors = TEXT_INIT;
    job_make(&job, (const char *const[]){"sh", "-c", "echo once; exit 5", NULL});
    start(&job);
    start(&job);
    observe(&job, &answer);
    start(&job);
    read_output(&job, &output, &errors);
    ck_assert_int_eq(answer.ending.exit_code, 5);
    ck_assert_str_eq(text_bytes(&output), "once\n");
    ck_assert_int_eq(containers_of_run(), 1);
    release(&job);
}
END_TEST

START_TEST(a_name_in_strange_hands_is_refused)
{
    struct job job;
    cleanup(answer_free) struct answer answer, ended;
    job_make(&job, (const char *const[]){"true", NULL});
    start(&job);
    job.stage.run = "another-run";
    runtime_start(driver.instance, &job.stage, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_uint_eq(answer.failure, DESCPIPE_FAILED_REFUSED);
    cleanup(memory_free) char *expected = memory_format(
        "stage 'shear' cannot start in Docker: the name %s is in use by a container that is not ours (", job.token);
    ck_assert_msg(text_starts_with(answer.message, expected), "%s", answer.message);
    observe(&job, &ended); /* what still runs is not removed */
    release(&job);
}
END_TEST

START_TEST(stops_what_runs_and_is_content_with_what_does_not)
{
    struct job job;
    cleanup(answer_free) struct answer stopped, again, answer, gone;
    job_make(&job, (const char *const[]){"sleep", "1000", NULL});
    start(&job);
    ck_assert_int_eq(containers_of_run(), 1);
    struct descpipe_container container = container_of(&job);
    struct descpipe_stop stop = {.size = sizeof(stop), .container = &container, .grace_ms = 5000};
    int64_t before = clock_monotonic_ms();
    runtime_stop(driver.instance, &stop, driver_call(&stopped));
    driver_wait(&driver, &stopped);
    ck_assert_msg(stopped.ok, "%s", stopped.message);
    ck_assert_int_lt(clock_monotonic_ms() - before, 4500); /* init hands the signal on: no need for SIGKILL */
    observe(&job, &answer);
    ck_assert_int_eq(answer.ending.exit_code, 128 + SIGTERM);
    runtime_stop(driver.instance, &stop, driver_call(&again));
    driver_wait(&driver, &again);
    ck_assert(again.ok);
    release(&job);
    runtime_stop(driver.instance, &stop, driver_call(&gone));
    driver_wait(&driver, &gone);
    ck_assert(gone.ok);
}
END_TEST

/* One that nobody minds who does not wait for it: it is sent until the stage has heard it. */
START_TEST(a_signal_ends_nothing_by_itself)
{
    struct job job;
    cleanup(answer_free) struct answer ending;
    job_make(&job, (const char *const[]){"sh", "-c", "trap 'exit 75' WINCH; while :; do sleep 0.1; done", NULL});
    start(&job);
    struct descpipe_container container = container_of(&job);
    const struct descpipe_stop stop = {.size = sizeof(stop), .signal = SIGWINCH, .container = &container};
    bool runs = true;
    for (int i = 0; i < 10000 && runs; i++) {
        cleanup(answer_free) struct answer told;
        runtime_stop(driver.instance, &stop, driver_call(&told));
        driver_wait(&driver, &told);
        ck_assert(i > 0 || told.ok);
        runs = told.ok;
    }
    observe(&job, &ending);
    ck_assert_int_eq(ending.ending.exit_code, 75);
    release(&job);
}
END_TEST

START_TEST(a_container_that_somebody_removed_is_lost)
{
    struct job job;
    cleanup(answer_free) struct answer ended, answer, inspected, logs_answer;
    job_make(&job, (const char *const[]){"true", NULL});
    start(&job);
    observe(&job, &ended);
    release(&job);
    observe(&job, &answer);
    ck_assert_uint_eq(answer.ending.flags, DESCPIPE_ENDED_LOST);
    struct descpipe_container container = container_of(&job);
    runtime_inspect(driver.instance, &container, driver_call(&inspected));
    driver_wait(&driver, &inspected);
    ck_assert_uint_eq(inspected.failure, DESCPIPE_FAILED_NOT_FOUND);
    struct descpipe_logs logs = {
        .size = sizeof(logs), .follow = 1, .container = &container, .output_descriptor = 2, .error_descriptor = 2};
    runtime_logs(driver.instance, &logs, driver_call(&logs_answer));
    driver_wait(&driver, &logs_answer);
    ck_assert_uint_eq(logs_answer.failure, DESCPIPE_FAILED_NOT_FOUND);
}
END_TEST

START_TEST(large_output_arrives_whole_on_both_streams)
{
    struct job job;
    cleanup(answer_free) struct answer answer;
    cleanup(text_clear) struct text output = TEXT_INIT, errors = TEXT_INIT;
    job_make(&job, (const char *const[]){"sh", "-c", "seq 1 300000 & seq 1 200000 >&2; wait", NULL});
    start(&job);
    read_output(&job, &output, &errors);
    observe(&job, &answer);
    ck_assert_int_eq(answer.ending.exit_code, 0);
    ck_assert_uint_eq(output.length, 1988895);
    ck_assert_uint_eq(errors.length, 1288895);
    ck_assert(text_ends_with(text_bytes(&output), "\n299999\n300000\n"));
    ck_assert(text_ends_with(text_bytes(&errors), "\n199999\n200000\n"));
    release(&job);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("docker engine");
    TCase *tests = tcase_create("engine");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, probe_tells_what_docker_it_is);
    tcase_add_test(tests, identifies_an_image_by_its_config_digest);
    tcase_add_test(tests, loads_an_archive_and_finds_it_by_its_digest);
    tcase_add_test(tests, never_pulls_when_it_may_not);
    tcase_add_test(tests, refuses_an_image_that_is_not_the_pinned_one);
    tcase_add_loop_test(tests, gives_evidence_of_the_end, 0, sizeof(endings) / sizeof(*endings));
    tcase_add_test(tests, knows_that_memory_ran_out);
    tcase_add_test(tests, the_stage_sees_the_world_it_was_promised);
    tcase_add_loop_test(tests, a_failed_start_leaves_nothing_behind, 0, sizeof(bad_starts) / sizeof(*bad_starts));
    tcase_add_test(tests, a_mount_that_is_not_there_is_refused);
    tcase_add_test(tests, more_cpus_than_docker_has_are_refused);
    tcase_add_test(tests, starting_twice_runs_once);
    tcase_add_test(tests, a_name_in_strange_hands_is_refused);
    tcase_add_test(tests, stops_what_runs_and_is_content_with_what_does_not);
    tcase_add_test(tests, a_signal_ends_nothing_by_itself);
    tcase_add_test(tests, a_container_that_somebody_removed_is_lost);
    tcase_add_test(tests, large_output_arrives_whole_on_both_streams);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
