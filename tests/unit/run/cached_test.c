/* SPDX-License-Identifier: BSD-3-Clause */
/* What a second run does of its own: nothing, or exactly what one changed value asks for. */
#include "run_fixture.h"

#include <fcntl.h>

/* first → second → third, and `apart`; each adds a line to runs.txt, so that what ran is seen from outside. */
#define RUNTIME                                                                                                        \
    ", inputs: {raw: ./raw.txt, other: ./other.txt}, config: {second: {conf: ./conf.txt}, apart: {conf: ./apart.txt}}"
#define STAGE(name, more) name ": {command: [sh, -c, 'echo " name " >> ${BASE}/runs.txt; " more
#define FIRST                                                                                                          \
    STAGE("first", "sort $DESC_INPUT/raw.txt > $DESC_OUTPUT/a.txt'], inputs: {raw: txt}, outputs: {a: txt}}\n")
#define SECOND(environment)                                                                                            \
    STAGE("second", "cat $DESC_INPUT/a.txt $DESC_CONFIG/conf.txt > $DESC_OUTPUT/b.txt'], inputs: {a: txt}, "           \
                    "outputs: {b: txt}, config: {conf: conf.txt}" environment "}\n")
#define THIRD                                                                                                          \
    STAGE("third", "mkdir $DESC_OUTPUT/c; cp $DESC_INPUT/b.txt $DESC_OUTPUT/c/x'], inputs: {b: txt}, "                 \
                   "outputs: {c: /}}\n")
#define APART(command) STAGE("apart", command "'], inputs: {other: txt}, config: {conf: conf.txt}, cache: true}\n")
#define NAMES "first, second, third, apart"
#define USUAL FIRST SECOND("") THIRD APART("true")

static void put(const char *name, const char *text)
{
    cleanup(memory_free) char *path = path_join(base, name);
    ck_assert(file_write(path, text, strlen(text), 0600, NULL));
}

static char *get(const char *name)
{
    cleanup(memory_free) char *path = path_join(base, name);
    struct text text = TEXT_INIT;
    return file_read(path, 65536, &text, NULL) ? text_take(&text) : memory_copy_text("");
}

static void set_up(void)
{
    fixture_set_up();
    setenv("BASE", base, 1);
    put("raw.txt", "2\n1\n");
    put("other.txt", "other\n");
    put("conf.txt", "bins: 5\n");
    put("apart.txt", "apart\n");
    write_pipeline_with(RUNTIME, NAMES, USUAL);
}

static const struct run_setup on_local = {.scheduler = "sequential", .cached = true};

