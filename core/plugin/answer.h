/* SPDX-License-Identifier: BSD-3-Clause */
/* What a plugin answered to one call: deep copies that live until the call's `done` has returned. */
#ifndef DESCPIPE_PLUGIN_ANSWER_H
#define DESCPIPE_PLUGIN_ANSWER_H

#include "plugin/instance.h"

enum answer_kind {
    ANSWER_FACT = 1 << 0,
    ANSWER_IDENTITY = 1 << 1,
    ANSWER_FORM = 1 << 2,
    ANSWER_NATIVE_ID = 1 << 3,
    ANSWER_ENDING = 1 << 4,
    ANSWER_FOUND = 1 << 5,
    ANSWER_REFERENCE = 1 << 6,
    ANSWER_CREDENTIAL = 1 << 7,
    ANSWER_TEXT = 1 << 8,
    ANSWER_MOMENT = 1 << 9
};
#define ANSWER_ONCE                                                                                                    \
    (ANSWER_IDENTITY | ANSWER_FORM | ANSWER_ENDING | ANSWER_REFERENCE | ANSWER_CREDENTIAL | ANSWER_MOMENT)
const char *answer_name(unsigned kind); /* "fact", "identity" ... */

struct answers {
    struct arena *arena; /* NULL until the first answer */
    unsigned given;      /* ANSWER_ bits */
    size_t bytes;
    char *fault; /* in the arena: the first rule that was broken, or NULL */
    struct descpipe_image_identity *identity;
    struct descpipe_form *form;
    struct descpipe_ending *ending;
    struct descpipe_credential *credential;
    struct descpipe_secret *password; /* owned */
    const char *reference;
    int64_t moment_ms;
    LIST(struct call_fact) facts;
    LIST(struct call_native_id) native_ids;
    LIST(const struct descpipe_found *) found;
    LIST(const char *) texts;
};

void answers_reset(struct answers *answers);                   /* ready for the next call; keeps memory worth keeping */
void answers_clear(struct answers *answers);                   /* frees */
char *answers_copy(struct answers *answers, const char *text); /* NULL stays NULL */
/* One line, fit for a terminal. */
char *answers_copy_line(struct answers *answers, const char *text);
void answers_fault(struct answers *answers, const char *format, ...) __attribute__((format(printf, 2, 3)));

void answer_identity(struct answers *answers, const struct descpipe_image_identity *identity);
void answer_form(struct answers *answers, const struct descpipe_form *form);
void answer_ending(struct answers *answers, const struct descpipe_ending *ending);
void answer_found(struct answers *answers, const struct descpipe_found *found);
void answer_credential(struct answers *answers, const struct descpipe_credential *credential);

/* Likewise, for whoever keeps endings elsewhere; NULL when it is too small. Nothing in it is borrowed. */
struct descpipe_ending *ending_copy(struct arena *arena, const struct descpipe_ending *ending);

#endif
