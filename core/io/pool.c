/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Helper threads.
 *
 * How it works: two queues under one lock, of jobs to work on and of jobs worked. A helper that finishes a job puts it
 * into the second one and rings an eventfd, which the loop watches. Helpers block every signal: signals belong to the
 * thread that runs the loop.
 */
#include "io/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"

enum { THREADS_LIMIT = 64, THREADS_DEFAULT_LIMIT = 8 };

struct job {
    struct job *next;
    void (*work)(void *context);
    void (*done)(void *context);
    void *context;
};

struct queue {
    struct job *first;
    struct job **end;
};

struct pool {
    struct loop *loop;
    struct loop_watch *watch;
    int bell;
    unsigned threads_wanted, threads_started;
    pthread_t threads[THREADS_LIMIT];
    pthread_mutex_t lock;
    pthread_cond_t work_came;
    struct queue waiting, worked; /* under the lock, as is all below */
    unsigned idle;
    bool closing;
};

static void queue_add(struct queue *queue, struct job *job)
{
    job->next = NULL;
    if (queue->first == NULL)
        queue->end = &queue->first;
    *queue->end = job;
    queue->end = &job->next;
}

static struct job *queue_take_all(struct queue *queue)
{
    return steal(&queue->first);
}

static void *help(void *context)
{
    struct pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->waiting.first == NULL && !pool->closing) {
            pool->idle++;
            pthread_cond_wait(&pool->work_came, &pool->lock);
            pool->idle--;
        }
        if (pool->closing)
            break;
        struct job *job = pool->waiting.first;
        pool->waiting.first = job->next;
        pthread_mutex_unlock(&pool->lock);
        job->work(job->context);
        pthread_mutex_lock(&pool->lock);
        bool ring = pool->worked.first == NULL;
        queue_add(&pool->worked, job);
        if (ring)
            (void)eventfd_write(pool->bell, 1);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void finish_jobs(struct job *job)
{
    while (job != NULL) {
        struct job *next = job->next;
        struct job finished = *job;
        free(job);
        finished.done(finished.context);
        job = next;
    }
}

static void bell_rang(void *context, unsigned events)
{
    (void)events;
    struct pool *pool = context;
    eventfd_t count;
    (void)eventfd_read(pool->bell, &count);
    pthread_mutex_lock(&pool->lock);
    struct job *worked = queue_take_all(&pool->worked);
    pthread_mutex_unlock(&pool->lock);
    finish_jobs(worked);
}

static unsigned default_threads(void)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    return count < 1 ? 1 : count > THREADS_DEFAULT_LIMIT ? THREADS_DEFAULT_LIMIT : (unsigned)count;
}

struct pool *pool_new(struct loop *loop, unsigned threads, struct error *error)
{
    cleanup(descriptor_close) int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0) {
        error_system(error, "cannot make the helpers' eventfd");
        return NULL;
    }
    struct pool *pool = memory_allocate(sizeof *pool);
    pool->watch = loop_watch(loop, bell, LOOP_READABLE, bell_rang, pool);
    if (pool->watch == NULL) {
        error_system(error, "cannot watch the helpers' eventfd");
        free(pool);
        return NULL;
    }
    pool->loop = loop;
    pool->bell = bell;
    bell = -1;
    pool->threads_wanted = threads == 0 ? default_threads() : threads < THREADS_LIMIT ? threads : THREADS_LIMIT;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work_came, NULL);
    return pool;
}

/* A new helper when all are busy and there may be one more. */
static bool start_helper(struct pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&pool->threads[pool->threads_started], NULL, help, pool) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pool->threads_started++;
    return started;
}

void pool_run(struct pool *pool, void (*work)(void *context), void (*done)(void *context), void *context)
{
    struct job *job = memory_allocate(sizeof *job);
    *job = (struct job){.work = work, .done = done, .context = context};
    pthread_mutex_lock(&pool->lock);
    queue_add(&pool->waiting, job);
    unsigned waiting = 0;
    for (const struct job *other = pool->waiting.first; other != NULL && waiting <= pool->idle; other = other->next)
        waiting++;
    bool more = !pool->closing && waiting > pool->idle && pool->threads_started < pool->threads_wanted;
    pthread_cond_signal(&pool->work_came);
    pthread_mutex_unlock(&pool->lock);
    if (more && !start_helper(pool) && pool->threads_started == 0)
        memory_exhausted(); /* the limit of processes: without one helper the job would wait for ever */
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work_came);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads_started; i++)
        pthread_join(pool->threads[i], NULL);
    loop_unwatch(pool->watch);
    descriptor_close(pool->bell);
    /* A `done` may hand in another job: it is finished without work as well. */
    for (;;) {
        struct job *rest = queue_take_all(&pool->worked);
        if (rest == NULL)
            rest = queue_take_all(&pool->waiting);
        if (rest == NULL)
            break;
        finish_jobs(rest);
    }
    pthread_cond_destroy(&pool->work_came);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
