/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model of a pipeline file: what the author said, checked, with nothing of the machine in it.
 *
 * How it works: 100,000 stages must fit into a few tens of megabytes, so a stage is a small struct of numbers; names
 * are symbols, lists are slices of shared arrays, and what few stages say (mounts, retries, env ...) lives in a `struct
 * stage_extras` that only those stages have. Equal resources are stored once.
 */
#ifndef DESCPIPE_PIPELINE_PIPELINE_H
#define DESCPIPE_PIPELINE_PIPELINE_H

#include <descpipe/types.h>

#include "base/list.h"
#include "base/problem.h"
#include "base/table.h"
#include "config/backend.h"
#include "config/document.h"
#include "config/layers.h"
#include "config/on_exit.h"

struct slice { /* of one of the pipeline's arrays */
    uint32_t at, count;
};

struct file_tag { /* an input, output or config file of a stage */
    symbol tag;
    symbol suffix; /* "fits", "/" for a folder; for config: the file name inside DESC_CONFIG */
    uint32_t line, column;
};

enum parallel { PARALLEL_SERIAL = 0, PARALLEL_MPI, PARALLEL_EMBARRASSING };

struct resources { /* 0: not said */
    uint32_t nodes, ppn, cpus, gpus, openmp, minutes;
    uint64_t memory, scratch;
};

enum retry_reason { /* bits */
                    RETRY_NODE_FAIL = 1 << 0,
                    RETRY_PREEMPTED = 1 << 1,
                    RETRY_TIMEOUT = 1 << 2,
                    RETRY_OOM = 1 << 3,
                    RETRY_LOST = 1 << 4,
                    RETRY_IMAGE = 1 << 5,
                    RETRY_FAIL = 1 << 6 /* any exit */,
                    RETRY_EXIT_CODES = 1 << 7
};
struct retries {
    uint32_t limit;
    uint32_t reasons;    /* retry_reason bits */
    uint8_t *exit_codes; /* for RETRY_EXIT_CODES */
    size_t exit_codes_count;
    int64_t backoff_ms;                   /* doubled each time, at most an hour */
    double memory_factor, minutes_factor; /* 1: unchanged */
    uint64_t max_memory;
};

struct spot { /* in the pipeline's file; line 0: said elsewhere */
    uint32_t line, column;
};

/* A stage that is told shortly before its time limit, and goes on in another attempt with what it wrote then. */
struct checkpoint {
    struct slice files; /* of pipeline->symbols_array: patterns of files in its output folder; none: no checkpoint */
    int signal;
    int64_t before_ms;
    uint32_t links; /* attempts that its time limit may end, at most */
    struct spot at;
};

struct variable {
    symbol name, value;
    bool secret; /* value is the secret's name */
};
struct bind {
    symbol source, target;
    bool read_only;
    uint32_t line, column;
};
struct foreach_key {
    symbol key;
    struct slice values; /* of pipeline->symbols_array */
};
struct plugin_options { /* of a stage, for a scheduler or a runtime */
    symbol plugin;
    struct document *document; /* kept: a small document whose root is the mapping */
};

struct stage_extras {
    struct retries retries;
    struct checkpoint checkpoint;
    LIST(struct variable) environment;
    LIST(struct bind) mounts;
    LIST(struct foreach_key) foreach; /* in order; the members are their product, last key fastest */
    LIST(struct plugin_options) on;
    symbol image;  /* overrides the formula */
    symbol script; /* verbatim text */
    struct slice interpreter;
    symbol limit, workdir, backend, github, checkout, pull; /* 0: not said */
    struct spot image_at, limit_at, backend_at;             /* of their values */
    int network;                                            /* -1 not said, 0, 1 */
    bool never_cached, remembered;                          /* `cache: false`, `cache: true` */
    bool python_module;                                     /* mount ours into an image that lacks it */
    bool numbered; /* member names end with the member's number, for their values alone would not be unique or legal */
};

enum metadata_source { FROM_SECTION = 0, FROM_STAGE_YAML, FROM_RUN_PY }; /* who said a stage's inputs or outputs */

struct stage {
    symbol name;
    uint32_t line, column;                 /* of its section, or of its name in `stages` when it has none */
    struct slice inputs, outputs, configs; /* of pipeline->files */
    struct slice command;                  /* of pipeline->symbols_array; empty: /opt/desc/run.py or the script */
    struct slice depends_on;               /* of pipeline->symbols_array, as written */
    struct slice after; /* of pipeline->edges: stage numbers it waits for, sorted, unique (data and depends-on) */
    uint32_t resources; /* index into pipeline->resources */
    uint32_t members;   /* 0: no foreach; else how many */
    uint8_t parallel;   /* enum parallel */
    uint8_t inputs_from, outputs_from; /* enum metadata_source: the file that their lines and columns are about */
    symbol folder;                     /* its stage folder on disk, or 0 */
    struct stage_extras *extras;       /* or NULL */
};

struct run_input {
    symbol tag, path; /* absolute */
    symbol url, sha256;
    uint32_t line, column;
};
struct run_config {
    symbol stage, tag, path;
    uint32_t line, column;
};
struct limit {
    symbol name;
    uint32_t count;
};
struct file_type {
    symbol suffix;
    char magic[32];
    uint32_t magic_length, magic_offset;
}; /* see file_type.h */

enum cache_use { CACHE_FAST = 0, CACHE_FULL, CACHE_OFF }; /* how far results that are there already are trusted */

#define LATE_OUTPUTS_MS 10000
#define LATE_OUTPUTS_LIMIT_MS 3600000
enum keep_use { KEEP_ALL = 0, KEEP_FINAL, KEEP_RUNS }; /* what of a run stays when nobody needs it any more */

