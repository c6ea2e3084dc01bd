#include "constants.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ext/stdio_filebuf.h>
#include <istream>
#include <system_error>

namespace pocket::openvino_engine {
namespace {

/// What is written at once lies at once in the page cache, and is mapped as a whole when one byte
/// of it is read: one bias would bring two megabytes of the weights around it.
constexpr std::streamsize kPiece = 16 << 10;

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

/// Writes to a descriptor, which it closes, and remembers why it could not: streams only know that.
class FileBuffer : public __gnu_cxx::stdio_filebuf<char> {
 public:
  explicit FileBuffer(int file) : stdio_filebuf(file, std::ios::out | std::ios::binary) {}
  int failure() const { return failure_; }

 protected:
  std::streamsize xsputn(const char* text, std::streamsize count) override {
    std::streamsize written = 0;
    while (written < count) {
      const std::streamsize piece = std::min(count - written, kPiece);
      const std::streamsize done = stdio_filebuf::xsputn(text + written, piece);
      written += done;
      if (done == piece) continue;
      note();
      break;
    }
    return written;
  }
  int_type overflow(int_type character) override {
    const int_type result = stdio_filebuf::overflow(character);
    if (traits_type::eq_int_type(result, traits_type::eof())) note();
    return result;
  }
  int sync() override {
    const int result = stdio_filebuf::sync();
    if (result != 0) note();
    return result;
  }

 private:
  void note() {
    if (failure_ == 0) failure_ = errno == 0 ? EIO : errno;
  }
  int failure_ = 0;
};

}  // namespace

Constants::~Constants() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Constants Constants::of(ov::CompiledModel& model, int file) {
  const int copy = ::dup(file);
  if (copy < 0) fail(errno, "dup");
  {
    FileBuffer buffer(copy);
    std::ostream stream(&buffer);
    errno = 0;
    model.export_model(stream);
    stream.flush();
    if (!stream.good() || buffer.failure() != 0) {
      fail(buffer.failure() == 0 ? EIO : buffer.failure(), "writing to engines.scratch_dir");
    }
  }
  const off_t bytes = ::lseek(file, 0, SEEK_END);
  if (bytes <= 0) fail(bytes < 0 ? errno : EIO, "measuring what was written");
  void* data = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED) fail(errno, "mapping what was written");
  return {data, static_cast<size_t>(bytes)};
}

ov::CompiledModel Constants::import(ov::Core& core, const ov::AnyMap& properties) const {
  const ov::Tensor tensor(ov::element::u8, ov::Shape{size_}, data_);
  auto model = core.import_model(tensor, "CPU", properties);
  drop_pages();  // what the copies were made from
  return model;
}

void Constants::drop_pages() const {
  if (data_ != nullptr) ::madvise(data_, size_, MADV_DONTNEED);
}

}  // namespace pocket::openvino_engine
