/* SPDX-License-Identifier: BSD-3-Clause */
/* Any text as an image reference; what is read must read the same once it is written. links: descpipe-oci */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry/client/url.h"
#include "registry/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct reference *reference)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference again = {0};
    cleanup(memory_free) char *text = reference_text(reference, &failure);
    if (text == NULL || !reference_read(&again, text, &failure))
        abort();
    cleanup(memory_free) char *same = reference_text(&again, &failure);
    if (same == NULL || strcmp(text, same) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    cleanup(reference_clear) struct reference reference = {0};
    cleanup(memory_free) char *text = strndup((const char *)data, size);
    if (text == NULL)
        return 0;
    url_valid(text);
    url_same_origin(text, "https://registry.example.org");
    free(url_resolve("https://registry.example.org/v2/", text, &failure));
    failure_clear(&failure);
    if (!reference_read(&reference, text, &failure))
        return 0;
    check_again(&reference);
    if (reference_use_docker_defaults(&reference, &failure)) /* not when the name grows too long by it */
        free(reference_text(&reference, &failure));
    if (reference_set_place(&reference, "mirror.example.org:5000", "hub", &failure))
        check_again(&reference);
    return 0;
}
