/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of shared objects, on one that is made here and then damaged in every place that it looks at. */
#include <check.h>
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "plugin/elf.h"

#define ADDRESS 0x10000
enum { DYNAMIC_ENTRIES = 12, SYMBOLS = 4 };

struct object {
    ElfW(Ehdr) header;
    ElfW(Phdr) program[3];
    ElfW(Dyn) dynamic[DYNAMIC_ENTRIES];
    ElfW(Sym) symbols[SYMBOLS];
    uint32_t hash[4]; /* buckets, chains, ... */
    char strings[64];
};

static const char strings[64] = "\0libc.so.6\0$ORIGIN/lib::/opt/x\0malloc\0ours\0free";
enum { LIBC = 1, SEARCH = 11, MALLOC = 31, OURS = 38, FREE = 43 };

static struct object object;
static struct elf_facts facts;

static void set_dynamic(size_t index, int64_t tag, uint64_t value)
{
    object.dynamic[index].d_tag = tag;
    object.dynamic[index].d_un.d_val = value;
}

static void set_up(void)
{
    memset(&object, 0, sizeof(object));
    memcpy(object.header.e_ident, ELFMAG, SELFMAG);
    object.header.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    object.header.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    object.header.e_type = ET_DYN;
    object.header.e_phoff = offsetof(struct object, program);
    object.header.e_phentsize = sizeof(ElfW(Phdr));
    object.header.e_phnum = 2;
    object.program[0].p_type = PT_LOAD;
    object.program[0].p_vaddr = ADDRESS;
    object.program[0].p_filesz = object.program[0].p_memsz = sizeof(object);
    object.program[1].p_type = PT_DYNAMIC;
    object.program[1].p_offset = offsetof(struct object, dynamic);
    object.program[1].p_vaddr = ADDRESS + offsetof(struct object, dynamic);
    object.program[1].p_filesz = sizeof(object.dynamic);
    set_dynamic(0, DT_NEEDED, LIBC);
    set_dynamic(1, DT_RUNPATH, SEARCH);
    set_dynamic(2, DT_STRTAB, ADDRESS + offsetof(struct object, strings));
    set_dynamic(3, DT_STRSZ, sizeof(object.strings));
    set_dynamic(4, DT_SYMTAB, ADDRESS + offsetof(struct object, symbols));
    set_dynamic(5, DT_SYMENT, sizeof(ElfW(Sym)));
    set_dynamic(6, DT_HASH, ADDRESS + offsetof(struct object, hash));
    object.hash[1] = SYMBOLS;
    object.symbols[1].st_name = MALLOC;
    object.symbols[2].st_name = OURS;
    object.symbols[2].st_shndx = 1;
    object.symbols[3].st_name = FREE;
    memcpy(object.strings, strings, sizeof(strings));
    facts = (struct elf_facts){0};
}

static void tear_down(void)
{
    elf_clear(&facts);
}

static void check_words(const struct words *words, const char *const *expected)
{
    size_t count = 0;
    for (; expected[count]; count++) {
        ck_assert_uint_lt(count, words->count);
        ck_assert_str_eq(words->items[count], expected[count]);
    }
    ck_assert_uint_eq(words->count, count);
}

static void check_facts(void)
{
    check_words(&facts.needed, (const char *const[]){"libc.so.6", NULL});
    check_words(&facts.search, (const char *const[]){"$ORIGIN/lib", "", "/opt/x", NULL});
    check_words(&facts.imports, (const char *const[]){"malloc", "free", NULL});
}

static bool parse(size_t length, struct error *error)
{
    uint8_t *copy = malloc(length > 0 ? length : 1); /* of exactly that length, for the sanitizer */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, &object, length);
    bool good = elf_parse(copy, length, &facts, error);
    free(copy);
    return good;
}

START_TEST(tells_libraries_search_folders_and_imports)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_msg(parse(sizeof(object), &error), "%s", error.message);
    check_facts();
}
END_TEST

START_TEST(a_file_says_the_same_as_memory)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    char path[] = "/tmp/descpipe-elf-XXXXXX";
    cleanup(descriptor_close) int descriptor = mkostemp(path, 02000000);
    ck_assert(descriptor_write(descriptor, &object, sizeof(object), &error));
    bool good = elf_read(path, &facts, &error);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_msg(good, "%s", error.message);
    check_facts();
}
END_TEST

START_TEST(with_a_gnu_hash_alone_all_before_it_is_taken_from_others)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    object.dynamic[6].d_tag = DT_GNU_HASH;
    object.hash[1] = 2; /* the first symbol that is hashed */
    ck_assert_msg(parse(sizeof(object), &error), "%s", error.message);
    check_words(&facts.imports, (const char *const[]){"malloc", NULL});
}
END_TEST

