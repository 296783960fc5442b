/* SPDX-License-Identifier: BSD-3-Clause */
/* The one DAG of a Workflow; dag.h says how it works. */
#include "dag.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "workflow.h"

/* What is one task: a job, or members of a stage in a loop. */
struct unit {
    uint32_t first, count;
    char name[WORKFLOW_TASK_LIMIT + 1];
    json_t *template;    /* its own; NULL: it is shared */
    struct fold *loop;   /* of several jobs */
    struct fold *shared; /* borrowed of the DAG, or NULL */
    size_t position;     /* among those who share it */
};

/* Of the edges from one job to a unit. */
struct marks {
    uint32_t edges, ends;
};

struct dag {
    const struct dag_request *request;
    struct unit *units;
    uint32_t count;
    uint32_t *unit_of;   /* by position */
    json_t *by_job;      /* job's number as text → position */
    json_t *names;       /* that are taken */
    struct fold *shared; /* those with several callers */
    size_t shared_count;
};

static const struct descpipe_job *job_at(const struct dag *dag, uint32_t position)
{
    return dag->request->submission->jobs[position];
}

static bool position_of(const struct dag *dag, uint64_t job, uint32_t *position)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRIu64, job);
    const json_t *found = json_object_get(dag->by_job, number);
    *position = (uint32_t)json_integer_value(found);
    return found != NULL;
}

/* Units. */

static bool waits_alike(const struct descpipe_job *one, const struct descpipe_job *other)
{
    size_t i = 0;
    if (one->after == NULL || other->after == NULL) {
        return one->after == other->after || (one->after != NULL ? one->after : other->after)[0] == NULL;
    }
    for (; one->after[i] != NULL && other->after[i] != NULL; i++) {
        if (one->after[i]->job != other->after[i]->job || one->after[i]->condition != other->after[i]->condition) {
            return false;
        }
    }
    return one->after[i] == other->after[i];
}

/* How many jobs from this one on are members of one stage that wait for the same. */
static uint32_t run_length(const struct dag *dag, uint32_t first)
{
    const struct descpipe_job *one = job_at(dag, first);
    uint32_t count = 1;
    while (one->member != NULL && first + count < dag->request->submission->count) {
        const struct descpipe_job *other = job_at(dag, first + count);
        if (other->member == NULL || strcmp(one->stage, other->stage) != 0 || !waits_alike(one, other)) {
            break;
        }
        count++;
    }
    return count;
}

/* Those of which somebody waits for some only, or for some in another way, are no loop: their count becomes 0. */
static void break_loops(const struct dag *dag, uint32_t *lengths, struct marks *marks)
{
    for (uint32_t i = 0; i < dag->request->submission->count; i++) {
        const struct descpipe_job *job = job_at(dag, i);
        for (unsigned round = 0; round < 2; round++) { /* count, then look */
            for (size_t e = 0; job->after != NULL && job->after[e] != NULL; e++) {
                uint32_t position;
                if (!position_of(dag, job->after[e]->job, &position)) {
                    continue;
                }
                struct marks *mark = &marks[dag->unit_of[position]];
                uint32_t *length = &lengths[dag->unit_of[position]];
                if (round == 0) {
                    mark->edges++;
                    mark->ends += job->after[e]->condition != DESCPIPE_AFTER_OK;
                    continue;
                }
                if (mark->edges != 0 && (mark->edges != *length || (mark->ends != 0 && mark->ends != mark->edges))) {
                    *length = 0;
                }
                *mark = (struct marks){.edges = 0};
            }
        }
    }
}

/* Before templates are looked at: dag->unit_of is the first position of each job's run, which lengths[] tells. */
static void find_loops(const struct dag *dag, uint32_t *lengths, struct marks *marks)
{
    uint32_t count = dag->request->submission->count;
    for (uint32_t i = 0; i < count;) {
        uint32_t length = run_length(dag, i);
        lengths[i] = length;
        for (uint32_t k = 0; k < length; k++) {
            dag->unit_of[i + k] = i;
        }
        i += length;
    }
    break_loops(dag, lengths, marks);
}

