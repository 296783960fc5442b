/* SPDX-License-Identifier: BSD-3-Clause */
/* Bringing inputs in, judging outputs, publishing them. */
#include "run/files/staging.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "pipeline/file_type.h"

/* What stands in errno after a failed file operation tells a full disk from the rest. */
static enum verdict verdict_of_errno(enum verdict otherwise)
{
    return error_is_no_room(errno) ? VERDICT_DISK : otherwise;
}

static bool make_anew(const char *folder, struct error *error)
{
    return folder_remove(folder, error) && folder_make(folder, 0777, error);
}

static bool check_type(const struct pipeline *pipeline, const struct task_file *file, const char *path,
                       struct error *error)
{
    if (file->suffix == NULL)
        return true;
    cleanup(memory_free) char *shown = memory_format("its input '%s' (from '%s')", file->name, path);
    return file_type_check(pipeline, file->suffix, (struct file_named){.path = path, .shown = shown}, error);
}

static bool bring_files(const struct pipeline *pipeline, const char *folder, struct task_file_list files,
                        unsigned placing, struct error *error)
{
    if (!make_anew(folder, error))
        return false;
    for (size_t i = 0; i < files.count; i++) {
        cleanup(memory_free) char *to = path_join(folder, files.items[i].name);
        if (files.items[i].from == NULL) {
            if (!folder_make(to, 0777, error))
                return false;
            continue;
        }
        /* Data that a person names may be a link into a store; only what a stage writes may not be one. */
        cleanup(memory_free) char *real = path_real(files.items[i].from, error);
        if (real == NULL || !check_type(pipeline, &files.items[i], real, error))
            return false;
        bool placed = files.items[i].is_folder ? folder_place(real, to, placing, FOLDER_LINKS_KEPT, error)
                                               : file_place(real, to, placing, NULL, error);
        if (!placed)
            return false;
    }
    return true;
}

bool staging_bring_in(const struct staging_in *in, enum verdict *verdict, struct error *error)
{
    cleanup(memory_free) char *input = path_join(in->folder, "input");
    cleanup(memory_free) char *config = path_join(in->folder, "config");
    errno = 0;
    bool done = bring_files(in->pipeline, input, in->inputs, in->may_link ? FILE_MAY_LINK : 0, error) &&
                bring_files(in->pipeline, config, in->configs, 0, error);
    if (done && in->script != NULL) {
        cleanup(memory_free) char *script = path_join(config, in->script_name);
        done = file_write_unsynced(script, in->script, strlen(in->script), 0777, error);
    }
    if (!done)
        *verdict = verdict_of_errno(VERDICT_STAGE_IN);
    return done;
}

static const char *kind_name(mode_t mode)
{
    return S_ISLNK(mode)    ? "a symbolic link"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISDIR(mode)  ? "a folder"
           : S_ISREG(mode)  ? "a file"
                            : "a device";
}

static bool look_at(const struct staging_out *out, struct staging_output *output, struct text *reason)
{
    cleanup(memory_free) char *path = path_join(out->attempt, output->name);
    struct stat status;
    bool wants_folder = task_file_is_folder(output->suffix);
    if (lstat(path, &status) != 0) {
        if (errno == ENOENT)
            text_format(reason, "did not write its output '%s'", output->name);
        else
            text_format(reason, "its output '%s' cannot be looked at: %s", output->name, strerror(errno));
        return false;
    }
    if (wants_folder ? !S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode)) {
        text_format(reason, "its output '%s' is %s, not a %s", output->name, kind_name(status.st_mode),
                    wants_folder ? "folder" : "regular file");
        return false;
    }
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(memory_free) char *shown = memory_format("its output '%s' is there, but", output->name);
    if (!file_type_check(out->pipeline, output->suffix, (struct file_named){.path = path, .shown = shown}, &error)) {
        text_append(reason, error.message);
        return false;
    }
    output->bytes = wants_folder ? 0 : (uint64_t)status.st_size;
    return true;
}

bool staging_look(const struct staging_out *out, enum verdict *verdict, struct text *reason)
{
    for (size_t i = 0; i < out->outputs_count; i++)
        if (!look_at(out, &out->outputs[i], reason)) {
            *verdict = VERDICT_OUTPUT_MISSING;
            return false;
        }
    return true;
}

/* WORKING/STAGE/output, replaced in one step. A real folder in its place is somebody's own and stays. */
static bool point_output(const struct staging_out *out, struct error *error)
{
    cleanup(memory_free) char *folder = path_folder(out->link);
    if (!folder_make(folder, 0777, error))
        return false;
    char name[FILE_TEMPORARY_NAME];
    file_temporary_name(name);
    cleanup(memory_free) char *temporary = path_join(folder, name);
    struct stat status;
    if (lstat(out->link, &status) == 0 && S_ISDIR(status.st_mode) && rmdir(out->link) != 0) {
        log_warning("'%s' is a folder with files; it is left alone and does not show the latest output", out->link);
        return true;
    }
    if (symlink(out->link_target, temporary) != 0)
        return error_system(error, "cannot make a link in '%s'", folder);
    if (rename(temporary, out->link) == 0)
        return true;
    error_system(error, "cannot put '%s' in place", out->link);
    unlink(temporary);
    return false;
}

bool staging_place_output(const char *from, const char *to, const char *suffix, struct error *error)
{
    unsigned placing = FILE_MAY_LINK | FILE_SYNCED;
    return task_file_is_folder(suffix) ? folder_place(from, to, placing, FOLDER_LINKS_INSIDE, error)
                                       : file_place(from, to, placing, NULL, error);
}

bool staging_publish(const struct staging_out *out, enum verdict *verdict, struct error *error)
{
    errno = 0;
    bool done = true;
    for (size_t i = 0; i < out->outputs_count && done; i++) {
        const struct staging_output *output = &out->outputs[i];
        cleanup(memory_free) char *from = path_join(out->attempt, output->name);
        cleanup(memory_free) char *folder = path_folder(output->published);
        done = folder_make(folder, 0777, error) && staging_place_output(from, output->published, output->suffix, error);
    }
    if (done && out->link != NULL)
        done = point_output(out, error);
    if (!done)
        *verdict = verdict_of_errno(VERDICT_OUTPUT_MISSING);
    return done;
}
