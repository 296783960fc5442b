/* SPDX-License-Identifier: BSD-3-Clause */
/* Draws the live view. */
#include "report/live.h"

#include <string.h>

#include "base/clock.h"
#include "report/block.h"
#include "report/events.h"
#include "report/grid.h"
#include "report/log_file.h"
#include "report/status.h"

enum {
    NAME_SHARE = 4, /* names take at most a quarter of the line */
    NAME_MINIMUM = 8,
    BAR_WIDTH = 12,
    ELAPSED_WIDTH = 9,
    WHERE_LIMIT = 18,
    OUTPUT_LIMIT = 1000,
    LINE_LIMIT = 400,
    SAID_LIMIT = 16384,
    ABOVE_LIMIT = 200, /* lines of ended stages in one frame; more are counted */
    NARROW = 60        /* below: no bar, no place */
};

struct stage_live {
    uint32_t task;         /* the one that started last */
    int64_t started_at_ms; /* the first one; 0: none yet */
    bool active;           /* in the list */
    bool told;             /* its end stands above */
};

struct live {
    struct run_view *view;
    const struct terminal *terminal;
    LIST(struct stage_live) stages; /* by stage number */
    LIST(uint32_t) active;          /* stage numbers in the order of their first start */
    struct text above;              /* lines to print before the next block */
    size_t above_lines, above_dropped;
    struct block block;
    char *phase;
    unsigned spinner;
    uint32_t queued; /* the task of which was last said what it waits for, while `says_queued` */
    bool says_queued;
};

struct live *live_new(const struct terminal *terminal)
{
    struct live *live = memory_allocate(sizeof *live);
    live->terminal = live->block.terminal = terminal;
    return live;
}

void live_set_view(struct live *live, struct run_view *view)
{
    live->view = view;
}

void live_free(struct live *live)
{
    if (live == NULL)
        return;
    list_clear(&live->stages);
    list_clear(&live->active);
    block_clear(&live->block);
    text_clear(&live->above);
    memory_free(live->phase);
    memory_free(live);
}

void live_set_phase(struct live *live, const char *phase)
{
    memory_free(live->phase);
    live->phase = memory_copy_text(phase);
}

static void append_styled(const struct live *live, const char *style, const char *text, struct text *out)
{
    if (live->terminal->color)
        text_append(out, style);
    text_append(out, text);
    if (live->terminal->color)
        text_append(out, "\x1b[0m");
}

/* What scrolls away above. */

/* Text without escape sequences, cut to the line. */
static void say_cut(struct live *live, const char *mark_style, const char *mark, const char *line)
{
    if (live->above_lines >= ABOVE_LIMIT) {
        live->above_dropped++;
        return;
    }
    live->above_lines++;
    unsigned used = 0;
    if (mark[0] != '\0') {
        append_styled(live, mark_style, mark, &live->above);
        text_append(&live->above, " ");
        used = display_width(mark) + 1;
    }
    unsigned width = block_width(&live->block);
    display_append(&live->above, line, width > used ? width - used : 0);
    text_append(&live->above, "\x1b[K\n");
}

void live_say(struct live *live, const char *line)
{
    text_append_printable(&live->above, line,
                          SAID_LIMIT); /* not cut: the terminal wraps it, and it scrolls away whole */
    text_append(&live->above, "\x1b[K\n");
}

static const char *state_mark(const struct live *live, enum task_state state)
{
    bool unicode = live->terminal->unicode;
    switch (state) {
    case TASK_SUCCEEDED:
        return unicode ? "✓" : "ok";
    case TASK_CACHED:
        return unicode ? "≡" : "cached";
    case TASK_FAILED:
    case TASK_LOST:
        return unicode ? "✗" : "FAILED";
    default:
        return unicode ? "–" : "-";
    }
}

static void append_padded(struct text *out, const char *text, unsigned width)
{
    unsigned used = display_append(out, text, width);
    for (; used < width; used++)
        text_append(out, " ");
}

static void append_facts(const struct run_view *view, const struct task_view *task, struct text *out)
{
    int64_t wall_ms = task_view_wall_ms(task, task->finished_at_ms);
    if (wall_ms >= 0) {
        text_append(out, "  ");
        clock_append_length(out, wall_ms);
    }
    if (task->cpu_ms > 0) {
        text_append(out, "  CPU ");
        clock_append_length(out, task->cpu_ms);
    }
    if (task->peak_memory > 0) {
        text_append(out, "  ");
        bytes_append(out, task->peak_memory);
    }
    if (task->host != 0) {
        text_append(out, "  ");
        text_append_printable(out, run_view_text(view, task->host), LINE_LIMIT);
    }
}

