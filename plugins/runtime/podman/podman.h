/* SPDX-License-Identifier: BSD-3-Clause */
/* One opened runtime `podman`, as its files share it. */
#ifndef PODMAN_PODMAN_H
#define PODMAN_PODMAN_H

#include <descpipe/plugin.h>

#include "registry/failure.h"

#include "tool/access.h"

#include "arguments.h"

struct podman {
    const struct descpipe_host *host;
    char *tool;                      /* absolute; NULL: not found */
    const char *cache;               /* for files that live while a command runs; NULL: there is no place */
    const char *const *global_words; /* between the program and its command, never NULL */
    const char *const *run_words;    /* after `run`, never NULL */
    const char *network;
    bool init, limits;
    bool hpc; /* the tool is podman-hpc */
    uint64_t pull_timeout_ms;
};

#define PODMAN_TOOL_MESSAGE "podman is not on this machine"
#define PODMAN_TOOL_HINT "install it (Debian: apt install podman), or name it with the option 'tool'"

void podman_probe(void *self, struct descpipe_call *call);
void podman_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image);
void podman_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare);
void podman_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);
/* developer.c */
void podman_shell(void *self, struct descpipe_call *call, const struct descpipe_stage *stage);
void podman_exec(void *self, struct descpipe_call *call, const struct descpipe_exec *exec);
void podman_stop(void *self, struct descpipe_call *call, const struct descpipe_stop *stop);
void podman_release(void *self, struct descpipe_call *call, const struct descpipe_container *container);
void podman_commit(void *self, struct descpipe_call *call, const struct descpipe_commit *commit);
void podman_changes(void *self, struct descpipe_call *call, const struct descpipe_container *container);
void podman_copy_out(void *self, struct descpipe_call *call, const struct descpipe_copy *copy);
void podman_push(void *self, struct descpipe_call *call, const struct descpipe_push *push);

/* The `run` of a developer's container. False with a failure. */
bool podman_write_shell(const struct podman *podman, const struct descpipe_stage *stage, struct arguments *argv,
                        struct arguments *environment, struct failure *failure);
/* The program and its global words. */
void podman_begin(const struct podman *podman, struct arguments *argv);
/* A command whose further words hold some of a user's; `own`: an option of podman-hpc's own, or NULL. */
void podman_add_command(const struct podman *podman, struct arguments *argv, const char *command, const char *own);
/* What the client needs of our environment. */
void podman_environment(const struct podman *podman, struct arguments *environment);
/* How a registry is reached, in the client's options. `credential` may be NULL. */
void podman_add_access(struct arguments *argv, const struct access_files *files,
                       const struct descpipe_credential *credential);
/* The kind of failure in the words of Podman and the library it moves images with; *hint stays when there is none. */
uint32_t podman_judge(const char *errors, const char **hint);
/* Is it a name that the client itself obeys? */
bool podman_needs(const char *entry);

#endif
