/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded JSON: members by type, with messages that name them. */
#include "registry/document.h"

#include <string.h>
#include <time.h>

#include "registry/manifest.h"

json_t *document_parse(const char *bytes, size_t length, struct failure *failure)
{
    if (length > OCI_DOCUMENT_LIMIT) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "the document is larger than %u bytes", OCI_DOCUMENT_LIMIT);
        return NULL;
    }
    json_error_t error;
    json_t *document = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL)
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "not valid JSON: line %d, column %d: %s", error.line,
                    error.column, error.text);
    return document;
}

bool document_text(const json_t *object, const char *name, unsigned flags, char **text, struct failure *failure)
{
    const json_t *member = json_object_get(object, name);
    if (member == NULL || json_is_null(member)) {
        if ((flags & DOCUMENT_REQUIRED) == 0)
            return true;
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is missing", name);
    }
    if (!json_is_string(member))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is not a text", name);
    *text = strdup(json_string_value(member));
    return *text != NULL ? true : failure_memory(failure);
}

bool document_size(const json_t *object, const char *name, uint64_t *size, struct failure *failure)
{
    const json_t *member = json_object_get(object, name);
    if (!json_is_integer(member) || json_integer_value(member) < 0)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is not a size", name);
    *size = (uint64_t)json_integer_value(member);
    return true;
}

bool document_texts(const json_t *object, const char *name, size_t limit, char ***texts, size_t *count,
                    struct failure *failure)
{
    const json_t *member = json_object_get(object, name);
    size_t length = json_array_size(member);
    if (!json_is_array(member))
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' is not a list", name);
    if (length > limit)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' has more than %zu entries", name, limit);
    *texts = calloc(length + 1, sizeof **texts);
    if (*texts == NULL)
        return failure_memory(failure);
    for (*count = 0; *count < length; ++*count) {
        const char *text = json_string_value(json_array_get(member, *count));
        if (text == NULL)
            return failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%s' holds something that is not a text", name);
        if (((*texts)[*count] = strdup(text)) == NULL)
            return failure_memory(failure);
    }
    return true;
}

void document_texts_free(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free((void *)texts);
}

/* "+hh:mm" or "-hh:mm" in seconds. */
static bool read_offset(const char *text, int64_t *seconds)
{
    if (strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
        return false;
    for (size_t i = 1; i < 6; i++)
        if (i != 3 && (text[i] < '0' || text[i] > '9'))
            return false;
    int64_t hours = (text[1] - '0') * 10 + text[2] - '0', minutes = (text[4] - '0') * 10 + text[5] - '0';
    *seconds = (hours * 60 + minutes) * 60 * (text[0] == '-' ? -1 : 1);
    return true;
}

int64_t document_time_ms(const char *text)
{
    struct tm time = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &time);
    if (rest == NULL)
        return 0;
    int64_t milliseconds = 0, scale = 100;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            milliseconds += (*rest - '0') * scale;
    int64_t offset = 0;
    if (strcmp(rest, "Z") != 0 && strcmp(rest, "z") != 0 && !read_offset(rest, &offset))
        return 0;
    return ((int64_t)timegm(&time) - offset) * 1000 + milliseconds;
}
