/* SPDX-License-Identifier: BSD-3-Clause */
/* Shows work side by side. */
#include "report/progress.h"

#include "base/clock.h"
#include "base/list.h"
#include "report/block.h"
#include "report/grid.h"

enum {
    NAME_WIDTH_LIMIT = 32,
    BAR_WIDTH = 12,
    AMOUNT_WIDTH = 20,
    NARROW = 60, /* below: no bar */
    LINE_LIMIT = 2000,
    REPORT_MS = 1000 /* JSON */
};

struct piece {
    char *name, *action, *text;
    uint64_t done, total;
    int64_t started_ms, reported_ms;
    bool running, ended;
};

struct progress {
    struct block block;
    const struct terminal *terminal;
    enum progress_mode mode;
    bool quiet;
    struct text *out;
    struct text above; /* PROGRESS_LIVE: lines for the next frame */
    LIST(struct piece) pieces;
    size_t ended, failed;
    unsigned frames;
};

struct progress *progress_new(const struct terminal *terminal, enum progress_mode mode, bool quiet, struct text *out)
{
    struct progress *progress = memory_allocate(sizeof *progress);
    *progress = (struct progress){
        .block = {.terminal = terminal}, .terminal = terminal, .mode = mode, .quiet = quiet, .out = out};
    return progress;
}

void progress_free(struct progress *progress)
{
    if (progress == NULL)
        return;
    for (size_t i = 0; i < progress->pieces.count; i++) {
        memory_free(progress->pieces.items[i].name);
        memory_free(progress->pieces.items[i].action);
        memory_free(progress->pieces.items[i].text);
    }
    list_clear(&progress->pieces);
    text_clear(&progress->above);
    block_clear(&progress->block);
    memory_free(progress);
}

size_t progress_add(struct progress *progress, const char *name)
{
    struct piece *piece = list_grow(&progress->pieces);
    piece->name = memory_copy_text(name);
    return progress->pieces.count - 1;
}

static void replace(char **place, const char *text)
{
    char *copy = memory_copy_text(text);
    memory_free(*place);
    *place = copy;
}

static void json_begin(struct progress *progress, const char *event, const struct piece *piece)
{
    text_format(progress->out, "{\"event\":\"%s\",\"name\":", event);
    text_append_json(progress->out, piece->name);
}

static void json_text(struct progress *progress, const char *start, const char *value, const char *end)
{
    text_append(progress->out, start);
    text_append_json(progress->out, value);
    text_append(progress->out, end);
}

void progress_start(struct progress *progress, size_t number, const char *action, int64_t now_ms)
{
    struct piece *piece = &progress->pieces.items[number];
    replace(&piece->action, action);
    if (!piece->running)
        piece->started_ms = now_ms;
    piece->running = true;
    if (progress->mode == PROGRESS_JSON) {
        json_begin(progress, "started", piece);
        json_text(progress, ",\"action\":", action, "}\n");
    } else if (progress->mode == PROGRESS_PLAIN && !progress->quiet) {
        text_append_printable(progress->out, piece->name, LINE_LIMIT);
        text_append(progress->out, ": ");
        text_append_printable(progress->out, action, LINE_LIMIT);
        text_append(progress->out, "\n");
    }
}

void progress_step(struct progress *progress, size_t number, uint64_t done, uint64_t total, const char *text,
                   int64_t now_ms)
{
    struct piece *piece = &progress->pieces.items[number];
    piece->done = done;
    piece->total = total;
    if (text != NULL)
        replace(&piece->text, text);
    if (progress->mode != PROGRESS_JSON || (done == 0 && total == 0) ||
        (piece->reported_ms != 0 && now_ms - piece->reported_ms < REPORT_MS))
        return;
    piece->reported_ms = now_ms;
    json_begin(progress, "progress", piece);
    text_format(progress->out, ",\"done\":%llu,\"total\":%llu}\n", (unsigned long long)done, (unsigned long long)total);
}

/* Tools colour what they say, even into files: ESC [ ... letter is left out. */
static char *without_sequences(const char *line)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (const char *at = line; *at != '\0';) {
        if (at[0] != '\x1b' || at[1] != '[') {
            text_append_character(&text, *at++);
            continue;
        }
        at += 2 + strspn(at + 2, "0123456789;:?<=>");
        at += *at != '\0';
    }
    return memory_copy_text(text_bytes(&text));
}

void progress_output(struct progress *progress, size_t number, const char *coloured)
{
    struct piece *piece = &progress->pieces.items[number];
    cleanup(memory_free) char *line = without_sequences(coloured);
    replace(&piece->text, line);
    if (progress->mode == PROGRESS_JSON) {
        json_begin(progress, "output", piece);
        json_text(progress, ",\"line\":", line, "}\n");
    } else if (progress->mode == PROGRESS_PLAIN && !progress->quiet) {
        text_append_printable(progress->out, piece->name, LINE_LIMIT);
        text_append(progress->out, " | ");
        text_append_printable(progress->out, line, LINE_LIMIT);
        text_append(progress->out, "\n");
    }
}

static void append_mark(const struct progress *progress, bool ok, struct text *out)
{
    bool unicode = progress->terminal->unicode;
    if (progress->terminal->color)
        text_append(out, ok ? "\x1b[32m" : "\x1b[31m");
    text_append(out, ok ? (unicode ? "✓" : "ok") : (unicode ? "✗" : "FAILED"));
    text_append(out, progress->terminal->color ? "\x1b[0m " : " ");
}

