/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of tasks that a journal leads to. */
#include "report/run_view.h"

#include <fcntl.h>
#include <string.h>

#include "run_maker.h"

static struct run_maker maker;
static struct run_view *view;

static void set_up(void)
{
    maker = run_maker_new(TWO_STAGES);
    view = run_view_open(maker.folder, RUN_VIEW_EVIDENCE, NULL);
    ck_assert_ptr_nonnull(view);
}

static void tear_down(void)
{
    run_view_free(view);
    run_maker_free(&maker);
}

static const struct task_view *task(const char *stage, const char *member)
{
    uint32_t number = run_view_task(view, stage, member);
    ck_assert_uint_ne(number, TASK_NONE);
    return &view->tasks.items[number];
}

static void read_all(void)
{
    run_view_read(view, 0, NULL, NULL);
}

START_TEST(knows_planned_tasks_before_anything_ran)
{
    read_all();
    ck_assert_uint_eq(view->tasks.count, 3);
    ck_assert_uint_eq(view->stages.count, 2);
    ck_assert_uint_eq(view->counts[TASK_PLANNED], 3);
    ck_assert_uint_eq(run_view_stage(view, "tomography")->minutes, 30);
    ck_assert(!run_view_stage(view, "tomography")->has_members);
    ck_assert(run_view_stage(view, "counts")->has_members);
    ck_assert_str_eq(run_view_state(view), "planned");
}
END_TEST

START_TEST(follows_each_task_to_its_state)
{
    run_maker_play(&maker);
    read_all();
    ck_assert_str_eq(view->run, "20261121-063000-ab3dk7");
    ck_assert_str_eq(view->name, "sky");
    const struct task_view *done = task("tomography", NULL);
    ck_assert_uint_eq(done->state, TASK_SUCCEEDED);
    ck_assert_str_eq(run_view_text(view, done->verdict), "OK");
    ck_assert_str_eq(run_view_text(view, done->host), "node1");
    ck_assert_str_eq(run_view_text(view, done->native), "77");
    ck_assert_uint_eq(done->job, 1);
    ck_assert_uint_eq(done->attempt, 1);
    ck_assert_int_eq(done->cpu_ms, 10500);
    ck_assert_uint_eq(done->peak_memory, 1073741824);
    ck_assert_int_eq(task_view_wall_ms(done, 0), 12300);
    ck_assert_str_eq(done->evidence, "[{\"witness\":\"wait\",\"exit\":0}]");
    ck_assert_uint_eq(task("counts", "g")->state, TASK_FAILED);
    ck_assert_int_eq(task("counts", "g")->exit_code, 3);
    ck_assert_uint_eq(task("counts", "r")->state, TASK_RUNNING);
    ck_assert_uint_eq(view->counts[TASK_PLANNED], 0);
    ck_assert_uint_eq(run_view_ended(view), 2);
    ck_assert_uint_eq(run_view_bad(view), 1);
    ck_assert_uint_eq(stage_view_state(run_view_stage(view, "counts")), TASK_RUNNING);
    ck_assert_str_eq(run_view_state(view), "running");
}
END_TEST

START_TEST(goes_on_where_it_stopped)
{
    run_maker_play(&maker);
    ck_assert_uint_eq(run_view_read(view, 5, NULL, NULL), 5);
    ck_assert_uint_eq(task("tomography", NULL)->state, TASK_RUNNING);
    read_all();
    ck_assert_uint_eq(task("tomography", NULL)->state, TASK_SUCCEEDED);
    ck_assert_uint_eq(run_view_read(view, 0, NULL, NULL), 0);
    run_maker_record(&maker, "end", ",\"state\":\"failed\",\"verdicts\":{}");
    ck_assert_uint_eq(run_view_read(view, 0, NULL, NULL), 1);
    ck_assert_str_eq(run_view_state(view), "failed");
}
END_TEST

