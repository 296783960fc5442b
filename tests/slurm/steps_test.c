/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages as steps of an allocation: what fits begins, nobody waits for ever, and each end is told once. */
#include "steps.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slurm.h"
#include "submit.h"

enum { MOST = 300, TEXT = 1024 };

/* What steps.c asks of the others. */
static const char *mode, *commands, *gpu_type;
static bool files_can_be_written;

const char *slurm_text(const struct slurm *self, const char *key)
{
    (void)self;
    return strcmp(key, "mode") == 0 ? mode : strcmp(key, "commands") == 0 ? commands : NULL;
}

void slurm_wishes(void *self, const struct descpipe_job *job, struct wishes *wishes)
{
    (void)self;
    (void)job;
    wishes->gpu_type = gpu_type;
}

bool command_write_files(const struct submitting *submitting, char *message, size_t size)
{
    (void)submitting;
    snprintf(message, size, "no room");
    return files_can_be_written;
}

/* The host. */
struct started {
    char words[TEXT], environment[TEXT];
    struct descpipe_process_request request;
    bool stopped, ended;
};
static struct started started[MOST];
static unsigned started_count;

struct told {
    uint64_t job;
    uint32_t state, flags;
    int exit_code;
    char native[64], host[64], reason[TEXT];
};
static struct told told[4 * MOST];
static unsigned told_count;

static void (*timer_fired)(void *);
static void *timer_context;
static unsigned succeeded, failed;
static char failure[TEXT];

static void join(const char *const *words, char *text)
{
    size_t length = 0;
    text[0] = '\0';
    for (; *words != NULL && length < TEXT; words++)
        length += (size_t)snprintf(text + length, TEXT - length, "%s%s", length > 0 ? " " : "", *words);
}

static struct descpipe_process *process_start(const struct descpipe_host *host,
                                              const struct descpipe_process_request *request)
{
    struct started *one = &started[started_count++];
    ck_assert_ptr_nonnull(host);
    ck_assert_uint_le(started_count, MOST);
    *one = (struct started){.request = *request};
    join(request->argv, one->words);
    join(request->environment, one->environment);
    return (struct descpipe_process *)one;
}

static void process_stop(struct descpipe_process *process)
{
    ((struct started *)process)->stopped = true;
}

static struct descpipe_timer *timer_start(const struct descpipe_host *host, uint64_t delay_ms,
                                          void (*fired)(void *context), void *context)
{
    ck_assert_ptr_nonnull(host);
    ck_assert_uint_eq(delay_ms, 0);
    ck_assert(timer_fired == NULL);
    timer_fired = fired;
    timer_context = context;
    return (struct descpipe_timer *)&timer_fired;
}

static void changed(struct descpipe_sink *sink, const struct descpipe_change *change)
{
    struct told *one = &told[told_count++];
    ck_assert_ptr_nonnull(sink);
    ck_assert_uint_le(told_count, sizeof(told) / sizeof(*told));
    *one = (struct told){.job = change->job, .state = change->state};
    snprintf(one->native, sizeof(one->native), "%s", change->native_id);
    snprintf(one->host, sizeof(one->host), "%s", change->host != NULL ? change->host : "");
    snprintf(one->reason, sizeof(one->reason), "%s", change->reason != NULL ? change->reason : "");
    if (change->ending != NULL) {
        one->flags = change->ending->flags;
        one->exit_code = change->ending->exit_code;
    }
}

static void succeed(struct descpipe_call *call)
{
    (void)call;
    succeeded++;
}

static void refuse(struct descpipe_call *call, uint32_t kind, const char *message, const char *hint)
{
    (void)call;
    (void)hint;
    ck_assert_uint_eq(kind, DESCPIPE_FAILED_REFUSED);
    failed++;
    snprintf(failure, sizeof(failure), "%s", message);
}

static void native_id(struct descpipe_call *call, uint64_t job, const char *id)
{
    char expected[64];
    (void)call;
    snprintf(expected, sizeof(expected), "77.%d", (int)job);
    ck_assert_str_eq(id, expected);
}

