/* SPDX-License-Identifier: BSD-3-Clause */
/* The world of an attempt, as a runtime gets it. */
#include "plan/plan.h"

#include <unistd.h>

#include "plan_fixture.h"

#define BACKENDS                                                                                                       \
    "backends:\n  default: {scheduler: {use: local, cpus: 64}, runtime: native, images: \"rootfs:/\"}\n"               \
    "  bare: {scheduler: {use: local, cpus: 64}, runtime: host}\n"

static const struct descpipe_stage *launch(struct planned *planned, struct arena *arena, uint32_t task)
{
    if (!planned->plan)
        planned_show(planned);
    ck_assert_ptr_nonnull(planned->plan);
    struct plan_launch request = {.arena = arena,
                                  .task = task,
                                  .attempt = 2,
                                  .run = "r",
                                  .token = "r-1",
                                  .input = "/w/input",
                                  .output = "/w/output",
                                  .config = "/w/config",
                                  .host_directory = "/w/private"};
    return plan_launch_stage(planned->plan, &request);
}

static const char *value(const struct descpipe_stage *stage, const char *name)
{
    const char *found = words_environment(stage->environment, name);
    return found ? found : "(not set)";
}

static void joined(const char *const *words, struct text *text)
{
    text_reset(text);
    for (; words && *words; words++)
        text_format(text, "%s%s", text->length ? "|" : "", *words);
}

START_TEST(a_container_has_the_original_projects_folders)
{
    cleanup(planned_clear) struct planned planned = {0};
    cleanup(arena_free) struct arena *arena = arena_new();
    planned_make(&planned, "pipeline: {name: p, stages: [a]}\na: {outputs: {}, openmp: 4, env: {LEVEL: 3}, mounts: "
                           "[\"/usr:/data:ro\"]}\n" BACKENDS);
    const struct descpipe_stage *stage = launch(&planned, arena, 0);
    cleanup(text_clear) struct text text = TEXT_INIT;
    joined(stage->command, &text);
    ck_assert_str_eq(text_bytes(&text), "/opt/desc/run.py");
    ck_assert_str_eq(value(stage, "DESC_INPUT"), "/opt/input");
    ck_assert_str_eq(value(stage, "DESC_OUTPUT"), "/opt/output");
    ck_assert_str_eq(value(stage, "DESC_CONFIG"), "/opt/config");
    ck_assert_str_eq(value(stage, "DESC_PARALLEL"), "serial");
    ck_assert_str_eq(value(stage, "DESC_RANK"), "0");
    ck_assert_str_eq(value(stage, "DESC_SIZE"), "1");
    ck_assert_str_eq(value(stage, "OMP_NUM_THREADS"), "4");
    ck_assert_str_eq(value(stage, "LEVEL"), "3");
    ck_assert_str_eq(value(stage, "HOME"), "/tmp");
    ck_assert_str_eq(value(stage, "PATH"), "(not set)"); /* the image's own */
    ck_assert_str_eq(stage->directory, "/opt/output");
    ck_assert_uint_eq(stage->uid, getuid());
    ck_assert_uint_eq(stage->resources->cpus_per_rank, 4);
    static const struct {
        const char *source, *target;
        uint32_t flags;
    } mounts[] = {{"/w/input", "/opt/input", DESCPIPE_MOUNT_READ_ONLY},
                  {"/w/output", "/opt/output", 0},
                  {"/w/config", "/opt/config", DESCPIPE_MOUNT_READ_ONLY},
                  {"/usr", "/data", DESCPIPE_MOUNT_READ_ONLY}};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(stage->mounts[i]->source, mounts[i].source);
        ck_assert_str_eq(stage->mounts[i]->target, mounts[i].target);
        ck_assert_uint_eq(stage->mounts[i]->flags, mounts[i].flags);
    }
    ck_assert_ptr_null(stage->mounts[4]);
}
END_TEST

START_TEST(the_bare_machine_has_its_own_paths)
{
    cleanup(planned_clear) struct planned planned = {.search = {.backend = "bare"}};
    cleanup(arena_free) struct arena *arena = arena_new();
    planned_make(
        &planned,
        "pipeline: {name: p, stages: [a]}\na: {script: \"echo $DESC_INPUT\", interpreter: [sh, -e]}\n" BACKENDS);
    const struct descpipe_stage *stage = launch(&planned, arena, 0);
    cleanup(text_clear) struct text text = TEXT_INIT;
    joined(stage->command, &text);
    ck_assert_str_eq(text_bytes(&text), "sh|-e|/w/config/descpipe-script");
    ck_assert_str_eq(value(stage, "DESC_INPUT"), "/w/input");
    ck_assert_str_eq(value(stage, "PATH"), secure_getenv("PATH"));
    ck_assert_ptr_null(stage->mounts[0]);
}
END_TEST

