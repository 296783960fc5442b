/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"

START_TEST(gives_zeroed_memory_even_for_no_bytes)
{
    cleanup(memory_free) unsigned char *memory = memory_allocate(1000);
    for (size_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(memory[i], 0);
    cleanup(memory_free) void *nothing = memory_allocate(0);
    ck_assert_ptr_nonnull(nothing);
    cleanup(memory_free) void *resized = memory_resize(NULL, 0);
    ck_assert_ptr_nonnull(resized);
}
END_TEST

START_TEST(copies_texts_and_bytes)
{
    ck_assert_ptr_null(memory_copy_text(NULL));
    cleanup(memory_free) char *text = memory_copy_text("stage");
    ck_assert_str_eq(text, "stage");
    cleanup(memory_free) char *bytes = memory_copy_bytes("a\0b", 3);
    ck_assert_mem_eq(bytes, "a\0b", 4);
    cleanup(memory_free) char *formatted = memory_format("%s-%d", "tag", 7);
    ck_assert_str_eq(formatted, "tag-7");
}
END_TEST

START_TEST(steal_leaves_null)
{
    char *first = memory_copy_text("x");
    cleanup(memory_free) char *second = steal(&first);
    ck_assert_ptr_null(first);
    ck_assert_str_eq(second, "x");
}
END_TEST

START_TEST(exhaustion_ends_with_exit_6)
{
    (void)memory_resize(NULL, SIZE_MAX / 2);
}
END_TEST

START_TEST(arena_keeps_what_it_gave_in_place)
{
    enum { COUNT = 20000 };
    cleanup(arena_free) struct arena *arena = arena_new();
    static char *texts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        char text[32];
        int length = snprintf(text, sizeof text, "text %zu", i);
        texts[i] = arena_copy(arena, text, (size_t)length);
    }
    for (size_t i = 0; i < COUNT; i++) {
        char text[32];
        snprintf(text, sizeof text, "text %zu", i);
        ck_assert_str_eq(texts[i], text);
    }
}
END_TEST

START_TEST(arena_aligns_and_zeroes_also_after_reset)
{
    cleanup(arena_free) struct arena *arena = arena_new();
    for (size_t round = 0; round < 2; round++) {
        for (size_t size = 0; size < 3000; size += 37) {
            unsigned char *place = arena_allocate(arena, size);
            ck_assert_uint_eq((uintptr_t)place % 16, 0);
            for (size_t i = 0; i < size; i++)
                ck_assert_uint_eq(place[i], 0);
            if (size > 0)
                memset(place, 0xFF, size);
        }
        arena_reset(arena);
    }
}
END_TEST

START_TEST(arena_takes_what_is_larger_than_a_chunk_and_reuses_it)
{
    cleanup(arena_free) struct arena *arena = arena_new();
    char *large = arena_allocate(arena, 5 * 1024 * 1024);
    large[5 * 1024 * 1024 - 1] = 'x';
    size_t bytes = arena_bytes(arena);
    ck_assert_uint_ge(bytes, 5 * 1024 * 1024);
    for (int i = 0; i < 100; i++) {
        arena_reset(arena);
        (void)arena_allocate(arena, 5 * 1024 * 1024);
    }
    ck_assert_uint_eq(arena_bytes(arena), bytes);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("memory");
    tcase_add_test(tests, gives_zeroed_memory_even_for_no_bytes);
    tcase_add_test(tests, copies_texts_and_bytes);
    tcase_add_test(tests, steal_leaves_null);
    if (!SANITIZED) /* which ends the program its own way */
        tcase_add_exit_test(tests, exhaustion_ends_with_exit_6, 6);
    tcase_add_test(tests, arena_keeps_what_it_gave_in_place);
    tcase_add_test(tests, arena_aligns_and_zeroes_also_after_reset);
    tcase_add_test(tests, arena_takes_what_is_larger_than_a_chunk_and_reuses_it);
    return run_case("memory", tests);
}
