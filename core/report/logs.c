/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prints and follows the output of a task.
 *
 * How it works: two positions, one in each file. A round copies what is new of both, then waits: for inotify where the
 * kernel tells (local file systems), else for half a second. The journal says when the task has ended; after that one
 * more round empties the files.
 */
#include "report/logs.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"

enum { PIECE = 65536, WAIT_MS = 500, LINE_LIMIT = 65536, STAMP_WIDTH = 24 };

struct source {
    char *path;       /* NULL until the file is there */
    int descriptor;   /* -1 likewise */
    struct text line; /* what came after the last newline, in line mode */
    bool began;       /* something of it was printed */
};

struct follower {
    const struct logs_request *request;
    struct output *output;
    struct source sources[LOG_STREAMS];
    bool wanted[LOG_STREAMS];
    uint32_t attempt;
    int last_stream; /* whose lines were printed last; -1: none */
    bool old_lines;  /* what is read now was there when we came */
    int inotify;
};

static void source_close(struct source *source)
{
    descriptor_close(source->descriptor);
    memory_free(source->path);
    text_clear(&source->line);
    *source = (struct source){.descriptor = -1};
}

static void append_stamp(struct follower *follower)
{
    size_t before = follower->output->text.length;
    if (follower->old_lines)
        text_append(&follower->output->text, "-");
    else
        clock_append_stamp(&follower->output->text, clock_wall_ms());
    while (follower->output->text.length - before < STAMP_WIDTH)
        text_append_character(&follower->output->text, ' ');
    text_append(&follower->output->text, "  ");
}

/* Whoever reads both streams must see which is which. */
static void append_heading(struct follower *follower, enum log_stream stream)
{
    if (follower->last_stream == (int)stream || !(follower->wanted[LOG_STREAM_OUT] && follower->wanted[LOG_STREAM_ERR]))
        return;
    if (stream == LOG_STREAM_ERR || follower->last_stream >= 0)
        text_format(&follower->output->text, "%s==> %s <==\n", follower->last_stream >= 0 ? "\n" : "",
                    log_stream_name(stream));
    follower->last_stream = (int)stream;
}

static void print_line(struct follower *follower, enum log_stream stream, const char *bytes, size_t length)
{
    append_heading(follower, stream);
    if (follower->request->stamps)
        append_stamp(follower);
    if (follower->request->harmless)
        log_line_append(bytes, length, LINE_LIMIT, &follower->output->text);
    else
        text_append_bytes(&follower->output->text, bytes, length);
    text_append_character(&follower->output->text, '\n');
}

/* A line that never ends is printed in pieces. */
static void print_lines(struct follower *follower, enum log_stream stream, const char *bytes, size_t length)
{
    struct source *source = &follower->sources[stream];
    while (length > 0) {
        const char *newline = memchr(bytes, '\n', length);
        size_t part = newline != NULL ? (size_t)(newline - bytes) : length;
        text_append_bytes(&source->line, bytes, part);
        if (newline != NULL || source->line.length >= LINE_LIMIT) {
            print_line(follower, stream, source->line.bytes, source->line.length);
            text_reset(&source->line);
        }
        bytes += part + (newline != NULL);
        length -= part + (newline != NULL);
    }
}

static void open_source(struct follower *follower, enum log_stream stream)
{
    struct source *source = &follower->sources[stream];
    if (source->descriptor >= 0 || follower->attempt == 0)
        return;
    source->path = log_file_find(follower->request->view, follower->request->task, follower->attempt, stream);
    if (source->path == NULL)
        return;
    source->descriptor = file_open(source->path, NULL, NULL);
    if (source->descriptor < 0)
        memory_free(steal(&source->path));
    else if (follower->inotify >= 0)
        inotify_add_watch(follower->inotify, source->path, IN_MODIFY);
}

