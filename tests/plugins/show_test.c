/* SPDX-License-Identifier: BSD-3-Clause */
/* The page of a plugin and its option schema, word for word. */
#include "workshop.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/show.h"

static struct workshop workshop;

static void set_up(void)
{
    workshop_open(&workshop);
}

static void tear_down(void)
{
    workshop_close(&workshop);
}

START_TEST(the_page_for_people)
{
    const char *path = workshop_install(&workshop, "runtime-unruly");
    workshop_start(&workshop);
    cleanup(text_clear) struct text page = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_msg(plugin_show_print(workshop.host, path, false, &page, &error), "%s", error.message);
    char sha256[DIGEST_TEXT];
    ck_assert(digest_of_file(path, sha256, NULL));
    cleanup(memory_free) char *expected = memory_format("runtime/unruly 0.1\n"
                                                        "Breaks one rule at a time\n"
                                                        "\n"
                                                        "author       descpipe\n"
                                                        "licence      BSD-3-Clause\n"
                                                        "path         %s\n"
                                                        "sha256       %s\n"
                                                        "interface    0.3, needs 0.3\n"
                                                        "images       registry\n"
                                                        "\n"
                                                        "options:\n"
                                                        "  word: text, default 'hello'\n"
                                                        "      A word.\n"
                                                        "  wait: duration, from 0 ms to 1 h 00 m, default '90'\n"
                                                        "      How long to wait.\n"
                                                        "  switch: boolean, default 'true'\n"
                                                        "      On or off.\n"
                                                        "  token: secret\n"
                                                        "      A secret.\n",
                                                        path, sha256);
    ck_assert_str_eq(text_bytes(&page), expected);
}
END_TEST

START_TEST(the_page_as_json)
{
    const char *path = workshop_install(&workshop, "scheduler-unruly");
    workshop_start(&workshop);
    cleanup(text_clear) struct text page = TEXT_INIT;
    ck_assert(plugin_show_print(workshop.host, path, true, &page, NULL));
    json_t *json = json_loads(text_bytes(&page), JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json, "kind")), "scheduler");
    ck_assert_str_eq(json_string_value(json_object_get(json, "path")), path);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "capabilities"), 0)), "host-starts");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "forms"), 0)), "MANAGED");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "forms"), 1)), "COMMAND");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "operations"), 0)), "paths");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "options")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(json, "interface"), "minor")), 3);
    json_decref(json);
}
END_TEST

START_TEST(a_pinned_file_is_shown_only_when_it_is_the_pinned_one)
{
    const char *path = workshop_install(&workshop, "runtime-tiny");
    workshop_policy(&workshop, "plugins: {runtime/tiny: {sha256: "
                               "\"0000000000000000000000000000000000000000000000000000000000000000\"}}\n");
    workshop_start(&workshop);
    cleanup(text_clear) struct text page = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert(!plugin_show_print(workshop.host, path, false, &page, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "this site pins its sha256 as 000000"));
    ck_assert_uint_eq(page.length, 0);
    ck_assert(!plugin_show_print(workshop.host, "/tmp/something.so", false, &page, &error));
    ck_assert_str_eq(error.message, "'/tmp/something.so' is not named like a plugin");
}
END_TEST

START_TEST(the_schema_is_json_and_knows_every_type)
{
    static const char *const choices[] = {"a\"quote", "b", NULL};
    static const struct descpipe_option one = {.type = DESCPIPE_OPTION_CHOICE,
                                               .key = "choice",
                                               .help = "Which.",
                                               .choices = choices,
                                               .default_value = "b",
                                               .flags = DESCPIPE_OPTION_DEPRECATED};
    static const struct descpipe_option two = {.type = DESCPIPE_OPTION_INTEGER,
                                               .key = "integer",
                                               .help = "How many.",
                                               .flags = DESCPIPE_OPTION_RANGED | DESCPIPE_OPTION_REQUIRED,
                                               .minimum = -1,
                                               .maximum = 9};
    static struct descpipe_option rest[11];
    const struct descpipe_option *table[12] = {&one, &two};
    size_t count = 2;
    static const char *const keys[] = {"", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10"};
    for (uint32_t type = DESCPIPE_OPTION_TEXT; type <= DESCPIPE_OPTION_SECRET; type++) {
        if (type == DESCPIPE_OPTION_CHOICE || type == DESCPIPE_OPTION_INTEGER)
            continue;
        rest[type] = (struct descpipe_option){.type = type, .key = keys[type], .help = "Help."};
        table[count++] = &rest[type];
    }
    cleanup(text_clear) struct text text = TEXT_INIT;
    options_print_schema(table, &text);
    json_t *json = json_loads(text_bytes(&text), JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(json != NULL, "%s", text_bytes(&text));
    json_t *properties = json_object_get(json, "properties");
    ck_assert_uint_eq(json_object_size(properties), 10);
    ck_assert(json_is_false(json_object_get(json, "additionalProperties")));
    json_t *any = json_object_get(json_object_get(properties, "choice"), "anyOf");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json_array_get(any, 0), "enum"), 0)), "a\"quote");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(any, 1), "pattern")), "\\$\\{");
    ck_assert(json_is_true(json_object_get(json_object_get(properties, "choice"), "deprecated")));
    any = json_object_get(json_object_get(properties, "integer"), "anyOf");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(any, 0), "minimum")), -1);
    json_decref(json);
    text_reset(&text);
    options_print_schema(NULL, &text);
    ck_assert_str_eq(text_bytes(&text), "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("show");
    TCase *cases = tcase_create("show");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, the_page_for_people);
    tcase_add_test(cases, the_page_as_json);
    tcase_add_test(cases, a_pinned_file_is_shown_only_when_it_is_the_pinned_one);
    tcase_add_test(cases, the_schema_is_json_and_knows_every_type);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
