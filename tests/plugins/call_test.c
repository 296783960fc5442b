/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls: one end each, deadlines, cancel, and what happens to a plugin that breaks the rules. */
#include "workshop.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static struct workshop workshop;
static struct plugin_instance *instance;

struct outcome {
    bool done;
    unsigned times;
    bool ok, plugin_fault;
    uint32_t failure;
    char message[200], hint[200], handle[100];
    unsigned progress_times;
    uint64_t progress_done, progress_total;
    char progress_text[50];
    struct plugin_call *cancel; /* cancel this one from `progress` */
};

static void keep(char *into, size_t size, const char *text)
{
    snprintf(into, size, "%s", text ? text : "(null)");
}

static void done(void *context, const struct call_result *result)
{
    struct outcome *outcome = context;
    outcome->done = true;
    outcome->times++;
    outcome->ok = result->ok;
    outcome->plugin_fault = result->plugin_fault;
    outcome->failure = result->failure;
    keep(outcome->message, sizeof(outcome->message), result->message);
    keep(outcome->hint, sizeof(outcome->hint), result->hint);
    keep(outcome->handle, sizeof(outcome->handle), result->identity ? result->identity->handle : NULL);
}

static void progress(void *context, uint64_t now, uint64_t total, const char *text)
{
    struct outcome *outcome = context;
    outcome->progress_times++;
    outcome->progress_done = now;
    outcome->progress_total = total;
    keep(outcome->progress_text, sizeof(outcome->progress_text), text);
}

static struct call_options options_for(struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    return (struct call_options){.done = done, .progress = progress, .context = outcome};
}

static struct descpipe_image image_of(const char *reference)
{
    return (struct descpipe_image){
        .size = sizeof(struct descpipe_image), .source = DESCPIPE_SOURCE_REGISTRY, .reference = reference};
}

static void set_up(void)
{
    workshop_open(&workshop);
    workshop_install(&workshop, "runtime-unruly");
    workshop_install(&workshop, "scheduler-unruly");
    workshop_start(&workshop);
    instance = workshop_instance(&workshop, "runtime", "unruly");
}

static void tear_down(void)
{
    plugin_close(instance);
    workshop_close(&workshop);
}

static void identify(const char *how, struct outcome *outcome)
{
    struct descpipe_image image = image_of(how);
    runtime_identify(instance, &image, options_for(outcome));
    workshop_run_until(&workshop, &outcome->done);
    ck_assert_uint_eq(outcome->times, 1);
}

START_TEST(a_call_finished_inside_ends_before_the_function_returns)
{
    struct outcome outcome;
    struct descpipe_image image = image_of("now");
    ck_assert_ptr_null(runtime_identify(instance, &image, options_for(&outcome)));
    ck_assert(outcome.done);
    ck_assert(outcome.ok);
    ck_assert_str_eq(outcome.handle, "at once");
}
END_TEST

START_TEST(a_call_finished_later_ends_from_the_loop)
{
    struct outcome outcome;
    struct descpipe_image image = image_of("later");
    ck_assert_ptr_nonnull(runtime_identify(instance, &image, options_for(&outcome)));
    ck_assert(!outcome.done);
    workshop_run_until(&workshop, &outcome.done);
    ck_assert(outcome.ok);
}
END_TEST

START_TEST(a_failure_keeps_kind_message_and_hint_in_one_line)
{
    struct outcome outcome;
    identify("fails", &outcome);
    ck_assert(!outcome.ok);
    ck_assert(!outcome.plugin_fault);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_str_eq(outcome.message, "no such\\x0Aimage");
    ck_assert_str_eq(outcome.hint, "pull it");
}
END_TEST

static const struct {
    const char *how, *message;
} faults[] = {
    {"wrong-answer", "answered 'form', which is not an answer to it"},
    {"no-answer", "succeeded without its answer 'identity'"},
    {"two-answers", "answered 'identity' twice"},
    {"small-answer", "answered a struct descpipe_image_identity that is too small"},
    {"no-message", "failed without a message"},
};

START_TEST(a_broken_rule_fails_the_call_as_the_plugins_fault)
{
    struct outcome outcome;
    identify(faults[_i].how, &outcome);
    ck_assert(!outcome.ok);
    ck_assert(outcome.plugin_fault);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_UNKNOWN);
    ck_assert_str_eq(outcome.message, faults[_i].message);
    ck_assert_str_eq(outcome.hint, "this is a fault of the plugin: report it to its author");
    cleanup(memory_free) char *expected = memory_format("runtime/unruly: identify: %s\n", faults[_i].message);
    ck_assert_str_eq(text_bytes(&workshop.faults), expected);
}
END_TEST