static struct unit *add_unit(struct dag *dag, uint32_t first, uint32_t count)
{
    struct unit *unit = &dag->units[dag->count];
    *unit = (struct unit){.first = first, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        dag->unit_of[first + i] = dag->count;
    }
    dag->count++;
    return unit;
}

/* As it was given, without what it alone has: which one a pod belongs to, its node's name says. */
static json_t *nameless(const struct dag *dag, uint32_t position)
{
    json_t *template = json_deep_copy(dag->request->templates[position]);
    json_object_del(template, "name");
    json_object_del(json_object_get(json_object_get(template, "metadata"), "labels"), POD_LABEL_INDEX);
    return template;
}

static json_t *named(const char *name, json_t *template)
{
    json_t *all = json_pack("{s:s}", "name", name);
    json_object_update(all, template);
    return all;
}

/* False: they are tasks of their own. */
static bool add_loop(struct dag *dag, uint32_t first, uint32_t count)
{
    char name[WORKFLOW_TASK_LIMIT + 1];
    if (count < 2 || !workflow_task_name(job_at(dag, first)->stage, NULL, name) ||
        json_object_get(dag->names, name) != NULL) {
        return false;
    }
    json_t **templates = calloc(count, sizeof(json_t *));
    struct fold *fold = calloc(1, sizeof(*fold));
    for (uint32_t i = 0; templates != NULL && i < count; i++) {
        templates[i] = nameless(dag, first + i);
    }
    bool done = templates != NULL && fold != NULL && fold_make(templates, count, fold);
    for (uint32_t i = 0; templates != NULL && i < count; i++) {
        json_decref(templates[i]);
    }
    free(templates);
    if (!done) {
        free(fold);
        return false;
    }
    struct unit *unit = add_unit(dag, first, count);
    memcpy(unit->name, name, sizeof(name));
    json_object_set_new(dag->names, name, json_true());
    unit->loop = fold;
    unit->template = named(name, fold->template);
    return true;
}

static void add_units(struct dag *dag, const uint32_t *lengths)
{
    uint32_t count = dag->request->submission->count;
    for (uint32_t i = 0; i < count;) {
        if (add_loop(dag, i, lengths[i])) {
            i += lengths[i];
            continue;
        }
        struct unit *unit = add_unit(dag, i, 1);
        unit->template = json_incref(dag->request->templates[i]);
        snprintf(unit->name, sizeof(unit->name), "%s",
                 json_string_value(json_object_get(dag->request->templates[i], "name")));
        i++;
    }
}

/* Sharing. */

/* Units whose templates are of one shape, and do not loop: shape → positions of units. */
static json_t *shapes_of(const struct dag *dag)
{
    json_t *shapes = json_object();
    for (uint32_t i = 0; i < dag->count; i++) {
        json_t *template = dag->units[i].loop == NULL ? nameless(dag, dag->units[i].first) : NULL;
        char *shape = template != NULL ? fold_shape(template) : NULL;
        json_decref(template);
        if (shape == NULL) {
            continue;
        }
        json_t *list = json_object_get(shapes, shape);
        if (list == NULL) {
            list = json_array();
            json_object_set_new(shapes, shape, list);
        }
        json_array_append_new(list, json_integer(i));
        free(shape);
    }
    return shapes;
}

