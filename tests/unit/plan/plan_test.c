/* SPDX-License-Identifier: BSD-3-Clause */
/* Which plugins a plan takes and why, what it refuses, and what it is in JSON. */
#include "plan/plan.h"

#include <fcntl.h>

#include "plan_fixture.h"

#define ONE_STAGE "pipeline: {name: p, stages: [a]}\na: {image: \"rootfs:/\", command: [\"true\"]}\n"
#define BACKENDS                                                                                                       \
    "backends:\n  default: {scheduler: sequential, runtime: host}\n  bare: {scheduler: local, runtime: host}\n"        \
    "  box: {scheduler: {use: local, jobs: 3}, runtime: native}\n"

struct choice_case {
    const char *what, *yaml;
    const char *backend, *runtime, *environment; /* command line and environment, NULL: not said */
    const char *name, *scheduler, *runtime_name;
};

static const struct choice_case choices[] = {
    {"default backend", ONE_STAGE BACKENDS, NULL, NULL, NULL, "default", "sequential", "host"},
    {"runtime.backend", ONE_STAGE BACKENDS "runtime: {backend: box}\n", NULL, NULL, NULL, "box", "local", "native"},
    {"environment over pipeline", ONE_STAGE BACKENDS "runtime: {backend: box}\n", NULL, NULL, "DESCPIPE_BACKEND=bare",
     "bare", "local", "host"},
    {"command line over all", ONE_STAGE BACKENDS "runtime: {backend: box}\n", "default", NULL, "DESCPIPE_BACKEND=bare",
     "default", "sequential", "host"},
    {"one word replaced", ONE_STAGE BACKENDS, "bare", "native", NULL, "bare", "local", "native"},
    {"a scheduler's name", ONE_STAGE BACKENDS, "local", NULL, NULL, "local", "local", "host"},
};

START_TEST(takes_the_backend_that_the_highest_layer_names)
{
    const struct choice_case *choice = &choices[_i];
    const char *const environment[] = {choice->environment, NULL};
    cleanup(planned_clear) struct planned planned = {
        .search = {.backend = choice->backend, .runtime = choice->runtime, .environment = environment}};
    planned_make(&planned, choice->yaml);
    if (!planned.plan)
        planned_show(&planned);
    ck_assert_ptr_nonnull(planned.plan);
    ck_assert_str_eq(planned.plan->backends[0].name, choice->name);
    ck_assert_str_eq(planned.plan->backends[0].scheduler_name, choice->scheduler);
    ck_assert_str_eq(planned.plan->backends[0].runtime_name, choice->runtime_name);
    ck_assert_uint_eq(planned.plan->backends[0].form, DESCPIPE_FORM_COMMAND);
}
END_TEST

struct refusal_case {
    const char *yaml, *backend;
    uint32_t line;
    const char *message, *hint;
};

static const struct refusal_case refusals[] = {
    {ONE_STAGE BACKENDS, "bax", 0, "there is no backend and no scheduler 'bax'", "did you mean 'box'?"},
    {ONE_STAGE, "somewhere", 0, "there is no backend and no scheduler 'somewhere'",
     "no backends are defined in the pipeline, user or site files"},
    {"pipeline: {name: p, stages: [a]}\na:\n  image: \"rootfs:/\"\n  command: [\"true\"]\n  nodes: 2\n" BACKENDS, NULL,
     2, "stage 'a' asks for 2 nodes; scheduler 'sequential' has one",
     "run it on a backend whose scheduler spans nodes, or lower 'nodes' to 1"},
    {"pipeline: {name: p, stages: [a]}\na: {image: \"rootfs:/\", command: [\"true\"], gpus: 1}\n" BACKENDS, "box", 2,
     "stage 'a' asks for 1 GPU; runtime 'native' cannot give any", "take a backend that has GPUs"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], network: false}\n" BACKENDS, NULL, 2,
     "stage 'a' wants no network; runtime 'host' cannot take it away",
     "remove 'network: false' or take another runtime"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"]}\n" BACKENDS, "box", 2,
     "stage 'a' has no image, and runtime 'native' needs one",
     "give it an 'image:', or the pipeline 'owner', 'basename' and 'version'"},
    {"pipeline: {name: p, stages: [a]}\na: {image: \"sif:/x.sif\", command: [\"true\"]}\n" BACKENDS, "box", 2,
     "stage 'a': runtime 'native' cannot use the image 'sif:/x.sif'",
     "give it another 'image:' or take another runtime"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], mounts: [\"/x:/y\"]}\n" BACKENDS, NULL, 2,
     "stage 'a' mounts '/x' as '/y'; runtime 'host' runs on the machine's own paths",
     "use a runtime with containers, or the same path on both sides"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"]}\nbackends: {default: {scheduler: {use: local, jbos: "
     "2}, runtime: host}}\n",
     NULL, 3, "scheduler/local has no option 'jbos'", "did you mean 'jobs'?"},
};

