/* SPDX-License-Identifier: BSD-3-Clause */
/* What the layers hold, shared by the files that read, answer and print them. */
#ifndef DESCPIPE_CONFIG_LAYERS_READ_H
#define DESCPIPE_CONFIG_LAYERS_READ_H

#include "base/list.h"
#include "config/layers.h"

/* All texts and places are borrowed from `documents` and `texts`. */
struct layer_value {
    const char *key, *text;
    enum layer layer;
    struct place place;
};
struct layer_option {
    const char *kind, *plugin; /* plugin NULL: whichever of that kind is in use */
    const char *key;
    const struct node *node; /* from a file, else NULL */
    const struct document *document;
    const char *text; /* from the environment or the command line */
    enum layer layer;
    struct place place;
};
struct layer_backend {
    struct backend backend;
    enum layer layer;
};
struct layer_secret {
    const char *name, *text;
    char *owned;
    struct words argv;
    enum secret_from from;
    enum layer layer;
    struct place place;
};
struct layer_mirror {
    const char *from, *to; /* HOST[:PORT][/PATH] */
    enum layer layer;
    struct place place;
};
struct layer_lock {
    const char *key;
    struct place place;
};

struct config_layers {
    LIST(struct document *) documents;
    LIST(char *) texts;
    LIST(struct layer_value) values;
    LIST(struct layer_option) options;
    LIST(struct layer_backend) backends;
    LIST(struct layer_secret) secrets;
    LIST(struct layer_mirror) mirrors;
    LIST(struct layer_lock) locks;
    LIST(const char *) backend_names; /* ends with NULL */
    struct {
        struct words names;
        enum layer layer;
        struct place place;
    } runtime_order;
    struct on_exit site_on_exit, user_on_exit; /* with neither command nor webhook: not said */
};

const char *const *layers_value_keys(void); /* "backend", "scheduler", ..., NULL */
/* "scheduler", "runtime" or "registry". */
bool layers_kind_is_known(const char *kind, size_t length);

#endif
