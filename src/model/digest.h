// SHA-256 of a model's files, so that one model under several names is loaded once.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"

namespace pocket::model {

/// Digest, in hexadecimal, of every regular file below `folder` in the order of their relative
/// paths: for each, the path, a zero byte, the size as text, a zero byte and the contents. A folder
/// with a single file has that file's own SHA-256, as `sha256sum` prints it.
Result<std::string> digest_folder(const std::string& folder);

struct FileDigest {
  uint64_t bytes = 0;
  std::string sha256;
};

/// SHA-256 of one file.
Result<std::string> digest_file(const std::string& path);

/// Size and SHA-256 of every regular file below `folder`, by path in it. Reads all of them.
Result<std::map<std::string, FileDigest>> digest_files(const std::string& folder);

/// As digest_folder, remembered until a file's device, inode, size or time of change differs. Any
/// thread.
Result<std::string> cached_digest(const std::string& folder);

}  // namespace pocket::model
