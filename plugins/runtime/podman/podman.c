/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runtime `podman`: containers by Podman, rootless or as root, with no daemon.
 *
 * How it works: a stage is a `podman run` in the foreground (launch.c). Images are in Podman's own storage, which
 * belongs to one machine: where a scheduler runs stages elsewhere each node gets them by the form's `setup` (image.c).
 *
 * With the option `tool: podman-hpc` it is NERSC's wrapper (github.com/NERSC/podman-hpc, release 1.1; each fact names
 * its file there):
 * - It takes few words before the command (podman_hpc.py, podhpc) and hands the rest to podman, but picks out of them
 *   `--help` and the words of its site's modules (`--gpu`), even behind the image, where they are the stage's. `--`
 * ends that, and is not handed on (podman_hpc.py, call_podman: a command of the library click with interspersed
 * options).
 * - Its storage lies in /tmp of each machine (siteconf.py, graph_root). `pull` and `migrate` leave a squashed copy in
 *   $SQUASH_DIR, else $SCRATCH/storage, which every node reads. `pull` finds what it pulled by its plain name only, not
 *   by docker://NAME (migrate2scratch.py, get_img_info), and ends well when it found nothing; so does `migrate`.
 * - A GPU is the site's module `gpu` (etc/modules.d/gpu.yaml).
 */
#include "podman.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/environment.h"

static const char *const no_words[] = {NULL};

static void podman_close(void *self)
{
    struct podman *podman = self;
    if (podman != NULL) {
        free(podman->tool);
        free(podman);
    }
}

static const char *const *words_of(const struct descpipe_host *host, const char *key)
{
    const char *const *words = host->config->list(host->settings, key);
    return words != NULL ? words : no_words;
}

static bool wants_limits(const struct descpipe_host *host)
{
    const char *word = host->config->text(host->settings, "limits");
    return strcmp(word, "always") == 0 || (strcmp(word, "auto") == 0 && geteuid() == 0);
}

static int32_t podman_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    char path[4096];
    struct podman *podman = calloc(1, sizeof *podman);
    bool good = podman != NULL;
    if (good && host->process->find(host, host->config->text(host->settings, "tool"), path, sizeof path) != 0)
        good = (podman->tool = strdup(path)) != NULL;
    if (!good) {
        snprintf(message, message_size, "out of memory");
        podman_close(podman);
        return 1;
    }
    podman->host = host;
    podman->hpc = podman->tool != NULL && strcmp(strrchr(podman->tool, '/') + 1, "podman-hpc") == 0;
    podman->cache = host->cache_folder;
    podman->global_words = words_of(host, "global-arguments");
    podman->run_words = words_of(host, "run-arguments");
    podman->network = host->config->text(host->settings, "network");
    podman->init = host->config->boolean(host->settings, "init") != 0;
    podman->limits = wants_limits(host);
    podman->pull_timeout_ms = (uint64_t)host->config->integer(host->settings, "pull-timeout");
    *self = podman;
    return 0;
}

static uint32_t podman_forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

void podman_begin(const struct podman *podman, struct arguments *argv)
{
    arguments_add(argv, podman->tool);
    arguments_add_list(argv, podman->global_words);
}

static const char *const client_names[] = {"XDG_CONFIG_HOME",
                                           "XDG_DATA_HOME",
                                           "XDG_CACHE_HOME",
                                           "TMPDIR",
                                           "DBUS_SESSION_BUS_ADDRESS",
                                           "CONTAINERS_CONF",
                                           "CONTAINERS_STORAGE_CONF",
                                           "CONTAINERS_REGISTRIES_CONF",
                                           NULL};

/* Where podman-hpc keeps images, and what its site says by PODMANHPC_NAME (its README, "Configuration"). */
static void add_hpc_environment(struct arguments *environment)
{
    static const char *const names[] = {"SCRATCH", "SQUASH_DIR", NULL};
    static const char prefix[] = "PODMANHPC_";
    environment_add_own(environment, names);
    for (char **entry = environ; *entry != NULL; entry++)
        if (strncmp(*entry, prefix, strlen(prefix)) == 0)
            arguments_add(environment, arguments_format(environment, "%s", *entry));
}

