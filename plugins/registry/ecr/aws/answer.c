/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON and XML of AWS's services. */
#include "aws/answer.h"

#include <stdio.h>
#include <string.h>

#include "aws/base64.h"
#include "registry/document.h"

enum { KEY_LIMIT = 256, TOKEN_LIMIT = 64 << 10 };

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void aws_keys_clear(struct aws_keys *keys)
{
    free(keys->access_key_id);
    wipe(keys->secret_access_key);
    wipe(keys->session_token);
    *keys = (struct aws_keys){0};
}

void aws_authorization_clear(struct aws_authorization *authorization)
{
    free(authorization->username);
    wipe(authorization->password);
    free(authorization->account);
    *authorization = (struct aws_authorization){0};
}

/* jansson frees its texts as they are; what was a secret is overwritten first. */
static void wipe_members(json_t *object)
{
    const char *name;
    json_t *member;
    json_object_foreach(object, name, member)
    {
        if (json_is_string(member))
            explicit_bzero((char *)(uintptr_t)json_string_value(member), json_string_length(member));
    }
}

static void secret_document_free(json_t *document)
{
    if (json_is_object(document))
        wipe_members(document);
    json_decref(document);
}
DEFINE_CLEANUP(json_t *, secret_document_free);

static json_t *parse(const char *text, size_t length, struct failure *failure)
{
    if (length > AWS_ANSWER_LIMIT) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is larger than %d KiB", AWS_ANSWER_LIMIT >> 10);
        return NULL;
    }
    /* jansson's own words may quote what stands there. */
    json_t *document = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(document))
        return document;
    json_decref(document);
    failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is no JSON object");
    return NULL;
}

/* Keys and tokens go into header lines: printable bytes without spaces, and not without end. */
static bool is_word(const char *text, size_t limit)
{
    size_t length = strlen(text);
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return length > 0 && length <= limit;
}

static bool check_keys(const struct aws_keys *keys, struct failure *failure)
{
    if (keys->access_key_id == NULL || keys->secret_access_key == NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "it lacks AccessKeyId or SecretAccessKey");
    if (!is_word(keys->access_key_id, KEY_LIMIT) || !is_word(keys->secret_access_key, KEY_LIMIT) ||
        (keys->session_token != NULL && !is_word(keys->session_token, TOKEN_LIMIT)))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "its keys are not words of plain letters");
    return true;
}

static bool read_expiry(const json_t *document, int64_t *expires_at_ms, struct failure *failure)
{
    cleanup(memory_free) char *text = NULL;
    if (!document_text(document, "Expiration", 0, &text, failure))
        return false;
    if (text == NULL)
        return true;
    *expires_at_ms = document_time_ms(text);
    return *expires_at_ms != 0 ? true : failure_set(failure, DESCPIPE_FAILED_REFUSED, "'Expiration' is no time");
}

static bool read_keys(const json_t *document, const char *token, struct aws_keys *keys, struct failure *failure)
{
    return document_text(document, "AccessKeyId", 0, &keys->access_key_id, failure) &&
           document_text(document, "SecretAccessKey", 0, &keys->secret_access_key, failure) &&
           document_text(document, token, 0, &keys->session_token, failure) &&
           read_expiry(document, &keys->expires_at_ms, failure) && check_keys(keys, failure);
}

bool aws_read_process(const char *text, size_t length, struct aws_keys *keys, struct failure *failure)
{
    cleanup(secret_document_free) json_t *document = parse(text, length, failure);
    if (document == NULL)
        return false;
    if (json_integer_value(json_object_get(document, "Version")) != 1)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "its 'Version' is not 1");
    return read_keys(document, "SessionToken", keys, failure);
}

bool aws_read_endpoint(const char *text, size_t length, struct aws_keys *keys, struct failure *failure)
{
    cleanup(secret_document_free) json_t *document = parse(text, length, failure);
    if (document == NULL)
        return false;
    const char *code = json_string_value(json_object_get(document, "Code"));
    if (code != NULL && strcmp(code, "Success") != 0)
        return failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "it says '%.60s'", code);
    return read_keys(document, "Token", keys, failure);
}

/* ---- XML: only the text of one element, which in STS's answers has no attributes and no children ---- */

static size_t decode_entity(const char *text, size_t length, char *letter)
{
    static const struct {
        const char *name;
        char letter;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        size_t size = strlen(entities[i].name);
        if (size <= length && memcmp(text, entities[i].name, size) == 0) {
            *letter = entities[i].letter;
            return size;
        }
    }
    *letter = *text;
    return 1;
}

