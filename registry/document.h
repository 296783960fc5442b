/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded JSON: members by type, with messages that name them. */
#ifndef DESCPIPE_REGISTRY_DOCUMENT_H
#define DESCPIPE_REGISTRY_DOCUMENT_H

#include <jansson.h>

#include "registry/failure.h"
#include "registry/ownership.h"

static inline void document_free(json_t *document)
{
    json_decref(document);
}
DEFINE_CLEANUP(json_t *, document_free);

/* NULL with a failure. At most OCI_DOCUMENT_LIMIT bytes; duplicate names are refused. */
json_t *document_parse(const char *bytes, size_t length, struct failure *failure);

enum { DOCUMENT_REQUIRED = 1 };
/* The result is owned; NULL when absent and not required. */
bool document_text(const json_t *object, const char *name, unsigned flags, char **text, struct failure *failure);
bool document_size(const json_t *object, const char *name, uint64_t *size, struct failure *failure);
/* A list of texts, required; free with document_texts_free. */
bool document_texts(const json_t *object, const char *name, size_t limit, char ***texts, size_t *count,
                    struct failure *failure);
void document_texts_free(char **texts, size_t count);
/* RFC 3339 in UTC or with an offset; 0 when it is no time. */
int64_t document_time_ms(const char *text);

#endif
