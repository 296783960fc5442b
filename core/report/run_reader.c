/* SPDX-License-Identifier: BSD-3-Clause */
/* Applies plan.json and the journal's records to the table of tasks. Unknown kinds and members are passed over. */
#include "report/run_reader.h"

#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/members.h"
#include "base/path.h"
#include "base/text.h"
#include "report/plan_file.h"

enum { MEMBERS_LIMIT = 1000000 };

static bool state_from_name(const char *name, enum task_state *state)
{
    for (unsigned i = 0; i < TASK_STATES; i++)
        if (text_equal(name, task_state_name((enum task_state)i))) {
            *state = (enum task_state)i;
            return true;
        }
    return false;
}

/* The table. */

static symbol intern(struct run_reader *reader, const char *text)
{
    return text != NULL ? symbol_intern(reader->view.symbols, text, strlen(text)) : 0;
}

static uint32_t stage_number(struct run_reader *reader, symbol name)
{
    uint32_t number = number_index_get(&reader->stages, name);
    if (number != UINT32_MAX)
        return number;
    number = (uint32_t)reader->view.stages.count;
    struct stage_view stage = {.name = name, .first = TASK_NONE, .last = TASK_NONE};
    list_add(&reader->view.stages, stage);
    number_index_put(&reader->stages, name, number);
    return number;
}

static uint32_t add_task(struct run_reader *reader, symbol stage_name, symbol member)
{
    uint32_t number = stage_number(reader, stage_name);
    uint32_t task = (uint32_t)reader->view.tasks.count;
    struct task_view item = {
        .stage = stage_name, .member = member, .stage_number = number, .next = TASK_NONE, .exit_code = -1};
    list_add(&reader->view.tasks, item);
    struct stage_view *stage = &reader->view.stages.items[number];
    if (stage->first == TASK_NONE)
        stage->first = task;
    else
        reader->view.tasks.items[stage->last].next = task;
    stage->last = task;
    stage->tasks++;
    stage->counts[TASK_PLANNED]++;
    stage->has_members = stage->has_members || member != 0;
    reader->view.counts[TASK_PLANNED]++;
    number_index_put(&reader->tasks, run_reader_task_key(stage_name, member), task);
    return task;
}

/* The task a record names; one that the plan did not know is added, so that a run folder without plan.json can be read.
 */
static uint32_t named_task(struct run_reader *reader, const struct members *record)
{
    const char *stage = members_text(record, "stage");
    if (stage == NULL || stage[0] == '\0')
        return TASK_NONE;
    symbol stage_name = intern(reader, stage);
    symbol member = intern(reader, members_text(record, "member"));
    uint32_t task = number_index_get(&reader->tasks, run_reader_task_key(stage_name, member));
    return task != UINT32_MAX ? task : add_task(reader, stage_name, member);
}

void run_reader_set_state(struct run_reader *reader, uint32_t task, enum task_state state)
{
    struct task_view *item = &reader->view.tasks.items[task];
    struct stage_view *stage = &reader->view.stages.items[item->stage_number];
    stage->counts[item->state]--;
    reader->view.counts[item->state]--;
    item->state = (uint8_t)state;
    stage->counts[state]++;
    reader->view.counts[state]++;
}

/* plan.json */

static void add_planned(struct run_reader *reader, symbol stage, symbol member)
{
    if (number_index_get(&reader->tasks, run_reader_task_key(stage, member)) == UINT32_MAX)
        add_task(reader, stage, member);
}

static size_t add_members(struct run_reader *reader, symbol stage, const struct members *planned)
{
    json_t *names = members_json(planned, "members");
    size_t count = json_array_size(names);
    for (size_t i = 0; i < count && i < MEMBERS_LIMIT; i++)
        add_planned(reader, stage, intern(reader, json_string_value(json_array_get(names, i))));
    json_decref(names);
    return count;
}

static bool is_selected(const struct members *planned)
{
    const char *said;
    size_t length;
    return !members_raw(planned, "selected", &said, &length) || length != 5 || memcmp(said, "false", 5) != 0;
}