/* Owned, or NULL: there is none, or no memory. */
static char *xml_text(const char *text, size_t length, const char *element)
{
    char opening[64], closing[64];
    snprintf(opening, sizeof opening, "<%s>", element);
    snprintf(closing, sizeof closing, "</%s>", element);
    const char *start = memmem(text, length, opening, strlen(opening));
    if (start == NULL)
        return NULL;
    start += strlen(opening);
    const char *end = memmem(start, length - (size_t)(start - text), closing, strlen(closing));
    if (end == NULL || memchr(start, '<', (size_t)(end - start)) != NULL ||
        memchr(start, '\0', (size_t)(end - start)) != NULL)
        return NULL;
    char *value = malloc((size_t)(end - start) + 1), *to = value;
    if (value == NULL)
        return NULL;
    while (start < end && (*start == ' ' || *start == '\n' || *start == '\r' || *start == '\t'))
        start++;
    while (start < end)
        start += decode_entity(start, (size_t)(end - start), to++);
    while (to > value && (to[-1] == ' ' || to[-1] == '\n' || to[-1] == '\r' || to[-1] == '\t'))
        to--;
    *to = '\0';
    return value;
}

bool aws_read_role(const char *text, size_t length, struct aws_keys *keys, struct failure *failure)
{
    if (length > AWS_ANSWER_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is larger than %d KiB", AWS_ANSWER_LIMIT >> 10);
    keys->access_key_id = xml_text(text, length, "AccessKeyId");
    keys->secret_access_key = xml_text(text, length, "SecretAccessKey");
    keys->session_token = xml_text(text, length, "SessionToken");
    cleanup(memory_free) char *expires = xml_text(text, length, "Expiration");
    keys->expires_at_ms = expires != NULL ? document_time_ms(expires) : 0;
    if (keys->session_token == NULL || keys->expires_at_ms == 0)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "it lacks SessionToken or Expiration");
    return check_keys(keys, failure);
}

/* ---- the token ---- */

/* "https://123456789012.dkr.ecr.eu-north-1.amazonaws.com" → "123456789012" */
static bool read_account(const json_t *data, char **account, struct failure *failure)
{
    const char *endpoint = json_string_value(json_object_get(data, "proxyEndpoint"));
    if (endpoint == NULL || strncmp(endpoint, "https://", 8) != 0)
        return true;
    endpoint += 8;
    size_t digits = strspn(endpoint, "0123456789");
    if (digits != 12 || endpoint[digits] != '.')
        return true;
    *account = strndup(endpoint, digits);
    return *account != NULL ? true : failure_memory(failure);
}

/* Seconds since 1970 with a fraction from the service itself, a text from some that imitate it. */
static int64_t read_moment(const json_t *member)
{
    if (json_is_string(member))
        return document_time_ms(json_string_value(member));
    double seconds = json_number_value(member);
    return seconds > 0 && seconds < 1e11 ? (int64_t)(seconds * 1000) : 0;
}

static bool split_token(const char *token, struct aws_authorization *authorization, struct failure *failure)
{
    char *decoded = base64_decode(token);
    char *colon = decoded != NULL ? strchr(decoded, ':') : NULL;
    bool done = colon != NULL && colon > decoded && colon[1] != '\0' && is_word(decoded, TOKEN_LIMIT);
    if (done) {
        authorization->username = strndup(decoded, (size_t)(colon - decoded));
        authorization->password = strdup(colon + 1);
    }
    wipe(decoded);
    if (!done)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "its authorizationToken is not base64 of NAME:PASSWORD");
    return authorization->username != NULL && authorization->password != NULL ? true : failure_memory(failure);
}

bool aws_read_authorization(const char *text, size_t length, struct aws_authorization *authorization,
                            struct failure *failure)
{
    cleanup(document_free) json_t *document = parse(text, length, failure);
    if (document == NULL)
        return false;
    json_t *data = json_object_get(document, "authorizationData");
    if (json_is_array(data))
        data = json_array_get(data, 0);
    const char *token = json_string_value(json_object_get(data, "authorizationToken"));
    if (token == NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "it lacks authorizationData with an authorizationToken");
    authorization->expires_at_ms = read_moment(json_object_get(data, "expiresAt"));
    bool done = split_token(token, authorization, failure) && read_account(data, &authorization->account, failure);
    wipe_members(data);
    return done;
}

/* ---- errors ---- */

