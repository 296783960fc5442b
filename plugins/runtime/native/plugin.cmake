# SPDX-License-Identifier: BSD-3-Clause
target_include_directories(${plugin} PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(${plugin} PRIVATE runtime-tool descpipe-oci PkgConfig::CRYPTO PkgConfig::ARCHIVE ${CMAKE_DL_LIBS})

# The first process of every container, and what enters those of developers. It runs inside images that may hold no library at all, so it is static, and
# sanitizers, which cannot be linked statically, stay out of it. It lies beside the plugin, which looks for it there.
file(GLOB init_sources CONFIGURE_DEPENDS ${folder}/init/*.c)
add_executable(native-init ${init_sources})
target_compile_features(native-init PRIVATE c_std_17)
target_compile_definitions(native-init PRIVATE _GNU_SOURCE)
target_compile_options(native-init PRIVATE -Os -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                       $<$<BOOL:${DESCPIPE_WERROR}>:-Werror>)
target_link_options(native-init PRIVATE -static -s)
set_target_properties(native-init PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${DESCPIPE_PLUGIN_OUTPUT}
                      POSITION_INDEPENDENT_CODE OFF)
add_dependencies(${plugin} native-init)
install(TARGETS native-init RUNTIME DESTINATION ${DESCPIPE_PLUGIN_DESTINATION})

# The store: a library of its own, which tests and fuzzers link too.
file(GLOB store_sources CONFIGURE_DEPENDS ${folder}/store/*.c)
add_library(native-store STATIC ${store_sources})
target_include_directories(native-store PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(native-store PUBLIC descpipe-oci PkgConfig::ARCHIVE PkgConfig::CRYPTO PkgConfig::ZLIB)
target_link_libraries(${plugin} PRIVATE native-store)
