/* SPDX-License-Identifier: BSD-3-Clause */
/* The schedulers `sequential` and `local`: order, room, fairness, cancelling, and that 100,000 jobs are no effort. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "fake_host.h"

static const struct fake_option grace[] = {{.key = "grace", .number = 1234}, {0}};

struct jobs {
    struct descpipe_job *items;
    struct descpipe_resources *resources;
    const struct descpipe_job **list;
    uint32_t count;
};

static struct jobs jobs_new(uint32_t count)
{
    struct jobs jobs = {.count = count};
    jobs.items = memory_allocate(count * sizeof(*jobs.items));
    jobs.resources = memory_allocate(count * sizeof(*jobs.resources));
    jobs.list = memory_allocate(count * sizeof(*jobs.list));
    for (uint32_t i = 0; i < count; i++) {
        jobs.resources[i] = (struct descpipe_resources){
            .size = sizeof(struct descpipe_resources), .nodes = 1, .ranks_per_node = 1, .cpus_per_rank = 1};
        jobs.items[i] = (struct descpipe_job){.size = sizeof(struct descpipe_job),
                                              .job = i,
                                              .order = i,
                                              .attempt = 1,
                                              .stage = "shear",
                                              .group = "shear",
                                              .resources = &jobs.resources[i]};
        jobs.list[i] = &jobs.items[i];
    }
    return jobs;
}

static void jobs_free(struct jobs *jobs)
{
    memory_free(jobs->items);
    memory_free(jobs->resources);
    memory_free(jobs->list);
}

/* ---- sequential ---- */

