/* SPDX-License-Identifier: BSD-3-Clause */
/* Where plugins are installed, loaded and taken away again for a test. */
#include "workshop.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"

static struct words paths;

static void note_fault(void *context, const struct plugin_instance *instance, const char *message)
{
    struct workshop *workshop = context;
    text_format(&workshop->faults, "%s: %s\n", instance->identity, message);
}

void workshop_open(struct workshop *workshop)
{
    const char *temporary = secure_getenv("TMPDIR");
    cleanup(memory_free) char *made = memory_format("%s/descpipe-plugins-XXXXXX", temporary ? temporary : "/tmp");
    *workshop = (struct workshop){0};
    ck_assert_ptr_nonnull(mkdtemp(made));
    workshop->folder = path_real(made, NULL);
    workshop->plugins = path_join(workshop->folder, "plugins");
    ck_assert(folder_make(workshop->plugins, 0755, NULL));
    ck_assert_int_eq(chmod(workshop->plugins, 0755), 0);
    workshop->policy = policy_new();
    ck_assert_int_eq(setenv("XDG_CACHE_HOME", workshop->folder, 1), 0);
}

void workshop_close(struct workshop *workshop)
{
    plugin_host_free(workshop->host);
    loop_free(workshop->loop);
    plugin_catalogue_free(workshop->catalogue);
    policy_free(workshop->policy);
    text_clear(&workshop->faults);
    ck_assert(folder_remove(workshop->folder, NULL));
    memory_free(workshop->folder);
    memory_free(workshop->plugins);
    words_clear(&paths);
}

const char *workshop_install_cut(struct workshop *workshop, const char *from, const char *to, size_t length)
{
    cleanup(text_clear) struct text bytes = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *built = memory_format("%s/%s.so", TEST_PLUGINS, from);
    cleanup(memory_free) char *name = memory_format("%s.so", to);
    char *path = path_join(workshop->plugins, name);
    ck_assert_msg(file_read(built, 64u << 20, &bytes, &error), "%s", error.message);
    ck_assert(file_write(path, bytes.bytes, length < bytes.length ? length : bytes.length, 0644, NULL));
    ck_assert_int_eq(chmod(path, 0644), 0);
    words_take(&paths, path);
    return path;
}

const char *workshop_install(struct workshop *workshop, const char *name)
{
    return workshop_install_cut(workshop, name, name, SIZE_MAX);
}

void workshop_policy(struct workshop *workshop, const char *text)
{
    cleanup(problems_clear) struct problems problems = {0};
    ck_assert(policy_parse(workshop->policy, text, strlen(text), "/etc/site.yaml", &problems));
}

void workshop_start(struct workshop *workshop)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    const char *const folders[] = {workshop->plugins, NULL};
    cleanup(memory_free) char *system_folder = path_join(workshop->folder, "system");
    struct plugin_search search = {.plugin_dirs = workshop->policy->user_plugins ? folders : NULL,
                                   .system_folder = system_folder};
    workshop->catalogue = plugin_catalogue_new(&search, workshop->policy, &error);
    ck_assert_msg(workshop->catalogue != NULL, "%s", error.message);
    workshop->loop = loop_new(&error);
    ck_assert_msg(workshop->loop != NULL, "%s", error.message);
    workshop->host = plugin_host_new(workshop->loop, workshop->catalogue, &error);
    ck_assert_msg(workshop->host != NULL, "%s", error.message);
    workshop->host->fault = note_fault;
    workshop->host->fault_context = workshop;
}

struct plugin_instance *workshop_instance(struct workshop *workshop, const char *kind, const char *name)
{
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct plugin_instance *instance = plugin_open(workshop->host, kind, name, NULL, &error);
    ck_assert_msg(instance != NULL, "%s", error.message);
    return instance;
}

static bool not_yet(void *context)
{
    return !*(const bool *)context;
}

void workshop_run_until(struct workshop *workshop, const bool *flag)
{
    bool *place = NULL;
    memcpy(&place, &flag, sizeof(place));
    loop_run(workshop->loop, not_yet, place);
}

void workshop_expect(const struct workshop *workshop, const char *expected, const char *actual)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    for (const char *at = expected; *at;) {
        if (strncmp(at, "FOLDER", 6) == 0) {
            text_append(&text, workshop->folder);
            at += 6;
        } else {
            text_append_character(&text, *at++);
        }
    }
    ck_assert_str_eq(actual ? actual : "(null)", text_bytes(&text));
}
