/* SPDX-License-Identifier: BSD-3-Clause */
/* References by Docker's rules. */
#include "registry/reference.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/manifest.h"

#define DOCKER_HOST "docker.io"
#define DOCKER_OLD_HOST "index.docker.io"
#define DOCKER_OFFICIAL "library"
#define HOST_LIMIT 255 /* bytes, with the port */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_alphanumeric(char c)
{
    return is_letter(c) || is_digit(c);
}

void reference_clear(struct reference *reference)
{
    free(reference->host);
    free(reference->repository);
    free(reference->tag);
    free(reference->digest);
    *reference = (struct reference){0};
}

/* Labels of letters, digits and inner hyphens between dots. */
static bool is_domain(const char *text, size_t length)
{
    char previous = '.';
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool edge = previous == '.' || i + 1 == length || text[i + 1] == '.';
        if (c == '.' ? previous == '.' : !(is_alphanumeric(c) || (c == '-' && !edge)))
            return false;
        previous = c;
    }
    return length > 0 && previous != '.';
}

static bool is_bracketed(const char *text, size_t length)
{
    if (length < 4 || text[0] != '[' || text[length - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < length; i++)
        if (!is_digit(text[i]) && text[i] != ':' && !(text[i] >= 'a' && text[i] <= 'f') &&
            !(text[i] >= 'A' && text[i] <= 'F'))
            return false;
    return memchr(text, ':', length) != NULL;
}

static bool is_port(const char *text)
{
    unsigned long port = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return false;
    for (size_t i = 0; i < digits; i++)
        port = port * 10 + (unsigned long)(text[i] - '0');
    return port >= 1 && port <= 65535;
}

/* The length of the host without its port. */
static size_t host_name_length(const char *host)
{
    const char *bracket = host[0] == '[' ? strchr(host, ']') : NULL;
    return bracket != NULL ? (size_t)(bracket - host) + 1 : strcspn(host, ":");
}

bool reference_host_valid(const char *host)
{
    size_t length = host_name_length(host);
    if (strlen(host) > HOST_LIMIT || (host[length] != '\0' && (host[length] != ':' || !is_port(host + length + 1))))
        return false;
    return host[0] == '[' ? is_bracketed(host, length) : is_domain(host, length);
}

/* One component: runs of lower-case letters and digits with one '.', one or two '_', or any number of '-' between. */
static bool is_component(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length) {
        size_t run = i;
        while (i < length && (is_lower(text[i]) || is_digit(text[i])))
            i++;
        if (i == run || i == length)
            return i > run;
        char mark = text[i];
        size_t start = i;
        while (i < length && text[i] == mark)
            i++;
        if (!(mark == '-' || (mark == '.' && i - start == 1) || (mark == '_' && i - start <= 2)))
            return false;
    }
    return false; /* empty, or it ends with a mark */
}

bool reference_repository_valid(const char *repository)
{
    if (strlen(repository) > REFERENCE_REPOSITORY_LIMIT)
        return false;
    for (const char *part = repository;; part++) {
        size_t length = strcspn(part, "/");
        if (!is_component(part, length))
            return false;
        part += length;
        if (*part == '\0')
            return true;
    }
}

bool reference_tag_valid(const char *tag)
{
    size_t length = strlen(tag);
    if (length == 0 || length > REFERENCE_TAG_LIMIT || !(is_alphanumeric(tag[0]) || tag[0] == '_'))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_alphanumeric(tag[i]) && strchr("_.-", tag[i]) == NULL)
            return false;
    return true;
}

static bool is_loopback_six(const char *address, size_t length)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr six;
    if (length >= sizeof text)
        return false;
    memcpy(text, address, length);
    text[length] = '\0';
    return inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool reference_host_is_loopback(const char *host)
{
    size_t length = host_name_length(host);
    if (length == 9 && strncasecmp(host, "localhost", 9) == 0)
        return true;
    if (length > 2 && host[0] == '[')
        return is_loopback_six(host + 1, length - 2);
    /* 127.a.b.c and nothing that only begins so */
    unsigned dots = 0;
    for (size_t i = 0; i < length; i++) {
        if (host[i] == '.')
            dots++;
        else if (!is_digit(host[i]))
            return false;
    }
    return dots == 3 && strncmp(host, "127.", 4) == 0;
}

