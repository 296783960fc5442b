/* SPDX-License-Identifier: BSD-3-Clause */
/* What decides about keys, read at the moment of use: the options, the environment and AWS's shared files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ecr.h"

static const char *environment(void *context, const char *name)
{
    (void)context;
    const char *value = secure_getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool read_all(int descriptor, char *bytes, size_t size, size_t *length)
{
    *length = 0;
    while (*length < size) {
        ssize_t got = read(descriptor, bytes + *length, size - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        *length += (size_t)got;
    }
    return true;
}

/* NULL with errno: ENOENT when there is none, EFBIG when it is too large. Owned, followed by a NUL. */
static char *read_file(const char *path, size_t limit, size_t *length)
{
    /* Not blocking: the path may be a pipe that nobody writes to. */
    cleanup(descriptor_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        return NULL;
    if (!S_ISREG(status.st_mode)) {
        errno = EINVAL;
        return NULL;
    }
    char *bytes = malloc(limit + 2);
    if (bytes != NULL && read_all(descriptor, bytes, limit + 1, length) && *length <= limit) {
        bytes[*length] = '\0';
        return bytes;
    }
    int number = bytes != NULL && *length > limit ? EFBIG : errno;
    if (bytes != NULL)
        explicit_bzero(bytes, limit + 2);
    free(bytes);
    errno = number;
    return NULL;
}

char *ecr_read_secret_file(const char *path, size_t limit, size_t *length, struct failure *failure)
{
    char *bytes = read_file(path, limit, length);
    if (bytes == NULL) {
        failure_system(failure, "cannot read '%s'", path);
        failure->kind = DESCPIPE_FAILED_NEEDS_LOGIN;
        return NULL;
    }
    while (*length > 0 && strchr(" \t\r\n", bytes[*length - 1]) != NULL)
        bytes[--*length] = '\0';
    if (*length > 0 && memchr(bytes, '\0', *length) == NULL && strpbrk(bytes, "\r\n") == NULL)
        return bytes;
    explicit_bzero(bytes, *length);
    free(bytes);
    failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "'%s' does not hold one line with a token", path);
    return NULL;
}

/* A missing file is an empty one. */
static bool load_ini(const char *path, struct ini *ini, struct failure *failure)
{
    size_t length = 0;
    char *bytes = read_file(path, INI_FILE_LIMIT + 1, &length);
    if (bytes == NULL && (errno == ENOENT || errno == ENOTDIR))
        return true;
    if (bytes == NULL) {
        failure_system(failure, "cannot read '%s'", path);
        failure->kind = DESCPIPE_FAILED_NEEDS_LOGIN;
        return false;
    }
    bool done = ini_read(bytes, length, ini, failure);
    explicit_bzero(bytes, length);
    free(bytes);
    return done ? true : failure_wrap(failure, "'%s'", path);
}

static char *shared_path(const char *variable, const char *name, struct failure *failure)
{
    const char *given = environment(NULL, variable), *home = environment(NULL, "HOME");
    char *path = NULL;
    int length = given == NULL ? asprintf(&path, "%s/.aws/%s", home != NULL ? home : "", name)
                 : strncmp(given, "~/", 2) == 0 && home != NULL ? asprintf(&path, "%s%s", home, given + 1)
                                                                : asprintf(&path, "%s", given);
    if (length >= 0)
        return path;
    failure_memory(failure);
    return NULL;
}

static bool take_option_keys(const struct ecr *ecr, struct aws_plan *plan, struct failure *failure)
{
    const struct descpipe_host *host = ecr_services(ecr);
    const struct descpipe_secret *secret = host->config->secret(host->settings, "secret-access-key");
    const struct descpipe_secret *token = host->config->secret(host->settings, "session-token");
    if (secret == NULL || (token == NULL && host->config->given(host->settings, "session-token"))) {
        failure_set(failure, DESCPIPE_FAILED_NEEDS_LOGIN, "the secret of the option '%s' cannot be had",
                    secret == NULL ? "secret-access-key" : "session-token");
        return failure_hint(failure, "look at where the option's secret points to");
    }
    plan->source = AWS_SOURCE_KEYS;
    plan->access_key_id = strdup(ecr->access_key_id);
    plan->secret_access_key = strdup(host->secret->reveal(secret, NULL));
    plan->session_token = token != NULL ? strdup(host->secret->reveal(token, NULL)) : NULL;
    plan->origin = strdup("the option `access-key-id`");
    const char *region = environment(NULL, "AWS_REGION");
    region = region != NULL ? region : environment(NULL, "AWS_DEFAULT_REGION");
    plan->region = region != NULL && aws_region_valid(region) ? strdup(region) : NULL;
    return plan->access_key_id != NULL && plan->secret_access_key != NULL && plan->origin != NULL
               ? true
               : failure_memory(failure);
}

