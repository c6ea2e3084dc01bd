// The shared library of a handler.
#pragma once

#include <string>

#include "base/result.h"
#include "pocket/handler.h"

namespace pocket::handler_engine {

/// Opens a handler's library and checks it; it stays open until the process ends (it may have
/// started threads). UNIMPLEMENTED: it cannot be opened or is no handler. VERSION_MISMATCH: it was
/// built for another handler interface. INVALID_ARGUMENT: its table says what cannot be.
Result<const pocket_handler_api*> open_library(const std::string& path);

}  // namespace pocket::handler_engine