/* Does the text up to its first slash name a host? */
static bool begins_with_host(const char *text)
{
    const char *slash = strchr(text, '/');
    if (slash == NULL)
        return false;
    size_t length = (size_t)(slash - text);
    if (length == 9 && strncmp(text, "localhost", 9) == 0)
        return true;
    for (size_t i = 0; i < length; i++)
        if (strchr(".:[", text[i]) != NULL || (text[i] >= 'A' && text[i] <= 'Z'))
            return true;
    return false;
}

static bool copy_part(char **to, const char *from, size_t length, struct failure *failure)
{
    *to = strndup(from, length);
    return *to != NULL ? true : failure_memory(failure);
}

/* In lower case, unless upper-case letters are all that tells it from the first part of a repository. */
static bool copy_host(char **to, const char *from, size_t length, struct failure *failure)
{
    if (!copy_part(to, from, length, failure))
        return false;
    if (strpbrk(*to, ".:[") == NULL && strcasecmp(*to, "localhost") != 0)
        return true;
    for (char *c = *to; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 'a' - 'A');
    return true;
}

static bool fail_part(struct failure *failure, const char *text, const char *what, const char *part, const char *hint)
{
    failure_set(failure, DESCPIPE_FAILED_REFUSED, "image reference '%.300s': '%.128s' is no %s", text, part, what);
    return failure_hint(failure, "%s", hint);
}

static bool has_upper_case(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            return true;
    return false;
}

static bool check_parts(const struct reference *reference, const char *text, struct failure *failure)
{
    if (reference->host != NULL && !reference_host_valid(reference->host))
        return fail_part(failure, text, "host", reference->host,
                         "a host is a name or an address, perhaps with :PORT; an IPv6 address stands in brackets");
    if (!reference_repository_valid(reference->repository)) {
        if (strlen(reference->repository) > REFERENCE_REPOSITORY_LIMIT) {
            failure_set(failure, DESCPIPE_FAILED_REFUSED,
                        "image reference '%.300s...': its name is longer than %d bytes", text,
                        REFERENCE_REPOSITORY_LIMIT);
            return false;
        }
        return fail_part(failure, text, "repository name", reference->repository,
                         has_upper_case(reference->repository)
                             ? "repository names are in lower case"
                             : "write [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST], the name of lower-case letters and "
                               "digits, with single '.', '_' or '-' between");
    }
    if (reference->tag != NULL && !reference_tag_valid(reference->tag))
        return fail_part(failure, text, "tag", reference->tag,
                         "a tag has up to 128 letters, digits, '_', '.' and '-', and begins with none of the last two");
    if (reference->digest != NULL && !oci_digest_valid(reference->digest))
        return fail_part(failure, text, "digest", reference->digest,
                         "a digest is sha256: and 64 digits of 0-9 and a-f");
    return true;
}

static bool is_bare_digest(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static bool split_text(struct reference *reference, const char *text, struct failure *failure)
{
    const char *rest = text;
    if (begins_with_host(text)) {
        size_t length = strcspn(text, "/");
        if (!copy_host(&reference->host, text, length, failure))
            return false;
        rest = text + length + 1;
    }
    size_t length = strlen(rest);
    const char *at = strchr(rest, '@');
    if (at != NULL) {
        if (!copy_part(&reference->digest, at + 1, length - (size_t)(at + 1 - rest), failure))
            return false;
        length = (size_t)(at - rest);
    }
    const char *colon = memchr(rest, ':', length);
    if (colon != NULL) {
        if (!copy_part(&reference->tag, colon + 1, length - (size_t)(colon + 1 - rest), failure))
            return false;
        length = (size_t)(colon - rest);
    }
    return copy_part(&reference->repository, rest, length, failure);
}

bool reference_read(struct reference *reference, const char *text, struct failure *failure)
{
    cleanup(reference_clear) struct reference parts = {0};
    if (text[0] == '\0')
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the image reference is empty");
    if (strlen(text) > REFERENCE_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the image reference is longer than %d bytes",
                           REFERENCE_LIMIT);
    if (is_bare_digest(text)) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "image reference '%s' is a bare id, not a name", text);
        return failure_hint(failure, "write NAME@sha256:%s", text);
    }
    if (!split_text(&parts, text, failure) || !check_parts(&parts, text, failure))
        return false;
    *reference = parts;
    parts = (struct reference){0};
    return true;
}

