/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that need no plugin: usage, help, and those that read run folders. */
#include <fcntl.h>
#include <jansson.h>

#include "program.h"
#include "run_maker.h"
#include "suite.h"

#define RUN "20261121-063000-ab3dk7"

/* Exact text where it is ours alone. */
START_TEST(usage_errors_say_what_to_do_and_exit_2)
{
    static const struct {
        const char *line, *err;
    } cases[] = {
        {"runn x", "descpipe: error: unknown command 'runn'\ndescpipe: hint: did you mean 'run'?\n"},
        {"dance", "descpipe: error: unknown command 'dance'\ndescpipe: hint: 'descpipe --help' lists the commands\n"},
        {"plugins lst",
         "descpipe: error: unknown command 'plugins lst'\ndescpipe: hint: did you mean 'plugins list'?\n"},
        {"plugins dance", "descpipe: error: unknown command 'plugins dance'\ndescpipe: hint: 'descpipe plugins --help' "
                          "lists the commands\n"},
        {"--jsn", "descpipe: error: unknown option '--jsn'\ndescpipe: hint: --help lists the options\n"},
        {"status --jsn", "descpipe: error: unknown option '--jsn'\ndescpipe: hint: did you mean '--json'?\n"},
        {"run", "descpipe: error: PIPELINE is missing\ndescpipe: hint: usage: descpipe run [OPTIONS] PIPELINE\n"},
        {"logs", "descpipe: error: STAGE is missing\ndescpipe: hint: usage: descpipe logs [OPTIONS] [RUN] STAGE\n"},
        {"check a b",
         "descpipe: error: 'b' is one word too many\ndescpipe: hint: usage: descpipe check [OPTIONS] PIPELINE\n"},
        {"status -q -v", "descpipe: error: '--quiet' and '--verbose' exclude each other\n"},
        {"run x --on-interrupt stay",
         "descpipe: error: option '--on-interrupt' cannot be 'stay'\ndescpipe: hint: one of: cancel, leave\n"},
        {"run p.yaml --output=", "descpipe: error: option '--output' needs a value, not an empty one\n"
                                 "descpipe: hint: --output DIR\n"},
        {"logs --attempt= x", "descpipe: error: option '--attempt' needs a value, not an empty one\n"
                              "descpipe: hint: --attempt N\n"},
        {"--color", "descpipe: error: option '--color' needs a value\n"
                    "descpipe: hint: --color auto|always|never\n"},
        {"plugins check /dev/null/runtime-x.so",
         "descpipe: error: cannot find '/dev/null/runtime-x.so': Not a directory\n"},
        {"help runn", "descpipe: error: unknown command 'runn'\ndescpipe: hint: did you mean 'run'?\n"},
        {"completion tcsh", "descpipe: error: SHELL cannot be 'tcsh'\ndescpipe: hint: one of: bash, zsh, fish\n"},
        {"plugins show docker",
         "descpipe: error: 'docker' names no plugin\n"
         "descpipe: hint: KIND/NAME, as 'descpipe plugins list' shows them, or a file KIND-NAME.so\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(result_clear) struct result result = program_run(cases[i].line);
        ck_assert_str_eq(text_bytes(&result.err), cases[i].err);
        ck_assert_str_eq(text_bytes(&result.out), "");
        ck_assert_int_eq(result.status, 2);
    }
}
END_TEST

START_TEST(without_a_command_the_usage_goes_to_standard_error)
{
    static const char *const lines[] = {"", "--quiet", "plugins"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        cleanup(result_clear) struct result result = program_run(lines[i]);
        ck_assert_int_eq(result.status, 2);
        ck_assert_str_eq(text_bytes(&result.out), "");
        ck_assert_ptr_nonnull(strstr(text_bytes(&result.err), "Usage: descpipe"));
    }
}
END_TEST

START_TEST(version_and_help_go_to_standard_output)
{
    cleanup(result_clear) struct result version = program_run("--version");
    ck_assert_int_eq(version.status, 0);
    ck_assert_str_eq(text_bytes(&version.out), "descpipe " VERSION "\n");
    static const struct {
        const char *line, *part;
    } cases[] = {
        {"--help", "  logs         what a stage wrote\n"},
        {"-h", "Examples:\n"},
        {"run --help", "Usage: descpipe run [OPTIONS] PIPELINE\n"},
        {"--help run", "Usage: descpipe run [OPTIONS] PIPELINE\n"},
        {"help", "  logs         what a stage wrote\n"},
        {"help run", "Usage: descpipe run [OPTIONS] PIPELINE\n"},
        {"help plugins list", "Usage: descpipe plugins list [OPTIONS]\n"},
        {"help plugins", "  list         the plugins"},
        {"plugins list --help", "Usage: descpipe plugins list [OPTIONS]\n"},
        {"plugins --help", "  list         the plugins"},
        {"logs --help", "  -f, --follow                go on until the stage has ended"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(result_clear) struct result result = program_run(cases[i].line);
        ck_assert_int_eq(result.status, 0);
        ck_assert_str_eq(text_bytes(&result.err), "");
        ck_assert_msg(strstr(text_bytes(&result.out), cases[i].part) != NULL, "'%s' prints %s", cases[i].line,
                      text_bytes(&result.out));
    }
}
END_TEST

/* Each command in the list has a page with examples that call it. */
START_TEST(every_command_has_help_with_examples)
{
    cleanup(result_clear) struct result all = program_run("--help");
    const char *line = strstr(text_bytes(&all.out), "Commands:\n");
    ck_assert_ptr_nonnull(line);
    unsigned count = 0;
    for (line += strlen("Commands:\n"); strncmp(line, "  ", 2) == 0; line += strcspn(line, "\n") + 1) {
        char name[32] = "";
        memcpy(name, line + 2, strcspn(line + 2, " "));
        count++;
        if (strcmp(name, "plugins") == 0)
            continue;
        cleanup(memory_free) char *command = memory_format("%s --help", name);
        cleanup(memory_free) char *example = memory_format("Examples:\n  descpipe %s", name);
        cleanup(result_clear) struct result page = program_run(command);
        ck_assert_int_eq(page.status, 0);
        ck_assert_msg(strstr(text_bytes(&page.out), example) != NULL, "no examples: %s", text_bytes(&page.out));
        for (const char *place = text_bytes(&page.out); *place != '\0'; place += strcspn(place, "\n") + 1)
            ck_assert_msg(strcspn(place, "\n") <= 100, "too wide: %s", place);
    }
    ck_assert_uint_ge(count, 10);
}
END_TEST

/* A run of the fixture, under the test's folder. */
static void make_run(void)
{
    struct run_maker maker = run_maker_new(TWO_STAGES);
    run_maker_play(&maker);
    run_maker_file(&maker, "logs/000/tomography.1.out", "binning\n");
    run_maker_file(&maker, "logs/000/counts.g.1.err", "no such bin\n");
    run_maker_record(
        &maker, "verdict",
        ",\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1,\"verdict\":\"CANCELLED\",\"reason\":\"\"");
    run_maker_record(&maker, "end", ",\"state\":\"failed\"");
    journal_close(maker.journal);
    char *working = path_join(program_folder, "work/.descpipe/runs");
    char *run = path_join(working, RUN);
    ck_assert(folder_make(working, 0700, NULL));
    ck_assert_int_eq(rename(maker.folder, run), 0);
    memory_free(maker.folder);
    memory_free(working);
    memory_free(run);
}

START_TEST(status_reads_a_copied_run_folder)
{
    make_run();
    static const char *const ways[] = {"status", "status " RUN, "status 20261121", "status work",
                                       "status work/.descpipe/runs/" RUN};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        cleanup(result_clear) struct result result = program_run(ways[i]);
        ck_assert_str_eq(text_bytes(&result.err), "");
        ck_assert_int_eq(result.status, 0);
        ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "run " RUN " of sky: failed, took "));
        ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "\n1 succeeded, 1 failed, 1 cancelled\n"));
        ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "tomography  OK "));
        ck_assert_ptr_nonnull(strstr(text_bytes(&result.out), "  counts/g  EXIT 3 "));
    }
    cleanup(result_clear) struct result result = program_run("status --json");
    json_t *json = json_loads(text_bytes(&result.out), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json, "state")), "failed");
    json_decref(json);
    cleanup(result_clear) struct result none = program_run("status 19990101");
    ck_assert_int_eq(none.status, 2);
    ck_assert_ptr_nonnull(strstr(text_bytes(&none.err), "19990101"));
}
END_TEST

