/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime `docker`: stages in containers of a Docker Engine.
 *
 * How it works: MANAGED stages go through the Engine's API (a Unix socket or DOCKER_HOST); the container has the name
 * of its token and labels that say whose it is, outlives descpipe, is found again, and is removed only when its
 * evidence is journalled. COMMAND stages are a `docker run` of the client. With the option `command` (say,
 * [sudo, docker]) or `form: client` everything goes through the client, images too.
 *
 *     docker.c    the options, open and close          start.c      create and start, exactly once
 *     request.c   one request to the Engine            watch.c      the end of a container
 *     image_*.c   inspect, pull, load                  logs.c       its output
 *     identify.c  what is this image                   container.c  inspect, stop, find, release
 *     prepare.c   get it, once for all who ask         command.c    docker run
 *     exec.c      a command in a developer's container developer.c  its changes, copies, commit
 *     build.c     an image from a folder               push.c       an image to a registry
 *     login.c     what the Engine is told of logins    work_client.c  both by the client
 *     engine/     bytes and JSON only: read and written without an Engine
 */
#include "docker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *environment_text(const char *name)
{
    const char *value = secure_getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool find_certificates(struct docker *docker, char *message, uint64_t message_size)
{
    const char *folder = environment_text("DOCKER_CERT_PATH"), *home = environment_text("HOME");
    docker->tls_verified = environment_text("DOCKER_TLS_VERIFY") != NULL;
    int length = folder != NULL ? asprintf(&docker->certificate_folder, "%s", folder)
                 : home != NULL ? asprintf(&docker->certificate_folder, "%s/.docker", home)
                                : -1;
    if (length < 0) {
        docker->certificate_folder = NULL;
        snprintf(message, message_size, "TLS to Docker is asked for, but neither DOCKER_CERT_PATH nor HOME is set");
        return false;
    }
    return true;
}

static void docker_close(void *self)
{
    struct docker *docker = self;
    docker_drop_exchanges(docker);
    docker_drop_watches(docker);
    docker_drop_follows(docker);
    free(docker->certificate_folder);
    free(docker);
}

static bool find_address(struct docker *docker, char *message, uint64_t message_size)
{
    const struct descpipe_host *host = docker->host;
    const char *text = host->config->text(host->settings, "host");
    char words[MESSAGE_LIMIT];
    const char *hint = NULL;
    if (text == NULL || text[0] == '\0') {
        text = environment_text("DOCKER_HOST");
    }
    if (text == NULL) {
        text = ADDRESS_DEFAULT;
    }
    bool tls = strncmp(text, "tcp://", 6) == 0 &&
               (environment_text("DOCKER_TLS_VERIFY") != NULL || environment_text("DOCKER_TLS") != NULL);
    if (docker->by_client && strncmp(text, "ssh://", 6) == 0) {
        snprintf(docker->address.text, sizeof(docker->address.text), "%s", text); /* the client can do that */
        return true;
    }
    if (!address_parse(text, tls, &docker->address, words, sizeof(words), &hint)) {
        snprintf(message, message_size, "%s; %s", words, hint);
        return false;
    }
    return !tls || find_certificates(docker, message, message_size);
}

static bool read_settings(struct docker *docker, char *message, uint64_t message_size)
{
    static const char *const plain_client[] = {"docker", NULL};
    const struct descpipe_host *host = docker->host;
    const char *form = host->config->text(host->settings, "form");
    const char *user = host->config->text(host->settings, "user");
    docker->network = host->config->text(host->settings, "network");
    docker->command = host->config->list(host->settings, "command");
    bool own_command = docker->command != NULL && docker->command[0] != NULL;
    if (!own_command) {
        docker->command = plain_client;
    }
    docker->caller_user = strcmp(user, "caller") == 0;
    docker->init = host->config->boolean(host->settings, "init") != 0;
    docker->keep_failed = host->config->boolean(host->settings, "keep-failed") != 0;
    docker->by_client = strcmp(form, "client") == 0 || (own_command && strcmp(form, "auto") == 0);
    docker->forms = docker->by_client          ? DESCPIPE_FORM_COMMAND
                    : strcmp(form, "api") == 0 ? DESCPIPE_FORM_MANAGED
                                               : DESCPIPE_FORM_MANAGED | DESCPIPE_FORM_COMMAND;
    return find_address(docker, message, message_size);
}

static int32_t docker_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    struct docker *docker = calloc(1, sizeof(*docker));
    if (docker == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    docker->host = host;
    if (!read_settings(docker, message, message_size)) {
        docker_close(docker);
        return 1;
    }
    *self = docker;
    return 0;
}

/* In a pod the cluster runs the image: nothing of this machine's Docker is needed. */
static uint32_t docker_forms(void *self)
{
    const struct docker *docker = self;
    return docker->forms | DESCPIPE_FORM_POD;
}

static const char *const form_choices[] = {"auto", "api", "client", NULL};
static const char *const user_choices[] = {"caller", "image", NULL};

static const struct descpipe_option host_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "host",
    .help = "Where Docker is, unix:///PATH or tcp://HOST:PORT; without it DOCKER_HOST, else " ADDRESS_DEFAULT ".",
};
static const struct descpipe_option command_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_LIST,
    .key = "command",
    .help = "The docker client, for example [sudo, docker]; when given, everything goes through it.",
};
static const struct descpipe_option form_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_CHOICE,
    .key = "form",
    .default_value = "auto",
    .help = "How stages are run: by the Engine's API, by the client, or as the scheduler likes it best.",
    .choices = form_choices,
};
static const struct descpipe_option network_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "network",
    .default_value = "bridge",
    .help = "The network of stages that do not say `network: false`.",
};
static const struct descpipe_option user_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_CHOICE,
    .key = "user",
    .default_value = "caller",
    .help = "Who a stage runs as: the caller's uid and gid, or the user that the image names.",
    .choices = user_choices,
};
static const struct descpipe_option init_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BOOLEAN,
    .key = "init",
    .default_value = "true",
    .help = "Run Docker's small init as process 1, so that signals arrive and no zombies stay.",
};
static const struct descpipe_option keep_failed_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BOOLEAN,
    .key = "keep-failed",
    .default_value = "false",
    .help = "Leave the containers of failed stages in Docker, to look into them.",
};
static const struct descpipe_option *const docker_options[] = {
    &host_option, &command_option, &form_option,        &network_option,
    &user_option, &init_option,    &keep_failed_option, NULL};

