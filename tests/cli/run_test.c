/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs of small pipelines from the command line, off a terminal. */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "pipelines.h"
#include "program.h"
#include "suite.h"

static struct result with_plugins(const char *line)
{
    cleanup(memory_free) char *whole = memory_format("--plugin-dir " PLUGINS " %s", line);
    return program_run(whole);
}

static char *file_text(const char *name)
{
    cleanup(memory_free) char *path = path_join(program_folder, name);
    struct text text = TEXT_INIT;
    ck_assert_msg(file_read(path, 1 << 20, &text, NULL), "no file '%s'", name);
    return text_take(&text);
}

#define ck_assert_has(text, part)                                                                                      \
    ck_assert_msg(strstr(text_bytes(text), part) != NULL, "no '%s' in:\n%s", part, text_bytes(text))

START_TEST(a_good_run_ends_with_its_results)
{
    program_file("p.yaml", GOOD);
    cleanup(result_clear) struct result run = with_plugins("run p.yaml");
    ck_assert_msg(run.status == 0, "exit %d:\n%s%s", run.status, text_bytes(&run.out), text_bytes(&run.err));
    ck_assert_str_eq(text_bytes(&run.err), "");
    ck_assert_has(&run.out, " of small started: 2 tasks\n");
    ck_assert_has(&run.out, "[1/2] first: OK in ");
    ck_assert_has(&run.out, "[2/2] second: OK in ");
    ck_assert_has(&run.out, "Z run succeeded: 2 succeeded\n");
    ck_assert_has(&run.out, "\nstage   verdict ");
    ck_assert_has(&run.out, "results in ");
    cleanup(memory_free) char *lines = file_text("out/lines.txt");
    ck_assert_str_eq(lines, "3\n");
    ck_assert_ptr_null(strchr(text_bytes(&run.out), '\x1b'));
    cleanup(result_clear) struct result runs = with_plugins("runs --json");
    json_t *json = json_loads(text_bytes(&runs.out), 0, NULL);
    ck_assert_uint_eq(json_array_size(json), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json, 0), "state")), "succeeded");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json, 0), "pipeline")), "small");
    json_decref(json);
    cleanup(result_clear) struct result logs = with_plugins("logs p.yaml first");
    ck_assert_str_eq(text_bytes(&logs.out), "counting\n");
    cleanup(result_clear) struct result status = with_plugins("status");
    ck_assert_has(&status.out, ": succeeded, took ");
}
END_TEST

START_TEST(a_failed_run_says_what_to_type_and_exits_5)
{
    program_file("p.yaml", BAD);
    cleanup(result_clear) struct result run = with_plugins("run p.yaml");
    ck_assert_int_eq(run.status, 5);
    ck_assert_has(&run.out, "[1/2] first: EXIT 3");
    ck_assert_has(&run.out, "\nfirst: EXIT 3");
    ck_assert_has(&run.out, "\n    no luck\n");
    ck_assert_has(&run.out, "\nnext: descpipe logs ");
    const char *next = strstr(text_bytes(&run.out), "next: descpipe ") + strlen("next: descpipe ");
    cleanup(memory_free) char *command = memory_copy_bytes(next, strcspn(next, "\n"));
    cleanup(result_clear) struct result logs = with_plugins(command); /* what it says works */
    ck_assert_str_eq(text_bytes(&logs.out), "trying\n\n==> stderr <==\nno luck\n");
}
END_TEST

START_TEST(a_stage_that_wrote_nothing_has_a_next_command_that_works)
{
    static const char *const commands[] = {"'exit 3'", "'exit 3', 'more'"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        cleanup(memory_free) char *pipeline = memory_format(
            "pipeline: {name: silent, stages: [a]}\n" HERE "a:\n  command: [/bin/sh, -c, %s]\n", commands[i]);
        program_file("p.yaml", pipeline);
        cleanup(result_clear) struct result run = with_plugins("run p.yaml");
        ck_assert_int_eq(run.status, 5);
        ck_assert_has(&run.out, "\nnext: descpipe status ");
        const char *next = strstr(text_bytes(&run.out), "next: descpipe ") + strlen("next: descpipe ");
        cleanup(memory_free) char *command = memory_copy_bytes(next, strcspn(next, "\n"));
        cleanup(result_clear) struct result status = with_plugins(command);
        ck_assert_int_eq(status.status, 0);
        ck_assert_has(&status.out, "a      EXIT 3");
        cleanup(result_clear) struct result logs = with_plugins("logs a");
        ck_assert_int_eq(logs.status, 0);
        ck_assert_str_eq(text_bytes(&logs.out), "");
    }
}
END_TEST

