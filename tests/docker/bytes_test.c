/* SPDX-License-Identifier: BSD-3-Clause */
/* What the runtime docker reads and writes without an Engine: answers, frames, addresses, archives, create bodies. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/address.h"
#include "engine/answer.h"
#include "engine/archive.h"
#include "engine/create.h"
#include "engine/frames.h"
#include "engine/words.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct {
    const char *text;
    bool tls;
    const char *base, *socket, *host, *message;
} addresses[] = {
    {"unix:///var/run/docker.sock", false, "http://localhost", "/var/run/docker.sock", "", NULL},
    {"unix:///var/run/docker.sock", true, "http://localhost", "/var/run/docker.sock", "", NULL},
    {"tcp://box", false, "http://box:2375", "", "box", NULL},
    {"tcp://box:99/", true, "https://box:99", "", "box", NULL},
    {"tcp://[::1]:2376", true, "https://[::1]:2376", "", "[::1]", NULL},
    {"unix://docker.sock", false, NULL, NULL, NULL,
     "Docker address 'unix://docker.sock': the path of the socket is not absolute"},
    {"ssh://me@box", false, NULL, NULL, NULL, "Docker address 'ssh://me@box': ssh is not supported"},
    {"http://box", false, NULL, NULL, NULL, "Docker address 'http://box': not a form that is known here"},
    {"", false, NULL, NULL, NULL, "Docker address '': not a form that is known here"},
    {"tcp://", false, NULL, NULL, NULL, "Docker address 'tcp://': there is no host, or the port is not a number"},
    {"tcp://box:x", false, NULL, NULL, NULL,
     "Docker address 'tcp://box:x': there is no host, or the port is not a number"},
    {"tcp://me@box", false, NULL, NULL, NULL,
     "Docker address 'tcp://me@box': only a host and a port may follow tcp://"},
};

START_TEST(takes_addresses_apart)
{
    struct address address;
    char message[1024];
    const char *hint = NULL;
    bool good = address_parse(addresses[_i].text, addresses[_i].tls, &address, message, sizeof(message), &hint);
    if (addresses[_i].message != NULL) {
        ck_assert(!good);
        ck_assert_str_eq(message, addresses[_i].message);
        ck_assert_ptr_nonnull(hint);
        return;
    }
    ck_assert_msg(good, "%s", message);
    ck_assert_str_eq(address.text, addresses[_i].text);
    ck_assert_str_eq(address.base, addresses[_i].base);
    ck_assert_str_eq(address.socket, addresses[_i].socket);
    ck_assert_str_eq(address.host, addresses[_i].host);
}
END_TEST

static const struct {
    const char *text;
    int64_t ms;
} times[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2026-11-21T00:57:08.907051864Z", 1795222628907},
    {"2026-11-21T01:57:08.9+01:00", 1795222628900},
    {"2026-11-20T23:57:08-01:00", 1795222628000},
    {"0001-01-01T00:00:00Z", 0},
    {"2026-13-01T00:00:00Z", 0},
    {"2026-11-21T00:57:08", 0},
    {"2026-11-21T00:57:08Zx", 0},
    {"2026-11-21", 0},
    {"", 0},
};

START_TEST(reads_times)
{
    ck_assert_int_eq(answer_read_time(times[_i].text), times[_i].ms);
}
END_TEST

START_TEST(an_end_is_never_before_its_start)
{
    static const char text[] =
        "{\"Id\":\"abc\",\"State\":{\"Status\":\"exited\",\"OOMKilled\":false,\"ExitCode\":3,\"Error\":\"\","
        "\"StartedAt\":\"2026-11-21T00:00:08.907051864Z\",\"FinishedAt\":\"2026-11-21T00:00:08.906465519Z\"},"
        "\"Config\":{\"Env\":[\"SECRET=x\"],\"Labels\":{\"descpipe.token\":\"r-1\",\"descpipe.run\":\"r\"}}}";
    struct container_facts facts;
    ck_assert(answer_read_container(text, strlen(text), &facts));
    ck_assert_int_eq(facts.finished_at_ms, facts.started_at_ms);
    ck_assert_str_eq(facts.token, "r-1");
    ck_assert(facts.ever_started && !facts.alive);
    ck_assert_int_eq(facts.exit_code, 3);
}
END_TEST

static const char *const bad_containers[] = {
    "",
    "{",
    "[]",
    "{}",
    "null",
    "{\"Id\":\"x\"}",
    "{\"Id\":\"x\",\"State\":{\"Status\":\"exited\"}}",
    "{\"Id\":\"x\",\"State\":{\"Status\":\"exited\",\"ExitCode\":\"3\"}}",
    "{\"Id\":\"x\",\"State\":{\"Status\":\"exited\",\"ExitCode\":99999999999}}",
    "{\"Id\":7,\"State\":{\"Status\":\"exited\",\"ExitCode\":3}}",
    "{\"Id\":\"x\",\"State\":{\"Status\":\"exited\",\"ExitCode\":3}",
};

START_TEST(trusts_no_broken_answer)
{
    struct container_facts facts;
    ck_assert(!answer_read_container(bad_containers[_i], strlen(bad_containers[_i]), &facts));
}
END_TEST

static const struct {
    const char *text;
    bool good;
    uint64_t cpu_ms, memory;
} uses[] = {
    {"{\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":2500000000}},"
     "\"memory_stats\":{\"usage\":5000,\"max_usage\":9000,\"stats\":{\"total_inactive_file\":1000,\"inactive_file\":7}}}",
     true, 2500, 4000},
    {"{\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":1}},\"memory_stats\":{\"usage\":5000,\"stats\":{\"inactive_file\":7}}}",
     true, 0, 4993},
    {"{\"memory_stats\":{\"usage\":5,\"stats\":{\"inactive_file\":7}}}", true, 0, 0},
    {"{\"cpu_stats\":[],\"memory_stats\":{\"usage\":\"5\"}}", true, 0, 0}, /* as of a container that has ended */
    {"{\"cpu_stats\":{}", false, 0, 0},
    {"[]", false, 0, 0},
};

