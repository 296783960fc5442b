/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event loop.
 *
 * How it works: a round runs what was posted before it began, waits in epoll until the nearest timer, calls the
 * watches that are ready and then the timers that were due when the wait ended. What a callback adds waits for the next
 * round, so nothing recurses and nobody starves the others. A watch that is ended during a round is only marked, since
 * an event for it may still lie in the batch, and is freed when the round is over.
 */
#include "io/loop.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"

enum { BATCH = 128, SIGNALS = 65 };

struct loop_watch {
    struct loop *loop;
    struct loop_watch *next, *previous; /* among all, or among the ended */
    int descriptor;
    unsigned events;
    bool always_ready; /* epoll does not take regular files */
    bool ended;
    void (*ready)(void *context, unsigned events);
    void *context;
};

struct loop_timer {
    struct loop *loop;
    int64_t due_ms;
    uint64_t serial; /* equal times fire in the order they were asked for */
    size_t position; /* in the heap */
    void (*fired)(void *context);
    void *context;
};

struct posted {
    void (*run)(void *context);
    void *context;
};

struct signal_watcher {
    void (*came)(void *context, int signal, int sender_pid);
    void *context;
};

struct loop {
    int epoll;
    int signal_descriptor; /* -1 until the first loop_signal */
    bool stopped;
    struct loop_watch *watches, *ended_watches;
    size_t always_ready_count;
    LIST(struct loop_timer *) timers; /* a binary heap */
    uint64_t timer_serial;
    LIST(struct posted) posted;
    sigset_t signals;
    struct signal_watcher signal_watchers[SIGNALS];
    struct loop_children children;
};

struct loop *loop_new(struct error *error)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || sigaction(SIGPIPE, &ignore, NULL) != 0) {
        error_system(error, "cannot make an event loop");
        descriptor_close(epoll);
        return NULL;
    }
    struct loop *loop = memory_allocate(sizeof *loop);
    loop->epoll = epoll;
    loop->signal_descriptor = -1;
    sigemptyset(&loop->signals);
    return loop;
}

static void free_ended_watches(struct loop *loop)
{
    while (loop->ended_watches != NULL) {
        struct loop_watch *watch = loop->ended_watches;
        loop->ended_watches = watch->next;
        free(watch);
    }
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->children.children != NULL)
        loop->children.release(loop->children.children);
    while (loop->watches != NULL)
        loop_unwatch(loop->watches);
    free_ended_watches(loop);
    for (size_t i = 0; i < loop->timers.count; i++)
        free(loop->timers.items[i]);
    list_clear(&loop->timers);
    list_clear(&loop->posted);
    descriptor_close(loop->signal_descriptor);
    descriptor_close(loop->epoll);
    free(loop);
}

struct loop_children *loop_children(struct loop *loop)
{
    return &loop->children;
}

static uint32_t epoll_events(unsigned events)
{
    return ((events & LOOP_READABLE) ? (uint32_t)EPOLLIN : 0) | ((events & LOOP_WRITABLE) ? (uint32_t)EPOLLOUT : 0);
}

struct loop_watch *loop_watch(struct loop *loop, int descriptor, unsigned events,
                              void (*ready)(void *context, unsigned events), void *context)
{
    struct loop_watch *watch = memory_allocate(sizeof *watch);
    *watch = (struct loop_watch){.loop = loop,
                                 .descriptor = descriptor,
                                 .events = events,
                                 .ready = ready,
                                 .context = context,
                                 .next = loop->watches};
    struct epoll_event event = {.events = epoll_events(events), .data.ptr = watch};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        if (errno != EPERM) {
            free(watch);
            return NULL;
        }
        watch->always_ready = true;
        loop->always_ready_count++;
    }
    if (loop->watches != NULL)
        loop->watches->previous = watch;
    loop->watches = watch;
    return watch;
}

void loop_watch_change(struct loop_watch *watch, unsigned events)
{
    if (watch->events == events)
        return;
    watch->events = events;
    struct epoll_event event = {.events = epoll_events(events), .data.ptr = watch};
    if (!watch->always_ready)
        epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->descriptor, &event);
}

void loop_unwatch(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    struct loop *loop = watch->loop;
    if (watch->always_ready)
        loop->always_ready_count--;
    else
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->descriptor, NULL); /* fails when it was closed first: as good */
    if (watch->next != NULL)
        watch->next->previous = watch->previous;
    if (watch->previous != NULL)
        watch->previous->next = watch->next;
    else
        loop->watches = watch->next;
    watch->ended = true;
    watch->next = loop->ended_watches;
    loop->ended_watches = watch;
}

static bool timer_is_before(const struct loop_timer *left, const struct loop_timer *right)
{
    return left->due_ms != right->due_ms ? left->due_ms < right->due_ms : left->serial < right->serial;
}

static void heap_set(struct loop *loop, size_t position, struct loop_timer *timer)
{
    loop->timers.items[position] = timer;
    timer->position = position;
}