static const struct descpipe_runtime docker_operations = {
    .size = sizeof(struct descpipe_runtime),
    .capabilities = DESCPIPE_RUNTIME_SIGNALS | DESCPIPE_RUNTIME_GPUS | DESCPIPE_RUNTIME_LIMITS | DESCPIPE_RUNTIME_NO_NETWORK |
                    DESCPIPE_RUNTIME_SINGLE_FILES | DESCPIPE_RUNTIME_READ_ONLY | DESCPIPE_RUNTIME_CALLER_UID |
                    DESCPIPE_RUNTIME_PINS_DIGEST | DESCPIPE_RUNTIME_ISOLATES_PATHS,
    .sources = DESCPIPE_SOURCE_REGISTRY | DESCPIPE_SOURCE_DOCKER_ARCHIVE,
    .open = docker_open,
    .close = docker_close,
    .forms = docker_forms,
    .probe = docker_probe,
    .identify = docker_identify,
    .prepare = docker_prepare,
    .launch = docker_launch,
    .start = docker_start,
    .observe = docker_observe,
    .logs = docker_logs,
    .inspect = docker_inspect,
    .stop = docker_stop,
    .find = docker_find,
    .release = docker_release,
    .shell = docker_shell,
    .exec = docker_exec,
    .commit = docker_commit,
    .changes = docker_changes,
    .copy_out = docker_copy_out,
    .build = docker_build,
    .push = docker_push,
};

static const struct descpipe_plugin docker_plugin = {
    .size = sizeof(struct descpipe_plugin),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "docker",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "containers of a Docker Engine, by its API or its client",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = docker_options,
    .operations = &docker_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &docker_plugin;
}
