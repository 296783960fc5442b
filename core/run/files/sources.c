/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which commits the pipeline, its stage folders and its stages of GitHub are of, for the run's provenance.
 *
 * How it works: asked of git when the first stage is about to run, once for each work tree that the pipeline's file or
 * a folder of stages lies in; a run that finds all its results there asks nobody. Without git, or where git refuses,
 * the journal has no such record. Files that git does not know do not make a work tree dirty: results lie there too.
 */
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "io/process.h"
#include "pipeline/github.h"
#include "run/journal/record_members.h"
#include "run/walk.h"

#define GIT_TIMEOUT_MS 10000
#define TREES_LIMIT 16

struct source {
    struct engine *engine;
    char *folder, *commit; /* commit NULL: not known (yet) */
    bool dirty;
};

static void line_came(void *context, int stream, const char *line, size_t length)
{
    static const char oid[] = "# branch.oid ";
    struct source *source = context;
    (void)length;
    if (stream != 1)
        return;
    if (text_starts_with(line, oid) && source->commit == NULL)
        source->commit = memory_copy_text(line + sizeof oid - 1);
    else if (line[0] != '#' && line[0] != '\0')
        source->dirty = true;
}

static void record(struct engine *engine, const char *folder, const char *commit, bool dirty)
{
    struct text *text = journal_begin(engine->journal, "source");
    member_text(text, "folder", folder);
    member_text(text, "commit", commit);
    text_append(text, dirty ? ",\"dirty\":true" : ",\"dirty\":false");
    journal_end(engine->journal);
}

static void git_ended(void *context, const struct tool_end *end)
{
    struct source *source = context;
    struct engine *engine = source->engine;
    engine->sources_asked--;
    if (end->started && end->exit_code == 0 && source->commit != NULL && !engine->finished && engine->journal != NULL)
        record(engine, source->folder, source->commit, source->dirty);
    memory_free(source->folder);
    memory_free(source->commit);
    memory_free(source);
}

/* The work tree that `folder` lies in, or NULL. */
static char *find_tree(const char *folder)
{
    cleanup(memory_free) char *at = path_real(folder, NULL);
    while (at != NULL) {
        cleanup(memory_free) char *git = path_join(at, ".git");
        if (file_exists(git))
            return steal(&at);
        char *above = path_folder(at);
        bool top = text_equal(above, at);
        memory_free(at);
        at = above;
        if (top)
            break;
    }
    return NULL;
}

static void ask(struct engine *engine, const char *tree)
{
    struct source *source = memory_allocate(sizeof *source);
    *source = (struct source){.engine = engine, .folder = memory_copy_text(tree)};
    const char *const argv[] = {"git",      "--no-optional-locks",  "-C", tree, "status", "--porcelain=v2",
                                "--branch", "--untracked-files=no", NULL};
    engine->sources_asked++;
    const struct tool_request request = {
        .argv = argv, .timeout_ms = GIT_TIMEOUT_MS, .line = line_came, .ended = git_ended, .context = source};
    tool_start(engine->loop, &request);
}

static void ask_once(struct engine *engine, const char *folder, struct words *trees)
{
    cleanup(memory_free) char *tree = find_tree(folder);
    if (tree == NULL || trees->count >= TREES_LIMIT)
        return;
    for (size_t i = 0; i < trees->count; i++)
        if (strcmp(trees->items[i], tree) == 0)
            return;
    words_add(trees, tree);
    ask(engine, tree);
}

/* The commit that its metadata came from: `build` has laid it into the cache, which nobody changes. */
static void record_fetched(struct engine *engine, const struct stage *stage)
{
    const struct pipeline *pipeline = engine->pipeline;
    if (stage->extras == NULL || stage->extras->github == 0 || engine->journal == NULL)
        return;
    const char *repository = pipeline_text(pipeline, stage->extras->github);
    const char *checkout =
        stage->extras->checkout != 0 ? pipeline_text(pipeline, stage->extras->checkout) : GITHUB_DEFAULT_CHECKOUT;
    cleanup(memory_free) char *commit = github_known_commit(repository, checkout);
    cleanup(memory_free) char *place = memory_format("https://%s/%s", GITHUB_HOST, repository);
    if (commit != NULL)
        record(engine, place, commit, false);
}

void sources_begin(struct engine *engine)
{
    if (engine->sources_begun)
        return;
    engine->sources_begun = true;
    const struct pipeline *pipeline = engine->pipeline;
    cleanup(words_clear) struct words trees = {.items = NULL};
    cleanup(memory_free) char *folder = path_folder(pipeline->file);
    ask_once(engine, folder, &trees);
    for (size_t i = 0; i < pipeline->image_folders.count; i++) {
        cleanup(memory_free) char *images =
            path_absolute(pipeline->base, pipeline_text(pipeline, pipeline->image_folders.items[i]));
        ask_once(engine, images, &trees);
    }
    for (size_t i = 0; i < pipeline->stages.count; i++)
        record_fetched(engine, &pipeline->stages.items[i]);
}
