/* SPDX-License-Identifier: BSD-3-Clause */
/* One line and a remedy for each way in which a registry says no. */
#ifndef DESCPIPE_REGISTRY_EXPLAIN_H
#define DESCPIPE_REGISTRY_EXPLAIN_H

#include "registry/client/client.h"

/* An answer that is a failure: the registry's own words (its JSON errors) and who asked are in the message. */
void explain_answer(struct failure *failure, const struct access *access, const char *what,
                    const struct client_answer *answer, int64_t now_ms);
/* No answer. */
void explain_end(struct failure *failure, const struct access *access, const char *what,
                 const struct descpipe_http_end *end);
/* The first error's code and message of a registry's JSON body, owned; NULL: none. At most 300 bytes, one line. */
char *explain_body(const char *body, size_t length);

#endif
