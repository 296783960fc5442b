/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the Engine is: what DOCKER_HOST or the option `host` says, taken apart. */
#ifndef DESCPIPE_DOCKER_ADDRESS_H
#define DESCPIPE_DOCKER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_DEFAULT "unix:///var/run/docker.sock"
enum { ADDRESS_LIMIT = 512 };

struct address {
    char text[ADDRESS_LIMIT];   /* as given, for messages */
    char socket[ADDRESS_LIMIT]; /* absolute path, "" for tcp */
    char base[ADDRESS_LIMIT];   /* "http://localhost", "https://host:2376": a path follows */
    char host[ADDRESS_LIMIT];   /* the machine's name, "" for a Unix socket */
};

/* `tls`: TLS is asked for by the environment; it changes tcp:// only. On failure `message` says what is wrong and
 * `hint` (static) what to do. */
bool address_parse(const char *text, bool tls, struct address *address, char *message, size_t message_size,
                   const char **hint);

#endif
