/* SPDX-License-Identifier: BSD-3-Clause */
/* Runtime `native` on root folders, with the real bubblewrap, as root and as an ordinary user. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "images.h"

static char *root;

static void begin_with_root(int user)
{
    begin_as(user);
    root = root_make(work, "root");
}

static void finish_with_root(void)
{
    free(root);
    finish();
}

static const char *const environment[] = {"PATH=/bin:/usr/bin", "HOME=/", NULL};

static struct descpipe_stage stage_of(const char *handle, const char *const *command,
                                      const struct descpipe_mount *const *mounts)
{
    return (struct descpipe_stage){.size = sizeof(struct descpipe_stage),
                                   .uid = geteuid(),
                                   .gid = getegid(),
                                   .umask_bits = 022,
                                   .name = "one",
                                   .token = "r-1",
                                   .attempt = 1,
                                   .image_handle = handle,
                                   .command = command,
                                   .environment = environment,
                                   .mounts = mounts,
                                   .directory = "/"};
}

/* Launches and runs; the result stays until the next one. */
static const struct fake_run *run_stage(const struct descpipe_stage *stage)
{
    static struct fake_run run;
    struct descpipe_call call = {0};
    fake.runtime->launch(fake.self, &call, stage);
    ck_assert_int_eq(call.finished, 1);
    ck_assert_msg(call.succeeded, "%s", call.message);
    ck_assert_str_eq(call.late_prefix, "");
    fake_run(&run, call.argv, call.environment, call.directory);
    fake_call_clear(&call);
    return &run;
}

static const struct fake_run *run_script(const char *handle, const char *script,
                                         const struct descpipe_mount *const *mounts)
{
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    struct descpipe_stage stage = stage_of(handle, command, mounts);
    return run_stage(&stage);
}

static struct descpipe_mount mount_of(const char *source, const char *target, uint32_t flags)
{
    return (struct descpipe_mount){
        .size = sizeof(struct descpipe_mount), .flags = flags, .source = source, .target = target};
}

static void assert_output(const struct fake_run *run, const char *expected)
{
    ck_assert_str_eq(run->output, expected);
    ck_assert_int_eq(run->exit_code, 0);
}

START_TEST(runs_command_in_root_folder)
{
    begin_with_root(_i);
    const struct fake_run *run = run_script(root, "busybox ls / && echo $HOME && pwd", NULL);
    assert_output(run, "bin\ndev\nproc\nsys\ntmp\n/\n/\n");
    finish_with_root();
}
END_TEST

START_TEST(creates_missing_mount_points_without_writing_image)
{
    begin_with_root(_i);
    file_write(root, "opt/kept", "kept\n");
    file_write(root, "data/x/old/file", "old\n");
    file_write(work, "in/catalog", "stars\n");
    file_write(work, "single", "one file\n");
    char *in = in_work("in"), *out = in_work("out"), *single = in_work("single");
    ck_assert_int_eq(mkdir(out, 0755), 0);
    struct descpipe_mount mounts[] = {
        mount_of(in, "/opt/input", DESCPIPE_MOUNT_READ_ONLY), mount_of(out, "/opt/output", 0),
        mount_of(in, "/cvmfs/sw/deep", DESCPIPE_MOUNT_READ_ONLY), mount_of(in, "/data/x/y", DESCPIPE_MOUNT_READ_ONLY),
        mount_of(single, "/data/x/new/name.txt", DESCPIPE_MOUNT_READ_ONLY | DESCPIPE_MOUNT_FILE)};
    const struct descpipe_mount *const list[] = {&mounts[0], &mounts[1], &mounts[2], &mounts[3], &mounts[4], NULL};
    char *before = folder_describe(root);
    const struct fake_run *run =
        run_script(root,
                   "busybox cat /opt/kept /opt/input/catalog /cvmfs/sw/deep/catalog /data/x/old/file /data/x/y/catalog "
                   "/data/x/new/name.txt; echo result > /opt/output/result; busybox touch /opt/input/n; "
                   "busybox touch /opt/n; busybox touch /n; busybox touch /data/x/n; busybox touch /data/x/new/n; "
                   "busybox touch /bin/n; echo here > /tmp/here; busybox cat /tmp/here",
                   list);
    assert_output(run, "kept\nstars\nstars\nold\nstars\none file\n"
                       "touch: /opt/input/n: Read-only file system\n"
                       "touch: /opt/n: Read-only file system\n"
                       "touch: /n: Read-only file system\n"
                       "touch: /data/x/n: Read-only file system\n"
                       "touch: /data/x/new/n: Read-only file system\n"
                       "touch: /bin/n: Read-only file system\n"
                       "here\n");
    char *after = folder_describe(root), *result = file_read(out, "result");
    ck_assert_str_eq(before, after);
    ck_assert_str_eq(result, "result\n");
    ck_assert(!file_exists(in, "n"));
    free(before);
    free(after);
    free(result);
    free(in);
    free(out);
    free(single);
    finish_with_root();
}
END_TEST

