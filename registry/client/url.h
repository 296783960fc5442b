/* SPDX-License-Identifier: BSD-3-Clause */
/* URLs as far as a registry needs them: joining, comparing origins, percent-encoding. */
#ifndef DESCPIPE_REGISTRY_URL_H
#define DESCPIPE_REGISTRY_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "registry/failure.h"

#define URL_LIMIT 16384 /* bytes */

/* http or https with a host, no login in it, no control characters or spaces. */
bool url_valid(const char *url);
/* The host with its port, borrowed inside of `url`. */
const char *url_host(const char *url, size_t *length);
bool url_is_loopback(const char *url);
bool url_is_plain(const char *url); /* http:// */
/* Scheme, host and port are the same. */
bool url_same_origin(const char *one, const char *other);
/* The same host name, whatever scheme and port. */
bool url_same_host(const char *one, const char *other);
/* `location` as an answer to `base` means it: a whole URL, "//host/...", "/path", "?query" or a relative path. Owned;
 * NULL with a failure. Source: RFC 3986 section 5.3. */
char *url_resolve(const char *base, const char *location, struct failure *failure);
/* base + "?" or "&" + name=value, the value encoded. Owned. */
char *url_add_parameter(const char *base, const char *name, const char *value, struct failure *failure);
/* The value as a part of a query or a form, owned. */
char *url_encode(const char *value, struct failure *failure);

#endif
