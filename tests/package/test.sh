#!/bin/sh
# test.sh BUILD_DIR CC CXX: installs into a fresh prefix, moves it, and builds and runs a C and a C++
# program against it outside the tree: with pkg-config, and with find_package(Pocket).
set -eu
build=$1 cc=$2 cxx=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
service=
cleanup() {
  if [ -n "$service" ]; then kill "$service" 2>/dev/null && wait "$service" || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
cmake --install "$build" --prefix "$work/first" > "$work/install.log" || { cat "$work/install.log"; exit 1; }
unit=$work/first/lib/systemd/system/pocketd.service
grep -qx "ExecStart=$work/first/bin/pocketd .*" "$unit"
if command -v systemd-analyze > /dev/null; then
  systemd-analyze verify --man=no "$unit" > "$work/unit.log" 2>&1 && ! grep -F "$unit" "$work/unit.log" ||
    { cat "$work/unit.log"; exit 1; }
fi
mv "$work/first" "$work/prefix" # nothing may remember where it was installed
cp -r "$here/consumer" "$work/consumer"
prefix=$work/prefix
pc=$(find "$prefix" -name pocket.pc)
export PKG_CONFIG_PATH="${pc%/pocket.pc}"
library=$(find "$prefix" -name 'libpocket.so')
export LD_LIBRARY_PATH="${library%/libpocket.so}"

mkdir -p "$work/models/echo/1"
printf "mode='echo'\n[[inputs]]\nname='x'\nshape=[4]\n[[outputs]]\nname='y'\nshape=[4]\n" \
  > "$work/models/echo/1/model.null"
mkfifo "$work/ready"
"$prefix/bin/pocketd" --socket "$work/pocket.sock" --models "$work/models" --ready-fd 3 \
  3> "$work/ready" 2> "$work/log" &
service=$!
read -r line < "$work/ready" || { cat "$work/log"; exit 1; }
export POCKET_SOCKET="$work/pocket.sock"

"$cc" -std=c11 -Wall -Werror "$work/consumer/consumer.c" -o "$work/c" $(pkg-config --cflags --libs pocket)
"$work/c"
cmake -S "$work/consumer" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_C_COMPILER="$cc" > "$work/cmake.log" && cmake --build "$work/build" >> "$work/cmake.log" ||
  { cat "$work/cmake.log"; exit 1; }
"$work/build/consumer_c"
"$work/build/consumer_cpp"
share=$prefix/share
for page in pocket pocket-service-run pocket-infer; do
  grep -q '^\.SH OPTIONS' "$share/man/man1/$page.1" || { echo "no page $page"; exit 1; }
done
bash -n "$share/bash-completion/completions/pocket"
head -n 1 "$share/zsh/site-functions/_pocket" | grep -qx '#compdef pocket'
grep -q '^complete -c pocket' "$share/fish/vendor_completions.d/pocket.fish"
"$prefix/bin/pocket" models ls | grep -q echo
kill "$service"
wait "$service"
service=
