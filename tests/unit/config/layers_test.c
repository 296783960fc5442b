/* SPDX-License-Identifier: BSD-3-Clause */
/* Site, user, environment and command line: who wins, who may not, and every refusal. */
#include "config/layers.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"

struct fixture {
    char *folder, *site, *user;
};

static struct fixture fixture_start(const char *site, const char *user)
{
    const char *temporary = secure_getenv("TMPDIR");
    struct fixture fixture = {.folder =
                                  memory_format("%s/descpipe-layers-XXXXXX", temporary != NULL ? temporary : "/tmp")};
    ck_assert_ptr_nonnull(mkdtemp(fixture.folder));
    fixture.site = path_join(fixture.folder, "etc");
    fixture.user = path_join(fixture.folder, "config.yaml");
    cleanup(memory_free) char *file = path_join(fixture.site, "site.yaml");
    ck_assert(folder_make(fixture.site, 0755, NULL));
    if (site != NULL)
        ck_assert(file_write(file, site, strlen(site), 0644, NULL));
    if (user != NULL)
        ck_assert(file_write(fixture.user, user, strlen(user), 0644, NULL));
    return fixture;
}

static void fixture_end_at(struct fixture *fixture)
{
    ck_assert(folder_remove(fixture->folder, NULL));
    memory_free(fixture->folder);
    memory_free(fixture->site);
    memory_free(fixture->user);
}

static void replace_folder(const struct fixture *fixture, const char *rest, struct text *out)
{
    for (const char *found; (found = strstr(rest, fixture->folder)) != NULL; rest = found + strlen(fixture->folder)) {
        text_append_bytes(out, rest, (size_t)(found - rest));
        text_append_character(out, '@');
    }
    text_append(out, rest);
}

static const struct descpipe_option account = {.size = sizeof account, .type = DESCPIPE_OPTION_TEXT, .key = "account"};
static const struct descpipe_option qos = {.size = sizeof qos, .type = DESCPIPE_OPTION_TEXT, .key = "qos"};
static const struct descpipe_option node_selector = {
    .size = sizeof qos, .type = DESCPIPE_OPTION_MAP, .key = "node-selector"};
static const struct descpipe_option *const table[] = {&account, &qos, &node_selector, NULL};

static const char site_text[] =
    "default-backend: nersc\n"
    "backends: {nersc: {scheduler: {use: slurm, account: m1}, runtime: shifter}, both: {runtime: docker}}\n"
    "options: {scheduler: {slurm: {account: site, qos: regular}}}\n"
    "runtime-order: [native]\n"
    "lock: [scheduler.slurm.account, registry]\n"
    "secrets: {a: {env: A_TOKEN}, b: {file: b.txt}, c: {command: [tool, get]}}\n"
    "working: /scratch\n"
    "site: hill\n";

