/* SPDX-License-Identifier: BSD-3-Clause */
/* What an earlier engine left on record: its journal, its keepers' words, the evidence of ends. */
#include "run/journal/history.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "run/journal/evidence.h"
#include "run/journal/journal.h"
#include "run/journal/keeper_log.h"
#include "run/keeper.h"

static char folder[] = "/tmp/descpipe-history-XXXXXX";

static void set_up(void)
{
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void)
{
    ck_assert(folder_remove(folder, NULL));
}

static void append(struct journal *journal, const char *kind, const char *members)
{
    text_append(journal_begin(journal, kind), members);
    journal_end(journal);
}

START_TEST(each_task_stands_where_its_last_attempt_stood)
{
    struct error error = ERROR_INIT;
    struct journal *journal = journal_open(folder, 1, "0", &error);
    ck_assert_ptr_nonnull(journal);
    append(journal, "keeper", ",\"pid\":77,\"start\":5");
    append(journal, "intent",
           ",\"submission\":3,\"first\":1,\"jobs\":[{\"job\":1,\"outcome\":\"o\"},{\"job\":2},{\"job\":3}]");
    append(journal, "started", ",\"job\":1,\"pid\":9,\"session_start\":8");
    append(journal, "started", ",\"job\":2,\"native\":\"n\"");
    append(journal, "ended",
           ",\"job\":2,\"exit\":0,\"evidence\":[{\"witness\":\"w\",\"exit\":0}],\"started_at\":4,\"finished_at\":5");
    append(journal, "verdict", ",\"job\":3,\"attempt\":1,\"verdict\":\"OOM\",\"retry\":{\"at\":99}");
    append(journal, "intent", ",\"submission\":4,\"jobs\":[{\"job\":8},{\"job\":4}]");
    append(journal, "verdict", ",\"job\":3,\"verdict\":\"OK\""); /* of the attempt before */
    append(journal, "publish", ",\"job\":4,\"files\":[{\"path\":\"p\",\"bytes\":1}]");
    append(journal, "verdict", ",\"job\":4,\"verdict\":\"OK\"");
    append(journal, "verdict", ",\"job\":5,\"attempt\":3,\"verdict\":\"IMAGE\""); /* which nobody announced */
    append(journal, "verdict", ",\"job\":0,\"verdict\":\"OK\"");
    append(journal, "intent", ",\"submission\":1,\"first\":4000000000,\"jobs\":[{\"job\":11}]"); /* no such place */
    journal_close(journal);
    struct history *history = history_read(folder, 5, &error);
    ck_assert_ptr_nonnull(history);
    const struct history_task *tasks = history->tasks;
    ck_assert_uint_eq(history->serial, 4);
    ck_assert_uint_eq(history->writers.count, 1);
    ck_assert_int_eq(history->writers.items[0].keeper, 77);
    ck_assert_uint_eq(tasks[0].step, HISTORY_STARTED);
    ck_assert_int_eq(tasks[0].session, 9);
    ck_assert_uint_eq(tasks[0].position, 1);
    ck_assert_str_eq(tasks[0].outcome, "o");
    ck_assert_uint_eq(tasks[1].step, HISTORY_ENDED);
    ck_assert_str_eq(tasks[1].native, "n");
    ck_assert_ptr_nonnull(tasks[1].evidence);
    ck_assert_uint_eq(tasks[2].step, HISTORY_INTENDED); /* its second attempt */
    ck_assert_uint_eq(tasks[2].job, 8);
    ck_assert_uint_eq(tasks[2].out_of_memory, 1);
    ck_assert_uint_eq(tasks[3].step, HISTORY_OK);
    ck_assert_ptr_nonnull(tasks[3].files);
    ck_assert_uint_eq(tasks[4].step, HISTORY_OVER);
    ck_assert_uint_eq(tasks[4].attempt, 3);
    ck_assert_uint_eq(tasks[2].attempt, 0); /* that of the attempt before is not its own */
    history_free(history);
}
END_TEST

