/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ownership made visible: cleanup attributes, steal, an arena. Running out of memory ends the program
 * with exit 6 and one line; the journal makes that safe, so no caller checks for NULL.
 */
#ifndef DESCPIPE_BASE_MEMORY_H
#define DESCPIPE_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* cleanup(text_free) struct text *name = NULL;  runs text_free(name) at the end of the scope. The function
 * must have been named in DEFINE_CLEANUP(type, function) in its header. */
#define cleanup(function) __attribute__((cleanup(function##_at)))
#define DEFINE_CLEANUP(type, function)                                    \
    static inline void function##_at(type *place) { function(*place); }   \
    struct descpipe_cleanup_needs_semicolon

void *memory_allocate(size_t bytes);                 /* never NULL, zeroed */
void *memory_resize(void *memory, size_t bytes);     /* never NULL, new bytes undefined */
char *memory_copy_text(const char *text);            /* NULL stays NULL */
char *memory_copy_bytes(const void *bytes, size_t length); /* with a NUL added */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void memory_exhausted(void);

static inline void memory_free(void *memory) { free(memory); }
static inline void memory_free_at(void *place) { free(*(void **)place); } /* cleanup(memory_free) on any pointer */

/* Hands ownership over: returns *place and leaves NULL. */
#define steal(place) (__extension__({ __typeof__(*(place)) stolen_ = *(place); *(place) = NULL; stolen_; }))

/* Bump allocation for things that die together. Never moves what it gave. */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *arena);
void arena_reset(struct arena *arena); /* keeps the memory, forgets the contents */
void *arena_allocate(struct arena *arena, size_t bytes); /* zeroed, aligned for anything */
char *arena_copy(struct arena *arena, const void *bytes, size_t length); /* with a NUL added */
char *arena_copy_text(struct arena *arena, const char *text); /* NULL of NULL */
size_t arena_bytes(const struct arena *arena);
DEFINE_CLEANUP(struct arena *, arena_free);

#endif
