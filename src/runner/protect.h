// How a runner shuts itself in, and what it says when it cannot.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/enter.h"

namespace pocket::runner {

/// What pocketd wants of the sandbox, from the command line.
struct ProtectOptions {
  std::string modes;  // as sandbox::modes_text writes them
  std::string user;
  std::vector<std::string> shown;     // paths that stay visible, beside the engine's libraries
  std::vector<std::string> writable;  // likewise, for writing
};

/// The sandbox of this process, in two steps around the loading of the engine. One thread.
class Protection {
 public:
  static Result<Protection> parse(const ProtectOptions& options);

  /// Before any code of the engines runs. `plugins`: their paths.
  Result<void> enter(const std::vector<std::string>& plugins);
  /// Once the engines are loaded: only listed system calls from here on, for all threads. What is
  /// told of others goes to standard error and, as a Failed that answers nothing, to pocketd over
  /// `socket` (-1: to nobody).
  Result<void> close(const std::vector<std::string>& plugins, int socket);

  const sandbox::Report& report() const { return report_; }

 private:
  sandbox::Entry entry_;
  sandbox::Report report_;
};

}  // namespace pocket::runner
