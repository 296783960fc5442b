/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of an image. */
#include "tool/facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "registry/manifest.h"
#include "registry/ownership.h"

#include "store/describe.h"
#include "store/source.h"

#define FACTS_BYTES ((uint64_t)1 << 40) /* what a compressed archive may inflate to */

void image_facts_clear(struct image_facts *facts)
{
    free(facts->config_digest);
    free(facts->manifest_digest);
    free(facts->media_type);
    free(facts->platform);
    *facts = (struct image_facts){0};
}

bool image_is_archive(const struct descpipe_image *image)
{
    return image->source == DESCPIPE_SOURCE_DOCKER_ARCHIVE || image->source == DESCPIPE_SOURCE_OCI_ARCHIVE ||
           image->source == DESCPIPE_SOURCE_OCI_LAYOUT;
}

bool image_facts_read(struct image_facts *facts, const struct descpipe_image *image, const char *temporary,
                      const atomic_bool *stop, struct failure *failure)
{
    const struct budget budget = {
        .entries = BUDGET_ENTRIES, .bytes = FACTS_BYTES, .free_bytes = BUDGET_FREE_BYTES, .stop = stop};
    if (image->path == NULL)
        return failure_set(failure, DESCPIPE_FAILED_REFUSED, "image '%s' is named without a path", image->reference);
    cleanup(source_close) struct source *source = source_open(image->path, temporary, &budget, failure);
    cleanup(description_clear) struct description description = {0};
    if (source == NULL || !description_read(&description, source, image, failure))
        return false;
    facts->config_digest = steal(&description.config_digest);
    facts->manifest_digest = steal(&description.manifest_digest);
    facts->media_type = steal(&description.media_type);
    facts->platform = steal(&description.platform);
    facts->stored_bytes = description.stored_bytes;
    facts->created_at_ms = description.created_at_ms;
    return true;
}

static bool set_text(char **place, const char *value, struct failure *failure)
{
    if (value == NULL || value[0] == '\0')
        return true;
    char *copy = strdup(value);
    if (copy == NULL)
        return failure_memory(failure);
    free(*place);
    *place = copy;
    return true;
}

bool image_facts_pins(struct image_facts *facts, const struct descpipe_image *image, struct failure *failure)
{
    return set_text(&facts->config_digest, image->config_digest, failure) &&
           set_text(&facts->manifest_digest, image->manifest_digest, failure) &&
           set_text(&facts->platform, image->platform, failure);
}

static void write_line(FILE *file, const char *name, const char *value)
{
    if (value != NULL && strpbrk(value, "\r\n") == NULL)
        fprintf(file, "%s %s\n", name, value);
}

void image_facts_write(const struct image_facts *facts, FILE *file)
{
    write_line(file, "config-digest", facts->config_digest);
    write_line(file, "manifest-digest", facts->manifest_digest);
    write_line(file, "media-type", facts->media_type);
    write_line(file, "platform", facts->platform);
    fprintf(file, "stored-bytes %" PRIu64 "\n", facts->stored_bytes);
    fprintf(file, "created-at-ms %" PRId64 "\n", facts->created_at_ms);
}

bool image_facts_take_line(struct image_facts *facts, const char *line, struct failure *failure)
{
    const struct {
        const char *name;
        char **place;
    } texts[] = {{"config-digest ", &facts->config_digest},
                 {"manifest-digest ", &facts->manifest_digest},
                 {"media-type ", &facts->media_type},
                 {"platform ", &facts->platform}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strncmp(line, texts[i].name, strlen(texts[i].name)) == 0)
            return set_text(texts[i].place, line + strlen(texts[i].name), failure);
    if (strncmp(line, "stored-bytes ", 13) == 0)
        facts->stored_bytes = strtoull(line + 13, NULL, 10);
    else if (strncmp(line, "created-at-ms ", 14) == 0)
        facts->created_at_ms = strtoll(line + 14, NULL, 10);
    return true;
}

void image_facts_answer(const struct image_facts *facts, const struct descpipe_host *host, struct descpipe_call *call,
                        const char *handle, bool present)
{
    const struct descpipe_image_identity identity = {.size = sizeof identity,
                                                     .present = present,
                                                     .config_digest = facts->config_digest,
                                                     .manifest_digest = facts->manifest_digest,
                                                     .media_type = facts->media_type,
                                                     .platform = facts->platform,
                                                     .handle = handle,
                                                     .stored_bytes = facts->stored_bytes,
                                                     .created_at_ms = facts->created_at_ms};
    host->answer->identity(call, &identity);
    host->call->succeed(call);
}

bool image_digest_valid(const char *digest)
{
    return digest != NULL && oci_digest_valid(digest);
}

const char *image_reference_digest(const char *reference)
{
    const char *at = strrchr(reference, '@');
    return at != NULL && image_digest_valid(at + 1) ? at + 1 : NULL;
}

char *image_reference_name(const char *reference)
{
    size_t length = strcspn(reference, "@");
    const char *end = reference + length, *slash = reference;
    for (const char *letter = reference; letter < end; letter++)
        slash = *letter == '/' ? letter : slash;
    const char *colon = memchr(slash, ':', (size_t)(end - slash)); /* before the last slash it is a port */
    return strndup(reference, colon != NULL ? (size_t)(colon - reference) : length);
}
