/* SPDX-License-Identifier: BSD-3-Clause */
/* What run.py says, and what it may not say. */
#include "pipeline/run_py.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void parse(const char *source, struct run_py *run_py, struct problems *problems, bool expected)
{
    ck_assert_int_eq(run_py_parse(source, strlen(source), "run.py", run_py, problems), expected);
}

START_TEST(reads_the_original_projects_form)
{
    static const char source[] = "#!/usr/bin/env python3\n"
                                 "\"\"\"\nclass Stage(nothing):\n    inputs = 1\n\"\"\"\n"
                                 "import descpipe\n\n"
                                 "class Stage(descpipe.Stage):\n"
                                 "    \"\"\"bins\"\"\"\n"
                                 "    name = \"photoz\"\n"
                                 "    config = {\"config\":\"config.yaml\"}\n"
                                 "\n"
                                 "    inputs = {\n"
                                 "        \"photoz-catalog\" : \"fits\",\n"
                                 "        #\"some-metadata\": float,\n"
                                 "    }\n"
                                 "    outputs = {\"tomographic-catalog\": \"fits\"}\n"
                                 "    def run(self):\n"
                                 "        self.inputs = {1: 2}\n";
    cleanup(run_py_clear) struct run_py run_py = {0};
    cleanup(problems_clear) struct problems problems = {0};
    parse(source, &run_py, &problems, true);
    ck_assert(run_py.has_class && run_py.has_shebang);
    ck_assert_uint_eq(run_py.line, 8);
    ck_assert_str_eq(run_py.name, "photoz");
    ck_assert_uint_eq(run_py.inputs.count, 1);
    ck_assert_str_eq(run_py.inputs.items[0].tag, "photoz-catalog");
    ck_assert_str_eq(run_py.inputs.items[0].value, "fits");
    ck_assert_uint_eq(run_py.inputs.items[0].line, 14);
    ck_assert_uint_eq(run_py.inputs.items[0].column, 9);
    ck_assert_str_eq(run_py.outputs.items[0].tag, "tomographic-catalog");
    ck_assert_str_eq(run_py.config.items[0].value, "config.yaml");
}
END_TEST

struct text_case {
    const char *literal, *value;
};

static const struct text_case texts[] = {
    {"'single'", "single"},
    {"\"double\"", "double"},
    {"\"\"\"triple \"quoted\" text\"\"\"", "triple \"quoted\" text"},
    {"r'\\d'", "\\d"},
    {"u\"old\"", "old"},
    {"'a' \"b\"  'c'", "abc"},
    {"('in ' \\\n   'brackets')", "in brackets"},
    {"((\n  'deep' # comment\n))", "deep"},
    {"'\\x41\\u00e9\\U0001F600\\n\\\\'", "A\xc3\xa9\xf0\x9f\x98\x80\n\\"},
    {"'x'; inputs = call()", "x"},
};

START_TEST(reads_every_form_of_text)
{
    cleanup(memory_free) char *source = memory_format("class Stage:\n    name = %s\n", texts[_i].literal);
    cleanup(run_py_clear) struct run_py run_py = {0};
    cleanup(problems_clear) struct problems problems = {0};
    parse(source, &run_py, &problems, true);
    ck_assert_str_eq(run_py.name, texts[_i].value);
}
END_TEST

struct refusal {
    const char *body;
    uint32_t line, column;
    const char *message;
};

