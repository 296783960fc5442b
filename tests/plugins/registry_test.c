/* SPDX-License-Identifier: BSD-3-Clause */
/* A registry plugin as the rest of the core drives it: what it is asked, what it answers, and who keeps the answers. */
#include "workshop.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/secret.h"

static struct workshop workshop;
static struct plugin_instance *registry;

static void set_up(void)
{
    workshop_open(&workshop);
    workshop_install(&workshop, "registry-notary");
    workshop_start(&workshop);
    registry = workshop_instance(&workshop, "registry", "notary");
}

static void tear_down(void)
{
    plugin_close(registry);
    ck_assert_str_eq(text_bytes(&workshop.faults), "");
    workshop_close(&workshop);
}

/* All that a result says, in one text. */
static void write_down(void *context, const struct call_result *result)
{
    struct text *text = context;
    if (!result->ok)
        text_format(text, "failed %u: %s (%s)", result->failure, result->message,
                    result->hint ? result->hint : "no hint");
    if (result->reference)
        text_format(text, "%s", result->reference);
    if (result->identity)
        text_format(text, "%s %s %" PRIu64 " bytes", result->identity->manifest_digest, result->identity->platform,
                    result->identity->stored_bytes);
    if (result->credential) {
        uint64_t length = 0;
        const char *password = secret_reveal(result->credential->password, &length);
        text_format(text, "%s %s until %" PRId64 " from %s", result->credential->username, password,
                    result->credential->expires_at_ms, result->credential->origin);
    }
    for (size_t i = 0; i < result->facts_count; i++)
        text_format(text, "%s=%s;", result->facts[i].name, result->facts[i].value);
    for (size_t i = 0; i < result->texts_count; i++)
        text_format(text, "%s;", result->texts[i]);
    text_append(text, result->ok ? " ok" : "");
}

static struct call_options into(struct text *text)
{
    return (struct call_options){.done = write_down, .context = text};
}

START_TEST(accepts_only_what_is_its_own)
{
    ck_assert(registry_accepts(registry, "notary.test/stars:1"));
    ck_assert(!registry_accepts(registry, "elsewhere.test/stars:1"));
    ck_assert(!registry_accepts(NULL, "notary.test/stars:1"));
    ck_assert_uint_eq(plugin_registry(registry)->capabilities, DESCPIPE_REGISTRY_EXPIRES);
    ck_assert_ptr_null(plugin_runtime(registry));
    ck_assert_ptr_null(plugin_scheduler(registry));
}
END_TEST

START_TEST(a_name_becomes_a_reference)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert_ptr_null(registry_normalize(registry, "stars", into(&text)));
    ck_assert_str_eq(text_bytes(&text), "notary.test/stars:latest ok");
}
END_TEST

static const struct {
    struct descpipe_lookup lookup;
    struct plugin_call *(*ask)(struct plugin_instance *, const struct descpipe_lookup *, struct call_options);
    const char *answer;
} lookups[] = {
    {{sizeof(struct descpipe_lookup), 0, "notary.test/stars:latest", "linux/arm64"},
     registry_resolve,
     "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa linux/arm64 77 bytes ok"},
    {{sizeof(struct descpipe_lookup), 0, "notary.test/dust:latest", NULL},
     registry_resolve,
     "failed 5: there is no such image (look at its tags)"},
    {{sizeof(struct descpipe_lookup), DESCPIPE_PURPOSE_PULL, "notary.test/stars:latest", NULL},
     registry_credentials,
     " ok"},
    {{sizeof(struct descpipe_lookup), DESCPIPE_PURPOSE_PUSH, "notary.test/stars:latest", NULL},
     registry_credentials,
     "observer pa55word until 1234 from the notary ok"},
    {{sizeof(struct descpipe_lookup), 9, "notary.test/stars:latest", NULL},
     registry_credentials,
     "failed 4: who are you? (no hint)"},
    {{sizeof(struct descpipe_lookup), 0, "notary.test/stars", NULL}, registry_list_tags, "latest;2026-11; ok"},
    {{sizeof(struct descpipe_lookup), 0, "notary.test/stars", NULL},
     registry_ensure_repository,
     "failed 8: this plugin cannot do that (no hint)"},
};

START_TEST(answers_what_it_is_asked)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert_ptr_null(lookups[_i].ask(registry, &lookups[_i].lookup, into(&text)));
    ck_assert_str_eq(text_bytes(&text), lookups[_i].answer);
}
END_TEST

START_TEST(probe_says_what_it_has)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    registry_probe(registry, into(&text));
    ck_assert_str_eq(text_bytes(&text), "images=3; ok");
}
END_TEST

START_TEST(operations_of_another_kind_are_unsupported)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert_ptr_null(runtime_probe(registry, into(&text)));
    ck_assert_str_eq(text_bytes(&text), "failed 8: this plugin cannot do that (no hint)");
}
END_TEST

static void remember(void *context, const struct call_result *result)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert(!call_error(registry, "resolve", result, &error));
    snprintf(context, 300, "%d %s", error.kind == ERROR_NETWORK, error.message);
}

START_TEST(a_failure_becomes_an_error_that_names_the_plugin)
{
    char line[300] = "";
    struct descpipe_lookup lookup = {.size = sizeof(lookup), .reference = "notary.test/dust:1"};
    registry_resolve(registry, &lookup, (struct call_options){.done = remember, .context = line});
    ck_assert_str_eq(line, "1 registry/notary: resolve: there is no such image");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("registry");
    TCase *cases = tcase_create("registry");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, accepts_only_what_is_its_own);
    tcase_add_test(cases, a_name_becomes_a_reference);
    tcase_add_loop_test(cases, answers_what_it_is_asked, 0, sizeof(lookups) / sizeof(lookups[0]));
    tcase_add_test(cases, probe_says_what_it_has);
    tcase_add_test(cases, operations_of_another_kind_are_unsupported);
    tcase_add_test(cases, a_failure_becomes_an_error_that_names_the_plugin);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
