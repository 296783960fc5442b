/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads kubeconfig files. Only fixed keys at a fixed depth are looked at, so an alias that holds itself does no harm.
 */
#include "cluster/kubeconfig.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct document {
    const struct kubeconfig_file *file;
    yaml_document_t yaml;
    bool loaded;
};

struct reading {
    struct document *documents;
    size_t count;
    char *words;
};

static bool refuse(struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct reading *reading, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->words, KUBECONFIG_WORDS, format, arguments);
    va_end(arguments);
    return false;
}

static const char *scalar(const yaml_node_t *node)
{
    if (node == NULL || node->type != YAML_SCALAR_NODE) {
        return NULL;
    }
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL; /* a NUL inside is nobody's */
}

static yaml_node_t *member(struct document *document, const yaml_node_t *node, const char *key)
{
    if (node == NULL || node->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const char *name = scalar(yaml_document_get_node(&document->yaml, pair->key));
        if (name != NULL && strcmp(name, key) == 0) {
            return yaml_document_get_node(&document->yaml, pair->value);
        }
    }
    return NULL;
}

static const char *text_of(struct document *document, const yaml_node_t *node, const char *key)
{
    const char *text = scalar(member(document, node, key));
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* The entry NAME of the list KIND ("clusters"), in the first file that has it; its inner part, under INNER. */
static yaml_node_t *entry(struct reading *reading, const char *kind, const char *inner, const char *name,
                          struct document **where)
{
    for (size_t i = 0; i < reading->count; i++) {
        struct document *document = &reading->documents[i];
        yaml_node_t *list = member(document, yaml_document_get_root_node(&document->yaml), kind);
        if (list == NULL || list->type != YAML_SEQUENCE_NODE) {
            continue;
        }
        for (yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
            yaml_node_t *node = yaml_document_get_node(&document->yaml, *item);
            const char *own = text_of(document, node, "name");
            if (own != NULL && strcmp(own, name) == 0) {
                *where = document;
                return member(document, node, inner);
            }
        }
    }
    return NULL;
}

static bool keep(struct reading *reading, char **place, const char *text)
{
    if (text == NULL) {
        return true;
    }
    *place = strdup(text);
    return *place != NULL || refuse(reading, "out of memory");
}

static bool keep_text(struct reading *reading, struct document *document, const yaml_node_t *node, const char *key,
                      char **place)
{
    return keep(reading, place, text_of(document, node, key));
}

/* A path counts from its file's folder. */
static bool keep_path(struct reading *reading, struct document *document, const yaml_node_t *node, const char *key,
                      char **place)
{
    const char *path = text_of(document, node, key);
    const char *slash = strrchr(document->file->path, '/');
    if (path == NULL || path[0] == '/' || slash == NULL) {
        return keep(reading, place, path);
    }
    if (asprintf(place, "%.*s/%s", (int)(slash - document->file->path), document->file->path, path) < 0) {
        *place = NULL;
        return refuse(reading, "out of memory");
    }
    return true;
}

static bool read_boolean(struct document *document, const yaml_node_t *node, const char *key)
{
    const char *text = text_of(document, node, key);
    return text != NULL && strcmp(text, "true") == 0;
}

static bool read_cluster(struct reading *reading, struct kubeconfig *config)
{
    struct document *document = NULL;
    yaml_node_t *node = entry(reading, "clusters", "cluster", config->cluster, &document);
    if (node == NULL) {
        return refuse(reading, "context '%.100s' names the cluster '%.100s', which no kubeconfig has", config->context,
                      config->cluster);
    }
    config->insecure = read_boolean(document, node, "insecure-skip-tls-verify");
    if (!keep_text(reading, document, node, "server", &config->server) ||
        !keep_path(reading, document, node, "certificate-authority", &config->certificate_authority) ||
        !keep_text(reading, document, node, "certificate-authority-data", &config->certificate_authority_data) ||
        !keep_text(reading, document, node, "proxy-url", &config->proxy_url) ||
        !keep_text(reading, document, node, "tls-server-name", &config->tls_server_name)) {
        return false;
    }
    if (config->server == NULL) {
        return refuse(reading, "%.200s: the cluster '%.100s' has no server", document->file->path, config->cluster);
    }
    return true;
}

static bool read_list(struct reading *reading, struct document *document, const yaml_node_t *list, char **into,
                      bool pairs)
{
    size_t count = 0;
    if (list == NULL || list->type != YAML_SEQUENCE_NODE) {
        return true;
    }
    for (yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
        yaml_node_t *node = yaml_document_get_node(&document->yaml, *item);
        const char *name = pairs ? text_of(document, node, "name") : scalar(node);
        const char *value = pairs ? scalar(member(document, node, "value")) : NULL;
        if (name == NULL || (pairs && value == NULL)) {
            return refuse(reading, "%.200s: the user's exec command has a word that is no text", document->file->path);
        }
        if (count == KUBECONFIG_ARGUMENTS) {
            return refuse(reading, "%.200s: the user's exec command has more than %d words", document->file->path,
                          KUBECONFIG_ARGUMENTS);
        }
        int length = pairs ? asprintf(&into[count], "%s=%s", name, value) : asprintf(&into[count], "%s", name);
        if (length < 0) {
            into[count] = NULL;
            return refuse(reading, "out of memory");
        }
        count++;
    }
    return true;
}

static bool read_exec(struct reading *reading, struct document *document, const yaml_node_t *node,
                      struct kubeconfig_command *exec)
{
    if (node == NULL) {
        return true;
    }
    exec->provides_cluster = read_boolean(document, node, "provideClusterInfo");
    const char *command = text_of(document, node, "command");
    if (command == NULL) {
        return refuse(reading, "%.200s: the user's exec has no command", document->file->path);
    }
    /* A name without a slash is looked for on PATH; with one it counts from the file. */
    bool kept = strchr(command, '/') != NULL ? keep_path(reading, document, node, "command", &exec->command)
                                             : keep(reading, &exec->command, command);
    return kept && keep_text(reading, document, node, "apiVersion", &exec->api_version) &&
           keep_text(reading, document, node, "installHint", &exec->install_hint) &&
           read_list(reading, document, member(document, node, "args"), exec->arguments, false) &&
           read_list(reading, document, member(document, node, "env"), exec->environment, true);
}

static bool read_user(struct reading *reading, struct kubeconfig *config)
{
    struct document *document = NULL;
    if (config->user == NULL) {
        return true; /* nobody in particular */
    }
    yaml_node_t *node = entry(reading, "users", "user", config->user, &document);
    if (document == NULL) {
        return refuse(reading, "context '%.100s' names the user '%.100s', which no kubeconfig has", config->context,
                      config->user);
    }
    static const char *const unknown[] = {"auth-provider", "as", "as-groups", "as-uid", "as-user-extra"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        if (member(document, node, unknown[i]) != NULL) {
            return refuse(reading, "%.200s: the user '%.100s' has '%s', which descpipe does not support",
                          document->file->path, config->user, unknown[i]);
        }
    }
    return keep_text(reading, document, node, "token", &config->token) &&
           keep_path(reading, document, node, "tokenFile", &config->token_file) &&
           keep_path(reading, document, node, "client-certificate", &config->client_certificate) &&
           keep_text(reading, document, node, "client-certificate-data", &config->client_certificate_data) &&
           keep_path(reading, document, node, "client-key", &config->client_key) &&
           keep_text(reading, document, node, "client-key-data", &config->client_key_data) &&
           keep_text(reading, document, node, "username", &config->username) &&
           keep_text(reading, document, node, "password", &config->password) &&
           read_exec(reading, document, member(document, node, "exec"), &config->exec);
}

static bool choose_context(struct reading *reading, const char *wanted, struct kubeconfig *config)
{
    const char *name = wanted;
    for (size_t i = 0; name == NULL && i < reading->count; i++) {
        struct document *document = &reading->documents[i];
        name = text_of(document, yaml_document_get_root_node(&document->yaml), "current-context");
    }
    if (name == NULL) {
        return refuse(reading, "%.300s names no current-context", reading->documents[0].file->path);
    }
    struct document *document = NULL;
    yaml_node_t *node = entry(reading, "contexts", "context", name, &document);
    if (node == NULL) {
        return refuse(reading, "there is no context '%.100s' in %.200s%s", name, reading->documents[0].file->path,
                      reading->count > 1 ? " and the others" : "");
    }
    if (!keep(reading, &config->context, name) || !keep_text(reading, document, node, "cluster", &config->cluster) ||
        !keep_text(reading, document, node, "user", &config->user) ||
        !keep_text(reading, document, node, "namespace", &config->namespace)) {
        return false;
    }
    return config->cluster != NULL ||
           refuse(reading, "%.200s: the context '%.100s' names no cluster", document->file->path, name);
}

static bool load(struct reading *reading, struct document *document, const struct kubeconfig_file *file)
{
    yaml_parser_t parser;
    document->file = file;
    if (file->length > KUBECONFIG_BYTES) {
        return refuse(reading, "%.300s is larger than a kubeconfig may be", file->path);
    }
    if (!yaml_parser_initialize(&parser)) {
        return refuse(reading, "out of memory");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)file->text, file->length);
    document->loaded = yaml_parser_load(&parser, &document->yaml) != 0;
    if (!document->loaded) {
        refuse(reading, "%.300s:%zu:%zu: %.100s", file->path, parser.problem_mark.line + 1,
               parser.problem_mark.column + 1, parser.problem != NULL ? parser.problem : "no YAML");
    }
    yaml_parser_delete(&parser);
    return document->loaded;
}

