/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * N tasks that do nothing: descpipe on `host` beside a bare posix_spawn loop that opens one log file per task, GNU
 * make, ninja and makeflow. bench-tasks [--tasks=1000] [--rounds=15] [--chain=0] [--makeflow=0] [--native=0] With
 * --native=1 each task is bubblewrap: descpipe's native runtime beside the very bwrap command that it starts, recorded
 * from a run of one task, in the bare loop; --podman=1, --singularity=1 and --charliecloud=1 do the same with those
 * tools, one at a time, because a recorded command may hold a name that can be taken once.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure.h"

extern char **environ;

#define JOBS 2

struct work {
    char *folder;
    size_t tasks;
    bool chain;
    const char *const *argv;     /* of one task */
    const char *image, *command; /* as the pipeline names them */
    unsigned round;
};

static void write_file(const struct work *work, const char *name, const struct text *text)
{
    cleanup(memory_free) char *path = memory_format("%s/%s", work->folder, name);
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!file_write(path, text_bytes(text), text->length, 0644, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
}

static void write_pipeline(const struct work *work, const char *runtime)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "pipeline:\n  name: bench\n  stages:\n");
    for (size_t i = 0; i < work->tasks; i++)
        text_format(&text, "  - t%zu\n", i);
    text_format(&text, "runtime: {working: %s/work, output: %s/out}\n", work->folder, work->folder);
    text_format(&text, "backends: {default: {scheduler: {use: %s%s}, runtime: %s}}\n",
                work->chain ? "sequential" : "local", work->chain ? "" : ", jobs: 2", runtime);
    for (size_t i = 0; i < work->tasks; i++) {
        text_format(&text, "t%zu:\n  image: \"%s\"\n  command: %s\n", i, work->image, work->command);
        if (work->chain && i > 0)
            text_format(&text, "  depends-on: [t%zu]\n", i - 1);
    }
    write_file(work, "pipeline.yaml", &text);
}

static void write_makefile(const struct work *work)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "all:");
    for (size_t i = 0; i < work->tasks; i++)
        text_format(&text, " t%zu", i);
    text_append(&text, "\n.PHONY: all");
    for (size_t i = 0; i < work->tasks; i++)
        text_format(&text, " t%zu", i);
    text_append(&text, "\n");
    for (size_t i = 0; i < work->tasks; i++) {
        if (work->chain && i > 0)
            text_format(&text, "t%zu: t%zu\n\t/bin/true\n", i, i - 1);
        else
            text_format(&text, "t%zu:\n\t/bin/true\n", i);
    }
    write_file(work, "Makefile", &text);
}

static void write_ninja(const struct work *work)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "rule r\n  command = /bin/true\n");
    for (size_t i = 0; i < work->tasks; i++) {
        if (work->chain && i > 0)
            text_format(&text, "build t%zu: r t%zu\n", i, i - 1);
        else
            text_format(&text, "build t%zu: r\n", i);
    }
    write_file(work, "build.ninja", &text);
}

static void write_makeflow(const struct work *work)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (size_t i = 0; i < work->tasks; i++) {
        if (work->chain && i > 0)
            text_format(&text, "m%zu: m%zu\n\tLOCAL touch m%zu\n\n", i, i - 1, i);
        else
            text_format(&text, "m%zu:\n\tLOCAL touch m%zu\n\n", i, i);
    }
    write_file(work, "flow", &text);
}

/* The floor: nothing but spawn, one log file each, wait. */
static void bare_loop(void *context)
{
    struct work *work = context;
    size_t started = 0, running = 0, limit = work->chain ? 1 : JOBS;
    char **argv = NULL;
    memcpy(&argv, &work->argv, sizeof(argv));
    while (started < work->tasks || running > 0) {
        if (started < work->tasks && running < limit) {
            char log[4096];
            pid_t child;
            snprintf(log, sizeof(log), "%s/logs/%zu/%zu.out", work->folder, started / 256, started);
            posix_spawn_file_actions_t actions;
            posix_spawn_file_actions_init(&actions);
            posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
            posix_spawn_file_actions_adddup2(&actions, 1, 2);
            if (posix_spawn(&child, argv[0], &actions, NULL, argv, environ) != 0)
                _exit(1);
            posix_spawn_file_actions_destroy(&actions);
            started++;
            running++;
            continue;
        }
        int status = 0;
        if (wait4(-1, &status, 0, NULL) < 0 || status != 0)
            _exit(1);
        running--;
    }
}