static void plan_stage_read(void *context, const struct members *planned)
{
    struct run_reader *reader = context;
    struct members resources;
    const char *name = members_text(planned, "name");
    if (name == NULL || !is_selected(planned))
        return;
    symbol stage = intern(reader, name);
    uint32_t number = stage_number(reader, stage);
    int64_t minutes = members_object(planned, "resources", &resources) ? members_number(&resources, "minutes") : 0;
    if (minutes > 0 && minutes < UINT32_MAX)
        reader->view.stages.items[number].minutes = (uint32_t)minutes;
    if (add_members(reader, stage, planned) == 0)
        add_planned(reader, stage, 0);
}

static void plan_member_read(void *context, const char *name, const json_t *value)
{
    struct run_reader *reader = context;
    if (strcmp(name, "pipeline") == 0 && json_is_string(value) && reader->view.name == NULL)
        reader->view.name = memory_copy_text(json_string_value(value));
}

void run_reader_plan(struct run_reader *reader)
{
    cleanup(memory_free) char *path = path_join(reader->view.folder, "plan.json");
    if (!file_exists(path))
        return;
    struct plan_file_reader plan = {.member = plan_member_read, .stage = plan_stage_read, .context = reader};
    /* A plan that is still being written is read again with the next records; tasks that are known stay. */
    reader->view.planned = plan_file_read(path, &plan, NULL);
}

/* Records. Each function applies one kind and says in reader->change what happened (event 0: nothing to tell). */

static void keep_text(char **place, const struct members *record, const char *member)
{
    const char *value = members_text(record, member);
    if (value == NULL)
        return;
    memory_free(*place);
    *place = memory_copy_text(value);
}

/* Times come in milliseconds; what does not say one happened when it was written. */
static int64_t time_member(const struct members *record, const char *member, int64_t otherwise)
{
    int64_t value = members_number(record, member);
    return value > 0 ? value : otherwise;
}

static void apply_writer(struct run_reader *reader, const struct members *record)
{
    struct run_view *view = &reader->view;
    keep_text(&view->host, record, "host");
    keep_text(&view->boot, record, "boot");
    keep_text(&view->pids, record, "pids");
    keep_text(&view->version, record, "version");
    if (view->records > 0)
        reader->change.event = RUN_EVENT_RESUMED;
    if (view->end_state != NULL) { /* a resumed run goes on */
        memory_free(steal(&view->end_state));
        view->finished_at_ms = 0;
    }
    view->cancel_requested = view->detached = false;
    memory_free(steal(&view->left_for));
}

static void apply_run(struct run_reader *reader, const struct members *record)
{
    struct run_view *view = &reader->view;
    keep_text(&view->run, record, "run");
    keep_text(&view->pipeline, record, "pipeline");
    keep_text(&view->name, record, "name");
    keep_text(&view->user, record, "user");
    int64_t user;
    if (members_integer(record, "user", &user)) {
        memory_free(view->user);
        view->user = memory_format("%lld", (long long)user);
    }
    keep_text(&view->output, record, "output");
    keep_text(&view->output, record, "results");
    keep_text(&view->host, record, "host");
    struct members backend;
    if (members_object(record, "backend", &backend))
        keep_text(&view->backend, &backend, "name");
    else
        keep_text(&view->backend, record, "backend");
    int64_t tasks = members_number(record, "tasks");
    if (tasks > 0 && tasks < UINT32_MAX)
        view->announced_tasks = (uint32_t)tasks;
    if (view->started_at_ms == 0) {
        view->started_at_ms = reader->change.at_ms;
        reader->change.event = RUN_EVENT_STARTED;
    }
    if (!view->planned)
        run_reader_plan(reader);
}

void run_reader_tell(struct run_reader *reader)
{
    if (reader->changed != NULL && reader->change.event != 0)
        reader->changed(reader->context, &reader->view, &reader->change);
}

