/* SPDX-License-Identifier: BSD-3-Clause */
/* Growth of dynamic arrays, and lists of owned texts. */
#include "base/list.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void list_reserve_bytes(void **items, size_t *capacity, size_t count, size_t more, size_t item_size)
{
    if (more <= *capacity - count)
        return;
    if (more > SIZE_MAX / 2 / item_size - count)
        memory_exhausted();
    size_t grown = *capacity + *capacity / 2;
    if (grown < count + more)
        grown = count + more;
    if (grown < 8)
        grown = 8;
    if (grown > SIZE_MAX / 2 / item_size)
        memory_exhausted();
    /* The caller's pointer has some other type: it is copied as bytes, not read as a void pointer. */
    void *memory;
    memcpy(&memory, items, sizeof memory);
    memory = memory_resize(memory, grown * item_size);
    memcpy(items, &memory, sizeof memory);
    *capacity = grown;
}

void *list_zero(void *place, size_t bytes)
{
    return memset(place, 0, bytes);
}

void words_take(struct words *words, char *word)
{
    list_reserve(words, 2);
    words->items[words->count++] = word;
    words->items[words->count] = NULL;
}

void words_add(struct words *words, const char *word)
{
    words_take(words, memory_copy_text(word));
}

void words_format(struct words *words, const char *format, ...)
{
    char *word = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&word, format, arguments);
    va_end(arguments);
    if (length < 0)
        memory_exhausted();
    words_take(words, word);
}

void words_add_all(struct words *words, const char *const *more)
{
    for (; more != NULL && *more != NULL; more++)
        words_add(words, *more);
}

void words_clear(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    list_clear(words);
}

const char *const *words_list(const struct words *words)
{
    static const char *const none[] = {NULL};
    return words->items != NULL ? (const char *const *)words->items : none;
}

const char *words_environment(const char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}
