/* SPDX-License-Identifier: BSD-3-Clause */
/* Files against what their suffix promises: whole, cut and damaged ones. */
#include "pipeline/file_type.h"

#include <check.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "pipeline_fixture.h"

enum { BLOCK = 2880, MEBIBYTE = 1 << 20 };

/* What file_type_check says of these bytes; "" when they fit. */
static void judge(const char *suffix, const void *bytes, size_t length, struct text *said)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *path = path_join(fixture.folder, "f");
    ck_assert(file_write(path, bytes, length, 0644, NULL));
    cleanup(pipeline_free) struct pipeline *pipeline =
        fixture_read(&fixture, "pipeline: {stages: [a]}\na: {command: [x]}\ntypes: {sac: {hex: '534143', offset: 2}}\n",
                     NULL, &problems);
    ck_assert_ptr_nonnull(pipeline);
    bool fits = file_type_check(pipeline, suffix, (struct file_named){.path = path, .shown = "it"}, &error);
    ck_assert_int_eq(error.kind, fits ? ERROR_NONE : ERROR_INPUT);
    text_append(said, fits ? "" : error.message);
}

static void expect(const char *suffix, const void *bytes, size_t length, const char *expected)
{
    cleanup(text_clear) struct text said = TEXT_INIT;
    judge(suffix, bytes, length, &said);
    ck_assert_str_eq(text_bytes(&said), expected != NULL ? expected : "");
}

#define BYTES(literal) (literal), sizeof(literal) - 1

