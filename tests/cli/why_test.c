/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever decides a stage is changed alone: it runs, and who asks is told that one field with both its values. What
 * decides nothing is changed too. Images: tests/integration/changed_image_test.sh. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/path.h"
#include "program.h"

/* clang-format off: one line of YAML a line */
static const char pipeline[] =
    "pipeline: {name: small, stages: [a]}\n"
    "runtime: {backend: here, working: ./work, output: ./out, inputs: {raw: ./raw.txt}, config: {a: {conf: "
    "./conf.yaml}}}\n"
    "backends: {here: {scheduler: sequential, runtime: host}}\n"
    "a: {inputs: {raw: txt}, outputs: {made: txt}, config: {conf: settings.yaml}, openmp: 1, memory: 1GiB,\n"
    "  env: {WORD: one, KEY: {secret: first}}, command: [./tool]}\n";
/* clang-format on */

#define RAW "2\n1\n"
#define OTHER_RAW "3\n"
#define CONF "bins: 5\nsame: yes\n"
#define OTHER_CONF "bins: 6\nsame: yes\n"
#define TOOL "#!/bin/sh\nsort \"$DESC_INPUT/raw.txt\" | tee \"$DESC_OUTPUT/more.txt\" >\"$DESC_OUTPUT/made.txt\"\n"
#define OTHER_TOOL TOOL "# another\n"

static void write_tool(const char *text)
{
    cleanup(memory_free) char *path = path_join(program_folder, "tool");
    program_file("tool", text);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

/* Its `from` for `to`. A file of the future: no run knows without planning (up_to_date_test.c). */
static void write_pipeline(const char *from, const char *to)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(memory_free) char *tool = memory_format("[%s/tool", program_folder);
    const char *at = strstr(pipeline, from);
    ck_assert_ptr_nonnull(at);
    text_append_bytes(&text, pipeline, (size_t)(at - pipeline));
    text_append(&text, to);
    text_append(&text, at + strlen(from));
    char *command = strstr(text.bytes, "[./tool");
    cleanup(text_clear) struct text whole = TEXT_INIT;
    text_append_bytes(&whole, text.bytes, (size_t)(command - text.bytes));
    text_append(&whole, tool);
    text_append(&whole, command + strlen("[./tool"));
    program_file("p.yaml", text_bytes(&whole));
    program_file_time("p.yaml", 3600);
}

static void set_up(void)
{
    program_set_up();
    program_variable("FIRST=said");
    program_variable("SECOND=said");
    program_file("config/descpipe/config.yaml", "secrets: {first: {env: FIRST}, second: {env: SECOND}}\n");
    program_file("raw.txt", RAW);
    program_file("conf.yaml", CONF);
    write_tool(TOOL);
    write_pipeline("", "");
}

static struct result with_plugins(const char *line)
{
    cleanup(memory_free) char *whole = memory_format("--plugin-dir " PLUGINS " %s", line);
    struct result got = program_run(whole);
    ck_assert_msg(got.status == 0, "%s: exit %d:\n%s%s", line, got.status, text_bytes(&got.out), text_bytes(&got.err));
    return got;
}

static const struct {
    const char *from, *to; /* of the pipeline; or of a file: */
    const char *file;
    const char *field, *before, *after; /* '@' begins the folder; a value in "\1" is a content */
    const char *lines;                  /* that follow */
} changes[] = {
    {"[./tool]", "[./tool, --fast]", NULL, "command", "@/tool", "@/tool --fast", ""},
    {"WORD: one", "WORD: two", NULL, "environment WORD", "one", "two", ""},
    {"WORD: one", "WORD: one, MORE: much", NULL, "environment MORE", NULL, "much", ""},
    {"WORD: one, ", "", NULL, "environment WORD", "one", NULL, ""},
    {"openmp: 1, ", "", NULL, "environment OMP_NUM_THREADS", "1", NULL, ""},
    {"secret: first", "secret: second", NULL, "secret KEY", "first", "second", ""},
    {"memory: 1GiB", "network: true", NULL, "network", NULL, "yes", ""},
    {"made: txt", "made: txt, more: txt", NULL, "output more.txt", NULL, "", ""},
    {RAW, OTHER_RAW, "raw.txt", "input raw.txt", "\1" RAW, "\1" OTHER_RAW, ""},
    {CONF, OTHER_CONF, "conf.yaml", "config settings.yaml", "\1" CONF, "\1" OTHER_CONF,
     "      - bins: 5\n      + bins: 6\n"},
    {TOOL, OTHER_TOOL, "tool", "program @/tool", "\1" TOOL, "\1" OTHER_TOOL, ""},
};

