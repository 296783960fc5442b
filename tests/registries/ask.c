/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks one registry plugin one thing through the real plugin host and prints what it answers, for tests that bring
 * servers of their own. The environment is the caller's.
 *
 *   ask PLUGIN [-o KEY=VALUE]... [-n TIMES] OPERATION [ARGUMENT]...
 *
 *   open | probe | accepts REFERENCE | normalize NAME | resolve REFERENCE [PLATFORM] | tags REFERENCE
 *   credentials REFERENCE pull|push | ensure REFERENCE | login HOST USER (the password is read) | logout HOST
 *
 * A secret of the options, {secret: NAME}, is the variable NAME of the environment. -n asks so often at once, in one
 * process. Each answer is a block of `name: value` lines that ends with an empty one; it has `ok`, or `failed`, `message`
 * and `hint`. Exit status: 0 all answered, 1 some failed, 2 usage, 3 the plugin does not open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/problem.h"
#include "base/text.h"
#include "config/settings.h"
#include "io/secret.h"
#include "plugin/instance.h"

enum { OPTIONS_LIMIT = 32, TIMES_LIMIT = 200, SECRETS_LIMIT = 8 };

struct asker {
    struct loop *loop;
    struct plugin_host *host;
    struct plugin_instance *instance;
    struct descpipe_secret *secrets[SECRETS_LIMIT];
    size_t secret_count, waiting;
    bool failed;
};

static const struct descpipe_secret *find_secret(void *context, const char *name, struct error *error)
{
    struct asker *asker = context;
    const char *value = secure_getenv(name);
    if (value == NULL || asker->secret_count == SECRETS_LIMIT) {
        error_set(error, ERROR_INPUT, "there is no secret '%s'", name);
        return NULL;
    }
    return asker->secrets[asker->secret_count++] = secret_make(value, strlen(value));
}

static bool is_waiting(void *context)
{
    return ((const struct asker *)context)->waiting > 0;
}

static void wait_for_all(struct asker *asker)
{
    if (asker->waiting > 0)
        loop_run(asker->loop, is_waiting, asker);
}

static void print(const char *name, const char *value)
{
    if (value != NULL)
        printf("%s: %s\n", name, value);
}

static void print_credential(const struct descpipe_credential *credential)
{
    print("username", credential->username);
    print("password", credential->password != NULL ? secret_reveal(credential->password, NULL) : NULL);
    if (credential->expires_at_ms != 0)
        printf("expires: %lld\n", (long long)credential->expires_at_ms);
    print("origin", credential->origin);
    print("endpoint", credential->endpoint);
    print("ca", credential->ca_file);
    print("client-certificate", credential->client_certificate);
    print("client-key", credential->client_key);
    print("proxy", credential->proxy);
    printf("access: %u\n", credential->access);
}

static void print_identity(const struct descpipe_image_identity *identity)
{
    print("config", identity->config_digest);
    print("manifest", identity->manifest_digest);
    print("media-type", identity->media_type);
    print("platform", identity->platform);
    printf("bytes: %llu\n", (unsigned long long)identity->stored_bytes);
    printf("created: %lld\n", (long long)identity->created_at_ms);
}

static void answered(void *context, const struct call_result *result)
{
    struct asker *asker = context;
    asker->waiting--;
    if (!result->ok) {
        asker->failed = true;
        printf("failed: %u%s\n", result->failure, result->plugin_fault ? " (a fault of the plugin)" : "");
        print("message", result->message);
        print("hint", result->hint);
    }
    for (size_t i = 0; i < result->facts_count; i++)
        print(result->facts[i].name, result->facts[i].value);
    for (size_t i = 0; i < result->texts_count; i++)
        print("text", result->texts[i]);
    if (result->ok) {
        print("ok", "yes");
        print("reference", result->reference);
        if (result->identity != NULL)
            print_identity(result->identity);
        if (result->credential != NULL)
            print_credential(result->credential);
    }
    printf("\n");
}

static bool read_password(char *password, size_t size)
{
    if (fgets(password, (int)size, stdin) == NULL)
        return false;
    password[strcspn(password, "\r\n")] = '\0';
    return true;
}

static void ask_login(struct asker *asker, char **arguments, struct call_options options)
{
    char password[4096];
    struct descpipe_login login = {.size = sizeof login, .host = arguments[1], .username = arguments[2]};
    cleanup(secret_release) struct descpipe_secret *secret =
        read_password(password, sizeof password) ? secret_make(password, strlen(password)) : NULL;
    login.password = secret;
    registry_login(asker->instance, &login, options);
    wait_for_all(asker); /* the login's password lives here */
}