static int64_t integer(const struct descpipe_settings *settings, const char *key)
{
    (void)settings;
    return strcmp(key, "nodes") == 0 ? 2 : strcmp(key, "minutes") == 0 ? 120 : -1;
}

static const struct descpipe_process_service process_service = {.start = process_start, .stop = process_stop};
static const struct descpipe_timer_service timer_service = {.start = timer_start};
static const struct descpipe_observe_service observe_service = {.changed = changed};
static const struct descpipe_call_service call_service = {.succeed = succeed, .fail = refuse};
static const struct descpipe_answer_service answer_service = {.native_id = native_id};
static const struct descpipe_config_service config_service = {.integer = integer};
static const struct descpipe_host host = {.process = &process_service,
                                          .timer = &timer_service,
                                          .observe = &observe_service,
                                          .call = &call_service,
                                          .answer = &answer_service,
                                          .config = &config_service};
static struct slurm slurm;
static char somebody, call;

static void let_begin(void)
{
    while (timer_fired != NULL) {
        void (*fired)(void *) = timer_fired;
        timer_fired = NULL;
        fired(timer_context);
    }
}

/* "NAME=VALUE" of SLURM, NULL: not set. */
static void surround(const char *job, const char *nodes, const char *cpus, const char *memory)
{
    const char *const variables[][2] = {
        {"SLURM_JOB_ID", job},          {"SLURM_JOB_NUM_NODES", nodes}, {"SLURM_JOB_CPUS_PER_NODE", cpus},
        {"SLURM_MEM_PER_NODE", memory}, {"SLURM_MEM_PER_CPU", NULL},    {"SLURM_JOB_NODELIST", "node1"}};
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
        if (variables[i][1] == NULL)
            unsetenv(variables[i][0]);
        else
            setenv(variables[i][0], variables[i][1], 1);
}

static bool opens(char message[TEXT])
{
    slurm = (struct slurm){.host = &host, .user = 1000};
    slurm.watch.sink = (struct descpipe_sink *)&somebody;
    message[0] = '\0';
    return steps_open(&slurm, message, TEXT);
}

static void set_up(void)
{
    char message[TEXT];
    mode = commands = gpu_type = NULL;
    files_can_be_written = true;
    started_count = told_count = succeeded = failed = 0;
    timer_fired = NULL;
    surround("77", "1", "4", "1000");
    ck_assert(opens(message));
}

static void tear_down(void)
{
    steps_close(&slurm);
}

struct stages {
    struct descpipe_resources resources[MOST];
    struct descpipe_job jobs[MOST];
    const struct descpipe_job *list[MOST];
    struct descpipe_submission submission;
};
static struct stages stages;

/* So many jobs from 1 on, each of one cpu. */
static void prepare(uint32_t count)
{
    stages.submission = (struct descpipe_submission){.size = sizeof(stages.submission),
                                                     .count = count,
                                                     .token = "run-1",
                                                     .folder = "/run/submissions/1",
                                                     .jobs = stages.list};
    for (uint32_t i = 0; i < count; i++) {
        stages.resources[i] = (struct descpipe_resources){
            .size = sizeof(stages.resources[i]), .nodes = 1, .ranks_per_node = 1, .cpus_per_rank = 1};
        stages.jobs[i] = (struct descpipe_job){.size = sizeof(stages.jobs[i]),
                                               .job = i + 1,
                                               .attempt = 1,
                                               .stage = "sky",
                                               .group = "sky",
                                               .resources = &stages.resources[i]};
        stages.list[i] = &stages.jobs[i];
    }
}

static void submit(void)
{
    steps_submit(&slurm, (struct descpipe_call *)&call, &stages.submission);
    let_begin();
}

static void end(unsigned number, const struct descpipe_process_end *how)
{
    struct started *one = &started[number];
    ck_assert(!one->ended);
    one->ended = true;
    one->request.ended(one->request.context, how);
    let_begin();
}