START_TEST(later_layers_win)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start(
        site_text, "backends: {both: {runtime: podman}}\noptions: {scheduler: {slurm: {qos: debug}}}\nworking: w\n");
    static const char *const environment[] = {"DESCPIPE_RUNTIME=native",
                                              "DESCPIPE_OPTION_SCHEDULER_QOS=env",
                                              "PATH=/bin",
                                              "DESCPIPE_OPTION_SCHEDULER_NODE_SELECTOR=a=b",
                                              "DESCPIPE_JOBS=",
                                              NULL};
    static const char *const options[] = {"scheduler/argo.qos=other", NULL};
    struct config_search search = {.site_folder = fixture.site,
                                   .user_file = fixture.user,
                                   .environment = environment,
                                   .options = options,
                                   .jobs = "4"};
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(config_layers_free) struct config_layers *layers = config_layers_read(&search, &problems);
    ck_assert_uint_eq(problems.count, 0);
    enum layer layer;
    struct place place;
    ck_assert_str_eq(config_layers_value(layers, "backend", &place, &layer), "nersc");
    ck_assert_uint_eq(layer, LAYER_SITE);
    ck_assert_uint_eq(place.line, 1);
    ck_assert_str_eq(config_layers_value(layers, "runtime", &place, &layer), "native");
    ck_assert_uint_eq(layer, LAYER_ENVIRONMENT);
    ck_assert_str_eq(place.file, "DESCPIPE_RUNTIME");
    cleanup(memory_free) char *working = path_join(fixture.folder, "w"); /* counts from the user's file */
    ck_assert_str_eq(config_layers_value(layers, "working", NULL, NULL), working);
    ck_assert_str_eq(config_layers_value(layers, "jobs", NULL, NULL), "4");
    ck_assert_str_eq(config_layers_value(layers, "site", NULL, &layer), "hill");
    ck_assert_uint_eq(layer, LAYER_SITE);
    ck_assert_ptr_null(config_layers_value(layers, "registry", NULL, NULL));
    ck_assert(config_layers_locked(layers, "registry", NULL));
    ck_assert_str_eq(config_layers_backend(layers, "both")->runtime.use, "podman");
    ck_assert_str_eq(config_layers_backend(layers, "nersc")->scheduler.use, "slurm");
    ck_assert_ptr_null(config_layers_backend(layers, "none"));
    ck_assert_str_eq(config_layers_runtime_order(layers)[0], "native");
    ck_assert_ptr_null(config_layers_runtime_order(layers)[1]);
    cleanup(settings_free) struct settings *settings = settings_new(table, "scheduler/slurm");
    config_layers_apply_before(layers, "scheduler", "slurm", settings, &problems);
    ck_assert_str_eq(settings_text(settings, "account"), "site");
    ck_assert_str_eq(settings_text(settings, "qos"), "debug");
    config_layers_apply_after(layers, "scheduler", "slurm", settings, &problems);
    ck_assert_str_eq(settings_text(settings, "qos"), "env");
    ck_assert_str_eq(settings_map(settings, "node-selector")[1], "b");
    ck_assert_uint_eq(problems.count, 0);
    cleanup(settings_free) struct settings *argo = settings_new(table, "scheduler/argo");
    config_layers_apply_after(layers, "scheduler", "argo", argo, &problems);
    ck_assert_str_eq(settings_text(argo, "qos"), "other");
}
END_TEST

START_TEST(secrets_are_places_not_values)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start(site_text, NULL);
    struct config_search search = {.site_folder = fixture.site, .user_file = fixture.user};
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(config_layers_free) struct config_layers *layers = config_layers_read(&search, &problems);
    struct secret_source source;
    ck_assert(config_layers_secret(layers, "a", &source));
    ck_assert_uint_eq(source.from, SECRET_FROM_ENVIRONMENT);
    ck_assert_str_eq(source.text, "A_TOKEN");
    ck_assert(config_layers_secret(layers, "b", &source));
    ck_assert_uint_eq(source.from, SECRET_FROM_FILE);
    cleanup(memory_free) char *path = path_join(fixture.site, "b.txt");
    ck_assert_str_eq(source.text, path);
    ck_assert(config_layers_secret(layers, "c", &source));
    ck_assert_uint_eq(source.from, SECRET_FROM_COMMAND);
    ck_assert_str_eq(source.argv[1], "get");
    ck_assert(!config_layers_secret(layers, "d", &source));
}
END_TEST

START_TEST(prints_who_said_what)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start(
        "default-backend: nersc\nlock: [backend]\noptions: {registry: {x: {api-token: hunter2, url: u}}}\n"
        "secrets: {s: {env: V}}\nbackends: {b: {scheduler: {use: slurm, qos: debug}, runtime: docker}}\n",
        NULL);
    static const char *const options[] = {"scheduler.qos=debug", NULL};
    struct config_search search = {.site_folder = fixture.site, .options = options};
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(config_layers_free) struct config_layers *layers = config_layers_read(&search, &problems);
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(text_clear) struct text shown = TEXT_INIT;
    config_layers_print(layers, false, &printed);
    replace_folder(&fixture, text_bytes(&printed), &shown);
    ck_assert_str_eq(text_bytes(&shown),
                     "backend = nersc  (site, @/etc/site.yaml:1:18)\n"
                     "runtime-order = docker, podman, singularity, shifter, native  (default)\n"
                     "options.registry.x.api-token = (not shown)  (site, @/etc/site.yaml:3:26)\n"
                     "options.registry.x.url = u  (site, @/etc/site.yaml:3:46)\n"
                     "options.scheduler.*.qos = debug  (command line, -o scheduler.qos)\n"
                     "backends.b = scheduler slurm {qos: debug}, runtime docker  (site, @/etc/site.yaml:5:12)\n"
                     "secrets.s = the variable V  (site, @/etc/site.yaml:4:11)\n"
                     "lock = backend  (site, @/etc/site.yaml:2:8)\n");
    text_reset(&printed);
    config_layers_print(layers, true, &printed);
    ck_assert(text_starts_with(text_bytes(&printed),
                               "{\"values\": [\n  {\"key\": \"backend\", \"value\": \"nersc\", \"layer\": \"site\""));
    ck_assert_ptr_null(strstr(text_bytes(&printed), "hunter2"));
    ck_assert(text_ends_with(text_bytes(&printed), "\n]}\n"));
}
END_TEST

