/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs that have nothing to do and say so without planning: when they do, and that they never do when anything differs.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "program.h"

#define LONG_AGO (-3600)
#define PLUGIN_LIMIT (64 << 20)

/* clang-format off: one line of YAML a line */
static const char pipeline[] =
    "pipeline: {name: small, images: [./stages], stages: [first, second, each]}\n"
    "runtime: {backend: here, working: ./work, output: ./out, inputs: {raw: ./raw.txt}, config: {second: {conf: "
    "./conf.yaml}}}\n"
    "backends: {here: {scheduler: sequential, runtime: host}}\n"
    "first: {inputs: {raw: txt}, outputs: {a: txt}, command: [sh, -c, 'sort $DESC_INPUT/raw.txt > "
    "$DESC_OUTPUT/a.txt']}\n"
    "second: {inputs: {a: txt}, outputs: {b: txt}, config: {conf: c.yaml}, env: {WORD: \"${WORD:-none}\"},\n"
    "  command: [/bin/sh, -c, 'cat $DESC_INPUT/a.txt > $DESC_OUTPUT/b.txt']}\n"
    "each: {foreach: {file: {glob: in/*.txt}}, outputs: {e: txt},\n"
    "  command: [/bin/sh, -c, 'echo $DESC_EACH_FILE > $DESC_OUTPUT/e.txt']}\n";
/* clang-format on */

static char *run(const char *options)
{
    cleanup(memory_free) char *line = memory_format("--plugin-dir plugins run p.yaml %s", options);
    cleanup(result_clear) struct result got = program_run(line);
    ck_assert_msg(got.status == 0, "%s: exit %d:\n%s%s", line, got.status, text_bytes(&got.out), text_bytes(&got.err));
    return text_take(&got.out);
}

static bool does_nothing(const char *options)
{
    cleanup(memory_free) char *said = run(options);
    return strstr(said, "nothing to do: 3 stages are up to date (run 2") != NULL;
}

static char *below(const char *name)
{
    return path_join(program_folder, name);
}

/* Of its own, so that one of them can change, and was not linked a moment ago. */
static void copy_plugin(const char *name, const char *as)
{
    cleanup(text_clear) struct text bytes = TEXT_INIT;
    cleanup(memory_free) char *from = path_join(PLUGINS, name);
    cleanup(memory_free) char *to = below(as);
    ck_assert(file_read(from, PLUGIN_LIMIT, &bytes, NULL));
    ck_assert(file_write(to, bytes.bytes, bytes.length, 0700, NULL));
    program_file_time(as, LONG_AGO);
}

/* Runs that leave what they know: the first one, as long as nothing here is young. */
static void run_until_known(void)
{
    int64_t until_ms = clock_monotonic_ms() + 60000;
    cleanup(memory_free) char *first = run("-q");
    ck_assert_ptr_nonnull(strstr(first, "run succeeded: "));
    while (!does_nothing("-q"))
        ck_assert_msg(clock_monotonic_ms() < until_ms, "no run leaves what it knows");
}

static void set_up(void)
{
    static const char *const old[] = {
        "raw.txt",      "conf.yaml", "p.yaml", "in/1.txt", "in", "stages/first/stage.yaml", "stages/first/run.py",
        "stages/first", "stages",    "plugins"};
    program_set_up();
    program_file("raw.txt", "2\n1\n");
    program_file("conf.yaml", "bins: 5\n");
    program_file("p.yaml", pipeline);
    program_file("in/1.txt", "one\n");
    program_file("stages/first/stage.yaml", "minutes: 5\n");
    program_file("stages/first/run.py", "#!/bin/sh\n");
    cleanup(memory_free) char *plugins = below("plugins");
    ck_assert(folder_make(plugins, 0700, NULL));
    copy_plugin("scheduler-sequential.so", "plugins/scheduler-sequential.so");
    copy_plugin("runtime-host.so", "plugins/runtime-host.so");
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        program_file_time(old[i], LONG_AGO);
}

static void remove_file(const char *name)
{
    cleanup(memory_free) char *path = below(name);
    ck_assert_int_eq(unlink(path), 0);
}

START_TEST(a_run_that_has_nothing_to_do_says_so_and_begins_none)
{
    run_until_known();
    cleanup(result_clear) struct result before = program_run("runs --json");
    ck_assert(does_nothing(""));
    ck_assert(does_nothing("-q"));
    cleanup(memory_free) char *event = run("--json");
    ck_assert_ptr_nonnull(strstr(event, "{\"event\":\"run-up-to-date\",\"at\":\""));
    ck_assert_ptr_nonnull(strstr(event, "\"stages\":3,\"tasks\":3}\n"));
    cleanup(result_clear) struct result runs = program_run("runs --json");
    ck_assert_str_eq(text_bytes(&runs.out), text_bytes(&before.out));
    cleanup(result_clear) struct result status = program_run("status");
    ck_assert_ptr_nonnull(strstr(text_bytes(&status.out), "succeeded"));
}
END_TEST

/* What is changed after the first run, each alone. */

