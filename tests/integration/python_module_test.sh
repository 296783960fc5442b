#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `python-module: true` brings the in-container module to a stage whose image lacks it: mounted read-only on `native`, named by
# PYTHONPATH on `host`; without the key there is none.
#
#   python_module_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 there is no bubblewrap or no python3 here (a failure when CI is set).
set -eu

program=${1:?usage: python_module_test.sh PROGRAM}
failed() {
    echo "python_module_test: $*" >&2
    exit 1
}
for tool in bwrap python3; do
    command -v "$tool" >/dev/null && continue
    echo "python_module_test: no $tool here" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-module.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$folder"
export XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
# Python looks beside the script it runs: here the stage's own program lies where images have run.py.
cat >pipeline.yaml <<'END'
pipeline: {name: module, stages: [with, without]}
backends:
  default: {scheduler: local, runtime: native, images: "rootfs:/"}
  bare: {scheduler: local, runtime: host}
with:
  outputs: {place: txt}
  python-module: true
  interpreter: [python3]
  script: |
    import os, sys
    sys.path.insert(0, "/opt/desc")
    import descpipe
    try:
        open(descpipe.__file__, "a").close()
        print("the module can be written")
    except OSError:
        pass
    with open(os.path.join(os.environ["DESC_OUTPUT"], "place.txt"), "w") as out:
        out.write("%s %s\n" % (descpipe.__file__, descpipe.Stage.__name__))
without:
  outputs: {absence: txt}
  interpreter: [python3]
  script: |
    import os, sys
    sys.path.insert(0, "/opt/desc")
    try:
        import descpipe
        found = "there"
    except ImportError:
        found = "absent"
    with open(os.path.join(os.environ["DESC_OUTPUT"], "absence.txt"), "w") as out:
        out.write(found + "\n")
END
"$program" run pipeline.yaml >log 2>&1 || { cat log >&2; failed "the run on native failed"; }
[ "$(cat out/place.txt)" = "/opt/desc/descpipe.py Stage" ] || failed "on native the module is at: $(cat out/place.txt)"
[ "$(cat out/absence.txt)" = absent ] || failed "a stage that did not ask for the module has it"
[ -z "$(find work -name '*with.1.out' -size +0)" ] || failed "the stage could write the module"
"$program" run --backend bare pipeline.yaml >log 2>&1 || { cat log >&2; failed "the run on host failed"; }
grep -q '^/.*/container/descpipe.py Stage$' out/place.txt || failed "on host the module is at: $(cat out/place.txt)"
echo "passed"
