/* SPDX-License-Identifier: BSD-3-Clause */
/* Every way in which a plugin is refused, with the exact words, through the real loader. */
#include "workshop.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "plugin/abi.h"

static struct workshop workshop;

static void set_up(void)
{
    workshop_open(&workshop);
}

static void tear_down(void)
{
    workshop_close(&workshop);
}

static void expect_refusal(const char *name, const char *message, const char *hint)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct plugin_instance *instance = plugin_open(workshop.host, "runtime", name, NULL, &error);
    ck_assert_ptr_null(instance);
    ck_assert_int_eq(error.kind, ERROR_PLUGIN);
    workshop_expect(&workshop, message, error.message);
    workshop_expect(&workshop, hint, error.hint);
}

START_TEST(loads_opens_and_closes_a_good_plugin)
{
    const char *path = workshop_install(&workshop, "runtime-tiny");
    workshop_start(&workshop);
    struct plugin_instance *one = workshop_instance(&workshop, "runtime", "tiny");
    struct plugin_instance *two = workshop_instance(&workshop, "runtime", "tiny");
    ck_assert_str_eq(plugin_instance_path(one), path);
    char sha256[DIGEST_TEXT];
    ck_assert(digest_of_file(path, sha256, NULL));
    ck_assert_str_eq(plugin_instance_sha256(one), sha256);
    ck_assert_str_eq(plugin_instance_descriptor(one)->name, "tiny");
    ck_assert_ptr_eq(plugin_instance_descriptor(one), plugin_instance_descriptor(two));
    ck_assert_uint_eq(plugin_runtime_forms(one), DESCPIPE_FORM_COMMAND);
    ck_assert_ptr_nonnull(plugin_runtime(one));
    ck_assert_ptr_null(plugin_scheduler(one));
    plugin_close(one);
    ck_assert_uint_eq(plugin_runtime_forms(two), DESCPIPE_FORM_COMMAND);
    plugin_close(two);
}
END_TEST

/* Variants of tiny.c. S stands for the size that the headers give. */
static const struct {
    const char *name, *message, *hint;
} refusals[] = {
    {"noentry", "it does not export descpipe_plugin_v1",
     "is it a descpipe plugin? Its entry function needs DESCPIPE_EXPORT"},
    {"second", "it is for plugin interface 2 (it exports descpipe_plugin_v2 only)",
     "use a newer descpipe, or the plugin's release for interface 1"},
    {"nodescriptor", "its entry function returned nothing", "return the address of a constant struct descpipe_plugin"},
    {"newer", "it needs plugin interface 0.9, this descpipe has 0.3",
     "use a newer descpipe, or an older release of the plugin"},
    {"older", "it was built for plugin interface 0.0, this descpipe has 0.3 (before 1.0 both must be the same)",
     "rebuild it with the headers of this descpipe"},
    {"major", "it was built for plugin interface 7.3, this descpipe has 0.3",
     "use a newer descpipe, or the plugin's release for interface 0"},
    {"shorttable", "its runtime table has 48 bytes, plugin interface 0.3 has at least S",
     "set .size to sizeof the struct, and build with the released headers"},
    {"shortdescriptor", "its descriptor has 40 bytes, plugin interface 0.3 has at least S",
     "set .size to sizeof the struct, and build with the released headers"},
    {"othername", "it says that it is runtime/tiny, but its file name says runtime/othername",
     "name the file 'runtime-tiny.so'"},
    {"otherkind", "it says that it is scheduler/otherkind, but its file name says runtime/otherkind",
     "name the file 'scheduler-otherkind.so'"},
    {"nolaunch", "its runtime table lacks the required operation 'launch'",
     "implement it; what cannot be done fails its call with UNSUPPORTED"},
    {"twice", "its option table is bad: option 'first' is there twice",
     "see the option table's rules in the author's guide"},
    {"badkey",
     "its option table is bad: option 'Bad_Key' has a bad key: lower case letters, digits and '-', beginning with a "
     "letter",
     "see the option table's rules in the author's guide"},
    {"openfails", "it cannot be opened: the tool 'x' is missing",
     "'descpipe plugins show runtime/openfails' lists its options"},
    {"noform", "it offers no launch form as configured", "(null)"},
    {"managed", "it offers MANAGED but has no operation 'start'", "(null)"},
    {"undefined", "cannot open it: undefined symbol: descpipe_test_nowhere",
     "build it with -Wl,-z,defs to find what is missing"},
    {"dependent", "cannot open it: libdescpipe-test-gone.so: cannot open shared object file: No such file or directory",
     "install the library that it needs; 'ldd FOLDER/plugins/runtime-dependent.so' lists them"},
    {"runpath",
     "its library search path has the untrusted folder '/tmp/descpipe-test-nowhere': everybody may write to '/tmp' "
     "(mode 1777)",
     "build it without a RUNPATH, or with folders that only you or root can write to"},
    {"rpath", "its library search path has the entry 'lib', which is not an absolute folder",
     "build it without a RUNPATH, or with $ORIGIN"},
};

