/* SPDX-License-Identifier: BSD-3-Clause */
/* The keeper's life, and the table it shares with the engine. */
#include "run/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "base/text.h"

struct keeper_table *keeper_table_new(struct error *error)
{
    void *memory = mmap(NULL, sizeof(struct keeper_table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED)
        return memory;
    error_system(error, "cannot get memory that engine and keeper share");
    return NULL;
}

void keeper_table_free(struct keeper_table *table)
{
    if (table != NULL)
        munmap(table, sizeof *table);
}

void keeper_table_set_folder(struct keeper_table *table, const char *folder)
{
    size_t length = strlen(folder);
    if (length >= KEEPER_FOLDER)
        return; /* the keeper then has nowhere to write; the journal still has all the engine saw */
    memcpy(table->folder, folder, length + 1);
    atomic_store(&table->has_folder, 1);
}

int keeper_slot_take(struct keeper_table *table, uint64_t job)
{
    static int next; /* only the engine takes slots: where the last free one was */
    for (int i = 0; i < KEEPER_SLOTS; i++) {
        int slot = (next + i) % KEEPER_SLOTS;
        if (atomic_load_explicit(&table->slots[slot].job, memory_order_relaxed) != 0)
            continue;
        atomic_store_explicit(&table->slots[slot].pid, 0, memory_order_relaxed);
        atomic_store(&table->slots[slot].job, job);
        next = slot;
        return slot;
    }
    return -1;
}

void keeper_slot_set_pid(struct keeper_table *table, int slot, pid_t pid)
{
    if (slot >= 0)
        atomic_store(&table->slots[slot].pid, (int32_t)pid);
}

void keeper_slot_give(struct keeper_table *table, int slot)
{
    if (slot >= 0)
        atomic_store(&table->slots[slot].job, 0);
}

/* The job of a pid, 0 when it is not known: a stray of a stage, or one that had been journalled already. */
static uint64_t job_of(struct keeper_table *table, pid_t pid)
{
    for (int i = 0; i < KEEPER_SLOTS; i++) {
        uint64_t job = atomic_load(&table->slots[i].job);
        if (job == 0 || atomic_load(&table->slots[i].pid) != (int32_t)pid)
            continue;
        keeper_slot_give(table, i);
        return job;
    }
    return 0;
}

/* The engine may have died between a spawn and noting the pid. Whether an unknown pid is that one or a daemon of some
 * stage cannot be told from here: whoever resumes the run sees both. */
static uint64_t job_without_pid(struct keeper_table *table)
{
    for (int i = 0; i < KEEPER_SLOTS; i++) {
        uint64_t job = atomic_load(&table->slots[i].job);
        if (job != 0 && atomic_load(&table->slots[i].pid) == 0)
            return job;
    }
    return 0;
}

static void note(int log, struct keeper_table *table, const siginfo_t *what)
{
    cleanup(text_clear) struct text line = TEXT_INIT;
    uint64_t job = job_of(table, what->si_pid);
    uint64_t guess = job == 0 ? job_without_pid(table) : 0;
    text_append(&line, "{\"at\":");
    text_append_signed(&line, clock_wall_ms());
    text_append(&line, ",\"pid\":");
    text_append_signed(&line, what->si_pid);
    if (job != 0) {
        text_append(&line, ",\"job\":");
        text_append_unsigned(&line, job);
    } else if (guess != 0) {
        text_append(&line, ",\"perhaps_job\":");
        text_append_unsigned(&line, guess);
    }
    text_append(&line, what->si_code == CLD_EXITED ? ",\"exit\":" : ",\"signal\":");
    text_append_signed(&line, what->si_status);
    text_append(&line, "}\n");
    if (log >= 0)
        descriptor_write(log, line.bytes, line.length, NULL);
}

static int open_log(struct keeper_table *table)
{
    if (atomic_load(&table->has_folder) == 0)
        return -1;
    cleanup(memory_free) char *path = path_join(table->folder, KEEPER_LOG);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void keeper_run(struct keeper_table *table, pid_t engine, void (*ended)(void *context, int exit_code, int signal),
                void *context)
{
    bool engine_lives = true;
    int log = -1;
    for (;;) {
        siginfo_t what = {.si_pid = 0};
        if (waitid(P_ALL, 0, &what, WEXITED) != 0) {
            if (errno == EINTR)
                continue;
            break; /* ECHILD: nobody is left */
        }
        if (what.si_pid == engine) {
            bool exited = what.si_code == CLD_EXITED;
            engine_lives = false;
            ended(context, exited ? what.si_status : -1, exited ? 0 : what.si_status);
            continue;
        }
        /* While the engine lives these are what stages left behind: of no interest. */
        if (engine_lives)
            continue;
        if (log < 0)
            log = open_log(table);
        note(log, table, &what);
    }
    descriptor_close(log);
}

static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE,
                                  SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &ignore, NULL);
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &normal, NULL); /* ignored, it would make the kernel reap in silence */
}

bool keeper_become(struct error *error)
{
    ignore_signals();
    if (setsid() < 0)
        return error_system(error, "cannot make a session for the keeper");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return error_system(error, "cannot become the keeper of this run's processes");
    return true;
}