START_TEST(quiet_runs_print_only_what_failed)
{
    program_file("good.yaml", GOOD);
    program_file("bad.yaml", BAD);
    cleanup(result_clear) struct result good = with_plugins("run -q good.yaml");
    ck_assert_int_eq(good.status, 0);
    ck_assert_has(&good.out, "run succeeded");
    ck_assert_uint_le(strcspn(text_bytes(&good.out), "\n") + 1, good.out.length);
    ck_assert_ptr_null(strstr(text_bytes(&good.out), "started"));
    cleanup(result_clear) struct result bad = with_plugins("run -q bad.yaml");
    ck_assert_int_eq(bad.status, 5);
    ck_assert_has(&bad.out, "first: EXIT 3");
}
END_TEST

START_TEST(json_lines_are_all_there_is_on_standard_output)
{
    program_file("p.yaml", GOOD);
    cleanup(result_clear) struct result run = with_plugins("run --json p.yaml");
    ck_assert_int_eq(run.status, 0);
    unsigned count = 0;
    char first[64] = "", last[64] = "";
    for (const char *line = text_bytes(&run.out); *line != '\0'; line += strcspn(line, "\n") + 1) {
        json_t *json = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        ck_assert_msg(json != NULL, "not JSON: %s", line);
        const char *event = json_string_value(json_object_get(json, "event"));
        snprintf(count++ == 0 ? first : last, sizeof last, "%s", event);
        json_decref(json);
    }
    ck_assert_str_eq(first, "run-started");
    ck_assert_str_eq(last, "run-ended");
    ck_assert_has(&run.out, "\"event\":\"task-ended\"");
}
END_TEST

START_TEST(a_dry_run_and_a_plan_create_nothing)
{
    static const char *const lines[] = {"run --dry-run p.yaml", "run -n p.yaml", "plan p.yaml"};
    program_file("p.yaml", GOOD);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        cleanup(result_clear) struct result result = with_plugins(lines[i]);
        ck_assert_msg(result.status == 0, "exit %d: %s", result.status, text_bytes(&result.err));
        ck_assert_has(&result.out, "pipeline small: 2 stages, 2 tasks\n");
    }
    cleanup(memory_free) char *working = path_join(program_folder, "work");
    ck_assert(!file_exists(working));
    cleanup(result_clear) struct result json = with_plugins("plan --json p.yaml");
    json_t *plan = json_loads(text_bytes(&json.out), 0, NULL);
    ck_assert_ptr_nonnull(plan);
    ck_assert_uint_eq(json_array_size(json_object_get(plan, "stages")), 2);
    json_decref(plan);
}
END_TEST

