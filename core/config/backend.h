/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A backend: three words (scheduler, runtime, registry) and their options. One form and one reader for pipeline, user
 * and site files.
 */
#ifndef DESCPIPE_CONFIG_BACKEND_H
#define DESCPIPE_CONFIG_BACKEND_H

#include "base/list.h"
#include "base/problem.h"
#include "config/document.h"

struct plugin_choice {
    char *use;                /* the plugin's name, "slurm"; NULL: not said */
    struct document *options; /* its root is the mapping option → value; NULL: none. Owned */
    struct place place;       /* of the word; `file` is borrowed from who owns the backend */
};

/* `images:` of a backend: another image than the formula's, for one stage or ("*") for all. */
struct backend_image {
    char *stage;     /* a stage's name or "*" */
    char *reference; /* "docker-archive:./x/{stage}.tar"; {stage} is not replaced yet */
    struct place place;
};

struct backend {
    char *name;
    struct plugin_choice scheduler, runtime, registry;
    LIST(struct backend_image) images;
    struct place place;
};

/* Reads `name: {scheduler: …, runtime: …, registry: …, images: …}`. What fits is kept, what does not is a problem.
 * `file` lives as long as the backend and stands in its places. */
void backend_read(struct backend *backend, const char *name, struct place key_place, const struct document *document,
                  const struct node *value, const char *file, struct problems *problems);
bool plugin_name_is_valid(const char *name); /* lower-case letters, digits and '-' */
void backend_clear(struct backend *backend);
/* The choice of "scheduler", "runtime" or "registry"; NULL for another kind. */
const struct plugin_choice *backend_choice(const struct backend *backend, const char *kind);
/* The image this backend gives a stage ({stage} not replaced), or NULL. The stage's own line wins over "*". */
const struct backend_image *backend_image(const struct backend *backend, const char *stage);

#endif
