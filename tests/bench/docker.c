/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Containers, one or more at a time: descpipe's docker runtime beside the same calls made straight to the Engine and
 * beside `docker run`. bench-docker --socket=PATH --image=NAME [--tasks=10] [--rounds=11] [--together=1] [--client=1]
 * The image must be there; its /bin/true is run. --client=0 leaves `docker run` out.
 */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure.h"

struct engine {
    const char *socket, *image;
    char *folder;
    size_t tasks, together;
    unsigned round;
    CURL *curl, *waiting;
};

static size_t keep(char *bytes, size_t size, size_t count, void *context)
{
    text_append_bytes(context, bytes, size * count);
    return size * count;
}

static void prepare(struct engine *engine, CURL *curl, const char *method, const char *path, const char *body,
                    struct text *answer)
{
    static struct curl_slist *json;
    if (!json)
        json = curl_slist_append(NULL, "Content-Type: application/json");
    cleanup(memory_free) char *url = memory_format("http://engine%s", path);
    text_reset(answer);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, engine->socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (text_equal(method, "POST")) {
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, json);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "POST");
    }
}

static void call(struct engine *engine, const char *method, const char *path, const char *body, struct text *answer)
{
    prepare(engine, engine->curl, method, path, body, answer);
    long status = 0;
    if (curl_easy_perform(engine->curl) != CURLE_OK ||
        curl_easy_getinfo(engine->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status >= 400)
        _exit(1);
}

/* create, wait registered, start, the wait's answer, logs, inspect, delete: what the runtime does, with nothing around
 * it. */
static void one_container(struct engine *engine, CURLM *multi)
{
    cleanup(text_clear) struct text answer = TEXT_INIT, ended = TEXT_INIT;
    cleanup(memory_free) char *body = memory_format(
        "{\"Image\":\"%s\",\"Entrypoint\":[\"/bin/true\"],\"HostConfig\":{\"NetworkMode\":\"none\",\"Init\":true}}",
        engine->image);
    call(engine, "POST", "/containers/create", body, &answer);
    json_t *created = json_loads(text_bytes(&answer), 0, NULL);
    const char *id = json_string_value(json_object_get(created, "Id"));
    if (!id)
        _exit(1);
    cleanup(memory_free) char *wait = memory_format("/containers/%s/wait?condition=next-exit", id);
    cleanup(memory_free) char *start = memory_format("/containers/%s/start", id);
    cleanup(memory_free) char *logs = memory_format("/containers/%s/logs?stdout=1&stderr=1", id);
    cleanup(memory_free) char *inspect = memory_format("/containers/%s/json", id);
    cleanup(memory_free) char *removal = memory_format("/containers/%s?v=1", id);
    prepare(engine, engine->waiting, "POST", wait, "", &ended);
    curl_multi_add_handle(multi, engine->waiting);
    int running = 1;
    curl_multi_perform(multi, &running);
    call(engine, "POST", start, "", &answer);
    while (running) {
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
        curl_multi_perform(multi, &running);
    }
    curl_multi_remove_handle(multi, engine->waiting);
    call(engine, "GET", logs, "", &answer);
    call(engine, "GET", inspect, "", &answer);
    call(engine, "DELETE", removal, "", &answer);
    json_decref(created);
}

static void one_after_the_other(struct engine *engine, size_t tasks)
{
    engine->curl = curl_easy_init();
    engine->waiting = curl_easy_init();
    CURLM *multi = curl_multi_init();
    for (size_t i = 0; i < tasks; i++)
        one_container(engine, multi);
    curl_multi_cleanup(multi);
    curl_easy_cleanup(engine->curl);
    curl_easy_cleanup(engine->waiting);
}

/* Each process has its share. */
static void straight(void *context)
{
    struct engine *engine = context;
    for (size_t i = 0; i < engine->together; i++) {
        pid_t child = fork();
        if (child < 0)
            _exit(1);
        if (child == 0) {
            one_after_the_other(engine, engine->tasks / engine->together + (i < engine->tasks % engine->together));
            _exit(0);
        }
    }
    int status = 0;
    while (wait(&status) > 0)
        if (status != 0)
            _exit(1);
}

static void write_pipeline(const struct engine *engine, const char *path)
{
    cleanup(text_clear) struct text text = TEXT_INIT;
    text_append(&text, "pipeline:\n  name: bench\n  stages:\n");
    for (size_t i = 0; i < engine->tasks; i++)
        text_format(&text, "  - t%zu\n", i);
    text_format(&text, "runtime: {working: %s/work, output: %s/out}\n", engine->folder, engine->folder);
    text_format(&text,
                "backends: {default: {scheduler: {use: local, jobs: %zu}, "
                "runtime: {use: docker, network: none, host: \"unix://%s\"}}}\n",
                engine->together, engine->socket);
    for (size_t i = 0; i < engine->tasks; i++)
        text_format(&text, "t%zu:\n  image: %s\n  command: [/bin/true]\n", i, engine->image);
    cleanup(error_clear) struct error error = ERROR_INIT;
    if (!file_write(path, text_bytes(&text), text.length, 0644, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
}

static void fresh_work(void *context)
{
    struct engine *engine = context;
    cleanup(memory_free) char *used = memory_format("%s/work", engine->folder);
    cleanup(memory_free) char *aside = memory_format("%s/old-work-%u", engine->folder, engine->round++);
    rename(used, aside);
}

static const char *word(int count, char **arguments, const char *name, const char *fallback)
{
    for (int i = 1; i < count; i++) {
        if (text_starts_with(arguments[i], name) && arguments[i][strlen(name)] == '=')
            return arguments[i] + strlen(name) + 1;
    }
    return fallback;
}

int main(int count, char **arguments)
{
    struct engine engine = {.socket = word(count, arguments, "--socket", "/var/run/docker.sock"),
                            .image = word(count, arguments, "--image", "busybox"),
                            .tasks = measure_argument(count, arguments, "--tasks", 10),
                            .together = measure_argument(count, arguments, "--together", 1),
                            .folder = measure_folder()};
    size_t rounds = measure_argument(count, arguments, "--rounds", 11);
    bool with_client = measure_argument(count, arguments, "--client", 1) != 0;
    engine.together = engine.together == 0 ? 1 : engine.together;
    rounds = rounds == 0 ? 1 : rounds > ROUNDS_LIMIT ? ROUNDS_LIMIT : rounds;
    cleanup(memory_free) char *pipeline = memory_format("%s/pipeline.yaml", engine.folder);
    write_pipeline(&engine, pipeline);
    cleanup(memory_free) char *loop =
        memory_format("seq %zu | xargs -n 1 -P %zu docker -H unix://%s run --rm --init --network none "
                      "--entrypoint /bin/true %s",
                      engine.tasks, engine.together, engine.socket, engine.image);
    cleanup(memory_free) char *client = measure_find("docker");
    const char *const descpipe[] = {DESCPIPE, "--plugin-dir", DESCPIPE_PLUGINS, "run", "--no-cache", pipeline, NULL};
    const char *const docker[] = {"sh", "-c", loop, NULL};
    struct contestant contestants[] = {
        {.name = "the Engine's API, straight", .run = straight, .context = &engine},
        {.name = "descpipe, runtime docker", .argv = descpipe, .context = &engine, .before = fresh_work},
        {.name = "docker run --rm", .argv = docker, .absent = !client || !with_client},
    };
    measure_rounds(contestants, 3, rounds);
    cleanup(memory_free) char *title =
        memory_format("%zu containers of /bin/true, %zu at a time", engine.tasks, engine.together);
    measure_print(title, contestants, 3, rounds, engine.tasks);
    measure_folder_remove(engine.folder);
    return 0;
}
