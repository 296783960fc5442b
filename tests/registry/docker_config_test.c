/* SPDX-License-Identifier: BSD-3-Clause */
/* Docker's logins: what its file says, through helpers, and writing it. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "registry/login/docker_config.h"

static struct loop_host *loop;
static const struct descpipe_host *host;
static char folder[64], config[128];

static const struct {
    const char *file, *server, *username, *password, *helper;
} entries[] = {
    {"{\"auths\":{\"ghcr.io\":{\"auth\":\"bWU6d29yZA==\"}}}", "ghcr.io", "me", "word", NULL},
    {"{\"auths\":{\"ghcr.io\":{\"auth\":\"bWU6d29yZA==\"}}}", "quay.io", NULL, NULL, NULL},
    {"{\"auths\":{\"https://ghcr.io/v2/\":{\"auth\":\"bWU6dzpvOnJk\"}}}", "ghcr.io", "me", "w:o:rd", NULL},
    {"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"bWU6d29yZA==\"}}}", "docker.io", "me", "word", NULL},
    {"{\"auths\":{\"docker.io\":{\"username\":\"me\",\"password\":\"word\"}}}", "docker.io", "me", "word", NULL},
    {"{\"auths\":{\"h:5000\":{\"identitytoken\":\"id\",\"auth\":\"bWU6\"}}}", "h:5000", "<token>", "id", NULL},
    {"{\"auths\":{\"h:5000\":{\"registrytoken\":\"bearer\"}}}", "h:5000", NULL, "bearer", NULL},
    {"{\"auths\":{\"h\":{}},\"credsStore\":\"pass\"}", "h", NULL, NULL, "pass"},
    {"{\"credHelpers\":{\"h\":\"ecr-login\"},\"credsStore\":\"pass\"}", "h", NULL, NULL, "ecr-login"},
    {"{\"credHelpers\":{\"h\":\"ecr-login\"},\"credsStore\":\"pass\"}", "other", NULL, NULL, "pass"},
    {"{}", "h", NULL, NULL, NULL},
    {"{\"auths\":{\"h\":{\"auth\":\"\"}}}", "h", NULL, NULL, NULL},
    {"{\"auths\":{\"h.evil.org\":{\"auth\":\"bWU6d29yZA==\"}}}", "h", NULL, NULL, NULL},
};

static void check_text(const char *actual, const char *wanted)
{
    ck_assert_msg((actual == NULL) == (wanted == NULL), "'%s', not '%s'", actual, wanted);
    if (wanted != NULL)
        ck_assert_str_eq(actual, wanted);
}

START_TEST(reads_entries)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct docker_config_entry entry = {0};
    const char *file = entries[_i].file;
    ck_assert_msg(docker_config_read(&entry, host, file, strlen(file), entries[_i].server, &failure), "%s",
                  failure.message);
    check_text(entry.username, entries[_i].username);
    check_text(entry.password != NULL ? host->secret->reveal(entry.password, NULL) : NULL, entries[_i].password);
    check_text(entry.helper, entries[_i].helper);
    docker_config_entry_clear(&entry, host);
}
END_TEST

static const char *const refused[] = {"",
                                      "[]",
                                      "{",
                                      "{\"auths\":{\"h\":{\"auth\":\"!!!!\"}}}",
                                      "{\"auths\":{\"h\":{\"auth\":\"abc\"}}}",
                                      "{\"auths\":{\"h\":{\"auth\":\"bm9jb2xvbg==\"}}}",
                                      "{\"credsStore\":\"../evil\"}",
                                      "{\"credsStore\":\"a b\"}",
                                      "{\"credsStore\":\"x;rm\"}"};

START_TEST(refuses_what_is_no_config)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct docker_config_entry entry = {0};
    ck_assert(!docker_config_read(&entry, host, refused[_i], strlen(refused[_i]), "h", &failure));
    ck_assert_uint_eq(failure.kind, DESCPIPE_FAILED_REFUSED);
}
END_TEST

/* --- with files and helpers --- */

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static void read_file(const char *name, char *text, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "there is no %s", path);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* A helper that keeps one login in a file beside it, and what it was started with. */
static const char helper[] =
    "#!/bin/sh\n"
    "here=${0%/*}\n"
    "echo \"$@\" >>\"$here/argv\"\n"
    "case $1 in\n"
    "store) cat >\"$here/kept\" ;;\n"
    "get) read -r server; test \"$server\" = \"${HELPER_SERVER:-h.io}\" && cat \"$here/kept\" 2>/dev/null ||\n"
    "  { echo 'credentials not found in native keychain'; exit 1; } ;;\n"
    "erase) test -f \"$here/kept\" && rm \"$here/kept\" ||\n"
    "  { echo 'credentials not found in native keychain'; exit 1; } ;;\n"
    "esac\n";