static void share(struct dag *dag, const json_t *members)
{
    size_t count = json_array_size(members);
    json_t **templates = calloc(count, sizeof(json_t *));
    struct fold *fold = &dag->shared[dag->shared_count];
    for (size_t i = 0; templates != NULL && i < count; i++) {
        uint32_t unit = (uint32_t)json_integer_value(json_array_get(members, i));
        templates[i] = nameless(dag, dag->units[unit].first);
    }
    if (templates != NULL && fold_make(templates, count, fold)) {
        dag->shared_count++;
        for (size_t i = 0; i < count; i++) {
            struct unit *unit = &dag->units[json_integer_value(json_array_get(members, i))];
            json_decref(unit->template);
            unit->template = NULL;
            unit->shared = fold;
            unit->position = i;
        }
    }
    for (size_t i = 0; templates != NULL && i < count; i++) {
        json_decref(templates[i]);
    }
    free(templates);
}

static bool share_all(struct dag *dag)
{
    json_t *shapes = shapes_of(dag), *members;
    const char *shape;
    dag->shared = calloc(json_object_size(shapes) + 1, sizeof(*dag->shared));
    json_object_foreach(shapes, shape, members)
    {
        if (dag->shared != NULL && json_array_size(members) > 1) {
            share(dag, members);
        }
    }
    json_decref(shapes);
    return dag->shared != NULL;
}

/* "shape-1", unless a stage is called so. */
static void name_shared(const struct dag *dag, const struct fold *fold, char name[WORKFLOW_TASK_LIMIT + 1])
{
    snprintf(name, WORKFLOW_TASK_LIMIT + 1, "shape-%zu", (size_t)(fold - dag->shared) + 1);
    while (json_object_get(dag->names, name) != NULL && strlen(name) < WORKFLOW_TASK_LIMIT) {
        memcpy(name + strlen(name), "x", 2);
    }
}

/* Edges. */

/* "a && (b.Succeeded || b.Failed || ...)"; each task once, however many of its jobs are waited for. */
static bool add_edges(const struct dag *dag, const struct unit *unit, uint32_t *seen, json_t *task)
{
    const struct descpipe_job *job = job_at(dag, unit->first);
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    bool done = stream != NULL;
    const char *separator = "";
    for (size_t i = 0; done && job->after != NULL && job->after[i] != NULL; i++) {
        uint32_t position;
        if (!position_of(dag, job->after[i]->job, &position)) {
            snprintf(dag->request->words, POD_WORDS, "stage '%.150s' waits for a job that is not in this Workflow",
                     job->stage);
            done = false;
            break;
        }
        const struct unit *other = &dag->units[dag->unit_of[position]];
        if (seen[dag->unit_of[position]] == unit->first + 1) {
            continue;
        }
        seen[dag->unit_of[position]] = unit->first + 1;
        const char *name = other->name;
        fputs(separator, stream);
        separator = " && ";
        if (job->after[i]->condition == DESCPIPE_AFTER_OK) {
            fputs(name, stream);
        } else {
            fprintf(stream, "(%s.Succeeded || %s.Failed || %s.Errored || %s.Skipped || %s.Omitted)", name, name, name,
                    name, name);
        }
    }
    if (stream != NULL && fclose(stream) == 0 && done && length > 0) {
        json_object_set_new(task, "depends", json_string(text));
    }
    free(text);
    return done;
}

static bool add_task(const struct dag *dag, const struct unit *unit, uint32_t *seen, json_t *tasks)
{
    char shared[WORKFLOW_TASK_LIMIT + 1];
    const char *template = unit->name;
    if (unit->shared != NULL) {
        name_shared(dag, unit->shared, shared);
        template = shared;
    }
    json_t *task = json_pack("{s:s, s:s}", "name", unit->name, "template", template);
    json_array_append_new(tasks, task);
    if (unit->loop != NULL) {
        fold_loop(unit->loop, unit->count, task);
    } else if (unit->shared != NULL) {
        fold_call(unit->shared, unit->position, task);
    }
    return add_edges(dag, unit, seen, task);
}

