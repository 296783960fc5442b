/* SPDX-License-Identifier: BSD-3-Clause */
/* Docker Hub's limit, read from headers. */
#include "limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { COUNT_LIMIT = 1000000000, WINDOW_LIMIT_S = 366 * 24 * 3600 };

static const char *read_number(const char *text, uint64_t limit, uint64_t *number)
{
    uint64_t value = 0;
    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++) {
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > limit)
            return NULL;
    }
    *number = value;
    return text;
}

bool pull_limit_read_value(const char *value, uint64_t *count, uint64_t *window_s)
{
    uint64_t number = 0, window = 0;
    const char *rest = read_number(value, COUNT_LIMIT, &number);
    if (rest == NULL)
        return false;
    if (*rest == ';') {
        rest += 1 + strspn(rest + 1, " ");
        rest = strncasecmp(rest, "w=", 2) == 0 ? read_number(rest + 2, WINDOW_LIMIT_S, &window) : NULL;
    }
    if (rest == NULL || *rest != '\0')
        return false;
    *count = number;
    *window_s = window;
    return true;
}

static const char *find(const char *const *headers, const char *name)
{
    for (; headers != NULL && headers[0] != NULL; headers += 2)
        if (strcasecmp(headers[0], name) == 0)
            return headers[1];
    return NULL;
}

static bool is_address(const char *source)
{
    return strspn(source, "0123456789.") == strlen(source) || strchr(source, ':') != NULL;
}

void pull_limit_read(const char *const *headers, bool anonymous, struct pull_limit *limit)
{
    const char *most = find(headers, "ratelimit-limit"), *left = find(headers, "ratelimit-remaining");
    const char *source = find(headers, "docker-ratelimit-source");
    uint64_t window = 0;
    *limit = (struct pull_limit){.by_address = anonymous};
    if (most == NULL || !pull_limit_read_value(most, &limit->limit, &limit->window_s))
        return;
    limit->known = true;
    limit->remaining = limit->limit;
    if (left != NULL && pull_limit_read_value(left, &limit->remaining, &window) && limit->window_s == 0)
        limit->window_s = window;
    if (source == NULL || source[0] == '\0')
        return;
    limit->by_address = is_address(source);
    for (size_t i = 0; source[i] != '\0' && i + 1 < sizeof limit->source; i++)
        limit->source[i] = source[i] > ' ' && source[i] <= '~' ? source[i] : '?';
}

void pull_limit_describe(const struct pull_limit *limit, char *text, size_t size)
{
    char window[40] = "";
    if (limit->window_s > 0 && limit->window_s % 3600 == 0)
        snprintf(window, sizeof window, " in %" PRIu64 " h", limit->window_s / 3600);
    else if (limit->window_s > 0)
        snprintf(window, sizeof window, " in %" PRIu64 " s", limit->window_s);
    const char *whose = limit->by_address ? "this address" : "this account";
    snprintf(text, size, "%" PRIu64 " pulls%s for %s%s%s%s, %" PRIu64 " left", limit->limit, window, whose,
             limit->source[0] != '\0' ? " (" : "", limit->source, limit->source[0] != '\0' ? ")" : "",
             limit->remaining);
}