START_TEST(refuses_what_does_not_go_together_at_its_place)
{
    const struct refusal_case *refusal = &refusals[_i];
    cleanup(planned_clear) struct planned planned = {.search = {.backend = refusal->backend}};
    planned_make(&planned, refusal->yaml);
    ck_assert_ptr_null(planned.plan);
    const struct problem *problem = planned_problem(&planned);
    ck_assert_str_eq(problem->message, refusal->message);
    ck_assert_ptr_nonnull(problem->hint);
    ck_assert_str_eq(problem->hint, refusal->hint);
    ck_assert_uint_eq(problem->line, refusal->line);
}
END_TEST

#define HERE "backends: {default: {scheduler: {use: local, cpus: 4, memory: 8GiB}, runtime: host}}\n"

static const struct refusal_case refusals_here[] = {
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], cpus: 5}\n" HERE, NULL, 2,
     "stage 'a' asks for 5 cpus; this machine has 4",
     "lower what it asks for, or run it on a backend with larger machines"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], memory: 9GiB}\n" HERE, NULL, 2,
     "stage 'a' asks for 9 GiB of memory; this machine has 8 GiB",
     "lower what it asks for, or run it on a backend with larger machines"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], env: {T: {secret: nosuch}}}\n" HERE, NULL, 2,
     "stage 'a' is given the secret 'nosuch', which is not known here",
     "name it under 'secrets:' of the user's or the site's configuration"},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], env: {T: {secret: lost}}}\n" HERE, NULL, 2,
     "stage 'a' is given the secret 'lost': the environment has no 'DESCPIPE_NOT_SET'", NULL},
    {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"], env: {T: {secret: gone}}}\n" HERE, NULL, 2,
     "stage 'a' is given the secret 'gone': cannot read '/dev/null/gone': Not a directory", NULL},
    {"pipeline: {name: p, stages: [a]}\na:\n  command: [\"true\"]\n  mounts: [\"/nope:/nope\"]\n" HERE, NULL, 4,
     "stage 'a' mounts '/nope', which cannot be found: No such file or directory", NULL},
    {"pipeline: {name: p, stages: [a]}\na: {image: \"rootfs:/bin/sh\", command: [\"true\"]}\n" BACKENDS, "box", 2,
     "stage 'a': the image 'rootfs:/bin/sh' is not a folder",
     "name an archive as docker-archive:FILE or oci-archive:FILE"},
    {"pipeline: {name: p, stages: [a]}\na:\n  command: [\"true\"]\n  backend: bax\n" BACKENDS, NULL, 4,
     "there is no backend and no scheduler 'bax'", "did you mean 'box'?"},
    {"pipeline: {name: p, stages: [a]}\nruntime: {backend: bax}\na: {command: [\"true\"]}\n" BACKENDS, NULL, 2,
     "there is no backend and no scheduler 'bax'", "did you mean 'box'?"},
};

START_TEST(refuses_what_this_machine_has_not)
{
    const struct refusal_case *refusal = &refusals_here[_i];
    cleanup(memory_free) char *user = temporary_path("config.yaml");
    put_file(user, "secrets: {lost: {env: DESCPIPE_NOT_SET}, gone: {file: /dev/null/gone}}\n");
    cleanup(planned_clear) struct planned planned = {.search = {.backend = refusal->backend, .user_file = user}};
    planned_make(&planned, refusal->yaml);
    ck_assert_ptr_null(planned.plan);
    const struct problem *problem = planned_problem(&planned);
    ck_assert_str_eq(problem->message, refusal->message);
    ck_assert_pstr_eq(problem->hint, refusal->hint);
    ck_assert_uint_eq(problem->line, refusal->line);
    ck_assert_uint_eq(planned.problems.errors, 1);
}
END_TEST