static size_t size_of(const char *name)
{
    return strcmp(name, "shorttable") == 0 ? ABI_SIZE_RUNTIME : ABI_SIZE_PLUGIN;
}

START_TEST(refuses_with_path_reason_and_remedy)
{
    const char *name = refusals[_i].name, *message = refusals[_i].message;
    cleanup(memory_free) char *file = memory_format("runtime-%s", name);
    workshop_install(&workshop, file);
    workshop_start(&workshop);
    size_t length = strlen(message);
    bool has_size = text_ends_with(message, "least S");
    cleanup(memory_free) char *size = memory_format("%zu", size_of(name));
    cleanup(memory_free) char *expected = memory_format("'FOLDER/plugins/runtime-%s.so' is not used: %.*s%s", name,
                                                        (int)(length - has_size), message, has_size ? size : "");
    expect_refusal(name, expected, refusals[_i].hint);
}
END_TEST

START_TEST(loads_a_plugin_with_origin_in_its_search_path)
{
    workshop_install(&workshop, "runtime-origin");
    workshop_start(&workshop);
    cleanup(error_clear) struct error error = ERROR_INIT;
    /* The file says 'tiny' inside: the search path was fine, the name is not. */
    ck_assert_ptr_null(plugin_open(workshop.host, "runtime", "origin", NULL, &error));
    workshop_expect(
        &workshop,
        "'FOLDER/plugins/runtime-origin.so' is not used: it says that it is runtime/tiny, but its file name "
        "says runtime/origin",
        error.message);
}
END_TEST

START_TEST(refuses_what_is_not_a_shared_object)
{
    static const struct {
        const char *bytes, *reason;
    } cases[] = {
        {"", "it is empty"},
        {"#!/bin/sh\n", "it is not an ELF file"},
        {"This is a text that is longer than the header of an ELF file, which has 64 bytes.", "it is not an ELF file"},
    };
    cleanup(memory_free) char *path = path_join(workshop.plugins, "runtime-text.so");
    ck_assert(file_write(path, cases[_i].bytes, strlen(cases[_i].bytes), 0644, NULL));
    workshop_start(&workshop);
    cleanup(memory_free) char *expected =
        memory_format("'FOLDER/plugins/runtime-text.so' is not used: %s", cases[_i].reason);
    expect_refusal("text", expected, "build or install it again for this machine");
}
END_TEST

START_TEST(refuses_a_truncated_plugin)
{
    workshop_install_cut(&workshop, "runtime-tiny", "runtime-cut", 2000);
    workshop_start(&workshop);
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_ptr_null(plugin_open(workshop.host, "runtime", "cut", NULL, &error));
    workshop_expect(&workshop,
                    "'FOLDER/plugins/runtime-cut.so' is not used: its ELF structure is damaged (dynamic section)",
                    error.message);
    ck_assert_str_eq(error.hint, "build or install it again for this machine");
}
END_TEST

START_TEST(refuses_a_file_that_group_or_others_may_write)
{
    const char *path = workshop_install(&workshop, "runtime-tiny");
    ck_assert_int_eq(chmod(path, 0646), 0);
    workshop_start(&workshop);
    expect_refusal("tiny",
                   "'FOLDER/plugins/runtime-tiny.so' is not used: it is not trusted: everybody may write to "
                   "'FOLDER/plugins/runtime-tiny.so' (mode 0646)",
                   "chmod o-w 'FOLDER/plugins/runtime-tiny.so', or install the plugin elsewhere");
}
END_TEST

