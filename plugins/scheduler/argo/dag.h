/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tasks of a Workflow's one DAG: which jobs are one task, and what each waits for. Pure.
 *
 * How it works: a job is a task that is called like its template. Members of a stage that all wait for the same, and
 * for all of which everybody waits who waits for one, are one task in a loop over one template (fold.h), whose nodes
 * are numbered in their order. Members that wait one for another's same member stay tasks of their own: Argo knows no
 * edges between items. Where a Workflow would be too large, templates of one shape are made one for all their tasks.
 *
 * The jobs stand in the tasks in their order: a task's first position is how many come before it.
 *
 * Source: argo-workflows.readthedocs.io/en/latest/fields (DAGTask), .../enhanced-depends-logic.
 */
#ifndef DESCPIPE_ARGO_DAG_H
#define DESCPIPE_ARGO_DAG_H

#include <descpipe/scheduler.h>
#include <jansson.h>
#include <stdbool.h>

struct dag_request {
    const struct descpipe_submission *submission;
    json_t *const *templates; /* by position, each with its name */
    bool shares;              /* templates of one shape are one */
    char *words;              /* POD_WORDS */
};

/* Fills both arrays. False with words. */
bool dag_make(const struct dag_request *request, json_t *templates, json_t *tasks);
/* The DAG of a Workflow, by its entry point; NULL when there is none. */
const json_t *dag_tasks(const json_t *workflow);
/* How many jobs a task of it stands for; with a loop, `loops` becomes true. */
uint32_t dag_task_size(const json_t *task, bool *loops);

#endif
