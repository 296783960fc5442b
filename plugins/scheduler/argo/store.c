/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfers; store.h says how it works. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define PUT_LIMIT (5LL << 30) /* of one PutObject */

enum { TRIES = 6, FIRST_PAUSE_MS = 500, PIECE = 1 << 16, SAID = 512 };

enum transfer_step { STEP_HASH, STEP_LOOK, STEP_PUT, STEP_FETCH };

struct store_transfer {
    struct store_transfer *next;
    struct store *store; /* NULL: nobody waits for it any more */
    store_done done;
    void *context;
    enum transfer_step step;
    char *path, *part; /* part: a file that is not whole */
    char key[STORE_KEY];
    int file;
    int64_t size;
    char hash[65];
    uint32_t tries;
    struct descpipe_exchange *exchange;
    struct descpipe_timer *timer;
    char words[STORE_WORDS], said[SAID];
    size_t said_length;
};

bool store_read(struct store *store, const struct descpipe_host *host, const char *const *map, char words[STORE_WORDS])
{
    struct {
        const char *key, **value;
    } const parts[] = {{"bucket", &store->bucket},
                       {"endpoint", &store->endpoint},
                       {"secret", &store->secret},
                       {"region", &store->region},
                       {"folder", &store->folder}};
    store->host = host;
    for (size_t i = 0; map[i] != NULL; i += 2) {
        size_t j = 0;
        while (j < sizeof(parts) / sizeof(*parts) && strcmp(map[i], parts[j].key) != 0) {
            j++;
        }
        if (j == sizeof(parts) / sizeof(*parts)) {
            snprintf(words, STORE_WORDS,
                     "the option 'artifacts' has no '%.100s'; it has bucket, endpoint, secret, region and folder",
                     map[i]);
            return false;
        }
        *parts[j].value = map[i + 1];
    }
    for (size_t j = 0; j < 3; j++) {
        if (*parts[j].value == NULL || (*parts[j].value)[0] == '\0') {
            snprintf(words, STORE_WORDS, "the option 'artifacts' names no %s", parts[j].key);
            return false;
        }
    }
    const char *scheme = strstr(store->endpoint, "://"), *name = scheme != NULL ? scheme + 3 : store->endpoint;
    bool known = strncmp(store->endpoint, "https://", 8) == 0 || strncmp(store->endpoint, "http://", 7) == 0;
    if (!known || name[0] == '\0' || strpbrk(name, "/?#@ ") != NULL) {
        snprintf(words, STORE_WORDS, "the option 'artifacts': the endpoint '%.200s' is not https://HOST[:PORT]",
                 store->endpoint);
        return false;
    }
    if (strpbrk(store->bucket, "/?#% ") != NULL || (store->folder != NULL && strpbrk(store->folder, "?#% ") != NULL)) {
        snprintf(words, STORE_WORDS, "the option 'artifacts': '%.200s' is no name of a bucket or of a folder in one",
                 strpbrk(store->bucket, "/?#% ") != NULL ? store->bucket : store->folder);
        return false;
    }
    store->region = store->region != NULL ? store->region : "us-east-1";
    return true;
}

bool store_give_keys(struct store *store, const char *access_key, const char *secret_key)
{
    store->access_key = strdup(access_key);
    store->secret_key = store->host->secret->make(secret_key, strlen(secret_key));
    return store->access_key != NULL && store->secret_key != NULL;
}

bool store_has_keys(struct store *store)
{
    const char *access = secure_getenv("AWS_ACCESS_KEY_ID"), *secret = secure_getenv("AWS_SECRET_ACCESS_KEY");
    const char *session = secure_getenv("AWS_SESSION_TOKEN");
    if (store->access_key != NULL || access == NULL || secret == NULL) {
        return store->access_key != NULL;
    }
    if (session != NULL && session[0] != '\0' && asprintf(&store->session, "x-amz-security-token: %s", session) < 0) {
        store->session = NULL;
        return false;
    }
    return store_give_keys(store, access, secret);
}

