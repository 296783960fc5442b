/* SPDX-License-Identifier: BSD-3-Clause */
/* The judge of descriptors, rule by rule, without any file. */
#include "plugin/abi.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const two[] = {"a", "b", NULL};
static const char *const none[] = {NULL};

#define OPTION .size = sizeof(struct descpipe_option), .key = "key", .help = "Help."
#define TEXT_OPTION OPTION, .type = DESCPIPE_OPTION_TEXT

static const struct {
    struct descpipe_option option;
    const char *problem; /* NULL: good */
} options[] = {
    {{TEXT_OPTION}, NULL},
    {{TEXT_OPTION, .default_value = "x"}, NULL},
    {{OPTION, .type = DESCPIPE_OPTION_LIST, .default_value = "a"}, NULL},
    {{OPTION, .type = DESCPIPE_OPTION_MAP}, NULL},
    {{OPTION, .type = DESCPIPE_OPTION_SECRET, .flags = DESCPIPE_OPTION_REQUIRED}, NULL},
    {{OPTION, .type = DESCPIPE_OPTION_CHOICE, .choices = two, .default_value = "b"}, NULL},
    {{OPTION, .type = DESCPIPE_OPTION_BYTES, .flags = DESCPIPE_OPTION_RANGED, .maximum = 1 << 20,
      .default_value = "64KiB"},
     NULL},
    {{OPTION, .type = DESCPIPE_OPTION_DURATION, .flags = DESCPIPE_OPTION_RANGED, .maximum = 1000,
      .default_value = "1s"},
     NULL},
    {{TEXT_OPTION, .flags = 1u << 30}, NULL}, /* a flag of the future */
    {{OPTION}, "option 'key' has an unknown type"},
    {{OPTION, .type = 11}, "option 'key' has an unknown type"},
    {{TEXT_OPTION, .flags = DESCPIPE_OPTION_RANGED}, "option 'key' has a range, which its type cannot have"},
    {{TEXT_OPTION, .choices = two}, "option 'key' has choices but is not a choice"},
    {{OPTION, .type = DESCPIPE_OPTION_CHOICE}, "option 'key' is a choice without choices"},
    {{OPTION, .type = DESCPIPE_OPTION_CHOICE, .choices = none}, "option 'key' is a choice without choices"},
    {{OPTION, .type = DESCPIPE_OPTION_CHOICE, .choices = two, .default_value = "c"},
     "option 'key' has a default that is not a choice"},
    {{OPTION, .type = DESCPIPE_OPTION_INTEGER, .flags = DESCPIPE_OPTION_RANGED, .minimum = 2, .maximum = 1},
     "option 'key' has a minimum above its maximum"},
    {{OPTION, .type = DESCPIPE_OPTION_INTEGER, .default_value = "1x"},
     "option 'key' has a default that is not a value of its type"},
    {{OPTION, .type = DESCPIPE_OPTION_DURATION, .default_value = "soon"},
     "option 'key' has a default that is not a value of its type"},
    {{OPTION, .type = DESCPIPE_OPTION_BYTES, .default_value = "much"},
     "option 'key' has a default that is not a value of its type"},
    {{OPTION, .type = DESCPIPE_OPTION_INTEGER, .flags = DESCPIPE_OPTION_RANGED, .maximum = 5, .default_value = "6"},
     "option 'key' has a default out of its own range"},
    {{OPTION, .type = DESCPIPE_OPTION_BOOLEAN, .default_value = "yes"},
     "option 'key' has a default that is neither 'true' nor 'false'"},
    {{OPTION, .type = DESCPIPE_OPTION_SECRET, .default_value = "hush"},
     "option 'key' is of a type that cannot have a default"},
    {{OPTION, .type = DESCPIPE_OPTION_MAP, .default_value = "a"},
     "option 'key' is of a type that cannot have a default"},
    {{TEXT_OPTION, .flags = DESCPIPE_OPTION_REQUIRED, .default_value = "x"},
     "option 'key' is required and has a default"},
    {{TEXT_OPTION, .replaced_by = "other"}, "option 'key' is replaced but not deprecated"},
    {{TEXT_OPTION, .flags = DESCPIPE_OPTION_DEPRECATED, .replaced_by = "other"},
     "option 'key' is replaced by an option that is not in the table"},
    {{TEXT_OPTION, .flags = DESCPIPE_OPTION_DEPRECATED, .replaced_by = "key"},
     "option 'key' is replaced by an option that is not in the table"},
    {{.size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_TEXT, .key = "key"},
     "option 'key' has no help of one line"},
    {{.size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_TEXT, .key = "key", .help = "two\nlines"},
     "option 'key' has no help of one line"},
    {{.size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_TEXT, .help = "Help."},
     "option '(none)' has a bad key: lower case letters, digits and '-', beginning with a letter"},
    {{.size = sizeof(struct descpipe_option), .type = DESCPIPE_OPTION_TEXT, .key = "2nd", .help = "Help."},
     "option '2nd' has a bad key: lower case letters, digits and '-', beginning with a letter"},
};