START_TEST(a_second_end_is_dropped_and_said_once)
{
    struct outcome outcome;
    identify(_i ? "fails-after-success" : "twice", &outcome);
    ck_assert(outcome.ok);
    ck_assert_str_eq(text_bytes(&workshop.faults),
                     _i ? "runtime/unruly: identify: said 'fail' after the call's end; dropped\n"
                        : "runtime/unruly: identify: said 'succeed' after the call's end; dropped\n");
}
END_TEST

START_TEST(answers_after_the_end_are_dropped_and_said_once)
{
    struct outcome outcome, other;
    identify("answers-after-end", &outcome);
    ck_assert(outcome.ok);
    identify("later", &other);
    ck_assert(other.ok);
    ck_assert_uint_eq(outcome.times, 1);
    ck_assert_str_eq(text_bytes(&workshop.faults),
                     "runtime/unruly: identify: said 'succeed' after the call's end; dropped\n");
}
END_TEST

START_TEST(an_unknown_failure_is_taken_as_unknown)
{
    struct outcome outcome;
    identify("new-failure", &outcome);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_UNKNOWN);
    ck_assert_str_eq(outcome.message, "a failure of the future");
    ck_assert(!outcome.plugin_fault);
}
END_TEST

START_TEST(cancel_is_heard_by_the_plugin)
{
    struct outcome outcome;
    struct descpipe_image image = image_of("cancellable");
    struct plugin_call *call = runtime_identify(instance, &image, options_for(&outcome));
    call_cancel(call);
    call_cancel(call);
    ck_assert(!outcome.done);
    workshop_run_until(&workshop, &outcome.done);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_CANCELLED);
    ck_assert_str_eq(outcome.message, "stopped as told");
}
END_TEST

START_TEST(a_plugin_may_succeed_after_cancel)
{
    struct outcome outcome;
    struct descpipe_image image = image_of("too-late-to-cancel");
    call_cancel(runtime_identify(instance, &image, options_for(&outcome)));
    workshop_run_until(&workshop, &outcome.done);
    ck_assert(outcome.ok);
}
END_TEST

START_TEST(a_deadline_cancels_and_says_how_long_it_waited)
{
    struct outcome outcome;
    struct descpipe_image image = image_of("cancellable");
    struct call_options options = options_for(&outcome);
    options.deadline_ms = 30;
    runtime_identify(instance, &image, options);
    workshop_run_until(&workshop, &outcome.done);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_UNKNOWN);
    ck_assert_str_eq(outcome.message, "no answer within 30 ms");
    ck_assert(!outcome.plugin_fault);
}
END_TEST

START_TEST(a_plugin_that_never_finishes_is_ended_after_the_grace)
{
    struct outcome outcome;
    struct descpipe_image image = image_of("never");
    struct call_options options = options_for(&outcome);
    options.deadline_ms = 1;
    int64_t begin = clock_monotonic_ms();
    runtime_identify(instance, &image, options);
    workshop_run_until(&workshop, &outcome.done);
    ck_assert_int_ge(clock_monotonic_ms() - begin, CALL_GRACE_MS);
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_UNKNOWN);
    ck_assert_str_eq(outcome.message, "the plugin was told to stop and did not answer");
    ck_assert_str_eq(text_bytes(&workshop.faults),
                     "runtime/unruly: identify: did not finish within 5000 ms after it was told to cancel\n");
}
END_TEST

START_TEST(progress_comes_from_the_loop_and_only_the_latest)
{
    struct outcome outcome;
    identify("progress", &outcome);
    ck_assert(outcome.ok);
    ck_assert_uint_eq(outcome.progress_times, 1);
    ck_assert_uint_eq(outcome.progress_done, 2);
    ck_assert_uint_eq(outcome.progress_total, 3);
    ck_assert_str_eq(outcome.progress_text, "two");
}
END_TEST

START_TEST(progress_of_a_call_that_ends_at_once_comes_before_its_end)
{
    struct outcome outcome;
    identify("progress-now", &outcome);
    ck_assert(outcome.ok);
    ck_assert_uint_eq(outcome.progress_times, 1);
    ck_assert_str_eq(outcome.progress_text, "(null)");
}
END_TEST

START_TEST(closing_ends_open_calls_first)
{
    struct outcome never, cancellable;
    struct descpipe_image one = image_of("never"), two = image_of("cancellable");
    runtime_identify(instance, &one, options_for(&never));
    runtime_identify(instance, &two, options_for(&cancellable));
    plugin_close(instance);
    instance = NULL;
    ck_assert_uint_eq(never.times, 1);
    ck_assert_str_eq(never.message, "the plugin was closed before it answered");
    ck_assert_uint_eq(cancellable.times, 1);
    ck_assert_str_eq(cancellable.message, "stopped as told");
}
END_TEST

