/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole runs for tests: a pipeline file is written, front, keeper and engine are started for real with the plugins of
 * this build, and the journal is read afterwards. */
#ifndef DESCPIPE_TESTS_RUN_FIXTURE_H
#define DESCPIPE_TESTS_RUN_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "io/process.h"
#include "run/front.h"
#include "run/journal/journal.h"
#include "run/keeper.h"

#define PATIENCE_MS 20000

static char *base; /* a folder of the test's own */

struct run_setup {
    const char *scheduler, *runtime;
    const char *const *only, *const *from, *const *until;
    bool keep_going;
    bool cached; /* results that are there already are taken; else every stage runs */
    int64_t time_limit_ms, grace_ms;
    enum on_interrupt on_interrupt;
    const char *working;   /* NULL: base/work */
    const char *user_file; /* configuration, or NULL */
    const char *plugins;   /* one more folder of them, or NULL */
};

static inline void fixture_set_up(void)
{
    char folder[256];
    const char *temporary = secure_getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/run-test-XXXXXX", temporary != NULL ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    base = path_real(folder, NULL);
    ck_assert_int_eq(chdir(base), 0);
}

/* A fixture of its own for tests that the superuser runs: what works for root only must not look as if it worked. Each
 * test is a child process, so nobody else is affected. */
#define ORDINARY_USER 65534

static inline bool ordinary_user_can_run(void)
{
    if (geteuid() != 0)
        return false; /* all tests run as one anyway */
    pid_t child = fork();
    if (child == 0)
        _exit(setgroups(0, NULL) == 0 && setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) == 0 &&
                      setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) == 0 &&
                      access(BUILD_FOLDER "/plugins-built", R_OK | X_OK) == 0
                  ? 0
                  : 1);
    int status = 1;
    waitpid(child, &status, 0);
    if (status != 0)
        fprintf(stderr, "SKIPPED: as an ordinary user: user %d cannot read '" BUILD_FOLDER "'\n", ORDINARY_USER);
    return status == 0;
}

static inline void fixture_set_up_ordinary(void)
{
    fixture_set_up();
    ck_assert_int_eq(chown(base, ORDINARY_USER, ORDINARY_USER), 0);
    ck_assert_int_eq(setgroups(0, NULL), 0);
    ck_assert_int_eq(setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER), 0);
    ck_assert_int_eq(setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER), 0);
    ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* else our own /proc files belong to root */
    setenv("HOME", base, 1);
    static const char *const roots_own[] = {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
                                            "XDG_RUNTIME_DIR"};
    for (size_t i = 0; i < sizeof roots_own / sizeof *roots_own; i++)
        unsetenv(roots_own[i]);
}

static inline void fixture_tear_down(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    struct error error = ERROR_INIT;
    ck_assert_msg(folder_remove(base, &error), "%s", error.message);
    memory_free(base);
}

/* The part of the file that is always the same comes first. `runtime` are more keys for that section. */
static inline void write_pipeline_with(const char *runtime, const char *stages, const char *sections)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_format(&text,
                "pipeline: {name: test, owner: nobody, basename: test, version: 1, stages: [%s]}\n"
                "runtime: {working: ./work, output: ./out%s}\n%s",
                stages, runtime, sections);
    cleanup(memory_free) char *path = path_join(base, "pipeline.yaml");
    ck_assert(file_write(path, text.bytes, text.length, 0600, NULL));
}

static inline void write_pipeline(const char *stages, const char *sections)
{
    write_pipeline_with("", stages, sections);
}

