/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs that find their results made already, and who asks why. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "program.h"

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
    program_file_time("p.yaml", 3600); /* or, on a slow machine, a run might know without planning: up_to_date_test.c */
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

/* A file of the latest run's folder. */
static char *run_file(const char *name)
{
    cleanup(result_clear) struct result runs = with_plugins("runs --json");
    json_t *json = json_loads(text_bytes(&runs.out), 0, NULL);
    const char *folder = json_string_value(json_object_get(json_array_get(json, 0), "folder"));
    ck_assert_ptr_nonnull(folder);
    char *path = path_join(folder, name);
    json_decref(json);
    return path;
}

static void change_byte(const char *path, const char *before, const char *after)
{
    struct text text = TEXT_INIT;
    ck_assert_msg(file_read(path, 1 << 20, &text, NULL), "no file '%s'", path);
    char *at = strstr(text.bytes, before);
    ck_assert_msg(at != NULL, "no '%s' in %s", before, text.bytes);
    memcpy(at, after, strlen(after));
    ck_assert(file_write(path, text.bytes, text.length, 0600, NULL));
    text_clear(&text);
}

/* What git says of a work tree with one commit. */
static void make_work_tree(void)
{
    cleanup(memory_free) char *line =
        memory_format("cd '%s' && git init -q . && git add p.yaml && git -c user.name=joe -c user.email=joe@localhost "
                      "commit -q -m first && echo '# more' >>p.yaml",
                      program_folder);
    pid_t shell = fork();
    if (shell == 0)
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    int status = 1;
    ck_assert_int_eq(waitpid(shell, &status, 0), shell);
    ck_assert_int_eq(status, 0);
}

START_TEST(a_run_leaves_a_trace_and_its_provenance)
{
    make_work_tree();
    program_file("config/descpipe/config.yaml", "site: hill \"7\"\n");
    expect("run p.yaml -q", 0, "");
    cleanup(memory_free) char *trace_path = run_file("trace.tsv");
    cleanup(text_clear) struct text trace = TEXT_INIT;
    ck_assert(file_read(trace_path, 65536, &trace, NULL));
    static const char head[] =
        "task_id\thash\tnative_id\tname\tstatus\texit\tsubmit\tduration\trealtime\t%cpu\tpeak_rss\t"
        "peak_vmem\trchar\twchar\t";
    ck_assert(text_starts_with(text_bytes(&trace), head));
    ck_assert_ptr_nonnull(strstr(text_bytes(&trace), "\tsecond\tCOMPLETED\t0\t20"));
    cleanup(memory_free) char *path = run_file("provenance.json");
    json_t *json = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json, "site")), "hill \"7\"");
    const json_t *task = json_array_get(json_object_get(json, "tasks"), 1);
    const json_t *output = json_array_get(json_object_get(task, "outputs"), 0);
    const json_t *input = json_array_get(json_object_get(task, "inputs"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(input, "name")), "a.txt");
    ck_assert_str_eq(json_string_value(json_object_get(input, "sha256")),
                     json_string_value(json_object_get(output, "sha256"))); /* it is a copy */
    ck_assert_uint_eq(json_array_size(json_object_get(json, "plugins")), 2);
    const json_t *source = json_array_get(json_object_get(json, "sources"), 0);
    ck_assert_uint_eq(json_string_length(json_object_get(source, "commit")), 40);
    ck_assert(json_is_true(json_object_get(source, "dirty")));
    json_decref(json);
    expect("run p.yaml -q", 0, "");
    cleanup(memory_free) char *second = run_file("trace.tsv");
    text_clear(&trace);
    ck_assert(file_read(second, 65536, &trace, NULL));
    ck_assert_ptr_nonnull(strstr(text_bytes(&trace), "\tsecond\tCACHED\t"));
}
END_TEST

