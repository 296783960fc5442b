/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/suite.h"
#include "../base/temporary_folder.h"
#include "base/file.h"

static struct loop *loop;
static struct error error;
static int output[2]; /* what the children write */

static void make(void)
{
    temporary_folder_make();
    loop = loop_new(NULL);
    error = ERROR_INIT;
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
}

static void end(void)
{
    loop_free(loop);
    error_clear(&error);
    descriptor_close(output[0]);
    descriptor_close(output[1]);
    temporary_folder_remove();
}

/* What happened to one child. */
struct child {
    struct process *process;
    pid_t pid;
    bool ended, reaped, was_zombie;
    struct process_end first, last;
};

static int left; /* children that are still to be reaped before the loop stops */

static void child_ended(void *context, const struct process_end *end)
{
    struct child *child = context;
    ck_assert(!child->ended && !child->reaped);
    child->ended = true;
    child->first = *end;
    siginfo_t what = {0};
    child->was_zombie =
        waitid(P_PID, (id_t)child->pid, &what, WEXITED | WNOWAIT | WNOHANG) == 0 && what.si_pid == child->pid;
}

static void child_reaped(void *context, const struct process_end *end)
{
    struct child *child = context;
    ck_assert(child->ended && !child->reaped);
    child->reaped = true;
    child->last = *end;
    if (--left == 0)
        loop_stop(loop);
}

static const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};

static struct process_request request_for(struct child *child, const char *const *argv)
{
    return (struct process_request){.argv = argv,
                                    .environment = environment,
                                    .input = -1,
                                    .output = output[1],
                                    .error = -1,
                                    .ended = child_ended,
                                    .reaped = child_reaped,
                                    .context = child};
}

static void start(struct child *child, const struct process_request *request)
{
    child->process = process_start(loop, request, &error);
    ck_assert_msg(child->process != NULL, "%s", error.message);
    child->pid = process_pid(child->process);
    left++;
}

static void run(struct child *child, const char *const *argv)
{
    struct process_request request = request_for(child, argv);
    start(child, &request);
    loop_run(loop, NULL, NULL);
}

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

static const char *read_output(void)
{
    static char bytes[65536];
    close(output[1]);
    output[1] = -1;
    size_t length = 0;
    for (ssize_t got; (got = read(output[0], bytes + length, sizeof bytes - 1 - length)) > 0;)
        length += (size_t)got;
    bytes[length] = '\0';
    return bytes;
}

