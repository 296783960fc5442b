/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "../base/suite.h"

static struct loop *loop;
static struct pool *pool;
static pthread_t loop_thread;

enum { JOBS = 2000 };

struct job {
    int input, output;
    bool worked, done;
};
static struct job jobs[JOBS];
static int done_count;

static void make(void)
{
    loop = loop_new(NULL);
    loop_thread = pthread_self();
}

static void end(void)
{
    loop_free(loop);
}

static void work(void *context)
{
    struct job *job = context;
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    job->output = job->input * 2;
    job->worked = !pthread_equal(pthread_self(), loop_thread) && sigismember(&blocked, SIGTERM) == 1 &&
                  sigismember(&blocked, SIGCHLD) == 1;
}

static void done(void *context)
{
    struct job *job = context;
    ck_assert(pthread_equal(pthread_self(), loop_thread));
    ck_assert(!job->done);
    job->done = true;
    if (++done_count == JOBS)
        loop_stop(loop);
}

START_TEST(works_on_helpers_and_is_done_on_the_loop)
{
    pool = pool_new(loop, 4, NULL);
    for (int i = 0; i < JOBS; i++) {
        jobs[i].input = i;
        pool_run(pool, work, done, &jobs[i]);
    }
    ck_assert_int_eq(done_count, 0);
    loop_run(loop, NULL, NULL);
    for (int i = 0; i < JOBS; i++)
        ck_assert(jobs[i].worked && jobs[i].done && jobs[i].output == 2 * i);
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    ck_assert_int_eq(sigismember(&blocked, SIGTERM), 0); /* only the helpers block */
    pool_free(pool);
}
END_TEST

static int hops;

static void hop(void *context)
{
    if (++hops == 100)
        loop_stop(loop);
    else
        pool_run(pool, work, hop, context);
}

START_TEST(a_done_may_hand_in_the_next)
{
    pool = pool_new(loop, 0, NULL);
    pool_run(pool, work, hop, &jobs[0]);
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(hops, 100);
    pool_free(pool);
}
END_TEST

static pthread_barrier_t barrier;

static void meet(void *context)
{
    (void)context;
    pthread_barrier_wait(&barrier);
}

static void count_done(void *context)
{
    (void)context;
    if (++done_count == 4)
        loop_stop(loop);
}

/* Each job waits until all four run: with fewer helpers this would never end. */
START_TEST(jobs_run_side_by_side)
{
    pool = pool_new(loop, 4, NULL);
    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < 4; i++)
        pool_run(pool, meet, count_done, NULL);
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(done_count, 4);
    pool_free(pool);
    pthread_barrier_destroy(&barrier);
}
END_TEST

static atomic_bool began, freeing;
static atomic_int worked;

/* Holds its helper until the main thread is about to free the pool, so that jobs surely wait behind this one. */
static void hold(void *context)
{
    (void)context;
    atomic_store(&began, true);
    while (!atomic_load(&freeing))
        sched_yield();
    atomic_fetch_add(&worked, 1);
}

static void count(void *context)
{
    (void)context;
    done_count++;
}

static void hand_in_one_more(void *context)
{
    count(context);
    pool_run(pool, hold, count, NULL);
}

START_TEST(free_waits_for_what_runs_and_finishes_what_waits)
{
    pool = pool_new(loop, 1, NULL);
    pool_run(pool, hold, count, NULL);
    while (!atomic_load(&began))
        sched_yield();
    for (int i = 0; i < 10; i++)
        pool_run(pool, hold, i == 0 ? hand_in_one_more : count, NULL);
    atomic_store(&freeing, true);
    pool_free(pool);
    ck_assert_int_ge(atomic_load(&worked), 1); /* how many more it took before it heard of the end is open */
    ck_assert_int_eq(done_count, 12);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("pool");
    tcase_add_checked_fixture(tests, make, end);
    tcase_add_test(tests, works_on_helpers_and_is_done_on_the_loop);
    tcase_add_test(tests, a_done_may_hand_in_the_next);
    tcase_add_test(tests, jobs_run_side_by_side);
    tcase_add_test(tests, free_waits_for_what_runs_and_finishes_what_waits);
    return run_case("pool", tests);
}