bool store_is_plain(const struct store *store)
{
    return strncmp(store->endpoint, "http://", 7) == 0;
}

const char *store_host_name(const struct store *store)
{
    return strstr(store->endpoint, "://") + 3;
}

void store_key(const struct store *store, char key[STORE_KEY], const char *format, ...)
{
    const char *folder = store->folder != NULL ? store->folder : "";
    size_t length = strlen(folder);
    bool slash = length > 0 && folder[length - 1] != '/';
    va_list arguments;
    va_start(arguments, format);
    snprintf(key, STORE_KEY, "%.400s%s", folder, slash ? "/" : "");
    length = strlen(key);
    vsnprintf(key + length, STORE_KEY - length, format, arguments);
    va_end(arguments);
}

static void transfer_free(struct store_transfer *transfer)
{
    if (transfer->file >= 0) {
        close(transfer->file);
    }
    if (transfer->part != NULL) {
        unlink(transfer->part);
    }
    free(transfer->path);
    free(transfer->part);
    free(transfer);
}

static void leave_list(struct store_transfer *transfer)
{
    struct store_transfer **at = &transfer->store->transfers;
    while (*at != transfer) {
        at = &(*at)->next;
    }
    *at = transfer->next;
    transfer->store = NULL;
}

static void finish(struct store_transfer *transfer, const char *words)
{
    leave_list(transfer);
    transfer->done(transfer->context, transfer->key, words);
    transfer_free(transfer);
}

static bool say(struct store_transfer *transfer, const char *what, const char *why)
{
    snprintf(transfer->words, sizeof(transfer->words), "cannot %s '%.150s': %.250s", what, transfer->path, why);
    return false;
}

/* On a helper thread. */
static bool hash_file(struct store_transfer *transfer)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char *piece = malloc(PIECE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ssize_t got = 0;
    int64_t size = 0;
    bool good = piece != NULL && context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    while (good && (got = read(transfer->file, piece, PIECE)) > 0) {
        size += got;
        good = EVP_DigestUpdate(context, piece, (size_t)got) == 1;
    }
    good = good && got == 0 && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    for (size_t i = 0; good && i < 32; i++) {
        snprintf(transfer->hash + 2 * i, 3, "%02x", digest[i]);
    }
    EVP_MD_CTX_free(context);
    free(piece);
    if (!good) {
        return say(transfer, "read", got < 0 ? strerror(errno) : "out of memory");
    }
    return size == transfer->size || say(transfer, "send", "it changed while it was read");
}

static void hash_work(void *context)
{
    struct store_transfer *transfer = context;
    if (!hash_file(transfer)) {
        transfer->hash[0] = '\0';
    }
}

static void ask(struct store_transfer *transfer);

static void hashed(void *context)
{
    struct store_transfer *transfer = context;
    if (transfer->store == NULL) {
        transfer_free(transfer);
    } else if (transfer->hash[0] == '\0') {
        finish(transfer, transfer->words);
    } else {
        store_key(transfer->store, transfer->key, "inputs/sha256/%s", transfer->hash);
        transfer->step = STEP_LOOK;
        ask(transfer);
    }
}

static void try_again(void *context)
{
    struct store_transfer *transfer = context;
    transfer->timer = NULL;
    ask(transfer);
}

static void said(void *context, const void *bytes, uint64_t length)
{
    struct store_transfer *transfer = context;
    size_t room = sizeof(transfer->said) - 1 - transfer->said_length, part = length < room ? (size_t)length : room;
    memcpy(transfer->said + transfer->said_length, bytes, part);
    transfer->said_length += part;
    transfer->said[transfer->said_length] = '\0';
}

