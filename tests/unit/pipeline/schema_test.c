/* SPDX-License-Identifier: BSD-3-Clause */
/* The schema is JSON and knows the keys that the reader knows. */
#include "pipeline/schema.h"

#include <check.h>
#include <jansson.h>
#include <string.h>

static const char *const stage_keys[] = {"depends-on", "inputs",      "outputs", "config",  "image",    "command",
                                         "script",     "interpreter", "env",     "cpus",    "memory",   "gpus",
                                         "openmp",     "nodes",       "ppn",     "minutes", "parallel", "size",
                                         "foreach",    "limit",       "retries", "on",      "mounts",   "scratch",
                                         "network",    "workdir",     "pull",    "backend", "github",   "checkout"};
static const char *const runtime_keys[] = {"backend", "working",        "output",   "inputs",      "config",
                                           "jobs",    "group-readable", "launcher", "late-outputs"};

static void expect_keys(json_t *schema, const char *of, const char *const *keys, size_t count)
{
    json_t *properties = json_object_get(json_object_get(json_object_get(schema, "$defs"), of), "properties");
    ck_assert_msg(json_is_object(properties), "no properties of %s", of);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(json_object_get(properties, keys[i]) != NULL, "'%s' of %s is missing", keys[i], of);
}

START_TEST(knows_every_key)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    pipeline_print_schema(&text);
    json_error_t error;
    json_t *schema = json_loads(text_bytes(&text), JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(schema != NULL, "%s at %d", error.text, error.position);
    expect_keys(schema, "stage", stage_keys, sizeof stage_keys / sizeof stage_keys[0]);
    expect_keys(schema, "runtime", runtime_keys, sizeof runtime_keys / sizeof runtime_keys[0]);
    json_decref(schema);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema");
    TCase *cases = tcase_create("schema");
    tcase_add_test(cases, knows_every_key);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
