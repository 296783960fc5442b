/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this installation has, as commands use it: site policy and plugin catalogue (nothing loaded), and on demand the
 * loop, the plugin host and the layers of configuration.
 */
#ifndef DESCPIPE_COMMAND_INSTALLATION_H
#define DESCPIPE_COMMAND_INSTALLATION_H

#include "command/command.h"
#include "config/layers.h"
#include "io/loop.h"
#include "plan/registry.h"
#include "plugin/catalogue.h"
#include "plugin/instance.h"

struct installation {
    struct policy *policy;
    struct plugin_catalogue *catalogue;
    struct loop *loop;        /* installation_open_host */
    struct plugin_host *host; /* likewise */
    char *user_file;          /* installation_search */
    struct config_layers *layers;
    struct registries *registries;          /* installation_open_registries */
    LIST(struct descpipe_secret *) secrets; /* given to plugins */
    struct words plugin_dirs;               /* absolute */
    /* What schedulers say of jobs, for who submits one; NULL: nobody wants it. Borrowed. */
    void (*changed)(void *context, const struct descpipe_change *change);
    void *changed_context;
};
void installation_clear(struct installation *installation);
static inline void installation_clear_at(struct installation *place)
{
    installation_clear(place);
}
/* Policy and the folders of --plugin-dir: for who leaves the catalogue to another process. */
bool installation_open_folders(struct installation *installation, const struct invocation *invocation,
                               struct error *error);
/* Policy and catalogue. */
bool installation_open(struct installation *installation, const struct invocation *invocation, struct error *error);
/* Loop and plugin host; no plugin is loaded by this. */
bool installation_open_host(struct installation *installation, struct error *error);
/* What a search needs of this user and machine, borrowed from `installation`: its site folder, user file, environment.
 * The command line's part is the caller's. */
void installation_search(struct installation *installation, struct config_search *search);
/* Site, user, environment and command line. */
bool installation_read_layers(struct installation *installation, const struct config_search *search,
                              struct problems *problems);

/* After host and layers: plugins may ask for logins and for the secrets that their options name. */
void installation_open_registries(struct installation *installation);

/* Problems to standard error as people see them; the exit status: 2 when there are errors. */
int command_print_problems(struct problems *problems, bool quiet);

#endif
