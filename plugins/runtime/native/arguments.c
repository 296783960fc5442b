/* SPDX-License-Identifier: BSD-3-Clause */
/* An argv being built, with the texts it points to. */
#include "arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void arguments_clear(struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->texts_count; i++)
        free(arguments->texts[i]);
    free(arguments->texts);
    free((void *)arguments->words);
    *arguments = ARGUMENTS_INIT;
}

void arguments_add(struct arguments *arguments, const char *word)
{
    if (arguments->count + 1 >= arguments->capacity) {
        size_t capacity = arguments->capacity == 0 ? 128 : arguments->capacity * 2;
        const char **words =
            capacity > ARGUMENTS_LIMIT ? NULL : realloc((void *)arguments->words, capacity * sizeof *words);
        if (words == NULL) {
            arguments->failed = true;
            return;
        }
        arguments->words = words;
        arguments->capacity = capacity;
    }
    arguments->words[arguments->count++] = word;
    arguments->words[arguments->count] = NULL;
}

void arguments_add_list(struct arguments *arguments, const char *const *words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        arguments_add(arguments, words[i]);
}

const char *arguments_format(struct arguments *arguments, const char *format, ...)
{
    if (arguments->texts_count == arguments->texts_capacity) {
        size_t capacity = arguments->texts_capacity == 0 ? 64 : arguments->texts_capacity * 2;
        char **texts = realloc(arguments->texts, capacity * sizeof *texts);
        if (texts == NULL) {
            arguments->failed = true;
            return "";
        }
        arguments->texts = texts;
        arguments->texts_capacity = capacity;
    }
    char *text = NULL;
    va_list values;
    va_start(values, format);
    int length = vasprintf(&text, format, values);
    va_end(values);
    if (length < 0) {
        arguments->failed = true;
        return "";
    }
    arguments->texts[arguments->texts_count++] = text;
    return text;
}
