# check_includes.cmake - the directions of the source tree, read from its #include lines.
#
#   cmake -DROOT=<the repository> -P check_includes.cmake
#
# Each folder of host/ may use itself, the folders of its row below, and nothing else. OpenCL stays in host/device,
# CLBlast in one file of it; the public header needs the standard library only. What is not the program never prints,
# exits or aborts. Names every file that breaks a rule.
cmake_minimum_required(VERSION 3.25)

set(MAY_USE_base vitcl.h)
set(MAY_USE_image base vitcl.h)
set(MAY_USE_model base vitcl.h)
set(MAY_USE_device base vitcl.h)
set(MAY_USE_plan base model vitcl.h)
set(MAY_USE_ops base model plan vitcl.h)
set(MAY_USE_run base image model device plan ops vitcl.h)
set(MAY_USE_api base image model device plan ops run vitcl.h)
set(MAY_USE_cli vitcl.h)

set(CALLS "(^|[^A-Za-z0-9_])(v?printf|v?dprintf|puts|putchar|perror|exit|_exit|_Exit|quick_exit|abort|assert) *[(]")
set(STREAMS "(^|[^A-Za-z0-9_])(stdout|stderr|STDOUT_FILENO|STDERR_FILENO)([^A-Za-z0-9_]|$)")

# #include "folder/name.h" in a file of host/<owner>
function(check_own_include file owner header)
  string(REGEX REPLACE "/.*" "" used "${header}")
  if(NOT header STREQUAL "vitcl.h" AND NOT EXISTS "${ROOT}/host/${header}")
    message(SEND_ERROR "${file}: \"${header}\" is neither vitcl.h nor a path from host/")
  elseif(NOT used STREQUAL owner AND NOT used IN_LIST MAY_USE_${owner})
    message(SEND_ERROR "${file}: host/${owner} must not include \"${header}\"")
  endif()
endfunction()

# #include <name.h>
function(check_foreign_include file owner header)
  if(header MATCHES "^CL/" AND NOT owner STREQUAL "device")
    message(SEND_ERROR "${file}: only host/device includes <${header}>")
  elseif(header MATCHES "clblast" AND NOT file STREQUAL "host/device/clblast.c")
    message(SEND_ERROR "${file}: only host/device/clblast.c includes <${header}>")
  endif()
endfunction()

function(check_includes file owner)
  file(STRINGS "${ROOT}/${file}" lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    if(line MATCHES "include[ \t]*\"([^\"]+)\"")
      check_own_include("${file}" "${owner}" "${CMAKE_MATCH_1}")
    elseif(line MATCHES "include[ \t]*<([^>]+)>")
      check_foreign_include("${file}" "${owner}" "${CMAKE_MATCH_1}")
    else()
      message(SEND_ERROR "${file}: this include can not be followed: ${line}")
    endif()
  endforeach()
endfunction()

function(check_silence file)
  foreach(pattern CALLS STREAMS)
    file(STRINGS "${ROOT}/${file}" lines REGEX "${${pattern}}")
    if(lines)
      message(SEND_ERROR "${file}: only host/cli prints, exits or aborts: ${lines}")
    endif()
  endforeach()
endfunction()

file(GLOB_RECURSE files RELATIVE "${ROOT}" "${ROOT}/host/*.c" "${ROOT}/host/*.h")
foreach(file IN LISTS files)
  string(REGEX REPLACE "^host/([^/]+).*" "\\1" owner "${file}")
  if(NOT DEFINED MAY_USE_${owner})
    message(SEND_ERROR "${file}: host/${owner} has no row in check_includes.cmake")
  endif()
  check_includes("${file}" "${owner}")
  if(NOT owner STREQUAL "cli")
    check_silence("${file}")
  endif()
endforeach()

file(STRINGS "${ROOT}/include/vitcl.h" lines REGEX "^[ \t]*#[ \t]*include")
foreach(line IN LISTS lines)
  if(NOT line MATCHES "^#include <std[a-z]+\\.h>$")
    message(SEND_ERROR "include/vitcl.h: needs more than the standard library: ${line}")
  endif()
endforeach()

list(LENGTH files count)
if(count LESS 50)
  message(SEND_ERROR "only ${count} files under ${ROOT}/host: is ROOT the repository?")
endif()