START_TEST(what_was_used_is_without_cached_files)
{
    struct usage_facts facts;
    bool good = answer_read_usage(uses[_i].text, strlen(uses[_i].text), &facts);
    ck_assert_int_eq(good, uses[_i].good);
    if (good) {
        ck_assert_uint_eq(facts.cpu_ms, uses[_i].cpu_ms);
        ck_assert_uint_eq(facts.memory, uses[_i].memory);
    }
}
END_TEST

START_TEST(tells_image_stores_apart)
{
    static const char own[] =
        "{\"Id\":\"sha256:" HEX_A "\",\"RepoDigests\":[\"other@sha256:" HEX_A "\",\"x/y@sha256:" HEX_B
        "\"],\"Os\":\"linux\",\"Architecture\":\"arm\",\"Variant\":\"v7\"}";
    static const char plain[] = "{\"Id\":\"sha256:" HEX_A "\",\"RepoDigests\":[\"x/y@sha256:" HEX_B "\"]}";
    struct image_facts facts;
    ck_assert(answer_read_image(own, strlen(own), "docker.io/x/y:1", &facts));
    ck_assert_str_eq(facts.config_digest, ""); /* containerd's store: the id is a manifest */
    ck_assert_str_eq(facts.manifest_digest, "sha256:" HEX_B);
    ck_assert_str_eq(facts.platform, "linux/arm/v7");
    ck_assert(answer_read_image(plain, strlen(plain), "z", &facts));
    ck_assert_str_eq(facts.config_digest, "sha256:" HEX_A);
    ck_assert_str_eq(facts.manifest_digest, "sha256:" HEX_B);
}
END_TEST

