/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine on real runs: front, keeper, engine, and the plugins of this build. */
#include "run_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "run/journal/lease.h"
#include "run/journal/run_folder.h"

#define TWO_STAGES                                                                                                     \
    "first: {command: [sh, -c, 'echo one > $DESC_OUTPUT/x.txt'], outputs: {x: txt}}\n"                                 \
    "second: {command: [sh, -c, 'cat $DESC_INPUT/x.txt > $DESC_OUTPUT/y.txt; echo two >> $DESC_OUTPUT/y.txt'], "       \
    "inputs: {x: txt}, outputs: {y: txt}}\n"

static const char *const schedulers[] = {"sequential", "local"};

START_TEST(runs_stages_in_order_and_publishes_what_they_write)
{
    write_pipeline("second, first", TWO_STAGES);
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = schedulers[_i]}, &folder), 0);
    expect_verdict(folder, "first", "OK", "done");
    expect_verdict(folder, "second", "OK", "done");
    expect_sound(folder);
    cleanup(memory_free) char *result = read_text("out/y.txt");
    ck_assert_str_eq(result, "one\ntwo\n");
    cleanup(memory_free) char *data = read_text("work/data/x.txt");
    ck_assert_str_eq(data, "one\n");
    cleanup(memory_free) char *input = read_text("work/second/input/x.txt");
    ck_assert_str_eq(input, "one\n");
    cleanup(memory_free) char *won = read_text("work/second/output/y.txt");
    ck_assert_str_eq(won, "one\ntwo\n");
    char *end = NULL;
    ck_assert_uint_eq(count_records(folder, "end", "\"state\":\"succeeded\"", &end), 1);
    ck_assert_ptr_nonnull(strstr(end, "\"verdicts\":{\"OK\":2}"));
    memory_free(end);
    cleanup(memory_free) char *plan = path_join(folder, "plan.json");
    ck_assert(file_exists(plan));
    struct stat status;
    ck_assert_int_eq(stat(folder, &status), 0);
    ck_assert_int_eq(status.st_mode & 07777, 0700);
    enum lease_state state;
    struct lease_holder holder;
    ck_assert(lease_look(folder, &state, &holder, NULL));
    ck_assert_int_eq(state, LEASE_FREE);
    memory_free(folder);
}
END_TEST

START_TEST(each_record_comes_before_the_act_it_announces)
{
    write_pipeline("first, second", TWO_STAGES);
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "sequential"}, &folder), 0);
    static const char *const kinds[] = {"writer",  "keeper",  "run",       "key",     "intent", "started",
                                        "ended",   "publish", "published", "verdict", "key",    "intent",
                                        "started", "ended",   "publish",   "published", "verdict", "end"};
    struct journal_reader *reader = journal_reader_open(folder, NULL);
    struct journal_record record;
    size_t next = 0;
    while (journal_reader_next(reader, &record)) {
        if (strcmp(record.kind, "image") == 0)
            continue;
        ck_assert_uint_lt(next, sizeof kinds / sizeof *kinds);
        ck_assert_str_eq(record.kind, kinds[next]);
        next++;
    }
    ck_assert_uint_eq(next, sizeof kinds / sizeof *kinds);
    journal_reader_close(reader);
    memory_free(folder);
}
END_TEST