START_TEST(memory_that_nobody_enforces_is_remarked_upon_once)
{
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"pipeline: {name: p, stages: [a]}\na: {command: [\"true\"]}\n" HERE, NULL},
        {"pipeline: {name: p, stages: [a, b]}\nb: {command: [\"true\"]}\na: {command: [\"true\"], memory: 1GiB}\n" HERE,
         "the 'memory' of stage 'a' is not enforced: runtime 'host' lets a stage take more"},
        {"pipeline: {name: p, stages: [b, a, c]}\nb: {command: [\"true\"]}\na: {command: [\"true\"], memory: 1GiB}\n"
         "c: {command: [\"true\"], memory: 2GiB}\n" HERE,
         "the 'memory' of stage 'a' and 1 other stage is not enforced: runtime 'host' lets a stage take more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(planned_clear) struct planned planned = {0};
        planned_make(&planned, cases[i].yaml);
        ck_assert_ptr_nonnull(planned.plan);
        ck_assert_uint_eq(planned.problems.count, cases[i].message != NULL);
        if (cases[i].message == NULL)
            continue;
        ck_assert_int_eq(planned.problems.items[0].level, PROBLEM_NOTE);
        ck_assert_uint_eq(planned.problems.items[0].line, 3);
        ck_assert_str_eq(planned.problems.items[0].message, cases[i].message);
    }
}
END_TEST

START_TEST(missing_plugins_are_told_at_their_words_and_together)
{
    cleanup(planned_clear) struct planned planned = {0};
    planned_make(&planned, "pipeline: {name: p, stages: [a, b]}\na: {command: [\"true\"]}\n"
                           "b: {command: [\"true\"], backend: other}\n"
                           "backends:\n  default: {scheduler: lokal, runtime: host, registry: dokcerhub}\n"
                           "  other: {scheduler: local, runtime: hots, registry: ecr}\n");
    ck_assert_ptr_null(planned.plan);
    ck_assert_int_eq(planned.error.kind, ERROR_PLUGIN);
    ck_assert_str_eq(planned.error.file, planned.pipeline->file);
    ck_assert_uint_eq(planned.error.line, 5);
    ck_assert_uint_eq(planned.error.column, 24);
    ck_assert_ptr_nonnull(strstr(planned.error.message, "there is no plugin scheduler/lokal: "));
    ck_assert_uint_eq(planned.problems.errors, 2);
    ck_assert_uint_eq(planned.problems.items[0].line, 5);
    ck_assert_ptr_nonnull(strstr(planned.problems.items[0].message, "there is no plugin registry/dokcerhub: "));
    ck_assert_str_eq(planned.problems.items[0].hint, "did you mean 'dockerhub'?");
    ck_assert_uint_eq(planned.problems.items[1].line, 6);
    ck_assert_ptr_nonnull(strstr(planned.problems.items[1].message, "there is no plugin runtime/hots: "));
}
END_TEST

START_TEST(says_which_plugin_is_missing)
{
    cleanup(planned_clear) struct planned planned = {.search = {.runtime = "hots"}};
    planned_make(&planned, ONE_STAGE BACKENDS);
    ck_assert_ptr_null(planned.plan);
    ck_assert_int_eq(planned.error.kind, ERROR_PLUGIN);
    ck_assert_str_eq(planned.error.message,
                     "there is no plugin runtime/hots: looked for 'runtime-hots.so' in '" BUILD_FOLDER
                     "/plugins-built', '/nonexistent'");
    ck_assert_str_eq(planned.error.hint, "did you mean 'host'?");
}
END_TEST

START_TEST(auto_takes_the_first_that_works_and_says_so)
{
    cleanup(memory_free) char *user = temporary_path("config.yaml");
    put_file(user, "runtime-order: [absent, native]\n");
    cleanup(planned_clear) struct planned planned = {.search = {.user_file = user}};
    planned_make(&planned, ONE_STAGE);
    if (!planned.plan)
        planned_show(&planned);
    ck_assert_ptr_nonnull(planned.plan);
    ck_assert_str_eq(planned.plan->backends[0].runtime_name, "native");
    ck_assert_str_eq(planned.plan->backends[0].runtime_reason, "runtime auto took 'native', the first that works here");
}
END_TEST

#define LINE                                                                                                           \
    "pipeline: {name: p, stages: [a, b, c, d]}\na: {outputs: {x: txt}}\nb: {inputs: {x: txt}, outputs: {y: txt}}\n"    \
    "c: {inputs: {y: txt}}\nd: {command: [\"true\"]}\n" BACKENDS

