# embed.cmake - turns cl/*.cl into one C file of strings. Runs at build time:
#   cmake -D SOURCES=a.cl;b.cl -D OUTPUT=kernels.c -P embed.cmake
# Each text begins with `#line 1 "cl/name.cl"`, so that compiler messages point into the file as it is. The bytes are
# written as numbers, because C limits the length of a string literal.
set(table "")
set(code "/* Made by cl/embed.cmake. */\n#include \"device/program.h\"\n\n")
foreach(source IN LISTS SOURCES)
  get_filename_component(stem "${source}" NAME_WE)
  file(READ "${source}" hex HEX)
  string(HEX "#line 1 \"cl/${stem}.cl\"\n" line)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${line}${hex}")
  string(REGEX REPLACE "((0x..,){24})" "\\1\n    " bytes "${bytes}")
  string(APPEND code "static const char ${stem}_cl[] = {\n    ${bytes}0};\n\n")
  string(APPEND table "    {\"${stem}\", ${stem}_cl},\n")
endforeach()
file(WRITE "${OUTPUT}" "${code}const struct kernel_source KERNEL_SOURCES[] = {\n${table}    {0, 0},\n};\n")