static void change_input(void)
{
    program_file("raw.txt", "3\n1\n");
}
static void touch_input(void)
{
    program_file_time("raw.txt", LONG_AGO + 1);
}
static void change_pipeline(void)
{
    cleanup(memory_free) char *longer = memory_format("%s# more\n", pipeline);
    program_file("p.yaml", longer);
}
static void change_config(void)
{
    program_file("conf.yaml", "bins: 6\n");
}
static void change_stage_folder(void)
{
    program_file("stages/first/stage.yaml", "minutes: 6\n");
}
static void change_run_py(void)
{
    program_file("stages/first/run.py", "#!/bin/sh\n# another\n");
}
static void touch_plugin(void)
{
    program_file_time("plugins/runtime-host.so", LONG_AGO + 1);
}
static void exchange_plugin(void) /* for the same bytes with the same time: who installs keeps times */
{
    cleanup(memory_free) char *from = below("plugins/new"), *to = below("plugins/runtime-host.so");
    copy_plugin("runtime-host.so", "plugins/new");
    ck_assert_int_eq(rename(from, to), 0);
    program_file_time("plugins", LONG_AGO);
}
static void add_plugin(void)
{
    program_file(".local/lib/descpipe/abi-1/runtime-other.so", "none");
}
static void add_lock(void)
{
    program_file("descpipe.lock", "version: 1\nimages: {}\n");
}
static void add_stage_folder(void)
{
    program_file("stages/second/stage.yaml", "minutes: 6\n");
}
static void add_member(void)
{
    program_file("in/2.txt", "two\n");
}
static void set_variable(void)
{
    program_variable("WORD=other");
}
static void set_option(void)
{
    program_variable("DESCPIPE_JOBS=3");
}
static void add_user_configuration(void)
{
    program_file("config/descpipe/config.yaml", "# nothing\n");
}
static void remove_output(void)
{
    remove_file("work/data/a.txt");
}
static void change_output(void)
{
    program_file("work/data/b.txt", "0\n0\n");
}
static void remove_result(void)
{
    remove_file("out/b.txt");
}
static void find_another_program(void)
{
    cleanup(memory_free) char *shell = below("bin/sh"), *folder = below("bin");
    program_file("bin/sh", "#!/bin/sh\nexec /bin/sh \"$@\"\n");
    ck_assert_int_eq(chmod(shell, 0755), 0);
    cleanup(memory_free) char *path = memory_format("PATH=%s:/usr/local/bin:/usr/bin:/bin", folder);
    program_variable(path);
}
static void damage_what_is_known(void)
{
    cleanup(result_clear) struct result runs = program_run("runs --json");
    const char *id = strstr(text_bytes(&runs.out), "\"run\":");
    id = strchr(id + 6, '"') + 1;
    cleanup(memory_free) char *name = memory_format("work/.descpipe/runs/%.*s/up-to-date", (int)strcspn(id, "\""), id);
    cleanup(memory_free) char *path = below(name);
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(file_read(path, 1 << 20, &text, NULL));
    *strstr(text.bytes, "holds ") = 'H';
    program_file(name, text.bytes);
}

static const struct {
    const char *what;
    void (*change)(void);
    const char *options;
} changes[] = {{"another content of an input", change_input, ""},
               {"a time of an input", touch_input, ""},
               {"the pipeline", change_pipeline, ""},
               {"a configuration", change_config, ""},
               {"a stage's folder", change_stage_folder, ""},
               {"a stage's run.py", change_run_py, ""},
               {"a time of a plugin", touch_plugin, ""},
               {"a plugin's file", exchange_plugin, ""},
               {"a plugin in the user's folder", add_plugin, ""},
               {"a lock beside the pipeline", add_lock, ""},
               {"a folder for another stage", add_stage_folder, ""},
               {"a file that a pattern matches", add_member, ""},
               {"a variable of the pipeline", set_variable, ""},
               {"an option from the environment", set_option, ""},
               {"the user's configuration", add_user_configuration, ""},
               {"an output is gone", remove_output, ""},
               {"an output is another", change_output, ""},
               {"a result is gone", remove_result, ""},
               {"PATH leads elsewhere", find_another_program, ""},
               {"what is known is damaged", damage_what_is_known, ""},
               {"other words: a stage's key", NULL, "--set first.minutes=7"},
               {"other words: one stage", NULL, "--only first"},
               {"--no-cache", NULL, "--no-cache"},
               {"another folder for results", NULL, "--output other"}};

START_TEST(whatever_differs_makes_a_run_look_closer)
{
    run_until_known();
    if (changes[_i].change != NULL)
        changes[_i].change();
    cleanup(memory_free) char *said = run(changes[_i].options);
    ck_assert_msg(strstr(said, "nothing to do") == NULL, "%s: %s", changes[_i].what, said);
    ck_assert_msg(strstr(said, "run succeeded: ") != NULL, "%s: %s", changes[_i].what, said);
}
END_TEST

START_TEST(what_was_changed_a_moment_ago_is_looked_at_once_more)
{
    program_file_time("raw.txt", 3600);
    for (int i = 0; i < 3; i++) {
        cleanup(memory_free) char *said = run("-q");
        ck_assert_ptr_null(strstr(said, "nothing to do"));
    }
    program_file_time("raw.txt", LONG_AGO);
    cleanup(memory_free) char *said = run("-q");
    ck_assert_ptr_nonnull(strstr(said, "run succeeded: 3 cached\n"));
    int64_t until_ms = clock_monotonic_ms() + 60000;
    while (!does_nothing("-q"))
        ck_assert_msg(clock_monotonic_ms() < until_ms, "it never settles");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("up_to_date");
    TCase *cases = tcase_create("up_to_date");
    tcase_set_timeout(cases, 100);
    tcase_add_checked_fixture(cases, set_up, program_tear_down);
    tcase_add_test(cases, a_run_that_has_nothing_to_do_says_so_and_begins_none);
    tcase_add_loop_test(cases, whatever_differs_makes_a_run_look_closer, 0, sizeof changes / sizeof changes[0]);
    tcase_add_test(cases, what_was_changed_a_moment_ago_is_looked_at_once_more);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
