#include "log/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <mutex>
#include <system_error>

#include "log/json_text.h"

namespace pocket::log {
namespace {

/// Makes the folder too: a service that is started for the first time has none yet.
Result<UniqueFd> open_file(const std::string& path) {
  std::error_code ignored;  // what is wrong with the folder, opening the file says
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644));
  if (!file.valid()) return errno_error(fmt::format("opening the log '{}'", path), errno);
  return file;
}

/// One line, one write, so that lines of several processes do not mix. A log
/// that cannot be written (a full disk) never stops the service: the line is
/// lost, and the next one is tried again.
class FileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void use(UniqueFd file, const Settings& settings, std::unique_ptr<spdlog::formatter> formatter) {
    const std::lock_guard<std::mutex> lock(mutex_);
    file_ = std::move(file);
    path_ = settings.file;
    rotate_bytes_ = settings.rotate_bytes;
    formatter_ = std::move(formatter);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (rotate_bytes_ > 0) rotate(line.size());
    const int target = file_.valid() ? file_.get() : STDERR_FILENO;
    (void)!::write(target, line.data(), line.size());
  }
  void flush_() override {}

 private:
  void rotate(size_t coming) {
    struct stat now {};
    if (!file_.valid() || ::fstat(file_.get(), &now) != 0 || now.st_size == 0 ||
        static_cast<uint64_t>(now.st_size) + coming <= rotate_bytes_) {
      return;
    }
    const std::filesystem::path path(path_);
    const auto older =
        path.parent_path() / (path.stem().string() + ".1" + path.extension().string());
    if (::rename(path.c_str(), older.c_str()) != 0) return;
    if (auto fresh = open_file(path_); fresh.ok()) file_ = std::move(*fresh);
  }

  UniqueFd file_;  // none: standard error
  std::string path_;
  uint64_t rotate_bytes_ = 0;
};

class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& to) override {
    const std::string text = json_text({message.payload.data(), message.payload.size()});
    to.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

std::unique_ptr<spdlog::formatter> make_formatter(const Settings& settings) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (settings.json) {
    formatter->add_flag<JsonMessage>('*').set_pattern(
        fmt::format(R"({{"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","program":"{}","pid":{},)"
                    R"("message":%*}})",
                    settings.program, settings.process == 0 ? ::getpid() : settings.process));
  } else {
    formatter->set_pattern(
        fmt::format("%Y-%m-%dT%H:%M:%S.%e %l {}{}: %v", settings.program,
                    settings.process == 0 ? "" : fmt::format(" {}", settings.process)));
  }
  return formatter;
}

/// The one of this process. It stays while its sink's file changes, because
/// other threads write to it meanwhile.
std::shared_ptr<FileSink> the_sink() {
  static const std::shared_ptr<FileSink> sink = [] {
    auto made = std::make_shared<FileSink>();
    auto logger = std::make_shared<spdlog::logger>("pocket", made);
    logger->set_error_handler([](const std::string&) {});
    spdlog::set_default_logger(std::move(logger));
    return made;
  }();
  return sink;
}

}  // namespace

Result<Prepared> prepare(const Settings& settings) {
  Prepared prepared;
  prepared.settings_ = settings;
  if (!settings.file.empty()) {
    POCKET_ASSIGN_OR_RETURN(prepared.file_, open_file(settings.file));
  }
  return prepared;
}

void Prepared::apply() && {
  the_sink()->use(std::move(file_), settings_, make_formatter(settings_));
  spdlog::set_level(spdlog::level::from_str(settings_.level));
}

Result<void> set_up(const Settings& settings) {
  POCKET_ASSIGN_OR_RETURN(Prepared prepared, prepare(settings));
  std::move(prepared).apply();
  return ok_result();
}

}  // namespace pocket::log