void podman_environment(const struct podman *podman, struct arguments *environment)
{
    environment_add_basics(environment);
    environment_add_own(environment, client_names);
    if (podman->hpc)
        add_hpc_environment(environment);
}

void podman_add_command(const struct podman *podman, struct arguments *argv, const char *command, const char *own)
{
    arguments_add(argv, command);
    if (own != NULL)
        arguments_add(argv, own);
    if (podman->hpc)
        arguments_add(argv, "--");
}

bool podman_needs(const char *entry)
{
    static const char *const beginnings[] = {
        "PATH=",       "HOME=",         "USER=",       "LOGNAME=",     "XDG_",     "TMPDIR=",  "CONTAINER",
        "PODMAN",      "REGISTRY_AUTH", "LD_",         "_CONTAINERS",  "STORAGE_", "DBUS_",    "GLIBC_TUNABLES",
        "http_proxy=", "https_proxy=",  "HTTP_PROXY=", "HTTPS_PROXY=", "GO",       "SCRATCH=", "SQUASH_DIR="};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
        if (strncmp(entry, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static const struct descpipe_runtime podman_operations = {
    .size = sizeof podman_operations,
    .capabilities = DESCPIPE_RUNTIME_GPUS | DESCPIPE_RUNTIME_NO_NETWORK | DESCPIPE_RUNTIME_SINGLE_FILES |
                    DESCPIPE_RUNTIME_READ_ONLY | DESCPIPE_RUNTIME_CALLER_UID | DESCPIPE_RUNTIME_PINS_DIGEST |
                    DESCPIPE_RUNTIME_ISOLATES_PATHS,
    .sources = DESCPIPE_SOURCE_REGISTRY | DESCPIPE_SOURCE_DOCKER_ARCHIVE | DESCPIPE_SOURCE_OCI_ARCHIVE |
               DESCPIPE_SOURCE_OCI_LAYOUT,
    .open = podman_open,
    .close = podman_close,
    .forms = podman_forms,
    .probe = podman_probe,
    .identify = podman_identify,
    .prepare = podman_prepare,
    .launch = podman_launch,
    .shell = podman_shell,
    .exec = podman_exec,
    .stop = podman_stop,
    .release = podman_release,
    .commit = podman_commit,
    .changes = podman_changes,
    .copy_out = podman_copy_out,
    .push = podman_push,
};

static const char *const limits_choices[] = {"auto", "always", "never", NULL};

static const struct descpipe_option tool_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "tool",
    .default_value = "podman",
    .help = "The program: podman, podman-hpc, or an absolute path.",
};
static const struct descpipe_option global_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_LIST,
    .key = "global-arguments",
    .help = "Words of the site between the program and its command, for example [--runtime=runc].",
};
static const struct descpipe_option run_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_LIST,
    .key = "run-arguments",
    .help = "Words of the site for every `run`, for example [--security-opt=label=disable].",
};
static const struct descpipe_option network_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_TEXT,
    .key = "network",
    .default_value = "host",
    .help = "The network of stages that do not say `network: false`.",
};
static const struct descpipe_option init_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BOOLEAN,
    .key = "init",
    .default_value = "true",
    .help = "Run a small init (catatonit) as process 1, so that signals arrive and no zombies stay.",
};
static const struct descpipe_option limits_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_CHOICE,
    .key = "limits",
    .default_value = "auto",
    .help =
        "Whether Podman enforces cpus and memory: auto is as root only, since others need delegated control groups.",
    .choices = limits_choices,
};
static const struct descpipe_option pull_timeout_option = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_DURATION,
    .flags = DESCPIPE_OPTION_RANGED,
    .key = "pull-timeout",
    .default_value = "2h",
    .help = "How long fetching one image may take.",
    .minimum = 1000,
    .maximum = INT64_C(7) * 24 * 3600 * 1000,
};
static const struct descpipe_option *const podman_options[] = {
    &tool_option, &global_option, &run_option,          &network_option,
    &init_option, &limits_option, &pull_timeout_option, NULL};

static const struct descpipe_plugin podman_plugin = {
    .size = sizeof podman_plugin,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "podman",
    .version = DESCPIPE_PLUGIN_VERSION,
    .summary = "containers by Podman, rootless or as root, with no daemon",
    .author = "the descpipe authors",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = podman_options,
    .operations = &podman_operations,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &podman_plugin;
}