/* No lease: nobody writes this run any more. Job 3 runs on by the journal; the keeper may know better. */
START_TEST(a_stopped_run_is_told_on_by_its_keeper)
{
    static const struct {
        const char *line;
        enum task_state state;
        const char *verdict;
    } cases[] = {
        {"", TASK_RUNNING, "running"},
        {"{\"at\":1795242700000,\"pid\":9,\"job\":3,\"exit\":0}\n", TASK_ENDED, "ended, exit 0"},
        {"{\"at\":1795242700000,\"pid\":9,\"job\":3,\"signal\":15}\n", TASK_ENDED, "ended, signal 15"},
        {"{\"at\":1795242700000,\"pid\":9,\"job\":77,\"exit\":0}\n", TASK_RUNNING, "running"},
        {"{\"at\":1795242700000,\"pid\":9,\"perhaps_job\":3,\"exit\":0}\n", TASK_RUNNING, "running"},
        {"{\"at\":1795242700000,\"pid\":9,\"job\":3,\"exit\":0}", TASK_RUNNING, "running"}, /* torn */
        {"nonsense\n{\"at\":1795242700000,\"job\":3,\"exit\":4}\n", TASK_ENDED, "ended, exit 4"},
        {"{\"at\":1795242700000,\"job\":2,\"exit\":0}\n", TASK_RUNNING, "running"}, /* the journal has its verdict */
    };
    run_maker_play(&maker);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(run_view_free) struct run_view *fresh = run_view_open(maker.folder, 0, NULL);
        run_maker_file(&maker, "keeper.log", cases[i].line);
        run_view_read(fresh, 0, NULL, NULL);
        run_view_look_alive(fresh);
        ck_assert(fresh->abandoned);
        const struct task_view *item = &fresh->tasks.items[run_view_task(fresh, "counts", "r")];
        cleanup(text_clear) struct text verdict = TEXT_INIT;
        run_view_append_verdict(fresh, item, &verdict);
        ck_assert_uint_eq(item->state, cases[i].state);
        ck_assert_str_eq(text_bytes(&verdict), cases[i].verdict);
        ck_assert_uint_eq(fresh->tasks.items[run_view_task(fresh, "counts", "g")].state, TASK_FAILED);
    }
}
END_TEST

struct told {
    char events[200];
    unsigned ended;
};

static void note_event(void *context, const struct run_view *of, const struct run_change *change)
{
    struct told *told = context;
    cleanup(text_clear) struct text line = TEXT_INIT;
    if (change->task != TASK_NONE)
        run_view_append_task(of, change->task, &line);
    size_t used = strlen(told->events);
    snprintf(told->events + used, sizeof told->events - used, "%d:%s ", (int)change->event, text_bytes(&line));
    told->ended += change->event == RUN_EVENT_ENDED;
}

/* Nobody writes its journal any more: what its jobs write is told as an engine would tell it, and once. */
START_TEST(who_follows_a_run_that_was_handed_over_is_told_what_its_jobs_say)
{
    static const struct {
        const char *file, *text, *events;
    } steps[] = {
        {"submissions/1/index", "0\t2\tcounts\n1\t3\tcounts\n", ""},
        {"submissions/1/outcome.0", "phase=run\nstarted=1795242700\nhost=n1\n", "6:counts/g "},
        {"submissions/1/outcome.1", "phase=end\nstarted=1795242700\nexit=0\nfinished=1795242760\nhost=n2\n",
         "6:counts/r 7:counts/r "},
        {"submissions/1/outcome.0", "phase=end\nstarted=1795242700\nexit=3\nfinished=1795242790\nhost=n1\n",
         "7:counts/g "},
        {"submissions/2/outcome.0", "phase=end\nexit=0\nfinished=1795242800\n", "13: "},
    };
    run_maker_record(&maker, "run", ",\"run\":\"20261121-063000-ab3dk7\",\"tasks\":3");
    run_maker_record(&maker, "intent",
                     ",\"submission\":1,\"jobs\":[{\"job\":2,\"stage\":\"counts\",\"member\":\"g\",\"attempt\":1},"
                     "{\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1}]");
    run_maker_record(&maker, "submitted", ",\"submission\":1,\"job\":2,\"native\":\"70_0\"");
    run_maker_record(&maker, "submitted", ",\"submission\":1,\"job\":3,\"native\":\"70_1\"");
    run_maker_record(&maker, "detached", ",\"scheduler\":\"slurm\",\"submission\":2");
    run_view_read(view, 0, NULL, NULL);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct told told = {.ended = 0};
        run_maker_file(&maker, steps[i].file, steps[i].text);
        run_view_follow(view, note_event, &told);
        run_view_follow(view, note_event, &told); /* nothing new */
        ck_assert_str_eq(told.events, steps[i].events);
    }
    ck_assert_int_eq(view->tasks.items[run_view_task(view, "counts", "g")].exit_code, 3);
}
END_TEST