static inline void start_run(const struct run_setup *setup, struct run_front *front)
{
    const char *const plugin_dirs[] = {BUILD_FOLDER "/plugins-built", setup->plugins, NULL};
    cleanup(memory_free) char *file = path_join(base, "pipeline.yaml");
    const struct run_request request = {
        .pipeline = file,
        .changes = {.base = base, .working = setup->working},
        .choices = {.only = setup->only, .from = setup->from, .until = setup->until},
        .config = {.user_file = setup->user_file,
                   .scheduler = setup->scheduler != NULL ? setup->scheduler : "local",
                   .runtime = setup->runtime != NULL ? setup->runtime : "host"},
        .plugins = {.plugin_dirs = plugin_dirs, .system_folder = "/nonexistent"},
        .policy_folder = "/nonexistent",
        .version = "0.0.0",
        .keep_going = setup->keep_going,
        .no_cache = !setup->cached,
        .on_interrupt = setup->on_interrupt,
        .time_limit_ms = setup->time_limit_ms,
        .grace_ms = setup->grace_ms > 0 ? setup->grace_ms : 300,
        .no_index = true,
    };
    struct error error = ERROR_INIT;
    ck_assert_msg(run_start(&request, front, &error), "%s", error.message);
}

/* Waits for one piece of news, fails the test when it does not come. */
static inline enum run_news next_news(struct run_front *front)
{
    struct pollfd ready = {.fd = front->socket, .events = POLLIN};
    ck_assert_msg(poll(&ready, 1, PATIENCE_MS) == 1, "no news from the engine");
    return run_front_next(front, true);
}

/* Runs to the end; the exit status. *folder (may be NULL) is owned by the caller, NULL when there was no run. */
static inline int finish_run(struct run_front *front, char **folder)
{
    while (next_news(front) != RUN_END)
        ;
    int status = front->exit_status;
    ck_assert_int_eq(waitpid(front->keeper, NULL, 0), front->keeper); /* nobody writes into the folders any more */
    if (folder != NULL)
        *folder = memory_copy_text(front->folder);
    run_front_clear(front);
    return status;
}

static inline int run_all(const struct run_setup *setup, char **folder)
{
    struct run_front front;
    start_run(setup, &front);
    return finish_run(&front, folder);
}

/* How many records hold `text` and are of this kind; *last (may be NULL) gets the last one, owned by the caller. */
static inline unsigned count_records(const char *folder, const char *kind, const char *text, char **last)
{
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    ck_assert_ptr_nonnull(reader);
    struct journal_record record;
    unsigned count = 0;
    while (journal_reader_next(reader, &record)) {
        if (strcmp(record.kind, kind) != 0 || strstr(record.line, text) == NULL)
            continue;
        count++;
        if (last != NULL) {
            memory_free(*last);
            *last = memory_copy_text(record.line);
        }
    }
    ck_assert_uint_eq(journal_reader_skipped(reader), 0);
    journal_reader_close(reader);
    return count;
}

/* The last verdict of a stage and its reason, as "VERDICT: reason". */
static inline void expect_verdict(const char *folder, const char *stage, const char *verdict, const char *reason)
{
    cleanup(memory_free) char *name = memory_format("\"stage\":\"%s\"", stage);
    char *record = NULL;
    ck_assert_msg(count_records(folder, "verdict", name, &record) > 0, "stage '%s' has no verdict", stage);
    cleanup(text_clear) struct text expected = TEXT_INIT;
    text_format(&expected, "\"verdict\":\"%s\",\"reason\":", verdict);
    text_append_json(&expected, reason);
    ck_assert_msg(strstr(record, expected.bytes) != NULL, "expected %s in %s", expected.bytes, record);
    memory_free(record);
}

static inline void expect_sound(const char *folder)
{
    struct error error = ERROR_INIT;
    ck_assert_msg(journal_verify(folder, NULL, &error), "%s", error.message);
}

static inline char *read_text(const char *path)
{
    struct text text = TEXT_INIT;
    struct error error = ERROR_INIT;
    ck_assert_msg(file_read(path, 1 << 20, &text, &error), "%s", error.message);
    return text_take(&text);
}

/* Looks again and again, without sleeping longer than a look is worth, until it is true or patience ends. */
static inline bool eventually(bool (*is_true)(void *context), void *context)
{
    int64_t end = clock_monotonic_ms() + PATIENCE_MS;
    while (!is_true(context)) {
        if (clock_monotonic_ms() > end)
            return false;
        poll(NULL, 0, 5);
    }
    return true;
}

static inline bool file_is_there(void *path)
{
    return file_exists(path);
}

#endif
