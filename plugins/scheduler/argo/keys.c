/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking for the Secret; keys.h says what for. */
#include "keys.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts.h"

/* Of a Secret's data; freed by the caller. */
static char *unpacked(const json_t *secret, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(secret, "data"), key));
    size_t length = text != NULL ? strlen(text) : 0;
    unsigned char *plain = text != NULL && length <= 4096 ? malloc(length + 4) : NULL;
    int got = plain != NULL ? EVP_DecodeBlock(plain, (const unsigned char *)text, (int)length) : -1;
    if (got < 0) {
        free(plain);
        return NULL;
    }
    for (size_t i = length; i > 0 && text[i - 1] == '='; i--) {
        got--;
    }
    plain[got > 0 ? got : 0] = '\0';
    return (char *)plain;
}

static void secret_came(void *context, const struct cluster_reply *reply)
{
    const struct keys_asking *asking = context;
    char words[CLUSTER_WORDS + 256] = "";
    char *access = unpacked(reply->json, ARTIFACTS_ACCESS_KEY), *secret = unpacked(reply->json, ARTIFACTS_SECRET_KEY);
    bool given = reply->ok && access != NULL && secret != NULL && store_give_keys(asking->store, access, secret);
    if (secret != NULL) {
        explicit_bzero(secret, strlen(secret));
    }
    free(access);
    free(secret);
    if (!given) {
        snprintf(words, sizeof(words), "cannot read the keys of the artifacts in the Secret '%.200s': %s",
                 asking->store->secret,
                 reply->ok ? "it has no " ARTIFACTS_ACCESS_KEY " and " ARTIFACTS_SECRET_KEY : reply->words);
    }
    asking->done(asking->context, given ? 0 : reply->ok ? (uint32_t)DESCPIPE_FAILED_REFUSED : reply->failure, words);
}

struct cluster_exchange *keys_ask(struct cluster *cluster, struct keys_asking *asking)
{
    char *name = cluster_escape(asking->store->secret);
    char *path =
        name != NULL ? cluster_path(cluster, "/api/v1/namespaces/%s/secrets/%s", cluster->namespace, name) : NULL;
    const struct cluster_request request = {.method = "GET", .path = path, .done = secret_came, .context = asking};
    struct cluster_exchange *exchange = path != NULL ? cluster_ask(cluster, &request) : NULL;
    free(path);
    free(name);
    return exchange;
}
