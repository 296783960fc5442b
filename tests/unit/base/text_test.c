/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

START_TEST(counts_have_their_plural)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (unsigned i = 0; i < 3; i++) {
        text_append_count(&text, i, "stage");
        text_append(&text, "|");
    }
    ck_assert_str_eq(text_bytes(&text), "0 stages|1 stage|2 stages|");
}
END_TEST

START_TEST(is_empty_before_the_first_append)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    ck_assert_str_eq(text_bytes(&text), "");
    text_reset(&text);
    cleanup(memory_free) char *taken = text_take(&text);
    ck_assert_str_eq(taken, "");
    ck_assert_ptr_null(text.bytes);
}
END_TEST

START_TEST(grows_and_always_ends_with_nul)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (size_t i = 0; i < 5000; i++) {
        text_append_character(&text, (char)('a' + i % 26));
        ck_assert_uint_lt(text.length, text.capacity);
        ck_assert_int_eq(text.bytes[text.length], '\0');
    }
    ck_assert_uint_eq(text.length, 5000);
    text_append_bytes(&text, "\0x", 2);
    ck_assert_uint_eq(text.length, 5002);
    text_append_bytes(&text, NULL, 0);
    text_reset(&text);
    ck_assert_str_eq(text.bytes, "");
}
END_TEST

START_TEST(writes_numbers)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append_unsigned(&text, 0);
    text_append_character(&text, ' ');
    text_append_unsigned(&text, UINT64_MAX);
    text_append_character(&text, ' ');
    text_append_signed(&text, INT64_MIN);
    text_append_character(&text, ' ');
    text_append_signed(&text, INT64_MAX);
    ck_assert_str_eq(text.bytes, "0 18446744073709551615 -9223372036854775808 9223372036854775807");
}
END_TEST

START_TEST(formats_what_does_not_fit_at_first)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_format(&text, "%s|", "short");
    text_format(&text, "%0500d|%s", 1, "end");
    ck_assert_uint_eq(text.length, 6 + 500 + 4);
    ck_assert(text_ends_with(text.bytes, "1|end"));
    ck_assert(text_starts_with(text.bytes, "short|000"));
}
END_TEST

static const struct {
    const char *value;
    size_t length;
    const char *json;
} json_table[] = {
    {"", 0, "\"\""},
    {"plain text", 10, "\"plain text\""},
    {"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
    {"\n\r\t\b\x01\x1f\x7f", 7, "\"\\n\\r\\t\\u0008\\u0001\\u001f\x7f\""},
    {"a\0b", 3, "\"a\\u0000b\""},
    {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8D", 9, "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8D\""},
    {"\xC3", 1, "\"\xEF\xBF\xBD\""},
    {"a\xFFz", 3, "\"a\xEF\xBF\xBDz\""},
    {"\xC0\x80", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},                                 /* overlong */
    {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},                 /* a surrogate */
    {"\xF4\x90\x80\x80", 4, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}, /* over U+10FFFF */
    {"\xE2\x82", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
};

START_TEST(json_is_always_valid)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append_json_bytes(&text, json_table[_i].value, json_table[_i].length);
    ck_assert_str_eq(text.bytes, json_table[_i].json);
    ck_assert(text_is_utf8(text.bytes, text.length));
}
END_TEST

START_TEST(json_of_any_two_bytes_is_utf8_without_controls)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            text_reset(&text);
            text_append_json_bytes(&text, (const char[]){(char)first, (char)second}, 2);
            ck_assert(text_is_utf8(text.bytes, text.length));
            for (size_t i = 0; i < text.length; i++)
                ck_assert_uint_ge((unsigned char)text.bytes[i], 0x20);
        }
}
END_TEST

static const struct {
    const char *word, *quoted;
} shell_table[] = {
    {"plain-1.0_a/b:c,d+e@f%", "plain-1.0_a/b:c,d+e@f%"},
    {"", "''"},
    {"two words", "'two words'"},
    {"it's", "'it'\\''s'"},
    {"'", "''\\'''"},
    {"$HOME`id`", "'$HOME`id`'"},
    {"a\nb", "'a\nb'"},
    {"A=b", "'A=b'"},
    {"~", "'~'"},
    {"if", "'if'"},
    {"!", "'!'"},
    {"\xFF\x01", "'\xFF\x01'"},
    {"-n", "-n"},
};

