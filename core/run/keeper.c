/* SPDX-License-Identifier: BSD-3-Clause */
/* The keeper's life, and the table it shares with the engine. */
#include "run/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#include "io/process.h"
#include "run/journal/run_folder.h"

#define NOTES_LIMIT ((size_t)4 * 1024 * 1024)
#define ROOM_LOOK_MS 500

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

pid_t *keeper_slot_pid(struct keeper_table *table, int slot)
{
    _Static_assert(sizeof(pid_t) == sizeof table->slots->pid, "the kernel writes a pid there");
    return slot >= 0 ? (pid_t *)(uintptr_t)&table->slots[slot].pid : NULL; /* the qualifier is not for the kernel */
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

/* What is to be written to keeper.log, and how much of it is: a full disk must not cost a word of it. */
struct notes {
    struct keeper_table *table;
    int log; /* -1: not open yet */
    struct text text;
    size_t written;
};

static void note_end(struct notes *notes, const siginfo_t *what)
{
    struct text *line = &notes->text;
    uint64_t job = job_of(notes->table, what->si_pid);
    text_append(line, "{\"at\":");
    text_append_signed(line, clock_wall_ms());
    text_append(line, ",\"pid\":");
    text_append_signed(line, what->si_pid);
    if (job != 0) {
        text_append(line, ",\"job\":");
        text_append_unsigned(line, job);
    }
    text_append(line, what->si_code == CLD_EXITED ? ",\"exit\":" : ",\"signal\":");
    text_append_signed(line, what->si_status);
    text_append(line, "}\n");
}

/* Once, when the engine has gone: which processes are which jobs. Whoever resumes the run waits for this line, since
 * the journal may lack the last of them. */
static void note_running(struct notes *notes)
{
    struct text *line = &notes->text;
    bool first = true;
    text_append(line, "{\"at\":");
    text_append_signed(line, clock_wall_ms());
    text_append(line, ",\"keeper\":");
    text_append_signed(line, getpid());
    text_append(line, ",\"running\":[");
    for (int i = 0; i < KEEPER_SLOTS; i++) {
        uint64_t job = atomic_load(&notes->table->slots[i].job);
        pid_t pid = atomic_load(&notes->table->slots[i].pid);
        if (job == 0 || pid == 0)
            continue;
        text_append(line, first ? "{\"job\":" : ",{\"job\":");
        first = false;
        text_append_unsigned(line, job);
        text_append(line, ",\"pid\":");
        text_append_signed(line, pid);
        text_append(line, ",\"start\":");
        text_append_unsigned(line, process_start_time(pid));
        text_append_character(line, '}');
    }
    text_append(line, "]}\n");
}

static bool open_log(struct notes *notes)
{
    if (notes->log >= 0 || atomic_load(&notes->table->has_folder) == 0)
        return notes->log >= 0;
    cleanup(memory_free) char *path = path_join(notes->table->folder, KEEPER_LOG);
    notes->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return notes->log >= 0;
}

/* The engine that kept it is dead. */
static bool take_reserve(struct keeper_table *table)
{
    int kept = errno;
    cleanup(memory_free) char *path = path_join(table->folder, RUN_RESERVE_FILE);
    bool taken = unlink(path) == 0;
    errno = kept;
    return taken;
}

/* False: there is no room now, but there may be later. */
static bool write_notes(struct notes *notes)
{
    struct text *text = &notes->text;
    while (text->length > notes->written) {
        ssize_t got =
            open_log(notes) ? write(notes->log, text->bytes + notes->written, text->length - notes->written) : -1;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && error_is_no_room(errno) && take_reserve(notes->table))
            continue;
        if (got < 0 && error_is_no_room(errno) && text->length < NOTES_LIMIT)
            return false;
        notes->written = got < 0 ? text->length : notes->written + (size_t)got; /* nowhere to write: let it go */
    }
    text_reset(text);
    notes->written = 0;
    return true;
}

static bool is_stage(struct keeper_table *table, pid_t pid)
{
    for (int i = 0; i < KEEPER_SLOTS; i++)
        if (atomic_load(&table->slots[i].job) != 0 && atomic_load(&table->slots[i].pid) == (int32_t)pid)
            return true;
    return false;
}

static bool has_children(void)
{
    siginfo_t what;
    return waitid(P_ALL, 0, &what, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void keeper_run(struct keeper_table *table, pid_t engine, void (*ended)(void *context, int exit_code, int signal),
                void *context)
{
    bool engine_lives = true, has_room = true;
    struct notes notes = {.table = table, .log = -1};
    for (;;) {
        siginfo_t what = {.si_pid = 0};
        if (waitid(P_ALL, 0, &what, WEXITED | (has_room ? 0 : WNOHANG)) != 0) {
            if (errno == EINTR)
                continue;
            if (has_room)
                break; /* ECHILD: nobody is left, and all is told */
        }
        if (what.si_pid == 0) {
            poll(NULL, 0, ROOM_LOOK_MS);
            has_room = write_notes(&notes);
            continue;
        }
        if (what.si_pid == engine) {
            bool exited = what.si_code == CLD_EXITED;
            engine_lives = false;
            if (has_children())
                note_running(&notes);
            has_room = write_notes(&notes);
            ended(context, exited ? what.si_status : -1, exited ? 0 : what.si_status);
            continue;
        }
        /* While the engine lives these are what stages left behind: of no interest. But its own children come to us
         * as it dies, and may be met before it. */
        if (engine_lives && !is_stage(table, what.si_pid))
            continue;
        note_end(&notes, &what);
        has_room = write_notes(&notes);
    }
    descriptor_close(notes.log);
    text_clear(&notes.text);
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
