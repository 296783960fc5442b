/* SPDX-License-Identifier: BSD-3-Clause */
/* One opened runtime `native`, as its files share it. */
#ifndef NATIVE_NATIVE_H
#define NATIVE_NATIVE_H

#include <stdbool.h>

#include <descpipe/plugin.h>

struct registry_clients;

struct native {
    const struct descpipe_host *host;
    char *tool;           /* bubblewrap, absolute; NULL: not found */
    char *init;           /* native-init, absolute */
    char *store;          /* absolute; NULL: there is no place for one */
    uint64_t layer_bytes; /* the most that one layer may unpack to */
    bool keep_layers;     /* as they were fetched, so that they can be pushed again */
    struct registry_clients *clients;
    struct held *held; /* images that this process prepared; native_hold */
};

/* Ends the call when there is no folder to keep images in; true when there is one. */
bool native_has_store(const struct native *native, struct descpipe_call *call);

struct store;
/* The image stays in the store until the runtime is closed. */
void native_hold(struct native *native, const struct store *store, const char *config_digest);

void native_probe(void *self, struct descpipe_call *call);
void native_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image);
void native_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare);
void native_push(void *self, struct descpipe_call *call, const struct descpipe_push *push);
void native_prune(void *self, struct descpipe_call *call, const struct descpipe_prune *prune);
void native_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);

/* Does a stage, or a container, see the machine's network? */
bool native_wants_network(const struct native *native, const struct descpipe_stage *stage);
/* An image that we unpacked; a folder of the user's own (rootfs:) has no environment. */
bool native_is_of_store(const struct native *native, const char *handle);

/* developer.c */
void native_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);
void native_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec);
void native_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop);
void native_release(void *self, struct descpipe_call *call, const struct descpipe_container *container);
void native_changes(void *self, struct descpipe_call *call, const struct descpipe_container *container);
void native_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy);
void native_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit);

/* What `doctor` and a failed launch say when the tool is not there. */
#define NATIVE_TOOL_HINT "install it (Debian: apt install bubblewrap), or name it with the option 'tool'"

#endif