START_TEST(judges_one_option)
{
    const struct descpipe_option *table[] = {&options[_i].option, NULL};
    cleanup(error_clear) struct error error = ERROR_INIT;
    bool good = abi_judge_options(table, &error);
    ck_assert_int_eq(good, options[_i].problem == NULL);
    if (options[_i].problem) {
        ck_assert(strncmp(error.message, "its option table is bad: ", 25) == 0);
        ck_assert_str_eq(error.message + 25, options[_i].problem);
        ck_assert_ptr_nonnull(error.hint);
    }
}
END_TEST

START_TEST(judges_the_table_as_a_whole)
{
    struct descpipe_option one = {TEXT_OPTION}, small = {TEXT_OPTION};
    static const struct descpipe_option *many[ABI_OPTIONS_LIMIT + 2];
    static struct descpipe_option each[ABI_OPTIONS_LIMIT + 1];
    static char keys[ABI_OPTIONS_LIMIT + 1][16];
    cleanup(error_clear) struct error error = ERROR_INIT;
    const struct descpipe_option *twice[] = {&one, &one, NULL}, *short_one[] = {&one, &small, NULL}, *empty[] = {NULL};
    ck_assert(abi_judge_options(NULL, &error));
    ck_assert(abi_judge_options(empty, &error));
    ck_assert(!abi_judge_options(twice, &error));
    ck_assert_str_eq(error.message, "its option table is bad: option 'key' is there twice");
    small.size = 16;
    ck_assert(!abi_judge_options(short_one, &error));
    ck_assert_str_eq(error.message, "its option table is bad: option 2 has 16 bytes, at least 72 are needed");
    for (size_t i = 0; i <= ABI_OPTIONS_LIMIT; i++) {
        each[i] = one;
        snprintf(keys[i], sizeof(keys[i]), "key%zu", i);
        each[i].key = keys[i];
        many[i] = &each[i];
    }
    ck_assert(!abi_judge_options(many, &error));
    ck_assert_str_eq(error.message, "its option table is bad: more than 500 options");
    many[ABI_OPTIONS_LIMIT] = NULL;
    ck_assert(abi_judge_options(many, &error));
}
END_TEST

/* Functions that only have to be there. */
static int32_t open_it(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    (void)host, (void)self, (void)message, (void)message_size;
    return 0;
}
static void close_it(void *self)
{
    (void)self;
}
static uint32_t forms_of(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}
static void probe_it(void *self, struct descpipe_call *call)
{
    (void)self, (void)call;
}
static void identify_it(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    (void)self, (void)call, (void)image;
}
static void prepare_it(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    (void)self, (void)call, (void)prepare;
}
static void stage_it(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    (void)self, (void)call, (void)stage;
}

static const struct descpipe_runtime good_runtime = {.size = sizeof(good_runtime),
                                                     .sources = DESCPIPE_SOURCE_NONE,
                                                     .open = open_it,
                                                     .close = close_it,
                                                     .forms = forms_of,
                                                     .probe = probe_it,
                                                     .identify = identify_it,
                                                     .prepare = prepare_it,
                                                     .launch = stage_it};
static const struct descpipe_plugin good_plugin = {.size = sizeof(good_plugin),
                                                   .abi_major = DESCPIPE_ABI_MAJOR,
                                                   .abi_minor = DESCPIPE_ABI_MINOR,
                                                   .kind = "runtime",
                                                   .name = "x",
                                                   .version = "1",
                                                   .summary = "It is good",
                                                   .operations = &good_runtime};

static void expect(const struct descpipe_plugin *plugin, const char *kind, const char *message)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    bool good = abi_judge(plugin, ABI_HERE, kind, "x", &error);
    ck_assert_str_eq(error.message ? error.message : "", message ? message : "");
    ck_assert_int_eq(good, message == NULL);
}

static const struct {
    size_t offset;
    const char *name;
} required[] = {
#define REQUIRED(member)                                                                                               \
    {                                                                                                                  \
        offsetof(struct descpipe_runtime, member), #member                                                             \
    }
    REQUIRED(open),     REQUIRED(close),   REQUIRED(forms),  REQUIRED(probe),
    REQUIRED(identify), REQUIRED(prepare), REQUIRED(launch),
};

