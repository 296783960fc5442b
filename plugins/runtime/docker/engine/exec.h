/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said to the Engine about a command in a running container, about its changes and its commit, and what it
 * answers. */
#ifndef DESCPIPE_DOCKER_EXEC_H
#define DESCPIPE_DOCKER_EXEC_H

#include <descpipe/runtime.h>

#include "engine/answer.h"
#include "engine/bytes.h"

/* The body of POST /containers/NAME/exec. It may hold secrets: wipe it. False when something is not UTF-8 or memory is
 * short. */
bool exec_write(const struct descpipe_exec *exec, struct bytes *body);

/* GET /exec/ID/json */
struct exec_facts {
    bool running;
    int32_t exit_code;
};
bool answer_read_exec(const char *text, size_t length, struct exec_facts *facts);

/* GET /containers/NAME/changes: "A /path", "C /path", "D /path" for each. */
bool answer_read_changes(const char *text, size_t length, void (*found)(void *context, const char *line),
                         void *context);

/* The query of POST /commit: what the new image is called and does. False as above. */
bool commit_write(const struct descpipe_commit *commit, const char *container, struct bytes *path);

#endif