START_TEST(follows_links_of_hostile_image_inside_it_only)
{
    static const struct {
        const char *link, *text, *target, *inside;
    } cases[] = {
        {"opt", "/etc", "/opt/input", "/etc/input"},
        {"data", "../../../../..", "/data/input", "/input"},
        {"data", "/proc/self/root/../..", "/data2/input", "/data2/input"},
        {"a", "b/../../c", "/a/input", "/c/input"},
        {"opt", "usr/opt", "/opt/../opt/input", "/usr/opt/input"},
    };
    begin_with_root(_i);
    file_write(work, "in/catalog", "stars\n");
    char *in = in_work("in");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char link[4096], script[512];
        snprintf(link, sizeof link, "%s/%s", root, cases[i].link);
        file_write(root, "b/keep", "");
        ck_assert_int_eq(symlink(cases[i].text, link), 0);
        struct descpipe_mount mount = mount_of(in, cases[i].target, DESCPIPE_MOUNT_READ_ONLY);
        const struct descpipe_mount *const list[] = {&mount, NULL};
        snprintf(script, sizeof script, "busybox cat %s/catalog", cases[i].inside);
        assert_output(run_script(root, script, list), "stars\n");
        ck_assert_int_eq(unlink(link), 0);
    }
    ck_assert(!file_exists("/etc", "input"));
    free(in);
    finish_with_root();
}
END_TEST

START_TEST(nests_mounts_in_any_order_of_naming)
{
    begin_with_root(_i);
    file_write(work, "a/deep/hidden", "hidden\n");
    file_write(work, "a/top", "top\n");
    file_write(work, "b/inner", "inner\n");
    char *a = in_work("a"), *b = in_work("b");
    struct descpipe_mount mounts[] = {
        mount_of(b, "/m/deep", 0), mount_of(b, "/m/missing/deeper", DESCPIPE_MOUNT_READ_ONLY),
        mount_of(a, "/m", DESCPIPE_MOUNT_READ_ONLY), mount_of(NULL, "/m/missing/scratch", DESCPIPE_MOUNT_SCRATCH)};
    const struct descpipe_mount *const list[] = {&mounts[0], &mounts[1], &mounts[2], &mounts[3], NULL};
    char *before = folder_describe(a);
    const struct fake_run *run =
        run_script(root,
                   "busybox cat /m/top /m/deep/inner /m/missing/deeper/inner; busybox ls /m/deep; echo x > "
                   "/m/missing/scratch/x && "
                   "busybox cat /m/missing/scratch/x; echo w > /m/deep/written; busybox touch /m/n",
                   list);
    ck_assert_str_eq(run->output, "top\ninner\ninner\ninner\nx\ntouch: /m/n: Read-only file system\n");
    ck_assert(file_exists(b, "written"));
    char *after = folder_describe(a);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    free(a);
    free(b);
    finish_with_root();
}
END_TEST

START_TEST(machines_own_root_is_read_only)
{
    begin_with_root(_i);
    file_write(work, "in/catalog", "stars\n");
    char *in = in_work("in"), *out = in_work("out");
    ck_assert_int_eq(mkdir(out, 0755), 0);
    struct descpipe_mount mounts[] = {mount_of(in, "/opt/input", DESCPIPE_MOUNT_READ_ONLY),
                                      mount_of(out, "/opt/output", 0),
                                      mount_of(in, "/not-on-this-machine/sw", DESCPIPE_MOUNT_READ_ONLY)};
    const struct descpipe_mount *const list[] = {&mounts[0], &mounts[1], &mounts[2], NULL};
    const struct fake_run *run =
        run_script("/",
                   "cat /opt/input/catalog /not-on-this-machine/sw/catalog; ls /tmp; id -u > /opt/output/uid; "
                   "touch /usr/bin/n /opt/n 2>&1 | sed 's/.*: //'",
                   list);
    assert_output(run, "stars\nstars\nRead-only file system\nRead-only file system\n");
    char *uid = file_read(out, "uid");
    ck_assert_uint_eq((unsigned)strtoul(uid, NULL, 10), geteuid());
    ck_assert(!file_exists("/", "not-on-this-machine"));
    free(uid);
    free(in);
    free(out);
    finish_with_root();
}
END_TEST

