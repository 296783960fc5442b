/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of a plugin: types, layers, locks, and every refusal word by word. */
#include "config/settings.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define OPTION(name, kind, ...)                                                                                        \
    static const struct descpipe_option name = {.size = sizeof name, .type = kind, __VA_ARGS__}
static const char *const choices[] = {"regular", "debug", "premium", NULL};
OPTION(account, DESCPIPE_OPTION_TEXT, .key = "account", .flags = DESCPIPE_OPTION_REQUIRED, .help = "Who pays.");
OPTION(nodes, DESCPIPE_OPTION_INTEGER, .key = "nodes", .flags = DESCPIPE_OPTION_RANGED, .minimum = 1, .maximum = 10,
       .default_value = "2");
OPTION(wait, DESCPIPE_OPTION_DURATION, .key = "wait", .flags = DESCPIPE_OPTION_RANGED, .minimum = 1000,
       .maximum = INT64_MAX, .default_value = "5m");
OPTION(memory, DESCPIPE_OPTION_BYTES, .key = "memory", .default_value = "1KiB");
OPTION(keep, DESCPIPE_OPTION_BOOLEAN, .key = "keep", .default_value = "true");
OPTION(socket_path, DESCPIPE_OPTION_PATH, .key = "socket", .default_value = "run/x.sock");
OPTION(qos, DESCPIPE_OPTION_CHOICE, .key = "qos", .choices = choices, .default_value = "regular");
OPTION(modules, DESCPIPE_OPTION_LIST, .key = "modules", .default_value = "[gpu, mpich]");
OPTION(labels, DESCPIPE_OPTION_MAP, .key = "labels");
OPTION(password, DESCPIPE_OPTION_SECRET, .key = "password");
OPTION(old, DESCPIPE_OPTION_CHOICE, .key = "queue", .choices = choices, .flags = DESCPIPE_OPTION_DEPRECATED,
       .replaced_by = "qos");
static const struct descpipe_option *const table[] = {&account, &nodes,   &wait,   &memory,   &keep, &socket_path,
                                                      &qos,     &modules, &labels, &password, &old,  NULL};

static void set_all(struct settings *settings, const char *yaml, enum layer layer, struct problems *problems)
{
    cleanup(document_free) struct document *document = document_parse(yaml, strlen(yaml), "f.yaml", NULL, problems);
    ck_assert_ptr_nonnull(document);
    for (const struct node *child = node_first(document_root(document)); child != NULL; child = node_next(child))
        settings_set_node(settings, node_key(child), node_key_place(document, child), child, document, layer, problems);
}

static const struct {
    const char *yaml, *expected;
} refused[] = {
    {"acount: x", "f.yaml:1:1: error: scheduler/slurm has no option 'acount'\n  hint: did you mean 'account'?\n"},
    {"zzz: x",
     "f.yaml:1:1: error: scheduler/slurm has no option 'zzz'\n"
     "  hint: its options: account, nodes, wait, memory, keep, socket, qos, modules, labels, password, queue\n"},
    {"account: [x]", "f.yaml:1:10: error: option 'account' of scheduler/slurm must be a text, not a list\n"},
    {"account:", "f.yaml:1:9: error: option 'account' of scheduler/slurm must be a text, not empty\n"},
    {"nodes: many", "f.yaml:1:8: error: option 'nodes' of scheduler/slurm must be a whole number, not 'many'\n"},
    {"nodes: 11", "f.yaml:1:8: error: option 'nodes' of scheduler/slurm must be from 1 to 10, not '11'\n"},
    {"wait: 10ms", "f.yaml:1:7: error: option 'wait' of scheduler/slurm must be at least 1.0 s, not '10ms'\n"},
    {"wait: soon", "f.yaml:1:7: error: option 'wait' of scheduler/slurm must be a length of time, not 'soon'\n"
                   "  hint: write 90 (seconds), 30s, 5m, 2h or 1d\n"},
    {"memory: 9000000T",
     "f.yaml:1:9: error: option 'memory' of scheduler/slurm must be less than 8 EiB, not '9000000T'\n"},
    {"keep: yes", "f.yaml:1:7: error: option 'keep' of scheduler/slurm must be true or false, not 'yes'\n"},
    {"socket: ''", "f.yaml:1:9: error: option 'socket' of scheduler/slurm must be a path, not ''\n"},
    {"socket: ~/x", "f.yaml:1:9: error: option 'socket' of scheduler/slurm must be a path without '~', not '~/x'\n"
                    "  hint: write ${HOME} for your home folder\n"},
    {"qos: debugg",
     "f.yaml:1:6: error: option 'qos' of scheduler/slurm must be 'regular', 'debug' or 'premium', not 'debugg'\n"
     "  hint: did you mean 'debug'?\n"},
    {"modules: {a: b}",
     "f.yaml:1:10: error: option 'modules' of scheduler/slurm must be a list of texts, not a mapping\n"},
    {"modules: [[a]]",
     "f.yaml:1:11: error: an entry of option 'modules' of scheduler/slurm must be a text, not a list\n"},
    {"labels: [a]",
     "f.yaml:1:9: error: option 'labels' of scheduler/slurm must be a mapping of names to texts, not a list\n"},
    {"labels: {a: [b]}", "f.yaml:1:13: error: 'a' in option 'labels' of scheduler/slurm must be a text, not a list\n"},
    {"password: hunter2", "f.yaml:1:11: error: option 'password' of scheduler/slurm must be a reference, {secret: "
                          "NAME}, never the secret itself\n"
                          "  hint: name it under 'secrets:' in your own configuration, as {env: VARIABLE}, {file: "
                          "PATH} or {command: [TOOL]}\n"},
};

