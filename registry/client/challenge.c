/* SPDX-License-Identifier: BSD-3-Clause */
/* WWW-Authenticate read by RFC 9110's grammar: schemes, each with a token68 or with parameters, commas between all. */
#include "registry/client/challenge.h"

#include <stdlib.h>
#include <string.h>

void challenge_clear(struct challenge *challenge)
{
    free(challenge->name);
    free(challenge->realm);
    free(challenge->service);
    free(challenge->scope);
    free(challenge->error);
    *challenge = (struct challenge){0};
}

void challenges_clear(struct challenges *challenges)
{
    for (size_t i = 0; i < challenges->count; i++)
        challenge_clear(&challenges->items[i]);
    challenges->count = 0;
}

static bool copy_text(char **to, const char *from, struct failure *failure)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL ? true : failure_memory(failure);
}

bool challenge_copy(struct challenge *to, const struct challenge *from, struct failure *failure)
{
    struct challenge copy = {.scheme = from->scheme};
    if (copy_text(&copy.name, from->name, failure) && copy_text(&copy.realm, from->realm, failure) &&
        copy_text(&copy.service, from->service, failure) && copy_text(&copy.scope, from->scope, failure) &&
        copy_text(&copy.error, from->error, failure)) {
        *to = copy;
        return true;
    }
    challenge_clear(&copy);
    return false;
}

/* Where we are in the header. */
struct cursor {
    const char *at;
    struct failure *failure;
};

static bool fail_grammar(struct cursor *cursor, const char *expected)
{
    failure_set(cursor->failure, DESCPIPE_FAILED_REFUSED,
                "the registry's WWW-Authenticate header cannot be read: %s is missing at '%.40s'", expected,
                cursor->at);
    return false;
}

static void skip_blanks(struct cursor *cursor)
{
    cursor->at += strspn(cursor->at, " \t");
}

static void skip_commas(struct cursor *cursor)
{
    cursor->at += strspn(cursor->at, " \t,");
}

