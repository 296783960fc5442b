/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of the runtime docker with an Engine that does what a script says. */
#ifndef DESCPIPE_TESTS_DOCKER_FAULTS_FIXTURE_H
#define DESCPIPE_TESTS_DOCKER_FAULTS_FIXTURE_H

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

static inline void set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/descpipe-faults-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(host, sizeof(host), "unix://%s/docker.sock", folder);
}

static inline void tear_down(void)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    driver_close(&driver);
    if (engine != NULL) {
        scripted_engine_stop(engine);
        engine = NULL;
    }
    folder_remove(folder, &error);
}

static inline void play(const struct script_line *script)
{
    const char *options[] = {"host", host, NULL};
    if (script != NULL) {
        engine = scripted_engine_start(host + strlen("unix://"), script);
    }
    driver_open(&driver, options, NULL);
}

static inline struct descpipe_image image_of(const char *reference, uint32_t pull)
{
    return (struct descpipe_image){.size = sizeof(struct descpipe_image),
                                   .source = DESCPIPE_SOURCE_REGISTRY,
                                   .pull = pull,
                                   .reference = reference,
                                   .platform = "linux/amd64"};
}

static inline void prepare(const struct descpipe_image *image, struct answer *answer)
{
    struct descpipe_prepare request = {.size = sizeof(request), .image = image};
    runtime_prepare(driver.instance, &request, driver_call(answer));
    driver_wait(&driver, answer);
}

static inline void start(struct answer *answer)
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

static inline void check_failure(const struct answer *answer, uint32_t failure, const char *message)
{
    ck_assert(answer->done && !answer->ok);
    ck_assert_str_eq(answer->message, message);
    ck_assert_uint_eq(answer->failure, failure);
}

#define ADD_TABLE(test, table) tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof(*(table))))

static inline int run_cases(const char *name, void (*add)(TCase *tests))
{
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create(name);
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    add(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
