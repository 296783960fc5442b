# SPDX-License-Identifier: BSD-3-Clause
"""Names: what a pipeline's name becomes at each facility, and which registry serves which reference. No server is asked."""
from servers import *

ECR = {"region": "eu-north-1", "account": "123456789012"}
ECR_HOST = "123456789012.dkr.ecr.eu-north-1.amazonaws.com"
DIGEST = "sha256:" + "a" * 64


class Names(Case):
    def test_a_name_becomes_a_reference(self):
        table = [
            ("dockerhub", {}, "joe/shear:1.0", "docker.io/joe/shear:1.0"),
            ("dockerhub", {}, "joe/shear", "docker.io/joe/shear:latest"),
            ("dockerhub", {}, "ubuntu:22.04", "docker.io/library/ubuntu:22.04"),
            ("dockerhub", {}, "index.docker.io/ubuntu", "docker.io/library/ubuntu:latest"),
            ("dockerhub", {}, "registry-1.docker.io/joe/x@" + DIGEST, "docker.io/joe/x@" + DIGEST),
            ("dockerhub", {"namespace": "desc"}, "joe/shear:1.0", "docker.io/desc/shear:1.0"),
            ("dockerhub", {"namespace": "desc"}, "ubuntu:22.04", "docker.io/library/ubuntu:22.04"),
            ("oci", {"host": "ghcr.io"}, "joe/shear:1.0", "ghcr.io/joe/shear:1.0"),
            ("oci", {"host": "registry.eo4ph.geoanalytics.ca", "project": "project"}, "joe/shear:1.0",
             "registry.eo4ph.geoanalytics.ca/project/shear:1.0"),
            ("oci", {"host": "harbor.site:8443", "prefix": "hub"}, "joe/shear", "harbor.site:8443/hub/joe/shear:latest"),
            ("oci", {"host": "harbor.site", "project": "sky", "prefix": "hub"}, "joe/shear:1", "harbor.site/hub/sky/shear:1"),
            ("oci", {"host": "[::1]:5000"}, "joe/shear:1", "[::1]:5000/joe/shear:1"),
            ("oci", {"host": "ghcr.io"}, "quay.io/other/x:2", "quay.io/other/x:2"),
            ("oci", {}, "quay.io/other/x", "quay.io/other/x:latest"),
            ("ecr", ECR, "joe/shear:1.0", ECR_HOST + "/joe/shear:1.0"),
            ("ecr", {**ECR, "project": "sky"}, "joe/shear", ECR_HOST + "/sky/shear:latest"),
            ("ecr", {"region": "cn-north-1", "account": "123456789012"}, "joe/x:1",
             "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/joe/x:1"),
            ("ecr", {**ECR, "public-alias": "desc"}, "joe/shear:1", "public.ecr.aws/desc/joe/shear:1"),
            ("ecr", {**ECR, "data-host": "127.0.0.1:5000"}, "joe/shear:1", "127.0.0.1:5000/joe/shear:1"),
            ("ecr", ECR, "public.ecr.aws/a/b", "public.ecr.aws/a/b:latest"),
        ]
        for plugin, options, name, reference in table:
            with self.subTest(plugin=plugin, name=name, options=options):
                answer = self.ask(plugin, "normalize", name, options=options).one
                self.assertEqual(answer.reference, reference, answer)

    def test_a_name_that_has_no_home_is_refused(self):
        for plugin, options, name, part in [
                ("oci", {}, "joe/shear:1", "option `host`"),
                ("dockerhub", {}, "quay.io/other/x", "not at Docker Hub"),
                ("oci", {"host": "ghcr.io"}, "Joe/Shear", ""),
                ("oci", {"host": "ghcr.io"}, "joe/shear:", ""),
                ("ecr", {}, "joe/shear:1", "no AWS region"),
        ]:
            with self.subTest(plugin=plugin, name=name):
                self.assert_failed(self.ask(plugin, "normalize", name, options=options).one, REFUSED, part)

    def test_each_accepts_what_is_its_own(self):
        for plugin, options, reference, accepted in [
                ("dockerhub", {}, "docker.io/joe/x:1", 1),
                ("dockerhub", {}, "joe/x:1", 0),
                ("dockerhub", {}, "quay.io/joe/x:1", 0),
                ("oci", {}, "quay.io/joe/x:1", 1),
                ("oci", {}, "joe/x:1", 0),
                ("oci", {"host": "ghcr.io"}, "ghcr.io/joe/x:1", 1),
                ("oci", {"host": "ghcr.io"}, "quay.io/joe/x:1", 1),
                ("ecr", {}, ECR_HOST + "/joe/x:1", 1),
                ("ecr", {}, "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/x:1", 1),
                ("ecr", {}, "123456789012.dkr-ecr.eu-west-1.on.aws/x:1", 1),
                ("ecr", {}, "public.ecr.aws/a/b:1", 1),
                ("ecr", {}, "12345678901.dkr.ecr.eu-north-1.amazonaws.com/x:1", 0),
                ("ecr", {}, "123456789012.dkr.ecr.eu-north-1.amazonaws.com.evil.test/x:1", 0),
                ("ecr", {}, "123456789012.dkr.ecr.a.b.amazonaws.com/x:1", 0),
                ("ecr", {"data-host": "127.0.0.1:5000"}, "127.0.0.1:5000/x:1", 1),
        ]:
            with self.subTest(plugin=plugin, reference=reference):
                self.assertEqual(self.ask(plugin, "accepts", reference, options=options).one.accepts, str(accepted))

    def test_options_that_cannot_be_meant_are_told_at_once(self):
        for plugin, options, part in [
                ("oci", {"host": "https://ghcr.io"}, "without https://"),
                ("oci", {"username": "joe"}, "needs 'host'"),
                ("oci", {"host": "ghcr.io", "username": "joe"}, "needs 'password'"),
                ("oci", {"endpoint": "https://mirror"}, "needs 'host'"),
                ("dockerhub", {"password": "{secret: X}"}, "needs 'username'"),
                ("ecr", {"region": "Mars!"}, "no AWS region"),
                ("ecr", {"account": "12"}, "12 digits"),
                ("ecr", {"access-key-id": "AKIA"}, "together"),
                ("ecr", {"access-key-id": "AKIA", "secret-access-key": "{secret: X}", "profile": "p"}, "exclude"),
        ]:
            with self.subTest(plugin=plugin, options=options):
                asked = self.ask(plugin, "open", options=options)
                self.assertEqual(asked.status, 3)
                self.assertIn(part, asked.stderr)


if __name__ == "__main__":
    main()
