/* SPDX-License-Identifier: BSD-3-Clause */
/* Owners and modes as a pure judgement, so that every case can be tried by whoever runs the tests. */
#include "plugin/trust.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { USER = 1000, OWN_GROUP = 1000, OTHER = 2000, OVERFLOW = 65534, NOBODY_NEXT = -1 };

static const struct {
    const char *path;
    uid_t user, owner;
    gid_t group;
    mode_t mode;
    long next_owner;
    bool user_namespace;
    const char *message; /* NULL: trusted */
} cases[] = {
    {"/d", USER, 0, 0, S_IFDIR | 0755, 0, false, NULL},
    {"/d", USER, USER, OWN_GROUP, S_IFDIR | 0700, USER, false, NULL},
    {"/d", USER, OTHER, OTHER, S_IFDIR | 0755, USER, false, "it is not trusted: '/d' belongs to user 2000"},
    {"/d/f", USER, OTHER, OTHER, S_IFREG | 0644, NOBODY_NEXT, false, "it is not trusted: '/d/f' belongs to user 2000"},
    {"/d/f", USER, USER, OWN_GROUP, S_IFREG | 0664, NOBODY_NEXT, false, NULL},
    {"/d/f", USER, USER, OTHER, S_IFREG | 0664, NOBODY_NEXT, false,
     "it is not trusted: group 2000 may write to '/d/f' (mode 0664)"},
    {"/d/f", USER, USER, OWN_GROUP, S_IFREG | 0666, NOBODY_NEXT, false,
     "it is not trusted: everybody may write to '/d/f' (mode 0666)"},
    {"/d", USER, 0, 0, S_IFDIR | 0775, 0, false, "it is not trusted: group 0 may write to '/d' (mode 0775)"},
    /* sticky folders: the entry taken must be root's or the user's */
    {"/tmp", USER, 0, 0, S_IFDIR | S_ISVTX | 0777, USER, false, NULL},
    {"/tmp", USER, 0, 0, S_IFDIR | S_ISVTX | 0777, 0, false, NULL},
    {"/tmp", USER, 0, 0, S_IFDIR | S_ISVTX | 0777, OTHER, false,
     "it is not trusted: everybody may write to '/tmp' (mode 1777)"},
    {"/tmp", USER, 0, 0, S_IFDIR | S_ISVTX | 0777, NOBODY_NEXT, false,
     "it is not trusted: everybody may write to '/tmp' (mode 1777)"},
    {"/tmp/f", USER, USER, 0, S_IFREG | S_ISVTX | 0666, NOBODY_NEXT, false,
     "it is not trusted: everybody may write to '/tmp/f' (mode 1666)"},
    /* root trusts root only */
    {"/d", 0, USER, USER, S_IFDIR | 0755, 0, false, "it is not trusted: '/d' belongs to user 1000"},
    {"/d", 0, 0, 0, S_IFDIR | 0755, 0, false, NULL},
    {"/d", 0, 0, OWN_GROUP, S_IFDIR | 0775, 0, false, "it is not trusted: group 1000 may write to '/d' (mode 0775)"},
    {"/tmp", 0, 0, 0, S_IFDIR | S_ISVTX | 0777, USER, false,
     "it is not trusted: everybody may write to '/tmp' (mode 1777)"},
    /* the overflow uid is root only inside a user namespace */
    {"/d", USER, OVERFLOW, OVERFLOW, S_IFDIR | 0755, 0, true, NULL},
    {"/d", USER, OVERFLOW, OVERFLOW, S_IFDIR | 0755, 0, false, "it is not trusted: '/d' belongs to user 65534"},
    /* vouched by the site: owner and group do not matter, others still do */
    {"/site/a", USER, OTHER, OTHER, S_IFDIR | 0775, OTHER, false, NULL},
    {"/site", USER, OTHER, OTHER, S_IFDIR | 0775, OTHER, false, NULL},
    {"/site/a", USER, OTHER, OTHER, S_IFDIR | 0777, OTHER, false,
     "it is not trusted: everybody may write to '/site/a' (mode 0777)"},
    {"/sitemap", USER, OTHER, OTHER, S_IFDIR | 0775, OTHER, false,
     "it is not trusted: '/sitemap' belongs to user 2000"},
    {"/site/a", 0, OTHER, OTHER, S_IFDIR | 0755, OTHER, false, "it is not trusted: '/site/a' belongs to user 2000"},
};

