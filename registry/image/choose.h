/* SPDX-License-Identifier: BSD-3-Clause */
/* Which manifest of a registry's index is for a platform. Source: OCI image specification 1.1, image-index. */
#ifndef DESCPIPE_REGISTRY_CHOOSE_H
#define DESCPIPE_REGISTRY_CHOOSE_H

#include "registry/manifest.h"

/* Of several that fit the exact one counts, then the first. NOT_FOUND names the platforms that exist. `platform` NULL:
 * there must be one only. What is for no platform ("unknown/unknown": signatures, attestations) is never chosen. */
const struct oci_descriptor *choose_platform(const struct oci_index *index, const char *platform, const char *what,
                                             struct failure *failure);

#endif
