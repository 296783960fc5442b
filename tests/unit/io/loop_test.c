/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/suite.h"
#include "base/clock.h"
#include "base/text.h"

static struct loop *loop;
static struct text order; /* what ran, letter by letter */

static void make(void)
{
    loop = loop_new(NULL);
    ck_assert_ptr_nonnull(loop);
}

static void end(void)
{
    loop_free(loop);
    text_clear(&order);
}

static void note(void *context)
{
    text_append(&order, context);
}

static void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

static char a[] = "a", b[] = "b", c[] = "c", d[] = "d";

START_TEST(timers_fire_in_the_order_of_their_times)
{
    loop_timer(loop, 20, note, c);
    loop_timer(loop, 5, note, a);
    loop_timer(loop, 20, note, d);
    loop_timer(loop, 10, note, b);
    loop_timer(loop, 25, stop, NULL);
    loop_run(loop, NULL, NULL);
    ck_assert_str_eq(text_bytes(&order), "abcd");
}
END_TEST

static int64_t fired_at_us;

static void note_time(void *context)
{
    (void)context;
    fired_at_us = clock_monotonic_us();
    loop_stop(loop);
}

START_TEST(timers_are_never_early)
{
    for (int i = 0; i < 20; i++) {
        int64_t started_us = clock_monotonic_us();
        loop_timer(loop, 3, note_time, NULL);
        loop_run(loop, NULL, NULL);
        ck_assert_int_ge(fired_at_us - started_us, 3000);
    }
}
END_TEST

START_TEST(stopped_timers_do_not_fire)
{
    struct loop_timer *timers[100];
    static char names[100][4];
    for (int i = 0; i < 100; i++) {
        names[i][0] = (char)('!' + i % 90);
        timers[i] = loop_timer(loop, (i * 37) % 50, note, names[i]);
    }
    for (int i = 0; i < 100; i++)
        if (i != 42)
            loop_timer_stop(timers[i]);
    loop_timer_stop(NULL);
    loop_timer(loop, 60, stop, NULL);
    loop_run(loop, NULL, NULL);
    ck_assert_str_eq(text_bytes(&order), names[42]);
}
END_TEST

struct expected {
    int64_t earliest_ms, latest_ms; /* between which its time lies */
};
static int64_t latest_of_earliest_ms;
static size_t fired_count;

static void check_sorted(void *context)
{
    const struct expected *expected = context;
    ck_assert_int_ge(expected->latest_ms, latest_of_earliest_ms);
    if (expected->earliest_ms > latest_of_earliest_ms)
        latest_of_earliest_ms = expected->earliest_ms;
    if (++fired_count == 10000)
        loop_stop(loop);
}

START_TEST(ten_thousand_timers_fire_sorted)
{
    static struct expected expected[10000];
    for (int i = 0; i < 10000; i++) {
        int64_t delay_ms = 2 + (i * 7919) % 50;
        expected[i].earliest_ms = clock_monotonic_ms() + delay_ms;
        loop_timer(loop, delay_ms, check_sorted, &expected[i]);
        expected[i].latest_ms = clock_monotonic_ms() + delay_ms + 1;
    }
    loop_run(loop, NULL, NULL);
    ck_assert_uint_eq(fired_count, 10000);
}
END_TEST

static int called;

static void count_calls(void *context, unsigned events)
{
    (void)context;
    (void)events;
    called++;
}

static int rounds;

static void again(void *context)
{
    (void)context;
    if (++rounds < 1000)
        loop_timer(loop, 0, again, NULL);
}

static bool below_1000(void *context)
{
    (void)context;
    return rounds < 1000;
}

START_TEST(a_timer_that_renews_itself_lets_others_in)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct loop_watch *watch = loop_watch(loop, ends[1], LOOP_WRITABLE, count_calls, NULL);
    loop_timer(loop, 0, again, NULL);
    loop_run(loop, below_1000, NULL);
    ck_assert_int_eq(rounds, 1000);
    ck_assert_int_ge(called, 999); /* the watch had its turn in every round */
    loop_unwatch(watch);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static void post_more(void *context)
{
    note(context);
    loop_post(loop, note, c);
    loop_post(loop, stop, NULL);
}

START_TEST(posts_run_later_and_in_order)
{
    loop_post(loop, post_more, a);
    loop_post(loop, note, b);
    ck_assert_str_eq(text_bytes(&order), "");
    loop_run(loop, NULL, NULL);
    ck_assert_str_eq(text_bytes(&order), "abc");
}
END_TEST

START_TEST(stop_in_a_post_ends_the_run_at_once)
{
    loop_post(loop, stop, NULL);
    loop_run(loop, NULL, NULL); /* would wait for ever: there is nothing else */
    loop_post(loop, note, a);
    loop_timer(loop, 0, stop, NULL);
    loop_run(loop, NULL, NULL); /* runs again */
    ck_assert_str_eq(text_bytes(&order), "a");
}
END_TEST

