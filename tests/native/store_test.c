/* SPDX-License-Identifier: BSD-3-Clause */
/* Runtime `native` on layouts and archives: identified, unpacked into the store, run; as root and as an ordinary user.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugins/runtime/native/store/store.h"

#include "fixture.h"
#include "images.h"
#include "layers.h"

static const struct layer_entry base_layer[] = {
    {'d', "bin", NULL, 0, 0},           {'f', "bin/busybox", "@/bin/busybox", 0755, 0},
    {'l', "bin/sh", "busybox", 0, 0},   {'f', "etc/one", "base\n", 0, 0},
    {'f', "gone/file", "gone\n", 0, 0}, {'f', "hidden/below", "below\n", 0, 0},
    {'d', "swap", NULL, 0, 0},          {'f', "swap/file", "swap\n", 0, 0},
    {'l', "link", "etc", 0, 0},         {0}};
static const struct layer_entry upper_layer[] = {{'f', "etc/one", "upper\n", 0, 0},
                                                 {'f', "gone/.wh.file", "", 0, 0},
                                                 {'f', "hidden/.wh..wh..opq", "", 0, 0},
                                                 {'f', "hidden/above", "above\n", 0, 0},
                                                 {'l', "swap", "../../../../etc", 0, 0},
                                                 {'f', "link/two", "a folder now\n", 0, 0},
                                                 {0}};
static const struct layer_entry last_layer[] = {
    {'f', "swap/.wh.one", "", 0, 0}, {'f', "etc/three", "three\n", 0, 0}, {0}};

static void make_image(struct test_image *image, const char *architecture, const char *name)
{
    *image = (struct test_image){0};
    test_image_add(image, base_layer, PACK_GZIP);
    test_image_add(image, upper_layer, PACK_ZSTD);
    test_image_add(image, last_layer, PACK_PLAIN);
    test_image_finish(image, architecture, name);
}

static struct descpipe_image image_of(uint32_t source, const char *path, const char *tag)
{
    return (struct descpipe_image){.size = sizeof(struct descpipe_image),
                                   .source = source,
                                   .reference = "image:x",
                                   .path = path,
                                   .tag = tag,
                                   .platform = "linux/amd64"};
}

static void identify(struct descpipe_call *call, const struct descpipe_image *image)
{
    *call = (struct descpipe_call){0};
    fake.runtime->identify(fake.self, call, image);
    fake_host_pump(&fake);
    ck_assert_int_eq(call->finished, 1);
}

static void prepare(struct descpipe_call *call, const struct descpipe_image *image)
{
    struct descpipe_prepare request = {.size = sizeof request, .image = image};
    *call = (struct descpipe_call){0};
    fake.runtime->prepare(fake.self, call, &request);
    fake_host_pump(&fake);
    ck_assert_int_eq(call->finished, 1);
}

static const struct fake_run *run_script(const char *handle, const char *script)
{
    static struct fake_run run;
    static const char *const environment[] = {"PATH=/bin", NULL};
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    struct descpipe_mount mount = {
        .size = sizeof mount, .flags = DESCPIPE_MOUNT_READ_ONLY, .source = "/usr", .target = "/opt/input"};
    const struct descpipe_mount *const mounts[] = {&mount, NULL};
    struct descpipe_stage stage = {.size = sizeof stage,
                                   .uid = geteuid(),
                                   .gid = getegid(),
                                   .name = "one",
                                   .token = "r-1",
                                   .image_handle = handle,
                                   .command = command,
                                   .environment = environment,
                                   .mounts = mounts,
                                   .directory = "/"};
    struct descpipe_call call = {0};
    fake.runtime->launch(fake.self, &call, &stage);
    ck_assert_msg(call.succeeded, "%s", call.message);
    /* The usual mount points are there already: nothing has to be rebuilt. */
    for (size_t i = 0; call.argv[i] != NULL; i++)
        ck_assert_str_ne(call.argv[i], "--remount-ro");
    fake_run(&run, call.argv, call.environment, call.directory);
    fake_call_clear(&call);
    return &run;
}

