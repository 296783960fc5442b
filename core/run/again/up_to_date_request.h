/* SPDX-License-Identifier: BSD-3-Clause */
/* What both sides of up_to_date.h share: the file's frame, and who asks for what. */
#ifndef DESCPIPE_RUN_UP_TO_DATE_REQUEST_H
#define DESCPIPE_RUN_UP_TO_DATE_REQUEST_H

#include "base/digest.h"
#include "run/front.h"

#define UP_TO_DATE_HEAD "descpipe up to date 1\n"
#define UP_TO_DATE_SUM "sum "
#define UP_TO_DATE_TAIL (sizeof UP_TO_DATE_SUM - 1 + DIGEST_TEXT) /* with its newline */

/* Of all that decides what a request means before a file is read. False: such a request has no short answer. */
bool up_to_date_request(const struct run_request *request, char digest[DIGEST_TEXT]);
void up_to_date_variable(const char *name, char digest[DIGEST_TEXT]); /* its value now, or that it has none */

#endif