struct pipeline {
    char *file; /* as the user wrote it */
    char *base; /* absolute folder for relative paths */
    struct symbols *symbols;
    symbol name, owner, basename, version;
    LIST(symbol) image_folders;
    LIST(struct stage) stages; /* in the order of pipeline.stages */
    LIST(struct file_tag) files;
    LIST(symbol) symbols_array;
    LIST(uint32_t) edges;
    LIST(struct resources) resources; /* distinct; [0] is all zero */
    uint32_t *order;                  /* stage numbers in stable topological order (Kahn, FIFO), stages.count long */
    LIST(uint32_t) stage_numbers;     /* by symbol: stage number + 1, 0: no stage; see pipeline_stage */
    uint32_t *producers;              /* by tag symbol: stage number + 1, 0: none; see pipeline_producer */
    uint32_t producers_count;
    LIST(struct run_input) inputs;   /* sorted by tag */
    LIST(struct run_config) configs; /* sorted by stage and tag */
    LIST(struct backend) backends;   /* config/backend.h */
    LIST(struct limit) limits;
    LIST(struct file_type) types; /* added by the pipeline */
    char *working, *output;       /* absolute */
    bool group_readable;          /* runtime.group-readable */
    enum cache_use cache;         /* runtime.cache */
    char *shared_cache;           /* runtime.shared-cache, absolute; NULL: not said */
    enum keep_use keep;           /* runtime.keep */
    uint32_t keep_runs;           /* KEEP_RUNS: so many */
    int64_t late_outputs_ms;      /* runtime.late-outputs: how long those of stages elsewhere may take to be seen */
    struct on_exit on_exit;       /* runtime.on-exit */
    uint32_t jobs;                /* runtime.jobs, 0: not said */
    symbol default_backend;       /* runtime.backend, or 0 */
    struct spot default_backend_at;
    symbol launcher; /* "local", "nersc" or 0 */
};

/* What the command line changes before the model is complete. */
struct pipeline_changes {
    const char *base;                             /* --base, absolute; NULL: the working directory */
    const char *working, *output;                 /* instead of the pipeline's own, or NULL */
    const char *default_working, *default_output; /* where the pipeline says none; NULL: ./work, ./out */
    const char *const *sets;                      /* "STAGE.key=value" */
    const char *const *inputs;                    /* "TAG=PATH" */
};

/* What the layers of configuration say of the working and output folders: environment, command line and what the site
 * locked stand above the pipeline's word, site and user below it. Leaves alone what `changes` says already. */
void pipeline_take_folders(const struct config_layers *layers, struct pipeline_changes *changes);

/* Reads, checks, finds stage folders and their metadata, infers the edges, sorts. Adds every problem there is. NULL
 * when any is an error. Creates nothing. */
struct pipeline *pipeline_read(const char *path, const struct pipeline_changes *changes, struct problems *problems);
/* The same, but with errors the model as far as it goes: fit for looking at its backends, not for a run. NULL when the
 * file could not be read to its end. */
struct pipeline *pipeline_read_as_it_is(const char *path, const struct pipeline_changes *changes,
                                        struct problems *problems);
void pipeline_free(struct pipeline *pipeline);
DEFINE_CLEANUP(struct pipeline *, pipeline_free);

const char *pipeline_text(const struct pipeline *pipeline, symbol symbol); /* symbol_text, shorter to write */
const struct stage *pipeline_stage(const struct pipeline *pipeline, const char *name, uint32_t *number); /* or NULL */
/* The number of the stage whose output has this tag, or UINT32_MAX. */
uint32_t pipeline_producer(const struct pipeline *pipeline, symbol tag);
const struct run_input *pipeline_input(const struct pipeline *pipeline, symbol tag); /* or NULL */
/* The file that `runtime.config` gives this stage's config tag, or NULL. */
const struct run_config *pipeline_config(const struct pipeline *pipeline, const struct stage *stage, symbol tag);
const struct backend *pipeline_backend(const struct pipeline *pipeline,
                                       const char *name); /* of the pipeline's own, or NULL */
/* "stage.yaml", "run.py" in the stage's folder or the pipeline's file: what the lines of its inputs or outputs are
 * about; owned. */
char *stage_metadata_file(const struct pipeline *pipeline, const struct stage *stage, enum metadata_source from);
/* The image of a stage as its runtime is asked for it: the stage's `image:`, else the backend's `images:`, else the
 * formula {owner}/{basename}-{stage}:{version}. Appended; false (nothing appended) when none of them says one.
 * `backend` may be NULL. */
bool pipeline_image_reference(const struct pipeline *pipeline, const struct stage *stage, const struct backend *backend,
                              struct text *out);

/* The member's own name ("g-0.5": legal in a file name, unique within the stage), values and DESC_EACH_ names. */
void stage_member_name(const struct pipeline *pipeline, const struct stage *stage, uint32_t member, struct text *name);
symbol stage_member_value(const struct pipeline *pipeline, const struct stage *stage, uint32_t member, size_t key);
/* For a consumer with the same foreach keys: the producer's member that matches, or UINT32_MAX (then the folder of
 * all). */
uint32_t stage_member_match(const struct pipeline *pipeline, const struct stage *consumer, uint32_t member,
                            const struct stage *producer);
/* True when both have the same foreach keys, so that each member gets its own counterpart's file. */
bool stage_members_match(const struct stage *consumer, const struct stage *producer);
/* Replaces ${each.KEY} in a text of this stage, and makes ${each.KEY} of $${each.KEY}; appended. Right for stages
 * without members too. */
void stage_expand(const struct pipeline *pipeline, const struct stage *stage, uint32_t member, const char *text,
                  struct text *out);

#endif