static const struct {
    const char *reference, *mirrored;
} mirrored[] = {
    {"docker.io/joezuntz/x:1.0", "registry.site.org/hub/joezuntz/x:1.0"},
    {"docker.io/library/ubuntu@sha256:ab", "own.site.org/ubuntu@sha256:ab"},
    {"docker.io/library/ubuntu:22", "own.site.org/ubuntu:22"},
    {"docker.io/library/ubuntus:22", "registry.site.org/hub/library/ubuntus:22"},
    {"docker.iox/a/x:1.0", NULL},
    {"ghcr.io/a/b:1", "user.site.org:5000/a/b:1"},
    {"quay.io:443/a/b:1", NULL},
    {"quay.io/a/b:1", "localhost:5000/quay/a/b:1"},
};

/* The longest prefix wins, then the later layer. */
START_TEST(mirrors_stand_before_the_rest_of_a_reference)
{
    cleanup(fixture_end) struct fixture fixture =
        fixture_start("mirrors: {docker.io: registry.site.org/hub, docker.io/library/ubuntu: own.site.org/ubuntu,\n"
                      "  ghcr.io: site.org/ghcr, quay.io: 'localhost:5000/quay'}\n",
                      "mirrors: {ghcr.io: 'user.site.org:5000'}\n");
    struct config_search search = {.site_folder = fixture.site, .user_file = fixture.user};
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(config_layers_free) struct config_layers *layers = config_layers_read(&search, &problems);
    ck_assert_ptr_nonnull(layers);
    for (size_t i = 0; i < sizeof mirrored / sizeof mirrored[0]; i++) {
        cleanup(memory_free) char *found = config_layers_mirror(layers, mirrored[i].reference);
        ck_assert_pstr_eq(found, mirrored[i].mirrored);
    }
    cleanup(text_clear) struct text printed = TEXT_INIT;
    config_layers_print(layers, false, &printed);
    ck_assert_ptr_nonnull(strstr(text_bytes(&printed), "mirrors.docker.io = registry.site.org/hub  (site, "));
}
END_TEST

