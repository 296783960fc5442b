/* SPDX-License-Identifier: BSD-3-Clause */
/* What a build sends to the Engine: patterns of .dockerignore, the context's archive, the bases of a Dockerfile. */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "engine/context.h"
#include "engine/dockerfile.h"
#include "engine/ignore.h"
#include "engine/lines.h"

/* The expectations are those of Docker's own documentation and of Go's filepath.Match. */
static const struct {
    const char *patterns, *path;
    bool ignored;
} matches[] = {
    {"*.md", "a.md", true},
    {"*.md", "b/a.md", false},
    {"**/*.md", "b/c/a.md", true},
    {"**/*.md", "a.md", true},
    {"*/temp*", "somedir/temporary.txt", true},
    {"*/temp*", "a/b/temp", false},
    {"*/*/temp*", "a/b/temp", true},
    {"temp?", "tempa", true},
    {"temp?", "temp", false},
    {"temp?", "temp/x", false},
    {"node_modules", "node_modules/a/b", true},
    {"node_modules", "sub/node_modules/a", false},
    {"/secret/", "secret/key", true},
    {"./a/../b", "b", true},
    {"../x", "x", false},
    {"**", "any/thing", true},
    {"**/foo", "a/b/foo/bar", true},
    {"**/foo", "afoo", false},
    {"a/**/b", "a/b", true},
    {"a/**/b", "a/x/y/b", true},
    {"a/**/b", "a/xb", false},
    {"a/**", "a/x", true},
    {"a/**", "a", false},
    {"[a-c]x", "bx", true},
    {"[a-c]x", "dx", false},
    {"[^a-c]x", "dx", true},
    {"[^a-c]x", "/x", false},
    {"[]a]x", "]x", true},
    {"\\*.md", "*.md", true},
    {"\\*.md", "a.md", false},
    {"*.md\n!README.md", "README.md", false},
    {"*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true},
    {"*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false},
    {"*\n!src", "src/a/b.c", false},
    {"*\n!src", "doc/a", true},
    {"# *.c\n\n  *.h  \r\n", "a.c", false},
    {"# *.c\n\n  *.h  \r\n", "a.h", true},
    {".", "a", false},
    {"*a*a*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

START_TEST(a_pattern_leaves_out_what_docker_leaves_out)
{
    struct ignore ignore = {0};
    char words[256];
    ck_assert_msg(ignore_read(matches[_i].patterns, strlen(matches[_i].patterns), &ignore, words, sizeof(words)), "%s",
                  words);
    ck_assert_msg(ignore_matches(&ignore, matches[_i].path) == matches[_i].ignored, "'%s' and '%s'",
                  matches[_i].patterns, matches[_i].path);
    ignore_clear(&ignore);
}
END_TEST

static const char *const no_patterns[] = {"a\n[b", "a\n[b-", "a\nb\\", "a\n!", "a\n[z-a]"};

START_TEST(a_line_that_is_no_pattern_is_named)
{
    struct ignore ignore = {0};
    char words[256];
    ck_assert(!ignore_read(no_patterns[_i], strlen(no_patterns[_i]), &ignore, words, sizeof(words)));
    ck_assert_str_eq(words, "line 2 of its .dockerignore is no pattern, or too long");
    ignore_clear(&ignore);
}
END_TEST

/* ---- the archive ---- */

static char folder[64];

static void put(const char *name, const char *text, mode_t mode)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(descriptor, mode), 0);
    close(descriptor);
}

static void set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/descpipe-context-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void tear_down(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "NAME TYPE mode uid: content" lines, in the archive's order. */
static void list(int descriptor, char *text, size_t size)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry = NULL;
    size_t used = 0;
    archive_read_support_format_tar(archive);
    ck_assert_int_eq(lseek(descriptor, 0, SEEK_SET), 0);
    ck_assert_int_eq(archive_read_open_fd(archive, descriptor, 10240), ARCHIVE_OK);
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        char content[64] = "";
        la_ssize_t got = archive_read_data(archive, content, sizeof(content) - 1);
        content[got > 0 ? got : 0] = '\0';
        const char *target = archive_entry_symlink(entry);
        used +=
            (size_t)snprintf(text + used, size - used, "%s %o %d:%d %s%s\n", archive_entry_pathname(entry),
                             archive_entry_perm(entry), (int)archive_entry_uid(entry), (int)archive_entry_gid(entry),
                             target != NULL ? "-> " : "", target != NULL ? target : content);
        ck_assert_uint_lt(used, size);
    }
    archive_read_free(archive);
}

static bool write_it(const char *file, struct context_answer *answer, char *text, size_t size)
{
    static const volatile bool stop = false;
    int descriptor = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_ge(descriptor, 0);
    struct context_request request = {.folder = folder, .file = file, .descriptor = descriptor};
    bool done = context_write(&request, &stop, answer);
    if (done) {
        list(descriptor, text, size);
    }
    close(descriptor);
    return done;
}

START_TEST(a_context_holds_what_is_not_ignored)
{
    struct context_answer answer;
    char text[4096], file[128], path[128];
    put(".dockerignore", "*.key\nbuild\nDockerfile\ndeep\n!deep/keep\n", 0600);
    put("Dockerfile", "FROM scratch\n", 0644);
    put("run.py", "print()", 0755);
    put("secret.key", "k", 0600);
    put("build/out", "o", 0644);
    put("deep/keep", "yes", 0640);
    put("deep/drop", "no", 0644);
    snprintf(path, sizeof(path), "%s/link", folder);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/pipe.key", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    snprintf(file, sizeof(file), "%s/Dockerfile", folder);
    ck_assert_msg(write_it(file, &answer, text, sizeof(text)), "%s", answer.words);
    ck_assert_str_eq(answer.file, "Dockerfile");
    ck_assert_str_eq(text, ".dockerignore 600 0:0 *.key\nbuild\nDockerfile\ndeep\n!deep/keep\n\n"
                           "Dockerfile 644 0:0 FROM scratch\n\n"
                           "deep/keep 640 0:0 yes\n"
                           "link 777 0:0 -> /etc/passwd\n"
                           "run.py 755 0:0 print()\n");
    ck_assert_uint_eq(answer.entries, 5);
}
END_TEST

START_TEST(a_dockerfile_from_elsewhere_goes_along)
{
    struct context_answer answer;
    char text[4096];
    put("run.py", "x", 0755);
    char file[] = "/tmp/descpipe-dockerfile-XXXXXX";
    int descriptor = mkstemp(file);
    ck_assert_int_eq(write(descriptor, "FROM scratch", 12), 12);
    close(descriptor);
    ck_assert_msg(write_it(file, &answer, text, sizeof(text)), "%s", answer.words);
    unlink(file);
    ck_assert_str_eq(answer.file, ".dockerfile.descpipe");
    ck_assert_str_eq(text, "run.py 755 0:0 x\n.dockerfile.descpipe 600 0:0 FROM scratch\n");
}
END_TEST

START_TEST(what_cannot_be_a_context_is_refused)
{
    struct context_answer answer;
    char text[4096];
    put(".dockerignore", "[", 0600);
    ck_assert(!write_it("/nowhere/Dockerfile", &answer, text, sizeof(text)));
    ck_assert_ptr_nonnull(strstr(answer.words, "line 1 of its .dockerignore is no pattern"));
    put(".dockerignore", "", 0600);
    ck_assert(!write_it("/nowhere/Dockerfile", &answer, text, sizeof(text)));
    ck_assert_str_eq(answer.words, "'/nowhere/Dockerfile': No such file or directory");
}
END_TEST

/* ---- bases ---- */

static const struct {
    const char *text;
    const char *arguments[3];
    const char *bases[4];
} dockerfiles[] = {
    {"FROM ubuntu:22.04\nRUN FROM\n", {0}, {"ubuntu:22.04"}},
    {"# comment\nARG owner=joe\nFROM ${owner}/base:1 AS build\nFROM build\nFROM scratch\nfrom --platform=linux/amd64 "
     "$owner/base:1\n",
     {"owner=me"},
     {"me/base:1"}},
    {"ARG v\nFROM a:${v:-7}\nFROM b:${v:+x}1\nFROM c:${v}\n", {0}, {"a:7", "b:1", "c:"}},
    {"ARG v=\"2\"\nFROM a:$v \\\n  # within\n  AS x\nFROM X\n", {0}, {"a:2"}},
    {"FROM a:${v?bad}\nFROM b$\nFROM\nFROM d:${unclosed\n", {0}, {NULL}},
    {"FROM a\nARG t=1\nFROM b:$t\n", {"t=2"}, {"a", "b:"}}, /* an ARG behind FROM is not for FROM */
    {"", {0}, {NULL}},
};

START_TEST(finds_the_images_that_are_built_on)
{
    struct texts bases = {0};
    ck_assert(dockerfile_bases(dockerfiles[_i].text, strlen(dockerfiles[_i].text), dockerfiles[_i].arguments, &bases));
    size_t count = 0;
    for (; count < 4 && dockerfiles[_i].bases[count] != NULL; count++) {
        ck_assert_ptr_nonnull(texts_list(&bases)[count]);
        ck_assert_str_eq(texts_list(&bases)[count], dockerfiles[_i].bases[count]);
    }
    ck_assert_uint_eq(bases.count, count);
    texts_clear(&bases);
}
END_TEST

static void collect(void *context, const char *text, size_t length)
{
    bytes_add(context, text, length);
    bytes_add_text(context, "|");
}

START_TEST(lines_come_whole_from_pieces_of_any_size)
{
    static const char text[] = "one\n\ntwo\nthree";
    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        struct lines lines = {0};
        struct bytes got = {0};
        for (size_t i = 0; i < strlen(text); i += piece) {
            size_t left = strlen(text) - i;
            lines_add(&lines, text + i, piece < left ? piece : left, collect, &got);
        }
        lines_end(&lines, collect, &got);
        ck_assert_str_eq(bytes_text(&got), "one|two|three|");
        lines_clear(&lines);
        bytes_clear(&got);
    }
}
END_TEST

#define ADD_TABLE(test, table) tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof(*(table))))

int main(void)
{
    Suite *suite = suite_create("docker context");
    TCase *tests = tcase_create("context");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    ADD_TABLE(a_pattern_leaves_out_what_docker_leaves_out, matches);
    ADD_TABLE(a_line_that_is_no_pattern_is_named, no_patterns);
    tcase_add_test(tests, a_context_holds_what_is_not_ignored);
    tcase_add_test(tests, a_dockerfile_from_elsewhere_goes_along);
    tcase_add_test(tests, what_cannot_be_a_context_is_refused);
    ADD_TABLE(finds_the_images_that_are_built_on, dockerfiles);
    tcase_add_test(tests, lines_come_whole_from_pieces_of_any_size);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