bool kubeconfig_read(const struct kubeconfig_file *files, size_t count, const char *context, struct kubeconfig *config,
                     char words[KUBECONFIG_WORDS])
{
    struct document documents[KUBECONFIG_FILES];
    memset(documents, 0, sizeof(documents));
    struct reading reading = {.documents = documents, .words = words};
    memset(config, 0, sizeof(*config));
    bool done = count > 0 && count <= KUBECONFIG_FILES;
    if (!done) {
        refuse(&reading, "%d kubeconfig files are named; from 1 to %d can be read", (int)count, KUBECONFIG_FILES);
    }
    for (size_t i = 0; done && i < count; i++) {
        reading.count = i + 1;
        done = load(&reading, &documents[i], &files[i]);
    }
    done = done && choose_context(&reading, context, config) && read_cluster(&reading, config) &&
           read_user(&reading, config);
    for (size_t i = 0; i < reading.count; i++) {
        if (documents[i].loaded) {
            yaml_document_delete(&documents[i].yaml);
        }
    }
    if (!done) {
        kubeconfig_clear(config);
    }
    return done;
}

static void wipe(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
    }
}

void kubeconfig_clear(struct kubeconfig *config)
{
    wipe(config->token);
    wipe(config->password);
    wipe(config->client_key_data);
    char *const texts[] = {config->context,
                           config->cluster,
                           config->user,
                           config->server,
                           config->certificate_authority,
                           config->certificate_authority_data,
                           config->client_certificate,
                           config->client_certificate_data,
                           config->client_key,
                           config->client_key_data,
                           config->token,
                           config->token_file,
                           config->username,
                           config->password,
                           config->namespace,
                           config->proxy_url,
                           config->tls_server_name,
                           config->exec.command,
                           config->exec.api_version,
                           config->exec.install_hint};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        free(texts[i]);
    }
    for (size_t i = 0; i < KUBECONFIG_ARGUMENTS; i++) {
        free(config->exec.arguments[i]);
        wipe(config->exec.environment[i]);
        free(config->exec.environment[i]);
    }
    memset(config, 0, sizeof(*config));
}
