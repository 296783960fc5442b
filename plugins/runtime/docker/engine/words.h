/* SPDX-License-Identifier: BSD-3-Clause */
/* Docker's words about a container that could not be made or started, as a person wants to read them. */
#ifndef DESCPIPE_DOCKER_WORDS_H
#define DESCPIPE_DOCKER_WORDS_H

#include "engine/answer.h"

/* Leaves out the layers of software through which the error came; *hint (static, or NULL) says what to do. */
void words_read_start(const char *given, char words[ANSWER_WORDS], const char **hint);

#endif
