/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking for how jobs ended; accounts.h. */
#include "accounts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/answer.h"
#include "search.h"
#include "slurm.h"

enum {
    IDS_AT_A_TIME = 50,     /* of sacct: longer lists have broken it */
    MEMBERS_AT_A_TIME = 20, /* of one array: above that the whole array is asked for */
    ASKED_LIMIT = 2000,     /* jobs of one question */
    QUESTION_LIMIT_MS = 60000,
    RELEASED_DELAY_MS = 300, /* before that accounting has not heard of the end */
    USAGE_POLLS = 2,         /* so many times the queue is asked before what jobs used is */
    DAY_MS = 86400000
};

static void pump(void *context);

static void pump_after(struct slurm *self, int64_t delay_ms)
{
    struct accounts *accounts = &self->watch.accounts;
    if (accounts->timer != NULL) {
        self->host->timer->stop(accounts->timer);
    }
    accounts->timer = self->host->timer->start(self->host, delay_ms > 0 ? (uint64_t)delay_ms : 0, pump, self);
}

/* Does anything run or wait whose end the host does not know? */
static bool others_run(const struct slurm *self)
{
    size_t place = 0;
    const struct watched *watched = jobs_next(&self->jobs, &place, NULL);
    while (watched != NULL && watched->batch->released) {
        watched = jobs_next(&self->jobs, &place, watched);
    }
    return watched != NULL;
}

/* When it is asked what they used: many at once. */
static int64_t usage_due_ms(const struct slurm *self)
{
    return self->watch.accounts.usage_since_ms + USAGE_POLLS * self->watch.shortest_ms;
}

/* Not yet: only what it used is wanted, and others will be done soon. */
static bool is_put_off(const struct slurm *self, const struct watched *watched, bool others, int64_t now)
{
    bool is_usage = watched->batch->released || watched->search->last.state == STATE_COMPLETED;
    return is_usage && others && now < usage_due_ms(self);
}

/* At the time of the one that is due first. */
static void plan_next(struct slurm *self)
{
    int64_t first = INT64_MAX, now = slurm_now_ms();
    size_t place = 0;
    bool others = others_run(self);
    const struct watched *watched = jobs_next(&self->jobs, &place, NULL);
    for (; watched != NULL; watched = jobs_next(&self->jobs, &place, watched)) {
        int64_t at_ms = watched->search != NULL ? watched->search->at_ms : INT64_MAX;
        if (watched->search != NULL && is_put_off(self, watched, others, at_ms)) {
            at_ms = usage_due_ms(self);
        }
        first = at_ms < first ? at_ms : first;
    }
    if (first != INT64_MAX && self->watch.sink != NULL && self->watch.accounts.tool == NULL) {
        pump_after(self, first - now);
    }
}

void accounts_open(struct slurm *self)
{
    self->watch.accounts = (struct accounts){.fields = ACCOUNT_ALL};
}

void accounts_close(struct slurm *self)
{
    free(self->watch.accounts.asked);
    self->watch.accounts.asked = NULL;
}

void accounts_stop(struct slurm *self)
{
    struct accounts *accounts = &self->watch.accounts;
    self->host->timer->stop(accounts->timer);
    accounts->timer = NULL;
    tool_stop(accounts->tool);
}

void accounts_settle(struct slurm *self)
{
    struct accounts *accounts = &self->watch.accounts;
    int64_t now = slurm_now_ms();
    size_t place = 0;
    struct watched *watched = self->watch.sink != NULL ? jobs_next(&self->jobs, &place, NULL) : NULL;
    for (; watched != NULL; watched = jobs_next(&self->jobs, &place, watched)) {
        if (!watched->batch->released || watched->search != NULL) {
            continue;
        }
        watched->search = calloc(1, sizeof(*watched->search));
        if (watched->search == NULL) {
            return; /* squeue will show its end */
        }
        watched->search->at_ms = now + RELEASED_DELAY_MS;
        accounts->usage_since_ms = accounts->usage_since_ms != 0 ? accounts->usage_since_ms : now;
    }
    plan_next(self);
}

