/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layers of configuration around a pipeline. Later wins: built-in defaults · site · user · pipeline · environment ·
 * command line.
 *
 * Site files (*.yaml of the site folder, in the order of their names, later wins) and the user's file hold:
 *
 *     site: nersc                             # what this place is called: in the journal and in provenance.json
 *     shared-cache: /shared/descpipe          # a group's folder of results: cache/shared.h
 *     default-backend: nersc
 *     backends: {nersc: {scheduler: {use: slurm, account: m1727}, runtime: shifter}}     # as in a pipeline
 *     options: {scheduler: {slurm: {qos: regular}}, runtime: {docker: {host: "unix:///run/docker.sock"}}}
 *     runtime-order: [docker, native]         # what `auto` tries, in this order
 *     working: /scratch/work                  # folders used when the pipeline names none
 *     output: /scratch/out
 *     secrets: {earthdata: {env: TOKEN}, archive: {file: /path}, vault: {command: [tool, read, x]}}
 *     on-exit: {command: [notify-send, done]}   # when a run is over: config/on_exit.h
 *     mirrors: {docker.io: registry.site.org/hub}     # images of that host, or below that path, are asked for there
 *     lock: [scheduler.slurm.account, backend, runtime]     # site only: no later layer may say these
 *
 * A lock is kind.plugin.option (an option), backends.NAME, or one of the values below (backend, scheduler, runtime,
 * registry, working, output, jobs, site, shared-cache, runtime-order), or secrets, mirrors (the user may not define their own),
 * on-exit (nor may a pipeline).
 *
 * The environment: DESCPIPE_BACKEND, DESCPIPE_SCHEDULER, DESCPIPE_RUNTIME, DESCPIPE_REGISTRY, DESCPIPE_WORKING,
 * DESCPIPE_OUTPUT, DESCPIPE_JOBS, DESCPIPE_SITE, and DESCPIPE_OPTION_<KIND>_<KEY>=value for an option of whichever
 * plugin of that kind is in use (DESCPIPE_OPTION_SCHEDULER_QOS is qos; '_' stands for '-'). An environment outlives one
 * command, so a key the plugin does not have is a note there.
 *
 * The command line: -o kind.key=value for the plugin of that kind in use, -o kind/plugin.key=value for that plugin only
 * (a pipeline may use several). A key the plugin does not have is an error.
 */
#ifndef DESCPIPE_CONFIG_LAYERS_H
#define DESCPIPE_CONFIG_LAYERS_H

#include "base/text.h"
#include "config/backend.h"
#include "config/on_exit.h"
#include "config/settings.h"

#define CONFIG_SITE_FOLDER "/etc/descpipe"

/* Where to look; all borrowed for the length of config_layers_read. */
struct config_search {
    const char *site_folder;        /* NULL: none; need not exist */
    const char *user_file;          /* NULL: none; need not exist */
    const char *const *environment; /* NAME=value …, NULL: none */
    const char *const *options;     /* of -o: "kind.key=value" …, NULL: none */
    /* --backend, --scheduler, --runtime, --registry, --working, --output, --jobs; NULL: not said */
    const char *backend, *scheduler, *runtime, *registry, *working, *output, *jobs;
};
/* $XDG_CONFIG_HOME/descpipe/config.yaml, else $HOME/.config/descpipe/config.yaml, else NULL; owned by the caller. */
char *config_user_file(const char *const *environment);

struct config_layers;
/* Reads every file and checks what can be checked without plugins. NULL when a problem of level error was added. */
struct config_layers *config_layers_read(const struct config_search *search, struct problems *problems);
void config_layers_free(struct config_layers *layers);
DEFINE_CLEANUP(struct config_layers *, config_layers_free);

/* The user's or else the site's backend of this name, or NULL. A pipeline's own comes before both and is the caller's
 * to ask. */
const struct backend *config_layers_backend(const struct config_layers *layers, const char *name);
/* The names of all of them, NULL-terminated, for "did you mean"; borrowed. */
const char *const *config_layers_backend_names(const struct config_layers *layers);

/* "backend", "scheduler", "runtime", "registry", "working", "output", "jobs", "site" or "shared-cache": what the highest layer says, or
 * NULL. The pipeline's own word stands between: it wins unless *layer > LAYER_PIPELINE or config_layers_locked. place
 * and layer may be NULL. */
const char *config_layers_value(const struct config_layers *layers, const char *key, struct place *place,
                                enum layer *layer);
/* True when the site locked this value; `by` (may be NULL) is where. */
bool config_layers_locked(const struct config_layers *layers, const char *key, struct place *by);
/* What `auto` tries, NULL-terminated; never empty, never "host". */
const char *const *config_layers_runtime_order(const struct config_layers *layers);

/* Site and user defaults of a plugin, and the site's locks: call first, then set the pipeline's options, then call the
 * other. */
void config_layers_apply_before(const struct config_layers *layers, const char *kind, const char *plugin,
                                struct settings *settings, struct problems *problems);
/* Environment and command line. */
void config_layers_apply_after(const struct config_layers *layers, const char *kind, const char *plugin,
                               struct settings *settings, struct problems *problems);

/* Where a secret's value is to be had; read by whoever needs it, at the moment of use. All borrowed from the layers. */
enum secret_from { SECRET_FROM_ENVIRONMENT = 1, SECRET_FROM_FILE, SECRET_FROM_COMMAND };
struct secret_source {
    enum secret_from from;
    const char *text;        /* the variable's name or the file's absolute path; NULL for a command */
    const char *const *argv; /* of the command, NULL-terminated; its first output line is the secret */
    struct place place;
};
bool config_layers_secret(const struct config_layers *layers, const char *name, struct secret_source *source);

/* What LAYER_SITE or LAYER_USER says of it, or NULL. */
const struct on_exit *config_layers_on_exit(const struct config_layers *layers, enum layer layer);

/* Where an image is asked for instead: its full reference (with a host) behind the longest mirrored prefix that it has,
 * of the site's or else the user's files. Owned; NULL: at its own place. */
char *config_layers_mirror(const struct config_layers *layers, const char *reference);

/* For `descpipe config [--origin] [--json]`: every value and who said it; appended. Values of options that sound like
 * secrets are not shown. */
void config_layers_print(const struct config_layers *layers, bool json, struct text *out);

/* True for TOKEN, API_KEY, db-password …: values under such a name belong into `secrets:`. */
bool name_sounds_secret(const char *name);

#endif