static void apply_intent(struct run_reader *reader, const struct members *record)
{
    struct members job;
    for (struct elements jobs = members_elements(record, "jobs"); elements_next(&jobs, &job);) {
        int64_t number = members_number(&job, "job");
        uint32_t task = named_task(reader, &job);
        if (task == TASK_NONE || number <= 0)
            continue;
        number_index_put(&reader->jobs, (uint64_t)number, task);
        struct task_view *item = &reader->view.tasks.items[task];
        item->job = (uint64_t)number;
        int64_t attempt = members_number(&job, "attempt");
        item->attempt = attempt > 0 && attempt < UINT32_MAX ? (uint32_t)attempt : item->attempt + 1;
        item->started_at_ms = item->finished_at_ms = item->submitted_at_ms = 0;
        item->verdict = item->reason = item->native = item->host = 0;
        item->judged = false;
        item->exit_code = -1;
        item->signal = 0;
        item->cpu_ms = 0;
        item->peak_memory = item->session_start = 0;
        item->session = 0;
        memory_free(steal(&item->evidence));
        run_reader_set_state(reader, task, TASK_READY);
    }
}

static uint32_t job_task(struct run_reader *reader, const struct members *record)
{
    int64_t job = members_number(record, "job");
    return job > 0 ? number_index_get(&reader->jobs, (uint64_t)job) : TASK_NONE;
}

/* A word about an older attempt must not touch the task's newer one. */
static struct task_view *current_attempt(struct run_reader *reader, const struct members *record)
{
    uint32_t task = job_task(reader, record);
    if (task == TASK_NONE)
        return NULL;
    struct task_view *item = &reader->view.tasks.items[task];
    if (item->job != (uint64_t)members_number(record, "job") || task_state_is_end(item->state))
        return NULL;
    reader->change.task = task;
    return item;
}

static void apply_submitted(struct run_reader *reader, const struct members *record)
{
    struct task_view *item = current_attempt(reader, record);
    if (item == NULL)
        return;
    if (item->state < TASK_SUBMITTED)
        run_reader_set_state(reader, reader->change.task, TASK_SUBMITTED);
    item->native = intern(reader, members_text(record, "native"));
    item->submitted_at_ms = reader->change.at_ms;
    reader->change.event = RUN_EVENT_SUBMITTED;
}

static void apply_queued(struct run_reader *reader, const struct members *record)
{
    struct task_view *item = current_attempt(reader, record);
    if (item == NULL)
        return;
    item->reason = intern(reader, members_text(record, "reason"));
    run_reader_set_state(reader, reader->change.task, TASK_QUEUED);
    reader->change.event = RUN_EVENT_TASK_STATE;
}

static void apply_started(struct run_reader *reader, const struct members *record)
{
    struct task_view *item = current_attempt(reader, record);
    if (item == NULL)
        return;
    const char *native = members_text(record, "native");
    const char *host = members_text(record, "host");
    if (native != NULL)
        item->native = intern(reader, native);
    if (host == NULL && item->host == 0) /* a stage of ours on the run's own machine */
        host = reader->view.host;
    if (host != NULL)
        item->host = intern(reader, host);
    int64_t session = members_number(record, "pid");
    int64_t session_start = members_number(record, "session_start");
    if (session > 0 && session <= INT32_MAX && session_start > 0) {
        item->session = (int32_t)session;
        item->session_start = (uint64_t)session_start;
    }
    item->started_at_ms = time_member(record, "started_at", reader->change.at_ms);
    run_reader_set_state(reader, reader->change.task, TASK_RUNNING);
    reader->change.event = RUN_EVENT_TASK_STARTED;
}

/* What an attempt used is known at its end or with its verdict. */
static void take_usage(struct task_view *item, const struct members *record)
{
    int64_t cpu_ms = members_number(record, "cpu_ms");
    int64_t peak_memory = members_number(record, "peak_memory");
    if (cpu_ms > 0)
        item->cpu_ms = cpu_ms;
    if (peak_memory > 0)
        item->peak_memory = (uint64_t)peak_memory;
}

