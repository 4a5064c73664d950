# What `cmake --install` gives: the command with its man pages, and the library for those who embed it, found
# through find_package(nsrun) or pkg-config (nsrun for the host's side, nsrun-container for the child's).

include(CMakePackageConfigHelpers)

# `#include <nsrun/host/host.h>` in the build tree as well.
foreach(folder runtime netstack container host testing)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include/nsrun)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/include/nsrun/${folder} SYMBOLIC)
endforeach()
set(host_libraries nsrun_flow nsrun_outside nsrun_policy nsrun_sandbox nsrun_services)
foreach(library nsrun_runtime nsrun_netstack nsrun_container nsrun_testing ${host_libraries})
  target_include_directories(${library} PUBLIC $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
                                                    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

set_target_properties(nsrun_asio PROPERTIES EXPORT_NAME asio)
set_target_properties(nsrun_lwip PROPERTIES EXPORT_NAME lwip)
install(TARGETS nsrun RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS nsrun_asio nsrun_lwip nsrun_runtime nsrun_netstack nsrun_container ${host_libraries} nsrun_host
                nsrun_testing EXPORT nsrun ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT nsrun NAMESPACE nsrun:: FILE nsrunTargets.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nsrun)
foreach(section 1 5)
  file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.${section})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# The headers are gathered when installing, so that they are those of that moment.
install(CODE "set(source \"${PROJECT_SOURCE_DIR}\")
              set(destination \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/nsrun\")")
install(SCRIPT cmake/install_headers.cmake)

# ---- What each side links, from the same link lists: its pkg-config module, and the CMake package of those
# that have one (PkgConfig::X is looked for as X again).

set(module_of_PkgConfig::LIBNL libnl-3.0 libnl-route-3.0)
set(module_of_PkgConfig::LDNS ldns)
set(module_of_PkgConfig::SECCOMP libseccomp)
set(module_of_OpenSSL::SSL openssl)
set(package_of_OpenSSL::SSL OpenSSL)
set(module_of_OpenSSL::Crypto libcrypto)
set(package_of_OpenSSL::Crypto OpenSSL)
set(module_of_PkgConfig::YAML yaml-0.1)
# Boost has no pkg-config files; its headers and libraries are where the compiler looks.
set(module_of_Boost::headers "")
set(module_of_Boost::url "")
set(flag_of_Boost::url -lboost_url)
set(module_of_Threads::Threads "")

# Appends to the caller's `libraries` what `target` and those it links are called for the linker, each after
# all that use it, and to `external` what they link from outside the project.
function(nsrun_link_line target)
  get_target_property(real ${target} ALIASED_TARGET)
  if(real)
    set(target ${real})
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL INTERFACE_LIBRARY)
    get_target_property(linked ${target} INTERFACE_LINK_LIBRARIES)
  else()
    list(REMOVE_ITEM libraries -l${target})
    list(APPEND libraries -l${target})
    get_target_property(linked ${target} LINK_LIBRARIES)
  endif()
  list(FILTER linked EXCLUDE REGEX "NOTFOUND|^\\$<BUILD_INTERFACE:")
  foreach(library IN LISTS linked)
    if(library MATCHES "^nsrun")
      nsrun_link_line(${library})
    elseif(DEFINED module_of_${library})
      list(APPEND external ${library})
    else()
      message(FATAL_ERROR "${target} links ${library}: name its pkg-config module in cmake/install.cmake")
    endif()
  endforeach()
  set(libraries ${libraries} PARENT_SCOPE)
  set(external ${external} PARENT_SCOPE)
endfunction()

function(nsrun_pkg_config file target PC_DESCRIPTION)
  nsrun_link_line(${target})
  set(modules "")
  foreach(library IN LISTS external)
    list(APPEND modules ${module_of_${library}})
    if(DEFINED flag_of_${library})
      list(APPEND libraries ${flag_of_${library}})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES modules)
  list(JOIN libraries " " PC_LIBRARIES)
  list(JOIN modules " " PC_REQUIRES)
  # From the file's own place, so that the tree may be moved, or installed with another --prefix.
  file(RELATIVE_PATH PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/nsrun.pc.in ${PROJECT_BINARY_DIR}/${file}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${file}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

nsrun_pkg_config(nsrun nsrun_host "A command's own network without root: the host's side")
nsrun_pkg_config(nsrun-container nsrun_container "A command's own network without root: the child's side")
nsrun_pkg_config(nsrun-testing nsrun_testing "Tests of network programs in a world of functions")

# Sets `result` to the lines by which nsrunConfig.cmake finds what `target` links.
function(nsrun_dependencies target result)
  nsrun_link_line(${target})
  set(lines "")
  foreach(library IN LISTS external)
    if(library MATCHES "^PkgConfig::(.*)")
      list(JOIN module_of_${library} " " modules)
      list(APPEND lines "  pkg_check_modules(${CMAKE_MATCH_1} REQUIRED IMPORTED_TARGET ${modules})")
    elseif(DEFINED package_of_${library})
      list(APPEND lines "  find_dependency(${package_of_${library}})")
    elseif(library MATCHES "^Boost::(url)")
      list(APPEND lines "  find_dependency(Boost 1.81 COMPONENTS ${CMAKE_MATCH_1})")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES lines)
  list(JOIN lines "\n" lines)
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

nsrun_dependencies(nsrun_host NSRUN_HOST_DEPENDENCIES)
nsrun_dependencies(nsrun_container NSRUN_CONTAINER_DEPENDENCIES)
configure_package_config_file(cmake/nsrunConfig.cmake.in ${PROJECT_BINARY_DIR}/nsrunConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nsrun)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/nsrunConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/nsrunConfig.cmake ${PROJECT_BINARY_DIR}/nsrunConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nsrun)
