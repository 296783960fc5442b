/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front of a run: it starts keeper and engine, then only reads the run folder and forwards signals.
 *
 * How it works: ten times a second what the journal has gained is read and shown: as a live block on a terminal, as
 * plain lines elsewhere, as JSON lines when asked. On a terminal the engine's messages come through a pipe, so that
 * they stand above the block and not in it.
 */
#include "command/runs/run_show.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "io/loop.h"
#include "report/events.h"
#include "report/live.h"
#include "report/run_end.h"

enum { SIGNALLED_TWICE = 130, SIGNALLED = 128, NOTICE_LIMIT = 65536 };

enum mode { MODE_PLAIN, MODE_LIVE, MODE_JSON };

struct show {
    struct invocation *invocation;
    enum mode mode;
    struct run_front front;
    struct loop *loop;
    struct run_view *view; /* NULL until there is a run folder */
    struct live *live;     /* MODE_LIVE */
    struct loop_timer *tick;
    struct loop_watch *news, *notices;
    struct text notice;  /* an unfinished line of the engine's messages */
    struct text problem; /* likewise of its problems */
    struct loop_watch *problems;
    unsigned interrupts;
    bool ended, left;
};

/* Showing. */

static void flush(struct show *show)
{
    /* Who reads has gone, or the disk is full: the run goes on, the end says so. */
    output_flush(&show->invocation->output);
}

static void changed(void *context, const struct run_view *view, const struct run_change *change)
{
    struct show *show = context;
    struct output *output = &show->invocation->output;
    if (show->mode == MODE_LIVE)
        live_change(show->live, view, change);
    else if (show->mode == MODE_JSON)
        event_append_json(view, change, &output->text);
    else
        event_append_plain(view, change, show->invocation->globals.quiet, &output->text);
    output_ease(output);
}

static void show_now(struct show *show)
{
    if (show->view != NULL && show->front.folder != NULL)
        run_view_read(show->view, 0, changed, show);
    if (show->mode == MODE_LIVE) {
        terminal_measure(&show->invocation->terminal); /* a frame may be due before its signal comes */
        live_draw(show->live, clock_wall_ms(), &show->invocation->output.text);
    }
    flush(show);
}

static void tick(void *context)
{
    struct show *show = context;
    show->tick = loop_timer(show->loop, LIVE_INTERVAL_MS, tick, show);
    show_now(show);
}

static void size_changed(void *context, int signal, int sender_pid)
{
    struct show *show = context;
    (void)signal;
    (void)sender_pid;
    terminal_measure(&show->invocation->terminal);
    show_now(show);
}

/* The engine's messages, line by line, above the block. */
static void notices_came(void *context, unsigned events)
{
    struct show *show = context;
    char buffer[4096];
    (void)events;
    ssize_t got;
    while ((got = read(show->front.messages, buffer, sizeof buffer)) > 0)
        text_append_bytes(&show->notice, buffer, (size_t)got);
    if (got == 0 && show->notices != NULL) {
        loop_unwatch(show->notices);
        show->notices = NULL;
    }
    size_t start = 0;
    for (const char *newline;
         (newline = memchr(text_bytes(&show->notice) + start, '\n', show->notice.length - start)) != NULL;) {
        size_t length = (size_t)(newline - (text_bytes(&show->notice) + start));
        cleanup(memory_free) char *line = memory_copy_bytes(text_bytes(&show->notice) + start, length);
        live_say(show->live, line);
        start += length + 1;
    }
    cleanup(memory_free) char *rest = memory_copy_text(text_bytes(&show->notice) + start);
    text_reset(&show->notice);
    if (strlen(rest) < NOTICE_LIMIT)
        text_append(&show->notice, rest);
}

/* MODE_JSON: what the engine finds wrong, as events. */
static void problems_came(void *context, unsigned events)
{
    struct show *show = context;
    struct text *all = &show->problem, *out = &show->invocation->output.text;
    char buffer[4096];
    (void)events;
    ssize_t got;
    while ((got = read(show->front.problems, buffer, sizeof buffer)) > 0)
        text_append_bytes(all, buffer, (size_t)got);
    size_t start = 0;
    for (const char *newline; (newline = memchr(text_bytes(all) + start, '\n', all->length - start)) != NULL;) {
        size_t length = (size_t)(newline - (text_bytes(all) + start));
        cleanup(memory_free) char *line = memory_copy_bytes(text_bytes(all) + start, length);
        event_append_problem_json(clock_wall_ms(), line, out);
        start += length + 1;
    }
    cleanup(memory_free) char *rest = memory_copy_text(text_bytes(all) + start);
    text_reset(all);
    text_append(all, rest);
    flush(show);
}

