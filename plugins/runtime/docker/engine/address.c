/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes an address of a Docker Engine apart: unix:///path, tcp://host[:port], and clear words for all others. */
#include "engine/address.h"

#include <stdio.h>
#include <string.h>

static bool refuse(const char *text, const char *why, const char *what_to_do, char *message, size_t message_size,
                   const char **hint)
{
    snprintf(message, message_size, "Docker address '%.200s': %s", text, why);
    *hint = what_to_do;
    return false;
}

static bool is_host_character(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || (character != '\0' && strchr("-._:[]%", character) != NULL);
}

/* Splits "host", "host:port", "[::1]:port"; the port may be missing. */
static bool split_port(const char *name, size_t *host_length, const char **port)
{
    const char *colon = *name == '[' ? strchr(name, ']') : name;
    colon = colon != NULL ? strchr(colon, ':') : NULL;
    *host_length = colon != NULL ? (size_t)(colon - name) : strlen(name);
    *port = colon != NULL ? colon + 1 : NULL;
    if (*host_length == 0 || (*name == '[' && name[*host_length - 1] != ']')) {
        return false;
    }
    size_t digits = *port != NULL ? strspn(*port, "0123456789") : 0;
    return *port == NULL || (digits > 0 && digits <= 5 && (*port)[digits] == '\0');
}

bool address_parse(const char *text, bool tls, struct address *address, char *message, size_t message_size,
                   const char **hint)
{
    static const char forms[] = "write unix:///path/of/docker.sock or tcp://host:port";
    struct address parsed = {0};
    if (strlen(text) >= ADDRESS_LIMIT - 16) {
        return refuse(text, "too long", forms, message, message_size, hint);
    }
    snprintf(parsed.text, sizeof(parsed.text), "%s", text);
    if (strncmp(text, "unix://", 7) == 0) {
        if (text[7] != '/') {
            return refuse(text, "the path of the socket is not absolute", forms, message, message_size, hint);
        }
        snprintf(parsed.socket, sizeof(parsed.socket), "%s", text + 7);
        snprintf(parsed.base, sizeof(parsed.base), "http://localhost");
        *address = parsed;
        return true;
    }
    if (strncmp(text, "ssh://", 6) == 0) {
        return refuse(text, "ssh is not supported",
                      "forward the socket with `ssh -N -L /tmp/docker.sock:/var/run/docker.sock HOST` and use "
                      "unix:///tmp/docker.sock, or set the option `form: client`",
                      message, message_size, hint);
    }
    if (strncmp(text, "tcp://", 6) != 0) {
        return refuse(text, "not a form that is known here", forms, message, message_size, hint);
    }
    const char *name = text + 6, *port = NULL;
    size_t length = strlen(name), host_length = 0;
    if (length > 0 && name[length - 1] == '/') {
        length--;
    }
    char authority[ADDRESS_LIMIT];
    snprintf(authority, sizeof(authority), "%.*s", (int)length, name);
    for (const char *place = authority; *place != '\0'; place++) {
        if (!is_host_character(*place)) {
            return refuse(text, "only a host and a port may follow tcp://", forms, message, message_size, hint);
        }
    }
    if (!split_port(authority, &host_length, &port)) {
        return refuse(text, "there is no host, or the port is not a number", forms, message, message_size, hint);
    }
    snprintf(parsed.host, sizeof(parsed.host), "%.*s", (int)host_length, authority);
    /* The ports that Docker itself assumes. */
    int written = snprintf(parsed.base, sizeof(parsed.base), "%s://%.*s:%s", tls ? "https" : "http", (int)host_length,
                           authority, port != NULL ? port : (tls ? "2376" : "2375"));
    if (written < 0 || (size_t)written >= sizeof(parsed.base)) {
        return refuse(text, "too long", forms, message, message_size, hint);
    }
    *address = parsed;
    return true;
}
