/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes of a run that end when they should not, and people who end them: who knows what afterwards. */
#include "run_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "run/journal/run_folder.h"

#define WAITING "while [ ! -e ../../../../../gate ]; do sleep 0.01; done"

static const char *folder_of_run;

static bool all_started(void *context)
{
    const unsigned *wanted = context;
    return count_records(folder_of_run, "started", "", NULL) >= *wanted;
}

/* Starts a run of these sections and waits until so many stages run. */
static void start_waiting(const char *stages, const char *sections, const struct run_setup *setup, unsigned running,
                          struct run_front *front)
{
    write_pipeline(stages, sections);
    start_run(setup, front);
    ck_assert_int_eq(next_news(front), RUN_FOLDER);
    folder_of_run = front->folder;
    ck_assert_msg(eventually(all_started, &running), "the stages did not start");
}

static pid_t engine_pid(const char *folder)
{
    char *writer = NULL;
    ck_assert_uint_eq(count_records(folder, "writer", "", &writer), 1);
    pid_t pid = (pid_t)strtol(strstr(writer, "\"pid\":") + 6, NULL, 10);
    memory_free(writer);
    ck_assert_int_gt(pid, 1);
    return pid;
}

static void open_gate(void)
{
    ck_assert(file_write("work/gate", "", 0, 0600, NULL));
}

static const struct run_setup on_local = {.scheduler = "local"};

START_TEST(keeper_knows_how_each_ended_when_the_engine_was_killed)
{
    static const struct {
        const char *stage, *script, *expected;
    } ends[] = {{"a", "exit 0", "\"job\":1,\"exit\":0}"},
                {"a", "exit 7", "\"job\":1,\"exit\":7}"},
                {"a", "kill -9 $$$$", "\"job\":1,\"signal\":9}"}};
    cleanup(text_clear) struct text section = TEXT_INIT;
    text_format(&section, "a: {command: [sh, -c, '" WAITING "; %s']}\n", ends[_i].script);
    struct run_front front;
    start_waiting("a", section.bytes, &on_local, 1, &front);
    ck_assert_int_eq(kill(engine_pid(front.folder), SIGKILL), 0);
    cleanup(memory_free) char *log = path_join(front.folder, KEEPER_LOG);
    ck_assert_int_eq(next_news(&front), RUN_END);
    ck_assert_int_eq(front.exit_status, 70);
    cleanup(memory_free) char *held = read_text(log);
    ck_assert_msg(strstr(held, "\"running\":[{\"job\":1,\"pid\":") != NULL, "%s", held);
    ck_assert_msg(strstr(held, "\"exit\":") == NULL, "%s", held); /* nobody has ended yet */
    open_gate();
    ck_assert_int_eq(waitpid(front.keeper, NULL, 0), front.keeper);
    cleanup(memory_free) char *text = read_text(log);
    ck_assert_msg(strstr(text, ends[_i].expected) != NULL, "%s", text);
    ck_assert_uint_eq(count_records(front.folder, "ended", "", NULL), 0);
    run_front_clear(&front);
}
END_TEST

START_TEST(keeper_knows_how_several_ended)
{
    struct run_front front;
    start_waiting("a", "a: {command: [sh, -c, '" WAITING "; exit $DESC_RANK'], size: 3}\n",
                  &(struct run_setup){.scheduler = "local"}, 2, &front);
    ck_assert_int_eq(kill(engine_pid(front.folder), SIGKILL), 0);
    ck_assert_int_eq(next_news(&front), RUN_END);
    open_gate();
    ck_assert_int_eq(waitpid(front.keeper, NULL, 0), front.keeper);
    cleanup(memory_free) char *log = path_join(front.folder, KEEPER_LOG);
    cleanup(memory_free) char *text = read_text(log);
    for (unsigned job = 1; job <= 3; job++) {
        cleanup(memory_free) char *started = memory_format("\"job\":%u,", job);
        if (count_records(front.folder, "started", started, NULL) == 0)
            continue; /* two have room, whichever those are */
        cleanup(memory_free) char *expected = memory_format("\"job\":%u,\"exit\":%u}", job, job - 1);
        ck_assert_msg(strstr(text, expected) != NULL, "no %s in %s", expected, text);
    }
    run_front_clear(&front);
}
END_TEST

