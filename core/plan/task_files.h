/* SPDX-License-Identifier: BSD-3-Clause */
/* Which files a task reads and writes: where each lies on this machine, and what the stage finds it as. */
#ifndef DESCPIPE_PLAN_TASK_FILES_H
#define DESCPIPE_PLAN_TASK_FILES_H

#include "base/memory.h"
#include "pipeline/pipeline.h"

struct task_file {
    const char *from; /* absolute; NULL: a new folder, for the files after it */
    const char *name; /* inside the folder; of a file in such a folder: with it */
    bool is_folder;
    const char *suffix; /* its type; NULL: any */
};

struct task_file_list {
    const struct task_file *items;
    size_t count;
};

struct task_files { /* of one task; `arena` has all texts and lists */
    const struct pipeline *pipeline;
    const char *working; /* absolute */
    const char *const
        *fetched; /* by index into pipeline->inputs: where the file from its URL is, or NULL; may be NULL */
    struct arena *arena;
};

#define TASK_FILES_NO_MEMBER UINT32_MAX

bool task_files_inputs(const struct task_files *files, const struct stage *stage, uint32_t member,
                       struct task_file_list *inputs, struct error *error);
bool task_files_configs(const struct task_files *files, const struct stage *stage, struct task_file_list *configs,
                        struct error *error);
/* WORKING/data/TAG.SUFFIX, or WORKING/data/TAG/MEMBER.SUFFIX. */
const char *task_files_data_path(const struct task_files *files, const struct stage *producer, uint32_t member,
                                 const struct file_tag *file);
/* "TAG.SUFFIX", "TAG" for the suffix "/", "TAG.zarr" for "zarr/". */
const char *task_files_name(const struct task_files *files, const struct file_tag *file);

/* The same, appended. */
void task_file_append_name(struct text *name, const char *tag, const char *suffix);
bool task_file_is_folder(const char *suffix);

#endif
