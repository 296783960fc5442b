/* SPDX-License-Identifier: BSD-3-Clause */
/* links: core-base */
/* The finder of a JSON object's members on any bytes; where jansson takes the object, both say the same of it. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/members.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare_integer(const struct members *members, const char *name, const json_t *value)
{
    int64_t number = 0;
    bool found = members_integer(members, name, &number);
    if (found && (!json_is_integer(value) || json_integer_value(value) != number))
        abort();
    bool small = json_is_integer(value) && llabs(json_integer_value(value)) < 1000000000;
    if (small && !found)
        abort();
}

static void compare(const struct members *members, json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        const char *text = members_text(members, name);
        if (json_is_string(value) != (text != NULL) || (text != NULL && strcmp(text, json_string_value(value)) != 0))
            abort();
        compare_integer(members, name, value);
        if (members_true(members, name) != json_is_true(value))
            abort();
    }
}

static bool has_escape(const uint8_t *data, size_t size)
{
    return memchr(data, '\\', size) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || memchr(data, '\0', size) != NULL) /* the journal's reader lets no NUL through */
        return 0;
    struct arena *arena = arena_new();
    struct members members, inner;
    const char *bytes = (const char *)data;
    bool found = members_find(&members, arena, bytes, size);
    json_t *object = json_loadb(bytes, size, 0, NULL);
    if (json_is_object(object) && !found && size < MEMBERS_AT_MOST * sizeof "'':1") /* so it has not too many */
        abort();
    if (found && object != NULL && !has_escape(data, size)) /* else one name may be written in two ways */
        compare(&members, object);
    members_text(&members, "a");
    members_object(&members, "a", &inner);
    json_decref(members_json(&members, "a"));
    for (struct elements all = members_elements(&members, "a"); elements_next(&all, &inner);)
        members_text(&inner, "a");
    json_decref(object);
    arena_free(arena);
    return 0;
}
