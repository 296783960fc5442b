/* SPDX-License-Identifier: BSD-3-Clause */
/* clang-format off */
/*
 * What the files of the engine share. For core/run alone.
 *
 *     engine.c     the process: setting up, the loop's rounds, the end
 *     walk.c       tasks and stages: what is ready, what a verdict means for the rest
 *     submit.c     ready tasks → submissions; what schedulers say; images
 *     attempt.c    one attempt from the scheduler's word to its verdict
 *     command.c    … whose stage is a process of ours (COMMAND)
 *     managed.c    … whose stage is a container of a runtime's own (MANAGED)
 *     remote*.c    submissions to schedulers that run stages elsewhere, and the attempts in them
 *     job_script.c … the script of such a job, and what it says of its end
 *     job_files.c  … and what it does with its files when nobody watches it
 *     apart.c      files that only the jobs of a backend see
 *     pilot.c      moving the run into an allocation of its own, and the time that it has there
 *     detach*.c    handing the whole run over to a scheduler
 *     whole.c      … or sending it as one submission, and following it
 *     graph.c      … and which of its jobs wait for which
 *     chain.c      … that a time limit ended, and the next one that goes on from its checkpoint
 *     secrets.c    … what only its start knows
 *     secret_command.c   … secrets that a command prints
 *     scratch.c    … its scratch folder
 *     files.c      … its files: which, where, in and out
 *     folders.c    the working and the output folder, before the start
 *     left_running.c     … and what an earlier run left running in it
 *     results.c    the final results, at the end of the run
 *     cached.c     results that are there already, and remembering new ones
 *     shared.c     … and those that others of a group have made
 *     keep.c       files between stages go when nobody needs them any more
 *     on_exit.c    telling others that the run is over
 *     sources.c    which commits the pipeline and its stages are of
 *     record.c     the journal's records
 *     stop.c       cancelling and leaving
 *     resume.c     going on with a run whose engine has gone
 *     adopt.c      … and its processes, which a keeper has
 *     reserve.c    room on the disk for the journal
 *     fetch.c      inputs that come from a URL
 *     stray.c      processes that stages leave behind
 *
 * A task is one member of a stage, or the stage itself. A job is one attempt of a task: (attempt - 1) * tasks + task + 1,
 * so that the number says both and no table is needed.
 */
/* clang-format on */
#ifndef DESCPIPE_RUN_WALK_H
#define DESCPIPE_RUN_WALK_H

#include "base/list.h"
#include "cache/identity.h"
#include "io/pool.h"
#include "io/process.h"
#include "run/again/up_to_date.h"
#include "run/engine.h"
#include "run/files/keep.h"
#include "run/files/staging.h"
#include "run/here/memory_watch.h"
#include "run/journal/journal.h"
#include "run/journal/lease.h"
#include "run/journal/outcome.h"
#include "run/journal/run_folder.h"
#include "run/on_exit.h"

#define NONE UINT32_MAX
#define DEFAULT_GRACE_MS 10000
#define ENDINGS_LIMIT 8
#define ATTEMPTS_LIMIT 1000

enum task_state {
    TASK_PLANNED = 0, /* waits for other stages */
    TASK_READY,       /* waits for room, a limit, its image or its next attempt */
    TASK_SUBMITTED,
    TASK_RUNNING,
    TASK_SUCCEEDED,
    TASK_FAILED,
    TASK_CANCELLED,
    TASK_SKIPPED
};

struct task {
    union {
        uint32_t waiting;      /* PLANNED, of a stage that goes by members: producers' members it waits for */
        uint32_t attempt_slot; /* RUNNING: index into engine->attempts; NONE after it */
    };
    uint16_t attempts;     /* made or in progress */
    uint8_t state;         /* enum task_state */
    uint8_t verdict;       /* the last attempt's */
    uint8_t out_of_memory; /* retries for these reasons, which raise what it asks for */
    uint8_t timed_out;
    uint8_t links;       /* attempts that their time limit ended with a new checkpoint */
    uint16_t checkpoint; /* the last of them, 0: none */
    bool holds_limit;
    bool resumed; /* its attempt was begun by an engine before this one */
};