/* "<Error><Code>NoSuchBucket</Code><Message>...": what is between the marks. */
static void find_word(const char *said, const char *name, char word[200])
{
    char mark[32];
    snprintf(mark, sizeof(mark), "<%s>", name);
    const char *start = strstr(said, mark);
    word[0] = '\0';
    if (start != NULL) {
        start += strlen(mark);
        snprintf(word, 200, "%.*s", (int)strcspn(start, "<\r\n"), start);
    }
}

static void explain(struct store_transfer *transfer, const struct descpipe_http_end *end)
{
    static const char *const verbs[] = {[STEP_LOOK] = "look for", [STEP_PUT] = "send", [STEP_FETCH] = "fetch"};
    char code[200], why[600];
    find_word(transfer->said, "Code", code);
    if (end->status == 0) {
        snprintf(why, sizeof(why), "%.300s", end->message != NULL ? end->message : "no answer");
    } else {
        snprintf(why, sizeof(why), "the store answered %d%s%.80s%s (bucket '%.63s' at %.100s)", (int)end->status,
                 code[0] != '\0' ? " " : "", code,
                 end->status == 403 ? ", so the access key is wrong or may not do this" : "", transfer->store->bucket,
                 transfer->store->endpoint);
    }
    say(transfer, verbs[transfer->step], why);
}

static void fetched(struct store_transfer *transfer)
{
    bool whole = fsync(transfer->file) == 0 && rename(transfer->part, transfer->path) == 0;
    if (!whole) {
        say(transfer, "write", strerror(errno));
    } else {
        free(transfer->part);
        transfer->part = NULL;
    }
    finish(transfer, whole ? NULL : transfer->words);
}

static void ended(void *context, const struct descpipe_http_end *end)
{
    struct store_transfer *transfer = context;
    transfer->exchange = NULL;
    if (transfer->store == NULL) {
        transfer_free(transfer);
        return;
    }
    bool well = end->outcome == DESCPIPE_HTTP_DONE && end->status >= 200 && end->status < 300;
    if (well && transfer->step == STEP_FETCH) {
        fetched(transfer);
    } else if (well) {
        finish(transfer, NULL);
    } else if (transfer->step == STEP_LOOK && end->status == 404) {
        transfer->step = STEP_PUT;
        transfer->tries = 0;
        ask(transfer);
    } else {
        const struct descpipe_host *host = transfer->store->host;
        bool passes = end->status == 0 || end->status == 429 || end->status >= 500;
        explain(transfer, end);
        if (passes && ++transfer->tries < TRIES) {
            transfer->timer =
                host->timer->start(host, (uint64_t)FIRST_PAUSE_MS << transfer->tries, try_again, transfer);
        } else {
            finish(transfer, transfer->words);
        }
    }
}

static void ask(struct store_transfer *transfer)
{
    static const char *const methods[] = {[STEP_LOOK] = "HEAD", [STEP_PUT] = "PUT", [STEP_FETCH] = "GET"};
    const struct store *store = transfer->store;
    char url[STORE_KEY + 512], signature[128], hash[128];
    const char *const headers[] = {hash, store->session, NULL};
    snprintf(hash, sizeof(hash), "x-amz-content-sha256: %s",
             transfer->step == STEP_PUT ? transfer->hash : HASH_OF_NOTHING);
    snprintf(url, sizeof(url), "%s/%s/%s", store->endpoint, store->bucket, transfer->key);
    snprintf(signature, sizeof(signature), "aws:amz:%.60s:s3", store->region);
    transfer->said_length = 0;
    transfer->said[0] = '\0';
    if (transfer->file >= 0 && (lseek(transfer->file, 0, SEEK_SET) != 0 ||
                                (transfer->step == STEP_FETCH && ftruncate(transfer->file, 0) != 0))) {
        say(transfer, "use", strerror(errno));
        finish(transfer, transfer->words);
        return;
    }
    struct descpipe_http_request request = {.size = sizeof(request),
                                            .flags = store_is_plain(store) ? DESCPIPE_HTTP_PLAIN_ALLOWED : 0,
                                            .method = methods[transfer->step],
                                            .url = url,
                                            .headers = headers,
                                            .username = store->access_key,
                                            .password = store->secret_key,
                                            .sigv4 = signature,
                                            .data = said,
                                            .ended = ended,
                                            .context = transfer};
    if (transfer->step == STEP_PUT) {
        request.body_descriptor = transfer->file;
        request.body_length = (uint64_t)transfer->size;
    } else if (transfer->step == STEP_FETCH) {
        request.answer_descriptor = transfer->file;
        request.answer_limit = UINT64_MAX;
    }
    transfer->exchange = store->host->http->start(store->host, &request);
}

