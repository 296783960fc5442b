/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the probe in one runtime, and puts beside each thing that it saw what a stage sees in every runtime.
 *
 * How it works: a pipeline in a temporary folder, run by this program as anybody would run it, with the user's own
 * configuration. The first stage writes what it sees; others end in all the ways a stage may; one more is alone in a
 * pipeline because some runtimes refuse it. What is to be as on the machine itself (limits, network ...) is what the
 * same probe sees when it is run without any runtime.
 */
#include "command/world.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/program.h"
#include "command/runs/chosen_run.h"
#include "io/process.h"

#define PROBE "container/world"
#define MOUNTED "/mnt/descpipe"
#define WORLD_LIMIT (256u << 10)
/* CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT */
#define ROOT_RIGHTS "00000000000404fb"
#define NO_RIGHTS "0000000000000000"
#define WORDS_SAID "\" two words\", \"\", '\"', \"$HOME\""
#define WORDS_SEEN "[ two words] [] [\"] [$HOME]"

enum { RUN_DEADLINE_MS = 600000, LINES_SAID = 6 };

/* In the words of the probe; the reasons for each runtime that differs are in plugins/runtime/README.md. A key that is
 * not here is told without judgement. */
static const struct {
    const char *what, *usual; /* NULL: as on the machine itself */
} everywhere[] = {
    {"uid", NULL},
    {"gid", NULL},
    {"other groups", "0"},
    {"folder", "/opt/output"},
    {"umask", "0022"},
    {"arguments", WORDS_SEEN},
    {"PATH", "/image/bin:/bin"},
    {"HOME", "/tmp"},
    {"LANG", "C.UTF-8"},
    {"DESC_INPUT", "/opt/input"},
    {"DESC_OUTPUT", "/opt/output"},
    {"DESC_CONFIG", "/opt/config"},
    {"DESC_PARALLEL", "serial"},
    {"DESC_RANK", "0"},
    {"DESC_SIZE", "1"},
    {"OMP_NUM_THREADS", "1"},
    {"FROM_IMAGE", "yes"},
    {"MINE", "stage"},
    {"HOSTILE", "a 'b' \"c\" `id` $(id) x\\y é"},
    {"other variables", ""},
    {"standard input", "at its end"},
    {"terminal", "no"},
    {"controlling terminal", "no"},
    {"write to inputs", "no"},
    {"write to an input", "no"},
    {"write to config", "no"},
    {"write to outputs", "yes"},
    {"write to /tmp", "yes"},
    {"write to /var/tmp", "no"},
    {"write to /dev/shm", "yes"},
    {"write to HOME", "yes"},
    {"write to the image", "no"},
    {"run programs from outputs", "yes"},
    {"run programs from /tmp", "yes"},
    {"mount of the image", "read-only nosuid nodev"},
    {"mount of inputs", "read-only nosuid nodev"},
    {"mount of config", "read-only nosuid nodev"},
    {"mount of outputs", "writable nosuid nodev"},
    {"mount of /tmp", "writable nosuid nodev"},
    {"mount of /dev", "writable nosuid nodev"},
    {"mount of /dev/shm", "writable nosuid nodev"},
    {"mount of /proc", "writable nosuid nodev noexec"},
    {"shared memory", "its own"},
    {"a file of the machine that it mounts", "yes"},
    {"processes of others", "not seen"},
    {"is process 1", "no"},
    {"orphans are reaped", "yes"},
    {"ignored signals", "none"},
    {"blocked signals", "none"},
    {"may gain rights", "no"},
    {"host name", "the machine's"},
    {"interfaces", NULL},
    {"open files", NULL},
    {"processes", NULL},
    {"core size", NULL},
    {"stack size", NULL},
    {"locked memory", NULL},
    {"address space", NULL},
    {"size of a file", NULL},
    {"CPU time", NULL},
    {"niceness", NULL},
    {"oom score", NULL},
    {"all of the machine's processors", "yes"},
};