static void close_inside(void *context, const struct call_result *result)
{
    done(context, result);
    plugin_close(instance);
    instance = NULL;
}

START_TEST(a_plugin_may_be_closed_from_the_end_of_its_call)
{
    struct outcome outcome, other;
    struct descpipe_image image = image_of("later"), never = image_of("never");
    struct call_options options = options_for(&outcome);
    options.done = close_inside;
    runtime_identify(instance, &image, options);
    runtime_identify(instance, &never, options_for(&other));
    workshop_run_until(&workshop, &outcome.done);
    ck_assert_uint_eq(outcome.times, 1);
    ck_assert_uint_eq(other.times, 1);
}
END_TEST

START_TEST(many_calls_are_open_at_a_time_and_each_ends_once)
{
    enum { MANY = 2000 };
    struct outcome *outcomes = memory_allocate(MANY * sizeof(*outcomes));
    struct descpipe_image image = image_of("later");
    for (size_t i = 0; i < MANY; i++)
        runtime_identify(instance, &image, options_for(&outcomes[i]));
    for (size_t i = 0; i < MANY; i++)
        workshop_run_until(&workshop, &outcomes[i].done);
    for (size_t i = 0; i < MANY; i++) {
        ck_assert_uint_eq(outcomes[i].times, 1);
        ck_assert(outcomes[i].ok);
    }
    memory_free(outcomes);
}
END_TEST

START_TEST(an_operation_that_the_plugin_lacks_is_unsupported)
{
    struct outcome outcome;
    struct descpipe_container container = {.size = sizeof(container), .token = "x"};
    ck_assert_ptr_null(runtime_inspect(instance, &container, options_for(&outcome)));
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_UNSUPPORTED);
    ck_assert_str_eq(outcome.message, "this plugin cannot do that");
    ck_assert_ptr_null(scheduler_find(instance, "run", options_for(&outcome)));
    ck_assert_uint_eq(outcome.failure, DESCPIPE_FAILED_UNSUPPORTED);
}
END_TEST

static void check_facts(void *context, const struct call_result *result)
{
    ck_assert(result->ok);
    ck_assert_uint_eq(result->facts_count, 2);
    ck_assert_str_eq(result->facts[1].name, "two");
    ck_assert_str_eq(result->facts[1].value, "2");
    done(context, result);
}

START_TEST(probe_answers_facts)
{
    struct outcome outcome;
    struct call_options options = options_for(&outcome);
    options.done = check_facts;
    runtime_probe(instance, options);
    ck_assert(outcome.done);
}
END_TEST

static const char *const command[] = {"run", "it", NULL};
static const char *const environment[] = {"A=1", "B=2", NULL};
static struct descpipe_mount mount = {.size = sizeof(mount), .source = "/from", .target = "/to"};
static const struct descpipe_mount *const mounts[] = {&mount, NULL};

static void check_form(void *context, const struct call_result *result)
{
    ck_assert(result->ok);
    ck_assert_ptr_ne(result->form->argv, command);
    ck_assert_str_eq(result->form->argv[1], "it");
    ck_assert_ptr_null(result->form->argv[2]);
    ck_assert_str_eq(result->form->environment[1], "B=2");
    ck_assert_ptr_ne(result->form->mounts[0], &mount);
    ck_assert_str_eq(result->form->mounts[0]->target, "/to");
    ck_assert_ptr_null(result->form->mounts[1]);
    ck_assert_str_eq(result->form->late_prefix, "LATE_");
    ck_assert_ptr_null(result->form->setup);
    done(context, result);
}

static struct descpipe_stage stage = {
    .size = sizeof(stage), .name = "stage", .command = command, .environment = environment, .mounts = mounts};

START_TEST(a_form_is_copied_in_depth)
{
    struct outcome outcome;
    struct call_options options = options_for(&outcome);
    options.done = check_form;
    stage.name = "stage";
    ck_assert_ptr_null(runtime_launch(instance, &stage, options));
    ck_assert(outcome.done);
}
END_TEST

START_TEST(a_form_that_cannot_be_started_is_a_fault)
{
    struct outcome outcome;
    stage.name = _i ? "managed-form" : "no-argv";
    runtime_launch(instance, &stage, options_for(&outcome));
    ck_assert(outcome.plugin_fault);
    ck_assert_str_eq(outcome.message, _i ? "answered a form that is neither COMMAND nor POD (2)"
                                         : "answered a COMMAND form without argv");
}
END_TEST

/* The goal is 3 microseconds plus the copy; the limit here is far away, because machines are busy: it catches a timer
 * or a system call in the path, not a slow day. The number is printed. */
