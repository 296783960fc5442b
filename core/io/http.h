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
/* How it is done:
 * - Redirects are followed here, not by curl: at most 10, every hop checked as the first was. To another origin
 * (scheme, host and port) no login, no client certificate, no body and only harmless headers go along, and never from
 * another machine to loopback.
 * - POST, PATCH and unknown methods take a connection of their own: on a kept one that has died meanwhile curl would
 * send them again, and the server may have acted on the first.
 * - A body goes to answer_descriptor only when the status is 2xx; what an error says comes through `data`.
 * - Time that passes before the connection is made does not count as idle; connect_timeout_ms bounds it.
 * - CANNOT_CONNECT means that surely nothing was sent, whatever the reason, a deadline too.
 */
struct http *http_new(struct loop *loop, struct error *error);
void http_free(struct http *http); /* stops what is open: each `ended` comes with STOPPED first */
DEFINE_CLEANUP(struct http *, http_free);

/* Never NULL; every failure comes through `ended`, after this has returned. Refuses (CANNOT_CONNECT with a message):
 * plain http to a host that is not loopback without PLAIN_ALLOWED, schemes other than http and https, header lines with
 * CR or LF. */
struct descpipe_exchange *http_start(struct http *http, const struct descpipe_http_request *request);
void http_stop(struct descpipe_exchange *exchange);

#endif