START_TEST(logs_finds_the_stage_or_says_what_there_is)
{
    make_run();
    static const struct {
        const char *line;
        int status;
        const char *out, *err;
    } cases[] = {
        {"logs tomography", 0, "binning\n", ""},
        {"logs " RUN " tomography", 0, "binning\n", ""},
        {"logs -f tomography", 0, "binning\n", ""},
        {"logs counts/g --err", 0, "no such bin\n", ""},
        {"logs counts/g", 0, "==> stderr <==\nno such bin\n", ""},
        {"logs -t tomography", 0, "binning\n",
         "descpipe: when these lines came is not known: times are seen while following (-f)\n"},
        {"logs counts", 2, "",
         "descpipe: error: stage 'counts' has 2 members: say which\ndescpipe: hint: for example 'counts/g'\n"},
        {"logs counts/u", 2, "",
         "descpipe: error: stage 'counts' has no member 'u'\ndescpipe: hint: 'descpipe status --json' lists the "
         "members\n"},
        {"logs tomografy", 2, "",
         "descpipe: error: run " RUN " has no stage 'tomografy'\ndescpipe: hint: did you mean 'tomography'?\n"},
        {"logs xyzzy", 2, "",
         "descpipe: error: run " RUN " has no stage 'xyzzy'\ndescpipe: hint: 'descpipe status' lists the stages\n"},
        {"logs tomography --attempt 4", 2, "", "descpipe: error: there is no log of attempt 4 of 'tomography'\n"},
        {"cancel " RUN, 2, "", "descpipe: error: run " RUN " has ended already: failed\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(result_clear) struct result result = program_run(cases[i].line);
        ck_assert_str_eq(text_bytes(&result.err), cases[i].err);
        ck_assert_str_eq(text_bytes(&result.out), cases[i].out);
        ck_assert_int_eq(result.status, cases[i].status);
    }
}
END_TEST

START_TEST(runs_is_empty_at_first)
{
    cleanup(result_clear) struct result result = program_run("runs");
    ck_assert_str_eq(text_bytes(&result.out), "no runs yet; 'descpipe run PIPELINE' starts one\n");
    ck_assert_int_eq(result.status, 0);
    cleanup(result_clear) struct result json = program_run("runs --json");
    ck_assert_str_eq(text_bytes(&json.out), "[]\n");
}
END_TEST

START_TEST(completions_offer_commands_options_and_values)
{
    static const struct {
        const char *shell;
        const char *parts[4];
    } cases[] = {
        {"bash",
         {"complete -o filenames -F _descpipe descpipe\n",
          "\"plugins list\") words=", "--on-interrupt) words=\"cancel leave\"", " --keep-going"}},
        {"zsh", {"#compdef descpipe\n", "bashcompinit", "_descpipe", " --keep-going"}},
        {"fish",
         {"complete -c descpipe -f\n", "-a run -d 'plan, submit, watch, report'",
          "-l on-interrupt -x -a 'cancel leave'", "-l follow -s f"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup(memory_free) char *line = memory_format("completion %s", cases[i].shell);
        cleanup(result_clear) struct result result = program_run(line);
        ck_assert_int_eq(result.status, 0);
        for (size_t p = 0; p < 4; p++)
            ck_assert_msg(strstr(text_bytes(&result.out), cases[i].parts[p]) != NULL, "%s lacks '%s'", cases[i].shell,
                          cases[i].parts[p]);
    }
}
END_TEST

START_TEST(an_output_that_cannot_be_written_is_noticed)
{
    make_run();
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), nothing = open("/dev/null", O_RDWR | O_CLOEXEC), err[2],
        closed[2];
    ck_assert_int_ge(full, 0);
    ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
    ck_assert_int_eq(program_wait(program_start("status --json", (const int[]){nothing, full, err[1]})), 6);
    char message[200] = "";
    ck_assert_int_gt(read(err[0], message, sizeof message - 1), 0);
    ck_assert_str_eq(message, "descpipe: error: cannot write to standard output: No space left on device\n");
    ck_assert_int_eq(program_wait(program_start("status --json", (const int[]){nothing, -1, err[1]})), 6);
    memset(message, 0, sizeof message);
    ck_assert_int_gt(read(err[0], message, sizeof message - 1), 0);
    ck_assert_str_eq(message, "descpipe: error: cannot write to standard output: Bad file descriptor\n");
    /* A reader that has had enough gets no message: it is as when SIGPIPE ends a tool. */
    ck_assert_int_eq(pipe2(closed, O_CLOEXEC), 0);
    close(closed[0]);
    ck_assert_int_eq(program_wait(program_start("status --json", (const int[]){nothing, closed[1], err[1]})), 141);
    close(err[1]);
    ck_assert_int_eq(read(err[0], message, sizeof message), 0);
    close(full);
    close(nothing);
    close(closed[1]);
    close(err[0]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {usage_errors_say_what_to_do_and_exit_2,
                                  without_a_command_the_usage_goes_to_standard_error,
                                  version_and_help_go_to_standard_output,
                                  every_command_has_help_with_examples,
                                  status_reads_a_copied_run_folder,
                                  logs_finds_the_stage_or_says_what_there_is,
                                  runs_is_empty_at_first,
                                  completions_offer_commands_options_and_values,
                                  an_output_that_cannot_be_written_is_noticed,
                                  NULL};
    return suite_run("command", tests, program_set_up, program_tear_down);
}