static int compare_lines(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Runs; which stages did, sorted: those that do not need each other come in any order. */
static char *what_runs(const struct run_setup *setup)
{
    cleanup(memory_free) char *path = path_join(base, "runs.txt");
    unlink(path);
    ck_assert_int_eq(run_all(setup, NULL), 0);
    cleanup(memory_free) char *runs = get("runs.txt");
    cleanup(words_clear) struct words lines = {.items = NULL};
    for (const char *at = runs; *at != '\0'; at += strcspn(at, "\n") + 1) {
        cleanup(memory_free) char *line = memory_copy_bytes(at, strcspn(at, "\n"));
        words_add(&lines, line);
    }
    if (lines.count > 1)
        qsort(lines.items, lines.count, sizeof *lines.items, compare_lines);
    struct text sorted = TEXT_INIT;
    for (size_t i = 0; i < lines.count; i++)
        text_format(&sorted, "%s\n", lines.items[i]);
    return sorted.length > 0 ? text_take(&sorted) : memory_copy_text("");
}

#define expect_runs(setup, expected)                                                                                   \
    do {                                                                                                               \
        cleanup(memory_free) char *ran = what_runs(setup);                                                             \
        ck_assert_str_eq(ran, expected);                                                                               \
    } while (0)

#define ALL "apart\nfirst\nsecond\nthird\n"

START_TEST(nothing_changed_runs_nothing)
{
    char *folder = NULL;
    expect_runs(&on_local, ALL);
    ck_assert_int_eq(run_all(&on_local, &folder), 0);
    ck_assert_uint_eq(count_records(folder, "state", "\"state\":\"cached\"", NULL), 4);
    ck_assert_uint_eq(count_records(folder, "intent", "", NULL), 0);
    ck_assert_uint_eq(count_records(folder, "end",
                                    "\"state\":\"succeeded\",\"verdicts\":{},\"succeeded\":0,\"failed\":0,"
                                    "\"cancelled\":0,\"skipped\":0,\"cached\":4",
                                    NULL),
                      1);
    memory_free(folder);
}
END_TEST

static void change_other(void)
{
    put("other.txt", "another\n");
}
static void change_raw(void)
{
    put("raw.txt", "3\n1\n");
}
static void change_raw_order(void)
{
    put("raw.txt", "1\n2\n");
}
static void write_raw_again(void)
{
    put("raw.txt", "2\n1\n");
}
static void change_config(void)
{
    put("conf.txt", "bins: 7\n");
}
static void change_environment(void)
{
    write_pipeline_with(RUNTIME, NAMES, FIRST SECOND(", env: {A: b}") THIRD APART("true"));
}
static void change_command(void)
{
    write_pipeline_with(RUNTIME, NAMES, FIRST SECOND("") THIRD APART("test 1"));
}
static void change_what_does_not_count(void)
{
    write_pipeline_with(RUNTIME ", jobs: 2", NAMES,
                        FIRST SECOND(", minutes: 7, retries: 3, memory: 1GiB") THIRD APART("true"));
}
static void change_order(void)
{
    write_pipeline_with(RUNTIME, "apart, third, second, first", USUAL);
}
static void lose_output(void)
{
    cleanup(memory_free) char *path = path_join(base, "work/data/a.txt");
    ck_assert_int_eq(unlink(path), 0);
}
static void lose_folder_output(void)
{
    cleanup(memory_free) char *path = path_join(base, "work/data/c");
    ck_assert(folder_remove(path, NULL));
}
static void lose_output_and_attempt(void)
{
    cleanup(memory_free) char *path = path_join(base, "work/data/a.txt");
    cleanup(memory_free) char *attempt = path_join(base, "work/first/output/a.txt");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(unlink(attempt), 0);
}
static void write_into_output(void)
{
    cleanup(memory_free) char *path = path_join(base, "work/data/b.txt");
    int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    ck_assert_int_eq(write(file, "x", 1), 1);
    close(file);
}
static void lose_memory(void)
{
    cleanup(memory_free) char *path = path_join(base, "work/.descpipe/cache.jsonl");
    ck_assert_int_eq(unlink(path), 0);
}
static void damage_memory(void)
{
    cleanup(memory_free) char *text = get("work/.descpipe/cache.jsonl");
    char *at = strstr(text, "\"stage\":\"third\"");
    ck_assert_ptr_nonnull(at);
    at[10] = 'T';
    put("work/.descpipe/cache.jsonl", text);
}
static void tear_memory(void)
{
    cleanup(memory_free) char *text = get("work/.descpipe/cache.jsonl");
    text[strlen(text) - 40] = '\0';
    put("work/.descpipe/cache.jsonl", text);
}

static const struct {
    void (*change)(void);
    const char *runs;
} changes[] = {
    {change_other, "apart\n"},
    {change_raw, "first\nsecond\nthird\n"},
    {change_raw_order, "first\n"}, /* what it makes is as before: nothing after it runs */
    {write_raw_again, ""},
    {change_config, "second\nthird\n"},
    {change_environment, "second\n"},
    {change_command, "apart\n"},
    {change_what_does_not_count, ""},
    {change_order, ""},
    {lose_output, ""}, /* the attempt's own copy is put back */
    {lose_folder_output, ""},
    {lose_output_and_attempt, "first\n"},
    {write_into_output, "second\n"},
    {lose_memory, ALL},
    {damage_memory, "third\n"},
    {tear_memory, "third\n"}, /* the last line of the file */
};

START_TEST(one_change_runs_exactly_what_depends_on_it)
{
    expect_runs(&on_local, ALL);
    changes[_i].change();
    expect_runs(&on_local, changes[_i].runs);
    expect_runs(&on_local, "");
    cleanup(memory_free) char *result = get("work/data/c/x");
    cleanup(memory_free) char *placed = get("out/c/x");
    cleanup(memory_free) char *raw = get("work/data/a.txt");
    cleanup(memory_free) char *conf = get("conf.txt");
    cleanup(memory_free) char *expected = memory_format("%s%s", raw, conf);
    ck_assert_str_eq(result, expected);
    ck_assert_str_eq(placed, expected);
}
END_TEST

START_TEST(a_change_taken_back_runs_nothing)
{
    expect_runs(&on_local, ALL);
    put("conf.txt", "bins: 7\n");
    expect_runs(&on_local, "second\nthird\n");
    put("conf.txt", "bins: 5\n");
    expect_runs(&on_local, "");
    cleanup(memory_free) char *result = get("out/c/x");
    ck_assert_str_eq(result, "1\n2\nbins: 5\n");
    cleanup(memory_free) char *won = get("work/third/output/c/x");
    ck_assert_str_eq(won, "1\n2\nbins: 5\n");
}
END_TEST

START_TEST(no_cache_runs_all_and_is_remembered)
{
    static const struct run_setup without = {.scheduler = "sequential"};
    expect_runs(&without, ALL);
    expect_runs(&without, ALL);
    expect_runs(&on_local, "");
}
END_TEST

START_TEST(the_pipeline_may_say_that_it_always_runs)
{
    write_pipeline_with(RUNTIME, NAMES, FIRST SECOND(", cache: false") THIRD APART("true"));
    expect_runs(&on_local, ALL);
    expect_runs(&on_local, "second\n");
    write_pipeline_with(RUNTIME ", cache: off", NAMES, USUAL);
    expect_runs(&on_local, ALL);
    expect_runs(&on_local, ALL);
}
END_TEST

/* Size and time as before: only the content tells. */
START_TEST(the_full_policy_reads_what_was_made)
{
    write_pipeline_with(RUNTIME ", cache: full", NAMES, USUAL);
    expect_runs(&on_local, ALL);
    cleanup(memory_free) char *path = path_join(base, "work/data/b.txt");
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(file, "9", 1, 0), 1);
    const struct timespec times[2] = {status.st_atim, status.st_mtim};
    ck_assert_int_eq(futimens(file, times), 0);
    close(file);
    expect_runs(&on_local, "second\n");
    expect_runs(&on_local, "");
    cleanup(memory_free) char *result = get("work/data/b.txt");
    ck_assert_str_eq(result, "1\n2\nbins: 5\n");
}
END_TEST

