/* SPDX-License-Identifier: BSD-3-Clause */
/* Running SLURM's commands; tool.h. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker.h"
#include "parts/answer.h"
#include "slurm.h"

enum { AT_A_TIME = 4, PATH_SIZE = 4096 };
#define OUTPUT_LIMIT (64u << 20)

struct tool {
    struct tools *tools;
    struct tool *previous, *next; /* waiting, or running */
    struct tool_request request;
    struct descpipe_process *process; /* NULL: waiting */
    struct tool_answer answer;
    bool stopped;
};

static void pump(struct tools *tools);

static void pump_again(void *context)
{
    struct tools *tools = context;
    tools->timer = NULL;
    pump(tools);
}

/* Never on the stack of whoever asked. */
static void pump_soon(struct tools *tools, int64_t delay_ms)
{
    if (tools->timer == NULL) {
        tools->timer = tools->host->timer->start(tools->host, (uint64_t)delay_ms, pump_again, tools);
    }
}

static void add_variable(struct arguments *environment, const char *name, const char *fallback)
{
    const char *value = secure_getenv(name);
    value = value != NULL ? value : fallback;
    if (value != NULL) {
        arguments_format(environment, "%s=%s", name, value);
    }
}

/* Whom we are, which SLURM it is, how it lets us in. None of the SBATCH_, SQUEUE_, SACCT_ and SLURM_JOB_ variables;
 * nothing that is about a place on this machine, for jobs begin with it (command.c). */
bool tools_open(struct tools *tools, const struct descpipe_host *host, struct broker *broker, const char *folder)
{
    static const char *const kept[] = {"HOME",       "USER",       "LOGNAME",           "SHELL",     "TZ",
                                       "KRB5CCNAME", "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SACK_SOCKET"};
    *tools = (struct tools){.host = host, .broker = broker, .folder = folder};
    add_variable(&tools->environment, "PATH", "/usr/local/bin:/usr/bin:/bin");
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
        add_variable(&tools->environment, kept[i], NULL);
    }
    arguments_add(&tools->environment, "LC_ALL=C.UTF-8");
    arguments_add(&tools->environment, "SLURM_TIME_FORMAT=%s");
    return !tools->environment.failed;
}

static void unlink_tool(struct tool *tool)
{
    struct tools *tools = tool->tools;
    bool running = tool->process != NULL;
    if (tool->previous != NULL) {
        tool->previous->next = tool->next;
    } else if (running) {
        tools->running = tool->next;
    } else {
        tools->first = tool->next;
    }
    if (tool->next != NULL) {
        tool->next->previous = tool->previous;
    } else if (!running) {
        tools->last = tool->previous;
    }
    tool->previous = tool->next = NULL;
}

static void free_tool(struct tool *tool)
{
    arguments_clear(&tool->request.arguments);
    buffer_clear(&tool->answer.output);
    buffer_clear(&tool->answer.error);
    free(tool);
}

static void learn(struct tools *tools, const struct tool_answer *answer)
{
    int64_t now = slurm_now_ms();
    if (answer_asks_for_patience(buffer_text(&answer->error))) {
        broker_slow_down(tools->broker, now);
    } else if (tool_went_well(answer)) {
        broker_went_well(tools->broker, now);
    }
}

static void tool_done(struct tool *tool)
{
    struct tools *tools = tool->tools;
    unlink_tool(tool);
    if (tool->process != NULL) {
        tools->running_count--;
        learn(tools, &tool->answer);
    }
    if (tools->first != NULL && !tools->closing) {
        pump_soon(tools, 0);
    }
    tool->request.done(tool->request.context, &tool->answer);
    free_tool(tool);
}

static void tool_line(void *context, uint32_t stream, const char *line, uint64_t length)
{
    struct tool *tool = context;
    struct buffer *buffer = stream == 1 ? &tool->answer.output : &tool->answer.error;
    buffer_add(buffer, line, (size_t)length);
    buffer_add(buffer, "\n", 1);
}

