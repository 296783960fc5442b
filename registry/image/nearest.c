/* SPDX-License-Identifier: BSD-3-Clause */
/* The tags most like one that is not there: by how many letters must change (Levenshtein's distance). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/image/tags.h"
#include "registry/ownership.h"
#include "registry/reference.h"

#define NEAREST_MOST 8

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Both within REFERENCE_TAG_LIMIT. */
static size_t distance(const char *one, const char *other)
{
    size_t row[REFERENCE_TAG_LIMIT + 1], columns = strlen(other);
    for (size_t column = 0; column <= columns; column++)
        row[column] = column;
    for (size_t line = 1; one[line - 1] != '\0'; line++) {
        size_t diagonal = row[0];
        row[0] = line;
        for (size_t column = 1; column <= columns; column++) {
            size_t above = row[column];
            size_t changed = diagonal + (one[line - 1] != other[column - 1]);
            row[column] = smaller(changed, smaller(above, row[column - 1]) + 1);
            diagonal = above;
        }
    }
    return row[columns];
}

struct near {
    const char *tag;
    size_t distance;
};

/* Keeps the nearest in order; of equals the first stays. */
static size_t insert(struct near *nearest, size_t count, size_t most, struct near candidate)
{
    size_t at = count;
    while (at > 0 && nearest[at - 1].distance > candidate.distance)
        at--;
    if (at == most)
        return count;
    size_t kept = smaller(count, most - 1);
    memmove(&nearest[at + 1], &nearest[at], (kept - at) * sizeof *nearest);
    nearest[at] = candidate;
    return kept + 1;
}

char *tags_nearest(const char *const *tags, size_t count, const char *wanted, size_t most)
{
    struct near nearest[NEAREST_MOST + 1];
    size_t found = 0;
    if (strlen(wanted) > REFERENCE_TAG_LIMIT)
        return NULL;
    most = smaller(most, NEAREST_MOST);
    for (size_t i = 0; i < count && most > 0; i++)
        if (strlen(tags[i]) <= REFERENCE_TAG_LIMIT)
            found = insert(nearest, found, most, (struct near){.tag = tags[i], .distance = distance(wanted, tags[i])});
    if (found == 0)
        return NULL;
    char *text = calloc(found, REFERENCE_TAG_LIMIT + 5);
    size_t used = 0;
    for (size_t i = 0; text != NULL && i < found; i++) {
        int added = snprintf(text + used, found * (REFERENCE_TAG_LIMIT + 5) - used, "%s'%s'", i > 0 ? ", " : "",
                             nearest[i].tag);
        used += added > 0 ? (size_t)added : 0;
    }
    return text;
}
