/* SPDX-License-Identifier: BSD-3-Clause */
/* The lines that tell what happens. */
#include "report/events.h"

#include <jansson.h>

#include "run_maker.h"
#include "suite.h"

static struct run_maker maker;
static struct run_view *view;

static void set_up(void)
{
    maker = run_maker_new(TWO_STAGES);
    view = run_view_open(maker.folder, 0, NULL);
}

static void tear_down(void)
{
    run_view_free(view);
    run_maker_free(&maker);
}

struct lines {
    struct text text;
    bool json, quiet;
};

static void append(void *context, const struct run_view *of, const struct run_change *change)
{
    struct lines *lines = context;
    struct run_change fixed = *change;
    fixed.at_ms = INT64_C(1795242600000);
    if (lines->json)
        event_append_json(of, &fixed, &lines->text);
    else
        event_append_plain(of, &fixed, lines->quiet, &lines->text);
}

static void play_all(void)
{
    run_maker_play(&maker);
    run_maker_record(&maker, "queued", ",\"job\":3,\"reason\":\"Priority\"");
    run_maker_record(
        &maker, "ended",
        ",\"job\":3,\"signal\":9,\"evidence\":[],\"started_at\":1795242600000,\"finished_at\":1795242601000");
    run_maker_record(&maker, "verdict",
                     ",\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1,\"verdict\":\"OOM\",\"reason\":"
                     "\"out of memory\","
                     "\"retry\":{\"at\":1795242630000,\"reason\":\"oom\"}");
    run_maker_record(&maker, "image", ",\"image\":\"x/y:1\",\"reference\":\"x/y:1\"");
    run_maker_record(&maker, "image", ",\"image\":\"x/z:1\",\"reference\":\"x/z:1\",\"failure\":\"not found\"");
    run_maker_record(&maker, "fetch", ",\"tag\":\"shear\",\"url\":\"https://h/x\",\"done\":0,\"state\":\"started\"");
    run_maker_record(&maker, "fetch", ",\"tag\":\"shear\",\"url\":\"https://h/x\",\"done\":5,\"total\":9");
    run_maker_record(&maker, "fetch", ",\"tag\":\"shear\",\"url\":\"https://h/x\",\"done\":9,\"state\":\"done\"");
    run_maker_record(&maker, "fetch", ",\"tag\":\"psf\",\"url\":\"https://h/y\",\"done\":9,\"state\":\"kept\"");
    run_maker_record(
        &maker, "fetch",
        ",\"tag\":\"mask\",\"url\":\"https://h/z\",\"done\":0,\"state\":\"failed\",\"reason\":\"it is away\"");
    run_maker_record(&maker, "blind", ",\"reason\":\"cannot reach Docker\"");
    run_maker_record(&maker, "blind", "");
    run_maker_record(&maker, "request", ",\"cancel\":true,\"by\":\"ada@hub\"");
    run_maker_record(&maker, "detached", ",\"scheduler\":\"slurm\",\"submission\":7");
    run_maker_record(&maker, "state", ",\"stage\":\"counts\",\"member\":\"r\",\"state\":\"cancelled\"");
    run_maker_record(&maker, "end", ",\"state\":\"failed\"");
}