void accounts_search(struct slurm *self, struct watched *watched, const struct record *record)
{
    struct search *search = watched->search;
    if (search == NULL) {
        search = watched->search = calloc(1, sizeof(*search));
        if (search == NULL) {
            return; /* the next answer of squeue asks again */
        }
        search->at_ms = slurm_now_ms();
    }
    if (record != NULL) {
        search->last = *record;
    }
    if (search->last.state == STATE_COMPLETED && self->watch.accounts.usage_since_ms == 0) {
        self->watch.accounts.usage_since_ms = slurm_now_ms();
    }
    plan_next(self);
}

static void keep_row(struct slurm *self, const struct record *record)
{
    struct watched *watched = jobs_find_id(&self->jobs, record->array, record->index, "");
    struct search *search = watched != NULL ? watched->search : NULL;
    if (search == NULL || record->ranges[0] != '\0') {
        return;
    }
    if (record->part == PART_JOB) {
        search->life_is_latest = !search->found || record->submitted_s >= search->job.submitted_s;
        search->restarts += search->found;
        if (search->life_is_latest) {
            search->job = *record;
            search->batch = (struct record){0};
            search->peak_memory = 0;
            search->cpu_ms = record->cpu_ms;
        }
        search->restarts = record->restarts > search->restarts ? record->restarts : search->restarts;
        search->found = true;
        return;
    }
    if (!search->found || !search->life_is_latest) {
        return;
    }
    if (record->part == PART_BATCH) {
        search->batch = *record;
    }
    if (record->peak_memory > search->peak_memory) {
        search->peak_memory = record->peak_memory;
    }
}

static void read_rows(struct slurm *self, const struct buffer *output)
{
    const struct accounts *accounts = &self->watch.accounts;
    const char *line = buffer_text(output), *end = line + output->length;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline != NULL ? newline : end) - line);
        struct record record;
        bool read = accounts->asks_controller ? record_read_control(line, length, &record)
                                              : record_read_account(line, length, accounts->fields, &record);
        if (read) {
            keep_row(self, &record);
        }
        line += length + 1;
    }
}

/* For every job that the question was about and that is still watched. */
static void for_each_asked(struct slurm *self, void (*act)(struct slurm *self, struct watched *watched, void *context),
                           void *context)
{
    struct accounts *accounts = &self->watch.accounts;
    size_t count = accounts->asked_count;
    accounts->asked_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct watched *watched = jobs_find(&self->jobs, accounts->asked[i]);
        if (watched != NULL && watched->search != NULL) {
            act(self, watched, context);
        }
    }
}

static void act_decide(struct slurm *self, struct watched *watched, void *context)
{
    search_decide(self, watched, context);
}

static void act_again_at_once(struct slurm *self, struct watched *watched, void *context)
{
    (void)self, (void)context;
    watched->search->at_ms = slurm_now_ms();
}

static void act_unanswered(struct slurm *self, struct watched *watched, void *context)
{
    search_unanswered(self, watched, context);
}

/* A version without one of the columns says which; the rest is asked for again. */
static bool drop_field(struct accounts *accounts, const char *message)
{
    for (enum account_field field = ACCOUNT_JOB_ID + 1; field < ACCOUNT_NAME; field++) {
        if ((accounts->fields >> field & 1) != 0 && field != ACCOUNT_STATE &&
            answer_names_field(message, account_field_name(field))) {
            accounts->fields &= ~(1u << field);
            return true;
        }
    }
    return false;
}

static void answered_badly(struct slurm *self, const struct tool_answer *answer, struct log_file *log)
{
    struct accounts *accounts = &self->watch.accounts;
    struct answer said;
    answer_read(buffer_text(&answer->error), &said);
    if (accounts->asks_controller && said.kind == ANSWER_NO_JOB) {
        for_each_asked(self, act_decide, log);
    } else if (!accounts->asks_controller && (said.kind == ANSWER_DISABLED || answer->never_ran)) {
        accounts->state = ACCOUNTING_OFF;
        for_each_asked(self, act_decide, log);
    } else if (!accounts->asks_controller && said.kind == ANSWER_NO_FIELD && drop_field(accounts, said.message)) {
        for_each_asked(self, act_again_at_once, NULL);
    } else {
        snprintf(accounts->blind, sizeof(accounts->blind), "%s: %s", accounts->asks_controller ? "scontrol" : "sacct",
                 said.message);
        for_each_asked(self, act_unanswered, log);
    }
}