START_TEST(a_retry_makes_the_task_planned_again)
{
    run_maker_play(&maker);
    run_maker_record(&maker, "ended", ",\"job\":3,\"signal\":9,\"evidence\":[],\"cpu_ms\":1,\"peak_memory\":1");
    run_maker_record(&maker, "verdict",
                     ",\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1,\"verdict\":\"OOM\",\"reason\":"
                     "\"out of memory\","
                     "\"retry\":{\"at\":1795242620000,\"reason\":\"oom\"}");
    read_all();
    ck_assert_uint_eq(task("counts", "r")->state, TASK_PLANNED);
    ck_assert_str_eq(run_view_text(view, task("counts", "r")->verdict), "OOM");
    run_maker_record(
        &maker, "intent",
        ",\"submission\":\"s3\",\"jobs\":[{\"job\":4,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":2}]");
    run_maker_record(&maker, "started", ",\"job\":4,\"host\":\"node3\"");
    /* A late word about the first attempt changes nothing. */
    run_maker_record(&maker, "ended", ",\"job\":3,\"exit\":1,\"evidence\":[]");
    run_maker_record(&maker, "verdict",
                     ",\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1,\"verdict\":\"LOST\"");
    read_all();
    ck_assert_uint_eq(task("counts", "r")->state, TASK_RUNNING);
    ck_assert_uint_eq(task("counts", "r")->attempt, 2);
    ck_assert_uint_eq(task("counts", "r")->job, 4);
    ck_assert_uint_eq(task("counts", "r")->verdict, 0);
    ck_assert_int_eq(task("counts", "r")->exit_code, -1);
}
END_TEST

/* Its image could not be had: nobody was asked to start it, so there is no intent. */
START_TEST(a_verdict_before_any_intent_counts)
{
    run_maker_record(
        &maker, "verdict",
        ",\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1,\"verdict\":\"IMAGE\",\"reason\":\"no "
        "such image\"");
    read_all();
    ck_assert_uint_eq(task("counts", "r")->state, TASK_FAILED);
    ck_assert_uint_eq(task("counts", "r")->attempt, 1);
    ck_assert_str_eq(run_view_text(view, task("counts", "r")->reason), "no such image");
}
END_TEST

