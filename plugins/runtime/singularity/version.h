/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of the three programs it is, how old, and what follows from that. */
#ifndef SINGULARITY_VERSION_H
#define SINGULARITY_VERSION_H

#include <stdbool.h>

enum flavour { FLAVOUR_APPTAINER, FLAVOUR_SINGULARITY }; /* SingularityCE and what came before it are one */

struct version {
    bool known;
    enum flavour flavour;
    unsigned major, minor;
    char text[64];
};

/* Of a line like "apptainer version 1.4.5", "singularity-ce version 3.11.4-jammy", "singularity version 3.7.4". */
bool version_parse(const char *line, struct version *version);
/* Apptainer before 1.0 does not exist; singularity before 3.7 has no --no-umask. */
bool version_is_enough(const struct version *version);
/* --mount takes any path; --bind has no way to write ':' and ','. Apptainer 1.0, SingularityCE 3.9 (CHANGELOG.md of
 * both: "A new `--mount` flag"). A version that is not known is taken for a new one. */
bool version_has_mount(const struct version *version);
/* Values of variables are not evaluated by a shell: Apptainer 1.1, SingularityCE 3.10 (CHANGELOG.md: "--no-eval"). */
bool version_has_no_eval(const struct version *version);

#endif