/* Where it ran, by the first witness that knows. */
static void take_host(struct run_reader *reader, struct task_view *item, const struct members *record)
{
    struct members ending;
    for (struct elements all = members_elements(record, "evidence"); elements_next(&all, &ending);) {
        const char *host = members_text(&ending, "host");
        if (host != NULL && host[0] != '\0') {
            item->host = intern(reader, host);
            return;
        }
    }
}

/* It is printed as it is: what is not JSON after all must not be kept. */
static void keep_evidence(struct task_view *item, const struct members *record)
{
    json_t *evidence = members_json(record, "evidence");
    if (json_is_array(evidence)) {
        memory_free(item->evidence);
        item->evidence = json_dumps(evidence, JSON_COMPACT);
    }
    json_decref(evidence);
}

/* It comes after the verdict: nothing else changes. */
static void apply_used(struct run_reader *reader, const struct members *record)
{
    uint32_t task = job_task(reader, record);
    if (task == TASK_NONE || reader->view.tasks.items[task].job != (uint64_t)members_number(record, "job"))
        return;
    take_usage(&reader->view.tasks.items[task], record);
}

static void apply_ended(struct run_reader *reader, const struct members *record)
{
    struct task_view *item = current_attempt(reader, record);
    if (item == NULL)
        return;
    int64_t exit_code;
    if (members_integer(record, "exit", &exit_code))
        item->exit_code = (int32_t)exit_code;
    item->signal = (int32_t)members_number(record, "signal");
    take_usage(item, record);
    item->started_at_ms = time_member(record, "started_at", item->started_at_ms);
    item->finished_at_ms = time_member(record, "finished_at", reader->change.at_ms);
    take_host(reader, item, record);
    if (reader->options & RUN_VIEW_EVIDENCE)
        keep_evidence(item, record);
}

enum task_state run_reader_verdict_state(const char *verdict)
{
    if (text_equal(verdict, "OK"))
        return TASK_SUCCEEDED;
    if (text_equal(verdict, "CANCELLED"))
        return TASK_CANCELLED;
    if (text_equal(verdict, "LOST"))
        return TASK_LOST;
    return TASK_FAILED;
}

static void apply_verdict(struct run_reader *reader, const struct members *record)
{
    const char *verdict = members_text(record, "verdict");
    uint32_t task = job_task(reader, record);
    if (task == TASK_NONE)
        task = named_task(reader, record);
    if (task == TASK_NONE || verdict == NULL)
        return;
    struct task_view *item = &reader->view.tasks.items[task];
    int64_t job = members_number(record, "job");
    if (job > 0 && (uint64_t)job < item->job)
        return;                                 /* of an attempt before this one */
    if (job > 0 && (uint64_t)job > item->job) { /* it came to nothing before anybody was asked: there is no image */
        item->job = (uint64_t)job;
        item->attempt = (uint32_t)members_number(record, "attempt");
    }
    const char *reason = members_text(record, "reason");
    item->verdict = intern(reader, verdict);
    item->reason = intern(reader, reason);
    take_usage(item, record);
    if (item->finished_at_ms == 0)
        item->finished_at_ms = reader->change.at_ms;
    reader->change.task = task;
    struct members retry;
    if (members_object(record, "retry", &retry)) {
        run_reader_set_state(reader, task, TASK_PLANNED);
        reader->change.event = RUN_EVENT_TASK_RETRY;
        reader->change.text = members_text(&retry, "reason");
        reader->change.retry_at_ms = members_number(&retry, "at");
        return;
    }
    item->judged = true;
    run_reader_set_state(reader, task, run_reader_verdict_state(verdict));
    reader->change.event = RUN_EVENT_TASK_ENDED;
}