/* How a stage may end: the words for the probe, or a program without any, and the verdict. */
static const struct {
    const char *stage, *what, *command, *verdict;
} ends[] = {
    {"exits", "exit status 7", "exit, \"7\"", "EXIT 7"},
    {"exits-137", "exit status 137", "exit, \"137\"", "EXIT 137"},
    {"exits-255", "exit status 255", "exit, \"255\"", "EXIT 255"},
    {"terminated", "ended by SIGTERM", "signal, \"15\"", "SIGNAL 15"},
    {"killed", "ended by SIGKILL", "signal, \"9\"", "SIGNAL 9"},
    {"crashed", "ended by SIGSEGV", "signal, \"11\"", "SIGNAL 11"},
    {"missing", "missing", "no-such-program", "EXIT 127"},
    {"forbidden", "forbidden", "/etc/passwd", "EXIT 126"},
};
#define ENDS (sizeof ends / sizeof ends[0])

struct look {
    const struct world_request *request;
    struct loop *loop;
    struct world *world;
    struct world bare; /* the machine itself */
    char *folder, *probe, *archive;
    const char *program; /* the probe, where a stage finds it */
};

void world_clear(struct world *world)
{
    for (size_t i = 0; i < world->lines.count; i++) {
        memory_free(world->lines.items[i].what);
        memory_free(world->lines.items[i].here);
        memory_free(world->lines.items[i].usual);
    }
    list_clear(&world->lines);
}

static void add_line(struct world *world, const char *what, const char *here, const char *usual)
{
    list_add(&world->lines,
             ((struct world_line){
                 .what = memory_copy_text(what), .here = memory_copy_text(here), .usual = memory_copy_text(usual)}));
}

/* "what: value" lines. */
static bool read_lines(const char *path, struct world *world, struct error *error)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    if (!file_read(path, WORLD_LIMIT, &text, error))
        return false;
    for (char *line = text.bytes, *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        *colon = '\0';
        add_line(world, line, colon[1] == ' ' ? colon + 2 : colon + 1, NULL);
    }
    return true;
}

static const char *find_line(const struct world *world, const char *what)
{
    for (size_t i = 0; i < world->lines.count; i++)
        if (text_equal(world->lines.items[i].what, what))
            return world->lines.items[i].here;
    return NULL;
}

/* The pipelines. */

static bool write_file(const struct look *look, const char *name, const char *bytes, struct error *error)
{
    cleanup(memory_free) char *path = memory_format("%s/%s", look->folder, name);
    return file_write(path, bytes, strlen(bytes), 0644, error);
}

static void begin_pipeline(const struct look *look, const char *stages, struct text *out)
{
    text_format(out, "pipeline: {name: world, stages: [%s]}\nbackends: {default: {scheduler: local, runtime: ", stages);
    text_append_json(out, look->request->runtime);
    text_append(out, "}}\n");
}

/* The image, and what binds the probe into one that lacks it. */
static void write_image(const struct look *look, struct text *out)
{
    cleanup(memory_free) char *own = memory_format("docker-archive:%s", look->archive);
    text_append(out, "  image: ");
    text_append_json(out, look->request->image != NULL ? look->request->image : own);
    text_append(out, "\n");
    if (!text_starts_with(look->program, MOUNTED))
        return;
    cleanup(memory_free) char *folder = path_folder(look->probe);
    cleanup(memory_free) char *mount = memory_format("%s:" MOUNTED ":ro", folder);
    text_append(out, "  mounts: [");
    text_append_json(out, mount);
    text_append(out, "]\n");
}

static void write_command(const struct look *look, const char *words, struct text *out)
{
    text_append(out, "  command: [");
    if (strchr(words, ',') != NULL) {
        text_append_json(out, look->program);
        text_append(out, ", ");
    }
    text_format(out, "%s]\n", words);
}

