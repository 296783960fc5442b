/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of sbatch, and jobs that can share them; request.h. */
#include "parts/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MILLISECONDS_OF_MINUTE = 60000 };

static bool said(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static uint64_t mebibytes(uint64_t bytes)
{
    return (bytes >> 20) + ((bytes & ((1u << 20) - 1)) != 0);
}

static uint64_t minutes_of(const struct descpipe_resources *resources)
{
    return resources->time_limit_ms / MILLISECONDS_OF_MINUTE + (resources->time_limit_ms % MILLISECONDS_OF_MINUTE != 0);
}

static void add_gpus(struct arguments *arguments, const struct wishes *wishes, uint32_t gpus)
{
    const char *type = said(wishes->gpu_type) ? wishes->gpu_type : "";
    const char *colon = type[0] != '\0' ? ":" : "";
    if (gpus == 0) {
        return;
    }
    if (said(wishes->gpu_request) && strcmp(wishes->gpu_request, "gpus-per-node") == 0) {
        arguments_format(arguments, "--gpus-per-node=%s%s%" PRIu32, type, colon, gpus);
    } else {
        arguments_format(arguments, "--gres=gpu:%s%s%" PRIu32, type, colon, gpus);
    }
}

static void add_word(struct arguments *arguments, const char *option, const char *value)
{
    if (said(value)) {
        arguments_format(arguments, "--%s=%s", option, value);
    }
}

static void add_directives(struct arguments *arguments, const struct descpipe_form *form)
{
    static const char ours[] = "slurm:";
    const char *const *directives = form != NULL ? form->directives : NULL;
    for (; directives != NULL && *directives != NULL; directives++) {
        if (strncmp(*directives, ours, sizeof(ours) - 1) == 0) {
            arguments_add(arguments, *directives + sizeof(ours) - 1);
        }
    }
}

void request_add(struct arguments *arguments, const struct wishes *wishes, const struct descpipe_job *job)
{
    const struct descpipe_resources *resources = job->resources;
    arguments_format(arguments, "--nodes=%" PRIu32, resources->nodes > 0 ? resources->nodes : 1);
    arguments_format(arguments, "--ntasks-per-node=%" PRIu32,
                     resources->ranks_per_node > 0 ? resources->ranks_per_node : 1);
    arguments_format(arguments, "--cpus-per-task=%" PRIu32,
                     resources->cpus_per_rank > 0 ? resources->cpus_per_rank : 1);
    if (resources->memory_per_node > 0) {
        arguments_format(arguments, "--mem=%" PRIu64 "M", mebibytes(resources->memory_per_node));
    }
    if (resources->scratch > 0) {
        arguments_format(arguments, "--tmp=%" PRIu64 "M", mebibytes(resources->scratch));
    }
    if (resources->time_limit_ms > 0) {
        arguments_format(arguments, "--time=%" PRIu64, minutes_of(resources));
    }
    if (job->signal != 0) { /* of a batch job, its script alone; without B: all but it */
        arguments_format(arguments, "--signal=B:%" PRIu32 "@%" PRIu64, job->signal,
                         job->signal_before_ms / 1000 + (job->signal_before_ms % 1000 != 0));
    }
    add_gpus(arguments, wishes, resources->gpus_per_node);
    add_word(arguments, "account", wishes->account);
    add_word(arguments, "partition", wishes->partition);
    add_word(arguments, "qos", wishes->qos);
    add_word(arguments, "constraint", wishes->constraint);
    add_word(arguments, "reservation", wishes->reservation);
    add_word(arguments, "licenses", wishes->licenses);
    add_directives(arguments, job->form);
    for (const char *const *extra = wishes->extra; extra != NULL && *extra != NULL; extra++) {
        arguments_add(arguments, *extra);
    }
}

/* What we say ourselves; the second text tells what to say instead. */
static const struct {
    const char *option, *instead;
} ours[] = {
    {"--account", "the option `account`"},
    {"--array", "`foreach` or `size` of the stage"},
    {"--chdir", "nothing: descpipe chooses it"},
    {"--clusters", "the option `clusters`"},
    {"--constraint", "the option `constraint`"},
    {"--cpus-per-task", "the stage's `cpus`"},
    {"--dependency", "`depends-on` of the stage"},
    {"--error", "nothing: `descpipe logs` shows it"},
    {"--export", "the stage's `env`"},
    {"--export-file", "the stage's `env`"},
    {"--get-user-env", "the stage's `env`"},
    {"--job-name", "nothing: descpipe finds its jobs by it"},
    {"--licenses", "the option `licenses`"},
    {"--mem", "the stage's `memory`"},
    {"--nodes", "the stage's `nodes`"},
    {"--ntasks-per-node", "the stage's `ppn`"},
    {"--open-mode", "nothing: descpipe chooses it"},
    {"--output", "nothing: `descpipe logs` shows it"},
    {"--parsable", "nothing: descpipe says it"},
    {"--partition", "the option `partition`"},
    {"--qos", "the option `qos`"},
    {"--requeue", "the stage's `retries`"},
    {"--no-requeue", "the stage's `retries`"},
    {"--reservation", "the option `reservation`"},
    {"--test-only", "`descpipe check --site`"},
    {"--time", "the stage's `minutes`"},
    {"--wait", "nothing: descpipe watches"},
    {"--wrap", "the stage's `command`"},
};

bool request_allows_extra(const char *const *extra, char message[REQUEST_MESSAGE])
{
    for (; extra != NULL && *extra != NULL; extra++) {
        size_t length = strcspn(*extra, "=");
        if (strncmp(*extra, "--", 2) != 0 || length <= 2) {
            snprintf(
                message, REQUEST_MESSAGE,
                "option 'extra' of slurm holds '%s'; it takes long options with their value, as in '--mail-type=END'",
                *extra);
            return false;
        }
        for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
            if (strlen(ours[i].option) == length && memcmp(ours[i].option, *extra, length) == 0) {
                snprintf(message, REQUEST_MESSAGE, "option 'extra' of slurm holds '%s'; say it by %s", *extra,
                         ours[i].instead);
                return false;
            }
        }
    }
    return true;
}

