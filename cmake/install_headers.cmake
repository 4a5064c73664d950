# Installs the public headers below ${destination}, folder names kept: all of runtime, container, host and testing,
# and of netstack those that they include (the others need lwIP's headers, which stay private).

cmake_policy(VERSION 3.21)
file(GLOB_RECURSE waiting RELATIVE ${source} ${source}/runtime/*.h ${source}/container/*.h ${source}/host/*.h
     ${source}/testing/*.h)
set(public ${waiting})
while(waiting)
  list(POP_FRONT waiting header)
  file(STRINGS ${source}/${header} lines REGEX "^#include \"")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^#include \"(.*)\".*" "\\1" included "${line}")
    if(EXISTS ${source}/${included} AND NOT included IN_LIST public)
      list(APPEND public ${included})
      list(APPEND waiting ${included})
    endif()
  endforeach()
endwhile()

foreach(header IN LISTS public)
  cmake_path(GET header PARENT_PATH folder)
  file(INSTALL ${source}/${header} DESTINATION ${destination}/${folder} MESSAGE_LAZY)
endforeach()
