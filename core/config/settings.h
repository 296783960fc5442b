/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Option values of one plugin: checked against its option table, defaults filled in. This is the plugin
 * interface's struct descpipe_settings. Every value knows where it came from.
 */
#ifndef DESCPIPE_CONFIG_SETTINGS_H
#define DESCPIPE_CONFIG_SETTINGS_H

#include <descpipe/option.h>

#include "base/problem.h"
#include "base/text.h"
#include "config/document.h"

struct settings; /* may be cast to struct descpipe_settings for plugins */

/* Who said a value; later wins. */
enum layer { LAYER_DEFAULT = 0, LAYER_SITE, LAYER_USER, LAYER_PIPELINE, LAYER_ENVIRONMENT, LAYER_COMMAND };
const char *layer_name(enum layer layer); /* "default", "site", "user", "pipeline", "environment", "command line" */

/* `options` is a plugin's table (may be NULL: no options) and must outlive the settings. `owner` is "scheduler/slurm",
 * for messages. */
struct settings *settings_new(const struct descpipe_option *const *options, const char *owner);
void settings_free(struct settings *settings);
DEFINE_CLEANUP(struct settings *, settings_free);

/* One value from a document (any node kind the type takes), replacing earlier layers. An unknown key, a wrong type, a
 * value out of range, a key locked by the site or a literal secret is a problem at the node's place, with the nearest
 * key as hint. */
void settings_set_node(struct settings *settings, const char *key, struct place key_place, const struct node *value,
                       const struct document *document, enum layer layer, struct problems *problems);
/* One value as text, from -o kind.key=value or the environment. A list is "a,b" or "[a, b]", a map "x=1,y=2" or "{x:
 * 1}", a secret
 * "{secret: NAME}". A deprecated key also sets the one that replaces it. `place` may name an option or variable as its
 * file. */
void settings_set_text(struct settings *settings, const char *key, const char *value, struct place place,
                       enum layer layer, struct problems *problems);
bool settings_has(const struct settings *settings, const char *key); /* the table has this option */
void settings_lock(struct settings *settings, const char *key,
                   struct place by); /* the site's: later layers are refused */
/* Required keys present; relative paths made absolute against `base`. Call once, last. */
void settings_finish(struct settings *settings, struct place place, const char *base, struct problems *problems);

/* Reading, as host.h's config service says. */
bool settings_given(const struct settings *settings, const char *key);
const char *settings_text(const struct settings *settings, const char *key);
int64_t settings_integer(const struct settings *settings, const char *key);
bool settings_boolean(const struct settings *settings, const char *key);
const char *const *settings_list(const struct settings *settings, const char *key);
const char *const *settings_map(const struct settings *settings, const char *key);
/* The reference of a secret option ("earthdata"), never its value; NULL when not given. */
const char *settings_secret_name(const struct settings *settings, const char *key);
/* Origin of a value: layer and place; false for an unknown key. */
bool settings_origin(const struct settings *settings, const char *key, enum layer *layer, struct place *place);
/* {"key": value, ...} of the given (not default) values, secrets as {"secret": "NAME"}; appended. */
void settings_print_json(const struct settings *settings, struct text *out);

#endif