static const struct {
    const char *given, *words, *hint;
} starts[] = {
    {"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
     "exec: "
     "\"nonesuch\": executable file not found in $PATH: unknown",
     "exec: \"nonesuch\": executable file not found in $PATH",
     "check the stage's command: the image holds no such program"},
    {"invalid mount config for type \"bind\": bind source path does not exist: /x",
     "bind source path does not exist: /x", "the path must exist on the machine where Docker runs"},
    {"Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
     "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
     "the stage asks for more cpus than Docker has; lower `cpus:`"},
    {"something new", "something new", NULL},
    {"", "", NULL},
};

START_TEST(makes_dockers_words_readable)
{
    char words[ANSWER_WORDS];
    const char *hint = "unset";
    words_read_start(starts[_i].given, words, &hint);
    ck_assert_str_eq(words, starts[_i].words);
    ck_assert_pstr_eq(hint, starts[_i].hint);
}
END_TEST

struct content {
    char text[4][64];
};

static bool keep(void *context, uint8_t stream, const char *data, size_t length)
{
    struct content *content = context;
    strncat(content->text[stream], data, length);
    return true;
}

START_TEST(reads_frames_in_pieces_of_any_size)
{
    static const char stream[] = "\x01\0\0\0\0\0\0\x05hello\x02\0\0\0\0\0\0\x03"
                                 "err\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x06 world";
    size_t length = sizeof(stream) - 1;
    for (size_t piece = 1; piece <= length; piece++) {
        struct content content = {0};
        struct frames frames = {0};
        for (size_t place = 0; place < length; place += piece) {
            size_t part = length - place < piece ? length - place : piece;
            ck_assert(frames_read(&frames, stream + place, part, keep, &content));
        }
        ck_assert(frames_complete(&frames));
        ck_assert_str_eq(content.text[1], "hello world");
        ck_assert_str_eq(content.text[2], "err");
    }
    struct content content = {0};
    struct frames frames = {0};
    ck_assert(frames_read(&frames, stream, 10, keep, &content));
    ck_assert(!frames_complete(&frames));
    struct frames wrong = {0}, raw = {.raw = true};
    ck_assert(!frames_read(&wrong, "HTTP/1.1", 8, keep, &content));
    ck_assert(frames_read(&raw, "\x07raw", 4, keep, &content));
}
END_TEST

static const struct {
    const char *manifest, *tag, *words;
} manifests[] = {
    {"[{\"Config\":\"" HEX_A ".json\",\"RepoTags\":[\"x/y:1\"]}]", NULL, NULL},
    {"[{\"Config\":\"blobs/sha256/" HEX_A "\",\"RepoTags\":null}]", NULL, NULL},
    {"[{\"Config\":\"" HEX_B ".json\",\"RepoTags\":[\"x/y:2\"]},{\"Config\":\"" HEX_A
     ".json\",\"RepoTags\":[\"x/y:1\"]}]",
     "1", NULL},
    {"[{\"Config\":\"" HEX_B ".json\"},{\"Config\":\"" HEX_A ".json\"}]", NULL,
     "it holds 2 images; name one by its tag"},
    {"[{\"Config\":\"" HEX_A ".json\",\"RepoTags\":[\"x/y:1\"]}]", "9", "it holds no image with the tag '9'"},
    {"[]", NULL, "it holds no image"},
    {"{}", NULL, "its manifest.json is not a list of images"},
    {"[{\"Config\":\"config.json\"}]", NULL, "its manifest.json does not name a config by its sha256"},
    {"[{}]", NULL, "its manifest.json does not name a config by its sha256"},
};

START_TEST(reads_what_an_archive_holds)
{
    char digest[ANSWER_ID], words[ANSWER_WORDS];
    const char *text = manifests[_i].manifest;
    bool good = answer_read_archive_manifest(text, strlen(text), manifests[_i].tag, digest, words);
    if (manifests[_i].words == NULL) {
        ck_assert_msg(good, "%s", words);
        ck_assert_str_eq(digest, "sha256:" HEX_A);
    } else {
        ck_assert(!good);
        ck_assert_str_eq(words, manifests[_i].words);
    }
}
END_TEST