START_TEST(a_failure_is_not_remembered)
{
    write_pipeline("a", "a: {command: [sh, -c, 'echo a >> ${BASE}/runs.txt; test -e ${BASE}/good'], cache: true}\n");
    ck_assert_int_eq(run_all(&on_local, NULL), 5);
    put("good", "");
    expect_runs(&on_local, "a\n");
    expect_runs(&on_local, "");
}
END_TEST

START_TEST(members_are_remembered_one_by_one)
{
    static const char members[] =
        "make: {command: [sh, -c, 'echo make $DESC_EACH_B >> ${BASE}/runs.txt; echo $DESC_EACH_B > "
        "$DESC_OUTPUT/m.txt'], outputs: {m: txt}, foreach: {b: [%s]}}\n"
        "take: {command: [sh, -c, 'echo take >> ${BASE}/runs.txt; cat $DESC_INPUT/m/* > "
        "$DESC_OUTPUT/t.txt'], "
        "inputs: {m: txt}, outputs: {t: txt}}\n";
    cleanup(memory_free) char *two = memory_format(members, "g, r");
    cleanup(memory_free) char *three = memory_format(members, "r, i, g");
    write_pipeline("make, take", two);
    expect_runs(&on_local, "make g\nmake r\ntake\n");
    write_pipeline("make, take", three);
    expect_runs(&on_local, "make i\ntake\n");
    write_pipeline("make, take", two);
    expect_runs(&on_local, "");
}
END_TEST