/* Identify, prepare, run, and that the layers lie over each other as they should. */
static void check_image(const struct descpipe_image *image, const struct test_image *made, bool has_manifest)
{
    struct descpipe_call call;
    identify(&call, image);
    ck_assert_msg(call.succeeded, "%s", call.message);
    ck_assert_str_eq(call.identity.config_digest, made->config.digest);
    ck_assert_str_eq(call.identity.platform, "linux/amd64");
    ck_assert_uint_eq(call.identity.present, 0);
    ck_assert_ptr_null(call.identity.handle);
    ck_assert_int_eq(call.identity.created_at_ms, 1714979289500);
    if (has_manifest)
        ck_assert_str_eq(call.identity.manifest_digest, made->manifest.digest);
    else
        ck_assert_ptr_null(call.identity.manifest_digest);
    fake_call_clear(&call);
    prepare(&call, image);
    ck_assert_msg(call.succeeded, "%s", call.message);
    ck_assert_uint_eq(call.identity.present, 1);
    char *before = folder_describe(call.identity.handle);
    const struct fake_run *run =
        run_script(call.identity.handle, "busybox cat /etc/one /etc/three /link/two; busybox ls /gone /hidden; "
                                         "busybox readlink /swap; busybox cat /swap/one");
    ck_assert_str_eq(run->output, "upper\nthree\na folder now\n/gone:\n\n/hidden:\nabove\n../../../../etc\nupper\n");
    char *after = folder_describe(call.identity.handle);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    fake_call_clear(&call);
    identify(&call, image);
    ck_assert_uint_eq(call.identity.present, 1);
    fake_call_clear(&call);
}

START_TEST(runs_image_of_every_form)
{
    static const char *const names[] = {"layout", "plain.tar", "packed.tar.gz", "docker.tar", "docker.tar.zst"};
    begin_as(_i % 2);
    struct test_image image;
    make_image(&image, "amd64", NULL);
    char *folder = in_work("layout"), *docker = in_work("docker"), *path = in_work(names[_i / 2]);
    const struct test_image *const images[] = {&image, NULL};
    layout_write(folder, images);
    docker_folder_write(docker, &image, "some/name:1.0");
    uint32_t sources[] = {DESCPIPE_SOURCE_OCI_LAYOUT, DESCPIPE_SOURCE_OCI_ARCHIVE, DESCPIPE_SOURCE_OCI_ARCHIVE,
                          DESCPIPE_SOURCE_DOCKER_ARCHIVE, DESCPIPE_SOURCE_DOCKER_ARCHIVE};
    enum layer_packing packings[] = {PACK_PLAIN, PACK_PLAIN, PACK_GZIP, PACK_PLAIN, PACK_ZSTD};
    bool is_docker = sources[_i / 2] == DESCPIPE_SOURCE_DOCKER_ARCHIVE;
    if (_i / 2 > 0)
        archive_write(path, is_docker ? docker : folder, packings[_i / 2]);
    struct descpipe_image asked = image_of(sources[_i / 2], path, is_docker ? "1.0" : NULL);
    check_image(&asked, &image, !is_docker);
    test_image_clear(&image);
    free(folder);
    free(docker);
    free(path);
    finish();
}
END_TEST

START_TEST(images_share_the_files_of_their_layers)
{
    static const struct layer_entry other[] = {{'f', "other", "x", 0, 0}, {0}};
    begin_as(0);
    struct test_image one = {0}, two = {0};
    test_image_add(&one, base_layer, PACK_GZIP);
    test_image_finish(&one, "amd64", "one");
    test_image_add(&two, base_layer, PACK_PLAIN); /* the same content, packed otherwise */
    test_image_add(&two, other, PACK_GZIP);
    test_image_finish(&two, "amd64", "two");
    char *folder = in_work("layout");
    const struct test_image *const images[] = {&one, &two, NULL};
    layout_write(folder, images);
    struct stat files[2];
    static const char *const tags[] = {"one", "two"};
    for (size_t i = 0; i < 2; i++) {
        struct descpipe_image image = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, folder, tags[i]);
        struct descpipe_call call;
        char path[4096];
        prepare(&call, &image);
        ck_assert_msg(call.succeeded, "%s", call.message);
        snprintf(path, sizeof path, "%s/bin/busybox", call.identity.handle);
        ck_assert_int_eq(stat(path, &files[i]), 0);
        fake_call_clear(&call);
    }
    ck_assert_uint_eq(files[0].st_ino, files[1].st_ino);
    test_image_clear(&one);
    test_image_clear(&two);
    free(folder);
    finish();
}
END_TEST