START_TEST(an_engine_that_lost_its_lease_writes_no_more)
{
    struct run_front front;
    start_waiting("a", "a: {command: [sh, -c, '" WAITING "']}\n", &on_local, 1, &front);
    cleanup(memory_free) char *path = path_join(front.folder, "lease");
    static const char other[] =
        "descpipe-lease 1\nhost elsewhere\nboot b00t\npids pid:[1]\npid 7\nstart 7\nepoch 9\nrun \n";
    ck_assert(file_write(path, other, strlen(other), 0644, NULL));
    cleanup(memory_free) char *journal = path_join(front.folder, JOURNAL_FILE);
    cleanup(memory_free) char *before = read_text(journal);
    ck_assert_int_eq(next_news(&front), RUN_END);
    ck_assert_int_eq(front.exit_status, 6);
    cleanup(memory_free) char *after = read_text(journal);
    ck_assert_str_eq(after, before);
    cleanup(memory_free) char *lease = read_text(path);
    ck_assert_str_eq(lease, other);
    open_gate(); /* its stage goes on under the keeper */
    ck_assert_int_eq(waitpid(front.keeper, NULL, 0), front.keeper);
    cleanup(memory_free) char *log = path_join(front.folder, KEEPER_LOG);
    cleanup(memory_free) char *text = read_text(log);
    ck_assert_ptr_nonnull(strstr(text, "\"job\":1,\"exit\":0}"));
    run_front_clear(&front);
}
END_TEST

START_TEST(the_next_run_takes_over_from_a_killed_engine)
{
    struct run_front front;
    start_waiting("a", "a: {command: [sh, -c, '" WAITING "']}\n", &on_local, 1, &front);
    ck_assert_int_eq(kill(engine_pid(front.folder), SIGKILL), 0);
    ck_assert_int_eq(next_news(&front), RUN_END);
    open_gate();
    ck_assert_int_eq(waitpid(front.keeper, NULL, 0), front.keeper);
    run_front_clear(&front);
    char *folder = NULL;
    ck_assert_int_eq(run_all(&on_local, &folder), 0);
    memory_free(folder);
}
END_TEST

START_TEST(first_interrupt_cancels_what_runs)
{
    struct run_front front;
    start_waiting("a, b", "a: {command: [sh, -c, '" WAITING "']}\nb: {command: ['true'], depends-on: [a]}\n", &on_local,
                  1, &front);
    ck_assert(run_front_send(&front, RUN_CANCEL));
    char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 7);
    expect_verdict(folder, "a", "CANCELLED", "cancelled");
    ck_assert_uint_eq(count_records(folder, "request", "\"cancel\":true,\"by\":\"interrupt\"", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "state", "\"stage\":\"b\"", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "end", "\"state\":\"cancelled\"", NULL), 1);
    expect_sound(folder);
    memory_free(folder);
}
END_TEST

START_TEST(an_interrupt_reaches_what_waits_in_the_scheduler)
{
    struct run_front front;
    start_waiting("a", "a: {command: [sh, -c, '" WAITING "'], size: 50}\n",
                  &(struct run_setup){.scheduler = _i == 0 ? "sequential" : "local"}, 1, &front);
    ck_assert(run_front_send(&front, RUN_CANCEL));
    char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 7);
    char *end = NULL;
    ck_assert_uint_eq(count_records(folder, "end", "\"state\":\"cancelled\"", &end), 1);
    ck_assert_ptr_nonnull(strstr(end, "\"succeeded\":0,\"failed\":0,\"cancelled\":50,\"skipped\":0"));
    memory_free(end);
    memory_free(folder);
}
END_TEST

START_TEST(second_interrupt_kills_at_once)
{
    struct run_front front;
    start_waiting("a", "a: {command: [sh, -c, 'trap \"\" TERM; touch ../../../../../ready; " WAITING "']}\n", &on_local,
                  1, &front);
    cleanup(memory_free) char *ready = path_join(base, "work/ready");
    ck_assert(eventually(file_is_there, ready));
    ck_assert(run_front_send(&front, RUN_CANCEL));
    ck_assert(run_front_send(&front, RUN_CANCEL));
    char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 130);
    expect_verdict(folder, "a", "CANCELLED", "cancelled");
    memory_free(folder);
}
END_TEST

START_TEST(a_request_in_the_run_folder_cancels)
{
    struct run_front front;
    start_waiting("a", "a: {command: [sh, -c, '" WAITING "']}\n", &on_local, 1, &front);
    cleanup(memory_free) char *request = path_join(front.folder, RUN_CANCEL_FILE);
    ck_assert(file_write(request, "", 0, 0600, NULL));
    char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 7);
    expect_verdict(folder, "a", "CANCELLED", "cancelled");
    ck_assert_uint_eq(count_records(folder, "request", "\"cancel\":true,\"by\":\"request\"", NULL), 1);
    memory_free(folder);
}
END_TEST

