/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starting a program as a child.
 *
 * How it works: clone with CLONE_VFORK and CLONE_VM, as posix_spawn itself does: the child has a stack of its own, all
 * else is our memory, and we stand still until it has called exec or ended. All signals are blocked meanwhile, so no
 * handler of ours runs in it; what we catch or ignore was found once and is made normal before it unblocks them.
 */
#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024, GUARD_BYTES = 64 * 1024, FAILED = 127 };

struct spawner {
    char *memory;      /* the guard, then the stack, which grows down towards it */
    int special[NSIG]; /* signals that we do not treat normally */
    int special_count;
};

struct child { /* written by the parent before, by the child until it is another program, and by the parent again */
    const struct spawner *spawner;
    const struct spawn_request *request;
    int reason;
};

union words { /* exec changes neither, but its prototype is older than const */
    const char *const *given;
    char *const *wanted;
};

struct spawner *spawner_new(void)
{
    cleanup(spawner_free) struct spawner *spawner = memory_allocate(sizeof *spawner);
    void *memory = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    spawner->memory = memory;
    if (mprotect(memory, GUARD_BYTES, PROT_NONE) != 0)
        return NULL;
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action;
        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            spawner->special[spawner->special_count++] = signal;
    }
    return steal(&spawner);
}

void spawner_free(struct spawner *spawner)
{
    if (spawner == NULL)
        return;
    if (spawner->memory != NULL)
        munmap(spawner->memory, GUARD_BYTES + STACK_BYTES);
    memory_free(spawner);
}

static bool take_streams(const int *streams)
{
    for (int i = 0; i < 3; i++) {
        bool in_place = streams[i] == i; /* where dup2 would leave it to be closed by exec */
        if (in_place ? fcntl(i, F_SETFD, 0) < 0 : dup2(streams[i], i) < 0)
            return false;
    }
    return true;
}

static bool take_signals(const struct spawner *spawner)
{
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    for (int i = 0; i < spawner->special_count; i++)
        sigaction(spawner->special[i], &normal, NULL);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

/* In the child: only system calls from here on. */
static int become(void *context)
{
    struct child *child = context;
    const struct spawn_request *request = child->request;
    union words argv = {.given = request->argv}, environment = {.given = request->environment};
    if ((!request->new_session || setsid() >= 0) && take_streams(request->streams) &&
        (request->directory == NULL || chdir(request->directory) == 0) && take_signals(child->spawner))
        execve(request->path, argv.wanted, environment.wanted);
    child->reason = errno;
    _exit(FAILED);
}

int spawner_start(struct spawner *spawner, const struct spawn_request *request, pid_t *pid)
{
    struct child child = {.spawner = spawner, .request = request};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    char *top = spawner->memory + GUARD_BYTES + STACK_BYTES;
    int known = request->known_as != NULL ? CLONE_PARENT_SETTID : 0;
    pid_t made = clone(become, top, CLONE_VM | CLONE_VFORK | known | SIGCHLD, &child, request->known_as);
    int reason = made < 0 ? errno : child.reason;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (made < 0)
        return reason;
    if (reason != 0) {
        while (waitpid(made, NULL, 0) < 0 && errno == EINTR)
            ;
        return reason;
    }
    *pid = made;
    return 0;
}
