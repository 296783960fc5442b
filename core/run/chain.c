/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attempts of a stage with a checkpoint: a chain, each link of which ends at its time limit and leaves files for the
 * next.
 *
 * How it works: a stage that runs here is warned by a timer of ours, elsewhere by its scheduler through its job's
 * script, and either way ends as it likes. An attempt that its limit ended, or that ended otherwise than well after the
 * warning, is judged TIMEOUT; if it left a file that is new, its verdict is journalled with a mark, and the next
 * attempt finds copies of its files in its own output folder. The mark is all that is remembered: it says from which
 * attempt any later one goes on, after a failure, a retry or in another engine. An attempt's files stay until the one
 * after the next begins, whose own source is safe on the disk by then; so there are two copies at most.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "run/files/checkpoint.h"
#include "run/journal/run_folder.h"
#include "run/walk.h"

#define LOOK_MS 500
#define REASON_LIMIT 500

const struct checkpoint *chain_of(const struct engine *engine, uint32_t stage)
{
    const struct stage_extras *extras = engine->pipeline->stages.items[stage].extras;
    return extras != NULL && extras->checkpoint.files.count > 0 ? &extras->checkpoint : NULL;
}

static const char **patterns_of(const struct engine *engine, const struct checkpoint *checkpoint)
{
    const char **patterns = memory_allocate((checkpoint->files.count + 1) * sizeof *patterns);
    for (uint32_t i = 0; i < checkpoint->files.count; i++)
        patterns[i] = pipeline_text(engine->pipeline, engine->pipeline->symbols_array.items[checkpoint->files.at + i]);
    patterns[checkpoint->files.count] = NULL;
    return patterns;
}

static char *folder_of(const struct attempt *attempt, uint32_t number)
{
    cleanup(text_clear) struct text name = TEXT_INIT;
    run_attempt_name(&name, attempt->stage_name, attempt->member_name, number);
    return files_attempt_folder(attempt, text_bytes(&name));
}

static void warn(void *context)
{
    struct attempt *attempt = context;
    attempt->warning = NULL;
    if (attempt->stopped != 0)
        return;
    int signal = chain_of(attempt->engine, attempt->stage)->signal;
    attempt->warned = true;
    if (command_lives(attempt))
        command_stop(attempt, signal);
    else if (attempt->container.token != NULL)
        managed_signal(attempt, signal);
}

void chain_warn_in(struct attempt *attempt, int64_t left_ms)
{
    const struct checkpoint *checkpoint = chain_of(attempt->engine, attempt->stage);
    if (checkpoint == NULL)
        return;
    left_ms -= checkpoint->before_ms;
    attempt->warning = loop_timer(attempt->engine->loop, left_ms > 0 ? left_ms : 0, warn, attempt);
}

/* The engine that did it may be gone. */
static bool was_warned(const struct attempt *attempt, const struct checkpoint *checkpoint)
{
    int64_t finished = attempt->finished_ms != 0 ? attempt->finished_ms : clock_wall_ms();
    return attempt->warned || (attempt->resumed && attempt->remote == NULL && attempt->time_limit_ms > 0 &&
                               finished - attempt->started_ms >= attempt->time_limit_ms - checkpoint->before_ms);
}

/* Something else ended it, or it ended well. */
static bool has_another_cause(const struct attempt *attempt)
{
    const uint32_t causes = DESCPIPE_ENDED_OUT_OF_MEMORY | DESCPIPE_ENDED_TIMED_OUT | DESCPIPE_ENDED_CANCELLED |
                            DESCPIPE_ENDED_NODE_FAILED | DESCPIPE_ENDED_PREEMPTED | DESCPIPE_ENDED_DISK |
                            DESCPIPE_ENDED_NOT_STARTED;
    const struct descpipe_ending *first = &attempt->endings[0];
    bool ended = (first->flags & (DESCPIPE_ENDED_EXITED | DESCPIPE_ENDED_SIGNALLED)) != 0;
    bool well = (first->flags & DESCPIPE_ENDED_EXITED) != 0 && first->exit_code == 0;
    for (size_t i = 0; i < attempt->endings_count; i++)
        if ((attempt->endings[i].flags & causes) != 0)
            return true;
    return attempt->endings_count == 0 || !ended || well;
}

void chain_take_end(struct attempt *attempt)
{
    const struct checkpoint *checkpoint = chain_of(attempt->engine, attempt->stage);
    if (checkpoint == NULL || has_another_cause(attempt) || !was_warned(attempt, checkpoint))
        return;
    const struct descpipe_ending *end = &attempt->endings[0];
    cleanup(text_clear) struct text reason = TEXT_INIT;
    text_format(&reason, "told by %s that its time is nearly up, it ended with ", sigabbrev_np(checkpoint->signal));
    if ((end->flags & DESCPIPE_ENDED_SIGNALLED) != 0)
        outcome_append_signal(&reason, end->signal);
    else
        text_format(&reason, "exit status %d", end->exit_code);
    const struct descpipe_ending ending = {
        .size = sizeof ending, .flags = DESCPIPE_ENDED_TIMED_OUT, .witness = "descpipe", .reason = text_bytes(&reason)};
    attempt_add_ending(attempt, &ending);
}

