#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Seeds one fault of each kind into a small tree and sees each rule name it.
set -eu
rules=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/core/base" "$tree/core/run" "$tree/core/plan" "$tree/core/report" "$tree/plugins/runtime/x" "$tree/registry" "$tree/plugin-api/include/descpipe" "$tree/tests"
status=0
expect() { # RULE TEXT
    if sh "$rules/$1.sh" "$tree" >"$tree.out" 2>&1; then
        echo "$1 passed although there is: $2"
        status=1
    elif ! grep -qF "$2" "$tree.out"; then
        echo "$1 did not say: $2"
        cat "$tree.out"
        status=1
    fi
    rm -f "$tree.out"
}
seed() { # FILE LINE...
    file=$tree/$1
    shift
    { echo '/* SPDX-License-Identifier: BSD-3-Clause */'; printf '%s\n' "$@"; } >"$file"
}
seed core/base/a.c '#include "run/engine.h"' && expect includes 'base/ stands to the left of run/' && rm "$tree/core/base/a.c"
seed core/report/a.c '#include "run/engine.h"' && expect includes 'reports never include the engine' && rm "$tree/core/report/a.c"
seed core/run/a.c '#include <yaml.h>' && expect includes 'only core/config/document*.c may' && rm "$tree/core/run/a.c"
seed core/run/a.c '#include "registry/a.h"' && expect includes 'core never includes' && rm "$tree/core/run/a.c"
seed plugins/runtime/x/a.c '#include "base/text.h"' && expect includes 'plugins never include core/' && rm "$tree/plugins/runtime/x/a.c"
seed plugins/runtime/x/a.c '#include "registry/a.h"' && expect includes 'only registry plugins' && rm "$tree/plugins/runtime/x/a.c"
seed plugin-api/include/descpipe/a.h '#include <stdio.h>' && expect includes 'plugin-api includes only itself' && rm "$tree/plugin-api/include/descpipe/a.h"
seed core/run/a.c 'void f(char *a) { strcpy(a, "x"); }' && expect banned 'core/run/a.c:2: banned function' && rm "$tree/core/run/a.c"
seed core/run/a.c 'int f(void) { return fork(); }' && expect banned 'only core/io/process.c forks' && rm "$tree/core/run/a.c"
seed core/plan/a.c 'bool f(const char *path)' '{' '    return access(path, 0) == 0;' '}' && expect witness 'core/plan/a.c:4: f looks without telling' && rm "$tree/core/plan/a.c"
seed core/plan/a.c 'void f(void)' '{' '    witness_asked("A");' '}' 'const char *g(void)' '{' '    return secure_getenv("A");' '}' && expect witness 'core/plan/a.c:8: g looks without telling' && rm "$tree/core/plan/a.c"
mkdir "$tree/stuff" && expect shape 'stuff: not part of the top level' && rmdir "$tree/stuff"
seed core/run/run_util.c 'int x;' && expect shape 'a name that says nothing' && rm "$tree/core/run/run_util.c"
echo 'int x;' >"$tree/core/run/a.c" && expect shape 'no SPDX line' && rm "$tree/core/run/a.c"
seed core/run/a.c '/* strcpy( is banned */' 'const char *t = "system(x)";'
sh "$rules/banned.sh" "$tree" >/dev/null || { echo "banned counts comments or texts"; status=1; }
rm "$tree/core/run/a.c"
seed core/plan/a.c 'bool f(const char *path)' '{' '    witness_saw(path); /* open( */' '    return access(path, 0) == 0;' '}'
sh "$rules/witness.sh" "$tree" >/dev/null || { echo "witness does not see that it is told"; status=1; }
exit $status
