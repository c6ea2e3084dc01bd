// Files of the null engine that several tests use (docs/format-repository.md).
#pragma once

namespace pocket::testing {

/// One float32 input of any length comes back as it is.
inline constexpr const char* kEcho =
    "mode = 'echo'\n"
    "[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [-1]\n"
    "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [-1]\n";
/// As kEcho, after 0.2 s.
inline constexpr const char* kSlowEcho =
    "mode = 'echo'\ndelay_us = 200000\n"
    "[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [-1]\n"
    "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [-1]\n";
/// A run does not return. Wants `warmup = false` in its model.toml.
inline constexpr const char* kHang =
    "mode = 'hang'\n[[inputs]]\nname='x'\ndtype='float32'\nshape=[1]\n"
    "[[outputs]]\nname='y'\ndtype='float32'\nshape=[1]\n";

}  // namespace pocket::testing
