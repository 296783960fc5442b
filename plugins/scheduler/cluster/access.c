/* SPDX-License-Identifier: BSD-3-Clause */
/* Who we are at the API server; access.h says how it works. */
#include "cluster/access.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
enum { TOKEN_BYTES = 64 << 10, COMMAND_TIMEOUT_MS = 60000, TOKEN_AGE_MS = 60000, TOKEN_MARGIN_MS = 30000 };

extern char **environ;

static bool say(char *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool say(char *words, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, ACCESS_WORDS, format, arguments);
    va_end(arguments);
    return false;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A whole small file, ending with NUL; NULL with errno. */
static char *read_small(const char *path, size_t limit, size_t *length)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (descriptor < 0) {
        return NULL;
    }
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || (size_t)status.st_size > limit) {
        close(descriptor);
        errno = EFBIG;
        return NULL;
    }
    char *bytes = calloc(1, limit + 1);
    ssize_t got = 0;
    *length = 0;
    while (bytes != NULL && *length < limit && (got = read(descriptor, bytes + *length, limit - *length)) > 0) {
        *length += (size_t)got;
    }
    int error = errno;
    close(descriptor);
    if (bytes != NULL && got < 0) {
        free(bytes);
        bytes = NULL;
    }
    errno = error;
    return bytes;
}

/* Base64 as it stands in the file, into a file in memory whose name is good for this process. */
static bool keep_data(struct access *access, size_t which, const char *data, const char *what, char *words)
{
    char *packed = malloc(strlen(data) + 1);
    size_t length = 0;
    for (const char *c = data; packed != NULL && *c != '\0'; c++) {
        if (strchr(" \t\r\n", *c) == NULL) {
            packed[length++] = *c;
        }
    }
    unsigned char *plain = packed != NULL ? malloc(length + 1) : NULL;
    if (plain == NULL) {
        free(packed);
        return say(words, "out of memory");
    }
    packed[length] = '\0';
    int decoded = length % 4 == 0 && length < KUBECONFIG_BYTES
                      ? EVP_DecodeBlock(plain, (unsigned char *)packed, (int)length)
                      : -1;
    for (size_t i = length; decoded > 0 && i > 0 && packed[i - 1] == '='; i--) {
        decoded--;
    }
    bool done = decoded > 0;
    access->descriptors[which] = done ? memfd_create("descpipe-pem", MFD_CLOEXEC) : -1;
    done = done && access->descriptors[which] >= 0 &&
           write(access->descriptors[which], plain, (size_t)decoded) == (ssize_t)decoded &&
           asprintf(&access->files[which], "/proc/self/fd/%d", access->descriptors[which]) > 0;
    explicit_bzero(plain, length);
    explicit_bzero(packed, length);
    free(plain);
    free(packed);
    return done || say(words, "%s: its '%s' is no base64", access->origin, what);
}

static bool keep_files(struct access *access, char *words)
{
    const struct kubeconfig *config = &access->config;
    const struct {
        const char *path, *data, *what;
    } files[ACCESS_FILES] = {
        {config->certificate_authority, config->certificate_authority_data, "certificate-authority-data"},
        {config->client_certificate, config->client_certificate_data, "client-certificate-data"},
        {config->client_key, config->client_key_data, "client-key-data"}};
    for (size_t i = 0; i < ACCESS_FILES; i++) {
        if (files[i].data != NULL) { /* wins, as in kubectl */
            if (!keep_data(access, i, files[i].data, files[i].what, words)) {
                return false;
            }
        } else if (files[i].path != NULL) {
            access->files[i] = strdup(files[i].path);
            if (access->files[i] == NULL) {
                return say(words, "out of memory");
            }
            if (euidaccess(files[i].path, R_OK) != 0) {
                return say(words, "%s: cannot read '%.200s': %s", access->origin, files[i].path, strerror(errno));
            }
        }
    }
    return true;
}

/* What a file may say and we cannot do is refused, never dropped. */
static bool check_supported(const struct access *access, char *words)
{
    const struct kubeconfig *config = &access->config;
    if (strncmp(config->server, "https://", 8) != 0 && strncmp(config->server, "http://", 7) != 0) {
        return say(words, "%s: the server '%.200s' is no http or https address", access->origin, config->server);
    }
    if (config->username != NULL || config->password != NULL) {
        return say(words,
                   "%s: a user with a name and a password, which Kubernetes itself has given up; use a token or a "
                   "certificate",
                   access->origin);
    }
    if (config->tls_server_name != NULL) {
        return say(words, "%s: 'tls-server-name' is not supported; name the server by what its certificate says",
                   access->origin);
    }
    return true;
}

