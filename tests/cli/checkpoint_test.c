/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `checkpoint`: a stage whose time limit comes is warned, and goes on from what it wrote.
 *
 * The warning comes ten seconds after the start, which a stage needs for its first line alone; all stages of a test
 * wait for it side by side.
 */
#include <check.h>
#include <jansson.h>

#include "base/file.h"
#include "base/path.h"
#include "program.h"
#include "suite.h"

#define RUNTIME                                                                                                        \
    "runtime: {backend: here, working: ./work, output: ./out}\n"                                                       \
    "backends: {here: {scheduler: {use: local, cpus: 8}, runtime: host}}\n"
#define CHAIN(links) "  minutes: 1\n  checkpoint: {files: 'state.*', before: 50s, links: " links "}\n"
/* Begins anew without a checkpoint, and with one is done at once. `count` has a line for each attempt. */
#define LEARNER(name, links)                                                                                           \
    name ":\n  outputs: {" name ": txt}\n" CHAIN(links) "  script: |\n"                                                \
                                                        "    trap 'echo half > state.txt; exit 75' USR1\n"             \
                                                        "    echo attempt >> ../../../../../../../" name ".count\n"    \
                                                        "    if [ -r state.txt ]; then cat state.txt > " name          \
                                                        ".txt; exit 0; fi\n"                                           \
                                                        "    while :; do sleep 1; done\n"
#define FORGETFUL                                                                                                      \
    "forgetful:\n  outputs: {forgetful: txt}\n" CHAIN("5") "  script: |\n"                                             \
                                                           "    trap 'exit 3' USR1\n"                                  \
                                                           "    while :; do sleep 1; done\n"

static const char *verdict_of(const json_t *status, const char *stage, const char *member)
{
    size_t index;
    const json_t *one;
    json_array_foreach(json_object_get(status, "stages"), index, one)
    {
        if (text_equal(json_string_value(json_object_get(one, "name")), stage))
            return json_string_value(json_object_get(one, member));
    }
    return NULL;
}

static void expect_reason(const json_t *status, const char *stage, const char *words)
{
    const char *reason = verdict_of(status, stage, "reason");
    ck_assert_ptr_nonnull(reason);
    ck_assert_msg(strstr(reason, words) != NULL, "%s: %s", stage, reason);
}

static size_t attempts_of(const char *stage)
{
    cleanup(memory_free) char *name = memory_format("%s.count", stage);
    cleanup(memory_free) char *path = path_join(program_folder, name);
    cleanup(text_clear) struct text text = TEXT_INIT;
    size_t lines = 0;
    ck_assert(file_read(path, 10000, &text, NULL));
    for (const char *at = text_bytes(&text); *at != '\0'; at++)
        lines += *at == '\n';
    return lines;
}

START_TEST(a_stage_goes_on_from_what_it_wrote_when_it_was_warned)
{
    program_file(
        "p.yaml", "pipeline: {name: chain, stages: [learner, last, forgetful, after]}\n" RUNTIME LEARNER("learner", "2")
                      LEARNER("last", "1") FORGETFUL
        "after:\n  inputs: {learner: txt}\n  command: [/bin/sh, -c, 'grep half \"$$DESC_INPUT/learner.txt\"']\n");
    cleanup(result_clear) struct result run = program_run("--plugin-dir " PLUGINS " run p.yaml --keep-going");
    ck_assert_msg(run.status == 5, "exit %d:\n%s%s", run.status, text_bytes(&run.out), text_bytes(&run.err));
    cleanup(result_clear) struct result told = program_run("--plugin-dir " PLUGINS " status --json");
    json_t *status = json_loads(text_bytes(&told.out), 0, NULL);
    ck_assert_str_eq(verdict_of(status, "learner", "verdict"), "OK");
    ck_assert_str_eq(verdict_of(status, "after", "verdict"), "OK");
    ck_assert_uint_eq(attempts_of("learner"), 2);
    ck_assert_str_eq(verdict_of(status, "last", "verdict"), "TIMEOUT");
    expect_reason(status, "last", "it left a checkpoint, but was the last of its 1 link");
    ck_assert_uint_eq(attempts_of("last"), 1);
    ck_assert_str_eq(verdict_of(status, "forgetful", "verdict"), "TIMEOUT");
    expect_reason(status, "forgetful",
                  "told by USR1 that its time is nearly up, it ended with exit status 3, and left no new checkpoint "
                  "('state.*')");
    json_decref(status);
    /* What a chain has left is there for whoever goes on with the run. */
    cleanup(result_clear) struct result again = program_run("--plugin-dir " PLUGINS " resume");
    cleanup(result_clear) struct result after = program_run("--plugin-dir " PLUGINS " status --json");
    status = json_loads(text_bytes(&after.out), 0, NULL);
    ck_assert_int_eq(again.status, 5); /* `forgetful` is as it was */
    ck_assert_str_eq(verdict_of(status, "last", "verdict"), "OK");
    ck_assert_uint_eq(attempts_of("last"), 2);
    json_decref(status);
}
END_TEST

