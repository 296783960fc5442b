/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front of a run: it starts keeper and engine, then only reads the run folder and forwards signals.
 *
 * How it works: run_screen.c shows what the journal gains. On a terminal the engine's messages come through a pipe, so
 * that they stand above the block and not in it.
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
#include "command/runs/chosen_run.h"
#include "command/runs/watch.h"
#include "io/loop.h"
#include "report/events.h"

enum { SIGNALLED_TWICE = 130, SIGNALLED = 128, NOTICE_LIMIT = 65536 };

struct show {
    struct invocation *invocation;
    struct run_screen screen;
    struct run_front front;
    struct loop_watch *news, *notices;
    struct text notice;  /* an unfinished line of the engine's messages */
    struct text problem; /* likewise of its problems */
    struct loop_watch *problems;
    unsigned interrupts;
    bool ended, left;
};

/* Showing. */

static void read_journal(struct run_screen *screen, void *context)
{
    const struct show *show = context;
    if (show->front.folder != NULL)
        run_view_read(screen->view, 0, run_screen_changed, screen);
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
        live_say(show->screen.live, line);
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
    run_screen_flush(&show->screen);
}

/* The engine's news. */

static void folder_known(struct show *show)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (show->front.problems >= 0) /* they come before all that the run does */
        problems_came(show, 0);
    struct run_view *view = show->screen.view; /* of a run that is gone on with it is there */
    if (view == NULL)
        view = run_view_open(show->front.folder, RUN_VIEW_OWN, &error);
    if (view == NULL)
        log_error(&error);
    else
        run_screen_set_view(&show->screen, view);
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
        loop_stop(show->screen.loop);
    }
}

/* Signals. */

static void interrupted(void *context, int signal, int sender_pid)
{
    struct show *show = context;
    (void)signal;
    (void)sender_pid;
    show->interrupts++;
    run_front_send(&show->front, RUN_CANCEL);
    if (show->interrupts == 1)
        run_screen_say(&show->screen, "stopping; Ctrl-C again stops at once");
    else if (show->interrupts > 2)
        loop_stop(show->screen.loop);
}

/* Ctrl-\: at once, but not without a word. The engine sees that we are gone, and leaves. */
static void told_to_quit(void *context, int signal, int sender_pid)
{
    struct show *show = context;
    (void)sender_pid;
    run_screen_end_block(&show->screen);
    run_screen_flush(&show->screen);
    terminal_show_input(&show->invocation->terminal);
    if (show->screen.view != NULL)
        log_notice("left; stages that run go on: 'descpipe resume %s' goes on with the run",
                   chosen_run_name(show->screen.view));
    _exit(SIGNALLED + signal);
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
    struct run_screen *screen = &show->screen;
    bool mixed = screen->mode == SCREEN_LIVE && isatty(STDERR_FILENO) == 1; /* messages would fall into the block */
    request->wants_messages = mixed;
    request->wants_problems = screen->mode == SCREEN_JSON;
    if (!run_start(request, &show->front, error) || !run_screen_open(screen, "planning", error))
        return false;
    loop_signal(screen->loop, SIGINT, interrupted, show);
    loop_signal(screen->loop, SIGTERM, told_to_leave, show);
    loop_signal(screen->loop, SIGHUP, told_to_leave, show);
    loop_signal(screen->loop, SIGQUIT, told_to_quit, show);
    show->news = loop_watch(screen->loop, show->front.socket, LOOP_READABLE, news_came, show);
    if (mixed)
        show->notices = loop_watch(screen->loop, show->front.messages, LOOP_READABLE, notices_came, show);
    if (screen->mode == SCREEN_JSON)
        show->problems = loop_watch(screen->loop, show->front.problems, LOOP_READABLE, problems_came, show);
    return true;
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
    if (show->screen.view != NULL)
        error_hint(&error,
                   "stages that run go on: 'descpipe resume %s' goes on with the run, 'descpipe cancel %s' ends it",
                   chosen_run_name(show->screen.view), chosen_run_name(show->screen.view));
    run_refuse(show->invocation, &error);
}

/* The run goes on in an allocation of its own. */
static bool has_moved(struct show *show)
{
    struct run_view *view = show->screen.view;
    if (view != NULL)
        run_view_read(view, 0, run_screen_changed, &show->screen);
    return view != NULL && view->pilot && view->detached && view->end_state == NULL;
}

static void finish(struct show *show, bool goes_on)
{
    struct run_screen *screen = &show->screen;
    struct run_view *view = screen->view;
    if (show->front.problems >= 0)
        problems_came(show, 0);
    if (view != NULL)
        run_view_read(view, 0, run_screen_changed, screen);
    if (screen->mode == SCREEN_LIVE && show->front.messages >= 0)
        notices_came(show, 0);
    run_screen_end_block(screen);
    if (view != NULL)
        run_view_look_alive(view);
    if (show->front.folder != NULL && !goes_on)
        run_screen_print_end(screen);
    run_screen_flush(screen);
    if (show->front.died)
        tell_death(show);
    if (show->left && view != NULL && view->end_state == NULL)
        log_notice("told to leave: stages that run go on; 'descpipe resume %s' goes on with the run",
                   chosen_run_name(view));
}

static void show_clear(struct show *show)
{
    loop_unwatch(show->news);
    loop_unwatch(show->notices);
    loop_unwatch(show->problems);
    run_screen_clear(&show->screen);
    text_clear(&show->notice);
    text_clear(&show->problem);
    run_front_clear(&show->front);
}

static void show_clear_at(struct show *place)
{
    show_clear(place);
}

/* `moved`: gets the view of a run that goes on in an allocation of its own, as far as it has been shown. */
static int show_run(struct invocation *invocation, struct run_request *request, struct run_view *before,
                    struct run_view **moved)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(show_clear) struct show show = {.invocation = invocation};
    show.screen = (struct run_screen){.invocation = invocation,
                                      .mode = run_screen_mode(invocation),
                                      .view = before,
                                      .read = read_journal,
                                      .context = &show};
    if (!start(&show, request, &error))
        return run_refuse(invocation, &error);
    loop_run(show.screen.loop, NULL, NULL);
    bool goes_on = !request->detach && show.front.exit_status == 0 && has_moved(&show);
    finish(&show, goes_on);
    if (goes_on)
        *moved = steal(&show.screen.view);
    return show.interrupts > 1 ? SIGNALLED_TWICE : show.front.exit_status;
}

int run_show(struct invocation *invocation, struct run_request *request, struct run_view *before)
{
    struct run_view *moved = NULL;
    int status = show_run(invocation, request, before, &moved);
    return moved != NULL ? run_watch_on(invocation, moved) : status;
}
