/* SPDX-License-Identifier: BSD-3-Clause */
/* Stages as steps of the allocation we are in; steps.h. */
#include "steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parts/ending.h"
#include "parts/log.h"
#include "parts/script.h"
#include "slurm.h"
#include "submit.h"

enum { OVERTAKEN_LIMIT = 64, ERROR_LIMIT = 64 << 10, PATH_SIZE = 4096 };

struct step {
    struct step *next;
    struct slurm *slurm;
    uint64_t job, attempt;
    uint64_t cpus, memory; /* of all its nodes */
    struct arguments arguments, environment;
    struct descpipe_process *process; /* NULL: waiting */
    struct buffer error;              /* what srun and slurmstepd say */
    int64_t started_s;
    bool cancelled;
};

static const char *variable(const char *name)
{
    const char *value = secure_getenv(name);
    return value != NULL ? value : "";
}

/* "2(x3),4": what each node gives, added up; 0: it does not say. */
static uint64_t add_up(const char *text)
{
    uint64_t sum = 0;
    while (*text >= '0' && *text <= '9') {
        char *end;
        uint64_t each = strtoull(text, &end, 10), times = 1;
        if (strncmp(end, "(x", 2) == 0) {
            times = strtoull(end + 2, &end, 10);
            end += *end == ')';
        }
        if (each > UINT32_MAX || times > UINT32_MAX) {
            return 0;
        }
        sum += each * times;
        text = *end == ',' ? end + 1 : end;
    }
    return *text == '\0' ? sum : 0;
}

static uint64_t or_unknown(uint64_t amount)
{
    return amount > 0 ? amount : UINT64_MAX;
}

bool steps_open(struct slurm *self, char *message, uint64_t message_size)
{
    struct steps *steps = &self->steps;
    const char *mode = slurm_text(self, "mode"), *allocation = variable("SLURM_JOB_ID");
    bool wanted = mode != NULL && strcmp(mode, "steps") == 0;
    if (mode != NULL && strcmp(mode, "jobs") == 0) {
        return true;
    }
    if (mode != NULL && strcmp(mode, "pilot") == 0 && allocation[0] == '\0') {
        return true; /* not yet */
    }
    if (allocation[0] == '\0' || strspn(allocation, "0123456789") != strlen(allocation) ||
        strlen(allocation) >= sizeof(steps->allocation)) {
        snprintf(message, message_size,
                 "option 'mode' is 'steps', but this is no allocation of SLURM: start descpipe by salloc or in a job");
        return !wanted;
    }
    snprintf(steps->allocation, sizeof(steps->allocation), "%s", allocation);
    steps->nodes = or_unknown(add_up(variable("SLURM_JOB_NUM_NODES")));
    steps->cpus = or_unknown(add_up(variable("SLURM_JOB_CPUS_PER_NODE")));
    uint64_t of_node = add_up(variable("SLURM_MEM_PER_NODE")), of_cpu = add_up(variable("SLURM_MEM_PER_CPU"));
    uint64_t mebibytes = of_node > 0 && steps->nodes != UINT64_MAX ? of_node * steps->nodes
                         : of_cpu > 0 && steps->cpus != UINT64_MAX ? of_cpu * steps->cpus
                                                                   : 0;
    steps->memory = mebibytes > 0 && mebibytes < UINT64_MAX >> 20 ? mebibytes << 20 : UINT64_MAX;
    const char *list = variable("SLURM_JOB_NODELIST");
    if (steps->nodes == 1 && strlen(list) < sizeof(steps->node)) {
        snprintf(steps->node, sizeof(steps->node), "%s", list);
    }
    return true;
}

static void free_step(struct step *step)
{
    arguments_clear(&step->arguments);
    arguments_clear(&step->environment);
    buffer_clear(&step->error);
    free(step);
}

static void free_steps(struct step *step)
{
    while (step != NULL) {
        struct step *next = step->next;
        free_step(step);
        step = next;
    }
}

