// The catalogue of models that can be got or built. Layout: docs/format-catalogue.md.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::cli {

struct CatalogueFile {
  std::string path;  // in the model's folder
  std::string url, package, member;
  std::string sha256;
};

struct CatalogueModel {
  std::string name, description, licence, source, settings;
  std::string build, requirements;  // empty: it is got, not built
  std::vector<CatalogueFile> files;
};

/// Parses a catalogue; INVALID_ARGUMENT names the line and the key.
Result<std::vector<CatalogueModel>> parse_catalogue(const std::string& text,
                                                    const std::string& path);

/// The model `name` of the catalogue in a file; NOT_FOUND names the nearest, or all of them.
Result<CatalogueModel> find_in_catalogue(const std::string& path, const std::string& name);

/// What model.toml says of the model.
std::string model_settings(const CatalogueModel& model);

}  // namespace pocket::cli
