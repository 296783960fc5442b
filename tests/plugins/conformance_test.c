/* SPDX-License-Identifier: BSD-3-Clause */
/* The conformance kit on good and bad plugins; this program is its own child, as descpipe is. */
#include "workshop.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "plugin/conformance.h"

static char *page_of(const char *path, bool json, bool *good)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct text page = TEXT_INIT;
    bool ran = false;
    struct loop *loop = loop_new(&error);
    ck_assert_ptr_nonnull(loop);
    *good =
        conformance_check(&(struct conformance_request){.loop = loop, .path = path, .json = json}, &page, &ran, &error);
    ck_assert_msg(ran, "%s", error.message);
    loop_free(loop);
    return text_take(&page);
}

static char *page_of_plugin(const char *name, bool json, bool *good)
{
    cleanup(memory_free) char *path = memory_format("%s/%s.so", TEST_PLUGINS, name);
    return page_of(path, json, good);
}

static void expect_line(const char *page, const char *line)
{
    ck_assert_msg(strstr(page, line) != NULL, "'%s' is not in:\n%s", line, page);
}

START_TEST(a_good_plugin_conforms)
{
    bool good = false;
    cleanup(memory_free) char *page = page_of_plugin("runtime-tiny", false, &good);
    ck_assert_msg(good, "%s", page);
    expect_line(page, "\nplugin     runtime/tiny 0.1\n");
    expect_line(page, "\nok       imports nothing forbidden\n");
    expect_line(page, "\nok       launch (nothing is there)\n");
    expect_line(page, "\nok       identify, cancelled at once (nothing answers)\n");
    expect_line(page, "\nskipped  changes (nothing is there): the plugin has no such operation\n");
    expect_line(page, "\nok       closes with calls open\n");
    expect_line(page, " 0 bad,");
}
END_TEST

START_TEST(a_registry_is_driven_as_well)
{
    bool good = false;
    cleanup(memory_free) char *page = page_of_plugin("registry-notary", false, &good);
    ck_assert_msg(good, "%s", page);
    expect_line(page, "\nplugin     registry/notary 0.1\n");
    expect_line(page, "\nok       accepts says the same twice (nothing is there)\n");
    expect_line(page, "\nok       normalize (nothing is there)\n");
    expect_line(page, "\nok       credentials, cancelled at once (everything fails)\n");
    expect_line(page, "\nskipped  ensure_repository (nothing answers): the plugin has no such operation\n");
}
END_TEST

START_TEST(a_scheduler_hears_that_its_stages_have_ended)
{
    bool good = false;
    cleanup(memory_free) char *page = page_of_plugin("scheduler-unruly", false, &good);
    ck_assert(!good); /* it is unruly; it must not bring the kit down */
    expect_line(page, " hears that the stages it started have ended (nothing is there)");
    expect_line(page, "\nok       everything it opened has ended\n");
}
END_TEST

START_TEST(the_page_as_json)
{
    bool good = false;
    cleanup(memory_free) char *page = page_of_plugin("runtime-tiny", true, &good);
    ck_assert(good);
    expect_line(page, "{\"plugin\": \"runtime/tiny 0.1\", ");
    expect_line(page, "{\"name\": \"launch (nothing is there)\", \"verdict\": \"ok\"}");
    expect_line(page, "\"conforms\": true}");
}
END_TEST

/* bad.c: one plugin for each. */
static const struct {
    const char *name, *line;
} bad[] = {
    {"runtime-older", "bad      loads, and its descriptor is in order: "},
    {"runtime-badforbidden", "\nbad      imports nothing forbidden: it calls setenv\n"},
    {"runtime-badcrash", "bad      prepare (nothing is there): the process was ended by signal 9 (Killed)\n"},
    {"runtime-badexit", "bad      prepare (nothing is there): the process ended with status 3"},
    {"runtime-badtwice", "bad      prepare (nothing is there): prepare: said 'identity' after the call's end; dropped"},
    {"runtime-badwrong", "bad      prepare (nothing is there): prepare: answered 'text', which is not an answer to it"},
    {"runtime-badlaunch", "bad      launch (nothing is there): it did not end before the operation returned"},
    {"runtime-baddeaf",
     "bad      prepare (nothing is there): prepare: did not finish within 5000 ms after it was told to cancel"},
};

START_TEST(a_bad_plugin_is_told_what_is_wrong)
{
    bool good = true;
    cleanup(memory_free) char *page = page_of_plugin(bad[_i].name, false, &good);
    ck_assert(!good);
    expect_line(page, bad[_i].line);
}
END_TEST

START_TEST(a_file_with_another_name_is_not_loaded)
{
    bool good = true;
    cleanup(memory_free) char *page = page_of("/nowhere/something.so", false, &good);
    ck_assert(!good);
    expect_line(page, "bad      is named KIND-NAME.so: ");
}
END_TEST

START_TEST(distrust_is_reported_and_does_not_matter)
{
    struct workshop workshop;
    bool good = false;
    workshop_open(&workshop);
    const char *path = workshop_install(&workshop, "runtime-tiny");
    ck_assert_int_eq(chmod(path, 0666), 0);
    cleanup(memory_free) char *page = page_of(path, false, &good);
    ck_assert(good);
    expect_line(page, "\nnote     is trusted where it lies: it is not trusted: everybody may write to '");
    workshop_close(&workshop);
}
END_TEST

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], CONFORMANCE_ARGUMENT) == 0)
        return conformance_child_main(arguments[2]);
    Suite *suite = suite_create("conformance");
    TCase *cases = tcase_create("conformance");
    tcase_set_timeout(cases, 100);
    tcase_add_test(cases, a_good_plugin_conforms);
    tcase_add_test(cases, a_registry_is_driven_as_well);
    tcase_add_test(cases, a_scheduler_hears_that_its_stages_have_ended);
    tcase_add_test(cases, the_page_as_json);
    tcase_add_loop_test(cases, a_bad_plugin_is_told_what_is_wrong, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(cases, a_file_with_another_name_is_not_loaded);
    tcase_add_test(cases, distrust_is_reported_and_does_not_matter);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
