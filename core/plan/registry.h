/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which registry plugin serves an image; loaded and opened when an image first needs it.
 *
 * How it works: a name without a host belongs to the registry of its backend. A reference with a host goes to the first
 * plugin that accepts it: those that are open already (a backend's own, with its own options) come first, then all that
 * are installed, by name. `oci` is asked last, because it takes any host.
 */
#ifndef DESCPIPE_PLAN_REGISTRY_H
#define DESCPIPE_PLAN_REGISTRY_H

#include "config/layers.h"
#include "plugin/instance.h"

#define REGISTRY_DEADLINE_MS 120000 /* of one question: its plugin may wait for a limit to be over, or try again */

struct registries;
/* All outlive it. */
struct registries *registries_new(struct plugin_host *host, struct plugin_catalogue *catalogue,
                                  const struct config_layers *layers);
void registries_free(struct registries *registries); /* closes its plugins */
DEFINE_CLEANUP(struct registries *, registries_free);
const struct config_layers *registries_layers(const struct registries *registries);

bool registries_has(const struct registries *registries, const char *name); /* installed and allowed */
/* The plugin of this name, opened with these settings, which it takes (NULL: what the layers say). What it answers
 * belongs to `registries`. NULL with the error. */
struct plugin_instance *registries_open(struct registries *registries, const char *name, struct settings *settings,
                                        struct error *error);
/* Who serves this reference, which has a host. NULL with the error; NULL without one when nobody here does. */
struct plugin_instance *registries_for(struct registries *registries, const char *reference, struct error *error);
/* From now on logins for this repository are asked of this plugin. */
void registries_remember(struct registries *registries, const char *reference, struct plugin_instance *instance);
/* "dockerhub" */
const char *registry_name(const struct plugin_instance *instance);
bool registry_takes_any(const struct plugin_instance *instance); /* the plugin that is asked last */

/* The host's callback `credential`; `context` is the struct registries. */
void registries_credential(void *context, const struct descpipe_image *image, uint32_t purpose,
                           void (*got)(void *plugin, const struct descpipe_credential *credential, const char *message),
                           void *plugin);

/* Why a runtime's call for an image failed, in its own words: kind unset, message and hint. Where a login was refused,
 * whose it was and where it came from is added, unless the message says so itself; never the secret. */
void registries_explain(const struct registries *registries, const char *asked, const struct call_result *result,
                        struct error *error);

#endif
