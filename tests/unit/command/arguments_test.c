/* SPDX-License-Identifier: BSD-3-Clause */
/* The option parser: what it takes, what it refuses and how it says so. */
#include "command/arguments.h"

#include <check.h>
#include <string.h>

struct values {
    bool quiet, follow;
    const char *name, *color;
    struct words sets;
    uint64_t limit;
};
static const char *const colors[] = {"auto", "always", "never", NULL};
static const struct argument_option options[] = {
    {.name = "quiet",
     .letter = 'q',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct values, quiet),
     .help = "say less"},
    {.name = "follow",
     .letter = 'f',
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct values, follow),
     .help = "go on"},
    {.name = "name",
     .letter = 'n',
     .kind = ARGUMENT_TEXT,
     .offset = offsetof(struct values, name),
     .value = "NAME",
     .help = "a name"},
    {.name = "color",
     .kind = ARGUMENT_CHOICE,
     .offset = offsetof(struct values, color),
     .choices = colors,
     .help = "colours"},
    {.name = "set",
     .letter = 's',
     .kind = ARGUMENT_WORDS,
     .offset = offsetof(struct values, sets),
     .value = "KEY=VALUE",
     .help = "a long explanation that must be broken at the right column because it does not fit"},
    {.name = "limit",
     .kind = ARGUMENT_NUMBER,
     .offset = offsetof(struct values, limit),
     .value = "N",
     .help = "how many"},
    {.name = NULL},
};

static struct values values;
static struct words words;

static void set_up(void)
{
    values = (struct values){0};
    words = (struct words){0};
}

static void tear_down(void)
{
    words_clear(&values.sets);
    words_clear(&words);
}

/* "a b c" as an argument vector: blanks part the words, '_' is an empty one. */
static bool parse(const char *line, struct error *error)
{
    static char copy[256]; /* values point into it */
    char *argv[32];
    int argc = 0;
    ck_assert_uint_lt(strlen(line), sizeof copy);
    memcpy(copy, line, strlen(line) + 1);
    for (char *place = copy; *place != '\0';) {
        argv[argc++] = strcmp(place, "_") == 0 ? place + 1 : place;
        place += strcspn(place, " ");
        if (*place == ' ')
            *place++ = '\0';
    }
    const struct argument_table table = {options, &values};
    const struct arguments arguments = {.tables = &table, .tables_count = 1, .words = &words};
    int at = 0;
    tear_down();
    set_up();
    return arguments_parse(&arguments, argc, argv, &at, error);
}

static void append_all(const struct words *list, struct text *out)
{
    for (size_t i = 0; i < list->count; i++)
        text_format(out, "%s[%s]", i > 0 ? " " : "", list->items[i]);
}

