/* SPDX-License-Identifier: BSD-3-Clause */
/* Which nodes and pods of a Workflow belong to which of our tasks, by what the Workflow itself says of its DAG. */
#include <stdlib.h>
#include <string.h>

#include "argo.h"
#include "dag.h"

static const json_t *metadata_of(const json_t *object, const char *key)
{
    return json_object_get(json_object_get(object, "metadata"), key);
}

/* NULL: nobody's, or behind the last one that we were told of when it was adopted. */
static struct task *task_at(const struct flow *flow, uint64_t position)
{
    return position < flow->count && flow->tasks[position].job != 0 ? &flow->tasks[position] : NULL;
}

/* Which attempt its tasks began with: of one that is adopted, only it says so. */
static void begin_at(struct flow *flow, const struct flow_unit *unit, const json_t *template)
{
    const char *first = json_string_value(json_object_get(metadata_of(template, "annotations"), WORKFLOW_ATTEMPT));
    uint64_t number = first != NULL ? strtoull(first, NULL, 10) : 0;
    for (uint32_t i = 0; i < unit->count; i++) {
        struct task *task = task_at(flow, (uint64_t)unit->first + i);
        if (task != NULL && number > 0 && number < task->first) {
            uint32_t current = (uint32_t)(task->first - number);
            task->first = number;
            task_begin_attempt(task, current);
        }
    }
}

static json_t *templates_by_name(const json_t *workflow)
{
    json_t *by_name = json_object(), *template;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(workflow, "spec"), "templates"), i, template)
    {
        const char *name = json_string_value(json_object_get(template, "name"));
        if (name != NULL) {
            json_object_set(by_name, name, template);
        }
    }
    return by_name;
}

void flow_read(struct flow *flow, const json_t *workflow)
{
    const json_t *tasks = dag_tasks(workflow);
    json_t *templates = templates_by_name(workflow);
    size_t count = json_array_size(tasks);
    uint64_t position = 0;
    flow->is_read = true;
    flow->units = calloc(count + 1, sizeof(*flow->units));
    for (size_t i = 0; flow->units != NULL && i < count; i++) {
        const json_t *task = json_array_get(tasks, i);
        const char *name = json_string_value(json_object_get(task, "name"));
        const char *called = json_string_value(json_object_get(task, "template"));
        const json_t *template = called != NULL ? json_object_get(templates, called) : NULL;
        struct flow_unit *unit = &flow->units[flow->unit_count];
        unit->first = (uint32_t)position;
        unit->count = dag_task_size(task, &unit->loops);
        unit->repeats = json_object_get(template, "retryStrategy") != NULL;
        position += unit->count;
        if (name == NULL || position > UINT32_MAX) {
            break; /* none of ours */
        }
        json_object_set_new(flow->by_name, name, json_integer(flow->unit_count++));
        begin_at(flow, unit, template);
    }
    json_decref(templates);
}

static void lay_node(struct flow *flow, const json_t *node)
{
    struct node_place place;
    const char *type = json_string_value(json_object_get(node, "type"));
    if (!node_find_place(json_string_value(json_object_get(node, "name")), flow->name, &place)) {
        return;
    }
    const json_t *number = json_object_get(flow->by_name, place.task);
    struct flow_unit *unit = number != NULL ? &flow->units[json_integer_value(number)] : NULL;
    if (unit != NULL && unit->loops && place.item < 0) {
        unit->whole = node;
    }
    if (unit == NULL || (unit->loops ? place.item < 0 || place.item >= unit->count : place.item >= 0)) {
        return;
    }
    struct task *task = task_at(flow, unit->first + (unit->loops ? (uint64_t)place.item : 0));
    bool whole = type == NULL || strcmp(type, "Retry") != 0;
    int64_t attempt = unit->repeats && whole ? place.attempt : -1;
    if (task == NULL) {
        return;
    }
    if (attempt < 0) {
        task->top = node;
        task->now = whole && task->current == 0 ? node : task->now;
    } else if (attempt == task->current) {
        task->now = node;
    } else if (attempt == (int64_t)task->current + 1) {
        task->next = node;
    }
}

/* A loop that never came to its items has one node for all of them. */
static void lay_whole(struct flow *flow, const struct flow_unit *unit)
{
    const char *type = json_string_value(json_object_get(unit->whole, "type"));
    if (unit->whole == NULL || type == NULL || strcmp(type, "TaskGroup") == 0) {
        return;
    }
    for (uint32_t i = 0; i < unit->count; i++) {
        struct task *task = task_at(flow, (uint64_t)unit->first + i);
        if (task != NULL && task->top == NULL && task->now == NULL) {
            task->top = task->now = unit->whole;
        }
    }
}

void flow_lay_beside(struct flow *flow)
{
    const char *id;
    json_t *node;
    for (uint32_t i = 0; i < flow->count; i++) {
        flow->tasks[i].top = flow->tasks[i].now = flow->tasks[i].next = NULL;
    }
    for (uint32_t i = 0; i < flow->unit_count; i++) {
        flow->units[i].whole = NULL;
    }
    json_object_foreach(flow->nodes, id, node)
    {
        lay_node(flow, node);
    }
    for (uint32_t i = 0; i < flow->unit_count; i++) {
        lay_whole(flow, &flow->units[i]);
    }
}

/* By its node's name; of controllers that do not tell it, by the position that its template has. */
struct task *flow_task_of_pod(const struct flow *flow, const json_t *pod)
{
    struct node_place place;
    const char *node = json_string_value(json_object_get(metadata_of(pod, "annotations"), ARGO_NODE_NAME));
    const char *index = json_string_value(json_object_get(metadata_of(pod, "labels"), POD_LABEL_INDEX));
    uint64_t position = index != NULL ? strtoull(index, NULL, 10) : UINT64_MAX;
    int64_t attempt = 0;
    if (node != NULL) {
        const json_t *number =
            node_find_place(node, flow->name, &place) ? json_object_get(flow->by_name, place.task) : NULL;
        const struct flow_unit *unit = number != NULL ? &flow->units[json_integer_value(number)] : NULL;
        if (unit == NULL || (unit->loops && (place.item < 0 || place.item >= unit->count))) {
            return NULL;
        }
        position = unit->first + (unit->loops ? (uint64_t)place.item : 0);
        attempt = unit->repeats && place.attempt > 0 ? place.attempt : 0;
    }
    struct task *task = task_at(flow, position);
    return task != NULL && (node == NULL || attempt == (int64_t)task->current) ? task : NULL;
}