static void say_task(struct live *live, uint32_t number, const char *after)
{
    const struct run_view *view = live->view;
    const struct task_view *task = &view->tasks.items[number];
    cleanup(text_clear) struct text line = TEXT_INIT;
    run_view_append_task(view, number, &line);
    text_append(&line, "  ");
    run_view_append_verdict(view, task, &line);
    text_append(&line, after);
    append_facts(view, task, &line);
    if (task->state != TASK_SUCCEEDED && run_view_reason(view, task)[0] != '\0') {
        text_append(&line, "  ");
        text_append_printable(&line, run_view_reason(view, task), LINE_LIMIT);
    }
    say_cut(live, status_color(task->state), state_mark(live, task->state), text_bytes(&line));
}

static void say_stage_with_members(struct live *live, const struct stage_view *stage)
{
    cleanup(text_clear) struct text line = TEXT_INIT;
    text_append_printable(&line, run_view_text(live->view, stage->name), LINE_LIMIT);
    text_format(&line, "  %u member%s: ", stage->tasks, stage->tasks == 1 ? "" : "s");
    status_print_counts(stage->counts, &line);
    enum task_state state = stage_view_state(stage);
    say_cut(live, status_color(state), state_mark(live, state), text_bytes(&line));
}

/* What happened. */

static struct stage_live *stage_live(struct live *live, uint32_t number)
{
    while (live->stages.count <= number) {
        struct stage_live fresh = {.task = TASK_NONE};
        list_add(&live->stages, fresh);
    }
    return &live->stages.items[number];
}

static uint32_t stage_ended_tasks(const struct stage_view *stage)
{
    uint32_t count = 0;
    for (unsigned state = TASK_SUCCEEDED; state < TASK_STATES; state++)
        count += stage->counts[state];
    return count;
}

static void task_ended(struct live *live, uint32_t number)
{
    const struct task_view *task = &live->view->tasks.items[number];
    const struct stage_view *stage = &live->view->stages.items[task->stage_number];
    struct stage_live *state = stage_live(live, task->stage_number);
    bool stage_over = stage_ended_tasks(stage) == stage->tasks;
    if (!stage->has_members) {
        if (!state->told)
            say_task(live, number, "");
    } else {
        if (task->state == TASK_FAILED || task->state == TASK_LOST)
            say_task(live, number, "");
        if (stage_over && !state->told)
            say_stage_with_members(live, stage);
    }
    state->told = stage_over;
}

static void say_input(struct live *live, const struct run_change *change)
{
    cleanup(text_clear) struct text line = TEXT_INIT;
    event_append_input(change, &line);
    if (!text_equal(change->state, "kept"))
        live_say(live, text_bytes(&line));
}

void live_change(void *context, const struct run_view *view, const struct run_change *change)
{
    struct live *live = context;
    if (change->event == RUN_EVENT_CANCEL && !text_equal(change->text, "interrupt")) /* who sits here knows */
        live_say(live, "cancelling: nothing new is started");
    if (change->event == RUN_EVENT_INPUT)
        say_input(live, change);
    if (change->event == RUN_EVENT_BLIND) {
        cleanup(text_clear) struct text line = TEXT_INIT;
        event_append_blind(change, &line);
        live_say(live, text_bytes(&line));
    }
    if (change->task == TASK_NONE)
        return;
    const struct task_view *task = &view->tasks.items[change->task];
    struct stage_live *stage = stage_live(live, task->stage_number);
    if (change->event == RUN_EVENT_TASK_STARTED) {
        stage->task = change->task;
        if (stage->started_at_ms == 0)
            stage->started_at_ms = task->started_at_ms;
        if (!stage->active)
            list_add(&live->active, task->stage_number);
        stage->active = true;
    } else if (task->state == TASK_QUEUED) {
        live->queued = change->task;
        live->says_queued = true;
    } else if (change->event == RUN_EVENT_TASK_RETRY) {
        say_task(live, change->task, "  will be tried again");
    } else if (task_state_is_end(task->state)) {
        task_ended(live, change->task);
    }
}

/* The block. */

/* Whole seconds: tenths would only flicker. */
static void append_elapsed(int64_t ms, struct text *out)
{
    if (ms < 60000)
        text_format(out, "%lld s", (long long)(ms / 1000));
    else
        clock_append_length(out, ms / 1000 * 1000);
}

struct frame {
    struct live *live;
    struct text *out;
    int64_t now_ms;
    unsigned width, name_width;
};

static void end_line(struct frame *frame, size_t start)
{
    block_end_line(&frame->live->block, frame->out, start);
}