struct select_case {
    const char *only, *from, *until, *selected;
};
static const struct select_case selections[] = {
    {NULL, NULL, NULL, "abcd"}, {"b", NULL, NULL, "b"}, {NULL, "b", NULL, "bc"},
    {NULL, NULL, "b", "ab"},    {NULL, "b", "b", "b"},  {"d", "b", NULL, "bcd"},
};

START_TEST(selects_stages)
{
    const struct select_case *selection = &selections[_i];
    const char *const only[] = {selection->only, NULL}, *const from[] = {selection->from, NULL};
    const char *const until[] = {selection->until, NULL};
    cleanup(planned_clear) struct planned planned = {.choices = {.only = only, .from = from, .until = until}};
    planned_make(&planned, LINE);
    ck_assert_ptr_nonnull(planned.plan);
    cleanup(text_clear) struct text selected = TEXT_INIT;
    for (size_t i = 0; i < planned.pipeline->stages.count; i++) {
        if (planned.plan->stages[i].selected)
            text_append(&selected, pipeline_text(planned.pipeline, planned.pipeline->stages.items[i].name));
    }
    ck_assert_str_eq(text_bytes(&selected), selection->selected);
}
END_TEST

START_TEST(names_the_nearest_stage_for_a_selection_that_is_none)
{
    const char *const only[] = {"tomografy", NULL};
    cleanup(planned_clear) struct planned planned = {.choices = {.only = only}};
    planned_make(&planned, "pipeline: {name: p, stages: [tomography]}\ntomography: {command: [\"true\"]}\n" BACKENDS);
    ck_assert_ptr_null(planned.plan);
    ck_assert_str_eq(planned_problem(&planned)->message, "--only: the pipeline has no stage 'tomografy'");
    ck_assert_str_eq(planned_problem(&planned)->hint, "did you mean 'tomography'?");
}
END_TEST

START_TEST(one_image_of_many_stages_is_asked_once)
{
    cleanup(planned_clear) struct planned planned = {.search = {.backend = "box"}};
    planned_make(&planned, "pipeline: {name: p, stages: [a, b]}\na: {image: \"rootfs:/\", command: [\"true\"]}\n"
                           "b: {image: \"rootfs:/\", command: [\"true\"]}\n" BACKENDS);
    ck_assert_ptr_nonnull(planned.plan);
    ck_assert_uint_eq(planned.plan->images_count, 1);
    ck_assert(planned.plan->images[0].prepared);
    ck_assert_str_eq(planned.plan->images[0].handle, "/");
}
END_TEST

START_TEST(says_when_an_image_file_is_not_there)
{
    cleanup(planned_clear) struct planned planned = {.search = {.backend = "box"}};
    planned_make(
        &planned,
        "pipeline: {name: p, stages: [a]}\na: {image: \"docker-archive:no.tar\", command: [\"true\"]}\n" BACKENDS);
    ck_assert_ptr_null(planned.plan);
    const struct problem *problem = planned_problem(&planned);
    ck_assert_str_eq(problem->message,
                     "stage 'a': cannot find the image 'docker-archive:no.tar': No such file or directory");
    ck_assert_str_eq(problem->hint, "relative paths count from the working directory (or --base)");
    ck_assert_uint_eq(problem->line, 2);
    ck_assert_uint_eq(problem->column, 12);
}
END_TEST

START_TEST(a_folder_as_image_is_said_to_be_one)
{
    cleanup(planned_clear) struct planned planned = {.search = {.backend = "box"}};
    planned_make(&planned,
                 "pipeline: {name: p, stages: [a]}\na: {image: \"rootfs:/\", command: [\"true\"]}\n" BACKENDS);
    ck_assert_ptr_nonnull(planned.plan);
    cleanup(text_clear) struct text text = TEXT_INIT;
    plan_print(planned.plan, &text);
    ck_assert_ptr_nonnull(strstr(text_bytes(&text), "image    rootfs:/ (a folder, used as it is)\n"));
}
END_TEST

