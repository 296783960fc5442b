/* SPDX-License-Identifier: BSD-3-Clause */
/* Which machine, which boot of it and which process space this is: what a process id means something in. */
#ifndef DESCPIPE_RUN_JOURNAL_MACHINE_H
#define DESCPIPE_RUN_JOURNAL_MACHINE_H

struct machine {
    char host[128];
    char boot[64]; /* the kernel's boot id, "" where there is none */
    char pids[64]; /* the process id namespace, "pid:[4026531836]" */
};
void machine_read(struct machine *machine);

#endif
