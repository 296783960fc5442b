/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the kernel has ended processes of ours for want of memory.
 *
 * The kernel counts its kills, and tells nobody whose they were. The counter of our own control group (cgroup v2:
 * memory.events; v1: memory.oom_control), in which the stages that this machine's engine starts live too, says enough:
 * a stage that SIGKILL ended while it grew ran out of memory. Where there is none the counter of the whole machine
 * (/proc/vmstat) is taken, and its word says so.
 */
#ifndef DESCPIPE_RUN_MEMORY_WATCH_H
#define DESCPIPE_RUN_MEMORY_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct memory_watch {
    char *path;                   /* of the counter; NULL: there is none */
    const char *witness, *reason; /* constants */
    uint64_t kills;
    int64_t changed_ms; /* wall clock, when a look last found more of them; 0: none has */
};

/* `root` stands before /proc and /sys: "" on a real machine, a folder in a test. */
void memory_watch_begin(struct memory_watch *watch, const char *root);
void memory_watch_clear(struct memory_watch *watch);
/* Every second or so: a kill then counts for who started up to that much later, and no more. A look may well come
 * between the kill and the end of the process, which has much memory to give back. */
void memory_watch_look(struct memory_watch *watch);
/* Has the kernel ended somebody since then, as far as is known right now? For a process that has just ended. */
bool memory_watch_killed_since(struct memory_watch *watch, int64_t since_ms);

#endif
