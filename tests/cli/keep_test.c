/* SPDX-License-Identifier: BSD-3-Clause */
/* `keep`: what stages make for each other goes when nobody needs it, and comes back only when somebody does. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "program.h"
#include "suite.h"

/* Every stage writes its name into `ran`. c fails without the file `good`. */
#define PIPELINE                                                                                                       \
    "pipeline: {name: small, stages: [a, b, c]}\n"                                                                     \
    "runtime: {backend: here, working: ./work, output: ./out, keep: %s, inputs: {raw: ./raw.txt}}\n"                   \
    "backends: {here: {scheduler: sequential, runtime: host}}\n"                                                       \
    "a: {inputs: {raw: txt}, outputs: {x: txt, side: txt}, command: [/bin/sh, -c, 'echo a >> %s/ran; "                 \
    "cp $DESC_INPUT/raw.txt $DESC_OUTPUT/x.txt; echo 1 > $DESC_OUTPUT/side.txt']}\n"                                   \
    "b: {inputs: {x: txt}, outputs: {y: txt}, command: [/bin/sh, -c, 'echo b >> %s/ran; "                              \
    "cp $DESC_INPUT/x.txt $DESC_OUTPUT/y.txt']}\n"                                                                     \
    "c: {inputs: {y: txt}, outputs: {z: txt}, env: {VALUE: \"%s\"}, command: [/bin/sh, -c, 'echo c >> %s/ran; "        \
    "test -e %s/good && cp $DESC_INPUT/y.txt $DESC_OUTPUT/z.txt']}\n"

/* n/r waits for the gate; n/g does not. */
#define MEMBERS                                                                                                        \
    "pipeline: {name: small, stages: [m, n]}\n"                                                                        \
    "runtime: {backend: here, working: ./work, output: ./out, keep: final}\n"                                          \
    "backends: {here: {scheduler: {use: local, cpus: 4}, runtime: host}}\n"                                            \
    "m: {foreach: {band: [g, r]}, outputs: {part: txt}, command: [/bin/sh, -c, 'echo 1 > $DESC_OUTPUT/part.txt']}\n"   \
    "n: {foreach: {band: [g, r]}, inputs: {part: txt}, outputs: {whole: txt}, command: [/bin/sh, -c, "                 \
    "'test $DESC_EACH_BAND = g || cat %s/gate; cp $DESC_INPUT/part.txt $DESC_OUTPUT/whole.txt']}\n"

static struct result with_plugins(const char *line)
{
    cleanup(memory_free) char *whole = memory_format("--plugin-dir " PLUGINS " %s", line);
    return program_run(whole);
}

static void expect(const char *line, int status, const char *part)
{
    cleanup(result_clear) struct result got = with_plugins(line);
    ck_assert_msg(got.status == status, "%s: exit %d:\n%s%s", line, got.status, text_bytes(&got.out),
                  text_bytes(&got.err));
    ck_assert_msg(strstr(text_bytes(&got.out), part) != NULL || strstr(text_bytes(&got.err), part) != NULL,
                  "%s: no '%s' in:\n%s%s", line, part, text_bytes(&got.out), text_bytes(&got.err));
}

static void write_pipeline(const char *keep, const char *value)
{
    const char *here = program_folder;
    cleanup(memory_free) char *text = memory_format(PIPELINE, keep, here, here, value, here, here);
    program_file("p.yaml", text);
    program_file_time("p.yaml", 3600); /* never settled: every run plans */
}

/* Names of the stages that ran since the last look. */
static void expect_ran(const char *stages)
{
    cleanup(memory_free) char *path = path_join(program_folder, "ran");
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (file_exists(path))
        ck_assert(file_read(path, 1000, &text, NULL));
    for (size_t i = 0; i < text.length; i++)
        text.bytes[i] = text.bytes[i] == '\n' ? ' ' : text.bytes[i];
    ck_assert_str_eq(text_bytes(&text), stages);
    unlink(path);
}

