/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second run beside make, ninja and snakemake: with nothing changed, and with one input changed. The same work for
 * all: stage I copies its own input file. bench-again [--stages=1000] [--rounds=15]
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "measure.h"

enum { TOOLS = 4, SNAKEMAKE_LIMIT = 300 };

static char *folder;
static unsigned changes;

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

static void write_inputs(size_t stages)
{
    cleanup(memory_free) char *in = path_join(folder, "in");
    cleanup(memory_free) char *out = path_join(folder, "copies");
    if (!folder_make(in, 0777, NULL) || !folder_make(out, 0777, NULL))
        _exit(1);
    for (size_t i = 0; i < stages; i++) {
        cleanup(text_clear) struct text text = TEXT_INIT;
        cleanup(memory_free) char *name = memory_format("in/%zu.txt", i);
        text_format(&text, "input %zu\n", i);
        put(name, &text);
    }
}

static void write_makefile(size_t stages)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "all:");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, " copies/make%zu", i);
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "\ncopies/make%zu: in/%zu.txt\n\t@cp in/%zu.txt $@", i, i, i);
    text_append_character(&text, '\n');
    put("Makefile", &text);
}

static void write_ninja(size_t stages)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "rule copy\n command = cp $in $out\n");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "build copies/ninja%zu: copy in/%zu.txt\n", i, i);
    put("build.ninja", &text);
}

static void write_snakefile(size_t stages)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_format(
        &text,
        "rule all:\n    input: expand('copies/snake{i}', i=range(%zu))\n"
        "rule copy:\n    input: 'in/{i}.txt'\n    output: 'copies/snake{i}'\n    shell: 'cp {input} {output}'\n",
        stages);
    put("Snakefile", &text);
}

static void write_pipeline(size_t stages)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "pipeline: {name: again, stages: [");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "%ss%zu", i > 0 ? ", " : "", i);
    text_append(&text, "]}\nruntime: {working: ./work, output: ./out, inputs: {");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "%si%zu: ./in/%zu.txt", i > 0 ? ", " : "", i, i);
    text_append(&text, "}}\n");
    for (size_t i = 0; i < stages; i++)
        text_format(&text,
                    "s%zu: {inputs: {i%zu: txt}, outputs: {o%zu: txt}, "
                    "command: [/bin/sh, -c, 'cp $DESC_INPUT/i%zu.txt $DESC_OUTPUT/o%zu.txt']}\n",
                    i, i, i, i, i);
    put("p.yaml", &text);
}

static void once(const char *const *argv)
{
    struct contestant first = {.name = argv[0], .argv = argv};
    measure_rounds(&first, 1, 1);
}

int main(int count, char **arguments)
{
    size_t stages = measure_argument(count, arguments, "--stages", 1000);
    size_t rounds = measure_argument(count, arguments, "--rounds", 15);
    rounds = rounds == 0 ? 1 : rounds > ROUNDS_LIMIT ? ROUNDS_LIMIT : rounds;
    folder = measure_folder();
    write_inputs(stages);
    write_makefile(stages);
    write_ninja(stages);
    write_snakefile(stages);
    write_pipeline(stages);
    if (chdir(folder) != 0)
        return 1;
    cleanup(memory_free) char *make = measure_find("make"), *ninja = measure_find("ninja"),
                              *snakemake = measure_find("snakemake");
    const char *const make_argv[] = {make, "-rR", "-j2", NULL}, *const ninja_argv[] = {ninja, "-j2", NULL};
    const char *const snake_argv[] = {snakemake, "-j2", "-q", NULL};
    const char *const own_argv[] = {DESCPIPE,    "--plugin-dir", DESCPIPE_PLUGINS, "run",   "p.yaml", "-q",
                                    "--runtime", "host",         "--backend",      "local", NULL};
    struct contestant tools[TOOLS] = {
        {.name = "ninja -j2", .argv = ninja_argv, .absent = ninja == NULL},
        {.name = "make -rR -j2", .argv = make_argv, .absent = make == NULL},
        {.name = "descpipe run", .argv = own_argv},
        {.name = "snakemake -j2", .argv = snake_argv, .absent = snakemake == NULL || stages > SNAKEMAKE_LIMIT},
    };
    for (size_t i = 0; i < TOOLS; i++)
        if (!tools[i].absent)
            once(tools[i].argv);
    measure_rounds(tools, TOOLS, rounds);
    cleanup(memory_free) char *nothing = memory_format("nothing changed, %zu stages", stages);
    measure_print(nothing, tools, TOOLS, rounds, 0);
    for (size_t i = 0; i < TOOLS; i++)
        tools[i].before = change_one;
    measure_rounds(tools, TOOLS, rounds);
    cleanup(memory_free) char *one = memory_format("one input changed, %zu stages", stages);
    measure_print(one, tools, TOOLS, rounds, 0);
    if (chdir("/") != 0)
        return 1;
    measure_folder_remove(folder);
    return 0;
}
