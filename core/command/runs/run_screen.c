/* SPDX-License-Identifier: BSD-3-Clause */
/* Shows a run while it goes on. */
#include "command/runs/run_screen.h"

#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "report/events.h"
#include "report/run_end.h"

enum run_screen_mode run_screen_mode(const struct invocation *invocation)
{
    if (invocation->json)
        return SCREEN_JSON;
    return invocation->terminal.is_terminal && !invocation->globals.quiet ? SCREEN_LIVE : SCREEN_PLAIN;
}

void run_screen_flush(struct run_screen *screen)
{
    /* Who reads has gone, or the disk is full: the run goes on, the end says so. */
    output_flush(&screen->invocation->output);
}

void run_screen_changed(void *context, const struct run_view *view, const struct run_change *change)
{
    struct run_screen *screen = context;
    struct output *output = &screen->invocation->output;
    if (screen->mode == SCREEN_LIVE)
        live_change(screen->live, view, change);
    else if (screen->mode == SCREEN_JSON)
        event_append_json(view, change, &output->text);
    else
        event_append_plain(view, change, screen->invocation->globals.quiet, &output->text);
    output_ease(output);
}

void run_screen_show(struct run_screen *screen)
{
    if (screen->view != NULL)
        screen->read(screen, screen->context);
    if (screen->mode == SCREEN_LIVE) {
        terminal_measure(&screen->invocation->terminal); /* a frame may be due before its signal comes */
        live_draw(screen->live, clock_wall_ms(), &screen->invocation->output.text);
    }
    run_screen_flush(screen);
}

static void tick(void *context)
{
    struct run_screen *screen = context;
    screen->tick = loop_timer(screen->loop, LIVE_INTERVAL_MS, tick, screen);
    run_screen_show(screen);
}

static void size_changed(void *context, int signal, int sender_pid)
{
    struct run_screen *screen = context;
    (void)signal;
    (void)sender_pid;
    terminal_measure(&screen->invocation->terminal);
    run_screen_show(screen);
}

/* Ctrl-Z: the terminal goes back as it was, and is taken again when we are back in its foreground. */
static void told_to_stop(void *context, int signal, int sender_pid)
{
    struct run_screen *screen = context;
    (void)signal;
    (void)sender_pid;
    run_screen_end_block(screen);
    run_screen_flush(screen);
    terminal_show_input(&screen->invocation->terminal);
    raise(SIGSTOP);
    terminal_hide_input(&screen->invocation->terminal);
    terminal_measure(&screen->invocation->terminal);
    run_screen_show(screen);
}

static void told_to_go_on(void *context, int signal, int sender_pid)
{
    struct run_screen *screen = context;
    (void)signal;
    (void)sender_pid;
    terminal_hide_input(&screen->invocation->terminal); /* "bg", then "fg" */
}

bool run_screen_open(struct run_screen *screen, const char *phase, struct error *error)
{
    screen->loop = loop_new(error);
    if (screen->loop == NULL)
        return false;
    if (screen->mode == SCREEN_LIVE) {
        screen->live = live_new(&screen->invocation->terminal);
        live_set_phase(screen->live, phase);
        if (screen->view != NULL)
            live_set_view(screen->live, screen->view);
        loop_signal(screen->loop, SIGWINCH, size_changed, screen);
        loop_signal(screen->loop, SIGTSTP, told_to_stop, screen);
        loop_signal(screen->loop, SIGCONT, told_to_go_on, screen);
        terminal_hide_input(&screen->invocation->terminal);
    }
    screen->tick = loop_timer(screen->loop, LIVE_INTERVAL_MS, tick, screen);
    return true;
}

void run_screen_set_view(struct run_screen *screen, struct run_view *view)
{
    screen->view = view;
    if (screen->live != NULL)
        live_set_view(screen->live, view);
}

void run_screen_say(struct run_screen *screen, const char *line)
{
    if (screen->mode == SCREEN_LIVE) {
        live_say(screen->live, line);
        run_screen_show(screen);
    } else {
        log_notice("%s", line);
    }
}

void run_screen_end_block(struct run_screen *screen)
{
    if (screen->mode == SCREEN_LIVE)
        live_end(screen->live, &screen->invocation->output.text);
}

void run_screen_print_end(struct run_screen *screen)
{
    if (screen->mode == SCREEN_JSON || screen->view == NULL || screen->view->started_at_ms == 0)
        return;
    const struct run_end_style style = {.terminal = &screen->invocation->terminal,
                                        .quiet = screen->invocation->globals.quiet,
                                        .now_ms = clock_wall_ms()};
    run_end_print(screen->view, &style, &screen->invocation->output.text);
}

void run_screen_clear(struct run_screen *screen)
{
    terminal_show_input(&screen->invocation->terminal);
    loop_timer_stop(screen->tick);
    live_free(screen->live);
    run_view_free(screen->view);
    loop_free(screen->loop);
}

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
