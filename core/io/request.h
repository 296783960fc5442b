/* SPDX-License-Identifier: BSD-3-Clause */
/* What may be sent over HTTP: the checks of a request, free of the library that sends it. */
#ifndef DESCPIPE_IO_REQUEST_H
#define DESCPIPE_IO_REQUEST_H

#include <descpipe/host.h>

#include "base/error.h"
#include "base/text.h"

/* Method, URL characters, header lines and secrets: nothing that could end a line early and begin another. */
bool request_check(const struct descpipe_http_request *request, struct error *error);
/* "localhost", names under ".localhost", 127.0.0.0/8 and ::1; an IPv6 host with or without its brackets. */
bool request_host_is_loopback(const char *host);
/* True for a header that may go to another origin than the one it was meant for. */
bool request_header_may_travel(const char *line);
/* True when `line` is a header named `name`, whatever the case. */
bool request_header_is(const char *line, const char *name);
/* Repeating these does nothing new (RFC 9110 section 9.2.2), so a dead kept connection may be tried anew. */
bool request_method_is_idempotent(const char *method);
/* The method for the next hop of a redirect (RFC 9110 section 15.4): 303 makes all but HEAD a GET, 301 and 302 a POST.
 */
const char *request_method_after(const char *method, long status);
/* The URL for messages: without the query, where presigned URLs carry their signature. */
void request_append_url(struct text *text, const char *url);

#endif