START_TEST(shell_words_are_quoted_when_needed)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append_shell_word(&text, shell_table[_i].word);
    ck_assert_str_eq(text.bytes, shell_table[_i].quoted);
}
END_TEST

/* The shell itself is the judge. */
START_TEST(shell_gives_every_byte_back)
{
    cleanup(text_clear) struct text command = TEXT_INIT;
    char word[256];
    for (int i = 1; i < 256; i++)
        word[i - 1] = (char)i;
    word[255] = '\0';
    text_append(&command, "printf %s ");
    text_append_shell_word(&command, word);
    FILE *shell = popen(command.bytes, "re");
    ck_assert_ptr_nonnull(shell);
    char back[512];
    size_t length = fread(back, 1, sizeof back, shell);
    ck_assert_int_eq(pclose(shell), 0);
    ck_assert_uint_eq(length, 255);
    ck_assert_mem_eq(back, word, 255);
}
END_TEST

static const struct {
    const char *value;
    size_t limit;
    const char *printed;
} printable_table[] = {
    {"harmless \xC3\xA9", 100, "harmless \xC3\xA9"},
    {"\x1b[31mred\n", 100, "\\x1B[31mred\\x0A"},
    {"tab\tdel\x7f", 100, "tab\\x09del\\x7F"},
    {"bad \xFF\xC3", 100, "bad \\xFF\\xC3"},
    {"c1 \xC2\x9B", 100, "c1 \\xC2\\x9B"},              /* CSI as one character */
    {"bidi \xE2\x80\xAE", 100, "bidi \\xE2\\x80\\xAE"}, /* right-to-left override */
    {"exact", 5, "exact"},
    {"longer", 5, "longe\xE2\x80\xA6"},
    {"ab\xC3\xA9", 3, "ab\xE2\x80\xA6"}, /* never half a character */
    {"ab\n", 5, "ab\xE2\x80\xA6"},       /* never half an escape */
    {"x", 0, "\xE2\x80\xA6"},
    {"", 0, ""},
};

START_TEST(printable_shows_controls_and_cuts)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append_printable(&text, printable_table[_i].value, printable_table[_i].limit);
    ck_assert_str_eq(text_bytes(&text), printable_table[_i].printed);
}
END_TEST

static const struct {
    const char *text;
    bool is_unsigned, is_signed;
    uint64_t natural;
    int64_t whole;
} number_table[] = {
    {"0", true, true, 0, 0},
    {"007", true, true, 7, 7},
    {"9223372036854775807", true, true, 9223372036854775807u, INT64_MAX},
    {"9223372036854775808", true, false, 9223372036854775808u, 0},
    {"-9223372036854775808", false, true, 0, INT64_MIN},
    {"-9223372036854775809", false, false, 0, 0},
    {"18446744073709551615", true, false, UINT64_MAX, 0},
    {"18446744073709551616", false, false, 0, 0},
    {"99999999999999999999999", false, false, 0, 0},
    {"-0", false, true, 0, 0},
    {"-5", false, true, 0, -5},
    {"", false, false, 0, 0},
    {"-", false, false, 0, 0},
    {"--1", false, false, 0, 0},
    {"+1", false, false, 0, 0},
    {" 1", false, false, 0, 0},
    {"1 ", false, false, 0, 0},
    {"1x", false, false, 0, 0},
    {"0x10", false, false, 0, 0},
};

START_TEST(numbers_are_whole_and_never_wrap)
{
    uint64_t natural = 42;
    int64_t whole = 42;
    ck_assert_int_eq(text_to_unsigned(number_table[_i].text, &natural), number_table[_i].is_unsigned);
    ck_assert_uint_eq(natural, number_table[_i].is_unsigned ? number_table[_i].natural : 42);
    ck_assert_int_eq(text_to_signed(number_table[_i].text, &whole), number_table[_i].is_signed);
    ck_assert_int_eq(whole, number_table[_i].is_signed ? number_table[_i].whole : 42);
}
END_TEST

