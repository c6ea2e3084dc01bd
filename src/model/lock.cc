#include "model/lock.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <tuple>

#include "base/toml.h"
#include "model/repository.h"
#include "model/toml_reader.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kFormat = 1;
constexpr std::string_view kKeys[] = {"version", "model"};
constexpr std::string_view kModelKeys[] = {"name",   "version", "sha256", "licence",
                                           "source", "tools",   "file"};
constexpr std::string_view kFileKeys[] = {"path", "bytes", "sha256"};
constexpr const char* kFileName = "models.lock";

bool is_sha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

void read_digest(const toml::table& table, TomlReader& reader, std::string& digest) {
  reader.read<std::string>("sha256", "64 hexadecimal digits", digest);
  if (!is_sha256(digest)) reader.fail(table, "'sha256' must be 64 hexadecimal digits");
}

/// The tables of `[[key]]`; none when the key is absent.
std::vector<const toml::table*> tables(const toml::table& table, const char* key,
                                       TomlReader& reader) {
  std::vector<const toml::table*> found;
  const toml::node* node = table.get(key);
  if (node == nullptr) return found;
  const toml::array* array = node->as_array();
  if (array == nullptr) reader.fail(*node, fmt::format("'{}' must be written [[{}]]", key, key));
  for (size_t index = 0; array != nullptr && index < array->size(); ++index) {
    const toml::table* each = array->get(index)->as_table();
    if (each == nullptr) {
      reader.fail(*node, fmt::format("'{}' must be written [[{}]]", key, key));
      return found;
    }
    found.push_back(each);
  }
  return found;
}

LockedFile read_file_entry(const toml::table& table, const std::string& path, TomlReader& outer) {
  TomlReader reader(table, path);
  LockedFile file;
  reader.refuse_unknown_keys(kFileKeys);
  reader.read<std::string>("path", "the path of a file", file.path);
  reader.read_count("bytes", 0, INT64_MAX, file.bytes);
  read_digest(table, reader, file.sha256);
  const fs::path below(file.path);
  if (file.path.empty() || below.is_absolute() ||
      std::find(below.begin(), below.end(), "..") != below.end()) {
    reader.fail(table, "'path' must be below the version's folder");
  }
  outer.adopt(reader);
  return file;
}

LockedModel read_model_entry(const toml::table& table, const std::string& path, TomlReader& outer) {
  TomlReader reader(table, path);
  LockedModel model;
  reader.refuse_unknown_keys(kModelKeys);
  reader.read<std::string>("name", "a text", model.name);
  reader.read<std::string>("version", "a text", model.version);
  reader.read<std::string>("licence", "a text", model.licence);
  reader.read<std::string>("source", "a text", model.source);
  read_digest(table, reader, model.sha256);
  if (!is_model_name(model.name)) reader.fail(table, "'name' must be the name of a model");
  if (!is_model_name(model.version)) reader.fail(table, "'version' must be a version");
  if (const toml::node* tools = table.get("tools")) {
    const toml::array* list = tools->as_array();
    if (list == nullptr) reader.fail(*tools, "'tools' must be a list of texts");
    for (size_t index = 0; list != nullptr && index < list->size(); ++index) {
      model.tools.push_back(list->get(index)->value_or(std::string()));
    }
  }
  for (const toml::table* each : tables(table, "file", reader)) {
    model.files.push_back(read_file_entry(*each, path, reader));
  }
  outer.adopt(reader);
  return model;
}

std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}

}  // namespace

const LockedModel* Lock::find(const std::string& name, const std::string& version) const {
  const auto found = std::find_if(models.begin(), models.end(), [&](const LockedModel& model) {
    return model.name == name && model.version == version;
  });
  return found == models.end() ? nullptr : &*found;
}

void Lock::put(LockedModel model) {
  std::erase_if(models, [&](const LockedModel& each) {
    return each.name == model.name && each.version == model.version;
  });
  models.push_back(std::move(model));
  std::sort(models.begin(), models.end(), [](const LockedModel& one, const LockedModel& other) {
    return std::tie(one.name, one.version) < std::tie(other.name, other.version);
  });
}

Result<Lock> parse_lock(const std::string& text, const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Error{
        POCKET_INVALID_ARGUMENT,
        fmt::format("{} line {}: {}", path, error.source().begin.line, error.description())};
  }
  TomlReader reader(table, path);
  Lock lock;
  int64_t format = 0;
  reader.refuse_unknown_keys(kKeys);
  reader.read<int64_t>("version", "a whole number", format);
  POCKET_RETURN_IF_ERROR(reader.result());
  if (format != kFormat) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("{}: version {} of the format; this Pocket reads {}: write the lock "
                             "anew with `pocket models lock`",
                             path, format, kFormat)};
  }
  for (const toml::table* each : tables(table, "model", reader)) {
    LockedModel model = read_model_entry(*each, path, reader);
    if (lock.find(model.name, model.version) != nullptr) {
      reader.fail(*each,
                  fmt::format("model '{}' version '{}' is there twice", model.name, model.version));
    }
    lock.put(std::move(model));
  }
  POCKET_RETURN_IF_ERROR(reader.result());
  return lock;
}

Result<Lock> read_lock(const std::string& root) {
  const fs::path path = fs::path(root) / kFileName;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return Lock{};
  std::ifstream file(path);
  if (!file) {
    return Error{POCKET_PERMISSION_DENIED, fmt::format("cannot read '{}'", path.string())};
  }
  return parse_lock({std::istreambuf_iterator<char>(file), {}}, path.string());
}

std::string format_lock(const Lock& lock) {
  std::string text = fmt::format(
      "# What the models' files are. Written by `pocket models`; see `pocket models verify`.\n"
      "version = {}\n",
      kFormat);
  for (const auto& model : lock.models) {
    std::vector<std::string> tools;
    for (const auto& tool : model.tools) tools.push_back(quoted(tool));
    text += fmt::format(
        "\n[[model]]\nname = {}\nversion = {}\nsha256 = {}\nlicence = {}\nsource = {}\n"
        "tools = [{}]\n",
        quoted(model.name), quoted(model.version), quoted(model.sha256), quoted(model.licence),
        quoted(model.source), fmt::join(tools, ", "));
    for (const auto& file : model.files) {
      text += fmt::format("\n[[model.file]]\npath = {}\nbytes = {}\nsha256 = {}\n",
                          quoted(file.path), file.bytes, quoted(file.sha256));
    }
  }
  return text;
}

Result<void> write_lock(const std::string& root, const Lock& lock) {
  const std::string path = (fs::path(root) / kFileName).string();
  const std::string next = fmt::format("{}.{}", path, ::getpid());
  std::ofstream file(next);
  file << format_lock(lock);
  file.close();
  std::error_code error;
  if (file) fs::rename(next, path, error);
  if (!file || error) {
    fs::remove(next, error);
    return Error{POCKET_PERMISSION_DENIED, fmt::format("cannot write '{}'", path)};
  }
  return ok_result();
}

}  // namespace pocket::model