START_TEST(judges_one_step)
{
    char site[] = "/site";
    char *list[] = {site, NULL};
    struct words vouched = {.items = list, .count = 1};
    struct trust_rules rules = {.user = cases[_i].user,
                                .own_group = cases[_i].user == 0 ? (gid_t)-1 : OWN_GROUP,
                                .user_namespace = cases[_i].user_namespace,
                                .overflow = OVERFLOW,
                                .vouched = &vouched};
    struct stat status = {.st_uid = cases[_i].owner, .st_gid = cases[_i].group, .st_mode = cases[_i].mode};
    uid_t next = (uid_t)cases[_i].next_owner;
    struct trust_step step = {cases[_i].path, &status, cases[_i].next_owner == NOBODY_NEXT ? NULL : &next};
    cleanup(error_clear) struct error error = ERROR_INIT;
    bool trusted = trust_judge(&rules, &step, &error);
    ck_assert_int_eq(trusted, cases[_i].message == NULL);
    ck_assert_str_eq(error.message ? error.message : "", cases[_i].message ? cases[_i].message : "");
    ck_assert_int_eq(trusted, error.hint == NULL);
}
END_TEST

START_TEST(walks_the_way_from_the_root)
{
    struct trust_rules rules = trust_rules_here(NULL);
    cleanup(error_clear) struct error error = ERROR_INIT;
    ck_assert_msg(trust_check(&rules, "/", &error), "%s", error.message);
    ck_assert_msg(trust_check(&rules, "/usr", &error), "%s", error.message);
    ck_assert(!trust_check(&rules, "/usr/no-such-thing", &error));
    ck_assert_str_eq(error.message,
                     "it is not trusted: cannot look at '/usr/no-such-thing': No such file or directory");
    ck_assert(!trust_check(&rules, "/tmp", &error));
    ck_assert_str_eq(error.message, "it is not trusted: everybody may write to '/tmp' (mode 1777)");
}
END_TEST

static const struct {
    const char *entry;
    const char *message;
} searches[] = {
    {"/usr/lib", NULL},
    {"$ORIGIN", NULL},
    {"${ORIGIN}/../lib", NULL},
    {"/usr/lib/descpipe-nothing/here", NULL},
    {"", "its library search path has the entry '', which is not an absolute folder"},
    {".", "its library search path has the entry '.', which is not an absolute folder"},
    {"$ORIGINAL/lib", "its library search path has the entry '$ORIGINAL/lib', which is not an absolute folder"},
    {"/usr/$LIB", "its library search path has the entry '/usr/$LIB', which is not an absolute folder"},
    {"$ORIGIN/$LIB", "its library search path has the entry '$ORIGIN/$LIB', which is not an absolute folder"},
    {"/tmp/descpipe-nothing", "its library search path has the untrusted folder '/tmp/descpipe-nothing': everybody may "
                              "write to '/tmp' (mode 1777)"},
    {"$ORIGIN/../../tmp", "its library search path has the untrusted folder '$ORIGIN/../../tmp': everybody may write "
                          "to '/tmp' (mode 1777)"},
};

START_TEST(judges_library_search_paths)
{
    struct trust_rules rules = trust_rules_here(NULL);
    struct elf_facts facts = {0};
    cleanup(error_clear) struct error error = ERROR_INIT;
    words_add(&facts.search, searches[_i].entry);
    bool trusted = trust_check_search(&rules, "/usr/lib/plugin.so", &facts, &error);
    ck_assert_str_eq(error.message ? error.message : "", searches[_i].message ? searches[_i].message : "");
    ck_assert_int_eq(trusted, searches[_i].message == NULL);
    elf_clear(&facts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trust");
    TCase *tests = tcase_create("trust");
    tcase_add_loop_test(tests, judges_one_step, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tests, walks_the_way_from_the_root);
    tcase_add_loop_test(tests, judges_library_search_paths, 0, sizeof(searches) / sizeof(searches[0]));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
