/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that registry plugins have in common. */
#include "inquiry/options.h"

#define SHARED_OPTION(name, kind, word, text)                                                                          \
    const struct descpipe_option name = {                                                                              \
        .size = sizeof(struct descpipe_option), .type = (kind), .key = (word), .help = (text)}

SHARED_OPTION(option_username, DESCPIPE_OPTION_TEXT, "username",
              "Who logs in; with `password` it goes before Docker's config file.");
SHARED_OPTION(option_password, DESCPIPE_OPTION_SECRET, "password", "The password or access token of `username`.");
SHARED_OPTION(option_docker_config, DESCPIPE_OPTION_PATH, "docker-config",
              "Docker's config file with logins; without it $DOCKER_CONFIG/config.json, else ~/.docker/config.json.");
SHARED_OPTION(option_endpoint, DESCPIPE_OPTION_TEXT, "endpoint",
              "The URL that is asked instead of the registry's own, for example a mirror on this site.");
SHARED_OPTION(option_ca, DESCPIPE_OPTION_PATH, "ca",
              "The certificates (PEM) that the registry's own must be signed by; without it Docker's certs.d, else the "
              "system's.");
SHARED_OPTION(option_client_certificate, DESCPIPE_OPTION_PATH, "client-certificate",
              "Our own certificate (PEM) for registries that want one.");
SHARED_OPTION(option_client_key, DESCPIPE_OPTION_PATH, "client-key", "The key (PEM) of `client-certificate`.");
SHARED_OPTION(option_certificates, DESCPIPE_OPTION_PATH, "certificates",
              "The folder with HOST/ca.crt, HOST/client.cert and HOST/client.key; without it /etc/docker/certs.d, then "
              "~/.config/docker/certs.d.");
SHARED_OPTION(option_proxy, DESCPIPE_OPTION_TEXT, "proxy",
              "The URL of the proxy, or `none`; without it what https_proxy and no_proxy say.");
SHARED_OPTION(option_prefix, DESCPIPE_OPTION_TEXT, "prefix",
              "Comes before every repository, so that owner/name becomes PREFIX/owner/name.");

const struct descpipe_option option_plain_http = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BOOLEAN,
    .key = "plain-http",
    .default_value = "false",
    .help = "Speak http without encryption; on this machine (loopback) that is the rule anyway.",
};
const struct descpipe_option option_unverified_tls = {
    .size = sizeof(struct descpipe_option),
    .type = DESCPIPE_OPTION_BOOLEAN,
    .key = "unverified-tls",
    .default_value = "false",
    .help = "Do not check whose certificate it is; anybody on the way can then read logins and change images.",
};
