/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes back over HTTP, and what curl asks for meanwhile. These run inside of curl: they may call the user, but
 * must not add or remove a handle. To end an exchange they return what curl takes for a failure.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "io/http_exchange.h"
#include "io/request.h"

enum { HEAD_LIMIT = 256 * 1024, REDIRECT_BODY_LIMIT = 64 * 1024 };

/* False when the exchange must not go on: curl then ends it, and take_ended finds out why. */
static bool deliver_head(exchange *it)
{
    uint64_t length;
    for (const char *line = it->head.bytes, *end = line + it->head.length; line < end; line += strlen(line) + 1) {
        const char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        cleanup(memory_free) char *name = memory_copy_bytes(line, (size_t)(colon - line));
        const char *value = colon + 1 + strspn(colon + 1, " \t");
        if (strcasecmp(name, "Content-Length") == 0 && strcmp(it->method, "HEAD") != 0 &&
            text_to_unsigned(value, &length) && length > it->answer_limit) {
            exchange_fail(it, DESCPIPE_HTTP_TOO_LARGE);
            return false;
        }
        if (it->header != NULL)
            it->header(it->context, name, value);
        if (it->stopped)
            return false;
    }
    if (it->started != NULL)
        it->started(it->context, it->status);
    return !it->stopped;
}

/* The Location of the complete head, or NULL. */
static const char *find_location(const exchange *it)
{
    for (const char *line = it->head.bytes, *end = line + it->head.length; line < end; line += strlen(line) + 1)
        if (request_header_is(line, "Location"))
            return line + 9 + strspn(line + 9, " \t");
    return NULL;
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool head_ended(exchange *it)
{
    long status = 0;
    curl_easy_getinfo(it->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) { /* interim: the real one follows */
        text_reset(&it->head);
        return true;
    }
    it->status = (int)status;
    it->head_complete = true;
    text_reserve(&it->head, 0);
    const char *location = find_location(it);
    if ((it->flags & DESCPIPE_HTTP_FOLLOW_REDIRECTS) && is_redirect(status) && location != NULL) {
        it->redirecting = true;
        it->location = memory_copy_text(location);
        return true;
    }
    return deliver_head(it);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    exchange *it = context;
    size_t given = size * count, length = given;
    it->active_at_ms = clock_monotonic_ms();
    if (it->stopped)
        return 0;
    if (it->head_complete) /* a trailer: nobody here asks for one */
        return given;
    while (length > 0 && strchr("\r\n \t", bytes[length - 1]) != NULL)
        length--;
    if (length == 0)
        return head_ended(it) ? given : 0;
    if (it->head.length == 0 && text_starts_with(bytes, "HTTP/"))
        return given;
    if (length + 1 > HEAD_LIMIT - it->head.length) {
        exchange_fail(it, DESCPIPE_HTTP_TOO_LARGE);
        return 0;
    }
    text_append_bytes(&it->head, bytes, length);
    text_append_character(&it->head, '\0');
    return given;
}

static size_t on_data(char *bytes, size_t size, size_t count, void *context)
{
    exchange *it = context;
    size_t length = size * count;
    it->active_at_ms = clock_monotonic_ms();
    if (it->stopped)
        return 0;
    uint64_t limit = it->redirecting ? REDIRECT_BODY_LIMIT : it->answer_limit;
    if (length > limit - it->answer_length) {
        if (!it->redirecting)
            exchange_fail(it, DESCPIPE_HTTP_TOO_LARGE);
        return 0;
    }
    it->answer_length += length;
    if (it->redirecting)
        return length;
    if (it->answer_descriptor > 0 && it->status / 100 == 2) {
        if (descriptor_write(it->answer_descriptor, bytes, length, &it->error))
            return length;
        error_wrap(&it->error, "cannot keep the answer");
        exchange_fail(it, DESCPIPE_HTTP_CUT);
        return 0;
    }
    if (it->data != NULL)
        it->data(it->context, bytes, length);
    return it->stopped ? 0 : length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    exchange *it = context;
    uint64_t left = it->body_length - it->body_sent;
    size_t room = size * count < left ? size * count : (size_t)left;
    if (room == 0)
        return 0;
    ssize_t got;
    do {
        got = it->body_start >= 0 ? pread(it->body_descriptor, bytes, room, it->body_start + (off_t)it->body_sent)
                                  : read(it->body_descriptor, bytes, room);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        if (got < 0)
            error_system(&it->error, "cannot read what is to be sent");
        else
            error_set(&it->error, ERROR_SYSTEM, "what is to be sent ended %llu bytes early", (unsigned long long)left);
        exchange_fail(it, DESCPIPE_HTTP_CUT);
        return CURL_READFUNC_ABORT;
    }
    it->body_sent += (uint64_t)got;
    return (size_t)got;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    exchange *it = context;
    if (it->body_start < 0 || origin != SEEK_SET || offset < 0 || (uint64_t)offset > it->body_length)
        return CURL_SEEKFUNC_CANTSEEK;
    it->body_sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *context, curl_off_t got_all, curl_off_t got, curl_off_t sent_all, curl_off_t sent)
{
    (void)got_all;
    (void)sent_all;
    exchange *it = context;
    if (got != it->seen_got || sent != it->seen_sent)
        it->active_at_ms = clock_monotonic_ms();
    it->seen_got = got;
    it->seen_sent = sent;
    return it->stopped;
}

void exchange_set_callbacks(exchange *it)
{
    CURL *easy = it->easy;
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, it);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, it);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, it);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_READDATA, it);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, it);
}
