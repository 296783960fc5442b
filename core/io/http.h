/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP on the loop, by curl's multi interface; the only header whose .c includes curl. Connections are kept
 * and shared per `struct http`. The request is the plugin interface's own struct, so that the host service is
 * a thin shell: see descpipe/host.h for what each field means. Secrets are struct secret.
 */
#ifndef DESCPIPE_IO_HTTP_H
#define DESCPIPE_IO_HTTP_H

#include <descpipe/host.h>

#include "io/loop.h"

struct http;
struct http *http_new(struct loop *loop, struct error *error);
void http_free(struct http *http); /* stops what is open: each `ended` comes with STOPPED first */
DEFINE_CLEANUP(struct http *, http_free);

/* Never NULL; every failure comes through `ended`, after this has returned. Refuses (CANNOT_CONNECT with a message):
 * plain http to a host that is not loopback without PLAIN_ALLOWED, schemes other than http and https, header lines with CR or LF. */
struct descpipe_exchange *http_start(struct http *http, const struct descpipe_http_request *request);
void http_stop(struct descpipe_exchange *exchange);

#endif
