/* SPDX-License-Identifier: BSD-3-Clause */
/* Ownership made visible in plugins, which see nothing of the core: cleanup attributes and steal, spelled as there. */
#ifndef DESCPIPE_REGISTRY_OWNERSHIP_H
#define DESCPIPE_REGISTRY_OWNERSHIP_H

#include <stdlib.h>
#include <unistd.h>

/* cleanup(json_free) json_t *document = NULL;  runs json_free(document) at the end of the scope. The function must have
 * been named in DEFINE_CLEANUP(type, function). */
#define cleanup(function) __attribute__((cleanup(function##_at)))
#define DEFINE_CLEANUP(type, function)                                                                                 \
    static inline void function##_at(type *place)                                                                      \
    {                                                                                                                  \
        function(*place);                                                                                              \
    }                                                                                                                  \
    struct descpipe_cleanup_needs_semicolon

/* cleanup(memory_free) on any pointer to memory of malloc. */
static inline void memory_free_at(void *place)
{
    free(*(void **)place);
}

static inline void descriptor_close(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}
DEFINE_CLEANUP(int, descriptor_close);

/* Hands ownership over: returns *place and leaves NULL. */
#define steal(place)                                                                                                   \
    (__extension__({                                                                                                   \
        __typeof__(*(place)) stolen_ = *(place);                                                                       \
        *(place) = NULL;                                                                                               \
        stolen_;                                                                                                       \
    }))

#endif