/* The one partition it goes to; NULL: several are named, or it is not known. */
static const struct partition *partition_of(const struct limits *limits, const struct wishes *wishes)
{
    bool named = said(wishes->partition);
    return named && strchr(wishes->partition, ',') != NULL ? NULL
                                                           : limits_partition(limits, named ? wishes->partition : NULL);
}

static void allowance_of(const struct limits *limits, const struct wishes *wishes, struct allowance *allowance)
{
    const struct partition *partition = partition_of(limits, wishes);
    policy_allow(&limits->policy, wishes->account, wishes->qos, partition != NULL ? partition->name : NULL,
                 partition != NULL ? partition->qos : NULL, allowance);
    if (!limits->enforces_limits) {
        allowance->jobs = allowance->minutes = POLICY_NONE;
    }
}

uint64_t request_jobs_allowed(const struct limits *limits, const struct wishes *wishes)
{
    struct allowance allowance;
    allowance_of(limits, wishes, &allowance);
    return allowance.jobs;
}

/* Against what accounting allows the user. */
static bool fits_policy(const struct limits *limits, const struct wishes *wishes, const struct descpipe_job *job,
                        char message[REQUEST_MESSAGE])
{
    struct allowance allowance;
    uint64_t minutes = minutes_of(job->resources);
    if (limits->enforces_associations && policy_lacks_account(&limits->policy, wishes->account)) {
        char accounts[256];
        policy_write_accounts(&limits->policy, accounts, sizeof(accounts));
        snprintf(message, REQUEST_MESSAGE, "stage '%s' asks for account '%s', which you may not use; yours: %s",
                 job->stage, wishes->account, accounts);
        return false;
    }
    if (limits->enforces_qos && policy_lacks_qos(&limits->policy, wishes->account, wishes->qos)) {
        snprintf(message, REQUEST_MESSAGE,
                 "stage '%s' asks for qos '%s', which your account may not use; it has: %.200s", job->stage,
                 wishes->qos, policy_qualities(&limits->policy, wishes->account));
        return false;
    }
    allowance_of(limits, wishes, &allowance);
    if (allowance.jobs == 0) {
        snprintf(message, REQUEST_MESSAGE, "stage '%s' cannot be submitted: %s lets you have no job in the queue",
                 job->stage, allowance.jobs_by);
        return false;
    }
    if (job->resources->time_limit_ms > 0 && minutes > allowance.minutes) {
        snprintf(message, REQUEST_MESSAGE, "stage '%s' asks for %" PRIu64 " minutes; %s gives at most %" PRIu64,
                 job->stage, minutes, allowance.minutes_by, allowance.minutes);
        return false;
    }
    return true;
}

