/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An argv being built, and the texts it points to, which end together. Memory that runs out sets `failed`, which is
 * looked at once, at the end.
 */
#ifndef NATIVE_ARGUMENTS_H
#define NATIVE_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#define ARGUMENTS_LIMIT 32768 /* words; execve takes 2 MiB, which this many short words reach */

struct arguments {
    const char **words; /* ends with NULL once a word is there */
    size_t count, capacity;
    char **texts;
    size_t texts_count, texts_capacity;
    bool failed;
};

#define ARGUMENTS_INIT ((struct arguments){0})

void arguments_clear(struct arguments *arguments);
static inline void arguments_clear_at(struct arguments *place)
{
    arguments_clear(place);
}

/* The word is borrowed and must live as long as the list. */
void arguments_add(struct arguments *arguments, const char *word);
/* Adds each of a list that ends with NULL. */
void arguments_add_list(struct arguments *arguments, const char *const *words);
/* A text that lives as long as the list; never NULL, "" when `failed`. */
const char *arguments_format(struct arguments *arguments, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
