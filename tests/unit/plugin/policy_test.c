/* SPDX-License-Identifier: BSD-3-Clause */
/* The site's policy: what is read, and every way in which a file is wrong. */
#include "plugin/policy.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"

static struct policy *parse(const char *text, struct text *problems_text)
{
    struct policy *policy = policy_new();
    cleanup(problems_clear) struct problems problems = {0};
    bool good = policy_parse(policy, text, strlen(text), "p.yaml", &problems);
    ck_assert_int_eq(good, problems.errors == 0);
    problems_sort(&problems);
    if (problems_text)
        problems_print(&problems, problems_text);
    return policy;
}

START_TEST(reads_every_key)
{
    cleanup(policy_free) struct policy *policy =
        parse("plugins:\n"
              "  runtime/docker: {enabled: false, reason: use shifter here}\n"
              "  scheduler/slurm:\n"
              "    path: /opt/site/scheduler-slurm.so\n"
              "    sha256: \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n"
              "allow: ['runtime/*', scheduler/slurm]\n"
              "user-plugins: false\n"
              "trusted-directories: [/nowhere/../elsewhere, /]\n",
              NULL);
    ck_assert_uint_eq(policy->plugins.count, 2);
    const struct policy_plugin *docker = policy_plugin_find(policy, "runtime/docker");
    ck_assert(docker->disabled);
    ck_assert_str_eq(docker->reason, "use shifter here");
    ck_assert_str_eq(docker->file, "p.yaml");
    ck_assert_uint_eq(docker->line, 2);
    const struct policy_plugin *slurm = policy_plugin_find(policy, "scheduler/slurm");
    ck_assert(!slurm->disabled);
    ck_assert_str_eq(slurm->path, "/opt/site/scheduler-slurm.so");
    ck_assert_str_eq(slurm->sha256, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    ck_assert_ptr_null(policy_plugin_find(policy, "runtime/native"));
    ck_assert(!policy->user_plugins);
    ck_assert_uint_eq(policy->user_plugins_line, 7);
    ck_assert_uint_eq(policy->allow_line, 6);
    ck_assert_str_eq(policy->trusted_directories.items[0], "/elsewhere");
    ck_assert_str_eq(policy->trusted_directories.items[1], "/");
}
END_TEST

START_TEST(an_empty_policy_allows_everything)
{
    cleanup(policy_free) struct policy *policy = parse("", NULL);
    ck_assert(policy->user_plugins);
    ck_assert(policy_allows(policy, "runtime/anything"));
}
END_TEST

static const struct {
    const char *pattern, *identity;
    bool allowed;
} patterns[] = {
    {"runtime/docker", "runtime/docker", true}, {"runtime/docker", "runtime/dockers", false},
    {"runtime/*", "runtime/docker", true},      {"runtime/*", "registry/docker", false},
    {"runtime/n*", "runtime/native", true},     {"runtime/n*", "runtime/docker", false},
    {"*/docker", "runtime/docker", true},       {"*", "scheduler/slurm", true},
    {"scheduler/*l*", "scheduler/local", true},
};

START_TEST(allow_takes_patterns)
{
    cleanup(memory_free) char *text = memory_format("allow: ['%s']\n", patterns[_i].pattern);
    cleanup(policy_free) struct policy *policy = parse(text, NULL);
    ck_assert_int_eq(policy_allows(policy, patterns[_i].identity), patterns[_i].allowed);
}
END_TEST

static const struct {
    const char *text, *problems;
} wrong[] = {
    {"plugin: {}\n", "p.yaml:1:1: error: unknown key 'plugin' in the policy\n  hint: did you mean 'plugins'?\n"},
    {"plugins: []\n", "p.yaml:1:10: error: 'plugins' must be a mapping\n"},
    {"plugins: {docker: {}}\n", "p.yaml:1:11: error: 'docker' is not the name of a plugin\n"
                                "  hint: for example runtime/docker or scheduler/slurm\n"},
    {"plugins: {runtime/Docker: {}}\n", "p.yaml:1:11: error: 'runtime/Docker' is not the name of a plugin\n"
                                        "  hint: for example runtime/docker or scheduler/slurm\n"},
    {"plugins: {runtime/x: yes}\n", "p.yaml:1:22: error: a plugin's policy must be a mapping\n"},
    {"plugins: {runtime/x: {pth: /x}}\n",
     "p.yaml:1:23: error: unknown key 'pth' in a plugin's policy\n  hint: did you mean 'path'?\n"},
    {"plugins: {runtime/x: {path: x.so}}\n", "p.yaml:1:29: error: 'path' must be an absolute path, not 'x.so'\n"},
    {"plugins: {runtime/x: {sha256: abc}}\n",
     "p.yaml:1:31: error: 'sha256' must be 64 lower-case hexadecimal digits\n  hint: sha256sum FILE prints it\n"},
    {"allow: runtime/x\n", "p.yaml:1:8: error: 'allow' must be a list\n"},
    {"allow: []\n", "p.yaml:1:8: error: 'allow' is empty: nothing could be used\n"
                    "  hint: leave the key out to allow every plugin\n"},
    {"allow: [docker]\n", "p.yaml:1:9: error: 'docker' is not the name of a plugin\n"
                          "  hint: for example runtime/* or scheduler/slurm\n"},
    {"allow: [engine/x]\n", "p.yaml:1:9: error: 'engine/x' is not the name of a plugin\n"
                            "  hint: for example runtime/* or scheduler/slurm\n"},
    {"trusted-directories: [opt]\n",
     "p.yaml:1:23: error: an entry of 'trusted-directories' must be an absolute path, not 'opt'\n"},
    {"trusted-directories: /opt\n", "p.yaml:1:22: error: 'trusted-directories' must be a list\n"},
};

START_TEST(a_wrong_file_is_told_with_its_place)
{
    cleanup(text_clear) struct text problems = TEXT_INIT;
    policy_free(parse(wrong[_i].text, &problems));
    ck_assert_str_eq(text_bytes(&problems), wrong[_i].problems);
}
END_TEST

/* Words of config/document; only that they are errors is ours. */
START_TEST(wrong_types_and_broken_yaml_are_errors)
{
    static const char *const texts[] = {"user-plugins: 5\n",
                                        "plugins: {runtime/x: {enabled: no-idea}}\n",
                                        "plugins: {runtime/x: {reason: [a]}}\n",
                                        "plugins: {runtime/x: {}\n",
                                        "- a\n",
                                        "allow: [a]\nallow: [b]\n",
                                        "allow: [!!python/object x]\n",
                                        "a: &a [*a]\n",
                                        "user-plugins: false\n---\nuser-plugins: true\n"};
    cleanup(text_clear) struct text problems = TEXT_INIT;
    policy_free(parse(texts[_i], &problems));
    ck_assert_msg(strstr(text_bytes(&problems), ": error: ") != NULL, "%s", texts[_i]);
}
END_TEST

static char *folder;

static void make_folder(void)
{
    const char *temporary = secure_getenv("TMPDIR");
    folder = memory_format("%s/descpipe-policy-XXXXXX", temporary ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    ck_assert(folder_remove(folder, NULL));
    memory_free(folder);
}

static void write_file(const char *name, const char *text)
{
    cleanup(memory_free) char *path = path_join(folder, name);
    ck_assert(file_write(path, text, strlen(text), 0644, NULL));
}

START_TEST(a_missing_folder_is_an_empty_policy)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(policy_free) struct policy *policy = policy_read("/nowhere/at/all", &problems);
    ck_assert_ptr_nonnull(policy);
    ck_assert_uint_eq(problems.count, 0);
}
END_TEST

START_TEST(files_are_read_in_the_order_of_their_names)
{
    write_file("20-b.yaml", "trusted-directories: [/second]\n");
    write_file("10-a.yaml", "trusted-directories: [/first]\n");
    write_file("readme.txt", "not: [yaml\n");
    write_file(".hidden.yaml", "not: [yaml\n");
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(policy_free) struct policy *policy = policy_read(folder, &problems);
    ck_assert_ptr_nonnull(policy);
    ck_assert_uint_eq(policy->trusted_directories.count, 2);
    ck_assert_str_eq(policy->trusted_directories.items[0], "/first");
}
END_TEST

START_TEST(two_files_may_not_say_the_same_thing)
{
    write_file("1.yaml", "allow: ['*']\nuser-plugins: true\nplugins: {runtime/x: {}}\n");
    write_file("2.yaml", "allow: ['runtime/*']\nuser-plugins: false\nplugins: {runtime/x: {}}\n");
    cleanup(problems_clear) struct problems problems = {0};
    ck_assert_ptr_null(policy_read(folder, &problems));
    cleanup(text_clear) struct text text = TEXT_INIT;
    problems_print(&problems, &text);
    cleanup(memory_free) char *expected =
        memory_format("%s/2.yaml:1:1: error: 'allow' is already said in %s/1.yaml:1\n"
                      "%s/2.yaml:2:1: error: 'user-plugins' is already said in %s/1.yaml:2\n"
                      "%s/2.yaml:3:11: error: 'runtime/x' is already said in %s/1.yaml:3\n",
                      folder, folder, folder, folder, folder, folder);
    ck_assert_str_eq(text_bytes(&text), expected);
}
END_TEST

START_TEST(a_file_that_is_wrong_makes_no_policy)
{
    write_file("1.yaml", "allow: ['*']\n");
    write_file("2.yaml", "alow: []\n");
    cleanup(problems_clear) struct problems problems = {0};
    ck_assert_ptr_null(policy_read(folder, &problems));
    ck_assert_uint_eq(problems.errors, 1);
}
END_TEST

START_TEST(a_folder_that_cannot_be_read_is_an_error)
{
    write_file("plugins.d", "");
    cleanup(memory_free) char *path = path_join(folder, "plugins.d");
    cleanup(problems_clear) struct problems problems = {0};
    ck_assert_ptr_null(policy_read(path, &problems));
    cleanup(memory_free) char *expected =
        memory_format("cannot read the plugin policy folder '%s': Not a directory", path);
    ck_assert_str_eq(problems.items[0].message, expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *cases = tcase_create("policy");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, reads_every_key);
    tcase_add_test(cases, an_empty_policy_allows_everything);
    tcase_add_loop_test(cases, allow_takes_patterns, 0, sizeof(patterns) / sizeof(patterns[0]));
    tcase_add_loop_test(cases, a_wrong_file_is_told_with_its_place, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_loop_test(cases, wrong_types_and_broken_yaml_are_errors, 0, 9);
    tcase_add_test(cases, a_missing_folder_is_an_empty_policy);
    tcase_add_test(cases, files_are_read_in_the_order_of_their_names);
    tcase_add_test(cases, two_files_may_not_say_the_same_thing);
    tcase_add_test(cases, a_file_that_is_wrong_makes_no_policy);
    tcase_add_test(cases, a_folder_that_cannot_be_read_is_an_error);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