START_TEST(runs_one_at_a_time_lowest_order_first)
{
    struct fake_host *host = fake_host_open("sequential", grace);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(5);
    static const uint64_t orders[] = {9, 4, 7, 4, 1};
    static const uint64_t expected[] = {4, 1, 3, 2, 0};
    for (uint32_t i = 0; i < jobs.count; i++) {
        jobs.items[i].order = orders[i];
    }
    ck_assert(fake_host_submit(host, jobs.list, jobs.count, &call));
    for (size_t i = 0; i < jobs.count; i++) {
        ck_assert_uint_eq(host->started_count, i + 1);
        ck_assert_uint_eq(host->started[i], expected[i]);
        fake_host_end(host, expected[i]);
    }
    ck_assert_uint_eq(host->most_running, 1);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(later_submission_with_lower_order_goes_first)
{
    struct fake_host *host = fake_host_open("sequential", grace);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(3);
    jobs.items[0].order = 10, jobs.items[1].order = 30, jobs.items[2].order = 20;
    ck_assert(fake_host_submit(host, jobs.list, 2, &call));
    ck_assert(fake_host_submit(host, jobs.list + 2, 1, &call));
    fake_host_end(host, 0);
    ck_assert_uint_eq(host->started[1], 2);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(tells_once_why_a_job_waits)
{
    struct fake_host *host = fake_host_open("sequential", grace);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(4);
    ck_assert(fake_host_submit(host, jobs.list, 4, &call));
    fake_host_end(host, 0);
    fake_host_end(host, 1);
    ck_assert_uint_eq(host->change_count, 1);
    ck_assert_uint_eq(host->changes[0].state, DESCPIPE_JOB_QUEUED);
    ck_assert_uint_eq(host->changes[0].job, 1);
    ck_assert_str_eq(host->changes[0].reason, "waiting for its turn: sequential runs one stage at a time");
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

static const char *const both[] = {"sequential", "local"};

START_TEST(cancelled_jobs_end_and_the_running_one_is_stopped)
{
    static const struct fake_option options[] = {{.key = "grace", .number = 1234}, {.key = "cpus", .number = 1}, {0}};
    struct fake_host *host = fake_host_open(both[_i], options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(6);
    ck_assert(fake_host_submit(host, jobs.list, 6, &call));
    uint64_t cancelled[] = {5, 0, 2, 77};
    call = (struct descpipe_call){0};
    size_t changes = host->change_count;
    host->scheduler->cancel(host->self, &call, cancelled, 4);
    ck_assert(call.finished && call.ok);
    ck_assert_int_eq(host->jobs[0].stops, 1);
    ck_assert_int_eq(host->jobs[0].cancelled, 0);
    ck_assert_uint_eq(host->change_count, changes + 2);
    for (size_t i = changes; i < host->change_count; i++) {
        ck_assert_uint_eq(host->changes[i].state, DESCPIPE_JOB_ENDED);
        ck_assert_uint_eq(host->changes[i].attempt, 1);
        ck_assert_uint_eq(host->changes[i].flags, DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED);
        ck_assert_str_eq(host->changes[i].reason, "cancelled while it was waiting");
    }
    fake_host_end(host, 0);
    fake_host_end(host, 1);
    fake_host_end(host, 3);
    fake_host_end(host, 4);
    ck_assert_int_eq(host->jobs[2].starts, 0);
    ck_assert_int_eq(host->jobs[2].cancelled, 1);
    ck_assert_int_eq(host->jobs[5].cancelled, 1);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(a_stopping_run_starts_nothing_more_and_says_so)
{
    static const struct fake_option options[] = {{.key = "cpus", .number = 1}, {0}};
    struct fake_host *host = fake_host_open(both[_i], options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(3);
    ck_assert(fake_host_submit(host, jobs.list, 3, &call));
    host->stopping = true;
    fake_host_end(host, 0);
    ck_assert_uint_eq(host->started_count, 1);
    ck_assert_int_eq(host->jobs[1].cancelled, 1);
    ck_assert_int_eq(host->jobs[2].cancelled, 1);
    ck_assert_str_eq(host->changes[host->change_count - 1].reason, "the run is stopping");
    /* What was booked for them is free again. */
    host->stopping = false;
    jobs.items[2].job = 3;
    ck_assert(fake_host_submit(host, jobs.list + 2, 1, &call));
    ck_assert_int_eq(host->jobs[3].starts, 1);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

/* Ends another running job from inside `start`, as a host might. */
static void end_the_one_before(struct fake_host *host, uint64_t job)
{
    if (job > 0 && host->jobs[job - 1].running) {
        fake_host_end(host, job - 1);
    }
}

START_TEST(hundred_thousand_jobs_never_recurse)
{
    static const struct fake_option options[] = {{.key = "cpus", .number = 2}, {0}};
    struct fake_host *host = fake_host_open(both[_i], options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(100000);
    int64_t start = clock_monotonic_ms();
    host->on_start = end_the_one_before;
    ck_assert(fake_host_submit(host, jobs.list, jobs.count, &call));
    for (uint64_t job = 0; job < jobs.count; job++) {
        if (host->jobs[job].running) {
            fake_host_end(host, job);
        }
    }
    for (uint64_t job = 0; job < jobs.count; job++) {
        ck_assert_int_eq(host->jobs[job].starts, 1);
        ck_assert_int_eq(host->jobs[job].ends, 1);
    }
    ck_assert_int_eq(host->deepest, 1);
    ck_assert_uint_le(host->change_count, 3);
    /* Far more than it takes, also with sanitizers; a quadratic queue needs minutes. */
    ck_assert_int_lt(clock_monotonic_ms() - start, 20000);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

/* ---- local ---- */

START_TEST(never_more_than_the_machine_has)
{
    static const char *const gpus[] = {"0", "1", "GPU-3", NULL};
    static const struct fake_option options[] = {{.key = "cpus", .number = 8},
                                                 {.key = "memory", .number = 1000},
                                                 {.key = "jobs", .number = 6},
                                                 {.key = "gpus", .list = gpus},
                                                 {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(3000);
    unsigned seed = 7;
    for (uint32_t i = 0; i < jobs.count; i++) {
        jobs.resources[i].cpus_per_rank = 1 + (uint32_t)rand_r(&seed) % 4;
        jobs.resources[i].ranks_per_node = 1 + (uint32_t)rand_r(&seed) % 2;
        jobs.resources[i].memory_per_node = (uint64_t)(rand_r(&seed) % 5) * 250;
        jobs.resources[i].gpus_per_node = (uint32_t)rand_r(&seed) % 4;
        jobs.items[i].members_limit = (uint32_t)rand_r(&seed) % 2 * 2;
        jobs.items[i].group = i % 3 == 0 ? "a" : "b";
    }
    uint32_t submitted = 0;
    size_t ended = 0;
    while (ended < jobs.count) {
        if (submitted < jobs.count) {
            uint32_t count = 1 + (uint32_t)rand_r(&seed) % 200;
            count = count > jobs.count - submitted ? jobs.count - submitted : count;
            ck_assert(fake_host_submit(host, jobs.list + submitted, count, &call));
            submitted += count;
        }
        uint64_t cpus = 0, memory = 0, gpu_count = 0, a = 0, b = 0, last = 0;
        bool taken[3] = {false};
        for (uint32_t i = 0; i < jobs.count; i++) {
            if (!host->jobs[i].running) {
                continue;
            }
            last = rand_r(&seed) % 2 == 0 || last == 0 ? i + 1 : last;
            cpus += jobs.resources[i].cpus_per_rank * jobs.resources[i].ranks_per_node;
            memory += jobs.resources[i].memory_per_node;
            gpu_count += jobs.resources[i].gpus_per_node;
            a += jobs.items[i].members_limit > 0 && i % 3 == 0;
            b += jobs.items[i].members_limit > 0 && i % 3 != 0;
            size_t named = 0;
            for (size_t g = 0; g < 3; g++) {
                if (strstr(host->jobs[i].gpus, gpus[g]) != NULL) {
                    ck_assert_msg(!taken[g], "gpu %s was given twice", gpus[g]);
                    taken[g] = true;
                    named++;
                }
            }
            ck_assert_uint_eq(named, jobs.resources[i].gpus_per_node);
        }
        ck_assert_uint_le(cpus, 8);
        ck_assert_uint_le(memory, 1000);
        ck_assert_uint_le(gpu_count, 3);
        ck_assert_uint_le(a, 2);
        ck_assert_uint_le(b, 2);
        ck_assert_uint_le(host->running_count, 6);
        ck_assert_msg(last > 0, "%zu of %u ended, and nothing runs", ended, jobs.count);
        fake_host_end(host, last - 1);
        ended++;
    }
    for (uint32_t i = 0; i < jobs.count; i++) {
        ck_assert_int_eq(host->jobs[i].starts, 1);
    }
    ck_assert_uint_eq(host->running_count, 0);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(uses_the_whole_machine)
{
    static const struct fake_option options[] = {{.key = "cpus", .number = 8}, {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(20);
    ck_assert(fake_host_submit(host, jobs.list, 20, &call));
    ck_assert_uint_eq(host->running_count, 8);
    fake_host_end(host, 3);
    ck_assert_uint_eq(host->running_count, 8);
    ck_assert_uint_eq(host->started[8], 8);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(big_job_is_overtaken_for_a_while_only)
{
    static const struct fake_option options[] = {{.key = "cpus", .number = 4}, {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(200);
    jobs.resources[1].cpus_per_rank = 4;
    ck_assert(fake_host_submit(host, jobs.list, jobs.count, &call));
    ck_assert_int_eq(host->jobs[1].starts, 0); /* job 0 has a cpu */
    ck_assert_int_eq(host->jobs[2].starts, 1); /* and smaller ones pass */
    size_t ended = 0;
    while (host->jobs[1].starts == 0) {
        uint64_t job = 0;
        while (!host->jobs[job].running) {
            job++;
            ck_assert_uint_lt(job, jobs.count);
        }
        fake_host_end(host, job);
        ended++;
        ck_assert_uint_lt(ended, 60);
    }
    ck_assert_uint_eq(host->running_count, 1);
    ck_assert_uint_eq(host->started_count, 1 + 32 + 1);
    fake_host_end(host, 1);
    ck_assert_uint_eq(host->running_count, 4);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(members_limit_holds_back_only_its_group)
{
    static const struct fake_option options[] = {{.key = "cpus", .number = 8}, {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(10);
    for (uint32_t i = 0; i < 8; i++) {
        jobs.items[i].group = "download";
        jobs.items[i].members_limit = 2;
        jobs.resources[i].cpus_per_rank = 1 + i % 2; /* two classes in one group */
    }
    ck_assert(fake_host_submit(host, jobs.list, jobs.count, &call));
    ck_assert_uint_eq(host->running_count, 4);
    ck_assert(host->jobs[0].running && host->jobs[1].running && host->jobs[8].running && host->jobs[9].running);
    fake_host_end(host, 0);
    ck_assert(host->jobs[2].running && !host->jobs[3].running);
    for (uint64_t job = 1; job < 8; job++) {
        fake_host_end(host, job);
    }
    ck_assert_uint_eq(host->running_count, 2);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(cancelling_the_big_waiting_job_lets_the_others_go)
{
    static const struct fake_option options[] = {{.key = "cpus", .number = 4}, {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(100);
    jobs.resources[1].cpus_per_rank = 4;
    ck_assert(fake_host_submit(host, jobs.list, jobs.count, &call));
    /* Until it blocks: one cpu after the other falls free. */
    for (uint64_t job = 2; host->running_count > 1; job++) {
        fake_host_end(host, job);
    }
    ck_assert_uint_eq(host->running_count, 1);
    uint64_t big = 1;
    call = (struct descpipe_call){0};
    host->scheduler->cancel(host->self, &call, &big, 1);
    ck_assert_int_eq(host->jobs[1].cancelled, 1);
    ck_assert_uint_eq(host->running_count, 4);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

static const struct {
    uint32_t nodes, ranks, cpus, gpus;
    uint64_t memory;
    const char *message;
} refusals[] = {
    {1, 8, 8, 0, 0, "stage 'shear' asks for 64 cpus; this machine has 2"},
    {1, 4294967295u, 4294967295u, 0, 0, "stage 'shear' asks for 18446744065119617025 cpus; this machine has 2"},
    {2, 1, 1, 0, 0, "stage 'shear' asks for 2 nodes; the scheduler local has one node"},
    {1, 1, 1, 3, 0, "stage 'shear' asks for 3 gpus; this machine has 2"},
    {1, 1, 1, 0, 3u << 29, "stage 'shear' asks for 1.5 GiB of memory; this machine has 1 GiB"},
};

START_TEST(refuses_what_the_machine_can_never_give)
{
    static const char *const gpus[] = {"0", "1", NULL};
    static const struct fake_option options[] = {
        {.key = "cpus", .number = 2}, {.key = "memory", .number = 1 << 30}, {.key = "gpus", .list = gpus}, {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(2);
    jobs.resources[1].nodes = refusals[_i].nodes;
    jobs.resources[1].ranks_per_node = refusals[_i].ranks;
    jobs.resources[1].cpus_per_rank = refusals[_i].cpus;
    jobs.resources[1].gpus_per_node = refusals[_i].gpus;
    jobs.resources[1].memory_per_node = refusals[_i].memory;
    ck_assert(!fake_host_submit(host, jobs.list, 2, &call));
    ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_REFUSED);
    ck_assert_str_eq(call.message, refusals[_i].message);
    ck_assert_str_ne(call.hint, "");
    ck_assert_uint_eq(host->started_count, 0); /* all jobs or none */
    ck_assert(fake_host_submit(host, jobs.list, 1, &call));
    ck_assert_uint_eq(host->started_count, 1);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

static const struct {
    uint32_t cpus, gpus;
    uint64_t memory;
    int64_t places;
    const char *reason;
} waits[] = {
    {3, 0, 0, 4, "waiting for cpus: 3 of 4 in use, it asks for 3"},
    {1, 0, 700, 4, "waiting for memory: 700 bytes of 1000 bytes in use, it asks for 700 bytes"},
    {1, 2, 0, 4, "waiting for gpus: 2 of 3 in use, it asks for 2"},
    {1, 0, 0, 1, "waiting for its turn: 1 of at most 1 stages are running"},
};

START_TEST(says_what_the_first_waiting_job_waits_for)
{
    static const char *const gpus[] = {"0", "1", "2", NULL};
    const struct fake_option options[] = {{.key = "cpus", .number = 4},
                                          {.key = "memory", .number = 1000},
                                          {.key = "gpus", .list = gpus},
                                          {.key = "jobs", .number = waits[_i].places},
                                          {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(3);
    for (uint32_t i = 0; i < jobs.count; i++) {
        jobs.resources[i].cpus_per_rank = waits[_i].cpus;
        jobs.resources[i].gpus_per_node = waits[_i].gpus;
        jobs.resources[i].memory_per_node = waits[_i].memory;
    }
    ck_assert(fake_host_submit(host, jobs.list, 3, &call));
    ck_assert_uint_eq(host->change_count, 1);
    ck_assert_uint_eq(host->changes[0].state, DESCPIPE_JOB_QUEUED);
    ck_assert_uint_eq(host->changes[0].job, 1);
    ck_assert_str_eq(host->changes[0].reason, waits[_i].reason);
    fake_host_end(host, 0);
    ck_assert_uint_eq(host->change_count, 1); /* the next one waits for the same: nothing new */
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(many_different_shapes_are_no_effort)
{
    static const struct fake_option options[] = {
        {.key = "cpus", .number = 4}, {.key = "memory", .number = INT64_C(1) << 40}, {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call;
    struct jobs jobs = jobs_new(50000);
    for (uint32_t i = 0; i < jobs.count; i++) {
        jobs.resources[i].memory_per_node = 1 + i;
        jobs.resources[i].cpus_per_rank = 1 + i % 4;
    }
    int64_t start = clock_monotonic_ms();
    ck_assert(fake_host_submit(host, jobs.list, jobs.count, &call));
    uint64_t ended = 0;
    for (uint64_t first = 0; ended<jobs.count; first = host->jobs[first].ends> 0 ? first + 1 : first) {
        for (uint64_t job = first; job < first + 200 && job < jobs.count; job++) {
            if (host->jobs[job].running) {
                fake_host_end(host, job);
                ended++;
                break;
            }
        }
    }
    ck_assert_int_lt(clock_monotonic_ms() - start, 20000);
    jobs_free(&jobs);
    fake_host_close(host);
}
END_TEST

START_TEST(probe_tells_what_it_counts_with)
{
    static const char *const gpus[] = {"0", "GPU-7", NULL};
    static const struct fake_option options[] = {
        {.key = "cpus", .number = 2}, {.key = "memory", .number = 3 << 29}, {.key = "gpus", .list = gpus}, {0}};
    struct fake_host *host = fake_host_open("local", options);
    struct descpipe_call call = {0};
    host->scheduler->probe(host->self, &call);
    ck_assert(call.ok);
    ck_assert_str_eq(call.facts, "cpus=2\nmemory=1.5 GiB\ngpus=0,GPU-7\nat-a-time=2\n");
    fake_host_close(host);
}
END_TEST

START_TEST(refuses_a_gpu_that_is_listed_twice)
{
    static const char *const gpus[] = {"0", "1", "0", NULL};
    static const struct fake_option options[] = {{.key = "gpus", .list = gpus}, {0}};
    struct fake_host *host = NULL;
    ck_assert(!fake_host_try_open(&host, "local", options));
    ck_assert_str_eq(host->open_message, "option 'gpus' names '0' twice");
    host->self = NULL;
    fake_host_close(host);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedulers of this machine");
    TCase *sequential = tcase_create("sequential");
    TCase *shared = tcase_create("both");
    TCase *local = tcase_create("local");
    tcase_set_timeout(shared, 60);
    tcase_set_timeout(local, 60);
    tcase_add_test(sequential, runs_one_at_a_time_lowest_order_first);
    tcase_add_test(sequential, later_submission_with_lower_order_goes_first);
    tcase_add_test(sequential, tells_once_why_a_job_waits);
    tcase_add_loop_test(shared, cancelled_jobs_end_and_the_running_one_is_stopped, 0, 2);
    tcase_add_loop_test(shared, a_stopping_run_starts_nothing_more_and_says_so, 0, 2);
    tcase_add_loop_test(shared, hundred_thousand_jobs_never_recurse, 0, 2);
    tcase_add_test(local, never_more_than_the_machine_has);
    tcase_add_test(local, uses_the_whole_machine);
    tcase_add_test(local, big_job_is_overtaken_for_a_while_only);
    tcase_add_test(local, members_limit_holds_back_only_its_group);
    tcase_add_test(local, cancelling_the_big_waiting_job_lets_the_others_go);
    tcase_add_loop_test(local, refuses_what_the_machine_can_never_give, 0, sizeof(refusals) / sizeof(*refusals));
    tcase_add_loop_test(local, says_what_the_first_waiting_job_waits_for, 0, sizeof(waits) / sizeof(*waits));
    tcase_add_test(local, many_different_shapes_are_no_effort);
    tcase_add_test(local, probe_tells_what_it_counts_with);
    tcase_add_test(local, refuses_a_gpu_that_is_listed_twice);
    suite_add_tcase(suite, sequential);
    suite_add_tcase(suite, shared);
    suite_add_tcase(suite, local);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