START_TEST(root_in_the_container_cannot_make_the_image_writable)
{
    begin_with_root(_i);
    file_write(root, "opt/kept", "");
    char *before = folder_describe(root);
    const struct fake_run *run =
        run_script(root,
                   "busybox mount -o remount,rw / 2>/dev/null; busybox touch /bin/n 2>/dev/null;"
                   "busybox mknod /tmp/d b 253 0 2>/dev/null; busybox ls /tmp; echo end",
                   NULL);
    assert_output(run, "end\n");
    char *after = folder_describe(root);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    finish_with_root();
}
END_TEST

START_TEST(environment_is_complete_and_secrets_stay_out_of_argv)
{
    begin_with_root(_i);
    const char *const command[] = {"/bin/busybox", "env", NULL};
    const char *const variables[] = {"A=1", "TOKEN=geheim", "LD_LIBRARY_PATH=/opt/lib", NULL};
    struct descpipe_stage stage = stage_of(root, command, NULL);
    stage.environment = variables;
    struct descpipe_call call = {0};
    fake.runtime->launch(fake.self, &call, &stage);
    ck_assert(call.succeeded);
    for (size_t i = 0; call.argv[i] != NULL; i++)
        ck_assert_ptr_null(strstr(call.argv[i], "geheim"));
    static struct fake_run run;
    fake_run(&run, call.argv, call.environment, "/");
    /* PWD is bubblewrap's own doing */
    assert_output(&run, "A=1\nTOKEN=geheim\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                        "LD_LIBRARY_PATH=/opt/lib\nPWD=/\n");
    fake_call_clear(&call);
    finish_with_root();
}
END_TEST

START_TEST(network_can_be_taken_away)
{
    begin_with_root(_i);
    const char *const command[] = {"/bin/busybox", "ls", "/sys/class/net", NULL};
    const char *const links[] = {"/bin/sh", "-c", "busybox cat /proc/net/dev | busybox grep -c :", NULL};
    struct descpipe_stage stage = stage_of(root, command, NULL);
    stage.command = links;
    stage.flags = DESCPIPE_STAGE_NO_NETWORK;
    assert_output(run_stage(&stage), "1\n");
    static const struct fake_setting off[] = {{"network", "false"}, {NULL, NULL}};
    struct descpipe_settings own = {.items = off, .options = fake.plugin->options};
    stage.flags = 0;
    stage.settings = &own;
    assert_output(run_stage(&stage), "1\n");
    finish_with_root();
}
END_TEST

START_TEST(image_knows_the_caller_and_the_machines_servers)
{
    begin_with_root(_i);
    file_write(root, "etc/passwd", "daemon:x:1:1:daemon:/:/bin/false");
    file_write(root, "etc/group", "daemon:x:1:\n");
    file_write(root, "etc/motd", "hello\n");
    char *before = folder_describe(root);
    char expected[512];
    snprintf(expected, sizeof expected,
             "daemon:x:1:1:daemon:/:/bin/false\ncaller:x:%u:%u:caller:/:/bin/sh\ndaemon:x:1:\ncaller:x:%u:\nhello\n0\n",
             geteuid(), getegid(), getegid());
    for (int time = 0; time < 2; time++) {
        const struct fake_run *run =
            run_script(root, "busybox cat /etc/passwd /etc/group /etc/motd; busybox test -s /etc/hosts; echo $?", NULL);
        assert_output(run, expected);
    }
    char *after = folder_describe(root);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    finish_with_root();
}
END_TEST

START_TEST(everything_ends_with_the_first_process)
{
    begin_with_root(_i);
    char *out = in_work("out");
    ck_assert_int_eq(mkdir(out, 0755), 0);
    struct descpipe_mount mount = mount_of(out, "/out", 0);
    const struct descpipe_mount *const list[] = {&mount, NULL};
    /* The daemon keeps the pipe open; were it alive the run would not end before the test's timeout. */
    const struct fake_run *run = run_script(root, "busybox setsid busybox sleep 1000 & exit 7", list);
    ck_assert_int_eq(run->exit_code, 7);
    free(out);
    finish_with_root();
}
END_TEST

START_TEST(a_stopped_session_ends_gracefully_and_as_a_whole)
{
    begin_with_root(_i);
    const char *const command[] = {"/bin/sh", "-c",
                                   "busybox setsid busybox sleep 1000 & trap 'echo saved; exit 3' TERM; echo ready; "
                                   "busybox sleep 1000 & wait",
                                   NULL};
    struct descpipe_stage stage = stage_of(root, command, NULL);
    struct descpipe_call call = {0};
    fake.runtime->launch(fake.self, &call, &stage);
    ck_assert_msg(call.succeeded, "%s", call.message);
    int ends[2], status;
    pid_t leader;
    char output[64] = "";
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    ck_assert_int_eq(posix_spawn(&leader, call.argv[0], &actions, &attributes, call.argv, call.environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], output, sizeof output - 1), 6);
    ck_assert_str_eq(output, "ready\n");
    ck_assert_int_eq(kill(-leader, SIGTERM), 0);
    ssize_t got = read(ends[0], output, sizeof output - 1);
    ck_assert_int_eq(got, 6);
    ck_assert_mem_eq(output, "saved\n", 6);
    /* The end of the pipe comes when nobody holds it any more: the daemon has ended too. */
    ck_assert_int_eq(read(ends[0], output, sizeof output), 0);
    ck_assert_int_eq(waitpid(leader, &status, 0), leader);
    close(ends[0]);
    fake_call_clear(&call);
    finish_with_root();
}
END_TEST