START_TEST(without_a_hash_nothing_is_taken)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    object.dynamic[6].d_tag = DT_DEBUG;
    ck_assert_msg(parse(sizeof(object), &error), "%s", error.message);
    ck_assert_uint_eq(facts.imports.count, 0);
}
END_TEST

START_TEST(no_part_of_it_is_enough)
{
    for (size_t length = 0; length < sizeof(object); length++) {
        cleanup(error_clear) struct error error = ERROR_INIT;
        ck_assert_msg(!parse(length, &error), "%zu of %zu bytes", length, sizeof(object));
        ck_assert_ptr_nonnull(error.message);
        ck_assert_uint_eq(facts.needed.count, 0); /* untouched on failure */
    }
}
END_TEST

/* Each byte of it by other values: whatever is said, nothing else happens. The sanitizer is the judge of reads. */
START_TEST(any_byte_may_be_wrong)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    uint8_t *bytes = (uint8_t *)&object;
    for (size_t i = 0; i < sizeof(object); i++) {
        uint8_t kept = bytes[i];
        for (size_t j = 0; j < sizeof(values); j++) {
            cleanup(error_clear) struct error error = ERROR_INIT;
            bytes[i] = values[j];
            if (parse(sizeof(object), &error)) {
                ck_assert_ptr_null(error.message);
                elf_clear(&facts);
                facts = (struct elf_facts){0};
            } else {
                ck_assert_ptr_nonnull(error.message);
            }
        }
        bytes[i] = kept;
    }
}
END_TEST

#define DAMAGED(what) "its ELF structure is damaged (" what ")"
#define DAMAGE(name, act)                                                                                              \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        act;                                                                                                           \
    }
DAMAGE(other_magic, object.header.e_ident[0] = '#')
DAMAGE(other_class, object.header.e_ident[EI_CLASS] = 9)
DAMAGE(other_order, object.header.e_ident[EI_DATA] = 9)
DAMAGE(executable, object.header.e_type = ET_EXEC)
DAMAGE(odd_header_size, object.header.e_phentsize = 1)
DAMAGE(no_headers, object.header.e_phnum = 0)
DAMAGE(too_many_headers, object.header.e_phnum = 65535)
DAMAGE(headers_behind_the_end, object.header.e_phnum = 1000)
DAMAGE(headers_at_the_end_of_all, object.header.e_phoff = UINTPTR_MAX - 8)
DAMAGE(no_dynamic, object.header.e_phnum = 1)
DAMAGE(huge_dynamic, object.program[1].p_filesz = UINTPTR_MAX)
DAMAGE(dynamic_behind_the_end, object.program[1].p_offset = UINTPTR_MAX - 4)
DAMAGE(dynamic_mapped_elsewhere, object.program[1].p_vaddr += sizeof(ElfW(Dyn)))
DAMAGE(dynamic_not_mapped, object.program[1].p_vaddr = 1)
DAMAGE(two_dynamic, object.header.e_phnum = 3; object.program[2] = object.program[1])
DAMAGE(overlap, object.header.e_phnum = 3; object.program[2] = object.program[0];
       object.program[2].p_vaddr += sizeof(object) - 1)
DAMAGE(disorder, object.header.e_phnum = 3; object.program[2] = object.program[0]; object.program[2].p_vaddr = 0)
DAMAGE(more_in_the_file, object.program[0].p_memsz = 1)
DAMAGE(segment_over_the_end, object.program[0].p_vaddr = UINTPTR_MAX - 8)
DAMAGE(strings_of_no_length, set_dynamic(3, DT_STRSZ, 0))
DAMAGE(strings_of_huge_length, set_dynamic(3, DT_STRSZ, UINTPTR_MAX))
DAMAGE(strings_over_the_segment, set_dynamic(3, DT_STRSZ, sizeof(object)))
DAMAGE(strings_without_end, object.strings[63] = 'x')
DAMAGE(strings_not_mapped, set_dynamic(2, DT_STRTAB, 1))
DAMAGE(needed_behind_the_strings, set_dynamic(0, DT_NEEDED, 64))
DAMAGE(search_behind_the_strings, set_dynamic(1, DT_RPATH, UINTPTR_MAX))
DAMAGE(import_behind_the_strings, object.symbols[3].st_name = UINT32_MAX)
DAMAGE(hash_not_mapped, set_dynamic(6, DT_HASH, 1))
DAMAGE(hash_at_the_edge, set_dynamic(6, DT_HASH, ADDRESS + sizeof(object) - 4))
DAMAGE(too_many_symbols, object.hash[1] = UINT32_MAX)
DAMAGE(symbols_over_the_segment, object.hash[1] = ELF_SYMBOLS_LIMIT)
DAMAGE(symbols_of_odd_size, set_dynamic(5, DT_SYMENT, 1))
DAMAGE(symbols_not_mapped, set_dynamic(4, DT_SYMTAB, 0))
/* The segment says that the file is longer than it is. */
DAMAGE(segment_behind_the_file, object.program[0].p_filesz = object.program[0].p_memsz = 1u << 30;
       set_dynamic(3, DT_STRSZ, 1u << 20))

