// Whether the programs are built with a sanitizer.
#pragma once

namespace pocket::testing {

/// Such programs map terabytes and keep what they freed: limits of memory say nothing about them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace pocket::testing
