/* SPDX-License-Identifier: BSD-3-Clause */
/* When to ask again: pauses that double, with some chance in them so that many askers spread, and the time a server
 * names. Source: RFC 9110 section 10.2.3 (Retry-After). */
#ifndef DESCPIPE_REGISTRY_RETRY_H
#define DESCPIPE_REGISTRY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since the Unix epoch. */
int64_t clock_now_ms(void);

#define RETRY_FIRST_MS 250
#define RETRY_LONGEST_MS 15000

struct retry {
    unsigned tried;     /* attempts that failed */
    unsigned tries;     /* allowed in all */
    uint64_t waited_ms; /* for servers that named a time */
    uint64_t patience_ms;
};
/* Another attempt? Then *pause_ms is how long to wait before it. `named_ms` < 0: the server named no time. */
bool retry_next(struct retry *retry, int64_t named_ms, uint64_t *pause_ms);

/* Retry-After in milliseconds from now: seconds, or a date. -1: not said or not readable. */
int64_t retry_after_ms(const char *value, int64_t now_ms);
/* When a limit ends, from the headers that registries send (Retry-After, X-RateLimit-Reset, RateLimit-Reset); 0: not
 * said. `headers` as in struct client_answer. */
int64_t retry_limit_ends_at_ms(const char *const *headers, int64_t now_ms);

#endif