static size_t token_length(const char *text)
{
    return strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* "name = value" begins here? Then *equals is behind the equals sign. */
static bool at_parameter(const char *text, size_t length, const char **equals)
{
    const char *rest = text + length;
    rest += strspn(rest, " \t");
    if (length == 0 || *rest != '=')
        return false;
    rest++;
    /* "abc=" and "abc==" at the end, or before a comma, are a token68 with its padding */
    const char *value = rest + strspn(rest, " \t");
    if (*value == '\0' || *value == ',' || *value == '=')
        return false;
    *equals = value;
    return true;
}

static bool read_quoted(struct cursor *cursor, char **value)
{
    const char *text = cursor->at + 1;
    char *out = malloc(strlen(text) + 1);
    size_t length = 0;
    if (out == NULL)
        return failure_memory(cursor->failure);
    while (*text != '"' && *text != '\0') {
        if (*text == '\\' && text[1] != '\0')
            text++;
        out[length++] = *text++;
    }
    out[length] = '\0';
    if (*text == '\0') {
        free(out);
        return fail_grammar(cursor, "a closing quote");
    }
    cursor->at = text + 1;
    *value = out;
    return true;
}

static bool read_value(struct cursor *cursor, char **value)
{
    if (*cursor->at == '"')
        return read_quoted(cursor, value);
    size_t length = token_length(cursor->at);
    /* Some services write URLs and scopes without quotes; what is no delimiter belongs to the value. */
    length += strcspn(cursor->at + length, ", \t\"");
    if (length == 0)
        return fail_grammar(cursor, "a value");
    *value = strndup(cursor->at, length);
    cursor->at += length;
    return *value != NULL ? true : failure_memory(cursor->failure);
}

static char **place_of(struct challenge *challenge, const char *name, size_t length)
{
    const struct {
        const char *name;
        char **place;
    } known[] = {{"realm", &challenge->realm},
                 {"service", &challenge->service},
                 {"scope", &challenge->scope},
                 {"error", &challenge->error}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == length && strncasecmp(name, known[i].name, length) == 0)
            return known[i].place;
    return NULL;
}

static bool read_parameters(struct cursor *cursor, struct challenge *challenge)
{
    for (size_t count = 0;; count++) {
        struct cursor next = *cursor;
        skip_commas(&next);
        const char *name = next.at, *value_at = NULL;
        size_t length = token_length(name);
        if (!at_parameter(name, length, &value_at))
            return true; /* the header's end, or another scheme */
        if (count == CHALLENGE_PARAMETERS_LIMIT)
            return failure_set(cursor->failure, DESCPIPE_FAILED_REFUSED,
                               "the registry's WWW-Authenticate header has more than %d parameters",
                               CHALLENGE_PARAMETERS_LIMIT);
        next.at = value_at;
        cleanup(memory_free) char *value = NULL;
        if (!read_value(&next, &value))
            return false;
        char **place = place_of(challenge, name, length);
        if (place != NULL && *place == NULL) /* of two with one name the first counts */
            *place = steal(&value);
        cursor->at = next.at;
        skip_blanks(cursor);
        if (*cursor->at != ',' && *cursor->at != '\0')
            return fail_grammar(cursor, "a comma");
    }
}

static enum challenge_scheme scheme_of(const char *name)
{
    if (strcasecmp(name, "bearer") == 0)
        return CHALLENGE_BEARER;
    return strcasecmp(name, "basic") == 0 ? CHALLENGE_BASIC : CHALLENGE_OTHER;
}

static bool read_challenge(struct cursor *cursor, struct challenge *challenge)
{
    size_t length = token_length(cursor->at);
    if (length == 0)
        return fail_grammar(cursor, "a scheme");
    challenge->name = strndup(cursor->at, length);
    if (challenge->name == NULL)
        return failure_memory(cursor->failure);
    challenge->scheme = scheme_of(challenge->name);
    cursor->at += length;
    if (*cursor->at != ' ' && *cursor->at != '\t' && *cursor->at != ',' && *cursor->at != '\0')
        return fail_grammar(cursor, "a space");
    skip_blanks(cursor);
    const char *ignored;
    size_t next = token_length(cursor->at);
    if (*cursor->at == ',' || *cursor->at == '\0' || at_parameter(cursor->at, next, &ignored))
        return read_parameters(cursor, challenge);
    cursor->at += strcspn(cursor->at, ", \t"); /* a token68 */
    skip_blanks(cursor);
    return *cursor->at == ',' || *cursor->at == '\0' ? true : fail_grammar(cursor, "a comma");
}

bool challenges_add(struct challenges *challenges, const char *header, struct failure *failure)
{
    struct cursor cursor = {.at = header, .failure = failure};
    size_t before = challenges->count;
    bool good = true;
    if (strlen(header) > CHALLENGE_HEADER_LIMIT)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           "the registry's WWW-Authenticate header is longer than %d bytes", CHALLENGE_HEADER_LIMIT);
    for (skip_commas(&cursor); good && *cursor.at != '\0'; skip_commas(&cursor)) {
        if (challenges->count == CHALLENGES_LIMIT)
            good = failure_set(failure, DESCPIPE_FAILED_REFUSED, "the registry offers more than %d ways to log in",
                               CHALLENGES_LIMIT);
        else
            good = read_challenge(&cursor, &challenges->items[challenges->count++]);
    }
    while (!good && challenges->count > before)
        challenge_clear(&challenges->items[--challenges->count]);
    return good;
}

const struct challenge *challenges_choose(const struct challenges *challenges)
{
    const struct challenge *chosen = NULL;
    for (size_t i = 0; i < challenges->count; i++) {
        const struct challenge *challenge = &challenges->items[i];
        if (challenge->scheme == CHALLENGE_BEARER && challenge->realm != NULL)
            return challenge;
        if (challenge->scheme == CHALLENGE_BASIC && chosen == NULL)
            chosen = challenge;
    }
    return chosen;
}
