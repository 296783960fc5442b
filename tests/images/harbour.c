/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A registry that is a folder: BOARD/harbour/NAME has `config`, `manifest`, `bytes`, `created`, or `fail KIND MESSAGE`
 * and `hint`. Serves names without a host as harbour.test/NAME and the hosts harbour.test and mirror.test. A file
 * BOARD/offline makes every question one that nobody answers.
 */
#include <descpipe/plugin.h>

#include <stdlib.h>

#include "board.h"

#define HOST "harbour.test/"
#define MIRROR "mirror.test/"

struct harbour {
    const struct descpipe_host *host;
    const char *board;
};

static int32_t harbour_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    struct harbour *harbour = calloc(1, sizeof *harbour);
    if (harbour == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    harbour->host = host;
    harbour->board = host->config->text(host->settings, "board");
    board_note(harbour->board, "open harbour");
    *self = harbour;
    return 0;
}

static void harbour_close(void *self)
{
    free(self);
}

static int32_t accepts(void *self, const char *reference)
{
    (void)self;
    return strncmp(reference, HOST, strlen(HOST)) == 0 || strncmp(reference, MIRROR, strlen(MIRROR)) == 0;
}

static void fail(const struct harbour *harbour, struct descpipe_call *call, const struct board_image *image)
{
    const char *message;
    unsigned kind = board_failure(image->failure, &message);
    harbour->host->call->fail(call, kind, message, image->hint[0] != '\0' ? image->hint : NULL);
}

static int is_offline(const struct harbour *harbour)
{
    char path[BOARD_LINE];
    snprintf(path, sizeof path, "%.500s/offline", harbour->board);
    return access(path, F_OK) == 0;
}

static void normalize(void *self, struct descpipe_call *call, const char *name)
{
    const struct harbour *harbour = self;
    char reference[BOARD_LINE];
    const char *last = strrchr(name, '/');
    snprintf(reference, sizeof reference, "%s%.500s%s", accepts(self, name) ? "" : HOST, name,
             strpbrk(last != NULL ? last : name, ":@") != NULL ? "" : ":latest");
    harbour->host->answer->reference(call, reference);
    harbour->host->call->succeed(call);
}

/* Of either host, and by tag or by digest, as a mirror would have it. */
static int find(const struct harbour *harbour, const char *reference, struct board_image *image)
{
    char path[BOARD_LINE * 2], plain[BOARD_LINE];
    snprintf(plain, sizeof plain, "%.500s", strchr(reference, '/') + 1);
    plain[strcspn(plain, "@")] = '\0';
    board_path(harbour->board, "harbour", plain, path);
    return board_read(path, image);
}

static void resolve(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    const struct harbour *harbour = self;
    struct board_image image;
    board_note(harbour->board, "resolve %s", lookup->reference);
    if (is_offline(harbour)) {
        harbour->host->call->fail(call, DESCPIPE_FAILED_CANNOT_ASK, "cannot reach harbour.test: no network",
                                  "pull the image while there is a network");
        return;
    }
    if (!find(harbour, lookup->reference, &image)) {
        harbour->host->call->fail(call, DESCPIPE_FAILED_NOT_FOUND, "harbour.test has no such tag",
                                  "the nearest tags are 1.0 and 1.1");
        return;
    }
    if (image.failure[0] != '\0') {
        fail(harbour, call, &image);
        return;
    }
    struct descpipe_image_identity identity = {.size = sizeof identity,
                                               .config_digest = image.config[0] != '\0' ? image.config : NULL,
                                               .manifest_digest = image.manifest[0] != '\0' ? image.manifest : NULL,
                                               .platform = lookup->platform,
                                               .stored_bytes = image.bytes,
                                               .created_at_ms = image.created_ms};
    harbour->host->answer->identity(call, &identity);
    harbour->host->call->succeed(call);
}

static void credentials(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    const struct harbour *harbour = self;
    board_note(harbour->board, "credentials %s %s", lookup->purpose == DESCPIPE_PURPOSE_PUSH ? "push" : "pull",
               lookup->reference);
    struct descpipe_secret *password = harbour->host->secret->make("s3cret", 6);
    struct descpipe_credential credential = {.size = sizeof credential,
                                             .username = "sailor",
                                             .password = password,
                                             .origin = "the harbour's own list",
                                             .expires_at_ms = INT64_C(4070908800000)}; /* 2099-01-01 */
    harbour->host->answer->credential(call, &credential);
    harbour->host->secret->release(password);
    harbour->host->call->succeed(call);
}

static void probe(void *self, struct descpipe_call *call)
{
    const struct harbour *harbour = self;
    harbour->host->call->succeed(call);
}

static void ensure_repository(void *self, struct descpipe_call *call, const struct descpipe_lookup *lookup)
{
    const struct harbour *harbour = self;
    board_note(harbour->board, "ensure %s", lookup->reference);
    harbour->host->call->succeed(call);
}

static void login(void *self, struct descpipe_call *call, const struct descpipe_login *login)
{
    const struct harbour *harbour = self;
    uint64_t length = 0;
    if (login->password == NULL) {
        int32_t own = strcmp(login->host, "mirror.test") == 0;
        harbour->host->call->fail(call, own ? DESCPIPE_FAILED_UNSUPPORTED : DESCPIPE_FAILED_NEEDS_LOGIN,
                                  own ? "its logins are made from keys" : "type one", own ? "find the keys" : NULL);
        return;
    }
    const char *password = harbour->host->secret->reveal(login->password, &length);
    board_note(harbour->board, "login %s %s", login->host, login->username != NULL ? login->username : "-");
    if (strcmp(password, "right") != 0) {
        harbour->host->call->fail(call, DESCPIPE_FAILED_NEEDS_LOGIN, "harbour.test does not take this login",
                                  "look at the user's name and password");
        return;
    }
    harbour->host->answer->text(call, "the harbour's own list");
    harbour->host->call->succeed(call);
}

static void logout(void *self, struct descpipe_call *call, const char *host)
{
    const struct harbour *harbour = self;
    board_note(harbour->board, "logout %s", host);
    if (strcmp(host, "mirror.test") == 0)
        harbour->host->call->fail(call, DESCPIPE_FAILED_NOT_FOUND, "there is no login for mirror.test", NULL);
    else
        harbour->host->call->succeed(call);
}

static const struct descpipe_option board_option = {.size = sizeof board_option,
                                                    .type = DESCPIPE_OPTION_PATH,
                                                    .flags = DESCPIPE_OPTION_REQUIRED,
                                                    .key = "board",
                                                    .help = "The folder of the test."};
static const struct descpipe_option *const options[] = {&board_option, NULL};

static const struct descpipe_registry table = {
    .size = sizeof table,
    .capabilities = DESCPIPE_REGISTRY_CREATES | DESCPIPE_REGISTRY_EXPIRES,
    .open = harbour_open,
    .close = harbour_close,
    .accepts = accepts,
    .normalize = normalize,
    .resolve = resolve,
    .credentials = credentials,
    .probe = probe,
    .ensure_repository = ensure_repository,
    .login = login,
    .logout = logout,
};

static const struct descpipe_plugin descriptor = {
    .size = sizeof descriptor,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "registry",
    .name = "harbour",
    .version = "0.1",
    .summary = "A registry that is a folder of the test",
    .author = "descpipe",
    .licence = "BSD-3-Clause",
    .url = "",
    .options = options,
    .operations = &table,
};

const struct descpipe_plugin *descpipe_plugin_v1(void)
{
    return &descriptor;
}