START_TEST(members_are_tasks)
{
    cleanup(planned_clear) struct planned planned = {0};
    planned_make(
        &planned,
        "pipeline: {name: p, stages: [a, b, c]}\na: {command: [\"true\"]}\n"
        "b: {command: [\"true\"], foreach: {band: [g, r, i], half: [1, 2]}}\nc: {command: [\"true\"]}\n" BACKENDS);
    ck_assert_ptr_nonnull(planned.plan);
    ck_assert_uint_eq(planned.plan->tasks_count, 8);
    static const uint32_t stages[] = {0, 1, 1, 1, 1, 1, 1, 2}, members[] = {0, 0, 1, 2, 3, 4, 5, 0};
    for (uint32_t task = 0; task < 8; task++) {
        ck_assert_uint_eq(plan_task_stage(planned.plan, task), stages[task]);
        ck_assert_uint_eq(plan_task_member(planned.plan, task), members[task]);
    }
}
END_TEST

START_TEST(is_the_contracts_json)
{
    cleanup(planned_clear) struct planned planned = {0};
    planned_make(&planned,
                 "pipeline: {name: p, stages: [a, b]}\na:\n  outputs: {x: txt}\n  command: [make, \"a \\\"b\\\"\"]\n"
                 "b:\n  inputs: {x: txt}\n  script: echo\n  interpreter: [bash, -e]\n  cpus: 2\n  memory: 1MiB\n"
                 "  minutes: 3\n  foreach: {k: [u, v]}\n" BACKENDS);
    if (!planned.plan)
        planned_show(&planned);
    ck_assert_ptr_nonnull(planned.plan);
    cleanup(memory_free) char *path = temporary_path("plan.json");
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert(plan_write_json(planned.plan, file, &planned.error));
    close(file);
    check_file(path, "{\"pipeline\":\"p\",\"backend\":{\"name\":\"default\",\"scheduler\":\"sequential\",\"runtime\":"
                     "\"host\",\"registry\":\"dockerhub\"},"
                     "\"stages\":[\n"
                     "{\"name\":\"a\",\"backend\":\"default\",\"image\":null,\"digest\":null,\"reference\":null,"
                     "\"manifest_digest\":null,\"form\":\"command\","
                     "\"command\":[\"make\",\"a \\\"b\\\"\"],"
                     "\"inputs\":{},\"outputs\":{\"x\":\"txt\"},\"after\":[],\"resources\":{\"nodes\":1,\"ppn\":1,"
                     "\"cpus\":1},\"members\":[]},\n"
                     "{\"name\":\"b\",\"backend\":\"default\",\"image\":null,\"digest\":null,\"reference\":null,"
                     "\"manifest_digest\":null,\"form\":\"command\","
                     "\"command\":[\"bash\",\"-e\","
                     "\"descpipe-script\"],\"inputs\":{\"x\":\"txt\"},\"outputs\":{},\"after\":[\"a\"],\"resources\":{"
                     "\"nodes\":1,\"ppn\":1,\"cpus\":2,"
                     "\"memory\":1048576,\"minutes\":3},\"members\":[\"u\",\"v\"]}\n"
                     "]}\n");
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("plan");
    tcase_add_checked_fixture(cases, temporary_folder_make, temporary_folder_remove);
    tcase_add_loop_test(cases, takes_the_backend_that_the_highest_layer_names, 0,
                        (int)(sizeof(choices) / sizeof(choices[0])));
    tcase_add_loop_test(cases, refuses_what_does_not_go_together_at_its_place, 0,
                        (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_loop_test(cases, refuses_what_this_machine_has_not, 0,
                        (int)(sizeof(refusals_here) / sizeof(refusals_here[0])));
    tcase_add_test(cases, memory_that_nobody_enforces_is_remarked_upon_once);
    tcase_add_test(cases, missing_plugins_are_told_at_their_words_and_together);
    tcase_add_test(cases, says_which_plugin_is_missing);
    tcase_add_test(cases, auto_takes_the_first_that_works_and_says_so);
    tcase_add_loop_test(cases, selects_stages, 0, (int)(sizeof(selections) / sizeof(selections[0])));
    tcase_add_test(cases, names_the_nearest_stage_for_a_selection_that_is_none);
    tcase_add_test(cases, one_image_of_many_stages_is_asked_once);
    tcase_add_test(cases, says_when_an_image_file_is_not_there);
    tcase_add_test(cases, a_folder_as_image_is_said_to_be_one);
    tcase_add_test(cases, members_are_tasks);
    tcase_add_test(cases, is_the_contracts_json);
    return run_case("plan", cases);
}