static void fresh_logs(void *context)
{
    struct work *work = context;
    cleanup(memory_free) char *used = memory_format("%s/logs", work->folder);
    cleanup(memory_free) char *aside = memory_format("%s/old-logs-%u", work->folder, work->round);
    rename(used, aside); /* not removed: deleting thousands of files slows what runs right after */
    mkdir(used, 0755);
    for (size_t i = 0; i <= work->tasks / 256; i++) {
        cleanup(memory_free) char *folder = memory_format("%s/logs/%zu", work->folder, i);
        mkdir(folder, 0755);
    }
}

static void fresh_work(void *context)
{
    struct work *work = context;
    cleanup(memory_free) char *used = memory_format("%s/work", work->folder);
    cleanup(memory_free) char *aside = memory_format("%s/old-work-%u", work->folder, work->round++);
    rename(used, aside);
}

static void fresh_makeflow(void *context)
{
    struct work *work = context;
    cleanup(memory_free) char *log = memory_format("%s/flow.makeflowlog", work->folder);
    unlink(log);
    for (size_t i = 0; i < work->tasks; i++) {
        cleanup(memory_free) char *made = memory_format("%s/m%zu", work->folder, i);
        unlink(made);
    }
}

static void bench_host(struct work *work, size_t rounds, bool with_makeflow)
{
    cleanup(memory_free) char *pipeline = memory_format("%s/pipeline.yaml", work->folder);
    cleanup(memory_free) char *ninja_file = memory_format("%s/build.ninja", work->folder);
    cleanup(memory_free) char *make = measure_find("make"), *ninja = measure_find("ninja"),
                              *makeflow = measure_find("makeflow");
    static const char *const task[] = {"/bin/true", NULL};
    work->argv = task;
    write_pipeline(work, "host");
    write_makefile(work);
    write_ninja(work);
    write_makeflow(work);
    const char *const descpipe[] = {DESCPIPE, "--plugin-dir", DESCPIPE_PLUGINS, "run", "--no-cache", pipeline, NULL};
    const char *const make_argv[] = {"make", "-rR", "-s", "-j2", "-C", work->folder, NULL};
    const char *const ninja_argv[] = {"ninja", "-j2", "-C", work->folder, "-f", ninja_file, NULL};
    const char *const makeflow_argv[] = {"sh", "-c", "cd \"$0\" && exec makeflow -T local -j 2 flow", work->folder,
                                         NULL};
    struct contestant contestants[] = {
        {.name = "posix_spawn + log file", .run = bare_loop, .context = work, .before = fresh_logs},
        {.name = "descpipe, runtime host", .argv = descpipe, .context = work, .before = fresh_work},
        {.name = "make", .argv = make_argv, .context = work, .absent = !make},
        {.name = "ninja", .argv = ninja_argv, .context = work, .absent = !ninja},
        {.name = "makeflow (touch)",
         .argv = makeflow_argv,
         .context = work,
         .before = fresh_makeflow,
         .absent = !makeflow},
    };
    size_t count = sizeof(contestants) / sizeof(contestants[0]) - (with_makeflow ? 0 : 1);
    measure_rounds(contestants, count, rounds);
    cleanup(memory_free) char *title = memory_format("%zu %s tasks of /bin/true, %d at a time", work->tasks,
                                                     work->chain ? "chained" : "independent", work->chain ? 1 : JOBS);
    measure_print(title, contestants, count, rounds, work->tasks);
}

/* Stands before bubblewrap on PATH and notes what it is asked for; of several askings the last is the stage's. */
static void write_recorder(const struct work *work, const char *name, const char *tool)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(memory_free) char *folder = memory_format("%s/recorder", work->folder);
    cleanup(memory_free) char *path = memory_format("%s/%s", folder, name);
    mkdir(folder, 0755);
    text_format(&text, "#!/bin/sh\nprintf '%%s\\n' \"$@\" > %s/asked\nexec %s \"$@\"\n", work->folder, tool);
    cleanup(memory_free) char *file = memory_format("recorder/%s", name);
    write_file(work, file, &text);
    chmod(path, 0755);
}

static void run_one(const char *folder, const char *pipeline)
{
    pid_t child;
    int status = 1;
    cleanup(memory_free) char *path = memory_format("PATH=%s/recorder:%s", folder, secure_getenv("PATH"));
    const char *const command[] = {"env",        path,     DESCPIPE, "--plugin-dir", DESCPIPE_PLUGINS, "run",
                                   "--no-cache", pipeline, NULL};
    const char *const *given = command;
    char **argv = NULL;
    memcpy(&argv, &given, sizeof(argv));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&child, argv[0], &actions, NULL, argv, environ) != 0 || waitpid(child, &status, 0) < 0 ||
        status != 0) {
        fprintf(stderr, "the run to be recorded failed (wait status %d)\n", status);
        exit(1);
    }
    posix_spawn_file_actions_destroy(&actions);
}

