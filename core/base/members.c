/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding the members of a JSON object, and taking their values out. */
#include "base/members.h"

#include <stddef.h>
#include <string.h>

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* True when one of eight bytes is zero. May say so too often (where a lower byte borrows), never too rarely. */
static inline bool word_has_zero(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    return ((word - ones) & ~word & high) != 0;
}

/* The first '"' or '\\', or the end. Eight bytes at a time: a third of a record is its hash. */
static const char *skip_plain(const char *at, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (uint64_t word; end - at >= (ptrdiff_t)sizeof word; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        if (word_has_zero(word ^ (ones * '"')) || word_has_zero(word ^ (ones * '\\')))
            break;
    }
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Behind the text whose opening quote stands at `at`, or NULL. */
static const char *skip_text(const char *at, const char *end)
{
    for (at++; (at = skip_plain(at, end)) < end && *at == '\\'; at += 2)
        if (end - at < 2)
            return NULL;
    return at < end ? at + 1 : NULL;
}

/* Behind the value that begins at `at`: before the ',' or the bracket that ends it. NULL when nothing ends it. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    while (at != NULL && at < end) {
        switch (*at) {
        case '"':
            at = skip_text(at, end);
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return at;
            depth--;
            break;
        case ',':
            if (depth == 0)
                return at;
            break;
        default:
            break;
        }
        at++;
    }
    return NULL;
}

/* One `"name":value`; returns behind it, or NULL. */
static const char *find_member(struct member *member, const char *at, const char *end)
{
    at = skip_space(at, end);
    const char *behind = at < end && *at == '"' ? skip_text(at, end) : NULL;
    if (behind == NULL)
        return NULL;
    member->name = at + 1;
    member->name_length = (size_t)(behind - at) - 2;
    at = skip_space(behind, end);
    if (at == end || *at != ':')
        return NULL;
    at = skip_space(at + 1, end);
    behind = skip_value(at, end);
    if (behind == NULL || behind == at)
        return NULL;
    member->value = at;
    while (behind[-1] == ' ' || behind[-1] == '\t' || behind[-1] == '\n' || behind[-1] == '\r')
        behind--;
    member->value_length = (size_t)(behind - at);
    return skip_space(behind, end);
}

/* Returns behind the object that begins at `at`, or NULL. */
static const char *find_all(struct members *members, const char *at, const char *end)
{
    at = skip_space(at, end);
    if (at == end || *at != '{')
        return NULL;
    at = skip_space(at + 1, end);
    if (at < end && *at == '}')
        return at + 1;
    for (;;) {
        if (members->count == MEMBERS_AT_MOST)
            return NULL;
        at = find_member(&members->items[members->count], at, end);
        if (at == NULL || at == end)
            return NULL;
        members->count++;
        if (*at == '}')
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

bool members_find(struct members *members, struct arena *arena, const char *bytes, size_t length)
{
    members->arena = arena;
    members->count = 0;
    const char *behind = find_all(members, bytes, bytes + length);
    if (behind != NULL && skip_space(behind, bytes + length) == bytes + length)
        return true;
    members->count = 0;
    return false;
}

static const struct member *find(const struct members *members, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = members->count; i-- > 0;)
        if (members->items[i].name_length == length && memcmp(members->items[i].name, name, length) == 0)
            return &members->items[i];
    return NULL;
}

static bool is_plain(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] > '~' || text[i] == '\\' || text[i] == '"')
            return false;
    return true;
}

static const char *decode(struct arena *arena, const struct member *member)
{
    json_t *json = json_loadb(member->value, member->value_length, JSON_DECODE_ANY, NULL);
    const char *text = json_string_value(json);
    const char *copy = text != NULL ? arena_copy(arena, text, json_string_length(json)) : NULL;
    json_decref(json);
    return copy;
}

const char *members_text(const struct members *members, const char *name)
{
    const struct member *member = find(members, name);
    if (member == NULL || member->value[0] != '"')
        return NULL;
    if (member->value_length >= 2 && is_plain(member->value + 1, member->value_length - 2))
        return arena_copy(members->arena, member->value + 1, member->value_length - 2);
    return decode(members->arena, member);
}

bool members_integer(const struct members *members, const char *name, int64_t *number)
{
    enum { DIGITS_LIMIT = 18 }; /* so that nothing wraps */
    const struct member *member = find(members, name);
    if (member == NULL)
        return false;
    const char *at = member->value, *end = at + member->value_length;
    bool negative = *at == '-';
    at += negative;
    if (at == end || end - at > DIGITS_LIMIT)
        return false;
    int64_t value = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        value = value * 10 + (*at - '0');
    }
    *number = negative ? -value : value;
    return true;
}

int64_t members_number(const struct members *members, const char *name)
{
    int64_t number = 0;
    members_integer(members, name, &number);
    return number;
}

bool members_true(const struct members *members, const char *name)
{
    const struct member *member = find(members, name);
    return member != NULL && member->value_length == 4 && memcmp(member->value, "true", 4) == 0;
}

bool members_object(const struct members *members, const char *name, struct members *object)
{
    const struct member *member = find(members, name);
    object->count = 0;
    return member != NULL && members_find(object, members->arena, member->value, member->value_length);
}

bool members_raw(const struct members *members, const char *name, const char **bytes, size_t *length)
{
    const struct member *member = find(members, name);
    if (member == NULL)
        return false;
    *bytes = member->value;
    *length = member->value_length;
    return true;
}

json_t *members_json(const struct members *members, const char *name)
{
    const struct member *member = find(members, name);
    return member != NULL ? json_loadb(member->value, member->value_length, JSON_DECODE_ANY, NULL) : NULL;
}

struct elements members_elements(const struct members *members, const char *name)
{
    const struct member *member = find(members, name);
    if (member == NULL || member->value[0] != '[')
        return (struct elements){0};
    return (struct elements){
        .arena = members->arena, .at = member->value + 1, .end = member->value + member->value_length};
}

bool elements_next(struct elements *elements, struct members *object)
{
    if (elements->at == NULL)
        return false;
    object->arena = elements->arena;
    object->count = 0;
    const char *behind = find_all(object, elements->at, elements->end);
    if (behind == NULL) {
        elements->at = NULL;
        return false;
    }
    behind = skip_space(behind, elements->end);
    elements->at = behind < elements->end && *behind == ',' ? behind + 1 : NULL;
    return true;
}
