/* SPDX-License-Identifier: BSD-3-Clause */
/* What decided the tasks of a run, from its journal: the values of each task's key, and the texts behind some of them.
 */
#ifndef DESCPIPE_REPORT_DECIDED_H
#define DESCPIPE_REPORT_DECIDED_H

#include "base/list.h"
#include "base/table.h"
#include "cache/identity.h"

struct decided_field { /* all texts live as long as the arena of the list */
    const char *name, *value;
    const char *path; /* the file it is the content of, or NULL */
    const char *text; /* what stands behind a digest, where it is known, or NULL */
};
struct decided_fields { /* sorted by name */
    struct decided_field *items;
    size_t count;
};

struct decided_record { /* of the journal */
    const char *line;
    size_t length;
};
struct decided_task {
    const char *key;
    const char *refused;          /* why a result that was there was not taken, or NULL */
    const char *made_by;          /* it was cached: the run that made it; NULL: it was not */
    uint64_t made_in;             /* and its attempt */
    struct decided_record record; /* line NULL: it was cached */
};

struct decided; /* of one run */
struct journal_record;
struct decided *decided_new(void);
/* The next record of the run's journal, of whatever kind. */
void decided_apply(struct decided *decided, const struct journal_record *record);
/* Both for the whole journal. */
struct decided *decided_read(const char *run_folder, struct error *error);
void decided_free(struct decided *decided);
DEFINE_CLEANUP(struct decided *, decided_free);
const struct decided_task *decided_task(const struct decided *decided, const char *stage,
                                        const char *member); /* or NULL */
/* The task's values; none for a cached one. */
bool decided_fields(const struct decided *decided, const struct decided_task *task, struct arena *arena,
                    struct decided_fields *fields);
/* The same of a task that has not run. */
void decided_of_identity(const struct identity *identity, struct decided_fields *fields);

#endif
