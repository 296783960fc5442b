/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes run folders and names what lies in them. */
#include "run/journal/run_folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/path.h"

#define CHANCE 4 /* letters of chance in an id: a million per millisecond */
#define TRIES 100

static void make_id(char id[RUN_ID_LENGTH + 1])
{
    /* In the order of their codes, so that ids sort. No i, l, o, u: read aloud without mistakes. */
    static const char letters[33] = "0123456789abcdefghjkmnpqrstvwxyz";
    int64_t now_ms = clock_wall_ms();
    time_t now = (time_t)(now_ms / 1000);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(id, RUN_ID_LENGTH + 1, "%Y%m%d-%H%M%S-", &utc);
    id[RUN_ID_LENGTH - CHANCE - 2] = letters[now_ms % 1000 / 32];
    id[RUN_ID_LENGTH - CHANCE - 1] = letters[now_ms % 1000 % 32];
    uint8_t chance[CHANCE];
    random_bytes(chance, sizeof chance);
    for (unsigned i = 0; i < CHANCE; i++)
        id[RUN_ID_LENGTH - CHANCE + i] = letters[chance[i] % 32];
    id[RUN_ID_LENGTH] = '\0';
}

bool run_id_is_valid(const char *id)
{
    if (strlen(id) != RUN_ID_LENGTH)
        return false;
    for (unsigned i = 0; i < RUN_ID_LENGTH; i++) {
        bool digit = id[i] >= '0' && id[i] <= '9', letter = id[i] >= 'a' && id[i] <= 'z';
        if (i == 8 || i == 15 ? id[i] != '-' : i < 15 ? !digit : !digit && !letter)
            return false;
    }
    return true;
}

bool run_folder_prepare(const char *working, struct error *error)
{
    cleanup(memory_free) char *descpipe = path_join(working, ".descpipe");
    cleanup(memory_free) char *runs = path_join(descpipe, "runs");
    return folder_make(working, 0777, error) && folder_make(runs, 0777, error);
}

bool run_folder_make(const char *working, bool group_readable, struct run_folder *folder, struct error *error)
{
    if (!run_folder_prepare(working, error))
        return false;
    cleanup(memory_free) char *descpipe = path_join(working, ".descpipe");
    cleanup(memory_free) char *runs = path_join(descpipe, "runs");
    for (unsigned i = 0; i < TRIES; i++) {
        char id[RUN_ID_LENGTH + 1];
        make_id(id);
        cleanup(memory_free) char *path = path_join(runs, id);
        if (mkdir(path, 0700) == 0) {
            if (group_readable && chmod(path, 0750) != 0) /* whatever the umask */
                return error_system(error, "cannot let the group read '%s'", path);
            memcpy(folder->id, id, sizeof id);
            folder->path = steal(&path);
            folder->working = memory_copy_text(working);
            folder->descpipe = steal(&descpipe);
            return true;
        }
        if (errno != EEXIST)
            return error_system(error, "cannot make the run folder '%s'", path);
    }
    return error_set(error, ERROR_SYSTEM, "cannot find a free name for a run in '%s'", runs);
}

void run_folder_clear(struct run_folder *folder)
{
    memory_free(folder->path);
    memory_free(folder->working);
    memory_free(folder->descpipe);
    *folder = (struct run_folder){.path = NULL};
}

void run_attempt_name(struct text *text, const char *stage, const char *member, uint64_t attempt)
{
    text_append(text, stage);
    if (member != NULL && member[0] != '\0') {
        text_append_character(text, '.');
        text_append(text, member);
    }
    text_append_character(text, '.');
    text_append_unsigned(text, attempt);
}
