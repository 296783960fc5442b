/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrong names and wrong values of one file, told in one pass. */
#include "plan_fixture.h"

/* Every problem as "line:column message|". */
static void read_all(const char *yaml, struct text *said)
{
    cleanup(planned_clear) struct planned planned = {0};
    cleanup(memory_free) char *path = temporary_path("pipeline.yaml");
    static const char *const plugin_dirs[] = {BUILD_FOLDER "/plugins-built", NULL};
    put_file(path, yaml);
    planned.layers = config_layers_read(&planned.search, &planned.problems);
    planned.policy = policy_read("/nonexistent", &planned.problems);
    struct plugin_search search = {.plugin_dirs = plugin_dirs, .system_folder = "/nonexistent"};
    planned.catalogue = plugin_catalogue_new(&search, planned.policy, &planned.error);
    ck_assert(planned.layers && planned.policy && planned.catalogue);
    const struct plan_request request = {
        .catalogue = planned.catalogue, .layers = planned.layers, .problems = &planned.problems};
    const struct pipeline_changes changes = {.base = temporary_folder};
    planned.pipeline = plan_read_pipeline(path, &changes, &request);
    ck_assert_int_eq(planned.pipeline == NULL, planned.problems.errors > 0);
    problems_sort(&planned.problems);
    for (size_t i = 0; i < planned.problems.count; i++) {
        const struct problem *problem = &planned.problems.items[i];
        const char *places = strstr(problem->message, ": looked for"); /* differs from machine to machine */
        text_format(said, "%u:%u %.*s|", problem->line, problem->column,
                    (int)(places ? places - problem->message : (long)strlen(problem->message)), problem->message);
    }
}

static const struct {
    const char *yaml, *said;
} cases[] = {
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"]}\nbackends: {default: {scheduler: lokal}}\n",
     ""}, /* nothing is wrong in the file: the plan will tell */
    {"pipeline: {name: p, stages: [a, b]}\n"
     "runtime: {backend: lap}\n"
     "backends:\n"
     "  here: {scheduler: {use: local, jbos: 3}, runtime: host}\n"
     "  other: {scheduler: lokal, runtime: hots, registry: dokcerhub}\n"
     "  unused: {scheduler: nosuch}\n"
     "a: {command: [\"true\"], cpus: none, backend: here}\n"
     "b: {command: [\"true\"], backend: other}\n",
     "2:20 there is no backend and no scheduler 'lap'|"
     "4:34 scheduler/local has no option 'jbos'|"
     "5:22 there is no plugin scheduler/lokal|"
     "5:38 there is no plugin runtime/hots|"
     "5:54 there is no plugin registry/dokcerhub|"
     "7:30 'cpus' must be a whole number from 1 to 65536, not 'none'|"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], cpus: 0, backend: local}\n",
     "2:30 'cpus' must be a whole number from 1 to 65536, not '0'|"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], cpus: 0, backend: lokal\n",
     NULL}, /* half a file: only that */
};

START_TEST(names_are_checked_with_the_rest_of_a_wrong_file)
{
    cleanup(text_clear) struct text said = TEXT_INIT;
    read_all(cases[_i].yaml, &said);
    if (cases[_i].said)
        ck_assert_str_eq(text_bytes(&said), cases[_i].said);
    else
        ck_assert_ptr_null(strstr(text_bytes(&said), "lokal"));
}
END_TEST

START_TEST(options_of_all_backends_are_told_at_once)
{
    cleanup(planned_clear) struct planned planned = {0};
    planned_make(&planned, "pipeline: {name: p, stages: [a, b]}\na: {command: [\"true\"]}\n"
                           "b: {command: [\"true\"], backend: other}\nbackends:\n"
                           "  default: {scheduler: {use: local, jbos: 2}, runtime: host}\n"
                           "  other: {scheduler: {use: local, jobs: none}, runtime: {use: host, nice: 1}}\n");
    ck_assert_ptr_null(planned.plan);
    ck_assert_int_eq(planned.error.kind, ERROR_NONE);
    ck_assert_uint_eq(planned.problems.errors, 3);
    ck_assert_uint_eq(planned.problems.count, 3);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("names");
    tcase_add_checked_fixture(tests, temporary_folder_make, temporary_folder_remove);
    tcase_add_loop_test(tests, names_are_checked_with_the_rest_of_a_wrong_file, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tests, options_of_all_backends_are_told_at_once);
    return run_case("names", tests);
}
