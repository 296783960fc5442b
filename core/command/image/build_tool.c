/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments of the programs that build images. */
#include "command/image/build_tool.h"

#include "base/file.h"
#include "base/path.h"

static void add_each(struct words *argv, const char *option, const struct words *values)
{
    for (size_t i = 0; i < values->count; i++) {
        words_add(argv, option);
        words_add(argv, values->items[i]);
    }
}

bool build_asks_for_newer(const struct build_item *item, const struct build_options *options)
{
    return options->pull && item->after.count == 0;
}

void build_tool_arguments(const char *tool, const struct build_item *item, const struct words *labels,
                          const struct build_options *options, struct words *argv)
{
    words_add(argv, tool);
    words_add(argv, "build");
    words_add(argv, "--file");
    words_add(argv, item->file);
    add_each(argv, "--tag", &item->references);
    add_each(argv, "--build-arg", &item->arguments);
    add_each(argv, "--label", labels);
    if (options->no_cache)
        words_add(argv, "--no-cache");
    if (build_asks_for_newer(item, options))
        words_add(argv, "--pull");
    words_add(argv, item->folder);
}

static bool has_makefile(const char *folder)
{
    static const char *const names[] = {"GNUmakefile", "makefile", "Makefile"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cleanup(memory_free) char *path = path_join(folder, names[i]);
        if (file_exists(path))
            return true;
    }
    return false;
}

static void add_variable(struct words *argv, const char *name, const struct pipeline *pipeline, symbol value)
{
    if (value != 0)
        words_format(argv, "%s=%s", name, pipeline_text(pipeline, value));
}

bool build_make_arguments(const struct build_item *item, const struct build_options *options, struct words *argv,
                          struct error *error)
{
    cleanup(memory_free) char *above = path_folder(item->folder);
    bool own = has_makefile(item->folder);
    if (!own && !has_makefile(above)) {
        error_set(error, ERROR_INPUT, "'%s' cannot be built with make: neither '%s' nor '%s' has a Makefile",
                  item->name, item->folder, above);
        return error_hint(error, "leave --tool make away");
    }
    words_add(argv, "make");
    words_add(argv, "--directory");
    words_add(argv, own ? item->folder : above);
    add_variable(argv, "OWNER", options->pipeline, options->pipeline->owner);
    add_variable(argv, "BASENAME", options->pipeline, options->pipeline->basename);
    add_variable(argv, "VERSION", options->pipeline, options->pipeline->version);
    for (size_t i = 0; i < item->arguments.count; i++)
        if (!text_starts_with(item->arguments.items[i], "user="))
            words_add(argv, item->arguments.items[i]);
    if (!own) {
        words_add(argv, "--");
        words_add(argv, item->name);
    }
    return true;
}
