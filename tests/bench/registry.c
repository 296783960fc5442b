/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images from a registry into the native store, beside skopeo with umoci, beside Docker, and beside the bare minimum:
 * the same bytes downloaded, hashed and inflated, two at a time. registry.sh makes the registry and the image and
 * starts this.
 *
 *     bench-registry [--rounds=N] HOST:PORT FOLDER DRIVE DESCPIPE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "measure.h"

static const char *folder;

static void forget_native(void *context)
{
    (void)context;
    cleanup(memory_free) char *command =
        memory_format("chmod -R u+rwX '%s/store' 2>/dev/null; rm -rf '%s/store'", folder, folder);
    if (system(command) != 0)
        exit(2);
}

static void forget_files(void *context)
{
    (void)context;
    cleanup(memory_free) char *command = memory_format(
        "chmod -R u+rwX '%s/copies' 2>/dev/null; rm -rf '%s/copies' && mkdir '%s/copies'", folder, folder, folder);
    if (system(command) != 0)
        exit(2);
}

static void forget_docker(void *context)
{
    cleanup(memory_free) char *command =
        memory_format("docker rmi -f %s >/dev/null 2>&1 || true", (const char *)context);
    if (system(command) != 0)
        exit(2);
}

static bool has(const char *program)
{
    cleanup(memory_free) char *path = measure_find(program);
    return path != NULL;
}

#define SHELL(text) ((const char *const[]){"/bin/sh", "-c", (text), NULL})

static void pull(const char *host, const char *drive, size_t rounds)
{
    bool docker = has("docker") && secure_getenv("DOCKER_HOST") != NULL;
    cleanup(memory_free) char *image = memory_format("%s/bench/large:1", host);
    cleanup(memory_free) char *store = memory_format("%s/store", folder);
    cleanup(memory_free) char *floor = memory_format(
        "cd '%s/copies' && xargs -P2 -n1 sh -c 'curl -sSf -o $1 http://%s/v2/bench/large/blobs/sha256:$1 && "
        "openssl dgst -sha256 $1 && gzip -dc $1 >/dev/null' x <'%s/layers'",
        folder, host, folder);
    cleanup(memory_free) char *skopeo =
        memory_format("cd '%s/copies' && skopeo copy -q --src-tls-verify=false docker://%s oci:layout:1 && "
                      "umoci unpack --rootless --image layout:1 bundle",
                      folder, image);
    const char *const native[] = {drive, store, "prepare", image, NULL};
    const char *const engine[] = {"docker", "pull", "-q", image, NULL};
    struct contestant contestants[] = {
        {.name = "floor: curl, sha256, gunzip, -P2", .argv = SHELL(floor), .before = forget_files},
        {.name = "native prepare", .argv = native, .before = forget_native},
        {.name = "skopeo copy, umoci unpack", .argv = SHELL(skopeo), .before = forget_files, .absent = !has("umoci")},
        {.name = "docker pull", .argv = engine, .before = forget_docker, .context = image, .absent = !docker},
    };
    measure_rounds(contestants, 4, rounds);
    measure_print("one large image, nothing of it here yet", contestants, 4, rounds, 0);
}

static void resolve(const char *host, const char *descpipe, size_t rounds)
{
    cleanup(memory_free) char *pipeline = memory_format("%s/tags.yaml", folder);
    cleanup(memory_free) char *floor = memory_format(
        "curl -sSf -K '%s/manifests' -o /dev/null && curl -sSf -K '%s/configs' -o /dev/null", folder, folder);
    cleanup(memory_free) char *skopeo = memory_format(
        "seq 1 100 | xargs -P2 -I@ skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://%s/bench/tags:@",
        host);
    const char *const images[] = {descpipe, "images", pipeline, NULL};
    struct contestant contestants[] = {
        {.name = "floor: curl, one connection", .argv = SHELL(floor)},
        {.name = "descpipe images", .argv = images},
        {.name = "skopeo inspect, -P2", .argv = SHELL(skopeo)},
    };
    measure_rounds(contestants, 3, rounds);
    measure_print("what 100 tags mean (manifest and config each)", contestants, 3, rounds, 100);
}

static void push(const char *host, const char *drive, size_t rounds)
{
    bool docker = has("docker") && secure_getenv("DOCKER_HOST") != NULL;
    cleanup(memory_free) char *store = memory_format("%s/store", folder);
    cleanup(memory_free) char *image = memory_format("%s/bench/large:1", host);
    cleanup(memory_free) char *source = memory_format("oci:%s/layout", folder);
    cleanup(memory_free) char *skopeo =
        memory_format("skopeo copy -q --dest-tls-verify=false oci:%s/layout:1 docker://%s", folder, image);
    cleanup(memory_free) char *floor =
        memory_format("curl -sSf -I -H 'Accept: application/vnd.oci.image.manifest.v1+json' "
                      "http://%s/v2/bench/large/manifests/1",
                      host);
    const char *const native[] = {drive, store, "push", source, image, NULL};
    const char *const engine[] = {"docker", "push", "-q", image, NULL};
    struct contestant contestants[] = {
        {.name = "floor: one curl", .argv = SHELL(floor)},
        {.name = "native push", .argv = native},
        {.name = "skopeo copy", .argv = SHELL(skopeo)},
        {.name = "docker push", .argv = engine, .absent = !docker},
    };
    measure_rounds(contestants, 4, rounds);
    measure_print("an image that the registry has already", contestants, 4, rounds, 0);
}

int main(int count, char **arguments)
{
    size_t rounds = (size_t)measure_argument(count, arguments, "--rounds", 3);
    if (count < 5) {
        fprintf(stderr, "usage: bench-registry [--rounds=N] HOST:PORT FOLDER DRIVE DESCPIPE\n");
        return 2;
    }
    const char *host = arguments[count - 4], *drive = arguments[count - 2], *descpipe = arguments[count - 1];
    folder = arguments[count - 3];
    pull(host, drive, rounds);
    push(host, drive, rounds);
    resolve(host, descpipe, rounds);
    return 0;
}
