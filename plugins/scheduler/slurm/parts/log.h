/* SPDX-License-Identifier: BSD-3-Clause */
/* What slurmstepd, and our own batch script, say in scheduler.log of one job. */
#ifndef DESCPIPE_SLURM_LOG_H
#define DESCPIPE_SLURM_LOG_H

#include <stddef.h>
#include <stdint.h>

/* LOG_ bits (ending.h) of the lines that name job `raw`; `words` gets what our own script says, or "". */
unsigned log_read(const char *text, size_t length, uint64_t raw, char *words, size_t words_size);

#endif
