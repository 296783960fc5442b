# SPDX-License-Identifier: BSD-3-Clause
"""Registries behind a proxy: the option's, the environment's, and the hosts that need none."""
from servers import *

KIND = "application/vnd.oci.image.manifest.v1+json"
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": KIND, "layers": [], "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json", "size": len(CONFIG), "digest": digest_of(CONFIG)}}).encode()


class Proxies(Case):
    def setUp(self):
        super().setUp()
        self.proxy = Server(self, self.answer)
        self.write("home/.docker/config.json", json.dumps({"auths": {"registry.example:5000": {"auth": base64.b64encode(b"joe:word-7").decode()}}}))

    def answer(self, request):
        """What a proxy gets names the host too."""
        if not request.path.startswith("http://registry.example:5000/v2/"):
            return 502, {}, "not for me"
        if "/manifests/" in request.path:
            return 200, {"Content-Type": KIND, "Docker-Content-Digest": digest_of(MANIFEST)}, MANIFEST
        return 200, {"Content-Type": "application/octet-stream"}, CONFIG

    def resolve(self, options=None, **environment):
        return self.ask("oci", "resolve", "registry.example:5000/x/y:1", options={"plain-http": "true", **(options or {})}, **environment)

    def test_the_options_proxy_is_asked(self):
        asked = self.resolve({"proxy": self.proxy.url})
        self.assertEqual(asked.one.manifest, digest_of(MANIFEST), asked.one)
        self.assertGreater(len(self.proxy.requests), 0)
        self.assert_hidden(asked, "word-7")

    def test_the_environments_proxy_is_asked(self):
        self.assertEqual(self.resolve(http_proxy=self.proxy.url).one.manifest, digest_of(MANIFEST))
        self.assertGreater(len(self.proxy.requests), 0)

    def test_a_host_that_needs_no_proxy_is_asked_itself(self):
        self.assert_failed(self.resolve(http_proxy=self.proxy.url, no_proxy="registry.example").one, CANNOT_ASK, "registry.example:5000")
        self.assertEqual(self.proxy.requests, [])

    def test_a_proxy_that_is_not_there_is_told(self):
        asked = self.resolve({"proxy": "http://joe:word-8@127.0.0.1:9"})
        self.assert_failed(asked.one, CANNOT_ASK, "'registry.example:5000' through the proxy '127.0.0.1:9'", "option `proxy`")
        self.assert_hidden(asked, "word-8")


if __name__ == "__main__":
    main()
