/* SPDX-License-Identifier: BSD-3-Clause */
/* Where this program's own files are, found from where the program itself is: an installed tree may be moved as a whole, and a build
 * tree works without being installed. */
#ifndef DESCPIPE_BASE_PROGRAM_H
#define DESCPIPE_BASE_PROGRAM_H

/* Both paths are relative to the program's folder: `built` where a build tree has it, `installed` where an installation has it. The first
 * is answered when it exists, else the second whether it exists or not. Absolute; owned by the caller. */
char *program_file(const char *built, const char *installed);

#endif