void steps_close(struct slurm *self)
{
    free_steps(self->steps.waiting); /* what ran has ended by now */
    free_steps(self->steps.running);
    self->steps.waiting = self->steps.running = NULL;
}

static void report(const struct step *step, uint32_t state, const char *reason, const struct descpipe_ending *ending)
{
    struct slurm *self = step->slurm;
    char id[48];
    if (self->watch.sink == NULL) {
        return;
    }
    snprintf(id, sizeof(id), "%s.%" PRIu64, self->steps.allocation, step->job);
    struct descpipe_change change = {.size = sizeof(change),
                                     .state = state,
                                     .job = step->job,
                                     .attempt = step->attempt,
                                     .at_ms = (int64_t)time(NULL) * 1000,
                                     .native_id = id,
                                     .host = self->steps.node[0] != '\0' ? self->steps.node : NULL,
                                     .reason = reason,
                                     .ending = ending};
    self->host->observe->changed(self->watch.sink, &change);
}

static void unlink_step(struct step **place, const struct step *step)
{
    while (*place != NULL && *place != step) {
        place = &(*place)->next;
    }
    if (*place != NULL) {
        *place = step->next;
    }
}

static void pump_soon(struct slurm *self);

static void step_line(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct step *step = context;
    (void)stream;
    if (step->error.length < ERROR_LIMIT) {
        buffer_add(&step->error, line, (size_t)length < ERROR_LIMIT ? (size_t)length : ERROR_LIMIT);
        buffer_add(&step->error, "\n", 1);
    }
}

/* srun ends as its task did; what slurmstepd says beside it tells why. */
static void judge(const struct step *step, const struct descpipe_process_end *end, struct verdict *verdict)
{
    char words[ENDING_REASON];
    uint64_t allocation = strtoull(step->slurm->steps.allocation, NULL, 10);
    bool well = end->started != 0 && end->exit_code == 0;
    struct record record = {.array = allocation,
                            .index = RECORD_NO_INDEX,
                            .raw = allocation,
                            .state = well ? STATE_COMPLETED : STATE_FAILED,
                            .by = -1,
                            .has_exit = true,
                            .exit_code = end->exit_code >= 0 ? end->exit_code : 0,
                            .exit_signal = end->exit_code < 0 ? end->signal : 0};
    struct evidence evidence = {
        .job = &record,
        .memory_limit = step->memory,
        .log = log_read(buffer_text(&step->error), step->error.length, allocation, words, sizeof(words)),
        .log_words = words,
        .user = step->slurm->user};
    if (end->started == 0) {
        *verdict = (struct verdict){.flags = DESCPIPE_ENDED_NOT_STARTED};
        snprintf(verdict->reason, sizeof(verdict->reason), "%s",
                 end->message != NULL ? end->message : "cannot run srun");
    } else if (!ending_judge(&evidence, verdict)) {
        *verdict = (struct verdict){.flags = DESCPIPE_ENDED_LOST};
    }
    if (step->cancelled) {
        verdict->flags |= DESCPIPE_ENDED_CANCELLED;
    }
}

static void step_ended(void *context, const struct descpipe_process_end *end)
{
    struct step *step = context;
    struct slurm *self = step->slurm;
    struct steps *steps = &self->steps;
    struct verdict verdict;
    unlink_step(&steps->running, step);
    steps->used_cpus -= step->cpus;
    steps->used_memory -= step->memory;
    judge(step, end, &verdict);
    const struct descpipe_ending ending = {.size = sizeof(ending),
                                           .flags = verdict.flags,
                                           .exit_code = verdict.exit_code,
                                           .signal = verdict.signal,
                                           .started_at_ms = step->started_s * 1000,
                                           .finished_at_ms = (int64_t)time(NULL) * 1000,
                                           .witness = "srun",
                                           .reason = verdict.reason[0] != '\0' ? verdict.reason : NULL};
    report(step, DESCPIPE_JOB_ENDED, ending.reason, &ending);
    free_step(step);
    pump_soon(self);
}