static bool copy_text(char **to, const char *from, struct failure *failure)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL ? true : failure_memory(failure);
}

bool reference_copy(struct reference *to, const struct reference *from, struct failure *failure)
{
    cleanup(reference_clear) struct reference copy = {0};
    if (!copy_text(&copy.host, from->host, failure) || !copy_text(&copy.repository, from->repository, failure) ||
        !copy_text(&copy.tag, from->tag, failure) || !copy_text(&copy.digest, from->digest, failure))
        return false;
    *to = copy;
    copy = (struct reference){0};
    return true;
}

static bool replace_text(char **text, const char *by, struct failure *failure)
{
    char *copy = strdup(by);
    if (copy == NULL)
        return failure_memory(failure);
    free(*text);
    *text = copy;
    return true;
}

static bool put_in_front(struct reference *reference, const char *prefix, struct failure *failure)
{
    char *repository = NULL;
    if (asprintf(&repository, "%s/%s", prefix, reference->repository) < 0)
        return failure_memory(failure);
    free(reference->repository);
    reference->repository = repository;
    return true;
}

bool reference_use_docker_defaults(struct reference *reference, struct failure *failure)
{
    if (reference->host == NULL || strcmp(reference->host, DOCKER_OLD_HOST) == 0) {
        if (!replace_text(&reference->host, DOCKER_HOST, failure))
            return false;
    }
    if (strcmp(reference->host, DOCKER_HOST) == 0 && strchr(reference->repository, '/') == NULL &&
        !put_in_front(reference, DOCKER_OFFICIAL, failure))
        return false;
    if (reference->tag == NULL && reference->digest == NULL)
        return replace_text(&reference->tag, REFERENCE_DEFAULT_TAG, failure);
    return true;
}

bool reference_set_place(struct reference *reference, const char *host, const char *prefix, struct failure *failure)
{
    cleanup(reference_clear) struct reference moved = {0};
    if (!reference_copy(&moved, reference, failure))
        return false;
    free(steal(&moved.host));
    if (!copy_host(&moved.host, host, strlen(host), failure))
        return false;
    if (prefix != NULL && prefix[0] != '\0' && !put_in_front(&moved, prefix, failure))
        return false;
    cleanup(memory_free) char *text = reference_text(&moved, failure);
    if (text == NULL || !check_parts(&moved, text, failure))
        return false;
    reference_clear(reference);
    *reference = moved;
    moved = (struct reference){0};
    return true;
}

char *reference_name(const struct reference *reference, struct failure *failure)
{
    char *text = NULL;
    const char *host = reference->host != NULL ? reference->host : "";
    if (asprintf(&text, "%s%s%s", host, host[0] != '\0' ? "/" : "", reference->repository) >= 0)
        return text;
    failure_memory(failure);
    return NULL;
}

char *reference_text(const struct reference *reference, struct failure *failure)
{
    cleanup(memory_free) char *name = reference_name(reference, failure);
    if (name == NULL)
        return NULL;
    char *text = NULL;
    bool tag = reference->tag != NULL, digest = reference->digest != NULL;
    if (asprintf(&text, "%s%s%s%s%s", name, tag ? ":" : "", tag ? reference->tag : "", digest ? "@" : "",
                 digest ? reference->digest : "") >= 0)
        return text;
    failure_memory(failure);
    return NULL;
}

const char *reference_object(const struct reference *reference)
{
    if (reference->digest != NULL)
        return reference->digest;
    return reference->tag != NULL ? reference->tag : REFERENCE_DEFAULT_TAG;
}
