// What every app does the same way: options, decoding, preprocessing, timed calls, report.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "common/inference.h"
#include "picture/picture.h"

namespace CLI {
class App;
}

namespace pocket::apps {

/// One picture on its way through an app.
struct Job {
  std::string file;
  picture::Picture picture;      // empty when it is decoded row by row
  picture::Placement placement;  // where the picture lies in the input
  picture::Size input;           // of the model's input
};

struct AppDescription {
  const char* name;
  const char* text;               // for --help
  const char* model;              // default model
  const char* picture;            // default picture, a file in the pictures' folder
  const char* models = "models";  // monolithic: the folder with the model
  /// The picture is decoded while it is resized, and never lies in memory whole.
  bool row_by_row = false;
  /// More options, before parsing; may be empty.
  std::function<void(CLI::App&)> add_options;
  /// The JSON "result" of one answered call.
  std::function<nlohmann::json(const Inference&, Job&)> interpret;
  /// Lines for people.
  std::function<std::string(const nlohmann::json&)> describe;
};

/// main() of an app: 0 done, 1 failed, 2 usage.
int run_app(const AppDescription& app, int argc, char** argv);

}  // namespace pocket::apps