static const struct {
    void (*act)(void);
    const char *message;
} damages[] = {
    {other_magic, "it is not an ELF file"},
    {other_class, "it was built for another kind of machine"},
    {other_order, "it was built for another kind of machine"},
    {executable, "it is an ELF file but not a shared object"},
    {odd_header_size, DAMAGED("program header size")},
    {no_headers, DAMAGED("program header count")},
    {too_many_headers, DAMAGED("program header count")},
    {headers_behind_the_end, NULL}, /* whatever is read as headers is nonsense of one kind or another */
    {headers_at_the_end_of_all, DAMAGED("program headers")},
    {no_dynamic, DAMAGED("no dynamic section")},
    {huge_dynamic, DAMAGED("dynamic section size")},
    {dynamic_behind_the_end, DAMAGED("dynamic section")},
    {dynamic_mapped_elsewhere, DAMAGED("dynamic section address")},
    {dynamic_not_mapped, DAMAGED("dynamic section address")},
    {two_dynamic, DAMAGED("two dynamic sections")},
    {overlap, DAMAGED("overlapping segments")},
    {disorder, DAMAGED("overlapping segments")},
    {more_in_the_file, DAMAGED("segment size")},
    {segment_over_the_end, DAMAGED("segment size")},
    {strings_of_no_length, DAMAGED("string table")},
    {strings_of_huge_length, DAMAGED("string table")},
    {strings_over_the_segment, DAMAGED("string table")},
    {strings_without_end, DAMAGED("string table")},
    {strings_not_mapped, DAMAGED("string table")},
    {needed_behind_the_strings, DAMAGED("string table")},
    {search_behind_the_strings, DAMAGED("string table")},
    {import_behind_the_strings, DAMAGED("string table")},
    {hash_not_mapped, DAMAGED("hash table")},
    {hash_at_the_edge, DAMAGED("hash table")},
    {too_many_symbols, DAMAGED("symbol count")},
    {symbols_over_the_segment, DAMAGED("symbol table")},
    {symbols_of_odd_size, DAMAGED("symbol table")},
    {symbols_not_mapped, DAMAGED("symbol table")},
    {segment_behind_the_file, DAMAGED("string table")},
};

START_TEST(says_what_is_damaged)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    damages[_i].act();
    ck_assert(!parse(sizeof(object), &error));
    ck_assert_ptr_nonnull(error.message);
    if (damages[_i].message)
        ck_assert_str_eq(error.message, damages[_i].message);
}
END_TEST

/* 100000 symbols that all have one name of a megabyte would make 100 GB of a file of 3.4 MB. */
START_TEST(many_symbols_with_one_long_name_cost_no_more_than_the_limit)
{
    enum { MANY = 100000, LONG = 1 << 20 };
    cleanup(error_clear) struct error error = ERROR_INIT;
    size_t symbols = sizeof(object), names = symbols + MANY * sizeof(ElfW(Sym)), length = names + LONG;
    char *bytes = calloc(1, length);
    ck_assert_ptr_nonnull(bytes);
    object.hash[1] = MANY;
    object.program[0].p_filesz = object.program[0].p_memsz = length;
    set_dynamic(0, DT_DEBUG, 0);
    set_dynamic(1, DT_DEBUG, 0);
    set_dynamic(2, DT_STRTAB, ADDRESS + names);
    set_dynamic(3, DT_STRSZ, LONG);
    set_dynamic(4, DT_SYMTAB, ADDRESS + symbols);
    memcpy(bytes, &object, sizeof(object));
    ElfW(Sym) symbol = {.st_name = 1};
    for (size_t i = 1; i < MANY; i++)
        memcpy(bytes + symbols + i * sizeof(symbol), &symbol, sizeof(symbol));
    memset(bytes + names + 1, 'x', LONG - 2);
    ck_assert(!elf_parse((const uint8_t *)bytes, length, &facts, &error));
    ck_assert_str_eq(error.message, DAMAGED("length of all names"));
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elf");
    TCase *cases = tcase_create("elf");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, tells_libraries_search_folders_and_imports);
    tcase_add_test(cases, a_file_says_the_same_as_memory);
    tcase_add_test(cases, with_a_gnu_hash_alone_all_before_it_is_taken_from_others);
    tcase_add_test(cases, without_a_hash_nothing_is_taken);
    tcase_add_test(cases, no_part_of_it_is_enough);
    tcase_add_test(cases, any_byte_may_be_wrong);
    tcase_add_loop_test(cases, says_what_is_damaged, 0, sizeof(damages) / sizeof(damages[0]));
    tcase_add_test(cases, many_symbols_with_one_long_name_cost_no_more_than_the_limit);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
