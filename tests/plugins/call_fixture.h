/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of calls share: the unruly plugins, and all that came of one call. */
#ifndef DESCPIPE_TESTS_CALL_FIXTURE_H
#define DESCPIPE_TESTS_CALL_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workshop.h"

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

static inline void keep(char *into, size_t size, const char *text)
{
    snprintf(into, size, "%s", text ? text : "(null)");
}

static inline void done(void *context, const struct call_result *result)
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

static inline void progress(void *context, uint64_t now, uint64_t total, const char *text)
{
    struct outcome *outcome = context;
    outcome->progress_times++;
    outcome->progress_done = now;
    outcome->progress_total = total;
    keep(outcome->progress_text, sizeof(outcome->progress_text), text);
}

static inline struct call_options options_for(struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    return (struct call_options){.done = done, .progress = progress, .context = outcome};
}

static inline struct descpipe_image image_of(const char *reference)
{
    return (struct descpipe_image){
        .size = sizeof(struct descpipe_image), .source = DESCPIPE_SOURCE_REGISTRY, .reference = reference};
}

static inline void set_up(void)
{
    workshop_open(&workshop);
    workshop_install(&workshop, "runtime-unruly");
    workshop_install(&workshop, "scheduler-unruly");
    workshop_start(&workshop);
    instance = workshop_instance(&workshop, "runtime", "unruly");
}

static inline void tear_down(void)
{
    plugin_close(instance);
    workshop_close(&workshop);
}

static inline void identify(const char *how, struct outcome *outcome)
{
    struct descpipe_image image = image_of(how);
    runtime_identify(instance, &image, options_for(outcome));
    workshop_run_until(&workshop, &outcome->done);
    ck_assert_uint_eq(outcome->times, 1);
}

static inline int run_cases(const char *name, void (*add)(TCase *cases))
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    add(cases);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