/* 0: the front asks. 1: it ends without a word. 2: the engine gets SIGTERM. 3: interrupted, and told to leave then. */
START_TEST(leaving_lets_stages_go_on_under_the_keeper)
{
    struct run_front front;
    struct run_setup setup = {.scheduler = "local",
                              .on_interrupt = _i == 3 ? ON_INTERRUPT_LEAVE : ON_INTERRUPT_DEFAULT};
    start_waiting("a", "a: {command: [sh, -c, '" WAITING "; exit 9']}\n", &setup, 1, &front);
    cleanup(memory_free) char *folder = memory_copy_text(front.folder);
    pid_t engine = engine_pid(folder);
    if (_i == 0)
        ck_assert(run_front_send(&front, RUN_LEAVE));
    else if (_i == 1)
        close(front.socket);
    else if (_i == 2)
        ck_assert_int_eq(kill(engine, SIGTERM), 0);
    else
        ck_assert(run_front_send(&front, RUN_CANCEL));
    if (_i != 1) {
        ck_assert_int_eq(next_news(&front), RUN_END);
        ck_assert_int_eq(front.exit_status, 7);
    } else {
        int64_t end = clock_monotonic_ms() + PATIENCE_MS;
        while (kill(engine, 0) == 0 && clock_monotonic_ms() < end)
            poll(NULL, 0, 5);
    }
    ck_assert_uint_eq(count_records(folder, "request", "\"leave\":true", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "end", "", NULL), 0);
    open_gate();
    ck_assert_int_eq(waitpid(front.keeper, NULL, 0), front.keeper);
    cleanup(memory_free) char *log = path_join(folder, KEEPER_LOG);
    cleanup(memory_free) char *text = read_text(log);
    ck_assert_msg(strstr(text, "\"job\":1,\"exit\":9}") != NULL, "%s", text);
    expect_sound(folder);
}
END_TEST

START_TEST(random_kills_lose_no_exit_status)
{
    /* Many short stages, the engine killed in the middle: each that started is in the journal or in the keeper's log.
     */
    write_pipeline("a", "a: {command: [sh, -c, 'exit $(($DESC_RANK % 7))'], size: 400}\n");
    struct run_front front;
    start_run(&(struct run_setup){.scheduler = "local", .keep_going = true}, &front);
    ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    folder_of_run = front.folder;
    unsigned wanted = 20 + 30 * (unsigned)_i;
    ck_assert(eventually(all_started, &wanted));
    ck_assert_int_eq(kill(engine_pid(front.folder), SIGKILL), 0);
    ck_assert_int_eq(waitpid(front.keeper, NULL, 0), front.keeper);
    cleanup(memory_free) char *log = path_join(front.folder, KEEPER_LOG);
    char *kept = file_exists(log) ? read_text(log) : memory_copy_text("");
    struct journal_reader *reader = journal_reader_open(front.folder, NULL);
    struct journal_record record;
    unsigned started = 0;
    while (journal_reader_next(reader, &record)) {
        if (strcmp(record.kind, "started") != 0)
            continue;
        started++;
        long job = strtol(strstr(record.line, "\"job\":") + 6, NULL, 10);
        cleanup(memory_free) char *in_journal = memory_format("\"job\":%ld,\"exit\":%ld,", job, (job - 1) % 7);
        cleanup(memory_free) char *in_log = memory_format("\"job\":%ld,\"exit\":%ld}", job, (job - 1) % 7);
        ck_assert_msg(count_records(front.folder, "ended", in_journal, NULL) == 1 || strstr(kept, in_log) != NULL,
                      "job %ld is nowhere; the keeper's log: %s", job, kept);
    }
    ck_assert_uint_ge(started, wanted);
    journal_reader_close(reader);
    memory_free(kept);
    run_front_clear(&front);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("process faults");
    TCase *cases = tcase_create("process faults");
    tcase_add_checked_fixture(cases, fixture_set_up, fixture_tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, keeper_knows_how_each_ended_when_the_engine_was_killed, 0, 3);
    tcase_add_test(cases, keeper_knows_how_several_ended);
    tcase_add_test(cases, an_engine_that_lost_its_lease_writes_no_more);
    tcase_add_test(cases, the_next_run_takes_over_from_a_killed_engine);
    tcase_add_test(cases, first_interrupt_cancels_what_runs);
    tcase_add_loop_test(cases, an_interrupt_reaches_what_waits_in_the_scheduler, 0, 2);
    tcase_add_test(cases, second_interrupt_kills_at_once);
    tcase_add_test(cases, a_request_in_the_run_folder_cancels);
    tcase_add_loop_test(cases, leaving_lets_stages_go_on_under_the_keeper, 0, 4);
    tcase_add_loop_test(cases, random_kills_lose_no_exit_status, 0, 4);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