static bool fits(const struct steps *steps, const struct step *step)
{
    return step->cpus <= steps->cpus - steps->used_cpus && step->memory <= steps->memory - steps->used_memory;
}

static void begin(struct step *step)
{
    struct slurm *self = step->slurm;
    struct steps *steps = &self->steps;
    unlink_step(&steps->waiting, step);
    step->next = steps->running;
    steps->running = step;
    steps->used_cpus += step->cpus;
    steps->used_memory += step->memory;
    step->started_s = (int64_t)time(NULL);
    struct descpipe_process_request request = {.size = sizeof(request),
                                               .argv = arguments_list(&step->arguments),
                                               .environment = arguments_list(&step->environment),
                                               .timeout_ms = UINT64_MAX,
                                               .output_limit = UINT64_MAX,
                                               .line = step_line,
                                               .ended = step_ended,
                                               .context = step};
    step->process = self->host->process->start(self->host, &request);
    report(step, DESCPIPE_JOB_RUNNING, NULL, NULL);
}

/* What fits begins, in order; small ones may pass a large one, but not for ever. */
static void pump(void *context)
{
    struct slurm *self = context;
    struct steps *steps = &self->steps;
    steps->timer = NULL;
    bool passed = false;
    for (struct step *step = steps->waiting, *next; step != NULL; step = next) {
        next = step->next;
        bool is_first = step == steps->waiting;
        if (fits(steps, step)) {
            steps->overtaken = is_first ? 0 : steps->overtaken + 1;
            begin(step);
        } else if (!passed) {
            report(step, DESCPIPE_JOB_QUEUED, "waits for cpus or memory of the allocation", NULL);
            passed = true;
        }
        if (steps->overtaken >= OVERTAKEN_LIMIT) {
            break;
        }
    }
}

static void pump_soon(struct slurm *self)
{
    if (self->steps.timer == NULL && self->steps.waiting != NULL) {
        self->steps.timer = self->host->timer->start(self->host, 0, pump, self);
    }
}

static void add_program(const struct slurm *self, struct arguments *arguments)
{
    const char *folder = slurm_text(self, "commands");
    arguments_format(arguments, "%s%ssrun", folder != NULL ? folder : "", folder != NULL ? "/" : "");
}

static void add_step_words(const struct slurm *self, const struct wishes *wishes, const struct descpipe_job *job,
                           struct arguments *arguments)
{
    const struct descpipe_resources *resources = job->resources;
    uint64_t mebibytes = (resources->memory_per_node + (1u << 20) - 1) >> 20;
    add_program(self, arguments);
    arguments_format(arguments, "--jobid=%s", self->steps.allocation);
    arguments_add(arguments, "--exact");
    arguments_add(arguments, "--nodes=1");
    arguments_add(arguments, "--ntasks=1");
    arguments_format(arguments, "--cpus-per-task=%" PRIu32,
                     resources->cpus_per_rank > 0 ? resources->cpus_per_rank : 1);
    /* 0: all that the allocation has, beside others; without a word a step would take it for itself. */
    arguments_format(arguments, "--mem=%" PRIu64 "M", mebibytes);
    if (resources->gpus_per_node > 0) {
        bool typed = wishes->gpu_type != NULL && wishes->gpu_type[0] != '\0';
        arguments_format(arguments, "--gres=gpu:%s%s%" PRIu32, typed ? wishes->gpu_type : "", typed ? ":" : "",
                         resources->gpus_per_node);
    } else {
        arguments_add(arguments, "--gres=none");
    }
    if (resources->time_limit_ms > 0) {
        arguments_format(arguments, "--time=%" PRIu64, (resources->time_limit_ms + 59999) / 60000);
    }
    arguments_add(arguments, "--mpi=none");
    arguments_add(arguments, "--quiet");
    arguments_add(arguments, "--input=none");
}

