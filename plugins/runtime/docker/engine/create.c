/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes what a container is to be. JSON is written here by hand and not through a tree of values, so that secrets lie
 * in one buffer only, which is wiped.
 *
 * What is always said, so that no daemon's default decides: the entry point, the user, the network, the log driver
 * (json-file, never cut: logs are followed and read again after a lost connection), and memory with swap the same.
 * The umask cannot be said to Docker: a stage gets Docker's 022.
 */
#include "engine/create.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct writer {
    struct bytes *body;
    const char *what; /* being written, for the message */
    char *words;
    bool failed;
};

/* The length of the UTF-8 character at `text`, 0 when it is none. Surrogates and overlong forms are none. */
static size_t character_length(const unsigned char *text)
{
    static const struct {
        unsigned char from, to, second_from, second_to;
        size_t length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    if (text[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (text[0] < forms[i].from || text[0] > forms[i].to) {
            continue;
        }
        if (text[1] < forms[i].second_from || text[1] > forms[i].second_to) {
            return 0;
        }
        for (size_t rest = 2; rest < forms[i].length; rest++) {
            if (text[rest] < 0x80 || text[rest] > 0xBF) {
                return 0;
            }
        }
        return forms[i].length;
    }
    return 0;
}

static void put_raw(struct writer *writer, const char *text)
{
    bytes_add_text(writer->body, text);
}

static void put_text(struct writer *writer, const char *text)
{
    bytes_add(writer->body, "\"", 1);
    while (*text != '\0') {
        size_t length = character_length((const unsigned char *)text);
        if (length == 0) {
            if (!writer->failed) {
                snprintf(writer->words, ANSWER_WORDS, "%s is not UTF-8, and Docker takes nothing else", writer->what);
            }
            writer->failed = true;
            return;
        }
        if ((unsigned char)*text < 0x20 || *text == '"' || *text == '\\') {
            bytes_format(writer->body, "\\u%04x", (unsigned)(unsigned char)*text);
        } else {
            bytes_add(writer->body, text, length);
        }
        text += length;
    }
    bytes_add(writer->body, "\"", 1);
}

static void put_list(struct writer *writer, const char *const *texts, bool *first)
{
    for (; texts != NULL && *texts != NULL; texts++) {
        put_raw(writer, *first ? "" : ",");
        put_text(writer, *texts);
        *first = false;
    }
}

static void put_label(struct writer *writer, const char *name, const char *value, bool *first)
{
    bytes_format(writer->body, "%s\"descpipe.%s\":", *first ? "" : ",", name);
    put_text(writer, value);
    *first = false;
}

static void put_labels(struct writer *writer, const struct descpipe_stage *stage)
{
    char attempt[32];
    bool first = true;
    snprintf(attempt, sizeof(attempt), "%" PRIu64, stage->attempt);
    put_raw(writer, "\"Labels\":{");
    put_label(writer, "run", stage->run, &first);
    put_label(writer, "stage", stage->name, &first);
    if (stage->member != NULL) {
        put_label(writer, "member", stage->member, &first);
    }
    put_label(writer, "attempt", attempt, &first);
    put_label(writer, "token", stage->token, &first);
    put_raw(writer, "}");
}

static void put_mount(struct writer *writer, const struct descpipe_mount *mount,
                      const struct descpipe_resources *resources)
{
    writer->what = "the path of a mount";
    if ((mount->flags & DESCPIPE_MOUNT_SCRATCH) != 0) {
        put_raw(writer, "{\"Type\":\"tmpfs\",\"Target\":");
        put_text(writer, mount->target);
        put_raw(writer, ",\"TmpfsOptions\":{\"Mode\":1023"); /* 01777, as /tmp */
        if (resources != NULL && resources->scratch > 0) {
            bytes_format(writer->body, ",\"SizeBytes\":%" PRIu64, resources->scratch);
        }
        put_raw(writer, "}}");
        return;
    }
    put_raw(writer, "{\"Type\":\"bind\",\"Source\":");
    put_text(writer, mount->source);
    put_raw(writer, ",\"Target\":");
    put_text(writer, mount->target);
    put_raw(writer, (mount->flags & DESCPIPE_MOUNT_READ_ONLY) != 0 ? ",\"ReadOnly\":true}" : "}");
}

static void put_gpus(struct writer *writer, const char *const *gpus)
{
    bool first = true;
    writer->what = "the id of a gpu";
    put_raw(writer, ",\"DeviceRequests\":[{\"Driver\":\"\",\"Capabilities\":[[\"gpu\"]],\"DeviceIDs\":[");
    put_list(writer, gpus, &first);
    put_raw(writer, "]}]");
}

const char *const create_rights[] = {"CHOWN",  "DAC_OVERRIDE", "FOWNER",     "FSETID", "KILL", "NET_BIND_SERVICE",
                                     "SETGID", "SETUID",       "SYS_CHROOT", NULL};

/* Who asks for the image's own user gets what that user has with Docker. */
static void put_rights(struct writer *writer)
{
    bool first = true;
    put_raw(writer, ",\"SecurityOpt\":[\"no-new-privileges\"],\"CapDrop\":[\"ALL\"],\"CapAdd\":[");
    put_list(writer, create_rights, &first);
    put_raw(writer, "]");
}

static void put_host_part(struct writer *writer, const struct descpipe_stage *stage,
                          const struct create_options *options)
{
    const struct descpipe_resources *resources = stage->resources;
    put_raw(writer, ",\"HostConfig\":{\"Mounts\":[");
    for (size_t i = 0; stage->mounts != NULL && stage->mounts[i] != NULL; i++) {
        put_raw(writer, i > 0 ? "," : "");
        put_mount(writer, stage->mounts[i], resources);
    }
    put_raw(writer, "],\"NetworkMode\":");
    writer->what = "the name of the network";
    put_text(writer, (stage->flags & DESCPIPE_STAGE_NO_NETWORK) != 0 ? "none" : options->network);
    /* A size that never comes keeps the log whole whatever the daemon's own default cuts. */
    put_raw(writer, ",\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1000g\",\"max-file\":\"2\"}}");
    bytes_format(writer->body, ",\"Init\":%s", options->init ? "true" : "false");
    if (resources != NULL) {
        uint64_t cpus = (uint64_t)resources->cpus_per_rank * resources->ranks_per_node;
        if (cpus > 0 && cpus <= INT64_MAX / 1000000000) {
            bytes_format(writer->body, ",\"NanoCpus\":%" PRIu64, cpus * 1000000000);
        }
        if (resources->memory_per_node > 0) {
            bytes_format(writer->body, ",\"Memory\":%" PRIu64 ",\"MemorySwap\":%" PRIu64, resources->memory_per_node,
                         resources->memory_per_node);
        }
    }
    if (stage->gpus != NULL && stage->gpus[0] != NULL) {
        put_gpus(writer, stage->gpus);
    }
    if (options->caller_user) {
        put_rights(writer);
    }
    put_raw(writer, "}");
}

bool create_write(const struct descpipe_stage *stage, const struct create_options *options, struct bytes *body,
                  char words[ANSWER_WORDS])
{
    struct writer writer = {.body = body, .words = words, .what = "the image"};
    bool terminal = (stage->flags & DESCPIPE_STAGE_TERMINAL) != 0, first = true;
    put_raw(&writer, "{\"Image\":");
    put_text(&writer, stage->image_handle);
    writer.what = "a word of the command";
    put_raw(&writer, ",\"Entrypoint\":[");
    put_list(&writer, stage->command, &first);
    put_raw(&writer, "],\"Cmd\":[],\"Env\":[");
    writer.what = "an environment variable";
    first = true;
    put_list(&writer, stage->environment, &first);
    put_list(&writer, stage->late_environment, &first);
    put_raw(&writer, "],");
    writer.what = "the name of the run, stage or member";
    put_labels(&writer, stage);
    if (options->caller_user) {
        bytes_format(body, ",\"User\":\"%" PRIu32 ":%" PRIu32 "\"", stage->uid, stage->gid);
    }
    if (stage->directory != NULL) {
        writer.what = "the working directory";
        put_raw(&writer, ",\"WorkingDir\":");
        put_text(&writer, stage->directory);
    }
    bytes_format(body, ",\"Tty\":%s,\"OpenStdin\":%s,\"AttachStdin\":false", terminal ? "true" : "false",
                 terminal ? "true" : "false");
    put_host_part(&writer, stage, options);
    put_raw(&writer, "}");
    if (body->failed && !writer.failed) {
        snprintf(words, ANSWER_WORDS, "not enough memory");
    }
    return !writer.failed && !body->failed;
}
