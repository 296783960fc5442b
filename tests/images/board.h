/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two scripted plugins share: a folder, the board, in which a test writes what they know and reads what they
 * were asked.
 *
 *     BOARD/asked                 one line for each question
 *     BOARD/harbour/NAME          an image of the registry: see harbour.c
 *     BOARD/shelf/NAME            an image of this machine: see shelf.c
 *
 * NAME is a reference with '/' and ':' made '_'.
 */
#ifndef TESTS_IMAGES_BOARD_H
#define TESTS_IMAGES_BOARD_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOARD_LINE 600

/* One write: lines of calls that overlap stay whole. */
static inline void board_note(const char *board, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void board_note(const char *board, const char *format, ...)
{
    char path[BOARD_LINE], line[BOARD_LINE * 4];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    snprintf(path, sizeof path, "%.500s/asked", board);
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || length < 0)
        return;
    line[length] = '\n';
    if (write(file, line, (size_t)length + 1) < 0)
        perror(path);
    close(file);
}

static inline void board_path(const char *board, const char *folder, const char *reference, char path[BOARD_LINE * 2])
{
    int length = snprintf(path, BOARD_LINE * 2, "%.500s/%s/", board, folder);
    snprintf(path + length, (size_t)(BOARD_LINE * 2 - length), "%.500s", reference);
    for (char *at = path + length; *at != '\0'; at++)
        if (*at == '/' || *at == ':')
            *at = '_';
}

/* "KEY VALUE" lines. */
struct board_image {
    char config[80], manifest[80], failure[300], hint[300];
    unsigned long long bytes;
    long long created_ms;
};

static inline int board_read(const char *path, struct board_image *image)
{
    char line[BOARD_LINE];
    FILE *file = fopen(path, "re");
    memset(image, 0, sizeof *image);
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strchr(line, ' ');
        if (value == NULL)
            continue;
        *value++ = '\0';
        if (strcmp(line, "config") == 0)
            snprintf(image->config, sizeof image->config, "%.79s", value);
        else if (strcmp(line, "manifest") == 0)
            snprintf(image->manifest, sizeof image->manifest, "%.79s", value);
        else if (strcmp(line, "fail") == 0)
            snprintf(image->failure, sizeof image->failure, "%.299s", value);
        else if (strcmp(line, "hint") == 0)
            snprintf(image->hint, sizeof image->hint, "%.299s", value);
        else if (strcmp(line, "bytes") == 0)
            image->bytes = strtoull(value, NULL, 10);
        else if (strcmp(line, "created") == 0)
            image->created_ms = strtoll(value, NULL, 10);
    }
    fclose(file);
    return 1;
}

static inline void board_write(const char *path, const struct board_image *image)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return;
    fprintf(file, "config %s\nmanifest %s\nbytes %llu\n", image->config, image->manifest, image->bytes);
    fclose(file);
}

/* "KIND MESSAGE" as `fail` has it. */
static inline unsigned board_failure(const char *failure, const char **message)
{
    static const struct {
        const char *word;
        unsigned kind;
    } kinds[] = {{"refused ", DESCPIPE_FAILED_REFUSED},
                 {"unreachable ", DESCPIPE_FAILED_CANNOT_ASK},
                 {"login ", DESCPIPE_FAILED_NEEDS_LOGIN},
                 {"missing ", DESCPIPE_FAILED_NOT_FOUND},
                 {"later ", DESCPIPE_FAILED_LATER}};
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strncmp(failure, kinds[i].word, strlen(kinds[i].word)) == 0) {
            *message = failure + strlen(kinds[i].word);
            return kinds[i].kind;
        }
    *message = failure;
    return DESCPIPE_FAILED_REFUSED;
}

#endif