/* Variables that srun takes for its options, so that the launcher's share is this stage's and not the allocation's. */
static void add_share(const struct slurm *self, const struct descpipe_job *job, struct arguments *environment)
{
    const struct descpipe_resources *resources = job->resources;
    arguments_format(environment, "SLURM_JOB_ID=%s", self->steps.allocation);
    arguments_format(environment, "SLURM_NNODES=%" PRIu32, resources->nodes);
    arguments_format(environment, "SLURM_JOB_NUM_NODES=%" PRIu32, resources->nodes);
    arguments_format(environment, "SLURM_NTASKS=%" PRIu32, resources->nodes * resources->ranks_per_node);
    arguments_format(environment, "SLURM_NTASKS_PER_NODE=%" PRIu32, resources->ranks_per_node);
    arguments_format(environment, "SLURM_CPUS_PER_TASK=%" PRIu32, resources->cpus_per_rank);
    arguments_format(environment, "SLURM_MEM_PER_NODE=%" PRIu64, (resources->memory_per_node + (1u << 20) - 1) >> 20);
    arguments_add(environment, "SLURM_EXACT=1");
    if (resources->gpus_per_node > 0) {
        arguments_format(environment, "SLURM_GRES=gpu:%" PRIu32, resources->gpus_per_node);
    }
}

static struct step *make_step(struct slurm *self, const struct descpipe_submission *submission, uint32_t position)
{
    const struct descpipe_job *job = submission->jobs[position];
    const struct descpipe_resources *resources = job->resources;
    struct wishes wishes = {0};
    struct step *step = calloc(1, sizeof(*step));
    if (step == NULL) {
        return NULL;
    }
    slurm_wishes(self, job, &wishes);
    uint64_t ranks = (uint64_t)resources->nodes * resources->ranks_per_node;
    *step = (struct step){.slurm = self,
                          .job = job->job,
                          .attempt = job->attempt,
                          .cpus = ranks * resources->cpus_per_rank,
                          .memory = resources->memory_per_node * resources->nodes};
    for (size_t i = 0; i < self->tools.environment.count; i++) {
        arguments_add(&step->environment, self->tools.environment.items[i]);
    }
    if (ranks > 1) {
        add_share(self, job, &step->environment);
    } else {
        add_step_words(self, &wishes, job, &step->arguments);
    }
    arguments_add(&step->arguments, "/bin/sh");
    arguments_format(&step->arguments, "%s/" SCRIPT_NAME, submission->folder);
    arguments_format(&step->arguments, "%" PRIu32, position);
    if (step->arguments.failed || step->environment.failed) {
        free_step(step);
        return NULL;
    }
    return step;
}

static bool fits_allocation(const struct steps *steps, const struct descpipe_job *job, char *message, size_t size)
{
    const struct descpipe_resources *resources = job->resources;
    uint64_t cpus = (uint64_t)resources->nodes * resources->ranks_per_node * resources->cpus_per_rank;
    uint64_t memory = resources->memory_per_node * resources->nodes;
    if (job->signal != 0) {
        snprintf(message, size,
                 "stage '%s' has a checkpoint, and a step of an allocation (job %s) is not told before its limit: run it "
                 "outside, where it is a job of its own, or by scheduler 'local'",
                 job->stage, steps->allocation);
    } else if (resources->nodes > steps->nodes) {
        snprintf(message, size, "stage '%s' asks for %" PRIu32 " nodes; the allocation (job %s) has %" PRIu64,
                 job->stage, resources->nodes, steps->allocation, steps->nodes);
    } else if (cpus > steps->cpus) {
        snprintf(message, size, "stage '%s' asks for %" PRIu64 " cpus; the allocation (job %s) has %" PRIu64,
                 job->stage, cpus, steps->allocation, steps->cpus);
    } else if (memory > steps->memory) {
        snprintf(message, size,
                 "stage '%s' asks for %" PRIu64 " MiB of memory; the allocation (job %s) has %" PRIu64 " MiB",
                 job->stage, memory >> 20, steps->allocation, steps->memory >> 20);
    } else {
        return true;
    }
    return false;
}

