/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The members of a JSON object, for the journal's lines: a front follows thousands of them, several per task.
 *
 * How it works: one look over the object finds where its members lie; nothing is copied or checked further until a
 * value is asked for. Texts of plain ASCII are taken as they stand, all others are jansson's to decode. So a line that
 * is not JSON may have members here, but no text of it holds what JSON forbids there.
 */
#ifndef DESCPIPE_BASE_MEMBERS_H
#define DESCPIPE_BASE_MEMBERS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/memory.h"

#define MEMBERS_AT_MOST 32 /* in one object; our own records have half as many */

struct member { /* parts of the object's bytes */
    const char *name, *value;
    size_t name_length, value_length;
};

struct members {
    struct arena *arena; /* of the texts that are taken out */
    size_t count;
    struct member items[MEMBERS_AT_MOST];
};

/* `bytes` must outlive `members`, which needs no clearing; texts that are taken out live as long as `arena`. False: no
 * object, or one of more than MEMBERS_AT_MOST; there are no members then. */
bool members_find(struct members *members, struct arena *arena, const char *bytes, size_t length);

/* Of members with the same name the last one counts. NULL, 0 or false when there is none of this type. */
const char *members_text(const struct members *members, const char *name);
bool members_integer(const struct members *members, const char *name, int64_t *number); /* untouched on false */
int64_t members_number(const struct members *members, const char *name);
bool members_true(const struct members *members, const char *name);
bool members_object(const struct members *members, const char *name, struct members *object);
/* As it stands there, whatever it is: part of the object's bytes. */
bool members_raw(const struct members *members, const char *name, const char **bytes, size_t *length);
json_t *members_json(const struct members *members, const char *name); /* of any type; owned, or NULL */

/* for (struct elements all = members_elements(record, "jobs"); elements_next(&all, &job);) ... the objects of an array;
 * anything else in it ends it. */
struct elements {
    struct arena *arena;
    const char *at, *end;
};
struct elements members_elements(const struct members *members, const char *name);
bool elements_next(struct elements *elements, struct members *object);

#endif