START_TEST(check_prints_every_problem_or_that_there_is_none)
{
    program_file("good.yaml", GOOD);
    program_file("bad.yaml", "pipeline: {name: x, stages: [a]}\n" HERE
                             "a:\n  depends-on: [nobody]\n  cpsu: 3\n  command: [/bin/true]\n");
    cleanup(result_clear) struct result good = with_plugins("check good.yaml");
    ck_assert_msg(good.status == 0, "%s%s", text_bytes(&good.out), text_bytes(&good.err));
    ck_assert_str_eq(text_bytes(&good.out), "no problems in 'good.yaml' (2 stages)\n");
    cleanup(result_clear) struct result bad = with_plugins("check bad.yaml");
    ck_assert_int_eq(bad.status, 2);
    ck_assert_has(&bad.out, "bad.yaml:6:16: error: stage 'a' depends on 'nobody'");
    ck_assert_has(&bad.out, "bad.yaml:7:3: error: a stage has no key 'cpsu'");
    ck_assert_has(&bad.out, " in 'bad.yaml'\n");
    cleanup(result_clear) struct result json = with_plugins("check --json bad.yaml");
    ck_assert_int_eq(json.status, 2);
    json_t *read = json_loads(text_bytes(&json.out), 0, NULL);
    const json_t *problem = json_array_get(json_object_get(read, "problems"), 0);
    static const char *const members[] = {"level", "file", "line", "column", "message", "hint"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        ck_assert_msg(json_object_get(problem, members[i]) != NULL, "lacks %s: %s", members[i], text_bytes(&json.out));
    json_decref(read);
    cleanup(result_clear) struct result run = with_plugins("run bad.yaml");
    ck_assert_int_eq(run.status, 2);
    ck_assert_str_eq(text_bytes(&run.out), "");
    ck_assert_has(&run.err, "bad.yaml:6:16: error: stage 'a' depends on 'nobody'");
    cleanup(memory_free) char *working = path_join(program_folder, "work");
    ck_assert(!file_exists(working));
    cleanup(result_clear) struct result none = with_plugins("check nowhere.yaml");
    ck_assert_int_eq(none.status, 2);
    ck_assert_has(&none.out, "nowhere.yaml");
}
END_TEST

START_TEST(check_knows_what_run_would_refuse_of_its_folders)
{
    program_file("p.yaml", GOOD);
    program_file("file", "");
    cleanup(result_clear) struct result working = with_plugins("check p.yaml --working file");
    ck_assert_int_eq(working.status, 2);
    ck_assert_has(&working.out, "/file' is not a folder\n");
    cleanup(result_clear) struct result same = with_plugins("check p.yaml --output work");
    ck_assert_int_eq(same.status, 2);
    ck_assert_has(&same.out, "error: 'output' and 'working' are the same folder");
}
END_TEST

START_TEST(a_plan_counts_with_plurals)
{
    program_file("p.yaml", "pipeline: {name: one, stages: [a]}\n"
                           "backends: {default: {scheduler: sequential, runtime: host}}\n"
                           "a: {command: [/bin/true], minutes: 1, foreach: {band: [g]}}\n");
    cleanup(result_clear) struct result plan = with_plugins("plan p.yaml");
    ck_assert_has(&plan.out, "pipeline one: 1 stage, 1 task\n");
    ck_assert_has(&plan.out, "  a (1 member)\n");
    ck_assert_has(&plan.out, "needs    1 cpu, at most 1 minute\n");
}
END_TEST

START_TEST(a_choice_on_the_command_line_is_followed_or_refused)
{
    program_file("p.yaml", GOOD);
    cleanup(result_clear) struct result local = with_plugins("plan p.yaml --backend local --runtime host");
    ck_assert_msg(local.status == 0, "%s", text_bytes(&local.err));
    ck_assert_has(&local.out, "scheduler local, runtime host");
    cleanup(result_clear) struct result only = with_plugins("plan p.yaml --until first");
    ck_assert_has(&only.out, "second (not selected)");
    cleanup(result_clear) struct result unknown = with_plugins("plan p.yaml --runtime hots");
    ck_assert_int_ne(unknown.status, 0);
    ck_assert_has(&unknown.err, "hots");
    cleanup(result_clear) struct result set = with_plugins("plan p.yaml --set first.cpus=2");
    ck_assert_has(&set.out, "2 cpus");
}
END_TEST

START_TEST(plugins_are_listed_shown_and_examined)
{
    cleanup(result_clear) struct result list = with_plugins("plugins list --json");
    json_t *json = json_loads(text_bytes(&list.out), 0, NULL);
    bool found = false;
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *plugin = json_array_get(json, i);
        found = found || strcmp(json_string_value(json_object_get(plugin, "path")), PLUGINS "/runtime-host.so") == 0;
        ck_assert_ptr_nonnull(json_object_get(plugin, "shadowed"));
    }
    ck_assert(found);
    json_decref(json);
    cleanup(result_clear) struct result show = with_plugins("plugins show runtime/host");
    ck_assert_msg(show.status == 0, "%s", text_bytes(&show.err));
    ck_assert_has(&show.out, "host");
    cleanup(result_clear) struct result file = program_run("plugins show " PLUGINS "/runtime-host.so --json");
    ck_assert_msg(file.status == 0, "%s", text_bytes(&file.err));
    json = json_loads(text_bytes(&file.out), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json, "name")), "host");
    json_decref(json);
    cleanup(result_clear) struct result none = with_plugins("plugins show runtime/hots");
    ck_assert_int_eq(none.status, 3);
    cleanup(result_clear) struct result doctor = with_plugins("doctor --json");
    ck_assert_int_eq(doctor.status, 0);
    json = json_loads(text_bytes(&doctor.out), 0, NULL);
    found = false;
    for (size_t i = 0; i < json_array_size(json_object_get(json, "plugins")); i++) {
        const json_t *plugin = json_array_get(json_object_get(json, "plugins"), i);
        if (strcmp(json_string_value(json_object_get(plugin, "name")), "host") == 0)
            found = json_is_true(json_object_get(plugin, "works"));
    }
    ck_assert(found);
    json_decref(json);
}
END_TEST