static const struct refusal refusals[] = {
    {"inputs = {'a': SUFFIX}", 2, 20, "only texts in quotes can be read here without running Python"},
    {"inputs = {'a': f'x'}", 2, 20, "a formatted text (f\"...\") can only be known by running Python"},
    {"inputs = {'a': b'x'}", 2, 20, "bytes (b\"...\") are not a text"},
    {"inputs = {'a': 1}", 2, 20, "only texts in quotes can be read here without running Python"},
    {"inputs = {'a': {'b': 'c'}}", 2, 20, "only texts in quotes can be read here without running Python"},
    {"inputs = dict(a='fits')", 2, 14,
     "only a dictionary of texts, {\"tag\": \"suffix\"}, can be read here without running Python"},
    {"inputs = [\"a\"]", 2, 14,
     "only a dictionary of texts, {\"tag\": \"suffix\"}, can be read here without running Python"},
    {"inputs = {'a': 'b'} if x else {}", 2, 25, "what stands here can only be known by running Python"},
    {"inputs += {}", 2, 12, "what stands here can only be known by running Python"},
    {"inputs = {'a' 'fits'}", 2, 25, "a ':' is missing after the tag"},
    {"inputs = {'a': 'b' 3}", 2, 24, "a ',' or '}' is missing after this entry"},
    {"inputs = {'a': 'b', 'a': 'c'}", 2, 25, "'a' stands twice in this dictionary"},
    {"inputs = {'a': 'b", 2, 20, "a text has no end"},
    {"name = 'x' + y", 2, 16, "what stands here can only be known by running Python"},
    {"name = '\\N{DASH}'", 2, 13, "an escape in this text cannot be read without Python"},
    {"name = '\\xg0'", 2, 15, "an escape in this text has too few hexadecimal digits"},
    {"name = '\xc3\xa9' + y", 2, 16, "what stands here can only be known by running Python"},
};

START_TEST(refuses_what_only_python_knows_with_its_place)
{
    cleanup(memory_free) char *source = memory_format("class Stage:\n    %s\n", refusals[_i].body);
    cleanup(run_py_clear) struct run_py run_py = {0};
    cleanup(problems_clear) struct problems problems = {0};
    parse(source, &run_py, &problems, false);
    ck_assert_uint_eq(problems.count, 1);
    ck_assert_str_eq(problems.items[0].message, refusals[_i].message);
    ck_assert_uint_eq(problems.items[0].line, refusals[_i].line);
    ck_assert_uint_eq(problems.items[0].column, refusals[_i].column);
    ck_assert_str_eq(problems.items[0].hint, "write what the stage reads and writes into a stage.yaml beside it");
}
END_TEST

START_TEST(leaves_other_statements_alone)
{
    static const char source[] =
        "VERSION = {1: [2, (3)]}\nif True:\n    class Other: pass\n"
        "class Stage(a.b,\n            c):\n\n  # comment\n  other = call({'inputs': 1},\n    2)\n"
        "  names: int = 3\n  inputs = {'a': 'b'}\n  @decorated\n  def run(self): pass\n"
        "  outputs = nonsense\n";
    cleanup(run_py_clear) struct run_py run_py = {0};
    cleanup(problems_clear) struct problems problems = {0};
    parse(source, &run_py, &problems, true);
    ck_assert_uint_eq(run_py.inputs.count, 1);
    ck_assert(!run_py.has_outputs);
}
END_TEST

START_TEST(says_when_there_is_no_class)
{
    cleanup(run_py_clear) struct run_py run_py = {0};
    cleanup(problems_clear) struct problems problems = {0};
    parse("raise RuntimeError('a base image')\n", &run_py, &problems, true);
    ck_assert(!run_py.has_class);
}
END_TEST

START_TEST(leaves_other_languages_alone)
{
    cleanup(run_py_clear) struct run_py run_py = {0};
    cleanup(problems_clear) struct problems problems = {0};
    parse("#!/bin/bash\nclass Stage inputs = 3\n", &run_py, &problems, true);
    ck_assert(!run_py.is_python && run_py.has_shebang && !run_py.has_class);
}
END_TEST

START_TEST(refuses_a_second_stage)
{
    cleanup(run_py_clear) struct run_py run_py = {0};
    cleanup(problems_clear) struct problems problems = {0};
    parse("class Stage: pass\nclass Stage: pass\n", &run_py, &problems, false);
    ck_assert_str_eq(problems.items[0].message, "there is a second class 'Stage'");
    ck_assert_uint_eq(problems.items[0].line, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_py");
    TCase *cases = tcase_create("run_py");
    tcase_add_test(cases, reads_the_original_projects_form);
    tcase_add_loop_test(cases, reads_every_form_of_text, 0, (int)(sizeof(texts) / sizeof(texts[0])));
    tcase_add_loop_test(cases, refuses_what_only_python_knows_with_its_place, 0,
                        (int)(sizeof(refusals) / sizeof(refusals[0])));
    tcase_add_test(cases, leaves_other_statements_alone);
    tcase_add_test(cases, says_when_there_is_no_class);
    tcase_add_test(cases, leaves_other_languages_alone);
    tcase_add_test(cases, refuses_a_second_stage);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
