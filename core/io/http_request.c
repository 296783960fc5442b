/* SPDX-License-Identifier: BSD-3-Clause */
/* What is sent over HTTP: a request put into a curl handle, and put there again for each redirect. */
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "io/http_exchange.h"
#include "io/request.h"
#include "io/secret.h"

enum { REDIRECT_LIMIT = 10, BUFFER_BYTES = 64 * 1024, DEFAULT_CONNECT_MS = 10000 };

struct origin {
    char *scheme, *host, *port; /* curl's memory */
};

static void origin_clear_at(struct origin *origin)
{
    curl_free(origin->scheme);
    curl_free(origin->host);
    curl_free(origin->port);
}

static void origin_read(struct origin *origin, CURLU *url)
{
    curl_url_get(url, CURLUPART_SCHEME, &origin->scheme, 0);
    curl_url_get(url, CURLUPART_HOST, &origin->host, 0);
    curl_url_get(url, CURLUPART_PORT, &origin->port, CURLU_DEFAULT_PORT);
}

static bool origin_equal(const struct origin *left, const struct origin *right)
{
    return text_equal(left->scheme, right->scheme) && text_equal(left->port, right->port) && left->host != NULL &&
           right->host != NULL && strcasecmp(left->host, right->host) == 0;
}

/* The rules for a URL that curl could take apart, the first one's and every redirect's. */
static bool check_origin(const exchange *it, CURLU *url, const struct origin *origin, struct error *error)
{
    bool plain = text_equal(origin->scheme, "http");
    if (!plain && !text_equal(origin->scheme, "https"))
        return error_set(error, ERROR_INPUT, "'%s' is neither http nor https",
                         origin->scheme != NULL ? origin->scheme : "");
    if (origin->host == NULL)
        return error_set(error, ERROR_INPUT, "the URL names no host");
    cleanup(memory_free) char *user = NULL;
    if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
        return error_set(error, ERROR_INPUT, "the URL holds a user name; logins are given apart from it");
    if (plain && it->unix_socket == NULL && !(it->flags & DESCPIPE_HTTP_PLAIN_ALLOWED) &&
        !request_host_is_loopback(origin->host))
        return error_set(error, ERROR_INPUT,
                         "plain http to '%s' is refused: anybody on the way could read and change it", origin->host);
    return true;
}

/* Sets the URL of the next hop from `text`, which may be relative to the current one. */
static bool set_url(exchange *it, const char *text, struct error *error)
{
    CURLUcode code = curl_url_set(it->parsed_url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (code != CURLUE_OK)
        return error_set(error, ERROR_INPUT, "the URL cannot be read: %s", curl_url_strerror(code));
    curl_url_set(it->parsed_url, CURLUPART_FRAGMENT, NULL, 0);
    cleanup(origin_clear) struct origin origin = {0};
    origin_read(&origin, it->parsed_url);
    if (!check_origin(it, it->parsed_url, &origin, error))
        return false;
    char *whole = NULL;
    if (curl_url_get(it->parsed_url, CURLUPART_URL, &whole, 0) != CURLUE_OK)
        memory_exhausted();
    free(it->url);
    it->url = memory_copy_text(whole);
    curl_free(whole);
    curl_easy_setopt(it->easy, CURLOPT_CURLU, it->parsed_url);
    return true;
}

static void add_line(exchange *it, const char *line)
{
    struct curl_slist *longer = curl_slist_append(it->lines, line);
    if (longer == NULL)
        memory_exhausted();
    it->lines = longer;
}

/* Method and headers of the next hop. */
static void set_method(exchange *it)
{
    CURL *easy = it->easy;
    bool has_body = it->body_length > 0 || strcmp(it->method, "POST") == 0 || strcmp(it->method, "PUT") == 0 ||
                    strcmp(it->method, "PATCH") == 0; /* these send their length even when it is 0 */
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);      /* takes back what an earlier hop set */
    if (strcmp(it->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (has_body && it->body_descriptor > 0) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)it->body_length);
    } else if (has_body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)it->body_length);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, it->body != NULL ? it->body : "");
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, strcmp(it->method, "HEAD") != 0 ? it->method : NULL);
    bool repeatable = request_method_is_idempotent(it->method);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, repeatable ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, repeatable ? 0L : 1L);
    curl_slist_free_all(steal(&it->lines));
    bool has_type = false, has_expect = false;
    for (size_t i = 0; i < it->headers.count; i++) {
        const char *line = it->headers.items[i];
        const char *colon = strchr(line, ':');
        has_type |= request_header_is(line, "Content-Type");
        has_expect |= request_header_is(line, "Expect");
        cleanup(memory_free) char *empty = NULL;
        if (colon[1 + strspn(colon + 1, " \t")] == '\0') /* "Name;" is how curl is told to send an empty one */
            empty = memory_format("%.*s;", (int)(colon - line), line);
        add_line(it, empty != NULL ? empty : line);
    }
    if (has_body && !it->signs) { /* a signature would count in headers that are only taken away */
        if (!has_type)
            add_line(it, "Content-Type:");
        if (!has_expect)
            add_line(it, "Expect:");
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, it->lines);
}

static void set_login(exchange *it, const struct descpipe_http_request *request)
{
    CURL *easy = it->easy;
    if (request->bearer != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, secret_reveal(request->bearer, NULL));
    } else if (request->username != NULL) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, request->username);
        curl_easy_setopt(easy, CURLOPT_PASSWORD,
                         request->password != NULL ? secret_reveal(request->password, NULL) : "");
        if (request->sigv4 != NULL)
            curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, request->sigv4);
        else
            curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    }
}