START_TEST(the_plan_says_it)
{
    program_file("p.yaml", "pipeline: {name: chain, stages: [learner]}\n" RUNTIME LEARNER("learner", "2"));
    cleanup(result_clear) struct result plan = program_run("--plugin-dir " PLUGINS " plan p.yaml");
    ck_assert_int_eq(plan.status, 0);
    ck_assert_ptr_nonnull(
        strstr(text_bytes(&plan.out),
               "      chain    told by USR1 50.0 s before its limit, goes on from state.*, at most 2 attempts\n"));
    cleanup(result_clear) struct result json = program_run("--plugin-dir " PLUGINS " plan p.yaml --json");
    ck_assert_ptr_nonnull(strstr(text_bytes(&json.out), "\"checkpoint\":{\"files\":[\"state.*\"],\"signal\":\"USR1\","
                                                        "\"before_ms\":50000,\"links\":2}"));
}
END_TEST

/* What cannot be had is said before anything is sent. */
START_TEST(who_cannot_tell_a_stage_is_refused_when_planning)
{
    program_file("p.yaml", "pipeline: {name: chain, stages: [a]}\n"
                           "backends:\n"
                           "  cluster: {scheduler: kubernetes, runtime: docker}\n"
                           "  batch: {scheduler: slurm, runtime: host}\n"
                           "a:\n"
                           "  image: x/y:1\n"
                           "  outputs: {a: txt}\n"
                           "  minutes: 60\n"
                           "  checkpoint: {files: state}\n");
    cleanup(result_clear) struct result refused =
        program_run("--plugin-dir " PLUGINS " check p.yaml --backend cluster");
    ck_assert_int_eq(refused.status, 2);
    ck_assert_ptr_nonnull(strstr(text_bytes(&refused.out),
                                 "p.yaml:9:15: error: stage 'a' has a 'checkpoint'; scheduler "
                                 "'kubernetes' cannot tell a stage that its time is nearly up\n"
                                 "  hint: give it more 'minutes' instead, or run it on a backend "
                                 "with scheduler slurm, local or sequential\n"));
    cleanup(result_clear) struct result detached =
        program_run("--plugin-dir " PLUGINS " check p.yaml --backend batch --detach");
    ck_assert_msg(detached.status == 0, "%s%s", text_bytes(&detached.out), text_bytes(&detached.err));
    ck_assert_ptr_nonnull(
        strstr(text_bytes(&detached.out),
               "p.yaml:9:15: note: stage 'a' does not go on from its checkpoint by itself when the run "
               "is detached\n  hint: 'descpipe resume' goes on from what it wrote\n"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_stage_goes_on_from_what_it_wrote_when_it_was_warned, the_plan_says_it,
                                  who_cannot_tell_a_stage_is_refused_when_planning, NULL};
    return suite_run("checkpoint", tests, program_set_up, program_tear_down);
}
