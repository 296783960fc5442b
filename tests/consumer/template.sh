#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# template.sh CMAKE BUILD-FOLDER CC LOADER: builds the template outside the tree, in a moved prefix, both ways.
set -eu
cmake=$1 build=$2 compiler=$3 loader=$4
command -v pkg-config >/dev/null || { echo "skipped: no pkg-config"; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/descpipe-consumer-XXXXXX")
trap 'rm -rf "$folder"' EXIT
chmod 0755 "$folder"
umask 022

echo "== install, then move: nothing may remember where it was first"
"$cmake" --install "$build" --component plugin-api --prefix "$folder/first" >/dev/null
mv "$folder/first" "$folder/prefix"
template=$(find "$folder/prefix" -type d -path '*descpipe/plugin-api/template')
cp -r "$template" "$folder/source"
if grep -rl "$build" "$folder/prefix"; then
    echo "the package names the folder it was built in"
    exit 1
fi

echo "== with find_package"
"$cmake" -S "$folder/source" -B "$folder/one" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$folder/prefix" \
    -DCMAKE_C_FLAGS="-Werror" >/dev/null
"$cmake" --build "$folder/one" >/dev/null
"$cmake" --install "$folder/one" >/dev/null
installed=$(find "$folder/prefix" -path '*descpipe/abi-1/runtime-hello.so')
[ -n "$installed" ] || { echo "the template was not installed where descpipe looks"; exit 1; }
"$loader" "$installed"

echo "== with pkg-config and cc"
PKG_CONFIG_PATH=$(dirname "$(find "$folder/prefix" -name descpipe-plugin.pc)")
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion descpipe-plugin)" = "$(sed -n 's/^set(PACKAGE_VERSION "\(.*\)")/\1/p' \
    "$(find "$folder/prefix" -name descpipe-pluginConfigVersion.cmake)")" ] || { echo "two versions"; exit 1; }
mkdir "$folder/two"
# shellcheck disable=SC2046 # several words on purpose
"$compiler" -std=c99 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden $(pkg-config --cflags descpipe-plugin) \
    -o "$folder/two/runtime-hello.so" "$folder/source/hello.c" -Wl,-z,defs -Wl,-z,now
"$loader" "$folder/two/runtime-hello.so"

echo "== the template is refused by a package of another interface"
sed 's/find_package(descpipe-plugin 0.3 REQUIRED)/find_package(descpipe-plugin 0.4 REQUIRED)/' \
    "$folder/source/CMakeLists.txt" >"$folder/source/next"
mv "$folder/source/next" "$folder/source/CMakeLists.txt"
if "$cmake" -S "$folder/source" -B "$folder/four" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$folder/prefix" \
    >"$folder/log" 2>&1; then
    echo "a plugin for interface 0.4 was configured with the package of 0.3"
    exit 1
fi
grep -q 'compatible with requested version "0.4"' "$folder/log" || { cat "$folder/log"; exit 1; }
echo "the template builds, loads, launches and conforms"
