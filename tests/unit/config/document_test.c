/* SPDX-License-Identifier: BSD-3-Clause */
/* Documents: what nodes hold, where they stand, and what is refused. */
#include "config/document.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static struct document *parse(const char *yaml, struct problems *problems)
{
    return document_parse(yaml, strlen(yaml), "f.yaml", NULL, problems);
}

/* Prints a tree as one line: k@line:column=value. */
static void print_tree(const struct document *document, const struct node *node, struct text *out)
{
    if (node_key(node) != NULL) {
        struct place place = node_key_place(document, node);
        text_format(out, "%s@%u:%u=", node_key(node), place.line, place.column);
    }
    struct place place = node_place(document, node);
    if (node_kind(node) == NODE_SCALAR) {
        text_format(out, "%s%s@%u:%u%s ", node_is_plain(node) ? "" : "'", node_text(node), place.line, place.column,
                    node_is_null(node) ? "(null)" : "");
        return;
    }
    text_format(out, "%s%zu ", node_kind(node) == NODE_SEQUENCE ? "seq" : "map", node_count(node));
    for (const struct node *child = node_first(node); child != NULL; child = node_next(child))
        print_tree(document, child, out); /* the test's own small trees */
    text_append(out, "end ");
}

static const struct {
    const char *yaml, *tree;
} trees[] = {
    {"", "map0 end "},
    {"# only a comment\n", "map0 end "},
    {"---\n...\n", "map0 end "},
    {"a: 1\nb: '2'\n", "map2 a@1:1=1@1:4 b@2:1='2@2:4 end "},
    {"a: [x, ~, null, '']\n", "map1 a@1:1=seq4 x@1:5 ~@1:8(null) null@1:11(null) '@1:17 end end "},
    {"\xEF\xBB\xBF"
     "a: b\n",
     "map1 a@1:1=b@1:4 end "},
    {"\xC3\xA9\xC3\xA9: x\n", "map1 \xC3\xA9\xC3\xA9@1:1=x@1:5 end "}, /* columns count characters */
    {"a:\nb:\n", "map2 a@1:1=@1:3(null) b@2:1=@2:3(null) end "},
    {"a: &x {k: v}\nb: *x\n", "map2 a@1:1=map1 k@1:8=v@1:11 end b@2:1=map1 k@1:8=v@1:11 end end "},
    {"a: &x {k: v, l: w}\nb: {<<: *x, l: own, m: n}\n",
     "map2 a@1:1=map2 k@1:8=v@1:11 l@1:14=w@1:17 end b@2:1=map3 l@2:13=own@2:16 m@2:21=n@2:24 k@1:8=v@1:11 end end "},
    {"a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y]}\n",
     "map3 a@1:1=map1 k@1:8=1@1:11 end b@2:1=map2 k@2:8=2@2:11 l@2:14=3@2:17 end c@3:1=map2 k@1:8=1@1:11 l@2:14=3@2:17 "
     "end end "},
    {"&k a: 1\nb: *k\n", "map2 a@1:1=1@1:7 b@2:1=a@2:4 end "},
    {"'<<': x\n", "map1 <<@1:1=x@1:7 end "},
    {"a: &x 1\nb: &x 2\nc: *x\n", "map3 a@1:1=1@1:4 b@2:1=2@2:4 c@3:1=2@3:4 end "},
    {"a: $$x $y ${V} ${V:-no} ${N:-yes} ${E:-empty} ${each.k} $${each.k}\n",
     "map1 a@1:1=$x $y val val yes empty ${each.k} $${each.k}@1:4 end "},
};

START_TEST(nodes_hold_what_was_written)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text tree = TEXT_INIT;
    setenv("V", "val", 1);
    setenv("E", "", 1);
    unsetenv("N");
    cleanup(document_free) struct document *document = parse(trees[_i].yaml, &problems);
    ck_assert_uint_eq(problems.count, 0);
    print_tree(document, document_root(document), &tree);
    ck_assert_str_eq(text_bytes(&tree), trees[_i].tree);
    cleanup(document_free) struct document *copy = document_copy(document, document_root(document));
    cleanup(text_clear) struct text copied = TEXT_INIT;
    print_tree(copy, document_root(copy), &copied);
    ck_assert_str_eq(text_bytes(&copied), trees[_i].tree);
}
END_TEST