START_TEST(refuses_what_does_not_fit)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(settings_free) struct settings *settings = settings_new(table, "scheduler/slurm");
    set_all(settings, refused[_i].yaml, LAYER_PIPELINE, &problems);
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), refused[_i].expected);
    cleanup(text_clear) struct text json = TEXT_INIT;
    settings_print_json(settings, &json);
    ck_assert_str_eq(text_bytes(&json), "{}");
}
END_TEST

START_TEST(defaults_are_filled_in)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(settings_free) struct settings *settings = settings_new(table, "scheduler/slurm");
    ck_assert_int_eq(settings_integer(settings, "nodes"), 2);
    ck_assert_int_eq(settings_integer(settings, "wait"), 300000);
    ck_assert_int_eq(settings_integer(settings, "memory"), 1024);
    ck_assert(settings_boolean(settings, "keep"));
    ck_assert_str_eq(settings_text(settings, "qos"), "regular");
    ck_assert_str_eq(settings_list(settings, "modules")[1], "mpich");
    ck_assert_ptr_null(settings_map(settings, "labels"));
    ck_assert_ptr_null(settings_secret_name(settings, "password"));
    ck_assert(!settings_given(settings, "nodes"));
    ck_assert_ptr_null(settings_text(settings, "nodes"));   /* asked by another type */
    ck_assert_int_eq(settings_integer(settings, "qos"), 0); /* likewise */
    settings_finish(settings, (struct place){.file = "p.yaml", .line = 3, .column = 1}, "/base", &problems);
    ck_assert_str_eq(settings_text(settings, "socket"), "/base/run/x.sock");
    cleanup(text_clear) struct text printed = TEXT_INIT;
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed),
                     "p.yaml:3:1: error: scheduler/slurm needs the option 'account'\n  hint: Who pays.\n");
}
END_TEST

START_TEST(later_layers_win_and_know_their_origin)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(settings_free) struct settings *settings = settings_new(table, "scheduler/slurm");
    set_all(settings, "account: site\nlabels: {a: b}\nmodules: one\npassword: {secret: vault}\nkeep: false\nnodes: 3\n",
            LAYER_SITE, &problems);
    set_all(settings, "account: pipeline\n", LAYER_PIPELINE, &problems);
    set_all(settings, "account: user\n", LAYER_USER, &problems); /* comes late, is less */
    settings_set_text(settings, "labels", "x=1,y=a=b", (struct place){.file = "-o scheduler.labels"}, LAYER_COMMAND,
                      &problems);
    settings_set_text(settings, "modules", "a,b", (struct place){.file = "X"}, LAYER_ENVIRONMENT, &problems);
    ck_assert_uint_eq(problems.count, 0);
    ck_assert_str_eq(settings_text(settings, "account"), "pipeline");
    ck_assert_str_eq(settings_map(settings, "labels")[3], "a=b");
    ck_assert_ptr_null(settings_map(settings, "labels")[4]);
    ck_assert_str_eq(settings_list(settings, "modules")[1], "b");
    ck_assert(!settings_boolean(settings, "keep"));
    enum layer layer;
    struct place place;
    ck_assert(settings_origin(settings, "labels", &layer, &place));
    ck_assert_uint_eq(layer, LAYER_COMMAND);
    ck_assert_str_eq(place.file, "-o scheduler.labels");
    ck_assert(settings_origin(settings, "qos", &layer, &place));
    ck_assert_uint_eq(layer, LAYER_DEFAULT);
    ck_assert(!settings_origin(settings, "none", &layer, &place));
    cleanup(text_clear) struct text json = TEXT_INIT;
    settings_print_json(settings, &json);
    ck_assert_str_eq(text_bytes(&json),
                     "{\"account\": \"pipeline\", \"nodes\": 3, \"keep\": false, \"modules\": [\"a\", \"b\"], "
                     "\"labels\": {\"x\": \"1\", \"y\": \"a=b\"}, \"password\": {\"secret\": \"vault\"}}");
}
END_TEST