START_TEST(docker_archive_with_equal_layers_as_links)
{
    begin_as(0);
    struct test_image image = {0};
    test_image_add(&image, base_layer, PACK_PLAIN);
    test_image_add(&image, last_layer, PACK_PLAIN);
    test_image_add(&image, last_layer, PACK_PLAIN);
    test_image_finish(&image, "amd64", NULL);
    char *docker = in_work("docker"), *path = in_work("docker.tar");
    docker_folder_write(docker, &image, "name:1");
    archive_write(path, docker, PACK_PLAIN);
    struct descpipe_image asked = image_of(DESCPIPE_SOURCE_DOCKER_ARCHIVE, path, NULL);
    struct descpipe_call call;
    prepare(&call, &asked);
    ck_assert_msg(call.succeeded, "%s", call.message);
    ck_assert_str_eq(run_script(call.identity.handle, "busybox cat /etc/three")->output, "three\n");
    fake_call_clear(&call);
    test_image_clear(&image);
    free(docker);
    free(path);
    finish();
}
END_TEST

START_TEST(an_archive_that_names_a_file_twice_is_read)
{
    begin_as(0);
    struct test_image image;
    make_image(&image, "amd64", NULL);
    char *docker = in_work("docker"), *path = in_work("docker.tar"), command[8192];
    docker_folder_write(docker, &image, "name:1");
    /* GNU tar writes the second of the two as a hard link to itself. */
    snprintf(command, sizeof command, "cd '%s' && tar -cf '%s' * manifest.json", docker, path);
    char *const argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, command, NULL};
    char *const environment[] = {(char[]){"PATH=/bin:/usr/bin"}, NULL};
    static struct fake_run run;
    fake_run(&run, argv, environment, "/");
    ck_assert_int_eq(run.exit_code, 0);
    struct descpipe_image asked = image_of(DESCPIPE_SOURCE_DOCKER_ARCHIVE, path, NULL);
    struct descpipe_call call;
    identify(&call, &asked);
    ck_assert_msg(call.succeeded, "%s", call.message);
    fake_call_clear(&call);
    test_image_clear(&image);
    free(docker);
    free(path);
    finish();
}
END_TEST

static void assert_refused(const struct descpipe_image *image, uint32_t failure, const char *message, const char *hint)
{
    struct descpipe_call call;
    prepare(&call, image);
    ck_assert(!call.succeeded);
    ck_assert_str_eq(call.message, message);
    ck_assert_uint_eq(call.failure, failure);
    if (hint != NULL)
        ck_assert_str_eq(call.hint, hint);
    else
        ck_assert_ptr_null(call.hint);
    fake_call_clear(&call);
}