/* What is written above, as it is meant; NULL: there is none. */
static char *meant(const char *said)
{
    char digest[DIGEST_TEXT];
    uint8_t sum[DIGEST_BYTES];
    if (said == NULL)
        return NULL;
    const char *at = strchr(said, '@');
    if (at != NULL) {
        cleanup(text_clear) struct text text = TEXT_INIT;
        for (; at != NULL; said = at + 1, at = strchr(said, '@')) {
            text_append_bytes(&text, said, (size_t)(at - said));
            text_append(&text, program_folder);
        }
        text_append(&text, said);
        return text_take(&text);
    }
    if (said[0] != '\1')
        return memory_copy_text(said);
    digest_of(said + 1, strlen(said + 1), sum);
    digest_to_text(sum, digest);
    return memory_copy_text(digest);
}

static char *shown(const char *field, const char *said)
{
    cleanup(memory_free) char *value = meant(said);
    if (value == NULL)
        return memory_copy_text("(none)");
    if (text_starts_with(field, "output "))
        return memory_copy_text("(declared)");
    return said[0] == '\1' ? memory_copy_bytes(value, 12) : steal(&value);
}

static void expect_one_change(const char *line, const char *begin, int number)
{
    cleanup(result_clear) struct result got = with_plugins(line);
    const char *out = text_bytes(&got.out), *arrow = strstr(out, " → ");
    cleanup(memory_free) char *field = meant(changes[number].field);
    cleanup(memory_free) char *before = shown(field, changes[number].before);
    cleanup(memory_free) char *after = shown(field, changes[number].after);
    cleanup(memory_free) char *change = memory_format("\n  %s: %s → %s", field, before, after);
    ck_assert_msg(text_starts_with(out, begin), "%s: no '%s' in:\n%s", line, begin, out);
    ck_assert_msg(strstr(out, change) != NULL, "%s: no '%s' in:\n%s", line, change, out);
    ck_assert_msg(strstr(out, changes[number].lines) != NULL, "%s: no '%s' in:\n%s", line, changes[number].lines, out);
    ck_assert_msg(arrow != NULL && strstr(arrow + 1, " → ") == NULL, "%s: more than one change:\n%s", line, out);
    ck_assert_msg(strstr(out, "said") == NULL, "%s: a secret in:\n%s", line, out);
}

static void expect_text(const json_t *change, const char *key, const char *said)
{
    cleanup(memory_free) char *value = meant(said);
    const json_t *got = json_object_get(change, key);
    if (value == NULL)
        ck_assert(json_is_null(got));
    else
        ck_assert_str_eq(json_string_value(got), value);
}

START_TEST(a_stage_says_the_one_field_that_changed_and_both_its_values)
{
    cleanup(result_clear) struct result first = with_plugins("run p.yaml -q");
    ck_assert_ptr_nonnull(strstr(text_bytes(&first.out), "run succeeded: 1 succeeded\n"));
    if (changes[_i].file == NULL)
        write_pipeline(changes[_i].from, changes[_i].to);
    else if (strcmp(changes[_i].file, "tool") == 0)
        write_tool(changes[_i].to);
    else
        program_file(changes[_i].file, changes[_i].to);
    expect_one_change("plan p.yaml --why", "a will run, because this has changed since run ", _i);
    cleanup(result_clear) struct result second = with_plugins("run p.yaml -q");
    ck_assert_ptr_nonnull(strstr(text_bytes(&second.out), "run succeeded: 1 succeeded\n"));
    expect_one_change("why a", "a ran, because this has changed since run ", _i);
    cleanup(result_clear) struct result why = with_plugins("why a --json");
    json_t *json = json_loads(text_bytes(&why.out), 0, NULL);
    const json_t *all = json_object_get(json, "changes"), *change = json_array_get(all, 0);
    ck_assert_uint_eq(json_array_size(all), 1);
    expect_text(change, "field", changes[_i].field);
    expect_text(change, "before", changes[_i].before);
    expect_text(change, "after", changes[_i].after);
    json_decref(json);
}
END_TEST

START_TEST(what_decides_no_result_runs_nothing)
{
    cleanup(result_clear) struct result first = with_plugins("run p.yaml -q");
    ck_assert_ptr_nonnull(strstr(text_bytes(&first.out), "run succeeded: 1 succeeded\n"));
    write_pipeline("memory: 1GiB", "memory: 2GiB, minutes: 9, cpus: 1, retries: 2");
    cleanup(result_clear) struct result plan = with_plugins("plan p.yaml --why");
    ck_assert_str_eq(text_bytes(&plan.out), "nothing would run: all of 1 task is cached\n");
    cleanup(result_clear) struct result second = with_plugins("run p.yaml -q");
    ck_assert_ptr_nonnull(strstr(text_bytes(&second.out), "run succeeded: 1 cached\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("why");
    TCase *cases = tcase_create("why");
    tcase_set_timeout(cases, 100);
    tcase_add_checked_fixture(cases, set_up, program_tear_down);
    tcase_add_loop_test(cases, a_stage_says_the_one_field_that_changed_and_both_its_values, 0,
                        sizeof changes / sizeof changes[0]);
    tcase_add_test(cases, what_decides_no_result_runs_nothing);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
