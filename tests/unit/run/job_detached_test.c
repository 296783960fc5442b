/* SPDX-License-Identifier: BSD-3-Clause */
/* Scripts of jobs that nobody watches, run by the real shell: files in and out, what is missing, a second life, and the
 * marks that stop others. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "run/elsewhere/job_script.h"
#include "run/journal/run_folder.h"

static char folder[64];
static char *path_of(const char *name)
{
    return path_join(folder, name);
}

static void write_file(const char *name, const char *text)
{
    cleanup(memory_free) char *path = path_of(name);
    cleanup(memory_free) char *parent = path_folder(path);
    ck_assert(folder_make(parent, 0755, NULL));
    ck_assert(file_write(path, text, strlen(text), 0644, NULL));
}

static void must_hold(const char *name, const char *wanted)
{
    cleanup(memory_free) char *path = path_of(name);
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_msg(file_read(path, 4096, &text, &error), "%s", error.message);
    ck_assert_str_eq(text_bytes(&text), wanted);
}

static bool is_there(const char *name)
{
    struct stat status;
    cleanup(memory_free) char *path = path_of(name);
    return lstat(path, &status) == 0;
}

static void set_up(void)
{
    static const char name[] = "/tmp/descpipe-job it's-XXXXXX";
    memcpy(folder, name, sizeof name);
    ck_assert(mkdtemp(folder) != NULL);
    write_file("run/logs/s.1.out", "");
    write_file("run/logs/s.1.err", "");
    cleanup(memory_free) char *output = path_of("run/attempts/s.1");
    ck_assert(folder_make(output, 0755, NULL));
}

static void tear_down(void)
{
    ck_assert(folder_remove(folder, NULL));
}

struct plan {
    const char *command;             /* of /bin/sh, in the output folder */
    const char *const (*outputs)[2]; /* name and suffix, ends with NULL */
    const struct task_file *inputs;
    size_t inputs_count;
    bool keep_going;
    int64_t time_limit_ms;
    const char *restart;
};

static void fill_outputs(const struct plan *plan, struct staging_out *out, struct staging_output *outputs,
                         char *paths[])
{
    for (size_t i = 0; plan->outputs != NULL && plan->outputs[i][0] != NULL; i++) {
        cleanup(memory_free) char *name = memory_format("work/data/%s", plan->outputs[i][0]);
        paths[i] = path_of(name);
        outputs[i] =
            (struct staging_output){.name = plan->outputs[i][0], .suffix = plan->outputs[i][1], .published = paths[i]};
        out->outputs_count = i + 1;
    }
    out->outputs = outputs;
}

/* Its exit status. */
static int run(struct plan plan, struct job_outcome *outcome)
{
    cleanup(memory_free) char *run = path_of("run"), *log = path_of("run/logs/s"),
                              *attempt = path_of("run/attempts/s.1"), *script_path = path_of("job.sh"),
                              *outcome_path = path_of("outcome"), *stage = path_of("work/s"),
                              *link = path_of("work/s/output"), *new = NULL;
    char *paths[8] = {NULL};
    struct staging_output outputs[8];
    const struct staging_in in = {
        .folder = stage, .may_link = true, .inputs = {.items = plan.inputs, .count = plan.inputs_count}};
    struct staging_out out = {.attempt = attempt, .link = link, .link_target = "../../run/attempts/s.1"};
    fill_outputs(&plan, &out, outputs, paths);
    const struct job_detached detached = {.run = run,
                                          .log = log,
                                          .output = attempt,
                                          .mark = ".descpipe-7.tmp",
                                          .in = plan.inputs_count > 0 ? &in : NULL,
                                          .out = out.outputs_count > 0 ? &out : NULL,
                                          .time_limit_ms = plan.time_limit_ms,
                                          .name = plan.keep_going ? NULL : "s"};
    const char *const argv[] = {"/bin/sh", "-c", plan.command, NULL};
    const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
    const struct job_script script = {.path = script_path,
                                      .outcome = outcome_path,
                                      .directory = attempt,
                                      .argv = argv,
                                      .environment = environment,
                                      .detached = &detached};
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(job_script_print(&script, &text, NULL));
    ck_assert(file_write(script_path, text_bytes(&text), text.length, 0700, NULL));
    new = memory_format("DESCPIPE_RESTART=%s", plan.restart != NULL ? plan.restart : "0");
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        char *const around[] = {(char[]){"PATH=/usr/bin:/bin"}, new, NULL};
        char *const words[] = {(char[]){"sh"}, script_path, NULL};
        execve("/bin/sh", words, around);
        _exit(98);
    }
    int status = 0;
    ck_assert(waitpid(child, &status, 0) == child);
    job_outcome_read(outcome_path, outcome);
    for (size_t i = 0; i < 8; i++)
        memory_free(paths[i]);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(outcome->phase, JOB_PHASE_END);
    return WEXITSTATUS(status);
}

static const char *const text_file[][2] = {{"x.txt", "txt"}, {NULL, NULL}};