START_TEST(bad_pipeline_file_makes_no_run)
{
    write_pipeline("first", "first: {command: [true], inputs: {nobody-makes-it: txt}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 2);
    ck_assert_ptr_null(folder);
    ck_assert(!file_exists("work"));
}
END_TEST

START_TEST(a_failure_stops_new_stages_but_not_running_ones)
{
    write_pipeline("bad, slow, after-bad, after-slow",
                   "bad: {command: [sh, -c, 'while [ ! -e ../../../../../started ]; do :; done; exit 3']}\n"
                   "slow: {command: [sh, -c, 'touch ../../../../../started; read x < ../../../../../gate']}\n"
                   "after-bad: {command: ['true'], depends-on: [bad]}\n"
                   "after-slow: {command: ['true'], depends-on: [slow]}\n");
    ck_assert_int_eq(mkdir("work", 0755), 0);
    ck_assert_int_eq(mkfifo("work/gate", 0600), 0);
    struct run_front front;
    start_run(&(struct run_setup){.scheduler = "local"}, &front);
    ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    int descriptor = open("work/gate", O_RDWR | O_CLOEXEC); /* `slow` waits in its open until somebody writes */
    ck_assert_int_ge(descriptor, 0);
    int64_t end = clock_monotonic_ms() + PATIENCE_MS;
    while (count_records(front.folder, "verdict", "\"stage\":\"bad\"", NULL) == 0 && clock_monotonic_ms() < end)
        poll(NULL, 0, 5);
    ck_assert_int_eq(write(descriptor, "go\n", 3), 3);
    char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 5);
    close(descriptor);
    expect_verdict(folder, "bad", "EXIT", "exit status 3");
    expect_verdict(folder, "slow", "OK", "done");
    ck_assert_uint_eq(count_records(folder, "state",
                                    "\"stage\":\"after-bad\",\"state\":\"skipped\",\"reason\":\"because 'bad' failed\"",
                                    NULL),
                      1);
    ck_assert_uint_eq(count_records(folder, "state", "\"stage\":\"after-slow\",\"state\":\"skipped\"", NULL), 1);
    memory_free(folder);
}
END_TEST

START_TEST(keep_going_runs_all_that_does_not_depend_on_the_failure)
{
    write_pipeline("bad, good, after-bad, after-good, after-both",
                   "bad: {command: ['false']}\ngood: {command: ['true']}\n"
                   "after-bad: {command: ['true'], depends-on: [bad]}\n"
                   "after-good: {command: ['true'], depends-on: [good]}\n"
                   "after-both: {command: ['true'], depends-on: [after-bad, after-good]}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = schedulers[_i], .keep_going = true}, &folder), 5);
    expect_verdict(folder, "bad", "EXIT", "exit status 1");
    expect_verdict(folder, "good", "OK", "done");
    expect_verdict(folder, "after-good", "OK", "done");
    ck_assert_uint_eq(count_records(folder, "verdict", "\"stage\":\"after-b", NULL), 0);
    ck_assert_uint_eq(count_records(folder, "state", "\"state\":\"skipped\"", NULL), 2);
    memory_free(folder);
}
END_TEST

START_TEST(retries_for_the_reasons_that_are_named)
{
    write_pipeline("flaky, other",
                   "flaky: {command: [sh, -c, 'n=$(cat ../../../../../n 2>/dev/null || echo 0); echo $((n + 1)) > "
                   "../../../../../n; [ $n = 2 ] || exit 75'], "
                   "retries: {limit: 3, on: ['exit:75'], backoff: 10ms}}\n"
                   "other: {command: [sh, -c, 'exit 74'], retries: {limit: 3, on: ['exit:75'], backoff: 10ms}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.keep_going = true}, &folder), 5);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"stage\":\"flaky\"", NULL), 3);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"retry\":{\"at\":", NULL), 2);
    expect_verdict(folder, "flaky", "OK", "done");
    ck_assert_uint_eq(count_records(folder, "verdict", "\"stage\":\"other\"", NULL), 1);
    memory_free(folder);
}
END_TEST

START_TEST(retries_end_at_their_limit)
{
    write_pipeline("bad", "bad: {command: ['false'], retries: {limit: 2, on: [fail], backoff: 5ms}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 5);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"EXIT\"", NULL), 3);
    ck_assert_uint_eq(count_records(folder, "started", "", NULL), 3);
    memory_free(folder);
}
END_TEST