static bool fits_partition(const struct partition *partition, const struct descpipe_job *job,
                           char message[REQUEST_MESSAGE])
{
    const struct descpipe_resources *resources = job->resources;
    if (resources->time_limit_ms > 0 && minutes_of(resources) > partition->minutes) {
        snprintf(message, REQUEST_MESSAGE,
                 "stage '%s' asks for %" PRIu64 " minutes; partition '%s' gives at most %" PRIu64, job->stage,
                 minutes_of(resources), partition->name, partition->minutes);
        return false;
    }
    uint64_t nodes = partition->nodes < partition->total_nodes ? partition->nodes : partition->total_nodes;
    if (resources->nodes > nodes) {
        snprintf(message, REQUEST_MESSAGE,
                 "stage '%s' asks for %" PRIu32 " nodes; partition '%s' gives at most %" PRIu64, job->stage,
                 resources->nodes, partition->name, nodes);
        return false;
    }
    if (resources->memory_per_node > partition->memory_per_node) {
        snprintf(message, REQUEST_MESSAGE,
                 "stage '%s' asks for %" PRIu64 " MiB of memory; partition '%s' gives at most %" PRIu64 " MiB a node",
                 job->stage, mebibytes(resources->memory_per_node), partition->name, partition->memory_per_node >> 20);
        return false;
    }
    return true;
}

bool request_fits(const struct limits *limits, const struct wishes *wishes, const struct descpipe_job *job,
                  char message[REQUEST_MESSAGE])
{
    const struct partition *partition = partition_of(limits, wishes);
    bool several = said(wishes->partition) && strchr(wishes->partition, ',') != NULL;
    if (partition == NULL && said(wishes->partition) && !several && limits->partitions_count > 0 &&
        limits->partitions_count < LIMITS_PARTITIONS) {
        snprintf(message, REQUEST_MESSAGE, "stage '%s' asks for partition '%s', which this SLURM does not have",
                 job->stage, wishes->partition);
        return false;
    }
    return (partition == NULL || fits_partition(partition, job, message)) && fits_policy(limits, wishes, job, message);
}

/* The array of an earlier submission of which this edge names the member at `position`, and the job no other member;
 * else 0. */
static uint64_t find_twin(const struct request_source *source, const struct descpipe_job *job,
                          const struct descpipe_edge *edge, uint32_t position)
{
    uint64_t array, other_array;
    int64_t index, other_index;
    if (source->locate == NULL || edge->condition != DESCPIPE_AFTER_OK ||
        !source->locate(source->context, edge->job, &array, &index) || index != (int64_t)position) {
        return 0;
    }
    for (const struct descpipe_edge *const *other = job->after; *other != NULL; other++) {
        if (*other != edge && source->locate(source->context, (*other)->job, &other_array, &other_index) &&
            other_array == array) {
            return 0;
        }
    }
    return array;
}

/* What the job at `position` waits for, in the order of its edges, and its level: above every job of this submission
 * that it waits for. */
static uint32_t read_after(const struct descpipe_submission *submission, const struct request_source *source,
                           const uint32_t *levels, uint32_t position, struct buffer *after)
{
    uint32_t level = 0;
    const struct descpipe_job *job = submission->jobs[position];
    for (const struct descpipe_edge *const *edge = job->after; edge != NULL && *edge != NULL; edge++) {
        const char *blank = after->length > 0 ? " " : "";
        uint64_t twin = find_twin(source, job, *edge, position);
        if (twin != 0) {
            buffer_format(after, "%scorr:%" PRIu64, blank, twin);
            continue;
        }
        buffer_format(after, "%s%s:%" PRIu64, blank, (*edge)->condition == DESCPIPE_AFTER_END ? "end" : "ok",
                      (*edge)->job);
        for (uint32_t i = 0; i < submission->count; i++) {
            if (submission->jobs[i]->job == (*edge)->job && levels[i] + 1 > level) {
                level = levels[i] + 1;
            }
        }
    }
    return level;
}

static bool equal_options(const struct arguments *one, const struct arguments *other)
{
    if (one->count != other->count) {
        return false;
    }
    for (size_t i = 0; i < one->count; i++) {
        if (strcmp(one->items[i], other->items[i]) != 0) {
            return false;
        }
    }
    return true;
}

struct candidate {
    struct arguments options;
    struct buffer after;
    uint32_t level, limit;
    const char *group; /* with a limit: whose members it counts */
};

