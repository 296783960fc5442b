/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that read a pipeline share. */
#ifndef DESCPIPE_PIPELINE_READER_H
#define DESCPIPE_PIPELINE_READER_H

#include "pipeline/pipeline.h"

#define MEMBERS_LIMIT 1000000

struct section_config { /* `config: {tag: file}` of a section, whose meaning depends on runtime.config */
    uint32_t stage;
    symbol tag, file;
    symbol metadata; /* the file name that stage.yaml or run.py gives this tag, or 0 */
    uint32_t line, column;
};

struct depends_spot { /* where an entry of `depends-on` stands: wanted until the stages are known */
    uint32_t at;      /* in pipeline->symbols_array */
    uint32_t line, column;
    uint8_t from; /* enum metadata_source */
};

struct early_section { /* stood before `pipeline:`, so that nobody knew yet what it was */
    char *name;
    struct place place; /* file is the pipeline's */
    struct document *document;
};

struct unlisted_section { /* reported when it is known which stages have no section */
    char *name;
    uint32_t line, column;
};

struct stage_set { /* one --set, parsed */
    uint32_t stage;
    char *key;
    char *shown;
    struct document *document;
};

struct word { /* a short text met before and its symbol */
    uint32_t length;
    symbol known;
    char bytes[24];
};

struct pipeline_reader {
    struct pipeline *pipeline;
    const struct pipeline_changes *changes;
    struct problems *problems;
    LIST(uint8_t) sections_seen; /* by stage number */
    LIST(struct early_section) early;
    LIST(struct unlisted_section) unlisted;
    size_t comparisons; /* made for hints so far: they must not make a large file slow */
    LIST(struct section_config) section_configs;
    LIST(struct depends_spot) depends_spots; /* sorted by `at`; none for what --set says */
    LIST(struct stage_set) sets;             /* sorted by stage */
    uint32_t *resource_slots;                /* hash index of pipeline->resources: index + 1 */
    size_t resource_slots_count;
    struct slice ranks;  /* symbols "0", "1", ... shared by all stages with `size` */
    char *config_folder; /* runtime.config as a folder, absolute; or NULL */
    bool has_pipeline;
    struct word words[128];  /* the few words that every stage repeats: spares the large table */
    uint8_t stage_keys[256]; /* hash index of the stage keys */
};

struct place reader_place(const struct pipeline_reader *reader, uint32_t line, uint32_t column);
symbol reader_intern(struct pipeline_reader *reader, const char *text);
symbol reader_intern_bytes(struct pipeline_reader *reader, const char *text, size_t length);
/* "did you mean 'x'?" of the stages, appended; nothing when none is near. */
void reader_hint_stage(struct pipeline_reader *reader, const char *name, struct text *hint);
/* True while there is room for `more` comparisons. */
bool reader_may_compare(struct pipeline_reader *reader, size_t more);
/* "did you mean 'x'?" or "known: a, b"; appended. */
void reader_hint_word(const char *word, const char *const *known, struct text *hint);
/* The number of a listed stage or UINT32_MAX. */
uint32_t reader_stage(const struct pipeline_reader *reader, const char *name);
void reader_parse_sets(struct pipeline_reader *reader);

/* sections.c: the top-level entries that are not stages. false: not one of them. */
bool section_read(struct pipeline_reader *reader, const struct document *document, const char *key, struct place place,
                  const struct node *value);
extern const char *const section_names[]; /* pipeline, runtime, backends, limits, types, NULL */
/* Letters, digits and ". _ - +", not beginning with '.', '-' or '+'; fit for file names on every system. */
bool name_is_plain(const char *name);
bool suffix_is_valid(const char *suffix);

/* stage_reader.c */
void stage_keys_prepare(struct pipeline_reader *reader);
bool stage_key_is_known(const struct pipeline_reader *reader, const char *key);
const char *stage_key_nearest(const char *key);
/* Reads the section (NULL: none), then what its folder says; makes the stage complete but for edges. */
void stage_read(struct pipeline_reader *reader, uint32_t number, const struct document *document, struct place place,
                const struct node *section);

/* foreach.c */
bool foreach_read(struct pipeline_reader *reader, const struct document *document, const struct node *node,
                  struct stage *stage, struct stage_extras *extras);
void foreach_set_size(struct pipeline_reader *reader, uint32_t size, struct stage *stage, struct stage_extras *extras);
/* Sets `numbered` when the members' names are not unique by their values. */
void foreach_check_names(const struct pipeline *pipeline, const struct stage *stage, struct stage_extras *extras);

/* stage_folder.c: owned path of the first of pipeline.images that holds a folder of this name, or NULL. */
char *stage_folder_find(const struct pipeline *pipeline, const char *name);
/* Notes about the Dockerfile and run.py in it. */
void stage_folder_check(const char *folder, bool uses_run_py, struct problems *problems);

/* inputs.c: runtime.inputs and runtime.config against the file system and the stages. */
void inputs_finish(struct pipeline_reader *reader);

/* graph.c: who makes which tag; two makers of one tag are a problem. */
void graph_find_producers(struct pipeline_reader *reader);
/* Edges and order. false when there is a cycle (reported). */
bool graph_build(struct pipeline_reader *reader);
/* rules.c: what must hold between stages. */
void rules_check(struct pipeline_reader *reader);

#endif
