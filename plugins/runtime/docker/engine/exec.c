/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands, changes and commits of containers: read and written. */
#include "engine/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/json.h"

enum { CHANGES_LIMIT = 1000000 };

static bool set_list(json_t *object, const char *key, const char *const *texts)
{
    json_t *list = json_array();
    bool good = list != NULL;
    for (; good && texts != NULL && *texts != NULL; texts++) {
        good = json_array_append_new(list, json_string(*texts)) == 0; /* NULL when it is not UTF-8 */
    }
    if (!good) {
        json_decref(list);
        return false;
    }
    return json_object_set_new(object, key, list) == 0;
}

bool exec_write(const struct descpipe_exec *exec, struct bytes *body)
{
    bool terminal = exec->terminal != 0, input = terminal || exec->input_descriptor >= 0;
    json_t *object =
        json_pack("{s:b, s:b, s:b, s:b}", "AttachStdin", input, "AttachStdout", 1, "AttachStderr", 1, "Tty", terminal);
    bool good = object != NULL && set_list(object, "Cmd", exec->command) && set_list(object, "Env", exec->environment);
    if (good && exec->directory != NULL) {
        good = json_object_set_new(object, "WorkingDir", json_string(exec->directory)) == 0;
    }
    char *text = good ? json_dumps(object, JSON_COMPACT) : NULL;
    good = text != NULL && bytes_add_text(body, text);
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
    }
    free(text);
    json_decref(object);
    return good;
}

bool answer_read_exec(const char *text, size_t length, struct exec_facts *facts)
{
    json_t *object = json_object_of(text, length);
    const json_t *running = json_object_get(object, "Running"), *exit_code = json_object_get(object, "ExitCode");
    bool good = json_is_boolean(running) && (json_is_true(running) || json_is_integer(exit_code));
    if (good) {
        json_int_t code = json_is_integer(exit_code) ? json_integer_value(exit_code) : 0;
        *facts = (struct exec_facts){.running = json_is_true(running),
                                     .exit_code = code >= 0 && code < 256 ? (int32_t)code : 255};
    }
    json_decref(object);
    return good;
}

bool answer_read_changes(const char *text, size_t length, void (*found)(void *context, const char *line), void *context)
{
    static const char kinds[] = "CAD"; /* 0 changed, 1 added, 2 deleted */
    json_t *list = json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_null(list) || (json_is_array(list) && json_array_size(list) <= CHANGES_LIMIT);
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *path = json_string_value(json_object_get(entry, "Path"));
        json_int_t kind = json_integer_value(json_object_get(entry, "Kind"));
        struct bytes line = {0};
        good = path != NULL && kind >= 0 && kind < 3 && bytes_format(&line, "%c %s", kinds[kind], path);
        if (good) {
            found(context, bytes_text(&line));
        }
        bytes_clear(&line);
    }
    json_decref(list);
    return good;
}

/* Where the tag begins, or NULL. */
static const char *tag_of(const char *reference)
{
    const char *name = strrchr(reference, '/');
    const char *colon = strchr(name != NULL ? name : reference, ':');
    return colon;
}

static bool add_change(struct bytes *path, const char *word, const char *const *list)
{
    json_t *object = json_object();
    bool good = object != NULL && set_list(object, "list", list);
    char *text = good ? json_dumps(json_object_get(object, "list"), 0) : NULL;
    struct bytes line = {0};
    good = text != NULL && bytes_format(&line, "%s %s", word, text) && bytes_add_text(path, "&changes=") &&
           bytes_add_escaped(path, bytes_text(&line), "");
    bytes_clear(&line);
    free(text);
    json_decref(object);
    return good;
}

bool commit_write(const struct descpipe_commit *commit, const char *container, struct bytes *path)
{
    static const char *const shell[] = {"/bin/sh", NULL}, *const none[] = {NULL};
    /* Whose it was says nothing of what is started from it. */
    static const char labels[] = "LABEL descpipe.run=\"\" descpipe.token=\"\"";
    const char *tag = tag_of(commit->reference);
    char *name =
        strndup(commit->reference, tag != NULL ? (size_t)(tag - commit->reference) : strlen(commit->reference));
    bool good =
        name != NULL && bytes_add_text(path, "/commit?container=") && bytes_add_escaped(path, container, "") &&
        bytes_add_text(path, "&repo=") && bytes_add_escaped(path, name, "/") && bytes_add_text(path, "&tag=") &&
        bytes_add_escaped(path, tag != NULL ? tag + 1 : "latest", "") && bytes_add_text(path, "&changes=") &&
        bytes_add_escaped(path, labels, "") && add_change(path, "ENTRYPOINT", none) &&
        add_change(path, "CMD", commit->command != NULL && commit->command[0] != NULL ? commit->command : shell);
    free(name);
    return good;
}
