/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The form COMMAND: `docker run` with every option said.
 *
 * The values of the environment reach the client through its own environment (`--env NAME`), so that they stand in no
 * process list. Two exceptions: a name that the client needs for itself (PATH, HOME, DOCKER_*) is written out, unless
 * it is a late one, which is refused; and when the client runs under sudo, which drops the environment, only the late
 * names travel that way, with --preserve-env. The container is removed at its end (the client's exit status is the
 * evidence), unless `keep-failed` is set.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"
#include "engine/create.h"
#include "tool/node_image.h"

extern char **environ;

struct command {
    struct docker *docker;
    const struct descpipe_stage *stage;
    bool sudo;
    struct texts argv, environment, setup, removal;
    char *handle; /* of an image that the node gets, taken apart; or NULL */
    char words[ANSWER_WORDS];
};

static bool is_name(const char *entry, const char *name)
{
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && (entry[length] == '=' || entry[length] == '\0');
}

static bool client_needs(const char *entry)
{
    static const char *const names[] = {"PATH", "HOME", "USER", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (is_name(entry, names[i])) {
            return true;
        }
    }
    return strncmp(entry, "DOCKER_", 7) == 0;
}

bool client_environment(struct docker *docker, struct texts *environment)
{
    bool given = docker->host->config->given(docker->host->settings, "host");
    for (char **entry = environ; *entry != NULL; entry++) {
        if (client_needs(*entry) && !(given && is_name(*entry, "DOCKER_HOST"))) {
            texts_add(environment, *entry);
        }
    }
    if (given) {
        texts_format(environment, "DOCKER_HOST=%s", docker->address.text);
    }
    return !environment->failed;
}

/* One field of a line of comma-separated values, as --mount takes them. */
static void add_field(struct bytes *line, const char *key, const char *value)
{
    bytes_add_text(line, line->length > 0 ? "," : "");
    if (strpbrk(value, ",\"") == NULL) {
        bytes_format(line, "%s=%s", key, value);
        return;
    }
    bytes_format(line, "\"%s=", key);
    for (; *value != '\0'; value++) {
        bytes_add(line, "\"\"", *value == '"' ? 2 : 0);
        if (*value != '"') {
            bytes_add(line, value, 1);
        }
    }
    bytes_add_text(line, "\"");
}