START_TEST(members_run_each_with_its_own_values)
{
    write_pipeline("each, all",
                   "each: {command: [sh, -c, 'echo $DESC_EACH_BAND > $DESC_OUTPUT/x.txt'], outputs: {x: txt}, "
                   "foreach: {band: [g, r, i]}}\n"
                   "all: {command: [sh, -c, 'cat $DESC_INPUT/x/*.txt > $DESC_OUTPUT/y.txt'], inputs: {x: txt}, "
                   "outputs: {y: txt}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = schedulers[_i]}, &folder), 0);
    cleanup(memory_free) char *result = read_text("out/y.txt");
    ck_assert_str_eq(result, "g\ni\nr\n");
    cleanup(memory_free) char *one = read_text("work/data/x/r.txt");
    ck_assert_str_eq(one, "r\n");
    cleanup(memory_free) char *won = read_text("work/each/r/output/x.txt");
    ck_assert_str_eq(won, "r\n");
    ck_assert_uint_eq(count_records(folder, "verdict", "\"stage\":\"each\",\"member\":", NULL), 3);
    memory_free(folder);
}
END_TEST

#define PERIOD_AND_FOLD                                                                                                \
    "period: {command: [sh, -c, '[ $DESC_EACH_BAND = g ] || read x < ../../../../../../gate; "                         \
    "echo $DESC_EACH_BAND > $DESC_OUTPUT/x.txt'], outputs: {x: txt}, foreach: {band: [g, r]}}\n"                       \
    "fold: {command: [sh, -c, 'cp $DESC_INPUT/x.txt $DESC_OUTPUT/y.txt'], inputs: {x: txt}, outputs: {y: txt}, "       \
    "foreach: {band: [r, g]}}\n"                                                                                       \
    "all: {command: [sh, -c, 'cat $DESC_INPUT/y/*.txt > $DESC_OUTPUT/z.txt'], inputs: {y: txt}, outputs: {z: txt}}\n"

struct wanted_record {
    const char *folder, *kind, *text;
};

static bool record_is_there(void *context)
{
    const struct wanted_record *wanted = context;
    return count_records(wanted->folder, wanted->kind, wanted->text, NULL) > 0;
}

START_TEST(a_member_waits_for_its_own_member_only)
{
    write_pipeline("period, fold, all", PERIOD_AND_FOLD);
    ck_assert_int_eq(mkdir("work", 0755), 0);
    ck_assert_int_eq(mkfifo("work/gate", 0600), 0);
    struct run_front front;
    start_run(&(struct run_setup){.scheduler = "local"}, &front);
    ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    struct wanted_record wanted = {front.folder, "verdict", "\"stage\":\"fold\",\"member\":\"g\""};
    ck_assert(eventually(record_is_there, &wanted));
    ck_assert_uint_eq(count_records(front.folder, "verdict", "\"stage\":\"period\"", NULL), 1);
    ck_assert_uint_eq(count_records(front.folder, "intent", "\"stage\":\"fold\",\"member\":\"r\"", NULL), 0);
    int descriptor = open("work/gate", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(write(descriptor, "go\n", 3), 3);
    ck_assert_int_eq(finish_run(&front, NULL), 0);
    close(descriptor);
    cleanup(memory_free) char *result = read_text("out/z.txt");
    ck_assert_str_eq(result, "g\nr\n");
}
END_TEST

START_TEST(a_member_that_fails_keeps_back_only_what_needs_it)
{
    write_pipeline("period, fold, all",
                   "period: {command: [sh, -c, '[ $DESC_EACH_BAND = g ] && echo g > $DESC_OUTPUT/x.txt'], "
                   "outputs: {x: txt}, foreach: {band: [r, g]}}\n"
                   "fold: {command: [sh, -c, 'cp $DESC_INPUT/x.txt $DESC_OUTPUT/y.txt'], inputs: {x: txt}, "
                   "outputs: {y: txt}, foreach: {band: [g, r]}}\n"
                   "all: {command: ['true'], inputs: {y: txt}}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = schedulers[_i], .keep_going = true}, &folder), 5);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"stage\":\"fold\",\"member\":\"g\"", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "state", "\"stage\":\"fold\",\"member\":\"r\",\"state\":\"skipped\"", NULL),
                      1);
    ck_assert_uint_eq(count_records(folder, "state", "\"stage\":\"all\",\"state\":\"skipped\"", NULL), 1);
    ck_assert_uint_eq(count_records(folder, "end", "\"succeeded\":2,\"failed\":1,\"cancelled\":0,\"skipped\":2", NULL),
                      1);
    memory_free(folder);
}
END_TEST

START_TEST(an_input_of_the_wrong_type_is_a_verdict)
{
    write_pipeline("a, b, c", "a: {command: [sh, -c, 'echo [] > $DESC_OUTPUT/x.json'], outputs: {x: json}, "
                              "foreach: {band: [g, r]}}\n"
                              "b: {command: [sh, -c, 'echo no > ../../../../../data/x/r.json'], depends-on: [a]}\n"
                              "c: {command: ['true'], inputs: {x: json}, depends-on: [b]}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 5);
    cleanup(memory_free) char *reason = memory_format(
        "its input 'x/r.json' (from '%s/work/data/x/r.json') is not JSON: line 1, column 2: invalid token near 'no'",
        base);
    char *record = NULL;
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"STAGE_IN\"", &record), 1);
    ck_assert_msg(strstr(record, reason) != NULL, "expected %s in %s", reason, record);
    memory_free(record);
    memory_free(folder);
}
END_TEST

