# SPDX-License-Identifier: BSD-3-Clause
# What only reads and writes text is a library of its own, so that tests and fuzzers can link it.
file(GLOB slurm_parts_sources CONFIGURE_DEPENDS ${folder}/parts/*.c)
add_library(slurm-parts STATIC ${slurm_parts_sources})
target_include_directories(slurm-parts PUBLIC ${folder})
target_link_libraries(slurm-parts PUBLIC descpipe-flags descpipe-plugin-api)
target_link_libraries(${plugin} PRIVATE slurm-parts)