START_TEST(plain_lines_say_what_happened)
{
    struct lines lines = {0};
    play_all();
    run_view_read(view, 0, append, &lines);
    ck_assert_str_eq(text_bytes(&lines.text),
                     "06:30:00Z run 20261121-063000-ab3dk7 of sky started: 3 tasks\n"
                     "06:30:00Z tomography: submitted as 77\n"
                     "06:30:00Z tomography: started on node1\n"
                     "06:30:00Z [1/3] tomography: OK in 12.3 s, CPU 10.5 s, peak memory 1 GiB\n"
                     "06:30:00Z counts/g: started on node1\n"
                     "06:30:00Z counts/r: started on node2\n"
                     "06:30:00Z [2/3] counts/g: EXIT 3: exit 3, after 1.0 s\n"
                     "06:30:00Z counts/r: queued: Priority\n"
                     "06:30:00Z counts/r: OOM: out of memory, after 1.0 s; will be tried again in 30.0 s\n"
                     "06:30:00Z image x/y:1 is ready\n"
                     "06:30:00Z image x/z:1 cannot be had: not found\n"
                     "06:30:00Z input shear is fetched from https://h/x\n"
                     "06:30:00Z input shear is here, from https://h/x\n"
                     "06:30:00Z input psf is there already, from https://h/y\n"
                     "06:30:00Z input mask cannot be had: it is away\n"
                     "06:30:00Z cannot reach Docker\n"
                     "06:30:00Z what could not be asked answers again\n"
                     "06:30:00Z cancelling, asked by ada@hub\n"
                     "06:30:00Z run handed over to slurm\n"
                     "06:30:00Z [3/3] counts/r: cancelled: out of memory\n"
                     "06:30:00Z run failed: 1 succeeded, 1 failed, 1 cancelled\n");
    text_clear(&lines.text);
}
END_TEST

START_TEST(quiet_lines_are_only_what_went_wrong_and_the_end)
{
    struct lines lines = {.quiet = true};
    play_all();
    run_view_read(view, 0, append, &lines);
    ck_assert_str_eq(text_bytes(&lines.text), "06:30:00Z [2/3] counts/g: EXIT 3: exit 3, after 1.0 s\n"
                                              "06:30:00Z image x/z:1 cannot be had: not found\n"
                                              "06:30:00Z input mask cannot be had: it is away\n"
                                              "06:30:00Z cannot reach Docker\n"
                                              "06:30:00Z cancelling, asked by ada@hub\n"
                                              "06:30:00Z [3/3] counts/r: cancelled: out of memory\n"
                                              "06:30:00Z run failed: 1 succeeded, 1 failed, 1 cancelled\n");
    text_clear(&lines.text);
}
END_TEST

/* Every line is an object with `event` and `at`; those of tasks name their task. */
START_TEST(json_lines_hold_what_is_documented)
{
    static const struct {
        const char *event, *members;
    } expected[] = {
        {"run-started", "run pipeline folder host tasks"},
        {"task-submitted", "stage member attempt job native"},
        {"task-started", "stage member attempt job host native"},
        {"task-ended", "stage member attempt job state verdict reason exit signal wall_ms cpu_ms peak_memory host"},
        {"task-started", "stage"},
        {"task-started", "stage"},
        {"task-ended", "stage"},
        {"task-state", "stage member attempt job state reason"},
        {"task-retried", "stage member attempt job verdict reason retry_reason retry_at"},
        {"image", "image failure"},
        {"image", "image failure"},
        {"input", "input url state bytes failure"},
        {"input", "input"},
        {"input", "input"},
        {"input", "input"},
        {"blind", "failure"},
        {"blind", "failure"},
        {"cancel-requested", "by"},
        {"run-detached", "scheduler"},
        {"task-state", "state"},
        {"run-ended", "run state folder wall_ms counts"},
    };
    struct lines lines = {.json = true};
    play_all();
    run_view_read(view, 0, append, &lines);
    size_t number = 0;
    for (const char *line = text_bytes(&lines.text); *line != '\0'; number++) {
        size_t length = strcspn(line, "\n");
        ck_assert_uint_lt(number, sizeof expected / sizeof expected[0]);
        json_t *json = json_loadb(line, length, 0, NULL);
        ck_assert_msg(json != NULL, "not JSON: %.*s", (int)length, line);
        ck_assert_str_eq(json_string_value(json_object_get(json, "event")), expected[number].event);
        ck_assert_str_eq(json_string_value(json_object_get(json, "at")), "2026-11-21T06:30:00.000Z");
        for (const char *member = expected[number].members; *member != '\0'; member += strspn(member, " ")) {
            size_t name_length = strcspn(member, " ");
            cleanup(memory_free) char *name = memory_copy_bytes(member, name_length);
            ck_assert_msg(json_object_get(json, name) != NULL, "%s lacks '%s'", expected[number].event, name);
            member += name_length;
        }
        json_decref(json);
        line += length + 1;
    }
    ck_assert_uint_eq(number, sizeof expected / sizeof expected[0]);
    ck_assert_ptr_nonnull(
        strstr(text_bytes(&lines.text),
               "\"stage\":\"tomography\",\"member\":null,\"attempt\":1,\"job\":1,\"state\":\"succeeded\","
               "\"verdict\":\"OK\",\"reason\":\"exit 0\",\"exit\":0,\"signal\":null,\"wall_ms\":12300,"
               "\"cpu_ms\":10500,\"peak_memory\":1073741824,\"host\":\"node1\"}\n"));
    text_clear(&lines.text);
}
END_TEST

