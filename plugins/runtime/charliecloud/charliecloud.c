/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime `charliecloud`: containers by ch-run over an unpacked image, with user and mount namespaces only.
 *
 *     rootfs:FOLDER                                the folder, as it is
 *     oci:, oci-archive:, docker-archive:          unpacked once by the store of `native`, into a cache of our own
 *     a registry's image                           pulled by ch-image and unpacked by ch-convert, once
 *
 * ch-run has no read-only bind, so the table lacks READ_ONLY: the host then gives each attempt copies of its inputs.
 * It takes no network away either, and stages share the machine's processes.
 */
#include "charliecloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void charliecloud_close(void *self)
{
    struct charliecloud *charliecloud = self;
    if (charliecloud != NULL) {
        free(charliecloud->run);
        free(charliecloud->image);
        free(charliecloud->convert);
        free(charliecloud->cache);
        free(charliecloud);
    }
}

static char *find_program(const struct descpipe_host *host, const char *name)
{
    char path[4096], named[4096];
    const char *folder = host->config->text(host->settings, "folder");
    if (folder != NULL)
        snprintf(named, sizeof named, "%s/%s", folder, name);
    else
        snprintf(named, sizeof named, "%s", name);
    return host->process->find(host, named, path, sizeof path) != 0 ? strdup(path) : NULL;
}

static int32_t charliecloud_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    const char *cache = host->config->text(host->settings, "cache");
    struct charliecloud *charliecloud = calloc(1, sizeof *charliecloud);
    if (cache == NULL)
        cache = host->cache_folder;
    if (charliecloud != NULL) {
        charliecloud->host = host;
        charliecloud->run = find_program(host, "ch-run");
        charliecloud->image = find_program(host, "ch-image");
        charliecloud->convert = find_program(host, "ch-convert");
        charliecloud->cache = cache != NULL ? strdup(cache) : NULL;
        charliecloud->pull_timeout_ms = (uint64_t)host->config->integer(host->settings, "pull-timeout");
    }
    if (charliecloud == NULL || (cache != NULL && charliecloud->cache == NULL)) {
        snprintf(message, message_size, "out of memory");
        charliecloud_close(charliecloud);
        return 1;
    }
    *self = charliecloud;
    return 0;
}

bool charliecloud_has_cache(const struct charliecloud *charliecloud, struct descpipe_call *call)
{
    if (charliecloud->cache != NULL)
        return true;
    charliecloud->host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED,
                                   "runtime 'charliecloud' has no folder to keep unpacked images in: this account's "
                                   "cache folder cannot be made",
                                   "name one with the option 'cache'");
    return false;
}

static uint32_t charliecloud_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

static const struct descpipe_runtime charliecloud_operations = {
    .size = sizeof charliecloud_operations,
    .capabilities = DESCPIPE_RUNTIME_SINGLE_FILES | DESCPIPE_RUNTIME_CALLER_UID | DESCPIPE_RUNTIME_PINS_DIGEST |
                    DESCPIPE_RUNTIME_RANKS_OUTSIDE | DESCPIPE_RUNTIME_ISOLATES_PATHS,
    .sources = DESCPIPE_SOURCE_REGISTRY | DESCPIPE_SOURCE_DOCKER_ARCHIVE | DESCPIPE_SOURCE_OCI_ARCHIVE |
               DESCPIPE_SOURCE_OCI_LAYOUT | DESCPIPE_SOURCE_ROOTFS,
    .open = charliecloud_open,
    .close = charliecloud_close,
    .forms = charliecloud_forms,
    .probe = charliecloud_probe,
    .identify = charliecloud_identify,
    .prepare = charliecloud_prepare,
    .launch = charliecloud_launch,
};

static const struct descpipe_option folder_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_PATH,
    .key = "folder",
    .help = "The folder of ch-run, ch-image and ch-convert; by default they are looked for on PATH.",
};
static const struct descpipe_option cache_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_PATH,
    .key = "cache",
    .help = "The folder that keeps unpacked images; by default the user's cache folder. Nodes must see it.",
};
static const struct descpipe_option pull_timeout_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_DURATION,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "pull-timeout",
    .default_value = "2h",
    .help = "How long fetching and unpacking one image may take.",
    .minimum = 1000,
    .maximum = INT64_C(7) * 24 * 3600 * 1000,
};
static const struct descpipe_option *const charliecloud_options[] = {&folder_option, &cache_option,
                                                                     &pull_timeout_option, NULL};

static const struct descpipe_plugin charliecloud_plugin = {
    .size = sizeof charliecloud_plugin,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "charliecloud",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "containers by Charliecloud's ch-run over an unpacked image, without root",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = charliecloud_options,
    .operations = &charliecloud_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &charliecloud_plugin;
}
