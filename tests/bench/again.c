/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second run beside make, ninja, snakemake and cwltool: with nothing changed, with one input changed, and after the
 * first was killed half way. The same work for all: stage I copies its own input file.
 * bench-again [--stages=1000] [--rounds=15]
 *
 * How it works: each tool has a folder of its own, and is started in it by a shell that then is the tool. Before a
 * killed run is gone on with, all it has made is thrown away, it is begun anew, and it gets SIGKILL when half of the
 * results are there; only what comes then is measured.
 */
#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "measure.h"

enum { TOOLS = 5, SLOW_LIMIT = 300 /* stages for those that take milliseconds for each */ };

static char *folder;
static unsigned changes;
static size_t stages;

struct tool {
    const char *name, *program; /* its folder and its executable */
    const char *again;          /* the shell's words in that folder */
    const char *resume;         /* the same after a kill, NULL: as `again` */
    const char *results;        /* where they appear */
    bool slow;
};

static const struct tool tools[TOOLS] = {
    {.name = "ninja", .program = "ninja", .again = "exec ninja -j2", .results = "out"},
    {.name = "make", .program = "make", .again = "exec make -rR -j2", .results = "out"},
    {.name = "descpipe",
     .again = "exec " DESCPIPE " --plugin-dir " DESCPIPE_PLUGINS " run p.yaml -q",
     .resume = "exec " DESCPIPE " --plugin-dir " DESCPIPE_PLUGINS " resume work -q",
     .results = "work/data"},
    {.name = "snakemake",
     .program = "snakemake",
     .again = "exec snakemake -j2 -q",
     .resume = "snakemake --unlock && exec snakemake -j2 -q --rerun-incomplete",
     .results = "out",
     .slow = true},
    {.name = "cwltool",
     .program = "cwltool",
     .again = "exec cwltool --quiet --parallel --no-container --cachedir cache --outdir out all.cwl all.json",
     .results = "cache",
     .slow = true},
};

static char *place(const struct tool *tool, const char *name)
{
    return memory_format("%s/%s/%s", folder, tool->name, name);
}

static void put(const char *name, const struct text *text)
{
    cleanup(memory_free) char *path = path_join(folder, name);
    if (!file_write(path, text_bytes(text), text->length, 0666, NULL))
        _exit(1);
}

/* The content is another one each time: a time of change alone is not one for everybody. */
static void change_one(void *context)
{
    (void)context;
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_format(&text, "changed %u\n", ++changes);
    put("in/0.txt", &text);
}

static void write_inputs(void)
{
    cleanup(memory_free) char *in = path_join(folder, "in");
    bool made = folder_make(in, 0777, NULL);
    for (size_t i = 0; i < TOOLS && made; i++) {
        cleanup(memory_free) char *out = place(&tools[i], "out");
        made = folder_make(out, 0777, NULL);
    }
    if (!made)
        _exit(1);
    for (size_t i = 0; i < stages; i++) {
        cleanup(text_clear) struct text text = TEXT_INIT;
        cleanup(memory_free) char *name = memory_format("in/%zu.txt", i);
        text_format(&text, "input %zu\n", i);
        put(name, &text);
    }
}

static void write_makefile(void)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "all:");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, " out/%zu", i);
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "\nout/%zu: ../in/%zu.txt\n\t@cp ../in/%zu.txt $@", i, i, i);
    text_append_character(&text, '\n');
    put("make/Makefile", &text);
}

static void write_ninja(void)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "rule copy\n command = cp $in $out\n");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "build out/%zu: copy ../in/%zu.txt\n", i, i);
    put("ninja/build.ninja", &text);
}

static void write_snakefile(void)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_format(&text,
                "rule all:\n    input: expand('out/{i}', i=range(%zu))\n"
                "rule copy:\n    input: '../in/{i}.txt'\n    output: 'out/{i}'\n    shell: 'cp {input} {output}'\n",
                stages);
    put("snakemake/Snakefile", &text);
}

