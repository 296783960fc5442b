/* SPDX-License-Identifier: BSD-3-Clause */
/* A scheduler's calls: submit, observe, cancel, and the stages that the host starts for it. */
#include <inttypes.h>

#include "call_fixture.h"

static uint64_t started[4], stopped[4];
static size_t started_count, stopped_count;
static void (*stage_ended)(void *, uint64_t);
static void *stage_context;
static struct text seen;

static bool start_stage(void *context, uint64_t job, const struct descpipe_placement *placement,
                        void (*ended)(void *, uint64_t), void *scheduler)
{
    (void)context;
    ck_assert_str_eq(placement->gpus[1], "3");
    if (job == 13)
        return false;
    started[started_count++] = job;
    stage_ended = ended;
    stage_context = scheduler;
    return true;
}

static void stop_stage(void *context, uint64_t job, uint64_t grace_ms)
{
    (void)context;
    ck_assert_uint_eq(grace_ms, 1500);
    stopped[stopped_count++] = job;
}

static void changed(void *context, const struct descpipe_change *change)
{
    (void)context;
    text_format(&seen, "job %" PRIu64 " state %u id %s exit %d;", change->job, change->state,
                change->native_id ? change->native_id : "-", change->ending ? change->ending->exit_code : -1);
}

static void blind(void *context, const char *message)
{
    (void)context;
    text_format(&seen, "blind %s;", message ? message : "no more");
}

START_TEST(a_scheduler_starts_observes_and_stops)
{
    struct plugin_callbacks callbacks = {
        .stage_start = start_stage, .stage_stop = stop_stage, .changed = changed, .blind = blind};
    plugin_host_set_callbacks(workshop.host, &callbacks);
    struct plugin_instance *scheduler = workshop_instance(&workshop, "scheduler", "unruly");
    ck_assert_uint_eq(plugin_scheduler_room(scheduler), 5);
    ck_assert_uint_eq(plugin_scheduler_room(instance), UINT64_MAX);
    struct outcome observing, submitting;
    struct call_options forever = options_for(&observing);
    forever.deadline_ms = INT64_MAX;
    struct plugin_call *observe = scheduler_observe(scheduler, forever);
    struct descpipe_job job = {.size = sizeof(job), .job = 7, .stage = "a"};
    const struct descpipe_job *jobs[] = {&job};
    struct descpipe_submission submission = {.size = sizeof(submission), .count = 1, .token = "r-1", .jobs = jobs};
    ck_assert_ptr_null(scheduler_submit(scheduler, &submission, options_for(&submitting)));
    ck_assert(submitting.ok);
    ck_assert_uint_eq(started[0], 7);
    stage_ended(stage_context, 7);
    ck_assert_str_eq(text_bytes(&seen), ""); /* nothing on the plugin's stack */
    uint64_t cancelled[] = {7};
    struct outcome cancelling;
    scheduler_cancel(scheduler, cancelled, 1, options_for(&cancelling));
    ck_assert(cancelling.ok);
    ck_assert_uint_eq(stopped[0], 7);
    call_cancel(observe);
    workshop_run_until(&workshop, &observing.done);
    ck_assert(observing.ok);
    ck_assert_str_eq(text_bytes(&seen), "blind the queue does not answer;job 7 state 3 id n1 exit 3;blind no more;");
    ck_assert_str_eq(text_bytes(&workshop.faults),
                     "scheduler/unruly: observe: a change is too small or has no state; dropped\n"
                     "scheduler/unruly: observe: said 'changed' after the call's end; dropped\n");
    job.job = 13;
    scheduler_submit(scheduler, &submission, options_for(&submitting));
    ck_assert_uint_eq(submitting.failure, DESCPIPE_FAILED_REFUSED);
    plugin_close(scheduler);
    text_clear(&seen);
}
END_TEST

START_TEST(a_stage_that_ends_after_its_scheduler_was_closed_tells_nobody)
{
    struct plugin_callbacks callbacks = {.stage_start = start_stage, .changed = changed};
    plugin_host_set_callbacks(workshop.host, &callbacks);
    struct plugin_instance *scheduler = workshop_instance(&workshop, "scheduler", "unruly");
    struct descpipe_job job = {.size = sizeof(job), .job = 7, .stage = "a"};
    const struct descpipe_job *jobs[] = {&job};
    struct descpipe_submission submission = {.size = sizeof(submission), .count = 1, .token = "r-1", .jobs = jobs};
    struct outcome observing, submitting;
    scheduler_observe(scheduler, options_for(&observing));
    scheduler_submit(scheduler, &submission, options_for(&submitting));
    ck_assert(submitting.ok);
    void *first_context = stage_context;
    plugin_close(scheduler); /* it does not wait for the stage */
    ck_assert(observing.done);
    text_clear(&workshop.faults);
    stage_ended(first_context, 7);

    /* The place of the first is used again; its number is not. */
    scheduler = workshop_instance(&workshop, "scheduler", "unruly");
    struct call_options forever = options_for(&observing);
    forever.deadline_ms = INT64_MAX;
    struct plugin_call *observe = scheduler_observe(scheduler, forever);
    scheduler_submit(scheduler, &submission, options_for(&submitting));
    ck_assert(submitting.ok);
    ck_assert_ptr_ne(stage_context, first_context);
    stage_ended(first_context, 7);
    ck_assert_str_eq(text_bytes(&workshop.faults), "");
    stage_ended(stage_context, 7);
    ck_assert_str_ne(text_bytes(&workshop.faults), ""); /* the plugin heard it, and was unruly about it */
    stage_ended(stage_context, 7);
    call_cancel(observe);
    workshop_run_until(&workshop, &observing.done);
    const char *told = strstr(text_bytes(&seen), "job 7");
    ck_assert_ptr_nonnull(told);
    ck_assert_ptr_null(strstr(told + 1, "job 7"));
    plugin_close(scheduler);
    text_clear(&seen);
}
END_TEST

static void add_tests(TCase *cases)
{
    tcase_add_test(cases, a_scheduler_starts_observes_and_stops);
    tcase_add_test(cases, a_stage_that_ends_after_its_scheduler_was_closed_tells_nobody);
}

int main(void)
{
    return run_cases("call_scheduler", add_tests);
}
