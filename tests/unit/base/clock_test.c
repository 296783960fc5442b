/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/clock.h"

#include <string.h>
#include <time.h>

#include "suite.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    int64_t ms;
    const char *stamp;
} stamp_table[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {-1, "1969-12-31T23:59:59.999Z"},
    {951827696789, "2000-02-29T12:34:56.789Z"},
    {253402300799999, "9999-12-31T23:59:59.999Z"},
    {INT64_MAX, "9999-12-31T23:59:59.999Z"},
    {-62167219200000, "0000-01-01T00:00:00.000Z"},
    {INT64_MIN, "0000-01-01T00:00:00.000Z"},
};

START_TEST(stamps_are_utc_with_milliseconds)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    clock_append_stamp(&text, stamp_table[_i].ms);
    ck_assert_str_eq(text.bytes, stamp_table[_i].stamp);
}
END_TEST

START_TEST(stamps_agree_with_the_c_library)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (int64_t second = -30000000000; second < 100000000000; second += 12345677) {
        time_t time = (time_t)second;
        struct tm parts;
        char expected[64];
        ck_assert_ptr_nonnull(gmtime_r(&time, &parts));
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.042Z", &parts);
        text_reset(&text);
        clock_append_stamp(&text, second * 1000 + 42);
        ck_assert_str_eq(text.bytes, expected);
    }
}
END_TEST

static const struct {
    int64_t ms;
    const char *length;
} length_table[] = {{0, "0 ms"},           {450, "450 ms"},           {999, "999 ms"},
                    {1000, "1.0 s"},       {12345, "12.3 s"},         {59999, "59.9 s"},
                    {60000, "1 m 00 s"},   {245000, "4 m 05 s"},      {3599999, "59 m 59 s"},
                    {7800000, "2 h 10 m"}, {360000000, "100 h 00 m"}, {-1500, "-1.5 s"}};

START_TEST(lengths_are_short)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    clock_append_length(&text, length_table[_i].ms);
    ck_assert_str_eq(text.bytes, length_table[_i].length);
}
END_TEST

static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
} parse_table[] = {{"90", 90000},
                   {"30s", 30000},
                   {"5m", 300000},
                   {"2h", 7200000},
                   {"1d", 86400000},
                   {"250ms", 250},
                   {"0", 0},
                   {"", -1},
                   {"s", -1},
                   {"-1", -1},
                   {"1.5h", -1},
                   {"1 s", -1},
                   {"1w", -1},
                   {"1H", -1},
                   {"36500d", 3153600000000},
                   {"36501d", -1},
                   {"99999999999999999999", -1},
                   {"9223372036854775807", -1}};

START_TEST(lengths_are_read_or_refused)
{
    int64_t ms = -1;
    ck_assert_int_eq(clock_parse_length(parse_table[_i].text, &ms), parse_table[_i].ms >= 0);
    ck_assert_int_eq(ms, parse_table[_i].ms);
}
END_TEST

static const struct {
    const char *text;
    bool good;
    uint64_t bytes;
} bytes_table[] = {{"4096", true, 4096},
                   {"8GiB", true, 8589934592},
                   {"500MB", true, 500000000},
                   {"1.5T", true, 1649267441664},
                   {"2G", true, 2147483648},
                   {"2g", true, 2147483648},
                   {"10KiB", true, 10240},
                   {"10B", true, 10},
                   {"0.5K", true, 512},
                   {"1.999999K", true, 2047},
                   {"18446744073709551615", true, UINT64_MAX},
                   {"18446744073709551616", false, 0},
                   {"16777216T", false, 0},
                   {"16777215.999999T", true, 18446744073708452104u},
                   {"1.5", false, 0},
                   {"1.5B", false, 0},
                   {"1.", false, 0},
                   {".5G", false, 0},
                   {"1.1234567G", false, 0},
                   {"", false, 0},
                   {"G", false, 0},
                   {"-1G", false, 0},
                   {"1 G", false, 0},
                   {"1GB ", false, 0},
                   {"1Gi", false, 0},
                   {"1X", false, 0},
                   {"1KBB", false, 0}};

START_TEST(bytes_are_read_or_refused)
{
    uint64_t bytes = 0;
    ck_assert_int_eq(bytes_parse(bytes_table[_i].text, &bytes), bytes_table[_i].good);
    ck_assert_uint_eq(bytes, bytes_table[_i].bytes);
}
END_TEST

static const struct {
    uint64_t bytes;
    const char *text;
} amount_table[] = {{0, "0 B"},
                    {1023, "1023 B"},
                    {1024, "1 KiB"},
                    {1536, "1.5 KiB"},
                    {8589934592, "8 GiB"},
                    {1048575, "1023.9 KiB"},
                    {UINT64_MAX, "15.9 EiB"},
                    {1126, "1 KiB"},
                    {1127, "1.1 KiB"}};

START_TEST(bytes_are_shown_in_the_largest_unit)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    bytes_append(&text, amount_table[_i].bytes);
    ck_assert_str_eq(text.bytes, amount_table[_i].text);
}
END_TEST

START_TEST(clocks_are_those_of_the_system)
{
    int64_t before = (int64_t)time(NULL) * 1000;
    int64_t wall = clock_wall_ms();
    ck_assert_int_ge(wall, before);
    ck_assert_int_lt(wall, before + 60000);
    int64_t first = clock_monotonic_us();
    ck_assert_int_ge(clock_monotonic_ms(), first / 1000);
    ck_assert_int_ge(clock_monotonic_us(), first);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("clock");
    tcase_add_loop_test(tests, stamps_are_utc_with_milliseconds, 0, COUNT(stamp_table));
    tcase_add_test(tests, stamps_agree_with_the_c_library);
    tcase_add_loop_test(tests, lengths_are_short, 0, COUNT(length_table));
    tcase_add_loop_test(tests, lengths_are_read_or_refused, 0, COUNT(parse_table));
    tcase_add_loop_test(tests, bytes_are_read_or_refused, 0, COUNT(bytes_table));
    tcase_add_loop_test(tests, bytes_are_shown_in_the_largest_unit, 0, COUNT(amount_table));
    tcase_add_test(tests, clocks_are_those_of_the_system);
    return run_case("clock", tests);
}