static const struct descpipe_process_end well = {.size = sizeof(well), .started = 1};

/* Those that have begun, in their order. */
static unsigned running_jobs(uint64_t *jobs)
{
    unsigned count = 0;
    for (unsigned i = 0; i < told_count; i++)
        if (told[i].state == DESCPIPE_JOB_RUNNING)
            jobs[count++] = told[i].job;
    return count;
}

START_TEST(what_the_allocation_gives_is_added_up)
{
    static const struct {
        const char *nodes, *cpus, *memory;
        uint64_t of_nodes, of_cpus, of_mebibytes;
        const char *node;
    } cases[] = {{"1", "4", "1000", 1, 4, 1000, "node1"},
                 {"3", "2(x3)", "1000", 3, 6, 3000, ""},
                 {"4", "2(x3),4", "10", 4, 10, 40, ""},
                 {"2", "8,16", NULL, 2, 24, UINT64_MAX, ""},
                 {"2", "8,", NULL, 2, 8, UINT64_MAX, ""},
                 {NULL, "many", "much", UINT64_MAX, UINT64_MAX, UINT64_MAX, ""},
                 {"0", "2(x", "0", UINT64_MAX, UINT64_MAX, UINT64_MAX, ""},
                 {"1", "99999999999999999999", "99999999999999999999", 1, UINT64_MAX, UINT64_MAX, "node1"}};
    char message[TEXT];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        surround("77", cases[i].nodes, cases[i].cpus, cases[i].memory);
        ck_assert(opens(message));
        uint64_t bytes = cases[i].of_mebibytes == UINT64_MAX ? UINT64_MAX : cases[i].of_mebibytes << 20;
        ck_assert_msg(slurm.steps.nodes == cases[i].of_nodes && slurm.steps.cpus == cases[i].of_cpus &&
                          slurm.steps.memory == bytes,
                      "%d: %llu nodes, %llu cpus, %llu bytes", (int)i, (unsigned long long)slurm.steps.nodes,
                      (unsigned long long)slurm.steps.cpus, (unsigned long long)slurm.steps.memory);
        ck_assert_str_eq(slurm.steps.node, cases[i].node);
    }
    surround("77", "2", "4(x2)", NULL);
    setenv("SLURM_MEM_PER_CPU", "100", 1);
    ck_assert(opens(message));
    ck_assert_uint_eq(slurm.steps.memory, UINT64_C(800) << 20);
    unsetenv("SLURM_MEM_PER_CPU");
}
END_TEST

START_TEST(there_are_steps_only_in_an_allocation_and_where_they_are_wanted)
{
    static const struct {
        const char *mode, *job;
        bool opens, inside;
    } cases[] = {{NULL, "77", true, true},
                 {NULL, NULL, true, false},
                 {"jobs", "77", true, false},
                 {"steps", "77", true, true},
                 {"steps", NULL, false, false},
                 {"pilot", NULL, true, false},
                 {"pilot", "77", true, true},
                 {"steps", "7x7", false, false},
                 {NULL, "77; rm", true, false},
                 {"steps", "", false, false},
                 {NULL, "123456789012345678901234567890", true, false}};
    char message[TEXT];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        mode = cases[i].mode;
        surround(cases[i].job, "1", "4", "1000");
        bool opened = opens(message);
        ck_assert_msg(opened == cases[i].opens && (slurm.steps.allocation[0] != '\0') == cases[i].inside, "case %d",
                      (int)i);
        ck_assert(opened || strstr(message, "salloc") != NULL);
    }
}
END_TEST