struct walk_stage {
    bool by_members;      /* each task waits for its own member of every stage before it, not for whole stages */
    uint32_t waiting;     /* stages it waits for */
    uint32_t tasks_left;  /* not succeeded */
    uint32_t first_order; /* of its first task in the stable topological order */
    uint32_t limit;       /* index into engine->limits or NONE */
};

/* Tasks by order: a binary heap of order << 32 | task. */
struct task_heap {
    uint64_t *items;
    size_t count, capacity;
};
void task_heap_push(struct task_heap *heap, uint64_t item);
uint64_t task_heap_pop(struct task_heap *heap);

struct walk_limit {
    const char *name;
    uint32_t free;
    struct task_heap waiting;
};

enum image_state { IMAGE_UNKNOWN = 0, IMAGE_PREPARING, IMAGE_READY, IMAGE_FAILED };
struct walk_image {
    struct engine *engine;
    uint32_t number;
    enum image_state state;
    struct task_heap waiting;
    struct descpipe_prepare prepare;
    char *failure;
};

struct walk_backend {
    struct engine *engine;
    uint32_t number;
    struct plugin_call *observing;
    struct task_heap waiting; /* for room */
    struct loop_timer *later; /* the scheduler asked to come again */
    int64_t later_ms;
    bool isolated, read_only; /* what the runtime can do */
    uint32_t blind;           /* attempts whose container it cannot be asked about */
    bool elsewhere;           /* its scheduler runs the stages itself: remote.c */
    bool repeats;             /* … and tries them again by itself */
    LIST(uint64_t) cancelled; /* jobs it is about to be asked to end */
};

struct submission {
    struct walk_backend *backend;
    struct arena *arena;
    struct descpipe_submission submission;
    uint64_t serial;
    uint32_t *tasks;
};

enum empty_folder { EMPTY_INPUT = 0, EMPTY_OUTPUT, EMPTY_FOLDERS };

struct attempt {
    struct engine *engine;
    uint32_t slot, task, stage, member; /* member NONE: none */
    uint16_t number;
    uint64_t job;
    struct arena *arena; /* kept for the next attempt in this slot */
    const char *stage_name, *member_name;
    const char *token;
    const char *name;                         /* STAGE[.MEMBER].ATTEMPT */
    int64_t started_ms, started_monotonic_ms; /* a clock that is set meanwhile does not change how long it took */
    uint64_t memory;                          /* what it asks for now */
    int64_t time_limit_ms;                    /* 0: none */
    void (*scheduler_ended)(void *scheduler, uint64_t job);
    void *scheduler;
    const char *const *gpus;
    struct remote *remote;               /* the submission it goes elsewhere with, or NULL */
    uint32_t position;                   /* in it */
    const struct descpipe_job *job_made; /* in its submission's arena */
    bool ready, sent;                    /* its job is written; its scheduler may have it */
    bool seen_running;
    bool heard_out;                     /* time was given for the word that its allocation is ended */
    bool said_running;                  /* … by its own word first */
    bool by_own_word;                   /* it is over by its own word, and its scheduler has not said so yet */
    const char *outcome_path;           /* where its job says how it ended */
    struct task_file_list later_inputs; /* of a run that is handed over: its job brings them in */
    char *waits_reason;                 /* the last that its scheduler said it waits for */
    int64_t finished_ms;                /* by a witness elsewhere; 0: when we hear of it */
    int64_t patience_until_ms;          /* its scheduler says that it is over, its job has not said so yet */
    int keeper_slot;
    struct process *process;
    pid_t session;          /* 0: none */
    uint64_t session_start; /* of an adopted process */
    pid_t keeper;           /* likewise: who will say how it ended */
    uint64_t keeper_start;
    bool resumed;                 /* begun by an engine before this one */
    bool adopted;                 /* COMMAND: it is followed through its keeper */
    struct loop_timer *lingering; /* its process has ended, others of its session use their grace */
    struct plugin_call *call;
    struct plugin_call *logs_call;
    struct descpipe_container container; /* MANAGED: token set while there is one */
    struct descpipe_logs logs;
    struct loop_timer *again; /* asks the runtime once more */
    int64_t again_ms;
    bool observed;
    bool blind;    /* its runtime cannot be asked */
    bool given_up; /* MANAGED: nobody waits for its end any more */
    const struct descpipe_stage *launched;
    int output, error; /* its log files, -1 */
    bool has_logs;     /* they were made */
    const char *argv0;
    const char *const *removal, *const *removal_environment; /* what a killed COMMAND needs to be gone, or NULL */
    struct loop_timer *limit, *kill, *warning;
    bool warned; /* of its time limit, by the signal that its stage asks for */
    const char *restores; /* the output folder of the attempt whose checkpoint it goes on from, or NULL */
    uint32_t stopped; /* DESCPIPE_ENDED_CANCELLED or _TIMED_OUT: what we did to it first */
    bool stop_sent, ended_recorded, placed_back;
    const char *scratch;              /* its scratch folder, while there is one */
    uint64_t scratch_bytes;           /* what it asks for there, 0: none */
    struct command_secret *waits_for; /* before its start: a secret's command is running */
    struct descpipe_ending endings[ENDINGS_LIMIT];
    size_t endings_count;
    struct outcome outcome;
    char *empty_paths[EMPTY_FOLDERS]; /* the slot's own folders, once named */
    bool has_empty[EMPTY_FOLDERS],
        uses_empty[EMPTY_FOLDERS]; /* the slot's folders for stages that need none: there; used now */
    /* Files, while a helper thread has them. */
    bool has_inputs, has_outputs;
    const char *folder;         /* WORKING/STAGE[/MEMBER] */
    const char *input, *config; /* its folders, or an empty one */
    const char *attempt_folder; /* its output folder, or the slot's */
    struct staging_in in;
    struct staging_out out;
    enum verdict files_verdict;
    struct error files_error;
    struct text files_reason;
    int64_t late_until_ms; /* its outputs are not all seen, and may still appear; 0: they have not been missed yet */
};

