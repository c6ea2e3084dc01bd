// SHA-256 of a model's files, so that one model under several names is loaded once.
#pragma once

#include <string>

#include "base/result.h"

namespace pocket::model {

/// Digest, in hexadecimal, of every regular file below `folder` in the order of their relative
/// paths: for each, the path, a zero byte, the size as text, a zero byte and the contents. A folder
/// with a single file has that file's own SHA-256, as `sha256sum` prints it.
Result<std::string> digest_folder(const std::string& folder);

/// As above, remembered until a file's device, inode, size or time of change differs. Any thread.
Result<std::string> cached_digest(const std::string& folder);

}  // namespace pocket::model