START_TEST(a_file_that_changes_while_its_stage_runs_is_not_trusted)
{
    write_pipeline_with(", inputs: {raw: ./raw.txt}", "a",
                        "a: {command: [sh, -c, 'echo a >> ${BASE}/runs.txt; echo 4 >> ${BASE}/raw.txt; "
                        "cp $DESC_INPUT/raw.txt $DESC_OUTPUT/o.txt'], inputs: {raw: txt}, outputs: {o: txt}}\n");
    expect_runs(&on_local, "a\n");
    expect_runs(&on_local, "a\n");
}
END_TEST

START_TEST(a_stage_without_outputs_runs_each_time_unless_once_is_said_to_be_enough)
{
    write_pipeline_with("", "send, note",
                        "send: {command: [sh, -c, 'echo send >> ${BASE}/runs.txt']}\n"
                        "note: {command: [sh, -c, 'echo note >> ${BASE}/runs.txt'], cache: true}\n");
    expect_runs(&on_local, "note\nsend\n");
    expect_runs(&on_local, "send\n");
}
END_TEST

START_TEST(a_journal_says_what_decided_and_no_secret)
{
    put("conf.txt", "bins: 5\napi_token: hunter2\n");
    char *folder = NULL, *record = NULL;
    ck_assert_int_eq(run_all(&on_local, &folder), 0);
    ck_assert_uint_eq(count_records(folder, "key", "", NULL), 4);
    ck_assert_uint_eq(count_records(folder, "key", "\"stage\":\"second\"", &record), 1);
    ck_assert_ptr_nonnull(strstr(record, "{\"name\":\"config conf.txt\",\"value\":\""));
    ck_assert_ptr_nonnull(strstr(record, "{\"name\":\"input a.txt\",\"value\":\""));
    ck_assert_ptr_nonnull(strstr(record, "\"like\":")); /* what it has like an earlier one stands there */
    ck_assert_ptr_null(strstr(record, "environment DESC_RANK"));
    ck_assert_uint_eq(count_records(folder, "key", "{\"name\":\"environment DESC_RANK\",\"value\":\"0\"}", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "text", "bins: 5\\napi_token: (not shown)\\n", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "text", "hunter2", NULL), 0);
    memory_free(record);
    memory_free(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cached");
    TCase *cases = tcase_create("cached");
    tcase_set_timeout(cases, 100);
    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, fixture_tear_down);
    tcase_add_test(cases, nothing_changed_runs_nothing);
    tcase_add_loop_test(cases, one_change_runs_exactly_what_depends_on_it, 0, sizeof changes / sizeof changes[0]);
    tcase_add_test(cases, a_change_taken_back_runs_nothing);
    tcase_add_test(cases, no_cache_runs_all_and_is_remembered);
    tcase_add_test(cases, the_pipeline_may_say_that_it_always_runs);
    tcase_add_test(cases, the_full_policy_reads_what_was_made);
    tcase_add_test(cases, a_failure_is_not_remembered);
    tcase_add_test(cases, members_are_remembered_one_by_one);
    tcase_add_test(cases, a_file_that_changes_while_its_stage_runs_is_not_trusted);
    tcase_add_test(cases, a_stage_without_outputs_runs_each_time_unless_once_is_said_to_be_enough);
    tcase_add_test(cases, a_journal_says_what_decided_and_no_secret);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