enum engine_stop {
    STOP_NOT = 0,
    STOP_FAILED, /* a stage failed: nothing new starts */
    STOP_CANCEL, /* somebody asked: what runs is ended */
    STOP_LEAVE   /* the engine ends, what runs goes on under the keeper */
};

struct engine {
    const struct run_request *request;
    struct keeper_table *table;
    int socket;
    int problem_pipe; /* to the front: what is found wrong, as JSON; -1: it does not ask */
    struct loop *loop;
    struct loop_watch *socket_watch;
    struct loop_timer *heartbeat, *sync_timer;
    struct policy *policy;
    struct plugin_catalogue *catalogue;
    struct plugin_host *host;
    struct pool *pool;
    struct config_layers *layers;
    struct registries *registries;
    struct pipeline *pipeline;
    struct plan *plan;
    struct problems problems;
    LIST(struct descpipe_secret *) secrets; /* given to plugins */
    char *scratch_prefix;                   /* of the names of scratch folders; made when first needed */
    LIST(struct command_secret *) command_secrets;
    const char
        *secret_wanted; /* of a command, by a plugin that cannot wait: to be had before the plan is tried again */
    struct error error; /* what stopped the run, if anything did */
    struct run_folder folder;
    struct lease *lease, *working_lease;
    struct journal *journal;
    int64_t gather_until_ms;      /* what goes elsewhere waits until then for more of its like; 0: nothing waits */
    struct loop_timer *gathering; /* … and then comes again */
    int logs_folder;              /* descriptor of logs/NNN, the last one used */
    int attempts_folder;          /* descriptor of attempts/, 0: not asked for yet */
    int children_list;            /* descriptor of the kernel's list of the keeper's children, 0: not asked for yet */
    uint32_t logs_number;
    char *empty_folder; /* attempts/empty, made when first needed */

