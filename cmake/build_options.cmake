# What every target of ours is compiled with: warnings, sanitizers, and the repository as the include root.

find_program(NSRUN_CCACHE ccache)
if(NSRUN_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${NSRUN_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${NSRUN_CCACHE})
endif()

add_library(nsrun_options INTERFACE)
target_compile_options(nsrun_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC 12 reports these falsely: the first in coroutines, the others in vectors of bytes, when it optimises.
  target_compile_options(nsrun_options INTERFACE -Wno-mismatched-new-delete -Wno-array-bounds -Wno-stringop-overread
                                                 -Wno-stringop-overflow)
endif()
if(NSRUN_UNITY)
  # In a batch a local variable may have the name of a function in another file; and GCC takes its sources for
  # headers, in which names without linkage would be faults.
  target_compile_options(nsrun_options INTERFACE -Wno-shadow -Wno-subobject-linkage)
endif()
if(NSRUN_WERROR)
  target_compile_options(nsrun_options INTERFACE -Werror)
endif()
if(NSRUN_SANITIZE)
  add_compile_options(-fsanitize=${NSRUN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NSRUN_SANITIZE})
  if(NSRUN_SANITIZE MATCHES undefined)
    # These three take longer to compile than all others together; what they find beside the address sanitizer
    # is that a processor which we do not have would fault, and a cast that we do not write.
    add_compile_options(-fno-sanitize=null,alignment,vptr)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    # Clang before 17 puts what this check needs where it cannot go into a coroutine.
    add_compile_options(-fno-sanitize=function)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC 12 reports this falsely in coroutines built with sanitizers.
    target_compile_options(nsrun_options INTERFACE -Wno-maybe-uninitialized)
    if(NSRUN_SANITIZE STREQUAL thread)
      # Asio has fences, for a loop that several threads run; each of ours is run by one.
      target_compile_options(nsrun_options INTERFACE -Wno-tsan)
    endif()
  endif()
endif()

# nsrun_unity(TARGET): compiles the target's sources a batch at a time where NSRUN_UNITY is on (CMakePresets.json).
# The headers of Asio take most of a compilation, and a batch reads them once. It costs that a rebuild after a
# change compiles the whole batch, and that names in anonymous namespaces must differ within a target.
function(nsrun_unity target)
  if(NSRUN_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
  endif()
endfunction()

# One static library from `sources`, which links `libraries`.
function(nsrun_library name sources libraries)
  add_library(nsrun_${name} STATIC ${sources})
  add_library(nsrun::${name} ALIAS nsrun_${name})
  set_target_properties(nsrun_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(
    nsrun_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/nsrun>)
  target_link_libraries(nsrun_${name} PUBLIC ${libraries} PRIVATE $<BUILD_INTERFACE:nsrun_options>)
  nsrun_unity(nsrun_${name})
endfunction()

# nsrun_folder(NAME LIBRARIES...): one static library from the folder's sources (and its rooms).
function(nsrun_folder name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  nsrun_library(${name} "${sources}" "${ARGN}")
endfunction()

# nsrun_rooms(NAME ROOMS rooms... LINKS libraries...): one static library from some rooms of the folder.
function(nsrun_rooms name)
  cmake_parse_arguments(PARSE_ARGV 1 of "" "" "ROOMS;LINKS")
  set(sources "")
  foreach(room IN LISTS of_ROOMS)
    file(GLOB_RECURSE found CONFIGURE_DEPENDS ${room}/*.cc)
    list(APPEND sources ${found})
  endforeach()
  nsrun_library(${name} "${sources}" "${of_LINKS}")
endfunction()