static void last_output(const struct run_view *view, uint32_t task, struct text *out)
{
    /* The error stream usually says more of interest while something runs. */
    for (int stream = LOG_STREAM_ERR; stream >= LOG_STREAM_OUT && out->length == 0; stream--) {
        cleanup(memory_free) char *path =
            log_file_find(view, task, view->tasks.items[task].attempt, (enum log_stream)stream);
        if (path != NULL)
            log_file_last_line(path, OUTPUT_LIMIT, out);
    }
}

static unsigned append_where(const struct live *live, const struct task_view *task, unsigned limit, struct text *out)
{
    cleanup(text_clear) struct text where = TEXT_INIT;
    text_append_printable(&where, run_view_text(live->view, task->host), LINE_LIMIT);
    return display_append(out, text_bytes(&where), limit);
}

/* "  3/8", where the line has room for it. Returns the columns used. */
static unsigned append_progress(struct frame *frame, const struct stage_view *stage, unsigned used)
{
    cleanup(text_clear) struct text progress = TEXT_INIT;
    text_format(&progress, "  %u/%u", stage_ended_tasks(stage), stage->tasks);
    unsigned width = display_width(text_bytes(&progress));
    if (used + width > frame->width)
        return 0;
    text_append(frame->out, text_bytes(&progress));
    return width;
}

static int64_t stage_elapsed_ms(const struct stage_live *stage, int64_t now_ms)
{
    return now_ms > stage->started_at_ms ? now_ms - stage->started_at_ms : 0;
}

/* "name  bar  elapsed  done/all  where  member: last output" */
static void draw_stage(struct frame *frame, uint32_t number)
{
    struct live *live = frame->live;
    const struct run_view *view = live->view;
    const struct stage_view *stage = &view->stages.items[number];
    const struct task_view *task = &view->tasks.items[live->stages.items[number].task];
    struct text *out = frame->out;
    size_t start = out->length;
    unsigned used = frame->name_width + 2;
    cleanup(text_clear) struct text piece = TEXT_INIT;
    text_append_printable(&piece, run_view_text(view, stage->name), LINE_LIMIT);
    append_padded(out, text_bytes(&piece), frame->name_width);
    if (used + ELAPSED_WIDTH > frame->width) { /* no room for more than the name */
        end_line(frame, start);
        return;
    }
    text_append(out, "  ");
    int64_t elapsed_ms = stage->has_members ? stage_elapsed_ms(&live->stages.items[number], frame->now_ms)
                                            : task_view_wall_ms(task, frame->now_ms);
    if (frame->width >= NARROW) {
        if (stage->has_members)
            bar_append(live->terminal, BAR_WIDTH, (double)stage_ended_tasks(stage) / stage->tasks, out);
        else if (stage->minutes > 0)
            bar_append(live->terminal, BAR_WIDTH, (double)elapsed_ms / (stage->minutes * 60000.0), out);
        else
            bar_append_wandering(live->terminal, BAR_WIDTH, live->spinner, out);
        text_append(out, "  ");
        used += BAR_WIDTH + 2;
    }
    text_reset(&piece);
    if (elapsed_ms >= 0)
        append_elapsed(elapsed_ms, &piece);
    append_padded(out, text_bytes(&piece), ELAPSED_WIDTH);
    used += ELAPSED_WIDTH;
    if (stage->has_members)
        used += append_progress(frame, stage, used);
    if (frame->width >= NARROW && task->host != 0) {
        text_append(out, "  ");
        used += 2 + append_where(live, task, WHERE_LIMIT, out);
    }
    if (frame->width > used + 2 + NAME_MINIMUM) {
        text_reset(&piece);
        last_output(view, live->stages.items[number].task, &piece);
        if (piece.length > 0) {
            cleanup(text_clear) struct text line = TEXT_INIT;
            cleanup(text_clear) struct text cut = TEXT_INIT;
            if (stage->has_members) {
                text_append_printable(&line, run_view_text(view, task->member), LINE_LIMIT);
                text_append(&line, ": ");
            }
            text_append(&line, text_bytes(&piece));
            display_append(&cut, text_bytes(&line), frame->width - used - 2);
            text_append(out, "  ");
            append_styled(live, "\x1b[2m", text_bytes(&cut), out);
        }
    }
    end_line(frame, start);
}

