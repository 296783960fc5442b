/* SPDX-License-Identifier: BSD-3-Clause */
/* What decided the tasks of a run, from its journal: the values of each task's key, and the texts behind some of them.
 */
#ifndef DESCPIPE_REPORT_DECIDED_H
#define DESCPIPE_REPORT_DECIDED_H

#include "base/list.h"
#include "base/members.h"
#include "cache/identity.h"

struct decided_field { /* texts live as long as the arena they were asked for with, and `decided` */
    const char *name, *value;
    const char *path; /* the file it is the content of, or NULL */
    const char *text; /* what stands behind a digest: see decided_texts; or NULL */
};
struct decided_fields { /* sorted by name */
    struct decided_field *items;
    size_t count;
    uint64_t whole; /* the record of the journal that has just these, of which others may be told; 0: not known */
};

struct decided_task {
    const char *key;
    const char *refused;   /* why a result that was there was not taken, or NULL */
    const char *made_by;   /* it was cached: the run that made it; NULL: it was not */
    uint64_t made_in;      /* and its attempt */
    struct members record; /* of the journal */
};

struct decided; /* of one run */
struct journal_reader;
struct journal_record;
struct decided *decided_new(const struct journal_reader *reader); /* which lives longer */
/* The next record of the run's journal, of whatever kind. */
void decided_apply(struct decided *decided, const struct journal_record *record);
/* Both for the whole journal. */
struct decided *decided_read(const char *run_folder, struct error *error);
void decided_free(struct decided *decided);
DEFINE_CLEANUP(struct decided *, decided_free);
/* False: nothing is known of it. `member` may be NULL. */
bool decided_task(const struct decided *decided, const char *stage, const char *member, struct arena *arena,
                  struct decided_task *task);
/* How its key begins, without a look into the journal. False: nothing is known of it. */
#define DECIDED_BEGINNING 9
bool decided_key_beginning(const struct decided *decided, const char *stage, const char *member,
                           char beginning[DECIDED_BEGINNING]);
/* The task's values; none for a cached one. */
bool decided_fields(struct decided *decided, const struct decided_task *task, struct arena *arena,
                    struct decided_fields *fields);
/* And the texts behind them, for who wants to show them. */
void decided_texts(const struct decided *decided, struct arena *arena, struct decided_fields *fields);
/* The same of a task that has not run. */
void decided_of_identity(const struct identity *identity, struct decided_fields *fields);

#endif
