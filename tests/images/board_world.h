/* SPDX-License-Identifier: BSD-3-Clause */
/* The built program with a scripted registry (harbour) and runtime (shelf), whose world is the folder `board`. */
#ifndef TESTS_IMAGES_BOARD_WORLD_H
#define TESTS_IMAGES_BOARD_WORLD_H

#include "../cli/program.h"

#define PLUGINS "--plugin-dir " IMAGE_PLUGINS " "
#define ONE "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define MANIFEST_ONE "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MANIFEST_TWO "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

#define BACKEND                                                                                                        \
    "runtime: {backend: here, working: ./work, output: ./out}\n"                                                       \
    "backends:\n"                                                                                                      \
    "  here: {scheduler: sequential, runtime: {use: shelf, board: board}, registry: {use: harbour, board: board}}\n"

#define STARS "pipeline: {name: p, stages: [a]}\n" BACKEND "a: {image: \"joezuntz/stars:1.0\", command: [/bin/true]}\n"

/* A fresh folder with an empty board and STARS as p.yaml; program_tear_down ends it. */
void board_set_up(void);
/* In BOARD/harbour or BOARD/shelf. */
void board_image(const char *folder, const char *name, const char *config, const char *manifest);
void board_forget(const char *name); /* below the test's folder */
/* What the plugins were asked since the last time, without their opening. Owned by the caller. */
char *board_asked(void);
void board_expect_asked(const char *expected);
/* Runs `line`: it ends with `status`, and `err` is a part of what it says. */
void board_expect(const char *line, int status, const char *err);

#endif