static const struct {
    const char *bytes;
    size_t length;
    const char *words;
} bad_archives[] = {
    {"", 0, "it holds no manifest.json, as `docker save` writes one"},
    {"short", 5, "it is too short to be a tar file"},
    {NULL, 'x', "it is not a tar file"},
    {NULL, '\0', "it holds no manifest.json, as `docker save` writes one"},
    {"\x1f\x8b", 2, "it is compressed with gzip; unpack it to a plain tar file first"},
};

START_TEST(says_what_is_wrong_with_an_archive)
{
    char path[] = "/tmp/descpipe-archive-XXXXXX", digest[ANSWER_ID], words[ANSWER_WORDS], block[1024];
    int descriptor = mkstemp(path);
    memset(block, bad_archives[_i].bytes == NULL ? (int)bad_archives[_i].length : ' ', sizeof(block));
    size_t length = sizeof(block);
    if (bad_archives[_i].bytes != NULL) {
        memcpy(block, bad_archives[_i].bytes, bad_archives[_i].length);
        length = bad_archives[_i].length == 2 ? sizeof(block) : bad_archives[_i].length;
    }
    ck_assert_int_eq(write(descriptor, block, length), (ssize_t)length);
    close(descriptor);
    enum archive_answer answer = archive_read(path, NULL, digest, words);
    unlink(path);
    ck_assert_int_eq(answer, ARCHIVE_REFUSED);
    ck_assert_str_eq(words, bad_archives[_i].words);
    ck_assert_int_eq(archive_read(path, NULL, digest, words), ARCHIVE_MISSING);
    ck_assert_int_eq(archive_read("/tmp", NULL, digest, words), ARCHIVE_REFUSED);
    ck_assert_str_eq(words, "it is not a regular file");
}
END_TEST

static struct descpipe_stage a_stage(void)
{
    static const char *const command[] = {"run", "a \"b\"", NULL};
    static const char *const environment[] = {"A=1", NULL};
    static const char *const late[] = {"TOKEN=s3", NULL};
    return (struct descpipe_stage){.size = sizeof(struct descpipe_stage),
                                   .uid = 7,
                                   .gid = 8,
                                   .run = "r",
                                   .name = "shear",
                                   .attempt = 2,
                                   .token = "r-1",
                                   .image_handle = "sha256:x",
                                   .command = command,
                                   .environment = environment,
                                   .late_environment = late};
}