START_TEST(chooses_by_name_and_platform)
{
    static const struct layer_entry other[] = {{'f', "other", "x", 0, 0}, {0}};
    begin_as(0);
    struct test_image one = {0}, two = {0}, arm = {0};
    test_image_add(&one, base_layer, PACK_GZIP);
    test_image_finish(&one, "amd64", "1.0");
    test_image_add(&two, other, PACK_GZIP);
    test_image_finish(&two, "amd64", "2.0");
    test_image_add(&arm, other, PACK_GZIP);
    test_image_finish(&arm, "arm64", "1.0");
    char *folder = in_work("layout"), *arm_folder = in_work("arm");
    const struct test_image *const images[] = {&one, &two, &arm, NULL}, *const arm_images[] = {&arm, NULL};
    layout_write(folder, images);
    layout_write(arm_folder, arm_images);
    struct descpipe_image image = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, folder, "2.0");
    struct descpipe_call call;
    identify(&call, &image);
    ck_assert_str_eq(call.identity.config_digest, two.config.digest);
    fake_call_clear(&call);
    image.tag = "1.0";
    image.platform = "linux/arm64";
    identify(&call, &image);
    ck_assert_str_eq(call.identity.config_digest, arm.config.digest);
    fake_call_clear(&call);
    image = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, folder, NULL);
    assert_refused(&image, DESCPIPE_FAILED_REFUSED, "'image:x' holds several images for linux/amd64: '1.0', '2.0'",
                   "name one of them after a colon");
    image.tag = "3.0";
    assert_refused(&image, DESCPIPE_FAILED_NOT_FOUND,
                   "'image:x' has no image named '3.0': it holds '1.0', '2.0', '1.0'", NULL);
    image = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, arm_folder, NULL);
    assert_refused(&image, DESCPIPE_FAILED_NOT_FOUND, "'image:x' has no image for linux/amd64", NULL);
    image = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, folder, "1.0");
    image.config_digest = two.config.digest;
    char message[512];
    snprintf(message, sizeof message, "'image:x' is not the pinned image: it is %s, and %s is pinned",
             one.config.digest, two.config.digest);
    assert_refused(&image, DESCPIPE_FAILED_REFUSED, message, "put the pinned image back, or pin again");
    test_image_clear(&one);
    test_image_clear(&two);
    test_image_clear(&arm);
    free(folder);
    free(arm_folder);
    finish();
}
END_TEST

START_TEST(says_what_a_wrong_archive_looks_like)
{
    begin_as(0);
    struct test_image image;
    make_image(&image, "amd64", NULL);
    const struct test_image *const images[] = {&image, NULL};
    char *layout = in_work("layout"), *docker = in_work("docker"), *root = root_make(work, "root");
    char *path = in_work("archive"), message[8192];
    layout_write(layout, images);
    docker_folder_write(docker, &image, "a:1");
    archive_write(path, layout, PACK_PLAIN);
    struct descpipe_image asked = image_of(DESCPIPE_SOURCE_DOCKER_ARCHIVE, path, NULL);
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, "'image:x' is no archive of `docker save`: it has no manifest.json",
                   "it looks like an OCI archive: name it oci-archive:FILE");
    archive_write(path, docker, PACK_PLAIN);
    asked.source = DESCPIPE_SOURCE_OCI_ARCHIVE;
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, "'image:x' is no OCI image: it has no index.json",
                   "it looks like an archive of `docker save`: name it docker-archive:FILE");
    archive_write(path, root, PACK_PLAIN);
    asked.source = DESCPIPE_SOURCE_DOCKER_ARCHIVE;
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, "'image:x' is no archive of `docker save`: it has no manifest.json",
                   "an archive of `docker export` is no image: unpack it and name it rootfs:FOLDER");
    asked = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, root, NULL);
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, "'image:x' is no OCI image: it has no index.json",
                   "a folder with the files of a root is named rootfs:FOLDER");
    file_write(work, "archive", "no archive");
    asked = image_of(DESCPIPE_SOURCE_OCI_ARCHIVE, path, NULL);
    snprintf(message, sizeof message, "'%s' is not a readable archive: Unrecognized archive format", path);
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, message, NULL);
    asked.path = "/not-on-this-machine";
    assert_refused(&asked, DESCPIPE_FAILED_NOT_FOUND, "cannot read '/not-on-this-machine': No such file or directory",
                   NULL);
    asked.path = NULL;
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, "the image is named without a path", NULL);
    asked.path = "/dev/null";
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, "'/dev/null' is neither a file nor a folder", NULL);
    test_image_clear(&image);
    free(layout);
    free(docker);
    free(root);
    free(path);
    finish();
}
END_TEST

/* The names in one folder of the store, "" when it is empty. */
static void list_store(const char *name, char *names, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", store_folder, name);
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    names[0] = '\0';
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            strncat(names, entry->d_name, size - strlen(names) - 1);
    closedir(folder);
}

