/* SPDX-License-Identifier: BSD-3-Clause */
/* When to ask again. */
#include "registry/client/retry.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#define NAMED_LONGEST_S (30ll * 24 * 3600) /* what is longer is taken for no time at all */

int64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* From half of `longest` to all of it. */
static uint64_t spread(uint64_t longest)
{
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != (ssize_t)sizeof chance)
        return longest;
    return longest / 2 + chance % (longest / 2 + 1);
}

bool retry_next(struct retry *retry, int64_t named_ms, uint64_t *pause_ms)
{
    if (++retry->tried >= retry->tries)
        return false;
    if (named_ms >= 0) {
        uint64_t named = (uint64_t)named_ms;
        if (named > retry->patience_ms - retry->waited_ms)
            return false;
        retry->waited_ms += named;
        *pause_ms = named + spread(RETRY_FIRST_MS);
        return true;
    }
    uint64_t pause = RETRY_FIRST_MS;
    for (unsigned i = 1; i < retry->tried && pause < RETRY_LONGEST_MS; i++)
        pause *= 2;
    *pause_ms = spread(pause < RETRY_LONGEST_MS ? pause : RETRY_LONGEST_MS);
    return true;
}

static bool read_seconds(const char *value, int64_t *seconds)
{
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 12 || value[digits + strspn(value + digits, " \t")] != '\0')
        return false;
    *seconds = strtoll(value, NULL, 10);
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" in milliseconds since the epoch. */
static bool read_date(const char *value, int64_t *at_ms)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm time = {0};
    const char *comma = strchr(value, ',');
    char *rest;
    if (comma == NULL)
        return false;
    time.tm_mday = (int)strtol(comma + 1, &rest, 10);
    rest += strspn(rest, " ");
    for (time.tm_mon = 0; time.tm_mon < 12 && strncasecmp(rest, months[time.tm_mon], 3) != 0;)
        time.tm_mon++;
    if (time.tm_mon == 12)
        return false;
    rest = strptime(rest + 3, " %Y %H:%M:%S", &time); /* numbers only: the same in every locale */
    if (rest == NULL || strcmp(rest, " GMT") != 0)
        return false;
    *at_ms = (int64_t)timegm(&time) * 1000;
    return true;
}

int64_t retry_after_ms(const char *value, int64_t now_ms)
{
    int64_t seconds, at_ms;
    if (value == NULL)
        return -1;
    value += strspn(value, " \t");
    if (read_seconds(value, &seconds))
        return seconds <= NAMED_LONGEST_S ? seconds * 1000 : -1;
    if (!read_date(value, &at_ms))
        return -1;
    return at_ms <= now_ms ? 0 : at_ms - now_ms;
}

static const char *find(const char *const *headers, const char *name)
{
    for (; headers != NULL && headers[0] != NULL; headers += 2)
        if (strcasecmp(headers[0], name) == 0)
            return headers[1];
    return NULL;
}

int64_t retry_limit_ends_at_ms(const char *const *headers, int64_t now_ms)
{
    static const char *const names[] = {"X-RateLimit-Reset", "RateLimit-Reset"};
    int64_t after = retry_after_ms(find(headers, "Retry-After"), now_ms);
    if (after >= 0)
        return now_ms + after;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = find(headers, names[i]);
        int64_t seconds;
        if (value == NULL || !read_seconds(value, &seconds))
            continue;
        /* Some write how long it takes, others when it is. */
        return seconds < NAMED_LONGEST_S ? now_ms + seconds * 1000 : seconds * 1000;
    }
    return 0;
}
