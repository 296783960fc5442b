# SPDX-License-Identifier: BSD-3-Clause
# What only reads and writes bytes is a library of its own, so that the fuzzers and tests can link it.
file(GLOB docker_engine_sources CONFIGURE_DEPENDS ${folder}/engine/*.c)
add_library(docker-engine STATIC ${docker_engine_sources})
target_include_directories(docker-engine PUBLIC ${folder})
target_link_libraries(docker-engine PUBLIC descpipe-flags descpipe-plugin-api PkgConfig::JANSSON PkgConfig::ARCHIVE)
target_link_libraries(${plugin} PRIVATE docker-engine)
# Of what tools share, only this one file, without the libraries that the others need.
target_sources(${plugin} PRIVATE ${folder}/../tool/node_image.c)
target_include_directories(${plugin} PRIVATE ${folder}/..)
