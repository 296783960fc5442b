/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tools: short-lived helpers whose output we read.
 *
 * How it works: three pipes on the loop and a process. The tool is over when its process is reaped and both streams
 * are at their end; a grandchild that keeps a stream open is waited for only a second longer. Every way to the end
 * goes through tool_finish, which is the one place that calls `ended`.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/text.h"
#include "io/process.h"

enum { PIECE_LIMIT = 64 * 1024, DEFAULT_TIMEOUT_MS = 60000, KILL_AFTER_MS = 5000, DRAIN_MS = 1000 };
#define DEFAULT_OUTPUT_LIMIT (UINT64_C(16) * 1024 * 1024)

struct stream {
    struct tool *tool;
    int number; /* 1 or 2 */
    int descriptor;
    struct loop_watch *watch;
    struct text pending; /* the line so far */
};

struct tool {
    struct loop *loop;
    struct process *process; /* NULL before it started and after it was reaped */
    struct stream streams[2];
    int input_descriptor;
    struct loop_watch *input_watch;
    char *input;
    size_t input_length, input_written;
    struct loop_timer *deadline, *kill_timer, *drain_timer;
    uint64_t output_left;
    struct tool_end end;
    struct error error;
    void (*line)(void *context, int stream, const char *line, size_t length);
    void (*ended)(void *context, const struct tool_end *end);
    void *context;
};

static void stream_close(struct stream *stream)
{
    loop_unwatch(stream->watch);
    stream->watch = NULL;
    descriptor_close(stream->descriptor);
    stream->descriptor = -1;
}

static void input_close(struct tool *tool)
{
    loop_unwatch(tool->input_watch);
    tool->input_watch = NULL;
    descriptor_close(tool->input_descriptor);
    tool->input_descriptor = -1;
}

static void tool_free(struct tool *tool)
{
    input_close(tool);
    for (size_t i = 0; i < 2; i++) {
        stream_close(&tool->streams[i]);
        text_clear(&tool->streams[i].pending);
    }
    loop_timer_stop(tool->deadline);
    loop_timer_stop(tool->kill_timer);
    loop_timer_stop(tool->drain_timer);
    if (tool->input != NULL)
        explicit_bzero(tool->input, tool->input_length); /* a password for a login, often */
    free(tool->input);
    error_clear(&tool->error);
    free(tool);
}

static void tool_deliver(struct stream *stream, char *line, size_t length)
{
    if (stream->tool->line == NULL)
        return;
    char kept = line[length];
    line[length] = '\0';
    stream->tool->line(stream->tool->context, stream->number, line, length);
    line[length] = kept;
}

static void tool_finish(void *context)
{
    struct tool *tool = context;
    for (size_t i = 0; i < 2; i++) {
        struct text *pending = &tool->streams[i].pending;
        stream_close(&tool->streams[i]);
        if (pending->length > 0 && !tool->end.truncated)
            tool_deliver(&tool->streams[i], pending->bytes, pending->length);
    }
    tool->end.message = tool->end.started ? NULL : tool->error.message;
    tool->ended(tool->context, &tool->end);
    tool_free(tool);
}

static void drained(void *context)
{
    struct tool *tool = context;
    tool->drain_timer = NULL;
    tool_finish(tool);
}

/* Must be the last thing its caller does with the tool. */
static void tool_finish_when_over(struct tool *tool)
{
    if (tool->process != NULL)
        return;
    if (tool->streams[0].watch == NULL && tool->streams[1].watch == NULL)
        tool_finish(tool);
    else if (tool->drain_timer == NULL)
        tool->drain_timer = loop_timer(tool->loop, DRAIN_MS, drained, tool);
}