/* "; b waits: Priority; may start about 2026-11-21 16:04 UTC": what was said last of one that still waits. */
static void append_waiting(const struct live *live, struct text *out)
{
    const struct run_view *view = live->view;
    if (!live->says_queued || live->queued >= view->tasks.count)
        return;
    const struct task_view *task = &view->tasks.items[live->queued];
    const char *reason = run_view_text(view, task->reason);
    if (task->state != TASK_QUEUED || reason[0] == '\0')
        return;
    text_append(out, "; ");
    text_append_printable(out, run_view_text(view, view->stages.items[task->stage_number].name), LINE_LIMIT);
    text_append(out, " waits: ");
    text_append_printable(out, reason, LINE_LIMIT);
}

static void draw_overall(struct frame *frame)
{
    struct live *live = frame->live;
    const struct run_view *view = live->view;
    struct text *out = frame->out;
    size_t start = out->length;
    cleanup(text_clear) struct text words = TEXT_INIT;
    unsigned used = 0;
    if (view == NULL || view->started_at_ms == 0) {
        text_append(&words, live->phase != NULL ? live->phase : "starting");
    } else {
        size_t total = view->tasks.count;
        uint32_t ended = run_view_ended(view), bad = run_view_bad(view);
        if (frame->width >= NARROW && total > 0) {
            bar_append(live->terminal, BAR_WIDTH, (double)ended / (double)total, out);
            text_append(out, "  ");
            used = BAR_WIDTH + 2;
        }
        text_format(&words, "%u of %zu done", ended, total);
        if (view->counts[TASK_RUNNING] > 0)
            text_format(&words, ", %u running", view->counts[TASK_RUNNING]);
        uint32_t waiting = view->counts[TASK_SUBMITTED] + view->counts[TASK_QUEUED];
        if (waiting > 0)
            text_format(&words, ", %u queued", waiting);
        if (bad > 0)
            text_format(&words, ", %u failed", bad);
        if (view->cancel_requested)
            text_append(&words, ", cancelling");
        if (view->started_at_ms != 0 && frame->now_ms >= view->started_at_ms) {
            text_append(&words, ", ");
            append_elapsed(frame->now_ms - view->started_at_ms, &words);
        }
        if (!view->cancel_requested)
            append_waiting(live, &words);
    }
    display_append(out, text_bytes(&words), frame->width > used ? frame->width - used : 0);
    end_line(frame, start);
}

static void print_above(struct live *live, struct text *out)
{
    text_append_bytes(out, text_bytes(&live->above), live->above.length);
    if (live->above_dropped > 0)
        text_format(out, "… %zu more ended\x1b[K\n", live->above_dropped);
    text_reset(&live->above);
    live->above_lines = live->above_dropped = 0;
}

/* Stages that stopped running leave the list; those that run keep their order. */
static size_t refresh_active(struct live *live)
{
    size_t kept = 0;
    for (size_t i = 0; i < live->active.count; i++) {
        uint32_t number = live->active.items[i];
        struct stage_live *stage = &live->stages.items[number];
        stage->active = live->view->stages.items[number].counts[TASK_RUNNING] > 0;
        if (stage->active)
            live->active.items[kept++] = number;
    }
    live->active.count = kept;
    return kept;
}

static unsigned name_width(const struct live *live, size_t shown, unsigned width)
{
    unsigned widest = NAME_MINIMUM, limit = width / NAME_SHARE > NAME_MINIMUM ? width / NAME_SHARE : NAME_MINIMUM;
    for (size_t i = 0; i < shown; i++) {
        const struct stage_view *stage = &live->view->stages.items[live->active.items[i]];
        unsigned one = display_width(run_view_text(live->view, stage->name));
        widest = one > widest ? one : widest;
    }
    widest = widest < limit ? widest : limit;
    return widest < width ? widest : width;
}

void live_draw(struct live *live, int64_t now_ms, struct text *out)
{
    block_begin(&live->block, out);
    print_above(live, out);
    size_t running = refresh_active(live);
    /* The block, its overall line, the line the cursor rests on. */
    size_t room = live->terminal->height > 3 ? live->terminal->height - 2 : 1;
    size_t shown = running <= room ? running : room - 1;
    struct frame frame = {.live = live, .out = out, .now_ms = now_ms, .width = block_width(&live->block)};
    frame.name_width = name_width(live, shown, frame.width);
    for (size_t i = 0; i < shown; i++)
        draw_stage(&frame, live->active.items[i]);
    if (shown < running) {
        size_t start = out->length;
        cleanup(text_clear) struct text more = TEXT_INIT;
        text_format(&more, "… and %zu more", running - shown);
        display_append(out, text_bytes(&more), frame.width);
        end_line(&frame, start);
    }
    draw_overall(&frame);
    block_end(out);
    live->spinner++;
}

void live_end(struct live *live, struct text *out)
{
    block_leave(&live->block, out);
    print_above(live, out);
    text_append(out, "\x1b[J");
}
