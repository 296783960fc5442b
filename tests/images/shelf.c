/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A runtime whose images are files: BOARD/shelf/NAME has `config`, `manifest` and `bytes`, or `fail KIND MESSAGE`. What
 * it prepares comes from BOARD/harbour, what it pushes goes there; stages run on the bare machine. While there is a
 * file BOARD/slow a prepare lasts until it is cancelled; with BOARD/nodes images are left to the nodes. A build whose
 * Dockerfile says "# with N" ends when N builds that say so have begun.
 */
#include <descpipe/plugin.h>

#include <dirent.h>
#include <stdlib.h>

#include "board.h"

enum { WAITING_LIMIT = 8 };

struct shelf {
    const struct descpipe_host *host;
    const char *board;
    struct waiting {
        struct descpipe_call *call;
        const struct descpipe_build *build;
        struct board_image image;
    } waiting[WAITING_LIMIT]; /* builds */
    unsigned waiting_count;
};

static int32_t shelf_open(const struct descpipe_host *host, void **self, char *message, uint64_t message_size)
{
    struct shelf *shelf = calloc(1, sizeof *shelf);
    if (shelf == NULL) {
        snprintf(message, message_size, "out of memory");
        return 1;
    }
    shelf->host = host;
    shelf->board = host->config->text(host->settings, "board");
    *self = shelf;
    return 0;
}

static void shelf_close(void *self)
{
    free(self);
}

static uint32_t forms(void *self)
{
    (void)self;
    return DESCPIPE_FORM_COMMAND;
}

static void probe(void *self, struct descpipe_call *call)
{
    const struct shelf *shelf = self;
    shelf->host->call->succeed(call);
}

/* By its digest when that is known, else by its name. */
static int find(const struct shelf *shelf, const struct descpipe_image *wanted, struct board_image *image)
{
    char path[BOARD_LINE * 2];
    if (wanted->config_digest == NULL) {
        board_path(shelf->board, "shelf", wanted->reference, path);
        return board_read(path, image);
    }
    snprintf(path, sizeof path, "%.500s/shelf", shelf->board);
    DIR *folder = opendir(path);
    int found = 0;
    for (struct dirent *entry; !found && folder != NULL && (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "%.500s/shelf/%.250s", shelf->board, entry->d_name);
        found = entry->d_name[0] != '.' && board_read(path, image) && strcmp(image->config, wanted->config_digest) == 0;
    }
    if (folder != NULL)
        closedir(folder);
    return found;
}

static void answer(const struct shelf *shelf, struct descpipe_call *call, const struct board_image *image)
{
    struct descpipe_image_identity identity = {.size = sizeof identity,
                                               .present = 1,
                                               .config_digest = image->config,
                                               .manifest_digest = image->manifest[0] != '\0' ? image->manifest : NULL,
                                               .platform = "linux/amd64",
                                               .handle = image->config};
    shelf->host->answer->identity(call, &identity);
    shelf->host->call->succeed(call);
}

static void identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    const struct shelf *shelf = self;
    struct board_image found;
    board_note(shelf->board, "identify %s%s%s", image->reference, image->config_digest != NULL ? " " : "",
               image->config_digest != NULL ? image->config_digest : "");
    if (find(shelf, image, &found))
        answer(shelf, call, &found);
    else
        shelf->host->call->fail(call, DESCPIPE_FAILED_NOT_FOUND, "it is not on the shelf", NULL);
}

struct fetch {
    struct shelf *shelf;
    struct descpipe_call *call;
    char reference[BOARD_LINE];
};

static void cancelled(void *context)
{
    struct fetch *fetch = context;
    board_note(fetch->shelf->board, "cancelled %s", fetch->reference);
    fetch->shelf->host->call->fail(fetch->call, DESCPIPE_FAILED_CANCELLED, "stopped; what was fetched is kept", NULL);
    free(fetch);
}