/* Cuts complete lines, and pieces of the limit, off the front of what is pending. `fresh` bytes at its end are new. */
static void split_lines(struct stream *stream, size_t fresh)
{
    struct text *pending = &stream->pending;
    size_t start = 0, look = pending->length - fresh;
    while (start < pending->length) {
        size_t room = start + PIECE_LIMIT < pending->length ? start + PIECE_LIMIT : pending->length;
        char *newline = look < room ? memchr(pending->bytes + look, '\n', room - look) : NULL;
        size_t end = newline != NULL ? (size_t)(newline - pending->bytes) : room;
        if (newline == NULL && pending->length - start <= PIECE_LIMIT)
            break; /* the next byte may be the newline */
        if (newline == NULL && pending->bytes[end] == '\n')
            newline = pending->bytes + end; /* exactly the limit: no empty line behind it */
        tool_deliver(stream, pending->bytes + start, end - start);
        start = look = end + (newline != NULL);
    }
    pending->length -= start;
    memmove(pending->bytes, pending->bytes + start, pending->length);
}

static void stream_ready(void *context, unsigned events)
{
    (void)events;
    struct stream *stream = context;
    struct tool *tool = stream->tool;
    text_reserve(&stream->pending, PIECE_LIMIT + 1);
    ssize_t got = read(stream->descriptor, stream->pending.bytes + stream->pending.length, PIECE_LIMIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        stream_close(stream);
        tool_finish_when_over(tool);
        return;
    }
    bool too_much = (uint64_t)got > tool->output_left;
    size_t fresh = too_much ? (size_t)tool->output_left : (size_t)got;
    tool->output_left -= fresh;
    stream->pending.length += fresh;
    split_lines(stream, fresh);
    if (!too_much)
        return;
    tool->end.truncated = true;
    if (tool->process != NULL)
        process_signal(tool->process, SIGKILL); /* before the pipes close, or it might die of SIGPIPE */
    stream_close(&tool->streams[0]);
    stream_close(&tool->streams[1]);
    tool_finish_when_over(tool);
}

static void input_ready(void *context, unsigned events)
{
    (void)events;
    struct tool *tool = context;
    ssize_t written =
        write(tool->input_descriptor, tool->input + tool->input_written, tool->input_length - tool->input_written);
    if (written < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (written > 0)
        tool->input_written += (size_t)written;
    if (written < 0 || tool->input_written == tool->input_length)
        input_close(tool); /* also when it does not want the rest: its end will tell */
}

static void kill_now(void *context)
{
    struct tool *tool = context;
    tool->kill_timer = NULL;
    if (tool->process != NULL)
        process_signal(tool->process, SIGKILL);
}

void tool_stop(struct tool *tool)
{
    if (tool->process == NULL || tool->kill_timer != NULL)
        return;
    process_signal(tool->process, SIGTERM);
    process_signal(tool->process, SIGCONT); /* a stopped one would not hear it */
    tool->kill_timer = loop_timer(tool->loop, KILL_AFTER_MS, kill_now, tool);
}

static void deadline_passed(void *context)
{
    struct tool *tool = context;
    tool->deadline = NULL;
    if (tool->process == NULL)
        return;
    tool->end.timed_out = true;
    tool_stop(tool);
}

static void tool_reaped(void *context, const struct process_end *end)
{
    struct tool *tool = context;
    tool->process = NULL;
    tool->end.exit_code = end->exit_code;
    tool->end.signal = end->signal;
    loop_timer_stop(steal(&tool->deadline));
    loop_timer_stop(steal(&tool->kill_timer));
    input_close(tool);
    tool_finish_when_over(tool);
}

static void default_environment(struct words *environment)
{
    static const char *const names[] = {"PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = secure_getenv(names[i]);
        if (value != NULL)
            words_format(environment, "%s=%s", names[i], value);
    }
}

/* Our end of a pipe does not block, the tool's end does: it may not know how to deal with EAGAIN. */
static bool make_pipe(int ends[2], int ours)
{
    return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0;
}

struct pipes {
    int input[2], output[2], error[2];
};

static void pipes_clear_at(struct pipes *pipes)
{
    const int *all[] = {pipes->input, pipes->output, pipes->error};
    for (size_t i = 0; i < 3; i++) {
        descriptor_close(all[i][0]);
        descriptor_close(all[i][1]);
    }
}

static bool tool_spawn(struct tool *tool, const struct tool_request *request)
{
    cleanup(pipes_clear) struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}};
    const bool own[] = {request->terminal || request->input_descriptor > 0,
                        request->terminal || request->output_descriptor > 0,
                        request->terminal || request->error_descriptor > 0};
    if ((!own[0] && tool->input_length > 0 && !make_pipe(pipes.input, 1)) || (!own[1] && !make_pipe(pipes.output, 0)) ||
        (!own[2] && !make_pipe(pipes.error, 0)))
        return error_system(&tool->error, "cannot make a pipe for '%s'", request->argv[0]);
    cleanup(words_clear) struct words environment = {0};
    if (request->environment == NULL)
        default_environment(&environment);
    struct process_request wanted = {.argv = request->argv,
                                     .environment =
                                         request->environment != NULL ? request->environment : words_list(&environment),
                                     .directory = request->directory,
                                     .input = !own[0]             ? pipes.input[0]
                                              : request->terminal ? STDIN_FILENO
                                                                  : request->input_descriptor,
                                     .output = !own[1]             ? pipes.output[1]
                                               : request->terminal ? STDOUT_FILENO
                                                                   : request->output_descriptor,
                                     .error = !own[2]             ? pipes.error[1]
                                              : request->terminal ? STDERR_FILENO
                                                                  : request->error_descriptor,
                                     .new_session = !request->terminal,
                                     .reaped = tool_reaped,
                                     .context = tool};
    tool->process = process_start(tool->loop, &wanted, &tool->error);
    if (tool->process == NULL)
        return false;
    tool->input_descriptor = pipes.input[1];
    tool->streams[0].descriptor = pipes.output[0];
    tool->streams[1].descriptor = pipes.error[0];
    pipes.input[1] = pipes.output[0] = pipes.error[0] = -1;
    return true;
}