/* The engine's news. */

static void folder_known(struct show *show)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (show->front.problems >= 0) /* they come before all that the run does */
        problems_came(show, 0);
    if (show->view == NULL) /* of a run that is gone on with it is there */
        show->view = run_view_open(show->front.folder, 0, &error);
    if (show->view == NULL) {
        log_error(&error);
        return;
    }
    if (show->mode == MODE_LIVE)
        live_set_view(show->live, show->view);
}

static void news_came(void *context, unsigned events)
{
    struct show *show = context;
    (void)events;
    for (enum run_news news; !show->ended && (news = run_front_next(&show->front, false)) != 0;) {
        if (news == RUN_FOLDER)
            folder_known(show);
        else if (news == RUN_END)
            show->ended = true;
    }
    if (show->ended) {
        loop_unwatch(show->news);
        show->news = NULL;
        loop_stop(show->loop);
    }
}

/* Signals. */

static void say(struct show *show, const char *line)
{
    if (show->mode == MODE_LIVE) {
        live_say(show->live, line);
        show_now(show);
    } else {
        log_notice("%s", line);
    }
}

static void interrupted(void *context, int signal, int sender_pid)
{
    struct show *show = context;
    (void)signal;
    (void)sender_pid;
    show->interrupts++;
    run_front_send(&show->front, RUN_CANCEL);
    if (show->interrupts == 1)
        say(show, "stopping; Ctrl-C again stops at once");
    else if (show->interrupts > 2)
        loop_stop(show->loop);
}

/* Ctrl-\: at once, but not without a word. The engine sees that we are gone, and leaves. */
static void told_to_quit(void *context, int signal, int sender_pid)
{
    struct show *show = context;
    (void)sender_pid;
    if (show->mode == MODE_LIVE)
        live_end(show->live, &show->invocation->output.text);
    flush(show);
    terminal_show_input(&show->invocation->terminal);
    if (show->view != NULL)
        log_notice("left; stages that run go on: 'descpipe resume %s' goes on with the run",
                   show->view->run != NULL ? show->view->run : show->view->folder);
    _exit(SIGNALLED + signal);
}

/* Ctrl-Z: the terminal goes back as it was, and is taken again when we are back in its foreground. */
static void told_to_stop(void *context, int signal, int sender_pid)
{
    struct show *show = context;
    (void)signal;
    (void)sender_pid;
    live_end(show->live, &show->invocation->output.text);
    flush(show);
    terminal_show_input(&show->invocation->terminal);
    raise(SIGSTOP);
    terminal_hide_input(&show->invocation->terminal);
    terminal_measure(&show->invocation->terminal);
    show_now(show);
}

static void told_to_go_on(void *context, int signal, int sender_pid)
{
    struct show *show = context;
    (void)signal;
    (void)sender_pid;
    terminal_hide_input(&show->invocation->terminal); /* "bg", then "fg" */
}

static void told_to_leave(void *context, int signal, int sender_pid)
{
    struct show *show = context;
    (void)signal;
    (void)sender_pid;
    show->left = true;
    run_front_send(&show->front, RUN_LEAVE);
}

/* Starting and ending. */

static bool start(struct show *show, struct run_request *request, struct error *error)
{
    bool mixed = show->mode == MODE_LIVE && isatty(STDERR_FILENO) == 1; /* messages would fall into the block */
    request->wants_messages = mixed;
    request->wants_problems = show->mode == MODE_JSON;
    if (!run_start(request, &show->front, error))
        return false;
    show->loop = loop_new(error);
    if (show->loop == NULL)
        return false;
    loop_signal(show->loop, SIGINT, interrupted, show);
    loop_signal(show->loop, SIGTERM, told_to_leave, show);
    loop_signal(show->loop, SIGHUP, told_to_leave, show);
    loop_signal(show->loop, SIGQUIT, told_to_quit, show);
    show->news = loop_watch(show->loop, show->front.socket, LOOP_READABLE, news_came, show);
    if (show->mode == MODE_LIVE) {
        show->live = live_new(&show->invocation->terminal);
        live_set_phase(show->live, "planning");
        loop_signal(show->loop, SIGWINCH, size_changed, show);
        loop_signal(show->loop, SIGTSTP, told_to_stop, show);
        loop_signal(show->loop, SIGCONT, told_to_go_on, show);
        terminal_hide_input(&show->invocation->terminal);
        if (mixed)
            show->notices = loop_watch(show->loop, show->front.messages, LOOP_READABLE, notices_came, show);
    }
    if (show->mode == MODE_JSON)
        show->problems = loop_watch(show->loop, show->front.problems, LOOP_READABLE, problems_came, show);
    show->tick = loop_timer(show->loop, LIVE_INTERVAL_MS, tick, show);
    return true;
}

