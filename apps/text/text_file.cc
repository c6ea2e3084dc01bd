#include "text/text_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace pocket::apps {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

Result<std::string> read_text(const std::string& path, size_t most) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return Error{POCKET_NOT_FOUND, fmt::format("cannot open '{}': {}", path, std::strerror(errno))};
  }
  std::string text;
  char block[16384];
  for (size_t got = 0; (got = std::fread(block, 1, sizeof(block), file.get())) > 0;) {
    if (got > most - text.size()) {
      return Error{POCKET_INVALID_ARGUMENT, fmt::format("'{}' has more than {} bytes", path, most)};
    }
    text.append(block, got);
  }
  if (std::ferror(file.get()) != 0) {
    return Error{POCKET_NOT_FOUND, fmt::format("cannot read '{}': {}", path, std::strerror(errno))};
  }
  return text;
}

}  // namespace pocket::apps
