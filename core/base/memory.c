/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocation that never returns NULL, and the arena: a list of chunks that are filled from the front. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_FIRST_CHUNK = 4096, ARENA_LARGEST_CHUNK = 1024 * 1024, ARENA_ALIGNMENT = 16 };

_Noreturn void memory_exhausted(void)
{
    static const char line[] = "descpipe: error: out of memory; the run can be resumed\n";
    /* Nothing useful can be done when even this cannot be written. */
    ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
    (void)written;
    _exit(6);
}

void *memory_allocate(size_t bytes)
{
    void *memory = calloc(1, bytes > 0 ? bytes : 1);
    if (memory == NULL)
        memory_exhausted();
    return memory;
}

void *memory_resize(void *memory, size_t bytes)
{
    void *larger = realloc(memory, bytes > 0 ? bytes : 1);
    if (larger == NULL)
        memory_exhausted();
    return larger;
}

char *memory_copy_bytes(const void *bytes, size_t length)
{
    if (length == SIZE_MAX)
        memory_exhausted();
    char *copy = memory_resize(NULL, length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

char *memory_copy_text(const char *text)
{
    return text != NULL ? memory_copy_bytes(text, strlen(text)) : NULL;
}

char *memory_format(const char *format, ...)
{
    char *result = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&result, format, arguments);
    va_end(arguments);
    if (length < 0)
        memory_exhausted();
    return result;
}

/* Chunks are kept in the order they were made; `current` is the one being filled, those after it are empty. */
struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used;
    _Alignas(ARENA_ALIGNMENT) unsigned char bytes[];
};

struct arena {
    struct arena_chunk *first, *current;
    size_t bytes;
};

struct arena *arena_new(void)
{
    return memory_allocate(sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    for (struct arena_chunk *chunk = arena->first; chunk != NULL;) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(arena);
}

void arena_reset(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->first; chunk != NULL; chunk = chunk->next)
        chunk->used = 0;
    arena->current = arena->first;
}

static size_t arena_next_chunk_size(const struct arena *arena, size_t needed)
{
    size_t size = arena->current != NULL ? arena->current->size * 2 : ARENA_FIRST_CHUNK;
    if (size > ARENA_LARGEST_CHUNK)
        size = ARENA_LARGEST_CHUNK;
    return size > needed ? size : needed;
}

static void *arena_take(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        memory_exhausted();
    size_t rounded = (bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    while (arena->current != NULL && arena->current->size - arena->current->used < rounded) {
        if (arena->current->next == NULL)
            break;
        arena->current = arena->current->next;
    }
    if (arena->current == NULL || arena->current->size - arena->current->used < rounded) {
        size_t size = arena_next_chunk_size(arena, rounded);
        struct arena_chunk *chunk = memory_resize(NULL, sizeof *chunk + size);
        *chunk = (struct arena_chunk){.size = size};
        if (arena->current != NULL)
            arena->current->next = chunk;
        else
            arena->first = chunk;
        arena->current = chunk;
        arena->bytes += sizeof *chunk + size;
    }
    void *place = arena->current->bytes + arena->current->used;
    arena->current->used += rounded;
    return place;
}

void *arena_allocate(struct arena *arena, size_t bytes)
{
    return memset(arena_take(arena, bytes), 0, bytes);
}

char *arena_copy(struct arena *arena, const void *bytes, size_t length)
{
    if (length == SIZE_MAX)
        memory_exhausted();
    char *copy = arena_take(arena, length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

char *arena_copy_text(struct arena *arena, const char *text)
{
    return text != NULL ? arena_copy(arena, text, strlen(text)) : NULL;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}
