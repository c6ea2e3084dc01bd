#include "engine/plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "base/engine_names.h"

namespace pocket::engine {
namespace {

Result<const pocket_engine_api*> checked_api(const std::string& path,
                                             pocket_engine_entry_function entry) {
  const pocket_engine_api* api = entry(POCKET_ENGINE_ABI_VERSION);
  if (api == nullptr || api->abi_version != POCKET_ENGINE_ABI_VERSION) {
    return Error{
        POCKET_VERSION_MISMATCH,
        fmt::format("engine plugin '{}' speaks engine interface {}, this Pocket speaks {}: "
                    "install a plugin built for this version",
                    path, api == nullptr ? "another" : std::to_string(api->abi_version),
                    POCKET_ENGINE_ABI_VERSION)};
  }
  // `expect_parallel_runs` is the first optional entry: everything before it must be there.
  if (api->struct_size < offsetof(pocket_engine_api, expect_parallel_runs) || !api->load ||
      !api->unload || !api->input_count || !api->output_count || !api->input_info ||
      !api->output_info || !api->create_context || !api->destroy_context || !api->run) {
    return Error{POCKET_VERSION_MISMATCH,
                 fmt::format("engine plugin '{}' lacks required functions: rebuild it", path)};
  }
  return api;
}

}  // namespace

bool Plugin::limits_threads() const {
  return api_->struct_size >=
             offsetof(pocket_engine_api, limit_threads) + sizeof(api_->limit_threads) &&
         api_->limit_threads != nullptr;
}

Result<Plugin> Plugin::load(const std::string& engine_dir, const std::string& name) {
  if (!is_engine_name(name)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("'{}' is not an engine name (a-z, 0-9, _ and -)", name)};
  }
  const std::string path = engine_path(engine_dir, name);
  if (!std::filesystem::exists(path)) {
    return Error{POCKET_NOT_FOUND,
                 fmt::format("no engine '{}' in '{}'; engines there: {}", name, engine_dir,
                             fmt::join(list_engines(engine_dir), ", "))};
  }
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return Error{POCKET_UNIMPLEMENTED,
                 fmt::format("engine '{}' cannot be loaded: {}", name, ::dlerror())};
  }
  auto entry =
      reinterpret_cast<pocket_engine_entry_function>(::dlsym(library, POCKET_ENGINE_ENTRY_SYMBOL));
  if (entry == nullptr) {
    return Error{POCKET_UNIMPLEMENTED, fmt::format("'{}' is not an engine plugin: no symbol {}",
                                                   path, POCKET_ENGINE_ENTRY_SYMBOL)};
  }
  POCKET_ASSIGN_OR_RETURN(const pocket_engine_api* api, checked_api(path, entry));
  return Plugin(api);
}

}  // namespace pocket::engine
