/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A developer's container in a runtime with its real tool: start, exec, changes, copies, commit, stop.
 * developer_test.sh makes the images and sets the variables read here: DESCPIPE_TEST_RUNTIME, DESCPIPE_TEST_IMAGE (an
 * archive), DESCPIPE_TEST_COMMIT (what a committed image is called) and DESCPIPE_TEST_FOLDER.
 */
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "../docker/driver.h"
#include "base/file.h"
#include "base/list.h"

static struct driver driver;
static char folder[256], token[48];
static struct descpipe_image image;
static char *handle;
static struct descpipe_container container;

static const char *variable(const char *name)
{
    const char *value = secure_getenv(name);
    ck_assert_msg(value != NULL, "run this through developer_test.sh (%s)", name);
    return value;
}

static char *prepare(const struct descpipe_image *wanted)
{
    cleanup(answer_free) struct answer answer;
    const struct descpipe_prepare request = {.size = sizeof request, .image = wanted};
    runtime_prepare(driver.instance, &request, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    return steal(&answer.handle);
}

static void start(const char *name, const char *image_handle)
{
    static const char *const environment[] = {"PATH=/bin", "SECRET=of the stage", NULL};
    const struct descpipe_mount mount = {sizeof mount, DESCPIPE_MOUNT_READ_ONLY, folder, "/opt/my input"};
    const struct descpipe_mount *const mounts[] = {&mount, NULL};
    const struct descpipe_resources resources = {
        .size = sizeof resources, .nodes = 1, .ranks_per_node = 1, .cpus_per_rank = 1};
    const struct descpipe_stage stage = {.size = sizeof stage,
                                         .umask_bits = 022,
                                         .run = "20261128-000000-dev",
                                         .name = "shear",
                                         .attempt = 1,
                                         .token = name,
                                         .image = &image,
                                         .image_handle = image_handle,
                                         .environment = environment,
                                         .mounts = mounts,
                                         .directory = "/opt",
                                         .resources = &resources};
    cleanup(answer_free) struct answer answer;
    runtime_shell(driver.instance, &stage, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_ptr_nonnull(answer.native_id);
}

static void end(const char *name)
{
    cleanup(answer_free) struct answer answer, stopped;
    const struct descpipe_container one = {.size = sizeof one, .token = name};
    const struct descpipe_stop stop = {.size = sizeof stop, .container = &one};
    runtime_stop(driver.instance, &stop, driver_call(&stopped));
    driver_wait(&driver, &stopped);
    ck_assert_msg(stopped.ok, "%s", stopped.message);
    runtime_release(driver.instance, &one, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
}

static void set_up(void)
{
    driver_open_runtime(&driver, variable("DESCPIPE_TEST_RUNTIME"), NULL, NULL);
    snprintf(folder, sizeof folder, "%s/test-XXXXXX", variable("DESCPIPE_TEST_FOLDER"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(token, sizeof token, "dev-%d-1", (int)getpid());
    image = (struct descpipe_image){.size = sizeof image,
                                    .source = DESCPIPE_SOURCE_DOCKER_ARCHIVE,
                                    .reference = "docker-archive:probe.tar",
                                    .path = variable("DESCPIPE_TEST_IMAGE"),
                                    .platform = "linux/amd64"};
    handle = prepare(&image);
    container = (struct descpipe_container){.size = sizeof container, .token = token};
    start(token, handle);
}

static void tear_down(void)
{
    end(token);
    memory_free(handle);
    driver_close(&driver);
    ck_assert(folder_remove(folder, NULL));
}

static char *file_of(const char *name)
{
    return memory_format("%s/%s", folder, name);
}

static int open_new(const char *name)
{
    cleanup(memory_free) char *path = file_of(name);
    int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(descriptor, 0);
    return descriptor;
}

static struct text read_all(const char *name)
{
    cleanup(memory_free) char *path = file_of(name);
    struct text text = TEXT_INIT;
    ck_assert(file_read(path, 1 << 20, &text, NULL));
    return text;
}

/* In `name`, with its streams in the files "out" and "err". */
static int run_in(const char *name, const char *const *command, const char *input)
{
    static const char *const environment[] = {"PATH=/bin", "MINE=an `exec`'s \"own\"", NULL};
    const struct descpipe_container one = {.size = sizeof one, .token = name};
    cleanup(answer_free) struct answer answer;
    struct descpipe_exec exec = {.size = sizeof exec,
                                 .container = &one,
                                 .command = command,
                                 .environment = environment,
                                 .directory = "/etc",
                                 .input_descriptor = -1,
                                 .output_descriptor = open_new("out"),
                                 .error_descriptor = open_new("err")};
    if (input != NULL) {
        exec.input_descriptor = open_new("in");
        ck_assert_int_eq(write(exec.input_descriptor, input, strlen(input)), (ssize_t)strlen(input));
        lseek(exec.input_descriptor, 0, SEEK_SET);
    }
    runtime_exec(driver.instance, &exec, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
    ck_assert_uint_eq(answer.ending.flags, DESCPIPE_ENDED_EXITED);
    descriptor_close(exec.input_descriptor);
    close(exec.output_descriptor);
    close(exec.error_descriptor);
    return answer.ending.exit_code;
}

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

START_TEST(a_command_has_its_own_streams_and_its_exit_status)
{
    ck_assert_int_eq(run_in(token, SHELL("cat; echo wrong >&2; exit 42"), "what comes in\n"), 42);
    cleanup(text_clear) struct text output = read_all("out"), errors = read_all("err");
    ck_assert_str_eq(text_bytes(&output), "what comes in\n");
    ck_assert_str_eq(text_bytes(&errors), "wrong\n");
    ck_assert_int_eq(run_in(token, SHELL("read line; echo \"$?\""), NULL), 0);
    cleanup(text_clear) struct text nothing = read_all("out");
    ck_assert_str_eq(text_bytes(&nothing), "1\n");
}
END_TEST

START_TEST(a_command_sees_the_stage_and_what_it_is_given)
{
    cleanup(memory_free) char *path = file_of("table");
    ck_assert(file_write(path, "1 2 3\n", 6, 0644, NULL));
    ck_assert_int_eq(
        run_in(token, SHELL("id -u; pwd; echo \"$MINE $FROM_IMAGE $SECRET\"; cat '/opt/my input/table'"), NULL), 0);
    cleanup(text_clear) struct text output = read_all("out");
    ck_assert_str_eq(text_bytes(&output), "0\n/etc\nan `exec`'s \"own\" yes \n1 2 3\n");
    ck_assert_int_ne(run_in(token, SHELL("touch '/opt/my input/new'"), NULL), 0);
}
END_TEST

START_TEST(much_output_arrives_whole)
{
    ck_assert_int_eq(run_in(token, SHELL("seq 1 200000"), NULL), 0);
    cleanup(memory_free) char *path = file_of("out");
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 1288895);
}
END_TEST

static void change(void)
{
    ck_assert_int_eq(
        run_in(token, SHELL("mkdir /opt/new && echo 'made here' >/opt/new/file && rm /bin/yes && echo x >>/etc/passwd"),
               NULL),
        0);
}

static void expect_change(const struct answer *answer, const char *line)
{
    cleanup(memory_free) char *wanted = memory_format("%s\n", line);
    ck_assert_msg(strstr(text_bytes(&answer->texts), wanted) != NULL, "no '%s' in:\n%s", line,
                  text_bytes(&answer->texts));
}

static void stop(uint64_t grace_ms)
{
    cleanup(answer_free) struct answer answer;
    const struct descpipe_stop request = {.size = sizeof request, .container = &container, .grace_ms = grace_ms};
    runtime_stop(driver.instance, &request, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert_msg(answer.ok, "%s", answer.message);
}

/* What `tar` finds of one member in the file "archive". */
static char *member(const char *name)
{
    cleanup(memory_free) char *command = memory_format("tar -xOf '%s/archive' '%s'", folder, name);
    static char line[256];
    FILE *output = popen(command, "r");
    ck_assert_ptr_nonnull(output);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, output));
    ck_assert_int_eq(pclose(output), 0);
    return line;
}

START_TEST(changes_outlive_a_stop_and_can_be_copied_out)
{
    change();
    stop(10000);
    cleanup(answer_free) struct answer changes, copied, missing;
    runtime_changes(driver.instance, &container, driver_call(&changes));
    driver_wait(&driver, &changes);
    ck_assert_msg(changes.ok, "%s", changes.message);
    expect_change(&changes, "A /opt/new");
    expect_change(&changes, "A /opt/new/file");
    expect_change(&changes, "D /bin/yes");
    expect_change(&changes, "C /etc/passwd");
    ck_assert_ptr_null(strstr(text_bytes(&changes.texts), "/bin/sh"));
    struct descpipe_copy copy = {
        .size = sizeof copy, .container = &container, .path = "/opt/new", .archive_descriptor = open_new("archive")};
    runtime_copy_out(driver.instance, &copy, driver_call(&copied));
    driver_wait(&driver, &copied);
    ck_assert_msg(copied.ok, "%s", copied.message);
    ck_assert_str_eq(member("new/file"), "made here\n");
    copy.path = "/opt/missing";
    runtime_copy_out(driver.instance, &copy, driver_call(&missing));
    driver_wait(&driver, &missing);
    ck_assert(!missing.ok);
    close(copy.archive_descriptor);
}
END_TEST

START_TEST(a_commit_is_an_image_that_others_can_start)
{
    static const char *const command[] = {"/bin/sh", "-c", "echo \"default\"", NULL};
    const char *name = variable("DESCPIPE_TEST_COMMIT");
    bool is_sif = strcmp(name, "sif:") == 0, is_file = is_sif || strcmp(name, "docker-archive:") == 0;
    cleanup(memory_free) char *path = file_of("new.image");
    cleanup(memory_free) char *reference = memory_format("%s%s", name, is_file ? path : "");
    cleanup(answer_free) struct answer committed;
    const struct descpipe_commit commit = {
        .size = sizeof commit, .container = &container, .reference = reference, .command = command};
    change();
    runtime_commit(driver.instance, &commit, driver_call(&committed));
    driver_wait(&driver, &committed);
    ck_assert_msg(committed.ok, "%s", committed.message);
    ck_assert_int_eq(strncmp(committed.config_digest, "sha256:", 7), 0);
    struct descpipe_image made = {.size = sizeof made,
                                  .source = is_sif    ? DESCPIPE_SOURCE_SIF
                                            : is_file ? DESCPIPE_SOURCE_DOCKER_ARCHIVE
                                                      : DESCPIPE_SOURCE_REGISTRY,
                                  .pull = DESCPIPE_PULL_NEVER,
                                  .reference = reference,
                                  .path = is_file ? path : NULL,
                                  .platform = "linux/amd64"};
    cleanup(memory_free) char *made_handle = prepare(&made);
    char other[sizeof token + 8];
    snprintf(other, sizeof other, "%s-b", token);
    start(other, made_handle);
    ck_assert_int_eq(
        run_in(other, SHELL("cat /opt/new/file; ls /bin/yes; ls /etc; id -u; echo $FROM_IMAGE$SECRET"), NULL), 0);
    cleanup(text_clear) struct text output = read_all("out");
    ck_assert_ptr_eq(strstr(text_bytes(&output), "made here\n"), text_bytes(&output));
    ck_assert_ptr_null(strstr(text_bytes(&output), "/bin/yes\n"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&output), "passwd\n"));
    ck_assert_ptr_nonnull(strstr(text_bytes(&output), "0\nyes\n"));
    end(other);
}
END_TEST

/* What a closed host had started has ended with it, but for the container. */
START_TEST(a_container_goes_on_without_who_started_it)
{
    ck_assert_int_eq(run_in(token, SHELL("echo kept >/opt/kept; (sleep 1000 <&- >&- 2>&- &)"), NULL), 0);
    driver_close(&driver);
    driver_open_runtime(&driver, variable("DESCPIPE_TEST_RUNTIME"), NULL, NULL);
    ck_assert_int_eq(run_in(token, SHELL("cat /opt/kept; ps | grep -c '[s]leep 1000'"), NULL), 0);
    cleanup(text_clear) struct text output = read_all("out");
    ck_assert_str_eq(text_bytes(&output), "kept\n1\n");
}
END_TEST

START_TEST(a_stopped_container_takes_no_command)
{
    cleanup(answer_free) struct answer answer;
    const struct descpipe_exec exec = {.size = sizeof exec,
                                       .container = &container,
                                       .command = SHELL("touch /opt/late"),
                                       .input_descriptor = -1,
                                       .output_descriptor = -1,
                                       .error_descriptor = -1};
    stop(0);
    runtime_exec(driver.instance, &exec, driver_call(&answer));
    driver_wait(&driver, &answer);
    ck_assert(!answer.ok || answer.ending.exit_code != 0);
    stop(0);
}
END_TEST

START_TEST(a_command_that_is_cancelled_ends)
{
    cleanup(answer_free) struct answer answer;
    const struct descpipe_exec exec = {.size = sizeof exec,
                                       .container = &container,
                                       .command = SHELL("sleep 1000"),
                                       .input_descriptor = -1,
                                       .output_descriptor = -1,
                                       .error_descriptor = -1};
    struct plugin_call *call = runtime_exec(driver.instance, &exec, driver_call(&answer));
    ck_assert_ptr_nonnull(call);
    call_cancel(call);
    driver_wait(&driver, &answer);
    ck_assert(!answer.ok || answer.ending.exit_code != 0 || (answer.ending.flags & DESCPIPE_ENDED_SIGNALLED) != 0);
    stop(0);
}
END_TEST

/* Our standard streams are a terminal of the test's own meanwhile: what is said there comes out of its other end. */
START_TEST(a_terminal_is_handed_over)
{
    int screen = -1, terminal = -1, before[3];
    ck_assert_int_eq(openpty(&screen, &terminal, NULL, NULL, &(struct winsize){.ws_row = 24, .ws_col = 77}), 0);
    ck_assert_int_eq(write(screen, "typed\n", 6), 6);
    fflush(NULL);
    for (int i = 0; i < 3; i++) {
        before[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
        dup2(terminal, i);
    }
    cleanup(answer_free) struct answer answer;
    const struct descpipe_exec exec = {
        .size = sizeof exec,
        .terminal = 1,
        .container = &container,
        .command =
            SHELL("[ -t 0 ] && [ -t 1 ] && read line && echo \"<$line>\" && [ \"$(stty size)\" = '24 77' ] && exit 7")};
    runtime_exec(driver.instance, &exec, driver_call(&answer));
    driver_wait(&driver, &answer);
    for (int i = 0; i < 3; i++) {
        dup2(before[i], i);
        close(before[i]);
    }
    struct termios modes;
    ck_assert_int_eq(tcgetattr(terminal, &modes), 0);
    ck_assert_msg((modes.c_lflag & ECHO) != 0, "the terminal was not put back as it was");
    close(terminal);
    cleanup(text_clear) struct text seen = TEXT_INIT;
    char bytes[512];
    for (ssize_t got; (got = read(screen, bytes, sizeof bytes)) > 0;)
        text_append_bytes(&seen, bytes, (size_t)got);
    close(screen);
    ck_assert_msg(answer.ok, "%s; %s", answer.message, text_bytes(&seen));
    ck_assert_msg(strstr(text_bytes(&seen), "<typed>") != NULL, "%s", text_bytes(&seen));
    ck_assert_msg(answer.ending.exit_code == 7, "%d: %s", answer.ending.exit_code, text_bytes(&seen));
}
END_TEST

START_TEST(what_is_not_there_is_said_to_be_missing)
{
    cleanup(answer_free) struct answer changes, released;
    const struct descpipe_container other = {.size = sizeof other, .token = "dev-nobody-1"};
    runtime_changes(driver.instance, &other, driver_call(&changes));
    driver_wait(&driver, &changes);
    ck_assert(!changes.ok);
    ck_assert_msg(changes.failure == DESCPIPE_FAILED_NOT_FOUND, "%u: %s", changes.failure, changes.message);
    runtime_release(driver.instance, &other, driver_call(&released));
    driver_wait(&driver, &released);
    ck_assert_msg(released.ok, "%s", released.message);
}
END_TEST

/* One line, with the container and with what was asked of it. */
static void expect_words(const struct answer *answer, uint32_t kind, const char *name, const char *what)
{
    if (secure_getenv("DESCPIPE_TEST_SHOW") != NULL)
        fprintf(stderr, "%u %s%s%s\n", answer->failure, answer->message, answer->hint != NULL ? "\n   hint: " : "",
                answer->hint != NULL ? answer->hint : "");
    ck_assert(answer->done && !answer->ok);
    ck_assert_msg(answer->failure == kind, "%u: %s", answer->failure, answer->message);
    ck_assert_msg(strstr(answer->message, name) != NULL, "no '%s' in: %s", name, answer->message);
    ck_assert_msg(strstr(answer->message, what) != NULL, "no '%s' in: %s", what, answer->message);
    ck_assert_msg(strchr(answer->message, '\n') == NULL, "more than a line: %s", answer->message);
}

START_TEST(what_cannot_be_done_is_told_with_the_container_and_the_reason)
{
    static const struct descpipe_container other = {.size = sizeof other, .token = "dev-nobody-1"};
    cleanup(answer_free) struct answer entered, copied, committed, path, target = {0};
    const struct descpipe_exec exec = {.size = sizeof exec,
                                       .container = &other,
                                       .command = SHELL("true"),
                                       .input_descriptor = -1,
                                       .output_descriptor = -1,
                                       .error_descriptor = -1};
    runtime_exec(driver.instance, &exec, driver_call(&entered));
    driver_wait(&driver, &entered);
    expect_words(&entered, DESCPIPE_FAILED_NOT_FOUND, other.token, "");
    struct descpipe_copy copy = {
        .size = sizeof copy, .container = &other, .path = "/opt", .archive_descriptor = open_new("archive")};
    runtime_copy_out(driver.instance, &copy, driver_call(&copied));
    driver_wait(&driver, &copied);
    expect_words(&copied, DESCPIPE_FAILED_NOT_FOUND, other.token, "");
    copy.container = &container;
    copy.path = "/opt/missing";
    runtime_copy_out(driver.instance, &copy, driver_call(&path));
    driver_wait(&driver, &path);
    expect_words(&path, DESCPIPE_FAILED_NOT_FOUND, token, "/opt/missing");
    close(copy.archive_descriptor);
    const char *name = variable("DESCPIPE_TEST_COMMIT");
    bool is_file = strchr(name, '/') == NULL;
    cleanup(memory_free) char *nowhere = memory_format("%s%s", name, is_file ? "/nowhere/x.image" : "");
    struct descpipe_commit commit = {.size = sizeof commit, .container = &other, .reference = nowhere};
    runtime_commit(driver.instance, &commit, driver_call(&committed));
    driver_wait(&driver, &committed);
    expect_words(&committed, DESCPIPE_FAILED_NOT_FOUND, other.token, "");
    if (!is_file)
        return;
    commit.container = &container;
    runtime_commit(driver.instance, &commit, driver_call(&target));
    driver_wait(&driver, &target);
    expect_words(&target, DESCPIPE_FAILED_REFUSED, "/nowhere", "o such file");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("developer");
    TCase *tests = tcase_create("container");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_command_has_its_own_streams_and_its_exit_status);
    tcase_add_test(tests, a_command_sees_the_stage_and_what_it_is_given);
    tcase_add_test(tests, much_output_arrives_whole);
    tcase_add_test(tests, changes_outlive_a_stop_and_can_be_copied_out);
    tcase_add_test(tests, a_commit_is_an_image_that_others_can_start);
    tcase_add_test(tests, a_container_goes_on_without_who_started_it);
    tcase_add_test(tests, a_stopped_container_takes_no_command);
    tcase_add_test(tests, a_command_that_is_cancelled_ends);
    tcase_add_test(tests, a_terminal_is_handed_over);
    tcase_add_test(tests, what_is_not_there_is_said_to_be_missing);
    tcase_add_test(tests, what_cannot_be_done_is_told_with_the_container_and_the_reason);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
