#!/bin/sh
# headers.sh INCLUDE_DIR CC CXX: each public header compiles alone, as C11 and as C++20, pedantically.
set -eu
include=$1 cc=$2 cxx=$3
warnings="-Wall -Wextra -pedantic -pedantic-errors -Werror -fsyntax-only"
failed=0 count=0
check() { # HEADER LANGUAGE STANDARD COMPILER; twice included, to see that its guard works
  count=$((count + 1))
  if ! printf '#include "pocket/%s"\n#include "pocket/%s"\n' "$1" "$1" |
    $4 -x "$2" -std="$3" $warnings -I "$include" -; then
    echo "pocket/$1 does not compile alone as $3"
    failed=1
  fi
}
for path in "$include"/pocket/*; do
  header=${path##*/}
  case $header in
    *.hpp) check "$header" c++ c++20 "$cxx" ;;
    *.h)
      check "$header" c c11 "$cc"
      check "$header" c++ c++20 "$cxx"
      ;;
    *)
      echo "$path is no header"
      failed=1
      ;;
  esac
done
echo "headers: $count compiled"
test "$count" -ge 8 || { echo "expected at least four headers in two languages"; failed=1; }
exit $failed