static const struct {
    const char *site, *user, *environment, *option, *expected;
} refused[] = {
    {"defaultbackend: x", NULL, NULL, NULL,
     "@/etc/site.yaml:1:1: error: a configuration file has no key 'defaultbackend'\n  hint: did you mean "
     "'default-backend'?\n"},
    {NULL, "lock: [backend]", NULL, NULL, "@/config.yaml:1:1: error: only the site's files can lock\n"},
    {"lock: [slurm]", NULL, NULL, NULL,
     "@/etc/site.yaml:1:8: error: 'slurm' cannot be locked\n  hint: write KIND.PLUGIN.OPTION, backends.NAME, backend, "
     "scheduler, "
     "runtime, registry, working, output, jobs, site, shared-cache, runtime-order, secrets, mirrors or on-exit\n"},
    {"lock: [backend]", "default-backend: x", NULL, NULL,
     "@/config.yaml:1:18: error: 'backend' is locked by @/etc/site.yaml:1:8\n  hint: remove it here, or ask who keeps "
     "that file\n"},
    {"lock: [backend]", NULL, "DESCPIPE_BACKEND=x", NULL,
     "DESCPIPE_BACKEND: error: 'backend' is locked by @/etc/site.yaml:1:8\n  hint: remove it here, or ask who keeps "
     "that file\n"},
    {"lock: [backends.x]", "backends: {x: {runtime: docker}}", NULL, NULL,
     "@/config.yaml:1:12: error: 'backends.x' is locked by @/etc/site.yaml:1:8\n  hint: remove it here, or ask who "
     "keeps that file\n"},
    {"lock: [secrets]", "secrets: {a: {env: B}}", NULL, NULL,
     "@/config.yaml:1:1: error: 'secrets' is locked by @/etc/site.yaml:1:8\n  hint: remove it here, or ask who keeps "
     "that file\n"},
    {NULL, "options: {schedulers: {}}", NULL, NULL,
     "@/config.yaml:1:11: error: 'options' has no kind of plugin 'schedulers'\n  hint: did you mean 'scheduler'?\n"},
    {NULL, "options: {scheduler: {Slurm: {}}}", NULL, NULL,
     "@/config.yaml:1:23: error: 'Slurm' is not a plugin's name\n  hint: write options: {scheduler: {slurm: {qos: "
     "debug}}}\n"},
    {NULL, "options: {scheduler: {slurm: x}}", NULL, NULL,
     "@/config.yaml:1:30: error: the options of scheduler/slurm must be a mapping, not 'x'\n"},
    {NULL, "runtime-order: [host]", NULL, NULL,
     "@/config.yaml:1:17: error: 'host' cannot stand in 'runtime-order'\n"
     "  hint: a stage runs without a container only when asked for by name\n"},
    {NULL, "runtime-order: docker", NULL, NULL,
     "@/config.yaml:1:16: error: 'runtime-order' must be a list, not 'docker'\n"},
    {NULL, "secrets: {a: hunter2}", NULL, NULL,
     "@/config.yaml:1:14: error: the secret 'a' must say where its value is, never the value itself\n"
     "  hint: write {env: VARIABLE}, {file: PATH} or {command: [TOOL, ARGUMENT]}\n"},
    {NULL, "secrets: {a: {command: []}}", NULL, NULL,
     "@/config.yaml:1:24: error: 'command' of a secret must name a tool\n"},
    {"lock: [mirrors]", "mirrors: {docker.io: m.org}", NULL, NULL,
     "@/config.yaml:1:1: error: 'mirrors' is locked by @/etc/site.yaml:1:8\n  hint: remove it here, or ask who keeps "
     "that file\n"},
    {NULL, "mirrors: {dockerhub: m.org}", NULL, NULL,
     "@/config.yaml:1:11: error: 'dockerhub' is not the host of a registry, with or without a path\n"
     "  hint: write mirrors: {docker.io: registry.site.org/hub}\n"},
    {NULL, "mirrors: {docker.io: https://m.org}", NULL, NULL,
     "@/config.yaml:1:22: error: 'https://m.org' cannot be a mirror: it is not the host of a registry, with or without "
     "a path\n  hint: write mirrors: {docker.io: registry.site.org/hub}\n"},
    {NULL, NULL, "DESCPIPE_OPTION_QOS=x", NULL,
     "DESCPIPE_OPTION_QOS: error: the variable names no option of a scheduler, runtime or registry\n"
     "  hint: write DESCPIPE_OPTION_SCHEDULER_QOS for the scheduler's option 'qos'\n"},
    {NULL, NULL, "DESCPIPE_JOBS=many", NULL,
     "DESCPIPE_JOBS: error: the number of jobs must be a whole number from 1 to 1000000, not 'many'\n"},
    {NULL, NULL, "DESCPIPE_RUNTIME=Docker", NULL,
     "DESCPIPE_RUNTIME: error: 'Docker' is not a plugin's name\n  hint: a plugin's name has lower-case letters, digits "
     "and '-'\n"},
    {NULL, NULL, NULL, "qos=debug",
     "-o qos: error: an option is KIND.KEY=VALUE\n  hint: write -o scheduler.qos=debug\n"},
    {NULL, NULL, NULL, "slurm.qos=debug",
     "-o slurm.qos: error: an option belongs to a scheduler, runtime or registry\n"
     "  hint: write -o scheduler.qos=debug or -o scheduler/slurm.qos=debug\n"},
};