START_TEST(refuses_a_plugin_in_a_folder_that_everybody_may_write)
{
    workshop_install(&workshop, "runtime-tiny");
    ck_assert_int_eq(chmod(workshop.plugins, 0757), 0);
    workshop_start(&workshop);
    expect_refusal("tiny",
                   "'FOLDER/plugins/runtime-tiny.so' is not used: it is not trusted: everybody may write to "
                   "'FOLDER/plugins' (mode 0757)",
                   "chmod o-w 'FOLDER/plugins', or install the plugin elsewhere");
}
END_TEST

START_TEST(judges_the_real_path_behind_a_link)
{
    workshop_install(&workshop, "runtime-tiny");
    cleanup(memory_free) char *hidden = path_join(workshop.folder, "hidden");
    cleanup(memory_free) char *real = path_join(hidden, "runtime-tiny.so");
    cleanup(memory_free) char *link = path_join(workshop.plugins, "runtime-tiny.so");
    ck_assert(folder_make(hidden, 0755, NULL));
    ck_assert_int_eq(rename(link, real), 0);
    ck_assert_int_eq(symlink(real, link), 0);
    ck_assert_int_eq(chmod(hidden, 0757), 0);
    workshop_start(&workshop);
    expect_refusal("tiny",
                   "'FOLDER/hidden/runtime-tiny.so' is not used: it is not trusted: everybody may write to "
                   "'FOLDER/hidden' (mode 0757)",
                   "chmod o-w 'FOLDER/hidden', or install the plugin elsewhere");
    ck_assert_int_eq(chmod(hidden, 0755), 0);
    struct plugin_instance *instance = workshop_instance(&workshop, "runtime", "tiny");
    ck_assert_str_eq(plugin_instance_path(instance), real);
}
END_TEST

START_TEST(refuses_a_link_that_leads_nowhere)
{
    cleanup(memory_free) char *link = path_join(workshop.plugins, "runtime-lost.so");
    ck_assert_int_eq(symlink("/nowhere/at/all.so", link), 0);
    workshop_start(&workshop);
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_ptr_null(plugin_open(workshop.host, "runtime", "lost", NULL, &error));
    ck_assert_int_eq(error.kind, ERROR_PLUGIN);
    ck_assert(text_starts_with(error.message, "'"));
    ck_assert_ptr_nonnull(strstr(error.message, "/plugins/runtime-lost.so' is not used: "));
    ck_assert_ptr_nonnull(strstr(error.message, "No such file or directory"));
    ck_assert_str_eq(error.hint, "is the link broken?");
}
END_TEST

START_TEST(refuses_what_the_site_disabled)
{
    workshop_install(&workshop, "runtime-tiny");
    workshop_policy(&workshop, "plugins:\n  runtime/tiny: {enabled: false, reason: use shifter here}\n");
    workshop_start(&workshop);
    expect_refusal("tiny",
                   "'FOLDER/plugins/runtime-tiny.so' is not used: this site has disabled runtime/tiny: use shifter "
                   "here (/etc/site.yaml:2)",
                   "name another runtime");
}
END_TEST

START_TEST(refuses_what_is_not_on_the_allow_list)
{
    workshop_install(&workshop, "runtime-tiny");
    workshop_policy(&workshop, "# words\nallow: [runtime/docker, 'scheduler/*']\n");
    workshop_start(&workshop);
    expect_refusal("tiny",
                   "'FOLDER/plugins/runtime-tiny.so' is not used: runtime/tiny is not on this site's allow list "
                   "(/etc/site.yaml:2)",
                   "name another runtime, or ask the site");
}
END_TEST

START_TEST(refuses_a_file_whose_digest_is_not_the_pinned_one)
{
    const char *path = workshop_install(&workshop, "runtime-tiny");
    char sha256[DIGEST_TEXT];
    ck_assert(digest_of_file(path, sha256, NULL));
    cleanup(memory_free) char *policy =
        memory_format("plugins:\n  runtime/tiny:\n    path: %s\n    sha256: "
                      "0000000000000000000000000000000000000000000000000000000000000000\n",
                      path);
    workshop_policy(&workshop, policy);
    workshop_start(&workshop);
    cleanup(memory_free) char *expected = memory_format(
        "'FOLDER/plugins/runtime-tiny.so' is not used: this site pins its sha256 as "
        "0000000000000000000000000000000000000000000000000000000000000000, the file's is %s (/etc/site.yaml:2)",
        sha256);
    expect_refusal("tiny", expected, "ask the site: either the file or the pin is out of date");
}
END_TEST