    struct fetcher *fetcher;
    char **fetched; /* by index into pipeline->inputs: where the file from its URL is, or NULL */
    struct task *tasks;
    struct walk_stage *stages;
    uint32_t *dependents_at, *dependents; /* by stage: who waits for it */
    struct walk_limit *limits;
    struct walk_image *images;
    struct walk_backend *backends;
    struct task_heap ready;
    struct remote *remotes;             /* submissions elsewhere that are not over */
    struct loop_timer *allocation_ends; /* pilot.c */
    uint32_t out_of_time;               /* tasks that are ready and begin in another allocation */
    struct loop_timer *outcome_look;    /* remote_look.c */
    int64_t outcome_news_ms, usage_until_ms;
    uint32_t unaccounted;  /* jobs that are over by their own word alone: what they used may come */
    bool leaves_remote;    /* interrupted: what schedulers elsewhere have goes on */
    struct detach *detach; /* the run is being handed over; NULL: it is not */
    struct whole *whole;   /* its scheduler takes all of it at once; NULL: it does not */
    struct graph *graph;   /* with either: who waits for whom */
    LIST(struct attempt *) attempts;
    LIST(uint32_t) free_slots;
    LIST(uint32_t) stack; /* of tasks, for walking without recursion */
    uint32_t left;        /* tasks without a final state */
    uint32_t running;     /* attempts in progress */
    uint32_t retrying;    /* tasks that wait for their next attempt */
    uint64_t serial;      /* of submissions */
    uint64_t verdicts[VERDICTS], succeeded, cached_tasks, failed, cancelled, skipped;
    struct cached *cached;         /* NULL: nothing is remembered */
    struct shared *shared;         /* NULL: nothing is shared with others */
    struct keep *keep;             /* NULL: all files stay */
    struct witness *witness;       /* of what planning looked at */
    struct up_to_date *up_to_date; /* what the run looked at; NULL: nobody will ask */
    struct hooks *hooks;           /* who is told of the end */
    bool hurried;                  /* asked to stop when the run was over already */
    bool sources_begun;
    unsigned sources_asked; /* git commands under way */
    enum engine_stop stop;
    unsigned cancels; /* how often it was asked */
    bool plan_done, walking, finished, journal_stuck, lease_lost;
    unsigned beats, stray_looks;
    struct memory_watch memory;
    bool has_reserve, tells_full;
    struct resume *resume;     /* NULL: the run began with this engine */
    struct adoption *adoption; /* NULL: nothing to follow through a keeper */
};

/* engine.c */
/* The journal's buffer to the kernel, with `sync` to the disk. False while the disk takes nothing: no act may follow.
 */
bool engine_flush(struct engine *engine, bool sync);
void engine_finish_when_done(struct engine *engine);
bool engine_take_working_lease(struct engine *engine);
struct pool *engine_pool(struct engine *engine);

/* walk.c */
void walk_begin(struct engine *engine);
void walk_start(struct engine *engine); /* what waits for nothing is ready */
static inline uint64_t walk_job(const struct engine *engine, uint32_t task, uint64_t attempt)
{
    return (attempt - 1) * engine->plan->tasks_count + task + 1;
}
static inline uint32_t walk_job_task(const struct engine *engine, uint64_t job)
{
    return (uint32_t)((job - 1) % engine->plan->tasks_count);
}
static inline uint64_t walk_job_attempt(const struct engine *engine, uint64_t job)
{
    return (job - 1) / engine->plan->tasks_count + 1;
}
uint64_t walk_item(const struct engine *engine, uint32_t task); /* for heaps */
const struct stage *walk_stage_of(const struct engine *engine, uint32_t task, uint32_t *number, uint32_t *member);
/* NULL for an empty list. */
const char *const *walk_copy_words(struct arena *arena, const char *const *words);
void walk_ready(struct engine *engine, uint32_t task);
/* The task's attempt never began, or was lost: an engine before this one may have handed it over with what it waits
 * for, and it waits for that again when it is not there. */
void walk_ready_again(struct engine *engine, uint32_t task);
void walk_release_limit(struct engine *engine, uint32_t task);
void walk_succeeded(struct engine *engine, uint32_t task);
void walk_cached(struct engine *engine, uint32_t task); /* as good as succeeded */
/* A task that had succeeded before this engine: first all of them, then what each of them makes ready. */
void walk_done_before(struct engine *engine, uint32_t task);
void walk_open_dependents(struct engine *engine, uint32_t task);
void walk_failed(struct engine *engine, uint32_t task, enum verdict verdict);
/* A task that ends without a verdict of its own. */
void walk_settle(struct engine *engine, uint32_t task, enum task_state state, const char *reason); /* NULL: none */
void walk_settle_rest(struct engine *engine); /* everything that will not start any more */

/* submit.c */
void submit_ready(struct engine *engine);
void submit_observe(struct engine *engine);
void submit_changed(void *context, const struct descpipe_change *change);
void submit_blind(void *context, const char *message);
void submit_room_again(struct engine *engine, uint32_t backend);
void submit_prepare_image(struct engine *engine, uint32_t image);
bool submit_image_is_ready(struct engine *engine, uint32_t image);
/* Tasks whose attempts an engine before this one began: their scheduler gives them their place, nothing is announced.
 * At most SUBMIT_BATCH. */