static void tool_watch(struct tool *tool)
{
    for (size_t i = 0; i < 2; i++) {
        struct stream *stream = &tool->streams[i];
        if (stream->descriptor < 0)
            continue; /* it has one of the caller's */
        stream->watch = loop_watch(tool->loop, stream->descriptor, LOOP_READABLE, stream_ready, stream);
        if (stream->watch == NULL)
            memory_exhausted(); /* a fresh pipe: nothing else can be wrong with it */
    }
    if (tool->input_descriptor < 0)
        return;
    tool->input_watch = loop_watch(tool->loop, tool->input_descriptor, LOOP_WRITABLE, input_ready, tool);
    if (tool->input_watch == NULL)
        memory_exhausted();
}

struct tool *tool_start(struct loop *loop, const struct tool_request *request)
{
    struct tool *tool = memory_allocate(sizeof *tool);
    *tool = (struct tool){.loop = loop,
                          .input_descriptor = -1,
                          .input_length = request->input_length,
                          .output_left = request->output_limit > 0 ? request->output_limit : DEFAULT_OUTPUT_LIMIT,
                          .end = {.exit_code = -1},
                          .line = request->line,
                          .ended = request->ended,
                          .context = request->context};
    for (int i = 0; i < 2; i++)
        tool->streams[i] = (struct stream){.tool = tool, .number = i + 1, .descriptor = -1};
    if (request->input_length > 0)
        tool->input = memory_copy_bytes(request->input, request->input_length);
    if (!tool_spawn(tool, request)) {
        loop_post(loop, tool_finish, tool);
        return tool;
    }
    tool->end.started = true;
    tool_watch(tool);
    int64_t timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : DEFAULT_TIMEOUT_MS;
    if (timeout_ms < INT64_MAX)
        tool->deadline = loop_timer(loop, timeout_ms, deadline_passed, tool);
    return tool;
}
