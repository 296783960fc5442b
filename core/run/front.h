/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run as the process that the user started sees it: it starts the keeper and the engine, forwards wishes, and learns
 * where the run is and how it ended. The live view reads the run folder; nothing of it comes through here.
 */
#ifndef DESCPIPE_RUN_FRONT_H
#define DESCPIPE_RUN_FRONT_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/layers.h"
#include "pipeline/pipeline.h"
#include "plan/plan.h"
#include "plugin/catalogue.h"

enum on_interrupt {
    ON_INTERRUPT_DEFAULT = 0, /* cancel what runs on this machine, leave what a scheduler holds */
    ON_INTERRUPT_CANCEL,
    ON_INTERRUPT_LEAVE
};

struct run_ended {
    const char *folder, *version;
    const struct pipeline *pipeline;
    bool own; /* no engine before this one wrote into its journal */
    bool succeeded;
};

/* Everything a run needs to know; borrowed until run_start has returned. */
struct run_request {
    const char *pipeline;            /* the file, as the user wrote it */
    const char *resume;              /* the folder of the run to go on with, absolute; NULL: a new run */
    bool take_over;                  /* with `resume`: also from a machine that gives no sign of life */
    const char *const *arguments;    /* the command line, kept for `resume`; ends with NULL; or NULL */
    struct pipeline_changes changes; /* working and output: from the layers when NULL here */
    struct plan_choices choices;
    struct config_search config;
    struct plugin_search plugins;
    const char *policy_folder; /* the site's, or NULL */
    const char *version;       /* of the program, for the journal */
    bool wants_messages;       /* standard error of keeper and engine comes through front->messages instead */
    bool wants_problems;       /* problems come through front->problems too, one JSON object a line */
    bool keep_going;
    /* In the engine's process, when the run is over and its journal complete: makes what is made from that. NULL: none. */
    void (*ended)(const struct run_ended *ended);
    /* The run's JSON for `on-exit`, appended, with its stages or without; returns its state. NULL: nobody is told. */
    const char *(*describe)(const char *run_folder, bool stages, struct text *json);
    bool no_cache; /* everything runs, whatever is known of it */
    bool detach; /* the whole graph goes to the scheduler; choices.detach as well */
    enum on_interrupt on_interrupt;
    int64_t time_limit_ms; /* of every stage, instead of its `minutes`: for tests; 0: none */
    int64_t grace_ms;      /* from SIGTERM to SIGKILL; 0: 10 s */
    int64_t ends_at_ms;    /* of the allocation that it runs in, which is the run's own; 0: not known, or none */
    bool gone;             /* with `resume`: who had the run has surely ended */
    bool no_index;         /* leave the user's index of runs alone */
};

enum run_wish {
    RUN_CANCEL = 1, /* Ctrl-C: the first stops the run as on_interrupt says, the second at once */
    RUN_LEAVE       /* end the engine, leave what runs to the keeper */
};
enum run_news {
    RUN_FOLDER = 1, /* the run folder exists and can be read */
    RUN_END,        /* the engine has ended, with this exit status */
    RUN_ENGINE_DIED /* between keeper and front only */
};

struct run_front {
    int socket; /* readable when there is news */
    pid_t keeper;
    int messages, problems; /* for reading, never block; -1: not wanted. The keeper has them open for the run's life */
    char *folder;           /* after RUN_FOLDER */
    int exit_status;
    bool died;   /* the engine ended without saying how the run went */
    int died_of; /* by this signal, or 0 */
};

/* Splits this process: only legal before any loop or thread exists. Problems of the pipeline file and errors before the
 * run has a folder are printed to standard error by the engine. */
bool run_start(const struct run_request *request, struct run_front *front, struct error *error);
void run_front_clear(struct run_front *front);
static inline void run_front_clear_at(struct run_front *place)
{
    run_front_clear(place);
}
bool run_front_send(struct run_front *front, enum run_wish wish);
/* The next news; waits for it when `wait`. 0: none yet. An engine that died counts as RUN_END with status 70. */
enum run_news run_front_next(struct run_front *front, bool wait);

#endif
