/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of a run: the journal's records applied, one after the other, to a compact table of tasks.
 *
 * How it works: a reader of the run folder and nothing else. plan.json names the tasks, so that those which nobody has
 * touched yet are known; the journal says what became of them. run_view_read may be called again and again while
 * somebody writes: it applies what is new, and a torn tail is read again the next time. A task is some 120 bytes, texts
 * are symbols, and per-stage and per-run counts are kept up to date, so that a view of 100,000 tasks is cheap to look
 * at.
 */
#ifndef DESCPIPE_REPORT_RUN_VIEW_H
#define DESCPIPE_REPORT_RUN_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/table.h"
#include "base/text.h"

enum task_state {
    TASK_PLANNED = 0,
    TASK_READY,
    TASK_SUBMITTED,
    TASK_QUEUED,
    TASK_RUNNING,
    TASK_ENDED,     /* its run left it behind and it ended: nobody has judged it yet */
    TASK_SUCCEEDED, /* from here on: ended */
    TASK_CACHED,
    TASK_FAILED,
    TASK_CANCELLED,
    TASK_SKIPPED,
    TASK_LOST,
    TASK_STATES
};
const char *task_state_name(enum task_state state);
static inline bool task_state_is_end(enum task_state state)
{
    return state >= TASK_SUCCEEDED;
}
static inline bool task_state_is_bad(enum task_state state)
{
    return state >= TASK_FAILED;
}

#define TASK_NONE UINT32_MAX

struct task_view {
    symbol stage;  /* index into view->stages is `stage_number` */
    symbol member; /* 0: the stage has no members */
    uint32_t stage_number;
    uint32_t next;     /* the next task of the same stage, or TASK_NONE */
    uint64_t job;      /* of the last attempt; 0: none yet */
    uint32_t attempt;  /* from 1; 0: none yet */
    int32_t exit_code; /* -1: not known or ended by a signal */
    int32_t signal;
    uint8_t state;  /* enum task_state */
    bool judged;    /* by the journal, not by what its job says */
    symbol verdict; /* "OK", "OOM" ...; 0: none yet */
    symbol reason, host, native;
    int64_t submitted_at_ms, started_at_ms, finished_at_ms; /* of the last attempt; 0: not (yet) known */
    int64_t cpu_ms;
    uint64_t peak_memory;
    uint64_t session_start; /* with `session` it names the processes of a stage on the run's own machine */
    int32_t session;        /* 0: none known */
    char *evidence;         /* JSON array of the last end, or NULL; kept when asked for */
};

struct stage_view {
    symbol name;
    uint32_t first, last; /* chain of tasks */
    uint32_t tasks;
    uint32_t minutes; /* the stage's time limit; 0: none said */
    uint32_t counts[TASK_STATES];
    bool has_members;
};

struct run_view {
    char *folder;
    struct symbols *symbols;
    LIST(struct task_view) tasks;
    LIST(struct stage_view) stages; /* in the order of the plan */
    uint32_t counts[TASK_STATES];
    char *run, *pipeline, *name, *user, *host, *backend, *version, *output; /* NULL until the journal says so */
    char *boot, *pids; /* which boot and process space `host` was in */
    char *end_state;   /* of the `end` record, or NULL while the run goes on */
    int64_t started_at_ms, finished_at_ms, last_at_ms;
    uint64_t records;
    uint32_t announced_tasks; /* as the `run` record says */
    char *left_for;           /* why its engine left it, in words; or NULL */
    bool pilot;               /* it was to move into an allocation of its own */
    bool detached;            /* it was handed over to its scheduler, and nobody has taken it up again */
    char *end_reason;         /* why a run failed of which no stage did, or NULL */
    bool cancel_requested;
    char *cancel_by;
    bool planned;   /* plan.json was read */
    bool abandoned; /* run_view_look_alive: it has not ended, and nobody writes it any more */
};