static void setup(void)
{
    char path[512];
    snprintf(folder, sizeof folder, "/tmp/docker-config-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(config, sizeof config, "%s/docker/config.json", folder);
    const char *before = secure_getenv("PATH");
    snprintf(path, sizeof path, "%s:%s", folder, before != NULL ? before : "/bin");
    setenv("PATH", path, 1);
    write_file("docker-credential-kept", helper, 0755);
    write_file("docker-credential-broken", "#!/bin/sh\necho 'the key ring is locked' >&2\nexit 2\n", 0755);
    write_file("docker-credential-nonsense", "#!/bin/sh\necho '{\"Username\":7}'\n", 0755);
    loop = loop_host_new();
    host = loop_host_table(loop);
}

static void remove_folder(const char *path)
{
    char inner[512];
    DIR *listing = opendir(path);
    for (const struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%.200s/%.200s", path, entry->d_name);
        if (unlink(inner) != 0)
            remove_folder(inner);
    }
    if (listing != NULL)
        closedir(listing);
    rmdir(path);
}

static void teardown(void)
{
    loop_host_free(loop);
    remove_folder(folder);
}

static void write_config(const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/docker", folder);
    mkdir(path, 0700);
    write_file("docker/config.json", text, 0644);
}

struct found {
    struct end end;
    bool any;
    char username[64], password[64], origin[256];
};

static void on_found(void *context, const struct docker_login *login, const struct failure *failure)
{
    struct found *found = context;
    if (login != NULL) {
        found->any = true;
        snprintf(found->username, sizeof found->username, "%s", login->username != NULL ? login->username : "");
        snprintf(found->password, sizeof found->password, "%s", host->secret->reveal(login->password, NULL));
        snprintf(found->origin, sizeof found->origin, "%s", login->origin);
    }
    end_take_failure(&found->end, failure);
}

static void on_stored(void *context, const char *where, const struct failure *failure)
{
    struct found *found = context;
    snprintf(found->origin, sizeof found->origin, "%s", where != NULL ? where : "");
    end_take_failure(&found->end, failure);
}

static void await(struct found *found)
{
    ck_assert(loop_host_wait(loop, &found->end.done, 30));
}

static struct found find(const char *server)
{
    struct failure failure = FAILURE_INIT;
    struct found found = {0};
    ck_assert_msg(docker_login_find(host, config, server, on_found, &found, &failure), "%s", failure.message);
    ck_assert(!found.end.done);
    await(&found);
    return found;
}

static struct found store(const char *server, const char *username, const char *password)
{
    struct failure failure = FAILURE_INIT;
    struct found found = {0};
    struct descpipe_secret *secret = host->secret->make(password, strlen(password));
    ck_assert_msg(docker_login_store(host, config, server, username, secret, on_stored, &found, &failure), "%s",
                  failure.message);
    host->secret->release(secret);
    await(&found);
    return found;
}

static struct found erase(const char *server)
{
    struct failure failure = FAILURE_INIT;
    struct found found = {0};
    ck_assert_msg(docker_login_erase(host, config, server, on_stored, &found, &failure), "%s", failure.message);
    await(&found);
    return found;
}

START_TEST(no_file_is_no_login)
{
    struct found found = find("h.io");
    ck_assert_good(found.end);
    ck_assert(!found.any);
}
END_TEST

START_TEST(stores_and_finds_and_erases_in_the_file)
{
    char text[1024];
    struct stat status;
    struct found found = store("h.io:5000", "me", "wo:rd\"\\");
    ck_assert_good(found.end);
    ck_assert_str_eq(found.origin, config);
    ck_assert_int_eq(stat(config, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    read_file("docker/config.json", text, sizeof text);
    ck_assert_ptr_null(strstr(text, "wo:rd"));
    found = find("h.io:5000");
    ck_assert_str_eq(found.username, "me");
    ck_assert_str_eq(found.password, "wo:rd\"\\");
    ck_assert_str_eq(found.origin, config);
    found = erase("h.io:5000");
    ck_assert_good(found.end);
    found = erase("h.io:5000");
    ck_assert_uint_eq(found.end.failure.kind, DESCPIPE_FAILED_NOT_FOUND);
    end_clear(&found.end);
}
END_TEST

START_TEST(keeps_what_it_does_not_know)
{
    char text[2048];
    struct stat status;
    write_config("{\"HttpHeaders\":{\"a\":\"b\"},\"auths\":{\"https://h.io/v1/\":{\"auth\":\"b2xkOm9sZA==\"},"
                 "\"other\":{\"auth\":\"bWU6d29yZA==\"}},\"psFormat\":\"x\"}");
    struct found found = store("h.io", "new", "new");
    ck_assert_good(found.end);
    read_file("docker/config.json", text, sizeof text);
    ck_assert_says(text, "HttpHeaders");
    ck_assert_says(text, "psFormat");
    ck_assert_says(text, "bWU6d29yZA==");
    ck_assert_ptr_null(strstr(text, "b2xkOm9sZA==")); /* the old one is gone */
    ck_assert_int_eq(stat(config, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    found = find("h.io");
    ck_assert_str_eq(found.username, "new");
}
END_TEST

START_TEST(a_damaged_file_is_left_alone)
{
    char text[64];
    struct failure failure = FAILURE_INIT;
    struct found found = {0};
    write_config("{\"auths\":");
    struct descpipe_secret *secret = host->secret->make("x", 1);
    ck_assert(!docker_login_store(host, config, "h.io", "me", secret, on_stored, &found, &failure));
    host->secret->release(secret);
    ck_assert_says(failure.message, "config.json");
    failure_clear(&failure);
    read_file("docker/config.json", text, sizeof text);
    ck_assert_str_eq(text, "{\"auths\":");
}
END_TEST

START_TEST(hub_is_kept_under_dockers_own_key)
{
    char text[1024];
    struct found found = store("docker.io", "me", "word");
    read_file("docker/config.json", text, sizeof text);
    ck_assert_says(text, "\"https://index.docker.io/v1/\"");
    found = find("docker.io");
    ck_assert_str_eq(found.password, "word");
}
END_TEST

START_TEST(a_helper_keeps_the_secret)
{
    char text[1024];
    write_config("{\"credsStore\":\"kept\"}");
    struct found found = store("h.io", "me", "the-secret");
    ck_assert_good(found.end);
    ck_assert_str_eq(found.origin, "docker-credential-kept");
    read_file("argv", text, sizeof text);
    ck_assert_str_eq(text, "store\n"); /* nothing else in its argv */
    read_file("docker/config.json", text, sizeof text);
    ck_assert_ptr_null(strstr(text, "the-secret"));
    ck_assert_says(text, "\"h.io\": {}");
    found = find("h.io");
    ck_assert_str_eq(found.username, "me");
    ck_assert_str_eq(found.password, "the-secret");
    ck_assert_str_eq(found.origin, "docker-credential-kept");
    found = find("elsewhere.io");
    ck_assert_good(found.end);
    ck_assert(!found.any);
    found = erase("h.io");
    ck_assert_good(found.end);
    found = erase("h.io");
    ck_assert_uint_eq(found.end.failure.kind, DESCPIPE_FAILED_NOT_FOUND);
    end_clear(&found.end);
}
END_TEST

static const struct {
    const char *name, *says;
} bad_helpers[] = {
    {"broken", "failed: the key ring is locked"}, {"nonsense", "answers no login"}, {"missing", "cannot be run"}};

START_TEST(a_helper_that_fails_is_told)
{
    char text[128];
    snprintf(text, sizeof text, "{\"credHelpers\":{\"h.io\":\"%s\"}}", bad_helpers[_i].name);
    write_config(text);
    struct found found = find("h.io");
    ck_assert(!found.any);
    ck_assert_says(failure_message(&found.end.failure), bad_helpers[_i].says);
    end_clear(&found.end);
}
END_TEST

#define COUNT(list) ((int)(sizeof(list) / sizeof(list)[0]))

int main(void)
{
    Suite *suite = suite_create("docker_config");
    TCase *test = tcase_create("docker_config");
    tcase_set_timeout(test, 60);
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_loop_test(test, reads_entries, 0, COUNT(entries));
    tcase_add_loop_test(test, refuses_what_is_no_config, 0, COUNT(refused));
    tcase_add_test(test, no_file_is_no_login);
    tcase_add_test(test, stores_and_finds_and_erases_in_the_file);
    tcase_add_test(test, keeps_what_it_does_not_know);
    tcase_add_test(test, a_damaged_file_is_left_alone);
    tcase_add_test(test, hub_is_kept_under_dockers_own_key);
    tcase_add_test(test, a_helper_keeps_the_secret);
    tcase_add_loop_test(test, a_helper_that_fails_is_told, 0, COUNT(bad_helpers));
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