START_TEST(raw_text_is_kept_beside_the_replaced)
{
    cleanup(problems_clear) struct problems problems = {0};
    setenv("V", "val", 1);
    cleanup(document_free) struct document *document = parse("a: x ${V}\n", &problems);
    const struct node *node = node_get(document_root(document), "a");
    ck_assert_str_eq(node_text(node), "x val");
    ck_assert_str_eq(node_raw_text(node), "x ${V}");
    cleanup(document_free) struct document *copy = document_copy(document, node);
    ck_assert_str_eq(node_raw_text(document_root(copy)), "x ${V}");
}
END_TEST

static const struct {
    const char *yaml, *problem;
} refused[] = {
    {"a: 1\nb: 2\na: 3\n",
     "f.yaml:3:1: error: the key 'a' is already given at f.yaml:1:1\n  hint: remove one of them\n"},
    {"a: \xC3\xA9${NOT_SET_HERE}\n", "f.yaml:1:5: error: the variable 'NOT_SET_HERE' is not set\n  hint: set it, or "
                                     "write ${NAME:-default}; $$ is a dollar\n"},
    {"a: '${A:-${B}}'\n", "f.yaml:1:5: error: the default of '${A:-…}' cannot hold another variable\n"},
    {"a: \"\\t${1}\"\n",
     "f.yaml:1:4: error: '${1}' names no variable\n  hint: write ${NAME} or ${NAME:-default}; $$ is a dollar\n"},
    {"a: !x 1\n",
     "f.yaml:1:4: error: the tag '!x' is not supported\n  hint: remove it; quotes make a text of a number\n"},
    {"a: !!str 1\n",
     "f.yaml:1:4: error: the tag '!!str' is not supported\n  hint: remove it; quotes make a text of a number\n"},
    {"a: *b\n",
     "f.yaml:1:4: error: there is no anchor '&b' for this alias\n  hint: an anchor must come before its alias\n"},
    {"a: &b [*b]\n",
     "f.yaml:1:8: error: the alias '*b' stands inside its own anchor\n  hint: a value cannot contain itself\n"},
    {"{a: 1\n", "f.yaml:2:1: error: not YAML: did not find expected ',' or '}' while parsing a flow mapping\n"
                "  hint: it begins at 1:1: is a bracket or a quote left open?\n"},
    {"a: \"x\n", "f.yaml:2:1: error: not YAML: found unexpected end of stream while scanning a quoted scalar\n"
                 "  hint: it begins at 1:4: is a bracket or a quote left open?\n"},
    {"a: 1\n b: 2\n", "f.yaml:2:3: error: not YAML: a ':' is not expected here\n"
                      "  hint: put a text that holds ': ' in quotes; check the indentation\n"},
    {"a: 1\nb\nc: 2\n", "f.yaml:3:1: error: not YAML: the ':' after a key is missing\n  hint: write 'key: value'; a "
                        "key stands on one line\n"},
    {"a: 1\n--- \nb: 1\n",
     "f.yaml:2:1: error: a second document begins here: a file holds one\n  hint: keep one and remove the others\n"},
    {"\xFF\xFE"
     "a\0",
     "f.yaml: error: 'f.yaml' is not UTF-8 (it looks like UTF-16)\n  hint: save it as UTF-8\n"},
    {"a: 1\nb: \xC3(\n", "f.yaml:2:5: error: the byte 0x28 is not UTF-8\n  hint: save the file as UTF-8\n"},
    {"42\n", "f.yaml:1:1: error: the file must be a mapping of keys to values\n"},
};

START_TEST(refuses_with_place_and_hint)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(document_free) struct document *document = parse(refused[_i].yaml, &problems);
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), refused[_i].problem);
    ck_assert_ptr_null(document);
}
END_TEST