static void finish_fetch(struct fetch *fetch)
{
    struct shelf *shelf = fetch->shelf;
    struct board_image image;
    char path[BOARD_LINE * 2], plain[BOARD_LINE];
    snprintf(plain, sizeof plain, "%.500s", strchr(fetch->reference, '/') + 1);
    plain[strcspn(plain, "@")] = '\0';
    board_path(shelf->board, "harbour", plain, path);
    if (!board_read(path, &image)) {
        shelf->host->call->fail(fetch->call, DESCPIPE_FAILED_NOT_FOUND, "there is nothing to fetch", NULL);
    } else {
        shelf->host->call->progress(fetch->call, image.bytes, image.bytes, "unpacking");
        board_path(shelf->board, "shelf", fetch->reference, path);
        board_write(path, &image);
        answer(shelf, fetch->call, &image);
    }
    free(fetch);
}

static void got_login(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct fetch *fetch = context;
    struct shelf *shelf = fetch->shelf;
    char slow[BOARD_LINE];
    board_note(shelf->board, "login of %s: %s", fetch->reference,
               message != NULL      ? message
               : credential == NULL ? "anonymous"
                                    : credential->username);
    snprintf(slow, sizeof slow, "%.500s/slow", shelf->board);
    if (access(slow, F_OK) != 0) {
        finish_fetch(fetch);
        return;
    }
    shelf->host->call->progress(fetch->call, 250000, 1000000, NULL);
    shelf->host->call->on_cancel(fetch->call, cancelled, fetch);
}

static void prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    struct shelf *shelf = self;
    const struct descpipe_image *image = prepare->image;
    struct board_image found;
    board_note(shelf->board, "prepare %s %s", image->reference,
               image->manifest_digest != NULL ? image->manifest_digest : "-");
    if (image->config_digest != NULL && find(shelf, image, &found)) {
        answer(shelf, call, &found);
        return;
    }
    char nodes[BOARD_LINE];
    snprintf(nodes, sizeof nodes, "%.500s/nodes", shelf->board);
    if (access(nodes, F_OK) == 0) {
        struct descpipe_image_identity later = {.size = sizeof later, .config_digest = image->config_digest};
        shelf->host->answer->identity(call, &later);
        shelf->host->call->succeed(call);
        return;
    }
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL)
        return;
    fetch->shelf = shelf;
    fetch->call = call;
    snprintf(fetch->reference, sizeof fetch->reference, "%.500s", image->reference);
    shelf->host->credential->for_image(shelf->host, image, DESCPIPE_PURPOSE_PULL, got_login, fetch);
}

static void launch(void *self, struct descpipe_call *call, const struct descpipe_stage *stage)
{
    const struct shelf *shelf = self;
    struct descpipe_form form = {.size = sizeof form,
                                 .form = DESCPIPE_FORM_COMMAND,
                                 .argv = stage->command,
                                 .environment = stage->environment,
                                 .directory = stage->host_directory,
                                 .late_prefix = ""};
    board_note(shelf->board, "launch %s %s", stage->name, stage->image->reference);
    shelf->host->answer->form(call, &form);
    shelf->host->call->succeed(call);
}

static void end_build(const struct shelf *shelf, const struct waiting *built)
{
    char path[BOARD_LINE * 2];
    board_note(shelf->board, "built %s", strrchr(built->build->folder, '/') + 1);
    for (unsigned i = 0; built->build->references[i] != NULL; i++) {
        board_path(shelf->board, "shelf", built->build->references[i], path);
        board_write(path, &built->image);
    }
    answer(shelf, built->call, &built->image);
}

