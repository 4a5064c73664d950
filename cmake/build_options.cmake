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

# nsrun_folder(NAME LIBRARIES...): one static library from the folder's sources (and its rooms).
function(nsrun_folder name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  add_library(nsrun_${name} STATIC ${sources})
  add_library(nsrun::${name} ALIAS nsrun_${name})
  set_target_properties(nsrun_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(
    nsrun_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/nsrun>)
  target_link_libraries(nsrun_${name} PUBLIC ${ARGN} PRIVATE $<BUILD_INTERFACE:nsrun_options>)
endfunction()
