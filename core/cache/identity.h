/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What decides a task's results, as named values, and the key made of them.
 *
 *     image · command · directory · network · gpus · environment NAME · secret NAME (which, never its value)
 *     mount TARGET · script · program NAME (of a stage on the bare machine) · module NAME · config NAME · input NAME
 *     output NAME
 *
 * The value of a file is the SHA-256 of its content. What does not change results is not here: who runs it, where, with
 * how much memory and for how long, which scheduler and which runtime. Ranks and threads reach a stage in its command
 * and environment. Two tasks with equal keys have equal results, whatever they are called.
 */
#ifndef DESCPIPE_CACHE_IDENTITY_H
#define DESCPIPE_CACHE_IDENTITY_H

#include "base/text.h"
#include "cache/store.h"
#include "plan/plan.h"
#include "plan/task_files.h"

struct identity_field {
    const char *name, *value;
    const char *path; /* the file it is the content of, or NULL */
    const char *text; /* what is to be shown instead of a digest, or NULL */
    struct file_stamp stamp; /* of a file, once it is known */
    bool is_folder;          /* likewise */
};

struct identity {
    struct arena *arena;
    struct identity_field *fields; /* sorted by name once the key is made */
    size_t count, capacity;
    char key[DIGEST_TEXT];
    const char *unknown; /* the first file whose content is not known yet, or NULL */
};

/* The values of a task, in `arena`; a file's only as far as the store knows it. False: what it reads cannot be said. */
bool identity_find(struct identity *identity, const struct plan *plan, uint32_t task, const struct task_files *files,
                   struct cache_store *store, struct error *error);
/* With every file known: sorts the fields and makes the key. */
void identity_make_key(struct identity *identity, struct digest *digest);
bool identity_field_equal(const struct identity_field *one, const struct identity_field *other); /* of one name */
/* How many fields the one has otherwise than the other; both have their keys. */
size_t identity_difference(const struct identity *one, const struct identity *other);
/* What is said of it, without the files' stamps and the texts, for as long as `arena` lives. */
void identity_copy(struct identity *copy, const struct identity *identity, struct arena *arena);
/* What is asked of it once its task has run: the key, and the fields that are files, without their values. One piece of
 * memory as small as can be, for as many tasks may wait for their turn as there are; memory_free is enough. */
struct identity *identity_keep_files(const struct identity *identity);
/* False: one of its files is not the one it was. */
bool identity_still_holds(const struct identity *identity);

/* The text behind the digest of a configuration or a script, appended: lines that sound like a secret are left out,
 * whoever wrote one there. False: it is none, too long or no text. */
bool identity_field_text(const struct identity_field *field, struct text *out);

/* Why a stage runs whatever is known of it, or NULL. One without outputs runs for what else it does (it sends, cleans,
 * checks), which nobody can look at later: only `cache: true` says that once is enough. */
const char *identity_always_runs(const struct stage *stage);

/* Where a program is found on this machine, by PATH; owned, or NULL. */
char *identity_find_program(const char *name);

/* True when the image is known well enough: it has a digest, or needs none. */
bool identity_image_is_file(const struct plan_image *image); /* an archive, whose content says what it is */
bool identity_knows_image(const struct plan *plan, uint32_t stage);

#endif
