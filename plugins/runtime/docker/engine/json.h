/* SPDX-License-Identifier: BSD-3-Clause */
/* The few ways in which this folder looks into JSON. */
#ifndef DESCPIPE_DOCKER_JSON_H
#define DESCPIPE_DOCKER_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

json_t *json_object_of(const char *text, size_t length); /* NULL when it is no object */
/* A text member as one line cut to `size`; false and "" when it is missing or no text. `object` may be NULL. */
bool json_copy_text(const json_t *object, const char *key, char *into, size_t size);
uint64_t json_read_count(const json_t *object, const char *key); /* 0 when missing, negative or no integer */

#endif