static bool open_files(struct access *access, char *paths, const char *context, char *words)
{
    struct kubeconfig_file files[KUBECONFIG_FILES];
    size_t count = 0;
    bool done = true;
    int error = 0;
    for (char *path = paths, *next; done && path != NULL; path = next) {
        next = strchr(path, ':');
        if (next != NULL) {
            *next++ = '\0';
        }
        if (path[0] == '\0') {
            continue;
        }
        if (count == KUBECONFIG_FILES) {
            done = say(words, "KUBECONFIG names more than %d files", KUBECONFIG_FILES);
            break;
        }
        size_t length = 0;
        char *text = read_small(path, KUBECONFIG_BYTES, &length);
        error = text == NULL ? errno : error;
        if (text != NULL) {
            files[count++] = (struct kubeconfig_file){.path = path, .text = text, .length = length};
        } else if (error != ENOENT) { /* of several, some may be missing */
            done = say(words, "cannot read the kubeconfig '%.300s': %s", path, strerror(error));
        }
    }
    if (done && count == 0) {
        done = say(words, "there is no kubeconfig '%.300s'", paths);
    }
    done = done && kubeconfig_read(files, count, context, &access->config, words);
    if (done && asprintf(&access->origin, "context '%s' of %s", access->config.context, files[0].path) < 0) {
        access->origin = NULL;
        done = say(words, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        char *text = (char *)(uintptr_t)files[i].text;
        explicit_bzero(text, files[i].length);
        free(text);
    }
    return done;
}

static bool open_service_account(struct access *access, char *words)
{
    const char *host = secure_getenv("KUBERNETES_SERVICE_HOST"), *port = secure_getenv("KUBERNETES_SERVICE_PORT");
    struct kubeconfig *config = &access->config;
    size_t length = 0;
    bool six = host != NULL && strchr(host, ':') != NULL;
    config->namespace = read_small(SERVICE_ACCOUNT "/namespace", 256, &length);
    config->token_file = strdup(SERVICE_ACCOUNT "/token");
    config->certificate_authority = strdup(SERVICE_ACCOUNT "/ca.crt");
    access->origin = strdup("the service account of this pod");
    if (asprintf(&config->server, "https://%s%s%s:%s", six ? "[" : "", host, six ? "]" : "",
                 port != NULL ? port : "443") < 0) {
        config->server = NULL;
    }
    return (config->server != NULL && config->token_file != NULL && config->certificate_authority != NULL &&
            access->origin != NULL) ||
           say(words, "out of memory");
}

static bool open_source(struct access *access, const char *path, const char *context, char *words)
{
    const char *named = path != NULL ? path : secure_getenv("KUBECONFIG"), *home = secure_getenv("HOME");
    char *paths = NULL;
    if (named != NULL && named[0] != '\0') {
        paths = strdup(named);
    } else if (home != NULL && asprintf(&paths, "%s/.kube/config", home) < 0) {
        paths = NULL;
    }
    bool is_default = named == NULL || named[0] == '\0';
    if (is_default && (paths == NULL || euidaccess(paths, F_OK) != 0) &&
        secure_getenv("KUBERNETES_SERVICE_HOST") != NULL) {
        free(paths);
        return open_service_account(access, words);
    }
    bool done = paths != NULL ? open_files(access, paths, context, words)
                              : say(words, "there is no kubeconfig: HOME is not set");
    free(paths);
    return done;
}

bool access_open(struct access *access, const struct descpipe_host *host, const char *path, const char *context,
                 char words[ACCESS_WORDS])
{
    *access = (struct access){
        .host = host, .descriptors = {-1, -1, -1}, .remedy = "log in to the cluster again, or see: kubectl get pods"};
    if (open_source(access, path, context, words) && check_supported(access, words) && keep_files(access, words)) {
        return true;
    }
    access_close(access);
    return false;
}

static void forget_printed(struct access *access)
{
    if (access->printed != NULL) {
        explicit_bzero(access->printed, access->printed_length);
    }
    free(access->printed);
    access->printed = NULL;
    access->printed_length = 0;
}

static void forget_token(struct access *access)
{
    if (access->token != NULL) {
        access->host->secret->release(access->token);
    }
    access->token = NULL;
    access->token_until_ms = 0;
}

void access_close(struct access *access)
{
    if (access->process != NULL) {
        access->ready = NULL;
        access->host->process->stop(access->process);
        access->process = NULL;
    }
    forget_token(access);
    forget_printed(access);
    for (size_t i = 0; i < ACCESS_FILES; i++) {
        free(access->files[i]);
        access->files[i] = NULL;
        if (access->descriptors[i] >= 0) {
            close(access->descriptors[i]);
        }
        access->descriptors[i] = -1;
    }
    kubeconfig_clear(&access->config);
    free(access->origin);
    access->origin = NULL;
}

static void keep_token(struct access *access, const char *token, int64_t until_ms)
{
    size_t length = strlen(token);
    while (length > 0 && strchr(" \t\r\n", token[length - 1]) != NULL) {
        length--;
    }
    forget_token(access);
    access->token = access->host->secret->make(token, length);
    access->token_until_ms = until_ms;
    access->stale = false;
}

/* A file's token is read again each minute: whoever rotates it tells nobody. */
static bool read_token_file(struct access *access, char *words)
{
    size_t length = 0;
    char *token = read_small(access->config.token_file, TOKEN_BYTES, &length);
    if (token == NULL) {
        return say(words, "%s: cannot read the token file '%.200s': %s", access->origin, access->config.token_file,
                   strerror(errno));
    }
    keep_token(access, token, wall_ms() + TOKEN_AGE_MS + TOKEN_MARGIN_MS);
    explicit_bzero(token, length);
    free(token);
    return access->token != NULL || say(words, "out of memory");
}

static void answer(struct access *access, const char *failure)
{
    void (*ready)(void *, const char *) = access->ready;
    access->ready = NULL;
    if (ready != NULL) {
        ready(access->context, failure);
    }
}

static void keep_line(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct access *access = context;
    if (stream != 1 || access->printed_length + length + 2 > TOKEN_BYTES * 4) {
        return;
    }
    char *grown = realloc(access->printed, access->printed_length + length + 2);
    if (grown == NULL) {
        return;
    }
    memcpy(grown + access->printed_length, line, length);
    access->printed_length += length;
    grown[access->printed_length++] = '\n';
    grown[access->printed_length] = '\0';
    access->printed = grown;
}

static int64_t read_moment(const char *text)
{
    struct tm when = {0};
    const char *rest = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &when) : NULL;
    return rest != NULL ? (int64_t)timegm(&when) * 1000 : 0;
}