START_TEST(a_damaged_blob_leaves_nothing)
{
    begin_as(_i % 2);
    struct test_image image;
    make_image(&image, "amd64", NULL);
    const struct test_image *const images[] = {&image, NULL};
    char *layout = in_work("layout"), name[2048], message[8192], names[4096];
    layout_write(layout, images);
    snprintf(name, sizeof name, "blobs/sha256/%s", image.layers[2].digest + 7);
    struct layer_entry evil[] = {{'f', "evil", "evil\n", 0, 0}, {0}};
    struct blob other = layer_make(evil, PACK_PLAIN, NULL);
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", layout, name);
    FILE *file = fopen(path, "we");
    ck_assert_uint_eq(fwrite(other.bytes, 1, other.length, file), other.length);
    fclose(file);
    struct descpipe_image asked = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, layout, NULL);
    snprintf(message, sizeof message, "layer '%s' of '%s': the layer's digest is %s, and should be %s", name, layout,
             other.digest, image.layers[2].digest);
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, message, NULL);
    list_store("images/sha256", names, sizeof names);
    ck_assert_str_eq(names, "");
    list_store("temporary", names, sizeof names);
    ck_assert_str_eq(names, "");
    snprintf(name, sizeof name, "blobs/sha256/%s", image.config.digest + 7);
    file_write(layout, name, "{}");
    struct blob empty = blob_of("{}");
    snprintf(message, sizeof message, "'%s' in '%s' is damaged: its digest is %s", name, layout, empty.digest);
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, message, NULL);
    blob_clear(&other);
    blob_clear(&empty);
    test_image_clear(&image);
    free(layout);
    finish();
}
END_TEST

START_TEST(what_a_crash_left_is_removed)
{
    begin_as(_i % 2);
    struct test_image image;
    make_image(&image, "amd64", NULL);
    const struct test_image *const images[] = {&image, NULL};
    char *layout = in_work("layout"), name[2048], names[4096];
    layout_write(layout, images);
    /* A folder closed to its owner, as between mkdir and chmod, deep in what was being unpacked. */
    snprintf(name, sizeof name, "temporary/layer-%s.abcdef/tree/deep/file", image.diff_ids[0] + 7);
    file_write(store_folder, name, "half");
    snprintf(name, sizeof name, "%s/temporary/layer-%s.abcdef/tree/deep", store_folder, image.diff_ids[0] + 7);
    ck_assert_int_eq(chmod(name, 0), 0);
    snprintf(name, sizeof name, "temporary/image-%s.ghijkl/root/file", image.config.digest + 7);
    file_write(store_folder, name, "half");
    struct descpipe_image asked = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, layout, NULL);
    struct descpipe_call call;
    prepare(&call, &asked);
    ck_assert_msg(call.succeeded, "%s", call.message);
    ck_assert(!file_exists(call.identity.handle, "file"));
    fake_call_clear(&call);
    list_store("temporary", names, sizeof names);
    ck_assert_str_eq(names, "");
    test_image_clear(&image);
    free(layout);
    finish();
}
END_TEST

/* One unpacking beside others; what it got is looked at when all have ended. */
struct racer {
    pthread_t thread;
    const char *path;
    const struct descpipe_image *image;
    char *root;
    struct failure failure;
};

static void *race(void *context)
{
    struct racer *racer = context;
    const struct budget budget = {.entries = 1000, .bytes = 1 << 26};
    struct description description;
    struct store *store = store_open(store_folder, &racer->failure);
    struct source *source = source_open(racer->path, store_temporary(store), &budget, &racer->failure);
    if (source != NULL && description_read(&description, source, racer->image, &racer->failure)) {
        bool busy;
        do {
            racer->root = store_make_image(store, source, &description, &budget, &busy, &racer->failure);
            sched_yield();
        } while (racer->root == NULL && busy);
        description_clear(&description);
    }
    source_close(source);
    store_close(store);
    return NULL;
}

START_TEST(many_at_once_make_one_image)
{
    begin_as(0);
    struct test_image image;
    make_image(&image, "amd64", NULL);
    const struct test_image *const images[] = {&image, NULL};
    char *layout = in_work("layout"), names[4096];
    layout_write(layout, images);
    struct descpipe_image asked = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, layout, NULL);
    struct racer racers[8] = {0};
    for (size_t i = 0; i < 8; i++) {
        racers[i] = (struct racer){.path = layout, .image = &asked};
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_join(racers[i].thread, NULL), 0);
        ck_assert_msg(racers[i].root != NULL, "%s", failure_message(&racers[i].failure));
        ck_assert_str_eq(racers[i].root, racers[0].root);
    }
    for (size_t i = 0; i < 8; i++)
        free(racers[i].root);
    list_store("temporary", names, sizeof names);
    ck_assert_str_eq(names, "");
    list_store("images/sha256", names, sizeof names);
    ck_assert_str_eq(names, image.config.digest + 7);
    test_image_clear(&image);
    free(layout);
    finish();
}
END_TEST

