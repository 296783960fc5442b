/* SPDX-License-Identifier: BSD-3-Clause */
/* One template of many; fold.h says how it works. */
#include "fold.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workflow.h"

enum { FOLD_DEPTH = 16 };

/* What says which templates may be one: texts under these keys are the same in all. */
static bool is_fixed(const char *key)
{
    static const char *const fixed[] = {"image", "name", "mountPath", WORKFLOW_ATTEMPT};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
        if (strcmp(key, fixed[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Which object it is may differ, though it is called `name`. */
static bool is_reference(const char *key)
{
    return strcmp(key, "configMap") == 0;
}

/* Argo writes a value into the template's JSON by Go's rules for quoting, which are JSON's for these bytes only. */
static bool is_safe(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == 0x7f) {
            return false;
        }
    }
    return strstr(text, "{{") == NULL;
}

void fold_clear(struct fold *fold)
{
    json_decref(fold->template);
    for (size_t i = 0; i < fold->count; i++) {
        json_decref(fold->parameters[i].values);
    }
    *fold = (struct fold){.template = NULL};
}

/* Words stay whole: "s-g", "s-r" differ in "g" and "r", "a10", "a11" in all of it. */
static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The common beginning and end of all texts. */
static void measure(json_t *const *texts, size_t count, size_t *before, size_t *after)
{
    const char *first = json_string_value(texts[0]);
    size_t length = strlen(first), shortest = length;
    *before = *after = length;
    for (size_t i = 1; i < count; i++) {
        const char *text = json_string_value(texts[i]);
        size_t other = strlen(text), b = 0, a = 0;
        while (b < *before && text[b] == first[b] && text[b] != '\0') {
            b++;
        }
        while (a < *after && a < other && text[other - 1 - a] == first[length - 1 - a]) {
            a++;
        }
        *before = b;
        *after = a;
        shortest = other < shortest ? other : shortest;
    }
    while (*before > 0 && is_word(first[*before - 1])) {
        (*before)--;
    }
    *after = *before + *after > shortest ? shortest - *before : *after;
    while (*after > 0 && is_word(first[length - *after])) {
        (*after)--;
    }
}

/* The parameter with these values, a new one if need be. NULL: there are too many, or bytes that are not safe. */
static const struct fold_parameter *parameter_of(struct fold *fold, const char *key, json_t *values)
{
    for (size_t i = 0; i < fold->count; i++) {
        if (json_equal(fold->parameters[i].values, values)) {
            json_decref(values);
            return &fold->parameters[i];
        }
    }
    bool good = fold->count < FOLD_PARAMETERS;
    for (size_t i = 0; good && i < json_array_size(values); i++) {
        good = is_safe(json_string_value(json_array_get(values, i)));
    }
    if (!good) {
        json_decref(values);
        return NULL;
    }
    struct fold_parameter *parameter = &fold->parameters[fold->count++];
    const char *slash = strrchr(key, '/');
    parameter->values = values;
    snprintf(parameter->name, sizeof(parameter->name), "p%zu", fold->count);
    if (slash != NULL && strncmp(key, "descpipe.org/", 13) == 0 && strlen(slash) <= FOLD_NAME) {
        snprintf(parameter->name, sizeof(parameter->name), "%s", slash + 1);
        for (size_t i = 0; i + 1 < fold->count; i++) { /* it is taken: a label and an annotation of one name */
            if (strcmp(fold->parameters[i].name, parameter->name) == 0) {
                snprintf(parameter->name, sizeof(parameter->name), "p%zu", fold->count);
            }
        }
    }
    return parameter;
}

/* Texts of one place. NULL: they cannot be one. */
static json_t *fold_texts(struct fold *fold, const char *key, json_t *const *texts, size_t count)
{
    bool same = true;
    for (size_t i = 1; i < count && same; i++) {
        same = strcmp(json_string_value(texts[i]), json_string_value(texts[0])) == 0;
    }
    if (same) {
        return json_incref(texts[0]);
    }
    if (is_fixed(key)) {
        return NULL;
    }
    size_t before, after;
    json_t *values = json_array();
    measure(texts, count, &before, &after);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(texts[i]);
        json_array_append_new(values, json_stringn(text + before, strlen(text) - before - after));
    }
    const struct fold_parameter *parameter = parameter_of(fold, key, values);
    const char *first = json_string_value(texts[0]);
    return parameter != NULL ? json_sprintf("%.*s{{inputs.parameters.%s}}%s", (int)before, first, parameter->name,
                                            first + strlen(first) - after)
                             : NULL;
}

static json_t *fold_values(struct fold *fold, const char *key, json_t *const *values, size_t count, unsigned depth);

struct siblings {
    const char *key; /* of the value that they are in */
    json_t *const *values;
    size_t count;
    unsigned depth;
};

static json_t *fold_children(struct fold *fold, const struct siblings *of, json_t **children)
{
    json_t *const *values = of->values;
    size_t count = of->count;
    bool is_object = json_is_object(values[0]), good = true;
    json_t *all = is_object ? json_object() : json_array();
    size_t size = is_object ? json_object_size(values[0]) : json_array_size(values[0]);
    void *at = json_object_iter(values[0]);
    for (size_t n = 0; good && n < size; n++) {
        const char *key = is_object ? json_object_iter_key(at) : "";
        for (size_t i = 0; i < count && good; i++) {
            children[i] = is_object ? json_object_get(values[i], key) : json_array_get(values[i], n);
            good = children[i] != NULL &&
                   (n > 0 || size == (is_object ? json_object_size(values[i]) : json_array_size(values[i])));
        }
        json_t *one = good ? fold_values(fold, is_reference(of->key) ? "" : key, children, count, of->depth + 1) : NULL;
        good = one != NULL && (is_object ? json_object_set_new(all, key, one) : json_array_append_new(all, one)) == 0;
        at = is_object ? json_object_iter_next(values[0], at) : NULL;
    }
    if (!good) {
        json_decref(all);
        return NULL;
    }
    return all;
}

/* Our own templates are a few levels deep. */
static json_t *fold_values(struct fold *fold, const char *key, json_t *const *values, size_t count, unsigned depth)
{
    json_type type = json_typeof(values[0]);
    bool good = depth < FOLD_DEPTH;
    for (size_t i = 1; i < count && good; i++) {
        good = json_typeof(values[i]) == type &&
               (type == JSON_OBJECT || type == JSON_ARRAY || type == JSON_STRING || json_equal(values[i], values[0]));
    }
    if (!good) {
        return NULL;
    }
    if (type == JSON_STRING) {
        return fold_texts(fold, key, values, count);
    }
    if (type != JSON_OBJECT && type != JSON_ARRAY) {
        return json_incref(values[0]);
    }
    json_t **children = calloc(count, sizeof(json_t *));
    const struct siblings of = {.key = key, .values = values, .count = count, .depth = depth};
    json_t *all = children != NULL ? fold_children(fold, &of, children) : NULL;
    free(children);
    return all;
}

bool fold_make(json_t *const *templates, size_t count, struct fold *fold)
{
    *fold = (struct fold){.template = NULL};
    fold->template = fold_values(fold, "", templates, count, 0);
    json_t *parameters = json_array();
    for (size_t i = 0; i < fold->count; i++) {
        json_array_append_new(parameters, json_pack("{s:s}", "name", fold->parameters[i].name));
    }
    if (fold->template == NULL || fold->count == 0) {
        json_decref(parameters);
        fold_clear(fold);
        return false;
    }
    json_t *inputs = json_object_get(fold->template, "inputs"); /* artifacts, where files are such */
    if (inputs == NULL) {
        inputs = json_object();
        json_object_set_new(fold->template, "inputs", inputs);
    }
    json_object_set_new(inputs, "parameters", parameters);
    return true;
}

/* Texts that may differ become empty. */
static json_t *shape_of(const char *key, const json_t *value, unsigned depth)
{
    const char *name;
    json_t *child, *all;
    size_t n;
    if (json_is_string(value) && !is_fixed(key)) {
        return json_string("");
    }
    if (depth == FOLD_DEPTH || (!json_is_object(value) && !json_is_array(value))) {
        return json_deep_copy(value);
    }
    all = json_is_object(value) ? json_object() : json_array();
    json_object_foreach((json_t *)(uintptr_t)value, name, child)
    {
        json_object_set_new(all, name, shape_of(is_reference(key) ? "" : name, child, depth + 1));
    }
    json_array_foreach(value, n, child)
    {
        json_array_append_new(all, shape_of("", child, depth + 1));
    }
    return all;
}

char *fold_shape(const json_t *template)
{
    json_t *shape = shape_of("", template, 0);
    char *text = json_dumps(shape, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(shape);
    return text;
}

/* "0", "1", "2" ... */
static bool counts_up(const json_t *values)
{
    for (size_t i = 0; i < json_array_size(values); i++) {
        char number[24];
        snprintf(number, sizeof(number), "%zu", i);
        if (strcmp(json_string_value(json_array_get(values, i)), number) != 0) {
            return false;
        }
    }
    return true;
}

static void set_arguments(json_t *task, json_t *parameters)
{
    json_object_set_new(task, "arguments", json_pack("{s:o}", "parameters", parameters));
}

void fold_loop(const struct fold *fold, size_t count, json_t *task)
{
    json_t *parameters = json_array();
    const json_t *only = fold->count == 1 ? fold->parameters[0].values : NULL;
    for (size_t p = 0; p < fold->count; p++) {
        const char *name = fold->parameters[p].name;
        json_array_append_new(parameters,
                              json_pack("{s:s, s:o}", "name", name, "value",
                                        only != NULL ? json_string("{{item}}") : json_sprintf("{{item.%s}}", name)));
    }
    set_arguments(task, parameters);
    if (only != NULL && counts_up(only)) {
        json_object_set_new(task, "withSequence", json_pack("{s:o}", "count", json_sprintf("%zu", count)));
        return;
    }
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *item = only != NULL ? json_incref(json_array_get(only, i)) : json_object();
        for (size_t p = 0; only == NULL && p < fold->count; p++) {
            json_object_set(item, fold->parameters[p].name, json_array_get(fold->parameters[p].values, i));
        }
        json_array_append_new(items, item);
    }
    json_object_set_new(task, "withItems", items);
}

void fold_call(const struct fold *fold, size_t position, json_t *task)
{
    json_t *parameters = json_array();
    for (size_t p = 0; p < fold->count; p++) {
        json_array_append_new(parameters, json_pack("{s:s, s:O}", "name", fold->parameters[p].name, "value",
                                                    json_array_get(fold->parameters[p].values, position)));
    }
    set_arguments(task, parameters);
}
