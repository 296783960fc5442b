/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs that find their results made already, and who asks why. */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "program.h"
#include "suite.h"

/* clang-format off: one line of YAML a line */
#define PIPELINE                                                                                                       \
    "pipeline: {name: small, stages: [first, second]}\n"                                                               \
    "runtime: {backend: here, working: ./work, output: ./out, inputs: {raw: ./raw.txt}, config: {second: {conf: "      \
    "./conf.yaml}}}\n"                                                                                                 \
    "backends: {here: {scheduler: sequential, runtime: host}}\n"                                                       \
    "first: {inputs: {raw: txt}, outputs: {a: txt}, command: [/bin/sh, -c, 'sort $DESC_INPUT/raw.txt > "               \
    "$DESC_OUTPUT/a.txt']}\n"                                                                                          \
    "second:\n"                                                                                                        \
    "  inputs: {a: txt}\n"                                                                                             \
    "  outputs: {b: txt}\n"                                                                                            \
    "  config: {conf: conf.yaml}\n"                                                                                    \
    "  env: {BINS: \"%s\"}\n"                                                                                          \
    "  command: [/bin/sh, -c, 'cat $DESC_INPUT/a.txt > $DESC_OUTPUT/b.txt']\n"
/* clang-format on */

static struct result with_plugins(const char *line)
{
    cleanup(memory_free) char *whole = memory_format("--plugin-dir " PLUGINS " %s", line);
    return program_run(whole);
}

#define expect(line, wanted_status, part)                                                                              \
    do {                                                                                                               \
        cleanup(result_clear) struct result got_ = with_plugins(line);                                                 \
        ck_assert_msg(got_.status == (wanted_status), "%s: exit %d:\n%s%s", line, got_.status, text_bytes(&got_.out),  \
                      text_bytes(&got_.err));                                                                          \
        ck_assert_msg(strstr(text_bytes(&got_.out), part) != NULL || strstr(text_bytes(&got_.err), part) != NULL,      \
                      "%s: no '%s' in:\n%s%s", line, part, text_bytes(&got_.out), text_bytes(&got_.err));              \
    } while (0)

static void write_pipeline(const char *bins)
{
    cleanup(memory_free) char *text = memory_format(PIPELINE, bins);
    program_file("p.yaml", text);
}

static void set_up(void)
{
    program_set_up();
    program_file("raw.txt", "2\n1\n");
    program_file("conf.yaml", "bins: 5\nsame: yes\n");
    write_pipeline("5");
}

START_TEST(a_second_run_says_that_all_is_there)
{
    expect("run p.yaml", 0, "run succeeded: 2 succeeded\n");
    expect("run p.yaml", 0, "[2/2] second: cached: made by run ");
    expect("run p.yaml", 0, "run succeeded: 2 cached\n");
    expect("run p.yaml -q", 0, "run succeeded: 2 cached\n");
    cleanup(result_clear) struct result events = with_plugins("run p.yaml --json");
    ck_assert_ptr_nonnull(strstr(text_bytes(&events.out), "\"event\":\"task-state\""));
    ck_assert_ptr_nonnull(strstr(text_bytes(&events.out), "\"cached\":2"));
    cleanup(result_clear) struct result status = with_plugins("status --json");
    json_t *json = json_loads(text_bytes(&status.out), 0, NULL);
    const json_t *stage = json_array_get(json_object_get(json, "stages"), 1);
    ck_assert_str_eq(json_string_value(json_object_get(stage, "state")), "cached");
    json_decref(json);
    expect("run p.yaml --no-cache", 0, "run succeeded: 2 succeeded\n");
}
END_TEST

START_TEST(why_says_the_field_and_both_values)
{
    expect("plan p.yaml --why", 0, "first will run: no earlier run of this working folder has made it\n");
    expect("run p.yaml -q", 0, "");
    expect("why first", 0, "first ran: no earlier run of this working folder has made it\n");
    expect("plan p.yaml --why", 0, "nothing would run: all of 2 tasks are cached\n");
    expect("run p.yaml -q", 0, "");
    expect("why second", 0, "second did not run: nothing that decides it had changed since run ");
    write_pipeline("7");
    program_file("conf.yaml", "bins: 7\nsame: yes\n");
    static const char *const both[] = {
        "\n  environment BINS: 5 → 7\n",
        "conf.yaml)\n      - bins: 5\n      + bins: 7\n  environment BINS: 5 → 7\n1 would run, 1 cached\n"};
    for (size_t i = 0; i < 2; i++)
        expect("plan p.yaml --why", 0, both[i]);
    expect("run p.yaml -q", 0, "run succeeded: 1 succeeded, 1 cached\n");
    expect("why second", 0, both[0]);
    expect("why p.yaml second", 0, "conf.yaml)\n      - bins: 5\n      + bins: 7\n");
    program_file("raw.txt", "3\n");
    expect("plan p.yaml --why", 0, "second runs after 'first', unless that makes what it made before\n");
    expect("run p.yaml -q", 0, "2 succeeded\n");
    expect("why first", 0, "\n  input raw.txt: ");
    expect("why second", 0, "\n  input a.txt: ");
    cleanup(result_clear) struct result why = with_plugins("why second --json");
    json_t *json = json_loads(text_bytes(&why.out), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json, "why")), "changed");
    const json_t *changes = json_object_get(json, "changes");
    ck_assert_uint_eq(json_array_size(changes), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(changes, 0), "field")), "input a.txt");
    ck_assert_uint_eq(json_string_length(json_object_get(json_array_get(changes, 0), "before")), 64);
    json_decref(json);
}
END_TEST

START_TEST(why_says_what_was_refused_and_what_is_unknown)
{
    expect("run p.yaml -q", 0, "");
    expect("run p.yaml -q --no-cache", 0, "");
    expect("why first", 0, "first ran: --no-cache was said\n");
    cleanup(memory_free) char *data = path_join(program_folder, "work/data/a.txt");
    cleanup(memory_free) char *made = path_join(program_folder, "work/first/output/a.txt");
    ck_assert_int_eq(unlink(data), 0);
    ck_assert_int_eq(unlink(made), 0);
    expect("plan p.yaml --why", 0, "first will run: what it made is not there any more as it was\n");
    expect("run p.yaml -q", 0, "run succeeded: 1 succeeded, 1 cached\n");
    expect("why first", 0, "first ran: its output 'a.txt' is gone\n");
    expect("why third", 2, "has no stage 'third'");
    expect("why third --json", 2, "{\"problems\"");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_second_run_says_that_all_is_there, why_says_the_field_and_both_values,
                                  why_says_what_was_refused_and_what_is_unknown, NULL};
    return suite_run("cache", tests, set_up, program_tear_down);
}
