/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one symbol a plugin exports, and what it returns.
 *
 *     load ──► descpipe_plugin_v1() ──► open(host, &self) ──► operations, any order ──► close(self)
 *
 * The library is never unloaded. `open` may run several times in one process, with different settings,
 * so all state belongs in `self`; no writable statics. File name: KIND-NAME.so.
 */
#ifndef DESCPIPE_PLUGIN_H
#define DESCPIPE_PLUGIN_H

#include <descpipe/host.h>
#include <descpipe/option.h>
#include <descpipe/registry.h>
#include <descpipe/runtime.h>
#include <descpipe/scheduler.h>
#include <descpipe/types.h>

struct descpipe_plugin {
    uint32_t size;
    uint32_t abi_major;   /* DESCPIPE_ABI_MAJOR */
    uint32_t abi_minor;   /* DESCPIPE_ABI_MINOR of the header it was built with */
    uint32_t needs_minor; /* the oldest host it can work with; 0 unless it depends on something newer */
    const char *kind;     /* "runtime", "registry" or "scheduler" */
    const char *name;     /* lower case, digits and '-' */
    const char *version;
    const char *summary;  /* one line */
    const char *author;
    const char *licence;  /* SPDX expression */
    const char *url;
    const struct descpipe_option *const *options; /* ends with NULL */
    const void *operations; /* struct descpipe_runtime, descpipe_registry or descpipe_scheduler, by kind */
};

#define DESCPIPE_ENTRY_SYMBOL "descpipe_plugin_v1"

#ifdef __cplusplus
extern "C" {
#endif
/* Pure: no I/O, no allocation. The descriptor is constant. */
DESCPIPE_EXPORT const struct descpipe_plugin *descpipe_plugin_v1(void);
#ifdef __cplusplus
}
#endif

#endif
