// Inside the room: the decoders behind Rows.
#pragma once

#include "picture/rows.h"

namespace pocket::picture {

/// More pixels than this are refused: RESOURCE_EXHAUSTED.
constexpr int64_t kMostPixels = 100'000'000;
Result<void> check_pixels(const std::string& path, int64_t width, int64_t height);
Error not_a_picture(const std::string& path, const char* decoder_says);

/// No rows and no error (a null pointer): the file is of this format, but is better decoded whole.
using OpenedRows = Result<std::unique_ptr<Rows>>;
OpenedRows open_jpeg_rows(const std::string& path);
OpenedRows open_png_rows(const std::string& path);

}  // namespace pocket::picture
