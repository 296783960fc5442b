/* SPDX-License-Identifier: BSD-3-Clause */
/* clang-format off */
/*
 * "Nothing to do" without planning: what a run in which every stage succeeded or was cached looked at, so that the same
 * request can be answered later by looking whether all of it is as it was.
 *
 * RUN/up-to-date, written when such a run has ended, only ever read as a whole:
 *     descpipe up to date 1
 *     request HEX                        SHA-256 of who asks for what: program, words, folder, variables
 *     holds STAGES TASKS
 *     variable NAME HEX                  one that the pipeline's ${NAME} asked for
 *     program NAME TAB PATH              where a command of a stage on the bare machine is found
 *     absent PATH
 *     in FOLDER                          what follows lies there
 *     file DEVICE INODE BYTES MODIFIED_NS NAME        behind links: what decided, and what was read to plan
 *     made BYTES MODIFIED_NS NAME        no link: an output where it was published, and in OUTPUT
 *     tree BYTES NUMBER NAME             a folder that is an output (cache/file_digest.h)
 *     sum HEX                            SHA-256 of all before
 * It is believed as far as file times are (cache/store.h): a run some of whose files were changed within the last two
 * seconds leaves none. Nor does one with something that a look at files does not tell: images by a tag, `runtime: auto`,
 * inputs from URLs or that are folders, stages that always run (those without outputs, too). Then the next run plans, looks at all of it and says the
 * same, in more time.
 */
/* clang-format on */
#ifndef DESCPIPE_RUN_UP_TO_DATE_H
#define DESCPIPE_RUN_UP_TO_DATE_H

#include "cache/store.h"
#include "run/front.h"

#define UP_TO_DATE_FILE "up-to-date"
#define UP_TO_DATE_LIMIT ((uint64_t)256 * 1024 * 1024)

/* Collecting, in the engine. */
struct up_to_date;
struct witness;
/* `began_ms`: wall clock before anything was read. `working`: what lies in its data folder was put there by stages. */
struct up_to_date *up_to_date_new(int64_t began_ms, const char *working);
void up_to_date_free(struct up_to_date *known);
void up_to_date_give_up(struct up_to_date *known);
bool up_to_date_is_given_up(const struct up_to_date *known);
void up_to_date_file(struct up_to_date *known, const char *path, const struct file_stamp *stamp);
void up_to_date_made(struct up_to_date *known, const char *path, const struct cache_output *output, bool is_folder);
void up_to_date_program(struct up_to_date *known, const char *name, const char *path);
struct up_to_date_count {
    uint64_t stages, tasks;
};
/* With what planning looked at. Nothing is written when it was given up. */
bool up_to_date_write(struct up_to_date *known, const struct run_request *request, const struct witness *witness,
                      const struct up_to_date_count *count, const char *run_folder, struct error *error);

/* Asking, before anything else is done. */
struct up_to_date_answer {
    char *run_folder;
    struct up_to_date_count count;
};
/* True: this request has nothing to do, and the run in `run_folder` has its results. */
bool up_to_date_ask(const struct run_request *request, struct up_to_date_answer *answer);
void up_to_date_answer_clear(struct up_to_date_answer *answer);
static inline void up_to_date_answer_clear_at(struct up_to_date_answer *place)
{
    up_to_date_answer_clear(place);
}

/* Of the file's lines behind the sum's check, which end with a newline and a NUL: does all that they say still hold? */
bool up_to_date_holds(char *lines, const char *request, struct up_to_date_count *count);

#endif
