/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a document: streamed, whole, and copied. links: core-config */
#include <stdint.h>

#include "config/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_entry(void *context, const struct document *document, const char *key, struct place place,
                       const struct node *value)
{
    (void)context, (void)key, (void)place;
    document_free(document_copy(document, value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct document_budget small = {.bytes = 1 << 20, .depth = 16, .nodes = 20000};
    cleanup(problems_clear) struct problems problems = {0};
    struct document_reader reader = {.entry = copy_entry, .budget = small, .verbatim = "script"};
    document_stream_bytes((const char *)data, size, "f.yaml", &reader, &problems);
    document_free(document_parse((const char *)data, size, "f.yaml", &small, &problems));
    return 0;
}