/* "name  member (words), member {words}, ..." and what is indented below it: the members, each between blanks. */
static char *documented_members(const char *event)
{
    cleanup(memory_free) char *start = memory_format("\n  %s ", event);
    const char *entry = strstr(event_documentation, start);
    cleanup(text_clear) struct text members = TEXT_INIT;
    text_append(&members, " ");
    if (entry == NULL)
        return NULL;
    entry += strlen(start);
    unsigned depth = 0;
    for (bool more = true; more; entry += entry[0] == '\n') {
        for (; *entry != '\n' && *entry != '\0'; entry++) {
            depth += *entry == '(' || *entry == '{';
            if (depth == 0)
                text_append_character(&members, *entry == ',' || *entry == ';' || *entry == ':' ? ' ' : *entry);
            depth -= *entry == ')' || *entry == '}';
        }
        text_append(&members, " ");
        more = strncmp(entry, "\n   ", 4) == 0;
    }
    return text_take(&members);
}

START_TEST(every_event_and_each_of_its_members_is_documented)
{
    static const char of_all[] = " event at ", of_tasks[] = " stage member attempt job ";
    struct lines lines = {.json = true};
    bool told[RUN_EVENT_ENDED + 1] = {false};
    play_all();
    run_maker_record(&maker, "writer", ",\"host\":\"hub\"");
    run_view_read(view, 0, append, &lines);
    for (const char *line = text_bytes(&lines.text); *line != '\0'; line += strcspn(line, "\n") + 1) {
        json_t *json = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        const char *event = json_string_value(json_object_get(json, "event")), *key;
        cleanup(memory_free) char *documented = documented_members(event);
        ck_assert_msg(documented != NULL, "event '%s' is not documented", event);
        json_t *value;
        json_object_foreach(json, key, value)
        {
            cleanup(memory_free) char *word = memory_format(" %s ", key);
            bool of_task = json_object_get(json, "stage") != NULL && strstr(of_tasks, word) != NULL;
            ck_assert_msg(of_task || strstr(of_all, word) != NULL || strstr(documented, word) != NULL,
                          "'%s' of event '%s' is not documented:%s", key, event, documented);
        }
        for (unsigned i = 1; i <= RUN_EVENT_ENDED; i++)
            told[i] = told[i] || text_equal(event, event_name((enum run_event)i));
        json_decref(json);
    }
    for (unsigned i = 1; i <= RUN_EVENT_ENDED; i++)
        ck_assert_msg(told[i], "no record of this test makes a '%s'", event_name((enum run_event)i));
    text_clear(&lines.text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {plain_lines_say_what_happened, quiet_lines_are_only_what_went_wrong_and_the_end,
                                  json_lines_hold_what_is_documented, every_event_and_each_of_its_members_is_documented,
                                  NULL};
    return suite_run("events", tests, set_up, tear_down);
}
