#include "cli/models/catalogue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/nearest.h"
#include "base/toml.h"
#include "model/repository.h"
#include "model/toml_reader.h"

namespace pocket::cli {
namespace {

namespace fs = std::filesystem;
using model::TomlReader;

constexpr std::string_view kKeys[] = {"version", "model"};
constexpr std::string_view kModelKeys[] = {"name",     "description", "licence",      "source",
                                           "settings", "build",       "requirements", "file"};
constexpr std::string_view kFileKeys[] = {"path", "url", "package", "member", "sha256"};

/// A path that stays below the folder it is put under.
bool is_below(const std::string& path) {
  const fs::path parts(path);
  return !path.empty() && !parts.is_absolute() &&
         std::find(parts.begin(), parts.end(), "..") == parts.end();
}

bool is_digest(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

CatalogueFile read_file(const toml::table& table, const std::string& path, TomlReader& outer) {
  CatalogueFile file;
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kFileKeys);
  reader.read<std::string>("path", "a path in the model's folder", file.path);
  reader.read<std::string>("url", "a text", file.url);
  reader.read<std::string>("package", "NAME==VERSION", file.package);
  reader.read<std::string>("member", "a path in the package", file.member);
  reader.read<std::string>("sha256", "64 hexadecimal digits", file.sha256);
  if (!is_below(file.path)) reader.fail(table, "'path' must be below the model's folder");
  if (file.url.empty() == file.package.empty()) reader.fail(table, "one of 'url' and 'package'");
  if (!file.package.empty() && !is_below(file.member)) reader.fail(table, "'member' is missing");
  if (!is_digest(file.sha256)) reader.fail(table, "'sha256' must be 64 hexadecimal digits");
  outer.adopt(reader);
  return file;
}

CatalogueModel read_model(const toml::table& table, const std::string& path, TomlReader& outer) {
  CatalogueModel model;
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kModelKeys);
  for (auto [key, text] : {std::pair{"name", &model.name},
                           {"description", &model.description},
                           {"licence", &model.licence},
                           {"source", &model.source},
                           {"settings", &model.settings},
                           {"build", &model.build},
                           {"requirements", &model.requirements}}) {
    reader.read<std::string>(key, "a text", *text);
  }
  if (!model::is_model_name(model.name)) reader.fail(table, "'name' must be the name of a model");
  const toml::array* files = table["file"].as_array();
  for (size_t index = 0; files != nullptr && index < files->size(); ++index) {
    if (const toml::table* file = files->get(index)->as_table()) {
      model.files.push_back(read_file(*file, path, reader));
    }
  }
  if (model.files.empty() == model.build.empty()) {
    reader.fail(table, "one of [[model.file]] and 'build'");
  }
  if (!model.build.empty() && !is_below(model.build))
    reader.fail(table, "'build' must be a script");
  outer.adopt(reader);
  return model;
}

std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}

}  // namespace

Result<std::vector<CatalogueModel>> parse_catalogue(const std::string& text,
                                                    const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Error{
        POCKET_INVALID_ARGUMENT,
        fmt::format("{} line {}: {}", path, error.source().begin.line, error.description())};
  }
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kKeys);
  if (table["version"].value_or(0) != 1) reader.fail(table, "'version' must be 1");
  std::vector<CatalogueModel> models;
  const toml::array* array = table["model"].as_array();
  for (size_t index = 0; array != nullptr && index < array->size(); ++index) {
    if (const toml::table* each = array->get(index)->as_table()) {
      models.push_back(read_model(*each, path, reader));
    }
  }
  POCKET_RETURN_IF_ERROR(reader.result());
  return models;
}

Result<CatalogueModel> find_in_catalogue(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  if (!file) {
    return Error{POCKET_NOT_FOUND,
                 fmt::format("there is no catalogue '{}': name one with --catalogue", path)};
  }
  POCKET_ASSIGN_OR_RETURN(const auto models,
                          parse_catalogue({std::istreambuf_iterator<char>(file), {}}, path));
  std::vector<std::string_view> names;
  for (const auto& model : models) {
    if (model.name == name) return model;
    names.push_back(model.name);
  }
  const std::string nearest = nearest_word(name, names);
  return Error{POCKET_NOT_FOUND,
               fmt::format("the catalogue '{}' has no model '{}'{}; it has: {}", path, name,
                           nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest),
                           fmt::join(names, ", "))};
}

std::string model_settings(const CatalogueModel& model) {
  return fmt::format("description = {}\nlicence = {}\nsource = {}\n{}{}", quoted(model.description),
                     quoted(model.licence), quoted(model.source), model.settings,
                     model.settings.empty() || model.settings.ends_with('\n') ? "" : "\n");
}

}  // namespace pocket::cli
