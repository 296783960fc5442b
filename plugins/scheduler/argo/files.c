/* SPDX-License-Identifier: BSD-3-Clause */
/* ConfigMaps of a Workflow; files.h says how it works. */
#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of what is written in base64. */
static size_t bytes_of(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value), padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=') {
        padding++;
    }
    return length / 4 * 3 - padding;
}

/* What `data` would add to a map that has some of it. */
static size_t added_by(const json_t *map, json_t *data)
{
    size_t bytes = 0;
    const char *key;
    json_t *value;
    json_object_foreach(data, key, value)
    {
        bytes += json_object_get(map, key) == NULL ? bytes_of(value) : 0;
    }
    return bytes;
}

bool files_pack(struct files *files, const struct descpipe_submission *submission, bool with_scripts,
                char words[POD_WORDS])
{
    size_t bytes = 0;
    *files = (struct files){.maps = json_array(), .place = calloc((size_t)submission->count + 1, sizeof(uint32_t))};
    snprintf(words, POD_WORDS, "out of memory");
    for (uint32_t i = 0; files->place != NULL && i < submission->count; i++) {
        struct descpipe_job job = *submission->jobs[i];
        char reason[POD_WORDS];
        if (!with_scripts) {
            job.bring_in = job.publish = NULL;
        }
        json_t *data = pod_files_data(&job, reason);
        if (data == NULL) {
            snprintf(words, POD_WORDS, "stage '%.100s': %.380s", job.stage, reason);
            files_clear(files);
            return false;
        }
        size_t count = json_array_size(files->maps);
        json_t *map = count > 0 ? json_array_get(files->maps, count - 1) : NULL;
        size_t added = added_by(map, data);
        if (json_object_size(data) > 0 && (map == NULL || bytes + added > POD_FILES_LIMIT)) {
            map = json_object();
            json_array_append_new(files->maps, map);
            bytes = 0;
            added = added_by(map, data);
        }
        bytes += added;
        json_object_update(map, data);
        json_decref(data);
        files->place[i] = json_array_size(files->maps) > 0 ? (uint32_t)json_array_size(files->maps) - 1 : 0;
    }
    return files->place != NULL;
}

void files_clear(struct files *files)
{
    json_decref(files->maps);
    free(files->place);
    *files = (struct files){.maps = NULL};
}

uint32_t files_place(const struct files *files, uint32_t index)
{
    return files != NULL ? files->place[index] : 0;
}

void files_name(const char *token, uint32_t number, char name[64])
{
    snprintf(name, 64, "%.44s-files-%u", token, number);
}
