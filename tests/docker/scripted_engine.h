/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Docker Engine that says exactly what a script says, on a Unix socket and a thread of its own: for the faults that
 * the real one will not produce on demand.
 */
#ifndef DESCPIPE_TESTS_DOCKER_SCRIPTED_ENGINE_H
#define DESCPIPE_TESTS_DOCKER_SCRIPTED_ENGINE_H

#include <stddef.h>

enum script_mode {
    SCRIPT_WHOLE = 0,
    SCRIPT_CUT,  /* the head promises more than comes */
    SCRIPT_HANG, /* the head and what there is of the body come, and then nothing */
    SCRIPT_MUTE, /* the connection closes without a word */
    SCRIPT_FLOOD /* `status` 200 and a body without an end */
};

/* Requests take the first line whose `request` is the beginning of theirs ("GET /v1.41/x") and that is not used up;
 * a line with `request` NULL ends the script. A line can be used `times` times, 0: for ever. */
struct script_line {
    const char *request;
    int status;
    const char *body; /* NULL: empty */
    enum script_mode mode;
    int times;
    size_t length; /* of the body, when it holds NULs */
};

struct scripted_engine;
struct scripted_engine *scripted_engine_start(const char *socket_path, const struct script_line *script);
void scripted_engine_stop(struct scripted_engine *engine);
/* What was asked so far, "METHOD /path\n" and the X-Registry-Auth header where there was one; valid until stop. */
const char *scripted_engine_asked(struct scripted_engine *engine);

#endif
