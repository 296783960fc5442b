/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small, bounded reader of the dynamic section of an ELF shared object.
 *
 * How it works: addresses in the dynamic section are turned into file offsets by the PT_LOAD headers, as the dynamic
 * linker sees them. Section headers are not used: a file may lie in them without harm to itself. The symbol table has
 * no length of its own; DT_HASH gives it, and with DT_GNU_HASH alone everything before the first hashed symbol is what
 * the file takes from others, which is all we ask.
 */
#include "plugin/elf.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

struct image { /* of the file: in memory or behind a descriptor */
    const uint8_t *bytes;
    int descriptor;
    uint64_t length;
};

struct segment {
    uint64_t address, offset, length; /* what the file gives it */
    uint64_t end;                     /* in memory */
};

/* The string table. Its last byte is NUL, so that every name in it ends. */
struct strings {
    char *bytes;
    uint64_t length;
    uint64_t left; /* of ELF_NAMES_LIMIT */
};

struct dynamic {
    uint64_t address, offset; /* of itself */
    uint64_t strings, strings_length, symbols, symbol_size, hash, gnu_hash;
    LIST(uint64_t) needed;
    LIST(uint64_t) search;
};

#if ULONG_MAX > 0xffffffffu
#define ELF_CLASS_HERE ELFCLASS64
#else
#define ELF_CLASS_HERE ELFCLASS32
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ELF_ORDER_HERE ELFDATA2LSB
#else
#define ELF_ORDER_HERE ELFDATA2MSB
#endif

void elf_clear(struct elf_facts *facts)
{
    words_clear(&facts->needed);
    words_clear(&facts->search);
    words_clear(&facts->imports);
}

static bool damaged(struct error *error, const char *what)
{
    return error_set(error, ERROR_PLUGIN, "its ELF structure is damaged (%s)", what);
}

