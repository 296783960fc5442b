/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding plugins by file name alone: the files here are empty, so opening one would fail. */
#include "plugin/catalogue.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"

static char *folder, *option, *environment, *home, *user, *system_folder;
static struct policy *policy;

static void set_up(void)
{
    const char *temporary = secure_getenv("TMPDIR");
    folder = memory_format("%s/descpipe-catalogue-XXXXXX", temporary ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    option = path_join(folder, "option");
    environment = path_join(folder, "environment");
    home = path_join(folder, "home");
    user = path_join(home, ".local/lib/descpipe/abi-1");
    system_folder = path_join(folder, "system");
    const char *const folders[] = {option, environment, user, system_folder};
    for (size_t i = 0; i < 4; i++)
        ck_assert(folder_make(folders[i], 0755, NULL));
    policy = policy_new();
}

static void tear_down(void)
{
    ck_assert(folder_remove(folder, NULL));
    char *const texts[] = {folder, option, environment, home, user, system_folder};
    for (size_t i = 0; i < 6; i++)
        memory_free(texts[i]);
    policy_free(policy);
}

static void put(const char *where, const char *name)
{
    cleanup(memory_free) char *path = path_join(where, name);
    ck_assert(file_write(path, "", 0, 0644, NULL));
}

static void say(const char *text)
{
    cleanup(problems_clear) struct problems problems = {0};
    ck_assert(policy_parse(policy, text, strlen(text), "/etc/p.yaml", &problems));
}

static struct plugin_catalogue *look(struct error *error)
{
    const char *folders[] = {option, NULL};
    struct plugin_search search = {
        .plugin_dirs = folders, .environment = environment, .home = home, .system_folder = system_folder};
    return plugin_catalogue_new(&search, policy, error);
}

START_TEST(earlier_places_shadow_later_ones)
{
    put(system_folder, "runtime-a.so");
    put(user, "runtime-a.so");
    put(environment, "runtime-a.so");
    put(option, "runtime-a.so");
    put(system_folder, "registry-b.so");
    say("plugins: {runtime/a: {path: /opt/runtime-a.so}}\n");
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = look(NULL);
    size_t count = 0;
    const struct plugin_entry *const *entries = plugin_catalogue_entries(catalogue, &count);
    static const char *const sources[] = {"system", "site policy", "--plugin-dir", "DESCPIPE_PLUGIN_PATH",
                                          "user",   "system"};
    ck_assert_uint_eq(count, 6);
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(plugin_source_name(entries[i]->source), sources[i]);
        ck_assert_int_eq(entries[i]->shadowed, i > 1);
        ck_assert_str_eq(entries[i]->kind, i == 0 ? "registry" : "runtime");
    }
    ck_assert_str_eq(plugin_catalogue_find(catalogue, "runtime", "a", NULL)->path, "/opt/runtime-a.so");
}
END_TEST

START_TEST(other_files_are_not_plugins)
{
    static const char *const names[] = {"runtime-.so",  "runtime-A.so",  "engine-x.so",       "runtime-x.so.1",
                                        "runtime-x.la", "libruntime.so", "runtime-x y.so",    "-x.so",
                                        "runtime_x.so", "runtime-1x.so", ".runtime-x.so.swp", "runtime-x.SO"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        put(option, names[i]);
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = look(NULL);
    size_t count = 0;
    plugin_catalogue_entries(catalogue, &count);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(a_name_may_hold_dashes_and_digits)
{
    put(option, "runtime-my-tool-2.so");
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = look(NULL);
    ck_assert_ptr_nonnull(plugin_catalogue_find(catalogue, "runtime", "my-tool-2", NULL));
}
END_TEST

START_TEST(missing_places_are_fine_unless_asked_for)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert(folder_remove(environment, NULL));
    ck_assert(folder_remove(home, NULL));
    ck_assert(folder_remove(system_folder, NULL));
    plugin_catalogue_free(look(&error));
    ck_assert_ptr_null(error.message);
    ck_assert(folder_remove(option, NULL));
    ck_assert_ptr_null(look(&error));
    cleanup(memory_free) char *expected =
        memory_format("cannot look for plugins in '%s' (--plugin-dir): No such file or directory", option);
    ck_assert_str_eq(error.message, expected);
}
END_TEST

/* A name that is too long is what even root cannot open. */
START_TEST(places_that_cannot_be_read_are_warned_of_unless_asked_for)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cleanup(memory_free) char *bad = path_join(folder, name), *log = path_join(folder, "log");
    cleanup(memory_free) char *environment_list = memory_format("%s:%s:%s", bad, environment, bad);
    put(environment, "runtime-there.so");
    struct plugin_search search = {.environment = environment_list, .system_folder = system_folder};
    int descriptor = open(log, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    log_to(descriptor);
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = plugin_catalogue_new(&search, policy, &error);
    log_to(STDERR_FILENO);
    close(descriptor);
    ck_assert_ptr_nonnull(catalogue);
    ck_assert_ptr_nonnull(plugin_catalogue_find(catalogue, "runtime", "there", NULL));
    cleanup(text_clear) struct text said = TEXT_INIT;
    ck_assert(file_read(log, 4096, &said, NULL));
    cleanup(memory_free) char *expected = memory_format(
        "descpipe: warning: cannot look for plugins in '%s' (DESCPIPE_PLUGIN_PATH): File name too long\n", bad);
    ck_assert_str_eq(text_bytes(&said), expected);
    const char *folders[] = {bad, NULL};
    search = (struct plugin_search){.plugin_dirs = folders, .system_folder = system_folder};
    ck_assert_ptr_null(plugin_catalogue_new(&search, policy, &error));
    ck_assert_int_eq(error.kind, ERROR_SYSTEM);
}
END_TEST

START_TEST(a_relative_entry_of_the_environment_is_an_error)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct plugin_search search = {.environment = "/nowhere::plugins", .system_folder = system_folder};
    ck_assert_ptr_null(plugin_catalogue_new(&search, policy, &error));
    ck_assert_str_eq(error.message, "DESCPIPE_PLUGIN_PATH: 'plugins' is not an absolute path");
}
END_TEST

