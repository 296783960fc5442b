/* SPDX-License-Identifier: BSD-3-Clause */
/* A plugin host with one runtime in it; driver.h says what for. */
#include "driver.h"

#include <string.h>

#include "base/list.h"
#include "base/problem.h"
#include "config/settings.h"
#include "io/secret.h"

static void give_credential(void *context, const struct descpipe_image *image, uint32_t purpose,
                            void (*got)(void *plugin, const struct descpipe_credential *credential,
                                        const char *message),
                            void *plugin)
{
    struct driver *driver = context;
    ck_assert(purpose == DESCPIPE_PURPOSE_PULL || purpose == DESCPIPE_PURPOSE_PUSH);
    ck_assert_ptr_nonnull(image->reference);
    driver->credentials_asked++;
    if (driver->username == NULL) {
        got(plugin, NULL, NULL);
        return;
    }
    cleanup(secret_release) struct descpipe_secret *password = secret_make(driver->password, strlen(driver->password));
    struct descpipe_credential credential = {
        .size = sizeof(credential), .username = driver->username, .password = password, .origin = "the test"};
    got(plugin, &credential, NULL);
}

bool driver_open(struct driver *driver, const char *const *options, char **message)
{
    return driver_open_runtime(driver, "docker", options, message);
}

bool driver_open_runtime(struct driver *driver, const char *runtime, const char *const *options, char **message)
{
    static const char *const folders[] = {BUILD_FOLDER "/plugins-built", NULL};
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    struct plugin_search search = {.plugin_dirs = folders, .system_folder = "/nowhere"};
    driver->policy = policy_new();
    driver->catalogue = plugin_catalogue_new(&search, driver->policy, &error);
    driver->loop = loop_new(&error);
    ck_assert_msg(driver->catalogue != NULL && driver->loop != NULL, "%s", error.message);
    driver->host = plugin_host_new(driver->loop, driver->catalogue, &error);
    ck_assert_msg(driver->host != NULL, "%s", error.message);
    struct plugin_callbacks callbacks = {.context = driver, .credential = give_credential};
    plugin_host_set_callbacks(driver->host, &callbacks);
    const struct descpipe_plugin *descriptor = plugin_descriptor(driver->host, "runtime", runtime, &error);
    ck_assert_msg(descriptor != NULL, "%s", error.message);
    cleanup(memory_free) char *owner = memory_format("runtime/%s", runtime);
    driver->settings = settings_new(descriptor->options, owner);
    for (size_t i = 0; options != NULL && options[i] != NULL; i += 2) {
        struct place place = {.file = "test"};
        settings_set_text(driver->settings, options[i], options[i + 1], place, LAYER_COMMAND, &problems);
    }
    settings_finish(driver->settings, (struct place){.file = "test"}, "/", &problems);
    cleanup(text_clear) struct text printed = TEXT_INIT;
    problems_print(&problems, &printed);
    ck_assert_str_eq(text_bytes(&printed), "");
    driver->instance = plugin_open(driver->host, "runtime", runtime, driver->settings, &error);
    if (driver->instance == NULL && message != NULL) {
        *message = memory_copy_text(error.message);
    }
    ck_assert_msg(driver->instance != NULL || message != NULL, "%s", error.message);
    return driver->instance != NULL;
}

void driver_close(struct driver *driver)
{
    plugin_close(driver->instance);
    plugin_host_free(driver->host);
    settings_free(driver->settings);
    plugin_catalogue_free(driver->catalogue);
    policy_free(driver->policy);
    loop_free(driver->loop);
    *driver = (struct driver){0};
}

static char **copy_list(const char *const *list)
{
    struct words words = {0};
    if (list == NULL) {
        return NULL;
    }
    words_add_all(&words, list);
    return words.items;
}

static void call_done(void *context, const struct call_result *result)
{
    struct answer *answer = context;
    ck_assert_msg(!answer->done, "a call ended twice");
    answer->done = true;
    answer->ok = result->ok;
    answer->failure = result->failure;
    answer->message = memory_copy_text(result->message);
    answer->hint = memory_copy_text(result->hint);
    if (result->identity != NULL) {
        answer->present = result->identity->present;
        answer->handle = memory_copy_text(result->identity->handle);
        answer->config_digest = memory_copy_text(result->identity->config_digest);
        answer->manifest_digest = memory_copy_text(result->identity->manifest_digest);
        answer->platform = memory_copy_text(result->identity->platform);
    }
    if (result->ending != NULL) {
        answer->ending = *result->ending;
        answer->witness = memory_copy_text(result->ending->witness);
        answer->reason = memory_copy_text(result->ending->reason);
        answer->ending_host = memory_copy_text(result->ending->host);
        answer->ending.witness = answer->ending.reason = answer->ending.host = NULL;
    }
    if (result->form != NULL) {
        answer->argv = copy_list(result->form->argv);
        answer->environment = copy_list(result->form->environment);
        answer->setup = copy_list(result->form->setup);
    }
    if (result->native_ids_count > 0) {
        answer->native_id = memory_copy_text(result->native_ids[0].id);
    }
    for (size_t i = 0; i < result->facts_count; i++) {
        text_format(&answer->facts, "%s=%s\n", result->facts[i].name, result->facts[i].value);
    }
    for (size_t i = 0; i < result->found_count; i++) {
        text_format(&answer->found, "%s %s\n", result->found[i]->token,
                    result->found[i]->running ? "running" : "ended");
    }
    answer->found_count = result->found_count;
    for (size_t i = 0; i < result->texts_count; i++) {
        text_format(&answer->texts, "%s\n", result->texts[i]);
    }
}

static void call_progress(void *context, uint64_t done, uint64_t total, const char *text)
{
    struct answer *answer = context;
    text_format(&answer->progress, "%llu/%llu %s\n", (unsigned long long)done, (unsigned long long)total,
                text != NULL ? text : "");
}

struct call_options driver_call(struct answer *answer)
{
    *answer = (struct answer){0};
    return (struct call_options){.deadline_ms = 60000, .done = call_done, .progress = call_progress, .context = answer};
}

static bool not_done(void *context)
{
    return !((const struct answer *)context)->done;
}

void driver_wait(struct driver *driver, struct answer *answer)
{
    if (!answer->done) {
        loop_run(driver->loop, not_done, answer);
    }
}

struct until {
    bool (*true_when)(void *context);
    void *context;
};

static bool not_yet(void *context)
{
    const struct until *until = context;
    return !until->true_when(until->context);
}

void driver_until(struct driver *driver, bool (*true_when)(void *context), void *context)
{
    struct until until = {.true_when = true_when, .context = context};
    if (!true_when(context)) {
        loop_run(driver->loop, not_yet, &until);
    }
}

static void free_list(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        memory_free(list[i]);
    }
    memory_free(list);
}

void answer_free(struct answer *answer)
{
    char *owned[] = {answer->message,         answer->hint,       answer->handle,    answer->config_digest,
                     answer->manifest_digest, answer->platform,   answer->native_id, answer->witness,
                     answer->reason,          answer->ending_host};
    for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++) {
        memory_free(owned[i]);
    }
    free_list(answer->argv);
    free_list(answer->environment);
    free_list(answer->setup);
    text_clear(&answer->facts);
    text_clear(&answer->found);
    text_clear(&answer->texts);
    text_clear(&answer->progress);
    *answer = (struct answer){0};
}
