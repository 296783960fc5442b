/* SPDX-License-Identifier: BSD-3-Clause */
/* The members of a stage: their values, their names, and which of another stage's belongs to which. */
#include <ctype.h>
#include <string.h>

#include "base/path.h"
#include "pipeline/pipeline.h"

enum { MEMBER_NAME_LIMIT = 100 };

/* The place of a member's value in the values of one key; the last key is the fastest. */
static uint32_t value_index(const struct stage_extras *extras, uint32_t member, size_t key)
{
    for (size_t i = extras->foreach.count; i-- > key + 1;)
        member /= extras->foreach.items[i].values.count;
    return member % extras->foreach.items[key].values.count;
}

symbol stage_member_value(const struct pipeline *pipeline, const struct stage *stage, uint32_t member, size_t key)
{
    const struct foreach_key *each = &stage->extras->foreach.items[key];
    return pipeline->symbols_array.items[each->values.at + value_index(stage->extras, member, key)];
}

/* A path gives its last part without the suffix; what is not harmless in a file name becomes '_'. */
static void append_value_name(const char *value, struct text *name)
{
    const char *part = strrchr(value, '/');
    bool path = part != NULL && part[1] != '\0';
    part = path ? part + 1 : value;
    const char *dot = path ? strrchr(part, '.') : NULL;
    size_t length = dot != NULL && dot > part ? (size_t)(dot - part) : strlen(part);
    for (size_t i = 0; i < length; i++) {
        char c = part[i];
        bool plain = isalnum((unsigned char)c) || strchr("_-+=@", c) != NULL || (c == '.' && i > 0);
        text_append_character(name, plain ? c : '_');
    }
}

void stage_member_name(const struct pipeline *pipeline, const struct stage *stage, uint32_t member, struct text *name)
{
    size_t before = name->length;
    const struct stage_extras *extras = stage->extras;
    for (size_t key = 0; extras != NULL && key < extras->foreach.count; key++) {
        if (key > 0)
            text_append_character(name, '-');
        append_value_name(pipeline_text(pipeline, stage_member_value(pipeline, stage, member, key)), name);
    }
    if (name->length > before && name->bytes[before] == '-')
        name->bytes[before] = '_'; /* no option of a tool */
    if (name->length - before > MEMBER_NAME_LIMIT) {
        name->length = before + MEMBER_NAME_LIMIT;
        name->bytes[name->length] = '\0';
    }
    if (extras != NULL && extras->numbered)
        text_format(name, "-%u", member);
}

/* Where the consumer's key stands in the producer's, or SIZE_MAX. */
static size_t find_key(const struct stage_extras *extras, symbol key)
{
    for (size_t i = 0; i < extras->foreach.count; i++)
        if (extras->foreach.items[i].key == key)
            return i;
    return SIZE_MAX;
}

static uint32_t find_value(const struct pipeline *pipeline, const struct foreach_key *key, symbol value,
                           uint32_t likely)
{
    const symbol *values = &pipeline->symbols_array.items[key->values.at];
    if (likely < key->values.count && values[likely] == value)
        return likely;
    for (uint32_t i = 0; i < key->values.count; i++)
        if (values[i] == value)
            return i;
    return UINT32_MAX;
}

bool stage_members_match(const struct stage *consumer, const struct stage *producer)
{
    if (consumer->members == 0 || producer->members == 0 ||
        consumer->extras->foreach.count != producer->extras->foreach.count)
        return false;
    for (size_t i = 0; i < consumer->extras->foreach.count; i++)
        if (find_key(producer->extras, consumer->extras->foreach.items[i].key) == SIZE_MAX)
            return false;
    return true;
}

uint32_t stage_member_match(const struct pipeline *pipeline, const struct stage *consumer, uint32_t member,
                            const struct stage *producer)
{
    if (!stage_members_match(consumer, producer))
        return UINT32_MAX;
    uint32_t match = 0;
    for (size_t i = 0; i < producer->extras->foreach.count; i++) {
        const struct foreach_key *key = &producer->extras->foreach.items[i];
        size_t own = find_key(consumer->extras, key->key);
        uint32_t likely = value_index(consumer->extras, member, own);
        uint32_t at = find_value(pipeline, key, stage_member_value(pipeline, consumer, member, own), likely);
        if (at == UINT32_MAX)
            return UINT32_MAX;
        match = match * key->values.count + at;
    }
    return match;
}

void stage_expand(const struct pipeline *pipeline, const struct stage *stage, uint32_t member, const char *text,
                  struct text *out)
{
    static const char mark[] = "${each.";
    for (const char *found; (found = strstr(text, mark)) != NULL;) {
        const char *key = found + sizeof mark - 1;
        const char *close = strchr(key, '}');
        if (close == NULL)
            break;
        if (found > text && found[-1] == '$') { /* $${each.x}: the words themselves */
            text_append_bytes(out, text, (size_t)(found - 1 - text));
            text_append_bytes(out, found, (size_t)(close + 1 - found));
            text = close + 1;
            continue;
        }
        text_append_bytes(out, text, (size_t)(found - text));
        symbol name = symbol_find(pipeline->symbols, key, (size_t)(close - key));
        size_t index = stage->extras != NULL && name != 0 ? find_key(stage->extras, name) : SIZE_MAX;
        if (index != SIZE_MAX && stage->members > 0)
            text_append(out, pipeline_text(pipeline, stage_member_value(pipeline, stage, member, index)));
        else
            text_append_bytes(out, found, (size_t)(close + 1 - found));
        text = close + 1;
    }
    text_append(out, text);
}