START_TEST(text_values_are_checked_as_nodes_are)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(settings_free) struct settings *settings = settings_new(table, "scheduler/slurm");
    struct place place = {.file = "-o x"};
    settings_set_text(settings, "nodes", "no", place, LAYER_COMMAND, &problems);
    settings_set_text(settings, "password", "hunter2", place, LAYER_COMMAND, &problems);
    settings_set_text(settings, "password", "{hunter2", place, LAYER_COMMAND, &problems);
    settings_set_text(settings, "labels", "{a: 1", place, LAYER_COMMAND, &problems);
    settings_set_text(settings, "account", "\xFF", place, LAYER_COMMAND, &problems);
    settings_set_text(settings, "password", "{secret: good}", place, LAYER_COMMAND, &problems);
    settings_set_text(settings, "labels", "", place, LAYER_COMMAND, &problems);
    problems_print(&problems, &printed);
    ck_assert_ptr_null(strstr(text_bytes(&printed), "hunter2"));
    ck_assert_str_eq(text_bytes(&printed),
                     "-o x: error: option 'nodes' of scheduler/slurm must be a whole number, not 'no'\n"
                     "-o x:1:1: error: option 'password' of scheduler/slurm must be a reference, {secret: NAME}, never "
                     "the secret itself\n"
                     "  hint: name it under 'secrets:' in your own configuration, as {env: VARIABLE}, {file: PATH} or "
                     "{command: [TOOL]}\n"
                     "-o x: error: the value of option 'password' of scheduler/slurm is not YAML\n"
                     "-o x: error: the value of option 'labels' of scheduler/slurm is not YAML\n"
                     "-o x: error: the value of option 'account' of scheduler/slurm is not UTF-8\n");
    ck_assert_str_eq(settings_secret_name(settings, "password"), "good");
    ck_assert_ptr_null(settings_map(settings, "labels")[0]);
}
END_TEST

START_TEST(locked_keys_are_the_sites)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(settings_free) struct settings *settings = settings_new(table, "scheduler/slurm");
    set_all(settings, "account: site\n", LAYER_SITE, &problems);
    settings_lock(settings, "account", (struct place){.file = "/etc/descpipe/site.yaml", .line = 4, .column = 8});
    set_all(settings, "qos: debug\naccount: mine\n", LAYER_PIPELINE, &problems);
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed),
                     "f.yaml:2:1: error: option 'account' of scheduler/slurm is locked by /etc/descpipe/site.yaml:4:8\n"
                     "  hint: remove it here, or ask who keeps that file\n");
    ck_assert_str_eq(settings_text(settings, "account"), "site");
}
END_TEST

START_TEST(a_deprecated_key_sets_the_one_that_replaces_it)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(settings_free) struct settings *settings = settings_new(table, "scheduler/slurm");
    set_all(settings, "queue: debug\n", LAYER_USER, &problems);
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed),
                     "f.yaml:1:1: note: option 'queue' of scheduler/slurm is deprecated\n  hint: write 'qos'\n");
    ck_assert_str_eq(settings_text(settings, "qos"), "debug");
    set_all(settings, "qos: premium\n", LAYER_PIPELINE, &problems);
    ck_assert_str_eq(settings_text(settings, "qos"), "premium");
}
END_TEST

START_TEST(a_plugin_without_options_takes_none)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(settings_free) struct settings *settings = settings_new(NULL, "runtime/x");
    set_all(settings, "a: b\n", LAYER_USER, &problems);
    ck_assert_str_eq(problems.items[0].message, "runtime/x has no option 'a'");
    ck_assert_str_eq(problems.items[0].hint, "it has no options");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings");
    TCase *cases = tcase_create("settings");
    tcase_add_loop_test(cases, refuses_what_does_not_fit, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(cases, defaults_are_filled_in);
    tcase_add_test(cases, later_layers_win_and_know_their_origin);
    tcase_add_test(cases, text_values_are_checked_as_nodes_are);
    tcase_add_test(cases, locked_keys_are_the_sites);
    tcase_add_test(cases, a_deprecated_key_sets_the_one_that_replaces_it);
    tcase_add_test(cases, a_plugin_without_options_takes_none);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