START_TEST(what_fits_begins_and_the_rest_when_there_is_room)
{
    uint64_t jobs[MOST];
    prepare(4);
    stages.resources[0].cpus_per_rank = 2;
    stages.resources[1].cpus_per_rank = 3;
    stages.resources[2].memory_per_node = UINT64_C(600) << 20;
    stages.resources[3].memory_per_node = UINT64_C(600) << 20;
    submit();
    ck_assert_uint_eq(succeeded, 1);
    ck_assert_uint_eq(running_jobs(jobs), 2); /* the second has too few cpus, the fourth too little memory */
    ck_assert_uint_eq(jobs[0], 1);
    ck_assert_uint_eq(jobs[1], 3);
    ck_assert(steps_has(&slurm, 2) && steps_has(&slurm, 4) && !steps_has(&slurm, 5));
    unsigned queued = 0;
    for (unsigned i = 0; i < told_count; i++)
        if (told[i].state == DESCPIPE_JOB_QUEUED) {
            ck_assert_uint_eq(told[i].job, 2);
            ck_assert_str_eq(told[i].reason, "waits for cpus or memory of the allocation");
            queued++;
        }
    ck_assert_uint_eq(queued, 1);
    end(0, &well);
    ck_assert_uint_eq(running_jobs(jobs), 3);
    ck_assert_uint_eq(jobs[2], 2);
    end(1, &well);
    ck_assert_uint_eq(running_jobs(jobs), 4);
    end(2, &well);
    end(3, &well);
    ck_assert_uint_eq(slurm.steps.used_cpus, 0);
    ck_assert_uint_eq(slurm.steps.used_memory, 0);
    ck_assert(!steps_has(&slurm, 4));
}
END_TEST

/* One keeps a cpu for a long time; those of one cpu could pass the one of four for ever. */
START_TEST(a_large_step_is_not_passed_for_ever)
{
    uint64_t jobs[MOST];
    prepare(200);
    stages.resources[1].cpus_per_rank = 4;
    for (uint32_t i = 2; i < 200; i++)
        stages.resources[i].cpus_per_rank = 3;
    submit();
    unsigned next = 1;
    while (next < started_count)
        end(next++, &well);
    ck_assert_uint_eq(started_count, 1 + 64);
    end(0, &well);
    ck_assert_uint_eq(running_jobs(jobs), 66);
    ck_assert_uint_eq(jobs[65], 2);
    end(65, &well);
    ck_assert_uint_eq(started_count, 67); /* and it goes on */
}
END_TEST

START_TEST(what_the_allocation_has_not_is_refused_with_the_number)
{
    static const char *const messages[] = {
        "stage 'sky' asks for 2 nodes; the allocation (job 77) has 1",
        "stage 'sky' asks for 5 cpus; the allocation (job 77) has 4",
        "stage 'sky' asks for 1001 MiB of memory; the allocation (job 77) has 1000 MiB",
        "steps of an allocation end with descpipe",
        "no room",
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        prepare(2);
        struct descpipe_resources *resources = &stages.resources[1];
        resources->nodes = i == 0 ? 2 : 1;
        resources->cpus_per_rank = i == 1 ? 5 : 1;
        resources->memory_per_node = i == 2 ? UINT64_C(1001) << 20 : 0;
        stages.submission.flags = i == 3 ? DESCPIPE_SUBMISSION_DETACHED : 0;
        files_can_be_written = i != 4;
        submit();
        ck_assert_uint_eq(failed, i + 1);
        ck_assert_str_eq(failure, messages[i]);
    }
    ck_assert_uint_eq(succeeded + started_count + told_count, 0);
}
END_TEST

