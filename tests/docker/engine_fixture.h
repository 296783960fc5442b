/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages on a real Engine, for tests; engine_test.sh starts one and sets the variables read here. */
#ifndef DESCPIPE_TESTS_DOCKER_ENGINE_FIXTURE_H
#define DESCPIPE_TESTS_DOCKER_ENGINE_FIXTURE_H

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "driver.h"

#define IMAGE "descpipe/busybox:1"

extern char **environ;

static struct driver driver;
static char folder[256];
static char run_name[32];
static int serial;

static inline void set_up(void)
{
    const char *host = secure_getenv("DESCPIPE_TEST_DOCKER");
    ck_assert_msg(host != NULL, "run this through engine_test.sh");
    const char *options[] = {"host", host, NULL};
    driver_open(&driver, options, NULL);
    snprintf(folder, sizeof(folder), "%s/test-XXXXXX", secure_getenv("DESCPIPE_TEST_FOLDER"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0777), 0);
    snprintf(run_name, sizeof(run_name), "r%d", (int)getpid());
}

static inline void tear_down(void)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    driver_close(&driver);
    ck_assert_msg(folder_remove(folder, &error), "%s", error.message);
}

static inline struct descpipe_image image_of(const char *reference)
{
    return (struct descpipe_image){.size = sizeof(struct descpipe_image),
                                   .source = DESCPIPE_SOURCE_REGISTRY,
                                   .reference = reference,
                                   .platform = "linux/amd64"};
}

/* A stage with all that it needs; the test changes what it is about. */
struct job {
    struct descpipe_stage stage;
    struct descpipe_image image;
    struct descpipe_resources resources;
    char token[48];
    char *handle;
};

static inline char *prepared_handle(void)
{
    cleanup(answer_free) struct answer answer;
    struct descpipe_image image = image_of(IMAGE);
    struct descpipe_prepare prepare = {.size = sizeof(prepare), .image = &image};
    runtime_prepare(driver.instance, &prepare, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    return steal(&answer.handle);
}

static inline void job_make(struct job *job, const char *const *command)
{
    static const char *const environment[] = {"PATH=/bin", "HOME=/", NULL};
    *job = (struct job){.image = image_of(IMAGE), .handle = prepared_handle()};
    snprintf(job->token, sizeof(job->token), "%s-%d", run_name, ++serial);
    job->resources = (struct descpipe_resources){
        .size = sizeof(job->resources), .nodes = 1, .ranks_per_node = 1, .cpus_per_rank = 1};
    job->stage = (struct descpipe_stage){.size = sizeof(job->stage),
                                         .flags = DESCPIPE_STAGE_NO_NETWORK,
                                         .uid = 1234,
                                         .gid = 2345,
                                         .run = run_name,
                                         .name = "shear",
                                         .attempt = 1,
                                         .token = job->token,
                                         .image = &job->image,
                                         .image_handle = job->handle,
                                         .command = command,
                                         .environment = environment,
                                         .resources = &job->resources};
}

static inline void start(struct job *job)
{
    cleanup(answer_free) struct answer answer;
    runtime_start(driver.instance, &job->stage, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_uint_eq(strlen(answer.native_id), 64);
}

static inline struct descpipe_container container_of(const struct job *job)
{
    return (struct descpipe_container){.size = sizeof(struct descpipe_container), .token = job->token};
}

static inline void observe(struct job *job, struct answer *answer)
{
    struct descpipe_container container = container_of(job);
    runtime_observe(driver.instance, &container, driver_call(answer));
    driver_wait(&driver, answer);
    ck_assert_msg(answer->ok, "%s", answer->message);
}

static inline void release(struct job *job)
{
    cleanup(answer_free) struct answer answer;
    struct descpipe_container container = container_of(job);
    runtime_release(driver.instance, &container, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    memory_free(job->handle);
}

/* Both streams of a container, to its end. */
static inline void read_output(struct job *job, struct text *output, struct text *errors)
{
    cleanup(answer_free) struct answer answer;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *output_path = memory_format("%s/%s.out", folder, job->token);
    cleanup(memory_free) char *error_path = memory_format("%s/%s.err", folder, job->token);
    struct descpipe_container container = container_of(job);
    struct descpipe_logs logs = {.size = sizeof(logs), .follow = 1, .container = &container};
    logs.output_descriptor = open(output_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    logs.error_descriptor = open(error_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    runtime_logs(driver.instance, &logs, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    close(logs.output_descriptor);
    close(logs.error_descriptor);
    ck_assert_msg(file_read(output_path, 64 << 20, output, &error), "%s", error.message);
    ck_assert_msg(file_read(error_path, 64 << 20, errors, &error), "%s", error.message);
}

static inline int containers_of_run(void)
{
    cleanup(answer_free) struct answer answer;
    runtime_find(driver.instance, run_name, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    return (int)answer.found_count;
}

/* Executes a COMMAND form, as a scheduler would, with `late` added. */
static inline int execute(const struct answer *form, const char *late, const char *output_path)
{
    char *environment[64] = {NULL};
    size_t count = 0;
    for (; form->environment[count] != NULL && count < 60; count++) {
        environment[count] = form->environment[count];
    }
    cleanup(memory_free) char *late_copy = memory_copy_text(late);
    environment[count] = late_copy;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output_path, O_WRONLY | O_CREAT, 0600);
    pid_t process = 0;
    int status = -1;
    ck_assert_int_eq(posix_spawnp(&process, form->argv[0], &actions, NULL, form->argv, environment), 0);
    ck_assert_int_eq(waitpid(process, &status, 0), process);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

#endif