START_TEST(what_is_declared_is_brought_in_and_published)
{
    struct job_outcome outcome;
    write_file("given/a file", "given\n");
    write_file("work/data/m/1.txt", "one\n");
    cleanup(memory_free) char *given = path_of("given/a file"), *member = path_of("work/data/m/1.txt"),
                              *tree = path_of("given");
    const struct task_file inputs[] = {{.from = given, .name = "in.txt"},
                                       {.from = tree, .name = "tree", .is_folder = true},
                                       {.from = NULL, .name = "m", .is_folder = true},
                                       {.from = member, .name = "m/1.txt"}};
    cleanup(memory_free) char *command =
        memory_format("cat '%.*s'\\''%s/work/s/input/in.txt' ../../../work/s/input/tree/'a file' "
                      "../../../work/s/input/m/1.txt >x.txt; echo said",
                      (int)strcspn(folder, "'"), folder, strchr(folder, '\'') + 1);
    ck_assert_int_eq(
        run((struct plan){.command = command, .outputs = text_file, .inputs = inputs, .inputs_count = 4}, &outcome), 0);
    ck_assert(outcome.done);
    ck_assert_uint_eq(outcome.attempt, 1);
    must_hold("work/data/x.txt", "given\ngiven\none\n");
    must_hold("work/s/output/x.txt", "given\ngiven\none\n");
    ck_assert(!is_there("work/data/.descpipe-7.tmp"));
    ck_assert(!is_there("run/failed"));
    ck_assert(!is_there("run/logs/s.1.err"));
}
END_TEST

/* What a command leaves, and what becomes of it. */
static const struct {
    const char *command;
    const char *name, *suffix;
    enum job_failure failure;
    const char *reason;
} ends[] = {
    {":", "x.txt", "txt", JOB_FAILURE_OUTPUT_MISSING, "did not write its output 'x.txt'"},
    {"mkdir x.txt", "x.txt", "txt", JOB_FAILURE_OUTPUT_MISSING, "its output 'x.txt' is not a regular file"},
    {"ln -s /etc/passwd x.txt", "x.txt", "txt", JOB_FAILURE_OUTPUT_MISSING,
     "its output 'x.txt' is a symbolic link, not a regular file"},
    {"echo x >x.fits", "x.fits", "fits", JOB_FAILURE_OUTPUT_MISSING,
     "its output 'x.fits' is there, but is not FITS: its first bytes are others"},
    {":>x.json", "x.json", "json", JOB_FAILURE_OUTPUT_MISSING,
     "its output 'x.json' is there, but is not JSON: it is empty"},
    {"echo '{}' >x.json", "x.json", "json", JOB_FAILURE_NONE, ""},
    {"printf 'SIMPLE  =    T' >x.fits", "x.fits", "fits", JOB_FAILURE_NONE, ""},
    {"dd if=/dev/zero of=x.h5 bs=1024 count=1 2>/dev/null; printf '\\211HDF\\r\\n\\032\\n' >>x.h5", "x.h5", "h5",
     JOB_FAILURE_NONE, ""},
    {"echo x >t", "t", "/", JOB_FAILURE_OUTPUT_MISSING, "its output 't' is not a folder"},
    {"mkdir t; echo x >t/y; ln -s y t/z; mkdir t/d; ln -s ../y t/d/z; ln -s ./y t/w", "t", "/", JOB_FAILURE_NONE, ""},
    {"mkdir t; mkfifo t/f", "t", "/", JOB_FAILURE_OUTPUT_MISSING,
     "its output 't' has something in it that is no file, folder or link"},
    {"mkdir -p t/d; ln -s ../../y t/d/z", "t", "/", JOB_FAILURE_OUTPUT_MISSING, "leads out of it, or may"},
    {"mkdir t; ln -s .. t/z", "t", "/", JOB_FAILURE_OUTPUT_MISSING, "leads out of it, or may"},
    {"mkdir -p t/d; ln -s d/../y t/z", "t", "/", JOB_FAILURE_OUTPUT_MISSING, "leads out of it, or may"},
    {"mkdir t; ln -s /etc t/z", "t", "/", JOB_FAILURE_OUTPUT_MISSING, "leads out of it, or may"},
};

START_TEST(outputs_are_looked_at)
{
    const char *const outputs[][2] = {{ends[_i].name, ends[_i].suffix}, {NULL, NULL}};
    struct job_outcome outcome;
    cleanup(memory_free) char *published = memory_format("work/data/%s", ends[_i].name);
    bool good = ends[_i].failure == JOB_FAILURE_NONE;
    int status = run((struct plan){.command = ends[_i].command, .outputs = outputs}, &outcome);
    ck_assert_msg(strstr(outcome.reason, ends[_i].reason) != NULL, "%s", outcome.reason);
    ck_assert_int_eq(outcome.failure, ends[_i].failure);
    ck_assert_int_eq(outcome.exit_code, 0); /* the command's own */
    ck_assert_int_eq(status != 0, !good);
    ck_assert_int_eq(outcome.done, good);
    ck_assert_int_eq(is_there(published), good);
    ck_assert_int_eq(is_there("run/failed"), !good);
}
END_TEST

