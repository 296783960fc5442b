/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole runs whose Docker Engine goes away in the middle of a stage. */
#include "../unit/run/run_fixture.h"

#include "scripted_engine.h"

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define STATE(status)                                                                                                  \
    "{\"Id\":\"c1\",\"State\":{\"Status\":\"" status "\",\"ExitCode\":0,\"Error\":\"\",\"StartedAt\":"                 \
    "\"2026-11-21T00:00:01Z\",\"FinishedAt\":\"2026-11-21T00:00:02Z\"},\"Config\":{\"Labels\":{}}}"
#define ALWAYS                                                                                                         \
    {"GET /version", 200, "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Version\":\"20.10\"}", 0, 0, 0},      \
        {"GET /v1.41/info", 200, "{\"OSType\":\"linux\",\"Architecture\":\"x86_64\"}", 0, 0, 0},                       \
    {                                                                                                                  \
        "GET /v1.41/images/", 200,                                                                                     \
            "{\"Id\":\"sha256:" HEX "\",\"Os\":\"linux\",\"Architecture\":\"amd64\",\"Config\":{}}", 0, 0, 0           \
    }

static const struct script_line lively[] = {ALWAYS,
                                            {"POST /v1.41/containers/create", 201, "{\"Id\":\"c1\"}", 0, 0, 0},
                                            {"POST /v1.41/containers/c1/wait", 200, NULL, SCRIPT_HANG, 0, 0},
                                            {"POST /v1.41/containers/c1/start", 204, NULL, 0, 0, 0},
                                            {"GET /v1.41/containers/c1/json", 200, STATE("running"), 0, 0, 0},
                                            {"GET /v1.41/containers/c1/logs", 200, NULL, SCRIPT_HANG, 0, 0},
                                            {0}};
static const struct script_line ended[] = {ALWAYS,
                                           {"GET /v1.41/containers/c1/json", 200, STATE("exited"), 0, 0, 0},
                                           {"GET /v1.41/containers/c1/logs", 200, NULL, 0, 0, 0},
                                           {"DELETE /v1.41/containers/c1", 204, NULL, 0, 0, 0},
                                           {0}};

static struct scripted_engine *docker;
static struct run_front front;
static char socket_path[128];

static bool logs_are_followed(void *context)
{
    (void)context;
    return strstr(scripted_engine_asked(docker), "/logs") != NULL;
}

static bool is_blind(void *context)
{
    (void)context;
    return count_records(front.folder, "blind", "\"reason\":", NULL) > 0;
}

static bool is_asked_to_cancel(void *context)
{
    (void)context;
    return count_records(front.folder, "request", "\"cancel\":true", NULL) > 0;
}

/* A stage of a run is in its container. */
static void set_up(void)
{
    fixture_set_up();
    snprintf(socket_path, sizeof socket_path, "%s/docker.sock", base);
    cleanup(memory_free) char *host = memory_format("unix://%s", socket_path);
    setenv("DOCKER_HOST", host, 1);
    docker = scripted_engine_start(socket_path, lively);
    write_pipeline("long", "long: {image: 'x:1', command: [sleep, '100']}\n");
    start_run(&(struct run_setup){.scheduler = "local", .runtime = "docker"}, &front);
    while (front.folder == NULL)
        ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    ck_assert_msg(eventually(logs_are_followed, NULL), "asked: %s", scripted_engine_asked(docker));
}

static void tear_down(void)
{
    if (docker != NULL)
        scripted_engine_stop(docker);
    fixture_tear_down();
}

static void stop_docker(bool also_its_socket)
{
    if (also_its_socket)
        ck_assert_int_eq(unlink(socket_path), 0);
    scripted_engine_stop(docker); /* whoever connects to a socket that is left waits: the run's processes have it too */
    docker = NULL;
}

static void cancel_twice(void)
{
    ck_assert(run_front_send(&front, RUN_CANCEL));
    ck_assert(eventually(is_asked_to_cancel, NULL));
    ck_assert(run_front_send(&front, RUN_CANCEL));
}

