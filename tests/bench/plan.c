/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading and planning a layered pipeline of N stages: `descpipe plan` beside libyaml's bare event loop over the same
 * file and beside `ninja -n` on the same graph. bench-plan [--stages=100000] [--rounds=7]
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure.h"

#define LAYER 100 /* stages side by side; each reads two files of the layer before */

struct files {
    char *pipeline, *ninja;
};

static void save(const char *path, const struct text *text)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!file_write(path, text_bytes(text), text->length, 0644, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
}

static void write_pipeline(const char *path, const char *folder, size_t stages)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "pipeline:\n  name: bench\n  stages:\n");
    for (size_t i = 0; i < stages; i++)
        text_format(&text, "  - stage_%06zu\n", i);
    text_format(&text, "runtime: {working: %s/work, output: %s/out}\n", folder, folder);
    text_append(&text, "backends: {default: {scheduler: local, runtime: host}}\n");
    for (size_t i = 0; i < stages; i++) {
        text_format(&text, "stage_%06zu:\n  depends-on: []\n  inputs:", i);
        if (i < LAYER)
            text_append(&text, " {}\n");
        else
            text_format(&text, "\n    tag-%06zu: fits\n    tag-%06zu: fits\n", i - LAYER,
                        i - i % LAYER - LAYER + (i * 7 + 3) % LAYER);
        text_format(&text, "  outputs:\n    tag-%06zu: fits\n", i);
        text_append(
            &text,
            "  command: [/opt/desc/run.py, --verbose, --bins, \"10\"]\n  cpus: 2\n  memory: 4GiB\n  minutes: 30\n");
    }
    save(path, &text);
}

static void write_ninja(const char *path, size_t stages)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "rule r\n  command = /bin/true\n");
    for (size_t i = 0; i < stages; i++) {
        if (i < LAYER)
            text_format(&text, "build tag-%06zu: r\n", i);
        else
            text_format(&text, "build tag-%06zu: r tag-%06zu tag-%06zu\n", i, i - LAYER,
                        i - i % LAYER - LAYER + (i * 7 + 3) % LAYER);
    }
    save(path, &text);
}

static void bare_events(void *context)
{
    const struct files *files = context;
    FILE *file = fopen(files->pipeline, "rbe");
    yaml_parser_t parser;
    if (!file || !yaml_parser_initialize(&parser))
        _exit(1);
    yaml_parser_set_input_file(&parser, file);
    for (bool end = false; !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event))
            _exit(1);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    fclose(file);
}

int main(int count, char **arguments)
{
    size_t stages = measure_argument(count, arguments, "--stages", 100000);
    size_t rounds = measure_argument(count, arguments, "--rounds", 7);
    rounds = rounds == 0 ? 1 : rounds > ROUNDS_LIMIT ? ROUNDS_LIMIT : rounds;
    char *folder = measure_folder();
    struct files files = {.pipeline = memory_format("%s/pipeline.yaml", folder),
                          .ninja = memory_format("%s/build.ninja", folder)};
    write_pipeline(files.pipeline, folder, stages);
    write_ninja(files.ninja, stages);
    cleanup(memory_free) char *ninja = measure_find("ninja");
    const char *const check[] = {DESCPIPE, "--plugin-dir", DESCPIPE_PLUGINS, "check", files.pipeline, NULL};
    const char *const plan[] = {DESCPIPE, "--plugin-dir", DESCPIPE_PLUGINS, "plan", "--json", files.pipeline, NULL};
    const char *const ninja_argv[] = {"ninja", "-n", "-C", folder, "-f", files.ninja, NULL};
    struct contestant contestants[] = {
        {.name = "libyaml events", .run = bare_events, .context = &files},
        {.name = "descpipe check", .argv = check},
        {.name = "descpipe plan --json", .argv = plan},
        {.name = "ninja -n", .argv = ninja_argv, .absent = !ninja},
    };
    measure_rounds(contestants, 4, rounds);
    cleanup(memory_free) char *title = memory_format("%zu stages in layers of %d", stages, LAYER);
    measure_print(title, contestants, 4, rounds, 0);
    memory_free(files.pipeline);
    memory_free(files.ninja);
    measure_folder_remove(folder);
    return 0;
}