/* {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": ...,
 * "expirationTimestamp": ...}} */
static bool take_credential(struct access *access, char *words)
{
    json_error_t error;
    json_t *root = access->printed != NULL ? json_loadb(access->printed, access->printed_length, 0, &error) : NULL;
    const json_t *status = json_object_get(root, "status");
    const char *token = json_string_value(json_object_get(status, "token"));
    const char *certificate = json_string_value(json_object_get(status, "clientCertificateData"));
    bool done = token != NULL && token[0] != '\0';
    if (done) {
        keep_token(access, token, read_moment(json_string_value(json_object_get(status, "expirationTimestamp"))));
    } else if (certificate != NULL) {
        say(words, "%s: '%.100s' answers with a certificate; only tokens are supported", access->origin,
            access->config.exec.command);
    } else {
        say(words, "%s: '%.100s' printed no ExecCredential with a token", access->origin, access->config.exec.command);
    }
    json_decref(root);
    return done;
}

bool access_open_server(struct access *access, const struct descpipe_host *host, const struct access_server *server,
                        char words[ACCESS_WORDS])
{
    *access = (struct access){.host = host, .descriptors = {-1, -1, -1}, .remedy = "get a new one: argo auth token"};
    uint64_t length = 0;
    const char *token = host->secret->reveal(server->token, &length), *bearer = "Bearer ";
    access->origin = strdup(server->origin);
    access->config.server = strdup(server->url);
    access->config.certificate_authority =
        server->certificate_authority != NULL ? strdup(server->certificate_authority) : NULL;
    if (access->origin == NULL || access->config.server == NULL) {
        access_close(access);
        return say(words, "out of memory");
    }
    if (!check_supported(access, words) || !keep_files(access, words)) {
        access_close(access);
        return false;
    }
    /* As Argo's own command prints it. */
    keep_token(access, strncmp(token, bearer, strlen(bearer)) == 0 ? token + strlen(bearer) : token, 0);
    if (access->token == NULL) {
        access_close(access);
        return say(words, "out of memory");
    }
    return true;
}