START_TEST(a_named_limit_holds)
{
    write_pipeline("a", "limits: {one: 1}\n"
                        "a: {command: [sh, -c, 'mkdir ../../../../../lock && rmdir ../../../../../lock'], size: 12, "
                        "limit: one}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .keep_going = true}, &folder), 0);
    ck_assert_uint_eq(count_records(folder, "verdict", "\"verdict\":\"OK\"", NULL), 12);
    memory_free(folder);
}
END_TEST

START_TEST(only_takes_what_an_earlier_run_left)
{
    write_pipeline("first, second", TWO_STAGES);
    static const char *const only[] = {"second", NULL};
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.only = only}, &folder), 2);
    ck_assert_ptr_null(folder);
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, NULL), 0);
    ck_assert_int_eq(run_all(&(struct run_setup){.only = only}, &folder), 0);
    expect_verdict(folder, "second", "OK", "done");
    ck_assert_uint_eq(count_records(folder, "verdict", "\"stage\":\"first\"", NULL), 0);
    memory_free(folder);
}
END_TEST

#define EACH_AND_ALL(values)                                                                                           \
    "each: {command: [sh, -c, 'echo $DESC_EACH_N > $DESC_OUTPUT/x.txt; test $DESC_EACH_N != 7'], outputs: {x: txt}, "  \
    "foreach: {n: [" values "]}}\n"                                                                                    \
    "all: {command: [sh, -c, 'cat $DESC_INPUT/x/*.txt > $DESC_OUTPUT/y.txt'], inputs: {x: txt}, outputs: {y: txt}}\n"

START_TEST(a_folder_of_members_holds_those_of_this_run_only)
{
    write_pipeline("each, all", EACH_AND_ALL("1, 2, 3"));
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, NULL), 0);
    ck_assert(file_exists("out/x/3.txt"));
    write_pipeline("each, all", EACH_AND_ALL("1, 2"));
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, NULL), 0);
    cleanup(memory_free) char *result = read_text("out/y.txt");
    ck_assert_str_eq(result, "1\n2\n");
    ck_assert(!file_exists("work/all/input/x/3.txt"));
    ck_assert(file_exists("work/data/x/3.txt")); /* it may have cost days: nothing is lost */
    ck_assert(!file_exists("out/x/3.txt"));
    ck_assert(file_exists("out/x/2.txt"));
}
END_TEST

