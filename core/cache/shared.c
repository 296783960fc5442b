/* SPDX-License-Identifier: BSD-3-Clause */
/* Giving results to a group's folder, and taking them from it. */
#include "cache/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/members.h"
#include "base/path.h"
#include "cache/file_digest.h"

#define RESULT_LIMIT ((uint64_t)1024 * 1024) /* bytes of one that is read */
#define OUTPUTS_LIMIT 10000

bool shared_cache_check(const char *folder, struct error *error)
{
    struct stat status;
    if (stat(folder, &status) != 0)
        error_system(error, "the shared cache '%s' cannot be used", folder);
    else if (!S_ISDIR(status.st_mode))
        error_set(error, ERROR_INPUT, "the shared cache '%s' is not a folder", folder);
    else if ((status.st_mode & S_IWOTH) != 0)
        error_set(error, ERROR_INPUT, "the shared cache '%s' is not used: anybody may write to it", folder);
    else
        return true;
    return error_hint(error, "make it for a group: mkdir FOLDER; chgrp GROUP FOLDER; chmod 2775 FOLDER");
}

/* FOLDER/KIND/NA/NAME. */
static char *place_of(const char *folder, const char *kind, const char *name)
{
    return memory_format("%s/%s/%.2s/%s", folder, kind, name, name);
}

static bool make_like(const char *path, mode_t mode, struct error *error)
{
    if (mkdir(path, 0777) == 0)
        return chmod(path, mode & 07777) == 0 || error_system(error, "cannot set the mode of '%s'", path);
    return errno == EEXIST || error_system(error, "cannot make '%s'", path);
}

/* Both folders above, for whoever may write to FOLDER. */
static bool make_room(const char *folder, const char *path, struct error *error)
{
    cleanup(memory_free) char *below = path_folder(path);
    cleanup(memory_free) char *kind = path_folder(below);
    struct stat status;
    if (stat(folder, &status) != 0)
        return error_system(error, "the shared cache '%s' cannot be used", folder);
    return make_like(kind, status.st_mode, error) && make_like(below, status.st_mode, error);
}

static bool copy(const char *from, const char *to, unsigned placing, bool *is_folder, struct error *error)
{
    struct stat status;
    if (lstat(from, &status) != 0)
        return error_system(error, "cannot look at '%s'", from);
    *is_folder = S_ISDIR(status.st_mode);
    return *is_folder ? folder_place(from, to, placing, FOLDER_LINKS_INSIDE, error)
                      : file_place(from, to, placing, NULL, error);
}

static bool give_content(const char *folder, const struct cache_output *output, const char *from, struct error *error)
{
    cleanup(memory_free) char *made = path_join(from, output->name);
    cleanup(memory_free) char *path = place_of(folder, "content", output->sha256);
    uint64_t bytes;
    int64_t modified_ns;
    bool is_folder;
    if (file_digest_look(path, &bytes, &modified_ns, NULL) && bytes == output->bytes)
        return true;
    if (!make_room(folder, path, error) || !copy(made, path, FILE_SYNCED, &is_folder, error))
        return false;
    return is_folder || chmod(path, 0444) == 0 || error_system(error, "cannot set the mode of '%s'", path);
}

static void print_result(const struct cache_result *result, struct text *text)
{
    text_format(text, "{\"result\":\"%s\",\"run\":", result->key);
    text_append_json(text, result->run);
    text_append(text, ",\"stage\":");
    text_append_json(text, result->stage);
    if (result->member != NULL) {
        text_append(text, ",\"member\":");
        text_append_json(text, result->member);
    }
    text_format(text, ",\"attempt\":%llu,\"outputs\":[", (unsigned long long)result->attempt);
    for (size_t i = 0; i < result->outputs_count; i++) {
        const struct cache_output *output = &result->outputs[i];
        text_append(text, i > 0 ? ",{\"name\":" : "{\"name\":");
        text_append_json(text, output->name);
        text_format(text, ",\"bytes\":%llu,\"sha256\":\"%s\"}", (unsigned long long)output->bytes, output->sha256);
    }
    text_append(text, "]}\n");
}

bool shared_cache_give(const char *folder, const struct cache_result *result, const char *from, struct error *error)
{
    cleanup(memory_free) char *path = place_of(folder, "results", result->key);
    cleanup(text_clear) struct text text = TEXT_INIT;
    print_result(result, &text);
    if (text.length > RESULT_LIMIT || result->outputs_count > OUTPUTS_LIMIT)
        return true; /* nobody would read it */
    for (size_t i = 0; i < result->outputs_count; i++)
        if (!give_content(folder, &result->outputs[i], from, error))
            return false;
    return make_room(folder, path, error) && file_write(path, text_bytes(&text), text.length, 0664, error);
}