static void expect_lost(const char *folder, const char *what)
{
    cleanup(memory_free) char *reason = memory_format(
        "nobody knows how it ended: Docker %s; its container %s-1 may still run", what, path_name(folder));
    expect_verdict(folder, "long", "LOST", reason);
    ck_assert_uint_eq(count_records(folder, "ended", "\"lost\":true", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "end", "\"state\":\"cancelled\"", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "request", "\"cancel_now\":true", NULL), 1);
    expect_sound(folder);
}

START_TEST(second_cancel_ends_a_run_whose_docker_is_gone)
{
    stop_docker(true);
    ck_assert(eventually(is_blind, NULL));
    cleanup(memory_free) char *words =
        memory_format("\"reason\":\"cannot reach Docker at unix://%s since 20", socket_path);
    ck_assert_uint_eq(count_records(front.folder, "blind", words, NULL), 1);
    ck_assert_uint_eq(count_records(front.folder, "blind", " UTC; asking again\"", NULL), 1);
    int64_t begin = clock_monotonic_ms();
    cancel_twice();
    cleanup(memory_free) char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 130);
    ck_assert_int_lt(clock_monotonic_ms() - begin, 4000); /* no patience with what is known to be away */
    expect_lost(folder, "could not be asked");
    ck_assert_uint_eq(count_records(folder, "blind", "", NULL), 1);
}
END_TEST

START_TEST(second_cancel_ends_a_run_whose_docker_says_nothing)
{
    stop_docker(false);
    cancel_twice();
    cleanup(memory_free) char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 130);
    expect_lost(folder, "did not end it in time");
}
END_TEST

START_TEST(an_outage_is_no_failure_and_its_end_is_recorded)
{
    stop_docker(true);
    ck_assert(eventually(is_blind, NULL));
    docker = scripted_engine_start(socket_path, ended);
    cleanup(memory_free) char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 0);
    expect_verdict(folder, "long", "OK", "done");
    ck_assert_uint_eq(count_records(folder, "blind", "\"reason\":", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "blind", "", NULL), 2); /* the second one: it can again */
    expect_sound(folder);
}
END_TEST

static const struct script_line stoppable[] = {ALWAYS,
                                               {"POST /v1.41/containers/c1/stop?t=1", 204, NULL, 0, 1, 0},
                                               {"GET /v1.41/containers/c1/json", 200, STATE("running"), 0, 2, 0},
                                               {"POST /v1.41/containers/c1/wait", 200, NULL, 0, 0, 0},
                                               {"GET /v1.41/containers/c1/json", 200, STATE("exited"), 0, 0, 0},
                                               {"GET /v1.41/containers/c1/logs", 200, NULL, 0, 0, 0},
                                               {"DELETE /v1.41/containers/c1", 204, NULL, 0, 0, 0},
                                               {0}};

static bool was_stopped(void *context)
{
    (void)context;
    return strstr(scripted_engine_asked(docker), "POST /v1.41/containers/c1/stop?t=1\n") != NULL;
}

START_TEST(a_wish_to_stop_is_told_to_a_docker_that_comes_back)
{
    stop_docker(true);
    ck_assert(eventually(is_blind, NULL));
    ck_assert(run_front_send(&front, RUN_CANCEL));
    ck_assert(eventually(is_asked_to_cancel, NULL));
    docker = scripted_engine_start(socket_path, stoppable);
    ck_assert_msg(eventually(was_stopped, NULL), "asked: %s", scripted_engine_asked(docker));
    cleanup(memory_free) char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 7);
    expect_verdict(folder, "long", "CANCELLED", "cancelled");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("docker outage");
    TCase *tests = tcase_create("outage");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, second_cancel_ends_a_run_whose_docker_is_gone);
    tcase_add_test(tests, second_cancel_ends_a_run_whose_docker_says_nothing);
    tcase_add_test(tests, an_outage_is_no_failure_and_its_end_is_recorded);
    tcase_add_test(tests, a_wish_to_stop_is_told_to_a_docker_that_comes_back);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