static void expect_budget(const char *yaml, struct document_budget budget, const char *expected)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(document_free) struct document *document = document_parse(yaml, strlen(yaml), "f.yaml", &budget, &problems);
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), expected);
    ck_assert_int_eq(document == NULL, expected[0] != '\0');
}

START_TEST(budgets_hold)
{
    expect_budget("a: 12345\n", (struct document_budget){.bytes = 9}, "");
    expect_budget("a: 12345\n", (struct document_budget){.bytes = 8},
                  "f.yaml: error: 'f.yaml' is larger than the limit of 8 B\n");
    expect_budget("a: [[x]]\n", (struct document_budget){.depth = 3}, "");
    expect_budget("a: [[x]]\n", (struct document_budget){.depth = 2},
                  "f.yaml:1:5: error: values are nested deeper than 2 levels\n");
    expect_budget("a: [1]\n", (struct document_budget){.nodes = 4}, "");
    expect_budget("a: [1]\n", (struct document_budget){.nodes = 3},
                  "f.yaml:1:5: error: the file holds more than 3 values\n");
    /* Aliases count as what they stand for, in number and in depth. */
    expect_budget("a: &x [1, 2]\nb: *x\n", (struct document_budget){.nodes = 9}, "");
    expect_budget("a: &x [1, 2]\nb: *x\n", (struct document_budget){.nodes = 8},
                  "f.yaml:2:4: error: the file holds more than 8 values\n");
    expect_budget("a: &x [[1]]\nb: [*x]\n", (struct document_budget){.depth = 3},
                  "f.yaml:2:5: error: values are nested deeper than 3 levels\n");
}
END_TEST

START_TEST(many_keys_are_still_checked)
{
    cleanup(text_clear) struct text yaml = TEXT_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    text_append(&yaml, "d: &d {k7: merged, new: merged}\nm:\n  <<: *d\n");
    for (int i = 0; i < 2000; i++)
        text_format(&yaml, "  k%d: v\n", i);
    cleanup(document_free) struct document *document = parse(text_bytes(&yaml), &problems);
    ck_assert_uint_eq(problems.count, 0);
    const struct node *mapping = node_get(document_root(document), "m");
    ck_assert_uint_eq(node_count(mapping), 2001);
    ck_assert_str_eq(node_text(node_get(mapping, "k7")), "v");
    ck_assert_str_eq(node_text(node_get(mapping, "new")), "merged");
    text_append(&yaml, "  k1234: again\n");
    ck_assert_ptr_null(parse(text_bytes(&yaml), &problems));
    ck_assert_str_eq(problems.items[0].message, "the key 'k1234' is already given at f.yaml:1238:3");
}
END_TEST

struct seen {
    struct text text;
    const struct document_reader *reader;
};

static void see(void *context, const struct document *document, const char *key, struct place place,
                const struct node *value)
{
    struct seen *seen = context;
    text_format(&seen->text, "[%s@%u:%u ", key, place.line, place.column);
    print_tree(document, value, &seen->text);
    text_append(&seen->text, "]");
}

START_TEST(streams_entries_and_keeps_anchors)
{
    static const char yaml[] =
        "a: &x {script: $HOME}\nb: {script: '${V}', other: '${V}'}\na: 1\nc: *x\n<<: {d: 1, b: 2}\n";
    struct seen seen = {.text = TEXT_INIT};
    cleanup(problems_clear) struct problems problems = {0};
    setenv("V", "val", 1);
    bool whole = false;
    struct document_reader reader = {.entry = see, .context = &seen, .verbatim = "script", .whole = &whole};
    ck_assert(!document_stream_bytes(yaml, strlen(yaml), "f.yaml", &reader, &problems));
    ck_assert(whole);
    ck_assert_str_eq(text_bytes(&seen.text), "[a@1:1 a@1:1=map1 script@1:8=$HOME@1:16 end ]"
                                             "[b@2:1 b@2:1=map2 script@2:5='${V}@2:13 other@2:21='val@2:28 end ]"
                                             "[c@4:1 c@4:1=map1 script@1:8=$HOME@1:16 end ][d@5:6 d@5:6=1@5:9 ]");
    ck_assert_uint_eq(problems.count, 1);
    ck_assert_str_eq(problems.items[0].message, "the key 'a' is already given at f.yaml:1:1");
    text_clear(&seen.text);
}
END_TEST

