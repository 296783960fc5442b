/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the pods of a Workflow need besides, where its volume is not seen from here: the scripts around its stages and
 * their configuration, in as few ConfigMaps as hold them. Pure.
 *
 * How it works: keys are contents (pod_files_data), so that what stages have in common is there once. A stage's files
 * lie in one ConfigMap; one that is full is followed by another.
 */
#ifndef DESCPIPE_ARGO_FILES_H
#define DESCPIPE_ARGO_FILES_H

#include "cluster/pod.h"

struct files {
    json_t *maps;    /* of `binaryData` */
    uint32_t *place; /* of a job's files among them, by position */
};

/* False with words when those of a stage are too much. */
bool files_pack(struct files *files, const struct descpipe_submission *submission, bool with_scripts,
                char words[POD_WORDS]);
void files_clear(struct files *files);
uint32_t files_place(const struct files *files, uint32_t index);
void files_name(const char *token, uint32_t number, char name[64]);

#endif