START_TEST(reports_the_end_while_it_is_a_zombie_and_then_reaps)
{
    struct child child = {0};
    run(&child, SHELL("exit 7"));
    ck_assert(child.ended && child.reaped && child.was_zombie);
    ck_assert_int_eq(child.first.exit_code, 7);
    ck_assert_int_eq(child.last.exit_code, 7);
    ck_assert_int_eq(child.last.signal, 0);
    ck_assert_int_eq(waitpid(child.pid, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(says_the_peak_of_a_child_only_when_it_is_not_our_own)
{
    struct child child = {0}, small = {0};
    struct rusage own;
    run(&child, SHELL("x=$(head -c 90000000 /dev/zero | tr '\\0' a)"));
    ck_assert_uint_gt(child.last.peak_memory, 90000000);
    ck_assert_uint_lt(child.last.peak_memory, UINT64_C(1) << 32);
    run(&small, SHELL("exit 0"));
    getrusage(RUSAGE_SELF, &own);
    ck_assert(small.last.peak_memory == 0 || small.last.peak_memory > (uint64_t)own.ru_maxrss * 1024);
}
END_TEST

START_TEST(reports_signals)
{
    struct child child = {0};
    run(&child, SHELL("kill -TERM $$"));
    ck_assert_int_eq(child.last.exit_code, -1);
    ck_assert_int_eq(child.last.signal, SIGTERM);
    ck_assert_int_eq(child.first.signal, SIGTERM);
}
END_TEST

START_TEST(measures_cpu)
{
    struct child child = {0};
    run(&child, SHELL("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"));
    ck_assert_int_ge(child.last.cpu_ms, 1);
    ck_assert_int_lt(child.last.cpu_ms, 60000);
}
END_TEST

START_TEST(every_one_of_many_children_is_met_once)
{
    enum { CHILDREN = 300 };
    static struct child children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        char script[32];
        snprintf(script, sizeof script, "exit %d", i % 100);
        struct process_request request = request_for(&children[i], SHELL(script));
        start(&children[i], &request);
    }
    loop_run(loop, NULL, NULL);
    for (int i = 0; i < CHILDREN; i++) {
        ck_assert(children[i].reaped);
        ck_assert_int_eq(children[i].last.exit_code, i % 100);
    }
}
END_TEST

START_TEST(gives_exactly_the_environment_and_arguments)
{
    struct child child = {0};
    struct process_request request = request_for(
        &child, (const char *const[]){"sh", "-c", "env; printf '%s|' \"$@\"", "x", "a b", "", "$(id)", NULL});
    request.environment = (const char *const[]){"PATH=/usr/bin:/bin", "ONE=1", NULL};
    start(&child, &request);
    loop_run(loop, NULL, NULL);
    const char *text = read_output();
    ck_assert(strstr(text, "PATH=/usr/bin:/bin\n") != NULL && strstr(text, "ONE=1\n") != NULL);
    ck_assert_ptr_null(strstr(text, "HOME="));
    ck_assert(text_ends_with(text, "a b||$(id)|"));
}
END_TEST

START_TEST(gives_normal_signals_and_no_descriptor_but_three)
{
    struct child child = {0};
    sigset_t blocked;
    sigfillset(&blocked);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    cleanup(descriptor_close) int extra = open("/dev/null", O_RDONLY | O_CLOEXEC);
    run(&child,
        (const char *const[]){"/bin/sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd", NULL});
    const char *text = read_output();
    const char *ignored = strstr(text, "SigIgn:\t");
    ck_assert_ptr_nonnull(ignored);
    ck_assert(text_starts_with(text, "SigBlk:\t0000000000000000\n"));
    /* The C library leaves its own two signals, 32 and 33, ignored in what it spawns. */
    ck_assert_uint_eq(strtoull(ignored + 8, NULL, 16) & 0x7FFFFFFF, 0);
    ck_assert_str_eq(strchr(ignored, '\n'), "\n0\n1\n2\n3\n"); /* ls opens the folder itself as 3 */
    ck_assert_int_ge(extra, 0);
}
END_TEST

START_TEST(descriptors_may_overlap_with_those_of_the_child)
{
    struct child child = {0};
    /* Our own 0, 1 and 2 become pipes and are given crosswise. */
    int kept_error = fcntl(2, F_DUPFD_CLOEXEC, 10), kept_output = fcntl(1, F_DUPFD_CLOEXEC, 10);
    int in[2], err[2];
    ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    ck_assert_int_eq(write(in[1], "input\n", 6), 6);
    close(in[1]);
    ck_assert(dup2(output[1], 0) == 0 && dup2(err[1], 1) == 1 && dup2(in[0], 2) == 2);
    struct process_request request = request_for(&child, SHELL("cat; echo wrong >&2"));
    request.input = 2;
    request.output = 0;
    request.error = 1;
    start(&child, &request);
    loop_run(loop, NULL, NULL);
    dup2(kept_error, 2);
    dup2(kept_output, 1);
    close(0);
    ck_assert_str_eq(read_output(), "input\n");
    char bytes[16] = "";
    ck_assert_int_eq(read(err[0], bytes, sizeof bytes), 6);
    ck_assert_str_eq(bytes, "wrong\n");
}
END_TEST

START_TEST(starts_in_its_folder_and_session)
{
    struct child child = {0};
    struct process_request request = request_for(&child, SHELL("pwd; cut -d' ' -f5,6 /proc/self/stat; echo $$"));
    request.directory = "/usr/bin";
    request.new_session = true;
    start(&child, &request);
    loop_run(loop, NULL, NULL);
    cleanup(memory_free) char *expected = memory_format("/usr/bin\n%d %d\n%d\n", child.pid, child.pid, child.pid);
    ck_assert_str_eq(read_output(), expected);
}
END_TEST

static const struct {
    const char *argv0, *directory, *message, *hint;
} failures[] = {
    {"no-such-tool", NULL, "cannot start 'no-such-tool': not found on PATH", "PATH is '/usr/bin:/bin'"},
    {"/no/such/tool", NULL, "cannot start '/no/such/tool': No such file or directory", NULL},
    {"/etc/passwd", NULL, "cannot start '/etc/passwd': Permission denied", NULL},
    {"/tmp", NULL, "cannot start '/tmp': Permission denied", NULL},
    {"sh", "/no/folder", "cannot start '/usr/bin/sh': cannot enter the folder '/no/folder'", NULL},
    {"sh", "/etc/passwd", "cannot start '/usr/bin/sh': cannot enter the folder '/etc/passwd'", NULL},
    {"", NULL, "cannot start a process: the command is empty", NULL},
};

/* By the kernel, so that it is there should we be killed at once: of what never became its program too. */
START_TEST(its_pid_is_written_before_it_runs)
{
    pid_t known = 0;
    struct child child = {0};
    struct process_request request = request_for(&child, SHELL("exit 0"));
    request.known_as = &known;
    start(&child, &request);
    ck_assert_int_eq(known, child.pid);
    loop_run(loop, NULL, NULL);
    known = 0;
    request.argv = (const char *const[]){"/no/such/program", NULL};
    ck_assert_ptr_null(process_start(loop, &request, &error));
    ck_assert_int_gt(known, 0);
}
END_TEST

START_TEST(says_why_it_cannot_start)
{
    if (runs_under_valgrind())
        return;
    struct child child = {0};
    const char *const argv[] = {failures[_i].argv0, NULL};
    struct process_request request = request_for(&child, argv);
    request.directory = failures[_i].directory;
    ck_assert_ptr_null(process_start(loop, &request, &error));
    ck_assert_str_eq(error.message, failures[_i].message);
    if (failures[_i].hint != NULL)
        ck_assert_str_eq(error.hint, failures[_i].hint);
    else
        ck_assert_ptr_null(error.hint);
}
END_TEST

static const struct {
    const char *content, *reason, *hint;
} scripts[] = {
    {"#!/no/such/interpreter\n", "No such file or directory",
     "the interpreter its first line names, or its loader, does not exist here"},
    {"echo no first line\n", "Exec format error",
     "it is made for another machine, or is a script without a first line like '#!/bin/sh'"},
};

START_TEST(hints_at_what_is_wrong_with_a_script)
{
    if (runs_under_valgrind())
        return;
    struct child child = {0};
    cleanup(memory_free) char *path = temporary_path("script");
    put_file(path, scripts[_i].content);
    ck_assert_int_eq(chmod(path, 0755), 0);
    const char *const argv[] = {path, NULL};
    struct process_request request = request_for(&child, argv);
    ck_assert_ptr_null(process_start(loop, &request, &error));
    cleanup(memory_free) char *expected = memory_format("cannot start '%s': %s", path, scripts[_i].reason);
    ck_assert_str_eq(error.message, expected);
    ck_assert_str_eq(error.hint, scripts[_i].hint);
}
END_TEST

START_TEST(path_is_that_of_the_child_and_only_absolute_folders_count)
{
    struct child child = {0};
    cleanup(memory_free) char *tool = temporary_path("only-here");
    put_file(tool, "#!/bin/sh\necho found\n");
    ck_assert_int_eq(chmod(tool, 0755), 0);
    ck_assert_int_eq(chdir(temporary_folder), 0);
    struct process_request request = request_for(&child, (const char *const[]){"only-here", NULL});
    request.environment = (const char *const[]){"PATH=.::relative", NULL};
    ck_assert_ptr_null(process_start(loop, &request, &error));
    request.environment = NULL;
    ck_assert_ptr_null(process_start(loop, &request, &error));
    ck_assert_str_eq(error.hint, "PATH is not set");
    cleanup(memory_free) char *path = memory_format("PATH=/nowhere:%s:/bin", temporary_folder);
    request.environment = (const char *const[]){path, NULL};
    start(&child, &request);
    loop_run(loop, NULL, NULL);
    ck_assert_str_eq(read_output(), "found\n");
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Waits until the child has written a line: then it is where the test wants it. */
static void await_line(void)
{
    char byte = '\0';
    while (byte != '\n')
        ck_assert_int_eq(read(output[0], &byte, 1), 1);
}

START_TEST(a_signal_reaches_the_whole_group_of_a_session)
{
    struct child child = {0};
    struct process_request request = request_for(&child, SHELL("(echo up; sleep 100) & wait"));
    request.new_session = true;
    start(&child, &request);
    await_line();
    process_signal(child.process, SIGTERM);
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(child.last.signal, SIGTERM);
    ck_assert_str_eq(read_output(), ""); /* comes to its end only when the last holder of the pipe is gone */
}
END_TEST

START_TEST(a_session_is_reached_beyond_its_groups)
{
    pid_t leader = process_split(0, &error);
    if (leader == 0) {
        setsid();
        if (process_split(0, NULL) == 0) {
            setpgid(0, 0);
            if (write(output[1], "up\n", 3) == 3)
                for (;;)
                    pause();
        }
        for (;;)
            pause();
    }
    close(output[1]);
    output[1] = -1;
    await_line();
    ck_assert_uint_eq(process_signal_session(leader, 0), 2);
    kill(-leader, SIGKILL); /* reaches the leader's own group only */
    ck_assert_int_eq(waitpid(leader, NULL, 0), leader);
    ck_assert_uint_eq(process_signal_session(leader, SIGKILL), 1);
    char byte;
    ck_assert_int_eq(read(output[0], &byte, 1), 0); /* nobody holds the pipe any more */
    while (process_signal_session(leader, 0) > 0)   /* its files close a moment before it is a zombie */
        sched_yield();
}
END_TEST

START_TEST(start_times_name_a_process_for_good)
{
    ck_assert_uint_gt(process_start_time(getpid()), 0);
    ck_assert_uint_eq(process_start_time(getpid()), process_start_time(getpid()));
    struct child child = {0};
    run(&child, SHELL("exit 0"));
    ck_assert_uint_eq(process_start_time(child.pid), 0);
    /* A name that looks like the rest of the line. */
    uint64_t before = process_start_time(getpid());
    prctl(PR_SET_NAME, ") S 1 1 1 (", 0, 0, 0);
    ck_assert_uint_eq(process_start_time(getpid()), before);
}
END_TEST

START_TEST(a_start_time_taken_from_the_clock_is_that_of_proc)
{
    enum { CHILDREN = 100 };
    static struct child children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        struct process_request request = request_for(&children[i], SHELL("exit 0"));
        start(&children[i], &request);
        ck_assert_uint_gt(process_started(children[i].process), 0);
        ck_assert_uint_eq(process_started(children[i].process), process_start_time(children[i].pid));
    }
    loop_run(loop, NULL, NULL);
}
END_TEST

START_TEST(finds_tools_on_our_path)
{
    ck_assert_int_eq(setenv("PATH", "/nowhere:/usr/bin:/bin", 1), 0);
    cleanup(memory_free) char *shell = process_find("sh");
    ck_assert_str_eq(shell, "/usr/bin/sh");
    cleanup(memory_free) char *absolute = process_find("/bin/sh");
    ck_assert_str_eq(absolute, "/bin/sh");
    ck_assert_ptr_null(process_find("no-such-tool"));
    ck_assert_ptr_null(process_find("/etc/passwd"));
    ck_assert_ptr_null(process_find(""));
}
END_TEST

static pid_t stranger_pid;
static struct process_end stranger_end;

static void stranger_ended(void *context, pid_t pid, const struct process_end *end)
{
    (void)context;
    stranger_pid = pid;
    stranger_end = *end;
    loop_stop(loop);
}

START_TEST(strangers_are_reaped_and_told_of)
{
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    process_on_stranger(loop, stranger_ended, NULL);
    struct child child = {0};
    struct process_request request = request_for(&child, NULL);
    cleanup(memory_free) char *fifo = temporary_path("fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    cleanup(memory_free) char *script = memory_format("(read x; exit 9) < '%s' & echo $!", fifo);
    request.argv = SHELL(script);
    start(&child, &request);
    loop_run(loop, NULL, NULL); /* the child is gone, its own child is ours now */
    cleanup(descriptor_close) int go = open(fifo, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(go, "\n", 1), 1);
    loop_run(loop, NULL, NULL);
    cleanup(memory_free) char *expected = memory_format("%d\n", stranger_pid);
    ck_assert_str_eq(read_output(), expected);
    ck_assert_int_eq(stranger_end.exit_code, 9);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(an_adopted_child_is_like_a_started_one_even_when_it_ended_before)
{
    struct child child = {0};
    pid_t pid = process_split(0, &error);
    if (pid == 0)
        _exit(23);
    siginfo_t what;
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &what, WEXITED | WNOWAIT), 0);
    child.pid = pid;
    left = 1;
    struct process_request request = request_for(&child, NULL);
    child.process = process_adopt(loop, pid, &request);
    loop_run(loop, NULL, NULL);
    ck_assert(child.was_zombie);
    ck_assert_int_eq(child.last.exit_code, 23);
}
END_TEST

/* A grandchild says through the pipe that it lives, and its end of the pipe closes when it dies. */
START_TEST(a_split_process_dies_with_its_parent)
{
    pid_t middle = process_split(0, &error);
    if (middle == 0) {
        if (process_split(SIGKILL, NULL) == 0) {
            if (write(output[1], "up\n", 3) == 3)
                for (;;)
                    pause();
            _exit(1);
        }
        for (;;)
            pause();
    }
    close(output[1]);
    output[1] = -1;
    await_line();
    kill(middle, SIGKILL);
    ck_assert_int_eq(waitpid(middle, NULL, 0), middle);
    struct pollfd wait = {.fd = output[0], .events = POLLIN};
    ck_assert_int_eq(poll(&wait, 1, 10000), 1); /* the end of the pipe: nobody holds it any more */
    char byte;
    ck_assert_int_eq(read(output[0], &byte, 1), 0);
}
END_TEST

START_TEST(children_of_those_who_ignore_sigchld_are_seen_all_the_same)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGCHLD, &ignore, NULL);
    struct child child = {0};
    run(&child, SHELL("exit 3"));
    ck_assert_int_eq(child.last.exit_code, 3);
}
END_TEST

