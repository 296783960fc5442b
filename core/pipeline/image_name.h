/* SPDX-License-Identifier: BSD-3-Clause */
/* What an image reference says about where the image is: a prefix and a path, or a name for a registry. */
#ifndef DESCPIPE_PIPELINE_IMAGE_NAME_H
#define DESCPIPE_PIPELINE_IMAGE_NAME_H

#include <descpipe/types.h>

#include "base/error.h"

struct image_name {
    uint32_t source; /* one DESCPIPE_SOURCE_ bit */
    char *path;      /* absolute, for sources that are files or folders; NULL for a registry */
    char *tag;       /* of docker-archive:FILE:NAME:TAG, oci-archive:FILE:TAG, oci:FOLDER:TAG; NULL when not said */
};

/* docker-archive:FILE[:NAME[:TAG]], oci-archive:FILE[:TAG], oci:FOLDER[:TAG], rootfs:FOLDER, sif:FILE, else a
 * registry's reference, whose letters are checked and which is left as it stands. A relative path counts from `base`
 * (absolute). Touches no file. */
bool image_parse(const char *reference, const char *base, struct image_name *name, struct error *error);
/* The host of a registry's reference, with its port; owned, NULL when the reference has none. */
char *image_host(const char *reference);
void image_name_clear(struct image_name *name);
static inline void image_name_clear_at(struct image_name *place)
{
    image_name_clear(place);
}

#endif
