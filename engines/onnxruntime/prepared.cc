#include "prepared.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace pocket::onnxruntime_engine {
namespace {

/// What is written at once lies at once in the page cache, and is mapped as a whole when one byte
/// of it is read: one bias would bring two megabytes of the weights around it.
constexpr size_t kPiece = 16 << 10;

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

/// Closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

bool write_all(int file, const char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t written = ::write(file, data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    data += written;
    bytes -= static_cast<size_t>(written);
  }
  return true;
}

/// Everything out of `pipe`, into `file` until that cannot take it; 0, or the reason.
int copy(int pipe, int file) {
  std::array<char, kPiece> piece;
  int failure = 0;
  while (true) {
    const ssize_t bytes = ::read(pipe, piece.data(), piece.size());
    if (bytes == 0) return failure;
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return errno;
    // The rest is read all the same: whoever writes it does not wait for ever.
    if (failure == 0 && !write_all(file, piece.data(), static_cast<size_t>(bytes))) failure = errno;
  }
}

}  // namespace

Prepared::~Prepared() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Prepared Prepared::of(Ort::Env& env, const char* path, const MakeOptions& options, int file) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(errno, "pipe2");
  const Descriptor reading(ends[0]);
  Descriptor opened(ends[1]);
  int failure = 0;
  size_t inputs = 0;
  {
    const std::jthread copying([&] { failure = copy(reading.get(), file); });
    const Descriptor writing(std::move(opened));  // closed before the thread is waited for
    Ort::SessionOptions saving = options();
    // It wants a name to write to, and this is one that is there in the sandbox.
    saving.SetOptimizedModelFilePath(("/proc/self/fd/" + std::to_string(writing.get())).c_str());
    saving.AddConfigEntry("session.save_model_format", "ORT");
    saving.AddConfigEntry("session.disable_prepacking", "1");  // nobody runs this one
    const Ort::Session session(env, path, saving);
    inputs = session.GetInputCount();
  }
  if (failure != 0) fail(failure, "writing to engines.scratch_dir");
  const off_t bytes = ::lseek(file, 0, SEEK_END);
  if (bytes <= 0)
    fail(bytes < 0 ? errno : EIO, "measuring what was written to engines.scratch_dir");
  void* data = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED) fail(errno, "mapping what was written to engines.scratch_dir");
  return {data, static_cast<size_t>(bytes), inputs};
}

Ort::Session Prepared::open(Ort::Env& env, const MakeOptions& options) const {
  Ort::SessionOptions reading = options();
  reading.AddConfigEntry("session.load_model_format", "ORT");
  reading.AddConfigEntry("session.use_ort_model_bytes_directly", "1");
  reading.AddConfigEntry("session.use_ort_model_bytes_for_initializers", "1");
  Ort::Session session(env, data_, size_, reading);
  // Of old models (before version 4 of the format) weights are inputs as well.
  if (session.GetInputCount() != inputs_) {
    throw std::runtime_error("ONNX Runtime's own format takes weights of this model for inputs");
  }
  ::madvise(data_, size_, MADV_DONTNEED);  // the raw form of what was packed
  return session;
}

}  // namespace pocket::onnxruntime_engine