START_TEST(configuration_and_schema_are_printed)
{
    program_file("config/descpipe/config.yaml", "working: /data/work\n");
    cleanup(result_clear) struct result origin = with_plugins("config --origin");
    ck_assert_int_eq(origin.status, 0);
    ck_assert_has(&origin.out, "/data/work");
    ck_assert_has(&origin.out, "config.yaml:1");
    cleanup(result_clear) struct result plain = with_plugins("config");
    ck_assert_has(&plain.out, "/data/work");
    ck_assert_ptr_null(strstr(text_bytes(&plain.out), "config.yaml:1"));
    cleanup(result_clear) struct result schema = with_plugins("schema");
    ck_assert_int_eq(schema.status, 0);
    json_t *json = json_loads(text_bytes(&schema.out), 0, NULL);
    ck_assert_ptr_nonnull(json_object_get(json, "$schema"));
    json_decref(json);
    program_file("config/descpipe/config.yaml", "wroking: /data/work\n");
    cleanup(result_clear) struct result wrong = with_plugins("config");
    ck_assert_int_eq(wrong.status, 2);
    ck_assert_has(&wrong.err, "config.yaml:1:1");
}
END_TEST

/* Signals. */

struct going {
    pid_t pid;
    int out, err;
    struct text text;
};

static struct going start_waiting(const char *options)
{
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    cleanup(memory_free) char *pipeline = memory_format(WAITING, program_folder);
    ck_assert_int_eq(mkfifo(gate, 0600), 0);
    program_file("p.yaml", pipeline);
    int out[2];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    cleanup(descriptor_close) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    cleanup(memory_free) char *line = memory_format("--plugin-dir " PLUGINS " run p.yaml %s", options);
    struct going going = {.pid = program_start(line, (const int[]){nothing, out[1], out[1]}), .out = out[0]};
    close(out[1]);
    return going;
}

/* Reads until this has been said. */
static void read_until(struct going *going, const char *part)
{
    while (strstr(text_bytes(&going->text), part) == NULL) {
        char buffer[1024];
        ssize_t got = read(going->out, buffer, sizeof buffer);
        ck_assert_msg(got > 0, "ended without '%s':\n%s", part, text_bytes(&going->text));
        text_append_bytes(&going->text, buffer, (size_t)got);
    }
}

static int end_of(struct going *going)
{
    char buffer[1024];
    ssize_t got;
    while ((got = read(going->out, buffer, sizeof buffer)) > 0)
        text_append_bytes(&going->text, buffer, (size_t)got);
    close(going->out);
    return program_wait(going->pid);
}

START_TEST(an_interrupt_cancels_in_order_and_exits_7)
{
    struct going going = start_waiting("");
    read_until(&going, "waiting: started");
    kill(going.pid, SIGINT);
    ck_assert_msg(end_of(&going) == 7, "%s", text_bytes(&going.text));
    ck_assert_has(&going.text, "stopping; Ctrl-C again stops at once");
    ck_assert_has(&going.text, "waiting: CANCELLED");
    ck_assert_has(&going.text, "how far it came: descpipe status ");
    text_clear(&going.text);
    cleanup(result_clear) struct result status = with_plugins("status");
    ck_assert_has(&status.out, "1 succeeded, 1 cancelled");
}
END_TEST

