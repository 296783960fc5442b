/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a command gets into a developer's container: its first process serves a socket that lies in the container's
 * folder on this machine (mode 0700: nobody else reaches it), and starts what it is asked for.
 *
 * How it works: no namespace is ever entered from outside, which an ordinary user may not always do. A client sends one
 * head with its three standard streams (SCM_RIGHTS), then `length` bytes of texts that each end with NUL: a folder or
 * "", the command's words, the variables. It gets an answer when the command ended, and the command ends when the
 * client goes away. For a terminal the server makes one inside, which the command has as its own, and the client gets
 * its other side to carry bytes between it and the user's.
 */
#ifndef NATIVE_INIT_BOX_H
#define NATIVE_INIT_BOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BOX_SOCKET "socket"     /* in the container's folder, which is everybody's working folder here */
#define BOX_LOG "log"           /* what bubblewrap says while it starts */
#define BOX_SOCKET_DESCRIPTOR 9 /* the server's, handed through bubblewrap */
#define BOX_READY_DESCRIPTOR 8  /* a byte here: the container is there */

#define BOX_TEXTS_LIMIT ((uint32_t)8 * 1024 * 1024)
#define BOX_WORDS_LIMIT 65536u /* words and variables together */
#define BOX_COMMANDS_LIMIT 256 /* at a time */

enum { BOX_RUN = 1, BOX_RUN_TERMINAL = 2, BOX_END = 3 };
struct box_wish {
    uint32_t kind; /* BOX_ */
    uint32_t length;
    uint32_t words, variables;
    uint32_t rows, columns; /* RUN_TERMINAL */
    uint64_t grace_ms;      /* END */
};

enum { BOX_TERMINAL = 1, BOX_ENDED = 2, BOX_NOT_STARTED = 3 };
struct box_answer {
    uint32_t kind;  /* BOX_TERMINAL comes with its descriptor */
    int32_t number; /* ENDED: the wait status; NOT_STARTED: an errno */
};

/* All bytes of a small message, with these descriptors; -1 with errno. */
int box_send(int socket, const void *bytes, size_t length, const int *descriptors, size_t count);
/* As much as `length`, and as many descriptors as came, -1 for the others. 0: the other side is gone; -1 with errno. */
int box_receive(int socket, void *bytes, size_t length, int *descriptors, size_t count);

#endif
