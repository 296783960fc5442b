/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/path.h"

#include <string.h>

#include "base/text.h"
#include "suite.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *folder, *name, *joined;
} join_table[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"}, {"", "b", "b"},
                  {"a", "", "a"},    {"/", "b", "/b"},   {".", "b", "./b"}};

START_TEST(joins)
{
    cleanup(memory_free) char *joined = path_join(join_table[_i].folder, join_table[_i].name);
    ck_assert_str_eq(joined, join_table[_i].joined);
}
END_TEST

static const struct {
    const char *base, *path, *absolute;
} absolute_table[] = {{"/w", "a", "/w/a"},      {"/w", "./a/./b/", "/w/a/b"},
                      {"/w/x", "../a", "/w/a"}, {"/w", "../../../a", "/a"},
                      {"/w", "/b//c/", "/b/c"}, {"/w", "..", "/"},
                      {"/", "", "/"},           {"/w//v/", ".", "/w/v"},
                      {"/w", "...", "/w/..."},  {"/w", "a/../..b", "/w/..b"}};

START_TEST(makes_absolute_and_clean)
{
    cleanup(memory_free) char *absolute = path_absolute(absolute_table[_i].base, absolute_table[_i].path);
    ck_assert_str_eq(absolute, absolute_table[_i].absolute);
}
END_TEST

static const struct {
    const char *path, *folder, *name;
} part_table[] = {{"a/b", "a", "b"},  {"a", ".", "a"},         {"/a", "/", "a"}, {"/", "/", ""},
                  {"a//b", "a", "b"}, {"/a/b/c", "/a/b", "c"}, {"", ".", ""}};

START_TEST(takes_apart)
{
    cleanup(memory_free) char *folder = path_folder(part_table[_i].path);
    ck_assert_str_eq(folder, part_table[_i].folder);
    ck_assert_str_eq(path_name(part_table[_i].path), part_table[_i].name);
}
END_TEST

START_TEST(inside_is_by_whole_parts)
{
    ck_assert(path_is_inside("/a", "/a") && path_is_inside("/a", "/a/b") && path_is_inside("/", "/a"));
    ck_assert(path_is_inside("/", "/"));
    ck_assert(!path_is_inside("/a", "/ab") && !path_is_inside("/a/b", "/a") && !path_is_inside("/a", "/"));
}
END_TEST

START_TEST(component_is_one_harmless_name)
{
    char name[257];
    memset(name, 'x', 256);
    name[256] = '\0';
    ck_assert(!path_is_component(name));
    name[255] = '\0';
    ck_assert(path_is_component(name));
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "a\n", "\x1b[0m", "a\x7f"};
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!path_is_component(bad[i]), "number %zu", i);
    ck_assert(path_is_component("...") && path_is_component("a b") && path_is_component("\xC3\xA9"));
}
END_TEST

START_TEST(real_says_what_it_cannot_find)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *root = path_real("/usr/..", &error);
    ck_assert_str_eq(root, "/");
    ck_assert_ptr_null(path_real("/nowhere/at/all", &error));
    ck_assert_str_eq(error.message, "cannot find '/nowhere/at/all': No such file or directory");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("path");
    tcase_add_loop_test(tests, joins, 0, COUNT(join_table));
    tcase_add_loop_test(tests, makes_absolute_and_clean, 0, COUNT(absolute_table));
    tcase_add_loop_test(tests, takes_apart, 0, COUNT(part_table));
    tcase_add_test(tests, inside_is_by_whole_parts);
    tcase_add_test(tests, component_is_one_harmless_name);
    tcase_add_test(tests, real_says_what_it_cannot_find);
    return run_case("path", tests);
}