static struct store_transfer *transfer_new(struct store *store, const char *path, store_done done, void *context)
{
    struct store_transfer *transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL) {
        return NULL;
    }
    *transfer = (struct store_transfer){
        .store = store, .done = done, .context = context, .path = strdup(path), .file = -1, .next = store->transfers};
    if (transfer->path == NULL) {
        free(transfer);
        return NULL;
    }
    store->transfers = transfer;
    return transfer;
}

static void say_later(void *context)
{
    struct store_transfer *transfer = context;
    transfer->timer = NULL;
    finish(transfer, transfer->words);
}

static struct store_transfer *cannot(struct store_transfer *transfer, const char *what, const char *why)
{
    const struct descpipe_host *host = transfer->store->host;
    say(transfer, what, why);
    transfer->timer = host->timer->start(host, 0, say_later, transfer);
    return transfer;
}

struct store_transfer *store_put(struct store *store, const char *path, store_done done, void *context)
{
    struct store_transfer *transfer = transfer_new(store, path, done, context);
    struct stat status;
    if (transfer == NULL) {
        return NULL;
    }
    transfer->file = open(path, O_RDONLY | O_CLOEXEC);
    if (transfer->file < 0 || fstat(transfer->file, &status) != 0) {
        return cannot(transfer, "read", strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return cannot(transfer, "send", "it is no file, and artifacts carry files only");
    }
    if (status.st_size > PUT_LIMIT) {
        return cannot(transfer, "send", "it has more than 5 GiB, the most that is sent in one piece; use a volume");
    }
    transfer->size = status.st_size;
    transfer->step = STEP_HASH;
    store->host->work->run(store->host, hash_work, hashed, transfer);
    return transfer;
}

struct store_transfer *store_fetch(struct store *store, const char *key, const char *path, store_done done,
                                   void *context)
{
    struct store_transfer *transfer = transfer_new(store, path, done, context);
    if (transfer == NULL) {
        return NULL;
    }
    transfer->step = STEP_FETCH;
    snprintf(transfer->key, sizeof(transfer->key), "%s", key);
    if (asprintf(&transfer->part, "%s.part", path) < 0) {
        transfer->part = NULL;
        return cannot(transfer, "fetch", "out of memory");
    }
    transfer->file = open(transfer->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (transfer->file < 0) {
        return cannot(transfer, "write", strerror(errno));
    }
    ask(transfer);
    return transfer;
}

void store_drop(struct store_transfer *transfer)
{
    if (transfer == NULL) {
        return;
    }
    struct store *store = transfer->store;
    leave_list(transfer);
    if (transfer->timer != NULL) {
        store->host->timer->stop(transfer->timer);
        transfer_free(transfer);
    } else if (transfer->exchange != NULL) {
        store->host->http->stop(transfer->exchange); /* its end frees it */
    }                                                /* and so does that of a hash */
}

void store_close(struct store *store)
{
    while (store->transfers != NULL) {
        store_drop(store->transfers);
    }
    free(store->access_key);
    free(store->session);
    if (store->secret_key != NULL) {
        store->host->secret->release(store->secret_key);
    }
    *store = (struct store){.host = store->host};
}
