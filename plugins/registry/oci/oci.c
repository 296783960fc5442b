/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registry `oci`: any registry that speaks the OCI distribution protocol (Harbor, GitLab, Quay, GHCR, a site's own).
 *
 * It serves whatever host a reference names. With the option `host` it is also the home of names without one
 * (owner/name → host/owner/name, or host/project/name). The options about a host (certificates, plain http, a login)
 * hold for `host` alone; without `host` they hold for every host, except the login, which is never sent to just
 * anybody.
 */
#include <stdio.h>
#include <string.h>

#include "inquiry/inquiry.h"
#include "inquiry/login.h"
#include "inquiry/name.h"
#include "inquiry/options.h"

struct oci {
    struct inquirer inquirer; /* first */
    const char *server;       /* of the option, or NULL */
    struct name_rule rule;
};

static const char *option_text(const struct descpipe_host *host, const char *key)
{
    const char *value = host->config->text(host->settings, key);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool is_ours(const struct oci *oci, const char *server)
{
    return oci->server != NULL && strcmp(oci->server, server) == 0;
}

static bool find_place(void *self, const char *server, struct place *place, struct failure *failure)
{
    const struct oci *oci = self;
    return place_find(place, oci->inquirer.host, server, oci->server == NULL || is_ours(oci, server), failure);
}

static void find_login(void *self, const struct reference *reference, uint32_t purpose, inquiry_found *found,
                       void *context)
{
    struct oci *oci = self;
    (void)purpose;
    inquiry_find_login(&oci->inquirer, reference->host, is_ours(oci, reference->host), found, context);
}

static bool read_options(struct oci *oci, struct failure *failure)
{
    const struct descpipe_host *host = oci->inquirer.host;
    oci->server = option_text(host, "host");
    oci->rule = (struct name_rule){
        .host = oci->server, .project = option_text(host, "project"), .prefix = option_text(host, "prefix")};
    if (oci->server != NULL && !reference_host_valid(oci->server)) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "the option 'host' is no host of a registry: '%.200s'",
                    oci->server);
        return failure_hint(failure, "write it as HOST or HOST:PORT, without https:// and without a path");
    }
    if (oci->server == NULL && option_text(host, "username") != NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED,
                           "the option 'username' needs 'host': a login is never sent to just any registry");
    if (oci->server == NULL && option_text(host, "endpoint") != NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "the option 'endpoint' needs 'host'");
    return login_options_fit(host, failure);
}

static void oci_close(void *self)
{
    struct oci *oci = self;
    inquirer_close(&oci->inquirer);
    free(oci);
}

static int32_t oci_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct oci *oci = calloc(1, sizeof *oci);
    if (oci == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    oci->inquirer = (struct inquirer){.host = host, .self = oci, .find_login = find_login, .find_place = find_place};
    if (!read_options(oci, &failure) || !inquirer_open(&oci->inquirer, &failure)) {
        snprintf(message, message_size, "%s%s%s", failure_message(&failure), failure.hint != NULL ? "; " : "",
                 failure.hint != NULL ? failure.hint : "");
        oci_close(oci);
        return 1;
    }
    *self = oci;
    return 0;
}

/* Every host: the more particular registries are asked first. */
static int32_t oci_accepts(void *self, const char *reference)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference read = {0};
    (void)self;
    return reference_read(&read, reference, &failure) && read.host != NULL;
}

static void oci_normalize(void *self, struct descpipe_call *call, const char *name)
{
    struct oci *oci = self;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    cleanup(memory_free) char *text =
        name_place(&reference, name, &oci->rule, &failure) ? reference_text(&reference, &failure) : NULL;
    if (text == NULL) {
        failure_finish(&failure, oci->inquirer.host, call);
        return;
    }
    oci->inquirer.host->answer->reference(call, text);
    oci->inquirer.host->call->succeed(call);
}

static void oci_resolve(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_resolve(self, call, lookup);
}

static void oci_list_tags(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_list_tags(self, call, lookup);
}

static void oci_credentials(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    inquiry_credentials(self, call, lookup);
}

static void oci_login(void *self, struct descpipe_call *call, const struct descpipe_login *login)
{
    inquiry_login(self, call, login);
}

static void oci_logout(void *self, struct descpipe_call *call, const char *server)
{
    inquiry_logout(self, call, server);
}

static void oci_probe(void *self, struct descpipe_call *call)
{
    struct oci *oci = self;
    inquiry_probe(&oci->inquirer, call, oci->server);
}

static const struct descpipe_option host_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "host",
    .help = "The registry that names without a host go to, HOST or HOST:PORT.",
};
static const struct descpipe_option project_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "project",
    .help = "Takes the place of the owner, so that owner/name:tag becomes HOST/PROJECT/name:tag.",
};
static const struct descpipe_option *const oci_options[] = {&host_option,
                                                            &project_option,
                                                            &option_prefix,
                                                            &option_username,
                                                            &option_password,
                                                            &option_ca,
                                                            &option_client_certificate,
                                                            &option_client_key,
                                                            &option_certificates,
                                                            &option_plain_http,
                                                            &option_unverified_tls,
                                                            &option_endpoint,
                                                            &option_proxy,
                                                            &option_docker_config,
                                                            NULL};

static const struct descpipe_registry oci_operations = {
    .size = sizeof(struct descpipe_registry),
    .open = oci_open,
    .close = oci_close,
    .accepts = oci_accepts,
    .normalize = oci_normalize,
    .resolve = oci_resolve,
    .credentials = oci_credentials,
    .probe = oci_probe,
    .list_tags = oci_list_tags,
    .login = oci_login,
    .logout = oci_logout,
};

static const struct descpipe_plugin oci_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "registry",
    .name = "oci",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "any OCI registry: Harbor, GitLab, Quay, GHCR, a site's own",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = oci_options,
    .operations = &oci_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &oci_plugin;
}
