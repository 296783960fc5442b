/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of text. */
#include "report/grid.h"

#include "suite.h"

static const struct grid_column columns[] = {
    {.title = "name", .flexible = true}, {.title = "size", .right = true}, {.title = "where"}};

static struct grid *two_rows(void)
{
    struct grid *grid = grid_new(columns, 3);
    const char *const cells[] = {"tomography", "7", "", "n", "1234567", ""};
    for (size_t i = 0; i < 6; i++)
        grid_add(grid, cells[i], i == 1 ? "\x1b[31m" : "");
    return grid;
}

START_TEST(aligns_columns_and_leaves_out_empty_ones)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(grid_free) struct grid *grid = two_rows();
    grid_print(grid, 0, false, &out);
    ck_assert_str_eq(text_bytes(&out), "name           size\n"
                                       "tomography        7\n"
                                       "n           1234567\n");
}
END_TEST

START_TEST(colors_cells_only_when_asked)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(grid_free) struct grid *grid = two_rows();
    grid_print(grid, 0, true, &out);
    ck_assert_str_eq(text_bytes(&out), "\x1b[1mname\x1b[0m           \x1b[1msize\x1b[0m\n"
                                       "tomography        \x1b[31m7\x1b[0m\n"
                                       "n           1234567\n");
}
END_TEST

START_TEST(shrinks_flexible_columns_to_the_terminal)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(grid_free) struct grid *grid = two_rows();
    grid_print(grid, 17, false, &out);
    ck_assert_str_eq(text_bytes(&out), "name         size\n"
                                       "tomogra…        7\n"
                                       "n         1234567\n");
}
END_TEST

START_TEST(leaves_out_what_cannot_fit)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(grid_free) struct grid *grid = two_rows();
    grid_print(grid, 16, false, &out);
    ck_assert_str_eq(text_bytes(&out), "name\ntomogra…\nn\n");
}
END_TEST

START_TEST(counts_columns_not_bytes)
{
    static const struct {
        const char *text;
        unsigned width;
    } cases[] = {{"", 0}, {"abc", 3}, {"é", 1}, {"e\xCC\x81", 1}, {"日本", 4}, {"\xFF", 1}, {"a\tb", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(display_width(cases[i].text) == cases[i].width, "'%s' is %u columns", cases[i].text,
                      display_width(cases[i].text));
}
END_TEST

START_TEST(cuts_at_columns_and_says_so)
{
    static const struct {
        const char *text;
        unsigned width;
        const char *cut;
    } cases[] = {{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"日本語", 5, "日本…"},
                 {"日本語", 4, "日…"},    {"abc", 1, "…"},        {"abc", 0, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(text_clear) struct text out = TEXT_INIT;
        ck_assert_uint_le(display_append(&out, cases[i].text, cases[i].width), cases[i].width);
        ck_assert_str_eq(text_bytes(&out), cases[i].cut);
    }
}
END_TEST

START_TEST(a_column_that_wraps_loses_nothing)
{
    static const struct grid_column two[] = {{.title = "name"}, {.title = "says", .flexible = true, .wraps = true}};
    static const struct {
        const char *text;
        unsigned width;
        const char *printed;
    } cases[] = {
        {"short", 20, "name  says\na     short\n"},
        {"one two three", 18, "name  says\na     one two\n      three\n"},
        {"one twoo three", 14, "name  says\na     one twoo\n      three\n"}, /* to the last column */
        {"abcdefghijkl mn", 14, "name  says\na     abcdefgh\n      ijkl mn\n"},
        {"日本語 日本語", 14, "name  says\na     日本語\n      日本語\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(text_clear) struct text out = TEXT_INIT;
        cleanup(grid_free) struct grid *grid = grid_new(two, 2);
        grid_add(grid, "a", "");
        grid_add(grid, cases[i].text, "");
        grid_print(grid, cases[i].width, false, &out);
        ck_assert_str_eq(text_bytes(&out), cases[i].printed);
    }
}
END_TEST

START_TEST(control_characters_cannot_reach_the_terminal)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(grid_free) struct grid *grid = grid_new(columns, 1);
    grid_add(grid, "a\x1b[2Jb\n", "");
    grid_print(grid, 0, false, &out);
    ck_assert_str_eq(text_bytes(&out), "name\na\\x1B[2Jb\\x0A\n");
}
END_TEST

START_TEST(prints_nothing_without_rows)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    cleanup(grid_free) struct grid *grid = grid_new(columns, 3);
    grid_print(grid, 80, true, &out);
    ck_assert_str_eq(text_bytes(&out), "");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {aligns_columns_and_leaves_out_empty_ones,
                                  colors_cells_only_when_asked,
                                  shrinks_flexible_columns_to_the_terminal,
                                  leaves_out_what_cannot_fit,
                                  counts_columns_not_bytes,
                                  cuts_at_columns_and_says_so,
                                  a_column_that_wraps_loses_nothing,
                                  control_characters_cannot_reach_the_terminal,
                                  prints_nothing_without_rows,
                                  NULL};
    return suite_run("grid", tests, NULL, NULL);
}