static bool write_world(const struct look *look, struct error *error)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    struct utsname machine;
    struct stat memory;
    cleanup(text_clear) struct text stages = TEXT_INIT;
    text_append(&stages, "look");
    for (size_t i = 0; i < ENDS; i++)
        text_format(&stages, ", %s", ends[i].stage);
    begin_pipeline(look, text_bytes(&stages), &out);
    text_append(&out, "runtime: {backend: default, working: work, output: out, inputs: {table: table.txt}, "
                      "config: {look: {setting: setting.yaml}}}\n");
    text_append(&out, "look:\n");
    write_image(look, &out);
    text_append(&out, "  inputs: {table: txt}\n  config: {setting: setting.yaml}\n  outputs: {world: txt}\n"
                      "  openmp: 1\n"
                      "  env: {MINE: stage, HOSTILE: \"a 'b' \\\"c\\\" `id` $$(id) x\\\\y é\", MACHINE: ");
    text_append_json(&out, uname(&machine) == 0 ? machine.nodename : "");
    text_format(&out, ", SHARED_MEMORY: \"%ju\"}\n",
                stat("/dev/shm", &memory) == 0 ? (uintmax_t)memory.st_dev : (uintmax_t)0);
    if (look->request->image == NULL)
        text_append(&out, "  python-module: true\n");
    write_command(look, "look, world.txt, " WORDS_SAID, &out);
    for (size_t i = 0; i < ENDS; i++) {
        text_format(&out, "%s:\n", ends[i].stage);
        write_image(look, &out);
        write_command(look, ends[i].command, &out);
    }
    return write_file(look, "world.yaml", text_bytes(&out), error);
}

static bool write_alone(const struct look *look, struct error *error)
{
    cleanup(text_clear) struct text out = TEXT_INIT;
    begin_pipeline(look, "alone", &out);
    text_append(&out, "runtime: {backend: default, working: work-alone, output: out}\n");
    text_append(&out, "alone:\n");
    write_image(look, &out);
    text_append(&out, "  network: false\n  outputs: {alone: txt}\n");
    write_command(look, "look, alone.txt", &out);
    return write_file(look, "alone.yaml", text_bytes(&out), error);
}

/* Tools. */

struct tool_run {
    struct text said; /* both streams */
    struct tool_end end;
    bool over;
};

static void line_came(void *context, int stream, const char *line, size_t length)
{
    struct tool_run *run = context;
    (void)stream;
    text_append_bytes(&run->said, line, length);
    text_append_character(&run->said, '\n');
}

static void tool_ended(void *context, const struct tool_end *end)
{
    struct tool_run *run = context;
    run->end = *end;
    run->end.message = NULL; /* it does not live on */
    run->over = true;
}

static bool goes_on(void *context)
{
    const struct tool_run *run = context;
    return !run->over;
}

static void run_tool(const struct look *look, const char *const *argv, const struct words *environment,
                     struct tool_run *run)
{
    const struct tool_request request = {.argv = argv,
                                         .environment = words_list(environment),
                                         .directory = look->folder,
                                         .timeout_ms = RUN_DEADLINE_MS,
                                         .line = line_came,
                                         .ended = tool_ended,
                                         .context = run};
    tool_start(look->loop, &request);
    loop_run(look->loop, goes_on, run);
}

/* Ours, but the run is not to show in the person's list of runs. */
static void run_environment(const struct look *look, struct words *environment)
{
    for (char **entry = environ; *entry != NULL; entry++)
        if (!text_starts_with(*entry, "XDG_STATE_HOME="))
            words_add(environment, *entry);
    words_format(environment, "XDG_STATE_HOME=%s/state", look->folder);
}

