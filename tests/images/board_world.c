/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of commands about images share. */
#include "board_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "suite.h"

void board_image(const char *folder, const char *name, const char *config, const char *manifest)
{
    cleanup(memory_free) char *file = memory_format("board/%s/%s", folder, name);
    cleanup(memory_free) char *text =
        memory_format("config %s\nmanifest %s\nbytes 3000000\ncreated 1790000000000\n", config, manifest);
    program_file(file, text);
}

void board_forget(const char *name)
{
    cleanup(memory_free) char *path = path_join(program_folder, name);
    ck_assert_int_eq(unlink(path), 0);
}

char *board_asked(void)
{
    cleanup(memory_free) char *path = path_join(program_folder, "board/asked");
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(text_clear) struct text kept = TEXT_INIT;
    if (file_exists(path)) {
        ck_assert(file_read(path, 1 << 20, &text, NULL));
        unlink(path);
    }
    for (const char *line = text_bytes(&text); *line != '\0';) {
        size_t length = strcspn(line, "\n") + 1;
        if (strncmp(line, "open ", 5) != 0)
            text_append_bytes(&kept, line, length);
        line += length;
    }
    return text_take(&kept);
}

void board_expect_asked(const char *expected)
{
    cleanup(memory_free) char *lines = board_asked();
    ck_assert_str_eq(lines != NULL ? lines : "", expected);
}

void board_expect(const char *line, int status, const char *err)
{
    cleanup(result_clear) struct result result = program_run(line);
    ck_assert_msg(result.status == status, "'%s' ended with %d: %s%s", line, result.status, text_bytes(&result.out),
                  text_bytes(&result.err));
    ck_assert_msg(strstr(text_bytes(&result.err), err) != NULL, "'%s' says %s", line, text_bytes(&result.err));
}

void board_set_up(void)
{
    program_set_up();
    program_file("board/harbour/.here", "");
    program_file("board/shelf/.here", "");
    program_file("p.yaml", STARS);
}
