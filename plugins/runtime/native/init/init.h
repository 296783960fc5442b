/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of native-init share. */
#ifndef NATIVE_INIT_INIT_H
#define NATIVE_INIT_INIT_H

#include <stdint.h>

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNALLED 128 /* and the signal's number: bubblewrap's word for its child that was killed */

/* One line on standard error; answers the exit status that tells it. */
int say_failure(const char *what, const char *program, int number);
/* Ends this process as a command did whose wait status this is; comes back with an exit status when it exited. */
int end_alike(int status);

/* A developer's container; box.h tells how they talk. */
int box_keep(char **words);                   /* starts it, and ends when it can be entered */
int box_serve(void);                          /* is its first process */
int box_enter(const char *how, char **words); /* runs a command in it */
int box_end(uint64_t grace_ms);               /* stops all that runs in it */

#endif