START_TEST(a_stage_of_one_rank_is_one_srun_with_its_share)
{
    prepare(2);
    stages.resources[0].cpus_per_rank = 2;
    stages.resources[0].memory_per_node = (UINT64_C(100) << 20) + 1;
    stages.resources[0].time_limit_ms = 60001;
    stages.resources[1].gpus_per_node = 2;
    commands = "/opt/slurm/bin";
    gpu_type = "a100";
    arguments_add(&slurm.tools.environment, "LC_ALL=C");
    submit();
    arguments_clear(&slurm.tools.environment);
    ck_assert_str_eq(started[1].environment, "LC_ALL=C"); /* nothing of ours but what is made for SLURM's commands */
    ck_assert_str_eq(started[0].words, "/opt/slurm/bin/srun --jobid=77 --exact --nodes=1 --ntasks=1 --cpus-per-task=2 "
                                       "--mem=101M --gres=none --time=2 --mpi=none --quiet --input=none "
                                       "/bin/sh /run/submissions/1/scheduler.sh 0");
    ck_assert_str_eq(started[1].words, "/opt/slurm/bin/srun --jobid=77 --exact --nodes=1 --ntasks=1 --cpus-per-task=1 "
                                       "--mem=0M --gres=gpu:a100:2 --mpi=none --quiet --input=none "
                                       "/bin/sh /run/submissions/1/scheduler.sh 1");
    ck_assert_uint_eq(started[0].request.timeout_ms, UINT64_MAX);
}
END_TEST

/* Its launcher is an srun of its own, which takes its share from variables. */
START_TEST(a_stage_of_several_ranks_gets_its_share_as_variables)
{
    char message[TEXT];
    surround("77", "2", "8(x2)", "1000");
    ck_assert(opens(message));
    prepare(1);
    stages.resources[0] = (struct descpipe_resources){.size = sizeof(stages.resources[0]),
                                                      .nodes = 2,
                                                      .ranks_per_node = 4,
                                                      .cpus_per_rank = 2,
                                                      .gpus_per_node = 1,
                                                      .memory_per_node = UINT64_C(500) << 20};
    submit();
    ck_assert_str_eq(started[0].words, "/bin/sh /run/submissions/1/scheduler.sh 0");
    ck_assert_str_eq(started[0].environment,
                     "SLURM_JOB_ID=77 SLURM_NNODES=2 SLURM_JOB_NUM_NODES=2 SLURM_NTASKS=8 SLURM_NTASKS_PER_NODE=4 "
                     "SLURM_CPUS_PER_TASK=2 SLURM_MEM_PER_NODE=500 SLURM_EXACT=1 SLURM_GRES=gpu:1");
    ck_assert_uint_eq(slurm.steps.used_cpus, 16);
    ck_assert_uint_eq(slurm.steps.used_memory, UINT64_C(1000) << 20);
}
END_TEST