#define SUBMIT_BATCH 256
void submit_resumed(struct engine *engine, uint32_t backend, const uint32_t *tasks, uint32_t count);
struct descpipe_job *submit_fill_job(struct engine *engine, struct arena *arena, uint32_t task);

/* attempt.c */
struct attempt_limits {
    uint64_t memory;       /* bytes, 0: none */
    int64_t time_limit_ms; /* 0: none */
};
/* What a task may use in its next attempt, raised by the retries that ran into it. */
struct attempt_limits attempt_limits(const struct engine *engine, uint32_t task, uint32_t stage);
bool attempt_start(void *context, uint64_t job, const struct descpipe_placement *placement,
                   void (*ended)(void *scheduler, uint64_t job), void *scheduler);
void attempt_stop(void *context, uint64_t job, uint64_t grace_ms);
void attempt_end_by_us(struct attempt *attempt, uint32_t flag, int64_t grace_ms);
void attempt_add_ending(struct attempt *attempt, const struct descpipe_ending *ending);
void attempt_not_started(struct attempt *attempt, uint32_t flags, const char *reason);
/* Its command cannot be executed: what a shell ends with then. */
void attempt_not_started_with(struct attempt *attempt, int exit_code, const char *reason);
/* Its stage has ended and all evidence is in. */
void attempt_ended(struct attempt *attempt);
void attempt_run(struct attempt *attempt); /* its files are in place */
/* It was never begun, and shall not be: skipped. */
void attempt_take_back(struct attempt *attempt, const char *reason);
/* A task that never got as far as an attempt: verdict from one ending. */
void attempt_judge_unstarted(struct engine *engine, uint32_t task, const struct descpipe_ending *ending);
/* It was never begun: its task is as ready as before. */
void attempt_undo(struct attempt *attempt);
/* It has ended, and its scheduler tries again: the next attempt, in the same place. */
void attempt_repeat(struct attempt *attempt);
void attempt_ended_soon(struct attempt *attempt); /* comes back from the loop */
void attempt_retry_later(struct engine *engine, uint32_t task, int64_t delay_ms);

/* attempt_logs.c */
bool attempt_open_logs(struct attempt *attempt, struct error *error);
/* Somebody else makes them, with the first word or before: their folder is there. */
bool attempt_expect_logs(struct attempt *attempt, struct error *error);
void attempt_drop_empty_logs(struct attempt *attempt);
void attempt_close_logs(struct attempt *attempt);
/* What it said at first, for launchers that fail like a stage; in its arena, or NULL. */
const char *attempt_error_tail(struct attempt *attempt, bool *whole);

/* An attempt of a task that has just got its next number, in a slot of its own. */
struct attempt *attempt_make(struct engine *engine, uint32_t task, void (*ended)(void *scheduler, uint64_t job),
                             void *scheduler);
void attempt_begin(struct attempt *attempt); /* its files, then attempt_run */

/* remote.c, remote_watch.c */
/* One submission of tasks whose attempts have been counted; it is sent when all of them are ready. */
void remote_submit(struct engine *engine, uint32_t backend, const uint32_t *tasks, uint32_t count);
void remote_launch(struct attempt *attempt);
void remote_cancel(struct attempt *attempt);                     /* together with others of this round of the loop */
void remote_room_again(struct engine *engine, uint32_t backend); /* a job of the backend has ended */
void remote_hurry(struct engine *engine);                        /* what waits to be sent is looked at now */
void remote_withdraw(struct engine *engine);                     /* what waits in schedulers elsewhere does not start */
/* False: it is not about an attempt elsewhere. */
bool remote_changed(struct engine *engine, uint32_t task, const struct descpipe_change *change);
/* Attempts of a run that is gone on with: adopted, if their scheduler has them; else they were never begun. */
void remote_resume(struct engine *engine, uint32_t backend);
uint32_t remote_in_progress(const struct engine *engine); /* attempts that a scheduler elsewhere has */
bool remote_is_releasing(const struct engine *engine);    /* one is told that its jobs are over; it ends soon */
bool remote_waits_for_usage(struct engine *engine); /* a scheduler may still say what the last jobs used; for a while */
void remote_end(struct engine *engine);             /* forgets the submissions; what runs goes on */

