/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls: one end each, deadlines, cancel, and what happens to a plugin that breaks the rules. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "call_fixture.h"

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

START_TEST(a_silenced_host_tells_nobody_of_calls_that_are_cut_off)
{
    struct outcome never, cancellable;
    struct descpipe_image one = image_of("never"), two = image_of("cancellable");
    runtime_identify(instance, &one, options_for(&never));
    runtime_identify(instance, &two, options_for(&cancellable));
    plugin_host_silence(workshop.host);
    plugin_close(instance);
    instance = NULL;
    ck_assert_uint_eq(never.times, 0);
    ck_assert_uint_eq(cancellable.times, 0);
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

START_TEST(a_hundred_thousand_launches_each_end_once)
{
    enum { TIMES = 100000 };
    struct outcome outcome;
    struct call_options options = options_for(&outcome);
    stage.name = "stage";
    for (int i = 0; i < TIMES; i++)
        runtime_launch(instance, &stage, options);
    ck_assert_uint_eq(outcome.times, TIMES);
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

static void add_tests(TCase *cases)
{
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
    tcase_add_test(cases, a_silenced_host_tells_nobody_of_calls_that_are_cut_off);
    tcase_add_test(cases, a_plugin_may_be_closed_from_the_end_of_its_call);
    tcase_add_test(cases, many_calls_are_open_at_a_time_and_each_ends_once);
    tcase_add_test(cases, an_operation_that_the_plugin_lacks_is_unsupported);
    tcase_add_test(cases, probe_answers_facts);
    tcase_add_test(cases, a_form_is_copied_in_depth);
    tcase_add_loop_test(cases, a_form_that_cannot_be_started_is_a_fault, 0, 2);
    tcase_add_test(cases, a_hundred_thousand_launches_each_end_once);
    tcase_add_test(cases, find_answers_each_submission);
    tcase_add_loop_test(cases, call_error_says_plugin_operation_and_message, 0, 5);
}

int main(void)
{
    return run_cases("call", add_tests);
}