START_TEST(each_required_operation_is_missed)
{
    struct descpipe_runtime runtime = good_runtime;
    struct descpipe_plugin plugin = good_plugin;
    plugin.operations = &runtime;
    memset((char *)&runtime + required[_i].offset, 0, sizeof(void (*)(void)));
    cleanup(memory_free) char *message =
        memory_format("its runtime table lacks the required operation '%s'", required[_i].name);
    expect(&plugin, "runtime", message);
}
END_TEST

START_TEST(managed_is_all_or_nothing)
{
    struct descpipe_runtime runtime = good_runtime;
    struct descpipe_plugin plugin = good_plugin;
    plugin.operations = &runtime;
    expect(&plugin, "runtime", NULL);
    runtime.start = stage_it;
    expect(&plugin, "runtime", "its runtime table has some operations of MANAGED but not 'observe'");
    runtime.start = NULL;
    runtime.shell = stage_it;
    expect(&plugin, "runtime", "its runtime table has some operations of developers' containers but not 'exec'");
    runtime.shell = NULL;
    runtime.sources = 0;
    expect(&plugin, "runtime", "its runtime table names no image sources");
    plugin.operations = NULL;
    expect(&plugin, "runtime", "it has no runtime table");
}
END_TEST

START_TEST(other_kinds_have_their_own_tables)
{
    struct descpipe_registry registry = {.size = sizeof(registry), .open = open_it, .close = close_it};
    struct descpipe_scheduler scheduler = {.size = sizeof(scheduler), .open = open_it};
    struct descpipe_plugin plugin = good_plugin;
    plugin.kind = "registry";
    plugin.operations = &registry;
    expect(&plugin, "registry", "its registry table lacks the required operation 'accepts'");
    registry.size = 8;
    cleanup(memory_free) char *small =
        memory_format("its registry table has 8 bytes, plugin interface 0.3 has at least %zu", ABI_SIZE_REGISTRY);
    expect(&plugin, "registry", small);
    plugin.kind = "scheduler";
    plugin.operations = &scheduler;
    expect(&plugin, "scheduler", "its scheduler table lacks the required operation 'close'");
}
END_TEST

START_TEST(the_descriptor_is_in_order)
{
    struct descpipe_plugin plugin = good_plugin;
    plugin.summary = "two\nlines";
    expect(&plugin, "runtime", "its descriptor's 'summary' is not one line");
    plugin.summary = NULL;
    expect(&plugin, "runtime", "its descriptor's 'summary' is missing");
    plugin.summary = "x";
    plugin.version = "";
    expect(&plugin, "runtime", "its descriptor's 'version' is missing");
    plugin.size = 4;
    expect(&plugin, "runtime", "its descriptor has 4 bytes, which is too few to say its version");
    expect(NULL, "runtime", "its entry function returned nothing");
}
END_TEST

START_TEST(a_struct_is_taken_whatever_its_version)
{
    struct descpipe_ending ending = {.size = sizeof(ending), .exit_code = 7, .reason = "r"}, copy;
    ck_assert(struct_take(&copy, sizeof(copy), &ending, ABI_SIZE_ENDING));
    ck_assert_int_eq(copy.exit_code, 7);
    struct {
        struct descpipe_ending ending;
        uint64_t newer;
    } large = {.ending = ending, .newer = 1};
    large.ending.size = sizeof(large);
    ck_assert(struct_take(&copy, sizeof(copy), &large, ABI_SIZE_ENDING));
    ck_assert_uint_eq(copy.size, sizeof(copy));
    ending.size = 16;
    copy.exit_code = 9;
    ck_assert(!struct_take(&copy, sizeof(copy), &ending, ABI_SIZE_ENDING));
    ck_assert_int_eq(copy.exit_code, 9);
    ck_assert(!struct_take(&copy, sizeof(copy), NULL, ABI_SIZE_ENDING));
    /* An older plugin's struct: what it lacks is zero. */
    memset(&large, 0xff, sizeof(large));
    ending.size = sizeof(ending);
    ck_assert(struct_take(&large, sizeof(large), &ending, ABI_SIZE_ENDING));
    ck_assert_uint_eq(large.newer, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("abi");
    TCase *cases = tcase_create("abi");
    tcase_add_loop_test(cases, judges_one_option, 0, sizeof(options) / sizeof(options[0]));
    tcase_add_test(cases, judges_the_table_as_a_whole);
    tcase_add_loop_test(cases, each_required_operation_is_missed, 0, sizeof(required) / sizeof(required[0]));
    tcase_add_test(cases, managed_is_all_or_nothing);
    tcase_add_test(cases, other_kinds_have_their_own_tables);
    tcase_add_test(cases, the_descriptor_is_in_order);
    tcase_add_test(cases, a_struct_is_taken_whatever_its_version);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
