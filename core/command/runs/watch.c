/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watching a run from another terminal, as another user or from another machine.
 *
 * How it works: as the front of a run shows it (run_screen.c), but nobody tells of its end: its lease is looked at once
 * a second, and of a run that was handed over what its jobs wrote. Only reads; the run does not know of it.
 */
#include "command/runs/watch.h"

#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "command/runs/chosen_run.h"
#include "command/runs/run_screen.h"

enum { LOOK_MS = 1000 };

struct watch {
    struct run_screen screen;
    int64_t look_at_ms, until_ms;
    bool timed_out;   /* `until_ms` came first */
    bool is_taken_up; /* who watches goes on with it when it has failed */
};

static bool is_over(const struct run_view *view)
{
    return view->end_state != NULL || view->abandoned;
}

/* The end that is not one: events and lines say it once. */
static void tell(void *context, const struct run_view *view, const struct run_change *change)
{
    const struct run_screen *screen = context;
    const struct watch *watch = screen->context;
    if (!watch->is_taken_up || change->event != RUN_EVENT_ENDED || !text_equal(view->end_state, "failed"))
        run_screen_changed(context, view, change);
}

static void read_run(struct run_screen *screen, void *context)
{
    struct watch *watch = context;
    int64_t now = clock_monotonic_ms();
    if (now < watch->look_at_ms) {
        run_view_read(screen->view, 0, tell, screen);
    } else {
        run_view_follow(screen->view, tell, screen);
        watch->look_at_ms = clock_monotonic_ms() + LOOK_MS;
    }
    watch->timed_out = now >= watch->until_ms;
    if (is_over(screen->view) || watch->timed_out)
        loop_stop(screen->loop);
}

static void told_to_leave(void *context, int signal, int sender_pid)
{
    struct watch *watch = context;
    (void)signal;
    (void)sender_pid;
    loop_stop(watch->screen.loop);
}

/* A person who comes later sees what goes on now; what is over stands in the table at the end. Lines and events are
 * those of the whole run. */
static void catch_up(struct run_screen *screen)
{
    struct run_view *view = screen->view;
    run_view_follow(view, screen->mode == SCREEN_LIVE ? NULL : tell, screen);
    for (uint32_t i = 0; screen->mode == SCREEN_LIVE && i < view->tasks.count; i++)
        if (view->tasks.items[i].state == TASK_RUNNING) {
            const struct run_change running = {.event = RUN_EVENT_TASK_STARTED, .task = i};
            live_change(screen->live, view, &running);
        }
}

static int stopped(struct invocation *invocation, const struct run_view *view)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    error_set(&error, ERROR_INTERRUPTED, "run %s was stopped before its end", chosen_run_name(view));
    error_hint(&error, "'descpipe resume %s' goes on with it", chosen_run_name(view));
    return run_refuse(invocation, &error);
}

static int exit_status(struct invocation *invocation, const struct watch *watch)
{
    const struct run_view *view = watch->screen.view;
    if (!is_over(view)) {
        log_notice("no longer watched; run %s goes on", chosen_run_name(view));
        return error_exit_status(ERROR_INTERRUPTED);
    }
    if (view->end_state == NULL)
        return stopped(invocation, view);
    if (text_equal(view->end_state, "cancelled"))
        return error_exit_status(ERROR_INTERRUPTED);
    if (text_equal(view->end_state, "succeeded"))
        return 0;
    return error_exit_status(run_view_bad(view) > 0 ? ERROR_STAGE : ERROR_SYSTEM);
}

static void watch_clear(struct watch *watch)
{
    run_screen_clear(&watch->screen);
}

static void watch_clear_at(struct watch *place)
{
    watch_clear(place);
}

static void take_signals(struct watch *watch)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        loop_signal(watch->screen.loop, signals[i], told_to_leave, watch);
}

static void follow(struct watch *watch)
{
    struct run_screen *screen = &watch->screen;
    watch->look_at_ms = clock_monotonic_ms() + LOOK_MS;
    if (!is_over(screen->view)) {
        run_screen_show(screen);
        loop_run(screen->loop, NULL, NULL);
    }
    run_screen_end_block(screen);
}

static void watch_begin(struct watch *watch, struct invocation *invocation, struct run_view *view)
{
    *watch = (struct watch){.screen = {.invocation = invocation,
                                       .mode = run_screen_mode(invocation),
                                       .view = view,
                                       .read = read_run,
                                       .context = watch},
                            .until_ms = INT64_MAX};
}

static int watch_view(struct invocation *invocation, struct run_view *view, bool shown)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(watch_clear) struct watch watch;
    struct run_screen *screen = &watch.screen;
    watch_begin(&watch, invocation, view);
    if (!run_screen_open(screen, "not begun yet", &error))
        return run_refuse(invocation, &error);
    take_signals(&watch);
    if (!shown)
        catch_up(screen);
    follow(&watch);
    if (is_over(screen->view))
        run_screen_print_end(screen);
    run_screen_flush(screen);
    return exit_status(invocation, &watch);
}

int run_watch(struct invocation *invocation)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct run_view *view = chosen_run_begin(command_word(invocation, 0), 0, &error);
    return view != NULL ? watch_view(invocation, view, false) : run_refuse(invocation, &error);
}

int run_watch_on(struct invocation *invocation, struct run_view *view)
{
    return watch_view(invocation, view, true);
}

static bool watch_for(struct invocation *invocation, struct run_view *view, int64_t limit_ms, int *status)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(watch_clear) struct watch watch;
    struct run_screen *screen = &watch.screen;
    watch_begin(&watch, invocation, view);
    watch.until_ms = clock_monotonic_ms() + limit_ms;
    watch.is_taken_up = true;
    bool opened = run_screen_open(screen, "not begun yet", &error);
    if (opened) {
        take_signals(&watch);
        catch_up(screen);
        follow(&watch);
    }
    bool goes_on = opened && (is_over(view) ? text_equal(view->end_state, "failed") : watch.timed_out);
    if (opened && !goes_on && is_over(view))
        run_screen_print_end(screen);
    run_screen_flush(screen);
    if (!goes_on)
        *status = opened ? exit_status(invocation, &watch) : run_refuse(invocation, &error);
    screen->view = NULL; /* the caller's */
    return goes_on;
}

bool run_watch_for(struct invocation *invocation, struct run_view *view, int64_t limit_ms, int *status)
{
    sigset_t before; /* an engine that begins after this gets it from us */
    sigprocmask(SIG_BLOCK, NULL, &before);
    bool goes_on = watch_for(invocation, view, limit_ms, status);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return goes_on;
}
