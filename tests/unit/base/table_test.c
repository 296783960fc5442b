/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/table.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"

static int numbers[20000];

START_TEST(holds_replaces_and_removes)
{
    cleanup(table_free) struct table *table = table_new();
    ck_assert_ptr_null(table_get(table, "a"));
    ck_assert(!table_remove(table, "a"));
    table_put(table, "a", &numbers[1]);
    table_put(table, "", &numbers[2]);
    table_put(table, "a", &numbers[3]);
    ck_assert_ptr_eq(table_get(table, "a"), &numbers[3]);
    ck_assert_ptr_eq(table_get(table, ""), &numbers[2]);
    ck_assert_uint_eq(table_count(table), 2);
    ck_assert(table_remove(table, "a"));
    ck_assert_ptr_null(table_get(table, "a"));
    ck_assert_uint_eq(table_count(table), 1);
}
END_TEST

START_TEST(copies_the_key)
{
    cleanup(table_free) struct table *table = table_new();
    char key[] = "name";
    table_put(table, key, numbers);
    key[0] = 'g';
    ck_assert_ptr_eq(table_get(table, "name"), numbers);
    ck_assert_ptr_null(table_get(table, "game"));
}
END_TEST

START_TEST(walks_in_the_order_of_insertion)
{
    cleanup(table_free) struct table *table = table_new();
    char key[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "%d", i * 7919 % 1000);
        table_put(table, key, &numbers[i]);
    }
    for (int i = 0; i < 1000; i += 3) {
        snprintf(key, sizeof key, "%d", i * 7919 % 1000);
        ck_assert(table_remove(table, key));
    }
    const char *found;
    void *value;
    int expected = 0;
    for (size_t position = 0; table_next(table, &position, &found, &value); expected++) {
        expected += expected % 3 == 0;
        snprintf(key, sizeof key, "%d", expected * 7919 % 1000);
        ck_assert_str_eq(found, key);
        ck_assert_ptr_eq(value, &numbers[expected]);
    }
    ck_assert_int_eq(expected, 999);
    ck_assert_uint_eq(table_count(table), 666);
}
END_TEST

/* Against a plain array, with more removals than anything real would do. */
START_TEST(agrees_with_an_array_over_many_changes)
{
    enum { KEYS = 500, STEPS = 200000 };
    cleanup(table_free) struct table *table = table_new();
    static void *expected[KEYS];
    memset(expected, 0, sizeof expected);
    uint32_t state = 12345;
    for (int step = 0; step < STEPS; step++) {
        state = state * 1664525 + 1013904223;
        uint32_t number = state >> 16;
        char key[16];
        snprintf(key, sizeof key, "key-%u", (unsigned)(number % KEYS));
        if (number % 3 == 0) {
            ck_assert_int_eq(table_remove(table, key), expected[number % KEYS] != NULL);
            expected[number % KEYS] = NULL;
        } else {
            expected[number % KEYS] = &numbers[step % 20000];
            table_put(table, key, expected[number % KEYS]);
        }
        ck_assert_ptr_eq(table_get(table, key), expected[number % KEYS]);
    }
    size_t count = 0;
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        ck_assert_ptr_eq(table_get(table, key), expected[i]);
        count += expected[i] != NULL;
    }
    ck_assert_uint_eq(table_count(table), count);
}
END_TEST

START_TEST(removing_while_walking_meets_each_once)
{
    cleanup(table_free) struct table *table = table_new();
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        table_put(table, key, &numbers[i]);
    }
    const char *key;
    size_t met = 0;
    for (size_t position = 0; table_next(table, &position, &key, NULL); met++)
        ck_assert(table_remove(table, key)); /* the key is the table's own text */
    ck_assert_uint_eq(met, 100);
    ck_assert_uint_eq(table_count(table), 0);
}
END_TEST

START_TEST(symbols_are_equal_for_equal_texts_only)
{
    cleanup(symbols_free) struct symbols *symbols = symbols_new();
    ck_assert_uint_eq(symbols_count(symbols), 1);
    ck_assert_str_eq(symbol_text(symbols, 0), "");
    ck_assert_uint_eq(symbol_intern(symbols, "", 0), 0);
    symbol stage = symbol_intern(symbols, "stage", 5);
    ck_assert_uint_ne(stage, 0);
    ck_assert_uint_eq(symbol_intern(symbols, "stage-and-more", 5), stage);
    ck_assert_uint_ne(symbol_intern(symbols, "stag", 4), stage);
    symbol with_nul = symbol_intern(symbols, "stage\0x", 7);
    ck_assert_uint_ne(with_nul, stage);
    ck_assert_uint_eq(symbol_find(symbols, "stage\0x", 7), with_nul);
    ck_assert_uint_eq(symbol_find(symbols, "unknown", 7), 0);
    ck_assert_uint_eq(symbols_count(symbols), 4);
}
END_TEST

START_TEST(symbol_texts_never_move)
{
    enum { COUNT = 200000 };
    cleanup(symbols_free) struct symbols *symbols = symbols_new();
    static const char *texts[COUNT];
    char text[32];
    for (unsigned i = 0; i < COUNT; i++) {
        int length = snprintf(text, sizeof text, "file-%u.hdf5", i);
        symbol added = symbol_intern(symbols, text, (size_t)length);
        ck_assert_uint_eq(added, i + 1);
        texts[i] = symbol_text(symbols, added);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        int length = snprintf(text, sizeof text, "file-%u.hdf5", i);
        ck_assert_uint_eq(symbol_find(symbols, text, (size_t)length), i + 1);
        ck_assert_ptr_eq(symbol_text(symbols, i + 1), texts[i]);
        ck_assert_str_eq(texts[i], text);
    }
}
END_TEST

/* Around the chunks of the store and the steps of the length in front of each text. */
static const size_t lengths[] = {1,     126,   127,   128,   129,    16383,  16384,  65530, 65532, 65533,
                                 65534, 65535, 65536, 65537, 131069, 131072, 200000, 65532, 1};

START_TEST(symbols_take_texts_of_any_length)
{
    cleanup(symbols_free) struct symbols *symbols = symbols_new();
    cleanup(memory_free) char *bytes = memory_allocate(200001);
    symbol added[sizeof lengths / sizeof lengths[0]];
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(bytes, 'a' + (int)i, lengths[i]);
        added[i] = symbol_intern(symbols, bytes, lengths[i]);
    }
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(bytes, 'a' + (int)i, lengths[i]);
        ck_assert_uint_eq(added[i], i + 1);
        ck_assert_uint_eq(symbol_find(symbols, bytes, lengths[i]), i + 1);
        const char *text = symbol_text(symbols, added[i]);
        ck_assert_uint_eq(strlen(text), lengths[i]);
        ck_assert_mem_eq(text, bytes, lengths[i]);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("table");
    tcase_add_test(tests, holds_replaces_and_removes);
    tcase_add_test(tests, copies_the_key);
    tcase_add_test(tests, walks_in_the_order_of_insertion);
    tcase_add_test(tests, agrees_with_an_array_over_many_changes);
    tcase_add_test(tests, removing_while_walking_meets_each_once);
    tcase_add_test(tests, symbols_are_equal_for_equal_texts_only);
    tcase_add_test(tests, symbol_texts_never_move);
    tcase_add_test(tests, symbols_take_texts_of_any_length);
    return run_case("table", tests);
}
