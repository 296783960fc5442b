/* SPDX-License-Identifier: BSD-3-Clause */
/* Time and amounts of bytes: reading the clocks, reading and writing the texts people use for them. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

static int64_t read_clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now); /* cannot fail for these clocks */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return read_clock_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_monotonic_ms(void)
{
    return read_clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
    return read_clock_us(CLOCK_MONOTONIC);
}

static void append_padded(struct text *text, uint64_t number, unsigned digits)
{
    char buffer[20];
    for (unsigned i = digits; i > 0; i--) {
        buffer[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    text_append_bytes(text, buffer, digits);
}

/*
 * By arithmetic, because the journal stamps every record: the civil date from a day count, with years that begin in
 * March so that the leap day comes last, in cycles of 400 years (146097 days).
 */
void clock_append_stamp(struct text *text, int64_t wall_ms)
{
    const int64_t day_ms = 86400000;
    const int64_t first_ms = -62167219200000; /* 0000-01-01 */
    const int64_t last_ms = 253402300799999;  /* 9999-12-31: four digits must do */
    if (wall_ms < first_ms)
        wall_ms = first_ms;
    if (wall_ms > last_ms)
        wall_ms = last_ms;
    const uint64_t days_before_epoch = 719528 + 146097 - 60; /* since 1 March of the year -400: never negative */
    uint64_t ms_of_day = (uint64_t)(((wall_ms % day_ms) + day_ms) % day_ms);
    uint64_t days = (uint64_t)((wall_ms - (int64_t)ms_of_day) / day_ms + (int64_t)days_before_epoch);
    uint64_t cycle = days / 146097;
    uint64_t day_of_cycle = days % 146097;
    uint64_t year_of_cycle = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    uint64_t day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    uint64_t year = year_of_cycle + cycle * 400 + (month <= 2) - 400;
    append_padded(text, year, 4);
    text_append_character(text, '-');
    append_padded(text, month, 2);
    text_append_character(text, '-');
    append_padded(text, day, 2);
    text_append_character(text, 'T');
    append_padded(text, ms_of_day / 3600000, 2);
    text_append_character(text, ':');
    append_padded(text, ms_of_day / 60000 % 60, 2);
    text_append_character(text, ':');
    append_padded(text, ms_of_day / 1000 % 60, 2);
    text_append_character(text, '.');
    append_padded(text, ms_of_day % 1000, 3);
    text_append_character(text, 'Z');
}

void clock_append_length(struct text *text, int64_t ms)
{
    uint64_t length = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    if (ms < 0)
        text_append_character(text, '-');
    if (length < 1000) {
        text_append_unsigned(text, length);
        text_append(text, " ms");
    } else if (length < 60000) {
        text_append_unsigned(text, length / 1000);
        text_append_character(text, '.');
        text_append_unsigned(text, length / 100 % 10);
        text_append(text, " s");
    } else if (length < 3600000) {
        text_append_unsigned(text, length / 60000);
        text_append(text, " m ");
        append_padded(text, length / 1000 % 60, 2);
        text_append(text, " s");
    } else {
        text_append_unsigned(text, length / 3600000);
        text_append(text, " h ");
        append_padded(text, length / 60000 % 60, 2);
        text_append(text, " m");
    }
}

/* Reads digits at *text and moves behind them; false when there are none or the number is over `limit`. */
static bool read_digits(const char **text, uint64_t limit, uint64_t *number)
{
    const char *c = *text;
    uint64_t value = 0;
    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (c == *text)
        return false;
    *text = c;
    *number = value;
    return true;
}

bool clock_parse_length(const char *text, int64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t number;
    if (!read_digits(&text, (uint64_t)CLOCK_LENGTH_LIMIT_MS, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(text, units[i].unit) == 0) {
            if (number > (uint64_t)CLOCK_LENGTH_LIMIT_MS / units[i].ms)
                return false;
            *ms = (int64_t)(number * units[i].ms);
            return true;
        }
    return false;
}

/* "K", "KiB", "KB" ... at the end of an amount; 0 when it is none of them. */
static uint64_t byte_unit(const char *text)
{
    static const char letters[] = "KMGT";
    if (text[0] == '\0' || strcmp(text, "B") == 0)
        return 1;
    char letter = (char)(text[0] >= 'a' && text[0] <= 'z' ? text[0] - 'a' + 'A' : text[0]);
    const char *found = strchr(letters, letter);
    bool decimal = strcmp(text + 1, "B") == 0;
    if (found == NULL || !(decimal || text[1] == '\0' || strcmp(text + 1, "iB") == 0))
        return 0;
    uint64_t unit = 1;
    for (const char *step = letters; step <= found; step++)
        unit *= decimal ? 1000 : 1024;
    return unit;
}

bool bytes_parse(const char *text, uint64_t *bytes)
{
    uint64_t whole, fraction = 0, scale = 1;
    if (!read_digits(&text, UINT64_MAX, &whole))
        return false;
    bool has_fraction = *text == '.';
    if (has_fraction) {
        const char *first = ++text;
        if (!read_digits(&text, 999999, &fraction) || text - first > 6)
            return false; /* six digits keep fraction * unit below 2^64 */
        for (const char *digit = first; digit < text; digit++)
            scale *= 10;
    }
    uint64_t unit = byte_unit(text);
    if (unit == 0 || (unit == 1 && has_fraction) || whole > UINT64_MAX / unit)
        return false;
    uint64_t part = fraction * unit / scale;
    if (part > UINT64_MAX - whole * unit)
        return false;
    *bytes = whole * unit + part;
    return true;
}

void bytes_append(struct text *text, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof units[0] && bytes >> (10 * (unit + 1)) > 0)
        unit++;
    uint64_t whole = bytes >> (10 * unit);
    text_append_unsigned(text, whole);
    if (unit > 0) {
        uint64_t rest = (bytes >> (10 * (unit - 1))) & 1023;
        if (rest * 10 / 1024 > 0) {
            text_append_character(text, '.');
            text_append_unsigned(text, rest * 10 / 1024);
        }
    }
    text_append_character(text, ' ');
    text_append(text, units[unit]);
}
