/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests against the simulator of SLURM share; simulator.h. */
#include "simulator.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct driver driver;
struct answer answer;
char *simulation, *commands;
static const char *const simulator = TESTS_FOLDER "/fakes/slurm/simulator.py";

/* Key, value pairs for the plugin beside what every test has; NULL at the end. */
void open_driver(const char *first, ...)
{
    const char *options[32] = {"commands", commands, "poll", "100ms", "poll-limit", "200ms", "settle", "2s"};
    size_t count = 8;
    va_list more;
    va_start(more, first);
    for (const char *word = first; word != NULL && count < 31; word = va_arg(more, const char *)) {
        options[count++] = word;
    }
    va_end(more);
    options[count] = NULL;
    driver_open(&driver, simulation, options);
}

static void simulate(const char *action, const char *first, va_list more)
{
    const char *argv[32] = {secure_getenv("DESCPIPE_TEST_PYTHON"), simulator, action, simulation};
    size_t count = 4;
    for (const char *word = first; word != NULL && count < 31; word = va_arg(more, const char *)) {
        argv[count++] = word;
    }
    argv[count] = NULL;
    ck_assert_int_eq(run_beside(argv), 0);
}

void turn(const char *first, ...)
{
    va_list more;
    va_start(more, first);
    simulate("set", first, more);
    va_end(more);
}

void make(const char *first, ...)
{
    va_list more;
    const char *const folder = secure_getenv("DESCPIPE_TEST_FOLDER");
    simulation = memory_format("%s/sim-XXXXXX", folder); /* process ids come again */
    ck_assert_ptr_nonnull(mkdtemp(simulation));
    commands = memory_format("%s/bin", simulation);
    va_start(more, first);
    simulate("make", first, more);
    va_end(more);
}

void tear_down(void)
{
    answer_clear(&answer);
    driver_close(&driver);
    memory_free(simulation);
    memory_free(commands);
}

long count_of(const char *what)
{
    cleanup(memory_free) char *command = memory_format(
        "'%s' '%s' counts '%s' >'%s/counts'", secure_getenv("DESCPIPE_TEST_PYTHON"), simulator, simulation, simulation);
    const char *const argv[] = {"sh", "-c", command, NULL};
    ck_assert_int_eq(run_beside(argv), 0);
    cleanup(memory_free) char *counts = driver_read(&driver, "counts");
    cleanup(memory_free) char *key = memory_format("%s=", what);
    for (const char *line = counts; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, strlen(key)) == 0) {
            return strtol(line + strlen(key), NULL, 10);
        }
        if (*line == '\0') {
            break;
        }
    }
    return 0;
}

const struct test_job counting = {.script = "echo \"$DESCPIPE_INDEX\" >>count\n"};
const struct test_job failing = {.script = "exit 3\n"};

void submit(const char *token, const struct test_job *job, uint32_t count)
{
    struct test_job jobs[256];
    for (uint32_t i = 0; i < count; i++) {
        jobs[i] = *job;
    }
    driver_submit(&driver, token, 1, jobs, count, 0, &answer);
}

void submit_well(const char *token, const struct test_job *job, uint32_t count)
{
    submit(token, job, count);
    ck_assert_msg(answer.ok, "%s", answer.message);
}

void expect_exit(uint64_t job, int exit_code)
{
    const struct told *told = driver_until_ended(&driver, job);
    ck_assert_msg(told->flags == DESCPIPE_ENDED_EXITED && told->exit_code == exit_code, "flags %x, exit %d, %s: %s",
                  told->flags, told->exit_code, told->witness, told->reason);
    ck_assert_int_eq(told->ends, 1);
}
