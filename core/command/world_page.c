/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stage sees in one runtime, as people and programs read it. */
#include "command/world.h"
#include "report/grid.h"

bool world_line_differs(const struct world_line *line)
{
    return line->usual != NULL && !text_equal(line->here, line->usual);
}

void world_print_json(const struct world *world, const char *runtime, struct text *out)
{
    text_append(out, "{\"runtime\":");
    text_append_json(out, runtime);
    text_append(out, ",\"world\":[");
    for (size_t i = 0; i < world->lines.count; i++) {
        const struct world_line *line = &world->lines.items[i];
        text_append(out, i > 0 ? ",\n{\"what\":" : "\n{\"what\":");
        text_append_json(out, line->what);
        text_append(out, ",\"here\":");
        text_append_json(out, line->here);
        text_append(out, ",\"usual\":");
        if (line->usual != NULL)
            text_append_json(out, line->usual);
        else
            text_append(out, "null");
        text_format(out, ",\"differs\":%s}", world_line_differs(line) ? "true" : "false");
    }
    text_append(out, "\n]}\n");
}

static const char *shown(const char *value)
{
    return *value != '\0' ? value : "-";
}

void world_print(const struct world *world, const char *runtime, const struct terminal *terminal, struct text *out)
{
    static const struct grid_column columns[] = {
        {.title = ""}, {.title = "a stage sees"}, {.title = "here", .flexible = true, .wraps = true}};
    const char *mark = terminal->unicode ? "≠" : "!=";
    size_t differ = 0;
    cleanup(grid_free) struct grid *grid = grid_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < world->lines.count; i++) {
        const struct world_line *line = &world->lines.items[i];
        bool differs = world_line_differs(line);
        differ += differs;
        grid_add(grid, differs ? mark : "", differs ? "\x1b[33m" : "");
        grid_add(grid, line->what, differs ? "\x1b[1m" : "");
        cleanup(text_clear) struct text here = TEXT_INIT;
        text_append(&here, shown(line->here));
        if (differs)
            text_format(&here, " (elsewhere: %s)", shown(line->usual));
        grid_add(grid, text_bytes(&here), "");
    }
    grid_print(grid, terminal->width, terminal->color, out);
    text_format(out, "\n%zu of %zu things that a stage sees in runtime '%s' are not as elsewhere\n", differ,
                world->lines.count, runtime);
}