static void run_pipeline(const struct look *look, const char *pipeline, struct tool_run *run)
{
    cleanup(words_clear) struct words argv = {0}, environment = {0};
    words_add(&argv, "/proc/self/exe");
    for (size_t i = 0; i < look->request->plugin_dirs->count; i++)
        words_format(&argv, "--plugin-dir=%s", look->request->plugin_dirs->items[i]);
    words_add(&argv, "run");
    words_add(&argv, "--keep-going");
    for (size_t i = 0; i < look->request->options->count; i++)
        words_format(&argv, "--option=%s", look->request->options->items[i]);
    words_format(&argv, "--runtime=%s", look->request->runtime);
    words_add(&argv, pipeline);
    run_environment(look, &environment);
    run_tool(look, words_list(&argv), &environment, run);
}

/* The same probe without a runtime. */
static bool look_at_machine(struct look *look, struct error *error)
{
    cleanup(words_clear) struct words environment = {0};
    struct tool_run run = {0};
    const char *const argv[] = {look->probe, "look", "machine.txt", NULL};
    words_format(&environment, "DESC_OUTPUT=%s", look->folder);
    run_tool(look, argv, &environment, &run);
    text_clear(&run.said);
    cleanup(memory_free) char *path = memory_format("%s/machine.txt", look->folder);
    if (!run.end.started || run.end.exit_code != 0)
        return error_set(error, ERROR_SYSTEM, "the probe '%s' does not run on this machine", look->probe);
    return read_lines(path, &look->bare, error);
}

/* What came of it. */