static bool image_read(const struct image *image, uint64_t offset, void *into, size_t length, const char *what,
                       struct error *error)
{
    if (offset > image->length || length > image->length - offset)
        return damaged(error, what);
    if (image->bytes) {
        memcpy(into, image->bytes + offset, length);
        return true;
    }
    uint8_t *to = into;
    while (length > 0) {
        ssize_t got = pread(image->descriptor, to, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return damaged(error, what);
        to += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return true;
}

static bool header_check(const ElfW(Ehdr) * header, struct error *error)
{
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return error_set(error, ERROR_PLUGIN, "it is not an ELF file");
    if (header->e_ident[EI_CLASS] != ELF_CLASS_HERE || header->e_ident[EI_DATA] != ELF_ORDER_HERE)
        return error_set(error, ERROR_PLUGIN, "it was built for another kind of machine");
    if (header->e_type != ET_DYN)
        return error_set(error, ERROR_PLUGIN, "it is an ELF file but not a shared object");
    if (header->e_phentsize != sizeof(ElfW(Phdr)))
        return damaged(error, "program header size");
    if (header->e_phnum == 0 || header->e_phnum > ELF_PROGRAM_HEADERS_LIMIT)
        return damaged(error, "program header count");
    return true;
}

static bool segment_offset(const struct segment *segments, size_t count, uint64_t address, uint64_t *offset,
                           uint64_t *room)
{
    for (size_t i = 0; i < count; i++) {
        if (address >= segments[i].address && address - segments[i].address < segments[i].length) {
            uint64_t inside = address - segments[i].address;
            if (segments[i].offset > UINT64_MAX - inside)
                return false;
            *offset = segments[i].offset + inside;
            *room = segments[i].length - inside;
            return true;
        }
    }
    return false;
}

static bool dynamic_read(const struct image *image, const ElfW(Phdr) * header, struct dynamic *dynamic,
                         struct error *error)
{
    uint64_t count = header->p_filesz / sizeof(ElfW(Dyn));
    if (count > ELF_DYNAMIC_LIMIT)
        return damaged(error, "dynamic section size");
    dynamic->address = header->p_vaddr;
    dynamic->offset = header->p_offset;
    for (uint64_t i = 0; i < count; i++) {
        ElfW(Dyn) entry = {0};
        if (header->p_offset > UINT64_MAX - i * sizeof(entry))
            return damaged(error, "dynamic section offset");
        if (!image_read(image, header->p_offset + i * sizeof(entry), &entry, sizeof(entry), "dynamic section", error))
            return false;
        uint64_t value = entry.d_un.d_val;
        switch (entry.d_tag) {
        case DT_NULL:
            return true;
        case DT_NEEDED:
            list_add(&dynamic->needed, value);
            break;
        case DT_RPATH:
        case DT_RUNPATH:
            list_add(&dynamic->search, value);
            break;
        case DT_STRTAB:
            dynamic->strings = value;
            break;
        case DT_STRSZ:
            dynamic->strings_length = value;
            break;
        case DT_SYMTAB:
            dynamic->symbols = value;
            break;
        case DT_SYMENT:
            dynamic->symbol_size = value;
            break;
        case DT_HASH:
            dynamic->hash = value;
            break;
        case DT_GNU_HASH:
            dynamic->gnu_hash = value;
            break;
        default:
            break;
        }
    }
    return true;
}

/* A name; NULL when there is none or all names together are too long. */
static const char *string_take(struct strings *strings, uint64_t offset, struct error *error)
{
    size_t length = offset < strings->length ? strlen(strings->bytes + offset) : 0;
    if (offset >= strings->length || length >= strings->left) {
        damaged(error, offset < strings->length ? "length of all names" : "string table");
        return NULL;
    }
    strings->left -= length + 1;
    return strings->bytes + offset;
}

static bool string_add(struct words *words, struct strings *strings, uint64_t offset, struct error *error)
{
    const char *name = string_take(strings, offset, error);
    if (name)
        words_add(words, name);
    return name != NULL;
}

/* An empty entry between two colons means the current folder and is kept as such. */
static bool search_add(struct words *words, struct strings *strings, uint64_t offset, struct error *error)
{
    const char *at = string_take(strings, offset, error);
    if (!at)
        return false;
    for (;;) {
        const char *end = strchrnul(at, ':');
        words_take(words, memory_copy_bytes(at, (size_t)(end - at)));
        if (*end == '\0')
            return true;
        at = end + 1;
    }
}

static bool symbols_count_of(const struct image *image, const struct segment *segments, size_t segments_count,
                             const struct dynamic *dynamic, uint32_t *count, struct error *error)
{
    uint64_t offset = 0, room = 0;
    uint32_t words[2] = {0, 0};
    *count = 0;
    uint64_t table = dynamic->hash ? dynamic->hash : dynamic->gnu_hash;
    if (table == 0)
        return true; /* nothing to look up: it takes and gives nothing */
    if (!segment_offset(segments, segments_count, table, &offset, &room) || room < sizeof(words))
        return damaged(error, "hash table");
    if (!image_read(image, offset, words, sizeof(words), "hash table", error))
        return false;
    *count = words[1]; /* DT_HASH: nchain; DT_GNU_HASH: the first symbol that is hashed */
    if (*count > ELF_SYMBOLS_LIMIT)
        return damaged(error, "symbol count");
    return true;
}

static bool imports_read(const struct image *image, const struct segment *segments, size_t segments_count,
                         const struct dynamic *dynamic, struct strings *strings, struct elf_facts *facts,
                         struct error *error)
{
    uint32_t count = 0;
    if (!symbols_count_of(image, segments, segments_count, dynamic, &count, error))
        return false;
    if (count == 0)
        return true;
    uint64_t offset = 0, room = 0;
    if (dynamic->symbol_size != sizeof(ElfW(Sym)) ||
        !segment_offset(segments, segments_count, dynamic->symbols, &offset, &room) || room / sizeof(ElfW(Sym)) < count)
        return damaged(error, "symbol table");
    for (uint32_t i = 1; i < count; i++) {
        ElfW(Sym) symbol = {0};
        if (!image_read(image, offset + (uint64_t)i * sizeof(symbol), &symbol, sizeof(symbol), "symbol table", error))
            return false;
        if (symbol.st_shndx == SHN_UNDEF && symbol.st_name != 0 &&
            !string_add(&facts->imports, strings, symbol.st_name, error))
            return false;
    }
    return true;
}

static bool facts_fill(const struct image *image, const struct segment *segments, size_t segments_count,
                       const struct dynamic *dynamic, struct elf_facts *facts, struct error *error)
{
    uint64_t offset = 0, room = 0;
    if (dynamic->strings_length == 0 || dynamic->strings_length > ELF_STRINGS_LIMIT ||
        !segment_offset(segments, segments_count, dynamic->strings, &offset, &room) || room < dynamic->strings_length)
        return damaged(error, "string table");
    if (offset > image->length || dynamic->strings_length > image->length - offset)
        return damaged(error, "string table"); /* before memory is asked for */
    cleanup(memory_free) char *bytes = memory_allocate((size_t)dynamic->strings_length);
    if (!image_read(image, offset, bytes, (size_t)dynamic->strings_length, "string table", error))
        return false;
    struct strings strings = {bytes, dynamic->strings_length, ELF_NAMES_LIMIT};
    if (bytes[strings.length - 1] != '\0')
        return damaged(error, "string table");
    for (size_t i = 0; i < dynamic->needed.count; i++) {
        if (!string_add(&facts->needed, &strings, dynamic->needed.items[i], error))
            return false;
    }
    for (size_t i = 0; i < dynamic->search.count; i++) {
        if (!search_add(&facts->search, &strings, dynamic->search.items[i], error))
            return false;
    }
    return imports_read(image, segments, segments_count, dynamic, &strings, facts, error);
}

/* The linker maps a later segment over an earlier one, and reads the dynamic section where it is mapped. Both must be
 * what we read, or a file could show us one thing and do another. */
static bool segment_add(struct segment *segments, size_t *count, const ElfW(Phdr) * program, struct error *error)
{
    uint64_t address = program->p_vaddr, size = program->p_memsz;
    const struct segment *before = *count > 0 ? &segments[*count - 1] : NULL;
    if (program->p_filesz > size || size > UINT64_MAX - address)
        return damaged(error, "segment size");
    if (before && address < before->end)
        return damaged(error, "overlapping segments");
    segments[(*count)++] = (struct segment){address, program->p_offset, program->p_filesz, address + size};
    return true;
}

static bool dynamic_is_mapped(const struct segment *segments, size_t count, const struct dynamic *dynamic,
                              struct error *error)
{
    uint64_t offset = 0, room = 0;
    return (segment_offset(segments, count, dynamic->address, &offset, &room) && offset == dynamic->offset) ||
           damaged(error, "dynamic section address");
}

static bool image_parse(const struct image *image, struct elf_facts *facts, struct error *error)
{
    ElfW(Ehdr) header = {0};
    if (image->length < sizeof(header)) {
        return error_set(error, ERROR_PLUGIN, image->length == 0 ? "it is empty" : "it is not an ELF file");
    }
    if (!image_read(image, 0, &header, sizeof(header), "header", error) || !header_check(&header, error))
        return false;

    struct segment *segments = memory_allocate(header.e_phnum * sizeof(*segments));
    size_t segments_count = 0;
    struct dynamic dynamic = {0};
    bool has_dynamic = false, good = true;
    for (unsigned i = 0; good && i < header.e_phnum; i++) {
        ElfW(Phdr) program = {0};
        uint64_t at = (uint64_t)i * sizeof(program);
        good = header.e_phoff <= UINT64_MAX - at
                   ? image_read(image, header.e_phoff + at, &program, sizeof(program), "program headers", error)
                   : damaged(error, "program headers");
        if (!good)
            break;
        if (program.p_type == PT_LOAD)
            good = segment_add(segments, &segments_count, &program, error);
        if (program.p_type == PT_DYNAMIC) {
            good =
                has_dynamic ? damaged(error, "two dynamic sections") : dynamic_read(image, &program, &dynamic, error);
            has_dynamic = true;
        }
    }
    if (good && !has_dynamic)
        good = damaged(error, "no dynamic section");
    if (good)
        good = dynamic_is_mapped(segments, segments_count, &dynamic, error);
    if (good)
        good = facts_fill(image, segments, segments_count, &dynamic, facts, error);
    memory_free(segments);
    list_clear(&dynamic.needed);
    list_clear(&dynamic.search);
    return good;
}

bool elf_parse(const uint8_t *bytes, size_t length, struct elf_facts *facts, struct error *error)
{
    struct elf_facts found = {0};
    /* An empty input may come with no address at all. */
    struct image image = {.bytes = bytes ? bytes : (const uint8_t *)"", .descriptor = -1, .length = length};
    if (!image_parse(&image, &found, error)) {
        elf_clear(&found);
        return false;
    }
    *facts = found;
    return true;
}

bool elf_read(const char *path, struct elf_facts *facts, struct error *error)
{
    struct stat status;
    cleanup(descriptor_close) int descriptor = file_open(path, &status, error);
    if (descriptor < 0)
        return false;
    struct elf_facts found = {0};
    struct image image = {.descriptor = descriptor, .length = (uint64_t)status.st_size};
    if (!image_parse(&image, &found, error)) {
        elf_clear(&found);
        return false;
    }
    *facts = found;
    return true;
}