static const struct {
    const char *value, *expected;
    char type;
} typed[] = {
    {"4", "", 'u'},
    {"-1", "'k' must be a whole number from 1 to 9, not '-1'", 'u'},
    {"10", "'k' must be a whole number from 1 to 9, not '10'", 'u'},
    {"99999999999999999999", "'k' must be a whole number from 1 to 9, not '99999999999999999999'", 'u'},
    {"~", "'k' must be a whole number from 1 to 9, not empty", 'u'},
    {"true", "", 'b'},
    {"True", "'k' must be true or false, not 'True'", 'b'},
    {"yes", "'k' must be true or false, not 'yes'", 'b'},
    {"5m", "", 'l'},
    {"5 m", "'k' must be a length of time, not '5 m'", 'l'},
    {"8GiB", "", 'm'},
    {"8 GiB", "'k' must be an amount of bytes, not '8 GiB'", 'm'},
    {"x", "", 't'},
    {"", "'k' must be a text, not empty", 't'},
    {"[x]", "'k' must be a text, not a list", 't'},
    {"{x: y}", "'k' must be a text, not a mapping", 't'},
};

START_TEST(typed_reading_says_what_fits)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(memory_free) char *yaml = memory_format("k: %s\n", typed[_i].value);
    cleanup(document_free) struct document *document = parse(yaml, &problems);
    const struct node *node = node_get(document_root(document), "k");
    uint64_t number = 0;
    int64_t length = 0;
    bool boolean = false, good = false;
    const char *text = NULL;
    if (typed[_i].type == 'u')
        good = node_to_unsigned(document, node, "'k'", 1, 9, &number, &problems);
    else if (typed[_i].type == 'b')
        good = node_to_boolean(document, node, "'k'", &boolean, &problems);
    else if (typed[_i].type == 'l')
        good = node_to_length(document, node, "'k'", &length, &problems);
    else if (typed[_i].type == 'm')
        good = node_to_bytes(document, node, "'k'", &number, &problems);
    else
        good = node_to_text(document, node, "'k'", &text, &problems);
    ck_assert_str_eq(problems.count > 0 ? problems.items[0].message : "", typed[_i].expected);
    ck_assert_int_eq(good, problems.count == 0);
    ck_assert(!good || number + (uint64_t)length + boolean + (text != NULL) > 0);
}
END_TEST

START_TEST(a_missing_file_is_named)
{
    cleanup(problems_clear) struct problems problems = {0};
    ck_assert_ptr_null(document_read("/nowhere/x.yaml", "x.yaml", NULL, &problems));
    ck_assert_str_eq(problems.items[0].message, "cannot read 'x.yaml': No such file or directory");
    ck_assert_ptr_null(document_read("/tmp", "/tmp", NULL, &problems));
    ck_assert_str_eq(problems.items[1].message, "'/tmp' is a folder, not a regular file");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("document");
    TCase *cases = tcase_create("document");
    tcase_add_loop_test(cases, nodes_hold_what_was_written, 0, sizeof trees / sizeof trees[0]);
    tcase_add_test(cases, raw_text_is_kept_beside_the_replaced);
    tcase_add_loop_test(cases, refuses_with_place_and_hint, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(cases, budgets_hold);
    tcase_add_test(cases, many_keys_are_still_checked);
    tcase_add_test(cases, streams_entries_and_keeps_anchors);
    tcase_add_loop_test(cases, typed_reading_says_what_fits, 0, sizeof typed / sizeof typed[0]);
    tcase_add_test(cases, a_missing_file_is_named);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
