# SPDX-License-Identifier: BSD-3-Clause
# What only reads texts is a library of its own, so that the fuzzers and tests can link it.
file(GLOB ecr_aws_sources CONFIGURE_DEPENDS ${folder}/aws/*.c)
add_library(ecr-aws STATIC ${ecr_aws_sources})
target_include_directories(ecr-aws PUBLIC ${folder} ${CMAKE_SOURCE_DIR})
target_link_libraries(ecr-aws PUBLIC descpipe-flags descpipe-plugin-api descpipe-oci)
target_link_libraries(${plugin} PRIVATE registry-inquiry ecr-aws)