static bool judge_all(struct slurm *self, const struct descpipe_submission *submission, char *message, size_t size)
{
    for (uint32_t i = 0; i < submission->count; i++) {
        if (!fits_allocation(&self->steps, submission->jobs[i], message, size)) {
            return false;
        }
    }
    const struct submitting files = {.slurm = self, .submission = submission};
    return command_write_files(&files, message, size);
}

void steps_submit(struct slurm *self, struct descpipe_call *call, const struct descpipe_submission *submission)
{
    char message[SLURM_MESSAGE] = "";
    struct step *made = NULL, **last = &made;
    if (submission->flags & DESCPIPE_SUBMISSION_DETACHED) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, "steps of an allocation end with descpipe",
                               "leave out --detach, or set the option `mode` of slurm to `jobs`");
        return;
    }
    if (!judge_all(self, submission, message, sizeof(message))) {
        self->host->call->fail(call, DESCPIPE_FAILED_REFUSED, message, NULL);
        return;
    }
    for (uint32_t i = 0; i < submission->count; i++) {
        *last = make_step(self, submission, i);
        if (*last == NULL) {
            free_steps(made);
            self->host->call->fail(call, DESCPIPE_FAILED_LATER, "not enough memory for the steps", NULL);
            return;
        }
        last = &(*last)->next;
    }
    struct step **end = &self->steps.waiting;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = made;
    for (const struct step *step = made; step != NULL; step = step->next) {
        char id[48];
        snprintf(id, sizeof(id), "%s.%" PRIu64, self->steps.allocation, step->job);
        self->host->answer->native_id(call, step->job, id);
    }
    self->host->call->succeed(call);
    pump_soon(self);
}

static struct step *find_step(struct step *step, uint64_t job)
{
    while (step != NULL && step->job != job) {
        step = step->next;
    }
    return step;
}

bool steps_has(const struct slurm *self, uint64_t job)
{
    return find_step(self->steps.running, job) != NULL || find_step(self->steps.waiting, job) != NULL;
}

void steps_cancel(struct slurm *self, struct descpipe_call *call, const uint64_t *jobs, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct step *step = find_step(self->steps.running, jobs[i]);
        if (step != NULL) {
            step->cancelled = true;
            self->host->process->stop(step->process);
            continue;
        }
        step = find_step(self->steps.waiting, jobs[i]);
        if (step != NULL) {
            const struct descpipe_ending ending = {.size = sizeof(ending),
                                                   .flags = DESCPIPE_ENDED_CANCELLED | DESCPIPE_ENDED_NOT_STARTED,
                                                   .witness = "descpipe",
                                                   .reason = "before it began"};
            unlink_step(&self->steps.waiting, step);
            report(step, DESCPIPE_JOB_ENDED, ending.reason, &ending);
            free_step(step);
        }
    }
    self->host->call->succeed(call);
    pump_soon(self);
}

const struct descpipe_pilot *steps_pilot(void *context)
{
    struct slurm *self = context;
    const struct steps *steps = &self->steps;
    const char *mode = slurm_text(self, "mode");
    if (mode == NULL || strcmp(mode, "pilot") != 0) {
        return NULL;
    }
    bool inside = steps->allocation[0] != '\0';
    struct descpipe_resources *resources = &self->pilot_resources;
    *resources = (struct descpipe_resources){.size = sizeof(*resources), .nodes = 1, .ranks_per_node = 1};
    if (inside) {
        resources->nodes = steps->nodes < UINT32_MAX ? (uint32_t)steps->nodes : UINT32_MAX;
        resources->cpus_per_rank = steps->cpus < UINT32_MAX ? (uint32_t)steps->cpus : 0;
        resources->memory_per_node = steps->nodes == 1 && steps->memory != UINT64_MAX ? steps->memory : 0;
    } else {
        resources->nodes = (uint32_t)self->host->config->integer(self->settings, "nodes");
        resources->cpus_per_rank = 1;
        resources->time_limit_ms = (uint64_t)self->host->config->integer(self->settings, "minutes") * 60000;
    }
    self->pilot = (struct descpipe_pilot){.size = sizeof(self->pilot), .inside = inside, .resources = resources};
    return &self->pilot;
}
