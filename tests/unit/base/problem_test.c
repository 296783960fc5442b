/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/problem.h"

#include "suite.h"

START_TEST(prints_sorted_with_places_and_hints)
{
    cleanup(problems_clear) struct problems problems = {0};
    problem_add(&problems, PROBLEM_WARNING, (struct place){"b.yaml", 2, 1}, NULL, "later %s", "file");
    problem_add(&problems, PROBLEM_ERROR, (struct place){"a.yaml", 10, 3}, "write it\x1b", "second\nline");
    problem_add(&problems, PROBLEM_NOTE, (struct place){"a.yaml", 2, 9}, NULL, "first");
    problem_add(&problems, PROBLEM_ERROR, (struct place){"a.yaml", 10, 0}, NULL, "no column");
    problem_add(&problems, PROBLEM_ERROR, (struct place){"a.yaml", 0, 0}, NULL, "whole file");
    problem_add(&problems, PROBLEM_ERROR, (struct place){0}, NULL, "no file");
    problems_sort(&problems);
    cleanup(text_clear) struct text out = TEXT_INIT;
    problems_print(&problems, &out);
    ck_assert_str_eq(text_bytes(&out), "error: no file\n"
                                       "a.yaml: error: whole file\n"
                                       "a.yaml:2:9: note: first\n"
                                       "a.yaml:10: error: no column\n"
                                       "a.yaml:10:3: error: second\\x0Aline\n"
                                       "  hint: write it\\x1B\n"
                                       "b.yaml:2:1: warning: later file\n");
    ck_assert_uint_eq(problems.errors, 4);
    ck_assert_uint_eq(problems.warnings, 1);
    ck_assert_uint_eq(problems.notes, 1);
}
END_TEST

START_TEST(sorting_keeps_the_order_of_equal_places)
{
    cleanup(problems_clear) struct problems problems = {0};
    for (unsigned i = 0; i < 999; i++)
        problem_add(&problems, PROBLEM_ERROR, (struct place){"f", 1 + i * 7 % 10, 1}, NULL, "%04u", i);
    problems_sort(&problems);
    for (size_t i = 1; i < problems.count; i++) {
        const struct problem *left = &problems.items[i - 1], *right = &problems.items[i];
        ck_assert_uint_le(left->line, right->line);
        if (left->line == right->line)
            ck_assert_str_lt(left->message, right->message);
    }
}
END_TEST

START_TEST(keeps_a_thousand_and_counts_the_rest)
{
    cleanup(problems_clear) struct problems problems = {0};
    for (int i = 0; i < 1500; i++)
        problem_add(&problems, PROBLEM_ERROR, (struct place){"f", 1, 1}, NULL, "x");
    ck_assert_uint_eq(problems.count, PROBLEMS_LIMIT);
    ck_assert_uint_eq(problems.errors, 1500);
    cleanup(text_clear) struct text out = TEXT_INIT;
    problems_print(&problems, &out);
    ck_assert(text_ends_with(out.bytes, "\n(500 more are not shown)\n"));
}
END_TEST

START_TEST(prints_json)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text out = TEXT_INIT;
    problems_print_json(&problems, &out);
    ck_assert_str_eq(out.bytes, "{\"problems\": []}\n");
    text_reset(&out);
    problem_add(&problems, PROBLEM_ERROR, (struct place){"a\".yaml", 3, 4}, "hint", "it is \"so\"");
    problem_add(&problems, PROBLEM_NOTE, (struct place){0}, NULL, "n");
    problems_print_json(&problems, &out);
    ck_assert_str_eq(out.bytes, "{\"problems\": [\n"
                                "  {\"level\": \"error\", \"file\": \"a\\\".yaml\", \"line\": 3, \"column\": 4, "
                                "\"message\": \"it is \\\"so\\\"\", \"hint\": \"hint\"},\n"
                                "  {\"level\": \"note\", \"file\": null, \"line\": null, \"column\": null, "
                                "\"message\": \"n\", \"hint\": null}\n"
                                "]}\n");
}
END_TEST

START_TEST(takes_an_error_with_its_place)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    error_set(&error, ERROR_INPUT, "100%% wrong");
    error_place(&error, "a.yaml", 7, 2);
    error_hint(&error, "h");
    problem_from_error(&problems, &error);
    cleanup(text_clear) struct text out = TEXT_INIT;
    problems_print(&problems, &out);
    ck_assert_str_eq(out.bytes, "a.yaml:7:2: error: 100% wrong\n  hint: h\n");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("problem");
    tcase_add_test(tests, prints_sorted_with_places_and_hints);
    tcase_add_test(tests, sorting_keeps_the_order_of_equal_places);
    tcase_add_test(tests, keeps_a_thousand_and_counts_the_rest);
    tcase_add_test(tests, prints_json);
    tcase_add_test(tests, takes_an_error_with_its_place);
    return run_case("problem", tests);
}
