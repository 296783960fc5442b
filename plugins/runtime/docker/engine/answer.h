/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the Engine answers, read into plain structs. Only what is named here is ever taken from an answer: an inspected
 * container also holds its environment, and with it secrets. Every reader says false for what it cannot trust (not
 * JSON, wrong types, a needed member missing) and never reads behind `length`. Source: Docker Engine API 1.30 to 1.44.
 */
#ifndef DESCPIPE_DOCKER_ANSWER_H
#define DESCPIPE_DOCKER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANSWER_ID = 80, ANSWER_NAME = 128, ANSWER_WORDS = 512 };

/* GET /version */
struct engine_version {
    char version[ANSWER_NAME]; /* of the Engine */
    char system[ANSWER_NAME];  /* "linux/amd64" */
    uint32_t api;              /* 1.41 is 1041 */
    uint32_t oldest_api;
};
bool answer_read_version(const char *text, size_t length, struct engine_version *version);
/* "1.41" → 1041, 0 when it is no version. */
uint32_t answer_api_number(const char *text);

/* GET /info, for `probe` */
struct engine_info {
    char storage_driver[ANSWER_NAME];
    char cgroup_version[ANSWER_NAME];
    bool rootless;
};
bool answer_read_info(const char *text, size_t length, struct engine_info *info);

/* {"message": "..."} of an error, else the beginning of the text itself; one line, always something. */
void answer_read_words(const char *text, size_t length, char words[ANSWER_WORDS]);

/* GET /images/NAME/json, or the array of one that `docker image inspect` prints */
struct image_facts {
    char id[ANSWER_ID];              /* "sha256:..." */
    char config_digest[ANSWER_ID];   /* "" when the Engine's image store does not tell it */
    char manifest_digest[ANSWER_ID]; /* "" when no registry gave one */
    char platform[ANSWER_NAME];
    uint64_t bytes;
    int64_t created_at_ms;
};
/* `reference` chooses among several manifest digests; may be NULL. */
bool answer_read_image(const char *text, size_t length, const char *reference, struct image_facts *facts);

/* POST /containers/create */
bool answer_read_created(const char *text, size_t length, char id[ANSWER_ID]);

/* GET /containers/NAME/json */
struct container_facts {
    char id[ANSWER_ID];
    char status[ANSWER_NAME]; /* created, running, paused, restarting, removing, exited, dead */
    char token[ANSWER_NAME];  /* our label, "" when it is not ours */
    char run[ANSWER_NAME];
    char error[ANSWER_WORDS]; /* why it could not be started, "" */
    int32_t exit_code;
    bool out_of_memory;
    uint64_t memory_limit; /* 0: none */
    bool alive;            /* running, paused or restarting */
    bool ever_started;
    bool terminal;
    int64_t started_at_ms;
    int64_t finished_at_ms; /* never before started_at_ms */
};
bool answer_read_container(const char *text, size_t length, struct container_facts *facts);

/* One line of GET /containers/NAME/stats */
struct usage_facts {
    uint64_t cpu_ms; /* user and system together, since the start */
    uint64_t memory; /* bytes at this moment, without files that are only cached */
};
bool answer_read_usage(const char *text, size_t length, struct usage_facts *facts);

/* GET /containers/json: `found` is called for each that has our label. False too when the list is no list. */
struct listed_container {
    const char *id, *token;
    bool alive;
};
bool answer_read_list(const char *text, size_t length,
                      void (*found)(void *context, const struct listed_container *container), void *context);

/* One line of the streams of /images/create and /images/load */
struct fetch_line {
    char error[ANSWER_WORDS]; /* "" when it is none */
    char status[ANSWER_NAME];
    char layer[ANSWER_ID];
    uint64_t current, total; /* of the layer; 0: not said */
};
bool answer_read_fetch_line(const char *text, size_t length, struct fetch_line *line);

/* One line of the streams of /build and /images/NAME/push. */
struct work_line {
    char *output;             /* of a build, as it came, perhaps without a newline; or NULL. The caller frees it */
    char error[ANSWER_WORDS]; /* "" when it is none */
    char status[ANSWER_NAME];
    char layer[ANSWER_ID];
    char id[ANSWER_ID];      /* of the image that was built, "" in other lines */
    char digest[ANSWER_ID];  /* of the manifest that was pushed, "" in other lines */
    uint64_t current, total; /* of the layer; 0: not said */
};
bool answer_read_work_line(const char *text, size_t length, struct work_line *line);

/* manifest.json of a docker-archive. `tag` chooses among several images (may be NULL). On failure `words` says why. */
bool answer_read_archive_manifest(const char *text, size_t length, const char *tag, char config_digest[ANSWER_ID],
                                  char words[ANSWER_WORDS]);

/* "2026-11-21T06:53:29.123456789Z" or with an offset → ms since 1970; 0 when it is no time or before 1970. */
int64_t answer_read_time(const char *text);

#endif