START_TEST(loads_a_file_whose_digest_is_the_pinned_one)
{
    const char *path = workshop_install(&workshop, "runtime-tiny");
    char sha256[DIGEST_TEXT];
    ck_assert(digest_of_file(path, sha256, NULL));
    cleanup(memory_free) char *policy = memory_format("plugins:\n  runtime/tiny: {sha256: \"%s\"}\n", sha256);
    workshop_policy(&workshop, policy);
    workshop_start(&workshop);
    plugin_close(workshop_instance(&workshop, "runtime", "tiny"));
}
END_TEST

START_TEST(never_falls_through_a_pin_to_another_candidate)
{
    workshop_install(&workshop, "runtime-tiny");
    workshop_policy(&workshop, "plugins:\n  runtime/tiny: {path: /nowhere/runtime-tiny.so}\n");
    workshop_start(&workshop);
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_ptr_null(plugin_open(workshop.host, "runtime", "tiny", NULL, &error));
    ck_assert(text_starts_with(error.message, "'/nowhere/runtime-tiny.so' is not used: "));
    ck_assert_str_eq(error.hint, "ask the site: its policy names this file");
    ck_assert_str_eq(error.file, "/etc/site.yaml");
    ck_assert_uint_eq(error.line, 2);
}
END_TEST

START_TEST(a_name_that_is_not_there_gets_the_nearest)
{
    workshop_install(&workshop, "runtime-tiny");
    workshop_start(&workshop);
    expect_refusal("tinny",
                   "there is no plugin runtime/tinny: looked for 'runtime-tinny.so' in 'FOLDER/plugins', "
                   "'FOLDER/system'",
                   "did you mean 'tiny'?");
}
END_TEST

START_TEST(gives_the_descriptor_without_opening)
{
    workshop_install(&workshop, "runtime-openfails");
    workshop_start(&workshop);
    const struct descpipe_plugin *plugin = plugin_descriptor(workshop.host, "runtime", "openfails", NULL);
    ck_assert_ptr_nonnull(plugin);
    ck_assert_str_eq(plugin->options[0]->key, "first");
}
END_TEST

START_TEST(makes_the_cache_folder_private)
{
    workshop_install(&workshop, "runtime-tiny");
    workshop_start(&workshop);
    struct plugin_instance *instance = workshop_instance(&workshop, "runtime", "tiny");
    workshop_expect(&workshop, "FOLDER/descpipe/runtime-tiny", instance->table.cache_folder);
    struct stat status;
    ck_assert_int_eq(stat(instance->table.cache_folder, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777u, 0700);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader");
    TCase *cases = tcase_create("loader");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, loads_opens_and_closes_a_good_plugin);
    tcase_add_loop_test(cases, refuses_with_path_reason_and_remedy, 0, sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(cases, loads_a_plugin_with_origin_in_its_search_path);
    tcase_add_loop_test(cases, refuses_what_is_not_a_shared_object, 0, 3);
    tcase_add_test(cases, refuses_a_truncated_plugin);
    tcase_add_test(cases, refuses_a_file_that_group_or_others_may_write);
    tcase_add_test(cases, refuses_a_plugin_in_a_folder_that_everybody_may_write);
    tcase_add_test(cases, judges_the_real_path_behind_a_link);
    tcase_add_test(cases, refuses_a_link_that_leads_nowhere);
    tcase_add_test(cases, refuses_what_the_site_disabled);
    tcase_add_test(cases, refuses_what_is_not_on_the_allow_list);
    tcase_add_test(cases, refuses_a_file_whose_digest_is_not_the_pinned_one);
    tcase_add_test(cases, loads_a_file_whose_digest_is_the_pinned_one);
    tcase_add_test(cases, never_falls_through_a_pin_to_another_candidate);
    tcase_add_test(cases, a_name_that_is_not_there_gets_the_nearest);
    tcase_add_test(cases, gives_the_descriptor_without_opening);
    tcase_add_test(cases, makes_the_cache_folder_private);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
