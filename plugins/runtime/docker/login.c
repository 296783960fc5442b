/* SPDX-License-Identifier: BSD-3-Clause */
/* Logins as the Engine's API takes them: base64url of JSON in a header. */
#include <string.h>

#include "docker.h"

/* A credential helper's name for an identity token in place of a password. */
#define IDENTITY_TOKEN "<token>"

bool login_is_given(const struct descpipe_credential *credential)
{
    return credential != NULL && credential->password != NULL;
}

/* What a registry is called in a login: the part before the first slash when it looks like a host. */
static void write_server(const char *reference, struct bytes *server)
{
    size_t length = strcspn(reference, "/");
    bool host =
        reference[length] == '/' && (memchr(reference, '.', length) != NULL || memchr(reference, ':', length) != NULL ||
                                     (length == 9 && strncmp(reference, "localhost", 9) == 0));
    bool hub = (length == 9 && strncmp(reference, "docker.io", 9) == 0) ||
               (length == 15 && strncmp(reference, "index.docker.io", 15) == 0);
    if (host && !hub) {
        bytes_add(server, reference, length);
    } else {
        bytes_add_text(server, "https://index.docker.io/v1/");
    }
}

static void add_json_text(struct bytes *json, const char *text)
{
    bytes_add(json, "\"", 1);
    for (; *text != '\0'; text++) {
        unsigned char value = (unsigned char)*text;
        if (value < 0x20 || value == '"' || value == '\\') {
            bytes_format(json, "\\u%04x", value);
        } else {
            bytes_add(json, text, 1);
        }
    }
    bytes_add(json, "\"", 1);
}

/* One login as a JSON object. */
static bool add_login(struct docker *docker, const struct descpipe_credential *credential, const char *reference,
                      struct bytes *json)
{
    struct bytes server = {0};
    uint64_t length = 0;
    if (!login_is_given(credential)) {
        return bytes_add_text(json, "{}");
    }
    const char *password = docker->host->secret->reveal(credential->password, &length);
    const char *username = credential->username;
    bool identity = username != NULL && strcmp(username, IDENTITY_TOKEN) == 0;
    write_server(reference, &server);
    if (identity || username == NULL) {
        bytes_add_text(json, identity ? "{\"identitytoken\":" : "{\"registrytoken\":");
    } else {
        bytes_add_text(json, "{\"username\":");
        add_json_text(json, username);
        bytes_add_text(json, ",\"password\":");
    }
    add_json_text(json, password != NULL ? password : "");
    bytes_add_text(json, ",\"serveraddress\":");
    add_json_text(json, bytes_text(&server));
    bytes_add_text(json, "}");
    bool done = !json->failed && !server.failed;
    bytes_clear(&server);
    return done;
}

bool login_write_header(struct docker *docker, const struct descpipe_credential *credential, const char *reference,
                        struct bytes *header)
{
    struct bytes json = {0};
    bool done = add_login(docker, credential, reference, &json) && bytes_add_text(header, "X-Registry-Auth: ") &&
                bytes_add_base64url(header, bytes_text(&json), json.length);
    bytes_wipe(&json);
    return done;
}

bool login_add_config(struct docker *docker, const struct descpipe_credential *credential, const char *reference,
                      struct bytes *json)
{
    struct bytes server = {0};
    write_server(reference, &server);
    bytes_add_text(json, json->length > 1 ? "," : "");
    add_json_text(json, bytes_text(&server));
    bytes_add_text(json, ":");
    bool done = add_login(docker, credential, reference, json) && !server.failed;
    bytes_clear(&server);
    return done;
}
