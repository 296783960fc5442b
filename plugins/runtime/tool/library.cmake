# SPDX-License-Identifier: BSD-3-Clause
# What the runtimes that drive a command-line tool share: running it, what a file's image is (read by the store of `native`), a
# cache of converted images, and the words of an argv.
target_sources(${library} PRIVATE ${folder}/../native/arguments.c)
target_include_directories(${library} PUBLIC ${folder}/../native)
target_link_libraries(${library} PUBLIC native-store descpipe-oci PkgConfig::CRYPTO)