static void answered(void *context, const struct tool_answer *answer)
{
    struct slurm *self = context;
    struct accounts *accounts = &self->watch.accounts;
    struct log_file log = {0};
    accounts->tool = NULL;
    if (self->watch.sink == NULL || answer->stopped) {
        accounts->asked_count = 0;
        plan_next(self);
        return;
    }
    if (tool_went_well(answer)) {
        accounts->state = accounts->asks_controller ? accounts->state : ACCOUNTING_ON;
        accounts->blind[0] = '\0';
        read_rows(self, &answer->output);
        for_each_asked(self, act_decide, &log);
    } else {
        answered_badly(self, answer, &log);
    }
    buffer_clear(&log.text);
    watch_say_blind(self);
    plan_next(self);
}

/* One more job of the next question. */
static bool take(struct accounts *accounts, struct watched *watched)
{
    struct search *search = watched->search;
    if (accounts->asked == NULL) {
        accounts->asked = calloc(ASKED_LIMIT, sizeof(*accounts->asked));
    }
    if (accounts->asked == NULL || accounts->asked_count == ASKED_LIMIT) {
        return false;
    }
    accounts->asked[accounts->asked_count++] = watched->job;
    search->found = search->life_is_latest = false;
    search->restarts = search->cpu_ms = search->peak_memory = 0;
    search->batch = (struct record){0};
    return true;
}

struct array_asked {
    uint64_t array;
    unsigned members;
    struct buffer ids;
};

/* Due members, an entry for each array; true when there was room for it. */
static bool add_id(struct array_asked *arrays, size_t *count, const struct watched *watched)
{
    size_t i = 0;
    while (i < *count && arrays[i].array != watched->array) {
        i++;
    }
    if (i == *count) {
        if (*count == IDS_AT_A_TIME) {
            return false;
        }
        arrays[(*count)++] = (struct array_asked){.array = watched->array};
    }
    if (++arrays[i].members <= MEMBERS_AT_A_TIME) {
        buffer_format(&arrays[i].ids, "%s%" PRIu64, arrays[i].ids.length > 0 ? "," : "", watched->array);
        if (watched->index != RECORD_NO_INDEX) {
            buffer_format(&arrays[i].ids, "_%" PRId64, watched->index);
        }
    }
    return true;
}

static void write_ids(struct array_asked *arrays, size_t count, struct buffer *ids)
{
    for (size_t i = 0; i < count; i++) {
        buffer_add_text(ids, i > 0 ? "," : "");
        if (arrays[i].members > MEMBERS_AT_A_TIME) {
            buffer_format(ids, "%" PRIu64, arrays[i].array);
        } else {
            buffer_add_text(ids, buffer_text(&arrays[i].ids));
        }
        buffer_clear(&arrays[i].ids);
    }
}

static void start(struct slurm *self, struct tool_request *request)
{
    struct accounts *accounts = &self->watch.accounts;
    request->kind = TOOL_QUESTION;
    request->timeout_ms = QUESTION_LIMIT_MS;
    request->done = answered;
    request->context = self;
    accounts->tool = tool_start(&self->tools, request);
    if (accounts->tool == NULL) {
        accounts->asked_count = 0;
    }
}

