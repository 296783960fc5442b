/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/list.h"

#include "suite.h"

START_TEST(grows_and_keeps_its_items)
{
    LIST(int) list = {0};
    for (int i = 0; i < 10000; i++)
        list_add(&list, i);
    ck_assert_uint_eq(list.count, 10000);
    for (int i = 0; i < 10000; i++)
        ck_assert_int_eq(list.items[i], i);
    list_clear(&list);
    ck_assert_ptr_null(list.items);
    ck_assert_uint_eq(list.count + list.capacity, 0);
}
END_TEST

START_TEST(grow_gives_zeroed_items)
{
    struct pair {
        char *name;
        int number;
    };
    LIST(struct pair) list = {0};
    for (int i = 0; i < 100; i++) {
        struct pair *pair = list_grow(&list);
        ck_assert_ptr_null(pair->name);
        ck_assert_int_eq(pair->number, 0);
        pair->number = -1;
    }
    list.count = 0;
    ck_assert_int_eq(list_grow(&list)->number, 0);
    list_clear(&list);
}
END_TEST

START_TEST(words_end_with_null)
{
    cleanup(words_clear) struct words words = {0};
    ck_assert_ptr_null(words_list(&words)[0]);
    words_add(&words, "a");
    words_take(&words, memory_copy_text("b"));
    words_format(&words, "c%d", 3);
    words_add_all(&words, (const char *const[]){"d", "e", NULL});
    words_add_all(&words, NULL);
    static const char *const expected[] = {"a", "b", "c3", "d", "e"};
    ck_assert_uint_eq(words.count, 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_str_eq(words_list(&words)[i], expected[i]);
    ck_assert_ptr_null(words_list(&words)[5]);
    words_clear(&words);
    ck_assert_ptr_null(words.items);
}
END_TEST

START_TEST(environment_is_looked_up_by_whole_names)
{
    const char *const environment[] = {"PATHS=no", "PATH=/bin:/usr/bin", "EMPTY=", "PATH=second", "BARE", NULL};
    ck_assert_str_eq(words_environment(environment, "PATH"), "/bin:/usr/bin");
    ck_assert_str_eq(words_environment(environment, "EMPTY"), "");
    ck_assert_ptr_null(words_environment(environment, "BARE"));
    ck_assert_ptr_null(words_environment(environment, "PAT"));
    ck_assert_ptr_null(words_environment(NULL, "PATH"));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("list");
    tcase_add_test(tests, grows_and_keeps_its_items);
    tcase_add_test(tests, grow_gives_zeroed_items);
    tcase_add_test(tests, words_end_with_null);
    tcase_add_test(tests, environment_is_looked_up_by_whole_names);
    return run_case("list", tests);
}