static void start_next(void *context, const struct process_end *end);
static int chain_length;

static void start_link(struct child *child)
{
    struct process_request request = request_for(child, (const char *const[]){"/bin/true", NULL});
    request.ended = NULL;
    request.reaped = start_next;
    child->process = process_start(loop, &request, &error);
    ck_assert_ptr_nonnull(child->process);
}

static void start_next(void *context, const struct process_end *end)
{
    struct child *child = context;
    ck_assert_int_eq(end->exit_code, 0);
    process_signal(child->process, SIGKILL); /* reaped: must reach nobody, ourselves least of all */
    if (++chain_length == 50)
        loop_stop(loop);
    else
        start_link(child);
}

START_TEST(a_callback_may_start_the_next)
{
    struct child child = {0};
    start_link(&child);
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(chain_length, 50);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("process");
    tcase_add_checked_fixture(tests, make, end);
    tcase_add_test(tests, reports_the_end_while_it_is_a_zombie_and_then_reaps);
    tcase_add_test(tests, says_the_peak_of_a_child_only_when_it_is_not_our_own);
    tcase_add_test(tests, reports_signals);
    tcase_add_test(tests, measures_cpu);
    tcase_add_test(tests, every_one_of_many_children_is_met_once);
    tcase_add_test(tests, gives_exactly_the_environment_and_arguments);
    tcase_add_test(tests, gives_normal_signals_and_no_descriptor_but_three);
    tcase_add_test(tests, descriptors_may_overlap_with_those_of_the_child);
    tcase_add_test(tests, starts_in_its_folder_and_session);
    tcase_add_test(tests, its_pid_is_written_before_it_runs);
    tcase_add_loop_test(tests, says_why_it_cannot_start, 0, sizeof failures / sizeof failures[0]);
    tcase_add_loop_test(tests, hints_at_what_is_wrong_with_a_script, 0, sizeof scripts / sizeof scripts[0]);
    tcase_add_test(tests, path_is_that_of_the_child_and_only_absolute_folders_count);
    tcase_add_test(tests, a_signal_reaches_the_whole_group_of_a_session);
    tcase_add_test(tests, a_session_is_reached_beyond_its_groups);
    tcase_add_test(tests, start_times_name_a_process_for_good);
    tcase_add_test(tests, a_start_time_taken_from_the_clock_is_that_of_proc);
    tcase_add_test(tests, finds_tools_on_our_path);
    tcase_add_test(tests, strangers_are_reaped_and_told_of);
    tcase_add_test(tests, an_adopted_child_is_like_a_started_one_even_when_it_ended_before);
    tcase_add_test(tests, a_split_process_dies_with_its_parent);
    tcase_add_test(tests, children_of_those_who_ignore_sigchld_are_seen_all_the_same);
    tcase_add_test(tests, a_callback_may_start_the_next);
    return run_case("process", tests);
}
