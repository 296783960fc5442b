/* SPDX-License-Identifier: BSD-3-Clause */
/* A command line's words and a form's body. */
#include "aws/words.h"

#include <stdio.h>
#include <string.h>

#include "registry/ownership.h"

void words_free(char **words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        free(words[i]);
    free((void *)words);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word from *line on; NULL with a failure. */
static char *next_word(const char **line, struct failure *failure)
{
    const char *from = *line;
    cleanup(memory_free) char *word = malloc(strlen(from) + 1);
    char *to = word;
    if (word == NULL) {
        failure_memory(failure);
        return NULL;
    }
    char quote = '\0';
    for (; *from != '\0' && (quote != '\0' || !is_space(*from)); from++) {
        if (quote == '\0' && (*from == '"' || *from == '\''))
            quote = *from;
        else if (*from == quote)
            quote = '\0';
        else if (*from == '\\' && quote != '\'' && from[1] != '\0' &&
                 (quote == '\0' || from[1] == '"' || from[1] == '\\'))
            *to++ = *++from;
        else
            *to++ = *from;
    }
    if (quote != '\0') {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "a quote is not closed");
        return NULL;
    }
    *to = '\0';
    *line = from;
    return steal(&word);
}

char **words_split(const char *line, struct failure *failure)
{
    cleanup(words_free) char **words = calloc(WORDS_LIMIT + 1, sizeof *words);
    size_t count = 0;
    if (words == NULL) {
        failure_memory(failure);
        return NULL;
    }
    for (;;) {
        while (is_space(*line))
            line++;
        if (*line == '\0')
            break;
        if (count == WORDS_LIMIT) {
            failure_set(failure, DESCPIPE_FAILED_REFUSED, "it has more than %d words", WORDS_LIMIT);
            return NULL;
        }
        if ((words[count++] = next_word(&line, failure)) == NULL)
            return NULL;
    }
    if (count == 0) {
        failure_set(failure, DESCPIPE_FAILED_REFUSED, "it is empty");
        return NULL;
    }
    return steal(&words);
}

static char *add_escaped(char *to, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        unsigned char value = (unsigned char)*text;
        bool plain = (value >= 'a' && value <= 'z') || (value >= 'A' && value <= 'Z') ||
                     (value >= '0' && value <= '9') || strchr("-._~", *text) != NULL;
        if (plain) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = digits[value >> 4];
        *to++ = digits[value & 15];
    }
    return to;
}

char *words_form(const char *const *pairs)
{
    size_t size = 1;
    for (size_t i = 0; pairs[i] != NULL; i += 2)
        size += pairs[i + 1] != NULL ? strlen(pairs[i]) + 3 * strlen(pairs[i + 1]) + 2 : 0;
    char *form = malloc(size), *to = form;
    if (form == NULL)
        return NULL;
    for (size_t i = 0; pairs[i] != NULL; i += 2) {
        if (pairs[i + 1] == NULL)
            continue;
        if (to > form)
            *to++ = '&';
        size_t length = strlen(pairs[i]);
        memcpy(to, pairs[i], length);
        to += length;
        *to++ = '=';
        to = add_escaped(to, pairs[i + 1]);
    }
    *to = '\0';
    return form;
}

char *words_session(const char *text)
{
    char *name = NULL;
    if (asprintf(&name, "descpipe-%.50s", text) < 0)
        return NULL;
    for (char *c = name; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
            *c = '-';
    return name;
}