START_TEST(a_graceful_stop_waits_for_the_whole_session)
{
    /* The leader ends at once, as a launcher does; the other is not done before the leader has been reaped. */
    write_pipeline("a", "a: {command: [sh, -c, \"(trap 'while kill -0 $$; do :; done; echo saved > ../../../../saved; "
                        "exit' TERM; touch ../../../../ready; while :; do :; done) & wait\"]}\n");
    struct run_front front;
    start_run(&(struct run_setup){.scheduler = "local", .grace_ms = PATIENCE_MS}, &front);
    ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    cleanup(memory_free) char *ready = path_join(base, "work/.descpipe/ready");
    ck_assert(eventually(file_is_there, ready));
    ck_assert(run_front_send(&front, RUN_CANCEL));
    char *folder = NULL;
    ck_assert_int_eq(finish_run(&front, &folder), 7);
    expect_verdict(folder, "a", "CANCELLED", "cancelled");
    cleanup(memory_free) char *saved = read_text("work/.descpipe/saved");
    ck_assert_str_eq(saved, "saved\n");
    memory_free(folder);
}
END_TEST

START_TEST(results_of_somebody_else_stay)
{
    ck_assert(folder_make("out/x", 0755, NULL));
    ck_assert(file_write("out/x/notes.txt", "mine\n", 5, 0644, NULL));
    write_pipeline("each, all", EACH_AND_ALL("1, 2, 3"));
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, NULL), 0);
    ck_assert(file_write("out/x/3.txt", "changed\n", 8, 0644, NULL));
    write_pipeline("each, all", EACH_AND_ALL("1"));
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, NULL), 0);
    cleanup(memory_free) char *notes = read_text("out/x/notes.txt");
    cleanup(memory_free) char *changed = read_text("out/x/3.txt");
    ck_assert_str_eq(notes, "mine\n");
    ck_assert_str_eq(changed, "changed\n");
    ck_assert(!file_exists("out/x/2.txt"));
}
END_TEST

START_TEST(only_wants_every_member)
{
    static const char *const only[] = {"all", NULL};
    write_pipeline("each, all", EACH_AND_ALL("1, 7, 3"));
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .keep_going = true}, NULL), 5);
    ck_assert(file_exists("work/data/x/1.txt"));
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.only = only}, &folder), 2);
    ck_assert_ptr_null(folder);
    ck_assert(file_write("work/data/x/7.txt", "7\n", 2, 0644, NULL));
    ck_assert_int_eq(run_all(&(struct run_setup){.only = only}, NULL), 0);
}
END_TEST

START_TEST(a_script_runs_verbatim)
{
    write_pipeline("a",
                   "a:\n  interpreter: [sh]\n  script: |\n    x='${NOT_OURS}'\n    echo \"$x\" > $DESC_OUTPUT/x.txt\n"
                   "  outputs: {x: txt}\n");
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, NULL), 0);
    cleanup(memory_free) char *result = read_text("out/x.txt");
    ck_assert_str_eq(result, "${NOT_OURS}\n");
}
END_TEST

START_TEST(a_stage_sees_only_what_it_is_given)
{
    setenv("DESCPIPE_TEST_LEAK", "1", 1);
    write_pipeline("a",
                   "a: {command: [sh, -c, 'env > $DESC_OUTPUT/x.txt'], outputs: {x: txt}, env: {MINE: yes-mine}}\n");
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, NULL), 0);
    cleanup(memory_free) char *result = read_text("out/x.txt");
    ck_assert_ptr_null(strstr(result, "DESCPIPE_TEST_LEAK"));
    ck_assert_ptr_nonnull(strstr(result, "MINE=yes-mine\n"));
    ck_assert_ptr_nonnull(strstr(result, "DESC_PARALLEL=serial\n"));
}
END_TEST

