/* SPDX-License-Identifier: BSD-3-Clause */
/* The members of a journal's line, found without a JSON parser. */
#include "base/members.h"

#include <string.h>

#include <check.h>

#include "base/text.h"
#include "suite.h"

static struct arena *arena;
static struct members members;

static void set_up(void)
{
    arena = arena_new();
}

static void tear_down(void)
{
    arena_free(arena);
}

static bool find(const char *object)
{
    return members_find(&members, arena, object, strlen(object));
}

START_TEST(takes_values_by_name_and_type)
{
    ck_assert(find("{\"seq\":12,\"kind\":\"ended\",\"job\":-3,\"whole\":true,\"half\":1.5,\"none\":null}"));
    ck_assert_str_eq(members_text(&members, "kind"), "ended");
    ck_assert_int_eq(members_number(&members, "seq"), 12);
    ck_assert_int_eq(members_number(&members, "job"), -3);
    ck_assert(members_true(&members, "whole"));
    int64_t untouched = 7;
    ck_assert(!members_integer(&members, "half", &untouched));
    ck_assert(!members_integer(&members, "kind", &untouched));
    ck_assert(!members_integer(&members, "missing", &untouched));
    ck_assert_int_eq(untouched, 7);
    ck_assert_ptr_null(members_text(&members, "seq"));
    ck_assert_ptr_null(members_text(&members, "none"));
    ck_assert_ptr_null(members_text(&members, "missing"));
    ck_assert(!members_true(&members, "kind"));
}
END_TEST

START_TEST(decodes_what_is_not_plain)
{
    ck_assert(find("{\"a\":\"two\\nlines \\\"q\\\" \\u00e9\",\"b\":\"\303\251\",\"c\":\"a]},\\\\\",\"d\":\"\"}"));
    ck_assert_str_eq(members_text(&members, "a"), "two\nlines \"q\" \303\251");
    ck_assert_str_eq(members_text(&members, "b"), "\303\251");
    ck_assert_str_eq(members_text(&members, "c"), "a]},\\");
    ck_assert_str_eq(members_text(&members, "d"), "");
}
END_TEST

/* Texts are passed over in pieces: a quote counts wherever it lies in one, and not behind a backslash. */
START_TEST(a_text_ends_at_its_quote_wherever_that_lies)
{
    for (size_t length = 0; length < 40; length++)
        for (size_t at = 0; at <= length; at++) {
            cleanup(text_clear) struct text object = TEXT_INIT, expected = TEXT_INIT;
            text_append(&object, "{\"a\":\"");
            for (size_t i = 0; i < length; i++) {
                const char *piece = i != at ? "x" : length % 2 == 0 ? "\\\"" : "\\\\";
                text_append(&object, piece);
                text_append_character(&expected, piece[strlen(piece) - 1]);
            }
            text_append(&object, "\",\"b\":1}");
            ck_assert(members_find(&members, arena, object.bytes, object.length));
            ck_assert_str_eq(members_text(&members, "a"), text_bytes(&expected));
            ck_assert_int_eq(members_number(&members, "b"), 1);
            for (size_t cut = 1; cut < object.length; cut++) {
                cleanup(memory_free) char *shorter =
                    memory_copy_bytes(object.bytes, cut); /* so that a look behind its end is seen */
                ck_assert(!members_find(&members, arena, shorter, cut));
            }
        }
}
END_TEST

START_TEST(gives_no_text_that_json_forbids)
{
    ck_assert(find("{\"escape\":\"\033[31m\",\"latin\":\"\351\",\"nul\":\"a\\u0000b\",\"bad\":\"\\q\"}"));
    ck_assert_ptr_null(members_text(&members, "escape"));
    ck_assert_ptr_null(members_text(&members, "latin"));
    ck_assert_ptr_null(members_text(&members, "nul"));
    ck_assert_ptr_null(members_text(&members, "bad"));
}
END_TEST

START_TEST(the_last_of_equal_names_counts)
{
    ck_assert(find("{\"a\":1,\"a\":2}"));
    ck_assert_int_eq(members_number(&members, "a"), 2);
}
END_TEST

