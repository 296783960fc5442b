/* SPDX-License-Identifier: BSD-3-Clause */
/* What settings are made of, shared by the files that fill, read and print them. */
#ifndef DESCPIPE_CONFIG_SETTINGS_VALUE_H
#define DESCPIPE_CONFIG_SETTINGS_VALUE_H

#include "base/list.h"
#include "config/node.h"
#include "config/settings.h"

struct settings_value {
    bool given, locked;
    enum layer layer;
    char *text;         /* TEXT, CHOICE, PATH; SECRET: its name */
    int64_t number;     /* INTEGER, DURATION, BYTES, BOOLEAN */
    struct words words; /* LIST, MAP */
    char *file;         /* of the place that said it */
    uint32_t line, column;
    char *locked_file;
    uint32_t locked_line, locked_column;
};

struct settings {
    const struct descpipe_option *const *options;
    size_t count;
    char *owner;
    struct settings_value *values;
};

/* One value on its way from a node into a slot. */
struct settings_reading {
    const struct descpipe_option *option;
    const struct document *document;
    const struct node *node;
    const char *what; /* "option 'qos' of scheduler/slurm" */
    struct problems *problems;
};
/* What the node says, by the option's type and range. False with a problem; what `value` got by then is the caller's to
 * clear. */
bool settings_value_read(const struct settings_reading *reading, struct settings_value *value);
void settings_value_clear(struct settings_value *value); /* the place that locked it stays */

/* The option's number in settings->options, settings->count when there is none. */
size_t settings_find(const struct settings *settings, const char *key);

#endif
