# SPDX-License-Identifier: BSD-3-Clause
"""Registries that limit how often they are asked: who waits, how long, and what is told."""
import gzip
import io
import tarfile

from servers import *

PROGRAM = os.path.join(BUILD, "descpipe")
KIND = "application/vnd.docker.distribution.manifest.v2+json"


def small_layer():
    """Its bytes as they travel, and the digest of what is in them."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        entry = tarfile.TarInfo("hello")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    return gzip.compress(plain.getvalue(), mtime=0), digest_of(plain.getvalue())


LAYER, DIFF = small_layer()
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [DIFF]}}).encode()
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": KIND, "config": {
    "mediaType": "application/vnd.docker.container.image.v1+json", "size": len(CONFIG), "digest": digest_of(CONFIG)},
    "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(LAYER), "digest": digest_of(LAYER)}]}).encode()


class Limits(Case):
    def setUp(self):
        super().setUp()
        self.limited = {}  # part of a path → headers of the 429s that come before the answer
        self.server = Server(self, self.answer)
        self.write("p.yaml", "pipeline: {name: p, stages: [a]}\nruntime: {working: ./work, output: ./out}\nbackends:\n  default: "
                   "{scheduler: sequential, runtime: native, registry: {use: oci, plain-http: true}}\n"
                   "a: {image: \"%s/x/y:1\", command: [/hello]}\n" % self.server.host)

    def answer(self, request):
        for part, waits in self.limited.items():
            if part in request.path and waits:
                return 429, waits.pop(0), json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "too many"}]})
        if "/manifests/" in request.path:
            return 200, {"Content-Type": KIND, "Docker-Content-Digest": digest_of(MANIFEST)}, MANIFEST
        for blob in (LAYER, CONFIG):
            if digest_of(blob) in request.path:
                return 200, {"Content-Type": "application/octet-stream"}, blob
        return (200, {}, "{}") if request.path == "/v2/" else (404, {}, "")

    def pull(self, *words):
        return subprocess.run([PROGRAM, "pull", "p.yaml", *words], cwd=self.folder, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**self.environment, "DESCPIPE_PLUGIN_PATH": os.path.join(BUILD, "plugins-built")}, universal_newlines=True)

    def asked(self, part):
        return len([request for request in self.server.requests if part in request.path])

    def test_a_pull_waits_as_long_as_it_may(self):
        self.limited = {digest_of(LAYER): [{"Retry-After": "1"}, {"Retry-After": "2"}]}
        began = time.monotonic()
        done = self.pull("-o", "runtime.limit-wait=60s")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertGreaterEqual(time.monotonic() - began, 3)
        self.assertEqual(self.asked(digest_of(LAYER)), 3)

    def test_a_pull_that_may_not_wait_fails_at_once_and_says_until_when(self):
        self.limited = {digest_of(LAYER): [{"Retry-After": "7200"}] * 9}
        for words in (["-o", "runtime.limit-wait=0s"], ["-o", "runtime.limit-wait=1h"], []):
            asked = self.asked(digest_of(LAYER))
            done = self.pull(*words)
            self.assertEqual(done.returncode, 4, done.stdout)
            self.assertRegex(done.stdout, r"limits how often it is asked without a login, until 20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC")
            self.assertIn("descpipe login", done.stdout)
            self.assertEqual(self.asked(digest_of(LAYER)), asked + 1)

    def test_all_waits_of_a_pull_count_together(self):
        self.limited = {digest_of(LAYER): [{"Retry-After": "2"}] * 9}
        done = self.pull("-o", "runtime.limit-wait=3s")
        self.assertEqual(done.returncode, 4, done.stdout)
        self.assertEqual(self.asked(digest_of(LAYER)), 2)  # once more after two seconds; two more would be four

    def test_a_plan_waits_a_little_and_never_for_hours(self):
        self.limited = {"/manifests/": [{"Retry-After": "1"}]}
        self.assertEqual(self.pull().returncode, 0)
        for wait in ("91", "86400"):  # longer than a question may take
            self.limited = {"/manifests/": [{"Retry-After": wait}] * 9}
            asked = self.asked("/manifests/")
            done = self.pull("-o", "runtime.limit-wait=2d")
            self.assertEqual(done.returncode, 4, done.stdout)
            self.assertRegex(done.stdout, r"limits how often it is asked without a login, until 20\d\d")
            self.assertEqual(self.asked("/manifests/"), asked + 1)

    def test_a_limit_without_a_time_is_tried_again_and_then_told(self):
        self.limited = {digest_of(LAYER): [{}]}
        self.assertEqual(self.pull().returncode, 0)
        self.assertEqual(self.asked(digest_of(LAYER)), 2)


if __name__ == "__main__":
    main()
