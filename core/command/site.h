/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe check --site`: whether this site will take the pipeline, asked without running a stage of it.
 *
 * Asked: room in the folders, every scheduler and runtime, the scheduler's test mode for each shape of job, logins that
 * end before a stage may start (site.c), and what one small job finds on a node (site_node.c).
 */
#ifndef DESCPIPE_COMMAND_SITE_H
#define DESCPIPE_COMMAND_SITE_H

#include "command/planning.h"

enum site_state { SITE_FINE = 1, SITE_DIFFERS, SITE_NOT_KNOWN };

struct site_finding {
    enum site_state state;
    char *about, *message; /* "stage 'a'", "may start at ..." */
    char *hint;            /* or NULL */
};

struct site_check {
    struct planning *planning; /* with a plan */
    uint64_t wait_s;           /* for a node */
    LIST(struct site_finding) findings;
    size_t differing;
};
void site_check_clear(struct site_check *check);
static inline void site_check_clear_at(struct site_check *place)
{
    site_check_clear(place);
}

/* Runs the plan's loop until all has been asked. */
void site_check_ask(struct site_check *check);
void site_check_print(const struct site_check *check, struct text *out);
/* [{about, state, message, hint}], appended. */
void site_check_print_json(const struct site_check *check, struct text *out);

/* For site.c and site_node.c. */

void site_find(struct site_check *check, enum site_state state, const char *about, const char *hint, const char *format,
               ...) __attribute__((format(printf, 5, 6)));

/* One call that is waited for. */
struct site_answer {
    bool over, ok;
    uint32_t failure;
    int64_t moment_ms; /* of an estimate; of a credential's end */
    char *message, *hint;
    struct words facts; /* name, value, name, ... */
};
struct call_options site_ask(struct site_answer *answer, int64_t deadline_ms);
void site_wait(struct site_check *check, struct site_answer *answer);
const char *site_fact(const struct site_answer *answer, const char *name); /* NULL when it is not there */
void site_answer_clear(struct site_answer *answer);
static inline void site_answer_clear_at(struct site_answer *place)
{
    site_answer_clear(place);
}

/* A job of what `job` wants, but small and short, looks for the working folder and for `tool` (NULL: none) where it
 * runs. */
void site_check_node(struct site_check *check, const struct plan_backend *backend, const struct descpipe_job *job,
                     const char *tool);

#endif
