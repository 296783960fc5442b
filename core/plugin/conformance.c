/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the child and makes a page of its lines, fit to be pasted into an issue. */
#include "plugin/conformance.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/path.h"
#include "io/process.h"

#define CHILD_TIMEOUT_MS 300000
#define CHECKS_LIMIT 10000

struct check {
    char *name;
    char *verdict; /* "ok", "bad", "note", "skipped"; NULL: begun only */
    char *message; /* or NULL */
};

struct page {
    LIST(struct check) checks;
    struct words facts; /* name, value, name, value */
    bool ended;
    struct tool_end end;
    char *end_message;
    struct text errors; /* what the child wrote to standard error */
};

static void page_clear(struct page *page)
{
    for (size_t i = 0; i < page->checks.count; i++) {
        memory_free(page->checks.items[i].name);
        memory_free(page->checks.items[i].verdict);
        memory_free(page->checks.items[i].message);
    }
    list_clear(&page->checks);
    words_clear(&page->facts);
    memory_free(page->end_message);
    text_clear(&page->errors);
}

static inline void page_clear_at(struct page *page)
{
    page_clear(page);
}

/* "VERB<TAB>NAME[<TAB>MESSAGE]" */
static void child_line(void *context, int stream, const char *bytes, size_t length)
{
    struct page *page = context;
    if (stream != 1) {
        if (page->errors.length < 16384)
            text_format(&page->errors, "%.*s\n", (int)length, bytes);
        return;
    }
    cleanup(memory_free) char *line = memory_copy_bytes(bytes, length);
    char *name = strchr(line, '\t');
    if (!name || page->checks.count >= CHECKS_LIMIT)
        return;
    *name++ = '\0';
    char *message = strchr(name, '\t');
    if (message)
        *message++ = '\0';
    if (strcmp(line, "fact") == 0) {
        words_add(&page->facts, name);
        words_add(&page->facts, message ? message : "");
        return;
    }
    struct check *last = page->checks.count ? &page->checks.items[page->checks.count - 1] : NULL;
    if (!last || last->verdict || strcmp(last->name, name) != 0) {
        last = list_grow(&page->checks);
        last->name = memory_copy_text(name);
    }
    if (strcmp(line, "begin") != 0) {
        last->verdict = memory_copy_text(line);
        last->message = memory_copy_text(message);
    }
}

static void child_ended(void *context, const struct tool_end *end)
{
    struct page *page = context;
    page->end = *end;
    page->end_message = memory_copy_text(end->message);
    page->ended = true;
}

static bool still_running(void *context)
{
    return !((const struct page *)context)->ended;
}

/* A check that was begun and never ended is where the child died. */
static void note_death(struct page *page)
{
    struct check *last = page->checks.count ? &page->checks.items[page->checks.count - 1] : NULL;
    bool died = page->end.exit_code != 0 || page->end.timed_out;
    if (!died && last && last->verdict)
        return;
    if (!last || last->verdict) {
        last = list_grow(&page->checks);
        last->name = memory_copy_text("ends");
    }
    last->verdict = memory_copy_text("bad");
    last->message = page->end.timed_out    ? memory_format("it did not end within %d s", CHILD_TIMEOUT_MS / 1000)
                    : page->end.signal > 0 ? memory_format("the process was ended by signal %d (%s)", page->end.signal,
                                                           strsignal(page->end.signal))
                                           : memory_format("the process ended with status %d", page->end.exit_code);
}

static size_t count_verdict(const struct page *page, const char *verdict)
{
    size_t count = 0;
    for (size_t i = 0; i < page->checks.count; i++)
        count += page->checks.items[i].verdict && strcmp(page->checks.items[i].verdict, verdict) == 0;
    return count;
}

static void print_page(const struct page *page, struct text *out)
{
    struct utsname machine;
    text_append(out, "descpipe plugin conformance\n\n");
    for (size_t i = 0; i + 1 < page->facts.count; i += 2)
        text_format(out, "%-11s%s\n", page->facts.items[i], page->facts.items[i + 1]);
    text_format(out, "%-11s%s, plugin interface %d.%d\n", "descpipe", DESCPIPE_VERSION, DESCPIPE_ABI_MAJOR,
                DESCPIPE_ABI_MINOR);
    if (uname(&machine) == 0)
        text_format(out, "%-11s%s %s %s\n", "machine", machine.sysname, machine.release, machine.machine);
    text_append(out, "\n");
    for (size_t i = 0; i < page->checks.count; i++) {
        const struct check *check = &page->checks.items[i];
        text_format(out, "%-8s %s", check->verdict, check->name);
        if (check->message) {
            text_append(out, ": ");
            text_append_printable(out, check->message, 2000);
        }
        text_append(out, "\n");
    }
    if (page->errors.length > 0)
        text_format(out, "\nstandard error:\n%s", text_bytes(&page->errors));
    text_format(out, "\n%zu ok, %zu bad, %zu skipped, %zu notes\n", count_verdict(page, "ok"),
                count_verdict(page, "bad"), count_verdict(page, "skipped"), count_verdict(page, "note"));
}

static void print_page_json(const struct page *page, struct text *out)
{
    text_append(out, "{");
    for (size_t i = 0; i + 1 < page->facts.count; i += 2) {
        text_append_json(out, page->facts.items[i]);
        text_append(out, ": ");
        text_append_json(out, page->facts.items[i + 1]);
        text_append(out, ", ");
    }
    text_append(out, "\"checks\": [");
    for (size_t i = 0; i < page->checks.count; i++) {
        const struct check *check = &page->checks.items[i];
        text_append(out, i ? ", {\"name\": " : "{\"name\": ");
        text_append_json(out, check->name);
        text_append(out, ", \"verdict\": ");
        text_append_json(out, check->verdict);
        if (check->message) {
            text_append(out, ", \"message\": ");
            text_append_json(out, check->message);
        }
        text_append(out, "}");
    }
    text_format(out, "], \"conforms\": %s}\n", count_verdict(page, "bad") == 0 ? "true" : "false");
}

bool conformance_check(const struct conformance_request *request, struct text *report, bool *ran, struct error *error)
{
    cleanup(page_clear) struct page page = {0};
    const char *const argv[] = {request->program ? request->program : "/proc/self/exe", CONFORMANCE_ARGUMENT,
                                request->path, NULL};
    const char *folders = secure_getenv("PATH");
    cleanup(memory_free) char *path = memory_format("PATH=%s", folders ? folders : "/usr/bin:/bin");
    /* No home: a login that is tried must not land in the real one. */
    const char *const environment[] = {path, "HOME=/dev/null/home", "LANG=C.UTF-8", NULL};
    *ran = false;
    tool_start(request->loop, &(struct tool_request){.argv = argv,
                                                     .environment = environment,
                                                     .timeout_ms = CHILD_TIMEOUT_MS,
                                                     .line = child_line,
                                                     .ended = child_ended,
                                                     .context = &page});
    loop_run(request->loop, still_running, &page);
    if (!page.end.started)
        return error_set(error, ERROR_SYSTEM, "cannot start the process that checks the plugin: %s",
                         page.end_message ? page.end_message : "no reason");
    note_death(&page);
    *ran = true;
    if (request->json)
        print_page_json(&page, report);
    else
        print_page(&page, report);
    return count_verdict(&page, "bad") == 0;
}