START_TEST(a_stage_without_container_cannot_change_the_data)
{
    write_pipeline("first, spoil", "first: {command: [sh, -c, 'echo one > $DESC_OUTPUT/x.txt'], outputs: {x: txt}}\n"
                                   "spoil: {command: [sh, -c, 'echo spoilt > $DESC_INPUT/x.txt'], inputs: {x: txt}}\n");
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, NULL), 0);
    cleanup(memory_free) char *data = read_text("work/data/x.txt");
    ck_assert_str_eq(data, "one\n");
}
END_TEST

START_TEST(second_run_in_a_working_folder_is_refused_while_the_first_goes_on)
{
    write_pipeline("a", "a: {command: [sh, -c, 'read x < ../../../../../gate']}\n");
    ck_assert_int_eq(mkdir("work", 0755), 0);
    ck_assert_int_eq(mkfifo("work/gate", 0600), 0);
    struct run_front front;
    start_run(&(struct run_setup){.scheduler = "local"}, &front);
    ck_assert_int_eq(next_news(&front), RUN_FOLDER);
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local"}, &folder), 6);
    ck_assert_ptr_null(folder);
    int descriptor = open("work/gate", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(write(descriptor, "go\n", 3), 3);
    ck_assert_int_eq(finish_run(&front, NULL), 0);
    close(descriptor);
}
END_TEST

START_TEST(a_container_sees_its_files_where_the_original_had_them)
{
    cleanup(memory_free) char *plugin = memory_copy_text(BUILD_FOLDER "/plugins-built/runtime-native.so");
    cleanup(memory_free) char *tool = process_find("bwrap");
    if (tool == NULL || !file_exists(plugin)) {
        fprintf(stderr, "SKIPPED: a_container_sees_its_files_where_the_original_had_them needs bubblewrap\n");
        return;
    }
    write_pipeline(
        "first, second",
        "first: {image: 'rootfs:/', command: [sh, -c, 'pwd > $DESC_OUTPUT/x.txt'], outputs: {x: txt}}\n"
        "second: {image: 'rootfs:/', command: [sh, -c, 'cat /opt/input/x.txt /opt/config/c.yaml > /opt/output/y.txt; "
        "touch /opt/input/z 2>/dev/null || echo read-only >> /opt/output/y.txt'], "
        "inputs: {x: txt}, outputs: {y: txt}, config: {c: c.yaml}}\n");
    ck_assert_int_eq(mkdir("settings", 0755), 0);
    ck_assert(file_write("settings/c.yaml", "a: 1\n", 5, 0644, NULL));
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(file_read("pipeline.yaml", 1 << 20, &text, NULL));
    char *place = strstr(text.bytes, "output: ./out}");
    cleanup(text_clear) struct text changed = TEXT_INIT;
    text_append_bytes(&changed, text.bytes, (size_t)(place - text.bytes));
    text_append(&changed, "output: ./out, config: {second: {c: ./settings/c.yaml}}}");
    text_append(&changed, place + strlen("output: ./out}"));
    ck_assert(file_write("pipeline.yaml", changed.bytes, changed.length, 0600, NULL));
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "sequential", .runtime = "native"}, &folder), 0);
    cleanup(memory_free) char *result = read_text("out/y.txt");
    ck_assert_str_eq(result, "/opt/output\na: 1\nread-only\n");
    struct stat data, input;
    ck_assert_int_eq(stat("work/data/x.txt", &data), 0);
    ck_assert_int_eq(stat("work/second/input/x.txt", &input), 0);
    ck_assert_uint_eq(data.st_ino, input.st_ino); /* read-only inside, so a link is safe */
    memory_free(folder);
}
END_TEST

