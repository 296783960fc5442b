/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a shared object says about itself before anything of it is executed: the libraries it wants, where it looks for
 * them, the symbols it takes from others. The file is hostile until trusted: every offset is checked, every table
 * has a limit, nothing is followed twice. Only objects of this machine's own class and byte order are read.
 */
#ifndef DESCPIPE_PLUGIN_ELF_H
#define DESCPIPE_PLUGIN_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

#define ELF_PROGRAM_HEADERS_LIMIT 1024
#define ELF_DYNAMIC_LIMIT 65536       /* entries */
#define ELF_STRINGS_LIMIT (16u << 20) /* bytes */
#define ELF_SYMBOLS_LIMIT 1000000
#define ELF_NAMES_LIMIT (64u << 20) /* bytes of all names that are kept: many symbols may share one long name */

struct elf_facts {
    struct words needed;  /* DT_NEEDED */
    struct words search;  /* entries of DT_RUNPATH and DT_RPATH, split at ':', as written */
    struct words imports; /* names of undefined dynamic symbols, each once per entry of the table */
};

void elf_clear(struct elf_facts *facts);
static inline void elf_clear_at(struct elf_facts *place)
{
    elf_clear(place);
}

/* `path` is a regular file. On failure the message is a reason alone ("it is not an ELF file"), without the path. */
bool elf_read(const char *path, struct elf_facts *facts, struct error *error);
bool elf_parse(const uint8_t *bytes, size_t length, struct elf_facts *facts, struct error *error);

#endif