START_TEST(refuses_with_place_and_hint)
{
    cleanup(fixture_end) struct fixture fixture = fixture_start(refused[_i].site, refused[_i].user);
    const char *const environment[] = {refused[_i].environment, NULL};
    const char *const options[] = {refused[_i].option, NULL};
    struct config_search search = {
        .site_folder = fixture.site, .user_file = fixture.user, .environment = environment, .options = options};
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(text_clear) struct text shown = TEXT_INIT;
    ck_assert_ptr_null(config_layers_read(&search, &problems));
    problems_print(&problems, &printed);
    replace_folder(&fixture, text_bytes(&printed), &shown);
    ck_assert_str_eq(text_bytes(&shown), refused[_i].expected);
}
END_TEST

START_TEST(variables_that_mean_nothing_are_noted)
{
    static const char *const environment[] = {
        "DESCPIPE_JOB=3", "DESCPIPE_ZZZZZZZZ=3", "DESCPIPE_JOBS=", "DESCPIPE_PLUGIN_PATH=/x", "DESCPIPEX=1", NULL};
    const struct config_search search = {.environment = environment};
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(config_layers_free) struct config_layers *layers = config_layers_read(&search, &problems);
    ck_assert_ptr_nonnull(layers);
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), "note: the environment variable 'DESCPIPE_JOB' means nothing to descpipe\n"
                                           "  hint: did you mean DESCPIPE_JOBS?\n"
                                           "note: the environment variable 'DESCPIPE_ZZZZZZZZ' means nothing to "
                                           "descpipe\n");
}
END_TEST

START_TEST(unknown_options_are_errors_on_the_command_line_and_notes_in_the_environment)
{
    static const char *const environment[] = {"DESCPIPE_OPTION_SCHEDULER_PARTITION=x", NULL};
    static const char *const options[] = {"scheduler.qoss=x", NULL};
    struct config_search search = {.environment = environment, .options = options};
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    cleanup(config_layers_free) struct config_layers *layers = config_layers_read(&search, &problems);
    cleanup(settings_free) struct settings *settings = settings_new(table, "scheduler/slurm");
    config_layers_apply_after(layers, "scheduler", "slurm", settings, &problems);
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed),
                     "DESCPIPE_OPTION_SCHEDULER_PARTITION: note: not used: scheduler/slurm has no option 'partition'\n"
                     "-o scheduler.qoss: error: scheduler/slurm has no option 'qoss'\n  hint: did you mean 'qos'?\n");
}
END_TEST

START_TEST(finds_the_users_file)
{
    static const char *const both[] = {"HOME=/home/u", "XDG_CONFIG_HOME=/x", NULL};
    static const char *const relative[] = {"HOME=/home/u", "XDG_CONFIG_HOME=x", NULL};
    cleanup(memory_free) char *first = config_user_file(both);
    cleanup(memory_free) char *second = config_user_file(relative);
    ck_assert_str_eq(first, "/x/descpipe/config.yaml");
    ck_assert_str_eq(second, "/home/u/.config/descpipe/config.yaml");
    ck_assert_ptr_null(config_user_file(NULL));
}
END_TEST

START_TEST(knows_names_that_sound_secret)
{
    static const char *const yes[] = {"TOKEN", "API_KEY", "db-password", "AWS_SECRET_ACCESS_KEY",
                                      "key",   "KEY_ID",  "Passphrase"};
    static const char *const no[] = {"KEYBOARD", "MONKEY", "OMP_NUM_THREADS", "keys", "account"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        ck_assert_msg(name_sounds_secret(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        ck_assert_msg(!name_sounds_secret(no[i]), "%s", no[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layers");
    TCase *cases = tcase_create("layers");
    tcase_add_test(cases, later_layers_win);
    tcase_add_test(cases, secrets_are_places_not_values);
    tcase_add_test(cases, prints_who_said_what);
    tcase_add_test(cases, mirrors_stand_before_the_rest_of_a_reference);
    tcase_add_loop_test(cases, refuses_with_place_and_hint, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(cases, variables_that_mean_nothing_are_noted);
    tcase_add_test(cases, unknown_options_are_errors_on_the_command_line_and_notes_in_the_environment);
    tcase_add_test(cases, finds_the_users_file);
    tcase_add_test(cases, knows_names_that_sound_secret);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