/* A runtime and the program that it starts for each stage. */
struct tool {
    const char *runtime, *name;
    char *path;
};

/* A word of the command: what it says of the run's folder is where that has been moved to. */
static void add_moved(struct words *command, const char *word, const char *used, const char *kept)
{
    cleanup(text_clear) struct text moved = TEXT_INIT;
    for (const char *found; (found = strstr(word, used)) != NULL; word = found + strlen(used)) {
        text_append_bytes(&moved, word, (size_t)(found - word));
        text_append(&moved, kept);
    }
    text_append(&moved, word);
    words_add(command, text_bytes(&moved));
}

/* The argv of one stage; its folders stay as that run left them. */
static void record_command(struct work *work, const struct tool *tool, const char *pipeline, struct words *command)
{
    struct work one = *work;
    cleanup(text_clear) struct text asked = TEXT_INIT;
    cleanup(memory_free) char *path = memory_format("%s/asked", work->folder);
    cleanup(memory_free) char *used = memory_format("%s/work", work->folder);
    cleanup(memory_free) char *kept = memory_format("%s/recorded", work->folder);
    one.tasks = 1;
    write_pipeline(&one, tool->runtime);
    write_recorder(work, tool->name, tool->path);
    run_one(work->folder, pipeline);
    if (!file_read(path, 1 << 20, &asked, NULL) || rename(used, kept) != 0)
        exit(1);
    words_add(command, tool->path);
    for (char *line = asked.bytes, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        add_moved(command, line, used, kept);
    }
}

static void bench_tool(struct work *work, size_t rounds, struct tool tool)
{
    cleanup(memory_free) char *pipeline = memory_format("%s/pipeline.yaml", work->folder);
    cleanup(memory_free) char *path = measure_find(tool.name);
    cleanup(words_clear) struct words command = {0};
    if (!path) {
        fprintf(stderr, "%s is not installed\n", tool.name);
        exit(1);
    }
    tool.path = path;
    record_command(work, &tool, pipeline, &command);
    work->argv = words_list(&command);
    write_pipeline(work, tool.runtime);
    cleanup(memory_free) char *bare = memory_format("the same %s + log file", tool.name);
    cleanup(memory_free) char *ours = memory_format("descpipe, runtime %s", tool.runtime);
    const char *const descpipe[] = {DESCPIPE, "--plugin-dir", DESCPIPE_PLUGINS, "run", "--no-cache", pipeline, NULL};
    struct contestant contestants[] = {
        {.name = bare, .run = bare_loop, .context = work, .before = fresh_logs},
        {.name = ours, .argv = descpipe, .context = work, .before = fresh_work},
    };
    measure_rounds(contestants, 2, rounds);
    cleanup(memory_free) char *title =
        memory_format("%zu tasks by %s, %d at a time", work->tasks, tool.name, work->chain ? 1 : JOBS);
    measure_print(title, contestants, 2, rounds, work->tasks);
}

int main(int count, char **arguments)
{
    struct work work = {.folder = measure_folder(),
                        .tasks = measure_argument(count, arguments, "--tasks", 1000),
                        .chain = measure_argument(count, arguments, "--chain", 0) != 0};
    size_t rounds = measure_argument(count, arguments, "--rounds", 15);
    rounds = rounds == 0 ? 1 : rounds > ROUNDS_LIMIT ? ROUNDS_LIMIT : rounds;
    static const struct tool tools[] = {{.runtime = "native", .name = "bwrap"},
                                        {.runtime = "podman", .name = "podman"},
                                        {.runtime = "singularity", .name = "apptainer"},
                                        {.runtime = "charliecloud", .name = "ch-run"}};
    const struct tool *asked = NULL;
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
        cleanup(memory_free) char *option = memory_format("--%s", tools[i].runtime);
        if (measure_argument(count, arguments, option, 0))
            asked = &tools[i];
    }
    work.image = "rootfs:/";
    work.command = "[/bin/true]";
    if (asked && asked != tools) {
        work.image = "docker-archive:" WORLD_ARCHIVE;
        work.command = "[/bin/world, exit, \"0\"]";
        work.chain = true;
    }
    if (asked)
        bench_tool(&work, rounds, *asked);
    else
        bench_host(&work, rounds, measure_argument(count, arguments, "--makeflow", 0) != 0);
    measure_folder_remove(work.folder);
    return 0;
}
