# SPDX-License-Identifier: BSD-3-Clause
target_link_libraries(${plugin} PRIVATE runtime-tool)

# What is read of the site: a library of its own, which a fuzzer links too.
add_library(shifter-site STATIC ${folder}/site/site_limits.c)
target_include_directories(shifter-site PUBLIC ${folder} ${CMAKE_SOURCE_DIR})
target_link_libraries(shifter-site PUBLIC descpipe-oci descpipe-flags descpipe-plugin-api)
target_link_libraries(${plugin} PRIVATE shifter-site)
