/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page of one plugin (`plugins show`), and its options as JSON Schema. Both read the descriptor only; no instance
 * is opened.
 *
 * Showing loads code, so the commands do it in a child: tool_start of /proc/self/exe with a hidden argument, and there
 * plugin_show_print. What the child prints is the page.
 */
#ifndef DESCPIPE_PLUGIN_SHOW_H
#define DESCPIPE_PLUGIN_SHOW_H

#include "base/text.h"
#include "plugin/instance.h"

/* Loads `path` (absolute; KIND-NAME.so) with trust and the site's pin, and appends its page: text for people, or one
 * JSON object {kind, name, version, summary, author, licence, url, path, sha256, interface, capabilities, forms,
 * sources, operations, options}. */
bool plugin_show_print(struct plugin_host *host, const char *path, bool json, struct text *out, struct error *error);

/* For a descriptor that is loaded already. */
struct plugin_page {
    const struct descpipe_plugin *plugin;
    const char *path, *sha256; /* may be NULL */
};
void plugin_page_print(const struct plugin_page *page, struct text *out);
void plugin_page_print_json(const struct plugin_page *page, struct text *out);

/* {"type": "object", "properties": {...}, "additionalProperties": false}; a NULL table has no properties. */
void options_print_schema(const struct descpipe_option *const *options, struct text *out);
const char *option_type_name(uint32_t type); /* "text", "integer" ... */

#endif