/* As an event, for that is what the lines of `run --json` are. */
static void tell_as_event(struct invocation *invocation, const struct error *error)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text object = TEXT_INIT;
    if (!invocation->json)
        return;
    problem_from_error(&problems, error);
    problem_append_json(&problems.items[0], &object);
    event_append_problem_json(clock_wall_ms(), text_bytes(&object), &invocation->output.text);
}

int run_refuse(struct invocation *invocation, const struct error *error)
{
    tell_as_event(invocation, error);
    return command_fail(error);
}

/* A run that fails says why, also when the one that knew is dead. */
static void tell_death(const struct show *show)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    int signal = show->front.died_of;
    if (signal == SIGKILL || signal == SIGTERM)
        error_set(&error, ERROR_BUG, "the engine was killed (signal %d), by somebody or for want of memory", signal);
    else if (signal != 0)
        error_set(&error, ERROR_BUG, "the engine ended unexpectedly (signal %d); this is a bug", signal);
    else
        error_set(&error, ERROR_BUG, "the engine ended without saying how the run went; this is a bug");
    if (show->view != NULL)
        error_hint(&error,
                   "stages that run go on: 'descpipe resume %s' goes on with the run, 'descpipe cancel %s' ends it",
                   show->view->run != NULL ? show->view->run : show->view->folder,
                   show->view->run != NULL ? show->view->run : show->view->folder);
    run_refuse(show->invocation, &error);
}

static void finish(struct show *show)
{
    struct output *output = &show->invocation->output;
    if (show->front.problems >= 0)
        problems_came(show, 0);
    if (show->view != NULL)
        run_view_read(show->view, 0, changed, show);
    if (show->mode == MODE_LIVE) {
        if (show->front.messages >= 0)
            notices_came(show, 0);
        live_end(show->live, &output->text);
    }
    if (show->view != NULL)
        run_view_look_alive(show->view);
    if (show->mode != MODE_JSON && show->view != NULL && show->front.folder != NULL && show->view->started_at_ms != 0) {
        const struct run_end_style style = {.terminal = &show->invocation->terminal,
                                            .quiet = show->invocation->globals.quiet,
                                            .now_ms = clock_wall_ms()};
        run_end_print(show->view, &style, &output->text);
    }
    flush(show);
    if (show->front.died)
        tell_death(show);
    if (show->left && show->view != NULL && show->view->end_state == NULL)
        log_notice("told to leave: stages that run go on; 'descpipe resume %s' goes on with the run",
                   show->view->run != NULL ? show->view->run : show->view->folder);
}

static void show_clear(struct show *show)
{
    terminal_show_input(&show->invocation->terminal);
    loop_unwatch(show->news);
    loop_unwatch(show->notices);
    loop_unwatch(show->problems);
    loop_timer_stop(show->tick);
    live_free(show->live);
    run_view_free(show->view);
    loop_free(show->loop);
    text_clear(&show->notice);
    text_clear(&show->problem);
    run_front_clear(&show->front);
}

static void show_clear_at(struct show *place)
{
    show_clear(place);
}

static enum mode choose_mode(const struct invocation *invocation)
{
    if (invocation->json)
        return MODE_JSON;
    return invocation->terminal.is_terminal && !invocation->globals.quiet ? MODE_LIVE : MODE_PLAIN;
}

int run_show(struct invocation *invocation, struct run_request *request, struct run_view *before)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(show_clear) struct show show = {.invocation = invocation, .mode = choose_mode(invocation), .view = before};
    if (!start(&show, request, &error))
        return run_refuse(invocation, &error);
    loop_run(show.loop, NULL, NULL);
    finish(&show);
    if (show.interrupts > 1)
        return SIGNALLED_TWICE;
    return show.front.exit_status;
}