static void apply_state(struct run_reader *reader, const struct members *record)
{
    enum task_state state;
    uint32_t task = named_task(reader, record);
    if (task == TASK_NONE || !state_from_name(members_text(record, "state"), &state))
        return;
    const char *reason = members_text(record, "reason");
    if (reason != NULL)
        reader->view.tasks.items[task].reason = intern(reader, reason);
    reader->view.tasks.items[task].judged = true;
    run_reader_set_state(reader, task, state);
    reader->change.task = task;
    reader->change.event = RUN_EVENT_TASK_STATE;
}

static void apply_image(struct run_reader *reader, const struct members *record)
{
    reader->change.event = RUN_EVENT_IMAGE;
    reader->change.text = members_text(record, "reference");
    if (reader->change.text == NULL)
        reader->change.text = members_text(record, "image");
    reader->change.failure = members_text(record, "failure");
}

/* Records without a state only tell how far it is. */
static void apply_fetch(struct run_reader *reader, const struct members *record)
{
    const char *state = members_text(record, "state");
    int64_t bytes = members_number(record, "done");
    if (state == NULL)
        return;
    reader->change.event = RUN_EVENT_INPUT;
    reader->change.text = members_text(record, "tag");
    reader->change.url = members_text(record, "url");
    reader->change.state = state;
    reader->change.failure = members_text(record, "reason");
    reader->change.bytes = bytes > 0 ? (uint64_t)bytes : 0;
}

static void apply_blind(struct run_reader *reader, const struct members *record)
{
    reader->change.event = RUN_EVENT_BLIND;
    reader->change.failure = members_text(record, "reason");
}

static void apply_request(struct run_reader *reader, const struct members *record)
{
    const char *by = members_text(record, "by");
    if (members_true(record, "leave") && by != NULL && text_starts_with(by, PILOT_LEAVES))
        keep_text(&reader->view.left_for, record, "by");
    if (!members_true(record, "cancel"))
        return;
    reader->view.cancel_requested = true;
    keep_text(&reader->view.cancel_by, record, "by");
    reader->change.event = RUN_EVENT_CANCEL;
    reader->change.text = reader->view.cancel_by;
}

static void apply_detached(struct run_reader *reader, const struct members *record)
{
    int64_t serial = members_number(record, "submission");
    reader->view.detached = serial > 0;
    reader->last_submission = serial > 0 ? (uint64_t)serial : 0;
    reader->view.pilot = members_true(record, "pilot");
    reader->change.event = RUN_EVENT_DETACHED;
    reader->change.text = members_text(record, "scheduler");
}

static void apply_end(struct run_reader *reader, const struct members *record)
{
    const char *state = members_text(record, "state");
    memory_free(reader->view.end_state);
    reader->view.end_state = memory_copy_text(state != NULL ? state : "ended");
    reader->view.finished_at_ms = reader->change.at_ms;
    reader->change.event = RUN_EVENT_ENDED;
}

static const struct {
    const char *kind;
    void (*apply)(struct run_reader *reader, const struct members *record);
} kinds[] = {
    {"started", apply_started},     {"ended", apply_ended},   {"verdict", apply_verdict}, {"intent", apply_intent},
    {"submitted", apply_submitted}, {"queued", apply_queued}, {"state", apply_state},     {"image", apply_image},
    {"writer", apply_writer},       {"run", apply_run},       {"request", apply_request}, {"end", apply_end},
    {"detached", apply_detached},   {"fetch", apply_fetch},   {"blind", apply_blind},     {"used", apply_used},
};

void run_reader_apply(struct run_reader *reader, const struct journal_record *record)
{
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof kinds[0] && strcmp(kinds[kind].kind, record->kind) != 0)
        kind++;
    reader->view.last_at_ms = record->at_ms;
    struct members members;
    arena_reset(reader->texts);
    if (kind < sizeof kinds / sizeof kinds[0] && members_find(&members, reader->texts, record->line, record->length)) {
        reader->change = (struct run_change){.at_ms = record->at_ms, .sequence = record->sequence, .task = TASK_NONE};
        kinds[kind].apply(reader, &members);
        run_reader_tell(reader);
    }
    reader->view.records++;
}
