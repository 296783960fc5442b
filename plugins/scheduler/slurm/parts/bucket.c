/* SPDX-License-Identifier: BSD-3-Clause */
/* The token bucket; bucket.h. */
#include "parts/bucket.h"

#include <stddef.h>

enum { FIRST_BLOCK_MS = 1000, LONGEST_BLOCK_MS = 60000, LONGEST_WAIT_MS = 60000 };
#define SLOWEST_PER_MS (1.0 / 60000)
#define RECOVERY 1.05

static double smaller(double one, double other)
{
    return one < other ? one : other;
}

static void refill(struct bucket *bucket, int64_t now_ms)
{
    if (now_ms > bucket->at_ms) {
        bucket->tokens = smaller(bucket->capacity, bucket->tokens + (double)(now_ms - bucket->at_ms) * bucket->per_ms);
    }
    bucket->at_ms = now_ms;
}

void bucket_start(struct bucket *bucket, double capacity, double per_second, int64_t now_ms)
{
    *bucket = (struct bucket){.tokens = capacity,
                              .capacity = capacity,
                              .full_capacity = capacity,
                              .per_ms = per_second / 1000,
                              .full_per_ms = per_second / 1000,
                              .at_ms = now_ms};
}

void bucket_limit(struct bucket *bucket, double capacity, double per_second, int64_t now_ms)
{
    refill(bucket, now_ms);
    double spent = bucket->capacity - bucket->tokens;
    bucket->capacity = bucket->full_capacity = capacity;
    bucket->per_ms = bucket->full_per_ms = per_second / 1000;
    bucket->tokens = capacity > spent ? capacity - spent : 0;
}

int64_t bucket_take(struct bucket *bucket, double cost, int64_t now_ms)
{
    refill(bucket, now_ms);
    cost = smaller(cost, bucket->capacity); /* what could never be had would wait for ever */
    if (now_ms < bucket->blocked_until_ms) {
        return bucket->blocked_until_ms - now_ms;
    }
    if (bucket->tokens >= cost) {
        bucket->tokens -= cost;
        return 0;
    }
    double wait = (cost - bucket->tokens) / bucket->per_ms + 1;
    return wait > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : (int64_t)wait;
}

void bucket_slow_down(struct bucket *bucket, int64_t now_ms)
{
    refill(bucket, now_ms);
    bucket->block_ms = bucket->block_ms == 0 ? FIRST_BLOCK_MS : bucket->block_ms * 2;
    if (bucket->block_ms > LONGEST_BLOCK_MS) {
        bucket->block_ms = LONGEST_BLOCK_MS;
    }
    bucket->blocked_until_ms = now_ms + bucket->block_ms;
    bucket->tokens = smaller(bucket->tokens, 1);
    bucket->per_ms = bucket->per_ms / 2 > SLOWEST_PER_MS ? bucket->per_ms / 2 : SLOWEST_PER_MS;
}

void bucket_went_well(struct bucket *bucket, int64_t now_ms)
{
    refill(bucket, now_ms);
    bucket->per_ms = smaller(bucket->full_per_ms, bucket->per_ms * RECOVERY);
    if (bucket->per_ms >= bucket->full_per_ms) {
        bucket->block_ms = 0;
    }
}