START_TEST(members_know_who_they_are)
{
    cleanup(planned_clear) struct planned planned = {0};
    cleanup(arena_free) struct arena *arena = arena_new();
    planned_make(
        &planned,
        "pipeline: {name: p, stages: [a, b]}\na: {foreach: {band-name: [g, r]}, command: [do, \"${each.band-name}\"], "
        "env: {X: \"b-${each.band-name}\"}}\nb: {outputs: {}, parallel: embarassing, size: 3}\n" BACKENDS);
    const struct descpipe_stage *stage = launch(&planned, arena, 1);
    cleanup(text_clear) struct text text = TEXT_INIT;
    joined(stage->command, &text);
    ck_assert_str_eq(text_bytes(&text), "do|r");
    ck_assert_str_eq(stage->member, "r");
    ck_assert_str_eq(value(stage, "DESC_EACH_BAND_NAME"), "r");
    ck_assert_str_eq(value(stage, "X"), "b-r");
    stage = launch(&planned, arena, 4);
    ck_assert_str_eq(value(stage, "DESC_PARALLEL"), "embarassing");
    ck_assert_str_eq(value(stage, "DESC_RANK"), "2");
    ck_assert_str_eq(value(stage, "DESC_SIZE"), "3");
}
END_TEST

START_TEST(ranks_start_inside_on_one_machine)
{
    cleanup(planned_clear) struct planned planned = {0};
    cleanup(arena_free) struct arena *arena = arena_new();
    planned_make(&planned, "pipeline: {name: p, stages: [a, b]}\na: {outputs: {}, parallel: mpi, ppn: 2}\nb: {outputs: "
                           "{}, nodes: 1, ppn: 1}\n" BACKENDS);
    const struct descpipe_stage *stage = launch(&planned, arena, 0);
    cleanup(text_clear) struct text text = TEXT_INIT;
    joined(stage->command, &text);
    ck_assert_str_eq(text_bytes(&text), "mpirun|-n|2|/opt/desc/run.py");
    ck_assert_uint_eq(stage->ranks, DESCPIPE_RANKS_INSIDE);
    ck_assert_str_eq(value(stage, "DESC_PARALLEL"), "mpi");
    ck_assert_str_eq(value(stage, "DESC_SIZE"), "2");
    stage = launch(&planned, arena, 1);
    joined(stage->command, &text);
    ck_assert_str_eq(text_bytes(&text), "/opt/desc/run.py");
    ck_assert_uint_eq(stage->ranks, DESCPIPE_RANKS_NONE);
}
END_TEST

START_TEST(secrets_are_named_and_never_written)
{
    cleanup(memory_free) char *user = temporary_path("config.yaml");
    put_file(user, "secrets: {earthdata: {env: PATH}}\n");
    cleanup(planned_clear) struct planned planned = {.search = {.user_file = user}};
    cleanup(arena_free) struct arena *arena = arena_new();
    planned_make(
        &planned,
        "pipeline: {name: p, stages: [a]}\na: {outputs: {}, env: {TOKEN: {secret: earthdata}, B: c}}\n" BACKENDS);
    const struct descpipe_stage *stage = launch(&planned, arena, 0);
    ck_assert_str_eq(value(stage, "TOKEN"), "(not set)");
    ck_assert_str_eq(value(stage, "B"), "c");
    cleanup(text_clear) struct text text = TEXT_INIT;
    joined(stage->late_names, &text);
    ck_assert_str_eq(text_bytes(&text), "TOKEN");
}
END_TEST

/* The module lies beside the program, and this test program has none: tests/integration sees it mounted. */
START_TEST(says_when_this_installation_lacks_the_module)
{
    cleanup(planned_clear) struct planned planned = {0};
    planned_make(&planned, "pipeline: {name: p, stages: [a]}\na: {outputs: {}, python-module: true}\n" BACKENDS);
    ck_assert_ptr_null(planned.plan);
    ck_assert_int_eq(planned.error.kind, ERROR_SYSTEM);
    ck_assert_msg(text_starts_with(planned.error.message, "the Python module of this installation is missing: '"), "%s",
                  planned.error.message);
    ck_assert_str_eq(planned.error.hint,
                     "install descpipe again, or put the module into the image and remove 'python-module'");
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("launch");
    tcase_add_checked_fixture(cases, temporary_folder_make, temporary_folder_remove);
    tcase_add_test(cases, a_container_has_the_original_projects_folders);
    tcase_add_test(cases, the_bare_machine_has_its_own_paths);
    tcase_add_test(cases, members_know_who_they_are);
    tcase_add_test(cases, ranks_start_inside_on_one_machine);
    tcase_add_test(cases, secrets_are_named_and_never_written);
    tcase_add_test(cases, says_when_this_installation_lacks_the_module);
    return run_case("launch", cases);
}