/* Puts `timer` where it belongs, starting from the free place `position`. */
static void heap_settle(struct loop *loop, size_t position, struct loop_timer *timer)
{
    while (position > 0 && timer_is_before(timer, loop->timers.items[(position - 1) / 2])) {
        heap_set(loop, position, loop->timers.items[(position - 1) / 2]);
        position = (position - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * position + 1;
        if (child >= loop->timers.count)
            break;
        if (child + 1 < loop->timers.count && timer_is_before(loop->timers.items[child + 1], loop->timers.items[child]))
            child++;
        if (!timer_is_before(loop->timers.items[child], timer))
            break;
        heap_set(loop, position, loop->timers.items[child]);
        position = child;
    }
    heap_set(loop, position, timer);
}

static void heap_remove(struct loop *loop, const struct loop_timer *timer)
{
    struct loop_timer *last = loop->timers.items[--loop->timers.count];
    if (last != timer)
        heap_settle(loop, timer->position, last);
}

struct loop_timer *loop_timer(struct loop *loop, int64_t delay_ms, void (*fired)(void *context), void *context)
{
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms > CLOCK_LENGTH_LIMIT_MS)
        delay_ms = CLOCK_LENGTH_LIMIT_MS;
    struct loop_timer *timer = memory_allocate(sizeof *timer);
    /* One more, as the clock is cut to whole milliseconds: never too early. */
    int64_t due_ms = clock_monotonic_ms() + delay_ms + (delay_ms > 0);
    *timer = (struct loop_timer){
        .loop = loop, .due_ms = due_ms, .serial = ++loop->timer_serial, .fired = fired, .context = context};
    list_add(&loop->timers, timer);
    heap_settle(loop, loop->timers.count - 1, timer);
    return timer;
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    heap_remove(timer->loop, timer);
    free(timer);
}

void loop_post(struct loop *loop, void (*run)(void *context), void *context)
{
    list_add(&loop->posted, ((struct posted){run, context}));
}

static void signals_ready(void *context, unsigned events)
{
    (void)events;
    struct loop *loop = context;
    struct signalfd_siginfo came[16];
    ssize_t got = read(loop->signal_descriptor, came, sizeof came);
    for (size_t i = 0; got > 0 && i < (size_t)got / sizeof came[0]; i++) {
        if (came[i].ssi_signo >= SIGNALS)
            continue;
        const struct signal_watcher *watcher = &loop->signal_watchers[came[i].ssi_signo];
        if (watcher->came != NULL)
            watcher->came(watcher->context, (int)came[i].ssi_signo, (int)came[i].ssi_pid);
    }
}

void loop_signal(struct loop *loop, int signal, void (*came)(void *context, int signal, int sender_pid), void *context)
{
    loop->signal_watchers[signal] = (struct signal_watcher){came, context};
    if (sigismember(&loop->signals, signal) == 1)
        return;
    sigaddset(&loop->signals, signal);
    pthread_sigmask(SIG_BLOCK, &loop->signals, NULL);
    int descriptor = signalfd(loop->signal_descriptor, &loop->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor < 0)
        memory_exhausted(); /* there is no other reason than a full kernel or table of descriptors */
    if (loop->signal_descriptor < 0) {
        loop->signal_descriptor = descriptor;
        if (loop_watch(loop, descriptor, LOOP_READABLE, signals_ready, loop) == NULL)
            memory_exhausted();
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

static void run_posted(struct loop *loop)
{
    struct posted *items = loop->posted.items;
    size_t count = loop->posted.count, capacity = loop->posted.capacity;
    if (count == 0)
        return;
    loop->posted.items = NULL;
    loop->posted.count = loop->posted.capacity = 0;
    for (size_t i = 0; i < count; i++)
        items[i].run(items[i].context);
    if (loop->posted.items == NULL) { /* the memory serves again */
        loop->posted.items = items;
        loop->posted.capacity = capacity;
    } else {
        free(items);
    }
}

static int wait_ms(const struct loop *loop)
{
    if (loop->posted.count > 0 || loop->always_ready_count > 0)
        return 0;
    if (loop->timers.count == 0)
        return -1;
    int64_t left = loop->timers.items[0]->due_ms - clock_monotonic_ms();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static void run_timers(struct loop *loop)
{
    if (loop->timers.count == 0)
        return;
    int64_t now = clock_monotonic_ms();
    uint64_t last = loop->timer_serial; /* those made by these callbacks wait */
    while (loop->timers.count > 0 && loop->timers.items[0]->due_ms <= now && loop->timers.items[0]->serial <= last) {
        struct loop_timer *timer = loop->timers.items[0];
        struct posted call = {timer->fired, timer->context};
        heap_remove(loop, timer);
        free(timer);
        call.run(call.context);
    }
}

/* Readiness that epoll cannot tell. New watches are put in front of the list, so the walk does not meet them. */
static void run_always_ready(struct loop *loop)
{
    struct loop_watch *next;
    for (struct loop_watch *watch = loop->always_ready_count > 0 ? loop->watches : NULL; watch != NULL; watch = next) {
        next = watch->next;
        if (watch->always_ready && !watch->ended && watch->events != 0) {
            watch->ready(watch->context, watch->events);
            if (watch->ended || (next != NULL && next->ended))
                break; /* the list behind us has changed: the next round goes on */
        }
    }
}

static void run_watches(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct loop_watch *watch = events[i].data.ptr;
        unsigned ready =
            ((events[i].events & EPOLLIN) ? LOOP_READABLE : 0u) | ((events[i].events & EPOLLOUT) ? LOOP_WRITABLE : 0u);
        if (events[i].events & (EPOLLHUP | EPOLLERR))
            ready |= LOOP_READABLE | LOOP_WRITABLE;
        if (!watch->ended)
            watch->ready(watch->context, ready);
    }
}

void loop_run(struct loop *loop, bool (*while_true)(void *context), void *context)
{
    loop->stopped = false;
    while (!loop->stopped && (while_true == NULL || while_true(context))) {
        struct epoll_event events[BATCH];
        int count = epoll_wait(loop->epoll, events, BATCH, wait_ms(loop)); /* does not wait when something is posted */
        run_watches(events, count);
        run_always_ready(loop);
        run_timers(loop);
        run_posted(loop); /* last, so that `while_true` is asked again before anything waits */
        free_ended_watches(loop);
    }
}