/* What another image says for itself, and what is not mounted beside it. */
static bool is_of_image(const char *what)
{
    static const char *const keys[] = {"PATH", "FROM_IMAGE", "other variables", "a file of the machine that it mounts"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (text_equal(keys[i], what))
            return true;
    return false;
}

static const char *usual_value(const struct look *look, const char *what)
{
    if (look->request->image != NULL && is_of_image(what))
        return NULL;
    if (text_equal(what, "root's rights"))
        return geteuid() == 0 ? ROOT_RIGHTS : NO_RIGHTS;
    for (size_t i = 0; i < sizeof everywhere / sizeof everywhere[0]; i++)
        if (text_equal(everywhere[i].what, what))
            return everywhere[i].usual != NULL ? everywhere[i].usual : find_line(&look->bare, what);
    return NULL;
}

/* The plan was refused: the first lines of what was said, which was written for the same person. */
static bool say_refusal(const struct look *look, const struct tool_run *run, struct error *error)
{
    cleanup(text_clear) struct text said = TEXT_INIT;
    const char *line = text_bytes(&run->said);
    for (size_t count = 0; *line != '\0' && count < LINES_SAID; count++) {
        size_t length = strcspn(line, "\n");
        cleanup(memory_free) char *words = memory_format("%.*s", (int)(length < 4000 ? length : 4000), line);
        text_append_printable(&said, words, 4000);
        text_append(&said, "\n");
        line += length + (line[length] == '\n');
    }
    descriptor_write(STDERR_FILENO, text_bytes(&said), said.length, NULL);
    error_set(error, run->end.exit_code == error_exit_status(ERROR_PLUGIN) ? ERROR_PLUGIN : ERROR_INPUT,
              "the probe cannot be planned for runtime '%s' (above)", look->request->runtime);
    return error_hint(error, "'descpipe doctor' says what works here; a runtime that takes no archives needs "
                             "--image with one that it does take");
}

static bool say_failure(const struct look *look, const struct tool_run *run, struct error *error)
{
    cleanup(memory_free) char *working = memory_format("%s/work", look->folder);
    cleanup(run_view_free) struct run_view *view = chosen_run_open(working, 0, NULL);
    uint32_t number = view != NULL ? run_view_task(view, "look", NULL) : TASK_NONE;
    if (number == TASK_NONE)
        return say_refusal(look, run, error);
    cleanup(text_clear) struct text verdict = TEXT_INIT;
    run_view_append_verdict(view, &view->tasks.items[number], &verdict);
    const char *reason = run_view_reason(view, &view->tasks.items[number]);
    error_set(error, ERROR_STAGE, "runtime '%s' did not run the probe: %s%s%s", look->request->runtime,
              text_bytes(&verdict), *reason != '\0' ? ": " : "", reason);
    return error_hint(error, "'descpipe doctor' says what works here and what to do about the rest");
}

static bool read_ends(struct look *look, struct error *error)
{
    cleanup(memory_free) char *pipeline = memory_format("%s/work", look->folder);
    cleanup(run_view_free) struct run_view *view = chosen_run_open(pipeline, 0, error);
    if (view == NULL)
        return false;
    for (size_t i = 0; i < ENDS; i++) {
        cleanup(text_clear) struct text verdict = TEXT_INIT;
        uint32_t task = run_view_task(view, ends[i].stage, NULL);
        if (task != TASK_NONE)
            run_view_append_verdict(view, &view->tasks.items[task], &verdict);
        add_line(look->world, ends[i].what, text_bytes(&verdict), ends[i].verdict);
    }
    return true;
}

static bool look_at_world(struct look *look, struct error *error)
{
    struct tool_run run = {0};
    run_pipeline(look, "world.yaml", &run);
    cleanup(memory_free) char *path = memory_format("%s/work/data/world.txt", look->folder);
    bool done = file_exists(path) ? read_lines(path, look->world, error) : say_failure(look, &run, error);
    text_clear(&run.said);
    if (!done)
        return false;
    for (size_t i = 0; i < look->world->lines.count; i++) {
        struct world_line *line = &look->world->lines.items[i];
        line->usual = memory_copy_text(usual_value(look, line->what));
    }
    return read_ends(look, error);
}

/* A runtime that cannot take the network away refuses, which is its answer. */
static void look_without_network(struct look *look)
{
    struct tool_run run = {0};
    struct world alone = {0};
    run_pipeline(look, "alone.yaml", &run);
    cleanup(memory_free) char *path = memory_format("%s/work-alone/data/alone.txt", look->folder);
    const char *found = file_exists(path) && read_lines(path, &alone, NULL) ? find_line(&alone, "interfaces") : NULL;
    add_line(look->world, "interfaces without network", found != NULL ? found : "refused", "lo");
    world_clear(&alone);
    text_clear(&run.said);
}

static bool look_into(struct look *look, struct error *error)
{
    look->probe = program_file(PROBE, DESCPIPE_DATA_FROM_PROGRAM "/" PROBE);
    look->archive = program_file(PROBE ".tar", DESCPIPE_DATA_FROM_PROGRAM "/" PROBE ".tar");
    if (!file_exists(look->probe) || !file_exists(look->archive)) {
        error_set(error, ERROR_SYSTEM, "the probe of this installation is missing: '%s'", look->probe);
        return error_hint(error, "install descpipe again");
    }
    /* Without a container a stage finds it where it lies. */
    look->program = text_equal(look->request->runtime, "host") ? look->probe
                    : look->request->image != NULL             ? MOUNTED "/world"
                                                               : "/bin/world";
    if (!write_world(look, error) || !write_alone(look, error) || !write_file(look, "table.txt", "1 2 3\n", error) ||
        !write_file(look, "setting.yaml", "setting: 1\n", error) || !look_at_machine(look, error) ||
        !look_at_world(look, error))
        return false;
    look_without_network(look);
    return true;
}

bool world_look(struct loop *loop, const struct world_request *request, struct world *world, struct error *error)
{
    const char *base = secure_getenv("TMPDIR");
    struct look look = {.request = request, .loop = loop, .world = world};
    look.folder = memory_format("%s/descpipe-world.XXXXXX", base != NULL && *base == '/' ? base : "/tmp");
    bool made = mkdtemp(look.folder) != NULL;
    bool done = made ? look_into(&look, error) : error_system(error, "cannot make the folder '%s'", look.folder);
    if (made)
        folder_remove(look.folder, NULL);
    world_clear(&look.bare);
    memory_free(look.folder);
    memory_free(look.probe);
    memory_free(look.archive);
    return done;
}