START_TEST(tasks_can_end_without_a_job)
{
    static const struct {
        const char *name;
        enum task_state state;
    } cases[] = {
        {"skipped", TASK_SKIPPED}, {"cached", TASK_CACHED}, {"cancelled", TASK_CANCELLED}, {"queued", TASK_QUEUED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(memory_free) char *members = memory_format(
            ",\"stage\":\"counts\",\"member\":\"g\",\"state\":\"%s\",\"reason\":\"why %zu\"", cases[i].name, i);
        run_maker_record(&maker, "state", members);
        read_all();
        ck_assert_uint_eq(task("counts", "g")->state, cases[i].state);
    }
    ck_assert_str_eq(run_view_text(view, task("counts", "g")->reason), "why 3");
    run_maker_record(&maker, "state", ",\"stage\":\"counts\",\"member\":\"g\",\"state\":\"dancing\"");
    read_all();
    ck_assert_uint_eq(task("counts", "g")->state, TASK_QUEUED);
}
END_TEST

START_TEST(passes_over_what_it_does_not_know)
{
    run_maker_record(&maker, "dance", ",\"stage\":\"tomography\",\"state\":\"failed\"");
    run_maker_record(&maker, "verdict", ",\"job\":99,\"attempt\":1");
    run_maker_record(&maker, "started", ",\"job\":12345,\"host\":7");
    run_maker_record(&maker, "intent", ",\"jobs\":[{\"job\":-1,\"stage\":\"tomography\"},{\"job\":5},7]");
    run_maker_record(&maker, "state", ",\"stage\":{},\"state\":[]");
    read_all();
    ck_assert_uint_eq(view->records, 6);
    ck_assert_uint_eq(view->tasks.count, 3);
    ck_assert_uint_eq(view->counts[TASK_PLANNED], 3);
}
END_TEST

START_TEST(a_torn_tail_is_read_when_it_is_whole)
{
    run_maker_play(&maker);
    cleanup(memory_free) char *path = path_join(maker.folder, JOURNAL_FILE);
    cleanup(text_clear) struct text whole = TEXT_INIT;
    ck_assert(file_read(path, 1 << 20, &whole, NULL));
    size_t torn = whole.length - 20; /* in the middle of the last record */
    ck_assert_int_eq(truncate(path, (off_t)torn), 0);
    read_all();
    ck_assert_uint_eq(task("counts", "g")->state, TASK_RUNNING);
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    ck_assert(descriptor_write(descriptor, whole.bytes + torn, 20, NULL));
    close(descriptor);
    read_all();
    ck_assert_uint_eq(task("counts", "g")->state, TASK_FAILED);
    ck_assert_uint_eq(run_view_skipped(view), 0);
}
END_TEST

START_TEST(works_without_a_plan_and_before_the_journal)
{
    struct run_maker bare = run_maker_new(NULL);
    cleanup(memory_free) char *journal = path_join(bare.folder, JOURNAL_FILE);
    cleanup(memory_free) char *aside = path_join(bare.folder, "aside");
    run_maker_play(&bare);
    ck_assert_int_eq(rename(journal, aside), 0);
    struct run_view *early = run_view_open(bare.folder, 0, NULL);
    ck_assert_ptr_nonnull(early);
    ck_assert_uint_eq(run_view_read(early, 0, NULL, NULL), 0);
    ck_assert_int_eq(rename(aside, journal), 0);
    run_view_read(early, 0, NULL, NULL);
    ck_assert_uint_eq(early->tasks.count, 3);
    ck_assert_uint_eq(early->counts[TASK_RUNNING], 1);
    ck_assert_ptr_null(early->tasks.items[0].evidence);
    run_view_free(early);
    run_maker_free(&bare);
}
END_TEST

START_TEST(a_plan_that_appears_later_is_read)
{
    struct run_maker bare = run_maker_new(NULL);
    struct run_view *early = run_view_open(bare.folder, 0, NULL);
    ck_assert_uint_eq(early->tasks.count, 0);
    run_maker_file(&bare, "plan.json", TWO_STAGES);
    run_maker_record(&bare, "run", ",\"run\":\"x\",\"tasks\":3");
    run_view_read(early, 0, NULL, NULL);
    ck_assert_uint_eq(early->tasks.count, 3);
    run_view_free(early);
    run_maker_free(&bare);
}
END_TEST

START_TEST(unselected_stages_are_no_part_of_the_run)
{
    struct run_maker part = run_maker_new(
        "{\"stages\":[{\"name\":\"a\",\"members\":[],\"selected\":false},{\"name\":\"b\",\"members\":[]}]}");
    struct run_view *one = run_view_open(part.folder, 0, NULL);
    ck_assert_uint_eq(one->tasks.count, 1);
    ck_assert_ptr_null(run_view_stage(one, "a"));
    run_view_free(one);
    run_maker_free(&part);
}
END_TEST

START_TEST(an_unfinished_run_that_nobody_writes_is_stopped)
{
    run_maker_play(&maker);
    read_all();
    run_view_look_alive(view);
    ck_assert_str_eq(run_view_state(view), "stopped");
    run_maker_record(&maker, "end", ",\"state\":\"interrupted\"");
    read_all();
    run_view_look_alive(view);
    ck_assert_str_eq(run_view_state(view), "interrupted");
}
END_TEST

START_TEST(a_new_writer_reopens_an_ended_run)
{
    run_maker_play(&maker);
    run_maker_record(&maker, "request", ",\"cancel\":true,\"by\":\"ada\"");
    read_all();
    ck_assert_str_eq(run_view_state(view), "cancelling");
    ck_assert_str_eq(view->cancel_by, "ada");
    run_maker_record(&maker, "end", ",\"state\":\"interrupted\"");
    run_maker_record(&maker, "writer", ",\"host\":\"other\",\"version\":\"9\"");
    read_all();
    ck_assert_str_eq(run_view_state(view), "running");
    ck_assert_str_eq(view->host, "other");
}
END_TEST

static void note(void *context, const struct run_view *of, const struct run_change *change)
{
    struct text *seen = context;
    text_format(seen, "%d", change->event);
    if (change->task != TASK_NONE) {
        text_append(seen, ":");
        run_view_append_task(of, change->task, seen);
    }
    text_append(seen, " ");
}

START_TEST(tells_what_each_record_changed)
{
    cleanup(text_clear) struct text seen = TEXT_INIT;
    run_maker_play(&maker);
    run_view_read(view, 0, note, &seen);
    cleanup(text_clear) struct text expected = TEXT_INIT;
    text_format(&expected, "%d %d:tomography %d:tomography %d:tomography %d:counts/g %d:counts/r %d:counts/g ",
                RUN_EVENT_STARTED, RUN_EVENT_SUBMITTED, RUN_EVENT_TASK_STARTED, RUN_EVENT_TASK_ENDED,
                RUN_EVENT_TASK_STARTED, RUN_EVENT_TASK_STARTED, RUN_EVENT_TASK_ENDED);
    ck_assert_str_eq(text_bytes(&seen), text_bytes(&expected));
}
END_TEST

START_TEST(a_job_is_its_task_s_as_long_as_no_other_attempt_follows)
{
    run_maker_play(&maker);
    run_view_read(view, 0, NULL, NULL);
    uint32_t task = run_view_task(view, "counts", "g");
    ck_assert_uint_eq(run_view_task_of_job(view, 2), task);
    ck_assert_uint_eq(run_view_task_of_job(view, 9), TASK_NONE);
    ck_assert_uint_eq(run_view_task_of_job(view, 0), TASK_NONE);
    run_maker_record(
        &maker, "intent",
        ",\"submission\":\"s3\",\"jobs\":[{\"job\":9,\"stage\":\"counts\",\"member\":\"g\",\"attempt\":2}]");
    run_view_read(view, 0, NULL, NULL);
    ck_assert_uint_eq(run_view_task_of_job(view, 2), TASK_NONE);
    ck_assert_uint_eq(run_view_task_of_job(view, 9), task);
}
END_TEST

START_TEST(a_clock_that_was_set_back_makes_no_time_negative)
{
    static const struct {
        int64_t started, finished, now, wall;
    } cases[] = {
        {0, 0, 900, -1}, {1000, 3000, 9000, 2000}, {1000, 400, 9000, 0}, {1000, 0, 1500, 500}, {1000, 0, 400, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct run_view run = {.started_at_ms = cases[i].started, .finished_at_ms = cases[i].finished};
        ck_assert_int_eq(run_view_wall_ms(&run, cases[i].now), cases[i].wall);
    }
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_an_error)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_ptr_null(run_view_open("/nonexistent/run", 0, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent/run"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_view");
    TCase *tests = tcase_create("run_view");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, knows_planned_tasks_before_anything_ran);
    tcase_add_test(tests, follows_each_task_to_its_state);
    tcase_add_test(tests, goes_on_where_it_stopped);
    tcase_add_test(tests, a_stopped_run_is_told_on_by_its_keeper);
    tcase_add_test(tests, who_follows_a_run_that_was_handed_over_is_told_what_its_jobs_say);
    tcase_add_test(tests, a_retry_makes_the_task_planned_again);
    tcase_add_test(tests, a_verdict_before_any_intent_counts);
    tcase_add_test(tests, tasks_can_end_without_a_job);
    tcase_add_test(tests, passes_over_what_it_does_not_know);
    tcase_add_test(tests, a_torn_tail_is_read_when_it_is_whole);
    tcase_add_test(tests, works_without_a_plan_and_before_the_journal);
    tcase_add_test(tests, a_plan_that_appears_later_is_read);
    tcase_add_test(tests, unselected_stages_are_no_part_of_the_run);
    tcase_add_test(tests, an_unfinished_run_that_nobody_writes_is_stopped);
    tcase_add_test(tests, a_new_writer_reopens_an_ended_run);
    tcase_add_test(tests, tells_what_each_record_changed);
    tcase_add_test(tests, a_job_is_its_task_s_as_long_as_no_other_attempt_follows);
    tcase_add_test(tests, a_clock_that_was_set_back_makes_no_time_negative);
    tcase_add_test(tests, a_folder_that_is_not_there_is_an_error);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