/* command.c */
const struct descpipe_stage *command_stage(struct attempt *attempt); /* what the runtime gets of it */
void command_time_limit(struct attempt *attempt);
void command_start(struct attempt *attempt);
void command_stop(struct attempt *attempt, int signal);
void command_remove_rest(struct attempt *attempt); /* what is killed may leave: its removal, then attempt_ended */
bool command_lives(const struct attempt *attempt); /* it, or others of its session */
/* What explains the end of a process that did not end well. */
void command_look_at_disk(struct attempt *attempt);

/* managed.c */
void managed_start(struct attempt *attempt);
void managed_stop(struct attempt *attempt, int64_t grace_ms);
void managed_adopt(struct attempt *attempt); /* of an engine before this one; found by its token */
void managed_forget(struct attempt *attempt, const char *native_id); /* all is known of it: released, then ended */
void managed_give_up(struct attempt *attempt);                       /* ends it soon, whatever its runtime does */
void managed_signal(struct attempt *attempt, int signal);

/* chain.c: attempts of a stage with a checkpoint. All but chain_of do nothing for others. */
const struct checkpoint *chain_of(const struct engine *engine, uint32_t stage); /* NULL: it has none */
void chain_warn_in(struct attempt *attempt, int64_t left_ms); /* so long before its limit it is here */
/* It has ended. Whom its warning made end otherwise than well was ended by its time limit. */
void chain_take_end(struct attempt *attempt);
bool chain_waits(struct attempt *attempt); /* True: attempt_ended comes again; its node's files may be seen late */
void chain_judge(struct attempt *attempt); /* whether its outcome is one to go on from, and the words for it */
bool chain_goes_on(struct engine *engine, uint32_t task, const struct outcome *outcome);
void chain_prepare(struct attempt *attempt); /* → attempt->restores */
bool chain_restore(const struct attempt *attempt, struct error *error); /* on a helper thread */

/* secrets.c: "NAME=value" for the names a launch left open, in the attempt's arena with `prefix` before each name. NULL
 * with an error when one cannot be had. */
const char *const *late_environment(struct attempt *attempt, const struct descpipe_stage *stage, const char *prefix,
                                    const char *const *environment, struct error *error);
/* For plugins whose options name one: the callback `secret`. */
const struct descpipe_secret *secret_for_plugin(void *context, const char *name, struct error *error);

/* scratch.c */
/* The attempt's own, if its stage asks for one. False: files_error and files_verdict say why. */
bool scratch_make(struct attempt *attempt);
bool scratch_remove(struct attempt *attempt); /* False: there is none. Else attempt_ended comes again without it. */
void scratch_sweep(struct engine *engine);    /* what runs that died left on this machine */

/* secret_command.c */
struct command_secret;
/* False: attempt_run comes again when what its stage's commands print is known. */
bool secret_commands_are_over(struct attempt *attempt);
void secret_command_forget(struct attempt *attempt); /* it waits no longer */
/* NULL with an error; engine->secret_wanted names it when nobody has asked the command yet. */
const char *secret_command_value(struct engine *engine, const char *name, struct error *error);
void secret_command_fetch_wanted(struct engine *engine); /* runs the loop */
void secret_commands_stop(struct engine *engine);

/* files.c */
/* Which files, and the attempt's output folder. False: attempt->files_error and files_verdict say why. */
bool files_prepare(struct attempt *attempt);
char *files_attempt_folder(const struct attempt *attempt, const char *name); /* of this or another attempt of its task */
void files_adopt(struct attempt *attempt);    /* the same of an attempt that is under way: makes nothing */
void files_bring_in(struct attempt *attempt); /* → attempt_run or attempt_not_started */
void files_publish(struct attempt *attempt);  /* → attempt_published */
void attempt_published(struct attempt *attempt);
/* The slot's folders are as good as new for the next attempt. */
void files_leave(struct attempt *attempt);
/* What selected stages take from stages that are not selected must lie in WORKING/data. */
bool files_check_selection(struct engine *engine, struct error *error);
struct task_files files_of(const struct engine *engine, struct arena *arena); /* to ask for a task's files with */

/* WORKING/STAGE[/MEMBER]/output, to lead to out->attempt. */
void files_link_output(const struct engine *engine, struct arena *arena, uint32_t task, struct staging_out *out);

