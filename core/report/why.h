/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a task ran, or did not: what had changed since its last success, with both values. */
#ifndef DESCPIPE_REPORT_WHY_H
#define DESCPIPE_REPORT_WHY_H

#include "report/decided.h"
#include "report/run_view.h"

struct why_change { /* before or after NULL: there was none */
    const struct decided_field *before, *after;
};

enum why_answer {
    WHY_CACHED = 0,  /* nothing had changed: its results of then are taken */
    WHY_CHANGED,     /* `changes` says what */
    WHY_REFUSED,     /* nothing had changed, but `reason` says why the results were not taken */
    WHY_FIRST,       /* no run of this working folder has made it before */
    WHY_BEFORE_LOST, /* something had changed, but the run to compare with is gone */
    WHY_NOT_STARTED, /* it did not run, and was not cached either */
    WHY_WAITS        /* `reason` names what it waits for: what that makes is not known yet */
};

struct why {
    enum why_answer answer;
    const char *reason; /* or NULL */
    const char *run;    /* the run that is compared with, or whose results are taken, or NULL */
    uint64_t attempt;
    struct why_change *changes;
    size_t changes_count;
    struct arena *arena;
};

/* Compares values; fills changes. */
void why_compare(struct why *why, const struct decided_fields *before, const struct decided_fields *after);
/* Of a task of a run. What is in `why` lives in its arena, which is the caller's. */
bool why_find(struct why *why, const struct run_view *view, uint32_t task, struct error *error);
/* The values of a result that an earlier run made. False: they are not known any more. */
bool why_earlier_fields(const char *descpipe_folder, const char *run, const char *stage, const char *member,
                        struct arena *arena, struct decided_fields *fields);

/* `name` is the task as it is shown; `future`: it has not run yet. */
void why_print(const struct why *why, const char *name, bool future, struct text *out);
/* ,"why":...,"reason","compared_with","changes":[{field, before, after, path, before_text?, after_text?}]: members of
 * an object that is open. */
void why_append_json(const struct why *why, struct text *out);

#endif
