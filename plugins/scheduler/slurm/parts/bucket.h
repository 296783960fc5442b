/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A token bucket for requests to the controller, which learns: from the limits that the controller publishes (rl_enable
 * and its like in SlurmctldParameters), and from being told to slow down. Times are of a clock that never goes back.
 */
#ifndef DESCPIPE_SLURM_BUCKET_H
#define DESCPIPE_SLURM_BUCKET_H

#include <stdint.h>

struct bucket {
    double tokens;
    double capacity, per_ms;           /* as they are now */
    double full_capacity, full_per_ms; /* as they were meant */
    int64_t at_ms;                     /* when tokens was true */
    int64_t blocked_until_ms;
    int64_t block_ms; /* how long the last block was */
};

/* Full. */
void bucket_start(struct bucket *bucket, double capacity, double per_second, int64_t now_ms);
/* Another limit from now on; what has been spent stays spent. */
void bucket_limit(struct bucket *bucket, double capacity, double per_second, int64_t now_ms);
/* Takes `cost` and answers 0, or takes nothing and answers after how many milliseconds to ask again. */
int64_t bucket_take(struct bucket *bucket, double cost, int64_t now_ms);
/* The controller wants peace: nothing for a while (1 s, then twice as long each time, at most a minute), then half as
 * fast. */
void bucket_slow_down(struct bucket *bucket, int64_t now_ms);
/* It has answered as usual: a little faster, up to what was meant. */
void bucket_went_well(struct bucket *bucket, int64_t now_ms);

#endif
