/* SPDX-License-Identifier: BSD-3-Clause */
/* The file that nodes read their registry logins from. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/pull_secret.h"

#define LOGIN(image_, username_, password_)                                                                            \
    {                                                                                                                  \
        .image = (image_), .username = (username_), .password = (password_)                                            \
    }

/* base64: a:b is YTpi, c:d is Yzpk, a:ü (in Latin-1) is YTr8. */
static const struct {
    struct pull_login logins[3];
    size_t count;
    const char *config;
} configs[] = {
    {{{0}}, 0, "{\"auths\":{}}"},
    {{LOGIN("registry.site.org:5000/x/y@sha256:00", "a", "b")},
     1,
     "{\"auths\":{\"registry.site.org:5000\":{\"auth\":\"YTpi\"}}}"},
    {{LOGIN("docker.io/library/x:1", "a", "b")},
     1,
     "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"YTpi\"}}}"},
    {{LOGIN("me/x:1", "a", "b")}, 1, "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"YTpi\"}}}"},
    {{LOGIN("localhost/x:1", "a", "b")}, 1, "{\"auths\":{\"localhost\":{\"auth\":\"YTpi\"}}}"},
    {{LOGIN("[::1]:5000/x:1", "a", "b")}, 1, "{\"auths\":{\"[::1]:5000\":{\"auth\":\"YTpi\"}}}"},
    {{LOGIN("r.org/x:1", "a", "b"), LOGIN("r.org/y:1", "a", "b")}, 2, "{\"auths\":{\"r.org\":{\"auth\":\"YTpi\"}}}"},
    {{LOGIN("r.org/x:1", "a", "b"), LOGIN("r.org/y/z:1", "c", "d"), LOGIN("r.org/w", "a", "b")},
     3,
     "{\"auths\":{\"r.org\":{\"auth\":\"YTpi\"},\"r.org/y/z\":{\"auth\":\"Yzpk\"}}}"},
    {{LOGIN("r.org/x:1", "a", "\xfc")}, 1, "{\"auths\":{\"r.org\":{\"auth\":\"YTr8\"}}}"},
};

START_TEST(writes_each_login_as_nodes_look_for_it)
{
    char *config = pull_secret_config(configs[_i].logins, configs[_i].count);
    ck_assert_str_eq(config, configs[_i].config);
    pull_secret_wipe(config);
}
END_TEST

static const struct {
    const char *image, *repository;
} repositories[] = {{"r.org:5000/a/b:1", "r.org:5000/a/b"},
                    {"r.org:5000/a/b@sha256:00", "r.org:5000/a/b"},
                    {"r.org:5000/b", "r.org:5000/b"},
                    {"[::1]:5000/b:2", "[::1]:5000/b"},
                    {"b:2", "b"}};

START_TEST(knows_where_a_repository_ends)
{
    ck_assert_uint_eq(pull_secret_repository(repositories[_i].image), strlen(repositories[_i].repository));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pull_secret");
    TCase *cases = tcase_create("pull_secret");
    tcase_add_loop_test(cases, writes_each_login_as_nodes_look_for_it, 0, sizeof(configs) / sizeof(*configs));
    tcase_add_loop_test(cases, knows_where_a_repository_ends, 0, sizeof(repositories) / sizeof(*repositories));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