static struct loop_watch *watches[3];
static int pipes[3][2];

/* Whoever is called first ends all of them, himself included, while the events of the others lie in the same batch. */
static void end_all(void *context, unsigned events)
{
    (void)context;
    ck_assert_uint_eq(events, LOOP_READABLE);
    called++;
    for (int i = 0; i < 3; i++) {
        loop_unwatch(watches[i]);
        watches[i] = NULL;
    }
}

START_TEST(watches_may_be_ended_in_callbacks)
{
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pipe2(pipes[i], O_CLOEXEC), 0);
        watches[i] = loop_watch(loop, pipes[i][0], LOOP_READABLE, end_all, NULL);
        ck_assert_int_eq(write(pipes[i][1], "x", 1), 1);
    }
    loop_timer(loop, 10, stop, NULL);
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(called, 1);
    for (int i = 0; i < 3; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}
END_TEST

static unsigned seen_events;

static void see(void *context, unsigned events)
{
    (void)context;
    seen_events = events;
    loop_stop(loop);
}

START_TEST(a_watch_sees_what_it_asked_for_and_hang_up)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct loop_watch *watch = loop_watch(loop, ends[1], LOOP_WRITABLE, see, NULL);
    loop_run(loop, NULL, NULL);
    ck_assert_uint_eq(seen_events, LOOP_WRITABLE);
    seen_events = 0;
    loop_watch_change(watch, 0);
    loop_timer(loop, 5, stop, NULL);
    loop_run(loop, NULL, NULL);
    ck_assert_uint_eq(seen_events, 0);
    loop_watch_change(watch, LOOP_READABLE);
    close(ends[0]);
    loop_run(loop, NULL, NULL);
    ck_assert_uint_eq(seen_events, LOOP_READABLE | LOOP_WRITABLE);
    loop_unwatch(watch);
    close(ends[1]);
}
END_TEST

START_TEST(what_cannot_be_watched_is_refused_and_files_are_always_ready)
{
    ck_assert_ptr_null(loop_watch(loop, 9999, LOOP_READABLE, see, NULL));
    ck_assert_int_eq(errno, EBADF);
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct loop_watch *watch = loop_watch(loop, ends[0], LOOP_READABLE, see, NULL);
    ck_assert_ptr_nonnull(watch);
    ck_assert_ptr_null(loop_watch(loop, ends[0], LOOP_READABLE, see, NULL));
    ck_assert_int_eq(errno, EEXIST);
    loop_unwatch(watch);
    close(ends[0]);
    close(ends[1]);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    watch = loop_watch(loop, file, LOOP_READABLE, see, NULL);
    ck_assert_ptr_nonnull(watch);
    loop_run(loop, NULL, NULL);
    ck_assert_uint_eq(seen_events, LOOP_READABLE);
    loop_unwatch(watch);
    close(file);
}
END_TEST

static int signalled, sender;

static void came(void *context, int number, int sender_pid)
{
    (void)context;
    signalled = number;
    sender = sender_pid;
    loop_stop(loop);
}

START_TEST(signals_come_through_the_loop)
{
    loop_signal(loop, SIGUSR1, came, NULL);
    loop_signal(loop, SIGUSR2, came, NULL);
    kill(getpid(), SIGUSR2); /* would end us, were it not blocked */
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(signalled, SIGUSR2);
    ck_assert_int_eq(sender, getpid());
    loop_signal(loop, SIGUSR1, NULL, NULL);
    kill(getpid(), SIGUSR1);
    loop_timer(loop, 1, stop, NULL);
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(signalled, SIGUSR2);
}
END_TEST

START_TEST(closed_pipes_do_not_kill)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    ck_assert_int_eq(write(ends[1], "x", 1), -1);
    ck_assert_int_eq(errno, EPIPE);
    close(ends[1]);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("loop");
    tcase_add_checked_fixture(tests, make, end);
    tcase_add_test(tests, timers_fire_in_the_order_of_their_times);
    tcase_add_test(tests, timers_are_never_early);
    tcase_add_test(tests, stopped_timers_do_not_fire);
    tcase_add_test(tests, ten_thousand_timers_fire_sorted);
    tcase_add_test(tests, a_timer_that_renews_itself_lets_others_in);
    tcase_add_test(tests, posts_run_later_and_in_order);
    tcase_add_test(tests, stop_in_a_post_ends_the_run_at_once);
    tcase_add_test(tests, watches_may_be_ended_in_callbacks);
    tcase_add_test(tests, a_watch_sees_what_it_asked_for_and_hang_up);
    tcase_add_test(tests, what_cannot_be_watched_is_refused_and_files_are_always_ready);
    tcase_add_test(tests, signals_come_through_the_loop);
    tcase_add_test(tests, closed_pipes_do_not_kill);
    return run_case("loop", tests);
}