static void write_workflow(void)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "cwlVersion: v1.2\nclass: Workflow\nrequirements: {ScatterFeatureRequirement: {}}\n"
                       "inputs: {files: {type: 'File[]'}}\noutputs: {}\nsteps:\n  copy:\n    scatter: file\n"
                       "    in: {file: files}\n    out: [copied]\n    run:\n      class: CommandLineTool\n"
                       "      baseCommand: cp\n      inputs: {file: {type: File, inputBinding: {position: 1}}}\n"
                       "      arguments: [{valueFrom: copy, position: 2}]\n"
                       "      outputs: {copied: {type: File, outputBinding: {glob: copy}}}\n");
    put("cwltool/all.cwl", &text);
    text_reset(&text);
    text_append(&text, "{\"files\": [");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "%s{\"class\": \"File\", \"path\": \"../in/%zu.txt\"}", i > 0 ? ", " : "", i);
    text_append(&text, "]}\n");
    put("cwltool/all.json", &text);
}

static void write_pipeline(void)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "pipeline: {name: again, stages: [");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "%ss%zu", i > 0 ? ", " : "", i);
    text_append(&text, "]}\nbackends: {default: {scheduler: local, runtime: host}}\n"
                       "runtime: {working: ./work, output: ./out, inputs: {");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "%si%zu: ../in/%zu.txt", i > 0 ? ", " : "", i, i);
    text_append(&text, "}}\n");
    for (size_t i = 0; i < stages; i++)
        text_format(&text,
                    "s%zu: {inputs: {i%zu: txt}, outputs: {o%zu: txt}, "
                    "command: [/bin/sh, -c, 'cp $DESC_INPUT/i%zu.txt $DESC_OUTPUT/o%zu.txt']}\n",
                    i, i, i, i, i);
    put("descpipe/p.yaml", &text);
}

static size_t count_results(const char *path)
{
    size_t count = 0;
    DIR *results = opendir(path);
    for (struct dirent *entry; results != NULL && (entry = readdir(results)) != NULL;)
        count += entry->d_name[0] != '.';
    if (results != NULL)
        closedir(results);
    return count;
}

static void remove_made(const struct tool *tool)
{
    static const char *const made[] = {"out", "work", "cache", ".ninja_log", ".ninja_deps", ".snakemake", NULL};
    for (size_t i = 0; made[i] != NULL; i++) {
        cleanup(memory_free) char *path = place(tool, made[i]);
        if (unlink(path) != 0)
            folder_remove(path, NULL);
    }
    cleanup(memory_free) char *out = place(tool, "out");
    if (!folder_make(out, 0777, NULL))
        _exit(1);
}

/* The engine has a session of its own: only its journal knows it. */
static void kill_engine(const struct tool *tool)
{
    cleanup(memory_free) char *pattern = place(tool, "work/.descpipe/runs");
    DIR *runs = opendir(pattern);
    for (struct dirent *entry; runs != NULL && (entry = readdir(runs)) != NULL;) {
        cleanup(memory_free) char *path = memory_format("%s/%s/journal.jsonl", pattern, entry->d_name);
        cleanup(text_clear) struct text journal = TEXT_INIT;
        const char *pid = NULL;
        if (entry->d_name[0] != '.' && file_read(path, UINT64_C(1) << 30, &journal, NULL))
            pid = strstr(text_bytes(&journal), "\"pid\":"); /* of the first record, the writer's */
        if (pid != NULL)
            kill((pid_t)strtol(pid + strlen("\"pid\":"), NULL, 10), SIGKILL);
    }
    if (runs != NULL)
        closedir(runs);
}

