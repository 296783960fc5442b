/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as Docker's config file and as a token service's answer. links: descpipe-oci */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/token.h"
#include "registry/login/docker_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct descpipe_secret {
    char *bytes;
    uint64_t length;
};

static struct descpipe_secret *make(const void *bytes, uint64_t length)
{
    struct descpipe_secret *secret = malloc(sizeof *secret);
    if (secret != NULL)
        *secret = (struct descpipe_secret){.bytes = strndup(bytes, (size_t)length), .length = length};
    return secret;
}

static const char *reveal(const struct descpipe_secret *secret, uint64_t *length)
{
    if (length != NULL)
        *length = secret->length;
    return secret->bytes;
}

static void release(struct descpipe_secret *secret)
{
    free(secret->bytes);
    free(secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct descpipe_secret_service secrets = {
        .size = sizeof secrets, .make = make, .reveal = reveal, .release = release};
    static const struct descpipe_host host = {.size = sizeof host, .secret = &secrets};
    static const char *const servers[] = {"docker.io", "h.io:5000"};
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    for (size_t i = 0; i < 2; i++) {
        struct docker_config_entry entry = {0};
        if (docker_config_read(&entry, &host, (const char *)data, size, servers[i], &failure))
            docker_config_entry_clear(&entry, &host);
    }
    const struct access access = {.host = &host};
    struct token token = {0};
    struct descpipe_secret *renewed = NULL;
    if (token_read(&token, &renewed, &access, (const char *)data, size, 0, &failure))
        token_clear(&token, &access);
    if (renewed != NULL)
        release(renewed);
    return 0;
}
