/* SPDX-License-Identifier: BSD-3-Clause */
/* Runtime `native` before anything runs: what a folder is as an image, and whether bubblewrap works here. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "images.h"

START_TEST(identifies_folders)
{
    begin_as(_i);
    struct descpipe_image image = {
        .size = sizeof image, .source = DESCPIPE_SOURCE_ROOTFS, .reference = "rootfs:x", .path = work};
    struct descpipe_call call = {0};
    fake.runtime->identify(fake.self, &call, &image);
    ck_assert(call.succeeded);
    ck_assert_str_eq(call.identity.handle, work);
    ck_assert_str_eq(call.identity.media_type, "rootfs");
    ck_assert_ptr_null(call.identity.config_digest);
    ck_assert_uint_eq(call.identity.present, 1);
    fake_call_clear(&call);
    image.path = "/not-on-this-machine";
    fake.runtime->identify(fake.self, &call, &image);
    ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_NOT_FOUND);
    ck_assert_str_eq(call.message, "image 'rootfs:x': No such file or directory");
    fake_call_clear(&call);
    image.path = "/bin/busybox";
    fake.runtime->identify(fake.self, &call, &image);
    ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_str_eq(call.message, "image 'rootfs:x' is not a folder");
    fake_call_clear(&call);
    image.source = DESCPIPE_SOURCE_SIF;
    image.reference = "sif:x";
    fake.runtime->identify(fake.self, &call, &image);
    ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_UNSUPPORTED);
    ck_assert_str_eq(call.message, "runtime 'native' cannot use image 'sif:x'");
    fake_call_clear(&call);
    finish();
}
END_TEST

START_TEST(probe_tells_tool_and_version)
{
    begin_as(_i);
    struct descpipe_call call = {0};
    fake.runtime->probe(fake.self, &call);
    ck_assert_int_eq(call.finished, 0);
    fake_host_pump(&fake);
    ck_assert_int_eq(call.finished, 1);
    ck_assert_msg(call.succeeded, "%s", call.message);
    ck_assert_ptr_nonnull(strstr(fake_call_fact(&call, "tool"), "/bwrap"));
    ck_assert_ptr_nonnull(strchr(fake_call_fact(&call, "version"), '.'));
    ck_assert_str_eq(fake_call_fact(&call, "user namespaces"), geteuid() == 0 ? "not needed by root" : "work");
    fake_call_clear(&call);
    finish();
}
END_TEST

/* Opens a second instance whose tool is another program. */
static void probe_with(const char *tool, struct descpipe_call *call)
{
    const struct fake_setting settings[] = {{"tool", tool}, {NULL, NULL}};
    struct fake_host other;
    fake_host_open(&other, "runtime-native.so", fake.host.cache_folder, settings);
    other.runtime->probe(other.self, call);
    fake_host_pump(&other);
    ck_assert_int_eq(call->finished, 1);
    ck_assert(!call->succeeded);
    fake_host_close(&other);
}

START_TEST(probe_says_what_is_wrong)
{
    begin_as(_i);
    struct descpipe_call call = {0};
    probe_with("no-such-bwrap", &call);
    ck_assert_str_eq(call.message, "bubblewrap (bwrap) is not on this machine");
    ck_assert_str_eq(call.hint, "install it (Debian: apt install bubblewrap), or name it with the option 'tool'");
    fake_call_clear(&call);
    char *tool = in_work("fake-bwrap"), expected[4608];
    file_write(work, "fake-bwrap",
               "#!/bin/sh\n[ \"$1\" = --version ] && { echo bubblewrap 9.9; exit 0; }\n"
               "echo 'bwrap: No permissions to create new namespace' >&2; exit 1\n");
    ck_assert_int_eq(chmod(tool, 0755), 0);
    probe_with(tool, &call);
    snprintf(expected, sizeof expected,
             "'%s' cannot make a container here: bwrap: No permissions to create new namespace", tool);
    ck_assert_str_eq(call.message, expected);
    ck_assert_str_eq(fake_call_fact(&call, "version"), "9.9");
    ck_assert_ptr_nonnull(strstr(call.hint, "kernel.unprivileged_userns_clone=1"));
    fake_call_clear(&call);
    file_write(work, "fake-bwrap", "#!/bin/sh\necho broken; exit 3\n");
    probe_with(tool, &call);
    snprintf(expected, sizeof expected, "'%s --version' failed: broken", tool);
    ck_assert_str_eq(call.message, expected);
    fake_call_clear(&call);
    free(tool);
    finish();
}
END_TEST

START_TEST(says_that_there_is_no_folder_for_images)
{
    begin_as(_i);
    struct fake_host other;
    fake_host_open(&other, "runtime-native.so", NULL, NULL);
    struct descpipe_image image = {
        .size = sizeof image, .reference = "oci:x", .path = "/x", .source = DESCPIPE_SOURCE_OCI_LAYOUT};
    struct descpipe_prepare prepare = {.size = sizeof prepare, .image = &image};
    struct descpipe_stage stage = {.size = sizeof stage, .name = "one"};
    for (int operation = 0; operation < 4; operation++) {
        struct descpipe_call call = {0};
        if (operation == 0)
            other.runtime->probe(other.self, &call);
        else if (operation == 1)
            other.runtime->identify(other.self, &call, &image);
        else if (operation == 2)
            other.runtime->prepare(other.self, &call, &prepare);
        else
            other.runtime->launch(other.self, &call, &stage);
        ck_assert_int_eq(call.finished, 1);
        ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_UNSUPPORTED);
        ck_assert_str_eq(call.message, "runtime 'native' has no folder to keep unpacked images in: this account's "
                                       "cache folder cannot be made");
        ck_assert_str_eq(call.hint, "let XDG_CACHE_HOME name a folder that you may write, or name one with the option "
                                    "'store'");
        fake_call_clear(&call);
    }
    fake_host_close(&other);
    finish();
}
END_TEST

START_TEST(a_cancelled_probe_ends)
{
    begin_as(_i);
    struct descpipe_call call = {0};
    fake.runtime->probe(fake.self, &call);
    call.cancel_wished = true;
    call.wish(call.wish_context);
    fake_host_pump(&fake);
    ck_assert_int_eq(call.finished, 1);
    ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_CANCELLED);
    fake_call_clear(&call);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("native probe");
    TCase *cases = tcase_create("probe");
    tcase_set_timeout(cases, 20);
    tcase_add_loop_test(cases, identifies_folders, 0, 2);
    tcase_add_loop_test(cases, probe_tells_tool_and_version, 0, 2);
    tcase_add_loop_test(cases, probe_says_what_is_wrong, 0, 2);
    tcase_add_loop_test(cases, says_that_there_is_no_folder_for_images, 0, 2);
    tcase_add_loop_test(cases, a_cancelled_probe_ends, 0, 2);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