START_TEST(a_published_folder_takes_the_place_of_an_old_one)
{
    static const char *const outputs[][2] = {{"t", "/"}, {NULL, NULL}};
    struct job_outcome outcome;
    write_file("work/data/t/old", "old");
    ck_assert_int_eq(run((struct plan){.command = "mkdir t; echo new >t/new", .outputs = outputs}, &outcome), 0);
    must_hold("work/data/t/new", "new\n");
    ck_assert(!is_there("work/data/t/old"));
    ck_assert(!is_there("work/data/.descpipe-7.tmp.old"));
}
END_TEST

START_TEST(an_input_that_is_not_there_is_told)
{
    struct job_outcome outcome;
    const struct task_file inputs[] = {{.from = "/nowhere/at all", .name = "in.txt"}};
    ck_assert_int_ne(run((struct plan){.command = "echo ran >ran", .inputs = inputs, .inputs_count = 1}, &outcome), 0);
    ck_assert_int_eq(outcome.failure, JOB_FAILURE_STAGE_IN);
    ck_assert_str_eq(outcome.reason, "its input 'in.txt' is not there: '/nowhere/at all'");
    ck_assert(!is_there("run/attempts/s.1/ran"));
}
END_TEST

START_TEST(a_failure_stops_what_has_not_begun)
{
    struct job_outcome outcome;
    ck_assert_int_eq(run((struct plan){.command = "exit 7"}, &outcome), 7);
    ck_assert_int_eq(outcome.exit_code, 7);
    ck_assert(!outcome.done);
    must_hold("run/failed", "s\n");
    ck_assert_int_ne(run((struct plan){.command = "echo ran >ran"}, &outcome), 0);
    ck_assert_int_eq(outcome.failure, JOB_FAILURE_SKIPPED);
    ck_assert(!is_there("run/attempts/s.1/ran"));
}
END_TEST

START_TEST(with_keep_going_it_stops_nobody)
{
    struct job_outcome outcome;
    ck_assert_int_eq(run((struct plan){.command = "exit 7", .keep_going = true}, &outcome), 7);
    ck_assert(!is_there("run/failed"));
}
END_TEST

START_TEST(a_run_that_was_cancelled_begins_nothing)
{
    struct job_outcome outcome;
    write_file("run/" RUN_CANCEL_FILE, "ada\n");
    ck_assert_int_ne(run((struct plan){.command = "echo ran >ran"}, &outcome), 0);
    ck_assert_int_eq(outcome.failure, JOB_FAILURE_CANCELLED);
    ck_assert(!is_there("run/attempts/s.1/ran"));
    ck_assert(!is_there("run/failed"));
}
END_TEST

/* Its node died, and its scheduler starts it again: with what was there moved away, and logs of its own. */
START_TEST(a_second_life_begins_anew)
{
    struct job_outcome outcome;
    write_file("run/attempts/s.1/x.txt", "half a");
    write_file("run/logs/s.1.out", "first life\n");
    ck_assert_int_eq(run((struct plan){.command = "[ ! -e x.txt ] && echo whole >x.txt && echo second life",
                                       .outputs = text_file,
                                       .restart = "1"},
                         &outcome),
                     0);
    ck_assert_uint_eq(outcome.attempt, 2);
    must_hold("work/data/x.txt", "whole\n");
    must_hold("run/attempts/s.1.before-2/x.txt", "half a");
    must_hold("run/logs/s.1.out", "first life\n");
    must_hold("run/logs/s.2.out", "second life\n");
}
END_TEST

START_TEST(an_end_that_was_asked_for_may_be_no_end)
{
    struct job_outcome outcome;
    /* The shell above it is told to end, as a scheduler would. */
    static const char command[] = "kill -TERM $PPID; exec sleep 30";
    ck_assert_int_eq(run((struct plan){.command = command}, &outcome), 143);
    ck_assert(outcome.stopped);
    ck_assert(!outcome.timed_out);
    ck_assert(!is_there("run/failed"));
    /* At its time limit it is not started again. */
    ck_assert_int_eq(run((struct plan){.command = command, .time_limit_ms = 1000}, &outcome), 143);
    ck_assert(outcome.timed_out);
    ck_assert(is_there("run/failed"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_detached");
    TCase *scripts = tcase_create("scripts");
    tcase_add_checked_fixture(scripts, set_up, tear_down);
    tcase_set_timeout(scripts, 120);
    tcase_add_test(scripts, what_is_declared_is_brought_in_and_published);
    tcase_add_loop_test(scripts, outputs_are_looked_at, 0, sizeof ends / sizeof *ends);
    tcase_add_test(scripts, a_published_folder_takes_the_place_of_an_old_one);
    tcase_add_test(scripts, an_input_that_is_not_there_is_told);
    tcase_add_test(scripts, a_failure_stops_what_has_not_begun);
    tcase_add_test(scripts, with_keep_going_it_stops_nobody);
    tcase_add_test(scripts, a_run_that_was_cancelled_begins_nothing);
    tcase_add_test(scripts, a_second_life_begins_anew);
    tcase_add_test(scripts, an_end_that_was_asked_for_may_be_no_end);
    suite_add_tcase(suite, scripts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
