/* SPDX-License-Identifier: BSD-3-Clause */
/* The key `checkpoint` of a stage: what it writes when its time is nearly up, and how it is told. */
#include <signal.h>
#include <string.h>

#include "pipeline/stage_draft.h"

#define BEFORE_MS INT64_C(300000) /* when nobody says it */
#define LINKS 10
#define LINKS_HIGHEST 200
#define PATTERNS_LIMIT 64

static const char *const known[] = {"files", "signal", "before", "links", NULL};

/* Inside the output folder, whatever it matches. */
static bool is_pattern(const char *text)
{
    if (text[0] == '\0' || text[0] == '/')
        return false;
    for (const char *part = text; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 2 && strncmp(part, "..", 2) == 0))
            return false;
    }
    return true;
}

static void add_pattern(struct stage_draft *draft, struct checkpoint *checkpoint, const struct node *node)
{
    struct pipeline *pipeline = draft->reader->pipeline;
    symbol pattern;
    if (!draft_text(draft, node, "'files' of 'checkpoint'", &pattern))
        return;
    if (!is_pattern(pipeline_text(pipeline, pattern)) || checkpoint->files.count == PATTERNS_LIMIT) {
        draft_refuse_kind(draft, node, "'files' of 'checkpoint'", "the names of files in the stage's output folder",
                          "write state.npz, or \"checkpoint/*.h5\"");
        return;
    }
    list_add(&pipeline->symbols_array, pattern);
    checkpoint->files.count++;
}

static void read_files(struct stage_draft *draft, struct checkpoint *checkpoint, const struct node *node)
{
    checkpoint->files = (struct slice){.at = (uint32_t)draft->reader->pipeline->symbols_array.count};
    if (node_kind(node) != NODE_SEQUENCE) {
        add_pattern(draft, checkpoint, node);
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
        add_pattern(draft, checkpoint, child);
}

static void read_signal(struct stage_draft *draft, struct checkpoint *checkpoint, const struct node *node)
{
    const char *word;
    if (!node_to_text(draft->document, node, "'signal' of 'checkpoint'", &word, draft->reader->problems))
        return;
    if (strcmp(word, "USR1") == 0 || strcmp(word, "USR2") == 0)
        checkpoint->signal = strcmp(word, "USR1") == 0 ? SIGUSR1 : SIGUSR2;
    else
        draft_refuse_kind(draft, node, "'signal' of 'checkpoint'", "USR1 or USR2",
                          "the others have their own meaning: TERM is how a stage is asked to end");
}

static void read_key(struct stage_draft *draft, struct checkpoint *checkpoint, const struct node *child)
{
    struct problems *problems = draft->reader->problems;
    const char *key = node_key(child);
    uint64_t links;
    if (strcmp(key, "files") == 0) {
        read_files(draft, checkpoint, child);
    } else if (strcmp(key, "signal") == 0) {
        read_signal(draft, checkpoint, child);
    } else if (strcmp(key, "before") == 0) {
        node_to_length(draft->document, child, "'before' of 'checkpoint'", &checkpoint->before_ms, problems);
    } else if (strcmp(key, "links") == 0) {
        if (node_to_unsigned(draft->document, child, "'links' of 'checkpoint'", 1, LINKS_HIGHEST, &links, problems))
            checkpoint->links = (uint32_t)links;
    } else {
        cleanup(text_clear) struct text hint = TEXT_INIT;
        reader_hint_word(key, known, &hint);
        draft_refuse(draft, node_key_place(draft->document, child), text_bytes(&hint),
                     "'checkpoint' has no key '%.100s'", key);
    }
}

void draft_checkpoint(struct stage_draft *draft, const struct node *node)
{
    struct checkpoint *checkpoint = &stage_draft_extras(draft)->checkpoint;
    struct place place = node_place(draft->document, node);
    *checkpoint = (struct checkpoint){.signal = SIGUSR1, .before_ms = BEFORE_MS, .links = LINKS};
    if (strcmp(place.file, draft->reader->pipeline->file) == 0)
        checkpoint->at = (struct spot){.line = place.line, .column = place.column};
    if (node_kind(node) != NODE_MAPPING || node_get(node, "files") == NULL) {
        draft_refuse_kind(draft, node, "'checkpoint'", "a mapping with 'files'",
                          "write {files: \"checkpoint*\", signal: USR1, before: 5m, links: 10}");
        return;
    }
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
        read_key(draft, checkpoint, child);
    if (checkpoint->files.count == 0 && node_kind(node_get(node, "files")) == NODE_SEQUENCE)
        draft_refuse_kind(draft, node_get(node, "files"), "'files' of 'checkpoint'", "at least one name", NULL);
}

void draft_check_checkpoint(struct stage_draft *draft)
{
    const struct checkpoint *checkpoint = draft->extras != NULL ? &draft->extras->checkpoint : NULL;
    if (checkpoint == NULL || checkpoint->files.count == 0)
        return;
    struct place place = checkpoint->at.line > 0
                             ? reader_place(draft->reader, checkpoint->at.line, checkpoint->at.column)
                             : draft->place;
    int64_t limit_ms = (int64_t)draft->resources.minutes * 60000;
    if (limit_ms == 0)
        draft_refuse(draft, place, "say how long one attempt may take: minutes: 60",
                     "stage '%s' has a 'checkpoint' but no 'minutes'", draft->name);
    else if (checkpoint->before_ms <= 0 || checkpoint->before_ms >= limit_ms)
        draft_refuse(draft, place, "it is how long before its limit the stage is told: before: 5m",
                     "'before' in 'checkpoint' of stage '%s' must be more than nothing and less than its %u minute%s",
                     draft->name, draft->resources.minutes, draft->resources.minutes == 1 ? "" : "s");
    if (draft->stage.outputs.count == 0)
        draft_refuse(draft, place, "a stage keeps its checkpoint in the folder of its outputs, $DESC_OUTPUT",
                     "stage '%s' has a 'checkpoint' but no 'outputs'", draft->name);
}
