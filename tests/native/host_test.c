/* SPDX-License-Identifier: BSD-3-Clause */
/* Runtime `host`: the stage's own command, and a refusal where a container would be needed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_host.h"

static struct fake_host fake;

static void begin(void)
{
    fake_host_open(&fake, "runtime-host.so", "/tmp", NULL);
}

static void end(void)
{
    fake_host_close(&fake);
}

static const char *const command[] = {"/bin/sh", "-c", "echo $A; pwd", NULL};
static const char *const environment[] = {"A=1", NULL};

static struct descpipe_stage make_stage(void)
{
    return (struct descpipe_stage){.size = sizeof(struct descpipe_stage),
                                   .name = "one",
                                   .command = command,
                                   .environment = environment,
                                   .directory = "/usr"};
}

START_TEST(runs_the_stages_own_command)
{
    static struct fake_run run;
    struct descpipe_stage stage = make_stage();
    struct descpipe_mount same = {
        .size = sizeof same, .flags = DESCPIPE_MOUNT_READ_ONLY, .source = "/usr", .target = "/usr"};
    const struct descpipe_mount *const mounts[] = {&same, NULL};
    stage.mounts = mounts;
    struct descpipe_call call = {0};
    fake.runtime->launch(fake.self, &call, &stage);
    ck_assert_int_eq(call.finished, 1);
    ck_assert(call.succeeded);
    ck_assert_str_eq(call.late_prefix, "");
    fake_run(&run, call.argv, call.environment, call.directory);
    ck_assert_str_eq(run.output, "1\n/usr\n");
    fake_call_clear(&call);
}
END_TEST

START_TEST(refuses_what_needs_a_container)
{
    struct descpipe_stage stage = make_stage();
    struct descpipe_mount elsewhere = {.size = sizeof elsewhere, .source = "/usr", .target = "/opt/input"};
    struct descpipe_mount scratch = {.size = sizeof scratch, .flags = DESCPIPE_MOUNT_SCRATCH, .target = "/scratch"};
    const struct descpipe_mount *const mounts[2][2] = {{&elsewhere, NULL}, {&scratch, NULL}};
    static const char *const messages[] = {
        "stage 'one' needs a mount at '/opt/input', and without a container there are none",
        "stage 'one' needs a mount at '/scratch', and without a container there are none",
        "stage 'one' must not reach the network, and runtime 'host' cannot take it away"};
    for (size_t i = 0; i < 3; i++) {
        struct descpipe_call call = {0};
        stage.mounts = i < 2 ? mounts[i] : NULL;
        stage.flags = i < 2 ? 0 : DESCPIPE_STAGE_NO_NETWORK;
        fake.runtime->launch(fake.self, &call, &stage);
        ck_assert_int_eq(call.finished, 1);
        ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_UNSUPPORTED);
        ck_assert_str_eq(call.message, messages[i]);
        ck_assert_str_eq(call.hint, "choose a runtime with containers, e.g. native");
        fake_call_clear(&call);
    }
}
END_TEST

START_TEST(says_that_no_image_is_used)
{
    struct descpipe_image image = {
        .size = sizeof image, .source = DESCPIPE_SOURCE_REGISTRY, .reference = "owner/name:1.0"};
    struct descpipe_call call = {0};
    fake.runtime->identify(fake.self, &call, &image);
    ck_assert(call.succeeded && call.has_identity);
    ck_assert_uint_eq(call.identity.present, 1);
    ck_assert_ptr_null(call.identity.handle);
    ck_assert_ptr_null(call.identity.config_digest);
    ck_assert_str_eq(fake.last_log, "no image is used: runtime 'host' runs stages without 'owner/name:1.0'");
    fake_call_clear(&call);
    struct descpipe_prepare prepare = {.size = sizeof prepare, .image = &image};
    fake.runtime->prepare(fake.self, &call, &prepare);
    ck_assert(call.succeeded && call.has_identity);
    fake_call_clear(&call);
}
END_TEST

START_TEST(does_not_claim_what_it_lacks)
{
    ck_assert_uint_eq(fake.runtime->capabilities,
                      DESCPIPE_RUNTIME_GPUS | DESCPIPE_RUNTIME_CALLER_UID | DESCPIPE_RUNTIME_RANKS_OUTSIDE);
    ck_assert_uint_eq(fake.runtime->forms(fake.self), DESCPIPE_FORM_COMMAND);
    struct descpipe_call call = {0};
    fake.runtime->probe(fake.self, &call);
    ck_assert(call.succeeded);
    ck_assert_str_eq(fake_call_fact(&call, "container"), "none: stages run as ordinary processes of this machine");
    fake_call_clear(&call);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("host");
    TCase *cases = tcase_create("host");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, runs_the_stages_own_command);
    tcase_add_test(cases, refuses_what_needs_a_container);
    tcase_add_test(cases, says_that_no_image_is_used);
    tcase_add_test(cases, does_not_claim_what_it_lacks);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