static void build(void *self, struct descpipe_call *call, const struct descpipe_build *build)
{
    struct shelf *shelf = self;
    struct board_image image = {.bytes = 5};
    char text[BOARD_LINE * 8] = "";
    board_note(shelf->board, "build %s %s flags %u", strrchr(build->folder, '/') + 1, strrchr(build->file, '/') + 1,
               build->flags);
    for (unsigned i = 0; build->references != NULL && build->references[i] != NULL; i++)
        board_note(shelf->board, "  called %s", build->references[i]);
    for (unsigned i = 0; build->arguments != NULL && build->arguments[i] != NULL; i++)
        board_note(shelf->board, "  argument %s", build->arguments[i]);
    for (unsigned i = 0; build->labels != NULL && build->labels[i] != NULL; i++)
        board_note(shelf->board, "  label %s", build->labels[i]);
    int file = open(build->file, O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    close(file);
    dprintf(build->log_descriptor, "Step 1 : FROM something\nStep 2 : %zd bytes of it\n", length);
    shelf->host->call->progress(call, 0, 0, "Step 2");
    if (strstr(text, "RUN false") != NULL) {
        dprintf(build->log_descriptor, "the command '/bin/sh -c false' returned 1\n");
        shelf->host->call->fail(call, DESCPIPE_FAILED_REFUSED, "the command '/bin/sh -c false' returned 1", NULL);
        return;
    }
    snprintf(image.config, sizeof image.config, "sha256:%064zx", (size_t)length);
    const char *with = strstr(text, "# with ");
    const struct waiting now = {.call = call, .build = build, .image = image};
    if (with == NULL) {
        end_build(shelf, &now);
        return;
    }
    shelf->waiting[shelf->waiting_count++ % WAITING_LIMIT] = now;
    if (shelf->waiting_count < strtoul(with + 7, NULL, 10))
        return;
    for (unsigned i = 0; i < shelf->waiting_count; i++)
        end_build(shelf, &shelf->waiting[i]);
    shelf->waiting_count = 0;
}

static void push(void *self, struct descpipe_call *call, const struct descpipe_push *push)
{
    const struct shelf *shelf = self;
    struct board_image image;
    char path[BOARD_LINE * 2];
    board_note(shelf->board, "push %s as %s", push->image->reference, push->target->reference);
    if (!find(shelf, push->image, &image) || image.failure[0] != '\0') {
        const char *message;
        unsigned kind = board_failure(image.failure[0] != '\0' ? image.failure : "refused nothing here", &message);
        shelf->host->call->fail(call, kind, message, NULL);
        return;
    }
    shelf->host->call->progress(call, 5, 5, NULL);
    snprintf(image.manifest, sizeof image.manifest, "sha256:%064x", 0xabc);
    board_path(shelf->board, "harbour", strchr(push->target->reference, '/') + 1, path);
    board_write(path, &image);
    answer(shelf, call, &image);
}

static void prune(void *self, struct descpipe_call *call, const struct descpipe_prune *prune)
{
    const struct shelf *shelf = self;
    board_note(shelf->board, "prune flags %u unused %llu keep %llu", prune->flags, (unsigned long long)prune->unused_ms,
               (unsigned long long)prune->keep_bytes);
    shelf->host->answer->text(call, "old:1.0");
    shelf->host->answer->fact(call, "freed", "3145728");
    shelf->host->call->succeed(call);
}

static const struct descpipe_option board_option = {.size = sizeof board_option,
                                                    .type = DESCPIPE_OPTION_PATH,
                                                    .flags = DESCPIPE_OPTION_REQUIRED,
                                                    .key = "board",
                                                    .help = "The folder of the test."};
static const struct descpipe_option *const options[] = {&board_option, NULL};

static const struct descpipe_runtime table = {
    .size = sizeof table,
    .capabilities = DESCPIPE_RUNTIME_PINS_DIGEST,
    .sources = DESCPIPE_SOURCE_REGISTRY,
    .open = shelf_open,
    .close = shelf_close,
    .forms = forms,
    .probe = probe,
    .identify = identify,
    .prepare = prepare,
    .launch = launch,
    .build = build,
    .push = push,
    .prune = prune,
};

static const struct descpipe_plugin descriptor = {
    .size = sizeof descriptor,
    .abi_major = DESCPIPE_ABI_MAJOR,
    .abi_minor = DESCPIPE_ABI_MINOR,
    .kind = "runtime",
    .name = "shelf",
    .version = "0.1",
    .summary = "Images that are files of the test",
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
