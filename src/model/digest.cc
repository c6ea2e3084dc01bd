#include "model/digest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/unique_fd.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;

/// One running SHA-256.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void add(const void* data, size_t bytes) { EVP_DigestUpdate(context_.get(), data, bytes); }
  std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int bytes = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &bytes);
    std::string text;
    for (unsigned int index = 0; index < bytes; ++index)
      text += fmt::format("{:02x}", digest[index]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

Result<std::vector<fs::path>> sorted_files(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->is_regular_file()) files.push_back(entry->path());
  }
  if (error) return errno_error(fmt::format("reading '{}'", folder), error.value());
  std::sort(files.begin(), files.end());
  return files;
}

Result<void> add_file(Sha256& digest, const fs::path& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return errno_error(fmt::format("open '{}'", path.string()), errno);
  std::vector<char> buffer(1 << 20);
  while (true) {
    const ssize_t bytes = ::read(file.get(), buffer.data(), buffer.size());
    if (bytes == 0) return ok_result();
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return errno_error(fmt::format("read '{}'", path.string()), errno);
    digest.add(buffer.data(), static_cast<size_t>(bytes));
  }
}

/// Changes whenever a file of the folder does.
Result<std::string> fingerprint(const std::string& folder) {
  POCKET_ASSIGN_OR_RETURN(const auto files, sorted_files(folder));
  std::string text;
  for (const auto& path : files) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
      return errno_error(fmt::format("stat '{}'", path.string()), errno);
    text += fmt::format("{}:{}:{}:{}:{}.{};", path.string(), info.st_dev, info.st_ino, info.st_size,
                        info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
  }
  return text;
}

}  // namespace

Result<std::string> digest_folder(const std::string& folder) {
  POCKET_ASSIGN_OR_RETURN(const auto files, sorted_files(folder));
  Sha256 digest;
  for (const auto& path : files) {
    if (files.size() > 1) {
      std::error_code ignored;
      const std::string head = fs::relative(path, folder, ignored).string() + '\0' +
                               std::to_string(fs::file_size(path, ignored)) + '\0';
      digest.add(head.data(), head.size());
    }
    POCKET_RETURN_IF_ERROR(add_file(digest, path));
  }
  return digest.finish();
}

Result<std::string> digest_file(const std::string& path) {
  Sha256 digest;
  POCKET_RETURN_IF_ERROR(add_file(digest, path));
  return digest.finish();
}

Result<std::map<std::string, FileDigest>> digest_files(const std::string& folder) {
  POCKET_ASSIGN_OR_RETURN(const auto files, sorted_files(folder));
  std::map<std::string, FileDigest> digests;
  for (const auto& path : files) {
    Sha256 digest;
    POCKET_RETURN_IF_ERROR(add_file(digest, path));
    std::error_code ignored;
    digests[fs::relative(path, folder, ignored).string()] = {fs::file_size(path, ignored),
                                                             digest.finish()};
  }
  return digests;
}

Result<std::string> cached_digest(const std::string& folder) {
  static std::mutex mutex;
  static std::map<std::string, std::pair<std::string, std::string>> known;  // guarded by mutex
  POCKET_ASSIGN_OR_RETURN(const std::string mark, fingerprint(folder));
  {
    std::lock_guard lock(mutex);
    if (auto found = known.find(folder); found != known.end() && found->second.first == mark) {
      return found->second.second;
    }
  }
  POCKET_ASSIGN_OR_RETURN(std::string digest, digest_folder(folder));
  std::lock_guard lock(mutex);
  known[folder] = {mark, digest};
  return digest;
}

}  // namespace pocket::model