static bool begin(struct asker *asker, char **arguments, int count)
{
    const char *operation = arguments[0], *argument = count > 1 ? arguments[1] : "";
    struct call_options options = {.deadline_ms = 60000, .done = answered, .context = asker};
    struct descpipe_lookup lookup = {.size = sizeof lookup, .reference = argument};
    asker->waiting++;
    if (strcmp(operation, "probe") == 0) {
        registry_probe(asker->instance, options);
    } else if (strcmp(operation, "normalize") == 0) {
        registry_normalize(asker->instance, argument, options);
    } else if (strcmp(operation, "resolve") == 0) {
        lookup.platform = count > 2 ? arguments[2] : "linux/amd64";
        registry_resolve(asker->instance, &lookup, options);
    } else if (strcmp(operation, "tags") == 0) {
        registry_list_tags(asker->instance, &lookup, options);
    } else if (strcmp(operation, "credentials") == 0 && count == 3) {
        lookup.purpose = strcmp(arguments[2], "push") == 0 ? DESCPIPE_PURPOSE_PUSH : DESCPIPE_PURPOSE_PULL;
        registry_credentials(asker->instance, &lookup, options);
    } else if (strcmp(operation, "ensure") == 0) {
        lookup.purpose = DESCPIPE_PURPOSE_PUSH;
        registry_ensure_repository(asker->instance, &lookup, options);
    } else if (strcmp(operation, "login") == 0 && count == 3) {
        ask_login(asker, arguments, options);
    } else if (strcmp(operation, "logout") == 0) {
        registry_logout(asker->instance, argument, options);
    } else {
        asker->waiting--;
        return false;
    }
    return true;
}

static bool set_options(struct settings *settings, char **options, size_t count)
{
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(text_clear) struct text printed = TEXT_INIT;
    struct place place = {.file = "ask"};
    for (size_t i = 0; i < count; i++) {
        char *equals = strchr(options[i], '=');
        cleanup(memory_free) char *key =
            memory_copy_bytes(options[i], equals != NULL ? (size_t)(equals - options[i]) : strlen(options[i]));
        settings_set_text(settings, key, equals != NULL ? equals + 1 : "", place, LAYER_COMMAND, &problems);
    }
    settings_finish(settings, place, "/", &problems);
    problems_print(&problems, &printed);
    if (printed.length > 0)
        fprintf(stderr, "%s", text_bytes(&printed));
    return printed.length == 0;
}

static int ask(struct asker *asker, char **arguments, int count, int times)
{
    if (strcmp(arguments[0], "open") == 0)
        return 0;
    if (strcmp(arguments[0], "accepts") == 0 && count == 2) {
        printf("accepts: %d\n\n", registry_accepts(asker->instance, arguments[1]));
        return 0;
    }
    for (int i = 0; i < times; i++)
        if (!begin(asker, arguments, count))
            return 2;
    wait_for_all(asker);
    return asker->failed ? 1 : 0;
}

int main(int count, char **arguments)
{
    static const char *const folders[] = {BUILD_FOLDER "/plugins-built", NULL};
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct plugin_search search = {.plugin_dirs = folders, .system_folder = "/nowhere"};
    char *options[OPTIONS_LIMIT];
    size_t option_count = 0;
    int times = 1, place = 2;
    for (; place + 1 < count && arguments[place][0] == '-'; place += 2) {
        if (strcmp(arguments[place], "-o") == 0 && option_count < OPTIONS_LIMIT)
            options[option_count++] = arguments[place + 1];
        else if (strcmp(arguments[place], "-n") == 0)
            times = (int)strtol(arguments[place + 1], NULL, 10);
    }
    if (place >= count || times < 1 || times > TIMES_LIMIT)
        return 2;
    struct asker asker = {0};
    struct policy *policy = policy_new();
    struct plugin_catalogue *catalogue = plugin_catalogue_new(&search, policy, &error);
    asker.loop = loop_new(&error);
    asker.host = catalogue != NULL ? plugin_host_new(asker.loop, catalogue, &error) : NULL;
    if (asker.host == NULL) {
        fprintf(stderr, "%s\n", error.message);
        return 3;
    }
    struct plugin_callbacks callbacks = {.context = &asker, .secret = find_secret};
    plugin_host_set_callbacks(asker.host, &callbacks);
    const struct descpipe_plugin *descriptor = plugin_descriptor(asker.host, "registry", arguments[1], &error);
    struct settings *settings = descriptor != NULL ? settings_new(descriptor->options, arguments[1]) : NULL;
    int status = 3;
    if (settings != NULL && set_options(settings, options, option_count))
        asker.instance = plugin_open(asker.host, "registry", arguments[1], settings, &error);
    if (asker.instance != NULL)
        status = ask(&asker, arguments + place, count - place, times);
    else
        fprintf(stderr, "%s\n", error.message != NULL ? error.message : "the options do not fit");
    fflush(stdout);
    plugin_close(asker.instance);
    plugin_host_free(asker.host);
    settings_free(settings);
    plugin_catalogue_free(catalogue);
    policy_free(policy);
    loop_free(asker.loop);
    for (size_t i = 0; i < asker.secret_count; i++)
        secret_release(asker.secrets[i]);
    return status;
}