/* cached.c */
bool cached_is_busy(const struct engine *engine); /* some task will be ready again when more is known */
enum cached_answer {
    CACHED_RUN = 0, /* nothing is known, or it does not hold */
    CACHED_DONE,    /* it is settled */
    CACHED_LATER    /* it will be ready again when more is known */
};
void cached_begin(struct engine *engine, int64_t began_ms); /* wall clock, before anything was read */
enum cached_answer cached_look(struct engine *engine, uint32_t task);
void cached_tell_handed_over(struct engine *engine, uint32_t task); /* it is not ready, and nobody will look at it */
void cached_slice(struct engine *engine);         /* looks of this round begin */
bool cached_slice_is_over(struct engine *engine); /* enough for one round; another one comes at once */
bool cached_digest_outputs(struct attempt *attempt, struct error *error); /* on a helper thread, before publishing */
void cached_keep(struct attempt *attempt);                                /* it has succeeded */
void cached_adopt(struct engine *engine,
                  uint32_t task); /* its attempt goes on, which an engine before this one began */
void cached_flush(struct engine *engine);
void cached_end(struct engine *engine); /* the run has succeeded: what it looked at, for the next one */
void cached_know(struct engine *engine, const struct cache_result *result); /* of somebody else */

/* shared.c: the folder of a group. */
#define SHARED_RESULTS "shared" /* below WORKING/.descpipe: what was taken from it, a folder for each key */
void shared_begin(struct engine *engine);
/* True: it is being looked for, and the task will be ready again when that is over; once for each task. */
bool shared_take(struct engine *engine, uint32_t task, const char *key);
void shared_give(struct engine *engine, const struct cache_result *result, const char *from); /* its outputs' folder */
bool shared_is_taking(const struct engine *engine);
bool shared_is_giving(const struct engine *engine); /* the end of the run waits for it */

/* For keep.c: a file that need not be there, and what it was; the last result of a task. */
void cached_is_gone(struct engine *engine, const char *path, const char *sha256);
bool cached_latest(struct engine *engine, uint32_t task, struct arena *arena, struct cache_result *result);

/* sources.c: which commits the pipeline is of; once, when a stage is about to run. */
void sources_begin(struct engine *engine);

/* apart.c: backends whose jobs see files that this machine does not. */
bool apart_jobs_bring(const struct engine *engine, uint32_t stage); /* its jobs look after their files themselves */
bool apart_is_stage(const struct engine *engine, uint32_t stage);
/* Appends where the results will be, in words. False: all of them will be here. */
bool apart_describe_results(const struct engine *engine, struct text *where);

/* results.c: the final results to OUTPUT, on a helper thread; `done` on the loop, with engine->error set when it
 * failed. */
void results_place(struct engine *engine, void (*done)(struct engine *engine));

/* The same for a script that does it when all is over: two lines each, from where and to where; and the tags of stages
 * with members, a line each. */
void results_append(struct engine *engine, struct text *pairs, struct text *folders);

/* detach.c */
void detach_start(struct engine *engine, bool pilot); /* instead of walk_start; pilot: into one allocation */
void detach_image_prepared(struct engine *engine);
void detach_look(struct engine *engine);                   /* what is ready may be known already */
void detach_taken(struct engine *engine, uint64_t serial); /* the scheduler has this submission */
/* Takes back what the scheduler has already, and ends the run; with the message when there is no error yet. */
void detach_fail(struct engine *engine, const char *message);
void detach_give_up(struct engine *engine);

/* whole.c */
void whole_begin(struct engine *engine);  /* before resume_walk; does nothing for other schedulers */
void whole_submit(struct engine *engine); /* instead of submit_ready */
void whole_taken(struct engine *engine);  /* the scheduler has it */
/* A scheduler has nothing of this attempt: it goes with the next submission, which is as the one before. */
void whole_undone(struct engine *engine, uint64_t serial);
bool whole_has(const struct engine *engine, uint32_t task); /* it may be with its scheduler, and has not begun */

/* pilot.c */
bool pilot_is_wanted(const struct engine *engine); /* the run is to move into an allocation, and is not there yet */
bool pilot_takes_all(const struct engine *engine, struct error *error);
void pilot_watch_time(struct engine *engine);              /* inside: leaves before the allocation ends */
bool pilot_has_time(struct engine *engine, uint32_t task); /* false: it cannot be over by then, now or later */
void pilot_leave_when_idle(struct engine *engine);         /* nothing runs, and what is left has no time */