/* What must not go to another origin. It does not come back when a later hop returns to the first. */
static void drop_login(exchange *it)
{
    CURL *easy = it->easy;
    curl_easy_setopt(easy, CURLOPT_USERNAME, NULL);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, NULL);
    curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, NULL);
    curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_NONE);
    curl_easy_setopt(easy, CURLOPT_SSLCERT, NULL);
    curl_easy_setopt(easy, CURLOPT_SSLKEY, NULL);
    it->signs = false;
    struct words kept = {0};
    for (size_t i = 0; i < it->headers.count; i++) {
        if (request_header_may_travel(it->headers.items[i])) {
            words_add(&kept, it->headers.items[i]);
        }
        explicit_bzero(it->headers.items[i], strlen(it->headers.items[i]));
    }
    words_clear(&it->headers);
    it->headers = kept;
}

static void set_connection(exchange *it, const struct descpipe_http_request *request)
{
    CURL *easy = it->easy;
    cleanup(origin_clear) struct origin origin = {0};
    origin_read(&origin, it->parsed_url);
    if (request->unix_socket != NULL)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    /* What is for this machine does not go through a proxy of the environment. */
    if (request->proxy != NULL || request->unix_socket != NULL || request_host_is_loopback(origin.host))
        curl_easy_setopt(easy, CURLOPT_PROXY, request->proxy != NULL ? request->proxy : "");
    if (request->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (request->client_certificate != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, request->client_certificate);
    if (request->client_key != NULL)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, request->client_key);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (request->flags & DESCPIPE_HTTP_UNVERIFIED_TLS) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    uint64_t connect_ms = request->connect_timeout_ms > 0 ? request->connect_timeout_ms : DEFAULT_CONNECT_MS;
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms < LONG_MAX / 2 ? (long)connect_ms : LONG_MAX / 2);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L); /* long waits through firewalls */
}

static void set_always(exchange *it)
{
    CURL *easy = it->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, it);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, it->curl_says);
    exchange_set_callbacks(it);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "descpipe");
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

bool exchange_follow(exchange *it, struct error *error)
{
    if (++it->hops > REDIRECT_LIMIT)
        return error_set(error, ERROR_NETWORK, "redirected more than %d times", REDIRECT_LIMIT);
    cleanup(origin_clear) struct origin before = {0}, after = {0};
    origin_read(&before, it->parsed_url);
    if (!set_url(it, it->location, error))
        return error_wrap(error, "it redirects to where we do not follow");
    origin_read(&after, it->parsed_url);
    bool same = origin_equal(&before, &after);
    if (!same && request_host_is_loopback(after.host) && !request_host_is_loopback(before.host))
        return error_set(error, ERROR_NETWORK, "it redirects to this machine ('%s'), where we do not follow",
                         after.host);
    const char *method = request_method_after(it->method, it->status);
    if (strcmp(method, it->method) != 0)
        it->body_length = 0;
    if (!same && it->body_length > 0)
        return error_set(error, ERROR_NETWORK, "it redirects what we send to another host, '%s'", after.host);
    if (it->body_length > 0 && it->body_descriptor > 0 && it->body_start < 0)
        return error_set(error, ERROR_NETWORK, "it redirects, but what we send can be read only once");
    if (!same)
        drop_login(it);
    it->method = method;
    it->body_sent = it->answer_length = 0;
    it->head_complete = it->redirecting = false;
    it->status = 0;
    text_reset(&it->head);
    free(steal(&it->location));
    it->curl_says[0] = '\0';
    set_method(it);
    return true;
}

static void set_body(exchange *it, const struct descpipe_http_request *request)
{
    it->body_length = request->body_length;
    it->body_descriptor = request->body != NULL ? 0 : request->body_descriptor;
    it->body_start = -1;
    if (it->body_descriptor > 0)
        it->body_start = lseek(it->body_descriptor, 0, SEEK_CUR);
    else if (request->body != NULL && request->body_length > 0)
        it->body = memory_copy_bytes(request->body, (size_t)request->body_length);
    else
        it->body_length = 0;
}

/* Older ones leave the headers of AWS's own out of the signature, and AWS refuses what is not signed. */
static bool check_signing(const struct descpipe_http_request *request, struct error *error)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    if (request->sigv4 == NULL || curl->version_num >= 0x075700)
        return true;
    return error_set(error, ERROR_SYSTEM, "requests to AWS need libcurl 7.87 to be signed; this machine has %s",
                     curl->version);
}

bool exchange_prepare(exchange *it, const struct descpipe_http_request *request)
{
    if (!request_check(request, &it->error) || !check_signing(request, &it->error))
        return false;
    it->method = it->method_given = memory_copy_text(request->method);
    words_add_all(&it->headers, request->headers);
    it->signs = request->sigv4 != NULL;
    it->easy = curl_easy_init();
    it->parsed_url = curl_url();
    if (it->easy == NULL || it->parsed_url == NULL)
        memory_exhausted();
    set_body(it, request);
    set_always(it);
    if (!set_url(it, request->url, &it->error))
        return false;
    set_connection(it, request);
    set_login(it, request);
    set_method(it);
    return true;
}
