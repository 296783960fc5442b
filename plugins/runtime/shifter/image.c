/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the site's image gateway knows of an image, and how it gets it: `identify` and `prepare`.
 *
 * How it works:
 *
 *     lookup ─► the id ─► compared with the pin
 *        └─ not there, or not the pinned ─► login (private images) ─► pull, its status followed to the end ─► lookup
 *
 * - `shifterimg lookup docker:NAME:TAG` prints the image's id and exits 0, or exits 1 (src/shifterimg.c, queryGateway).
 * - `shifterimg pull` prints a line for each state, "... Pulling Image: docker:NAME:TAG, status: STATE", set apart by
 *   carriage returns; MISSING, INIT, PENDING, PULLING, EXAMINATION, CONVERSION and TRANSFER mean that it goes on. Its
 *   exit status says nothing of how it ended (src/shifterimg.c): the last state does, READY is good.
 *   Where it ends before the gateway has (a question that took longer than the site's gatewayTimeout) it is asked
 * again: who wants what is being pulled is told of that pull.
 * - Images are named by tags only. For docker the gateway "typically assigns the sha256 hash of the image manifest" as
 * the id (doc/command/shifter.rst); gateways in use give the config's digest too, so both pins are compared.
 * - `shifterimg login LOCATION` asks for name and password on the terminal, or on standard input where there is none
 *   (src/shifterimg.c, getttycred), and keeps them encrypted by munge, for the gateway (doc/PrivateImagesAndACLS.md).
 * - "If the image is pulled with no ACLs specified, then it will be publicly visible" (doc/PrivateImagesAndACLS.md):
 * what is pulled with a login is pulled for the caller alone.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "registry/ownership.h"

#include "tool/environment.h"
#include "tool/facts.h"
#include "tool/run.h"

#include "shifter.h"

#define ID_LENGTH 64
#define ASK_AGAIN_MS 1000

struct request {
    struct shifter *shifter;
    struct descpipe_call *call;         /* NULL once it ended while a login was awaited */
    const struct descpipe_image *image; /* lives until the call is finished */
    bool prepare, pulled, waiting_for_login, cancelled, private_image;
    char *name; /* "docker:NAME:TAG" */
    char id[ID_LENGTH + 1];
    char state[64];   /* the last one that the gateway told */
    int64_t until_ms; /* of the clock that only goes forward: when a pull has taken too long */
    struct descpipe_process *process;
    char *login; /* "name\npassword\n", until it is handed over */
    struct arguments argv, environment;
    struct failure failure;
};

static void wipe_login(struct request *request)
{
    if (request->login != NULL)
        explicit_bzero(request->login, strlen(request->login));
    free(request->login);
    request->login = NULL;
}

static void request_free(struct request *request)
{
    wipe_login(request);
    arguments_clear(&request->argv);
    arguments_clear(&request->environment);
    failure_clear(&request->failure);
    free(request->name);
    free(request);
}

static void finish_failed(struct request *request, uint32_t kind, const char *hint, const char *words)
{
    failure_set(&request->failure, kind, "image '%.300s': %s", request->image->reference, words);
    if (hint != NULL)
        failure_hint(&request->failure, "%s", hint);
    failure_finish(&request->failure, request->shifter->host, request->call);
    request_free(request);
}

static bool digest_is(const char *digest, const char *id)
{
    return digest != NULL && strncmp(digest, "sha256:", 7) == 0 && strcmp(digest + 7, id) == 0;
}

static bool is_pinned(const struct descpipe_image *image)
{
    return image->config_digest != NULL || image->manifest_digest != NULL ||
           image_reference_digest(image->reference) != NULL;
}

/* Is the gateway's image the one that the plan means? */
static bool is_the_pinned(const struct request *request)
{
    const struct descpipe_image *image = request->image;
    return !is_pinned(image) || digest_is(image->config_digest, request->id) ||
           digest_is(image->manifest_digest, request->id) ||
           digest_is(image_reference_digest(image->reference), request->id);
}

static void finish_done(struct request *request)
{
    char digest[ID_LENGTH + 8];
    const struct descpipe_image *image = request->image;
    snprintf(digest, sizeof digest, "sha256:%s", request->id);
    const char *handle =
        request->shifter->by_id ? arguments_format(&request->argv, "id:%s", request->id) : request->name;
    struct descpipe_image_identity identity = {.size = sizeof identity,
                                               .present = 1,
                                               .config_digest =
                                                   image->config_digest != NULL ? image->config_digest : digest,
                                               .manifest_digest = image->manifest_digest,
                                               .platform = image->platform,
                                               .handle = handle};
    request->shifter->host->answer->identity(request->call, &identity);
    request->shifter->host->call->succeed(request->call);
    request_free(request);
}

static void begin_command(struct request *request, const char *word)
{
    arguments_clear(&request->argv);
    arguments_clear(&request->environment);
    arguments_add(&request->argv, request->shifter->images);
    arguments_add(&request->argv, word);
    environment_add_basics(&request->environment);
}

static bool gateway_is_silent(const struct tool_end *end)
{
    return strstr(end->output, "failed to contact the image gateway") != NULL || strncmp(end->output, "err ", 4) == 0;
}

static void start_pull(struct request *request);

/* The id is alone on its line: hexadecimal digits. */
static bool take_id(struct request *request, const char *output)
{
    size_t length = strspn(output, "0123456789abcdef");
    if (length != ID_LENGTH || (output[length] != '\n' && output[length] != '\0'))
        return false;
    memcpy(request->id, output, ID_LENGTH);
    request->id[ID_LENGTH] = '\0';
    return true;
}

static void looked_up(void *context, const struct tool_end *end)
{
    struct request *request = context;
    char words[512];
    bool always = request->image->pull == DESCPIPE_PULL_ALWAYS && !request->pulled;
    bool may_pull = request->prepare && !request->pulled && request->image->pull != DESCPIPE_PULL_NEVER;
    request->process = NULL;
    if (request->cancelled) {
        finish_failed(request, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (!end->started) {
        finish_failed(request, DESCPIPE_FAILED_UNSUPPORTED, SHIFTER_TOOL_HINT, end->words);
    } else if (gateway_is_silent(end)) {
        finish_failed(request, DESCPIPE_FAILED_CANNOT_ASK, "is the site's image gateway up?",
                      "the image gateway does not answer");
    } else if (end->good && take_id(request, end->output) && is_the_pinned(request) && !(may_pull && always)) {
        finish_done(request);
    } else if (may_pull) {
        start_pull(request);
    } else if (!end->good || request->id[0] == '\0') {
        finish_failed(request, DESCPIPE_FAILED_NOT_FOUND,
                      request->prepare ? "get it with `shifterimg pull`, or say `pull: missing`" : NULL,
                      "the image gateway does not have it");
    } else if (!request->prepare) {
        finish_failed(request, DESCPIPE_FAILED_NOT_FOUND, NULL, "the image gateway has another one under that name");
    } else {
        snprintf(words, sizeof words, "the tag has moved: the image gateway has %s, and the plan pins %.80s",
                 request->id,
                 request->image->config_digest != NULL     ? request->image->config_digest
                 : request->image->manifest_digest != NULL ? request->image->manifest_digest
                                                           : image_reference_digest(request->image->reference));
        finish_failed(request, DESCPIPE_FAILED_REFUSED,
                      "plan again to pin what is there now; Shifter can pull tags only, no digests", words);
    }
}

static void run(struct request *request, uint64_t timeout_ms, void (*done)(void *context, const struct tool_end *end))
{
    const struct tool_request tool = {.argv = request->argv.words,
                                      .environment = request->environment.words,
                                      .timeout_ms = timeout_ms,
                                      .input = request->login,
                                      .done = done,
                                      .context = request};
    request->process =
        request->argv.failed || request->environment.failed ? NULL : tool_run(request->shifter->host, &tool);
    wipe_login(request);
    if (request->process == NULL)
        finish_failed(request, DESCPIPE_FAILED_LATER, NULL, "out of memory");
}

static void look_up(struct request *request)
{
    begin_command(request, "lookup");
    arguments_add(&request->argv, request->name);
    run(request, 0, looked_up);
}

/* The last "status: STATE" of what was printed. */
static void read_state(const char *output, char state[64])
{
    static const char word[] = "status: ";
    state[0] = '\0';
    for (const char *place = output; (place = strstr(place, word)) != NULL;) {
        place += strlen(word);
        snprintf(state, 64, "%.*s", (int)strspn(place, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), place);
    }
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool goes_on(const char *state)
{
    static const char *const states[] = {"MISSING",     "INIT",       "PENDING", "PULLING",
                                         "EXAMINATION", "CONVERSION", "TRANSFER"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(state, states[i]) == 0)
            return true;
    return false;
}

static void pull(struct request *request);

static void ask_again(void *context)
{
    struct request *request = context;
    if (request->cancelled)
        finish_failed(request, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    else
        pull(request);
}

static void pull_ended(void *context, const struct tool_end *end)
{
    struct request *request = context;
    char words[256];
    request->process = NULL;
    read_state(end->output, request->state);
    if (request->cancelled) {
        finish_failed(request, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    } else if (gateway_is_silent(end)) {
        finish_failed(request, DESCPIPE_FAILED_CANNOT_ASK, "is the site's image gateway up?",
                      "the image gateway does not answer");
    } else if (goes_on(request->state) && now_ms() < request->until_ms) {
        snprintf(words, sizeof words, "the image gateway: %s", request->state);
        request->shifter->host->call->progress(request->call, 0, 0, words);
        request->shifter->host->timer->start(request->shifter->host, ASK_AGAIN_MS, ask_again, request);
    } else if (strcmp(request->state, "READY") != 0) {
        snprintf(words, sizeof words, "the image gateway could not get it: %.60s",
                 request->state[0] != '\0' ? request->state : end->words);
        finish_failed(request, DESCPIPE_FAILED_REFUSED,
                      "is the name right, is the registry one that the site allows, and does the image need a login?",
                      words);
    } else {
        request->pulled = true;
        request->id[0] = '\0';
        look_up(request);
    }
}

static void pull(struct request *request)
{
    const struct passwd *account = request->private_image ? getpwuid(geteuid()) : NULL;
    if (request->private_image && account == NULL) {
        finish_failed(request, DESCPIPE_FAILED_REFUSED, NULL,
                      "it is private, and this account has no name to keep it for");
        return;
    }
    arguments_clear(&request->argv);
    arguments_clear(&request->environment);
    environment_add_basics(&request->environment);
    arguments_add(&request->argv, request->shifter->images);
    if (account != NULL) {
        arguments_add(&request->argv, "--user");
        arguments_add(&request->argv, arguments_format(&request->argv, "%s", account->pw_name));
    }
    arguments_add(&request->argv, "pull");
    arguments_add(&request->argv, request->name);
    run(request, request->shifter->pull_timeout_ms, pull_ended);
}

static void login_ended(void *context, const struct tool_end *end)
{
    struct request *request = context;
    request->process = NULL;
    if (request->cancelled)
        finish_failed(request, DESCPIPE_FAILED_CANCELLED, NULL, "cancelled");
    else if (!end->good)
        finish_failed(request, DESCPIPE_FAILED_NEEDS_LOGIN,
                      "does `shifterimg login` work, and is 'login-location' what the site calls the registry?",
                      end->words);
    else
        pull(request);
}

static void log_in(struct request *request, const struct descpipe_credential *credential)
{
    const struct descpipe_host *host = request->shifter->host;
    const char *password = credential->password != NULL ? host->secret->reveal(credential->password, NULL) : "";
    if (strpbrk(password, "\r\n") != NULL || strpbrk(credential->username, ":\r\n") != NULL) {
        finish_failed(request, DESCPIPE_FAILED_UNSUPPORTED, NULL, "its login has letters that Shifter cannot take");
        return;
    }
    if (asprintf(&request->login, "%s\n%s\n", credential->username, password) < 0) {
        request->login = NULL;
        finish_failed(request, DESCPIPE_FAILED_LATER, NULL, "out of memory");
        return;
    }
    begin_command(request, "login");
    arguments_add(&request->argv, request->shifter->login_location);
    request->private_image = true;
    run(request, 0, login_ended);
}

static void got_login(void *context, const struct descpipe_credential *credential, const char *message)
{
    struct request *request = context;
    request->waiting_for_login = false;
    if (request->call == NULL)
        request_free(request);
    else if (message != NULL)
        finish_failed(request, DESCPIPE_FAILED_NEEDS_LOGIN, NULL, message);
    else if (credential != NULL && credential->username != NULL)
        log_in(request, credential);
    else
        pull(request);
}

static void start_pull(struct request *request)
{
    const struct descpipe_host *host = request->shifter->host;
    request->until_ms = now_ms() + (int64_t)request->shifter->pull_timeout_ms;
    request->waiting_for_login = true;
    host->credential->for_image(host, request->image, DESCPIPE_PURPOSE_PULL, got_login, request);
}

static void cancel_wished(void *context)
{
    struct request *request = context;
    const struct descpipe_host *host = request->shifter->host;
    request->cancelled = true;
    if (request->process != NULL) {
        host->process->stop(request->process);
    } else if (request->waiting_for_login) {
        host->call->fail(request->call, DESCPIPE_FAILED_CANCELLED, "cancelled while the login was asked for", NULL);
        request->call = NULL;
    }
}

/* "docker:NAME:TAG": without a digest, and without the host that a gateway takes for granted. NULL: there is no tag. */
static char *gateway_name(const char *reference)
{
    static const char hub[] = "docker.io/", library[] = "library/";
    char *name = NULL;
    size_t length = strcspn(reference, "@");
    bool digest_only = reference[length] == '@';
    if (strncmp(reference, hub, strlen(hub)) == 0) {
        reference += strlen(hub);
        length -= strlen(hub);
        if (strncmp(reference, library, strlen(library)) == 0) {
            reference += strlen(library);
            length -= strlen(library);
        }
    }
    const char *last = memrchr(reference, '/', length);
    bool tagged = memchr(last != NULL ? last : reference, ':', length - (size_t)(last != NULL ? last - reference : 0));
    if (digest_only && !tagged)
        return NULL;
    return asprintf(&name, "docker:%.*s%s", (int)length, reference, tagged ? "" : ":latest") < 0 ? NULL : name;
}

static void start(struct shifter *shifter, struct descpipe_call *call, const struct descpipe_image *image, bool prepare)
{
    const struct descpipe_host *host = shifter->host;
    if (image->source != DESCPIPE_SOURCE_REGISTRY) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, "runtime 'shifter' cannot use such an image",
                         "Shifter's gateway pulls from registries only: push the image to one");
        return;
    }
    if (shifter->images == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_UNSUPPORTED, SHIFTER_TOOL_MESSAGE, SHIFTER_TOOL_HINT);
        return;
    }
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        host->call->fail(call, DESCPIPE_FAILED_LATER, "out of memory", NULL);
        return;
    }
    *request = (struct request){.shifter = shifter, .call = call, .image = image, .prepare = prepare};
    request->name = gateway_name(image->reference);
    if (request->name == NULL) {
        finish_failed(request, DESCPIPE_FAILED_UNSUPPORTED, "name a tag besides the digest, NAME:TAG@sha256:...",
                      "Shifter can pull tags only, no digests");
        return;
    }
    host->call->on_cancel(call, cancel_wished, request);
    look_up(request);
}

void shifter_identify(void *self, struct descpipe_call *call, const struct descpipe_image *image)
{
    start(self, call, image, false);
}

/* The gateway's images are where every node sees them: here and per node are the same. */
void shifter_prepare(void *self, struct descpipe_call *call, const struct descpipe_prepare *prepare)
{
    start(self, call, prepare->image, true);
}