START_TEST(secrets_reach_the_stage_and_nothing_else)
{
    write_pipeline("a", "a: {command: [sh, -c, 'test \"$TOKEN\" = $(cat ../../../../../../../secret) && echo ok > "
                        "$DESC_OUTPUT/x.txt'], outputs: {x: "
                        "txt}, env: {TOKEN: {secret: archive}}}\n");
    cleanup(memory_free) char *secret = path_join(base, "secret");
    ck_assert(file_write(secret, "hush-hush\n", 10, 0600, NULL));
    cleanup(memory_free) char *user = memory_format("secrets: {archive: {file: '%s'}}\n", secret);
    ck_assert(file_write("user.yaml", user, strlen(user), 0600, NULL));
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .user_file = "user.yaml"}, &folder), 0);
    cleanup(memory_free) char *journal = memory_format("%s/" JOURNAL_FILE, folder);
    cleanup(memory_free) char *plan = path_join(folder, "plan.json");
    cleanup(memory_free) char *journal_text = read_text(journal), *plan_text = read_text(plan);
    ck_assert_ptr_null(strstr(journal_text, "hush-hush"));
    ck_assert_ptr_null(strstr(plan_text, "hush-hush"));
    memory_free(folder);
}
END_TEST

START_TEST(a_secret_that_goes_away_is_a_verdict)
{
    cleanup(memory_free) char *secret = path_join(base, "secret");
    cleanup(memory_free) char *user = memory_format("secrets: {archive: {file: '%s'}}\n", secret);
    cleanup(memory_free) char *sections = memory_format(
        "a: {command: [rm, '%s']}\nb: {command: ['true'], depends-on: [a], env: {TOKEN: {secret: archive}}}\n", secret);
    write_pipeline("a, b", sections);
    ck_assert(file_write(secret, "hush-hush\n", 10, 0600, NULL));
    ck_assert(file_write("user.yaml", user, strlen(user), 0600, NULL));
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .user_file = "user.yaml"}, &folder), 5);
    cleanup(memory_free) char *why =
        memory_format("it could not be started: secret 'archive': cannot open '%s': No such file or directory", secret);
    expect_verdict(folder, "b", "STAGE_IN", why);
    memory_free(folder);
}
END_TEST

START_TEST(long_chains_need_no_stack)
{
    enum { STAGES = 3000 };
    cleanup(text_clear) struct text names = TEXT_INIT, sections = TEXT_INIT;
    for (unsigned i = 0; i < STAGES; i++) {
        text_format(&names, "%ss%u", i > 0 ? ", " : "", i);
        text_format(&sections, "s%u: {command: ['false']%s", i, i > 0 ? ", depends-on: [" : "}\n");
        if (i > 0)
            text_format(&sections, "s%u]}\n", i - 1);
    }
    write_pipeline(names.bytes, sections.bytes);
    char *folder = NULL;
    struct rlimit kept, small = {.rlim_cur = 256 * 1024};
    getrlimit(RLIMIT_STACK, &kept);
    small.rlim_max = kept.rlim_max;
    setrlimit(RLIMIT_STACK, &small);
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "local", .keep_going = true}, &folder), 5);
    setrlimit(RLIMIT_STACK, &kept);
    ck_assert_uint_eq(count_records(folder, "state", "\"state\":\"skipped\"", NULL), STAGES - 1);
    memory_free(folder);
}
END_TEST