static void ask_accounting(struct slurm *self, const char *ids, int64_t oldest_ms)
{
    struct accounts *accounts = &self->watch.accounts;
    struct tool_request request = {.cost = 0}; /* slurmdbd's, not the controller's */
    struct buffer format = {0};
    for (enum account_field field = 0; field < ACCOUNT_FIELDS; field++) {
        if (accounts->fields >> field & 1) {
            buffer_format(&format, "%s%s", format.length > 0 ? "," : "", account_field_name(field));
        }
    }
    arguments_add(&request.arguments, "sacct");
    arguments_add(&request.arguments, "--noheader");
    arguments_add(&request.arguments, "--parsable2");
    arguments_add(&request.arguments, "--duplicates");
    /* Without it some versions look no further back than midnight. */
    arguments_format(&request.arguments, "--starttime=now-%" PRId64 "days", (slurm_now_ms() - oldest_ms) / DAY_MS + 2);
    slurm_add_clusters(self, &request.arguments);
    arguments_format(&request.arguments, "--format=%s", buffer_text(&format));
    arguments_format(&request.arguments, "--jobs=%s", ids);
    buffer_clear(&format);
    accounts->asks_controller = false;
    start(self, &request);
}

/* All due members of one array: scontrol takes one id. */
static void ask_controller(struct slurm *self, const struct watched *first)
{
    struct accounts *accounts = &self->watch.accounts;
    struct tool_request request = {.cost = 1};
    int64_t now = slurm_now_ms();
    size_t place = 0;
    accounts->asked_count = 0;
    struct watched *watched = jobs_next(&self->jobs, &place, NULL);
    for (; watched != NULL; watched = jobs_next(&self->jobs, &place, watched)) {
        if (watched->search != NULL && watched->search->controller_turn && watched->search->at_ms <= now &&
            watched->array == first->array && strcmp(watched->cluster, first->cluster) == 0) {
            take(accounts, watched);
        }
    }
    arguments_add(&request.arguments, "scontrol");
    arguments_add(&request.arguments, "--oneliner");
    if (first->cluster[0] != '\0') {
        arguments_format(&request.arguments, "--clusters=%s", first->cluster);
    }
    arguments_add(&request.arguments, "show");
    arguments_add(&request.arguments, "job");
    arguments_format(&request.arguments, "%" PRIu64, first->array);
    accounts->asks_controller = true;
    start(self, &request);
}

static void pump(void *context)
{
    struct slurm *self = context;
    struct accounts *accounts = &self->watch.accounts;
    struct array_asked arrays[IDS_AT_A_TIME];
    const struct watched *controllers = NULL;
    struct watched *forgotten = NULL;
    size_t count = 0, place = 0;
    int64_t now = slurm_now_ms(), oldest = now;
    accounts->timer = NULL;
    if (self->watch.sink == NULL || accounts->tool != NULL) {
        return;
    }
    bool others = others_run(self);
    accounts->asked_count = 0;
    struct watched *watched = jobs_next(&self->jobs, &place, NULL);
    for (; watched != NULL; watched = jobs_next(&self->jobs, &place, watched)) {
        if (watched->search == NULL || watched->search->at_ms > now || is_put_off(self, watched, others, now)) {
            continue;
        }
        if (accounts->state == ACCOUNTING_OFF && watched->batch->released) {
            forgotten = watched; /* nobody will say what it used */
        } else if (watched->search->controller_turn || accounts->state == ACCOUNTING_OFF) {
            watched->search->controller_turn = true;
            controllers = watched;
        } else if (add_id(arrays, &count, watched) && take(accounts, watched)) {
            oldest = watched->submitted_ms < oldest ? watched->submitted_ms : oldest;
        }
    }
    if (count > 0) {
        struct buffer ids = {0};
        accounts->usage_since_ms = 0;
        write_ids(arrays, count, &ids);
        ask_accounting(self, buffer_text(&ids), oldest);
        buffer_clear(&ids);
    } else if (controllers != NULL) {
        ask_controller(self, controllers);
    }
    if (forgotten != NULL) {
        const struct descpipe_ending nothing = {.size = sizeof(nothing), .flags = DESCPIPE_ENDED_LOST};
        watch_ended(self, forgotten, &nothing); /* the others in the next turn */
    }
    if (accounts->tool == NULL && (count > 0 || controllers != NULL)) {
        pump_after(self, SEARCH_LONGEST_DELAY_MS); /* no memory */
    } else if (accounts->tool == NULL) {
        plan_next(self);
    }
}
