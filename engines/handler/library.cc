#include "library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <exception>

namespace pocket::handler_engine {
namespace {

Result<void> check(const pocket_handler_api* api, const std::string& path) {
  if (api == nullptr || api->abi_version != POCKET_HANDLER_ABI_VERSION) {
    return Error{
        POCKET_VERSION_MISMATCH,
        fmt::format("handler '{}' speaks handler interface {}, this Pocket speaks {}: build "
                    "it with this version's pocket/handler.h",
                    path, api == nullptr ? "another" : std::to_string(api->abi_version),
                    POCKET_HANDLER_ABI_VERSION)};
  }
  if (api->struct_size < sizeof(pocket_handler_api) || api->name == nullptr ||
      api->load == nullptr || api->unload == nullptr || api->call == nullptr) {
    return Error{POCKET_VERSION_MISMATCH,
                 fmt::format("handler '{}' lacks required functions: build it anew", path)};
  }
  const char* wrong = nullptr;
  if (api->tensors_in > POCKET_HANDLER_MAX_TENSORS ||
      api->tensors_out > POCKET_HANDLER_MAX_TENSORS) {
    wrong = "more tensors than a call can have";
  }
  if (api->method_count == 0 || api->method_count > 4096 || api->methods == nullptr) {
    wrong = "no methods, or more than 4,096";
  }
  if ((api->client_came == nullptr) != (api->client_gone == nullptr)) {
    wrong = "only one of client_came and client_gone";
  }
  const bool streams =
      api->open_stream != nullptr && api->next != nullptr && api->close_stream != nullptr;
  for (uint32_t index = 0; wrong == nullptr && index < api->method_count; ++index) {
    if (api->methods[index].name == nullptr) wrong = "a method without a name";
    if (api->methods[index].streaming != 0 && !streams) wrong = "a streaming method and no streams";
  }
  if (wrong == nullptr) return ok_result();
  return Error{POCKET_INVALID_ARGUMENT, fmt::format("handler '{}' describes {}", path, wrong)};
}

}  // namespace

Result<const pocket_handler_api*> open_library(const std::string& path) {
  void* library = nullptr;
  const pocket_handler_api* api = nullptr;
  try {
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      return Error{POCKET_UNIMPLEMENTED,
                   fmt::format("the handler cannot be opened: {}", ::dlerror())};
    }
    auto entry = reinterpret_cast<pocket_handler_entry_function>(
        ::dlsym(library, POCKET_HANDLER_ENTRY_SYMBOL));
    if (entry == nullptr) {
      return Error{POCKET_UNIMPLEMENTED, fmt::format("'{}' is not a handler: no symbol {}", path,
                                                     POCKET_HANDLER_ENTRY_SYMBOL)};
    }
    api = entry(POCKET_HANDLER_ABI_VERSION);
  } catch (const std::exception& error) {
    return Error{POCKET_ENGINE_ERROR, fmt::format("handler '{}' threw: {}", path, error.what())};
  } catch (...) {
    return Error{POCKET_ENGINE_ERROR, fmt::format("handler '{}' threw", path)};
  }
  POCKET_RETURN_IF_ERROR(check(api, path));
  return api;
}

}  // namespace pocket::handler_engine