START_TEST(waits_for_another_process_until_cancelled)
{
    begin_as(0);
    struct test_image image;
    make_image(&image, "amd64", NULL);
    const struct test_image *const images[] = {&image, NULL};
    char *layout = in_work("layout"), path[4096];
    layout_write(layout, images);
    struct descpipe_image asked = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, layout, NULL);
    snprintf(path, sizeof path, "%s/locks", store_folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/locks/image-%s", store_folder, image.config.digest + 7);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(flock(lock, LOCK_EX), 0);
    struct descpipe_prepare request = {.size = sizeof request, .image = &asked};
    struct descpipe_call call = {0}, other = {0};
    fake.runtime->prepare(fake.self, &call, &request);
    fake_host_step(&fake); /* finds the lock taken, and sets its timer */
    ck_assert_int_eq(call.finished, 0);
    fake_host_step(&fake);
    ck_assert_int_eq(call.finished, 0);
    call.cancel_wished = true;
    call.wish(call.wish_context);
    fake_host_pump(&fake);
    ck_assert_int_eq(call.finished, 1);
    ck_assert_uint_eq(call.failure, DESCPIPE_FAILED_CANCELLED);
    ck_assert_str_eq(call.message, "preparing 'image:x' was cancelled");
    fake_call_clear(&call);
    /* One that waits gets the image when the lock is free. */
    fake.runtime->prepare(fake.self, &other, &request);
    fake_host_step(&fake);
    ck_assert_int_eq(flock(lock, LOCK_UN), 0);
    fake_host_pump(&fake);
    ck_assert_msg(other.succeeded, "%s", other.message);
    fake_call_clear(&other);
    close(lock);
    test_image_clear(&image);
    free(layout);
    finish();
}
END_TEST

START_TEST(a_layer_over_the_limit_is_refused)
{
    static const struct fake_setting settings[] = {{"layer-limit", "1000"}, {NULL, NULL}};
    begin_as(0);
    struct test_image image;
    make_image(&image, "amd64", NULL);
    const struct test_image *const images[] = {&image, NULL};
    char *layout = in_work("layout"), message[8192];
    layout_write(layout, images);
    struct fake_host first = fake;
    fake_host_open(&fake, "runtime-native.so", store_folder, settings);
    struct descpipe_image asked = image_of(DESCPIPE_SOURCE_OCI_LAYOUT, layout, NULL);
    snprintf(message, sizeof message, "layer 'blobs/sha256/%s' of '%s': the layer unpacks to more than 1000 bytes",
             image.layers[0].digest + 7, layout);
    assert_refused(&asked, DESCPIPE_FAILED_REFUSED, message,
                   "raise the option 'layer-limit' when the image is meant to be that large");
    fake_host_close(&fake);
    fake = first;
    test_image_clear(&image);
    free(layout);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("native store");
    TCase *cases = tcase_create("store");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, runs_image_of_every_form, 0, 10);
    tcase_add_test(cases, images_share_the_files_of_their_layers);
    tcase_add_test(cases, docker_archive_with_equal_layers_as_links);
    tcase_add_test(cases, an_archive_that_names_a_file_twice_is_read);
    tcase_add_test(cases, chooses_by_name_and_platform);
    tcase_add_test(cases, says_what_a_wrong_archive_looks_like);
    tcase_add_loop_test(cases, a_damaged_blob_leaves_nothing, 0, 2);
    tcase_add_loop_test(cases, what_a_crash_left_is_removed, 0, 2);
    tcase_add_test(cases, many_at_once_make_one_image);
    tcase_add_test(cases, waits_for_another_process_until_cancelled);
    tcase_add_test(cases, a_layer_over_the_limit_is_refused);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
