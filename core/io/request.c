/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of what may be sent over HTTP. */
#include "io/request.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "io/secret.h"

static bool is_token(const char *text, size_t length)
{
    static const char others[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 section 5.6.2 */
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return length > 0;
}

static bool is_field_value(const char *value, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool check_header(const char *line, struct error *error)
{
    const char *colon = strchr(line, ':');
    size_t name_length = colon != NULL ? (size_t)(colon - line) : strcspn(line, "\r\n");
    if (colon != NULL && is_token(line, name_length) && is_field_value(colon + 1, strlen(colon + 1)))
        return true;
    cleanup(text_clear) struct text shown = TEXT_INIT;
    cleanup(memory_free) char *name = memory_copy_bytes(line, name_length);
    text_append_printable(&shown, name, 64); /* the name only: the value may be a secret */
    return error_set(error, ERROR_BUG, "the header '%s' is not 'Name: value' on one line", text_bytes(&shown));
}

static bool check_secret(const struct descpipe_secret *secret, const char *what, struct error *error)
{
    if (secret == NULL)
        return true;
    uint64_t length;
    const char *bytes = secret_reveal(secret, &length);
    if (is_field_value(bytes, (size_t)length))
        return true;
    return error_set(error, ERROR_INPUT, "the %s holds a control character, perhaps a newline at its end", what);
}

static bool check_url(const char *url, struct error *error)
{
    cleanup(text_clear) struct text shown = TEXT_INIT;
    request_append_url(&shown, url);
    for (const char *c = url; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return error_set(error, ERROR_INPUT, "the URL '%s' holds a space or control character", text_bytes(&shown));
    return true;
}

bool request_check(const struct descpipe_http_request *request, struct error *error)
{
    if (request->method == NULL || !is_token(request->method, strlen(request->method)))
        return error_set(error, ERROR_BUG, "the HTTP method is missing or no word");
    if (request->url == NULL)
        return error_set(error, ERROR_BUG, "the URL is missing");
    if (!check_url(request->url, error))
        return false;
    for (const char *const *header = request->headers; header != NULL && *header != NULL; header++)
        if (!check_header(*header, error))
            return false;
    if (request->body_length > 0 && request->body == NULL && request->body_descriptor <= 0)
        return error_set(error, ERROR_BUG,
                         "a body is announced, and there is neither one nor a descriptor to read it from");
    if (request->username != NULL && request->sigv4 == NULL && strchr(request->username, ':') != NULL)
        return error_set(error, ERROR_INPUT, "the user name holds a colon, which a basic login cannot send");
    if (request->username != NULL && !is_field_value(request->username, strlen(request->username)))
        return error_set(error, ERROR_INPUT, "the user name holds a control character");
    return check_secret(request->bearer, "token", error) && check_secret(request->password, "password", error);
}

bool request_host_is_loopback(const char *host)
{
    if (strcasecmp(host, "localhost") == 0)
        return true;
    size_t length = strlen(host);
    if (length > 10 && strcasecmp(host + length - 10, ".localhost") == 0)
        return true; /* RFC 6761 section 6.3 */
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    char bare[INET6_ADDRSTRLEN];
    bool brackets = host[0] == '[' && length > 2 && host[length - 1] == ']';
    size_t bare_length = length - (brackets ? 2 : 0);
    if (bare_length >= sizeof bare)
        return false;
    memcpy(bare, host + brackets, bare_length);
    bare[bare_length] = '\0';
    struct in6_addr six;
    return inet_pton(AF_INET6, bare, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool request_header_is(const char *line, const char *name)
{
    size_t length = strlen(name);
    return strncasecmp(line, name, length) == 0 && line[length] == ':';
}

/* A list of what may, not of what may not: every vendor has its own header for a token. */
bool request_header_may_travel(const char *line)
{
    static const char *const names[] = {"Accept",        "Accept-Encoding", "Accept-Language", "Content-Type",
                                        "If-None-Match", "If-Match",        "If-Range",        "If-Modified-Since",
                                        "Range",         "User-Agent",      "Cache-Control"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (request_header_is(line, names[i]))
            return true;
    return false;
}

bool request_method_is_idempotent(const char *method)
{
    static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(method, names[i]) == 0)
            return true;
    return false;
}

const char *request_method_after(const char *method, long status)
{
    if (status == 303)
        return strcmp(method, "HEAD") == 0 ? "HEAD" : "GET";
    if ((status == 301 || status == 302) && strcmp(method, "POST") == 0)
        return "GET";
    return method;
}

void request_append_url(struct text *text, const char *url)
{
    cleanup(memory_free) char *copy = memory_copy_bytes(url, strcspn(url, "?#"));
    /* user:password@ is refused, and must not be shown by the refusal itself */
    char *scheme_end = strstr(copy, "://");
    char *host = scheme_end != NULL ? scheme_end + 3 : copy;
    char *at = memrchr(host, '@', strcspn(host, "/"));
    if (at != NULL)
        memmove(host, at + 1, strlen(at + 1) + 1);
    text_append_printable(text, copy, 512);
}
