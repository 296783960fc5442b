/* SPDX-License-Identifier: BSD-3-Clause */
/* URLs as far as a registry needs them. */
#include "registry/client/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/ownership.h"
#include "registry/reference.h"

/* Behind "http://" or "https://", or NULL. */
static const char *behind_scheme(const char *url)
{
    if (strncasecmp(url, "https://", 8) == 0)
        return url + 8;
    return strncasecmp(url, "http://", 7) == 0 ? url + 7 : NULL;
}

const char *url_host(const char *url, size_t *length)
{
    const char *host = behind_scheme(url);
    *length = host != NULL ? strcspn(host, "/?#") : 0;
    return host;
}

bool url_valid(const char *url)
{
    size_t length;
    const char *host = url_host(url, &length);
    if (host == NULL || length == 0 || strlen(url) > URL_LIMIT)
        return false;
    for (const char *c = url; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return false;
    char name[300];
    if (length >= sizeof name)
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    return reference_host_valid(name); /* which has no '@' */
}

bool url_is_loopback(const char *url)
{
    size_t length;
    char name[300];
    const char *host = url_host(url, &length);
    if (host == NULL || length >= sizeof name)
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    return reference_host_is_loopback(name);
}

bool url_is_plain(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0;
}

/* The host without a port that the scheme means anyway. */
static size_t significant_length(const char *url, const char *host, size_t length)
{
    const char *usual = url_is_plain(url) ? ":80" : ":443";
    size_t size = strlen(usual);
    return length > size && strncmp(host + length - size, usual, size) == 0 ? length - size : length;
}

bool url_same_origin(const char *one, const char *other)
{
    size_t one_length, other_length;
    const char *one_host = url_host(one, &one_length), *other_host = url_host(other, &other_length);
    if (one_host == NULL || other_host == NULL || url_is_plain(one) != url_is_plain(other))
        return false;
    one_length = significant_length(one, one_host, one_length);
    other_length = significant_length(other, other_host, other_length);
    return one_length == other_length && strncasecmp(one_host, other_host, one_length) == 0;
}

/* Without the port; a colon inside of brackets is none of it. */
static size_t name_length(const char *host, size_t length)
{
    const char *bracket = host[0] == '[' ? memchr(host, ']', length) : NULL;
    const char *colon = bracket != NULL ? bracket + 1 : memchr(host, ':', length);
    return colon != NULL ? (size_t)(colon - host) : length;
}

bool url_same_host(const char *one, const char *other)
{
    size_t one_length, other_length;
    const char *one_host = url_host(one, &one_length), *other_host = url_host(other, &other_length);
    if (one_host == NULL || other_host == NULL)
        return false;
    one_length = name_length(one_host, one_length);
    return one_length == name_length(other_host, other_length) && strncasecmp(one_host, other_host, one_length) == 0;
}

/* How much of `base` stands before `location`. */
static size_t kept_length(const char *base, const char *location)
{
    size_t host_length;
    const char *host = url_host(base, &host_length);
    size_t origin = (size_t)(host - base) + host_length;
    if (location[0] == '/' && location[1] == '/')
        return strcspn(base, ":") + 1;
    if (location[0] == '/')
        return origin;
    size_t path = origin + strcspn(base + origin, "?#");
    if (location[0] == '?')
        return path;
    while (path > origin && base[path - 1] != '/')
        path--;
    return path;
}

char *url_resolve(const char *base, const char *location, struct failure *failure)
{
    char *url = NULL;
    size_t kept = behind_scheme(location) != NULL ? 0 : kept_length(base, location);
    bool slash = kept > 0 && location[0] != '/' && location[0] != '?' && base[kept - 1] != '/';
    if (asprintf(&url, "%.*s%s%s", (int)kept, base, slash ? "/" : "", location) < 0) {
        failure_memory(failure);
        return NULL;
    }
    if (url_valid(url))
        return url;
    failure_set(failure, DESCPIPE_FAILED_REFUSED, "the server names a place that is no URL of the web: '%.200s'",
                location);
    free(url);
    return NULL;
}

static char *encode(const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:";
    char *encoded = malloc(3 * strlen(value) + 1), *out = encoded;
    if (encoded == NULL)
        return NULL;
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        if (strchr(plain, *value) != NULL)
            *out++ = *value;
        else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    *out = '\0';
    return encoded;
}

char *url_add_parameter(const char *base, const char *name, const char *value, struct failure *failure)
{
    cleanup(memory_free) char *encoded = encode(value);
    char *url = NULL;
    if (encoded != NULL && asprintf(&url, "%s%s%s=%s", base, strchr(base, '?') != NULL ? "&" : "?", name, encoded) >= 0)
        return url;
    failure_memory(failure);
    return NULL;
}

char *url_encode(const char *value, struct failure *failure)
{
    char *encoded = encode(value);
    if (encoded == NULL)
        failure_memory(failure);
    return encoded;
}
