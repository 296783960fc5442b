/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registry `dockerhub`: Docker Hub, by Docker's own rules for names (NAME is docker.io/library/NAME), anonymous or with
 * an account, whose limits on pulls are read and told.
 */
#include "dockerhub.h"

#include <stdio.h>
#include <string.h>

#include "inquiry/login.h"
#include "inquiry/options.h"

static const char *option_text(const struct descpipe_host *host, const char *key)
{
    const char *value = host->config->text(host->settings, key);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool find_place(void *self, const char *server, struct place *place, struct failure *failure)
{
    const struct dockerhub *hub = self;
    if (!place_find(place, hub->inquirer.host, server, true, failure))
        return false;
    if (place->endpoint == NULL)
        place->endpoint = strdup(HUB_ENDPOINT);
    return place->endpoint != NULL ? true : failure_memory(failure);
}

static void find_login(void *self, const struct reference *reference, uint32_t purpose, inquiry_found *found,
                       void *context)
{
    struct dockerhub *hub = self;
    (void)purpose;
    inquiry_find_login(&hub->inquirer, reference->host, true, found, context);
}

static void hub_close(void *self)
{
    struct dockerhub *hub = self;
    inquirer_close(&hub->inquirer);
    free(hub);
}

static int32_t hub_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct dockerhub *hub = calloc(1, sizeof *hub);
    if (hub == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    hub->inquirer = (struct inquirer){.host = host,
                                      .self = hub,
                                      .find_login = find_login,
                                      .find_place = find_place,
                                      .resolve_failed = dockerhub_resolve_failed};
    hub->rule = (struct name_rule){.host = HUB_HOST, .project = option_text(host, "namespace"), .owned_only = true};
    if (!login_options_fit(host, &failure) || !inquirer_open(&hub->inquirer, &failure)) {
        snprintf(message, message_size, "%s", failure_message(&failure));
        hub_close(hub);
        return 1;
    }
    *self = hub;
    return 0;
}

static bool is_hub(const char *host)
{
    return strcmp(host, HUB_HOST) == 0 || strcmp(host, "index.docker.io") == 0 ||
           strcmp(host, "registry-1.docker.io") == 0;
}

static int32_t hub_accepts(void *self, const char *reference)
{
    (void)self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference read = {0};
    return reference_read(&read, reference, &failure) && read.host != NULL && is_hub(read.host);
}

static bool place_name(const struct dockerhub *hub, const char *name, struct reference *reference,
                       struct failure *failure)
{
    if (!name_place(reference, name, &hub->rule, failure))
        return false;
    if (!is_hub(reference->host)) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "'%.200s' is not at Docker Hub", name);
        return failure_hint(failure, "name it without a host, or use the registry `oci`");
    }
    free(reference->host);
    reference->host = strdup(HUB_HOST);
    return reference->host != NULL ? reference_use_docker_defaults(reference, failure) : failure_memory(failure);
}

static void hub_normalize(void *self, struct descpipe_call *call, const char *name)
{
    const struct dockerhub *hub = self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    cleanup(memory_free) char *text =
        place_name(hub, name, &reference, &failure) ? reference_text(&reference, &failure) : NULL;
    if (text == NULL) {
        failure_finish(&failure, hub->inquirer.host, call);
        return;
    }
    hub->inquirer.host->answer->reference(call, text);
    hub->inquirer.host->call->succeed(call);
}

static void hub_resolve(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_resolve(self, call, lookup);
}

static void hub_list_tags(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_list_tags(self, call, lookup);
}

static void hub_credentials(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_credentials(self, call, lookup);
}

static void hub_login(void *self, struct descpipe_call *call, const struct descpipe_login *login)
{
    struct descpipe_login named = *login;
    if (is_hub(login->host))
        named.host = HUB_HOST;
    inquiry_login(self, call, &named);
}

static void hub_logout(void *self, struct descpipe_call *call, const char *server)
{
    inquiry_logout(self, call, is_hub(server) ? HUB_HOST : server);
}

static const struct descpipe_option namespace_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "namespace",
    .help = "The account or organisation that takes the place of the owner, so that owner/name becomes NAMESPACE/name; "
            "names "
            "without an owner (official images) stay.",
};
static const struct descpipe_option *const hub_options[] = {&namespace_option,
                                                            &option_username,
                                                            &option_password,
                                                            &option_docker_config,
                                                            &option_endpoint,
                                                            &option_ca,
                                                            &option_certificates,
                                                            &option_unverified_tls,
                                                            &option_plain_http,
                                                            &option_proxy,
                                                            NULL};

static const struct descpipe_registry hub_operations = {
    .size = sizeof(struct descpipe_registry),
    .open = hub_open,
    .close = hub_close,
    .accepts = hub_accepts,
    .normalize = hub_normalize,
    .resolve = hub_resolve,
    .credentials = hub_credentials,
    .probe = dockerhub_probe,
    .list_tags = hub_list_tags,
    .login = hub_login,
    .logout = hub_logout,
};

static const struct descpipe_plugin hub_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "registry",
    .name = "dockerhub",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "Docker Hub, anonymous or with an account",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = hub_options,
    .operations = &hub_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &hub_plugin;
}