/* Copies what is new; true when there was something. */
static bool drain_source(struct follower *follower, enum log_stream stream, char *buffer)
{
    struct source *source = &follower->sources[stream];
    bool any = false;
    open_source(follower, stream);
    while (source->descriptor >= 0 && follower->output->failure == 0) {
        ssize_t got = read(source->descriptor, buffer, PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        any = true;
        if (follower->request->harmless || follower->request->stamps || follower->request->follow) {
            print_lines(follower, stream, buffer, (size_t)got);
        } else {
            append_heading(follower, stream);
            text_append_bytes(&follower->output->text, buffer, (size_t)got);
        }
        output_ease(follower->output);
    }
    return any;
}

static void drain(struct follower *follower)
{
    cleanup(memory_free) char *buffer = memory_allocate(PIECE);
    for (int stream = 0; stream < LOG_STREAMS; stream++)
        if (follower->wanted[stream])
            drain_source(follower, (enum log_stream)stream, buffer);
}

/* Last lines without a newline. */
static void end_sources(struct follower *follower)
{
    for (int stream = 0; stream < LOG_STREAMS; stream++) {
        struct source *source = &follower->sources[stream];
        if (source->line.length > 0)
            print_line(follower, (enum log_stream)stream, source->line.bytes, source->line.length);
        source_close(source);
    }
}

/* True while there may be something to come. */
static bool wait_for_more(struct follower *follower)
{
    struct pollfd events[2] = {{.fd = follower->inotify, .events = POLLIN},
                               {.fd = follower->request->stop, .events = POLLIN}};
    output_flush(follower->output);
    if (follower->output->failure != 0)
        return false;
    if (poll(events, 2, WAIT_MS) < 0 && errno != EINTR)
        return false;
    if (events[1].revents != 0)
        return false;
    char changes[4096];
    while (follower->inotify >= 0 && read(follower->inotify, changes, sizeof changes) > 0)
        ;
    return true;
}

static void next_attempt(struct follower *follower, uint32_t attempt)
{
    end_sources(follower);
    if (follower->attempt > 0)
        text_format(&follower->output->text, "\n==> attempt %u <==\n", attempt);
    follower->attempt = attempt;
    follower->last_stream = -1;
}

static void follow(struct follower *follower)
{
    struct run_view *view = follower->request->view;
    cleanup(memory_free) char *journal = path_join(view->folder, "journal.jsonl");
    if (follower->inotify >= 0)
        inotify_add_watch(follower->inotify, journal, IN_MODIFY);
    for (;;) {
        run_view_read(view, 0, NULL, NULL);
        if (view->detached)
            run_view_look_alive(view); /* no journal tells of its jobs */
        const struct task_view *task = &view->tasks.items[follower->request->task];
        bool over = task_state_is_end(task->state) || view->end_state != NULL ||
                    (follower->request->attempt != 0 && task->attempt > follower->request->attempt);
        if (follower->request->attempt == 0 && task->attempt > follower->attempt) {
            drain(follower);
            next_attempt(follower, task->attempt);
        }
        drain(follower); /* after the look at the journal: what was written before the end is there */
        follower->old_lines = false;
        if (over || !wait_for_more(follower))
            return;
    }
}

/* What has ended without a word is told of, not refused. */
static bool no_log(const struct logs_request *request, uint32_t attempt, struct error *error)
{
    const struct task_view *task = &request->view->tasks.items[request->task];
    cleanup(text_clear) struct text name = TEXT_INIT;
    run_view_append_task(request->view, request->task, &name);
    bool last = attempt == task->attempt;
    if (attempt > 0 && last && !task_state_is_end(task->state)) { /* handed over is not yet started */
        log_notice("attempt %u of '%s' %s", attempt, text_bytes(&name),
                   task->started_at_ms != 0 ? "has written nothing yet" : "has not started yet");
        return true;
    }
    if (attempt > 0 && (attempt < task->attempt || (last && task_state_is_end(task->state)))) {
        cleanup(text_clear) struct text end = TEXT_INIT;
        if (last)
            run_view_append_verdict(request->view, task, &end);
        const char *reason = last && task_state_is_bad(task->state) ? run_view_reason(request->view, task) : "";
        log_notice("attempt %u of '%s' wrote nothing%s%s%s%s", attempt, text_bytes(&name), last ? ": " : "",
                   text_bytes(&end), reason[0] != '\0' ? ": " : "", reason);
        return true;
    }
    const char *why = run_view_reason(request->view, task);
    if (attempt == 0 && task_state_is_end(task->state))
        error_set(error, ERROR_STAGE, "'%s' has written nothing: it was never started (%s%s%s)", text_bytes(&name),
                  task_state_name(task->state), why[0] != '\0' ? " " : "", why);
    else if (attempt == 0)
        error_set(error, ERROR_INPUT, "'%s' has written nothing: it is %s", text_bytes(&name),
                  task_state_name(task->state));
    else
        error_set(error, ERROR_INPUT, "there is no log of attempt %u of '%s'", attempt, text_bytes(&name));
    if (!task_state_is_end(task->state) && request->view->end_state == NULL)
        error_hint(error, "-f waits for it");
    return false;
}

bool logs_print(const struct logs_request *request, struct output *output, struct error *error)
{
    const struct task_view *task = &request->view->tasks.items[request->task];
    bool both = !request->out && !request->err;
    struct follower follower = {
        .request = request,
        .output = output,
        .sources = {{.descriptor = -1}, {.descriptor = -1}},
        .wanted = {request->out || both, request->err || both},
        .attempt = request->attempt != 0 ? request->attempt : task->attempt,
        .last_stream = -1,
        .old_lines = true,
        .inotify = -1,
    };
    if (request->follow) {
        follower.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        follow(&follower);
        end_sources(&follower);
        descriptor_close(follower.inotify);
        return follower.attempt != 0 || output->failure != 0 || no_log(request, 0, error);
    }
    for (int stream = 0; stream < LOG_STREAMS; stream++)
        open_source(&follower, (enum log_stream)stream);
    if (follower.sources[LOG_STREAM_OUT].descriptor < 0 && follower.sources[LOG_STREAM_ERR].descriptor < 0)
        return no_log(request, follower.attempt, error);
    drain(&follower);
    end_sources(&follower);
    return true;
}
