/* SPDX-License-Identifier: BSD-3-Clause */
/* Laying one unpacked layer over an image's root: first what the layer takes away, then what it adds, by hard link. */
#ifndef NATIVE_STORE_ASSEMBLE_H
#define NATIVE_STORE_ASSEMBLE_H

#include "registry/failure.h"

/* `layer` is the folder that layer_unpack filled, `root` a private folder, both absolute. */
bool assemble_layer(const char *layer, const char *root, bool keep_owner, struct failure *failure);

/* Makes the usual mount points where the image lacks them, as a container engine does in each container: then stages
 * need no rebuilt folders. */
bool assemble_mount_points(const char *root, struct failure *failure);

#endif