/* Begins anew, and ends it by force when half of the results are there. */
static void leave_half(void *context)
{
    const struct tool *tool = context;
    remove_made(tool);
    cleanup(memory_free) char *results = place(tool, tool->results);
    cleanup(memory_free) char *where = path_join(folder, tool->name);
    pid_t child = fork();
    if (child == 0) {
        if (setpgid(0, 0) != 0 || chdir(where) != 0 || freopen("/dev/null", "w", stdout) == NULL ||
            freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        execl("/bin/sh", "sh", "-c", tool->again, (char *)NULL);
        _exit(127);
    }
    const struct timespec moment = {.tv_nsec = 1000 * 1000};
    while (count_results(results) < stages / 2 && waitpid(child, NULL, WNOHANG) == 0)
        nanosleep(&moment, NULL);
    if (tool->program == NULL)
        kill_engine(tool);
    else
        kill(-child, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) /* what it had started too: this process is their reaper */
        continue;
    if (count_results(results) >= stages)
        fprintf(stderr, "%s was through before it could be killed\n", tool->name);
}

static size_t files_met;

static int meet(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)path, (void)status, (void)at;
    files_met += kind == FTW_F || kind == FTW_SL;
    return 0;
}

static void print_files(const struct contestant *contestants)
{
    printf("\nfiles and links in a tool's folder after it all, %zu of them results\n", stages);
    for (size_t i = 0; i < TOOLS; i++) {
        cleanup(memory_free) char *where = path_join(folder, tools[i].name);
        files_met = 0;
        if (!contestants[i].absent && nftw(where, meet, 64, FTW_PHYS) == 0)
            printf("%-28s %26zu\n", tools[i].name, files_met);
    }
}

static void measure(struct contestant *contestants, size_t rounds, void (*before)(void *context), const char *what)
{
    const char *argv[TOOLS][4];
    char *lines[TOOLS];
    for (size_t i = 0; i < TOOLS; i++) {
        const char *words = before == leave_half && tools[i].resume != NULL ? tools[i].resume : tools[i].again;
        lines[i] = memory_format("cd %s/%s && %s", folder, tools[i].name, words);
        memcpy(argv[i], (const char *const[]){"/bin/sh", "-c", lines[i], NULL}, sizeof argv[i]);
        contestants[i].argv = argv[i];
        contestants[i].before = before;
        memcpy(&contestants[i].context, &(const struct tool *){&tools[i]}, sizeof contestants[i].context);
    }
    measure_rounds(contestants, TOOLS, rounds);
    cleanup(memory_free) char *title = memory_format("%s, %zu stages", what, stages);
    measure_print(title, contestants, TOOLS, rounds, 0);
    for (size_t i = 0; i < TOOLS; i++)
        memory_free(lines[i]);
}

int main(int count, char **arguments)
{
    stages = measure_argument(count, arguments, "--stages", 1000);
    size_t rounds = measure_argument(count, arguments, "--rounds", 15);
    rounds = rounds == 0 ? 1 : rounds > ROUNDS_LIMIT ? ROUNDS_LIMIT : rounds;
    folder = measure_folder();
    write_inputs();
    write_makefile();
    write_ninja();
    write_snakefile();
    write_workflow();
    write_pipeline();
    struct contestant contestants[TOOLS];
    for (size_t i = 0; i < TOOLS; i++) {
        cleanup(memory_free) char *program = tools[i].program != NULL ? measure_find(tools[i].program) : NULL;
        bool missing = tools[i].program != NULL && program == NULL, too_slow = tools[i].slow && stages > SLOW_LIMIT;
        contestants[i] = (struct contestant){.name = tools[i].name,
                                             .absent = missing || too_slow,
                                             .absent_why = missing ? NULL : "only with 300 stages or fewer"};
    }
    measure(contestants, 1, NULL, "from nothing");
    measure(contestants, rounds, NULL, "nothing changed");
    measure(contestants, rounds, change_one, "one input changed");
    measure(contestants, rounds, leave_half, "killed half way, gone on with");
    print_files(contestants);
    measure_folder_remove(folder);
    return 0;
}