START_TEST(a_launch_costs_microseconds)
{
    enum { TIMES = 100000 };
    struct outcome outcome;
    struct call_options options = options_for(&outcome);
    stage.name = "stage";
    int64_t begin = clock_monotonic_us();
    for (int i = 0; i < TIMES; i++)
        runtime_launch(instance, &stage, options);
    int64_t took = clock_monotonic_us() - begin;
    printf("launch round trip: %.2f us\n", (double)took / TIMES);
    ck_assert_uint_eq(outcome.times, TIMES);
    ck_assert_int_lt(took, (int64_t)TIMES * 50);
}
END_TEST

/* The scheduler's side. */

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

static void check_found(void *context, const struct call_result *result)
{
    ck_assert_uint_eq(result->found_count, 2);
    ck_assert_str_eq(result->found[0]->token, "run-1");
    ck_assert_uint_eq(result->found[0]->running, 1);
    ck_assert_int_eq(result->found[1]->index, 2);
    ck_assert_uint_eq(result->found[1]->running, 0);
    done(context, result);
}

START_TEST(find_answers_each_submission)
{
    struct plugin_instance *scheduler = workshop_instance(&workshop, "scheduler", "unruly");
    struct outcome outcome;
    struct call_options options = options_for(&outcome);
    options.done = check_found;
    scheduler_find(scheduler, "run-1", options);
    ck_assert(outcome.done);
    plugin_close(scheduler);
}
END_TEST

START_TEST(call_error_says_plugin_operation_and_message)
{
    static const struct {
        uint32_t failure;
        bool fault;
        enum error_kind kind;
    } cases[] = {{DESCPIPE_FAILED_REFUSED, false, ERROR_PLUGIN},
                 {DESCPIPE_FAILED_CANNOT_ASK, false, ERROR_NETWORK},
                 {DESCPIPE_FAILED_NEEDS_LOGIN, false, ERROR_NETWORK},
                 {DESCPIPE_FAILED_CANCELLED, false, ERROR_INTERRUPTED},
                 {DESCPIPE_FAILED_CANNOT_ASK, true, ERROR_PLUGIN}};
    struct call_result result = {
        .failure = cases[_i].failure, .plugin_fault = cases[_i].fault, .message = "no", .hint = "do this"};
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert(!call_error(instance, "prepare", &result, &error));
    ck_assert_int_eq(error.kind, cases[_i].kind);
    ck_assert_str_eq(error.message, "runtime/unruly: prepare: no");
    ck_assert_str_eq(error.hint, "do this");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("call");
    TCase *cases = tcase_create("call");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_call_finished_inside_ends_before_the_function_returns);
    tcase_add_test(cases, a_call_finished_later_ends_from_the_loop);
    tcase_add_test(cases, a_failure_keeps_kind_message_and_hint_in_one_line);
    tcase_add_loop_test(cases, a_broken_rule_fails_the_call_as_the_plugins_fault, 0,
                        sizeof(faults) / sizeof(faults[0]));
    tcase_add_loop_test(cases, a_second_end_is_dropped_and_said_once, 0, 2);
    tcase_add_test(cases, answers_after_the_end_are_dropped_and_said_once);
    tcase_add_test(cases, an_unknown_failure_is_taken_as_unknown);
    tcase_add_test(cases, cancel_is_heard_by_the_plugin);
    tcase_add_test(cases, a_plugin_may_succeed_after_cancel);
    tcase_add_test(cases, a_deadline_cancels_and_says_how_long_it_waited);
    tcase_add_test(cases, a_plugin_that_never_finishes_is_ended_after_the_grace);
    tcase_add_test(cases, progress_comes_from_the_loop_and_only_the_latest);
    tcase_add_test(cases, progress_of_a_call_that_ends_at_once_comes_before_its_end);
    tcase_add_test(cases, closing_ends_open_calls_first);
    tcase_add_test(cases, a_plugin_may_be_closed_from_the_end_of_its_call);
    tcase_add_test(cases, many_calls_are_open_at_a_time_and_each_ends_once);
    tcase_add_test(cases, an_operation_that_the_plugin_lacks_is_unsupported);
    tcase_add_test(cases, probe_answers_facts);
    tcase_add_test(cases, a_form_is_copied_in_depth);
    tcase_add_loop_test(cases, a_form_that_cannot_be_started_is_a_fault, 0, 2);
    tcase_add_test(cases, a_launch_costs_microseconds);
    tcase_add_test(cases, a_scheduler_starts_observes_and_stops);
    tcase_add_test(cases, a_stage_that_ends_after_its_scheduler_was_closed_tells_nobody);
    tcase_add_test(cases, find_answers_each_submission);
    tcase_add_loop_test(cases, call_error_says_plugin_operation_and_message, 0, 5);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
