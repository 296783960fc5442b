/* SPDX-License-Identifier: BSD-3-Clause */
/* base64 by RFC 4648 section 4, strictly: no spaces, padding only at the end. */
#include "aws/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

char *base64_decode(const char *text)
{
    size_t length = strlen(text), padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    if (length % 4 != 0 || length == 0)
        return NULL;
    char *decoded = calloc(1, length / 4 * 3 + 1), *to = decoded;
    uint32_t group = 0;
    for (size_t i = 0; decoded != NULL && i < length; i++) {
        int value = i >= length - padding ? 0 : value_of(text[i]);
        if (value < 0) {
            explicit_bzero(decoded, length / 4 * 3);
            free(decoded);
            return NULL;
        }
        group = group << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            *to++ = (char)(group >> 16);
            *to++ = (char)(group >> 8 & 0xff);
            *to++ = (char)(group & 0xff);
            group = 0;
        }
    }
    if (decoded != NULL && memchr(decoded, '\0', (size_t)(to - decoded) - padding) != NULL) {
        explicit_bzero(decoded, length / 4 * 3);
        free(decoded);
        return NULL;
    }
    return decoded;
}
