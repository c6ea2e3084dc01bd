// JPEG by libjpeg-turbo. It reports errors by longjmp: functions that set a jump target hold no
// objects with destructors.
// jpeglib.h needs what cstdio declares.
// clang-format off
#include <cerrno>
#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "picture/decoders.h"

namespace pocket::picture {
namespace {

struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands out its address
  std::jmp_buf target;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->target, 1);
}

/// libjpeg pads a file that ends too early with grey and warns; here it is an error.
void on_message(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) on_error(info);
}

class JpegRows final : public Rows {
 public:
  explicit JpegRows(std::string path) : path_(std::move(path)) {}
  JpegRows(const JpegRows&) = delete;
  JpegRows& operator=(const JpegRows&) = delete;
  ~JpegRows() override {
    jpeg_destroy_decompress(&info_);
    if (file_ != nullptr) std::fclose(file_);
  }

  /// False: better decoded whole.
  Result<bool> open() {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = on_error;
    errors_.base.emit_message = on_message;
    file_ = std::fopen(path_.c_str(), "rbe");
    if (file_ == nullptr) return errno_error("'" + path_ + "'", errno);
    if (!read_header()) return not_a_picture(path_, errors_.message);
    if (info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK) return false;
    POCKET_RETURN_IF_ERROR(check_pixels(path_, info_.image_width, info_.image_height));
    if (!start()) return not_a_picture(path_, errors_.message);
    return true;
  }

  Size size() const override {
    return {static_cast<int>(info_.image_width), static_cast<int>(info_.image_height)};
  }
  Result<void> next(uint8_t* rgb) override {
    if (!read_row(rgb)) return not_a_picture(path_, errors_.message);
    return ok_result();
  }

 private:
  bool read_header() {
    if (setjmp(errors_.target) != 0) return false;
    jpeg_create_decompress(&info_);
    jpeg_stdio_src(&info_, file_);
    jpeg_read_header(&info_, TRUE);
    return true;
  }
  bool start() {
    if (setjmp(errors_.target) != 0) return false;
    info_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info_);
    return true;
  }
  bool read_row(uint8_t* rgb) {
    if (setjmp(errors_.target) != 0) return false;
    JSAMPROW row = rgb;
    return jpeg_read_scanlines(&info_, &row, 1) == 1;
  }

  const std::string path_;
  std::FILE* file_ = nullptr;
  ErrorManager errors_{};
  jpeg_decompress_struct info_{};
};

}  // namespace

OpenedRows open_jpeg_rows(const std::string& path) {
  auto rows = std::make_unique<JpegRows>(path);
  POCKET_ASSIGN_OR_RETURN(const bool in_order, rows->open());
  if (!in_order) return std::unique_ptr<Rows>();
  return std::unique_ptr<Rows>(std::move(rows));
}

}  // namespace pocket::picture
