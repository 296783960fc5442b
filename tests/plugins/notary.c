/* SPDX-License-Identifier: BSD-3-Clause */
/* A registry of three images: so that a registry's operations are proven without a server. */
#include <descpipe/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "notary.test/"
#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct notary {
    const struct descpipe_host *host;
};

static int32_t notary_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    struct notary *notary = malloc(sizeof(*notary));
    if (!notary) {
        snprintf(message, (size_t)message_size, "out of memory");
        return 1;
    }
    notary->host = host;
    *self = notary;
    return 0;
}

static void notary_close(void *self)
{
    free(self);
}

static int32_t accepts(void *self, const char *reference)
{
    (void)self;
    return strncmp(reference, HOST, strlen(HOST)) == 0;
}

static void normalize(void *self, struct descpipe_call *call, const char *name)
{
    const struct notary *notary = self;
    char reference[200];
    int length = snprintf(reference, sizeof(reference), "%s%s%s", accepts(self, name) ? "" : HOST, name,
                          strchr(name, ':') ? "" : ":latest");
    if (length < 0 || (size_t)length >= sizeof(reference)) {
        notary->host->call->fail(call, DESCPIPE_FAILED_REFUSED, "the name is too long", 0);
        return;
    }
    notary->host->answer->reference(call, reference);
    notary->host->call->succeed(call);
}

static void resolve(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    const struct notary *notary = self;
    struct descpipe_image_identity identity = {
        .size = sizeof(identity), .manifest_digest = DIGEST, .platform = lookup->platform, .stored_bytes = 77};
    if (strcmp(lookup->reference, HOST "stars:latest") != 0) {
        notary->host->call->fail(call, DESCPIPE_FAILED_NOT_FOUND, "there is no such image", "look at its tags");
        return;
    }
    notary->host->answer->identity(call, &identity);
    notary->host->call->succeed(call);
}

/* A pull is anonymous; a push has a login that ends; anything else needs one. */
static void credentials(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    const struct notary *notary = self;
    if (lookup->purpose == DESCPIPE_PURPOSE_PUSH) {
        struct descpipe_secret *password = notary->host->secret->make("pa55word", 8);
        struct descpipe_credential credential = {.size = sizeof(credential),
                                                 .username = "observer",
                                                 .password = password,
                                                 .expires_at_ms = 1234,
                                                 .origin = "the notary"};
        notary->host->answer->credential(call, &credential);
        notary->host->secret->release(password);
    } else if (lookup->purpose != DESCPIPE_PURPOSE_PULL) {
        notary->host->call->fail(call, DESCPIPE_FAILED_NEEDS_LOGIN, "who are you?", 0);
        return;
    }
    notary->host->call->succeed(call);
}

static void probe(void *self, struct descpipe_call *call)
{
    const struct notary *notary = self;
    notary->host->answer->fact(call, "images", "3");
    notary->host->call->succeed(call);
}

static void list_tags(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    const struct notary *notary = self;
    (void)lookup;
    notary->host->answer->text(call, "latest");
    notary->host->answer->text(call, "2026-11");
    notary->host->call->succeed(call);
}

static const struct descpipe_registry table = {
    .size = sizeof(table),
    .capabilities = DESCPIPE_REGISTRY_EXPIRES,
    .open = notary_open,
    .close = notary_close,
    .accepts = accepts,
    .normalize = normalize,
    .resolve = resolve,
    .credentials = credentials,
    .probe = probe,
    .list_tags = list_tags,
};

static const struct descpipe_plugin descriptor = {
    .size = sizeof(descriptor),
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "registry",
    .name = "notary",
    .version = "0.1",
    .summary = "Three images and no server",
    .author = "descpipe",
    .licence = "BSD-3-Clause",
    .url = "",
    .operations = &table,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &descriptor;
}