START_TEST(a_terminate_signal_leaves_what_runs)
{
    struct going going = start_waiting("");
    read_until(&going, "waiting: started");
    kill(going.pid, SIGTERM);
    ck_assert_msg(end_of(&going) == 7, "%s", text_bytes(&going.text));
    ck_assert_has(&going.text, "descpipe: told to leave: stages that run go on; 'descpipe resume ");
    ck_assert_has(&going.text, "1 succeeded, 1 running\n");
    cleanup(result_clear) struct result described = with_plugins("status --json");
    json_t *json = json_loads(text_bytes(&described.out), 0, NULL);
    cleanup(memory_free) char *folder = memory_copy_text(json_string_value(json_object_get(json, "folder")));
    json_decref(json);
    text_clear(&going.text);
    cleanup(result_clear) struct result status = with_plugins("status");
    ck_assert_has(&status.out, ": stopped after ");
    ck_assert_has(&status.out, "\nno descpipe follows it any more; 1 task goes on: 'descpipe resume ");
    ck_assert_has(&status.out, "' ends it\n");
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    int open_gate = open(gate, O_WRONLY | O_CLOEXEC); /* it waits there still: this opens at once */
    ck_assert_int_ge(open_gate, 0);
    close(open_gate);
    program_wait_for_orphans();
    cleanup(memory_free) char *keeper_log = path_join(folder, "keeper.log");
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(file_read(keeper_log, 4096, &text, NULL)); /* its end is recorded, as was said */
    ck_assert_ptr_nonnull(strchr(text_bytes(&text), '\n'));
    cleanup(result_clear) struct result later = with_plugins("status"); /* and read */
    ck_assert_has(&later.out, "1 succeeded, 1 ended\n");
    ck_assert_has(&later.out, "waiting  ended, exit 0");
    ck_assert_ptr_null(strstr(text_bytes(&later.out), "follows it"));
    cleanup(result_clear) struct result cancel = with_plugins("cancel p.yaml");
    ck_assert_int_eq(cancel.status, 2);
    ck_assert_has(&cancel.err, " is stopped already, and nothing of it is running\n");
}
END_TEST

