/* SPDX-License-Identifier: BSD-3-Clause */
/* What `status`, the end of `run` and `runs` show of a run. */
#include "report/status.h"

#include <jansson.h>

#include "report/run_end.h"
#include "report/run_summary.h"
#include "run_maker.h"
#include "suite.h"

#define NOW INT64_C(1795242660000)

static struct run_maker maker;
static struct run_view *view;

static void set_up(void)
{
    maker = run_maker_new(TWO_STAGES);
    view = run_view_open(maker.folder, RUN_VIEW_EVIDENCE, NULL);
}

static void tear_down(void)
{
    run_view_free(view);
    run_maker_free(&maker);
}

/* The journal's own times are the clock's: what is compared exactly gets times of our own. */
static void play(void)
{
    run_maker_play(&maker);
    run_view_read(view, 0, NULL, NULL);
    view->started_at_ms = NOW - 60000;
    view->tasks.items[run_view_task(view, "counts", "r")].started_at_ms = NOW - 47000;
}

START_TEST(shows_a_running_run_as_a_table)
{
    play();
    cleanup(text_clear) struct text out = TEXT_INIT;
    const struct status_style style = {.now_ms = NOW};
    status_print(view, &style, &out);
    ck_assert_str_eq(text_bytes(&out),
                     "run 20261121-063000-ab3dk7 of sky: running for 1 m 00 s\n1 succeeded, 1 failed, 1 running\n"
                     "\n"
                     "stage       verdict                wall     CPU  peak memory  where    reason\n"
                     "tomography  OK                   12.3 s  10.5 s        1 GiB  node1\n"
                     "counts      1 failed, 1 running  47.0 s                       several\n"
                     "  counts/g  EXIT 3                1.0 s                       node1    exit 3\n");
}
END_TEST

START_TEST(fits_the_table_into_the_terminal)
{
    play();
    cleanup(text_clear) struct text out = TEXT_INIT;
    const struct status_style style = {.now_ms = NOW, .width = 60};
    status_print_stages(view, &style, &out);
    for (const char *line = text_bytes(&out); *line != '\0';) {
        size_t length = strcspn(line, "\n");
        cleanup(memory_free) char *copy = memory_copy_bytes(line, length);
        ck_assert_msg(strlen(copy) <= 70, "too long: %s", copy); /* bytes; "…" is three */
        line += length + 1;
    }
    ck_assert_ptr_nonnull(strstr(text_bytes(&out), "…"));
}
END_TEST

START_TEST(what_failed_comes_first_when_rows_are_few)
{
    play();
    cleanup(text_clear) struct text out = TEXT_INIT;
    const struct status_style style = {.now_ms = NOW, .rows = 1};
    status_print_stages(view, &style, &out);
    ck_assert_ptr_nonnull(strstr(text_bytes(&out), "counts/g"));
    ck_assert_ptr_null(strstr(text_bytes(&out), "tomography"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&out), "… and 1 more stage\n"));
}
END_TEST

START_TEST(json_has_the_promised_members)
{
    play();
    FILE *file = tmpfile();
    struct output output;
    output_open(&output, fileno(file));
    status_write_json(view, &output);
    ck_assert(output_finish(&output, NULL));
    output_clear(&output);
    rewind(file);
    json_error_t fault;
    json_t *json = json_loadf(file, 0, &fault);
    ck_assert_msg(json != NULL, "%s", fault.text);
    fclose(file);
    ck_assert_str_eq(json_string_value(json_object_get(json, "run")), "20261121-063000-ab3dk7");
    ck_assert_str_eq(json_string_value(json_object_get(json, "state")), "running");
    const json_t *stages = json_object_get(json, "stages");
    ck_assert_uint_eq(json_array_size(stages), 2);
    static const char *const members[] = {"name", "state",   "verdict",  "attempt",  "job",
                                          "host", "started", "finished", "evidence", "members"};
    for (size_t i = 0; i < 2; i++)
        for (size_t m = 0; m < sizeof members / sizeof members[0]; m++)
            ck_assert_msg(json_object_get(json_array_get(stages, i), members[m]) != NULL, "stage %zu lacks '%s'", i,
                          members[m]);
    const json_t *tomography = json_array_get(stages, 0);
    ck_assert_str_eq(json_string_value(json_object_get(tomography, "verdict")), "OK");
    ck_assert_int_eq(json_integer_value(json_object_get(tomography, "job")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(tomography, "started")), "2026-11-21T06:30:00.000Z");
    ck_assert_uint_eq(json_array_size(json_object_get(tomography, "evidence")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(tomography, "members")), 0);
    const json_t *counts = json_object_get(json_array_get(stages, 1), "members");
    ck_assert_uint_eq(json_array_size(counts), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(counts, 0), "name")), "g");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(counts, 0), "state")), "failed");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(counts, 0), "exit")), 3);
    ck_assert(json_is_null(json_object_get(json_array_get(counts, 1), "verdict")));
    json_decref(json);
}
END_TEST