static struct request_group *find_group(struct request_groups *groups, const struct descpipe_submission *submission,
                                        const struct candidate *candidate, uint64_t size)
{
    /* From the end: the last one made is the one that still has room. */
    for (size_t i = groups->count; i > 0; i--) {
        struct request_group *group = &groups->items[i - 1];
        if (group->level != candidate->level || group->limit != candidate->limit || group->count >= size ||
            strcmp(group->after, buffer_text(&candidate->after)) != 0 ||
            !equal_options(&group->options, &candidate->options)) {
            continue;
        }
        const char *name = submission->jobs[group->positions[0]]->group;
        if (candidate->limit == 0 ||
            (name != NULL && candidate->group != NULL && strcmp(name, candidate->group) == 0)) {
            return group;
        }
    }
    return NULL;
}

static struct request_group *add_group(struct request_groups *groups, const struct descpipe_submission *submission,
                                       struct candidate *candidate)
{
    struct request_group *items = realloc(groups->items, (groups->count + 1) * sizeof(*items));
    if (items == NULL) {
        return NULL;
    }
    groups->items = items;
    struct request_group *group = &items[groups->count];
    *group = (struct request_group){.level = candidate->level, .limit = candidate->limit};
    group->positions = calloc(submission->count, sizeof(*group->positions));
    group->after = strdup(buffer_text(&candidate->after));
    if (group->positions == NULL || group->after == NULL) {
        free(group->positions);
        free(group->after);
        return NULL;
    }
    group->options = candidate->options;
    candidate->options = (struct arguments){0};
    groups->count++;
    return group;
}

static int compare_levels(const void *one, const void *other)
{
    const struct request_group *first = one, *second = other;
    if (first->level != second->level) {
        return first->level < second->level ? -1 : 1;
    }
    return first->positions[0] < second->positions[0] ? -1 : 1;
}

static bool place(const struct descpipe_submission *submission, uint32_t position, uint64_t size,
                  struct candidate *candidate, struct request_groups *groups)
{
    struct request_group *group =
        candidate->options.failed || candidate->after.failed ? NULL : find_group(groups, submission, candidate, size);
    if (group == NULL && !candidate->options.failed && !candidate->after.failed) {
        group = add_group(groups, submission, candidate);
    }
    if (group != NULL) {
        group->positions[group->count++] = position;
    }
    arguments_clear(&candidate->options);
    buffer_clear(&candidate->after);
    return group != NULL;
}

bool request_group(const struct descpipe_submission *submission, uint64_t size, const struct request_source *source,
                   struct request_groups *groups, char message[REQUEST_MESSAGE])
{
    uint32_t *levels = calloc((size_t)submission->count + 1, sizeof(*levels));
    bool done = levels != NULL;
    *groups = (struct request_groups){0};
    snprintf(message, REQUEST_MESSAGE, "not enough memory for the submission");
    for (uint32_t i = 0; done && i < submission->count; i++) {
        const struct descpipe_job *job = submission->jobs[i];
        struct wishes wishes = {0};
        source->wishes(source->context, job, &wishes);
        if (!request_allows_extra(wishes.extra, message)) {
            done = false;
            break;
        }
        struct candidate candidate = {.limit = job->members_limit, .group = job->group};
        candidate.level = levels[i] = read_after(submission, source, levels, i, &candidate.after);
        request_add(&candidate.options, &wishes, job);
        done = place(submission, i, size, &candidate, groups);
    }
    free(levels);
    if (!done) {
        request_groups_clear(groups);
    } else if (groups->count > 1) {
        qsort(groups->items, groups->count, sizeof(*groups->items), compare_levels);
    }
    return done;
}

void request_groups_clear(struct request_groups *groups)
{
    for (size_t i = 0; i < groups->count; i++) {
        arguments_clear(&groups->items[i].options);
        free(groups->items[i].positions);
        free(groups->items[i].after);
    }
    free(groups->items);
    *groups = (struct request_groups){0};
}

void request_add_indices(struct buffer *text, const struct request_group *group)
{
    for (uint32_t i = 0; i < group->count;) {
        uint32_t last = i;
        while (last + 1 < group->count && group->positions[last + 1] == group->positions[last] + 1) {
            last++;
        }
        buffer_format(text, "%s%" PRIu32, i > 0 ? "," : "", group->positions[i]);
        if (last > i) {
            buffer_format(text, "-%" PRIu32, group->positions[last]);
        }
        i = last + 1;
    }
    if (group->limit > 0) {
        buffer_format(text, "%%%" PRIu32, group->limit);
    }
}