START_TEST(writes_what_a_container_is_to_be)
{
    static const struct descpipe_resources resources = {sizeof(resources), 1, 2, 3, 0, 0, 1 << 20, 4096, 0};
    static const struct descpipe_mount in = {sizeof(in), DESCPIPE_MOUNT_READ_ONLY, "/a,b", "/opt/input"};
    static const struct descpipe_mount scratch = {sizeof(scratch), DESCPIPE_MOUNT_SCRATCH, NULL, "/scratch"};
    static const struct descpipe_mount *const mounts[] = {&in, &scratch, NULL};
    static const char *const gpus[] = {"3", "GPU-5", NULL};
    static const struct create_options options = {.network = "bridge", .caller_user = true, .init = true};
    struct descpipe_stage stage = a_stage();
    struct bytes body = {0};
    char words[ANSWER_WORDS];
    stage.resources = &resources;
    stage.mounts = mounts;
    stage.gpus = gpus;
    stage.directory = "/w";
    ck_assert_msg(create_write(&stage, &options, &body, words), "%s", words);
    json_t *root = json_loads(bytes_text(&body), JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(root);
    char *written = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(
        written,
        "{\"AttachStdin\":false,\"Cmd\":[],\"Entrypoint\":[\"run\",\"a \\\"b\\\"\"],\"Env\":[\"A=1\",\"TOKEN=s3\"],"
        "\"HostConfig\":{\"CapAdd\":[\"CHOWN\",\"DAC_OVERRIDE\",\"FOWNER\",\"FSETID\",\"KILL\",\"NET_BIND_SERVICE\","
        "\"SETGID\",\"SETUID\",\"SYS_CHROOT\"],\"CapDrop\":[\"ALL\"],\"DeviceRequests\":[{\"Capabilities\":[[\"gpu\"]],"
        "\"DeviceIDs\":[\"3\",\"GPU-5\"],\"Driver\":"
        "\"\"}],"
        "\"Init\":true,\"LogConfig\":{\"Config\":{\"max-file\":\"2\",\"max-size\":\"1000g\"},\"Type\":\"json-file\"},"
        "\"Memory\":1048576,\"MemorySwap\":1048576,"
        "\"Mounts\":[{\"ReadOnly\":true,\"Source\":\"/a,b\",\"Target\":\"/opt/input\",\"Type\":\"bind\"},"
        "{\"Target\":\"/scratch\",\"TmpfsOptions\":{\"Mode\":1023,\"SizeBytes\":4096},\"Type\":\"tmpfs\"}],"
        "\"NanoCpus\":6000000000,\"NetworkMode\":\"bridge\",\"SecurityOpt\":[\"no-new-privileges\"]},"
        "\"Image\":\"sha256:x\","
        "\"Labels\":{\"descpipe.attempt\":\"2\",\"descpipe.run\":\"r\",\"descpipe.stage\":\"shear\",\"descpipe.token\":"
        "\"r-1\"},"
        "\"OpenStdin\":false,\"Tty\":false,\"User\":\"7:8\",\"WorkingDir\":\"/w\"}");
    free(written);
    json_decref(root);
    bytes_wipe(&body);
}
END_TEST

static const char *const not_utf8[] = {"X=\xff", "X=\xc0\x80", "X=\xed\xa0\x80", "X=\xe2\x82", "X=\xf5\x80\x80\x80"};

START_TEST(refuses_what_docker_would_change_silently)
{
    static const struct create_options options = {.network = "bridge"};
    struct descpipe_stage stage = a_stage();
    const char *environment[] = {not_utf8[_i], NULL};
    struct bytes body = {0};
    char words[ANSWER_WORDS];
    stage.environment = environment;
    ck_assert(!create_write(&stage, &options, &body, words));
    ck_assert_str_eq(words, "an environment variable is not UTF-8, and Docker takes nothing else");
    bytes_wipe(&body);
}
END_TEST

static const struct {
    const char *plain, *encoded;
} encodings[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xfb\xff\xfe", "-__-"}};

START_TEST(encodes_logins)
{
    struct bytes bytes = {0};
    ck_assert(bytes_add_base64url(&bytes, encodings[_i].plain, strlen(encodings[_i].plain)));
    ck_assert_str_eq(bytes_text(&bytes), encodings[_i].encoded);
    bytes_clear(&bytes);
}
END_TEST

#define ADD_TABLE(test, table) tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof(*(table))))

int main(void)
{
    Suite *suite = suite_create("docker bytes");
    TCase *tests = tcase_create("bytes");
    ADD_TABLE(takes_addresses_apart, addresses);
    ADD_TABLE(reads_times, times);
    tcase_add_test(tests, an_end_is_never_before_its_start);
    ADD_TABLE(trusts_no_broken_answer, bad_containers);
    ADD_TABLE(what_was_used_is_without_cached_files, uses);
    tcase_add_test(tests, tells_image_stores_apart);
    ADD_TABLE(makes_dockers_words_readable, starts);
    tcase_add_test(tests, reads_frames_in_pieces_of_any_size);
    ADD_TABLE(reads_what_an_archive_holds, manifests);
    ADD_TABLE(says_what_is_wrong_with_an_archive, bad_archives);
    tcase_add_test(tests, writes_what_a_container_is_to_be);
    ADD_TABLE(refuses_what_docker_would_change_silently, not_utf8);
    ADD_TABLE(encodes_logins, encodings);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