/* What a record changed, for views that tell what happens. The pointers live until the callback returns. */
enum run_event {
    RUN_EVENT_STARTED = 1, /* the run's first record */
    RUN_EVENT_RESUMED,     /* a new writer */
    RUN_EVENT_IMAGE,
    RUN_EVENT_INPUT, /* the fetching of an input began or ended */
    RUN_EVENT_SUBMITTED,
    RUN_EVENT_TASK_STARTED,
    RUN_EVENT_TASK_ENDED, /* for good */
    RUN_EVENT_TASK_RETRY, /* ended, and will be tried again */
    RUN_EVENT_TASK_STATE, /* another state without a job: queued, cached, skipped, cancelled */
    RUN_EVENT_BLIND,      /* a runtime or scheduler cannot be asked, or (failure NULL) answers again */
    RUN_EVENT_CANCEL,
    RUN_EVENT_DETACHED, /* handed over: this is the last that is written for now */
    RUN_EVENT_ENDED
};
struct run_change {
    enum run_event event;
    int64_t at_ms;
    uint64_t sequence;
    uint32_t task;       /* or TASK_NONE */
    const char *text;    /* IMAGE: the reference; INPUT: its tag; TASK_RETRY: the reason; CANCEL: by whom; DETACHED: the
                            scheduler; else NULL */
    const char *failure; /* IMAGE, INPUT: why it could not be had, or NULL; BLIND: what cannot be asked */
    const char *state;   /* INPUT: "started", "done", "kept", "failed" */
    const char *url;     /* INPUT: fit to be shown */
    uint64_t bytes;      /* INPUT */
    int64_t retry_at_ms; /* TASK_RETRY */
};

enum {
    RUN_VIEW_EVIDENCE = 1 << 0,
    RUN_VIEW_OWN = 1 << 1 /* an engine that we have started writes it, from its first line on: journal_reader_trust */
};

/* NULL when the folder cannot be read. A folder whose journal does not exist (yet) is an empty view. */
struct run_view *run_view_open(const char *run_folder, unsigned options, struct error *error);
void run_view_free(struct run_view *view);
DEFINE_CLEANUP(struct run_view *, run_view_free);
/* Applies what is new; `changed` may be NULL. Returns how many records were applied. At most `limit` (0: all there
 * are). */
size_t run_view_read(struct run_view *view, size_t limit,
                     void (*changed)(void *context, const struct run_view *view, const struct run_change *change),
                     void *context);
/* For who watches a run without being told of its end: as run_view_read without a limit, then run_view_look_alive; what
 * the jobs of a run that was handed over say of themselves is told as changes too. */
void run_view_follow(struct run_view *view,
                     void (*changed)(void *context, const struct run_view *view, const struct run_change *change),
                     void *context);
size_t run_view_skipped(const struct run_view *view); /* damaged journal lines */

const char *run_view_text(const struct run_view *view, symbol wanted); /* "" for none */
/* "STAGE" or "STAGE/MEMBER", appended, fit for a terminal. */
void run_view_append_task(const struct run_view *view, uint32_t task, struct text *out);
/* "OK", "EXIT 3", "SIGNAL 9", "OOM" ... of an ended task or attempt, else its state; appended. */
void run_view_append_verdict(const struct run_view *view, const struct task_view *task, struct text *out);
/* Why, where that says more than the verdict; "" else. */
const char *run_view_reason(const struct run_view *view, const struct task_view *task);
/* NULL: no such stage; TASK_NONE: no such task. */
const struct stage_view *run_view_stage(const struct run_view *view, const char *name);
uint32_t run_view_task(const struct run_view *view, const char *stage, const char *member /* or NULL */);
uint32_t run_view_task_of_job(const struct run_view *view, uint64_t job); /* whose last attempt it is, or TASK_NONE */
/* One word for all tasks of a stage: what still goes on wins, then what is worst. */
enum task_state stage_view_state(const struct stage_view *stage);
uint32_t run_view_ended(const struct run_view *view);
uint32_t run_view_bad(const struct run_view *view);
/* Asks the run's lease whether somebody still writes it; sets `abandoned`. Of an abandoned run it takes what the keeper
 * saw of stages that the journal has no end of, and looks which of them still run when it was on this machine. */
void run_view_look_alive(struct run_view *view);
/* Of a run that was handed over: its scheduler has none of its jobs any more, so what has no end will have none. */
void run_view_jobs_are_over(struct run_view *view);
/* The run was on this machine, in this boot of it and this process space: its process ids mean something here. */
bool run_view_is_here(const struct run_view *view);
/* "running", "cancelling", or the end record's word; "planned" before the first record; "stopped" for an abandoned one.
 */
const char *run_view_state(const struct run_view *view);
/* Of the run until its end, or else until now_ms; -1 before it began, and never negative else: clocks are set. */
int64_t run_view_wall_ms(const struct run_view *view, int64_t now_ms);
/* Wall time of the last attempt until its end, or until now_ms while it runs; -1 when not known. */
int64_t task_view_wall_ms(const struct task_view *task, int64_t now_ms);

#endif
