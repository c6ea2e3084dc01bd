#include "picture/rows.h"

#include <cstdio>
#include <cstring>

#include "picture/bilinear.h"
#include "picture/decoders.h"
#include "picture/plan.h"

namespace pocket::picture {
namespace {

/// A picture that was decoded whole.
class WholePicture final : public Rows {
 public:
  explicit WholePicture(Picture picture) : picture_(std::move(picture)) {}
  Size size() const override { return {picture_.width, picture_.height}; }
  Result<void> next(uint8_t* rgb) override {
    const size_t bytes = static_cast<size_t>(picture_.width) * 3;
    std::memcpy(rgb, picture_.rgb.data() + row_++ * bytes, bytes);
    return ok_result();
  }

 private:
  const Picture picture_;
  size_t row_ = 0;
};

/// The first bytes of a file; fewer where it has fewer, none where it cannot be read.
std::string first_bytes(const std::string& path, size_t count) {
  std::string bytes(count, '\0');
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  bytes.resize(file == nullptr ? 0 : std::fread(bytes.data(), 1, count, file));
  if (file != nullptr) std::fclose(file);
  return bytes;
}

Result<std::vector<uint8_t>> resize_rows(Rows& rows, const Plan& plan, Size size) {
  Bilinear resizer(plan, size);
  std::vector<uint8_t> row(static_cast<size_t>(rows.size().width) * 3);
  for (int y = 0; y < rows.size().height && !resizer.done(); ++y) {
    POCKET_RETURN_IF_ERROR(rows.next(row.data()));
    resizer.add_row(row.data());
  }
  return std::move(resizer).pixels();
}

Result<Picture> all_of(Rows& rows) {
  const size_t bytes = static_cast<size_t>(rows.size().width) * 3;
  Picture picture{rows.size().width, rows.size().height, {}};
  picture.rgb.resize(bytes * static_cast<size_t>(picture.height));
  for (int y = 0; y < picture.height; ++y) {
    POCKET_RETURN_IF_ERROR(rows.next(&picture.rgb[y * bytes]));
  }
  return picture;
}

template <typename T>
Result<Placement> fill_from(const std::string& path, const ImageSpec& spec, Size size, T* target) {
  POCKET_ASSIGN_OR_RETURN(const auto rows, open_rows(path));
  if (spec.filter != Filter::kBilinear) {
    POCKET_ASSIGN_OR_RETURN(const Picture picture, all_of(*rows));
    return fill(picture, spec, size, target);
  }
  const Plan plan = make_plan(rows->size(), spec.fit, size);
  POCKET_ASSIGN_OR_RETURN(const auto pixels, resize_rows(*rows, plan, size));
  write_pixels(pixels, spec, target);
  return placement_of(plan);
}

}  // namespace

Result<std::unique_ptr<Rows>> open_rows(const std::string& path) {
  const std::string magic = first_bytes(path, 4);
  std::unique_ptr<Rows> rows;
  if (magic.starts_with("\xff\xd8")) {
    POCKET_ASSIGN_OR_RETURN(rows, open_jpeg_rows(path));
  } else if (magic == "\x89PNG") {
    POCKET_ASSIGN_OR_RETURN(rows, open_png_rows(path));
  }
  if (rows == nullptr) {
    POCKET_ASSIGN_OR_RETURN(Picture picture, read_picture(path));
    rows = std::make_unique<WholePicture>(std::move(picture));
  }
  return rows;
}

Result<Placement> fill_from_file(const std::string& path, const ImageSpec& spec, Size size,
                                 float* target) {
  return fill_from(path, spec, size, target);
}

Result<Placement> fill_from_file(const std::string& path, const ImageSpec& spec, Size size,
                                 uint8_t* target) {
  return fill_from(path, spec, size, target);
}

}  // namespace pocket::picture