START_TEST(one_word_stands_for_all_members)
{
    static const struct {
        enum task_state has[3];
        enum task_state word;
    } cases[] = {
        {{TASK_SUCCEEDED, TASK_SUCCEEDED, TASK_CACHED}, TASK_SUCCEEDED},
        {{TASK_SUCCEEDED, TASK_FAILED, TASK_CACHED}, TASK_FAILED},
        {{TASK_RUNNING, TASK_FAILED, TASK_PLANNED}, TASK_RUNNING},
        {{TASK_PLANNED, TASK_SUCCEEDED, TASK_FAILED}, TASK_PLANNED},
        {{TASK_CANCELLED, TASK_SUCCEEDED, TASK_SKIPPED}, TASK_CANCELLED},
        {{TASK_LOST, TASK_SUCCEEDED, TASK_SKIPPED}, TASK_LOST},
        {{TASK_CACHED, TASK_CACHED, TASK_CACHED}, TASK_CACHED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stage_view stage = {.tasks = 3};
        for (size_t t = 0; t < 3; t++)
            stage.counts[cases[i].has[t]]++;
        ck_assert_str_eq(task_state_name(stage_view_state(&stage)), task_state_name(cases[i].word));
    }
}
END_TEST

START_TEST(the_end_of_a_failed_run_says_what_to_type)
{
    play();
    cleanup(memory_free) char *log = memory_copy_text("logs/000/counts.g.1.err");
    run_maker_file(&maker, log, "warming up\nTraceback:\n\x1b[31mboom\x1b[0m\n");
    run_maker_record(&maker, "ended", ",\"job\":3,\"exit\":0,\"evidence\":[]");
    run_maker_record(
        &maker, "verdict",
        ",\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1,\"verdict\":\"OK\",\"reason\":\"\"");
    run_maker_record(&maker, "end", ",\"state\":\"failed\"");
    run_view_read(view, 0, NULL, NULL);
    view->finished_at_ms = NOW;
    cleanup(text_clear) struct text out = TEXT_INIT;
    const struct terminal terminal = {.descriptor = 1};
    const struct run_end_style style = {.terminal = &terminal, .quiet = true, .now_ms = NOW};
    run_end_print(view, &style, &out);
    ck_assert_str_eq(text_bytes(&out), "\ncounts/g: EXIT 3: exit 3\n"
                                       "    warming up\n    Traceback:\n    boom\n"
                                       "\nnext: descpipe logs 20261121-063000-ab3dk7 counts/g\n");
}
END_TEST

START_TEST(the_end_of_a_good_run_says_where_the_results_are)
{
    run_maker_record(&maker, "run", ",\"run\":\"r1\",\"name\":\"sky\",\"output\":\"/data/out\"");
    static const char *const tasks[] = {"\"stage\":\"tomography\"", "\"stage\":\"counts\",\"member\":\"g\"",
                                        "\"stage\":\"counts\",\"member\":\"r\""};
    for (size_t i = 0; i < 3; i++) {
        cleanup(memory_free) char *members = memory_format(",%s,\"state\":\"cached\"", tasks[i]);
        run_maker_record(&maker, "state", members);
    }
    run_maker_record(&maker, "end", ",\"state\":\"succeeded\"");
    run_view_read(view, 0, NULL, NULL);
    view->started_at_ms = NOW - 2000;
    view->finished_at_ms = NOW;
    cleanup(text_clear) struct text out = TEXT_INIT;
    const struct terminal terminal = {.descriptor = 1};
    const struct run_end_style style = {.terminal = &terminal, .now_ms = NOW};
    run_end_print(view, &style, &out);
    ck_assert_str_eq(text_bytes(&out), "\nstage       verdict\ntomography  cached\ncounts      2 cached\n\n"
                                       "run r1 of sky: succeeded, took 2.0 s\n3 cached\nresults in /data/out\n");
}
END_TEST

START_TEST(a_summary_comes_from_the_ends_of_the_journal)
{
    cleanup(run_summary_clear) struct run_summary running = {0};
    cleanup(run_summary_clear) struct run_summary ended = {0};
    run_maker_play(&maker);
    ck_assert(run_summary_read(maker.folder, &running, NULL));
    ck_assert_str_eq(running.run, "20261121-063000-ab3dk7");
    ck_assert_str_eq(running.name, "sky");
    ck_assert_uint_eq(running.tasks, 3);
    ck_assert_str_eq(running.state, "stopped"); /* nobody holds its lease */
    ck_assert_int_eq(running.finished_at_ms, 0);
    run_maker_record(&maker, "end", ",\"state\":\"failed\"");
    ck_assert(run_summary_read(maker.folder, &ended, NULL));
    ck_assert_str_eq(ended.state, "failed");
    ck_assert_int_ge(ended.finished_at_ms, ended.started_at_ms);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {shows_a_running_run_as_a_table,
                                  fits_the_table_into_the_terminal,
                                  what_failed_comes_first_when_rows_are_few,
                                  json_has_the_promised_members,
                                  one_word_stands_for_all_members,
                                  the_end_of_a_failed_run_says_what_to_type,
                                  the_end_of_a_good_run_says_where_the_results_are,
                                  a_summary_comes_from_the_ends_of_the_journal,
                                  NULL};
    return suite_run("status", tests, set_up, tear_down);
}