START_TEST(a_quit_signal_leaves_with_a_word)
{
    struct going going = start_waiting("");
    read_until(&going, "waiting: started");
    kill(going.pid, SIGQUIT);
    ck_assert_int_eq(end_of(&going), 131);
    ck_assert_has(&going.text, "descpipe: left; stages that run go on: 'descpipe resume ");
    text_clear(&going.text);
    /* The engine goes when it sees that: until then the request is for it, afterwards the stage is ended here. */
    cleanup(result_clear) struct result cancel = with_plugins("cancel p.yaml");
    ck_assert_msg(cancel.status == 0, "%s", text_bytes(&cancel.err));
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    cleanup(descriptor_close) int open_gate = open(gate, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    ck_assert_int_ge(open_gate, 0);
    descriptor_close(open_gate);
    open_gate = -1;
}
END_TEST

START_TEST(cancel_ends_what_a_stopped_run_left)
{
    struct going going = start_waiting("");
    read_until(&going, "waiting: started");
    kill(going.pid, SIGTERM);
    ck_assert_int_eq(end_of(&going), 7);
    text_clear(&going.text);
    cleanup(result_clear) struct result second = with_plugins("run p.yaml"); /* it would change files under it */
    ck_assert_int_eq(second.status, 6);
    ck_assert_has(&second.err, "' is in use by what run ");
    ck_assert_has(&second.err, " left running: waiting (process ");
    ck_assert_has(&second.err, "\ndescpipe: hint: 'descpipe resume ");
    cleanup(result_clear) struct result cancel = with_plugins("cancel p.yaml");
    ck_assert_msg(cancel.status == 0, "%s", text_bytes(&cancel.err));
    ck_assert_has(&cancel.err, " was stopped already; what it had left running was ended: waiting\n");
    program_wait_for_orphans(); /* nobody opened the gate: this would wait for ever */
    cleanup(result_clear) struct result status = with_plugins("status");
    ck_assert_has(&status.out, "waiting  ended, signal 15");
    cleanup(result_clear) struct result json = with_plugins("status --json");
    ck_assert_has(&json.out, "\"state\":\"ended\"");
    ck_assert_has(&json.out, "\"signal\":15");
}
END_TEST

/* The engine's pid, as its journal has it. */
static pid_t engine_of(const char *folder)
{
    cleanup(memory_free) char *path = path_join(folder, "journal.jsonl");
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert(file_read(path, 1 << 20, &text, NULL));
    json_t *json = json_loadb(text_bytes(&text), strcspn(text_bytes(&text), "\n"), 0, NULL);
    pid_t pid = (pid_t)json_integer_value(json_object_get(json, "pid"));
    json_decref(json);
    ck_assert_int_gt(pid, 1);
    return pid;
}

START_TEST(a_dead_engine_is_told_of_and_exits_70)
{
    static const struct {
        int signal;
        const char *message;
    } cases[] = {
        {SIGABRT, "descpipe: error: the engine ended unexpectedly (signal 6); this is a bug\n"},
        {SIGKILL, "descpipe: error: the engine was killed (signal 9), by somebody or for want of memory\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct going going = start_waiting("--no-cache");
        read_until(&going, "waiting: started");
        cleanup(result_clear) struct result status = with_plugins("status --json");
        json_t *json = json_loads(text_bytes(&status.out), 0, NULL);
        kill(engine_of(json_string_value(json_object_get(json, "folder"))), cases[i].signal);
        json_decref(json);
        ck_assert_msg(end_of(&going) == 70, "%s", text_bytes(&going.text));
        ck_assert_has(&going.text, cases[i].message);
        ck_assert_has(&going.text, "descpipe: hint: stages that run go on: 'descpipe resume ");
        ck_assert_has(&going.text, "1 succeeded, 1 running\n");
        text_clear(&going.text);
        cleanup(result_clear) struct result cancel = with_plugins("cancel p.yaml");
        ck_assert_msg(cancel.status == 0, "%s", text_bytes(&cancel.err));
        program_wait_for_orphans();
        cleanup(memory_free) char *gate = path_join(program_folder, "gate");
        ck_assert_int_eq(unlink(gate), 0);
    }
}
END_TEST

START_TEST(cancel_stops_a_run_from_elsewhere)
{
    struct going going = start_waiting("");
    read_until(&going, "waiting: started");
    cleanup(result_clear) struct result cancel = with_plugins("cancel p.yaml");
    ck_assert_msg(cancel.status == 0, "%s", text_bytes(&cancel.err));
    ck_assert_has(&cancel.err, "was asked to stop");
    ck_assert_int_eq(end_of(&going), 7);
    ck_assert_has(&going.text, "cancelling");
    text_clear(&going.text);
}
END_TEST

START_TEST(logs_follows_a_stage_that_runs)
{
    struct going going = start_waiting("");
    read_until(&going, "waiting: started");
    int out[2];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    cleanup(descriptor_close) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct going logs = {.pid = program_start("logs -f waiting", (const int[]){nothing, out[1], out[1]}),
                         .out = out[0]};
    close(out[1]);
    read_until(&logs, "step 7 of 9\n");
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    cleanup(descriptor_close) int open_gate = open(gate, O_WRONLY | O_CLOEXEC);
    ck_assert(descriptor_write(open_gate, "through\n", 8, NULL));
    descriptor_close(open_gate);
    open_gate = -1;
    ck_assert_int_eq(end_of(&logs), 0);
    ck_assert_str_eq(text_bytes(&logs.text), "step 7 of 9\nthrough\n");
    ck_assert_msg(end_of(&going) == 0, "%s", text_bytes(&going.text));
    text_clear(&logs.text);
    text_clear(&going.text);
}
END_TEST

START_TEST(a_reader_that_goes_away_does_not_stop_the_run)
{
    struct going going = start_waiting("");
    read_until(&going, "waiting: started");
    close(going.out);
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    cleanup(descriptor_close) int open_gate = open(gate, O_WRONLY | O_CLOEXEC);
    descriptor_close(open_gate);
    open_gate = -1;
    ck_assert_int_eq(program_wait(going.pid), 141); /* the run itself was good, its account was not heard */
    text_clear(&going.text);
    cleanup(result_clear) struct result status = with_plugins("status");
    ck_assert_has(&status.out, ": succeeded, ");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_good_run_ends_with_its_results,
                                  a_failed_run_says_what_to_type_and_exits_5,
                                  a_stage_that_wrote_nothing_has_a_next_command_that_works,
                                  quiet_runs_print_only_what_failed,
                                  json_lines_are_all_there_is_on_standard_output,
                                  a_dry_run_and_a_plan_create_nothing,
                                  check_prints_every_problem_or_that_there_is_none,
                                  check_knows_what_run_would_refuse_of_its_folders,
                                  a_plan_counts_with_plurals,
                                  a_choice_on_the_command_line_is_followed_or_refused,
                                  plugins_are_listed_shown_and_examined,
                                  configuration_and_schema_are_printed,
                                  an_interrupt_cancels_in_order_and_exits_7,
                                  a_terminate_signal_leaves_what_runs,
                                  a_quit_signal_leaves_with_a_word,
                                  cancel_ends_what_a_stopped_run_left,
                                  a_dead_engine_is_told_of_and_exits_70,
                                  cancel_stops_a_run_from_elsewhere,
                                  logs_follows_a_stage_that_runs,
                                  a_reader_that_goes_away_does_not_stop_the_run,
                                  NULL};
    return suite_run("run", tests, program_set_up, program_tear_down);
}