static const struct {
    const char *file; /* of the run's folder; NULL: below the test's folder */
    const char *other, *before, *after, *says;
} damages[] = {
    {"journal.jsonl", NULL, "\"kind\":\"verdict\"", "\"kind\":\"Verdict\"",
     "does not continue the chain of the line before it"},
    {"provenance.json", NULL, "\"pipeline\":\"small\"", "\"pipeline\":\"smell\"",
     "line 1 is not what the journal says"},
    {NULL, "work/data/b.txt", "1", "7", "the output '"},
    {NULL, "raw.txt", "2", "3", "the input raw.txt from '"},
    {NULL, "conf.yaml", "5", "6", "the config conf.yaml from '"},
};

START_TEST(verify_names_the_first_thing_that_differs)
{
    expect("run p.yaml -q", 0, "");
    expect("verify", 0, "is what its journal says: ");
    cleanup(memory_free) char *path =
        damages[_i].file != NULL ? run_file(damages[_i].file) : path_join(program_folder, damages[_i].other);
    if (damages[_i].file == NULL && strstr(damages[_i].other, "data") != NULL) {
        cleanup(memory_free) char *made = path_join(program_folder, "work/second/output/b.txt");
        ck_assert_int_eq(unlink(made), 0); /* else it is found there */
    }
    change_byte(path, damages[_i].before, damages[_i].after);
    expect("verify", 1, damages[_i].says);
    expect("verify --json", 1, "\"same\":false,\"differs\":\"");
}
END_TEST

START_TEST(clean_shows_and_frees_what_is_of_no_use)
{
    expect("run p.yaml -q", 0, "");
    cleanup(memory_free) char *first = run_file("attempts");
    write_pipeline("6");
    expect("run p.yaml -q", 0, "");
    cleanup(memory_free) char *second = run_file("attempts");
    program_file("raw.txt", "4\n");
    expect("run p.yaml -q", 0, "2 succeeded");
    expect("clean", 0, "2 runs would be cleaned: ");
    ck_assert(file_exists(first));
    expect("clean --keep 2", 0, "1 run would be cleaned: ");
    expect("clean --json", 0, "\"removed\":false,\"runs\":[{\"run\":\"");
    expect("clean --yes", 0, "2 runs: freed ");
    ck_assert(!file_exists(first));
    ck_assert(!file_exists(second));
    expect("clean", 0, "0 runs would be cleaned: 0 B in ");
    expect("run p.yaml -q", 0, "2 cached\n");
    expect("verify", 0, "is what its journal says: ");
    expect("runs", 0, "succeeded");
}
END_TEST

START_TEST(clean_forgets_what_the_cache_says_twice)
{
    expect("run p.yaml -q", 0, "2 succeeded");
    expect("run p.yaml -q --no-cache", 0, "2 succeeded");
    expect("clean --keep 9", 0, "what the cache says twice ");
    cleanup(memory_free) char *path = path_join(program_folder, "work/.descpipe/cache.jsonl");
    cleanup(text_clear) struct text before = TEXT_INIT, after = TEXT_INIT;
    ck_assert(file_read(path, 1 << 20, &before, NULL));
    expect("clean --keep 9 --yes", 0, "0 runs: freed ");
    ck_assert(file_read(path, 1 << 20, &after, NULL));
    ck_assert_uint_lt(after.length, before.length);
    expect("clean --keep 9", 0, "0 runs would be cleaned: 0 B in ");
    expect("run p.yaml -q", 0, "2 cached\n"); /* what counted is still there */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_second_run_says_that_all_is_there,
                                  why_says_the_field_and_both_values,
                                  why_says_what_was_refused_and_what_is_unknown,
                                  a_run_leaves_a_trace_and_its_provenance,
                                  clean_shows_and_frees_what_is_of_no_use,
                                  clean_forgets_what_the_cache_says_twice,
                                  NULL};
    Suite *suite = suite_create("cache");
    TCase *cases = tcase_create("cache");
    tcase_set_timeout(cases, 100);
    tcase_add_checked_fixture(cases, set_up, program_tear_down);
    for (size_t i = 0; tests[i] != NULL; i++)
        tcase_add_test(cases, tests[i]);
    tcase_add_loop_test(cases, verify_names_the_first_thing_that_differs, 0, sizeof damages / sizeof damages[0]);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