static const struct descpipe_ending *timed_out(const struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->endings_count; i++)
        if ((attempt->endings[i].flags & DESCPIPE_ENDED_TIMED_OUT) != 0)
            return &attempt->endings[i];
    return NULL;
}

static bool left_a_new_one(const struct attempt *attempt)
{
    const struct engine *engine = attempt->engine;
    const struct checkpoint *checkpoint = chain_of(engine, attempt->stage);
    uint16_t last = engine->tasks[attempt->task].checkpoint;
    cleanup(memory_free) char *before = last != 0 ? folder_of(attempt, last) : NULL;
    cleanup(memory_free) const char **patterns = patterns_of(engine, checkpoint);
    return attempt->attempt_folder != NULL && checkpoint_is_new(attempt->attempt_folder, before, patterns);
}

static void look_again(void *context)
{
    struct attempt *attempt = context;
    attempt->again = NULL;
    attempt_ended(attempt);
}

bool chain_waits(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    if (chain_of(engine, attempt->stage) == NULL || !attempt->remote || timed_out(attempt) == NULL ||
        attempt->stopped != 0 || engine->stop == STOP_CANCEL || left_a_new_one(attempt))
        return false;
    int64_t now = clock_monotonic_ms();
    if (attempt->late_until_ms == 0)
        attempt->late_until_ms = now + engine->pipeline->late_outputs_ms;
    if (now >= attempt->late_until_ms)
        return false;
    attempt->again = loop_timer(engine->loop, LOOK_MS, look_again, attempt);
    return true;
}

void chain_judge(struct attempt *attempt)
{
    struct engine *engine = attempt->engine;
    struct outcome *outcome = &attempt->outcome;
    const struct checkpoint *checkpoint = chain_of(engine, attempt->stage);
    if (checkpoint == NULL || outcome->verdict != VERDICT_TIMEOUT)
        return;
    const struct descpipe_ending *end = timed_out(attempt);
    if (end != NULL && end->reason != NULL && text_equal(end->witness, "descpipe")) {
        text_reset(&outcome->reason);
        text_append_printable(&outcome->reason, end->reason, REASON_LIMIT);
    }
    outcome->checkpoint = left_a_new_one(attempt);
    unsigned link = engine->tasks[attempt->task].links + 1u;
    if (!outcome->checkpoint) {
        text_append(&outcome->reason, ", and left no new checkpoint");
        cleanup(memory_free) const char **patterns = patterns_of(engine, checkpoint);
        for (size_t i = 0; patterns[i] != NULL; i++) {
            text_append(&outcome->reason, i == 0 ? " ('" : "', '");
            text_append_printable(&outcome->reason, patterns[i], 200);
        }
        text_append(&outcome->reason, "')");
    } else if (link < checkpoint->links) {
        text_format(&outcome->reason, "; goes on from its checkpoint (link %u of %u)", link, checkpoint->links);
    } else {
        text_format(&outcome->reason,
                    "; it left a checkpoint, but was the last of its %u link%s: 'descpipe resume' "
                    "goes on from it",
                    checkpoint->links, checkpoint->links == 1 ? "" : "s");
    }
}

bool chain_goes_on(struct engine *engine, uint32_t task, const struct outcome *outcome)
{
    struct task *state = &engine->tasks[task];
    if (!outcome->checkpoint)
        return false;
    const struct checkpoint *checkpoint = chain_of(engine, plan_task_stage(engine->plan, task));
    state->checkpoint = state->attempts;
    if (state->links < UINT8_MAX)
        state->links++;
    return state->links < checkpoint->links && state->attempts < ATTEMPTS_LIMIT && engine->stop == STOP_NOT &&
           engine->detach == NULL;
}

void chain_prepare(struct attempt *attempt)
{
    uint16_t last = attempt->engine->tasks[attempt->task].checkpoint;
    if (last == 0 || chain_of(attempt->engine, attempt->stage) == NULL)
        return;
    cleanup(memory_free) char *folder = folder_of(attempt, last);
    attempt->restores = arena_copy_text(attempt->arena, folder);
}

bool chain_restore(const struct attempt *attempt, struct error *error)
{
    if (attempt->restores == NULL)
        return true;
    const struct engine *engine = attempt->engine;
    cleanup(memory_free) const char **patterns = patterns_of(engine, chain_of(engine, attempt->stage));
    if (!checkpoint_copy(attempt->restores, attempt->attempt_folder, patterns, error))
        return false;
    for (uint32_t number = 1; number < attempt->number; number++) {
        cleanup(memory_free) char *folder = folder_of(attempt, number);
        if (!text_equal(folder, attempt->restores))
            checkpoint_remove(folder, patterns);
    }
    return true;
}
