/* SPDX-License-Identifier: BSD-3-Clause */
/* base64, read. */
#ifndef DESCPIPE_ECR_BASE64_H
#define DESCPIPE_ECR_BASE64_H

/* A text that the caller wipes and frees; NULL when it is no base64, holds a NUL, or there is no memory. */
char *base64_decode(const char *text);

#endif