static bool is_there(const char *name)
{
    cleanup(memory_free) char *path = path_join(program_folder, name);
    return file_exists(path);
}

static void expect_files(const char *const *names, bool there)
{
    for (; *names != NULL; names++)
        ck_assert_msg(is_there(*names) == there, "'%s' is %s", *names, there ? "not there" : "there");
}

static void set_up(void)
{
    program_set_up();
    program_file("raw.txt", "1\n");
    program_file("good", "");
}

static const char *const between[] = {"work/data/x.txt",    "work/data/y.txt",    "work/a/output/x.txt", "out/x.txt",
                                      "work/b/input/x.txt", "work/c/input/y.txt", "out/y.txt",           NULL};
static const char *const results[] = {
    "work/data/z.txt", "work/data/side.txt", "out/z.txt", "out/side.txt", "work/a/output/side.txt", "raw.txt", NULL};

START_TEST(files_between_stages_go_and_come_back_only_when_needed)
{
    write_pipeline("final", "1");
    expect("run p.yaml", 0, "run succeeded: 3 succeeded\n");
    expect_ran("a b c ");
    expect_files(between, false);
    expect_files(results, true);
    expect("verify", 0, "2 files between its stages went as 'keep: final' says");
    expect("plan --why p.yaml", 0, "nothing would run: all of 3 tasks are cached");
    expect("run p.yaml", 0, "run succeeded: 3 cached\n");
    expect_ran("");
    write_pipeline("final", "2");
    expect("plan --why p.yaml", 0, "3 would run, 0 cached");
    expect("run p.yaml", 0, "run succeeded: 3 succeeded\n");
    expect_ran("a b c ");
    expect("why a", 0, "a ran: its output 'x.txt' is gone");
    expect_files(between, false);
    expect_files(results, true);
}
END_TEST

/* What all has runs as before; what was removed is made again when a file that is a result is not there. */
START_TEST(a_result_that_is_gone_brings_back_what_it_is_made_of)
{
    cleanup(memory_free) char *result = path_join(program_folder, "work/data/z.txt");
    cleanup(memory_free) char *made = path_join(program_folder, "work/c/output/z.txt");
    write_pipeline("final", "1");
    expect("run p.yaml", 0, "run succeeded: 3 succeeded\n");
    expect_ran("a b c ");
    ck_assert_int_eq(unlink(result), 0);
    expect("run p.yaml", 0, "run succeeded: 3 cached\n"); /* c's attempt had it still */
    ck_assert_int_eq(unlink(result), 0);
    ck_assert_int_eq(unlink(made), 0);
    expect("run p.yaml", 0, "run succeeded: 3 succeeded\n");
    expect_ran("a b c ");
    expect_files(results, true);
}
END_TEST

START_TEST(what_failed_keeps_its_inputs_for_resume)
{
    static const char *const kept[] = {"work/data/y.txt", NULL}, *const gone[] = {"work/data/x.txt", NULL};
    cleanup(memory_free) char *good = path_join(program_folder, "good");
    ck_assert_int_eq(unlink(good), 0);
    write_pipeline("final", "1");
    expect("run p.yaml", 5, "c: EXIT 1");
    expect_files(kept, true);
    expect_files(gone, false);
    program_file("good", "");
    expect("resume", 0, "run succeeded: 3 succeeded\n");
    expect_ran("a b c c ");
    expect_files(between, false);
    expect_files(results, true);
    expect("verify", 0, "went as 'keep: final' says");
}
END_TEST

/* The consumer that was asked for is not all who take it. */
START_TEST(what_a_stage_outside_the_run_takes_stays)
{
    static const char *const kept[] = {"work/data/y.txt", "out/y.txt", NULL}, *const gone[] = {"work/data/x.txt",
                                                                                               "out/x.txt", NULL};
    write_pipeline("final", "1");
    expect("run p.yaml --until b", 0, "run succeeded: 2 succeeded\n");
    expect_files(kept, true);
    expect_files(gone, false);
}
END_TEST

