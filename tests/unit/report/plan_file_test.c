/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.json, cut into its stages. */
#include "report/plan_file.h"

#include "run_maker.h"
#include "suite.h"

static struct run_maker maker;
static struct text seen;

static void set_up(void)
{
    maker = run_maker_new(NULL);
    seen = TEXT_INIT;
}

static void tear_down(void)
{
    text_clear(&seen);
    run_maker_free(&maker);
}

static void see_member(void *context, const char *name, const json_t *value)
{
    (void)context;
    char *printed = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    text_format(&seen, "%s=%s;", name, printed);
    free(printed);
}

static void see_stage(void *context, const struct members *stage)
{
    (void)context;
    text_append(&seen, "stage=");
    for (size_t i = 0; i < stage->count; i++)
        text_format(&seen, "%.*s:%.*s,", (int)stage->items[i].name_length, stage->items[i].name,
                    (int)stage->items[i].value_length, stage->items[i].value);
    text_append(&seen, ";");
}

static bool read_text(const char *plan, struct error *error)
{
    const struct plan_file_reader reader = {.member = see_member, .stage = see_stage};
    run_maker_file(&maker, "plan.json", plan);
    cleanup(memory_free) char *path = path_join(maker.folder, "plan.json");
    text_reset(&seen);
    return plan_file_read(path, &reader, error);
}

START_TEST(hands_over_members_and_stages_one_by_one)
{
    ck_assert(read_text("{\"pipeline\":\"s[k]y\\\"}\",\"n\":12,\"backend\":{\"a\":[1,{\"b\":null}]},\n"
                        "\"stages\":[{\"name\":\"a,]}\"},\n{\"name\":\"b\",\"members\":[\"x\"]}] , \"last\" : true}\n",
                        NULL));
    ck_assert_str_eq(text_bytes(&seen), "pipeline=\"s[k]y\\\"}\";n=12;backend={\"a\":[1,{\"b\":null}]};"
                                        "stage=name:\"a,]}\",;stage=name:\"b\",members:[\"x\"],;last=true;");
}
END_TEST

START_TEST(a_plan_without_stages_is_fine)
{
    ck_assert(read_text("{\"stages\":[]}", NULL));
    ck_assert(read_text(" { } ", NULL));
    ck_assert_str_eq(text_bytes(&seen), "");
}
END_TEST

START_TEST(refuses_what_is_no_plan)
{
    static const struct {
        const char *plan, *message;
    } cases[] = {
        {"[1]", "is not a plan: a JSON object was expected"},
        {"", "ends in the middle"},
        {"{\"stages\":[{\"name\":\"a\"}", "ends in the middle"},
        {"{\"stages\":[{\"name\":\"a\"", "ends in the middle"},
        {"{} x", "text after the end"},
        {"{\"a\":{\"b\":}}", "unexpected token near '}'"},
        {"{\"stages\":[12]}", "a stage is not an object"},
        {"{\"stages\":[{\"name\" 12}]}", "a stage is not an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        ck_assert_msg(!read_text(cases[i].plan, &error), "'%s' was taken", cases[i].plan);
        ck_assert_msg(strstr(error.message, cases[i].message) != NULL, "'%s' says '%s'", cases[i].plan, error.message);
    }
}
END_TEST

START_TEST(stages_before_a_fault_are_handed_over)
{
    ck_assert(!read_text("{\"stages\":[{\"name\":\"a\"},{\"na", NULL));
    ck_assert_str_eq(text_bytes(&seen), "stage=name:\"a\",;");
}
END_TEST

START_TEST(depth_has_a_limit)
{
    cleanup(text_clear) struct text deep = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    text_append(&deep, "{\"a\":");
    for (int i = 0; i < 100; i++)
        text_append(&deep, "[");
    ck_assert(!read_text(text_bytes(&deep), &error));
    ck_assert_ptr_nonnull(strstr(error.message, "nested deeper than 64"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {hands_over_members_and_stages_one_by_one,
                                  a_plan_without_stages_is_fine,
                                  refuses_what_is_no_plan,
                                  stages_before_a_fault_are_handed_over,
                                  depth_has_a_limit,
                                  NULL};
    return suite_run("plan_file", tests, set_up, tear_down);
}
