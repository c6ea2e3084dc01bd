// Pictures decoded row by row, so that a large one never lies in memory whole.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "picture/picture.h"

namespace pocket::picture {

/// The rows of one picture, from the top. One thread.
class Rows {
 public:
  virtual ~Rows() = default;
  virtual Size size() const = 0;
  /// Writes the next row, 3 * size().width bytes of RGB. At most size().height times. DATA_LOSS,
  /// with the decoder's own words, when the file is damaged or ends too early.
  virtual Result<void> next(uint8_t* rgb) = 0;
};

/// Opens a JPEG or PNG file to be decoded as it is read; what cannot be decoded in order
/// (interlaced PNG, JPEG in printing colours) and other formats are decoded whole behind the same
/// interface. Fails as read_picture() does.
Result<std::unique_ptr<Rows>> open_rows(const std::string& path);

/// Resizes a file's picture into a tensor as fill() does with a decoded one. With
/// Filter::kBilinear and a picture that can be decoded in order, two of its rows are in memory.
Result<Placement> fill_from_file(const std::string& path, const ImageSpec& spec, Size size,
                                 float* target);
Result<Placement> fill_from_file(const std::string& path, const ImageSpec& spec, Size size,
                                 uint8_t* target);

}  // namespace pocket::picture