static const struct {
    const char *suffix, *bytes;
    size_t length;
    const char *message;
} files[] = {
    {"whatever", BYTES(""), NULL},
    {"sac", BYTES("xxSAC"), NULL},
    {"sac", BYTES("SAC"), "it is not what 'types' says of 'sac': its bytes at offset 2 are others"},
    {"/", BYTES(""), "it is not a folder"},
    {"json", BYTES(""), "it is not JSON: it is empty"},
    {"json", BYTES(" {\"a\": [1, 2.5e3, true, null, \"\\u0000\"]}\n"), NULL},
    {"json", BYTES("\xEF\xBB\xBF[1]"), NULL},
    {"json", BYTES("12345678901234567890123"), NULL},
    {"json", BYTES("[1e999]"), NULL},
    {"json", BYTES("\"text\""), NULL},
    {"json", BYTES("<html>"), "it is not JSON: line 1, column 1: invalid token near '<'"},
    {"json", BYTES("{\"a\": 1"), "it is not JSON: line 1, column 7: '}' expected near end of file"},
    {"json", BYTES("{\"a\": 1,}"), "it is not JSON: line 1, column 9: string or '}' expected near '}'"},
    {"json", BYTES("{}\n{}"), "it is not JSON: line 2, column 1: end of file expected near '{'"},
    {"json", BYTES("[NaN]"),
     "it is not JSON: line 1, column 4: invalid token near 'NaN' (JSON has no such number: write null)"},
    {"json", BYTES("true story"), "it is not JSON: line 1, column 10: end of file expected near 'story'"},
    {"json", BYTES("[1]\0"), "it is not JSON: it has a NUL byte, as no text has"},
    {"json", BYTES("[\"\xFF\"]"), "it is not JSON: it is not UTF-8 text"},
    {"yaml", BYTES("a: 1\nb: [x, &y z, *y]\n---\nsecond: !tag {}\n"), NULL},
    {"yml", BYTES("only words"), NULL},
    {"yaml", BYTES("a: \xFF"), "it is not YAML: it is not UTF-8 text"},
    {"yaml", BYTES("a: [1, 2\nb: 3\n"), "it is not YAML: line 2, column 2: did not find expected ',' or ']'"},
    {"yaml", BYTES("a: b: c\n"), "it is not YAML: line 1, column 5: mapping values are not allowed in this context"},
    {"yaml", BYTES("a: \"never closed\n"), "it is not YAML: line 2, column 1: found unexpected end of stream"},
    {"yaml", BYTES("a: \x01\n"), "it is not YAML: control characters are not allowed"},
    {"csv", BYTES("a,b\n1,\"2,3\"\n"), NULL},
    {"csv", BYTES("a,b\r\n1,\"2\r\n3\"\r\n"), NULL},
    {"csv", BYTES("# made, by, hand\na;b\n\n1,5;2,5\n"), NULL},
    {"csv", BYTES("one\ntwo\nthree"), NULL},
    {"csv", BYTES("a\tb\n5\" pipe\t\"say \"\"x\"\"\"\n"), NULL},
    {"csv", BYTES("a,b\n1,2,3\n"), "it is not CSV: line 2 has 3 fields, line 1 has 2"},
    {"csv", BYTES("a,b\n1,2\n3"), "it is not CSV: line 3 has 1 field, line 1 has 2"},
    {"csv", BYTES("a,b\n1,\"2\n3,4\n"), "it is not CSV: a quote that opens at line 2 is never closed"},
    {"csv", BYTES("a,b\n1,\0\n"), "it is not CSV: it has a NUL byte, as no text has"},
    {"hdf5", BYTES("HDF"), "it is not HDF5: its first bytes are others"},
    {"h5", BYTES("\x89HDF\r\n\x1A\n"), "it is not HDF5: it ends within its superblock"},
    {"hdf",
     BYTES("\x89HDF\r\n\x1A\n\2\10\10\0\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377\60\0\0\0\0\0\0\0"
           "\60\0\0\0\0\0\0\0\1\2\3\4"),
     NULL},
    {"hdf",
     BYTES("\x89HDF\r\n\x1A\n\2\10\10\0\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377\0\1\0\0\0\0\0\0"
           "\60\0\0\0\0\0\0\0\1\2\3\4"),
     "it is not HDF5: it states a size of 256 bytes and has 48: it is cut, or was not closed"},
    {"hdf",
     BYTES("\x89HDF\r\n\x1A\n\2\7\10\0\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377\0\1\0\0\0\0\0\0"
           "\60\0\0\0\0\0\0\0\1\2\3\4"),
     "it is not HDF5: its superblock is damaged"},
    {"npy", BYTES("\x93NUMPY"), "it is not NPY: it ends within its header"},
    {"npy", BYTES("\x93NUMPY\1\0\4\0{ }\n"), NULL},
    {"npy", BYTES("\x93NUMPY\1\0\5\0{ }\n"), "it is not NPY: it ends within its header"},
    {"npy", BYTES("\x93NUMPY\1\0\4\0none"), "it is not NPY: its header is no dictionary"},
    {"png", BYTES("\x89PNG\r\n\x1A\n"), "it is not PNG: its first chunk is not IHDR"},
    {"png", BYTES("\x89PNG\r\n\x1A\n\0\0\0\rIHDRxxxx"), "it is not PNG: it has no IEND: it is cut"},
    {"png", BYTES("\x89PNG\r\n\x1A\n\0\0\0\rIHDRxxxx\0\0\0\0IEND\xAE\x42\x60\x82"), NULL},
    {"pdf", BYTES("%PDF-1.4\n%%EOF\n"), NULL},
    {"pdf", BYTES("%PDF-1.4\n"), "it is not PDF: it has no %%EOF: it is cut"},
    {"gz", BYTES("\x1F\x8B\10\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0"), NULL},
    {"tgz", BYTES("\x1F\x8B\10"), "it is not gzip: it ends within its header"},
    {"fits.gz", BYTES("\x1F\x8B\7\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0"), "it is not gzip: its header is damaged"},
    {"zip", BYTES("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), NULL},
    {"zip", BYTES("PK12"), "it is not zip: its first bytes are others"},
    {"npz", BYTES("PK\3\4"), "it is not zip: it has no end of central directory: it is cut"},
    {"npz", BYTES("PK\3\4PK\5\6\0\0\0\0\1\0\1\0\60\0\0\0\4\0\0\0\0\0"),
     "it is not zip: its central directory does not lie in it: it is cut"},
};

START_TEST(tells_what_its_bytes_are)
{
    expect(files[_i].suffix, files[_i].bytes, files[_i].length, files[_i].message);
}
END_TEST

/* FITS. */

static void add_card(struct text *fits, const char *card)
{
    text_append(fits, card);
    while (fits->length % 80 != 0)
        text_append_character(fits, ' ');
}

static void end_block(struct text *fits, char fill)
{
    while (fits->length % BLOCK != 0)
        text_append_character(fits, fill);
}

static void add_header(struct text *fits, const char *const *cards)
{
    for (; *cards != NULL; cards++)
        add_card(fits, *cards);
    add_card(fits, "END");
    end_block(fits, ' ');
}

static void add_image(struct text *fits) /* 2 x 1441 bytes: one more block than a byte for each would need */
{
    add_header(fits, (const char *const[]){"SIMPLE  =                    T", "BITPIX  =                   16 / bits",
                                           "NAXIS   =                    1", "NAXIS1  =                 1441", NULL});
    text_append(fits, "x");
    end_block(fits, 'x');
    text_append(fits, "y");
    end_block(fits, 'y');
}

static void add_table(struct text *fits)
{
    add_header(fits, (const char *const[]){"XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 10",
                                           "NAXIS2  = 3", "PCOUNT  = 7", "GCOUNT  = 1", NULL});
    text_append(fits, "37 bytes");
    end_block(fits, '\0');
}

START_TEST(walks_a_fits_file_to_its_end)
{
    cleanup(text_clear) struct text fits = TEXT_INIT;
    add_image(&fits);
    expect("fits", fits.bytes, fits.length, NULL);
    add_table(&fits);
    expect("fits", fits.bytes, fits.length, NULL);
    expect("fits", fits.bytes, fits.length - 10, "it is not FITS: its size, 14390 bytes, is no multiple of 2880");
    expect("fits", fits.bytes, (size_t)4 * BLOCK,
           "it is not FITS: header 2 states 37 bytes of data, of which the file has 0: it is cut");
    expect("fits", fits.bytes, (size_t)3 * BLOCK + 80, "it is not FITS: header 2 has no END: it is cut");
    expect("fits", fits.bytes, (size_t)2 * BLOCK,
           "it is not FITS: header 1 states 2882 bytes of data, of which the file has 2880: it is cut");
    expect("fits", fits.bytes, 30, "it is not FITS: it ends within its first header");
    expect("fits", BYTES("simple"), "it is not FITS: its first bytes are others");
}
END_TEST

START_TEST(fits_sizes_that_no_file_has_are_refused)
{
    static const char *const axes[] = {"NAXIS1  = 9223372036854775807", "NAXIS1  = -1", "BITPIX  = 7", "PCOUNT  = -3"};
    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++) {
        cleanup(text_clear) struct text fits = TEXT_INIT;
        add_header(&fits, (const char *const[]){"SIMPLE  =                    T", "BITPIX  = 64", "NAXIS   = 2",
                                                "NAXIS1  = 4", "NAXIS2  = 9", axes[i], NULL});
        expect("fits", fits.bytes, fits.length,
               "it is not FITS: header 1 states no size that data can have (BITPIX, NAXIS ...)");
    }
}
END_TEST

/* Larger than what is read of the beginning. */

static void fill(struct text *bytes, const char *piece, size_t length)
{
    while (bytes->length < length)
        text_append(bytes, piece);
}

START_TEST(large_json_is_judged_by_its_beginning_and_its_end)
{
    cleanup(text_clear) struct text json = TEXT_INIT;
    text_append(&json, "[\"é\"");
    for (size_t shift = 0; shift < 12; shift++) { /* the cut falls into every part of a piece */
        text_append_character(&json, ' ');
        text_reset(&json);
        text_append(&json, "[\"é\"");
        for (size_t i = 0; i < shift; i++)
            text_append_character(&json, ' ');
        fill(&json, ", true, \"é\\n\"", MEBIBYTE + 5000);
        text_append(&json, "]\n");
        expect("json", json.bytes, json.length, NULL);
    }
    expect("json", json.bytes, json.length - 2, "it is not JSON: its last bracket is not closed: it is cut");
    json.bytes[json.length - 1000] = '\0';
    expect("json", json.bytes, json.length, "it is not JSON: it has a NUL byte, as no text has");
    json.bytes[json.length - 1000] = ' ';
    json.bytes[1000] = '\x03';
    json.bytes[1001] = 'x';
    cleanup(text_clear) struct text said = TEXT_INIT;
    judge("json", json.bytes, json.length, &said);
    ck_assert_msg(strstr(text_bytes(&said), "is not JSON: line 1, column") != NULL, "%s", text_bytes(&said));
    text_reset(&json);
    fill(&json, "[1]    ", MEBIBYTE + 5000);
    text_append(&json, "]");
    expect("json", json.bytes, json.length, "it is not JSON: something stands behind its value");
}
END_TEST

START_TEST(large_yaml_and_csv_are_judged_up_to_the_cut)
{
    cleanup(text_clear) struct text yaml = TEXT_INIT;
    fill(&yaml, "- {a: [1, \"two\n  lines\"],\n  b: |-\n   text\n  }\n", 0);
    for (unsigned i = 0; yaml.length < MEBIBYTE; i++)
        text_format(&yaml, "key%u:\n  - {a: [1, \"two\n    lines\"],\n       b: 2}\n  - |\n    text: [\n", i);
    expect("yaml", yaml.bytes, yaml.length, NULL);
    memcpy(yaml.bytes + 5000, "\n]]]\n", 5);
    cleanup(text_clear) struct text said = TEXT_INIT;
    judge("yaml", yaml.bytes, yaml.length, &said);
    ck_assert_msg(strstr(text_bytes(&said), "is not YAML: line ") != NULL, "%s", text_bytes(&said));
    cleanup(text_clear) struct text csv = TEXT_INIT;
    fill(&csv, "1,\"two\nlines\",3\n", MEBIBYTE + 5000);
    text_append(&csv, "one,too,many,fields");
    expect("csv", csv.bytes, csv.length, NULL);
    memcpy(csv.bytes + 1600, "1,2,3,4,5,,,,,\n", 15);
    text_reset(&said);
    judge("csv", csv.bytes, csv.length, &said);
    ck_assert_msg(strstr(text_bytes(&said), "is not CSV: line ") != NULL, "%s", text_bytes(&said));
}
END_TEST

START_TEST(deep_data_is_read_without_a_stack)
{
    cleanup(text_clear) struct text deep = TEXT_INIT;
    fill(&deep, "[", 200000);
    expect("yaml", deep.bytes, deep.length, NULL); /* beyond what is judged */
    cleanup(text_clear) struct text said = TEXT_INIT;
    judge("json", deep.bytes, deep.length, &said); /* whatever it says, it comes back */
}
END_TEST

START_TEST(a_folder_fits_a_slash)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start();
    struct file_named folder = {.path = fixture.folder, .shown = "it"};
    ck_assert(file_type_check(NULL, "/", folder, NULL));
    ck_assert(file_type_check(NULL, "zarr/", folder, NULL));
    ck_assert(!file_type_check(NULL, "fits", folder, NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file_type");
    TCase *types = tcase_create("file_type");
    tcase_set_timeout(types, 60);
    tcase_add_loop_test(types, tells_what_its_bytes_are, 0, sizeof files / sizeof files[0]);
    tcase_add_test(types, walks_a_fits_file_to_its_end);
    tcase_add_test(types, fits_sizes_that_no_file_has_are_refused);
    tcase_add_test(types, large_json_is_judged_by_its_beginning_and_its_end);
    tcase_add_test(types, large_yaml_and_csv_are_judged_up_to_the_cut);
    tcase_add_test(types, deep_data_is_read_without_a_stack);
    tcase_add_test(types, a_folder_fits_a_slash);
    suite_add_tcase(suite, types);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