void progress_end(struct progress *progress, size_t number, bool ok, const char *message, int64_t now_ms)
{
    struct piece *piece = &progress->pieces.items[number];
    progress->ended += !piece->ended;
    progress->failed += !ok;
    piece->ended = true;
    piece->running = false;
    if (progress->mode == PROGRESS_JSON) {
        json_begin(progress, "ended", piece);
        text_append(progress->out, ok ? ",\"ok\":true" : ",\"ok\":false");
        json_text(progress, ",\"message\":", message, "}\n");
        return;
    }
    if (progress->quiet && ok)
        return;
    struct text *out = progress->mode == PROGRESS_LIVE ? &progress->above : progress->out;
    if (progress->mode == PROGRESS_LIVE)
        append_mark(progress, ok, out);
    text_append_printable(out, piece->name, LINE_LIMIT);
    text_append(out, ": ");
    text_append_printable(out, message, LINE_LIMIT);
    if (piece->started_ms != 0 && now_ms - piece->started_ms >= 100) {
        text_append(out, ", ");
        clock_append_length(out, now_ms - piece->started_ms);
    }
    text_append(out, progress->mode == PROGRESS_LIVE ? "\x1b[K\n" : "\n");
}

void progress_say(struct progress *progress, const char *line)
{
    struct text *out = progress->mode == PROGRESS_LIVE ? &progress->above : progress->out;
    text_append_printable(out, line, LINE_LIMIT * 8);
    text_append(out, progress->mode == PROGRESS_LIVE ? "\x1b[K\n" : "\n");
}

/* The block. */

static unsigned name_width(const struct progress *progress, unsigned width)
{
    unsigned widest = 8, limit = width / 3 < NAME_WIDTH_LIMIT ? width / 3 : NAME_WIDTH_LIMIT;
    for (size_t i = 0; i < progress->pieces.count; i++) {
        unsigned one = progress->pieces.items[i].running ? display_width(progress->pieces.items[i].name) : 0;
        widest = one > widest ? one : widest;
    }
    return widest < limit ? widest : limit > 0 ? limit : 1;
}

static unsigned append_padded(struct text *out, const char *text, unsigned width)
{
    unsigned used = display_append(out, text, width);
    for (; used < width; used++)
        text_append(out, " ");
    return width;
}

static void append_amount(const struct piece *piece, int64_t now_ms, struct text *out)
{
    if (piece->done > 0 || piece->total > 0)
        bytes_append(out, piece->done);
    if (piece->total > 0) {
        text_append(out, " of ");
        bytes_append(out, piece->total);
    }
    if (piece->total == 0 && now_ms > piece->started_ms)
        text_format(out, "%s%lld s", out->length > 0 ? "  " : "", (long long)((now_ms - piece->started_ms) / 1000));
}

/* "name  bar  12 MiB of 40 MiB  last words" */
static void draw_piece(struct progress *progress, const struct piece *piece, unsigned names, int64_t now_ms)
{
    struct text *out = progress->out;
    unsigned width = block_width(&progress->block), used;
    size_t start = out->length;
    used = append_padded(out, piece->name, names < width ? names : width);
    if (width >= NARROW) {
        text_append(out, "  ");
        if (piece->total > 0)
            bar_append(progress->terminal, BAR_WIDTH, (double)piece->done / (double)piece->total, out);
        else
            bar_append_wandering(progress->terminal, BAR_WIDTH, progress->frames, out);
        used += 2 + BAR_WIDTH;
    }
    if (used + 2 + AMOUNT_WIDTH <= width) {
        cleanup(text_clear) struct text amount = TEXT_INIT;
        append_amount(piece, now_ms, &amount);
        text_append(out, "  ");
        used += 2 + append_padded(out, text_bytes(&amount), AMOUNT_WIDTH);
    }
    if (used + 10 <= width) {
        text_append(out, "  ");
        cleanup(text_clear) struct text line = TEXT_INIT;
        text_append_printable(&line, piece->text != NULL ? piece->text : piece->action, LINE_LIMIT);
        display_append(out, text_bytes(&line), width - used - 2);
    }
    block_end_line(&progress->block, out, start);
}

static void draw_overall(struct progress *progress)
{
    size_t start = progress->out->length;
    cleanup(text_clear) struct text line = TEXT_INIT;
    text_format(&line, "%zu of %zu done", progress->ended, progress->pieces.count);
    if (progress->failed > 0)
        text_format(&line, ", %zu failed", progress->failed);
    display_append(progress->out, text_bytes(&line), block_width(&progress->block));
    block_end_line(&progress->block, progress->out, start);
}

static void flush_above(struct progress *progress)
{
    text_append_bytes(progress->out, text_bytes(&progress->above), progress->above.length);
    text_reset(&progress->above);
}

void progress_draw(struct progress *progress, int64_t now_ms)
{
    if (progress->mode != PROGRESS_LIVE)
        return;
    size_t room = progress->terminal->height > 4 ? progress->terminal->height - 3 : 1, shown = 0;
    unsigned names = name_width(progress, block_width(&progress->block));
    block_begin(&progress->block, progress->out);
    flush_above(progress);
    for (size_t i = 0; i < progress->pieces.count && shown < room; i++)
        if (progress->pieces.items[i].running) {
            draw_piece(progress, &progress->pieces.items[i], names, now_ms);
            shown++;
        }
    draw_overall(progress);
    block_end(progress->out);
    progress->frames++;
}

void progress_leave(struct progress *progress)
{
    if (progress->mode != PROGRESS_LIVE)
        return;
    block_leave(&progress->block, progress->out);
    flush_above(progress);
    text_append(progress->out, "\x1b[J");
}