START_TEST(tells_a_missing_command_from_a_failing_one)
{
    static const struct {
        const char *command;
        int exit_code; /* -1: by the signal */
        int signal;
        const char *output;
    } cases[] = {
        {"/opt/run.py", 127, 0, "descpipe: cannot run '/opt/run.py' in the container: No such file or directory\n"},
        {"/etc", 126, 0, "descpipe: cannot run '/etc' in the container: Permission denied\n"},
        {"false", 1, 0, ""},
        {"killed", -1, SIGKILL, ""},
        {"crashed", -1, SIGSEGV, ""},
        {"honest", 137, 0, ""}, /* what bubblewrap makes of SIGKILL, and here the stage's own word */
    };
    begin_with_root(_i);
    file_write(root, "etc/motd", "");
    char path[4096];
    static const char *const scripts[][2] = {
        {"bin/killed", "kill -9 $$"}, {"bin/crashed", "kill -SEGV $$"}, {"bin/honest", "exit 137"}};
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        char script[64];
        snprintf(script, sizeof script, "#!/bin/sh\n%s\n", scripts[i][1]);
        file_write(root, scripts[i][0], script);
        snprintf(path, sizeof path, "%s/%s", root, scripts[i][0]);
        ck_assert_int_eq(chmod(path, 0755), 0);
    }
    snprintf(path, sizeof path, "%s/bin/false", root);
    ck_assert_int_eq(symlink("busybox", path), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const command[] = {cases[i].command, NULL};
        struct descpipe_stage stage = stage_of(root, command, NULL);
        const struct fake_run *run = run_stage(&stage);
        ck_assert_str_eq(run->output, cases[i].output);
        ck_assert_int_eq(run->exit_code, cases[i].exit_code);
        ck_assert_int_eq(run->signal, cases[i].signal);
    }
    finish_with_root();
}
END_TEST

START_TEST(missing_working_folder_is_there_and_empty)
{
    begin_with_root(_i);
    const char *const command[] = {"/bin/sh", "-c", "pwd; busybox ls", NULL};
    struct descpipe_stage stage = stage_of(root, command, NULL);
    stage.directory = "/home/somebody";
    assert_output(run_stage(&stage), "/home/somebody\n");
    finish_with_root();
}
END_TEST