START_TEST(goes_into_objects_and_lists_of_objects)
{
    ck_assert(
        find("{ \"retry\" : {\"at\":5,\"reason\":\"x\"} , \"jobs\":[ {\"job\":1}, {\"job\":2,\"in\":[1,{}]} ] }"));
    struct members inner;
    ck_assert(members_object(&members, "retry", &inner));
    ck_assert_int_eq(members_number(&inner, "at"), 5);
    ck_assert(!members_object(&members, "jobs", &inner));
    ck_assert(!members_object(&members, "missing", &inner));
    int64_t sum = 0;
    for (struct elements jobs = members_elements(&members, "jobs"); elements_next(&jobs, &inner);)
        sum = sum * 10 + members_number(&inner, "job");
    ck_assert_int_eq(sum, 12);
    struct elements none = members_elements(&members, "retry");
    ck_assert(!elements_next(&none, &inner));
}
END_TEST

START_TEST(a_list_ends_at_what_is_no_object)
{
    ck_assert(find("{\"jobs\":[{\"job\":1},2,{\"job\":3}],\"empty\":[]}"));
    struct members inner;
    struct elements jobs = members_elements(&members, "jobs");
    ck_assert(elements_next(&jobs, &inner));
    ck_assert(!elements_next(&jobs, &inner));
    ck_assert(!elements_next(&jobs, &inner));
    struct elements empty = members_elements(&members, "empty");
    ck_assert(!elements_next(&empty, &inner));
}
END_TEST

START_TEST(refuses_what_is_no_object)
{
    static const char *const broken[] = {"",          " ",          "[]",        "{",           "{\"a\"",
                                         "{\"a\":",   "{\"a\":}",   "{\"a\":1",  "{\"a\":1,}",  "{a:1}",
                                         "{\"a\" 1}", "{\"a\":1}x", "{\"a\":\"", "{\"a\":\"\\", "{\"a\":[1}x",
                                         "{\"a\":{}", "{\"a\":1]}", "{,}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ck_assert_msg(!find(broken[i]), "%s", broken[i]);
        ck_assert_uint_eq(members.count, 0);
    }
    ck_assert(find("{}"));
    ck_assert(find(" { } "));
}
END_TEST

START_TEST(refuses_more_members_than_it_has_room_for)
{
    char object[MEMBERS_AT_MOST * 8 + 16] = "{\"a\":0";
    for (size_t i = 1; i < MEMBERS_AT_MOST; i++)
        memcpy(object + strlen(object), ",\"a\":1", 7);
    size_t full = strlen(object);
    memcpy(object + full, "}", 2);
    ck_assert(find(object));
    memcpy(object + full, ",\"a\":1}", 8);
    ck_assert(!find(object));
}
END_TEST

START_TEST(numbers_do_not_wrap)
{
    ck_assert(find("{\"a\":999999999999999999,\"b\":1000000000000000000,\"c\":\"1\",\"d\":-,\"e\":12x}"));
    ck_assert_int_eq(members_number(&members, "a"), INT64_C(999999999999999999));
    ck_assert_int_eq(members_number(&members, "b"), 0);
    ck_assert_int_eq(members_number(&members, "c"), 0);
    ck_assert_int_eq(members_number(&members, "d"), 0);
    ck_assert_int_eq(members_number(&members, "e"), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("members");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, takes_values_by_name_and_type);
    tcase_add_test(tests, decodes_what_is_not_plain);
    tcase_add_test(tests, a_text_ends_at_its_quote_wherever_that_lies);
    tcase_add_test(tests, gives_no_text_that_json_forbids);
    tcase_add_test(tests, the_last_of_equal_names_counts);
    tcase_add_test(tests, goes_into_objects_and_lists_of_objects);
    tcase_add_test(tests, a_list_ends_at_what_is_no_object);
    tcase_add_test(tests, refuses_what_is_no_object);
    tcase_add_test(tests, refuses_more_members_than_it_has_room_for);
    tcase_add_test(tests, numbers_do_not_wrap);
    return run_case("members", tests);
}
