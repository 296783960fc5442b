/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run on standard output while it goes on: a live block on a terminal, plain lines elsewhere, JSON lines when asked.
 *
 * How it works: LIVE_INTERVAL_MS after the last look what the run folder has gained is read and shown. Who started the
 * run and who only watches it from elsewhere see the same.
 */
#ifndef DESCPIPE_COMMAND_RUNS_RUN_SCREEN_H
#define DESCPIPE_COMMAND_RUNS_RUN_SCREEN_H

#include "command/command.h"
#include "io/loop.h"
#include "report/live.h"

enum run_screen_mode { SCREEN_PLAIN, SCREEN_LIVE, SCREEN_JSON };

struct run_screen {
    struct invocation *invocation;
    enum run_screen_mode mode;
    struct loop *loop;                         /* NULL until run_screen_open */
    struct run_view *view;                     /* its own; NULL until there is a run folder */
    struct live *live;                         /* SCREEN_LIVE */
    void (*read)(struct run_screen *, void *); /* applies what is new, telling run_screen_changed */
    void *context;                             /* for `read` */
    struct loop_timer *tick;
};

enum run_screen_mode run_screen_mode(const struct invocation *invocation);
bool run_screen_open(struct run_screen *screen, const char *phase, struct error *error);
void run_screen_clear(struct run_screen *screen); /* gives the terminal back; the loop's watches must be gone */
void run_screen_set_view(struct run_screen *screen, struct run_view *view);
/* For run_view_read and run_view_follow; `context` is the screen. */
void run_screen_changed(void *context, const struct run_view *view, const struct run_change *change);
void run_screen_show(struct run_screen *screen); /* now */
void run_screen_flush(struct run_screen *screen);
/* A line of ours: above the live block, else on standard error. */
void run_screen_say(struct run_screen *screen, const char *line);
/* Takes the live block away. Nothing is shown after it but the end. */
void run_screen_end_block(struct run_screen *screen);
/* The table and what to do next, for people. */
void run_screen_print_end(struct run_screen *screen);

/* As an event, for that is what the lines of `run --json` are; and for people. Returns the exit status. */
int run_refuse(struct invocation *invocation, const struct error *error);

#endif