START_TEST(refuses_what_it_cannot_do)
{
    static const struct {
        const char *target;
        uint32_t flags;
        const char *message;
    } cases[] = {
        {"relative", 0, "mount target 'relative' is not an absolute path"},
        {"/loop/x", 0, "mount target '/loop/x': too many symbolic links in the image"},
        {"/file/x", 0, "mount target '/file/x': '/file' is a file in the image"},
        {"/file", 0, "cannot mount a folder at '/file', which is a file in the image"},
        {"/bin", DESCPIPE_MOUNT_FILE, "cannot mount a file at '/bin', which is a folder in the image"},
        {"/", 0, "mount target '/' is the root of the image"},
        {"/dev", 0, "mount target '/dev': a container has a /dev of its own"},
        {"/proc/sys/new", 0, "mount target '/proc/sys/new' lies in /proc"},
    };
    begin_with_root(_i);
    char link[4096];
    snprintf(link, sizeof link, "%s/loop", root);
    ck_assert_int_eq(symlink("loop", link), 0);
    file_write(root, "file", "");
    const char *const command[] = {"/bin/sh", NULL};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct descpipe_mount mount = mount_of("/usr", cases[i].target, cases[i].flags);
        const struct descpipe_mount *const list[] = {&mount, NULL};
        struct descpipe_stage stage = stage_of(root, command, list);
        struct descpipe_call call = {0};
        fake.runtime->launch(fake.self, &call, &stage);
        ck_assert_int_eq(call.finished, 1);
        ck_assert_str_eq(call.message, cases[i].message);
        fake_call_clear(&call);
    }
    struct descpipe_stage stage = stage_of(root, command, NULL);
    stage.uid = 12345;
    struct descpipe_call call = {0};
    char expected[256];
    snprintf(expected, sizeof expected,
             "stage 'one' asks for uid 12345, and runtime 'native' runs stages as the caller (uid %u)", geteuid());
    fake.runtime->launch(fake.self, &call, &stage);
    ck_assert_str_eq(call.message, expected);
    ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_UNSUPPORTED);
    fake_call_clear(&call);
    finish_with_root();
}
END_TEST

START_TEST(refuses_to_rebuild_a_crowded_folder)
{
    begin_with_root(_i);
    for (int i = 0; i < 2049; i++) {
        char name[64];
        snprintf(name, sizeof name, "crowd/%d", i);
        file_write(root, name, "");
    }
    const char *const command[] = {"/bin/sh", NULL};
    struct descpipe_mount mount = mount_of("/usr", "/crowd/new", 0);
    const struct descpipe_mount *const list[] = {&mount, NULL};
    struct descpipe_stage stage = stage_of(root, command, list);
    struct descpipe_call call = {0};
    fake.runtime->launch(fake.self, &call, &stage);
    ck_assert_str_eq(call.message, "'/crowd' has more than 2048 entries, too many to add a mount point to it");
    ck_assert_str_eq(call.hint, "make the mount point in the image, or mount somewhere else");
    fake_call_clear(&call);
    finish_with_root();
}
END_TEST

START_TEST(ranks_of_a_launcher_share_memory_and_processes)
{
    begin_with_root(_i);
    const char *const command[] = {"/bin/sh", "-c", "busybox ls /dev/shm; echo $$", NULL};
    struct descpipe_stage stage = stage_of(root, command, NULL);
    stage.ranks = DESCPIPE_RANKS_OUTSIDE;
    const struct fake_run *run = run_stage(&stage);
    ck_assert_int_eq(run->exit_code, 0);
    const char *last = run->output;
    for (const char *line = strchr(last, '\n'); line != NULL && line[1] != '\0'; line = strchr(last, '\n'))
        last = line + 1;
    ck_assert_uint_gt(strtoul(last, NULL, 10), 10); /* in a pid namespace of its own it would be 2 */
    finish_with_root();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("native on root folders");
    TCase *cases = tcase_create("rootfs");
    tcase_set_timeout(cases, 20);
    tcase_add_loop_test(cases, runs_command_in_root_folder, 0, 2);
    tcase_add_loop_test(cases, creates_missing_mount_points_without_writing_image, 0, 2);
    tcase_add_loop_test(cases, follows_links_of_hostile_image_inside_it_only, 0, 2);
    tcase_add_loop_test(cases, nests_mounts_in_any_order_of_naming, 0, 2);
    tcase_add_loop_test(cases, machines_own_root_is_read_only, 0, 2);
    tcase_add_loop_test(cases, root_in_the_container_cannot_make_the_image_writable, 0, 2);
    tcase_add_loop_test(cases, environment_is_complete_and_secrets_stay_out_of_argv, 0, 2);
    tcase_add_loop_test(cases, network_can_be_taken_away, 0, 2);
    tcase_add_loop_test(cases, image_knows_the_caller_and_the_machines_servers, 0, 2);
    tcase_add_loop_test(cases, everything_ends_with_the_first_process, 0, 2);
    tcase_add_loop_test(cases, a_stopped_session_ends_gracefully_and_as_a_whole, 0, 2);
    tcase_add_loop_test(cases, tells_a_missing_command_from_a_failing_one, 0, 2);
    tcase_add_loop_test(cases, missing_working_folder_is_there_and_empty, 0, 2);
    tcase_add_loop_test(cases, refuses_what_it_cannot_do, 0, 2);
    tcase_add_loop_test(cases, refuses_to_rebuild_a_crowded_folder, 0, 2);
    tcase_add_loop_test(cases, ranks_of_a_launcher_share_memory_and_processes, 0, 2);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