/* A chain's links are no tries that ask for more time, and any later attempt goes on from the last one. */
START_TEST(the_last_checkpoint_outlives_what_came_after_it)
{
    struct error error = ERROR_INIT;
    struct journal *journal = journal_open(folder, 1, "0", &error);
    ck_assert_ptr_nonnull(journal);
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        cleanup(memory_free) char *intent =
            memory_format(",\"submission\":%u,\"jobs\":[{\"job\":%u}]", attempt, attempt);
        cleanup(memory_free) char *verdict =
            memory_format(",\"job\":%u,\"attempt\":%u,\"verdict\":\"%s\"%s,\"retry\":{\"at\":9}", attempt, attempt,
                          attempt < 3 ? "TIMEOUT" : "NODE_FAIL", attempt < 3 ? ",\"checkpoint\":true" : "");
        append(journal, "intent", intent);
        append(journal, "verdict", verdict);
    }
    append(journal, "intent", ",\"submission\":4,\"jobs\":[{\"job\":4}]");
    append(journal, "started", ",\"job\":4,\"pid\":9");
    journal_close(journal);
    struct history *history = history_read(folder, 1, &error);
    ck_assert_ptr_nonnull(history);
    ck_assert_uint_eq(history->tasks[0].job, 4);
    ck_assert_uint_eq(history->tasks[0].links, 2);
    ck_assert_uint_eq(history->tasks[0].checkpoint, 2);
    ck_assert_uint_eq(history->tasks[0].timed_out, 0);
    history_free(history);
}
END_TEST

START_TEST(a_keepers_words_count_when_the_line_is_whole)
{
    cleanup(memory_free) char *path = path_join(folder, KEEPER_LOG);
    static const char lines[] =
        "{\"at\":1,\"keeper\":7,\"running\":[{\"job\":2,\"pid\":31,\"start\":4},{\"job\":3,\"pid\":0}]}\n"
        "no line\n\n[1]\n{\"at\":2,\"pid\":31,\"job\":2,\"exit\":6}\n"
        "{\"at\":2,\"pid\":32,\"job\":3,\"signal\":9}\n{\"at\":3,\"job\":4,\"ex";
    ck_assert(file_write(path, lines, strlen(lines), 0600, NULL));
    struct keeper_log log;
    keeper_log_open(&log, folder);
    keeper_log_read(&log);
    ck_assert(keeper_log_knows(&log, 7) && !keeper_log_knows(&log, 8));
    ck_assert_int_eq(keeper_log_child(&log, 2)->pid, 31);
    ck_assert_int_eq(keeper_log_child(&log, 3)->pid, 0);
    ck_assert_ptr_null(keeper_log_child(&log, 4));
    ck_assert_int_eq(keeper_log_end(&log, 2)->exit_code, 6);
    ck_assert_int_eq(keeper_log_end(&log, 3)->signal, 9);
    ck_assert_ptr_null(keeper_log_end(&log, 4));
    FILE *more = fopen(path, "ae");
    fputs("it\":0}\n", more);
    fclose(more);
    keeper_log_read(&log);
    ck_assert_int_eq(keeper_log_end(&log, 4)->exit_code, 0);
    keeper_log_clear(&log);
}
END_TEST

START_TEST(evidence_comes_back_as_it_was_written)
{
    const struct descpipe_ending endings[] = {{.size = sizeof endings[0],
                                               .flags = DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_OUT_OF_MEMORY,
                                               .exit_code = 137,
                                               .witness = "wait",
                                               .host = "n1",
                                               .reason = "why",
                                               .peak_memory = 5,
                                               .cpu_ms = 6},
                                              {.size = sizeof endings[0],
                                               .flags = DESCPIPE_ENDED_SIGNALLED | DESCPIPE_ENDED_LOST,
                                               .signal = 9,
                                               .witness = "w"}};
    cleanup(text_clear) struct text text = TEXT_INIT;
    evidence_append(&text, endings, 2);
    cleanup(arena_free) struct arena *arena = arena_new();
    struct descpipe_ending back[2];
    ck_assert_uint_eq(evidence_read(strchr(text.bytes, '['), arena, back, 2), 2);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(back[i].flags, endings[i].flags);
        ck_assert_int_eq(back[i].exit_code, endings[i].exit_code);
        ck_assert_int_eq(back[i].signal, endings[i].signal);
        ck_assert_str_eq(back[i].witness, endings[i].witness);
        ck_assert_uint_eq(back[i].peak_memory, endings[i].peak_memory);
        ck_assert_uint_eq(back[i].cpu_ms, endings[i].cpu_ms);
    }
    ck_assert_str_eq(back[0].reason, "why");
    ck_assert_ptr_null(back[1].host);
    ck_assert_uint_eq(evidence_read("[{}", arena, back, 2), 0);
    ck_assert_uint_eq(evidence_read("[{},{},{}]", arena, back, 2), 2); /* no more than there is room for */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tests = tcase_create("history");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, each_task_stands_where_its_last_attempt_stood);
    tcase_add_test(tests, the_last_checkpoint_outlives_what_came_after_it);
    tcase_add_test(tests, a_keepers_words_count_when_the_line_is_whole);
    tcase_add_test(tests, evidence_comes_back_as_it_was_written);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
