/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Templates that differ in some texts only, as one template with parameters. Pure.
 *
 * How it works: the templates are gone through side by side. A text that is not the same in all of them becomes what is
 * common at its beginning and its end, with {{inputs.parameters.NAME}} between; texts that differ in the same way share
 * a parameter. What is not of one shape, or holds bytes that Argo would not put back as they were, is left as it is.
 *
 * Source: argo-workflows.readthedocs.io/en/latest/walk-through/parameters, .../loops.
 */
#ifndef DESCPIPE_ARGO_FOLD_H
#define DESCPIPE_ARGO_FOLD_H

#include <jansson.h>
#include <stdbool.h>

enum { FOLD_PARAMETERS = 32, FOLD_NAME = 24 };

struct fold_parameter {
    char name[FOLD_NAME];
    json_t *values; /* texts, by the template's position */
};

struct fold {
    json_t *template;
    size_t count; /* of parameters */
    struct fold_parameter parameters[FOLD_PARAMETERS];
};

/* False: they cannot be one, or memory is short; nothing is held then. */
bool fold_make(json_t *const *templates, size_t count, struct fold *fold);
void fold_clear(struct fold *fold);
/* Equal for templates that can be one, but for the bytes of their texts; NULL when memory is short. Freed by the
 * caller. */
char *fold_shape(const json_t *template);
void fold_loop(const struct fold *fold, size_t count, json_t *task);
/* For the task of one of them. */
void fold_call(const struct fold *fold, size_t position, json_t *task);

#endif
