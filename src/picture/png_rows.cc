// PNG by libpng. It reports errors by longjmp: functions that set a jump target hold no objects
// with destructors.
#include <png.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "picture/decoders.h"

namespace pocket::picture {
namespace {

struct Message {
  char text[200] = "";
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::snprintf(message->text, sizeof(message->text), "%s", text);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

class PngRows final : public Rows {
 public:
  explicit PngRows(std::string path) : path_(std::move(path)) {}
  PngRows(const PngRows&) = delete;
  PngRows& operator=(const PngRows&) = delete;
  ~PngRows() override {
    png_destroy_read_struct(&png_, &info_, nullptr);
    if (file_ != nullptr) std::fclose(file_);
  }

  /// False: better decoded whole.
  Result<bool> open() {
    file_ = std::fopen(path_.c_str(), "rbe");
    if (file_ == nullptr) return errno_error("'" + path_ + "'", errno);
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &message_, on_error, on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) return Error{POCKET_RESOURCE_EXHAUSTED, "no memory to decode a PNG"};
    if (!read_header()) return not_a_picture(path_, message_.text);
    POCKET_RETURN_IF_ERROR(
        check_pixels(path_, png_get_image_width(png_, info_), png_get_image_height(png_, info_)));
    if (png_get_interlace_type(png_, info_) != PNG_INTERLACE_NONE) return false;
    if (!start()) return not_a_picture(path_, message_.text);
    return true;
  }

  Size size() const override {
    return {static_cast<int>(png_get_image_width(png_, info_)),
            static_cast<int>(png_get_image_height(png_, info_))};
  }
  Result<void> next(uint8_t* rgb) override {
    if (!read_row(rgb)) return not_a_picture(path_, message_.text);
    return ok_result();
  }

 private:
  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_init_io(png_, file_);
    png_read_info(png_, info_);
    return true;
  }
  /// Whatever the file has, rows come as 8-bit RGB; transparency is left out, as stb_image does it.
  bool start() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);
    png_set_strip_16(png_);
    png_set_gray_to_rgb(png_);
    png_set_strip_alpha(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != size_t{png_get_image_width(png_, info_)} * 3) {
      png_error(png_, "the rows are not RGB");
    }
    return true;
  }
  bool read_row(uint8_t* rgb) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_row(png_, rgb, nullptr);
    return true;
  }

  const std::string path_;
  std::FILE* file_ = nullptr;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  Message message_;
};

}  // namespace

OpenedRows open_png_rows(const std::string& path) {
  auto rows = std::make_unique<PngRows>(path);
  POCKET_ASSIGN_OR_RETURN(const bool in_order, rows->open());
  if (!in_order) return std::unique_ptr<Rows>();
  return std::unique_ptr<Rows>(std::move(rows));
}

}  // namespace pocket::picture