START_TEST(users_places_that_are_asked_for_are_refused_by_the_site)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const char *folders[] = {option, NULL};
    say("user-plugins: false\n");
    struct plugin_search search = {.system_folder = system_folder};
    if (_i)
        search.environment = environment;
    else
        search.plugin_dirs = folders;
    ck_assert_ptr_null(plugin_catalogue_new(&search, policy, &error));
    ck_assert_int_eq(error.kind, ERROR_PLUGIN);
    ck_assert_str_eq(error.message,
                     _i ? "DESCPIPE_PLUGIN_PATH: this site does not allow plugins of users (/etc/p.yaml:1)"
                        : "--plugin-dir: this site does not allow plugins of users (/etc/p.yaml:1)");
    ck_assert_str_eq(error.hint, "leave it out, or ask the site to install the plugin");
}
END_TEST

START_TEST(plugins_at_home_are_left_out_and_named_when_missed)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    say("user-plugins: false\n");
    put(user, "runtime-a.so");
    put(user, "runtime-b.so");
    put(system_folder, "runtime-b.so");
    struct plugin_search search = {.home = home, .system_folder = system_folder};
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = plugin_catalogue_new(&search, policy, &error);
    ck_assert_int_eq(plugin_catalogue_find(catalogue, "runtime", "b", NULL)->source, PLUGIN_FROM_SYSTEM);
    ck_assert_ptr_null(plugin_catalogue_find(catalogue, "runtime", "a", &error));
    cleanup(memory_free) char *expected =
        memory_format("'%s/runtime-a.so' is not used: this site does not allow plugins of users (/etc/p.yaml:1)", user);
    ck_assert_str_eq(error.message, expected);
    ck_assert_str_eq(error.hint, "ask the site to install runtime/a");
}
END_TEST

START_TEST(nothing_of_a_kind_is_told)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct plugin_search search = {.system_folder = system_folder};
    cleanup(plugin_catalogue_free) struct plugin_catalogue *catalogue = plugin_catalogue_new(&search, policy, &error);
    ck_assert_ptr_null(plugin_catalogue_find(catalogue, "scheduler", "slurm", &error));
    cleanup(memory_free) char *expected =
        memory_format("there is no plugin scheduler/slurm: looked for 'scheduler-slurm.so' in '%s'", system_folder);
    ck_assert_str_eq(error.message, expected);
    ck_assert_str_eq(error.hint, "there is no scheduler at all here: is descpipe installed completely?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalogue");
    TCase *cases = tcase_create("catalogue");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, earlier_places_shadow_later_ones);
    tcase_add_test(cases, other_files_are_not_plugins);
    tcase_add_test(cases, a_name_may_hold_dashes_and_digits);
    tcase_add_test(cases, missing_places_are_fine_unless_asked_for);
    tcase_add_test(cases, places_that_cannot_be_read_are_warned_of_unless_asked_for);
    tcase_add_test(cases, a_relative_entry_of_the_environment_is_an_error);
    tcase_add_loop_test(cases, users_places_that_are_asked_for_are_refused_by_the_site, 0, 2);
    tcase_add_test(cases, plugins_at_home_are_left_out_and_named_when_missed);
    tcase_add_test(cases, nothing_of_a_kind_is_told);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