START_TEST(compares_ends_and_null)
{
    ck_assert(text_equal(NULL, NULL) && !text_equal(NULL, "") && !text_equal("", NULL) && text_equal("a", "a"));
    ck_assert(text_starts_with("abc", "ab") && text_starts_with("abc", "") && !text_starts_with("ab", "abc"));
    ck_assert(text_ends_with("abc", "bc") && text_ends_with("abc", "") && !text_ends_with("c", "bc"));
}
END_TEST

static const struct {
    const char *left, *right;
    size_t distance;
} distance_table[] = {
    {"", "", 0},      {"a", "", 1},           {"kitten", "sitting", 3}, {"memory", "memroy", 1}, {"ab", "ba", 1},
    {"ca", "abc", 3}, {"stage", "stages", 1}, {"inputs", "outputs", 3}, {"abcdef", "badcfe", 3},
};

START_TEST(distance_counts_swaps_as_one_and_is_capped)
{
    for (size_t limit = 0; limit < 8; limit++) {
        size_t expected = distance_table[_i].distance <= limit ? distance_table[_i].distance : limit + 1;
        ck_assert_uint_eq(text_distance(distance_table[_i].left, distance_table[_i].right, limit), expected);
        ck_assert_uint_eq(text_distance(distance_table[_i].right, distance_table[_i].left, limit), expected);
    }
}
END_TEST

START_TEST(distance_of_endless_words_is_not_computed)
{
    cleanup(text_clear) struct text left = TEXT_INIT, right = TEXT_INIT;
    for (int i = 0; i < 100000; i++) {
        text_append_character(&left, 'a');
        text_append_character(&right, 'a');
    }
    ck_assert_uint_eq(text_distance(left.bytes, right.bytes, 3), 0);
    right.bytes[5] = 'b';
    ck_assert_uint_eq(text_distance(left.bytes, right.bytes, 3), 4);
}
END_TEST

START_TEST(nearest_is_within_a_third)
{
    const char *const names[] = {"docker", "singularity", "shifter", "native", NULL};
    ck_assert_str_eq(text_nearest("dokcer", names), "docker");
    ck_assert_str_eq(text_nearest("singularty", names), "singularity");
    ck_assert_str_eq(text_nearest("native", names), "native");
    ck_assert_ptr_null(text_nearest("podman", names));
    ck_assert_ptr_null(text_nearest("", names));
    ck_assert_ptr_null(text_nearest("x", (const char *const[]){NULL}));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("text");
    tcase_add_test(tests, counts_have_their_plural);
    tcase_add_test(tests, is_empty_before_the_first_append);
    tcase_add_test(tests, grows_and_always_ends_with_nul);
    tcase_add_test(tests, writes_numbers);
    tcase_add_test(tests, formats_what_does_not_fit_at_first);
    tcase_add_loop_test(tests, json_is_always_valid, 0, COUNT(json_table));
    tcase_add_test(tests, json_of_any_two_bytes_is_utf8_without_controls);
    tcase_add_loop_test(tests, shell_words_are_quoted_when_needed, 0, COUNT(shell_table));
    tcase_add_test(tests, shell_gives_every_byte_back);
    tcase_add_loop_test(tests, printable_shows_controls_and_cuts, 0, COUNT(printable_table));
    tcase_add_loop_test(tests, numbers_are_whole_and_never_wrap, 0, COUNT(number_table));
    tcase_add_test(tests, compares_ends_and_null);
    tcase_add_loop_test(tests, distance_counts_swaps_as_one_and_is_capped, 0, COUNT(distance_table));
    tcase_add_test(tests, distance_of_endless_words_is_not_computed);
    tcase_add_test(tests, nearest_is_within_a_third);
    return run_case("text", tests);
}
