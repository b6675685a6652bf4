# SPDX-License-Identifier: Apache-2.0
# Headers, libraries, skua.pc and the CMake package.
include(CMakePackageConfigHelpers)
set(skua_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/skua)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS skua EXPORT skua_shared_targets)
install(TARGETS skua_static EXPORT skua_static_targets)
install(EXPORT skua_shared_targets NAMESPACE skua::
        FILE skua-shared.cmake DESTINATION ${skua_package_dir})
install(EXPORT skua_static_targets NAMESPACE skua::
        FILE skua-static.cmake DESTINATION ${skua_package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/skua-config.cmake.in
    ${PROJECT_BINARY_DIR}/skua-config.cmake
    INSTALL_DESTINATION ${skua_package_dir})
write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/skua-config-version.cmake
    COMPATIBILITY SameMinorVersion)
configure_file(${PROJECT_SOURCE_DIR}/cmake/skua.pc.in
               ${PROJECT_BINARY_DIR}/skua.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/skua-config.cmake
              ${PROJECT_BINARY_DIR}/skua-config-version.cmake
        DESTINATION ${skua_package_dir})
install(FILES ${PROJECT_BINARY_DIR}/skua.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
