/* SPDX-License-Identifier: BSD-3-Clause */
/* trace.tsv and provenance.json of a run that is written in many pieces, and what `verify` says of them. */
#include "report/run_records.h"

#include <jansson.h>

#include "report/verify.h"
#include "run_maker.h"
#include "suite.h"

enum { MEMBERS = 3000, LONG_NAME = 200 };

static struct run_maker maker;

static void set_up(void)
{
    maker = run_maker_new(NULL);
}

static void tear_down(void)
{
    run_maker_free(&maker);
}

/* Members of one stage, each decided by a field of its own and with a file published. */
static void play(unsigned members)
{
    run_maker_record(&maker, "run", ",\"run\":\"r\",\"pipeline\":\"/p.yaml\",\"name\":\"sky\",\"tasks\":1");
    for (unsigned i = 0; i < members; i++) {
        cleanup(memory_free) char *key = memory_format(
            ",\"stage\":\"fit\",\"member\":\"%u\",\"key\":\"k\",\"fields\":[{\"name\":\"command\",\"value\":"
            "\"fit %0*u\"}]",
            i, LONG_NAME, i);
        cleanup(memory_free) char *intent = memory_format(
            ",\"submission\":\"s\",\"jobs\":[{\"job\":%u,\"stage\":\"fit\",\"member\":\"%u\",\"attempt\":1}]", i + 1,
            i);
        cleanup(memory_free) char *publish =
            memory_format(",\"job\":%u,\"files\":[{\"tag\":\"a\",\"path\":\"/out/%u\"}]", i + 1, i);
        cleanup(memory_free) char *verdict = memory_format(
            ",\"job\":%u,\"stage\":\"fit\",\"member\":\"%u\",\"attempt\":1,\"verdict\":\"OK\",\"reason\":\"\"", i + 1,
            i);
        run_maker_record(&maker, "key", key);
        run_maker_record(&maker, "intent", intent);
        run_maker_record(&maker, "publish", publish);
        run_maker_record(&maker, "verdict", verdict);
    }
    run_maker_record(&maker, "end", ",\"state\":\"succeeded\"");
}

static char *file_of(const char *name)
{
    return path_join(maker.folder, name);
}

START_TEST(what_is_written_in_pieces_is_one_document_with_every_task_in_order)
{
    play(MEMBERS);
    run_records_write(maker.folder, false, "test");
    cleanup(memory_free) char *path = file_of(PROVENANCE_FILE);
    json_t *json = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(json);
    const json_t *tasks = json_object_get(json, "tasks");
    ck_assert_uint_eq(json_array_size(tasks), MEMBERS);
    for (unsigned i = 0; i < MEMBERS; i++) {
        char wanted[LONG_NAME + 20];
        const json_t *task = json_array_get(tasks, i), *output = json_array_get(json_object_get(task, "outputs"), 0);
        snprintf(wanted, sizeof wanted, "fit %0*u", LONG_NAME, i);
        ck_assert_str_eq(json_string_value(json_object_get(task, "command")), wanted);
        snprintf(wanted, sizeof wanted, "/out/%u", i);
        ck_assert_str_eq(json_string_value(json_object_get(output, "path")), wanted);
    }
    json_decref(json);
    cleanup(memory_free) char *trace_path = file_of(TRACE_FILE);
    cleanup(text_clear) struct text trace = TEXT_INIT;
    ck_assert(file_read(trace_path, 64 << 20, &trace, NULL));
    unsigned lines = 0;
    for (const char *at = text_bytes(&trace); (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    ck_assert_uint_eq(lines, MEMBERS + 1);
    ck_assert_ptr_nonnull(strstr(text_bytes(&trace), "\n3000\t"));
}
END_TEST

START_TEST(a_run_without_tasks_has_records_too)
{
    run_maker_record(&maker, "run", ",\"run\":\"r\"");
    run_records_write(maker.folder, false, "test");
    cleanup(memory_free) char *path = file_of(PROVENANCE_FILE);
    json_t *json = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert(json_is_array(json_object_get(json, "tasks")));
    ck_assert_uint_eq(json_array_size(json_object_get(json, "tasks")), 0);
    json_decref(json);
}
END_TEST

static char *what_differs(void)
{
    struct error error = ERROR_INIT;
    struct verified verified;
    cleanup(run_view_free) struct run_view *view = run_view_open(maker.folder, 0, NULL);
    run_view_read(view, 0, NULL, NULL);
    char *said =
        verify_run(view, "test", &verified, &error) ? memory_copy_text("nothing") : memory_copy_text(error.message);
    error_clear(&error);
    return said;
}

#define expect_difference(wanted)                                                                                      \
    do {                                                                                                               \
        cleanup(memory_free) char *said = what_differs();                                                              \
        ck_assert_msg(strstr(said, wanted) != NULL, "%s, not %s", said, wanted);                                       \
    } while (0)

START_TEST(verify_compares_all_pieces_and_where_they_end)
{
    play(MEMBERS);
    run_records_write(maker.folder, false, "test");
    expect_difference("nothing");
    cleanup(memory_free) char *path = file_of(PROVENANCE_FILE);
    cleanup(text_clear) struct text whole = TEXT_INIT;
    ck_assert(file_read(path, 64 << 20, &whole, NULL));
    ck_assert(file_write(path, whole.bytes, whole.length - 1, 0600, NULL));
    expect_difference("line 3007 is not what the journal says");
    text_append_character(&whole, '\n');
    ck_assert(file_write(path, whole.bytes, whole.length, 0600, NULL));
    expect_difference("line 3008 is not what the journal says");
    char *late = strstr(whole.bytes, "\"member\":\"2500\"");
    late[strlen("\"member\":\"")] = '3';
    ck_assert(file_write(path, whole.bytes, whole.length - 1, 0600, NULL));
    expect_difference("line 2507 is not what the journal says");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_is_written_in_pieces_is_one_document_with_every_task_in_order,
                                  a_run_without_tasks_has_records_too, verify_compares_all_pieces_and_where_they_end,
                                  NULL};
    return suite_run("run_records", tests, set_up, tear_down);
}
