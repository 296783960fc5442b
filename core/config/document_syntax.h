/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether bytes are YAML at all: data that stages exchange, not what people write for us (that is document.h). */
#ifndef DESCPIPE_CONFIG_DOCUMENT_SYNTAX_H
#define DESCPIPE_CONFIG_DOCUMENT_SYNTAX_H

#include "base/text.h"

/* True when libyaml reads it: any number of documents, any tags and anchors, nothing built. False says where and why in
 * `why`. `cut`: the bytes are the beginning of more, so trouble at their end is no fault. Nesting beyond
 * DOCUMENT_SYNTAX_DEPTH is not judged. */
#define DOCUMENT_SYNTAX_DEPTH 200
bool document_syntax_check(const char *bytes, size_t length, bool cut, struct text *why);

#endif
