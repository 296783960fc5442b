/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stage's run.py says about itself, read without running Python: `class Stage` with name, config, inputs and
 * outputs as literals of texts. Anything else in those four is refused with its line and the advice to write
 * stage.yaml.
 */
#ifndef DESCPIPE_PIPELINE_RUN_PY_H
#define DESCPIPE_PIPELINE_RUN_PY_H

#include "base/list.h"
#include "base/problem.h"

#define RUN_PY_BYTES_LIMIT ((uint64_t)4 * 1024 * 1024)
#define RUN_PY_ENTRIES_LIMIT 1000 /* of one dictionary */
#define RUN_PY_TEXT_LIMIT 4096    /* bytes of one text */

struct run_py_entry {
    char *tag, *value;     /* owned */
    uint32_t line, column; /* of the tag */
};

struct run_py_entries {
    struct run_py_entry *items;
    size_t count, capacity;
};

struct run_py {
    bool has_class; /* there is a `class Stage` */
    uint32_t line;  /* of it */
    char *name;     /* decorative, or NULL */
    struct run_py_entries config, inputs, outputs;
    bool has_config, has_inputs, has_outputs;
    bool is_python; /* the #! line, if any, does not name another interpreter */
    bool has_shebang;
};

/* Fills `run_py` with what could be read; false when a problem of level error was added. `file` is the shown path. */
bool run_py_parse(const char *bytes, size_t length, const char *file, struct run_py *run_py, struct problems *problems);
void run_py_clear(struct run_py *run_py);
static inline void run_py_clear_at(struct run_py *place)
{
    run_py_clear(place);
}

#endif