static void copy_line(char *to, size_t size, const char *text)
{
    size_t used = 0;
    for (; text != NULL && *text != '\0' && used + 1 < size; text++)
        to[used++] = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
    while (used > 0 && ((unsigned char)to[used - 1] & 0xc0) == 0x80 && text != NULL && *text != '\0')
        used--; /* do not end within a letter */
    to[used] = '\0';
}

void aws_read_error(const char *text, size_t length, struct aws_error *error)
{
    *error = (struct aws_error){0};
    length = length < AWS_ANSWER_LIMIT ? length : AWS_ANSWER_LIMIT;
    cleanup(document_free) json_t *document = json_loadb(text, length, 0, NULL);
    if (json_is_object(document)) {
        const char *type = json_string_value(json_object_get(document, "__type"));
        const char *words = json_string_value(json_object_get(document, "message"));
        if (type == NULL)
            type = json_string_value(json_object_get(document, "code"));
        if (words == NULL)
            words = json_string_value(json_object_get(document, "Message"));
        const char *hash = type != NULL ? strrchr(type, '#') : NULL;
        copy_line(error->code, sizeof error->code, hash != NULL ? hash + 1 : type);
        copy_line(error->words, sizeof error->words, words);
        return;
    }
    cleanup(memory_free) char *code = xml_text(text, length, "Code");
    cleanup(memory_free) char *words = xml_text(text, length, "Message");
    copy_line(error->code, sizeof error->code, code);
    copy_line(error->words, sizeof error->words, words);
}

static const char wrong_keys[] = "the keys are not known to AWS: check them, or make new ones (aws configure)";
static const char not_allowed[] = "ask for the permission, or use another profile (option `profile`)";

uint32_t aws_error_kind(int32_t status, const char *code, const char **hint)
{
    static const struct {
        const char *code;
        uint32_t kind;
        const char *hint;
    } known[] = {
        {"ExpiredToken", DESCPIPE_FAILED_NEEDS_LOGIN,
         "these keys have ended: renew them (aws sso login, aws-vault ...)"},
        {"RequestExpired", DESCPIPE_FAILED_NEEDS_LOGIN, "is the clock of this machine right?"},
        {"SignatureDoesNotMatch", DESCPIPE_FAILED_NEEDS_LOGIN,
         "check the secret key; is the clock of this machine right?"},
        {"InvalidSignature", DESCPIPE_FAILED_NEEDS_LOGIN, "check the secret key; is the clock of this machine right?"},
        {"UnrecognizedClient", DESCPIPE_FAILED_NEEDS_LOGIN, wrong_keys},
        {"InvalidClientTokenId", DESCPIPE_FAILED_NEEDS_LOGIN, wrong_keys},
        {"InvalidIdentityToken", DESCPIPE_FAILED_NEEDS_LOGIN, "the web identity's token is not accepted for this role"},
        {"MissingAuthenticationToken", DESCPIPE_FAILED_NEEDS_LOGIN, wrong_keys},
        {"IncompleteSignature", DESCPIPE_FAILED_NEEDS_LOGIN, wrong_keys},
        {"AccessDenied", DESCPIPE_FAILED_NEEDS_LOGIN, not_allowed},
        {"NotAuthorized", DESCPIPE_FAILED_NEEDS_LOGIN, not_allowed},
        {"OptInRequired", DESCPIPE_FAILED_NEEDS_LOGIN, "the account has not enabled this region"},
        {"RepositoryNotFound", DESCPIPE_FAILED_NOT_FOUND, "check the repository's name, account and region"},
        {"Throttling", DESCPIPE_FAILED_LATER, NULL},
        {"TooManyRequests", DESCPIPE_FAILED_LATER, NULL},
        {"RequestLimitExceeded", DESCPIPE_FAILED_LATER, NULL},
        {"ServiceUnavailable", DESCPIPE_FAILED_LATER, NULL},
        {"ServerException", DESCPIPE_FAILED_LATER, NULL},
        {"InternalFailure", DESCPIPE_FAILED_LATER, NULL},
        {"LimitExceeded", DESCPIPE_FAILED_REFUSED, "the account may not have more repositories: ask AWS for more"},
    };
    *hint = NULL;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(code, known[i].code, strlen(known[i].code)) == 0) {
            *hint = known[i].hint;
            return known[i].kind;
        }
    if (status == 429 || status >= 500)
        return DESCPIPE_FAILED_LATER;
    return status == 401 || status == 403 ? DESCPIPE_FAILED_NEEDS_LOGIN : DESCPIPE_FAILED_REFUSED;
}
