/* SPDX-License-Identifier: BSD-3-Clause */
/* --json when something is wrong: standard output is JSON all the same, and people find their words beside it. */
#include <jansson.h>

#include "pipelines.h"
#include "program.h"
#include "suite.h"

#define WRONG                                                                                                          \
    "pipeline: {name: x, stages: [a, b]}\n"                                                                            \
    "backends: {default: {scheduler: sequentail, runtime: host}}\n"                                                    \
    "a: {command: [/bin/true], depends-on: [nobody]}\n"                                                                \
    "b: {command: [/bin/true], cpus: many}\n"

static struct result with_plugins(const char *line)
{
    cleanup(memory_free) char *whole = memory_format("--plugin-dir " PLUGINS " %s", line);
    return program_run(whole);
}

static void expect_members(const json_t *problem, const char *line)
{
    static const char *const members[] = {"level", "file", "line", "column", "message", "hint"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        ck_assert_msg(json_object_get(problem, members[i]) != NULL, "%s: lacks %s", line, members[i]);
}

static const struct {
    const char *line;
    size_t problems;
    int status;
    const char *said; /* on standard error, or NULL: nothing */
} failures[] = {
    {"check wrong.yaml --json", 3, 2, NULL},
    {"plan wrong.yaml --json", 3, 2, "wrong.yaml:4:33: error: 'cpus' must be "},
    {"run -n wrong.yaml --json", 3, 2, "wrong.yaml:4:33: error: 'cpus' must be "},
    {"plan nowhere.yaml --json", 1, 2, "cannot read 'nowhere.yaml'"},
    {"plan good.yaml --json --base /dev/null/none", 1, 2, "--base"},
    {"status nosuch --json", 1, 2, "there is no run 'nosuch'"},
    {"plugins show runtime/nosuch --json", 1, 3, "there is no plugin runtime/nosuch"},
    {"plugins check runtime/nosuch --json", 1, 3, "there is no plugin runtime/nosuch"},
    {"plugins list --json --plugin-dir /dev/null/none", 1, 2, "--plugin-dir"},
    {"doctor --json --plugin-dir /dev/null/none", 1, 2, "--plugin-dir"},
};

static void expect_problems(size_t number)
{
    const char *line = failures[number].line;
    cleanup(result_clear) struct result result = with_plugins(line);
    ck_assert_msg(result.status == failures[number].status, "%s: %d", line, result.status);
    json_t *read = json_loads(text_bytes(&result.out), 0, NULL);
    const json_t *problems = json_object_get(read, "problems");
    ck_assert_msg(json_array_size(problems) == failures[number].problems, "%s: %s", line, text_bytes(&result.out));
    for (size_t i = 0; i < json_array_size(problems); i++)
        expect_members(json_array_get(problems, i), line);
    json_decref(read);
    if (failures[number].said == NULL)
        ck_assert_str_eq(text_bytes(&result.err), "");
    else
        ck_assert_msg(strstr(text_bytes(&result.err), failures[number].said) != NULL, "%s", text_bytes(&result.err));
}

START_TEST(a_command_that_fails_prints_its_problems_as_json)
{
    program_file("wrong.yaml", WRONG);
    program_file("good.yaml", GOOD);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        expect_problems(i);
}
END_TEST

/* How many lines of each event, in `counts`, whose order is that of `events`; returns the number of the last line's. */
static size_t count_events(const struct text *out, const char *const *events, unsigned *counts)
{
    size_t last = 0;
    for (const char *line = text_bytes(out); *line != '\0'; line += strcspn(line, "\n") + 1) {
        json_t *json = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        ck_assert_msg(json != NULL, "not JSON: %s", line);
        const char *event = json_string_value(json_object_get(json, "event"));
        ck_assert_ptr_nonnull(json_object_get(json, "at"));
        if (text_equal(event, "problem"))
            expect_members(json, line);
        for (last = 0; events[last] != NULL && !text_equal(events[last], event); last++)
            ;
        counts[last]++;
        json_decref(json);
    }
    return last;
}

START_TEST(a_run_tells_its_problems_as_events)
{
    static const char *const events[] = {"problem", "run-started", "run-ended", NULL};
    unsigned counts[4] = {0};
    program_file("wrong.yaml", WRONG);
    cleanup(result_clear) struct result run = with_plugins("run wrong.yaml --json");
    ck_assert_int_eq(run.status, 2);
    ck_assert_uint_eq(count_events(&run.out, events, counts), 0);
    ck_assert_uint_eq(counts[0], 3);
    ck_assert_uint_eq(counts[1] + counts[2] + counts[3], 0);
    ck_assert_ptr_nonnull(strstr(text_bytes(&run.err), "wrong.yaml:4:33: error: 'cpus' must be "));
    cleanup(result_clear) struct result base = with_plugins("run wrong.yaml --json --base /dev/null/none");
    ck_assert_int_eq(base.status, 2);
    ck_assert_uint_eq(count_events(&base.out, events, counts), 0);
    ck_assert_uint_eq(counts[0], 4);
}
END_TEST

START_TEST(a_note_comes_before_the_run)
{
    static const char *const events[] = {"problem", "run-started", "run-ended", NULL};
    unsigned counts[4] = {0};
    program_file("p.yaml", "pipeline: {name: x, stages: [a, b]}\n" HERE
                           "a: {command: [/bin/true]}\nb: {command: [/bin/true], depends-on: [a]}\n");
    cleanup(result_clear) struct result run = with_plugins("run p.yaml --json");
    ck_assert_int_eq(run.status, 0);
    ck_assert_uint_eq(count_events(&run.out, events, counts), 2);
    ck_assert_uint_eq(counts[0], 1);
    ck_assert_uint_eq(counts[1], 1);
    ck_assert_ptr_nonnull(strstr(text_bytes(&run.out), "\"level\": \"note\""));
    ck_assert(text_starts_with(text_bytes(&run.out), "{\"event\":\"problem\","));
}
END_TEST

START_TEST(a_wrong_command_line_leaves_standard_output_empty)
{
    static const char *const lines[] = {"status --json --jsn", "plan --json", "run --json"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        cleanup(result_clear) struct result result = program_run(lines[i]);
        ck_assert_int_eq(result.status, 2);
        ck_assert_str_eq(text_bytes(&result.out), "");
        ck_assert_str_ne(text_bytes(&result.err), "");
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_command_that_fails_prints_its_problems_as_json, a_run_tells_its_problems_as_events,
                                  a_note_comes_before_the_run, a_wrong_command_line_leaves_standard_output_empty, NULL};
    return suite_run("json", tests, program_set_up, program_tear_down);
}