static void command_ended(void *context, const struct descpipe_process_end *end)
{
    struct access *access = context;
    char words[ACCESS_WORDS] = "";
    if (access->process == NULL) {
        return; /* closing */
    }
    access->process = NULL;
    const struct kubeconfig_command *exec = &access->config.exec;
    const char *hint = exec->install_hint != NULL ? exec->install_hint : "";
    bool done = false;
    if (!end->started) {
        say(words, "%s: cannot start '%.100s': %.100s %.150s", access->origin, exec->command,
            end->message != NULL ? end->message : "", hint);
    } else if (end->timed_out || end->exit_code != 0) {
        say(words, "%s: '%.100s' gave no token (%s %d)", access->origin, exec->command,
            end->timed_out ? "it took too long, status" : "exit status", end->exit_code);
    } else {
        done = take_credential(access, words);
    }
    forget_printed(access);
    answer(access, done ? NULL : words);
}

static bool has(char *const *list, size_t count, const char *entry)
{
    size_t name = strcspn(entry, "=");
    for (size_t i = 0; i < count; i++) {
        if (strncmp(list[i], entry, name + 1) == 0) {
            return true;
        }
    }
    return false;
}

/* Our environment, then what the file adds, then the question. */
static void start_command(struct access *access)
{
    struct kubeconfig_command *exec = &access->config.exec;
    size_t ours = 0;
    while (environ[ours] != NULL) {
        ours++;
    }
    char **environment = calloc(ours + KUBECONFIG_ARGUMENTS + 2, sizeof(*environment));
    char **argv = calloc(KUBECONFIG_ARGUMENTS + 2, sizeof(*argv));
    char *question = NULL;
    if (asprintf(
            &question,
            "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\",\"spec\":{\"interactive\":false}}",
            exec->api_version != NULL ? exec->api_version : "client.authentication.k8s.io/v1") < 0) {
        question = NULL;
    }
    if (environment == NULL || argv == NULL || question == NULL) {
        free(environment);
        free(argv);
        free(question);
        answer(access, "out of memory");
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < KUBECONFIG_ARGUMENTS && exec->environment[i] != NULL; i++) {
        environment[count++] = exec->environment[i];
    }
    size_t added = count;
    environment[count++] = question;
    for (size_t i = 0; i < ours; i++) {
        if (!has(environment, added + 1, environ[i])) {
            environment[count++] = environ[i];
        }
    }
    argv[0] = exec->command;
    memcpy(argv + 1, exec->arguments, KUBECONFIG_ARGUMENTS * sizeof(*argv));
    const struct descpipe_process_request request = {.size = sizeof(request),
                                                     .argv = (const char *const *)argv,
                                                     .environment = (const char *const *)environment,
                                                     .timeout_ms = COMMAND_TIMEOUT_MS,
                                                     .output_limit = (uint64_t)TOKEN_BYTES * 4,
                                                     .line = keep_line,
                                                     .ended = command_ended,
                                                     .context = access};
    access->process = access->host->process->start(access->host, &request);
    free(environment);
    free(argv);
    free(question);
}

void access_prepare(struct access *access, void (*ready)(void *context, const char *failure), void *context)
{
    const struct kubeconfig *config = &access->config;
    char words[ACCESS_WORDS] = "";
    access->ready = ready;
    access->context = context;
    bool dated = access->token_until_ms != 0 && access->token_until_ms - TOKEN_MARGIN_MS < wall_ms();
    if (access->token != NULL && !access->stale && !dated) {
        answer(access, NULL);
    } else if (config->exec.command != NULL) {
        start_command(access);
    } else if (config->token_file != NULL) {
        answer(access, read_token_file(access, words) ? NULL : words);
    } else {
        if (config->token != NULL && access->token == NULL) {
            keep_token(access, config->token, 0);
        }
        answer(access, NULL);
    }
}

bool access_refused(struct access *access)
{
    bool may_change = access->config.exec.command != NULL || access->config.token_file != NULL;
    if (!may_change || access->stale) {
        return false;
    }
    access->stale = true;
    return true;
}

void access_apply(const struct access *access, struct descpipe_http_request *request)
{
    request->ca_file = access->files[0];
    request->client_certificate = access->files[1];
    request->client_key = access->files[2];
    request->bearer = access->token;
    request->proxy = access->config.proxy_url;
    if (access->config.insecure) {
        request->flags |= DESCPIPE_HTTP_UNVERIFIED_TLS;
    }
    if (strncmp(access->config.server, "http://", 7) == 0) {
        request->flags |= DESCPIPE_HTTP_PLAIN_ALLOWED;
    }
}