/* Taking. */

static bool read_output(const struct members *members, struct arena *arena, struct cache_output *output)
{
    const char *name = members_text(members, "name"), *sha256 = members_text(members, "sha256");
    int64_t bytes = -1;
    if (name == NULL || !path_is_component(name) || sha256 == NULL || !digest_is_text(sha256) ||
        !members_integer(members, "bytes", &bytes) || bytes < 0)
        return false;
    output->name = arena_copy_text(arena, name);
    output->bytes = (uint64_t)bytes;
    memcpy(output->sha256, sha256, DIGEST_TEXT);
    return true;
}

static bool read_result(const struct text *text, const char *key, struct arena *arena, struct cache_result *result)
{
    struct members members, item;
    if (!members_find(&members, arena, text_bytes(text), text->length) ||
        !text_equal(members_text(&members, "result"), key))
        return false;
    int64_t attempt = members_number(&members, "attempt");
    *result = (struct cache_result){.run = arena_copy_text(arena, members_text(&members, "run")),
                                    .stage = arena_copy_text(arena, members_text(&members, "stage")),
                                    .member = arena_copy_text(arena, members_text(&members, "member")),
                                    .attempt = attempt > 0 ? (uint64_t)attempt : 1};
    memcpy(result->key, key, DIGEST_TEXT);
    LIST(struct cache_output) outputs = {.items = NULL};
    bool good = result->run != NULL && result->stage != NULL;
    for (struct elements all = members_elements(&members, "outputs"); good && elements_next(&all, &item);)
        good = outputs.count < OUTPUTS_LIMIT && read_output(&item, arena, list_grow(&outputs));
    struct cache_output *copies = arena_allocate(arena, (outputs.count + 1) * sizeof *copies);
    if (outputs.count > 0)
        memcpy(copies, outputs.items, outputs.count * sizeof *copies);
    result->outputs = copies;
    result->outputs_count = outputs.count;
    list_clear(&outputs);
    return good;
}

/* Whoever owns it: a folder of the group lets go of names. Who makes it again puts it right. */
static void put_away(const char *content)
{
    char name[FILE_TEMPORARY_NAME];
    file_temporary_name(name);
    cleanup(memory_free) char *folder = path_folder(content);
    cleanup(memory_free) char *away = path_join(folder, name);
    if (rename(content, away) == 0)
        folder_remove(away, NULL);
}

/* A copy of one's own, and then its bytes: what is in the shared folder may change meanwhile. */
static bool take_output(const char *folder, struct cache_output *output, const char *to, struct text *why)
{
    cleanup(memory_free) char *content = place_of(folder, "content", output->sha256),
                              *own = path_join(to, output->name);
    cleanup(error_clear) struct error error = ERROR_INIT;
    char sha256[DIGEST_TEXT];
    bool is_folder;
    if (!copy(content, own, 0, &is_folder, &error) || (!is_folder && chmod(own, 0644) != 0) ||
        !file_digest(NULL, own, true, sha256, &error) ||
        !file_digest_look(own, &output->bytes, &output->modified_ns, &error)) {
        text_append(why, error.message != NULL ? error.message : strerror(errno));
        return false;
    }
    if (text_equal(sha256, output->sha256))
        return true;
    text_format(why, "'%s' is not what its name says", content);
    put_away(content);
    return false;
}

bool shared_cache_take(const char *folder, const char *key, const char *to, struct arena *arena,
                       struct cache_result *result, struct text *why)
{
    cleanup(memory_free) char *path = place_of(folder, "results", key);
    cleanup(memory_free) char *part = memory_format("%s.part", to);
    cleanup(text_clear) struct text text = TEXT_INIT;
    cleanup(error_clear) struct error error = ERROR_INIT;
    struct cache_result read;
    if (!file_exists(path))
        return false;
    bool good = file_read(path, RESULT_LIMIT, &text, &error);
    if (good && !read_result(&text, key, arena, &read)) {
        text_format(why, "'%s' cannot be understood", path);
        good = false;
    }
    good = good && folder_remove(part, &error) && folder_make(part, 0777, &error);
    for (size_t i = 0; good && i < read.outputs_count; i++)
        good = take_output(folder, (struct cache_output *)(uintptr_t)&read.outputs[i], part, why);
    if (good && (!folder_remove(to, &error) || rename(part, to) != 0))
        good = false;
    if (!good) {
        if (why->length == 0)
            text_append(why, error.message != NULL ? error.message : strerror(errno));
        folder_remove(part, NULL);
        unlink(path);
        return false;
    }
    *result = read;
    return true;
}