START_TEST(takes_every_way_to_write_an_option)
{
    static const struct {
        const char *line;
        bool quiet, follow;
        const char *name, *sets, *words;
    } cases[] = {
        {"", false, false, NULL, "", ""},
        {"a -q b", true, false, NULL, "", "[a] [b]"},
        {"--name x", false, false, "x", "", ""},
        {"--name=x=y", false, false, "x=y", "", ""},
        {"-nx", false, false, "x", "", ""},
        {"-n x", false, false, "x", "", ""},
        {"-qfnx", true, true, "x", "", ""},
        {"-fq a", true, true, NULL, "", "[a]"},
        {"--name a --name b", false, false, "b", "", ""},
        {"-s a=1 --set b=2 --set=c=3", false, false, NULL, "[a=1] [b=2] [c=3]", ""},
        {"--name --quiet", false, false, "--quiet", "", ""},
        {"-q -- -f --name", true, false, NULL, "", "[-f] [--name]"},
        {"- -q", true, false, NULL, "", "[-]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(text_clear) struct text sets = TEXT_INIT;
        cleanup(text_clear) struct text rest = TEXT_INIT;
        ck_assert_msg(parse(cases[i].line, NULL), "'%s' was refused", cases[i].line);
        append_all(&values.sets, &sets);
        append_all(&words, &rest);
        ck_assert_int_eq(values.quiet, cases[i].quiet);
        ck_assert_int_eq(values.follow, cases[i].follow);
        ck_assert_pstr_eq(values.name, cases[i].name);
        ck_assert_str_eq(text_bytes(&sets), cases[i].sets);
        ck_assert_str_eq(text_bytes(&rest), cases[i].words);
    }
    ck_assert(parse("--color never --limit 12", NULL));
    ck_assert_str_eq(values.color, "never");
    ck_assert_uint_eq(values.limit, 12);
}
END_TEST

START_TEST(refusals_say_what_to_do)
{
    static const struct {
        const char *line, *message, *hint;
    } cases[] = {
        {"--nmae x", "unknown option '--nmae'", "did you mean '--name'?"},
        {"--dance", "unknown option '--dance'", "--help lists the options"},
        {"--nam x", "unknown option '--nam'", "did you mean '--name'?"}, /* no abbreviations */
        {"-qx", "unknown option '-x' in '-qx'", "--help lists the options"},
        {"--name", "option '--name' needs a value", "--name NAME"},
        {"-n", "option '-n' needs a value", "-n NAME"},
        {"--quiet=yes", "option '--quiet' takes no value", NULL},
        {"--color blue", "option '--color' cannot be 'blue'", "one of: auto, always, never"},
        {"--limit 0", "option '--limit' needs a number of at least 1, not '0'", NULL},
        {"--limit=1x", "option '--limit' needs a number of at least 1, not '1x'", NULL},
        {"--limit 99999999999999999999", "option '--limit' needs a number of at least 1, not '99999999999999999999'",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        ck_assert_msg(!parse(cases[i].line, &error), "'%s' was taken", cases[i].line);
        ck_assert_int_eq(error.kind, ERROR_INPUT);
        ck_assert_str_eq(error.message, cases[i].message);
        ck_assert_pstr_eq(error.hint, cases[i].hint);
    }
}
END_TEST

START_TEST(stops_before_the_first_word_when_asked)
{
    char *argv[] = {memory_copy_text("-q"), memory_copy_text("run"), memory_copy_text("-f")};
    const struct argument_table table = {options, &values};
    const struct arguments arguments = {.tables = &table, .tables_count = 1, .until_word = true};
    int at = 0;
    ck_assert(arguments_parse(&arguments, 3, argv, &at, NULL));
    ck_assert_int_eq(at, 1);
    ck_assert(values.quiet && !values.follow);
    for (size_t i = 0; i < 3; i++)
        memory_free(argv[i]);
}
END_TEST

START_TEST(words_are_checked_against_what_a_command_takes)
{
    static const char *const shells[] = {"bash", "zsh", NULL};
    static const struct argument_positional one[] = {{.name = "PIPELINE"}, {.name = NULL}};
    static const struct argument_positional run_stage[] = {
        {.name = "RUN", .optional = true}, {.name = "STAGE"}, {.name = NULL}};
    static const struct argument_positional many[] = {
        {.name = "PIPELINE"}, {.name = "STAGE", .optional = true, .repeated = true}, {.name = NULL}};
    static const struct argument_positional shell[] = {{.name = "SHELL", .choices = shells}, {.name = NULL}};
    static const struct {
        const struct argument_positional *positionals;
        const char *line, *message, *hint; /* message NULL: fine */
    } cases[] = {
        {NULL, "", NULL, NULL},
        {NULL, "a", "'a' is one word too many", "usage: USAGE"},
        {one, "a", NULL, NULL},
        {one, "", "PIPELINE is missing", "usage: USAGE"},
        {one, "a b", "'b' is one word too many", "usage: USAGE"},
        {run_stage, "a", NULL, NULL},
        {run_stage, "a b", NULL, NULL},
        {run_stage, "", "STAGE is missing", "usage: USAGE"},
        {run_stage, "a b c", "'c' is one word too many", "usage: USAGE"},
        {many, "a", NULL, NULL},
        {many, "a b c d", NULL, NULL},
        {many, "", "PIPELINE is missing", "usage: USAGE"},
        {shell, "zsh", NULL, NULL},
        {shell, "tcsh", "SHELL cannot be 'tcsh'", "one of: bash, zsh"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        ck_assert(parse(cases[i].line, NULL));
        bool taken = arguments_check_words(cases[i].positionals, &words, "USAGE", &error);
        ck_assert_msg(taken == (cases[i].message == NULL), "case %zu", i);
        ck_assert_pstr_eq(error.message, cases[i].message);
        ck_assert_pstr_eq(error.hint, cases[i].hint);
    }
}
END_TEST

START_TEST(help_is_aligned_and_broken_at_80_columns)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    arguments_print_options(options, &out);
    ck_assert_str_eq(text_bytes(&out), "  -q, --quiet                 say less\n"
                                       "  -f, --follow                go on\n"
                                       "  -n, --name NAME             a name\n"
                                       "      --color auto|always|never\n"
                                       "                              colours\n"
                                       "  -s, --set KEY=VALUE         a long explanation that must be broken at the\n"
                                       "                              right column because it does not fit\n"
                                       "      --limit N               how many\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arguments");
    TCase *tests = tcase_create("arguments");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, takes_every_way_to_write_an_option);
    tcase_add_test(tests, refusals_say_what_to_do);
    tcase_add_test(tests, stops_before_the_first_word_when_asked);
    tcase_add_test(tests, words_are_checked_against_what_a_command_takes);
    tcase_add_test(tests, help_is_aligned_and_broken_at_80_columns);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
