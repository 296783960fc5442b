/* SPDX-License-Identifier: BSD-3-Clause */
/* `status --watch`: who watches a run sees what its front sees, and ends as it ends. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "pipelines.h"
#include "program.h"
#include "suite.h"

/* The second stage waits for somebody to write into the gate; what it gets is its exit status. */
#define GATED                                                                                                          \
    "pipeline: {name: gated, stages: [first, waiting]}\n" HERE "first: {command: [/bin/true]}\n"                       \
    "waiting: {depends-on: [first], command: [/bin/sh, -c, 'exit $(cat %s/gate)']}\n"

struct going {
    pid_t pid;
    int out;
    struct text text;
};

static void start(struct going *going, const char *line)
{
    int out[2];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    cleanup(descriptor_close) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    cleanup(memory_free) char *whole = memory_format("--plugin-dir " PLUGINS " %s", line);
    *going = (struct going){.pid = program_start(whole, (const int[]){nothing, out[1], out[1]}), .out = out[0]};
    close(out[1]);
}

static bool read_some(struct going *going)
{
    char buffer[1024];
    ssize_t got = read(going->out, buffer, sizeof buffer);
    if (got > 0)
        text_append_bytes(&going->text, buffer, (size_t)got);
    return got > 0;
}

static void read_until(struct going *going, const char *part)
{
    while (strstr(text_bytes(&going->text), part) == NULL)
        ck_assert_msg(read_some(going), "ended without '%s':\n%s", part, text_bytes(&going->text));
}

static int end_of(struct going *going)
{
    while (read_some(going))
        ;
    close(going->out);
    return program_wait(going->pid);
}

static void start_gated(struct going *run)
{
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    cleanup(memory_free) char *pipeline = memory_format(GATED, program_folder);
    ck_assert_int_eq(mkfifo(gate, 0600), 0);
    program_file("p.yaml", pipeline);
    start(run, "run p.yaml --no-cache");
    read_until(run, "waiting: started");
}

static void open_gate(const char *exit_status)
{
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    cleanup(descriptor_close) int end = open(gate, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(end, 0);
    ck_assert(descriptor_write(end, exit_status, strlen(exit_status), NULL));
}

static void clear(struct going *run, struct going *watch)
{
    text_clear(&run->text);
    text_clear(&watch->text);
    cleanup(memory_free) char *gate = path_join(program_folder, "gate");
    ck_assert_int_eq(unlink(gate), 0);
}

START_TEST(it_ends_with_the_run_and_as_the_run)
{
    static const struct {
        const char *exit_status, *said;
        int status;
    } cases[] = {{"0", "run succeeded: 2 succeeded\n", 0}, {"3", "waiting: EXIT 3", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct going run, watch;
        start_gated(&run);
        start(&watch, "status --watch");
        read_until(&watch, "waiting: started");
        open_gate(cases[i].exit_status);
        ck_assert_int_eq(end_of(&run), cases[i].status);
        ck_assert_msg(end_of(&watch) == cases[i].status, "%s", text_bytes(&watch.text));
        ck_assert_msg(strstr(text_bytes(&watch.text), cases[i].said) != NULL, "%s", text_bytes(&watch.text));
        clear(&run, &watch);
    }
}
END_TEST

static size_t count_lines(const struct text *text)
{
    size_t lines = 0;
    for (const char *line = text_bytes(text); *line != '\0'; line += strcspn(line, "\n") + 1) {
        json_t *json = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        ck_assert_msg(json_is_string(json_object_get(json, "event")), "no event: %s", line);
        json_decref(json);
        lines++;
    }
    return lines;
}

START_TEST(its_events_are_those_of_the_run_from_the_first_on)
{
    struct going run, watch;
    start_gated(&run);
    start(&watch, "status --watch --json");
    read_until(&watch, "\"event\":\"task-started\"");
    open_gate("0");
    ck_assert_int_eq(end_of(&run), 0);
    ck_assert_int_eq(end_of(&watch), 0);
    size_t lines = count_lines(&watch.text);
    ck_assert(text_starts_with(text_bytes(&watch.text), "{\"event\":\"run-started\""));
    ck_assert_ptr_nonnull(strstr(text_bytes(&watch.text), "\n{\"event\":\"run-ended\""));
    struct going later; /* of a run that is over: all of them at once, and the same */
    start(&later, "status --watch --json");
    ck_assert_int_eq(end_of(&later), 0);
    ck_assert_uint_eq(count_lines(&later.text), lines);
    ck_assert_str_eq(text_bytes(&later.text), text_bytes(&watch.text));
    text_clear(&later.text);
    clear(&run, &watch);
}
END_TEST

/* Neither a run that nobody follows any more nor the reader's own leaving looks like an end of the run. */
START_TEST(what_was_not_watched_to_its_end_exits_7)
{
    struct going run, watch, events;
    start_gated(&run);
    start(&watch, "status --watch");
    start(&events, "status --watch --json");
    read_until(&watch, "waiting: started");
    read_until(&events, "\"stage\":\"waiting\"");
    kill(watch.pid, SIGINT);
    ck_assert_int_eq(end_of(&watch), 7);
    ck_assert_msg(strstr(text_bytes(&watch.text), "no longer watched; run ") != NULL, "%s", text_bytes(&watch.text));
    kill(run.pid, SIGTERM); /* it leaves; its stage goes on */
    end_of(&run);
    ck_assert_int_eq(end_of(&events), 7);
    ck_assert_msg(strstr(text_bytes(&events.text), "{\"event\":\"problem\"") != NULL, "%s", text_bytes(&events.text));
    ck_assert_ptr_nonnull(strstr(text_bytes(&events.text), "was stopped before its end"));
    open_gate("0");
    program_wait_for_orphans();
    text_clear(&events.text);
    clear(&run, &watch);
}
END_TEST

/* The names, sizes and times of all that is in a folder. */
static void list_folder(const char *path, struct text *out)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    ck_assert_int_ge(count, 0);
    for (int i = 0; i < count; i++) {
        struct stat status;
        cleanup(memory_free) char *entry = path_join(path, entries[i]->d_name);
        ck_assert_int_eq(lstat(entry, &status), 0);
        text_format(out, "%s %lld %lld.%09ld\n", entries[i]->d_name, (long long)status.st_size,
                    (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
        free(entries[i]);
    }
    free(entries);
}

START_TEST(it_writes_nothing)
{
    struct going run, watch;
    start_gated(&run);
    open_gate("0");
    ck_assert_int_eq(end_of(&run), 0);
    cleanup(result_clear) struct result status = program_run("--plugin-dir " PLUGINS " status --json");
    json_t *json = json_loads(text_bytes(&status.out), 0, NULL);
    const char *folder = json_string_value(json_object_get(json, "folder"));
    cleanup(text_clear) struct text before = TEXT_INIT, after = TEXT_INIT;
    list_folder(folder, &before);
    start(&watch, "status -w -q work");
    ck_assert_int_eq(end_of(&watch), 0);
    list_folder(folder, &after);
    ck_assert_str_eq(text_bytes(&before), text_bytes(&after));
    json_decref(json);
    clear(&run, &watch);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {it_ends_with_the_run_and_as_the_run,
                                  its_events_are_those_of_the_run_from_the_first_on,
                                  what_was_not_watched_to_its_end_exits_7, it_writes_nothing, NULL};
    return suite_run("watch", tests, program_set_up, program_tear_down);
}