START_TEST(each_end_is_told_once_and_as_what_it_was)
{
    static const struct {
        const char *line;
        struct descpipe_process_end end;
        uint32_t flags;
        int exit_code;
        const char *reason; /* part of it */
    } cases[] = {
        {"", {.started = 1}, DESCPIPE_ENDED_EXITED, 0, ""},
        {"", {.started = 1, .exit_code = 3}, DESCPIPE_ENDED_EXITED, 3, ""},
        {"slurmstepd: error: Detected 1 oom_kill event in StepId=77.4. Some of the step tasks have been OOM Killed.",
         {.started = 1, .exit_code = 137},
         DESCPIPE_ENDED_OUT_OF_MEMORY,
         137,
         ""},
        {"slurmstepd: error: *** STEP 77.0 ON node1 CANCELLED AT 2026-11-21T00:58:12 DUE TO TIME LIMIT ***",
         {.started = 1, .exit_code = 143},
         DESCPIPE_ENDED_TIMED_OUT,
         143,
         ""},
        {"", {.started = 0, .exit_code = -1, .message = "srun: not found"}, DESCPIPE_ENDED_NOT_STARTED, 0, "not found"},
        {"", {.started = 0, .exit_code = -1}, DESCPIPE_ENDED_NOT_STARTED, 0, "cannot run srun"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        prepare(1);
        submit();
        told_count = 0;
        started[i].request.line(started[i].request.context, 2, cases[i].line, strlen(cases[i].line));
        end(i, &cases[i].end);
        ck_assert_uint_eq(told_count, 1);
        ck_assert_uint_eq(told[0].state, DESCPIPE_JOB_ENDED);
        ck_assert_msg((told[0].flags & cases[i].flags) == cases[i].flags, "case %u: flags %x", i, told[0].flags);
        ck_assert_msg((told[0].flags & DESCPIPE_ENDED_EXITED) == 0 || told[0].exit_code == cases[i].exit_code,
                      "case %u: exit %d", i, told[0].exit_code);
        ck_assert_msg(strstr(told[0].reason, cases[i].reason) != NULL, "case %u: %s", i, told[0].reason);
        ck_assert_str_eq(told[0].native, "77.1");
        ck_assert_str_eq(told[0].host, "node1");
    }
}
END_TEST

START_TEST(what_waits_is_cancelled_at_once_and_what_runs_when_it_has_ended)
{
    static const uint64_t both[] = {1, 2, 99};
    static const struct descpipe_process_end terminated = {.started = 1, .exit_code = 143};
    prepare(2);
    stages.resources[0].cpus_per_rank = stages.resources[1].cpus_per_rank = 4;
    submit();
    told_count = succeeded = 0;
    steps_cancel(&slurm, (struct descpipe_call *)&call, both, 3);
    let_begin();
    ck_assert_uint_eq(succeeded, 1);
    ck_assert_uint_eq(told_count, 1);
    ck_assert_uint_eq(told[0].job, 2);
    ck_assert_uint_eq(told[0].flags, DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED);
    ck_assert(started[0].stopped && steps_has(&slurm, 1) && !steps_has(&slurm, 2));
    end(0, &terminated);
    ck_assert_uint_eq(told_count, 2);
    ck_assert_uint_eq(told[1].job, 1);
    ck_assert(told[1].flags & DESCPIPE_ENDED_CANCELLED);
    ck_assert_uint_eq(started_count, 1);
}
END_TEST

START_TEST(a_pilot_asks_for_what_is_wished_and_inside_says_what_it_has)
{
    char message[TEXT];
    ck_assert_ptr_null(steps_pilot(&slurm)); /* an allocation, but no pilot is wanted */
    mode = "pilot";
    surround(NULL, NULL, NULL, NULL);
    ck_assert(opens(message));
    const struct descpipe_pilot *pilot = steps_pilot(&slurm);
    ck_assert_ptr_nonnull(pilot);
    ck_assert_uint_eq(pilot->inside, 0);
    ck_assert_uint_eq(pilot->resources->nodes, 2);
    ck_assert_uint_eq(pilot->resources->time_limit_ms, 120 * 60000);
    surround("77", "1", "8", "2000");
    ck_assert(opens(message));
    pilot = steps_pilot(&slurm);
    ck_assert_uint_eq(pilot->inside, 1);
    ck_assert_uint_eq(pilot->resources->nodes, 1);
    ck_assert_uint_eq(pilot->resources->cpus_per_rank, 8);
    ck_assert_uint_eq(pilot->resources->memory_per_node, UINT64_C(2000) << 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slurm/steps");
    TCase *cases = tcase_create("steps");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, what_the_allocation_gives_is_added_up);
    tcase_add_test(cases, there_are_steps_only_in_an_allocation_and_where_they_are_wanted);
    tcase_add_test(cases, what_fits_begins_and_the_rest_when_there_is_room);
    tcase_add_test(cases, a_large_step_is_not_passed_for_ever);
    tcase_add_test(cases, what_the_allocation_has_not_is_refused_with_the_number);
    tcase_add_test(cases, a_stage_of_one_rank_is_one_srun_with_its_share);
    tcase_add_test(cases, a_stage_of_several_ranks_gets_its_share_as_variables);
    tcase_add_test(cases, each_end_is_told_once_and_as_what_it_was);
    tcase_add_test(cases, what_waits_is_cancelled_at_once_and_what_runs_when_it_has_ended);
    tcase_add_test(cases, a_pilot_asks_for_what_is_wished_and_inside_says_what_it_has);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int count = srunner_ntests_failed(runner);
    srunner_free(runner);
    return count == 0 ? 0 : 1;
}
