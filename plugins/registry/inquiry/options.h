/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that registry plugins have in common: each plugin lists those that mean something to it. */
#ifndef DESCPIPE_INQUIRY_OPTIONS_H
#define DESCPIPE_INQUIRY_OPTIONS_H

#include <descpipe/option.h>

extern const struct descpipe_option option_username, option_password, option_docker_config;
extern const struct descpipe_option option_endpoint, option_plain_http, option_unverified_tls;
extern const struct descpipe_option option_ca, option_client_certificate, option_client_key, option_certificates;
extern const struct descpipe_option option_proxy, option_prefix;

#endif
