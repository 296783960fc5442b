/* SPDX-License-Identifier: BSD-3-Clause */
/* A stage while it is read: from --set, its section, stage.yaml and run.py, in this order; the first to say a key wins.
 */
#ifndef DESCPIPE_PIPELINE_STAGE_DRAFT_H
#define DESCPIPE_PIPELINE_STAGE_DRAFT_H

#include "pipeline/reader.h"

enum stage_key {
    KEY_NONE = 0,
    KEY_DEPENDS_ON,
    KEY_INPUTS,
    KEY_OUTPUTS,
    KEY_CONFIG,
    KEY_IMAGE,
    KEY_COMMAND,
    KEY_SCRIPT,
    KEY_INTERPRETER,
    KEY_ENV,
    KEY_CPUS,
    KEY_MEMORY,
    KEY_GPUS,
    KEY_OPENMP,
    KEY_NODES,
    KEY_PPN,
    KEY_MINUTES,
    KEY_PARALLEL,
    KEY_SIZE,
    KEY_FOREACH,
    KEY_LIMIT,
    KEY_RETRIES,
    KEY_ON,
    KEY_MOUNTS,
    KEY_SCRATCH,
    KEY_NETWORK,
    KEY_WORKDIR,
    KEY_PULL,
    KEY_BACKEND,
    KEY_GITHUB,
    KEY_CHECKOUT,
    KEY_PYTHON_MODULE,
    KEY_CACHE,
    KEY_CHECKPOINT,
    KEY_OLD_PROCESSES,
    KEY_OLD_CORES,
    KEY_OLD_TIME,
    KEY_OLD_DEPENDS_ON, /* of old files, never read */
    KEY_COUNT
};
#define KEY_BIT(key) (UINT64_C(1) << (key))

struct each_use { /* a ${each.KEY} that was met */
    char *key;
    char *file; /* NULL: the pipeline's */
    uint32_t line, column;
};

struct stage_draft {
    struct pipeline_reader *reader;
    const struct document *document; /* of the source being read */
    enum metadata_source source;
    uint32_t number;
    const char *name;
    struct place place; /* of the section, or of the name in `stages` */
    struct stage stage;
    struct stage_extras *extras; /* or NULL */
    struct resources resources;
    uint64_t given; /* KEY_BIT of what was said */
    uint32_t size;
    size_t section_configs_before; /* in reader->section_configs */
    LIST(struct file_tag) configs; /* of stage.yaml or run.py */
    LIST(struct each_use) each_uses;
    struct place parallel_place, nodes_place, interpreter_place;
    struct place threads_place; /* of OMP_NUM_THREADS in `env`; file NULL: not there */
};

/* Reads one key from a node of draft->document. An unknown key is a problem. */
void stage_draft_key(struct stage_draft *draft, const char *key, struct place key_place, const struct node *node);
/* Every key of a mapping of `document`; what an earlier source said stays. */
void stage_draft_keys(struct stage_draft *draft, const struct document *document, const struct node *mapping,
                      enum metadata_source source);
/* stage_metadata.c: finds the stage's folder and takes what it says. */
void stage_draft_folder(struct stage_draft *draft);
struct stage_extras *stage_draft_extras(struct stage_draft *draft);
enum stage_key stage_key_find(const struct pipeline_reader *reader, const char *key);

/* stage_values.c */
void draft_refuse(struct stage_draft *draft, struct place place, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "WHAT of stage 'x' must be WANTED, not ..." */
void draft_refuse_kind(struct stage_draft *draft, const struct node *node, const char *what, const char *wanted,
                       const char *hint);
bool draft_text(struct stage_draft *draft, const struct node *node, const char *what, symbol *result);
void draft_words(struct stage_draft *draft, const struct node *node, const char *what, struct slice *result);
/* Refuses what cannot name an image, also where the runtime of today asks for none. */
void draft_check_image(struct stage_draft *draft, const struct node *node, symbol image);
void draft_depends_on(struct stage_draft *draft, const struct node *node); /* with the place of each */
void draft_files(struct stage_draft *draft, const struct node *node, const char *what, struct slice *result);
void draft_environment(struct stage_draft *draft, const struct node *node);
void draft_retries(struct stage_draft *draft, const struct node *node);
/* checkpoint.c; the second when all of the stage is known. */
void draft_checkpoint(struct stage_draft *draft, const struct node *node);
void draft_check_checkpoint(struct stage_draft *draft);
void draft_plugin_options(struct stage_draft *draft, const struct node *node);
void draft_mounts(struct stage_draft *draft, const struct node *node);
void draft_config(struct stage_draft *draft, const struct node *node);

#endif