START_TEST(no_stage_finds_what_another_left)
{
    /* One after the other, so in the same slot. What is asked for is there, whoever runs it. */
    write_pipeline("a, b, c",
                   "a: {command: [sh, -c, 'test -d $DESC_INPUT && echo a > $DESC_OUTPUT/left && mkdir sub && echo a > "
                   "sub/left; echo a > $DESC_INPUT/left; true']}\n"
                   "b: {command: [sh, -c, 'ls -A $DESC_INPUT $DESC_OUTPUT . | grep left && exit 1; echo b > other'], "
                   "depends-on: [a]}\n"
                   "c: {command: [sh, -c, 'ls -A $DESC_INPUT $DESC_OUTPUT . | grep -e left -e other && exit 1; "
                   "exit 0'], depends-on: [b]}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "sequential"}, &folder), 0);
    cleanup(memory_free) char *left = memory_format("%s/attempts/000/a.1/sub/left", folder);
    cleanup(memory_free) char *left_text = read_text(left);
    ck_assert_str_eq(left_text, "a\n");
    cleanup(memory_free) char *other = memory_format("%s/attempts/000/b.1/other", folder);
    ck_assert(file_exists(other));
    cleanup(memory_free) char *none = memory_format("%s/attempts/000/c.1", folder);
    ck_assert(!file_exists(none));
    memory_free(folder);
}
END_TEST

START_TEST(stages_without_files_share_the_folder_of_their_slot)
{
    write_pipeline("a", "a: {command: ['true'], size: 40}\n");
    char *folder = NULL;
    ck_assert_int_eq(run_all(&(struct run_setup){.scheduler = "sequential"}, &folder), 0);
    cleanup(memory_free) char *attempts = path_join(folder, "attempts");
    DIR *names = opendir(attempts);
    ck_assert_ptr_nonnull(names);
    unsigned count = 0;
    for (const struct dirent *entry; (entry = readdir(names)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(names);
    ck_assert_uint_le(count, 4); /* one pair, or two while one is on its way out */
    memory_free(folder);
}
END_TEST

static void add_tests(TCase *cases)
{
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, runs_stages_in_order_and_publishes_what_they_write, 0, 2);
    tcase_add_test(cases, each_record_comes_before_the_act_it_announces);
    tcase_add_test(cases, bad_pipeline_file_makes_no_run);
    tcase_add_test(cases, a_failure_stops_new_stages_but_not_running_ones);
    tcase_add_loop_test(cases, keep_going_runs_all_that_does_not_depend_on_the_failure, 0, 2);
    tcase_add_test(cases, retries_for_the_reasons_that_are_named);
    tcase_add_test(cases, retries_end_at_their_limit);
    tcase_add_loop_test(cases, members_run_each_with_its_own_values, 0, 2);
    tcase_add_test(cases, a_member_waits_for_its_own_member_only);
    tcase_add_loop_test(cases, a_member_that_fails_keeps_back_only_what_needs_it, 0, 2);
    tcase_add_test(cases, an_input_of_the_wrong_type_is_a_verdict);
    tcase_add_test(cases, a_named_limit_holds);
    tcase_add_test(cases, only_takes_what_an_earlier_run_left);
    tcase_add_test(cases, a_folder_of_members_holds_those_of_this_run_only);
    tcase_add_test(cases, a_graceful_stop_waits_for_the_whole_session);
    tcase_add_test(cases, results_of_somebody_else_stay);
    tcase_add_test(cases, only_wants_every_member);
    tcase_add_test(cases, a_script_runs_verbatim);
    tcase_add_test(cases, a_stage_sees_only_what_it_is_given);
    tcase_add_test(cases, a_stage_without_container_cannot_change_the_data);
    tcase_add_test(cases, a_container_sees_its_files_where_the_original_had_them);
    tcase_add_test(cases, secrets_reach_the_stage_and_nothing_else);
    tcase_add_test(cases, a_secret_that_goes_away_is_a_verdict);
    tcase_add_test(cases, long_chains_need_no_stack);
    tcase_add_test(cases, second_run_in_a_working_folder_is_refused_while_the_first_goes_on);
    tcase_add_test(cases, no_stage_finds_what_another_left);
    tcase_add_test(cases, stages_without_files_share_the_folder_of_their_slot);
}

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *cases = tcase_create("engine");
    tcase_add_checked_fixture(cases, fixture_set_up, fixture_tear_down);
    add_tests(cases);
    suite_add_tcase(suite, cases);
    if (ordinary_user_can_run()) {
        TCase *ordinary = tcase_create("engine, as an ordinary user");
        tcase_add_checked_fixture(ordinary, fixture_set_up_ordinary, fixture_tear_down);
        add_tests(ordinary);
        suite_add_tcase(suite, ordinary);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