static bool make_plan(const struct ecr *ecr, struct aws_plan *plan, struct failure *failure)
{
    if (ecr->access_key_id != NULL)
        return take_option_keys(ecr, plan, failure);
    cleanup(memory_free) char *config_path = shared_path("AWS_CONFIG_FILE", "config", failure);
    cleanup(memory_free) char *credentials_path = shared_path("AWS_SHARED_CREDENTIALS_FILE", "credentials", failure);
    cleanup(ini_clear) struct ini config = {0}, credentials = {0};
    if (config_path == NULL || credentials_path == NULL || !load_ini(config_path, &config, failure) ||
        !load_ini(credentials_path, &credentials, failure))
        return false;
    struct aws_inputs inputs = {.environment = environment,
                                .profile = ecr->profile,
                                .config = &config,
                                .credentials = &credentials,
                                .config_path = config_path,
                                .credentials_path = credentials_path};
    return aws_plan_make(&inputs, plan, failure);
}

static void add(FILE *text, const char *part)
{
    fprintf(text, "%s", part != NULL ? part : "");
    fputc('\0', text);
}

/* The secret counts too, so that new keys of an old name are new keys; only the digest leaves this function. */
static bool identify(const struct aws_plan *plan, char identity[DIGEST_SIZE], struct failure *failure)
{
    char *bytes = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&bytes, &length);
    if (text == NULL)
        return failure_memory(failure);
    fprintf(text, "%d", (int)plan->source);
    add(text, "");
    add(text, plan->access_key_id);
    add(text, plan->secret_access_key);
    for (size_t i = 0; plan->argv != NULL && plan->argv[i] != NULL; i++)
        add(text, plan->argv[i]);
    add(text, plan->token_file);
    add(text, plan->web_role.arn);
    add(text, plan->url);
    for (size_t i = 0; i < plan->role_count; i++) {
        add(text, plan->roles[i].arn);
        add(text, plan->roles[i].external_id);
    }
    bool done = fclose(text) == 0 && digest_of_bytes(bytes, length, identity);
    if (bytes != NULL)
        explicit_bzero(bytes, length);
    free(bytes);
    return done ? true : failure_memory(failure);
}

bool ecr_plan(struct ecr *ecr, struct aws_plan *plan, char identity[DIGEST_SIZE], struct failure *failure)
{
    return make_plan(ecr, plan, failure) && identify(plan, identity, failure);
}

char *ecr_region(struct ecr *ecr, struct failure *failure)
{
    cleanup(aws_plan_clear) struct aws_plan plan = {0};
    char *region = NULL;
    if (ecr->region != NULL)
        region = strdup(ecr->region);
    else if (!make_plan(ecr, &plan, failure))
        return NULL;
    else if (plan.region != NULL)
        region = steal(&plan.region);
    else {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "no AWS region is set");
        failure_hint(failure, "set the option `region`, AWS_REGION, or `region` in the AWS profile");
        return NULL;
    }
    if (region == NULL)
        failure_memory(failure);
    return region;
}

char *ecr_service_url(const char *option, const char *variable, char *url, struct failure *failure)
{
    const char *given = option != NULL ? option : environment(NULL, variable);
    given = given != NULL ? given : environment(NULL, "AWS_ENDPOINT_URL");
    char *chosen = given != NULL ? strdup(given) : url;
    if (given != NULL)
        free(url);
    if (chosen == NULL) {
        failure_memory(failure);
        return NULL;
    }
    for (size_t length = strlen(chosen); length > 0 && chosen[length - 1] == '/'; length--)
        chosen[length - 1] = '\0';
    return chosen;
}
