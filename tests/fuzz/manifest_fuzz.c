/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as an image's documents: each reader gets the same text. links: descpipe-oci */
#include <stdint.h>

#include "registry/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(oci_index_clear) struct oci_index index = {0};
    cleanup(oci_manifest_clear) struct oci_manifest manifest = {0};
    cleanup(oci_config_clear) struct oci_config config = {0};
    cleanup(docker_images_clear) struct docker_images images = {0};
    if (oci_index_read(&index, bytes, size, &failure)) {
        oci_index_choose(&index, NULL, "linux/amd64", "fuzz", &failure);
        oci_index_choose(&index, "1.0", NULL, "fuzz", &failure);
        for (size_t i = 0; i < index.count; i++)
            oci_document_is_index(&index.manifests[i]);
    }
    oci_manifest_read(&manifest, bytes, size, &failure);
    oci_config_read(&config, bytes, size, &failure);
    if (docker_images_read(&images, bytes, size, &failure)) {
        docker_images_choose(&images, NULL, "fuzz", &failure);
        docker_images_choose(&images, "1.0", "fuzz", &failure);
    }
    return 0;
}