static bool add_mounts(struct command *command)
{
    const struct descpipe_stage *stage = command->stage;
    for (size_t i = 0; stage->mounts != NULL && stage->mounts[i] != NULL; i++) {
        const struct descpipe_mount *mount = stage->mounts[i];
        bool scratch = (mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0;
        struct bytes line = {0};
        if (strpbrk(mount->target, "\r\n") != NULL || (!scratch && strpbrk(mount->source, "\r\n") != NULL)) {
            snprintf(command->words, sizeof(command->words), "the path of a mount holds a line break");
            return false;
        }
        add_field(&line, "type", scratch ? "tmpfs" : "bind");
        if (!scratch) {
            add_field(&line, "source", mount->source);
        }
        add_field(&line, "target", mount->target);
        if (scratch) {
            add_field(&line, "tmpfs-mode", "1777");
        } else if ((mount->flags & DESCPIPE_MOUNT_READ_ONLY) != 0) {
            bytes_add_text(&line, ",readonly");
        }
        if (scratch && stage->resources != NULL && stage->resources->scratch > 0) {
            bytes_format(&line, ",tmpfs-size=%" PRIu64, stage->resources->scratch);
        }
        texts_add(&command->argv, "--mount");
        command->argv.failed = !texts_add(&command->argv, bytes_text(&line)) || line.failed;
        bytes_clear(&line);
    }
    return true;
}

/* sudo drops what it is not told to keep. */
static void add_preserved(struct command *command)
{
    const char *const *late = command->stage->late_names;
    struct bytes names = {0};
    for (; late != NULL && *late != NULL; late++) {
        bytes_format(&names, "%s%s", names.length > 0 ? "," : "--preserve-env=", *late);
    }
    if (names.length > 0) {
        command->argv.failed = !texts_add(&command->argv, bytes_text(&names)) || names.failed;
    }
    bytes_clear(&names);
}

static bool add_environment(struct command *command)
{
    const struct descpipe_stage *stage = command->stage;
    for (size_t i = 0; stage->environment != NULL && stage->environment[i] != NULL; i++) {
        const char *entry = stage->environment[i];
        texts_add(&command->argv, "--env");
        if (command->sudo || client_needs(entry) || strchr(entry, '=') == NULL) {
            texts_add(&command->argv, entry);
        } else {
            texts_format(&command->argv, "%.*s", (int)strcspn(entry, "="), entry);
            texts_add(&command->environment, entry);
        }
    }
    for (size_t i = 0; stage->late_names != NULL && stage->late_names[i] != NULL; i++) {
        if (client_needs(stage->late_names[i])) {
            snprintf(command->words, sizeof(command->words),
                     "the value of %.100s comes late or is secret, and the docker client needs that name for itself",
                     stage->late_names[i]);
            return false;
        }
        texts_add(&command->argv, "--env");
        texts_add(&command->argv, stage->late_names[i]);
    }
    return client_environment(command->docker, &command->environment);
}

static void add_label(struct command *command, const char *name, const char *value)
{
    texts_add(&command->argv, "--label");
    texts_format(&command->argv, "descpipe.%s=%s", name, value);
}

static void add_labels(struct command *command)
{
    char attempt[32];
    snprintf(attempt, sizeof(attempt), "%" PRIu64, command->stage->attempt);
    add_label(command, "run", command->stage->run);
    add_label(command, "stage", command->stage->name);
    if (command->stage->member != NULL) {
        add_label(command, "member", command->stage->member);
    }
    add_label(command, "attempt", attempt);
    add_label(command, "token", command->stage->token);
}

static void add_limits(struct command *command)
{
    const struct descpipe_resources *resources = command->stage->resources;
    if (resources == NULL) {
        return;
    }
    uint64_t cpus = (uint64_t)resources->cpus_per_rank * resources->ranks_per_node;
    if (cpus > 0) {
        texts_add(&command->argv, "--cpus");
        texts_format(&command->argv, "%" PRIu64, cpus);
    }
    if (resources->memory_per_node > 0) {
        texts_add(&command->argv, "--memory");
        texts_format(&command->argv, "%" PRIu64 "b", resources->memory_per_node);
        texts_add(&command->argv, "--memory-swap");
        texts_format(&command->argv, "%" PRIu64 "b", resources->memory_per_node);
    }
    if (resources->gpus_per_node > 0) {
        /* Which ones is known only at the start: CUDA_VISIBLE_DEVICES, a late name, chooses among all. */
        texts_add(&command->argv, "--gpus");
        texts_add(&command->argv, "all");
    }
}

/* As engine/create.c says them to the Engine itself. */
static void add_rights(struct command *command)
{
    texts_add_all(&command->argv,
                  (const char *const[]){"--security-opt", "no-new-privileges", "--cap-drop", "ALL", NULL});
    for (size_t i = 0; create_rights[i] != NULL; i++) {
        texts_add(&command->argv, "--cap-add");
        texts_add(&command->argv, create_rights[i]);
    }
}

/* The Engine keeps a container whose client was killed. The client calls it a failure when there is none of that name,
 * so it is looked for first. */
static void add_removal(struct command *command)
{
    static const char script[] =
        "name=$1; shift; id=$(\"$@\" ps --all --quiet --no-trunc --filter \"name=^/$name$\") || "
        "exit; [ -z \"$id\" ] || \"$@\" rm --force --volumes \"$id\"";
    struct docker *docker = command->docker;
    const char *const shell[] = {"sh", "-c", script, "descpipe", command->stage->token, NULL};
    texts_add_all(&command->removal, shell);
    texts_add_all(&command->removal, docker->command);
    if (docker->host->config->given(docker->host->settings, "host") || secure_getenv("DOCKER_HOST") != NULL) {
        const char *const where[] = {"--host", docker->address.text, NULL}; /* whoever runs it may have another */
        texts_add_all(&command->removal, where);
    }
}

static bool write_command(struct command *command)
{
    const struct descpipe_stage *stage = command->stage;
    struct docker *docker = command->docker;
    struct node_image node = {.image = stage->image_handle};
    bool node_gets = node_image_is_handle(stage->image_handle);
    if (node_gets &&
        ((command->handle = strdup(stage->image_handle)) == NULL || !node_image_read(command->handle, &node))) {
        snprintf(command->words, sizeof(command->words), "'%.200s' is no image of runtime 'docker'",
                 stage->image_handle);
        return false;
    }
    const char *client = strrchr(docker->command[0], '/');
    command->sudo = strcmp(client != NULL ? client + 1 : docker->command[0], "sudo") == 0;
    texts_add(&command->argv, docker->command[0]);
    if (command->sudo) {
        add_preserved(command);
    }
    texts_add_all(&command->argv, docker->command + 1);
    texts_add(&command->argv, "run");
    texts_add_all(&command->argv, docker->keep_failed ? NULL : (const char *const[]){"--rm", NULL});
    texts_add_all(&command->argv, docker->init ? (const char *const[]){"--init", NULL} : NULL);
    texts_add_all(&command->argv,
                  (stage->flags & DESCPIPE_STAGE_TERMINAL) != 0
                      ? (const char *const[]){"--interactive", "--tty", NULL}
                      : (const char *const[]){"--log-driver", "none", NULL}); /* the client itself writes the output */
    texts_add(&command->argv, "--name");
    texts_add(&command->argv, stage->token);
    add_labels(command);
    if (docker->caller_user) {
        add_rights(command);
        texts_add(&command->argv, "--user");
        texts_format(&command->argv, "%" PRIu32 ":%" PRIu32, stage->uid, stage->gid);
    }
    texts_add(&command->argv, "--network");
    texts_add(&command->argv, (stage->flags & DESCPIPE_STAGE_NO_NETWORK) != 0 ? "none" : docker->network);
    add_limits(command);
    if (!add_mounts(command) || !add_environment(command)) {
        return false;
    }
    if (stage->directory != NULL) {
        texts_add(&command->argv, "--workdir");
        texts_add(&command->argv, stage->directory);
    }
    texts_add(&command->argv, "--entrypoint");
    texts_add(&command->argv, ""); /* none: the stage's command stands for itself */
    texts_add(&command->argv, node.image);
    texts_add_all(&command->argv, stage->command);
    add_removal(command);
    if (node_gets) {
        const char *words[NODE_IMAGE_SETUP_WORDS + 1];
        node_image_setup(&node, words);
        texts_add_all(&command->setup, words);
        texts_add_all(&command->setup, docker->command);
    }
    return true;
}

void docker_launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    struct docker *docker = self;
    struct command command = {.docker = docker, .stage = stage};
    if ((stage->flags & DESCPIPE_STAGE_POD) != 0) {
        docker_launch_pod(docker, call, stage);
        return;
    }
    if (stage->image_handle == NULL) {
        docker_fail(docker, call, DESCPIPE_FAILED_REFUSED, NULL, "stage '%.100s': its image was not prepared",
                    stage->name);
        return;
    }
    if (stage->resources != NULL && stage->resources->gpus_per_node > 0 &&
        docker_too_old(docker, API_DEVICE_REQUESTS, "gpus", command.words)) {
        docker_fail(docker, call, DESCPIPE_FAILED_REFUSED, docker_update_hint,
                    "stage '%.100s' cannot be run by the docker client: %s", stage->name, command.words);
        return;
    }
    if (!write_command(&command)) {
        docker_fail(docker, call, DESCPIPE_FAILED_UNSUPPORTED, "use the form MANAGED (`form: api`), or another name",
                    "stage '%.100s' cannot be run by the docker client: %s", stage->name, command.words);
    } else if (command.argv.failed || command.environment.failed || command.setup.failed || command.removal.failed) {
        docker_fail_memory(docker, call);
    } else {
        struct descpipe_form form = {
            .size = sizeof(form),
            .form = DESCPIPE_FORM_COMMAND,
            .argv = texts_list(&command.argv),
            .environment = texts_list(&command.environment),
            .directory = stage->host_directory,
            .late_prefix = "",
            .setup = command.setup.count > 0 ? texts_list(&command.setup) : NULL,
            .removal = texts_list(&command.removal),
        };
        docker->host->answer->form(call, &form);
        docker->host->call->succeed(call);
    }
    texts_clear(&command.argv);
    texts_clear(&command.environment);
    texts_clear(&command.setup);
    free(command.handle);
    texts_clear(&command.removal);
}
