/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a run, for people. */
#include "report/run_end.h"

#include <sys/stat.h>

#include "report/log_file.h"
#include "report/status.h"

enum { ROWS = 40, TAIL_LINES = 8, FAILURES_SHOWN = 3, REASON_LIMIT = 1000 };

static void print_failure(const struct run_view *view, uint32_t number, bool color, struct text *out)
{
    const struct task_view *task = &view->tasks.items[number];
    text_append(out, color ? "\n\x1b[31m" : "\n");
    run_view_append_task(view, number, out);
    text_append(out, color ? "\x1b[0m: " : ": ");
    run_view_append_verdict(view, task, out);
    if (run_view_reason(view, task)[0] != '\0') {
        text_append(out, ": ");
        text_append_printable(out, run_view_reason(view, task), REASON_LIMIT);
    }
    text_append(out, "\n");
    for (int stream = LOG_STREAM_ERR; stream >= LOG_STREAM_OUT; stream--) { /* what it said last, wherever it said it */
        cleanup(memory_free) char *path = log_file_find(view, number, task->attempt, (enum log_stream)stream);
        if (path != NULL && log_file_tail(path, TAIL_LINES, "    ", out) > 0)
            break;
    }
}

static bool has_written(const struct run_view *view, uint32_t number)
{
    for (int stream = 0; stream < LOG_STREAMS; stream++) {
        struct stat status;
        cleanup(memory_free) char *path =
            log_file_find(view, number, view->tasks.items[number].attempt, (enum log_stream)stream);
        if (path != NULL && stat(path, &status) == 0 && status.st_size > 0)
            return true;
    }
    return false;
}

static void print_next(const struct run_view *view, uint32_t number, struct text *out)
{
    cleanup(text_clear) struct text name = TEXT_INIT;
    run_view_append_task(view, number, &name);
    bool wrote = has_written(view, number); /* what never started has no log to look at */
    text_append(out, wrote ? "\nnext: descpipe logs " : "\nnext: descpipe status ");
    text_append_shell_word(out, view->run != NULL ? view->run : view->folder);
    if (wrote) {
        text_append(out, " ");
        text_append_shell_word(out, text_bytes(&name));
    }
    text_append(out, "\n");
}

static void print_failures(const struct run_view *view, bool color, struct text *out)
{
    uint32_t first = TASK_NONE, shown = 0;
    for (uint32_t i = 0; i < view->tasks.count && shown < FAILURES_SHOWN; i++) {
        enum task_state state = view->tasks.items[i].state;
        if (state != TASK_FAILED && state != TASK_LOST)
            continue;
        first = first == TASK_NONE ? i : first;
        print_failure(view, i, color, out);
        shown++;
    }
    uint32_t bad = run_view_bad(view);
    if (bad > shown)
        text_format(out, "\n… and %u more that failed\n", bad - shown);
    if (first != TASK_NONE)
        print_next(view, first, out);
}

static void print_handed_over(const struct run_view *view, struct text *out)
{
    const char *run = view->run != NULL ? view->run : view->folder;
    size_t cached = view->counts[TASK_CACHED], tasks = view->tasks.count - cached;
    text_format(out, "\n%zu task%s of run ", tasks, tasks == 1 ? "" : "s");
    text_append_printable(out, run, REASON_LIMIT);
    text_format(out, " %s handed over", tasks == 1 ? "was" : "were");
    if (cached > 0)
        text_format(out, ", %zu made before %s cached", cached, cached == 1 ? "is" : "are");
    text_append(out, "; nothing needs to go on here\n");
    text_append(out, "how far it is: descpipe status ");
    text_append_shell_word(out, run);
    text_append(out, "\n");
}

void run_end_print(const struct run_view *view, const struct run_end_style *style, struct text *out)
{
    const struct status_style status = {
        .width = style->terminal->width, .color = style->terminal->color, .rows = ROWS, .now_ms = style->now_ms};
    bool good = text_equal(view->end_state, "succeeded") &&
                run_view_ended(view) == view->counts[TASK_SUCCEEDED] + view->counts[TASK_CACHED];
    if (view->detached && view->end_state == NULL) {
        if (!style->quiet)
            print_handed_over(view, out);
        return;
    }
    if (!style->quiet) {
        text_append(out, "\n");
        status_print_stages(view, &status, out);
        text_append(out, "\n");
        status_print_headline(view, &status, out);
    }
    print_failures(view, style->terminal->color, out);
    if (style->quiet)
        return;
    if (good && view->output != NULL) {
        text_append(out, "results in ");
        text_append_printable(out, view->output, REASON_LIMIT);
        text_append(out, "\n");
    } else if (!good && run_view_bad(view) == 0) {
        text_append(out, "how far it came: descpipe status ");
        text_append_shell_word(out, view->run != NULL ? view->run : view->folder);
        text_append(out, "\n");
    }
}
