#!/bin/sh
# library.sh LIBPOCKET INCLUDE_DIR: libpocket.so exports only the functions that the public
# headers declare, and needs nothing but the C library.
set -eu
library=$1
include=$2
failed=0
exported=$(nm -D --defined-only --format=posix "$library" |
  awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort -u)
strange=$(echo "$exported" | grep -v '^pocket_' || true)
if [ -n "$strange" ]; then
  echo "exported, but not pocket_*:"
  echo "$strange"
  failed=1
fi
declared=$(cat "$include/pocket/pocket.h" "$include/pocket/status.h" "$include/pocket/dtype.h" |
  sed -n 's/^POCKET_API [^(]*[ *]\(pocket_[a-z_]*\)(.*/\1/p' | sort -u)
for name in $declared; do
  echo "$exported" | grep -qx "$name" || { echo "declared, but not exported: $name"; failed=1; }
done
for name in $exported; do
  echo "$declared" | grep -qx "$name" || { echo "exported, but not declared: $name"; failed=1; }
done
needed=$(readelf -dW "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p')
for name in $needed; do
  case $name in
    libc.so.6 | ld-linux-*.so.*) ;;
    *) echo "needs $name"; failed=1 ;;
  esac
done
if readelf -dW "$library" | grep -E 'R(UN)?PATH'; then
  echo "has a search path"
  failed=1
fi
readelf -dW "$library" | grep -q 'SONAME.*\[libpocket\.so\.1\]' || { echo "wrong SONAME"; failed=1; }
echo "libpocket: $(echo "$exported" | wc -l) functions, needs: $(echo $needed)"
exit $failed
