# SPDX-License-Identifier: BSD-3-Clause
"""Signatures against AWS's published vectors (the aws4_testsuite: keys AKIDEXAMPLE, region us-east-1, service `service`).

The clock of the vectors is given in X-Amz-Date and their host in Host; both are part of what is signed.
"""
from servers import *

SIGN = os.path.join(os.path.dirname(ASK), "registries-sign")
SESSION = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7m" \
          "SEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d" \
          "+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
FORM = "Content-Type: application/x-www-form-urlencoded"
VECTORS = [
    ("get-vanilla", "GET", "", [], "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("post-vanilla", "POST", "", [], "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("post-x-www-form-urlencoded", "POST", "Param1=value1", [FORM], "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ("post-x-www-form-urlencoded-parameters", "POST", "Param1=value1", [FORM + "; charset=utf8"], "content-type;host;x-amz-date",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"),
    ("post-header-key-case", "POST", "", ["My-Header1: value1"], "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
    ("post-header-value-case", "POST", "", ["My-Header1: VALUE1"], "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
    ("post-sts-header-before", "POST", "", ["X-Amz-Security-Token: " + SESSION], "host;x-amz-date;x-amz-security-token",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
]


class Vectors(Case):
    def test_every_vector(self):
        server = Server(self, lambda request: (200, {}, ""))
        for name, method, body, headers, signed, signature in VECTORS:
            with self.subTest(vector=name):
                run(SIGN, method, server.url + "/", "aws:amz:us-east-1:service", "AKIDEXAMPLE", body,
                    "Host: example.amazonaws.com", "X-Amz-Date: 20150830T123600Z", *headers,
                    env={"SECRET": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "PATH": os.environ["PATH"]})
                given = server.requests[-1].headers["authorization"]
                expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=%s, " \
                           "Signature=%s" % (signed, signature)
                self.assertEqual(given, expected)


if __name__ == "__main__":
    main()
