/* SPDX-License-Identifier: BSD-3-Clause */
/* Time: wall clock for records, monotonic for lengths, and their texts. */
#ifndef DESCPIPE_BASE_CLOCK_H
#define DESCPIPE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

int64_t clock_wall_ms(void);      /* since 1970 */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
void clock_append_stamp(struct text *text, int64_t wall_ms);  /* 2026-11-21T06:30:00.123Z */
void clock_append_length(struct text *text, int64_t ms);      /* "450 ms", "12.3 s", "4 m 05 s", "2 h 10 m" */
#define CLOCK_LENGTH_LIMIT_MS INT64_C(3153600000000) /* a hundred years: sums of lengths and times never wrap */
/* "90" (seconds), "30s", "5m", "2h", "1d", "250ms"; false when it is none of these or too large. */
bool clock_parse_length(const char *text, int64_t *ms);
/* "8GiB", "500MB", "4096", "1.5T": K M G T with optional iB (1024) or B (1000; bare letter counts 1024 as SLURM does). */
bool bytes_parse(const char *text, uint64_t *bytes);
void bytes_append(struct text *text, uint64_t bytes);         /* "8 GiB" */

#endif
