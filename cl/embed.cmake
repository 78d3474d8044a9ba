# embed.cmake - turns cl/*.cl into one C file of strings. Runs at build time:
#   cmake -D PRELUDE=a.cl;b.cl -D SOURCES=c.cl;d.cl -D OUTPUT=kernels.c -P embed.cmake
# The files of PRELUDE become the first text, each of SOURCES one more. A file begins with `#line 1 "cl/name.cl"`, so
# that compiler messages point into it as it is. The bytes are written as numbers, because C limits the length of a
# string literal.
set(table "")
set(code "/* Made by cl/embed.cmake. */\n#include \"device/program.h\"\n\n")

# Adds one text made of some files.
function(embed stem)
  set(bytes "")
  foreach(source IN LISTS ARGN)
    get_filename_component(name "${source}" NAME)
    file(READ "${source}" hex HEX)
    string(HEX "#line 1 \"cl/${name}\"\n" line)
    string(APPEND bytes "${line}${hex}")
  endforeach()
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "((0x..,){24})" "\\1\n    " bytes "${bytes}")
  set(code "${code}static const char ${stem}_cl[] = {\n    ${bytes}0};\n\n" PARENT_SCOPE)
  set(table "${table}    {\"${stem}\", ${stem}_cl},\n" PARENT_SCOPE)
endfunction()

embed(prelude ${PRELUDE})
foreach(source IN LISTS SOURCES)
  get_filename_component(stem "${source}" NAME_WE)
  embed(${stem} "${source}")
endforeach()
file(WRITE "${OUTPUT}" "${code}const struct kernel_source KERNEL_SOURCES[] = {\n${table}    {0, 0},\n};\n")