/* record.c */
void record_run(struct engine *engine);
void record_image(struct engine *engine, uint32_t image);
/* ,"stage":...,"member":... */
void record_task(struct engine *engine, struct text *text, uint32_t task);
struct text *record_intent_begin(struct engine *engine, uint64_t serial, uint32_t first); /* position */
void record_intent_attempt(const struct attempt *attempt, struct text *text, bool first); /* that goes elsewhere */
void record_intent_job(struct engine *engine, struct text *text, uint32_t task, bool first);
void record_intent_end(struct engine *engine, struct text *text);
void record_queued(struct engine *engine, uint64_t job, const char *reason);
void record_submitted(struct engine *engine, uint64_t serial, uint64_t job, const char *native);
void record_keeper(struct engine *engine);
void record_adopted(struct attempt *attempt);
void record_started(struct attempt *attempt, const char *native, const char *host); /* NULL: none; this machine */
void record_ended(struct attempt *attempt);
void record_used(struct engine *engine, uint64_t job, const struct descpipe_ending *ending);
struct record_retry {
    int64_t at_ms; /* 0: none */
    const char *reason;
    uint64_t memory;
    int64_t time_limit_ms;
};
void record_verdict(struct engine *engine, uint32_t task, uint64_t attempt, const struct outcome *outcome,
                    const struct record_retry *retry);
void record_publish(struct attempt *attempt);
void record_published(struct attempt *attempt);
void record_cached(struct engine *engine, uint32_t task, const struct cache_result *result);
struct record_key {
    const struct identity *identity;
    const char *refused;         /* or NULL */
    const struct identity *like; /* only what differs from it is told; NULL: all */
    uint64_t like_sequence;      /* of its record */
};
uint64_t record_key(struct engine *engine, uint32_t task, const struct record_key *key); /* its sequence */
void record_text(struct engine *engine, const char *sha256, const char *text);
void record_state(struct engine *engine, uint32_t task, enum task_state state, const char *reason); /* NULL: none */
void record_request(struct engine *engine, const char *what, const char *by);
void record_detached(struct engine *engine, const char *scheduler, uint64_t serial, bool pilot);
void record_end(struct engine *engine, const char *state);

/* fetch.c: what selected stages take from URLs. `done` comes once, perhaps at once; engine->error says what failed. */
void fetch_begin(struct engine *engine, void (*done)(struct engine *engine));
void fetch_end(struct engine *engine); /* stops what is under way; `done` does not come any more */

/* stop.c */
void stop_cancel(struct engine *engine, const char *by);
void stop_leave(struct engine *engine, const char *by);
void stop_after_failure(struct engine *engine);
void stop_message(void *context, unsigned events);
void stop_signal(void *context, int signal, int sender_pid);
void stop_check_file(struct engine *engine);

/* resume.c */
/* The run's folder, its leases, what it had done, and the journal once more. */
bool resume_open(struct engine *engine);
bool resume_is_named(const struct engine *engine); /* its journal has a record `run` */
void resume_walk(struct engine *engine); /* before walk_start: what is done is done, what may go on is looked for */
/* Something that an engine before this one started beside stages still runs, and may tell its scheduler of jobs. */
bool resume_tools_live(const struct engine *engine);
void resume_attempt(struct attempt *attempt); /* instead of attempt_begin */
struct history_task;
const struct history_task *resume_past(const struct engine *engine, uint32_t task);
/* Where it stood; true when its end is known and on its way. */
bool resume_take_past(struct attempt *attempt);

/* adopt.c */
struct keeper_log;
/* False: nobody has it and nobody knows how it ended. */
bool adopt_process(struct attempt *attempt, struct keeper_log *log);
void adopt_signal(struct attempt *attempt, int signal);

/* reserve.c: room on the disk for the journal */
void reserve_take(struct engine *engine); /* if there is room; says when there is none, and when there is again */
bool reserve_give(struct engine *engine); /* to the journal; false: it was given already */
void reserve_end(struct engine *engine);

/* stray.c: processes that a stage left behind. `session` 0: of every session that no running stage has. */
size_t stray_end(struct engine *engine, pid_t session);

#endif
