/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * May this descriptor be used by a host of that version? Pure, and knows nothing but the plugin headers, so that the
 * rules can be tried on headers of any version.
 */
#ifndef DESCPIPE_PLUGIN_ABI_H
#define DESCPIPE_PLUGIN_ABI_H

#include <descpipe/plugin.h>

#include "base/error.h"

#define ABI_OPTIONS_LIMIT 500

/* What a struct has at least: everything up to the last member of the first version of its major. A reader that has
 * checked it may use those members without DESCPIPE_HAS. */
#define ABI_FIRST_SIZE(type, last_member) (offsetof(type, last_member) + sizeof(((type *)0)->last_member))
#define ABI_SIZE_PLUGIN ABI_FIRST_SIZE(struct descpipe_plugin, operations)
#define ABI_SIZE_OPTION ABI_FIRST_SIZE(struct descpipe_option, replaced_by)
#define ABI_SIZE_RUNTIME ABI_FIRST_SIZE(struct descpipe_runtime, prune)
#define ABI_SIZE_REGISTRY ABI_FIRST_SIZE(struct descpipe_registry, logout)
#define ABI_SIZE_SCHEDULER ABI_FIRST_SIZE(struct descpipe_scheduler, accepts)
#define ABI_SIZE_HOST ABI_FIRST_SIZE(struct descpipe_host, observe)
#define ABI_SIZE_IMAGE_IDENTITY ABI_FIRST_SIZE(struct descpipe_image_identity, created_at_ms)
#define ABI_SIZE_FORM ABI_FIRST_SIZE(struct descpipe_form, removal)
#define ABI_SIZE_MOUNT ABI_FIRST_SIZE(struct descpipe_mount, target)
#define ABI_SIZE_ENDING ABI_FIRST_SIZE(struct descpipe_ending, reason)
#define ABI_SIZE_FOUND ABI_FIRST_SIZE(struct descpipe_found, index)
#define ABI_SIZE_CREDENTIAL ABI_FIRST_SIZE(struct descpipe_credential, proxy)
#define ABI_SIZE_CHANGE ABI_FIRST_SIZE(struct descpipe_change, ending)
#define ABI_SIZE_PROCESS_REQUEST ABI_FIRST_SIZE(struct descpipe_process_request, reserved)
#define ABI_SIZE_HTTP_REQUEST ABI_FIRST_SIZE(struct descpipe_http_request, context)
#define ABI_SIZE_PLACEMENT ABI_FIRST_SIZE(struct descpipe_placement, gpus)

/* Copies a struct that a plugin filled, whichever version it was built with: what it lacks is zero, what we do not know is left
 * out, and the copy's size is ours. False when it is NULL or has fewer than `least` bytes. */
bool struct_take(void *into, size_t size, const void *from, size_t least);

struct abi_version {
    uint32_t major, minor;
};
#define ABI_HERE ((struct abi_version){DESCPIPE_ABI_MAJOR, DESCPIPE_ABI_MINOR})

/* `kind` and `name` are those of the file. On failure the error's message is a reason alone, without the path; its hint
 * is the remedy. */
bool abi_judge(const struct descpipe_plugin *plugin, struct abi_version host, const char *kind, const char *name,
               struct error *error);

/* Only the option table. */
bool abi_judge_options(const struct descpipe_option *const *options, struct error *error);

#endif