static void tool_ended(void *context, const struct descpipe_process_end *end)
{
    struct tool *tool = context;
    struct tool_answer *answer = &tool->answer;
    answer->took_ms = slurm_now_ms() - answer->began_ms;
    answer->exit_code = end->exit_code;
    answer->stopped = tool->stopped;
    answer->truncated = end->truncated != 0 || answer->output.failed || answer->error.failed;
    answer->never_ran = end->started == 0;
    answer->ran = end->started != 0 && end->timed_out == 0 && !tool->stopped && end->exit_code >= 0;
    if (end->message != NULL && answer->error.length == 0) {
        buffer_format(&answer->error, "%s: %s", tool->request.arguments.items[0], end->message);
    } else if (end->timed_out != 0) {
        buffer_format(&answer->error, "Socket timed out: %s gave no answer in %llu s", tool->request.arguments.items[0],
                      (unsigned long long)(tool->request.timeout_ms / 1000));
    }
    tool_done(tool);
}

static void run(struct tool *tool)
{
    struct tools *tools = tool->tools;
    char path[PATH_SIZE];
    struct arguments *arguments = &tool->request.arguments;
    unlink_tool(tool);
    if (tools->folder != NULL) {
        snprintf(path, sizeof(path), "%s/%s", tools->folder, arguments->items[0]);
        char *whole = strdup(path);
        if (whole != NULL) {
            free(arguments->items[0]);
            arguments->items[0] = whole;
        }
    }
    struct descpipe_process_request request = {.size = sizeof(request),
                                               .argv = arguments_list(arguments),
                                               .environment = arguments_list(&tools->environment),
                                               .timeout_ms = tool->request.timeout_ms,
                                               .output_limit = OUTPUT_LIMIT,
                                               .line = tool_line,
                                               .ended = tool_ended,
                                               .context = tool};
    tool->answer.began_ms = slurm_now_ms();
    tool->process = tools->host->process->start(tools->host, &request);
    tool->next = tools->running;
    if (tool->next != NULL) {
        tool->next->previous = tool;
    }
    tools->running = tool;
    tools->running_count++;
}

static struct tool *next_waiting(const struct tools *tools)
{
    struct tool *tool = tools->first;
    while (tool != NULL && tool->request.kind != TOOL_ACT) {
        tool = tool->next;
    }
    return tool != NULL ? tool : tools->first;
}

/* The first stopped one that still waits. */
static struct tool *find_stopped(const struct tools *tools)
{
    struct tool *tool = tools->first;
    while (tool != NULL && !tool->stopped) {
        tool = tool->next;
    }
    return tool;
}

static void end_unrun(struct tool *tool)
{
    tool->answer.never_ran = tool->answer.stopped = true;
    tool->answer.exit_code = -1;
    buffer_add_text(&tool->answer.error, "stopped before it began");
    tool_done(tool);
}

static void pump(struct tools *tools)
{
    struct tool *tool;
    while ((tool = find_stopped(tools)) != NULL) {
        end_unrun(tool);
    }
    while (tools->running_count < AT_A_TIME && (tool = next_waiting(tools)) != NULL) {
        int64_t wait = broker_take(tools->broker, tool->request.cost, slurm_now_ms());
        if (wait > 0) {
            pump_soon(tools, wait);
            return;
        }
        run(tool);
    }
}

void tools_close(struct tools *tools)
{
    /* Commands that run have ended by now. */
    tools->closing = true;
    while (tools->first != NULL) {
        end_unrun(tools->first);
    }
    arguments_clear(&tools->environment);
}

struct tool *tool_start(struct tools *tools, struct tool_request *request)
{
    struct tool *tool = calloc(1, sizeof(*tool));
    if (tool == NULL || tools->closing || request->arguments.failed || request->arguments.count == 0) {
        arguments_clear(&request->arguments);
        free(tool);
        return NULL;
    }
    *tool = (struct tool){.tools = tools, .request = *request, .previous = tools->last};
    request->arguments = (struct arguments){0};
    if (tools->last != NULL) {
        tools->last->next = tool;
    } else {
        tools->first = tool;
    }
    tools->last = tool;
    pump_soon(tools, 0);
    return tool;
}

void tool_stop(struct tool *tool)
{
    if (tool == NULL || tool->stopped) {
        return;
    }
    tool->stopped = true;
    struct tools *tools = tool->tools;
    if (tool->process != NULL) {
        tools->host->process->stop(tool->process);
        return;
    }
    /* A timer may be waiting for the bucket: this one need not. */
    tools->host->timer->stop(tools->timer);
    tools->timer = NULL;
    pump_soon(tools, 0);
}

bool tool_went_well(const struct tool_answer *answer)
{
    return answer->ran && answer->exit_code == 0 && !answer->truncated &&
           strcasestr(buffer_text(&answer->error), "error") == NULL;
}