/* The engine's process, as the journal's first line has it. */
static pid_t engine_of_run(void)
{
    cleanup(result_clear) struct result status = with_plugins("status --json");
    const char *folder = strstr(text_bytes(&status.out), "work/.descpipe/runs/");
    ck_assert_ptr_nonnull(folder);
    cleanup(memory_free) char *below = memory_copy_bytes(folder, strcspn(folder, "\""));
    cleanup(memory_free) char *lease = memory_format("%s/%s/lease", program_folder, below);
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(file_read(lease, 10000, &text, NULL));
    const char *pid = strstr(text_bytes(&text), "\npid ");
    ck_assert_ptr_nonnull(pid);
    return (pid_t)strtol(pid + 5, NULL, 10);
}

static void wait_for(const char *name, bool there)
{
    while (is_there(name) != there)
        poll(NULL, 0, 20);
}

START_TEST(members_go_one_by_one_while_the_run_goes_on)
{
    static const char *const kept[] = {"work/data/part/r.txt", "work/n/r/input/part.txt", NULL};
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    cleanup(memory_free) char *pipeline = memory_format(MEMBERS, program_folder);
    cleanup(descriptor_close) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(mkfifo(gate, 0600), 0);
    program_file("p.yaml", pipeline);
    program_file_time("p.yaml", 3600);
    pid_t run = program_start("--plugin-dir " PLUGINS " run p.yaml", (const int[]){nothing, nothing, nothing});
    wait_for("work/data/whole/g.txt", true);
    wait_for("work/data/part/g.txt", false); /* n/r goes on */
    expect_files(kept, true);
    kill(engine_of_run(), SIGKILL);
    ck_assert_int_eq(program_wait(run), 70);
    expect_files(kept, true);
    run = program_start("--plugin-dir " PLUGINS " resume", (const int[]){nothing, nothing, nothing});
    close(open(gate, O_WRONLY | O_CLOEXEC)); /* when somebody reads */
    ck_assert_int_eq(program_wait(run), 0);
    expect_files(kept, false);
    expect("run p.yaml", 0, "run succeeded: 4 cached\n"); /* what was adopted is remembered as well */
    ck_assert(is_there("out/whole/r.txt") && is_there("out/whole/g.txt") && !is_there("out/part"));
    program_wait_for_orphans();
}
END_TEST

START_TEST(so_many_runs_keep_what_they_made)
{
    write_pipeline("2 runs", "1");
    expect("run p.yaml --no-cache", 0, "3 succeeded");
    expect("run p.yaml --no-cache", 0, "3 succeeded");
    expect("clean --keep 1", 0, "1 run would be cleaned");
    expect("run p.yaml --no-cache", 0, "3 succeeded");
    expect("clean --keep 2", 0, "0 runs would be cleaned"); /* the first is gone already */
    expect("clean --keep 1", 0, "1 run would be cleaned");
    expect("run p.yaml", 0, "3 cached");
    expect_files(results, true);
}
END_TEST

START_TEST(other_words_are_refused_at_their_place)
{
    static const char *const wrong[] = {"some", "0 runs", "3", "-1 runs", "3 runs ago"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        write_pipeline(wrong[i], "1");
        expect("check p.yaml", 2, "p.yaml:2:64: error: 'keep' of 'runtime' must be all, final or 'N runs', not '");
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {files_between_stages_go_and_come_back_only_when_needed,
                                  a_result_that_is_gone_brings_back_what_it_is_made_of,
                                  what_failed_keeps_its_inputs_for_resume,
                                  what_a_stage_outside_the_run_takes_stays,
                                  members_go_one_by_one_while_the_run_goes_on,
                                  so_many_runs_keep_what_they_made,
                                  other_words_are_refused_at_their_place,
                                  NULL};
    return suite_run("keep", tests, set_up, program_tear_down);
}