static bool add_all(const struct dag *dag, uint32_t *seen, json_t *templates, json_t *tasks)
{
    char name[WORKFLOW_TASK_LIMIT + 1];
    for (size_t i = 0; i < dag->shared_count; i++) {
        name_shared(dag, &dag->shared[i], name);
        json_array_append_new(templates, named(name, dag->shared[i].template));
    }
    for (uint32_t i = 0; i < dag->count; i++) {
        if (dag->units[i].template != NULL) {
            json_array_append(templates, dag->units[i].template);
        }
        if (!add_task(dag, &dag->units[i], seen, tasks)) {
            return false;
        }
    }
    return true;
}

static bool know_jobs(struct dag *dag)
{
    for (uint32_t i = 0; i < dag->request->submission->count; i++) {
        char number[24];
        snprintf(number, sizeof(number), "%" PRIu64, job_at(dag, i)->job);
        if (json_object_set_new(dag->by_job, number, json_integer(i)) != 0 ||
            json_object_set_new(dag->names, json_string_value(json_object_get(dag->request->templates[i], "name")),
                                json_true()) != 0) {
            return false;
        }
    }
    return true;
}

bool dag_make(const struct dag_request *request, json_t *templates, json_t *tasks)
{
    size_t count = (size_t)request->submission->count + 1;
    struct dag dag = {.request = request,
                      .units = calloc(count, sizeof(*dag.units)),
                      .unit_of = calloc(count, sizeof(*dag.unit_of)),
                      .by_job = json_object(),
                      .names = json_object()};
    uint32_t *lengths = calloc(count, sizeof(*lengths)), *seen = calloc(count, sizeof(*seen));
    struct marks *marks = calloc(count, sizeof(*marks));
    bool done =
        dag.units != NULL && dag.unit_of != NULL && lengths != NULL && seen != NULL && marks != NULL && know_jobs(&dag);
    if (done) {
        find_loops(&dag, lengths, marks);
        add_units(&dag, lengths);
        done = (!request->shares || share_all(&dag)) && add_all(&dag, seen, templates, tasks);
    }
    for (uint32_t i = 0; i < dag.count; i++) {
        json_decref(dag.units[i].template);
        if (dag.units[i].loop != NULL) {
            fold_clear(dag.units[i].loop);
            free(dag.units[i].loop);
        }
    }
    for (size_t i = 0; i < dag.shared_count; i++) {
        fold_clear(&dag.shared[i]);
    }
    json_decref(dag.by_job);
    json_decref(dag.names);
    free(dag.shared);
    free(dag.units);
    free(dag.unit_of);
    free(lengths);
    free(seen);
    free(marks);
    return done;
}

/* Reading. */

const json_t *dag_tasks(const json_t *workflow)
{
    const json_t *spec = json_object_get(workflow, "spec"), *templates = json_object_get(spec, "templates");
    const char *entry = json_string_value(json_object_get(spec, "entrypoint"));
    for (size_t i = json_array_size(templates); entry != NULL && i > 0; i--) { /* it is the last */
        const json_t *template = json_array_get(templates, i - 1);
        const char *name = json_string_value(json_object_get(template, "name"));
        if (name != NULL && strcmp(name, entry) == 0) {
            return json_object_get(json_object_get(template, "dag"), "tasks");
        }
    }
    return NULL;
}

uint32_t dag_task_size(const json_t *task, bool *loops)
{
    const json_t *items = json_object_get(task, "withItems"), *sequence = json_object_get(task, "withSequence");
    const json_t *count = json_object_get(sequence, "count");
    *loops = items != NULL || sequence != NULL;
    if (items != NULL) {
        return (uint32_t)json_array_size(items);
    }
    unsigned long size = 1;
    if (sequence != NULL) { /* a text in Argo's schema; numbers are taken as well */
        size = json_is_integer(count)  ? (unsigned long)json_integer_value(count)
               : json_is_string(count) ? strtoul(json_string_value(count), NULL, 10)
                                       : 0;
    }
    return size <= UINT32_MAX ? (uint32_t)size : 0;
}
